import * as Effect from "effect/Effect"
import type { Proxy } from "./proxy.ts"
import { connectRaw } from "./rawClient.ts"
import { type RigError, rigError } from "./rigError.ts"

/**
 * Ends a session behind its client's back: resumes it with its id and password on a connection of the rig's own (the
 * server then closes the client's) and closes it. When this is done the server has no such session any more, its
 * ephemeral nodes are gone, and the client hears "expired" at its next handshake.
 */
export const expireSession = (
  server: number | { readonly host?: string; readonly port: number },
  session: { readonly sessionId: bigint; readonly password: Uint8Array }
): Effect.Effect<void, RigError> =>
  Effect.scoped(Effect.flatMap(
    connectRaw({ ...(typeof server === "number" ? { port: server } : server), ...session }),
    (client) => client.closeSession
  )).pipe(
    // A client that is quick takes its session back before it is closed, or hides that it was.
    Effect.retry({ times: 50, while: ({ message }) => message.includes("the connection ended") }),
    Effect.catchIf(({ message }) => message.includes("expired"), () => Effect.void)
  )

/** Ends the session that was last made or resumed through a proxy. Gives its id. */
export const expireThrough = (
  proxy: Proxy,
  server: number | { readonly port: number }
): Effect.Effect<bigint, RigError> =>
  Effect.suspend(() => {
    const connected = proxy.events.findLast((event) =>
      event.type === "frame" && event.session !== undefined && event.session.timeout > 0
    )
    const session = connected?.type === "frame" ? connected.session : undefined
    if (session === undefined) return Effect.fail(rigError("no session was made through the proxy"))
    return Effect.as(expireSession(server, session), session.sessionId)
  })
