/** The current state of a session, and everybody who follows it. */
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import type { SessionState } from "../../ZkState.ts"

/** A subscriber that does not read for this many changes loses the oldest of them, never the newest. */
const backlog = 256

export class StateHub {
  current: SessionState = { _tag: "Connecting" }
  private readonly subscribers = new Set<Queue.Queue<SessionState, Cause.Done>>()
  private ended = false

  set(state: SessionState): void {
    this.current = state
    for (const subscriber of this.subscribers) Queue.offerUnsafe(subscriber, state)
  }

  /** The current state, then every change, in order. Ends with the client. */
  readonly subscribe: Effect.Effect<Queue.Dequeue<SessionState, Cause.Done>, never, Scope.Scope> = Effect
    .acquireRelease(
      Effect.map(Queue.sliding<SessionState, Cause.Done>(backlog), (queue) => {
        Queue.offerUnsafe(queue, this.current)
        if (this.ended) Queue.endUnsafe(queue)
        else this.subscribers.add(queue)
        return queue
      }),
      (queue) =>
        Effect.suspend(() => {
          this.subscribers.delete(queue)
          return Queue.shutdown(queue)
        })
    )

  end(): void {
    this.ended = true
    for (const subscriber of this.subscribers) Queue.endUnsafe(subscriber)
    this.subscribers.clear()
  }
}
