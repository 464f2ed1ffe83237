/** A run of `npm run convergence`. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as ZkClient from "../../src/ZkClient.ts"
import { kazooProblem } from "../support/kazoo.ts"
import { makeProxiedServer } from "../support/proxy.ts"
import { messageOf, type RigError, rigError } from "../support/rigError.ts"
import { patience, sleep } from "../support/wait.ts"
import { Churn, makeWriter } from "./convergenceChurn.ts"
import { makeFaults } from "./convergenceFaults.ts"
import { follow, type Live, manualName, shownBy } from "./convergenceFollowers.ts"
import { differences, type Evidence, type Held, judge } from "./convergenceJudge.ts"
import { type Own, writeOwn } from "./convergenceOwn.ts"
import { random } from "./flags.ts"

export interface ConvergenceOptions {
  readonly seed: number
  readonly keys: number
  /** How many times something breaks; with as many as there are kinds, each does. */
  readonly faults: number
  /** After so many it is quiet for a moment, and everything is compared. */
  readonly faultsPerRound: number
  /** The root is deleted with everything below it, and made anew, after so many batches of writes. */
  readonly rebuildEvery: number
  /** Milliseconds. */
  readonly sessionTimeout: number
  /** Milliseconds that it may take until everything is shown and told. */
  readonly limit: number
}

export interface ConvergenceReport {
  readonly version: string
  readonly writer: string
  readonly seconds: number
  readonly faults: Readonly<Record<string, number>>
  readonly connections: number
  readonly sessions: number
  readonly frames: number
  readonly ops: Readonly<Record<string, number>>
  readonly rebuilds: number
  readonly own: Readonly<Record<string, number>>
  /** Changes by who was told. */
  readonly told: Readonly<Record<string, number>>
  /** How often it was quiet. */
  readonly rounds: number
  /** Milliseconds from the last write and fault to the last change that was told; the longest. */
  readonly lag: number
  /** Until all was found to be shown and told: the time included that it takes to ask. */
  readonly found: number
  /** When that took longest. */
  readonly slowest: string
  readonly problems: ReadonlyArray<string>
}

const ownKeys = 6

/** Long enough to say how long it takes if it takes too long. */
const longest = 15_000

/** Whether somebody shows, and was told, nothing but what there is, and says so. */
const agrees = (live: Live, truth: ReadonlyMap<string, Held>): Effect.Effect<boolean> =>
  Effect.map(Effect.all([live.shown, live.freshness]), ([shown, freshness]) => {
    if (freshness._tag !== "Live" || differences(live, shown, truth).length > 0) return false
    if (!live.tellsAll) return true
    const { now } = live.tale
    return now.size === shown.size && [...shown].every(([key, { value }]) => now.get(key) === value)
  })

/** Waits until they all agree with the truth, and tells who does not if that takes too long. */
const awaitAgreement = (followers: ReadonlyArray<Live>, truth: Effect.Effect<ReadonlyMap<string, Held>, RigError>) =>
  Effect.gen(function*() {
    const quiet = performance.now()
    const there = yield* truth
    const asked = performance.now() - quiet
    while (true) {
      const agreed = yield* Effect.forEach(followers, (live) => agrees(live, there))
      const elapsed = performance.now() - quiet
      const unlike = followers.filter((_, i) => agreed[i] === false).map(({ what }) => `${what} does not get there`)
      if (unlike.length === 0 || elapsed > longest) return { there, quiet, asked, elapsed, unlike }
      yield* Effect.promise(() => sleep(5))
    }
  })

interface Round {
  /** What came last, and how long it took them all. */
  readonly how: string
  readonly there: ReadonlyMap<string, Held>
  readonly elapsed: number
  readonly lag: number
  readonly manual: Evidence["manual"][number]
}

const evidenceOf = (live: Live, shown: ReadonlyMap<string, Held>): Evidence["followers"][number] => ({
  what: live.what,
  told: live.tale.told,
  shown,
  ignores: live.ignores,
  tellsAll: live.tellsAll,
  namesOnly: live.namesOnly
})

