/**
 * Locks across processes and machines: exclusive, shared (read/write) and revocable, as scoped resources.
 *
 * **What a lock can promise, and what not.** At most one holder at a time *believes* that it holds the lock, as long as
 * clocks run at about the same rate: the belief ends before the servers can give the lock to another (see "The lease").
 * No client can prevent that an administrator deletes the lock's node, that a leader hears late of a session that is
 * alive, or that a process is frozen between looking at the clock and acting. Two things are safe in any case:
 *
 * - **`guard`** for what is kept in ZooKeeper: a transaction that is applied only if the lock's node is still there.
 * - **`fencingToken`** for what is kept elsewhere: a number that rises from one exclusive holder to the next. A store that
 *   remembers the highest it has seen, and refuses lower ones, cannot be written to by a holder of the past.
 *
 * **Details**
 *
 * - Candidates are ephemeral sequential nodes; first come, first served. Each waits for its predecessor alone, shared ones
 *   only for exclusive ones ahead. Whoever comes behind a waiting writer waits too.
 * - The lock's own node is a container: the servers remove it some time after the last candidate has gone.
 * - **Release**, by whatever ends the scope, removes the candidate. While there is a connection it waits for that, for a
 *   third of the session timeout at most; otherwise it goes on in the background. Interruption leaves no candidate.
 * - **Waiting** survives lost connections. When the session expires or somebody deletes the candidate, waiting fails with
 *   `LockNotAcquired`, or begins anew at the end of the queue (`onCandidateLost: "requeue"`).
 * - **The lease.** Being connected proves nothing, only a write that was answered does. A lock counts as lost when for
 *   the session timeout, less a sixth, half a tick and one per cent, no write that was answered has been sent. A holder
 *   writes often enough (one transaction of checks every sixth of the timeout, for all locks of the session).
 * - **Re-entrancy** is off: a lock that is asked for under itself fails with `LockAlreadyHeld`. With `reentrant` it is
 *   held once more; fibers that are started under it are not excluded from each other.
 * - **Idle revocation** (taking a lock from a holder that does nothing with it) is not offered: ZooKeeper does not see
 *   what a holder does. A waiter can see since when a lock has been held (`contenders`) and ask for it
 *   (`revoke: "request"`); a holder can limit itself with `Effect.timeout`.
 * - Locks that outlive their session are not offered: nobody would release them after a crash.
 *
 * **Example** (One at a time)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { ZkLock } from "effect-zookeeper"
 *
 * const nightly = Effect.gen(function*() {
 *   const lock = yield* ZkLock.make("nightly-report")
 *   yield* lock.withLock(Effect.log("working"), { timeout: "10 seconds" })
 * }).pipe(
 *   Effect.catchTag("LockTimeout", () => Effect.log("somebody else is at it"))
 * )
 * ```
 *
 * @see {@link https://zookeeper.apache.org/doc/r3.9.3/recipes.html#sc_recipes_Locks | the lock recipe}
 * @stability unstable
 * @since 0.1.0
 */
import type * as DateTime from "effect/DateTime"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import type * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as internal from "./internal/recipes/lock.ts"
import type { LockLost, LockNotAcquired, LockTimeout, LossReason } from "./internal/recipes/lockErrors.ts"
import * as multi from "./internal/recipes/multiLock.ts"
import type { Acl } from "./ZkAcl.ts"
import { ZkClient } from "./ZkClient.ts"
import type {
  BadVersion,
  InvalidAcl,
  InvalidInput,
  InvalidPath,
  MultiFailed,
  NoAuth,
  NotEmpty,
  QuotaExceeded,
  SessionError
} from "./ZkError.ts"
import type { WriteOp, WriteResults } from "./ZkTransaction.ts"

export {
  CandidateRemoved,
  LockAlreadyHeld,
  LockLost,
  LockNotAcquired,
  LockTimeout,
  LossReason,
  NotAcquiredCause,
  SequenceExhausted
} from "./internal/recipes/lockErrors.ts"

/**
 * The runtime type identifier of {@link ZkLock}.
 *
 * @stability unstable
 * @category type IDs
 * @since 0.1.0
 */
