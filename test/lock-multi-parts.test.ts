/** The parts of several locks that are held together, and what is left in a scope by what is given back early. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import * as ZkLock from "../src/ZkLock.ts"
import * as ZkSemaphore from "../src/ZkSemaphore.ts"
import * as ZkTransaction from "../src/ZkTransaction.ts"
import { failsWith } from "./support/failsWith.ts"
import { pass, settle } from "./support/fakeClient.ts"
import { leaseRig, watchLoss } from "./support/leasing.ts"
import { on } from "./support/locking.ts"

const paths = ["/c", "/a", "/b"]

describe("several locks as one", () => {
  it.effect("are of one client, of whatever kind and in whatever order they are [LOCK-PARTS1]", () =>
    Effect.gen(function*() {
      const { fake, withClient, wire } = yield* leaseRig
      const other = yield* wire.client()
      const ours = yield* withClient(ZkLock.make("/a"))
      const theirs = yield* on(other)(ZkLock.make("/b"))
      const readWrite = yield* on(other)(ZkLock.makeReadWrite("/c"))
      const since = fake.requests.length
      for (const mixed of [[ours, theirs], [theirs, ours], [ours, readWrite.read], [readWrite.write, ours]]) {
        const error = yield* failsWith(ZkLock.makeMulti(mixed), "InvalidInput")
        assert.strictEqual(error.operation, "ZkLock.makeMulti")
        assert.include(error.message, "several clients")
      }
      yield* ZkLock.makeMulti([theirs, readWrite.read])
      assert.lengthOf(fake.requests.slice(since), 0)
    }))

  it.effect.each(paths)(
    "whose guard finds a node missing know of the one that it was: %s [LOCK-PARTS2]",
    (gone) =>
      Effect.gen(function*() {
        const { fake, nodes, withClient } = yield* leaseRig
        const locks = yield* Effect.forEach(paths, (path) => withClient(ZkLock.make(path)))
        const handle = yield* Effect.flatMap(ZkLock.makeMulti(locks), (multi) => multi.acquire())
        const lost = yield* Effect.forEach(handle.handles, watchLoss)
        // All of them are watched by now.
        yield* settle
        const index = paths.indexOf(gone)
        // Nobody is told of its end.
        yield* nodes.removeSilently(handle.handles[index]!.path)
        assert.isTrue(yield* handle.isHeld)
        const error = yield* failsWith(handle.guard([ZkTransaction.create("/written")]), "LockLost")
        assert.deepStrictEqual([error.path, error.reason], [gone, "removed"])
        assert.notInclude(nodes.paths(), "/written")
        yield* settle
        // That one, and no other.
        const expected = paths.map((path) => path === gone ? "removed" : undefined)
        assert.deepStrictEqual(lost.map((reason) => reason()), expected)
        const held = yield* Effect.forEach(handle.handles, (part) => part.isHeld)
        assert.deepStrictEqual(held, paths.map((path) => path !== gone))
        assert.isFalse(yield* handle.isHeld)
        yield* failsWith(handle.lost, "LockLost")
        // From now on that is known without a server.
        const since = fake.requests.length
        assert.strictEqual((yield* failsWith(handle.guard([]), "LockLost")).path, gone)
        assert.lengthOf(fake.requests.slice(since), 0)
        assert.isFalse(yield* handle.release)
      })
  )
})

describe("what is given back early", () => {
  const acquirers: ReadonlyArray<
    readonly [
      name: string,
      acquire: (rig: Effect.Success<typeof leaseRig>) => Effect.Effect<unknown, unknown, Scope.Scope>
    ]
  > = [
    [
      "a lock",
      ({ withClient }) =>
        Effect.flatMap(
          withClient(ZkLock.make("/a")),
          (lock) => Effect.flatMap(lock.acquire(), ({ release }) => release)
        )
    ],
    ["a lock with a time limit", ({ withClient }) =>
      Effect.flatMap(
        withClient(ZkLock.make("/a")),
        (lock) => Effect.flatMap(lock.acquireTimeout("1 second"), ({ release }) => release)
      )],
    [
      "a lock held once more",
      ({ withClient }) =>
        Effect.flatMap(
          withClient(ZkLock.make("/a", { reentrant: true })),
          (lock) =>
            Effect.flatMap(lock.acquire(), (outer) =>
              Effect.andThen(
                outer.use(Effect.flatMap(lock.acquire(), (inner) => inner.release)),
                outer.release
              ))
        )
    ],
    [
      "a lock that was downgraded",
      ({ withClient }) =>
        Effect.flatMap(
          withClient(ZkLock.makeReadWrite("/a")),
          ({ write }) =>
            Effect.flatMap(write.acquire(), ({ downgrade }) => Effect.flatMap(downgrade, ({ release }) => release))
        )
    ],
    ["several locks", ({ withClient }) =>
      Effect.forEach(paths, (path) => withClient(ZkLock.make(path))).pipe(
        Effect.flatMap(ZkLock.makeMulti),
        Effect.flatMap((multi) => multi.acquire()),
        Effect.flatMap(({ release }) => release)
      )],
    [
      "several locks with a time limit",
      ({ withClient }) =>
        Effect.forEach(paths, (path) => withClient(ZkLock.make(path))).pipe(
          Effect.flatMap(ZkLock.makeMulti),
          Effect.flatMap((multi) => multi.acquireTimeout("1 second")),
          Effect.flatMap(({ release }) => release)
        )
    ],
    ["permits", ({ withClient }) =>
      withClient(ZkSemaphore.make("/s", { permits: 3 })).pipe(
        Effect.flatMap((semaphore) => semaphore.acquire(2)),
        Effect.flatMap(({ release }) => release)
      )],
    ["a try in vain", ({ nodes, withClient }) =>
      Effect.andThen(
        nodes.add("/t/_c_other-lock-0000000000"),
        Effect.flatMap(withClient(ZkLock.make("/t")), (lock) => lock.tryAcquire())
      )]
  ]

  it.effect.each(acquirers)(
    "leaves nothing in a scope that lives long: %s [LOCK-PARTS3]",
    ([, acquire]) =>
      Effect.gen(function*() {
        const rig = yield* leaseRig
        yield* rig.nodes.add("/s")
        const before = rig.nodes.paths()
        const scope = yield* Scope.make()
        for (let i = 0; i < 5; i++) {
          yield* Scope.provide(acquire(rig), scope)
          yield* settle
          // A scope knows what it has to do at its end.
          assert.strictEqual(scope.state._tag, "Empty")
        }
        assert.deepStrictEqual(rig.nodes.paths().filter((path) => !path.startsWith("/t/")), before)
        // Nor is anything kept up for it.
        const since = rig.fake.requests.length
        yield* Scope.close(scope, Exit.void)
        yield* pass(3_000)
        assert.deepStrictEqual(rig.fake.requests.slice(since).filter(({ name }) => name !== "ping"), [])
      })
  )

  it.effect("is in the scope before: the same scope has something to do while it is held [LOCK-PARTS3]", () =>
    Effect.gen(function*() {
      const { withClient } = yield* leaseRig
      const scope = yield* Scope.make()
      const multi = yield* Effect.flatMap(
        Effect.forEach(paths, (path) => withClient(ZkLock.make(path))),
        ZkLock.makeMulti
      )
      const handle = yield* Scope.provide(multi.acquire(), scope)
      assert.strictEqual(scope.state._tag, "Open")
      assert.isTrue(yield* handle.release)
      assert.strictEqual(scope.state._tag, "Empty")
    }))
})
