/**
 * One session of a client, from its beginning to its end.
 *
 * A client outlives its sessions: when one has expired it goes on with the next. What stands on ephemeral nodes must
 * not: a lock that was taken in one session is lost with it. `ZkClient.session` gives such code the session that it is
 * in, with a view of the client whose requests never move to another.
 *
 * **Details**
 *
 * A session object stays valid for ever, but once the session is over all requests of its `client` fail with
 * `SessionExpired`. Ask the client for its `session` again to go on with the next.
 *
 * How long may a program believe that its session lives? Being connected proves nothing: a server that is cut off from
 * the leader answers pings and reads for a while, and the leader ends the session meanwhile. A write that was answered
 * went through the leader, so that `committedAtUnsafe` is the newest moment at which the session is known to have been
 * alive.
 *
 * **Example** (A node that is there as long as a scope)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { ZkClient } from "effect-zookeeper"
 *
 * const presence = Effect.gen(function*() {
 *   const zk = yield* ZkClient.ZkClient
 *   const session = yield* zk.session
 *   const node = yield* session.createEphemeral("/members/m-", "10.0.0.7", { sequential: true })
 *   yield* Effect.log(`here as ${node.path}`)
 *   return yield* session.ended
 * }).pipe(Effect.scoped)
 * ```
 *
 * @see {@link https://zookeeper.apache.org/doc/r3.9.3/zookeeperProgrammers.html#ch_zkSessions | sessions in ZooKeeper}
 * @stability unstable
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Acl } from "./ZkAcl.ts"
import type { CreateError, ZkClient } from "./ZkClient.ts"
import type { AuthFailed, MultiFailed, SessionClosed, SessionError, SessionExpired } from "./ZkError.ts"
import type { Stat } from "./ZkStat.ts"
import type { Data } from "./ZkTransaction.ts"

/**
 * How to create an ephemeral node.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export interface EphemeralOptions {
  /** Put a number behind the name, larger than those of all children before. Default: `false`. */
  readonly sequential?: boolean | undefined
  /** Default: everybody may do everything (`ZkAcl.openAcl`). */
  readonly acl?: ReadonlyArray<Acl> | undefined
  /**
   * What is put before the name, made from a random UUID: the node is known by it when the answer is lost, and so it
   * must contain enough of the UUID to be unique. Default: `_c_<uuid>-`, as Curator has it.
   */
  readonly mark?: ((uuid: string) => string) | undefined
}

/**
 * What became of a node that was to be removed.
 *
 * - `removed`: it was there, and was deleted.
 * - `missing`: it had gone before.
 * - `pending`: no server could be asked. The removal goes on in the background, until it is confirmed or the session is
 *   over.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export type Removal = "removed" | "missing" | "pending"

/**
 * An ephemeral node that goes with a scope.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export interface EphemeralNode {
  readonly path: string
  readonly stat: Stat
  /**
   * Removes the node ahead of the end of its scope, as `ZkSession.remove`; only the first call does anything.
   */
  readonly remove: Effect.Effect<Removal>
}

/**
 * One session.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export interface ZkSession {
  readonly sessionId: bigint
  /**
   * The client within this session: its requests fail with `SessionExpired` when the session is over, in place of being
   * run in the next, and its streams end with it.
   */
  readonly client: ZkClient
  /** The session timeout that client and server agreed on last. */
  readonly timeoutUnsafe: () => Duration.Duration
  /**
   * Milliseconds from an arbitrary origin. Never goes back, knows nothing of the wall clock, and counts time for which
   * the machine slept. That costs a system call, but for those who may notice it so many milliseconds late (default: 0).
   */
  readonly nowUnsafe: (late?: number) => number
  /**
   * When the newest write of this session that was answered had been sent, in the time of `nowUnsafe`; `-Infinity`
   * before the first. All writes of the client count. If the client had been silent for longer than a sixth of the
   * session timeout just before, for servers were slow to answer, it is as much earlier.
   */
  readonly committedAtUnsafe: () => number
  /** Whether the session is known to be over, or is being closed with its client. Needs no request. */
  readonly endUnsafe: () => "expired" | "closed" | undefined
  /**
   * A write that changes nothing: it fails unless these nodes are there. Its answer moves `committedAtUnsafe`. With
   * `urgent` it goes out ahead of requests that wait for their turn.
   */
  readonly commit: (
    paths: ReadonlyArray<string>,
    options?: { readonly urgent?: boolean | undefined }
  ) => Effect.Effect<void, MultiFailed | SessionError>
  /** The path as servers know it, with the client's chroot. */
  readonly absolutePath: (path: string) => string
  /** Waits until the session is over, and fails with the reason. */
  readonly ended: Effect.Effect<never, SessionExpired | SessionClosed | AuthFailed>
  /**
   * Removes an ephemeral node of this session, for good. Waits for the server while there is a connection, for a third
   * of the session timeout at most, and returns at once when there is none: the removal then goes on in the background,
   * in the client's scope, until it is confirmed or the session is over. Never fails and cannot be interrupted. A node
   * that may not be deleted for want of rights is logged as a warning; it goes with the session.
   *
   * With `onlyOwn` a look at the node comes first, for names that others may use as well: a node of theirs is left alone,
   * and ours is `missing` then. A node that they make between the look and the removal cannot be told apart.
   */
  readonly remove: (
    path: string,
    options?: { readonly onlyOwn?: boolean | undefined }
  ) => Effect.Effect<Removal>
  /**
   * Creates an ephemeral node that goes when the scope is closed, or with the session. Its name carries a mark, as with
   * `ZkClient.createProtected`, so that a lost answer leads neither to a second node nor to one that nobody knows of.
   *
   * Interruption leaves no node: one that may have been made is deleted in the background. Fails with `SessionExpired`
   * when the session is over; otherwise as `ZkClient.create`.
   */
  readonly createEphemeral: (
    path: string,
    data?: Data,
    options?: EphemeralOptions
  ) => Effect.Effect<EphemeralNode, CreateError, Scope.Scope>
}
