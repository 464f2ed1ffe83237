/** What the compiler lets pass of locks and permits, and what not. The proof is `npm run check`: here nothing is run. */
import { describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type { ZkClient } from "../../src/ZkClient.ts"
import type * as ZkError from "../../src/ZkError.ts"
import * as ZkLock from "../../src/ZkLock.ts"
import * as ZkSemaphore from "../../src/ZkSemaphore.ts"
import * as ZkTransaction from "../../src/ZkTransaction.ts"

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends (<T>() => T extends B ? 1 : 2) ? true : false

/** Compiles only for types that are the same. */
const same = <A, B>(_same: Same<A, B>): void => {}

/** For the compiler only. */
const unrun = <A>(
  _: (lock: ZkLock.ZkLock, both: ZkLock.ReadWriteLock, permits: ZkSemaphore.ZkSemaphore) => A
): void => {}

type Lost = ZkLock.LockLost
type NotAcquired = ZkLock.LockNotAcquired
type Timeout = ZkLock.LockTimeout

describe("types of locks", () => {
  it("a time limit brings its error, and nothing else does [S-TYPES-LOCKS]", () => {
    unrun((lock, _, semaphore) => {
      const body = Effect.fail("mine" as const)
      const forever = lock.withLock(body)
      same<Effect.Error<typeof forever>, "mine" | NotAcquired | Lost>(true)
      const limited = lock.withLock(body, { timeout: "1 second" })
      same<Effect.Error<typeof limited>, "mine" | NotAcquired | Lost | Timeout>(true)
      const asking = lock.withLock(body, { revoke: "request" })
      same<Effect.Error<typeof asking>, "mine" | NotAcquired | Lost>(true)
      same<Effect.Error<ReturnType<typeof lock.acquire>>, NotAcquired>(true)
      same<Effect.Error<ReturnType<typeof lock.acquireTimeout>>, NotAcquired | Timeout>(true)
      same<Effect.Error<ReturnType<typeof lock.tryAcquire>>, NotAcquired>(true)
      const permitted = semaphore.withPermits(1, body)
      same<Effect.Error<typeof permitted>, "mine" | ZkSemaphore.AcquireError | Lost>(true)
      const limitedPermits = semaphore.withPermits(1, body, { timeout: 5 })
      same<Effect.Error<typeof limitedPermits>, "mine" | ZkSemaphore.AcquireError | Lost | Timeout>(true)
      // @ts-expect-error: whoever waits without a limit has no time-out to handle
      Effect.catchTag(forever, "LockTimeout", () => Effect.void)
      return Effect.catchTag(limited, "LockTimeout", () => Effect.void)
    })
  })

  it("a lock is scoped, and what runs under one is not [S-TYPES-LOCKS]", () => {
    unrun((lock) => {
      same<Effect.Services<ReturnType<typeof lock.acquire>>, Scope.Scope>(true)
      same<Effect.Success<ReturnType<typeof lock.tryAcquire>>, Option.Option<ZkLock.ExclusiveHandle>>(true)
      const used = lock.withLock((handle) => Effect.as(handle.guard([]), handle.fencingToken))
      same<Effect.Services<typeof used>, never>(true)
      same<Effect.Success<typeof used>, bigint>(true)
      same<Effect.Services<ReturnType<typeof ZkLock.make>>, ZkClient>(true)
      same<Effect.Error<ReturnType<typeof ZkLock.make>>, ZkError.InvalidPath | ZkError.InvalidInput>(true)
    })
  })

  it("there is no release without a lock [T15]", () => {
    unrun((lock) => {
      // @ts-expect-error: only the handle of an acquisition can be released
      void lock.release
      // @ts-expect-error: nor is there anything to be told of it
      void lock.isHeld
      same<ZkLock.LockHandle["release"], Effect.Effect<boolean>>(true)
      same<ZkLock.LockHandle["isHeld"], Effect.Effect<boolean>>(true)
      same<ZkLock.LockHandle["lost"], Effect.Effect<never, Lost>>(true)
    })
  })

  it("only a write lock is downgraded [S-TYPES-LOCKS]", () => {
    unrun((lock, { read, write }) => {
      const handles = Effect.all([lock.acquire(), read.acquire(), write.acquire()])
      return Effect.flatMap(handles, ([plain, shared, writing]) => {
        // @ts-expect-error: a lock of one kind has nothing to be turned into
        void plain.downgrade
        // @ts-expect-error: a read lock is the least there is
        void shared.downgrade
        same<typeof writing.downgrade, Effect.Effect<ZkLock.SharedHandle, ZkLock.DowngradeError>>(true)
        same<(typeof shared)["kind"], "shared">(true)
        same<(typeof writing)["kind"], "exclusive">(true)
        return writing.downgrade
      })
    })
  })

  it("a try does not ask and wait [S-TYPES-LOCKS]", () => {
    unrun((lock) => {
      // @ts-expect-error: there is nobody to wait for the one who was asked
      lock.tryAcquire({ revoke: "request" })
      // @ts-expect-error: nor a time to wait
      lock.tryAcquire({ timeout: "1 second" })
      // @ts-expect-error: there is no such way
      lock.acquire({ revoke: "gently" })
      // @ts-expect-error: the limit of an acquisition is an argument
      lock.acquire({ timeout: "1 second" })
      return lock.tryAcquire({ revoke: "immediate" })
    })
  })

  it("a guarded transaction has the results of its operations, and its own errors [S-TYPES-LOCKS]", () => {
    unrun((lock) =>
      lock.withLock((handle) => {
        const guarded = handle.guard([ZkTransaction.create("/a"), ZkTransaction.delete("/b")])
        same<Effect.Success<typeof guarded>, readonly [ZkTransaction.Created, void]>(true)
        same<
          Effect.Error<typeof guarded>,
          Lost | ZkError.MultiFailed | ZkError.NoAuth | ZkError.InvalidAcl | ZkError.SessionError
        >(true)
        // @ts-expect-error: reads have nothing to be guarded
        handle.guard([ZkTransaction.getData("/a")])
        return guarded
      })
    )
  })

  it("options that do not exist are refused [S-TYPES-LOCKS]", () => {
    // @ts-expect-error: locks that outlive their session are not offered
    ZkLock.make("a", { ephemeral: false })
    // @ts-expect-error: nor are locks that are taken away for idleness
    ZkLock.make("a", { maxIdle: "1 minute" })
    // @ts-expect-error: there is no such layout
    ZkLock.make("a", { layout: "etcd" })
    // @ts-expect-error: a semaphore has a number of permits
    ZkSemaphore.make("a", {})
  })
})
