import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as ZkClient from "../src/ZkClient.ts"
import { connectRaw } from "./support/rawClient.ts"
import { freshPath, freshRoot, shared } from "./support/shared.ts"

describe("order", () => {
  it.live(
    "an event comes ahead of every read that shows what it tells of, 10 000 times [K59] [W-07] [E8]",
    () =>
      Effect.gen(function*() {
        const { connectString, port } = yield* shared
        const zk = yield* ZkClient.make({ hosts: connectString })
        const writer = yield* connectRaw({ port })
        const root = yield* freshRoot
        const nodes = 100
        const paths = Array.from({ length: nodes }, (_, i) => `${root}/${i}`)
        for (const path of paths) yield* writer.create(path)
        let cycles = 0
        /** Reads over and over while others write; whoever sees a new version must have heard of it before. */
        const watch = (path: string) =>
          Effect.scoped(Effect.gen(function*() {
            const { fired, result } = yield* zk.getDataWatch(path)
            let heard = false
            const listening = yield* Effect.forkChild(
              Effect.tap(fired, () => Effect.sync(() => void (heard = true))),
              { startImmediately: true }
            )
            let { version } = result.stat
            while (version === result.stat.version) {
              const before = heard
              version = (yield* zk.getData(path)).stat.version
              if (version !== result.stat.version) assert.isTrue(heard, `${path} was read anew ahead of its event`)
              else assert.isFalse(before, `${path}: the event came ahead of what it tells of`)
            }
            yield* Fiber.join(listening)
            cycles++
            return version
          }))
        const perNode = 10_000 / nodes
        const reading = yield* Effect.forkChild(Effect.forEach(
          paths,
          (path) => Effect.repeat(watch(path), { times: perNode - 1 }),
          { concurrency: nodes, discard: true }
        ))
        // The writer waits for nobody, so that changes fall into all moments of a cycle.
        while (reading.pollUnsafe() === undefined) {
          yield* Effect.forEach(paths, (path) => writer.setData(path, "x"), { concurrency: nodes })
        }
        yield* Fiber.join(reading)
        assert.strictEqual(cycles, 10_000)
      }),
    60_000
  )

  it.live("an event that follows the answer at once finds its watch there [E8]", () =>
    Effect.gen(function*() {
      const { connectString } = yield* shared
      const zk = yield* ZkClient.make({ hosts: connectString })
      const path = yield* freshPath
      yield* zk.create(path)
      for (let i = 0; i < 200; i++) {
        // Written together: the event is right behind the answer that leaves the watch, often in the same packet.
        const [{ fired }] = yield* Effect.all([zk.getDataWatch(path), zk.setData(path, String(i))], { concurrency: 2 })
        assert.strictEqual((yield* fired)._tag, "NodeDataChanged")
      }
    }))
})
