import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { drive } from "../../src/internal/session/reconnect.ts"
import { Session } from "../../src/internal/session/session.ts"
import { type Options, resolve } from "../../src/ZkConfig.ts"
import type { InvalidConfig } from "../../src/ZkError.ts"

/** A session without a client around it, for what only the engine can be asked. Begins to connect at once. */
export const makeSession = (options: Options): Effect.Effect<Session, InvalidConfig, Scope.Scope> =>
  Effect.gen(function*() {
    const resolved = yield* resolve(options)
    const context = yield* Effect.context<never>()
    return yield* Effect.acquireRelease(
      Effect.sync(() => {
        const session = new Session(resolved.session, context)
        session.start(drive(session))
        return session
      }),
      (session) => session.close
    )
  })
