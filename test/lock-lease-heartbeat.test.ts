/** What keeps a lease up while something is held: under TestClock, T = 6 seconds. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import * as ZkLock from "../src/ZkLock.ts"
import * as ZkSemaphore from "../src/ZkSemaphore.ts"
import { pass, settle } from "./support/fakeClient.ts"
import { atOnce, leaseRig, watchLoss } from "./support/leasing.ts"

describe("the heartbeat of a session that holds something", () => {
  it.effect("is a transaction of checks, every sixth of the timeout [LEASE-07]", () =>
    Effect.gen(function*() {
      const { heartbeats, withClient, zk } = yield* leaseRig
      const lock = yield* withClient(ZkLock.make("a"))
      const handle = yield* lock.acquire()
      yield* pass(999)
      assert.lengthOf(heartbeats(), 0)
      yield* pass(1)
      assert.deepStrictEqual(heartbeats(), [[handle.path]])
      yield* pass(500)
      yield* zk.create("/x")
      yield* pass(499)
      assert.lengthOf(heartbeats(), 1)
      yield* pass(1)
      assert.lengthOf(heartbeats(), 2)
      yield* pass(60_000)
      assert.lengthOf(heartbeats(), 62)
      assert.isTrue(yield* handle.isHeld)
    }))

  it.effect("is sent whatever else is written: it looks after the nodes too [LEASE-07]", () =>
    Effect.gen(function*() {
      const { heartbeats, withClient, zk } = yield* leaseRig
      const handle = yield* Effect.flatMap(withClient(ZkLock.make("a")), (lock) => lock.acquire())
      for (let i = 0; i < 20; i++) {
        yield* pass(900)
        yield* zk.create(`/x${i}`)
      }
      assert.deepStrictEqual(heartbeats(), Array.from({ length: 18 }, () => [handle.path]))
      assert.isTrue(yield* handle.isHeld)
    }))

  it.effect("is one for all locks and permits, whoever holds them [LEASE-08]", () =>
    Effect.gen(function*() {
      const { heartbeats, nodes, withClient } = yield* leaseRig
      const a = yield* Effect.flatMap(withClient(ZkLock.make("a")), (lock) => lock.acquire())
      const b = yield* Effect.flatMap(withClient(ZkLock.makeReadWrite("b")), ({ read }) => read.acquire())
      const again = yield* Effect.flatMap(withClient(ZkLock.makeReadWrite("b")), ({ read }) => read.acquire())
      const semaphore = yield* withClient(ZkSemaphore.make("s", { permits: 5 }))
      const permits = yield* semaphore.acquire(2)
      yield* settle
      yield* pass(1_000)
      assert.lengthOf(permits.paths, 2)
      assert.deepStrictEqual(heartbeats(), [[a.path, b.path, again.path, ...permits.paths]])
      assert.includeMembers([...nodes.paths()], [...heartbeats()[0] ?? []])
    }))

  it.effect("goes with the last that is held: nothing is sent after that [LEASE-09]", () =>
    Effect.gen(function*() {
      const { fake, heartbeats, withClient } = yield* leaseRig
      const a = yield* withClient(ZkLock.make("a"))
      const b = yield* withClient(ZkLock.make("b"))
      yield* Effect.scoped(Effect.andThen(a.acquire(), pass(3_000)))
      assert.lengthOf(heartbeats(), 3)
      const scope = yield* Scope.make()
      yield* Scope.provide(a.acquire(), scope)
      const held = yield* b.acquire()
      yield* pass(1_000)
      assert.lengthOf(heartbeats(), 4)
      yield* Scope.close(scope, Exit.void)
      yield* pass(1_000)
      assert.deepStrictEqual(heartbeats().at(-1), [held.path])
      assert.isTrue(yield* held.release)
      yield* settle
      const since = fake.requests.length
      yield* pass(60_000, 100)
      assert.deepStrictEqual(fake.requests.slice(since).filter(({ name }) => name !== "ping"), [])
      // It begins anew with what is held next.
      yield* atOnce(a.acquire())
      yield* pass(1_000)
      assert.lengthOf(heartbeats(since), 1)
    }))

  it.effect("is not sent by those who wait, and not for what was lost [LEASE-09]", () =>
    Effect.gen(function*() {
      const { heartbeats, nodes, withClient } = yield* leaseRig
      const other = "/locks/a/_c_other-lock-0000000000"
      yield* nodes.add(other)
      const a = yield* withClient(ZkLock.make("a"))
      yield* Effect.forkScoped(Effect.ignore(a.acquire()), { startImmediately: true })
      yield* pass(10_000)
      assert.lengthOf(heartbeats(), 0)
      const b = yield* Effect.flatMap(withClient(ZkLock.make("b")), (lock) => lock.acquire())
      yield* nodes.remove(b.path)
      yield* settle
      assert.isFalse(yield* b.isHeld)
      yield* pass(10_000)
      assert.lengthOf(heartbeats(), 0)
    }))

  it.effect(
    "checks a thousand nodes at once, and of more the next ones in turn [LEASE-10]",
    () =>
      Effect.gen(function*() {
        const { heartbeats, nodes, withClient } = yield* leaseRig
        const acquire = (i: number) => Effect.flatMap(withClient(ZkLock.make(`/l/${i}`)), (lock) => lock.acquire())
        const handles = yield* Effect.forEach(Array.from({ length: 1_100 }, (_, i) => i), acquire, { concurrency: 50 })
        const all = new Set(handles.map(({ path }) => path))
        yield* pass(3_000, 100)
        assert.deepStrictEqual(heartbeats().map((paths) => paths.length), [1000, 100, 1000])
        assert.deepStrictEqual(new Set(heartbeats().slice(0, 2).flat()), all)
        // One that vanishes unseen is found within two heartbeats.
        const last = heartbeats()[1]?.[99] ?? ""
        const victim = handles.find(({ path }) => path === last)
        yield* nodes.removeSilently(last)
        yield* pass(2_000, 100)
        assert.isFalse(yield* victim?.isHeld ?? Effect.succeed(true))
        const held = yield* Effect.forEach(handles, (handle) => handle.isHeld)
        assert.lengthOf(held.filter((isHeld) => !isHeld), 1)
      }),
    60_000
  )

  it.effect("that finds a node missing costs its lock, and no other [LEASE-11]", () =>
    Effect.gen(function*() {
      const { fake, heartbeats, nodes, withClient } = yield* leaseRig
      const handles = yield* Effect.forEach(["a", "b", "c"], (name) =>
        Effect.flatMap(withClient(ZkLock.make(name)), (lock) => lock.acquire()))
      const lost = yield* Effect.forEach(handles, watchLoss)
      const [a, b, c] = handles
      yield* nodes.removeSilently(b?.path ?? "")
      yield* pass(999)
      assert.deepStrictEqual(
        lost.map((reason) =>
          reason()
        ),
        [undefined, undefined, undefined]
      )
      yield* pass(1)
      assert.deepStrictEqual(lost.map((reason) => reason()), [undefined, "removed", undefined])
      const since = fake.requests.length
      yield* pass(10_000)
      assert.deepStrictEqual(heartbeats(since), Array.from({ length: 10 }, () => [a?.path, c?.path] as Array<string>))
      assert.deepStrictEqual(lost.map((reason) => reason()), [undefined, "removed", undefined])
    }))

  it.effect("that may not read a node proves the session all the same, for all that is held [LEASE-11]", () =>
    Effect.gen(function*() {
      const { heartbeats, nodes, withClient } = yield* leaseRig
      const handles = yield* Effect.forEach(
        ["a", "b"],
        (name) => Effect.flatMap(withClient(ZkLock.make(name)), (lock) => lock.acquire())
      )
      const lost = yield* Effect.forEach(handles, watchLoss)
      nodes.unreadable.add(handles[0]?.path ?? "")
      yield* pass(20_000)
      assert.deepStrictEqual(lost.map((reason) => reason()), [undefined, undefined])
      assert.isAtMost(heartbeats().length, 25)
    }))

  it.effect("goes on after what passes by itself, as soon as there is a connection again [LEASE-12]", () =>
    Effect.gen(function*() {
      const { fake, heartbeats, nodes, states, throttle, withClient } = yield* leaseRig
      const handle = yield* Effect.flatMap(withClient(ZkLock.make("a")), (lock) => lock.acquire())
      yield* throttle
      yield* pass(2_000)
      // A few tries a second, no tight loop.
      assert.strictEqual(heartbeats().length, 5)
      yield* fake.on("multi", nodes.answer)
      yield* pass(1_000)
      // Cut off with the answer to a heartbeat: the next one follows on the next connection.
      yield* fake.once("multi", () => ({ type: "close" }))
      yield* pass(1_000)
      yield* states.await("Suspended")
      yield* pass(500)
      yield* states.await("Connected", { since: 1 })
      const since = fake.requests.length
      yield* pass(10_000)
      assert.isAtLeast(heartbeats(since).length, 9)
      assert.isTrue(yield* handle.isHeld)
    }))

  it.effect("never rests for longer than the margin allows for, however slow the answers [LEASE-07]", () =>
    Effect.gen(function*() {
      const { fake, isHeartbeat, nodes, withClient } = yield* leaseRig
      const handle = yield* Effect.flatMap(withClient(ZkLock.make("a")), (lock) => lock.acquire())
      const sent: Array<number> = []
      let now = 0
      yield* fake.on("multi", (request) => {
        if (isHeartbeat(request)) sent.push(now)
        return Effect.map(Effect.sleep("800 millis"), () => nodes.answer(request))
      })
      for (now = 0; now < 20_000; now += 50) yield* pass(50)
      const gaps = sent.slice(1).map((time, i) => time - (sent[i] ?? 0))
      assert.deepStrictEqual([...new Set(gaps)], [1000])
      assert.isTrue(yield* handle.isHeld)
    }))
})
