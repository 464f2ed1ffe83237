import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { MinimumLogLevel } from "effect/References"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as ZkClient from "../../src/ZkClient.ts"
import type { ValueDecodeError } from "../../src/ZkCodec.ts"
import * as ZkDict from "../../src/ZkDict.ts"
import type { QuotaExceeded } from "../../src/ZkError.ts"
import { maybeApplied } from "../../src/ZkError.ts"
import { expireSession } from "./expire.ts"
import { type Direction, type Frame, makeProxy, type NetworkEvent, type Proxy, showEvent } from "./proxy.ts"
import { messageOf, type RigError, rigError } from "./rigError.ts"
import type { ServerHandle } from "./serverHandle.ts"
import { patience, pollUntil } from "./wait.ts"

// What tests of dictionaries have in common, and dictionaries disturbed at every event of the network.

/** Of texts, wherever they are kept. */
export type Texts = ZkDict.ZkDict<string, string, ValueDecodeError, ValueDecodeError | QuotaExceeded>

export const by = (client: ZkClient.ZkClient) => Effect.provideService(ZkClient.ZkClient, client)

/** Dictionaries of texts by way of this client. */
export const dictOf = (client: ZkClient.ZkClient, root: string) =>
  by(client)(ZkDict.make(root, { value: Schema.String }))

export const documentOf = (client: ZkClient.ZkClient, path: string) =>
  by(client)(ZkDict.document(path, { value: Schema.String }))

/** What a key of `dictOf` holds on the server. */
export const json = (value: string): string => JSON.stringify(value)

/** Waits until a node has no children besides this one: what is done in the background is done in a moment. */
export const untilChildless = (
  client: ZkClient.ZkClient,
  path: string,
  but?: string
): Effect.Effect<void, RigError> => {
  const children = client.getChildren(path).pipe(
    Effect.map(({ children }) => children.filter((name) => name !== but)),
    Effect.catchTag("NoNode", () => Effect.succeed<ReadonlyArray<string>>([]))
  )
  return Effect.tryPromise({
    try: async () => {
      await pollUntil(
        `${path} has no children`,
        async () => (await Effect.runPromise(children)).length === 0 ? true : undefined,
        { within: 2_000, every: 5 }
      )
    },
    catch: (cause) => rigError(messageOf(cause))
  })
}

// -- at every event ---------------------------------------------------------------------------------------------------

export type Fault =
  /** The event does not happen: its connection is closed. */
  | "cut before"
  /** It happens, then its connection is closed. */
  | "cut after"
  /** The first, and once more at a later event. */
  | "cut twice"
  /** The servers end the session ahead of it. */
  | "expiry"
  /** It happens and nobody hears of it, and the servers end the session before there is another connection. */
  | "cut and expiry"
  /** Whoever runs our part is interrupted ahead of it. */
  | "interruption"

export const allFaults: ReadonlyArray<Fault> = [
  "cut before",
  "cut after",
  "cut twice",
  "expiry",
  "cut and expiry",
  "interruption"
]

export interface Rig {
  readonly proxy: Proxy
  /** Through the proxy. */
  readonly ours: ZkClient.ZkClient
  /** Past it. */
  readonly rival: ZkClient.ZkClient
  /** Not made. */
  readonly root: string
}

export interface Play<A, E> {
  /** What is disturbed. */
  readonly ours: Effect.Effect<A, E>
  /** What somebody else does meanwhile. */
  readonly theirs?: Effect.Effect<unknown, unknown> | undefined
  /** What has to be true afterwards. */
  readonly check: (outcome: Outcome<A, E>, fault: Fault | undefined) => Effect.Effect<void, unknown>
}

export interface Outcome<A, E> {
  readonly exit: Exit.Exit<A, E>
  /** `done`, `interrupted`, or the tag of the error, with `?` if it says that it may have been applied. */
  readonly said: string
}

