/**
 * One of the processes that `npm run exclusion` lets contend for a lock. Under it, it counts up a node; each of its
 * steps is in its log before the next begins, so that whoever kills or freezes it knows how far it has got.
 *
 * Tells the one who started it: `held <server>`, `staying`, `free`. Heeds: `stay` (hold on to the lock and write nothing
 * until `go`, or until it is lost) and `stop` (acquire the lock one last time, and end).
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { openSync, writeSync } from "node:fs"
import { createInterface } from "node:readline"
import { Held } from "../../src/internal/recipes/hold.ts"
import type { Hold } from "../../src/internal/recipes/hold.ts"
import { leaseOf } from "../../src/internal/recipes/lease.ts"
import * as ZkClient from "../../src/ZkClient.ts"
import * as ZkError from "../../src/ZkError.ts"
import * as ZkLock from "../../src/ZkLock.ts"
import * as ZkTransaction from "../../src/ZkTransaction.ts"
import { claimName, type Entry } from "./exclusionJudge.ts"
import { claimsPath, counterPath, lockPath, type WorkerOptions } from "./exclusionWorkers.ts"
import { random } from "./flags.ts"

const options: WorkerOptions = JSON.parse(process.argv[2] ?? "{}")
const { tickTime, worker } = options
const chance = random(options.seed)

const file = openSync(options.log, "a")
const log = (entry: Entry): void => void writeSync(file, `${JSON.stringify(entry)}\n`)
const now = (): number => Number(process.hrtime.bigint())
const note = (text: string): void => log({ kind: "note", text, at: now() })
const tell = (line: string): void => void process.stdout.write(`> ${line}\n`)

let isStopping = false
let isStaying = false
const commands = createInterface({ input: process.stdin })
commands.on("line", (line) => {
  if (line === "stay") isStaying = true
  if (line === "go") isStaying = false
  if (line === "stop") {
    isStopping = true
    isStaying = false
  }
})
// Whoever started us is no more.
commands.on("close", () => process.exit(1))

let holds = 0

const body = (zk: ZkClient.ZkClient, handle: ZkLock.LockHandle) =>
  Effect.gen(function*() {
    const hold = holds
    const token = String(handle.fencingToken)
    const own = (yield* Held).at(-1) as Hold
    const lease = leaseOf(own.session)
    let attempts = 0

    const step = (): void => {
      // If the process is stopped in between, the step was taken before that, and the lease looks too long.
      const at = now()
      const remaining = lease.remaining(own.halfTick) * 1e6
      const until = now() + remaining
      log({ kind: "step", hold, token, at, until: Number.isFinite(until) ? until : null })
    }

    const increment = Effect.gen(function*() {
      const value = Number((yield* zk.getData(counterPath)).text) + 1
      yield* Effect.sleep(1 + chance() * 3)
      step()
      const attempt = ++attempts
      const claim = claimName({ worker, hold, attempt, value, token: handle.fencingToken })
      log({ kind: "try", hold, attempt, value })
      yield* handle.guard([
        ZkTransaction.setData(counterPath, String(value)),
        ZkTransaction.create(`${claimsPath}/${claim}`, null, { mode: "persistentSequential" })
      ]).pipe(
        Effect.matchEffect({
          onSuccess: () => Effect.sync(() => log({ kind: "wrote", hold, attempt })),
          onFailure: (error) =>
            Effect.sync(() => log({ kind: ZkError.maybeApplied(error) ? "unknown" : "refused", hold, attempt }))
        })
      )
    })

    step()
    const state = yield* zk.state
    tell(`held ${state._tag === "Connected" ? state.server : ""}`)
    // Whoever hears this may freeze us at once, and between two lines of code nothing looks at the clock.
    yield* Effect.sleep(1)
    const end = now() + (chance() < 0.1 ? 300 + chance() * 900 : 20 + chance() * 130) * 1e6
    let hasToldOfStaying = false
    while (isStaying || now() < end) {
      step()
      if (isStaying) {
        if (!hasToldOfStaying) tell("staying")
        hasToldOfStaying = true
        // A follower that is cut off answers reads all the same.
        if (chance() < 0.1) yield* Effect.ignore(Effect.timeout(zk.exists(counterPath), "20 millis"))
      } else if (chance() < 0.3) yield* Effect.ignore(increment)
      yield* Effect.sleep(2)
    }
  })

const program = Effect.gen(function*() {
  const zk = yield* ZkClient.make({ hosts: options.hosts, sessionTimeout: options.sessionTimeout })
  const lock = yield* Effect.provideService(
    ZkLock.make(lockPath, { onCandidateLost: "requeue", ...(tickTime !== undefined && { tickTime }) }),
    ZkClient.ZkClient,
    zk
  )
  yield* Effect.forkScoped(
    Stream.runForEach(
      zk.stateChanges,
      (state) =>
        Effect.sync(() =>
          note(
            state._tag === "Connected" ? `Connected ${state.server} 0x${state.sessionId.toString(16)}` : state._tag
          )
        )
    )
  )
  const turn = Effect.suspend(() => {
    const before = holds
    const onStatus = ({ _tag, path }: ZkLock.LockStatus) => Effect.sync(() => note(`${_tag} ${path}`))
    return lock.withLock((handle) => {
      holds++
      return body(zk, handle)
    }, { onStatus }).pipe(
      Effect.as("done"),
      Effect.catch((error) => Effect.succeed(error._tag === "LockLost" ? `lost: ${error.reason}` : error.cause._tag)),
      Effect.tap((how) =>
        Effect.sync(() => {
          tell("free")
          log(holds > before ? { kind: "end", hold: holds, how, at: now() } : { kind: "none", how })
        })
      )
    )
  })
  while (true) {
    const isLast = isStopping
    const how = yield* turn
    if (isLast && how === "done") return
    yield* Effect.sleep(chance() * 30)
  }
})

await Effect.runPromise(Effect.scoped(program))
process.exit(0)
