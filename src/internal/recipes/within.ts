/** Time limits for what must not be undone half way. */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"

/** How many milliseconds have passed since it was started. */
export const stopwatch: Effect.Effect<() => number> = Effect.map(Clock.Clock, (clock) => {
  const now = () => Number(clock.monotonicTimeNanosUnsafe()) / 1e6
  const begun = now()
  return () => now() - begun
})

/** What is left of a time; nothing for one without an end. */
export const leftOf = (timeout: number | undefined, passed: number): number | undefined =>
  timeout === undefined ? undefined : Math.max(0, timeout - passed)

export interface TimedOut {
  readonly _tag: "TimedOut"
}

const timedOut: TimedOut = { _tag: "TimedOut" }

/**
 * Gives up after a time, unless the effect succeeds all the same in being interrupted: what it did then is not undone.
 */
export const within = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  millis: number | undefined
): Effect.Effect<A, E | TimedOut, R> => {
  if (millis === undefined) return effect
  return Effect.uninterruptibleMask((restore) =>
    Effect.gen(function*() {
      // As with Effect.timeout, what has a time limit can be interrupted, wherever it is.
      const fiber = yield* Effect.forkChild(effect, { startImmediately: true })
      let isUp = false
      const timer = yield* Effect.forkChild(
        Effect.andThen(
          Effect.sleep(Duration.millis(millis)),
          Effect.sync(() => {
            isUp = true
            fiber.interruptUnsafe()
          })
        )
      )
      const exit = yield* Effect.onInterrupt(restore(Fiber.await(fiber)), () => Fiber.interrupt(fiber))
      timer.interruptUnsafe()
      const isInterrupted = Exit.isFailure(exit) && Exit.hasInterrupts(exit)
      return yield* isInterrupted && isUp ? Effect.fail(timedOut) : exit
    })
  )
}

/** Sees an effect through, although the caller is interrupted, for a time; `undefined` when that is over. */
export const seeThrough = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  duration: Duration.Duration
): Effect.Effect<A | undefined, E, R> =>
  Effect.uninterruptible(Effect.gen(function*() {
    const fiber = yield* Effect.forkDetach(effect, { startImmediately: true })
    const timer = yield* Effect.forkDetach(
      Effect.andThen(Effect.sleep(duration), Effect.sync(() => fiber.interruptUnsafe()))
    )
    const exit = yield* Fiber.await(fiber)
    timer.interruptUnsafe()
    return Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause) ? undefined : yield* exit
  }))

const moment = Duration.millis(500)

/** Runs an effect to its end, and waits for that for a moment. */
export const forAMoment = (effect: Effect.Effect<void>): Effect.Effect<void> =>
  Effect.uninterruptible(Effect.gen(function*() {
    const done = Deferred.makeUnsafe<void>()
    const end = () => Deferred.doneUnsafe(done, Effect.void)
    const fiber = yield* Effect.forkDetach(effect, { startImmediately: true, uninterruptible: true })
    fiber.addObserver(end)
    const timer = yield* Effect.forkDetach(Effect.andThen(Effect.sleep(moment), Effect.sync(end)))
    yield* Deferred.await(done)
    timer.interruptUnsafe()
  }))
