/** How long a lock may be believed to be held: under TestClock, T = 6 seconds. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import * as ZkLock from "../src/ZkLock.ts"
import * as ZkTransaction from "../src/ZkTransaction.ts"
import { failsWith } from "./support/failsWith.ts"
import { pass, settle } from "./support/fakeClient.ts"
import type { FakeRequest } from "./support/fakeScript.ts"
import { atOnce, endsIn, leaseRig, leaseTime, watchLoss } from "./support/leasing.ts"

describe("a lease", () => {
  it.effect("ends a session timeout, less the margin, after the newest answered write was sent [LEASE-01]", () =>
    Effect.gen(function*() {
      const { throttle, withClient } = yield* leaseRig
      yield* throttle
      const lock = yield* withClient(ZkLock.make("a"))
      yield* pass(500)
      const handle = yield* lock.acquire()
      yield* endsIn(leaseTime, handle)
    }))

  it.effect.each(
    [
      { tickTime: "2 seconds", more: 500 },
      { tickTime: "500 millis", more: 1250 },
      // Two ticks are the least timeout that servers give: a longer tick cannot be.
      { tickTime: "10 seconds", more: 0 }
    ] as const
  )(
    "lasts longer where half a tick is known to be less than a quarter of the timeout: $tickTime [LEASE-01]",
    ({ more, tickTime }) =>
      Effect.gen(function*() {
        const { throttle, withClient } = yield* leaseRig
        yield* throttle
        const lock = yield* withClient(ZkLock.make("a", { tickTime }))
        yield* endsIn(leaseTime + more, yield* lock.acquire())
      })
  )

  it.effect("ends for each lock by its own tick [LEASE-01]", () =>
    Effect.gen(function*() {
      const { throttle, withClient } = yield* leaseRig
      yield* throttle
      const a = yield* Effect.flatMap(withClient(ZkLock.make("a")), (lock) => lock.acquire())
      const b = yield* Effect.flatMap(
        withClient(ZkLock.make("b", { tickTime: "2 seconds" })),
        (lock) => lock.acquire()
      )
      yield* endsIn(leaseTime, a)
      yield* endsIn(500, b)
    }))

  it.effect("counts from when the write was sent, however late its answer [LEASE-02]", () =>
    Effect.gen(function*() {
      const { fake, nodes, throttle, withClient } = yield* leaseRig
      yield* throttle
      const late = (request: FakeRequest) => Effect.map(Effect.sleep("900 millis"), () => nodes.answer(request))
      yield* fake.once("create2", late)
      yield* fake.once("getChildren2", late)
      const lock = yield* withClient(ZkLock.make("a"))
      const acquiring = yield* Effect.forkScoped(lock.acquire(), { startImmediately: true })
      yield* pass(899, 10)
      assert.isUndefined(acquiring.pollUnsafe())
      yield* pass(1)
      const handle = yield* Fiber.join(acquiring)
      yield* endsIn(leaseTime - 900, handle)
    }))

  it.effect("counts from earlier on where the client was silent for too long before, for a ping was not answered [LEASE-20]", () =>
    Effect.gen(function*() {
      const { fake, withClient } = yield* leaseRig
      yield* fake.on("ping", () => ({ type: "silence" }))
      // A ping after a second, and then nothing but silence: a leader may have heard of the session long ago.
      yield* pass(3_500)
      assert.lengthOf(fake.requests.filter(({ name }) => name === "ping"), 1)
      const lock = yield* withClient(ZkLock.make("a"))
      const handle = yield* lock.acquire()
      yield* fake.on("multi", () => ({ type: "reply", err: -127 }))
      yield* endsIn(leaseTime - (3_500 - 1_000 - 1_000), handle)
    }))

  it.effect("is not renewed by reads, sync, watches, pings, credentials or refused writes [LEASE-03]", () =>
    Effect.gen(function*() {
      const { fake, nodes, throttle, withClient, zk } = yield* leaseRig
      yield* throttle
      const lock = yield* withClient(ZkLock.make("a"))
      const handle = yield* lock.acquire()
      const session = yield* zk.session
      const committed = session.committedAtUnsafe()
      yield* pass(2_500)
      yield* nodes.add("/locks")
      yield* zk.getData("/locks")
      yield* zk.getChildren("/locks")
      yield* Effect.ignore(zk.exists("/none"))
      yield* zk.sync()
      yield* zk.multiRead([ZkTransaction.getData("/locks")])
      yield* zk.addAuth({ scheme: "digest", credential: Redacted.make("ann:secret") })
      yield* Effect.forkChild(Stream.runDrain(zk.watch("/locks", "recursive")), { startImmediately: true })
      yield* fake.awaitRequest("addWatch")
      yield* fake.on("setData", () => ({ type: "reply", err: -101 }))
      yield* failsWith(zk.setData("/none", "x"), "NoNode")
      yield* failsWith(zk.delete("/none"), "NoNode")
      yield* failsWith(zk.multi([ZkTransaction.delete("/none")]), "ThrottledOp")
      assert.isAtLeast(fake.requests.filter(({ name }) => name === "ping").length, 1)
      assert.strictEqual(session.committedAtUnsafe(), committed)
      yield* endsIn(leaseTime - 2_500, handle)
    }))

  it.effect("is not renewed by a reconnect, nor cut short by it [LEASE-03]", () =>
    Effect.gen(function*() {
      const { fake, states, throttle, withClient } = yield* leaseRig
      yield* throttle
      const lock = yield* withClient(ZkLock.make("a"))
      const handle = yield* lock.acquire()
      yield* pass(1_500)
      yield* (yield* fake.current).close
      yield* pass(500)
      yield* states.await("Connected", { since: 1 })
      assert.strictEqual((yield* states.await("Suspended")).sessionId, (yield* states.await("Connected")).sessionId)
      yield* endsIn(leaseTime - 2_000, handle)
      assert.deepStrictEqual(states.tags(), ["Connected", "Suspended", "Connected"])
    }))

  it.effect("is not renewed by a write that was sent and not answered [LEASE-02]", () =>
    Effect.gen(function*() {
      const { fake, states, throttle, withClient, zk } = yield* leaseRig
      yield* throttle
      const lock = yield* withClient(ZkLock.make("a"))
      const handle = yield* lock.acquire()
      yield* pass(1_000)
      yield* fake.once("setData", () => ({ type: "close" }))
      yield* failsWith(zk.setData("/locks", "x"), "ConnectionLoss")
      yield* pass(500)
      yield* states.await("Connected", { since: 1 })
      yield* endsIn(leaseTime - 1_500, handle)
    }))

  it.effect("is renewed by any write of the client that is answered, also through another view of it [LEASE-04]", () =>
    Effect.gen(function*() {
      const { throttle, withClient, zk } = yield* leaseRig
      yield* throttle
      const lock = yield* withClient(ZkLock.make("a"))
      const handle = yield* lock.acquire()
      const view = yield* zk.chroot("/elsewhere")
      yield* pass(3_000)
      yield* view.setData("/x", "x")
      yield* pass(3_000)
      yield* zk.create("/y")
      yield* pass(3_000)
      yield* (yield* zk.session).client.create("/z")
      yield* endsIn(leaseTime, handle)
    }))

  it.effect("is renewed by a transaction that was refused: that went through the leader as well [LEASE-04]", () =>
    Effect.gen(function*() {
      const { fake, isHeartbeat, nodes, withClient, zk } = yield* leaseRig
      yield* fake.on("multi", (request) => isHeartbeat(request) ? { type: "reply", err: -127 } : nodes.answer(request))
      const lock = yield* withClient(ZkLock.make("a"))
      const handle = yield* lock.acquire()
      yield* pass(3_000)
      yield* failsWith(zk.multi([ZkTransaction.delete("/none")]), "MultiFailed")
      yield* endsIn(leaseTime, handle)
    }))

  it.effect("of a server that answers pings and no writes ends while the client is connected [LEASE-05]", () =>
    Effect.gen(function*() {
      const { fake, heartbeats, states, withClient } = yield* leaseRig
      const lock = yield* withClient(ZkLock.make("a"))
      const handle = yield* lock.acquire()
      yield* fake.on("multi", () => ({ type: "silence" }))
      yield* endsIn(leaseTime, handle)
      assert.lengthOf(heartbeats(), 1)
      yield* pass(6_000)
      assert.isAtLeast(fake.requests.filter(({ name }) => name === "ping").length, 4)
      assert.deepStrictEqual(states.tags(), ["Connected"])
      // What was under way would be answered after the end: it was lost all the same.
      assert.isFalse(yield* handle.isHeld)
    }))

  it.effect("that is over stays over, though its heartbeat is answered later [LEASE-05]", () =>
    Effect.gen(function*() {
      const { fake, nodes, withClient } = yield* leaseRig
      const lock = yield* withClient(ZkLock.make("a"))
      const handle = yield* lock.acquire()
      yield* fake.on("multi", () => ({ type: "silence" }))
      yield* endsIn(leaseTime, handle)
      const beat = yield* fake.awaitRequest("multi")
      yield* fake.on("multi", nodes.answer)
      yield* beat.reply({ type: "default" })
      yield* settle
      assert.isFalse(yield* handle.isHeld)
      yield* failsWith(handle.guard([]), "LockLost")
    }))
})

describe("a lock is granted within a lease", () => {
  const waiting = Effect.gen(function*() {
    const rig = yield* leaseRig
    const other = "/locks/a/_c_other-lock-0000000000"
    yield* rig.nodes.add(other)
    const lock = yield* rig.withClient(ZkLock.make("a"))
    const acquiring = yield* Effect.forkScoped(lock.acquire(), { startImmediately: true })
    yield* pass(20_000, 100)
    // Nothing is held: nothing was written meanwhile.
    assert.lengthOf(rig.heartbeats(), 0)
    return { ...rig, acquiring, other }
  })

  it.effect("by a waiter that has waited for long: it writes first [LEASE-06]", () =>
    Effect.gen(function*() {
      const { acquiring, heartbeats, nodes, other, throttle } = yield* waiting
      yield* nodes.remove(other)
      yield* settle
      const handle = yield* Fiber.join(acquiring)
      assert.deepStrictEqual(heartbeats(), [[handle.path]])
      yield* throttle
      yield* endsIn(leaseTime, handle)
    }))

  it.effect("and not while that write is not answered [LEASE-06]", () =>
    Effect.gen(function*() {
      const { acquiring, fake, nodes, other, states } = yield* waiting
      yield* fake.on("multi", () => ({ type: "silence" }))
      yield* nodes.remove(other)
      yield* pass(3_000)
      assert.isUndefined(acquiring.pollUnsafe())
      const write = yield* fake.awaitRequest("multi")
      yield* fake.on("multi", () => ({ type: "reply", err: -127 }))
      yield* write.reply({ type: "default" })
      yield* settle
      const handle = yield* Fiber.join(acquiring)
      assert.deepStrictEqual(states.tags(), ["Connected"])
      // The lease had begun when the write was sent.
      yield* endsIn(leaseTime - 3_000, handle)
    }))

  it.effect("nor when its answer came too late: it writes again [LEASE-06]", () =>
    Effect.gen(function*() {
      const { acquiring, fake, heartbeats, nodes, other } = yield* waiting
      yield* fake.on("multi", () => ({ type: "silence" }))
      yield* nodes.remove(other)
      yield* pass(leaseTime)
      const write = yield* fake.awaitRequest("multi")
      yield* write.reply({ type: "default" })
      yield* pass(1_000)
      assert.isUndefined(acquiring.pollUnsafe())
      assert.lengthOf(heartbeats(), 2)
      yield* fake.on("multi", nodes.answer)
      yield* (yield* fake.awaitRequest("multi", { since: write.index + 1 })).reply({ type: "default" })
      yield* settle
      assert.isTrue(yield* (yield* Fiber.join(acquiring)).isHeld)
    }))

  it.effect("nor when the node turns out to be gone [LEASE-06]", () =>
    Effect.gen(function*() {
      const { acquiring, fake, nodes, other } = yield* waiting
      const own = nodes.paths().at(-1) ?? ""
      // The list is of before its end, as on a server that is behind.
      yield* fake.once("multi", (request) => Effect.map(nodes.removeSilently(own), () => nodes.answer(request)))
      yield* nodes.remove(other)
      yield* settle
      const error = yield* failsWith(Fiber.join(acquiring), "LockNotAcquired")
      assert.strictEqual(error.cause._tag, "CandidateRemoved")
    }))

  it.effect("also after an answer to the creation that came too late [LEASE-06]", () =>
    Effect.gen(function*() {
      const { fake, heartbeats, nodes, withClient } = yield* leaseRig
      yield* fake.once("create2", () => ({ type: "silence" }))
      yield* fake.once("getChildren2", () => ({ type: "silence" }))
      const lock = yield* withClient(ZkLock.make("a"))
      const acquiring = yield* Effect.forkScoped(lock.acquire(), { startImmediately: true })
      const create = yield* fake.awaitRequest("create2")
      yield* pass(leaseTime + 100)
      yield* create.reply(nodes.answer(create))
      const list = yield* fake.awaitRequest("getChildren2")
      yield* list.reply(nodes.answer(list))
      yield* settle
      const handle = yield* Fiber.join(acquiring)
      assert.deepStrictEqual(heartbeats(), [[handle.path]])
      const lost = yield* watchLoss(handle)
      yield* pass(6_000)
      assert.isUndefined(lost())
    }))

  it.effect("costs no write where one was answered lately [LEASE-06]", () =>
    Effect.gen(function*() {
      const { heartbeats, withClient } = yield* leaseRig
      const lock = yield* withClient(ZkLock.make("a"))
      const handle = yield* atOnce(lock.acquire())
      assert.isTrue(yield* handle.isHeld)
      assert.lengthOf(heartbeats(), 0)
    }))
})
