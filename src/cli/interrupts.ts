/** Whom Ctrl-C interrupts: the program, unless something in it takes that over. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

export interface InterruptsShape {
  /** Until the scope is closed SIGINT calls this, and ends nothing. The last one who asked gets it. */
  readonly take: (onInterrupt: () => void) => Effect.Effect<void, never, Scope.Scope>
}

/** Where nobody listens to signals, nothing is taken. */
export const Interrupts = Context.Reference<InterruptsShape>("effect-zookeeper/cli/Interrupts", {
  defaultValue: () => ({ take: () => Effect.void })
})

/** With what a listener to SIGINT is to call: whether somebody took it. */
export const makeInterrupts = (): InterruptsShape & { readonly interruptUnsafe: () => boolean } => {
  const takers: Array<() => void> = []
  return {
    take: (onInterrupt) =>
      Effect.asVoid(Effect.acquireRelease(
        Effect.sync(() => void takers.push(onInterrupt)),
        () => Effect.sync(() => void takers.splice(takers.lastIndexOf(onInterrupt), 1))
      )),
    interruptUnsafe: () => {
      const taker = takers.at(-1)
      taker?.()
      return taker !== undefined
    }
  }
}
