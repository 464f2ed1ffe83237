import { assert } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { MinimumLogLevel } from "effect/References"
import * as Scope from "effect/Scope"
import * as ZkAcl from "../../src/ZkAcl.ts"
import * as ZkClient from "../../src/ZkClient.ts"
import type * as ZkLock from "../../src/ZkLock.ts"
import { expireSession } from "./expire.ts"
import { HolderBook } from "./holderBook.ts"
import { JuteWriter } from "./jute.ts"
import { makeProxy, type NetworkEvent, type Proxy, showEvent } from "./proxy.ts"
import { messageOf, type RigError, rigError } from "./rigError.ts"
import { type ServerHandle, ZkServer } from "./server.ts"
import { patience, pollUntil } from "./wait.ts"
import { countWatches } from "./watching.ts"

/**
 * A scenario is run once to count the events of the network, then once for each event and kind of fault, with the fault
 * at that event. Each run has a client, a proxy and a lock of its own; the rival, who goes past the proxies, is the same
 * for all.
 */
export type Fault =
  /** The event does not happen: its connection is closed. */
  | "cut before"
  /** It happens, then its connection is closed. */
  | "cut after"
  /** The first, and once more at a later event, on the way back. */
  | "cut twice"
  /** The servers end the session ahead of it, which no client can know. */
  | "expiry"
  /** Whoever runs our part of the scenario is interrupted ahead of it. */
  | "interruption"
  /** It is a read that the server refuses for want of rights. */
  | "refusal"
  /** Its connection is closed and no other let through until the servers have ended the session by themselves. */
  | "isolation"

export const quickFaults: ReadonlyArray<Fault> = ["cut before", "cut after", "expiry", "interruption"]

/** What one run has. */
export interface Rig {
  readonly proxy: Proxy
  /** The client under test, through the proxy. */
  readonly ours: ZkClient.ZkClient
  /** Past the proxy, without faults. */
  readonly rival: ZkClient.ZkClient
  /** Where the lock is. Not made. */
  readonly path: string
  readonly book: HolderBook
  /** What the client under test holds when the scenario begins goes with this scope, which is closed behind our part. */
  readonly oursScope: Scope.Scope
  /** Waits for this event of the network, or for the end of our part, whichever comes first. */
  readonly seen: (where: (event: NetworkEvent) => boolean) => Effect.Effect<void>
  /** Waits for the end of our part, and of what it held. */
  readonly oursEnded: Effect.Effect<void>
}

export type OursExit = Exit.Exit<unknown, unknown>

export interface Play {
  /** The part that the client under test has: what is counted and interrupted. */
  readonly ours: Effect.Effect<unknown, unknown>
  /** What the rival does meanwhile. It has to come to its end when ours has. */
  readonly rivals?: Effect.Effect<unknown, unknown> | undefined
  /** What has to be true besides, once both are done. */
  readonly check?: ((exit: OursExit, fault: Fault | undefined) => Effect.Effect<unknown, unknown>) | undefined
}

export interface Scenario {
  readonly name: string
  /** What becomes of our part when nothing disturbs it: `done`, or the tag of an error. */
  readonly undisturbed: string
  /** For a semaphore: how many permits there are. */
  readonly permits?: number | undefined
  /** Everything ahead of the first counted event, and the parts to be played. The scope is closed when they are over. */
  readonly prepare: (rig: Rig) => Effect.Effect<Play, unknown, Scope.Scope>
  /** Takes all that there is to take, as the rival, and gives it back. */
  readonly takeAll: (rig: Rig, within: number) => Effect.Effect<unknown, unknown>
  /** The nodes below which candidates are. */
  readonly parents: (path: string) => ReadonlyArray<string>
}

export interface Point {
  readonly fault: Fault
  readonly index: number
  /** Of two events the second. It may be that a run is over before. */
  readonly second?: number
}

