/**
 * Writes to one name follow each other in the order in which they were begun: whether a node has to be created or set is
 * found out in more than one step, in which a later write could overtake an earlier one.
 */
import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"
import type { SessionError } from "../../ZkError.ts"
import { OperationTimeout } from "../../ZkError.ts"

class Turn {
  readonly semaphore = Semaphore.makeUnsafe(1)
  users = 0
  /** How often somebody had no answer in time. */
  timeouts = 0
  timeout = 0
}

export class Turns {
  private readonly turns = new Map<string, Turn>()

  /** Whoever has waited behind one that had no answer in time has waited for as long himself. */
  take<A, E, R>(
    name: string,
    operation: string,
    path: string,
    write: Effect.Effect<A, E | SessionError, R>
  ): Effect.Effect<A, E | SessionError, R> {
    return Effect.acquireUseRelease(
      Effect.sync(() => this.join(name)),
      ({ timeouts, turn }) => {
        const mine = Effect.suspend(() => {
          if (turn.timeouts === timeouts) return write
          return Effect.fail(new OperationTimeout({ operation, path, maybeApplied: false, timeout: turn.timeout }))
        })
        return turn.semaphore.withPermit(Effect.tapError(mine, (error) =>
          Effect.sync(() => {
            if (!(error instanceof OperationTimeout) || turn.timeouts !== timeouts) return
            turn.timeouts++
            turn.timeout = error.timeout
          })))
      },
      ({ turn }) =>
        Effect.sync(() => {
          if (--turn.users === 0) this.turns.delete(name)
        })
    )
  }

  private join(name: string): { readonly turn: Turn; readonly timeouts: number } {
    const turn = this.turns.get(name) ?? new Turn()
    this.turns.set(name, turn)
    turn.users++
    return { turn, timeouts: turn.timeouts }
  }
}
