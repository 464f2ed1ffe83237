/** Locks while no server answers, in no time but the test's: what a time limit covers, and what is tried how often. */
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as ZkLock from "../src/ZkLock.ts"
import { failsWith } from "./support/failsWith.ts"
import { makeWire, pass, settle } from "./support/fakeClient.ts"
import { keepNodes } from "./support/fakeNodes.ts"
import { err, type FakeServer, makeFakeServer } from "./support/fakeServer.ts"
import { on } from "./support/locking.ts"

/** The nodes of a lock that somebody else holds, or of a free one. T = 6 seconds. */
const setUp = (options: { readonly taken: boolean } & ZkLock.Options) =>
  Effect.gen(function*() {
    const fake = yield* makeFakeServer
    const nodes = yield* keepNodes(fake)
    const wire = makeWire(fake)
    const zk = yield* wire.client()
    yield* nodes.add("/lock")
    if (options.taken) yield* nodes.add("/lock/other-lock-0000000000")
    const lock = yield* on(zk)(ZkLock.make("/lock", options))
    const down = Effect.gen(function*() {
      wire.dead.add("zk:2181")
      yield* (yield* fake.current).close
      yield* settle
    })
    return { down, fake, lock, nodes, wire, zk }
  })

const silent = (fake: FakeServer) => fake.on("any", () => ({ type: "silence" }))

/** When something ends, by the test's clock. */
const timed = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    const begun = yield* Clock.currentTimeMillis
    const exit = yield* Effect.exit(effect)
    return { exit, took: (yield* Clock.currentTimeMillis) - begun }
  })

const isTimeout = (exit: Exit.Exit<unknown, { readonly _tag: string }>) =>
  Option.match(Exit.findErrorOption(exit), { onNone: () => false, onSome: ({ _tag }) => _tag === "LockTimeout" })

describe("a time limit", () => {
  it.effect("covers an outage that began before [T12]", () =>
    Effect.gen(function*() {
      const { down, lock } = yield* setUp({ taken: false })
      yield* down
      const fiber = yield* Effect.forkChild(timed(lock.withLock(Effect.die("not to be run"), { timeout: 1_000 })))
      yield* pass(2_000, 50)
      const { exit, took } = yield* Fiber.join(fiber)
      assert.isTrue(isTimeout(exit))
      assert.strictEqual(took, 1_000)
    }))

  it.effect("covers a server that says nothing to the first request [T12]", () =>
    Effect.gen(function*() {
      const { fake, lock } = yield* setUp({ taken: false })
      yield* silent(fake)
      const fiber = yield* Effect.forkChild(timed(lock.withLock(Effect.die("not to be run"), { timeout: 1_000 })))
      yield* pass(2_000, 50)
      const { exit, took } = yield* Fiber.join(fiber)
      assert.isTrue(isTimeout(exit))
      assert.strictEqual(took, 1_000)
    }))

  it.effect("covers an outage while it is being waited [T12]", () =>
    Effect.gen(function*() {
      const { down, lock } = yield* setUp({ taken: true })
      const fiber = yield* Effect.forkChild(timed(lock.withLock(Effect.die("not to be run"), { timeout: 1_000 })))
      yield* pass(500, 50)
      yield* down
      yield* pass(2_000, 50)
      const { exit, took } = yield* Fiber.join(fiber)
      assert.isTrue(isTimeout(exit))
      assert.strictEqual(took, 1_000)
    }))

  it.effect("and what is done about the candidate of a server that falls silent: a third of T at most [T12]", () =>
    Effect.gen(function*() {
      const { fake, lock } = yield* setUp({ taken: true })
      const fiber = yield* Effect.forkChild(timed(lock.withLock(Effect.die("not to be run"), { timeout: 1_000 })))
      yield* pass(500, 50)
      yield* silent(fake)
      yield* pass(5_000, 50)
      const { exit, took } = yield* Fiber.join(fiber)
      assert.isTrue(isTimeout(exit))
      assert.isAtMost(took, 3_000)
    }))
})

