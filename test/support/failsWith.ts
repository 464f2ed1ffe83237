import * as Effect from "effect/Effect"

/** The error that an effect fails with, which has to have this tag. Any other outcome fails the test. */
export const failsWith = <A, E extends { readonly _tag: string }, R, const Tag extends E["_tag"]>(
  effect: Effect.Effect<A, E, R>,
  tag: Tag
): Effect.Effect<Extract<E, { readonly _tag: Tag }>, never, R> =>
  Effect.matchEffect(effect, {
    onSuccess: () => Effect.die(new Error(`succeeded, where ${tag} was expected`)),
    onFailure: (error) =>
      error._tag === tag
        ? Effect.succeed(error as Extract<E, { readonly _tag: Tag }>)
        : Effect.die(new Error(`failed with ${error._tag}, where ${tag} was expected`, { cause: error }))
  })
