/** Locks of real servers whose connections are lost, frozen or ended, and that are restarted. */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as ZkClient from "../src/ZkClient.ts"
import * as ZkLock from "../src/ZkLock.ts"
import * as ZkTransaction from "../src/ZkTransaction.ts"
import { expireThrough } from "./support/expire.ts"
import { failsWith } from "./support/failsWith.ts"
import { awaitCandidates, lockClient, on, queueUp } from "./support/locking.ts"
import type { Proxy } from "./support/proxy.ts"
import { makeProxy } from "./support/proxy.ts"
import { makeServer } from "./support/server.ts"
import { freshPath, shared } from "./support/shared.ts"
import type { States } from "./support/states.ts"
import { recordStates } from "./support/states.ts"
import { patience } from "./support/wait.ts"

/** `a` reaches the server directly, `b` through a proxy. Both have the same lock. */
const setUp = Effect.gen(function*() {
  const { port } = yield* shared
  const proxy = yield* makeProxy(port)
  const a = yield* lockClient()
  const b = yield* lockClient({ hosts: proxy.connectString })
  const name = yield* freshPath
  const ours = yield* on(a)(ZkLock.make(name))
  const theirs = yield* on(b)(ZkLock.make(name))
  const states = yield* recordStates(b)
  yield* states.await("Connected")
  return { a, b, name, ours, port, proxy, states, theirs }
})

const disconnect = (proxy: Proxy, states: States) =>
  Effect.gen(function*() {
    yield* proxy.setAccept("refuse")
    yield* proxy.cutAll
    yield* states.await("Suspended")
  })

const timed = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    const begun = performance.now()
    const result = yield* effect
    return { result, took: performance.now() - begun }
  })

/** From here on the owner does not hear what becomes of its node, which it watches by then. */
const deafen = (proxy: Proxy, path: string) =>
  Effect.andThen(
    proxy.awaitFrame({ direction: "toClient", kind: "reply", op: "getData", path }),
    proxy.rule({ direction: "toClient", kind: "event", path }, "drop")
  )

describe.concurrent("a time limit while no server answers", () => {
  const outages: Record<string, (proxy: Proxy, states: States) => Effect.Effect<void, unknown>> = {
    "refused connections": disconnect,
    "silent connections": (proxy, states) =>
      Effect.andThen(Effect.andThen(proxy.setAccept("silent"), proxy.cutAll), states.await("Suspended")),
    "a frozen connection": (proxy) => proxy.freeze
  }

  it.live.each(Object.keys(outages))("is kept: %s, before anything was asked [T12]", (which) =>
    Effect.gen(function*() {
      const { a, name, proxy, states, theirs } = yield* setUp
      yield* outages[which]!(proxy, states)
      const { took } = yield* timed(failsWith(theirs.acquireTimeout("1 second"), "LockTimeout"))
      assert.isAtLeast(took, 999)
      assert.isBelow(took, 2_000 * patience)
      // What may have been asked for nevertheless is taken back.
      yield* proxy.heal
      const mine = yield* on(a)(ZkLock.make(name))
      yield* mine.withLock(Effect.void, { timeout: 20_000 * patience })
    }))

  it.live.each(Object.keys(outages))(
    "is kept: %s, in the queue; the candidate goes later [T12] [I16]",
    (which) =>
      Effect.gen(function*() {
        const { a, name, ours, proxy, states, theirs } = yield* setUp
        yield* ours.acquire()
        const waiting = yield* queueUp(a, name, 2, timed(failsWith(theirs.acquireTimeout("2 seconds"), "LockTimeout")))
        yield* outages[which]!(proxy, states)
        const { took } = yield* Fiber.join(waiting)
        assert.isAtLeast(took, 1_999)
        // While there seems to be a connection the candidate's removal is waited for, for a third of ten seconds.
        assert.isBelow(took, (which === "a frozen connection" ? 6_500 : 3_000) * patience)
        yield* proxy.heal
        yield* awaitCandidates(a, name, 1)
        assert.isTrue(yield* ours.isLocked)
      })
  )
})