export interface Bench {
  readonly server: ServerHandle
  readonly rival: ZkClient.ZkClient
  readonly sessionTimeout: Duration.Input
}

/** A server that nobody else is on, and the rival. */
export const makeBench = Effect.fnUntraced(function*(sessionTimeout: Duration.Input) {
  const server = yield* ZkServer
  const rival = yield* ZkClient.make({ hosts: server.connectString, sessionTimeout: "10 seconds" })
  yield* rival.ensurePath("/crash")
  const acl = [{ perms: ZkAcl.Perms.delete, scheme: "world", id: "anyone" }]
  yield* Effect.catchTag(rival.create(forbidden, null, { acl }), "NodeExists", () => Effect.void)
  const bench: Bench = { server, rival, sessionTimeout }
  return bench
})

/** What we do under a lock: as long as there is no connection it does not end by itself. */
export const someWork = ({ ours, path }: Rig): Effect.Effect<void> => Effect.ignore(ours.exists(path))

/** A watch of this node is set, as far as that can be seen. */
export const isWatched = (path: string) => (event: NetworkEvent): boolean =>
  event.type === "frame" && event.kind === "reply" && event.op === "getData" && event.path === path

/** Runs an acquisition in the background until it is in line, or has got what it wanted. */
export const inLine = Effect.fnUntraced(function*<A, E>(
  acquire: (options: ZkLock.AcquireOptions) => Effect.Effect<A, E>
) {
  const isThere = yield* Deferred.make<void>()
  const onStatus = () => Effect.asVoid(Deferred.succeed(isThere, undefined))
  const fiber = yield* Effect.forkScoped(acquire({ onStatus }), { startImmediately: true })
  yield* Effect.raceFirst(Deferred.await(isThere), Fiber.await(fiber))
  return fiber
})

const wait = (millis: number) => millis * patience

const runsAtOnce = 10
/** Those that wait for the end of a session do nothing meanwhile. */
const waitingAtOnce = 60
/** With that many clients at once the server is looked at as a whole. */
const chunkSize = 120

const maxRounds = 6

/** `npm run crash-points` takes all events, and all pairs of them. */
const takesAll = process.env["CRASH_POINTS"] === "all"

/** Of other scenarios than those of exclusive locks each kind of fault takes every second event, unless all are asked for. */
const isTaken = (kind: number, index: number): boolean => takesAll || (kind + index) % 2 === 0

/** Of two cuts there are more pairs than a test has time for: so many of each scenario, unless all are asked for. */
const pairs = takesAll ? Infinity : 10

/** So many of them, the same ones each time. */
const sample = <A>(all: ReadonlyArray<A>, count: number): ReadonlyArray<A> => {
  if (all.length <= count) return all
  const left = [...all]
  let seed = 96_103
  return Array.from({ length: count }, () => {
    seed = (seed * 48_271) % 2_147_483_647
    return left.splice(seed % left.length, 1)
  }).flat()
}

/** How far the second of two cuts is from the first: a way back takes about so many events. */
const distances = Array.from({ length: 14 }, (_, i) => i + 1)

let counter = 0

const describeExit = (exit: OursExit): string => {
  if (Exit.isSuccess(exit)) return "done"
  const { reasons } = exit.cause
  if (reasons.some((reason) => reason._tag === "Die")) return "defect"
  const failure = reasons.find((reason) => reason._tag === "Fail")
  if (failure !== undefined) {
    const error = failure.error as { readonly _tag?: string; readonly cause?: { readonly _tag?: string } }
    return [error._tag ?? "?", error._tag === "LockNotAcquired" ? error.cause?._tag : undefined].filter((s) => s)
      .join(":")
  }
  return "interrupted"
}

