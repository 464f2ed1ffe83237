/** Locks as users have them: specifications checked, acquisitions as scoped resources, handles. */
import * as Deferred from "effect/Deferred"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import type { ZkClient } from "../../ZkClient.ts"
import { InvalidInput, InvalidPath } from "../../ZkError.ts"
import type * as ZkLock from "../../ZkLock.ts"
import * as ZkPath from "../../ZkPath.ts"
import { traced } from "../tracing.ts"
import type { Acquired, Attempt, LockSpec } from "./acquire.ts"
import { acquire } from "./acquire.ts"
import { downgrade } from "./downgrade.ts"
import { clear, contenders, isLocked, revokeAll } from "./inspect.ts"
import { layouts } from "./layout.ts"
import { soon } from "./lease.ts"
import { LockLost } from "./lockErrors.ts"
import type { LockNotAcquired, LockTimeout, LossReason } from "./lockErrors.ts"
import { halfOf, pathOf, toMillis } from "./options.ts"
import type { Kind } from "./queue.ts"
import { isBlockedBy } from "./queue.ts"

const TypeId = "~effect-zookeeper/ZkLock"

/** Whose session a lock is taken in. */
export const clientOf = new WeakMap<object, ZkClient>()

/** A handle sees its own release, and what becomes of the hold that it may share with others. */
const makeHandle = (spec: LockSpec, acquired: Acquired): ZkLock.WriteHandle => {
  const { hold, token } = acquired
  const path = hold.paths[0] ?? spec.path
  let isReleased = false
  let isDowngraded = false
  const whyNot = (late = 0): LossReason | undefined => {
    if (isReleased) return "released"
    // It may have been another handle that is held once more.
    return spec.kind === "exclusive" && hold.kind === "shared" ? "downgraded" : hold.whyNot(late)
  }
  const whileHeld = <A, E, R>(effect: Effect.Effect<A, E, R>, late = 0): Effect.Effect<A, E | LockLost, R> =>
    Effect.suspend((): Effect.Effect<A, E | LockLost, R> => {
      const reason = whyNot(late)
      return reason === undefined ? effect : Effect.fail(new LockLost({ path: spec.path, reason }))
    })
  const requested = Effect.flatMap(Deferred.await(acquired.revoked), () =>
    Effect.matchEffect(contenders(spec), {
      onFailure: () => Effect.succeed<ZkLock.Revocation>({ by: [] }),
      onSuccess: (all) => {
        // What others told when they came in is still there while they hold it beside us.
        const by = all.filter((other) =>
          Option.isSome(other.owner) && other.owner.value.revoke === "request" && isBlockedBy(other, acquired.place)
        )
        return Effect.succeed<ZkLock.Revocation>({ by })
      }
    }))
  return {
    path,
    kind: "exclusive",
    fencingToken: token,
    isHeld: Effect.sync(() => whyNot() === undefined),
    lost: hold.awaitLoss,
    revocationRequested: requested,
    guard: (ops) => whileHeld(hold.guard(ops)),
    // What runs under it is looked after.
    use: (body) => whileHeld(traced("ZkLock", "use", spec.path, hold.use(body)), soon),
    release: Effect.uninterruptible(Effect.suspend(() => {
      // The other handle gives it back.
      if (isReleased || isDowngraded) return Effect.succeed(false)
      const wasHeld = whyNot(soon) === undefined
      isReleased = true
      return Effect.map(acquired.release, (isFirst) => isFirst && wasHeld)
    })),
    downgrade: whileHeld(
      Effect.map(Effect.suspend(() => downgrade(spec, acquired)), (shared): ZkLock.SharedHandle => {
        isDowngraded = true
        return asShared(makeHandle({ ...spec, kind: "shared" }, shared))
      })
    )
  }
}