export const runConvergence = (options: ConvergenceOptions): Effect.Effect<ConvergenceReport, RigError> =>
  Effect.scoped(Effect.gen(function*() {
    const { keys, rebuildEvery, seed, sessionTimeout } = options
    const handle = yield* makeProxiedServer()
    const { proxy, server } = handle
    const started = performance.now()
    const zk = yield* ZkClient.make({ hosts: proxy.connectString, sessionTimeout: Duration.millis(sessionTimeout) })
    const near = yield* ZkClient.make({ hosts: server.connectString })
    // Chances of their own: how far one of them gets does not change what another does.
    const writer = yield* makeWriter(server.connectString)
    const churn = new Churn(writer, random(seed), { keys, rebuildEvery })
    yield* churn.begin
    const names = Array.from({ length: keys }, (_, i) => `k${i}`)
    const { all, live, manual } = yield* follow(zk, near, names)
    const manualBefore = yield* shownBy(manual)
    const faults = yield* makeFaults(handle, zk, random(seed + 1), sessionTimeout)

    // -- churn and faults, then quiet ---------------------------------------------------------------------------------

    let isQuiet = false
    const untilQuiet = <E>(step: Effect.Effect<unknown, E>): Effect.Effect<void, E> =>
      Effect.gen(function*() {
        while (!isQuiet) yield* step
      })
    const own: Own = { writes: [], outcomes: {}, surprises: [] }
    const revisions = new Map(
      all.flatMap(({ revision, what }) => revision === undefined ? [] : [[what, new Array<bigint>()]])
    )
    const sample = Effect.forEach(
      all,
      ({ revision, what }) =>
        revision === undefined ? Effect.void : Effect.map(revision, (now) => void revisions.get(what)?.push(now)),
      { discard: true }
    )
    const work: ReadonlyArray<Effect.Effect<unknown, RigError>> = [
      churn.step,
      ...Array.from({ length: ownKeys }, (_, i) => writeOwn(live, `own${i}`, churn, random(seed + 2 + i), own)),
      Effect.andThen(sample, Effect.promise(() => sleep(10)))
    ]
    const manualFollower = all.find(({ what }) => what === manualName)!
    const problems: Array<string> = []
    const happened: Record<string, number> = {}
    const rounds: Array<Round> = []
    const chance = random(seed + 100)

    /** Some faults, and what is shown when all is quiet again. */
    const round = (kinds: ReadonlyArray<string>) =>
      Effect.gen(function*() {
        isQuiet = false
        const fibers = yield* Effect.forEach(
          work,
          (step) => Effect.forkScoped(untilQuiet(step), { startImmediately: true })
        )
        const broken = Effect.andThen(Effect.all(fibers.map(Fiber.join), { concurrency: "unbounded" }), Effect.never)
        for (const [i, kind] of kinds.entries()) {
          yield* Effect.raceFirst(faults.strike(kind, i < kinds.length - 1), broken)
          happened[kind] = (happened[kind] ?? 0) + 1
        }
        // A new connection has everything read again: now and then there are events after it that nothing makes up for.
        const dice = chance()
        if (dice < 0.4) yield* Effect.raceFirst(Effect.promise(() => sleep(300 + chance() * 700)), broken)
        // After a connection that lasts no time the client waits before the next, and that is not to be measured.
        if (dice > 0.7) {
          yield* Effect.raceFirst(Effect.promise(() => sleep(50 + Math.min(1_000, sessionTimeout / 3))), broken)
        }
        isQuiet = true
        yield* Effect.forEach(fibers, Fiber.join)
        // What comes last is written by others, who are waited for by nobody.
        yield* churn.burst
        if (dice > 0.7) {
          yield* proxy.cutAll
          happened["cut at the end"] = (happened["cut at the end"] ?? 0) + 1
        }
        const { asked, elapsed, quiet, there, unlike } = yield* awaitAgreement(
          all.filter(({ what }) => what !== manualName),
          writer.truth
        )
        problems.push(...unlike)
        const last = Math.max(...all.map(({ tale }) => tale.last))
        const before = rounds.at(-1)?.manual.synced ?? manualBefore
        const after = yield* shownBy(manual)
        yield* manual.sync
        const synced = yield* shownBy(manual)
        if (differences(manualFollower, synced, there).length > 0) {
          problems.push(`${manualName} is not what it was synced with`)
        }
        const late = all.filter(({ tale }) => tale.last > quiet)
          .map(({ tale, what }) => `${what} ${(tale.last - quiet).toFixed(0)}`)
        rounds.push({
          how: `${kinds.at(-1)}${dice < 0.4 ? ", then a pause" : dice > 0.7 ? ", then a cut" : ""}: ${
            late.join(", ")
          }; to ask took ${asked.toFixed(0)}`,
          elapsed,
          lag: unlike.length === 0 ? Math.max(0, last - quiet) : elapsed,
          there,
          manual: { before, after, synced }
        })
      })

    const plan = faults.plan(options.faults)
    for (let at = 0; at < plan.length; at += options.faultsPerRound) {
      yield* Effect.scoped(round(plan.slice(at, at + options.faultsPerRound)))
    }

    // -- the verdict --------------------------------------------------------------------------------------------------

    for (const { fibers, what } of all) {
      for (const fiber of fibers) {
        const exit = fiber.pollUnsafe()
        if (exit !== undefined) problems.push(`${what}: a follower has ended: ${String(exit)}`)
      }
    }
    yield* sample
    const lag = Math.max(...rounds.map(({ lag }) => lag))
    problems.push(
      ...own.surprises,
      ...judge({
        written: churn.written,
        truth: rounds.at(-1)!.there,
        followers: yield* Effect.forEach(all, (live) => Effect.map(live.shown, (shown) => evidenceOf(live, shown))),
        revisions,
        own: own.writes,
        epoch: churn.epoch,
        manual: rounds.map(({ manual }) => manual),
        // Nothing has changed since, and all was as it had to be when it was looked at, which takes longer.
        converged: lag,
        limit: options.limit * patience
      })
    )
    return {
      version: server.version,
      writer: writer.what,
      seconds: (performance.now() - started) / 1000,
      faults: happened,
      connections: faults.connections(),
      sessions: faults.sessions(),
      frames: faults.frames(),
      ops: churn.ops,
      rebuilds: churn.rebuilds,
      own: own.outcomes,
      told: Object.fromEntries(all.map(({ tale, what }) => [what, tale.count])),
      rounds: rounds.length,
      lag,
      found: Math.max(...rounds.map(({ elapsed }) => elapsed)),
      slowest: rounds.find((round) => round.lag === lag)?.how ?? "",
      problems
    }
  })).pipe(Effect.mapError((error) => rigError(messageOf(error), error)))

