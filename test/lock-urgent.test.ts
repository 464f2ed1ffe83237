/** Heartbeats go ahead of what their own client has asked for and that waits for its turn: T = 6 seconds. */
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type { Options } from "../src/ZkConfig.ts"
import * as ZkLock from "../src/ZkLock.ts"
import { failsWith } from "./support/failsWith.ts"
import { pass, settle } from "./support/fakeClient.ts"
import { leaseRig, watchLoss } from "./support/leasing.ts"
import { on } from "./support/locking.ts"

/** A lock of a client with few requests under way at a time. */
const rig = (options: Options) =>
  Effect.gen(function*() {
    const base = yield* leaseRig
    const zk = yield* base.wire.client(options)
    const handle = yield* Effect.flatMap(on(zk)(ZkLock.make("a")), (lock) => lock.acquire())
    // What is read when a lock is granted is over.
    yield* settle
    return { ...base, handle, zk }
  })

describe("a heartbeat", () => {
  it.effect("overtakes a backlog that takes longer than the lease, each time, and nothing else does [LOCK-URGENT1]", () =>
    Effect.gen(function*() {
      const { fake, handle, heartbeats, nodes, zk } = yield* rig({ maxInFlight: 2, requestTimeout: "1 minute" })
      const lost = yield* watchLoss(handle)
      // Two at a time, fifty milliseconds each: eight seconds in all. The lease is three and a half.
      yield* fake.on(
        "any",
        (request) =>
          request.name === "ping" ? undefined : Effect.map(Effect.sleep("50 millis"), () => nodes.answer(request))
      )
      const paths = Array.from({ length: 320 }, (_, i) => `/n${i}`)
      const since = fake.requests.length
      const reading = yield* Effect.forkChild(
        Effect.forEach(paths, (path) => Effect.ignore(zk.exists(path)), { concurrency: "unbounded", discard: true }),
        { startImmediately: true }
      )
      const begun = yield* Clock.currentTimeMillis
      yield* settle
      const asked = () => fake.requests.slice(since).filter(({ name }) => name === "exists")
      assert.isAtMost(asked().length, 2)
      while (heartbeats(since).length === 0) {
        yield* pass(50)
        assert.isBelow((yield* Clock.currentTimeMillis) - begun, 1_500)
      }
      // Most of the backlog is still to come.
      assert.isBelow(asked().length, 100)
      let steps = 0
      while (reading.pollUnsafe() === undefined && steps++ < 400) yield* pass(50)
      assert.isDefined(reading.pollUnsafe())
      assert.isAtLeast((yield* Clock.currentTimeMillis) - begun, 7_000)
      assert.isUndefined(lost())
      assert.isTrue(yield* handle.isHeld)
      // Everybody else has been served in the order of asking.
      assert.deepStrictEqual(asked().map(({ path }) => path), paths)
      assert.isAtLeast(heartbeats(since).length, 5)
      yield* fake.on("any", nodes.answer)
    }))

  it.effect("that waits to be sent itself keeps no request behind it from timing out in time [LOCK-URGENT2]", () =>
    Effect.gen(function*() {
      const { fake, handle, heartbeats, nodes, zk } = yield* rig({ maxInFlight: 1, requestTimeout: "1500 millis" })
      yield* fake.on("exists", () => ({ type: "silence" }))
      const since = fake.requests.length
      const ask = (path: string) =>
        Effect.gen(function*() {
          const begun = yield* Clock.currentTimeMillis
          yield* failsWith(zk.exists(path), "OperationTimeout")
          return (yield* Clock.currentTimeMillis) - begun
        })
      const asking = yield* Effect.forEach(
        ["/sent", "/next", "/last"],
        (path) => Effect.forkChild(ask(path), { startImmediately: true })
      )
      yield* settle
      // The heartbeat is asked for after a second, and goes to the head of those who wait.
      yield* pass(1_300)
      const late = yield* Effect.forkChild(ask("/late"), { startImmediately: true })
      yield* pass(200, 50)
      assert.deepStrictEqual(asking.map((fiber) => fiber.pollUnsafe() !== undefined), [true, true, true])
      assert.deepStrictEqual(yield* Effect.forEach(asking, Fiber.join), [1_500, 1_500, 1_500])
      assert.isUndefined(late.pollUnsafe())
      yield* pass(1_300, 50)
      assert.strictEqual(yield* Fiber.join(late), 1_500)
      assert.lengthOf(heartbeats(since), 0)
      assert.lengthOf(fake.requests.slice(since).filter(({ name }) => name === "exists"), 1)
      yield* pass(2_000)
      assert.isFalse(yield* handle.isHeld)
      yield* fake.on("exists", nodes.answer)
      yield* (yield* fake.current).close
      yield* pass(1_000)
    }))
})
