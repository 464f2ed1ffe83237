/** What ends a lock that is held, when, and who is told: under TestClock, T = 6 seconds. */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import * as Metric from "effect/Metric"
import * as References from "effect/References"
import * as Scope from "effect/Scope"
import * as ZkLock from "../src/ZkLock.ts"
import { failsWith } from "./support/failsWith.ts"
import { pass, settle } from "./support/fakeClient.ts"
import { endsIn, leaseRig, leaseTime, watchLoss } from "./support/leasing.ts"
import { on } from "./support/locking.ts"

/** What is logged from here on. */
const recordLogs = () => {
  const lines: Array<{ readonly level: string; readonly text: string; readonly session: unknown }> = []
  const logger = Logger.make<unknown, void>(({ fiber, logLevel, message }) => {
    const session = fiber.getRef(References.CurrentLogAnnotations)["zookeeper.session"]
    lines.push({ level: logLevel, text: String(message), session })
  })
  return { lines, layer: Logger.layer([logger]) }
}

const lostCount = Effect.map(
  Metric.snapshot,
  (metrics) => {
    const found = metrics.find(({ id }) => id === "zookeeper_locks_lost")
    return found?.state !== undefined && "count" in found.state ? Number(found.state.count) : 0
  }
)

describe("a lock that is held is lost", () => {
  it.effect("when its node is deleted, as soon as that is heard of [LEASE-13]", () =>
    Effect.gen(function*() {
      const { nodes, withClient } = yield* leaseRig
      const a = yield* Effect.flatMap(withClient(ZkLock.make("a")), (lock) => lock.acquire())
      const b = yield* Effect.flatMap(withClient(ZkLock.make("b")), (lock) => lock.acquire())
      const lost = yield* watchLoss(a)
      yield* nodes.remove(a.path)
      yield* settle
      assert.strictEqual(lost(), "removed")
      assert.isFalse(yield* a.isHeld)
      assert.strictEqual((yield* failsWith(a.guard([]), "LockLost")).reason, "removed")
      assert.isTrue(yield* b.isHeld)
    }))

  it.effect("when the servers say that the session is over [LEASE-13]", () =>
    Effect.gen(function*() {
      const { fake, states, withClient } = yield* leaseRig
      const handle = yield* Effect.flatMap(withClient(ZkLock.make("a")), (lock) => lock.acquire())
      const lost = yield* watchLoss(handle)
      yield* fake.onConnect(({ request }) => request.sessionId === 0n ? { type: "accept" } : { type: "expired" })
      yield* (yield* fake.current).close
      yield* pass(500)
      yield* states.await("Expired")
      assert.strictEqual(lost(), "expired")
      // What it stands on does not come back with the next session.
      yield* states.await("Connected", { since: 1 })
      assert.isFalse(yield* handle.isHeld)
      assert.strictEqual((yield* failsWith(handle.use(Effect.void), "LockLost")).reason, "expired")
    }))

  it.effect("when the client is closed [LEASE-13]", () =>
    Effect.gen(function*() {
      const { wire } = yield* leaseRig
      const scope = yield* Scope.make()
      const zk = yield* Scope.provide(wire.client(), scope)
      const lock = yield* on(zk)(ZkLock.make("a"))
      const handle = yield* lock.acquire()
      const lost = yield* watchLoss(handle)
      yield* Scope.close(scope, Exit.void)
      yield* settle
      assert.strictEqual(lost(), "closed")
      assert.isFalse(yield* handle.isHeld)
      assert.isFalse(yield* handle.release)
    }))

  it.effect("at once when the connection is, if that is asked for, and else not [LEASE-14]", () =>
    Effect.gen(function*() {
      const { fake, states, withClient } = yield* leaseRig
      const patient = yield* Effect.flatMap(withClient(ZkLock.make("a")), (lock) => lock.acquire())
      const wary = yield* Effect.flatMap(
        withClient(ZkLock.make("b", { lostOn: "suspended" })),
        (lock) => lock.acquire()
      )
      const lost = yield* Effect.forEach([patient, wary], watchLoss)
      yield* pass(3_000)
      assert.deepStrictEqual(lost.map((reason) => reason()), [undefined, undefined])
      yield* (yield* fake.current).close
      yield* settle
      yield* states.await("Suspended")
      assert.deepStrictEqual(lost.map((reason) => reason()), [undefined, "suspended"])
      assert.isTrue(yield* patient.isHeld)
      assert.isFalse(yield* wary.isHeld)
      yield* pass(10_000)
      assert.deepStrictEqual(lost.map((reason) => reason()), [undefined, "suspended"])
    }))

  it.effect("at the end of its lease when no connection comes, ahead of the session's end [LEASE-14]", () =>
    Effect.gen(function*() {
      const { fake, states, wire, withClient } = yield* leaseRig
      const handle = yield* Effect.flatMap(withClient(ZkLock.make("a")), (lock) => lock.acquire())
      wire.dead.add("zk:2181")
      yield* (yield* fake.current).close
      yield* endsIn(leaseTime, handle)
      assert.deepStrictEqual(states.tags(), ["Connected", "Suspended"])
      yield* pass(6_000)
      yield* states.await("Expired")
      assert.strictEqual((yield* failsWith(handle.guard([]), "LockLost")).reason, "lease")
    }))

  it.effect("but is not lost by being released, in its scope or ahead of its end [LEASE-15]", () =>
    Effect.gen(function*() {
      const { nodes, states, withClient, fake } = yield* leaseRig
      const { layer, lines } = recordLogs()
      yield* Effect.gen(function*() {
        const before = yield* lostCount
        const lock = yield* withClient(ZkLock.make("a"))
        const scoped = yield* Effect.scoped(lock.acquire())
        const released = yield* lock.acquire()
        const lost = yield* Effect.forEach([scoped, released], watchLoss)
        assert.isTrue(yield* released.release)
        assert.notInclude(nodes.paths(), released.path)
        yield* pass(10_000, 100)
        yield* fake.onConnect(({ request }) => request.sessionId === 0n ? { type: "accept" } : { type: "expired" })
        yield* (yield* fake.current).close
        yield* pass(1_000)
        yield* states.await("Expired")
        assert.deepStrictEqual(lost.map((reason) => reason()), [undefined, undefined])
        assert.strictEqual((yield* failsWith(released.guard([]), "LockLost")).reason, "released")
        assert.strictEqual(yield* lostCount, before)
      }).pipe(Effect.provide(layer))
      assert.deepStrictEqual(lines.filter(({ text }) => text.includes("lost")), [])
    }))

  it.effect("once: one warning with its session, one more in the count of lost locks, one status [LEASE-16]", () =>
    Effect.gen(function*() {
      const { layer, lines } = recordLogs()
      yield* Effect.gen(function*() {
        const { fake, nodes, withClient, zk } = yield* leaseRig
        const before = yield* lostCount
        const statuses: Array<string> = []
        const lock = yield* withClient(ZkLock.make("a"))
        const handle = yield* lock.acquire({
          onStatus: (status) =>
            Effect.sync(() => void statuses.push(status._tag === "Lost" ? `Lost ${status.reason}` : status._tag))
        })
        const other = yield* Effect.flatMap(withClient(ZkLock.make("b")), (lock) => lock.acquire())
        const { sessionId } = yield* zk.session
        yield* nodes.remove(handle.path)
        yield* settle
        yield* fake.on("multi", () => ({ type: "silence" }))
        yield* endsIn(leaseTime, other)
        yield* handle.release
        yield* settle
        assert.deepStrictEqual(statuses, ["Held", "Lost removed"])
        assert.strictEqual((yield* lostCount) - before, 2)
        const session = `0x${sessionId.toString(16)}`
        assert.deepStrictEqual(
          lines.filter(({ level }) => level === "Warn"),
          [
            { level: "Warn", text: "/locks/a: lost: its node was deleted by somebody else", session },
            {
              level: "Warn",
              text: "/locks/b: lost: no server has confirmed the session for too long; another may hold it by now",
              session
            }
          ]
        )
      }).pipe(Effect.provide(layer), Effect.scoped)
    }))

  it.effect("and its node is removed with its scope, for the session may live [LEASE-17]", () =>
    Effect.gen(function*() {
      const { fake, nodes, withClient } = yield* leaseRig
      const lock = yield* withClient(ZkLock.make("a"))
      const done = yield* Deferred.make<void>()
      const holding = yield* Effect.forkChild(
        Effect.scoped(Effect.andThen(lock.acquire(), Deferred.await(done))),
        { startImmediately: true }
      )
      yield* settle
      yield* fake.on("multi", () => ({ type: "reply", err: -127 }))
      yield* pass(leaseTime)
      assert.lengthOf(nodes.paths(), 1)
      yield* Deferred.succeed(done, undefined)
      yield* Fiber.join(holding)
      assert.lengthOf(nodes.paths(), 0)
    }))
})

describe("a process that was stopped", () => {
  it.effect("finds its locks lost by the clock, before any timer has run [LEASE-18]", () =>
    Effect.gen(function*() {
      const { boot, fake, withClient } = yield* leaseRig
      const handle = yield* Effect.flatMap(withClient(ZkLock.make("a")), (lock) => lock.acquire())
      const lost = yield* watchLoss(handle)
      assert.isTrue(yield* handle.isHeld)
      yield* pass(200)
      const since = fake.requests.length
      // The machine sleeps for four seconds; no timer goes off. (The clock that counts them is asked ten times a second.)
      boot.seconds += 4.2
      assert.isFalse(yield* handle.isHeld)
      assert.strictEqual((yield* failsWith(handle.guard([]), "LockLost")).reason, "lease")
      let steps = 0
      assert.strictEqual(
        (yield* failsWith(handle.use(Effect.sync(() => void steps++)), "LockLost")).reason,
        "lease"
      )
      assert.strictEqual(steps, 0)
      yield* settle
      assert.strictEqual(lost(), "lease")
      assert.lengthOf(fake.requests.slice(since), 0)
    }))
})