const describe = <A, E>(exit: Exit.Exit<A, E>): string => {
  if (Exit.isSuccess(exit)) return "done"
  const failure = exit.cause.reasons.find((reason) => reason._tag === "Fail")
  if (failure !== undefined) {
    const error = failure.error as { readonly _tag?: string }
    return `${error._tag}${maybeApplied(error) ? "?" : ""}`
  }
  return Cause.hasInterruptsOnly(exit.cause) ? "interrupted" : "defect"
}

interface Point {
  readonly fault: Fault
  readonly index: number
  readonly second: number
}

const bounded = <A, E, R>(what: string, effect: Effect.Effect<A, E, R>) =>
  Effect.timeoutOrElse(effect, {
    duration: 12_000 * patience,
    orElse: () => Effect.fail(rigError(`${what} has no end`))
  })

let counter = 0

const runOnce = <A, E>(
  server: ServerHandle,
  rival: ZkClient.ZkClient,
  prepare: (rig: Rig) => Effect.Effect<Play<A, E>, unknown, Scope.Scope>,
  point: Point | undefined,
  proxy: Proxy
) =>
  Effect.gen(function*() {
    const ours = yield* ZkClient.make({
      hosts: proxy.connectString,
      sessionTimeout: "8 seconds",
      closeTimeout: "2 seconds"
    })
    const play = yield* prepare({ proxy, ours, rival, root: `/dict-${counter++}` })
    yield* ours.sync()
    const connected = proxy.events.find((event) => event.type === "frame" && event.session !== undefined)
    const session = connected?.type === "frame" ? connected.session : undefined
    if (session === undefined) return yield* rigError("no session")
    yield* proxy.forget
    let fiber: Fiber.Fiber<A, E> | undefined
    const over = yield* Deferred.make<void, unknown>()
    const at = (index: number, effect: Effect.Effect<void, unknown>) =>
      proxy.runAt(index, Effect.exit(Effect.onExit(effect, (exit) => Deferred.done(over, exit))))
    switch (point?.fault) {
      case "cut before":
        yield* proxy.cutAt(point.index)
        break
      case "cut after":
        yield* proxy.cutAt(point.index, "passThenCut")
        break
      case "cut twice":
        yield* proxy.cutAt(point.index, point.index % 2 === 0 ? "cut" : "passThenCut")
        yield* proxy.runAt(point.second, proxy.cutAll)
        break
      case "expiry":
        yield* at(point.index, expireSession(server, session))
        break
      case "cut and expiry": {
        const { index } = point
        const here = (direction: Direction) => ({ direction, where: (frame: Frame) => frame.index === index })
        yield* proxy.rule(here("toClient"), "cut")
        yield* proxy.rule(here("toServer"), "passThenCut")
        const isClosed = (event: NetworkEvent) => event.type === "close"
        const end = Effect.andThen(proxy.awaitEvent(isClosed), expireSession(server, session)).pipe(
          Effect.ensuring(Effect.orDie(proxy.setAccept("accept")))
        )
        yield* proxy.onEvent((event) => {
          if (event.index !== index) return
          Effect.runFork(
            Effect.onExit(Effect.andThen(proxy.setAccept("close"), end), (exit) => Deferred.done(over, exit))
          )
        })
        break
      }
      case "interruption":
        yield* at(point.index, Effect.sync(() => fiber?.interruptUnsafe()))
        break
    }
    const theirs = yield* Effect.forkChild(play.theirs ?? Effect.void, { startImmediately: true })
    // Not at once: whoever interrupts it has to know it.
    fiber = yield* Effect.forkChild(play.ours)
    const exit = yield* bounded("our part", Fiber.await(fiber))
    const events = yield* proxy.nextIndex
    const reached = point === undefined || events > point.index
    const isAwaited = point?.fault === "expiry" || point?.fault === "cut and expiry" || point?.fault === "interruption"
    if (reached && isAwaited) yield* bounded("the fault", Deferred.await(over))
    yield* bounded("their part", Fiber.join(theirs))
    yield* proxy.heal
    yield* Effect.retry(ours.sync(), { times: 3 })
    yield* rival.sync()
    const outcome = { exit, said: describe(exit) }
    yield* Effect.catchCause(play.check(outcome, point?.fault), (cause) => {
      const why = Exit.isFailure(exit) ? Cause.pretty(exit.cause) : ""
      return Effect.fail(rigError(`${outcome.said}: ${Cause.pretty(cause)}\n${why}`))
    })
    return { events, reached, said: outcome.said }
  }).pipe(Effect.scoped)

