import * as Data from "effect/Data"
import * as Effect from "effect/Effect"

/** What the test rig itself got wrong or could not do. The library under test never fails with it. */
export class RigError extends Data.TaggedError("RigError")<{
  readonly message: string
  readonly cause?: unknown
}> {}

export const rigError = (message: string, cause?: unknown): RigError => new RigError({ message, cause })

export const messageOf = (cause: unknown): string => cause instanceof Error ? cause.message : String(cause)

/** A promise as an Effect: the signal is aborted when the Effect is interrupted. */
export const attempt = <A>(what: string, run: (signal: AbortSignal) => Promise<A>): Effect.Effect<A, RigError> =>
  Effect.tryPromise({
    try: (signal) => run(signal),
    catch: (cause) => cause instanceof RigError ? cause : rigError(`${what}: ${messageOf(cause)}`, cause)
  })