describe.concurrent("a release", () => {
  it.live("without a connection is done at once, and made good later [I4]", () =>
    Effect.gen(function*() {
      const { a, name, ours, proxy, states, theirs } = yield* setUp
      const held = yield* theirs.acquire()
      const waiting = yield* queueUp(a, name, 2, ours.acquire())
      yield* disconnect(proxy, states)
      const { result, took } = yield* timed(held.release)
      assert.isTrue(result)
      assert.isBelow(took, 500 * patience)
      assert.isFalse(yield* held.isHeld)
      assert.lengthOf((yield* a.getChildren(name)).children, 2)
      yield* proxy.heal
      assert.isTrue(yield* (yield* Fiber.join(waiting)).isHeld)
      assert.lengthOf((yield* a.getChildren(name)).children, 1)
    }))

  it.live("with a server that says nothing is done in a third of the session's time [I4]", () =>
    Effect.gen(function*() {
      const { a, name, ours, proxy, theirs } = yield* setUp
      const held = yield* theirs.acquire()
      const waiting = yield* queueUp(a, name, 2, ours.acquire())
      yield* proxy.freeze
      const { result, took } = yield* timed(held.release)
      assert.isTrue(result)
      assert.isAtLeast(took, 3_000)
      assert.isBelow(took, 5_000 * patience)
      yield* proxy.heal
      assert.isTrue(yield* (yield* Fiber.join(waiting)).isHeld)
      assert.lengthOf((yield* a.getChildren(name)).children, 1)
    }))

  it.live("is done again when its answer is lost, and then finds nothing, which is well [I4] [T45]", () =>
    Effect.gen(function*() {
      const { a, name, proxy, theirs } = yield* setUp
      const held = yield* theirs.acquire()
      const rule = yield* proxy.swallowReply({ op: "delete", path: held.path })
      assert.isTrue(yield* held.release)
      assert.strictEqual(yield* rule.count, 1)
      yield* awaitCandidates(a, name, 0)
    }))

  it.live("is done again when it did not arrive [I4]", () =>
    Effect.gen(function*() {
      const { a, name, proxy, theirs } = yield* setUp
      const held = yield* theirs.acquire()
      const rule = yield* proxy.rule({ direction: "toServer", op: "delete", path: held.path }, "cut")
      assert.isTrue(yield* held.release)
      assert.strictEqual(yield* rule.count, 1)
      yield* awaitCandidates(a, name, 0)
    }))

  it.live("that ends the scope of a lost connection does not fail either [I4] [T14]", () =>
    Effect.gen(function*() {
      const { a, name, proxy, states, theirs } = yield* setUp
      const scope = yield* Scope.make()
      yield* Scope.provide(theirs.acquire(), scope)
      yield* disconnect(proxy, states)
      yield* Scope.close(scope, Exit.void)
      yield* proxy.heal
      yield* awaitCandidates(a, name, 0)
    }))

  it.live("is over when the server has said so [T45]", () =>
    Effect.gen(function*() {
      const { a, name, proxy, theirs } = yield* setUp
      const held = yield* theirs.acquire()
      const confirmed = yield* Deferred.make<void>()
      const rule = yield* proxy.rule({ direction: "toClient", kind: "reply", op: "delete", path: held.path }, {
        before: Deferred.await(confirmed)
      })
      const releasing = yield* Effect.forkChild(held.release, { startImmediately: true })
      yield* rule.fired
      // It is gone for all others, and is not held by ourselves, but the release is not over.
      assert.deepStrictEqual((yield* a.getChildren(name)).children, [])
      assert.isFalse(yield* held.isHeld)
      assert.isUndefined(releasing.pollUnsafe())
      yield* Deferred.succeed(confirmed, undefined)
      assert.isTrue(yield* Fiber.join(releasing))
    }))

  it.live("of a node that somebody has deleted is false, also when we have not heard of that [T14]", () =>
    Effect.gen(function*() {
      const { a, proxy, theirs } = yield* setUp
      const held = yield* theirs.acquire()
      const rule = yield* deafen(proxy, held.path)
      yield* a.delete(held.path)
      yield* rule.fired
      assert.isTrue(yield* held.isHeld)
      assert.isFalse(yield* held.release)
    }))
})

describe.concurrent("a guarded transaction", () => {
  it.live("is applied as a whole while the lock's node is there, and not at all afterwards [LOCK-17]", () =>
    Effect.gen(function*() {
      const { a, name, proxy, theirs } = yield* setUp
      yield* a.create(`${name}-target`, "0")
      const held = yield* theirs.acquire()
      const [stat, created] = yield* held.guard([
        ZkTransaction.setData(`${name}-target`, "1"),
        ZkTransaction.create(`${name}-target/child`)
      ])
      assert.strictEqual(stat.version, 1)
      assert.strictEqual(created.path, `${name}-target/child`)
      // One that fails says which, and nothing of it has happened.
      const failed = yield* failsWith(
        held.guard([ZkTransaction.setData(`${name}-target`, "2"), ZkTransaction.delete(`${name}-nowhere`)]),
        "MultiFailed"
      )
      assert.deepStrictEqual([failed.index, failed.cause._tag], [1, "NoNode"])
      assert.isTrue(yield* held.isHeld)
      // Deleted, and we have not heard of it: the server knows better.
      const rule = yield* deafen(proxy, held.path)
      yield* a.delete(held.path)
      yield* rule.fired
      assert.isTrue(yield* held.isHeld)
      const lost = yield* failsWith(held.guard([ZkTransaction.setData(`${name}-target`, "3")]), "LockLost")
      assert.strictEqual(lost.reason, "removed")
      assert.isFalse(yield* held.isHeld)
      const { requests } = yield* proxy.stats()
      yield* failsWith(held.guard([ZkTransaction.setData(`${name}-target`, "4")]), "LockLost")
      assert.strictEqual((yield* proxy.stats()).requests, requests)
      assert.strictEqual((yield* a.getData(`${name}-target`)).text, "1")
    }))
})

