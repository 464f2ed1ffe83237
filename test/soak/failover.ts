/**
 * Failover: what a session lives through while the servers of its ensemble are killed and frozen.
 *
 * `kill -9` of the leader and SIGSTOP of the server that the client is on, in random order, while one fiber writes
 * without a pause. Checked at the end: wherever a quorum was back within half the session timeout, the session is the
 * same and its ephemeral node is still there; every acknowledged write is there; no write that was reported as not
 * applied is. Prints a report.
 *
 * ```sh
 * npm run failover -- --rounds 40 --seed 7 --timeout 8000
 * ```
 */
import { Cause, Console, Deferred, Effect, Exit, Fiber, Option, Ref, Stream } from "effect"
import * as ZkClient from "../../src/ZkClient.ts"
import * as ZkError from "../../src/ZkError.ts"
import * as ZkStat from "../../src/ZkStat.ts"
import { type EnsembleHandle, makeEnsemble } from "../support/ensemble.ts"
import type { ServerHandle } from "../support/server.ts"
import { numberFlag, random } from "./flags.ts"

const rounds = numberFlag("rounds", 40)
const timeout = numberFlag("timeout", 8000)
const seed = numberFlag("seed", 1)

type Fault = "kill" | "freeze"

interface Round {
  readonly fault: Fault
  /** Milliseconds until two servers had a leader again. */
  readonly quorumAfter: number
  readonly sameSession: boolean
  /** The longest time between two acknowledged writes that the fault brought about, in milliseconds. */
  readonly pause: number
}

interface Journal {
  readonly acknowledged: Set<string>
  readonly unknown: Set<string>
  readonly refused: Set<string>
  lastAcknowledged: number
  longestPause: number
}

/** Half of the faults of each kind, in an order that the seed decides. */
const plan = (): ReadonlyArray<Fault> => {
  const chance = random(seed)
  const faults = Array.from({ length: rounds }, (_, i): Fault => (i % 2 === 0 ? "kill" : "freeze"))
  return faults.map((fault) => ({ fault, at: chance() })).sort((a, b) => a.at - b.at).map(({ fault }) => fault)
}

const now = () => performance.now()

/** One node after the other, each under a name of its own; what became of each is written down. */
const writer = (zk: ZkClient.ZkClient, journal: Journal) =>
  Effect.gen(function*() {
    for (let i = 0;; i++) {
      const path = `/failover/w/${i}`
      const exit = yield* Effect.exit(zk.create(path, String(i)))
      if (Exit.isSuccess(exit)) {
        const pause = now() - journal.lastAcknowledged
        journal.longestPause = Math.max(journal.longestPause, pause)
        journal.lastAcknowledged = now()
        journal.acknowledged.add(path)
        continue
      }
      const error = Option.getOrUndefined(Cause.findErrorOption(exit.cause))
      if (error === undefined) return yield* Effect.failCause(exit.cause)
      if (ZkError.maybeApplied(error)) journal.unknown.add(path)
      else if (
        error._tag === "ConnectionLoss" || error._tag === "OperationTimeout" || error._tag === "SessionExpired"
      ) {
        journal.refused.add(path)
      } else return yield* error
    }
  })

const connectedServer = (zk: ZkClient.ZkClient, ensemble: EnsembleHandle): Effect.Effect<ServerHandle> =>
  zk.stateChanges.pipe(
    Stream.filter((state) => state._tag === "Connected"),
    Stream.map((state) => ensemble.servers.find((server) => server.connectString === state.server)),
    Stream.filter((server) => server !== undefined),
    Stream.runHead,
    Effect.flatMap(Effect.fromOption),
    Effect.orDie
  )

/** Completes when the client has an answered write behind it. */
const recovered = (zk: ZkClient.ZkClient) =>
  Effect.retry(zk.setData("/failover/marker", "x"), { while: (error) => error._tag !== "SessionClosed" })

const sessionOf = (zk: ZkClient.ZkClient): Effect.Effect<bigint> =>
  zk.stateChanges.pipe(
    Stream.filter((state) => state._tag === "Connected"),
    Stream.runHead,
    Effect.flatMap(Effect.fromOption),
    Effect.map((state) => state.sessionId),
    Effect.orDie
  )

const round = (zk: ZkClient.ZkClient, ensemble: EnsembleHandle, journal: Journal, fault: Fault) =>
  Effect.gen(function*() {
    const before = yield* sessionOf(zk)
    const victim = fault === "kill" ? yield* ensemble.leader : yield* connectedServer(zk, ensemble)
    journal.longestPause = 0
    const started = now()
    yield* fault === "kill" ? victim.kill : victim.freeze
    const others = ensemble.servers.filter((server) => server.id !== victim.id)
    yield* others[0]!.waitUntil(
      "the others have a leader",
      () =>
        Effect.map(
          Effect.all(others.map((server) => server.mode), { concurrency: 2 }),
          (modes) => modes.includes("leader") && modes.every((mode) => mode === "leader" || mode === "follower")
        )
    )
    const quorumAfter = now() - started
    yield* recovered(zk)
    const after = yield* sessionOf(zk)
    yield* fault === "kill" ? victim.start : victim.resume
    yield* ensemble.waitForQuorum(3)
    yield* recovered(zk)
    const pause = Math.max(journal.longestPause, now() - journal.lastAcknowledged)
    return { fault, quorumAfter, sameSession: before === after, pause } satisfies Round
  })

