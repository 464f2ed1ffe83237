/** Several locks as one: all of them, or none. */

import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import type { InvalidAcl, NoAuth, SessionError } from "../../ZkError.ts"
import { InvalidInput, MultiFailed } from "../../ZkError.ts"
import type * as ZkLock from "../../ZkLock.ts"
import * as ZkTransaction from "../../ZkTransaction.ts"
import { clientOf } from "./lock.ts"
import { LockLost, LockTimeout } from "./lockErrors.ts"
import type { LockNotAcquired } from "./lockErrors.ts"
import { toMillis } from "./options.ts"
import { stopwatch } from "./within.ts"

type AnyLock = ZkLock.ZkLock<ZkLock.LockHandle>

interface Part {
  readonly lock: AnyLock
  readonly handle: ZkLock.LockHandle
}

const use = <A, E, R>(parts: ReadonlyArray<Part>, body: Effect.Effect<A, E, R>): Effect.Effect<A, E | LockLost, R> => {
  let used: Effect.Effect<A, E | LockLost, R> = body
  for (const { handle } of parts) used = handle.use(used)
  return used
}

const guard = <const Ops extends ReadonlyArray<ZkTransaction.WriteOp>>(
  parts: readonly [Part, ...ReadonlyArray<Part>],
  ops: Ops
): ReturnType<ZkLock.MultiHandle["guard"]> => {
  const [first, ...others] = parts
  const checks = others.map(({ handle }) => ZkTransaction.check(handle.path))
  const guarded = first.handle.guard([...checks, ...ops]).pipe(
    Effect.map((results) => results.slice(checks.length)),
    Effect.catchTag(
      "MultiFailed",
      (
        { cause, index, results }
      ): Effect.Effect<never, LockLost | MultiFailed | NoAuth | InvalidAcl | SessionError> => {
        const other = others[index]
        if (other === undefined) {
          return Effect.fail(
            new MultiFailed({ index: index - checks.length, cause, results: results.slice(checks.length) })
          )
        }
        if (cause._tag === "NoAuth") return Effect.fail(cause)
        // It finds out for itself, so that its own handle knows.
        return Effect.andThen(
          other.handle.guard([]),
          Effect.fail(new LockLost({ path: other.lock.path, reason: "removed" }))
        )
      }
    )
  )
  // One that is known to be lost fails before anything is sent.
  return Effect.andThen(use(others, Effect.void), guarded)
}

const makeHandle = (
  parts: readonly [Part, ...ReadonlyArray<Part>],
  inOrder: ReadonlyArray<ZkLock.LockHandle>,
  close: Effect.Effect<void>
): ZkLock.MultiHandle => ({
  handles: inOrder,
  isHeld: Effect.map(Effect.forEach(inOrder, (handle) => handle.isHeld), (held) => held.every(Boolean)),
  lost: Effect.raceAllFirst(inOrder.map((handle) => handle.lost)),
  use: (body) => use(parts, body),
  // One result an operation, in their order.
  guard: ((ops) => guard(parts, ops)) as ZkLock.MultiHandle["guard"],
  release: Effect.forEach([...parts].reverse(), ({ handle }) => handle.release).pipe(
    Effect.map((held) => held.every(Boolean)),
    // Whoever gives back early, in a scope that lives long, leaves nothing in it.
    Effect.tap(() => close),
    Effect.uninterruptible
  )
})

type AcquireOne<E> = (lock: AnyLock) => Effect.Effect<Option.Option<ZkLock.LockHandle>, E, Scope.Scope>

/** One after the other in the one order that everybody keeps to, so that nobody waits in a circle. */
const acquireAll = <E>(
  locks: ReadonlyArray<AnyLock>,
  sorted: ReadonlyArray<AnyLock>,
  acquireOne: AcquireOne<E>
): Effect.Effect<Option.Option<ZkLock.MultiHandle>, E, Scope.Scope> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.gen(function*() {
      const scope = yield* Scope.fork(yield* Effect.scope)
      const exit = yield* Effect.exit(restore(Scope.provide(takeAll(sorted, acquireOne), scope)))
      const parts = Exit.isSuccess(exit) ? exit.value : undefined
      if (parts === undefined) {
        yield* Scope.close(scope, exit)
        return Exit.isFailure(exit) ? yield* Effect.failCause(exit.cause) : Option.none()
      }
      const handles = locks.map((lock) => parts.find((part) => part.lock === lock)!.handle)
      return Option.some(makeHandle(parts, handles, Scope.close(scope, Exit.void)))
    })
  )