describe.concurrent("the end of the session of a holder", () => {
  it.live("is the end of the lock, for its handle and for what runs under it [T50] [T21] [T19] [K39]", () =>
    Effect.gen(function*() {
      const { a, b, name, ours, port, proxy, theirs } = yield* setUp
      const lostStatus = yield* Deferred.make<ZkLock.LockStatus>()
      const handle = yield* theirs.acquire({
        onStatus: (status) => status._tag === "Lost" ? Effect.asVoid(Deferred.succeed(lostStatus, status)) : Effect.void
      })
      const running = yield* Effect.forkChild(handle.use(Effect.never))
      const waiting = yield* queueUp(a, name, 2, ours.acquire())
      const old = (yield* b.session).sessionId
      assert.strictEqual(yield* expireThrough(proxy, port), old)
      assert.strictEqual((yield* Effect.flip(handle.lost)).reason, "expired")
      assert.deepInclude(yield* failsWith(Fiber.join(running), "LockLost"), { path: name, reason: "expired" })
      assert.deepInclude(yield* Deferred.await(lostStatus), { _tag: "Lost", path: handle.path, reason: "expired" })
      const other = yield* Fiber.join(waiting)
      assert.deepStrictEqual([yield* handle.isHeld, yield* other.isHeld], [false, true])
      assert.isTrue(other.fencingToken > handle.fencingToken)
      assert.isFalse(yield* handle.release)
      // The client goes on with the next session, and may have the lock again.
      yield* other.release
      const again = yield* theirs.acquire()
      assert.notStrictEqual((yield* b.session).sessionId, old)
      assert.isTrue(yield* again.isHeld)
    }))

  it.live("by closing its client is heard of too, and gives the lock to the next at once [T50]", () =>
    Effect.gen(function*() {
      const { a, name, ours } = yield* setUp
      const scope = yield* Scope.make()
      const c = yield* Scope.provide(lockClient(), scope)
      const lock = yield* on(c)(ZkLock.make(name))
      const handle = yield* lock.acquire()
      const waiting = yield* queueUp(a, name, 2, ours.acquire())
      yield* Scope.close(scope, Exit.void)
      assert.isTrue(yield* (yield* Fiber.join(waiting)).isHeld)
      // The end of the node may be heard of before that of the session.
      assert.include(["closed", "removed"], (yield* Effect.flip(handle.lost)).reason)
      assert.isFalse(yield* handle.isHeld)
    }))
})

describe.concurrent("a server that is restarted", () => {
  it.live("while one holds and one waits: both have their turn, in order [LOCK-24]", () =>
    Effect.gen(function*() {
      const server = yield* makeServer({ extraConfig: { maxSessionTimeout: "120000" } })
      const proxy = yield* makeProxy(server.port)
      const options = { hosts: proxy.connectString, sessionTimeout: "60 seconds" } as const
      const [a, b] = [yield* ZkClient.make(options), yield* ZkClient.make(options)]
      const [ours, theirs] = [yield* on(a)(ZkLock.make("job")), yield* on(b)(ZkLock.make("job"))]
      const order: Array<string> = []
      const goOn = yield* Deferred.make<void>()
      const first = yield* queueUp(
        b,
        ours.path,
        1,
        ours.withLock(Effect.gen(function*() {
          order.push("first in")
          yield* Deferred.await(goOn)
          order.push("first out")
        }))
      )
      const second = yield* queueUp(a, ours.path, 2, theirs.withLock(Effect.sync(() => order.push("second in"))))
      const states = yield* Effect.all([recordStates(a), recordStates(b)])
      // A server that begins accepts connections some of which it never answers: nobody shall wait for those.
      yield* proxy.setAccept("refuse")
      yield* server.kill
      yield* Effect.forEach(states, (state) => state.await("Suspended"))
      yield* server.start
      yield* proxy.heal
      yield* Effect.forEach(states, (state) => state.await("Connected", { since: 2, within: 20_000 }))
      assert.deepStrictEqual(order, ["first in"])
      assert.isUndefined(second.pollUnsafe())
      yield* Deferred.succeed(goOn, undefined)
      yield* Fiber.joinAll([first, second])
      assert.deepStrictEqual(order, ["first in", "first out", "second in"])
      assert.isTrue(Option.isSome(yield* ours.tryAcquire()))
    }), 60_000)
})