/** What may come of a fault besides what comes without: typed errors that say what has happened, and nothing else. */
const mayCome: Readonly<Record<Fault, RegExp>> = {
  "cut before": /(^|:)ConnectionLoss$/,
  "cut after": /(^|:)ConnectionLoss$/,
  "cut twice": /(^|:)ConnectionLoss$/,
  "expiry": /(^|:)(ConnectionLoss|SessionExpired|LockLost)$/,
  "interruption": /^interrupted$/,
  "refusal": /:NoAuth$/,
  "isolation": /(^|:)(ConnectionLoss|SessionExpired|LockLost)$/
}

const bounded = <A, E, R>(what: string, effect: Effect.Effect<A, E, R>, millis: number) =>
  Effect.timeoutOrElse(effect, {
    duration: wait(millis),
    orElse: () => Effect.fail(rigError(`${what}: not within ${wait(millis)} ms`))
  })

const childrenOf = (client: ZkClient.ZkClient, parents: ReadonlyArray<string>) =>
  Effect.map(
    Effect.forEach(parents, (parent) =>
      client.getChildren(parent).pipe(
        Effect.map(({ children }) => children),
        Effect.catchTag("NoNode", () => Effect.succeed<ReadonlyArray<string>>([]))
      )),
    (all) => all.flat()
  )

const untilEmpty = (what: string, names: Effect.Effect<ReadonlyArray<unknown>, unknown>, within: number) => {
  let last: ReadonlyArray<unknown> = []
  return Effect.tryPromise({
    try: () =>
      pollUntil(
        () => `${what}: ${last.map(String).join(", ")}`,
        async () => (last = await Effect.runPromise(names)).length === 0 ? true : undefined,
        { within, every: 10 }
      ),
    catch: (cause) => rigError(messageOf(cause))
  })
}

const forbidden = "/forbidden"

/** The same read, of a node that may not be read: where the server refuses it by itself it sets no watch either. */
const readForbidden = (payload: Buffer): Uint8Array =>
  new JuteWriter().raw(payload.subarray(0, 8)).ustring(forbidden).raw(payload.subarray(-1)).bytes()

const isRead = (event: NetworkEvent): boolean =>
  event.type === "frame" && event.kind === "request" && /^get(Data|Children)/.test(event.op ?? "")

/** Puts the fault where it belongs. Gives whether it has been there, and waits until it is over. */
const arm = Effect.fnUntraced(function*(
  { server }: Bench,
  proxy: Proxy,
  point: Point,
  session: { readonly sessionId: bigint; readonly password: Uint8Array },
  book: HolderBook,
  interrupt: () => void,
  taken: Effect.Effect<unknown, unknown>,
  scope: Scope.Scope
) {
  const over = yield* Deferred.make<void, unknown>()
  const at = (effect: Effect.Effect<void, unknown>) =>
    proxy.runAt(point.index, Effect.exit(Effect.onExit(effect, (exit) => Deferred.done(over, exit))))
  switch (point.fault) {
    case "cut before":
    case "cut after": {
      yield* proxy.cutAt(point.index, point.fault === "cut before" ? "cut" : "passThenCut")
      return Effect.void
    }
    case "cut twice": {
      yield* proxy.cutAt(point.index)
      yield* proxy.runAt(point.second ?? 0, proxy.cutAll)
      return Effect.void
    }
    case "expiry": {
      yield* at(Effect.suspend(() => {
        book.expire(session.sessionId)
        return expireSession(server, session)
      }))
      return Deferred.await(over)
    }
    case "interruption": {
      yield* at(Effect.sync(interrupt))
      return Deferred.await(over)
    }
    case "refusal": {
      yield* proxy.rule({ where: (frame) => frame.index === point.index && isRead(frame) }, { replace: readForbidden })
      return Effect.void
    }
    case "isolation": {
      const wakeUp = Effect.gen(function*() {
        const isThere = Effect.map(server.sessions, (all) => all.filter((id) => id === session.sessionId))
        // Whoever comes next has got it before the client hears.
        const next = yield* Effect.forkChild(taken, { startImmediately: true })
        yield* untilEmpty("the session goes on", Effect.delay(isThere, 150), 20_000)
        yield* bounded("the next", Fiber.join(next), 20_000)
      }).pipe(Effect.ensuring(Effect.orDie(proxy.setAccept("accept"))))
      yield* proxy.runAt(
        point.index,
        Effect.orDie(Effect.gen(function*() {
          yield* proxy.setAccept("close")
          yield* proxy.cutAll
          yield* Effect.forkIn(Effect.onExit(wakeUp, (exit) => Deferred.done(over, exit)), scope)
        }))
      )
      return Deferred.await(over)
    }
  }
})