const table = (record: Readonly<Record<string, number>>): string =>
  Object.entries(record).toSorted(([a], [b]) => a < b ? -1 : 1).map(([what, n]) => `${what} ${n}`).join(", ") || "none"

export const printReport = (options: ConvergenceOptions, report: ConvergenceReport): string => {
  const { connections, faults, found, frames, lag, ops, own, problems, rebuilds, rounds, seconds, sessions, told } =
    report
  return [
    `seed ${options.seed}, ZooKeeper ${report.version}, ${options.keys} keys, ${seconds.toFixed(1)} s`,
    `faults: ${table(faults)}`,
    `${connections} connections, ${sessions} sessions, ${frames} frames`,
    `writes by ${report.writer}: ${table(ops)}` + (kazooProblem === undefined ? "" : ` (no kazoo: ${kazooProblem})`),
    `the root was made ${rebuilds} times; own writes: ${table(own)}`,
    `changes told: ${table(told)}`,
    `quiet ${rounds} times: at the latest ${
      lag.toFixed(0)
    } ms after the last write and fault the last change was told; ` +
    `after ${found.toFixed(0)} ms all was found to be shown`,
    `it took longest after ${report.slowest}`,
    problems.length === 0
      ? "no problems"
      : [`${problems.length} PROBLEMS:`, ...problems.slice(0, 30)].join("\n  ")
  ].join("\n")
}