export const TypeId: TypeId = "~effect-zookeeper/ZkLock"

/**
 * The type-level identifier of {@link ZkLock}.
 *
 * @stability unstable
 * @category type IDs
 * @since 0.1.0
 */
export type TypeId = "~effect-zookeeper/ZkLock"

/**
 * How a lock is kept in ZooKeeper. The options of everybody who shares a lock have to agree in `layout`.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /**
   * The node below which locks with relative names are. An absolute name is itself. Default: `/locks`; with the layout
   * `zktools` its own `/ZktoolsLocks`.
   */
  readonly root?: string | undefined
  /**
   * Whose names and messages to use, so that clients of other languages and ours exclude each other. Default:
   * `"curator"`.
   *
   * - `curator`: `InterProcessMutex` with {@link make}, `InterProcessReadWriteLock` with {@link makeReadWrite}. Java sees
   *   only its own of the two on one path, ours sees both.
   * - `kazoo`: `Lock`, `ReadLock` and `WriteLock`. kazoo's plain `Lock` does not wait for readers, and before kazoo 2.9 a
   *   `ReadLock` waits for writers behind it, which wait for it.
   * - `zktools`: `ZkLock`, `ZkReadLock` and `ZkWriteLock`, whose readers do not wait for its plain lock.
   */
  readonly layout?: "curator" | "kazoo" | "zktools" | undefined
  /** The ACL of candidates and of parents that are missing. The holder has to be able to read. Default: open. */
  readonly acl?: ReadonlyArray<Acl> | undefined
  /** What others shall be told of the owner, besides host, process and time. Default: nothing. */
  readonly owner?: { readonly [key: string]: Schema.Json } | undefined
  /** Hold the lock once more where it is held already, in place of failing. Default: `false`. */
  readonly reentrant?: boolean | undefined
  /** When the lock counts as lost: at the end of the lease, or as soon as the connection is. Default: `"lease"`. */
  readonly lostOn?: "lease" | "suspended" | undefined
  /** What a waiter does whose candidate is gone, with its session or by somebody's hand. Default: `"fail"`. */
  readonly onCandidateLost?: "fail" | "requeue" | undefined
  /** The servers' `tickTime`, if known: leases get longer by a quarter of the session timeout less half of it. */
  readonly tickTime?: Duration.Input | undefined
}

/**
 * Where an acquisition has got to.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export type LockStatus =
  /** A candidate waits behind others. */
  | { readonly _tag: "Queued"; readonly path: string; readonly ahead: number }
  | { readonly _tag: "Held"; readonly path: string }
  | { readonly _tag: "Lost"; readonly path: string; readonly reason: LossReason }
  | { readonly _tag: "Released"; readonly path: string }

/**
 * How to acquire a lock.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export interface AcquireOptions {
  /**
   * What to do about those in the way. Default: wait for them.
   *
   * - `request`: ask them to give way (`LockHandle.revocationRequested`), and wait. What their nodes told of them is
   *   replaced by the message, which stays when the asker gives up.
   * - `immediate`: take their locks away, which they hear of afterwards. All of them go in the one transaction that makes
   *   sure of the own place, so that nobody loses a lock to one who does not get it. What they do meanwhile is not
   *   stopped by this: for safety they need `guard` or `fencingToken`.
   */
  readonly revoke?: "request" | "immediate" | undefined
  /** Called with every change of status, also after the acquisition. */
  readonly onStatus?: ((status: LockStatus) => Effect.Effect<void>) | undefined
}

/**
 * How to acquire a lock for an effect.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export interface WithLockOptions extends AcquireOptions {
  /**
   * How long to wait for the lock, lost connections included; 0 is not at all. Default: for as long as it takes.
   */
  readonly timeout?: Duration.Input | undefined
}

/**
 * Who asks for a lock: those among the waiters that came with `revoke: "request"`. Empty if the request came through
 * `revokeAll`, from a client that does not tell, or from one that has given up since.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export interface Revocation {
  readonly by: ReadonlyArray<Contender>
}

/**
 * What a candidate's node tells of its owner.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export interface Owner {
  readonly host: string
  readonly pid: number
  /** When it asked for the lock, by its own clock. */
  readonly since: DateTime.Utc
  /** `Options.owner`. */
  readonly custom?: { readonly [key: string]: Schema.Json }
  /** What it does about those in its way. */
  readonly revoke?: "request" | "immediate"
  /** Until when it is going to wait, by its own clock. */
  readonly deadline?: DateTime.Utc
}