const makeLock = <Handle extends ZkLock.LockHandle>(
  spec: LockSpec,
  toHandle: (handle: ZkLock.WriteHandle) => Handle
): ZkLock.ZkLock<Handle> => {
  const attempt = (options: ZkLock.AcquireOptions | undefined, more: Pick<Attempt, "waits" | "timeout">): Attempt => ({
    ...more,
    revoke: options?.revoke,
    onStatus: options?.onStatus
  })

  // The span ends with the acquisition; the scope, and what is done in it, are the caller's.
  const run = (how: Attempt): Effect.Effect<Handle | undefined, LockNotAcquired | LockTimeout, Scope.Scope> =>
    traced(
      "ZkLock",
      "acquire",
      spec.path,
      Effect.map(
        acquire(spec, how),
        (acquired) => acquired === undefined ? undefined : toHandle(makeHandle(spec, acquired))
      )
    )

  // Without a limit there is no LockTimeout, and whoever waits has something in the end.
  const waitFor = (options: ZkLock.AcquireOptions | undefined) =>
    run(attempt(options, { waits: true, timeout: undefined })) as Effect.Effect<Handle, LockNotAcquired, Scope.Scope>
  const waitUpTo = (duration: Duration.Input, options: ZkLock.AcquireOptions | undefined) =>
    run(attempt(options, { waits: true, timeout: toMillis(duration) })) as Effect.Effect<
      Handle,
      LockNotAcquired | LockTimeout,
      Scope.Scope
    >

  const withLock = (
    body: Effect.Effect<unknown, unknown, unknown> | ((handle: Handle) => Effect.Effect<unknown, unknown, unknown>),
    options?: ZkLock.WithLockOptions
  ) =>
    // The body's scope is the caller's.
    Effect.scopedWith((scope) =>
      Effect.flatMap(
        Scope.provide(options?.timeout === undefined ? waitFor(options) : waitUpTo(options.timeout, options), scope),
        (handle) => handle.use(typeof body === "function" ? body(handle) : body)
      )
    )

  const lock: ZkLock.ZkLock<Handle> = {
    [TypeId]: TypeId,
    path: spec.path,
    kind: spec.kind,
    withLock: withLock as ZkLock.ZkLock<Handle>["withLock"],
    acquire: waitFor,
    acquireTimeout: waitUpTo,
    tryAcquire: (options) =>
      Effect.map(
        run(attempt(options, { waits: false, timeout: undefined })) as Effect.Effect<
          Handle | undefined,
          LockNotAcquired,
          Scope.Scope
        >,
        Option.fromUndefinedOr
      ),
    contenders: contenders(spec),
    isLocked: isLocked(spec),
    revokeAll: revokeAll(spec),
    clear: clear(spec)
  }
  clientOf.set(lock, spec.client)
  return lock
}

const makeSpec = (
  client: ZkClient,
  name: string,
  options: ZkLock.Options
): Effect.Effect<Omit<LockSpec, "kind" | "isReadWrite">, InvalidPath | InvalidInput> => {
  const { layout: layoutName = "curator", tickTime } = options
  const invalid = (reason: string) => Effect.fail(new InvalidInput({ operation: "ZkLock.make", path: name, reason }))
  if (!Object.hasOwn(layouts, layoutName)) return invalid(`${String(layoutName)} is no layout`)
  const halfTick = halfOf(tickTime)
  if (halfTick !== undefined && !(halfTick > 0)) return invalid("a tick takes time")
  const layout = layouts[layoutName]
  const { root = layout.root } = options
  const path = pathOf(name, root)
  const reason = path === "/" ? "candidates need a node of their own to wait below" : ZkPath.problem(path)
  if (reason !== undefined) return Effect.fail(new InvalidPath({ path, reason }))
  return Effect.succeed({
    client,
    path,
    layout,
    acl: options.acl,
    owner: options.owner,
    reentrant: options.reentrant ?? false,
    lostOn: options.lostOn ?? "lease",
    onCandidateLost: options.onCandidateLost ?? "fail",
    halfTick
  })
}

const asExclusive = (handle: ZkLock.WriteHandle): ZkLock.ExclusiveHandle => {
  const { downgrade: _, ...rest } = handle
  return rest
}

const asShared = (handle: ZkLock.WriteHandle): ZkLock.SharedHandle => ({ ...asExclusive(handle), kind: "shared" })

export const make = (client: ZkClient, name: string, options: ZkLock.Options = {}) =>
  Effect.map(
    makeSpec(client, name, options),
    (spec) => makeLock({ ...spec, kind: "exclusive", isReadWrite: false }, asExclusive)
  )

export const makeReadWrite = (client: ZkClient, name: string, options: ZkLock.Options = {}) =>
  Effect.map(makeSpec(client, name, options), (common): ZkLock.ReadWriteLock => {
    const spec = (kind: Kind): LockSpec => ({ ...common, kind, isReadWrite: true })
    const write = makeLock(spec("exclusive"), (handle) => handle)
    return { path: common.path, read: makeLock(spec("shared"), asShared), write }
  })
