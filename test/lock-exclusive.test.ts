import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as ZkLock from "../src/ZkLock.ts"
import { lockClient, on, queueUp, twoClients } from "./support/locking.ts"
import { makeProxy } from "./support/proxy.ts"
import { freshPath, shared } from "./support/shared.ts"

describe("an exclusive lock", () => {
  it.live("costs four requests when nobody else wants it", () =>
    Effect.gen(function*() {
      const { port } = yield* shared
      const proxy = yield* makeProxy(port)
      const zk = yield* lockClient({ hosts: proxy.connectString })
      const name = yield* freshPath
      const lock = yield* on(zk)(ZkLock.make(name))
      yield* lock.withLock(Effect.void)
      const since = yield* proxy.position
      yield* lock.withLock(Effect.void)
      const stats = yield* proxy.stats(since)
      console.log(stats.ops)
      assert.isAtMost(stats.requests, 4)
    }))

  it.live("is handed over in the order in which it was asked for", () =>
    Effect.gen(function*() {
      const { a, b, name } = yield* twoClients
      const ours = yield* on(a)(ZkLock.make(name))
      const theirs = yield* on(b)(ZkLock.make(name))
      const order: Array<string> = []
      const first = yield* ours.acquire()
      const turn = (who: string) => Effect.sync(() => order.push(who))
      const second = yield* queueUp(a, name, 2, theirs.withLock(turn("b")))
      const third = yield* queueUp(a, name, 3, ours.withLock(turn("a")))
      assert.deepStrictEqual((yield* ours.contenders).map((c) => c.isHolder), [true, false, false])
      assert.isTrue(yield* first.release)
      yield* Fiber.join(second)
      yield* Fiber.join(third)
      assert.deepStrictEqual(order, ["b", "a"])
      assert.isFalse(yield* ours.isLocked)
      assert.isFalse(yield* first.release)
    }).pipe(Effect.scoped))

  it.live("tries once, waits for a time, tells who has lost it", () =>
    Effect.gen(function*() {
      const { a, b, name } = yield* twoClients
      const ours = yield* on(a)(ZkLock.make(name))
      const theirs = yield* on(b)(ZkLock.make(name))
      const held = yield* ours.acquire()
      assert.isTrue(Option.isNone(yield* theirs.tryAcquire()))
      const error = yield* Effect.flip(theirs.acquireTimeout("200 millis"))
      assert.strictEqual(error._tag, "LockTimeout")
      assert.strictEqual((yield* ours.contenders).length, 1)
      const taken = yield* theirs.tryAcquire({ revoke: "immediate" })
      const lost = yield* Effect.flip(held.lost)
      assert.strictEqual(lost.reason, "removed")
      assert.isTrue(Option.isSome(taken))
      const guarded = yield* Effect.flip(held.guard([]))
      assert.strictEqual(guarded._tag, "LockLost")
      const again = Option.getOrThrow(taken)
      assert.isTrue(again.fencingToken > held.fencingToken)
      yield* again.guard([])
      const done = yield* Deferred.make<void>()
      const fiber = yield* Effect.forkChild(again.use(Effect.andThen(Deferred.succeed(done, undefined), Effect.never)))
      yield* Deferred.await(done)
      assert.strictEqual(yield* ours.clear, 1)
      const failure = yield* Effect.flip(Fiber.join(fiber))
      assert.strictEqual(failure._tag, "LockLost")
    }).pipe(Effect.scoped))

  it.live("reads and writes", () =>
    Effect.gen(function*() {
      const { a, b, name } = yield* twoClients
      const ours = yield* on(a)(ZkLock.makeReadWrite(name))
      const theirs = yield* on(b)(ZkLock.makeReadWrite(name))
      const r1 = yield* ours.read.acquire()
      const r2 = yield* theirs.read.acquire()
      const writer = yield* queueUp(a, name, 3, theirs.write.acquire())
      const r3 = yield* queueUp(a, name, 4, ours.read.acquire())
      yield* r1.release
      yield* r2.release
      const w = yield* Fiber.join(writer)
      assert.isTrue(yield* w.isHeld)
      const shared = yield* w.downgrade
      assert.isFalse(yield* w.isHeld)
      assert.isTrue(yield* shared.isHeld)
      assert.strictEqual(shared.fencingToken, w.fencingToken)
      const third = yield* Fiber.join(r3)
      assert.isTrue(yield* third.isHeld)
      yield* shared.guard([])
    }).pipe(Effect.scoped))

  it.live("asks to give way", () =>
    Effect.gen(function*() {
      const { a, b, name } = yield* twoClients
      const ours = yield* on(a)(ZkLock.make(name))
      const theirs = yield* on(b)(ZkLock.make(name, { owner: { who: "b" } }))
      const holder = yield* Effect.forkChild(
        ours.withLock((handle) => handle.revocationRequested)
      )
      yield* Effect.sleep(100)
      yield* theirs.withLock(Effect.void, { revoke: "request" })
      const { by } = yield* Fiber.join(holder)
      assert.strictEqual(by.length, 1)
      const nested = yield* Effect.flip(ours.withLock(ours.withLock(Effect.void)))
      assert.strictEqual(nested._tag, "LockNotAcquired")
    }).pipe(Effect.scoped))
})