interface RunResult {
  /** Up to the end of our part, and up to that of what it leaves to the background. */
  readonly events: readonly [ours: number, all: number]
  /** The indexes of reads. */
  readonly reads: ReadonlyArray<number>
  readonly reached: boolean
  readonly cleanUp: number
  readonly outcome: string
}

const isOpen = (event: NetworkEvent): boolean => event.type === "open"

const tooSlow = "a session was over before the scenario began"

/** One run. The client stays open: it goes with the scope. */
const run = Effect.fnUntraced(function*(
  bench: Bench,
  scenario: Scenario,
  point: Point | undefined,
  proxy: Proxy
): Effect.fn.Return<RunResult, unknown, Scope.Scope> {
  const ours = yield* ZkClient.make({
    hosts: proxy.connectString,
    sessionTimeout: bench.sessionTimeout,
    // Behind a proxy on this machine nobody needs to wait for crowds.
    closeTimeout: "2 seconds"
  })
  yield* Effect.mapError(ours.sync(), () => rigError(tooSlow))
  const connected = proxy.events.find((event) => event.type === "frame" && event.session !== undefined)
  const session = connected?.type === "frame" ? connected.session : undefined
  if (session === undefined) return yield* rigError("no session")
  const book = new HolderBook(bench.rival, scenario.permits)
  const oursScope = yield* Scope.make()
  const scope = yield* Effect.scope
  const done = yield* Deferred.make<void>()
  const rig: Rig = {
    proxy,
    ours,
    rival: bench.rival,
    path: `/crash/${scenario.name.replaceAll(/[^a-z]+/g, "-")}-${counter++}`,
    book,
    oursScope,
    seen: (where) => Effect.ignore(Effect.raceFirst(proxy.awaitEvent(where, { within: 20_000 }), Deferred.await(done))),
    oursEnded: Deferred.await(done)
  }

  const played = yield* Effect.scoped(Effect.gen(function*() {
    const play = yield* Effect.mapError(
      Effect.tap(scenario.prepare(rig), ours.sync()),
      // On a machine that has more to do than it can.
      (error) => proxy.events.filter(isOpen).length > 1 ? rigError(tooSlow) : error
    )
    if (proxy.events.filter(isOpen).length > 1) return yield* rigError(tooSlow)
    yield* proxy.forget
    let fiber: Fiber.Fiber<unknown, unknown> | undefined
    const over = point === undefined
      ? Effect.void
      : yield* arm(
        bench,
        proxy,
        point,
        session,
        book,
        () => fiber?.interruptUnsafe(),
        scenario.takeAll(rig, 30_000),
        scope
      )
    const rivals = yield* Effect.forkScoped(play.rivals ?? Effect.void, { startImmediately: true })
    // Not at once: whoever interrupts it has to know it.
    fiber = yield* Effect.forkScoped(play.ours)
    const exit = yield* bounded("our part", Fiber.await(fiber), 12_000)
    const events = yield* proxy.nextIndex
    yield* bounded("giving back what was held", Scope.close(oursScope, exit), 5_000)
    yield* Deferred.succeed(done, undefined)
    yield* bounded("the rival's part", Fiber.join(rivals), 8_000)
    if (play.check !== undefined) yield* play.check(exit, point?.fault)
    return { events, exit, over }
  }))

  if (point?.fault === "isolation" && (yield* proxy.nextIndex) > point.index) yield* played.over
  // A marker behind everything that goes on in the background; the fault may hit it.
  yield* Effect.retry(ours.sync(), { times: 3 })
  const marker = proxy.events.findLast((event) => event.type === "frame" && event.op === "sync")
  const all = marker?.index ?? 0
  const reached = point === undefined || (yield* proxy.nextIndex) > (point.second ?? point.index)
  if (point !== undefined && reached) yield* bounded("the fault", played.over, 15_000)
  yield* proxy.heal
  yield* Effect.retry(ours.sync(), { times: 3 })
  const begun = performance.now()
  yield* untilEmpty("candidates are left", childrenOf(bench.rival, scenario.parents(rig.path)), 1_000)
  const cleanUp = performance.now() - begun
  book.allOver()
  yield* bounded("the rival's turn", scenario.takeAll(rig, 5_000), 6_000)
  if (book.problems.length > 0) return yield* rigError(book.problems.join("; "))
  const outcome = describeExit(played.exit)
  const isExpected = outcome === scenario.undisturbed || (point !== undefined && mayCome[point.fault].test(outcome))
  if (!isExpected) {
    return yield* rigError(`${outcome}: ${Exit.isFailure(played.exit) ? Cause.pretty(played.exit.cause) : ""}`)
  }
  return {
    events: [played.events, all],
    reads: proxy.events.filter(isRead).map(({ index }) => index).filter((index) => index < all),
    reached,
    cleanUp,
    outcome
  }
})

