/** Time limits that hold where servers say nothing to what matters: all in no time but the test's, T = 6 seconds. */
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as ZkLock from "../src/ZkLock.ts"
import * as ZkSemaphore from "../src/ZkSemaphore.ts"
import { pass, settle } from "./support/fakeClient.ts"
import type { Answer, FakeRequest } from "./support/fakeScript.ts"
import { leaseRig } from "./support/leasing.ts"
import { createOps, Op } from "./support/records.ts"

const limit = 1_000
/** For how long a node that is given up is seen to, by a server that has fallen silent. */
const third = 2_000
const silence = { type: "silence" } as const
const other = "/l/_c_other-lock-0000000000"

/** Starts it; then gives when it has ended, and with what error, within so much time. */
const started = <A, E extends { readonly _tag: string }, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    const begun = yield* Clock.currentTimeMillis
    const fiber = yield* Effect.forkChild(
      Effect.flatMap(Effect.exit(effect), (exit) =>
        Effect.map(Clock.currentTimeMillis, (now) => ({
          took: now - begun,
          tag: Option.match(Exit.findErrorOption(exit), { onNone: () => exit._tag, onSome: ({ _tag }) => _tag })
        }))),
      { startImmediately: true }
    )
    const within = Effect.fnUntraced(function*(millis: number) {
      yield* pass(millis)
      assert.isDefined(fiber.pollUnsafe(), "it goes on")
      return yield* Fiber.join(fiber)
    })
    return { fiber, within }
  })

/** A server that answers pings alone, from some request on. What it does about that one may be told. */
const deafFrom = (
  { fake, nodes }: Effect.Success<typeof leaseRig>,
  isDeafening: (request: FakeRequest) => boolean,
  first: (request: FakeRequest) => Answer = () => silence
) => {
  let isDeaf = false
  return fake.on("any", (request) => {
    if (request.op === Op.ping) return { type: "default" }
    if (isDeaf) return silence
    isDeaf = isDeafening(request)
    return isDeaf ? first(request) : nodes.answer(request)
  })
}

