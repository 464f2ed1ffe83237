/** What is done under a lock, and what becomes of it when the lock is lost: T = 6 seconds. */
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as ZkLock from "../src/ZkLock.ts"
import * as ZkSemaphore from "../src/ZkSemaphore.ts"
import { failsWith } from "./support/failsWith.ts"
import { pass, settle } from "./support/fakeClient.ts"
import { leaseRig, leaseTime } from "./support/leasing.ts"

/** A lock on the scripted server; what is in `said` happened, in order. */
const rig = Effect.gen(function*() {
  const base = yield* leaseRig
  const lock = yield* base.withClient(ZkLock.make("a"))
  const said: Array<string> = []
  const say = (what: string) => Effect.sync(() => void said.push(what))
  /** Somebody deletes the node. */
  const take = Effect.suspend(() => Effect.andThen(base.nodes.remove(base.nodes.paths().at(-1) ?? ""), settle))
  return { ...base, lock, said, say, take }
})

class Local extends Context.Service<Local, number>()("test/Local") {}

describe("a body under a lock", () => {
  it.effect("gives its result; the lock is released behind it [USE-01]", () =>
    Effect.gen(function*() {
      const { lock, nodes } = yield* rig
      const during = yield* lock.withLock((handle) =>
        Effect.map(handle.isHeld, (isHeld) => ({ isHeld, nodes: nodes.paths() }))
      )
      assert.isTrue(during.isHeld)
      assert.lengthOf(during.nodes, 1)
      assert.deepStrictEqual(nodes.paths(), [])
    }))

  it.effect("is interrupted when the lock is lost; LockLost comes after its finalizers, also slow ones [USE-02]", () =>
    Effect.gen(function*() {
      const { lock, said, say, take } = yield* rig
      const body = Effect.never.pipe(
        Effect.ensuring(Effect.andThen(Effect.sleep("2 seconds"), say("second finalizer"))),
        Effect.onInterrupt(() => say("interrupted")),
        Effect.ensuring(say("last finalizer"))
      )
      const working = yield* Effect.forkChild(
        Effect.ensuring(failsWith(lock.withLock(body), "LockLost"), say("over")),
        { startImmediately: true }
      )
      yield* settle
      yield* take
      yield* pass(1_950)
      assert.deepStrictEqual(said, [])
      yield* pass(50)
      assert.strictEqual((yield* Fiber.join(working)).reason, "removed")
      assert.deepStrictEqual(said, ["second finalizer", "interrupted", "last finalizer", "over"])
    }))

  it.effect("ends at the end of the lease, in whatever it is waiting for [USE-02]", () =>
    Effect.gen(function*() {
      const { fake, lock, said, say, throttle, zk } = yield* rig
      yield* throttle
      const silence = () => ({ type: "silence" }) as const
      const waits = {
        sleep: Effect.sleep("1 hour"),
        request: Effect.andThen(
          // Answers come in order: behind the one that does not come there are none.
          Effect.andThen(fake.on("getACL", silence), fake.on("multi", silence)),
          zk.getAcl("/x")
        )
      }
      for (const [name, body] of Object.entries(waits)) {
        const working = yield* Effect.forkChild(
          failsWith(lock.withLock(Effect.onInterrupt(body, () => say(name))), "LockLost"),
          { startImmediately: true }
        )
        yield* pass(leaseTime - 1)
        assert.notInclude(said, name)
        yield* pass(1)
        assert.include(said, name)
        yield* pass(3_000)
        assert.strictEqual((yield* Fiber.join(working)).reason, "lease")
      }
    }))

  it.effect("that has succeeded within the lease has succeeded, whatever happens to the lock then [USE-03]", () =>
    Effect.gen(function*() {
      const { fake, lock, nodes, throttle } = yield* rig
      yield* throttle
      const early = yield* Effect.forkChild(lock.withLock(Effect.as(Effect.sleep(leaseTime - 1), "done")), {
        startImmediately: true
      })
      yield* settle
      // The release finds the node gone, and takes its time.
      yield* fake.on("delete", (request) => Effect.map(Effect.sleep("1 second"), () => nodes.answer(request)))
      yield* nodes.removeSilently(nodes.paths().at(-1) ?? "")
      yield* pass(leaseTime + 1_500)
      assert.strictEqual(yield* Fiber.join(early), "done")
    }))

  it.effect("keeps its own errors and defects, before the loss and after it [USE-04]", () =>
    Effect.gen(function*() {
      const { lock, take } = yield* rig
      assert.strictEqual(yield* Effect.flip(lock.withLock(Effect.fail("mine"))), "mine")
      const defect = yield* Effect.exit(lock.withLock(Effect.die("broken")))
      assert.isTrue(Exit.isFailure(defect) && Cause.hasDies(defect.cause))
      const late = (end: Effect.Effect<never, string>) =>
        Effect.exit(lock.withLock(Effect.andThen(Effect.never, Effect.void).pipe(Effect.onInterrupt(() => end))))
      const uninterruptible = (end: Effect.Effect<never, string>) =>
        Effect.exit(lock.withLock(Effect.uninterruptible(Effect.andThen(take, end))))
      const failed = yield* uninterruptible(Effect.fail("mine"))
      assert.deepStrictEqual(Exit.findErrorOption(failed), Option.some("mine"))
      const died = yield* uninterruptible(Effect.die("broken"))
      assert.isTrue(Exit.isFailure(died) && Cause.hasDies(died.cause))
      // A finalizer that breaks while the body is being stopped is not hidden by LockLost.
      const stopping = yield* Effect.forkChild(late(Effect.die("finalizer")), { startImmediately: true })
      yield* settle
      yield* take
      const stopped = yield* Fiber.join(stopping)
      assert.isTrue(Exit.isFailure(stopped) && Cause.hasDies(stopped.cause))
      // Interruption from within is no loss.
      const inner = yield* Effect.exit(lock.withLock(Effect.interrupt))
      assert.isTrue(Exit.isFailure(inner) && Cause.hasInterruptsOnly(inner.cause))
    }))

  it.effect("is interrupted with its caller, and the lock released [USE-05]", () =>
    Effect.gen(function*() {
      const { lock, nodes, said, say } = yield* rig
      const working = yield* Effect.forkChild(
        lock.withLock(Effect.onInterrupt(Effect.never, () => Effect.andThen(Effect.sleep(100), say("stopped")))),
        { startImmediately: true }
      )
      yield* settle
      assert.lengthOf(nodes.paths(), 1)
      const interrupting = yield* Effect.forkChild(Fiber.interrupt(working), { startImmediately: true })
      yield* settle
      // Held for as long as its finalizers run.
      assert.lengthOf(nodes.paths(), 1)
      yield* pass(150)
      yield* Fiber.join(interrupting)
      assert.deepStrictEqual(said, ["stopped"])
      assert.deepStrictEqual(nodes.paths(), [])
      const exit = yield* Fiber.await(working)
      assert.isTrue(Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause))
    }))

  it.effect("that cannot be interrupted is not stopped, but its success after the loss is LockLost [USE-06]", () =>
    Effect.gen(function*() {
      const { lock, said, say, take } = yield* rig
      const gate = yield* Deferred.make<void>()
      const body = Effect.uninterruptible(Effect.andThen(Deferred.await(gate), Effect.as(say("done"), "result")))
      const working = yield* Effect.forkChild(failsWith(lock.withLock(body), "LockLost"), { startImmediately: true })
      yield* settle
      yield* take
      assert.isUndefined(working.pollUnsafe())
      yield* Deferred.succeed(gate, undefined)
      assert.strictEqual((yield* Fiber.join(working)).reason, "removed")
      assert.deepStrictEqual(said, ["done"])
    }))

  it.effect("is the caller's where the caller cannot be interrupted: it is not stopped there either [USE-06]", () =>
    Effect.gen(function*() {
      const { lock, said, say, take } = yield* rig
      const gate = yield* Deferred.make<void>()
      const working = yield* Effect.forkChild(
        Effect.uninterruptible(
          failsWith(lock.withLock(Effect.andThen(Deferred.await(gate), say("done"))), "LockLost")
        ),
        { startImmediately: true }
      )
      yield* settle
      yield* take
      assert.isUndefined(working.pollUnsafe())
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.join(working)
      assert.deepStrictEqual(said, ["done"])
    }))

  it.effect("does not begin under a lock that is lost or released [USE-07]", () =>
    Effect.gen(function*() {
      const { lock, said, say, take } = yield* rig
      const lost = yield* lock.acquire()
      yield* take
      assert.strictEqual((yield* failsWith(lost.use(say("lost")), "LockLost")).reason, "removed")
      const released = yield* lock.acquire()
      yield* released.release
      assert.strictEqual((yield* failsWith(released.use(say("released")), "LockLost")).reason, "released")
      assert.isFalse(yield* released.isHeld)
      assert.deepStrictEqual(said, [])
    }))

  it.effect("may release the lock itself, and goes on [USE-08]", () =>
    Effect.gen(function*() {
      const { lock, nodes } = yield* rig
      const result = yield* lock.withLock((handle) =>
        Effect.gen(function*() {
          assert.isTrue(yield* handle.release)
          assert.deepStrictEqual(nodes.paths(), [])
          yield* Effect.yieldNow
          assert.isFalse(yield* handle.isHeld)
          return "went on"
        })
      )
      assert.strictEqual(result, "went on")
    }))

  it.effect("is one of several at once, and all of them are stopped [USE-02]", () =>
    Effect.gen(function*() {
      const { lock, said, say, take } = yield* rig
      const handle = yield* lock.acquire()
      const bodies = yield* Effect.forEach(["x", "y", "z"], (name) =>
        Effect.forkChild(
          failsWith(handle.use(Effect.onInterrupt(Effect.never, () => say(name))), "LockLost"),
          {
            startImmediately: true
          }
        ))
      yield* take
      yield* Effect.forEach(bodies, Fiber.join)
      assert.deepStrictEqual(said, ["x", "y", "z"])
    }))

  it.effect("tells nobody of its end: the context and the fiber's locals are the caller's [USE-09]", () =>
    Effect.gen(function*() {
      const { lock } = yield* rig
      const seen = yield* lock.withLock(Effect.serviceOption(Local)).pipe(Effect.provideService(Local, 7))
      assert.deepStrictEqual(seen, Option.some(7))
      // The body is a child of the caller: what it leaves running ends with it.
      let isStopped = false
      yield* lock.withLock(Effect.forkChild(
        Effect.onInterrupt(Effect.never, () => Effect.sync(() => void (isStopped = true))),
        { startImmediately: true }
      ))
      assert.isTrue(isStopped)
    }))

  it.effect("has the scope of its caller: what it acquires there outlives the lock [USE-09]", () =>
    Effect.gen(function*() {
      const { lock, said, say, withClient } = yield* rig
      const resource = Effect.acquireRelease(say("opened"), () => say("closed"))
      const others = [
        yield* Effect.flatMap(withClient(ZkLock.make("b")), (one) => ZkLock.makeMulti([one])),
        yield* withClient(ZkSemaphore.make("s", { permits: 1 }))
      ] as const
      yield* Effect.scoped(Effect.gen(function*() {
        yield* lock.withLock(resource)
        yield* others[0].withLock(resource)
        yield* others[1].withPermits(1, resource)
        assert.deepStrictEqual(said, ["opened", "opened", "opened"])
      }))
      assert.strictEqual(said.filter((what) => what === "closed").length, 3)
    }))
})
