/** What keeps a cache up to date, and tells how fresh it is, for as long as a scope is open. */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as PubSub from "effect/PubSub"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { WatchKind, ZkClient } from "../../ZkClient.ts"
import type { SessionError, StreamError } from "../../ZkError.ts"
import { AuthFailed, ConnectionLoss, OperationTimeout, SessionClosed, SessionExpired } from "../../ZkError.ts"
import type { NodeEvent, WatchedEvent } from "../../ZkEvent.ts"
import type { Freshness } from "../../ZkMirror.ts"
import * as ZkState from "../../ZkState.ts"
import { isPassing, pause } from "../passing.ts"
import type { CatchUpError, Reads } from "./reads.ts"

/** Events that may wait to be looked at, which takes no time: after more than these everything is read again. */
const bufferSize = 65_536

/** What is kept up to date. */
export interface Cache {
  readonly reads: Pick<Reads<never>, "hold" | "whenDone" | "overdue" | "over" | "onEnd" | "end">
  readonly onEvent: (event: NodeEvent) => void
  /** Reads everything, in a wave of its own by default. */
  readonly readAll: (isNewSession: boolean, wave?: number) => void
  /** Reads what could not be read for want of rights: nobody tells when there are some. */
  readonly readRefused: () => void
}

export interface Upkeep {
  readonly freshness: Effect.Effect<Freshness>
  readonly freshnessChanges: Stream.Stream<Freshness>
  /** Fails as whoever waits would, if the cache has ended. */
  readonly goesOn: Effect.Effect<void, StreamError>
  /** Waits until all that the client has heard of by now is in the cache. */
  readonly catchUp: Effect.Effect<void, CatchUpError>
  /** Waits until all that was committed by now, by whomever, is in the cache. */
  readonly sync: Effect.Effect<void, SessionError>
  /** Waits until a transaction is in the cache. */
  readonly awaitZxid: (zxid: bigint) => Effect.Effect<void, SessionError>
}

/** A write that is complete when the cache shows it. Of one that would never be shown nothing is sent. */
export const seen = <A, E, R>(
  { catchUp, goesOn }: Pick<Upkeep, "catchUp" | "goesOn">,
  operation: string,
  path: string,
  write: Effect.Effect<A, E, R>
): Effect.Effect<A, E | StreamError | CatchUpError | ConnectionLoss, R> =>
  Effect.tap(Effect.andThen(goesOn, write), () =>
    // The write was applied: what comes too late is the sight of it.
    Effect.mapError(catchUp, (error) => {
      const outcome = { operation, path, maybeApplied: true }
      switch (error._tag) {
        case "OperationTimeout":
          return new OperationTimeout({ ...outcome, timeout: error.timeout })
        case "SessionExpired":
          return new SessionExpired({ ...outcome, sessionId: error.sessionId })
        case "SessionClosed":
          return new SessionClosed(outcome)
        case "AuthFailed":
          return new AuthFailed({ ...outcome, scheme: error.scheme })
        default:
          return new ConnectionLoss({ ...outcome, reason: `it was applied, but cannot be read: ${error.message}` })
      }
    }))

/** Fresh while there is a connection and nothing that was missed is left to be read. */
class FreshnessOf {
  current: Freshness
  readonly published: PubSub.PubSub<Freshness>
  private readonly cache: Cache
  private readonly clock: Clock.Clock
  private isConnected = false
  /** How often something was missed that has not been read since. */
  private missing = 0

  constructor(cache: Cache, clock: Clock.Clock, published: PubSub.PubSub<Freshness>) {
    this.cache = cache
    this.clock = clock
    this.published = published
    this.current = this.stale(undefined)
    PubSub.publishUnsafe(published, this.current)
  }

  private stale(since: DateTime.Utc | undefined): Freshness {
    return { _tag: "Stale", since: since ?? DateTime.makeUnsafe(this.clock.currentTimeMillisUnsafe()) }
  }

  onState(state: ZkState.SessionState): void {
    this.isConnected = ZkState.isConnected(state)
    this.update(state._tag === "Suspended" ? state.since : undefined)
  }