type Parts = readonly [Part, ...ReadonlyArray<Part>]

const takeAll = Effect.fnUntraced(function*<E>(
  sorted: ReadonlyArray<AnyLock>,
  acquireOne: AcquireOne<E>
): Effect.fn.Return<Parts | undefined, E, Scope.Scope> {
  const parts: Array<Part> = []
  for (const lock of sorted) {
    const handle = yield* acquireOne(lock)
    if (Option.isNone(handle)) return undefined
    parts.push({ lock, handle: handle.value })
  }
  const [first, ...others] = parts
  return first === undefined ? undefined : [first, ...others]
})

const upTo = (
  locks: ReadonlyArray<AnyLock>,
  sorted: ReadonlyArray<AnyLock>,
  duration: Duration.Input,
  options: ZkLock.AcquireOptions | undefined
): Effect.Effect<Option.Option<ZkLock.MultiHandle>, LockNotAcquired | LockTimeout, Scope.Scope> =>
  Effect.flatMap(stopwatch, (passed) => {
    const timeout = toMillis(duration)
    return Effect.catchTag(
      acquireAll(locks, sorted, (lock) => {
        const left = Effect.suspend(() => lock.acquireTimeout(Math.max(0, timeout - passed()), options))
        return Effect.map(left, Option.some)
      }),
      "LockTimeout",
      ({ path }) => Effect.fail(new LockTimeout({ path, timeout }))
    )
  })

export const makeMulti = (
  locks: ReadonlyArray<AnyLock>
): Effect.Effect<ZkLock.MultiLock, InvalidInput> =>
  Effect.suspend(() => {
    const sorted = [...locks].sort((a, b) => a.path < b.path ? -1 : 1)
    const twice = sorted.find((lock, i) => lock.path === sorted[i + 1]?.path)
    const isMixed = new Set(locks.map((lock) => clientOf.get(lock))).size > 1
    if (locks.length === 0 || twice !== undefined || isMixed) {
      const reason = isMixed
        ? "the locks are of several clients"
        : twice === undefined
        ? "there are no locks"
        : "one lock is given twice"
      return Effect.fail(new InvalidInput({ operation: "ZkLock.makeMulti", path: twice?.path ?? "", reason }))
    }
    // Who waits has all of them in the end.
    const waitFor = (options: ZkLock.AcquireOptions | undefined) =>
      Effect.map(
        acquireAll(locks, sorted, (lock) => Effect.map(lock.acquire(options), Option.some)),
        Option.getOrThrow
      )
    const waitUpTo = (duration: Duration.Input, options: ZkLock.AcquireOptions | undefined) =>
      Effect.map(upTo(locks, sorted, duration, options), Option.getOrThrow)
    const withLock = (
      body:
        | Effect.Effect<unknown, unknown, unknown>
        | ((handle: ZkLock.MultiHandle) => Effect.Effect<unknown, unknown, unknown>),
      options?: ZkLock.WithLockOptions
    ) =>
      // The body's scope is the caller's.
      Effect.scopedWith((scope) =>
        Effect.flatMap(
          Scope.provide(options?.timeout === undefined ? waitFor(options) : waitUpTo(options.timeout, options), scope),
          (handle) => handle.use(typeof body === "function" ? body(handle) : body)
        )
      )
    const multi: ZkLock.MultiLock = {
      paths: locks.map((lock) => lock.path),
      withLock: withLock as ZkLock.MultiLock["withLock"],
      acquire: waitFor,
      acquireTimeout: waitUpTo,
      tryAcquire: (options) => acquireAll(locks, sorted, (lock) => lock.tryAcquire(options))
    }
    return Effect.succeed(multi)
  })
