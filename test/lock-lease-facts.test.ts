/** What a lease knows at once, without a timer: its session's end, its session's timeout, and the time. T = 6 seconds. */
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import { Hold, makeHeldNode } from "../src/internal/recipes/hold.ts"
import * as ZkLock from "../src/ZkLock.ts"
import * as ZkSemaphore from "../src/ZkSemaphore.ts"
import { failsWith } from "./support/failsWith.ts"
import { pass, settle } from "./support/fakeClient.ts"
import { leaseRig, watchLoss } from "./support/leasing.ts"
import { on } from "./support/locking.ts"

/** Servers that let nobody watch a node: of its end nobody is told. */
const unwatched = Effect.tap(leaseRig, ({ fake }) => fake.on("getData", () => ({ type: "reply", err: -102 })))

describe("the end of a session counts at once", () => {
  it.effect("when its client is being closed, whatever the servers say to that [LOCK-END1]", () =>
    Effect.gen(function*() {
      const { fake, wire } = yield* unwatched
      const scope = yield* Scope.make()
      const zk = yield* Scope.provide(wire.client(), scope)
      const handle = yield* Effect.flatMap(on(zk)(ZkLock.make("a")), (lock) => lock.acquire())
      const multi = yield* on(zk)(ZkLock.make("b")).pipe(
        Effect.flatMap((lock) => ZkLock.makeMulti([lock])),
        Effect.flatMap((lock) => lock.acquire())
      )
      assert.deepStrictEqual([yield* handle.isHeld, yield* multi.isHeld], [true, true])
      yield* fake.on("closeSession", () => ({ type: "silence" }))
      const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void), { startImmediately: true })
      // No time passes: the server has the request, and has said nothing to it.
      yield* fake.awaitRequest("closeSession")
      assert.isUndefined(closing.pollUnsafe())
      assert.deepStrictEqual([yield* handle.isHeld, yield* multi.isHeld], [false, false])
      assert.strictEqual((yield* failsWith(handle.guard([]), "LockLost")).reason, "closed")
      assert.strictEqual((yield* failsWith(handle.use(Effect.void), "LockLost")).reason, "closed")
      yield* pass(3_000)
      yield* Fiber.join(closing)
    }))

  it.effect("when it is known to be over, long ahead of the lease and of the next heartbeat [LOCK-END1]", () =>
    Effect.gen(function*() {
      const { fake, heartbeats, states, withClient } = yield* unwatched
      const handle = yield* Effect.flatMap(withClient(ZkLock.make("a")), (lock) => lock.acquire())
      yield* fake.awaitRequest("getData")
      yield* settle
      yield* fake.onConnect(({ request }) => request.sessionId === 0n ? { type: "accept" } : { type: "expired" })
      yield* (yield* fake.current).close
      const begun = yield* Clock.currentTimeMillis
      while (!states.tags().includes("Expired")) {
        assert.isTrue(yield* handle.isHeld)
        yield* pass(10)
      }
      assert.isBelow((yield* Clock.currentTimeMillis) - begun, 1_000)
      assert.lengthOf(heartbeats(), 0)
      assert.isFalse(yield* handle.isHeld)
      assert.strictEqual((yield* failsWith(handle.guard([]), "LockLost")).reason, "expired")
    }))
})