/**
 * One who holds a lock or waits for it.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export interface Contender {
  readonly path: string
  readonly kind: "exclusive" | "shared"
  readonly sequence: number
  /** Whether nobody is in its way. */
  readonly isHolder: boolean
  readonly sessionId: bigint
  /** When its node was created, by the servers' clock. */
  readonly created: DateTime.Utc
  /** None for clients that write something else, and after a request to give way. */
  readonly owner: Option.Option<Owner>
  /** The data of its node. */
  readonly text: string
  /** It has been asked to give way. */
  readonly revoking: boolean
}

/**
 * A lock that was acquired. Valid until its scope is closed, it is released, or it is lost.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export interface LockHandle {
  /** The node of the candidate. */
  readonly path: string
  readonly kind: "exclusive" | "shared"
  /**
   * For stores that are not ZooKeeper: rises over successive exclusive holders (it is the czxid of the holder's node).
   * Whoever has been downgraded, or holds a lock once more, keeps its first. Those of readers have no order.
   */
  readonly fencingToken: bigint
  /** Whether it is held, by the clock. Asks no server: `guard([])` does. */
  readonly isHeld: Effect.Effect<boolean>
  /** Fails when the lock is lost, at the end of its lease at the latest. Never completes after a release. */
  readonly lost: Effect.Effect<never, LockLost>
  /**
   * Completes when somebody asks for the lock, also if that was while it was still waited for. It is up to the holder to
   * give way.
   */
  readonly revocationRequested: Effect.Effect<Revocation>
  /**
   * All of these operations while the lock's node is there, or none. Fails with `LockLost`, without asking a server, once
   * the lock is not held; with `MultiFailed` as `ZkClient.multi`, with the index among these operations; with `NoAuth`
   * when the node may not be read. `ConnectionLoss{maybeApplied: true}`: as after any write.
   */
  readonly guard: <const Ops extends ReadonlyArray<WriteOp>>(
    ops: Ops
  ) => Effect.Effect<WriteResults<Ops>, LockLost | MultiFailed | NoAuth | InvalidAcl | SessionError>
  /**
   * Runs an effect under the lock: when that is lost, the effect is interrupted, and fails with `LockLost` after its
   * finalizers. An effect that has succeeded within the lease has succeeded, and its own errors pass. What it forks as
   * its children ends with it. A process that wakes up after having been frozen takes no further step: it is looked after
   * each wait. What cannot be stopped is synchronous code (some tens of `Effect.map`s in a row among it) and regions that
   * cannot be interrupted.
   */
  readonly use: <A, E, R>(body: Effect.Effect<A, E, R>) => Effect.Effect<A, E | LockLost, R>
  /**
   * Gives the lock back ahead of the end of its scope. `true` if it was held until now, `false` if it was lost or
   * released before. Never fails, and works while disconnected.
   */
  readonly release: Effect.Effect<boolean>
}

/**
 * A lock that is held by nobody else.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export interface ExclusiveHandle extends LockHandle {
  readonly kind: "exclusive"
}

/**
 * A lock that is held by readers only.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export interface SharedHandle extends LockHandle {
  readonly kind: "shared"
}

/**
 * Why a write lock was not turned into a read lock.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export type DowngradeError = LockLost | MultiFailed | InvalidAcl | NoAuth | SessionError

/**
 * A write lock.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export interface WriteHandle extends ExclusiveHandle {
  /**
   * Turns the write lock into a read lock, with no writer coming in between: readers that wait come in, writers wait on.
   * From then on this handle is not held any more; the read lock goes with the same scope, and what runs under `use`
   * or `withLock` goes on. Readers may come in before this one is told. Cannot be interrupted.
   */
  readonly downgrade: Effect.Effect<SharedHandle, DowngradeError>
}

