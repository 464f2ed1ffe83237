import * as Effect from "effect/Effect"
import * as ZkClient from "../../src/ZkClient.ts"
import { freshPath } from "../support/shared.ts"

/** A node of the test's own, and the client. Every test stays below its node. */
export const makeRoot = Effect.gen(function*() {
  const zk = yield* ZkClient.ZkClient
  const root = yield* freshPath
  yield* zk.create(root)
  return { zk, root }
})

export const statOf = (zk: ZkClient.ZkClient, path: string) => Effect.flatMap(zk.exists(path), Effect.fromOption)
