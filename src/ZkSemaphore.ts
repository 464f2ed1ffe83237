/**
 * Permits across processes and machines: at most so many at a time, as scoped resources.
 *
 * What a lease can promise is what a lock can: see the top of `ZkLock`.
 *
 * **Details**
 *
 * - The layout is that of Curator's `InterProcessSemaphoreV2`. Who wants permits waits in line, first come, first served,
 *   also behind those who want more than there is at the moment; permits are taken all at once.
 * - The number of permits is stored in the semaphore's node, as text. The first to use the semaphore stores its own;
 *   others must agree (`SemaphoreMismatch`). `resize` changes it for all; where there are too many holders then, it waits
 *   for permits to be given back. Data of others that is no number is left alone,
 *   unless by `resize`.
 * - Permits are lost like locks: at the end of the lease, with the session, or when somebody deletes their nodes.
 * - Asking for permits under permits of the same semaphore is up to you: it waits for ever when there are none left.
 *
 * **Example** (Three downloads at a time, wherever they run)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { ZkSemaphore } from "effect-zookeeper"
 *
 * const download = Effect.fnUntraced(function*(url: string) {
 *   const slots = yield* ZkSemaphore.make("downloads", { permits: 3 })
 *   yield* slots.withPermits(1, Effect.log(`loading ${url}`))
 * })
 * ```
 *
 * @see {@link https://curator.apache.org/docs/recipes-shared-semaphore | Curator's shared semaphore}
 * @stability unstable
 * @since 0.1.0
 */
import type * as DateTime from "effect/DateTime"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type { LockLost, LockNotAcquired, LockTimeout } from "./internal/recipes/lockErrors.ts"
import * as internal from "./internal/recipes/semaphore.ts"
import type { PermitsExceeded, SemaphoreMismatch } from "./internal/recipes/semaphoreErrors.ts"
import type { CreateError } from "./ZkClient.ts"
import { ZkClient } from "./ZkClient.ts"
import type { BadVersion, InvalidInput, InvalidPath, NoAuth, QuotaExceeded, SessionError } from "./ZkError.ts"
import type * as ZkLock from "./ZkLock.ts"

export { PermitsExceeded, SemaphoreMismatch } from "./internal/recipes/semaphoreErrors.ts"

/**
 * The runtime type identifier of {@link ZkSemaphore}.
 *
 * @stability unstable
 * @category type IDs
 * @since 0.1.0
 */
export const TypeId: TypeId = "~effect-zookeeper/ZkSemaphore"

/**
 * The type-level identifier of {@link ZkSemaphore}.
 *
 * @stability unstable
 * @category type IDs
 * @since 0.1.0
 */
export type TypeId = "~effect-zookeeper/ZkSemaphore"

/**
 * How a semaphore is kept in ZooKeeper.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export interface Options extends Pick<ZkLock.Options, "acl" | "owner" | "onCandidateLost" | "tickTime"> {
  /** How many permits there are: a whole number from 1 to 999 999 999. */
  readonly permits: number
  /** The node below which semaphores with relative names are. An absolute name is itself. Default: `/semaphores`. */
  readonly root?: string | undefined
}

/**
 * Why permits were not acquired: what can go wrong with locks, more permits wanted than there are, or others who use the
 * semaphore with another number.
 *
 * @stability unstable
 * @category errors
 * @since 0.1.0
 */
export type AcquireError = LockNotAcquired | PermitsExceeded | SemaphoreMismatch

/**
 * Permits that were acquired. Valid until their scope is closed, they are released, or they are lost; all together.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export interface Permits {
  readonly permits: number
  /** One node for each. */
  readonly paths: ReadonlyArray<string>
  /** Whether they are held, by the clock. */
  readonly isHeld: Effect.Effect<boolean>
  /** Fails when they are lost. Never completes after a release. */
  readonly lost: Effect.Effect<never, LockLost>
  /** All of these operations while the nodes of all permits are there, or none. See `ZkLock.LockHandle`. */
  readonly guard: ZkLock.LockHandle["guard"]
  /** Runs an effect as long as the permits are held. See `ZkLock.LockHandle`. */
  readonly use: ZkLock.LockHandle["use"]
  /** Gives them back. `true` if they were held until now. Never fails, and works while disconnected. */
  readonly release: Effect.Effect<boolean>
}

/**
 * Who holds a permit.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export interface PermitHolder {
  readonly path: string
  readonly sessionId: bigint
  /** When its node was created, by the servers' clock. */
  readonly created: DateTime.Utc
  /** None for clients that write something else. */
  readonly owner: Option.Option<ZkLock.Owner>
  /** The data of its node. */
  readonly text: string
}

/**
 * A semaphore.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export interface ZkSemaphore {
  readonly [TypeId]: TypeId
  readonly path: string
  /**
   * Acquires permits, runs the effect as long as they are held, and gives them back, however the effect ends. See
   * `ZkLock.withLock`.
   */
  readonly withPermits: {
    <A, E, R>(
      permits: number,
      body: Effect.Effect<A, E, R> | ((permits: Permits) => Effect.Effect<A, E, R>),
      options: { readonly timeout: Duration.Input }
    ): Effect.Effect<A, E | AcquireError | LockLost | LockTimeout, R>
    <A, E, R>(
      permits: number,
      body: Effect.Effect<A, E, R> | ((permits: Permits) => Effect.Effect<A, E, R>),
      options?: { readonly timeout?: undefined }
    ): Effect.Effect<A, E | AcquireError | LockLost, R>
  }
  /** Waits for permits (default: one) and holds them until the scope is closed. */
  readonly acquire: (permits?: number) => Effect.Effect<Permits, AcquireError, Scope.Scope>
  /**
   * Waits for permits for a time, lost connections included. A server that has fallen silent is given some more, up to two
   * thirds of the session timeout, to hear that they are not wanted any more.
   */
  readonly acquireTimeout: (
    timeout: Duration.Input,
    permits?: number
  ) => Effect.Effect<Permits, AcquireError | LockTimeout, Scope.Scope>
  /** Permits, if there are enough and nobody else is just being served. */
  readonly tryAcquire: (permits?: number) => Effect.Effect<Option.Option<Permits>, AcquireError, Scope.Scope>
  /** How many permits there are in all. */
  readonly max: Effect.Effect<number, CreateError | BadVersion | SemaphoreMismatch>
  /** How many nobody holds. */
  readonly available: Effect.Effect<number, CreateError | BadVersion | SemaphoreMismatch>
  /** Who holds permits: one entry for each. */
  readonly holders: Effect.Effect<ReadonlyArray<PermitHolder>, NoAuth | SessionError>
  /** Changes how many permits there are, for everybody. */
  readonly resize: (permits: number) => Effect.Effect<void, CreateError | QuotaExceeded>
}

/**
 * A semaphore. Sends nothing until it is used.
 *
 * Fails with `InvalidPath` for a name that cannot be a path, and with `InvalidInput` for options that make no sense.
 *
 * @stability unstable
 * @category constructors
 * @since 0.1.0
 */
export const make = (
  name: string,
  options: Options
): Effect.Effect<ZkSemaphore, InvalidPath | InvalidInput, ZkClient> =>
  Effect.flatMap(ZkClient, (client) => internal.make(client, name, options))