describe("a time limit", () => {
  it.effect("of who takes a lock away holds when nothing is answered any more, pings aside [LOCK-LIMIT1]", () =>
    Effect.gen(function*() {
      const rig = yield* leaseRig
      yield* rig.nodes.add(other)
      const lock = yield* rig.withClient(ZkLock.make("/l"))
      yield* deafFrom(rig, ({ op }) => op === Op.sync)
      const { within } = yield* started(lock.acquireTimeout(limit, { revoke: "immediate" }))
      const { tag, took } = yield* within(limit + third)
      assert.strictEqual(tag, "LockTimeout")
      assert.isAtMost(took, limit + third)
      // Nobody has been asked to take anything away.
      assert.notInclude(rig.fake.requests.map(({ op }) => op), Op.multi)
    }))

  it.effect.each(["sent", "answered late"])(
    "of who takes a lock away is put off by its transaction for a session timeout at most: %s [LOCK-LIMIT1]",
    (way) =>
      Effect.gen(function*() {
        const rig = yield* leaseRig
        yield* rig.nodes.add(other)
        const lock = yield* rig.withClient(ZkLock.make("/l"))
        yield* deafFrom(rig, ({ op }) => op === Op.multi)
        const { fiber, within } = yield* started(lock.acquireTimeout(limit, { revoke: "immediate" }))
        const taking = yield* rig.fake.awaitRequest("multi")
        assert.deepStrictEqual(taking.ops.map(({ op }) => op), [Op.check, Op.delete])
        yield* pass(3_000)
        // Nobody may lose the lock to one who gives up.
        assert.isUndefined(fiber.pollUnsafe())
        if (way === "answered late") {
          yield* rig.fake.on("any", rig.nodes.answer)
          yield* taking.reply(rig.nodes.answer(taking))
          // Its write is from before, and its time is up: the lock is there, and another write makes sure of it.
          const { tag } = yield* within(1_000)
          assert.strictEqual(tag, "Success")
          assert.notInclude(rig.nodes.paths(), other)
          return
        }
        const { tag, took } = yield* within(6_000 - 3_000 + third)
        assert.strictEqual(tag, "LockTimeout")
        assert.isAtMost(took, 6_000 + third)
      })
  )

  it.effect("of who takes a lock away lets be interrupted just as long [LOCK-LIMIT1]", () =>
    Effect.gen(function*() {
      const rig = yield* leaseRig
      yield* rig.nodes.add(other)
      const lock = yield* rig.withClient(ZkLock.make("/l"))
      yield* deafFrom(rig, ({ op }) => op === Op.multi)
      const { fiber } = yield* started(lock.acquire({ revoke: "immediate" }))
      yield* rig.fake.awaitRequest("multi")
      const interrupting = yield* Effect.forkChild(Fiber.interrupt(fiber), { startImmediately: true })
      yield* pass(6_000 + third)
      assert.isDefined(interrupting.pollUnsafe())
    }))

  // Whether the connection ends with the answer that is lost, or goes on without any.
  it.effect.each(["close", "silence"] as const)(
    "of who asks for permits holds when their transaction is not answered, nor anything after: %s [LOCK-LIMIT2]",
    (type) =>
      Effect.gen(function*() {
        const rig = yield* leaseRig
        const { fake, nodes } = rig
        yield* nodes.add("/s")
        const semaphore = yield* rig.withClient(ZkSemaphore.make("/s", { permits: 3 }))
        yield* semaphore.withPermits(1, Effect.void)
        const isTaking = ({ ops }: FakeRequest) => ops.some(({ op }) => createOps.includes(op))
        const since = fake.requests.length
        yield* deafFrom(rig, isTaking, (request) => {
          // The permits are made all the same.
          nodes.answer(request)
          return { type }
        })
        if (type === "close") yield* fake.onConnect(() => ({ type: "silence" }))
        const { fiber, within } = yield* started(semaphore.acquireTimeout(limit, 2))
        yield* settle
        assert.lengthOf(fake.requests.slice(since).filter(isTaking), 1)
        assert.lengthOf(nodes.paths().filter((path) => path.startsWith("/s/leases/")), 2)
        yield* pass(limit - 50)
        assert.isUndefined(fiber.pollUnsafe())
        // Two things are given back, one after the other: the permits, and the place in line.
        const { tag, took } = yield* within(50 + 2 * third)
        assert.strictEqual(tag, "LockTimeout")
        assert.isAtMost(took, type === "close" ? limit : limit + 2 * third)
        // As soon as a server can be asked nothing is left.
        yield* fake.on("any", nodes.answer)
        yield* fake.onConnect(() => ({ type: "accept" }))
        for (const connection of fake.connections) if (connection.isOpen) yield* connection.close
        yield* pass(10_000)
        assert.deepStrictEqual(nodes.paths(), ["/s"])
      })
  )

  it.effect("holds inside a region that cannot be interrupted [LOCK-LIMIT3]", () =>
    Effect.gen(function*() {
      const { fake, nodes, withClient } = yield* leaseRig
      yield* nodes.add(other)
      yield* nodes.add("/s")
      yield* nodes.add("/s/leases/_c_other-lease-0000000000")
      const lock = yield* withClient(ZkLock.make("/l"))
      const multi = yield* ZkLock.makeMulti([lock])
      const semaphore = yield* withClient(ZkSemaphore.make("/s", { permits: 1 }))
      const notToBeRun = Effect.die("not to be run")
      const all: ReadonlyArray<Effect.Effect<unknown, { readonly _tag: string }>> = [
        lock.withLock(notToBeRun, { timeout: limit }),
        Effect.scoped(lock.acquireTimeout(limit)),
        multi.withLock(notToBeRun, { timeout: limit }),
        semaphore.withPermits(1, notToBeRun, { timeout: limit })
      ]
      for (const waiting of all) {
        const { fiber, within } = yield* started(Effect.uninterruptible(waiting))
        yield* pass(limit - 50)
        assert.isUndefined(fiber.pollUnsafe())
        assert.deepStrictEqual(yield* within(50), { tag: "LockTimeout", took: limit })
      }
      // In a finalizer, that is.
      const { within } = yield* started(
        Effect.ensuring(Effect.void, Effect.ignore(lock.withLock(notToBeRun, { timeout: limit })))
      )
      assert.deepStrictEqual(yield* within(limit), { tag: "Success", took: limit })
      assert.lengthOf(nodes.paths(), 3)
      assert.lengthOf(fake.connections, 1)
    }))
})
