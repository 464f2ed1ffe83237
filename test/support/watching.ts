import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { ZkClient } from "../../src/ZkClient.ts"
import type { WatchedEvent } from "../../src/ZkEvent.ts"
import { type RigError, rigError } from "./rigError.ts"
import type { ServerHandle } from "./serverHandle.ts"
import { patience } from "./wait.ts"

// What tests of watches have in common: watching streams from outside, and proving that nothing came.

/** An event in short: `NodeCreated /a/b`, `Reset reconnected`. Of its path only what follows `root`. */
export const show = (event: WatchedEvent, root = ""): string =>
  event._tag === "Reset" ? `Reset ${event.reason}` : `${event._tag} ${event.path.slice(root.length)}`

/**
 * What has come to a subscription. Events travel ahead of the answer to whatever is asked for after them, so behind a
 * `sync` everything is there, and what is not there will not come.
 */
export const heard = <E>(zk: ZkClient, queue: Queue.Dequeue<WatchedEvent, E>, root = "") =>
  Effect.andThen(zk.sync(), Effect.map(Queue.clear(queue), (events) => events.map((event) => show(event, root))))

export interface Recording<A, E> {
  /** Everything so far. */
  readonly values: ReadonlyArray<A>
  /** Waits until it looks like this; 10 s at most. Fails when the stream ends before. */
  readonly until: (what: string, done: (values: ReadonlyArray<A>) => boolean) => Effect.Effect<void, RigError>
  readonly fiber: Fiber.Fiber<void, E>
}

/** Runs a stream in the background and keeps what it gives. */
export const record = <A, E, R>(
  stream: Stream.Stream<A, E, R>
): Effect.Effect<Recording<A, E>, never, R | Scope.Scope> =>
  Effect.gen(function*() {
    const values: Array<A> = []
    const lookers = new Set<() => void>()
    const look = () => {
      for (const looker of [...lookers]) looker()
    }
    const fiber = yield* Effect.forkScoped(
      Stream.runForEach(stream, (value) =>
        Effect.sync(() => {
          values.push(value)
          look()
        })),
      { startImmediately: true }
    )
    fiber.addObserver(look)
    const until: Recording<A, E>["until"] = (what, done) =>
      Effect.callback<void, RigError>((resume) => {
        const settle = (result: Effect.Effect<void, RigError>) => {
          clearTimeout(timer)
          lookers.delete(looker)
          resume(result)
        }
        const looker = () => {
          if (done(values)) settle(Effect.void)
          else if (fiber.pollUnsafe() !== undefined) {
            settle(Effect.fail(rigError(`the stream ended before ${what}: ${String(fiber.pollUnsafe())}`)))
          }
        }
        const timer = setTimeout(
          () => settle(Effect.fail(rigError(`gave up waiting for ${what}, after ${values.length} values`))),
          10_000 * patience
        )
        lookers.add(looker)
        looker()
        return Effect.sync(() => {
          clearTimeout(timer)
          lookers.delete(looker)
        })
      })
    return { values, until, fiber }
  })

/** The session that a connected client has. */
export const sessionOf = (zk: ZkClient): Effect.Effect<bigint, RigError> =>
  Effect.flatMap(
    zk.state,
    (state) =>
      state._tag === "Connected"
        ? Effect.succeed(state.sessionId)
        : Effect.fail(rigError(`the client is ${state._tag}`))
  )

/** Waits until a client has a session other than this one. */
export const newSession = (zk: ZkClient, old: bigint): Effect.Effect<bigint, RigError> =>
  zk.stateChanges.pipe(
    Stream.filter((state) => state._tag === "Connected" && state.sessionId !== old),
    Stream.runHead,
    Effect.andThen(sessionOf(zk))
  )

export const isAtLeast = (version: string, wanted: string): boolean => {
  const [a = [], b = []] = [version, wanted].map((text) => text.split(".").map(Number))
  for (const [index, part] of b.entries()) {
    if ((a[index] ?? 0) !== part) return (a[index] ?? 0) > part
  }
  return true
}

/**
 * How many watches a server has, of all its sessions: `wchs` and its like leave out those of children. A persistent
 * watch counts twice.
 */
export const countWatches = (server: ServerHandle): Effect.Effect<number, RigError> =>
  Effect.map(server.fourLetterWord("mntr"), (text) => Number(/^zk_watch_count\s+(\d+)$/m.exec(text)?.[1]))