  /** Something was missed, and is marked to be read. */
  onMissed(): void {
    this.missing++
    const wait = (): void => {
      this.cache.reads.whenDone((exit) => {
        // It took too long, and goes on.
        if (Exit.isFailure(exit) && this.cache.reads.over === undefined) {
          wait()
        } else {
          this.missing--
          this.update()
        }
      })
    }
    wait()
    this.update()
  }

  update(since?: DateTime.Utc): void {
    const isLive = this.isConnected && this.missing === 0 && this.cache.reads.over === undefined
    if (isLive === (this.current._tag === "Live")) return
    this.current = isLive ? { _tag: "Live" } : this.stale(since)
    PubSub.publishUnsafe(this.published, this.current)
  }
}

/** Comes back at once; what has to be waited for is waited for by whoever needs it. */
export const keepUp = (
  client: ZkClient,
  path: string,
  kind: WatchKind,
  cache: Cache
): Effect.Effect<Upkeep, never, Scope.Scope> =>
  Effect.gen(function*() {
    const { reads } = cache
    const published = yield* Effect.acquireRelease(PubSub.unbounded<Freshness>({ replay: 1 }), PubSub.shutdown)
    yield* Effect.addFinalizer(() => Effect.sync(() => reads.end(Cause.interrupt())))
    // Whoever waits waits for the first reads, though there are none before there is a watch.
    let first: ReturnType<typeof reads.hold> | undefined = reads.hold()
    const freshness = new FreshnessOf(cache, yield* Clock.Clock, published)
    freshness.onMissed()
    reads.onEnd(() => freshness.update())

    let events: Queue.Dequeue<WatchedEvent, SessionError> | undefined
    const handle = (event: WatchedEvent) => {
      if (event._tag !== "Reset") return cache.onEvent(event)
      cache.readAll(event.reason === "newSession")
      freshness.onMissed()
    }
    // Events come ahead of the answers to what is asked for after them, so that those in the queue are all there are.
    const drain = () => {
      try {
        while (events !== undefined && Queue.sizeUnsafe(events) > 0) {
          const exit = Queue.takeUnsafe(events)
          if (exit === undefined || Exit.isFailure(exit)) return
          handle(exit.value)
        }
      } catch (defect) {
        // A filter has thrown.
        reads.end(Cause.die(defect))
      }
    }

    // The watch comes first, and the reads after it, so that nothing falls between.
    const watch = Effect.scoped(Effect.flatMap(client.subscribe(path, kind, { bufferSize }), (subscribed) => {
      events = subscribed
      cache.readAll(false, first?.wave)
      first?.release()
      first = undefined
      return Effect.forever(Effect.map(Queue.peek(subscribed), drain))
    }))
    const follow: Effect.Effect<void> = Effect.catch(watch, (error) => {
      // It is set at last, or ends with the client, or with the session that the client is bound to.
      if (!isPassing(error)) return Effect.sync(() => reads.end(Cause.fail(error)))
      if (error._tag === "OperationTimeout") reads.overdue(error)
      return Effect.andThen(Effect.sleep(pause), follow)
    })
    yield* Effect.forkScoped(Effect.withTracerEnabled(follow, false), { startImmediately: true })
    yield* client.stateChanges.pipe(
      Stream.runForEach((state) =>
        Effect.sync(() => {
          // What a new connection has told comes ahead of its state.
          drain()
          freshness.onState(state)
        })
      ),
      Effect.forkScoped({ startImmediately: true })
    )

    const catchUp = Effect.callback<void, CatchUpError>((resume) => {
      drain()
      return Effect.sync(reads.whenDone(resume))
    })
    const sync = Effect.flatMap(client.sync(path), () => {
      drain()
      cache.readRefused()
      return catchUp
    })
    return {
      // The state itself is asked: news of it are a moment late.
      freshness: Effect.map(client.state, (state) => {
        drain()
        freshness.onState(state)
        return freshness.current
      }),
      freshnessChanges: Stream.fromPubSub(published),
      goesOn: Effect.suspend(() => reads.over === undefined ? Effect.void : Effect.failCause(reads.over)),
      catchUp,
      sync,
      awaitZxid: (zxid) => Effect.flatMap(client.lastZxid, (seen) => seen < zxid ? sync : catchUp)
    }
  })