const check = (zk: ZkClient.ZkClient, journal: Journal, results: ReadonlyArray<Round>, first: bigint) =>
  Effect.gen(function*() {
    const problems: Array<string> = []
    yield* zk.sync()
    const { children } = yield* zk.getChildren("/failover/w")
    const present = new Set(children.map((name) => `/failover/w/${name}`))
    for (const path of journal.acknowledged) {
      if (!present.has(path)) problems.push(`${path} was acknowledged and is lost`)
    }
    for (const path of journal.refused) if (present.has(path)) problems.push(`${path} was "not applied" and is there`)
    const inTime = results.filter(({ quorumAfter }) => quorumAfter <= timeout / 2)
    for (const { fault, quorumAfter } of inTime.filter(({ sameSession }) => !sameSession)) {
      problems.push(
        `the session was lost in a ${fault} although the quorum was back after ${Math.round(quorumAfter)} ms`
      )
    }
    const stat = yield* zk.exists("/failover/ephemeral")
    const last = yield* sessionOf(zk)
    if (results.every(({ sameSession }) => sameSession)) {
      if (last !== first) problems.push("the session changed between two rounds")
      if (!Option.exists(stat, (found) => ZkStat.isOwnedBy(found, first))) problems.push("the ephemeral node is gone")
    }
    return problems
  })

const program = Effect.gen(function*() {
  yield* Console.log(`failover: ${rounds} rounds, session timeout ${timeout} ms, seed ${seed}`)
  const ensemble = yield* makeEnsemble({ tickTime: 500 })
  yield* Console.log(`three members of ZooKeeper ${ensemble.servers[0]!.version}`)
  const zk = yield* ZkClient.make({
    hosts: ensemble.connectString,
    sessionTimeout: timeout,
    requestTimeout: "20 seconds"
  })
  yield* zk.ensurePath("/failover/w")
  yield* zk.create("/failover/marker")
  yield* zk.create("/failover/ephemeral", "here", { mode: "ephemeral" })
  const first = yield* sessionOf(zk)
  const lowest = yield* Ref.make(0)
  const wentBack = yield* Deferred.make<string>()
  const follower = yield* zk.changes("/failover/marker").pipe(
    Stream.runForEach((node) =>
      Effect.gen(function*() {
        const version = Option.match(node, { onNone: () => -1, onSome: (data) => data.stat.version })
        const seen = yield* Ref.getAndSet(lowest, version)
        if (version < seen) yield* Deferred.succeed(wentBack, `the stream went from version ${seen} back to ${version}`)
      })
    ),
    Effect.forkChild({ startImmediately: true })
  )
  const journal: Journal = {
    acknowledged: new Set(),
    unknown: new Set(),
    refused: new Set(),
    lastAcknowledged: now(),
    longestPause: 0
  }
  const writing = yield* Effect.forkChild(writer(zk, journal))
  const results: Array<Round> = []
  for (const [index, fault] of plan().entries()) {
    const result = yield* round(zk, ensemble, journal, fault)
    results.push(result)
    yield* Console.log(
      `${String(index + 1).padStart(3)} ${fault.padEnd(6)} quorum after ${
        String(Math.round(result.quorumAfter)).padStart(5)
      } ms,` +
        ` writes paused ${String(Math.round(result.pause)).padStart(5)} ms, ${
          result.sameSession ? "same session" : "NEW SESSION"
        }`
    )
  }
  yield* Fiber.interrupt(writing)
  const final = yield* zk.setData("/failover/marker", "end")
  yield* Effect.repeat(Ref.get(lowest), { until: (version) => version === final.version }).pipe(
    Effect.timeoutOrElse({ duration: "10 seconds", orElse: () => Effect.void })
  )
  const problems = yield* check(zk, journal, results, first)
  if ((yield* Ref.get(lowest)) !== final.version) problems.push("the followed node did not arrive at its last version")
  if (yield* Deferred.isDone(wentBack)) problems.push(yield* Deferred.await(wentBack))
  yield* Fiber.interrupt(follower)
  for (const fault of ["kill", "freeze"] as const) {
    const pauses = results.filter((result) => result.fault === fault).map(({ pause }) => pause).sort((a, b) => a - b)
    if (pauses.length === 0) continue
    const median = pauses[Math.floor(pauses.length / 2)]!
    yield* Console.log(
      `${fault}: ${pauses.length} rounds, pause of writes: median ${Math.round(median)} ms, longest ${
        Math.round(pauses.at(-1)!)
      } ms`
    )
  }
  yield* Console.log(
    `${journal.acknowledged.size} writes acknowledged, ${journal.unknown.size} unknown, ${journal.refused.size} refused;` +
      ` sessions lost: ${results.filter(({ sameSession }) => !sameSession).length}`
  )
  for (const problem of problems) yield* Console.error(problem)
  yield* Console.log(problems.length === 0 ? "passed" : `failed: ${problems.length} problems`)
  process.exitCode = problems.length === 0 ? 0 : 1
})

await Effect.runPromise(Effect.scoped(program))
