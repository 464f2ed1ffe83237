/** What sync of dictionaries brings. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as ZkClient from "../src/ZkClient.ts"
import * as ZkDict from "../src/ZkDict.ts"
import { on } from "./support/dictionaries.ts"
import { makeEnsemble } from "./support/ensemble.ts"
import { makeProxy } from "./support/proxy.ts"

describe("sync, on a server that lags behind", () => {
  it.live("shows everything that was committed anywhere, in both modes [M10]", () =>
    Effect.gen(function*() {
      const ensemble = yield* makeEnsemble()
      const [near] = yield* ensemble.followers
      const leader = yield* ensemble.leader
      const proxy = yield* makeProxy(near!.port)
      const zk = yield* ZkClient.make({ hosts: proxy.connectString })
      const other = yield* ZkClient.make({ hosts: leader.connectString })
      const options = { value: Schema.Number }
      const live = yield* on(zk)(ZkDict.make("/dict", options))
      const manual = yield* on(zk)(ZkDict.make("/dict", { ...options, mode: "manual" }))
      const document = yield* on(zk)(ZkDict.document("/doc", options))
      const theirs = yield* on(other)(ZkDict.make("/dict", options))
      const theirDocument = yield* on(other)(ZkDict.document("/doc", options))
      for (let i = 0; i < 300; i++) {
        yield* theirs.set("a", i)
        yield* manual.sync
        assert.strictEqual(yield* manual.get("a"), i)
        if (i % 10 !== 0) continue
        yield* live.sync
        assert.strictEqual(yield* live.get("a"), i)
        yield* theirDocument.set("a", i)
        yield* document.sync
        assert.strictEqual(yield* document.get("a"), i)
      }
      // It really asks, each time.
      assert.isAtLeast((yield* proxy.stats()).ops["sync"] ?? 0, 360)
    }), 90_000)
})