describe("without a time limit", () => {
  it.effect("an acquisition waits for longer than its first requests do [T12] [T51]", () =>
    Effect.gen(function*() {
      const { fake, nodes, wire } = yield* setUp({ taken: false })
      const zk = yield* wire.client({ requestTimeout: "1 second" })
      const lock = yield* on(zk)(ZkLock.make("/lock"))
      yield* silent(fake)
      const scope = yield* Scope.make()
      const before = fake.requests.length
      const waiting = yield* Effect.forkChild(Scope.provide(lock.acquire(), scope))
      yield* pass(3_000)
      assert.isAtLeast(fake.requests.filter(({ name }) => name === "create2").length, 2)
      assert.isBelow(fake.requests.length - before, 20)
      yield* fake.on("any", nodes.answer)
      yield* pass(2_000)
      const handle = yield* Fiber.join(waiting)
      assert.isTrue(yield* handle.isHeld)
      assert.deepStrictEqual(nodes.paths(), ["/lock", handle.path])
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual(nodes.paths(), ["/lock"])
    }))
})

describe("while no server can be reached", () => {
  it.effect("a waiter tries no more often than its client does, for as long as it takes [T51]", () =>
    Effect.gen(function*() {
      const { down, fake, lock, nodes, wire } = yield* setUp({ taken: true, onCandidateLost: "requeue" })
      const scope = yield* Scope.make()
      const waiting = yield* Effect.forkChild(Scope.provide(lock.acquire(), scope))
      yield* pass(500)
      const [attempts, requests] = [wire.attempts.length, fake.requests.length]
      yield* down
      // The session, which was tried for about every second, has ended by its own clock meanwhile.
      yield* pass(60_000, 100)
      assert.isBelow(wire.attempts.length - attempts, 100)
      assert.strictEqual(fake.requests.length, requests)
      assert.isUndefined(waiting.pollUnsafe())
      // What was left of the session has gone at the servers too.
      for (const path of nodes.paths()) if (path !== "/lock") yield* nodes.remove(path)
      wire.dead.clear()
      yield* pass(2_000)
      const handle = yield* Fiber.join(waiting)
      assert.isTrue(yield* handle.isHeld)
      assert.isBelow(fake.requests.length - requests, 30)
      yield* Scope.close(scope, Exit.void)
    }))

  it.effect.each([[-127, "ThrottledOp"], [-4, "ConnectionLoss"], [-7, "OperationTimeout"]] as const)(
    "nor when servers are there and answer everything with %s (%s) [T51]",
    ([code]) =>
      Effect.gen(function*() {
        const { fake, lock, nodes } = yield* setUp({ taken: true })
        const scope = yield* Scope.make()
        const waiting = yield* Effect.forkChild(Scope.provide(lock.acquire(), scope))
        yield* pass(500)
        yield* fake.on("any", () => err(code))
        // Something for it to look at: the one ahead is gone.
        yield* nodes.remove("/lock/other-lock-0000000000")
        const before = fake.requests.length
        yield* pass(10_000)
        assert.isUndefined(waiting.pollUnsafe())
        const count = fake.requests.length - before
        assert.isAbove(count, 5)
        assert.isBelow(count, 10 * 8)
        yield* fake.on("any", nodes.answer)
        yield* pass(1_000)
        assert.isTrue(yield* (yield* Fiber.join(waiting)).isHeld)
        yield* Scope.close(scope, Exit.void)
      })
  )

  it.effect("a try fails with what the server said, once [T51]", () =>
    Effect.gen(function*() {
      const { fake, lock } = yield* setUp({ taken: true })
      yield* fake.on("getChildren2", () => err(-127))
      const { cause } = yield* failsWith(Effect.scoped(lock.tryAcquire()), "LockNotAcquired")
      assert.strictEqual(cause._tag, "ThrottledOp")
      assert.isBelow(fake.requests.length, 8)
      assert.lengthOf(fake.requests.filter(({ name }) => name === "delete"), 1)
    }))
})
