/**
 * What becomes of a session while its ensemble fails: `npm run failover`, with `-- --seed 7 --rounds 5` for another
 * order or fewer rounds of each kind.
 *
 * Of three servers the leader is killed (kill -9), or the server that the client is on stands still (SIGSTOP), in
 * random order. Meanwhile one client writes without a break, and holds an ephemeral node and a one-shot watch. When a
 * quorum is back within half of the session timeout, the session must have survived: the same id, the same ephemeral
 * node, and the watch fires. At the end every write that was acknowledged has to be there.
 */
import { Cause, Effect, Exit, Fiber, Option, Stream } from "effect"
import { ZkClient, ZkError } from "effect-zookeeper"
import { type EnsembleHandle, makeEnsemble } from "../support/ensemble.ts"
import { type RigError, rigError } from "../support/rigError.ts"
import type { ServerHandle } from "../support/serverHandle.ts"
import { numberFlag, random } from "./flags.ts"

const seed = numberFlag("seed", 1)
const roundsEach = numberFlag("rounds", 20)

const sessionTimeout = 8_000
/** Within this, everything that can come back is back. */
const patience = sessionTimeout * 4

const print = (line = ""): void => void process.stdout.write(`${line}\n`)
const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`

type Blow = "kill the leader" | "freeze the client's server"

/** Both kinds equally often, in an order that the seed decides. */
const blowsOf = (chance: () => number): ReadonlyArray<Blow> =>
  Array.from({ length: roundsEach * 2 }, (_, i): Blow => i % 2 === 0 ? "kill the leader" : "freeze the client's server")
    .map((blow) => ({ blow, key: chance() }))
    .toSorted((a, b) => a.key - b.key)
    .map(({ blow }) => blow)

/** Writes without a break, and remembers what was acknowledged. */
class Writer {
  private readonly zk: ZkClient.ZkClient
  private lastAcknowledged = performance.now()
  /** The longest time without an acknowledged write since it was last set to 0. */
  longestPause = 0
  readonly created: Array<string> = []
  count = 0
  acknowledged = 0
  inDoubt = 0
  notApplied = 0

  constructor(zk: ZkClient.ZkClient) {
    this.zk = zk
  }

  private readonly acknowledge = Effect.sync(() => {
    const now = performance.now()
    this.longestPause = Math.max(this.longestPause, now - this.lastAcknowledged)
    this.lastAcknowledged = now
    this.acknowledged++
  })

  /** A lost answer is counted, and what certainly was not applied is tried again; anything else ends the run. */
  private readonly onError = (error: { readonly _tag: string; readonly message: string }) => {
    if (ZkError.maybeApplied(error)) this.inDoubt++
    else this.notApplied++
    const passes = ZkError.maybeApplied(error) || ZkError.isRetryable(error) || error._tag === "SessionExpired"
    return passes ? Effect.sleep("20 millis") : Effect.die(error)
  }

  /** Counts up, each step only from the one before: the node always holds the last step, or one that was in doubt. */
  private readonly increment = Effect.suspend(() =>
    Effect.gen({ self: this }, function*() {
      const node = yield* this.zk.getData("/counter")
      const next = Number(node.text) + 1
      if (next <= this.count) return yield* Effect.die(rigError(`counted to ${this.count}, the node has ${node.text}`))
      yield* this.zk.setData("/counter", String(next), { version: node.stat.version, idempotent: true })
      this.count = next
      yield* this.acknowledge
    })
  ).pipe(Effect.catch(this.onError))

  private number = 0
  private readonly create = Effect.suspend(() => {
    const path = `/log/n-${this.number++}`
    return Effect.andThen(this.zk.create(path), () => {
      this.created.push(path)
      return this.acknowledge
    })
  }).pipe(Effect.catch(this.onError))

  readonly run: Effect.Effect<never> = Effect.forever(
    Effect.andThen(Effect.andThen(this.increment, this.create), Effect.sleep("5 millis"))
  )

  /** Waits for a write that was begun after this was. */
  readonly progress: Effect.Effect<void> = Effect.suspend(() => {
    const enough = this.acknowledged + 4
    return Effect.repeat(Effect.sleep("10 millis"), { until: () => this.acknowledged >= enough }).pipe(Effect.asVoid)
  })
}

const awaitConnected = (zk: ZkClient.ZkClient, elsewhere?: string) =>
  zk.stateChanges.pipe(
    Stream.filter((state) => state._tag === "Connected" && state.server !== elsewhere),
    Stream.runHead,
    Effect.asVoid
  )

const bounded = <A, E, R>(what: string, effect: Effect.Effect<A, E, R>): Effect.Effect<A, E | RigError, R> =>
  Effect.timeoutOrElse(effect, {
    duration: patience,
    orElse: () => Effect.fail(rigError(`${what}: not within ${seconds(patience)}`))
  })

const connected = Effect.fnUntraced(function*(zk: ZkClient.ZkClient) {
  yield* awaitConnected(zk)
  const state = yield* zk.state
  return state._tag === "Connected" ? state : yield* Effect.fail(rigError(`the client is ${state._tag}`))
})

/** A leader that stood still takes itself for the leader for a while, next to the one that was elected. */
const settled = (ensemble: EnsembleHandle): Effect.Effect<void> =>
  Effect.gen(function*() {
    while (true) {
      const modes = yield* Effect.forEach(ensemble.servers, (server) => server.mode, { concurrency: "unbounded" })
      if (modes.toSorted().join(" ") === "follower follower leader") return
      yield* Effect.sleep("50 millis")
    }
  })

const strike = Effect.fnUntraced(function*(blow: Blow, ensemble: EnsembleHandle, zk: ZkClient.ZkClient) {
  const { server } = yield* bounded("a connection", connected(zk))
  const own = ensemble.servers.find((handle) => handle.connectString === server)
  if (own === undefined) return yield* Effect.fail(rigError(`no server ${server}`))
  const leader = yield* ensemble.leader
  const victim: ServerHandle = blow === "kill the leader" ? leader : own
  const struck = performance.now()
  yield* blow === "kill the leader" ? victim.kill : victim.freeze
  yield* ensemble.waitForQuorum(2)
  const quorumAfter = performance.now() - struck
  yield* bounded("a connection elsewhere", awaitConnected(zk, victim.connectString))
  return { victim, isLeader: victim === leader, isOwn: victim === own, quorumAfter }
})

const program = Effect.gen(function*() {
  const ensemble = yield* makeEnsemble()
  print(
    `ZooKeeper ${ensemble.servers[0]!.version}, three servers, session timeout ${seconds(sessionTimeout)}, seed ${seed}`
  )
  print()
  const zk = yield* ZkClient.make({ hosts: ensemble.connectString, sessionTimeout, closeTimeout: "5 seconds" })
  const agreed = yield* connected(zk)
  yield* zk.create("/counter", "0")
  yield* zk.create("/log")
  yield* zk.create("/watched")
  yield* zk.create("/mine", null, { mode: "ephemeral" })
  const chance = random(seed)
  const writer = new Writer(zk)
  const writing = yield* Effect.forkScoped(writer.run)
  yield* writer.progress

  let sessionId = agreed.sessionId
  const pauses: Record<Blow, Array<number>> = { "kill the leader": [], "freeze the client's server": [] }
  const violations: Array<string> = []
  let excused = 0

  for (const [index, blow] of blowsOf(chance).entries()) {
    yield* Effect.sleep(Math.floor(chance() * 500))
    writer.longestPause = 0
    yield* Effect.scoped(Effect.gen(function*() {
      const before = Option.getOrUndefined(yield* retried(zk.exists("/mine")))
      const { fired } = yield* retried(zk.getDataWatch("/watched"))
      const { isLeader, isOwn, quorumAfter, victim } = yield* strike(blow, ensemble, zk)
      yield* bounded("a write", writer.progress)
      const pause = writer.longestPause
      pauses[blow].push(pause)

      const now = yield* bounded("a connection", connected(zk))
      const mine = Option.getOrUndefined(yield* retried(zk.exists("/mine")))
      const isDue = quorumAfter <= sessionTimeout / 2
      const problems: Array<string> = []
      if (now.sessionId !== sessionId) problems.push("another session")
      if (mine === undefined || mine.czxid !== before?.czxid) problems.push("the ephemeral node is another or gone")
      yield* retried(zk.setData("/watched", String(index)))
      const event = yield* Effect.exit(bounded("the watch", fired))
      if (Exit.isFailure(event)) problems.push(`the watch: ${Cause.pretty(event.cause).split("\n")[0]}`)
      const who = `${isLeader ? "leader" : "follower"}${isOwn ? ", the client's" : ""}`
      print(
        `${String(index + 1).padStart(3)}  ${blow.padEnd(26)} ${`(${who})`.padEnd(24)} ` +
          `quorum after ${seconds(quorumAfter)}, pause ${seconds(pause)}  ${problems.join("; ") || "kept"}`
      )
      if (problems.length > 0 && isDue) violations.push(`round ${index + 1}: ${problems.join("; ")}`)
      if (!isDue) excused++
      if (now.sessionId !== sessionId) {
        sessionId = now.sessionId
        yield* retried(zk.createOrSet("/mine", null, { mode: "ephemeral" }))
      }
      yield* blow === "kill the leader" ? victim.start : victim.resume
      yield* bounded("three servers with one leader", settled(ensemble))
    }))
  }

  yield* bounded("a write", writer.progress)
  yield* Fiber.interrupt(writing)
  yield* retried(zk.sync())
  const counter = Number((yield* retried(zk.getData("/counter"))).text)
  const there = new Set((yield* retried(zk.getChildren("/log"))).children.map((name) => `/log/${name}`))
  const lost = writer.created.filter((path) => !there.has(path))
  if (counter < writer.count) violations.push(`the counter is ${counter}, ${writer.count} was acknowledged`)
  if (lost.length > 0) violations.push(`${lost.length} acknowledged nodes are gone, first ${lost[0]}`)

  print()
  print(
    `${writer.acknowledged} writes acknowledged, all there: ${
      lost.length === 0 && counter >= writer.count ? "yes" : "NO"
    }; ` +
      `${writer.inDoubt} in doubt, ${writer.notApplied} certainly not applied`
  )
  for (const [blow, all] of Object.entries(pauses)) {
    const sorted = all.toSorted((a, b) => a - b)
    print(
      `${blow}: ${all.length} times, pause in writing ${seconds(sorted[Math.floor(all.length / 2)] ?? 0)} (median), ` +
        `${seconds(sorted.at(-1) ?? 0)} (longest)`
    )
  }
  print(`${excused} times no quorum came back within half of the session timeout: nothing is promised then`)
  for (const violation of violations) print(`NOT KEPT: ${violation}`)
  if (violations.length > 0) process.exitCode = 1
})

/** Reads and writes that may be done twice. */
const retried = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.retry(effect, { while: (error) => ZkError.maybeApplied(error) || ZkError.isRetryable(error), times: 5 })

await Effect.runPromise(Effect.scoped(program))