const runAt = (bench: Bench, scenario: Scenario, point: Point | undefined) =>
  Effect.retry(
    Effect.gen(function*() {
      const proxy = yield* makeProxy(bench.server.port)
      return yield* Effect.catchCause(run(bench, scenario, point, proxy), (cause) => {
        const at = [point?.index, point?.second].filter((index) => index !== undefined)
        const where = point === undefined ? "undisturbed" : `${point.fault} at ${at.join(" and ")}`
        const events = proxy.events.slice(-30).map(showEvent).join("\n  ")
        return Effect.fail(rigError(`${scenario.name}, ${where}: ${Cause.pretty(cause)}\n  ${events}`))
      })
    }),
    { times: 3, while: ({ message }) => message.includes(tooSlow) }
  )

interface Job {
  readonly scenario: Scenario
  /** None: undisturbed. */
  readonly point: Point | undefined
}

/** Many runs, some at a time, their clients kept until all are done: what they leave on the server is looked at then. */
const runAll = Effect.fnUntraced(function*(
  bench: Bench,
  jobs: ReadonlyArray<Job>,
  concurrency: number
): Effect.fn.Return<ReadonlyArray<RunResult>, RigError> {
  const results = yield* Effect.scoped(Effect.gen(function*() {
    const ran = yield* Effect.forEach(
      jobs,
      ({ point, scenario }) => Effect.result(runAt(bench, scenario, point)),
      { concurrency }
    )
    const failed = ran.flatMap((result) => result._tag === "Failure" ? [result.failure.message] : [])
    if (failed.length > 0) {
      return yield* rigError(`${failed.length} of ${ran.length}:\n${failed.slice(0, 8).join("\n\n")}`)
    }
    const watches = Effect.map(countWatches(bench.server), (count) => count === 0 ? [] : [count])
    yield* untilEmpty("watches are left", watches, 2_000)
    return ran.flatMap((result) => result._tag === "Success" ? [result.success] : [])
  }))
  const rival = yield* Effect.orDie(bench.rival.session)
  const strangers = Effect.map(bench.server.sessions, (all) => all.filter((id) => id !== rival.sessionId))
  yield* untilEmpty("sessions are left", strangers, 2_000)
  return results
})

