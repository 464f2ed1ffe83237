/** Writes that are done when what they wanted is so, whoever brought it about: what is kept tells after a lost answer. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { SessionClosed } from "../../ZkError.ts"
import type { Lost } from "../client/resolve.ts"
import { inTheNext, isLost, leftOpen } from "../client/resolve.ts"

/** `look`: what the write comes to, if what it wanted is so. */
export const settled = <A, E extends { readonly _tag: string }, R>(
  write: Effect.Effect<A, E, R>,
  look: Effect.Effect<Option.Option<A>, E, R>
): Effect.Effect<A, E | Lost | SessionClosed, R> =>
  Effect.catch(write, (error): Effect.Effect<A, E | Lost | SessionClosed, R> => {
    if (!isLost(error)) return Effect.fail(error)
    return Effect.matchEffect(inTheNext(look), {
      onSuccess: (found) => Option.isSome(found) ? Effect.succeed(found.value) : Effect.fail(error),
      onFailure: (later) => Effect.fail(leftOpen(error, later))
    })
  })