/**
 * One lock. Each acquisition of it is independent of the others, whoever makes it.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export interface ZkLock<out Handle extends LockHandle = ExclusiveHandle> {
  readonly [TypeId]: TypeId
  /** The node below which candidates wait. */
  readonly path: string
  readonly kind: "exclusive" | "shared"
  /**
   * Acquires the lock, runs the effect under it (see `LockHandle.use`), and releases it, however the effect ends.
   *
   * Fails with `LockNotAcquired`, or `LockTimeout` when there is a `timeout`, if the effect was not begun; with
   * `LockLost` if the lock was lost meanwhile. Interruption gives up waiting, or interrupts the effect, and releases.
   */
  readonly withLock: {
    <A, E, R>(
      body: Effect.Effect<A, E, R> | ((handle: Handle) => Effect.Effect<A, E, R>),
      options: WithLockOptions & { readonly timeout: Duration.Input }
    ): Effect.Effect<A, E | LockNotAcquired | LockLost | LockTimeout, R>
    <A, E, R>(
      body: Effect.Effect<A, E, R> | ((handle: Handle) => Effect.Effect<A, E, R>),
      options?: AcquireOptions & { readonly timeout?: undefined }
    ): Effect.Effect<A, E | LockNotAcquired | LockLost, R>
  }
  /** Waits for the lock and holds it until the scope is closed. What is done meanwhile is to be wrapped in `use`. */
  readonly acquire: (options?: AcquireOptions) => Effect.Effect<Handle, LockNotAcquired, Scope.Scope>
  /**
   * Waits for the lock for a time, lost connections included. With none (0) the lock is had only if nobody is in the way.
   */
  readonly acquireTimeout: (
    timeout: Duration.Input,
    options?: AcquireOptions
  ) => Effect.Effect<Handle, LockNotAcquired | LockTimeout, Scope.Scope>
  /** The lock, if nobody is in the way. With `immediate`, those who are lose it, if we get it. */
  readonly tryAcquire: (
    options?: Omit<AcquireOptions, "revoke"> & { readonly revoke?: "immediate" | undefined }
  ) => Effect.Effect<Option.Option<Handle>, LockNotAcquired, Scope.Scope>
  /** Everybody in line, first come first; of a read/write lock, readers and writers. */
  readonly contenders: Effect.Effect<ReadonlyArray<Contender>, NoAuth | SessionError>
  /** Whether anybody holds the lock, shared or not. */
  readonly isLocked: Effect.Effect<boolean, NoAuth | SessionError>
  /** Asks everybody in line to give way. Gives how many there were. */
  readonly revokeAll: Effect.Effect<number, NoAuth | BadVersion | QuotaExceeded | SessionError>
  /**
   * Deletes all candidates, of whatever client, and nothing else: for a lock that is known to be dead. Gives how many
   * there were. Holders that live lose the lock.
   */
  readonly clear: Effect.Effect<number, NoAuth | BadVersion | NotEmpty | SessionError>
}

/**
 * A lock that many may hold to read, or one to write.
 *
 * A read lock cannot be upgraded to a write lock: asking for that fails with `LockAlreadyHeld`.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export interface ReadWriteLock {
  readonly path: string
  readonly read: ZkLock<SharedHandle>
  readonly write: ZkLock<WriteHandle>
}

/**
 * Several locks that are held together.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export interface MultiHandle {
  /** In the order in which the locks were given. */
  readonly handles: ReadonlyArray<LockHandle>
  /** Whether all of them are held. */
  readonly isHeld: Effect.Effect<boolean>
  /** Fails when the first of them is lost. */
  readonly lost: Effect.Effect<never, LockLost>
  /** As `LockHandle.guard`, while the nodes of all locks are there. The locks have to be of one client. */
  readonly guard: LockHandle["guard"]
  /** As `LockHandle.use`, under all of them. */
  readonly use: LockHandle["use"]
  /** Gives all of them back. `true` if all were held until now. */
  readonly release: Effect.Effect<boolean>
}

