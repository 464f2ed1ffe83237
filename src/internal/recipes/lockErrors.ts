/** What can go wrong with locks and permits: the errors of ZkLock.ts and ZkSemaphore.ts. */
import * as Schema from "effect/Schema"
import {
  BadVersion,
  EphemeralOnLocalSession,
  InvalidAcl,
  NoAuth,
  NoChildrenForEphemerals,
  NodeExists,
  NoNode,
  NotEmpty,
  QuotaExceeded,
  SessionError
} from "../../ZkError.ts"

const id = (tag: string): string => `effect-zookeeper/ZkLock/${tag}`

/**
 * The lock is held already by whoever asks for it: waiting would be for ever. Seen where one `withLock` (or `use`)
 * surrounds the other. A lock that is held shared cannot be upgraded either: two that tried would wait for each other.
 *
 * @stability unstable
 * @category errors
 * @since 0.1.0
 */
export class LockAlreadyHeld extends Schema.TaggedError<LockAlreadyHeld>(id("LockAlreadyHeld"))("LockAlreadyHeld", {
  path: Schema.String,
  held: Schema.Literals(["exclusive", "shared"]),
  wanted: Schema.Literals(["exclusive", "shared"])
}) {
  override get message(): string {
    return this.held === "shared" && this.wanted === "exclusive"
      ? `${this.path}: a shared lock cannot be upgraded while it is held; release it first`
      : `${this.path}: held already, by what surrounds this; waiting for it would never end`
  }
}

/**
 * The parent's sequence numbers have run out, or have gone round: order in the queue cannot be relied on any more.
 * Use another path; numbers start again when the parent is deleted and made anew.
 *
 * @stability unstable
 * @category errors
 * @since 0.1.0
 */
export class SequenceExhausted
  extends Schema.TaggedError<SequenceExhausted>(id("SequenceExhausted"))("SequenceExhausted", { path: Schema.String })
{
  override get message(): string {
    return `${this.path}: no sequence numbers are left below this node`
  }
}

/**
 * Somebody deleted the node with which the lock was waited for: by hand, by `clear`, or with `revoke: "immediate"`.
 *
 * @stability unstable
 * @category errors
 * @since 0.1.0
 */
export class CandidateRemoved
  extends Schema.TaggedError<CandidateRemoved>(id("CandidateRemoved"))("CandidateRemoved", { path: Schema.String })
{
  override get message(): string {
    return `${this.path}: deleted by somebody else while it waited`
  }
}

/**
 * Why a lock was not acquired.
 *
 * @stability unstable
 * @category errors
 * @since 0.1.0
 */
export const NotAcquiredCause = Schema.Union([
  LockAlreadyHeld,
  SequenceExhausted,
  CandidateRemoved,
  NoNode,
  NodeExists,
  NoAuth,
  NoChildrenForEphemerals,
  InvalidAcl,
  EphemeralOnLocalSession,
  QuotaExceeded,
  BadVersion,
  NotEmpty,
  SessionError
])

/**
 * The type of {@link NotAcquiredCause}.
 *
 * @stability unstable
 * @category errors
 * @since 0.1.0
 */
export type NotAcquiredCause = typeof NotAcquiredCause.Type

/**
 * The lock was not acquired, and what was to be done under it has not begun. No candidate of ours is left, or soon none
 * will be.
 *
 * @stability unstable
 * @category errors
 * @since 0.1.0
 */
export class LockNotAcquired extends Schema.TaggedError<LockNotAcquired>(id("LockNotAcquired"))("LockNotAcquired", {
  path: Schema.String,
  cause: NotAcquiredCause
}) {
  override get message(): string {
    return `${this.path}: not acquired: ${this.cause.message}`
  }
}

/**
 * The lock was not to be had within the time that was given. What was to be done under it has not begun, and the
 * candidate has been withdrawn.
 *
 * @stability unstable
 * @category errors
 * @since 0.1.0
 */
export class LockTimeout extends Schema.TaggedError<LockTimeout>(id("LockTimeout"))("LockTimeout", {
  path: Schema.String,
  /** Milliseconds. */
  timeout: Schema.Number
}) {
  override get message(): string {
    return `${this.path}: not acquired within ${this.timeout} ms`
  }
}

/**
 * Why a lock is not held any more.
 *
 * - `lease`: for too long no write was answered, so that the servers may have ended the session.
 * - `removed`: somebody deleted its node.
 * - `expired`: the session is over.
 * - `suspended`: the connection was lost, and the lock was made with `lostOn: "suspended"`.
 * - `closed`: the client was closed.
 * - `released`: by its holder.
 * - `downgraded`: it is held on as a shared lock, under another handle.
 *
 * @stability unstable
 * @category errors
 * @since 0.1.0
 */
export const LossReason = Schema.Literals([
  "lease",
  "removed",
  "expired",
  "suspended",
  "closed",
  "released",
  "downgraded"
])

/**
 * The type of {@link LossReason}.
 *
 * @stability unstable
 * @category errors
 * @since 0.1.0
 */
export type LossReason = typeof LossReason.Type

const losses: { readonly [Reason in LossReason]: string } = {
  lease: "no server has confirmed the session for too long; another may hold it by now",
  removed: "its node was deleted by somebody else",
  expired: "the session has expired",
  suspended: "the connection was lost",
  closed: "the client is closed",
  released: "it has been released",
  downgraded: "it is held as a shared lock now"
}

/**
 * The lock is not held any more: others may hold it. What was done under it has been interrupted and has finished its
 * finalizers.
 *
 * @stability unstable
 * @category errors
 * @since 0.1.0
 */
export class LockLost extends Schema.TaggedError<LockLost>(id("LockLost"))("LockLost", {
  path: Schema.String,
  reason: LossReason
}) {
  override get message(): string {
    return `${this.path}: lost: ${losses[this.reason]}`
  }
}
