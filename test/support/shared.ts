import * as Effect from "effect/Effect"
import { randomBytes } from "node:crypto"
import { inject } from "vitest"
import { connectRaw } from "./rawClient.ts"
import { type RigError, rigError } from "./rigError.ts"
import { makeHandle, type ServerHandle } from "./serverHandle.ts"
import type { SharedServer } from "./sharedServer.ts"

export type { SharedServer } from "./sharedServer.ts"

/** The server that all test files share: for tests that neither stop it nor count what others do on it. */
export const shared: Effect.Effect<SharedServer, RigError> = Effect.suspend(() => {
  const found = inject("zookeeper")
  return "error" in found ? Effect.fail(rigError(found.error)) : Effect.succeed(found)
})

/** It as a handle, for its four-letter words (it cannot be stopped from here). */
export const sharedHandle: Effect.Effect<ServerHandle, RigError> = Effect.flatMap(shared, ({ host, port }) => {
  const handle = makeHandle({ id: 1, host, port, standalone: true })
  return Effect.as(handle.waitReady, handle)
})

/** A path that nobody else uses: `/t-<run>-<random>`. Not made. */
export const freshPath: Effect.Effect<string, RigError> = Effect.map(
  shared,
  ({ runId }) => `/t-${runId}-${randomBytes(6).toString("hex")}`
)

/** The same, made: a persistent empty node. It goes with the server, or at the end of the run. */
export const freshRoot: Effect.Effect<string, RigError> = Effect.scoped(Effect.gen(function*() {
  const { host, port } = yield* shared
  const path = yield* freshPath
  const client = yield* connectRaw({ host, port })
  yield* client.create(path)
  yield* client.closeSession
  return path
}))