/**
 * Several locks as one.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export interface MultiLock {
  readonly paths: ReadonlyArray<string>
  /** As `ZkLock.withLock`. */
  readonly withLock: {
    <A, E, R>(
      body: Effect.Effect<A, E, R> | ((handle: MultiHandle) => Effect.Effect<A, E, R>),
      options: WithLockOptions & { readonly timeout: Duration.Input }
    ): Effect.Effect<A, E | LockNotAcquired | LockLost | LockTimeout, R>
    <A, E, R>(
      body: Effect.Effect<A, E, R> | ((handle: MultiHandle) => Effect.Effect<A, E, R>),
      options?: AcquireOptions & { readonly timeout?: undefined }
    ): Effect.Effect<A, E | LockNotAcquired | LockLost, R>
  }
  /** As `ZkLock.acquire`. */
  readonly acquire: (options?: AcquireOptions) => Effect.Effect<MultiHandle, LockNotAcquired, Scope.Scope>
  /** As `ZkLock.acquireTimeout`; the time is for all of them together. */
  readonly acquireTimeout: (
    timeout: Duration.Input,
    options?: AcquireOptions
  ) => Effect.Effect<MultiHandle, LockNotAcquired | LockTimeout, Scope.Scope>
  /** All of them, if nobody is in the way of any. */
  readonly tryAcquire: (
    options?: Parameters<ZkLock["tryAcquire"]>[0]
  ) => Effect.Effect<Option.Option<MultiHandle>, LockNotAcquired, Scope.Scope>
}

/**
 * An exclusive lock. Sends nothing until it is used. To readers and writers of the same path it is a writer.
 *
 * Fails with `InvalidPath` for a name that cannot be a path, and with `InvalidInput` for options that make no sense.
 *
 * **Example** (Writing with proof)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { ZkLock, ZkTransaction } from "effect-zookeeper"
 *
 * const bill = Effect.gen(function*() {
 *   const lock = yield* ZkLock.make("billing")
 *   yield* lock.withLock((handle) =>
 *     // Applied only if the lock is held at that moment, whatever this process believes.
 *     handle.guard([ZkTransaction.setData("/billing/last-run", "2026-01-31")])
 *   )
 * })
 * ```
 *
 * @stability unstable
 * @category constructors
 * @since 0.1.0
 */
export const make = (
  name: string,
  options?: Options
): Effect.Effect<ZkLock, InvalidPath | InvalidInput, ZkClient> =>
  Effect.flatMap(ZkClient, (client) => internal.make(client, name, options))

/**
 * A read/write lock. See {@link make}.
 *
 * **Example** (Readers and a writer)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { ZkLock } from "effect-zookeeper"
 *
 * const program = Effect.gen(function*() {
 *   const { read, write } = yield* ZkLock.makeReadWrite("catalogue")
 *   yield* read.withLock(Effect.log("together with other readers"))
 *   yield* write.withLock(Effect.fnUntraced(function*(handle) {
 *     yield* Effect.log("alone")
 *     yield* handle.downgrade
 *     yield* Effect.log("with other readers, and no writer since")
 *   }))
 * })
 * ```
 *
 * @stability unstable
 * @category constructors
 * @since 0.1.0
 */
export const makeReadWrite = (
  name: string,
  options?: Options
): Effect.Effect<ReadWriteLock, InvalidPath | InvalidInput, ZkClient> =>
  Effect.flatMap(ZkClient, (client) => internal.makeReadWrite(client, name, options))

/**
 * Several locks of one client as one: all of them or none. They are acquired in the order of their paths, so that nobody
 * waits in a circle, and released in the opposite one. Fails with `InvalidInput` for no locks, and for one path twice.
 *
 * **Example** (A transfer)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { ZkLock } from "effect-zookeeper"
 *
 * const transfer = Effect.gen(function*() {
 *   const from = yield* ZkLock.make("accounts/7")
 *   const to = yield* ZkLock.make("accounts/3")
 *   const both = yield* ZkLock.makeMulti([from, to])
 *   yield* both.withLock(Effect.log("nobody else touches either"))
 * })
 * ```
 *
 * @stability unstable
 * @category constructors
 * @since 0.1.0
 */
export const makeMulti: (
  locks: ReadonlyArray<ZkLock<LockHandle>>
) => Effect.Effect<MultiLock, InvalidInput> = multi.makeMulti