/** `npm run crash-points` takes all events, and more pairs of them. */
const takesAll = process.env["CRASH_POINTS"] === "all"

/** How far the second cut is from the first. */
const distances = takesAll ? [3, 4, 5, 6, 7, 8, 10, 12] : [6]

/** Each kind of fault takes every third event, beginning with another, unless all are asked for. */
const isTaken = (kind: number, index: number): boolean => takesAll || (kind + index) % 3 === 0

/**
 * Runs a play some times to count the events of the network, then once for each kind of fault at each event, or at some of
 * them. Gives how often our part ended in which way, and says so.
 */
export const atEveryEvent = <A, E>(
  name: string,
  server: ServerHandle,
  prepare: (rig: Rig) => Effect.Effect<Play<A, E>, unknown, Scope.Scope>,
  faults: ReadonlyArray<Fault> = allFaults,
  isThorough = false
): Effect.Effect<Readonly<Record<string, number>>, unknown, Scope.Scope> =>
  Effect.gen(function*() {
    const rival = yield* ZkClient.make({ hosts: server.connectString })
    const run = (point: Point | undefined) =>
      Effect.scoped(Effect.gen(function*() {
        const proxy = yield* makeProxy(server.port)
        const where = point === undefined ? "undisturbed" : `${point.fault} at ${point.index} (${point.second})`
        return yield* Effect.catchCause(runOnce(server, rival, prepare, point, proxy), (cause) => {
          const events = proxy.events.slice(-30).map(showEvent).join("\n  ")
          return Effect.fail(rigError(`${name}, ${where}: ${Cause.pretty(cause)}\n  ${events}`))
        })
      }))
    const clean = yield* run(undefined)
    const counts = [clean.events, (yield* run(undefined)).events, (yield* run(undefined)).events]
    const outcomes: Record<string, number> = { [clean.said]: 1 }
    const points = faults.flatMap((fault, kind) =>
      Array.from({ length: Math.max(...counts) }, (_, index): ReadonlyArray<Point> =>
        !isThorough && !isTaken(kind, index) ?
          [] :
          // A way back takes about so many events.
          (fault === "cut twice" ? distances : [0]).map((far) => ({ fault, index, second: index + far })))
        .flat()
    )
    const ran = yield* Effect.forEach(points, (point) =>
      Effect.result(run(point)), { concurrency: 12 })
    const failed = ran.flatMap((result) =>
      result._tag === "Failure" ? [messageOf(result.failure)] : []
    )
    if (failed.length > 0) {
      return yield* rigError(`${failed.length} of ${ran.length}:\n${failed.slice(0, 4).join("\n\n")}`)
    }
    let reached = 0
    const missed = new Set(faults)
    for (const [index, result] of ran.entries()) {
      const point = points[index]
      if (point === undefined || result._tag === "Failure" || !result.success.reached) continue
      reached++
      missed.delete(point.fault)
      outcomes[result.success.said] = (outcomes[result.success.said] ?? 0) + 1
    }
    const said = Object.entries(outcomes).map(([outcome, count]) => `${count} ${outcome}`).join(", ")
    console.log(`${name}: ${counts.join(", ")} events, ${reached} of ${points.length} points: ${said}`)
    // How many events a run has is the rival's luck, so that how many points are met is no measure; the first ones always are.
    if (missed.size > 0) return yield* rigError(`${name}: never met: ${[...missed].join(", ")}`)
    return outcomes
  }).pipe(Effect.provideService(MinimumLogLevel, "None"))

/** The same, with all kinds of fault at each event. */
export const atEachEvent: <A, E>(
  name: string,
  server: ServerHandle,
  prepare: (rig: Rig) => Effect.Effect<Play<A, E>, unknown, Scope.Scope>
) => ReturnType<typeof atEveryEvent> = (name, server, prepare) => atEveryEvent(name, server, prepare, allFaults, true)
