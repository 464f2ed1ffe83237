/** What one client has written, seen by another on another server. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as ZkClient from "../src/ZkClient.ts"
import { makeEnsemble } from "./support/ensemble.ts"

describe("a read behind a sync", () => {
  it.live(
    "is as new as what any server had answered before, though another server gives it [D18] [CRUD-23]",
    () =>
      Effect.gen(function*() {
        const ensemble = yield* makeEnsemble({ tickTime: 200 })
        const leader = yield* ensemble.leader
        const [first, second] = yield* ensemble.followers
        const writer = yield* ZkClient.make({ hosts: leader.connectString })
        const readers = [
          yield* ZkClient.make({ hosts: first!.connectString }),
          yield* ZkClient.make({ hosts: second!.connectString })
        ]
        yield* writer.create("/shared", "0")
        for (let i = 1; i <= 100; i++) {
          yield* writer.setData("/shared", String(i))
          // Run together: the order of requests is enough.
          const read = (zk: ZkClient.ZkClient) =>
            Effect.all([zk.sync("/shared"), zk.getData("/shared")], { concurrency: "unbounded" })
          const found = yield* Effect.forEach(readers, read, { concurrency: "unbounded" })
          assert.deepStrictEqual(found.map(([, node]) => node.text), [String(i), String(i)])
        }
      }),
    60_000
  )
})
