import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Queue from "effect/Queue"
import * as Scope from "effect/Scope"
import { EventType } from "../src/internal/protocol/constants.ts"
import { failsWith } from "./support/failsWith.ts"
import { makeWire, pass } from "./support/fakeClient.ts"
import { err, makeFakeServer } from "./support/fakeServer.ts"
import { JuteReader } from "./support/jute.ts"
import { record } from "./support/watching.ts"

const unimplemented = -6
const throttled = -127

const setUp = Effect.gen(function*() {
  const fake = yield* makeFakeServer
  const { client } = makeWire(fake)
  const zk = yield* client()
  return { fake, zk, event: (type: number, path: string) => Effect.flatMap(fake.current, (at) => at.event(type, path)) }
})

describe("a server that refuses a persistent watch", () => {
  it.effect("leaves the session as it was [PW-10]", () =>
    Effect.gen(function*() {
      const { fake, zk } = yield* setUp
      for (const [code, tag] of [[throttled, "ThrottledOp"], [unimplemented, "Unimplemented"]] as const) {
        yield* fake.once("addWatch", () => err(code))
        assert.strictEqual((yield* failsWith(zk.subscribe("/a", "recursive"), tag)).path, "/a")
        yield* fake.once("addWatch", () => err(code))
        const stream = yield* record(zk.watch("/a", "persistent"))
        yield* failsWith(Fiber.join(stream.fiber), tag)
      }
      yield* zk.getData("/a")
      // Nobody counts as a watcher, so that one-shot watches are asked for.
      const { fired } = yield* zk.getDataWatch("/a")
      yield* (yield* fake.current).event(EventType.dataChanged, "/a")
      assert.strictEqual((yield* fired)._tag, "NodeDataChanged")
      assert.strictEqual(fake.connects.length, 1)
    }))

  for (
    const [list, exists] of [["data", true], ["exist", false]] as const
  ) {
    it.effect(`leaves no read without a watch that had relied on it: ${list} [E11] [PW-10]`, () =>
      Effect.gen(function*() {
        const { event, fake, zk } = yield* setUp
        fake.zxid = 40n
        yield* fake.once("addWatch", () => err(unimplemented))
        yield* fake.once("exists", () => exists ? undefined : err(-101))
        const [, { fired }] = yield* Effect.all([
          failsWith(zk.subscribe("/a", "persistent"), "Unimplemented"),
          zk.existsWatch("/a")
        ], { concurrency: 2 })
        assert.strictEqual(fake.requests.find(({ name }) => name === "exists")?.payload.at(-1), 0, "it did not ask")
        const { payload } = yield* fake.awaitRequest("setWatches")
        const reader = new JuteReader(payload)
        assert.strictEqual(reader.long(), 40n, "from the read on")
        const [data, exist] = [reader.vector((r) => r.ustring()), reader.vector((r) => r.ustring())]
        assert.deepStrictEqual([data, exist], exists ? [["/a"], []] : [[], ["/a"]])
        yield* event(exists ? EventType.dataChanged : EventType.created, "/a")
        assert.strictEqual((yield* fired)._tag, exists ? "NodeDataChanged" : "NodeCreated")
        assert.strictEqual(fake.connects.length, 1)
      }))
  }

  it.effect("in place of a recursive one is left for another connection, which sets what is needed", () =>
    Effect.gen(function*() {
      const { fake, zk } = yield* setUp
      const recursive = yield* Scope.make()
      yield* Scope.provide(zk.subscribe("/a", "recursive"), recursive)
      const persistent = yield* zk.subscribe("/a", "persistent")
      yield* fake.once("addWatch", () => err(throttled))
      const since = fake.requests.length
      yield* Scope.close(recursive, Exit.void)
      yield* fake.awaitRequest("addWatch", { since })
      yield* pass(1_000)
      const { payload } = yield* fake.awaitRequest("setWatches2")
      const reader = new JuteReader(payload)
      reader.long()
      const lists = Array.from({ length: 5 }, () => reader.vector((r) => r.ustring()))
      assert.deepStrictEqual(lists, [[], [], [], ["/a"], []])
      assert.deepStrictEqual(yield* Queue.take(persistent), { _tag: "Reset", reason: "reconnected" })
    }))
})
