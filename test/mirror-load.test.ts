/** Many copies, and large ones. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as ZkClient from "../src/ZkClient.ts"
import * as ZkTransaction from "../src/ZkTransaction.ts"
import { heapUsed } from "./support/heap.ts"
import { becomes, mirrorOf, proxiedPair } from "./support/mirroring.ts"
import { makeServer } from "./support/server.ts"
import { countWatches, sessionOf } from "./support/watching.ts"

describe("a large tree", () => {
  it.live("is read in turns with everything else, and keeps its session [L6]", () =>
    Effect.gen(function*() {
      const { mirror, other, proxy, root, zk } = yield* proxiedPair({ sessionTimeout: "2 seconds" })
      const below = Array.from({ length: 20_000 }, (_, i) => `${root}/${i % 200}/${i}`)
      yield* Effect.forEach(Array.from({ length: 200 }), (_, i) => other.create(`${root}/${i}`), { concurrency: 50 })
      for (let i = 0; i < below.length; i += 1000) {
        yield* other.multi(below.slice(i, i + 1000).map((path) => ZkTransaction.create(path, "x".repeat(100))))
      }
      const session = yield* sessionOf(zk)
      yield* proxy.forget
      let asked = 0
      let longest = 0
      const asking = Effect.suspend(() => {
        const before = performance.now()
        return Effect.map(zk.exists(root), () => {
          asked++
          longest = Math.max(longest, performance.now() - before)
        })
      })
      const loading = mirror.tree(root)
      const tree = yield* Effect.raceFirst(loading, Effect.forever(Effect.andThen(asking, Effect.sleep(1))))
      assert.strictEqual(yield* tree.size, 20_201)
      const { ops } = yield* proxy.stats()
      // Most of them are read some dozens at a time, and each once.
      assert.isAbove(ops["multiRead"] ?? 0, 20_201 / 33)
      assert.isBelow(ops["multiRead"] ?? 0, 20_201 / 8)
      assert.isBelow(ops["getData"] ?? 0, 1_000)
      // Only those that have children are asked for them.
      assert.strictEqual(ops["getChildren2"], 201)
      assert.isAbove(asked, 20)
      // None has waited for more than a fraction of the walk: few reads are ahead of any.
      let open = 0
      let most = 0
      for (const event of proxy.events) {
        if (event.type !== "frame") continue
        if (event.kind === "request") most = Math.max(most, ++open)
        if (event.kind === "reply") open--
      }
      assert.isAtMost(most, 70)
      assert.strictEqual(yield* sessionOf(zk), session)
      assert.isBelow(longest, 1_000)

      yield* proxy.cutAll
      yield* becomes(tree, "Stale")
      yield* becomes(tree, "Live")
      assert.strictEqual(yield* tree.size, 20_201)
    }), 60_000)
})

describe("ten thousand copies that come and go", () => {
  it.live("leave no watch, and no memory [Z38] [L8]", () =>
    Effect.gen(function*() {
      const server = yield* makeServer()
      const zk = yield* ZkClient.make({ hosts: server.connectString })
      const mirror = yield* mirrorOf(zk)
      const one = (i: number) =>
        Effect.scoped(Effect.gen(function*() {
          const node = yield* mirror.node(`/n${i}`)
          // Some go before they have come.
          if (i % 3 !== 0) yield* node.sync
          if (i % 5 === 0) yield* mirror.tree(`/n${i}`)
        }))
      const round = (from: number, count: number) =>
        Effect.forEach(Array.from({ length: count }), (_, i) => one(from + i), { concurrency: 100, discard: true })
      yield* round(0, 2_000)
      const before = yield* heapUsed
      yield* round(2_000, 8_000)
      yield* Effect.repeat(zk.sync(), { times: 3 })
      assert.isBelow((yield* heapUsed) - before, 1_000_000)
      assert.strictEqual(yield* countWatches(server), 0)
      yield* Effect.scoped(Effect.gen(function*() {
        const copies = yield* Effect.forEach(Array.from({ length: 1_000 }), (_, i) => mirror.node(`/n${i}`))
        yield* Effect.forEach(copies, (copy) => copy.sync, { concurrency: 100 })
        // A persistent watch counts twice.
        assert.strictEqual(yield* countWatches(server), 2_000)
      }))
      yield* Effect.repeat(zk.sync(), { times: 3 })
      assert.strictEqual(yield* countWatches(server), 0)
    }), 60_000)
})
