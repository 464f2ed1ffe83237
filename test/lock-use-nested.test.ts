/** A lock that is asked for under itself: T = 6 seconds, on the scripted server. */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as ZkLock from "../src/ZkLock.ts"
import { failsWith } from "./support/failsWith.ts"
import { pass, settle } from "./support/fakeClient.ts"
import { leaseRig, leaseTime } from "./support/leasing.ts"
import { on } from "./support/locking.ts"

/** The refusal of a lock that is held already. */
const refused = <A, R>(effect: Effect.Effect<A, ZkLock.LockNotAcquired | ZkLock.LockLost | ZkLock.LockTimeout, R>) =>
  Effect.map(failsWith(effect, "LockNotAcquired"), ({ cause }) => {
    assert.strictEqual(cause._tag, "LockAlreadyHeld")
    return cause as ZkLock.LockAlreadyHeld
  })

describe("a lock that is asked for under itself", () => {
  it.effect("is refused at once, and is held on [NEST-01] [I13] [LOCK-06]", () =>
    Effect.gen(function*() {
      const { fake, nodes, withClient } = yield* leaseRig
      const lock = yield* withClient(ZkLock.make("a"))
      const twin = yield* withClient(ZkLock.make("/locks/a"))
      const readWrite = yield* withClient(ZkLock.makeReadWrite("a"))
      yield* lock.withLock((handle) =>
        Effect.gen(function*() {
          const since = fake.requests.length
          const cause = yield* refused(lock.withLock(Effect.void))
          assert.deepStrictEqual(
            { ...cause },
            { _tag: "LockAlreadyHeld", path: "/locks/a", held: "exclusive", wanted: "exclusive" } as never
          )
          yield* refused(Effect.scoped(lock.acquire()))
          yield* refused(Effect.scoped(lock.acquireTimeout("1 second")))
          yield* refused(lock.withLock(Effect.void, { timeout: "1 second" }))
          yield* refused(Effect.scoped(lock.tryAcquire()))
          yield* refused(Effect.scoped(lock.tryAcquire({ revoke: "immediate" })))
          yield* refused(twin.withLock(Effect.void))
          yield* refused(readWrite.write.withLock(Effect.void))
          yield* refused(readWrite.read.withLock(Effect.void))
          // Deeper down, and in a fiber of its own.
          yield* refused(Effect.flatten(Effect.map(Effect.forkChild(lock.withLock(Effect.void)), Fiber.join)))
          assert.deepStrictEqual(fake.requests.slice(since).filter(({ name }) => name !== "getData"), [])
          assert.isTrue(yield* handle.isHeld)
          assert.lengthOf(nodes.paths(), 1)
        })
      )
      assert.lengthOf(nodes.paths(), 0)
      yield* lock.withLock(Effect.void)
    }))

  it.effect("also through a view of the client that knows it by another name [NEST-01]", () =>
    Effect.gen(function*() {
      const { withClient, zk } = yield* leaseRig
      const view = yield* zk.chroot("/locks")
      const lock = yield* withClient(ZkLock.make("a"))
      const same = yield* on(view)(ZkLock.make("/a"))
      const other = yield* on(view)(ZkLock.make("/locks/a"))
      yield* lock.withLock(refused(same.withLock(Effect.void)))
      yield* same.withLock(refused(lock.withLock(Effect.void)))
      yield* lock.withLock(other.withLock(Effect.void))
    }))

  it.effect("also under use, and through more than one level [NEST-01]", () =>
    Effect.gen(function*() {
      const { withClient } = yield* leaseRig
      const a = yield* withClient(ZkLock.make("a"))
      const b = yield* withClient(ZkLock.make("b"))
      const handle = yield* a.acquire()
      yield* handle.use(b.withLock(Effect.gen(function*() {
        yield* refused(a.withLock(Effect.void))
        yield* refused(b.withLock(Effect.void))
      })))
    }))

  it.effect("is another where the path or the session is another [NEST-02]", () =>
    Effect.gen(function*() {
      const { nodes, wire, withClient } = yield* leaseRig
      const a = yield* withClient(ZkLock.make("a"))
      const ab = yield* withClient(ZkLock.make("a/b"))
      const second = yield* wire.client()
      const theirs = yield* on(second)(ZkLock.make("a"))
      yield* a.withLock(Effect.gen(function*() {
        yield* ab.withLock(Effect.void)
        const waiting = yield* Effect.forkChild(theirs.withLock(Effect.void), { startImmediately: true })
        yield* pass(1_000)
        // It waits, as everybody does.
        assert.isUndefined(waiting.pollUnsafe())
        assert.lengthOf(nodes.paths().filter((path) => path.startsWith("/locks/a/_c_")), 2)
        yield* Fiber.interrupt(waiting)
      }))
    }))

  it.effect("may be had once it is released, or lost, though what surrounds goes on [NEST-03]", () =>
    Effect.gen(function*() {
      const { nodes, throttle, withClient } = yield* leaseRig
      const lock = yield* withClient(ZkLock.make("a"))
      yield* lock.withLock((handle) =>
        Effect.gen(function*() {
          yield* handle.release
          yield* lock.withLock(Effect.void)
        })
      )
      const lost = yield* Effect.forkChild(
        failsWith(
          lock.withLock(Effect.uninterruptible(Effect.gen(function*() {
            const [node = ""] = nodes.paths()
            yield* nodes.remove(node)
            yield* settle
            yield* lock.withLock(Effect.void)
          }))),
          "LockLost"
        ),
        { startImmediately: true }
      )
      assert.strictEqual((yield* Fiber.join(lost)).reason, "removed")
      assert.lengthOf(nodes.paths(), 0)
      // A fiber that outlives the body is not under the lock any more.
      const gate = yield* Deferred.make<void>()
      const outliving = yield* lock.withLock(
        Effect.forkDetach(Effect.andThen(Deferred.await(gate), lock.withLock(Effect.succeed("had it"))))
      )
      yield* Deferred.succeed(gate, undefined)
      assert.strictEqual(yield* Fiber.join(outliving), "had it")
      yield* throttle
    }))

  it.effect("is waited for by those who are not under it, whatever lock value they use [LOCK-06]", () =>
    Effect.gen(function*() {
      const { nodes, withClient } = yield* leaseRig
      const lock = yield* withClient(ZkLock.make("a"))
      let inside = 0
      let most = 0
      const turn = Effect.gen(function*() {
        most = Math.max(most, ++inside)
        yield* Effect.sleep(100)
        inside--
      })
      const all = yield* Effect.forEach(Array.from({ length: 5 }), () => Effect.forkChild(lock.withLock(turn)))
      yield* pass(1_000)
      yield* Effect.forEach(all, Fiber.join)
      assert.strictEqual(most, 1)
      assert.lengthOf(nodes.paths(), 0)
    }))
})

