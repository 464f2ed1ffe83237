/** What operations take and give: the models of ZkClient.ts. */
import type * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import type { Acl } from "../../ZkAcl.ts"
import type {
  EphemeralOnLocalSession,
  InvalidAcl,
  NoAuth,
  NoChildrenForEphemerals,
  NodeExists,
  NoNode,
  QuotaExceeded,
  SessionError
} from "../../ZkError.ts"
import type { NodeEvent } from "../../ZkEvent.ts"
import type { Stat } from "../../ZkStat.ts"
import type { CreateMode } from "../../ZkTransaction.ts"

/**
 * The data of a node, with its metadata.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export interface NodeData {
  /** `null` for a node without data, which is not the same as empty data. The bytes are the caller's own. */
  readonly data: Uint8Array | null
  /** The data as UTF-8 text, decoded when it is asked for; empty for `null`, U+FFFD where it is malformed. */
  readonly text: string
  readonly stat: Stat
}

/**
 * The children of a node, with its metadata.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export interface Children {
  /** Names, not paths, in no particular order. */
  readonly children: ReadonlyArray<string>
  readonly stat: Stat
}

/**
 * A node, or what there is of it, as a server saw it at one moment.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export interface Observed<out A> {
  /** The newest transaction that the server had applied: of two observations the one with the higher is the newer. */
  readonly zxid: bigint
  /** None: there was no such node. */
  readonly node: Option.Option<A>
}

/**
 * Which version of a node to change.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export interface VersionOptions {
  /** Only if the node has this version; otherwise `BadVersion`. Default: whatever its version. */
  readonly version?: number | undefined
}

/**
 * How to create a node.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export interface CreateOptions {
  /** Default: `"persistent"`. */
  readonly mode?: CreateMode | undefined
  /** Default: everybody may do everything (`ZkAcl.openAcl`). */
  readonly acl?: ReadonlyArray<Acl> | undefined
}

/**
 * How the membership of the ensemble is to change.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export type ReconfigOptions =
  & {
    /** Only if this is the current configuration: the `version` of its text, which is hexadecimal. */
    readonly fromConfig?: bigint | undefined
  }
  & (
    | {
      /** Servers to add or change, as in `server.4=host:2888:3888:participant;2181`. */
      readonly joining?: ReadonlyArray<string> | undefined
      /** Numbers of servers to remove. */
      readonly leaving?: ReadonlyArray<string> | undefined
      readonly members?: undefined
    }
    | {
      /** The whole new membership. */
      readonly members: ReadonlyArray<string>
      readonly joining?: undefined
      readonly leaving?: undefined
    }
  )

/**
 * An identity of the session.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export interface Identity {
  readonly scheme: string
  readonly user: string
}

/**
 * A read that left a watch behind.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export interface Watched<out A> {
  readonly result: A
  /**
   * The first event after the read; may be awaited any number of times. Fails when the session is over
   * (`SessionExpired`, `SessionClosed`, `AuthFailed`). A lost connection does not use it up.
   */
  readonly fired: Effect.Effect<NodeEvent, SessionError>
}

/**
 * What a raw watch covers: `persistent` is a node and the list of its children, `recursive` a node and everything
 * below it, without `NodeChildrenChanged`.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export type WatchKind = "persistent" | "recursive"

/**
 * What a stream does when its session is over.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export interface FollowOptions {
  /** `"resume"`: go on with the next session. `"end"`: fail with `SessionExpired`. Default: `"resume"`. */
  readonly onSessionLoss?: "resume" | "end" | undefined
}

/**
 * How raw events are kept for a subscriber.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export interface SubscribeOptions extends FollowOptions {
  /**
   * Events kept for a subscriber that is slower than they come. When there are more they are dropped and a
   * `Reset{reason: "overflow"}` says so. Default: 1024.
   */
  readonly bufferSize?: number | undefined
}

/**
 * What can go wrong in creating a node whose parents may be missing.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export type CreateError =
  | NodeExists
  | NoNode
  | NoAuth
  | NoChildrenForEphemerals
  | InvalidAcl
  | EphemeralOnLocalSession
  | QuotaExceeded
  | SessionError