const chunksOf = <A>(all: ReadonlyArray<A>): ReadonlyArray<ReadonlyArray<A>> =>
  Array.from({ length: Math.ceil(all.length / chunkSize) }, (_, i) => all.slice(i * chunkSize, (i + 1) * chunkSize))

/** What there is to be run of a scenario, and which of its events come in every run. */
const survey = Effect.fnUntraced(function*(
  bench: Bench,
  scenario: Scenario,
  faults: ReadonlyArray<Fault>,
  isThorough: boolean
) {
  const clean = yield* runAll(bench, [undefined, undefined].map((point) => ({ scenario, point })), 1)
  for (const { outcome } of clean) assert.strictEqual(outcome, scenario.undisturbed, scenario.name)
  const all = clean.map(({ events }) => events[1])
  const forOurs = Math.max(...clean.map(({ events }) => events[0]))
  const indexes = Array.from({ length: Math.max(...all) }, (_, index) => index)
  const points = faults.flatMap((fault, kind) => {
    if (fault === "refusal") return (clean[0]?.reads ?? []).map((index): Point => ({ fault, index }))
    const chosen = indexes.filter((index) => fault !== "interruption" || index < forOurs)
    return fault !== "cut twice"
      ? chosen.filter((index) => isThorough || isTaken(kind, index)).map((index): Point => ({ fault, index }))
      : sample(
        chosen.flatMap((index) => distances.map((far): Point => ({ fault, index, second: index + far }))),
        pairs
      )
  })
  return { scenario, points, events: Math.max(...all), certain: Math.min(...all) }
})

/**
 * Runs scenarios at every event of their undisturbed runs, or at some of them, with every kind of fault. Says how many points there were,
 * and gives how many in all.
 */
export const atEveryPoint = Effect.fnUntraced(
  function*(
    bench: Bench,
    scenarios: ReadonlyArray<Scenario>,
    faults: ReadonlyArray<Fault> = quickFaults,
    isThorough: boolean = false
  ) {
    const surveys = yield* Effect.forEach(scenarios, (scenario) => survey(bench, scenario, faults, isThorough))
    const concurrency = faults.includes("isolation") ? waitingAtOnce : runsAtOnce
    const results = new Map<Scenario, Array<RunResult>>(scenarios.map((scenario) => [scenario, []]))
    // Not every run has the same events: whether a watch is taken back depends on whether it has fired before.
    let missed = surveys.flatMap(({ points, scenario }) => points.map((point) => ({ scenario, point })))
    for (let round = 0; round < maxRounds && missed.length > 0; round++) {
      const again: typeof missed = []
      for (const jobs of chunksOf(missed)) {
        const ran = yield* runAll(bench, jobs, concurrency)
        for (const [i, job] of jobs.entries()) {
          const result = ran[i]
          if (result?.reached === true) results.get(job.scenario)?.push(result)
          else if (job.point.second === undefined) again.push(job)
        }
      }
      missed = again
    }
    let total = 0
    for (const { certain, events, scenario } of surveys) {
      const late = missed.filter((job) =>
        job.scenario === scenario && job.point.index < certain && job.point.second === undefined
      )
      assert.deepStrictEqual(late.map(({ point }) => point), [], `${scenario.name}: not reached`)
      const ran = results.get(scenario) ?? []
      if (ran.length === 0) continue
      total += ran.length
      const outcomes: Record<string, number> = {}
      for (const { outcome } of ran) outcomes[outcome] = (outcomes[outcome] ?? 0) + 1
      const said = Object.entries(outcomes).map(([outcome, count]) => `${count} ${outcome}`).join(", ")
      const slowest = Math.round(Math.max(...ran.map(({ cleanUp }) => cleanUp)))
      console.log(`${scenario.name}: ${ran.length} points (${events} events): ${said}; clean-up ${slowest} ms at most`)
    }
    return total
  },
  Effect.provideService(MinimumLogLevel, "None")
)
