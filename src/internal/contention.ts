/** What to do when somebody else was faster: the same again, after a while, and not for ever. */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"

/** How often somebody else may be faster. */
export const maxTries = 100

/** So that those who collide do not collide again: a random while, longer each time. */
export const backOff = (tries: number): Effect.Effect<void> =>
  Effect.flatMap(Random.next, (chance) => Effect.sleep(chance * Math.min(2 ** tries, 32)))

/** Longer than a change takes whose servers answer. */
const patience = "1 second"

interface Turn {
  readonly begun: Deferred.Deferred<void>
  readonly done: Deferred.Deferred<void>
  /** It was given up before it began: whom to wait for in its place. */
  instead: Turn | undefined
}

const afterwards = (turn: Turn): Effect.Effect<void> =>
  Deferred.await(turn.begun).pipe(
    Effect.andThen(Effect.timeoutOption(Deferred.await(turn.done), patience)),
    Effect.andThen(Effect.suspend(() => turn.instead === undefined ? Effect.void : afterwards(turn.instead)))
  )

/**
 * Those of one process who change the same thing go one after the other, in the order in which they came. Each has then
 * to be faster than other processes only. Among many who are at it side by side, one that was too slow once would find
 * somebody at it whenever it came back, and might be too slow a hundred times.
 *
 * A courtesy, not a lock: whether a change is applied is up to versions, and the next one begins in any case when the
 * one before has taken longer than usual. What it runs may wait for the next one.
 */
export class Courtesy {
  private readonly last = new Map<string, Turn>()

  inTurn<A, E, R>(name: string, change: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    return Effect.acquireUseRelease(
      Effect.sync(() => {
        const before = this.last.get(name)
        const turn: Turn = { begun: Deferred.makeUnsafe(), done: Deferred.makeUnsafe(), instead: before }
        this.last.set(name, turn)
        return turn
      }),
      (turn) => {
        const begin = Effect.suspend(() => {
          turn.instead = undefined
          Deferred.doneUnsafe(turn.begun, Effect.void)
          return change
        })
        return turn.instead === undefined ? begin : Effect.andThen(afterwards(turn.instead), begin)
      },
      (turn) =>
        Effect.sync(() => {
          const { instead } = turn
          if (this.last.get(name) === turn) {
            if (instead === undefined || Deferred.isDoneUnsafe(instead.done)) this.last.delete(name)
            else this.last.set(name, instead)
          }
          Deferred.doneUnsafe(turn.begun, Effect.void)
          Deferred.doneUnsafe(turn.done, Effect.void)
        })
    )
  }
}