describe("a re-entrant lock", () => {
  const reentrant = { reentrant: true } as const

  it.effect("is held once more, on one node that goes with the last hold [NEST-04] [LOCK-06]", () =>
    Effect.gen(function*() {
      const { fake, nodes, withClient } = yield* leaseRig
      const lock = yield* withClient(ZkLock.make("a", reentrant))
      const scope = yield* Scope.make()
      const inner = yield* lock.withLock((outer) =>
        Effect.gen(function*() {
          const since = fake.requests.length
          const inner = yield* Scope.provide(lock.acquire(), scope)
          assert.strictEqual(inner.path, outer.path)
          assert.strictEqual(inner.fencingToken, outer.fencingToken)
          assert.strictEqual(yield* lock.withLock(lock.withLock(Effect.succeed(3))), 3)
          assert.deepStrictEqual(fake.requests.slice(since).filter(({ name }) => name !== "getData"), [])
          assert.isTrue(yield* outer.isHeld)
          return inner
        })
      )
      assert.lengthOf(nodes.paths(), 1)
      assert.isTrue(yield* inner.isHeld)
      yield* inner.guard([])
      yield* inner.use(Effect.void)
      yield* Scope.close(scope, Exit.void)
      assert.lengthOf(nodes.paths(), 0)
      assert.isFalse(yield* inner.isHeld)
    }))

  it.effect("counts a hold that is given back early, and then again with its scope, once [NEST-04]", () =>
    Effect.gen(function*() {
      const { nodes, withClient } = yield* leaseRig
      const lock = yield* withClient(ZkLock.make("a", reentrant))
      yield* lock.withLock((outer) =>
        Effect.gen(function*() {
          const inner = yield* Effect.scoped(Effect.gen(function*() {
            const inner = yield* lock.acquire()
            assert.isTrue(yield* inner.release)
            assert.isFalse(yield* inner.release)
            assert.isFalse(yield* inner.isHeld)
            return inner
          }))
          assert.isTrue(yield* outer.isHeld)
          assert.lengthOf(nodes.paths(), 1)
          assert.strictEqual((yield* failsWith(inner.guard([]), "LockLost")).reason, "released")
          // And the other way round: the outer one first.
          yield* lock.withLock((second) =>
            Effect.gen(function*() {
              assert.isTrue(yield* outer.release)
              assert.isFalse(yield* outer.isHeld)
              assert.isTrue(yield* second.isHeld)
              assert.lengthOf(nodes.paths(), 1)
            })
          )
          assert.lengthOf(nodes.paths(), 0)
        })
      )
    }))

  it.effect("is lost for all of its holds [NEST-05]", () =>
    Effect.gen(function*() {
      const { throttle, withClient } = yield* leaseRig
      const lock = yield* withClient(ZkLock.make("a", reentrant))
      const stopped: Array<string> = []
      const note = (what: string) => Effect.sync(() => void stopped.push(what))
      const working = yield* Effect.forkChild(
        failsWith(
          lock.withLock(
            lock.withLock(Effect.onInterrupt(Effect.never, () => note("inner"))).pipe(
              Effect.onInterrupt(() => note("outer"))
            )
          ),
          "LockLost"
        ),
        { startImmediately: true }
      )
      yield* throttle
      yield* pass(leaseTime)
      assert.strictEqual((yield* Fiber.join(working)).reason, "lease")
      assert.strictEqual(stopped[0], "inner")
    }))

  it.effect("of readers and a writer: reads under the write, but no upgrade [NEST-06] [J4] [RW-04]", () =>
    Effect.gen(function*() {
      const { fake, nodes, withClient } = yield* leaseRig
      const { read, write } = yield* withClient(ZkLock.makeReadWrite("a", reentrant))
      yield* write.withLock((writer) =>
        read.withLock((reader) =>
          Effect.gen(function*() {
            assert.strictEqual(reader.kind, "shared")
            assert.strictEqual(reader.path, writer.path)
            assert.isTrue(yield* reader.isHeld)
            yield* write.withLock(Effect.void)
            assert.lengthOf(nodes.paths(), 1)
          })
        )
      )
      yield* read.withLock(Effect.gen(function*() {
        yield* read.withLock(Effect.void)
        const since = fake.requests.length
        const cause = yield* refused(write.withLock(Effect.void))
        assert.strictEqual(cause.held, "shared")
        assert.strictEqual(cause.wanted, "exclusive")
        assert.include(cause.message, "cannot be upgraded")
        yield* refused(write.withLock(Effect.void, { timeout: "5 seconds" }))
        assert.deepStrictEqual(fake.requests.slice(since).filter(({ name }) => name !== "getData"), [])
      }))
      const plain = yield* withClient(ZkLock.makeReadWrite("a"))
      yield* plain.read.withLock(refused(plain.write.withLock(Effect.void)))
      assert.lengthOf(nodes.paths(), 0)
    }))

  it.effect("waits for others as any lock: being re-entrant is of who is under it [NEST-04]", () =>
    Effect.gen(function*() {
      const { withClient } = yield* leaseRig
      const lock = yield* withClient(ZkLock.make("a", reentrant))
      const handle = yield* lock.acquire()
      assert.strictEqual((yield* lock.tryAcquire())._tag, "None")
      // Under `use` it is.
      yield* handle.use(lock.withLock(Effect.void))
    }))
})