describe("a session timeout that a new connection has made shorter", () => {
  // A lease of this is over after a sixth, a quarter and a hundredth less than that.
  const shorter = 1_200
  const reconnect = Effect.fnUntraced(function*({ fake, states }: Effect.Success<typeof leaseRig>) {
    yield* fake.onConnect(() => ({ type: "accept", timeout: shorter }))
    const since = states.tags().length
    yield* (yield* fake.current).close
    while (!states.tags().slice(since).includes("Connected")) yield* pass(10)
  })

  it.effect("brings the next heartbeat as early as that asks for: nothing is lost [LOCK-SHORT1]", () =>
    Effect.gen(function*() {
      const rig = yield* leaseRig
      const handle = yield* Effect.flatMap(rig.withClient(ZkLock.make("a")), (lock) => lock.acquire())
      const lost = yield* watchLoss(handle)
      // Those who see to the lease have gone to sleep by the old timeout.
      yield* pass(20)
      const begun = yield* Clock.currentTimeMillis
      yield* reconnect(rig)
      assert.lengthOf(rig.heartbeats(), 0)
      while (rig.heartbeats().length === 0) yield* pass(10)
      assert.isAtMost((yield* Clock.currentTimeMillis) - begun, 400)
      for (let i = 0; i < 100; i++) {
        yield* pass(50)
        assert.isTrue(yield* handle.isHeld)
      }
      assert.isUndefined(lost())
      assert.isAtLeast(rig.heartbeats().length, 5_000 / 400)
    }))

  it.effect("ends what nobody confirms as early as that, and those who hold it are told [LOCK-SHORT1]", () =>
    Effect.gen(function*() {
      const rig = yield* leaseRig
      const acquired = yield* Clock.currentTimeMillis
      const handle = yield* Effect.flatMap(rig.withClient(ZkLock.make("a")), (lock) => lock.acquire())
      const lost = yield* watchLoss(handle)
      yield* pass(20)
      yield* rig.throttle
      yield* reconnect(rig)
      const end = acquired + shorter - shorter / 6 - shorter / 4 - shorter / 100
      yield* pass(end - (yield* Clock.currentTimeMillis) - 1, 10)
      assert.isUndefined(lost())
      while (lost() === undefined) yield* pass(10)
      assert.strictEqual(lost(), "lease")
      assert.isAtMost((yield* Clock.currentTimeMillis) - end, 200)
    }))

  it.effect("counts as soon as there is the connection, for a lease that is over by it [LOCK-SHORT1]", () =>
    Effect.gen(function*() {
      const rig = yield* leaseRig
      const handle = yield* Effect.flatMap(rig.withClient(ZkLock.make("a")), (lock) => lock.acquire())
      const lost = yield* watchLoss(handle)
      yield* pass(950)
      yield* rig.throttle
      assert.isTrue(yield* handle.isHeld)
      yield* reconnect(rig)
      assert.isFalse(yield* handle.isHeld)
      yield* settle
      assert.strictEqual(lost(), "lease")
    }))
})

describe("a machine that slept", () => {
  it.effect("knows of it at the next look, however shortly after the last [LOCK-NAP1]", () =>
    Effect.gen(function*() {
      const { boot, withClient } = yield* leaseRig
      const handle = yield* Effect.flatMap(withClient(ZkLock.make("a")), (lock) => lock.acquire())
      const permits = yield* withClient(ZkSemaphore.make("/s", { permits: 1 })).pipe(
        Effect.flatMap((semaphore) => semaphore.acquire())
      )
      yield* pass(150)
      assert.deepStrictEqual([yield* handle.isHeld, yield* permits.isHeld], [true, true])
      boot.seconds += 3_600
      // In the same millisecond of the clock that stood still meanwhile.
      assert.deepStrictEqual([yield* handle.isHeld, yield* permits.isHeld], [false, false])
      assert.strictEqual((yield* failsWith(handle.guard([]), "LockLost")).reason, "lease")
    }))
})

describe("a hold that was lost before its lease began", () => {
  it.effect("starts nothing: no heartbeat goes out with nothing held [LOCK-GRANT1]", () =>
    Effect.gen(function*() {
      const { heartbeats, zk } = yield* leaseRig
      const session = yield* zk.session
      const context = yield* Effect.context<never>()
      const hold = (path: string) =>
        Effect.map(makeHeldNode(session, path), (node) =>
          new Hold({ session, path: "/a", kind: "exclusive", nodes: [node], halfTick: undefined, context }))
      const lost = yield* hold("/a/lost")
      const held = yield* hold("/a/held")
      yield* zk.create("/a/held")
      lost.lose("removed")
      yield* lost.start
      yield* pass(3_000)
      assert.deepStrictEqual(heartbeats(), [])
      // One that is held does start it.
      yield* held.start
      yield* pass(200)
      assert.deepStrictEqual(heartbeats(), [["/a/held"]])
      held.lose("removed")
    }))
})
