/**
 * Live copies of nodes and of whole trees: local to read, kept up to date by one watch each, honest about how fresh they
 * are.
 *
 * **Which one to use**
 *
 * - `ZkClient.changes` follows one node, for one reader.
 * - `ZkNode` is one typed value, `ZkDict` a dictionary of them.
 * - {@link ZkMirror.node} is a copy of one node, data and children, existing or not, shared by everybody who asks for it.
 * - {@link ZkMirror.tree} is a copy of a node and of everything below it.
 *
 * **Details**
 *
 * - What a copy shows was so on a server, and never goes back. It lags behind by as long as an event and a read take:
 *   `sync` waits until it shows what has been committed by now, `awaitZxid` until it shows a certain transaction. Writes
 *   through a copy complete when the copy shows them.
 * - Data and children of one node come from two requests, and may be of different moments: `state` and `childrenState`
 *   tell of which.
 * - After a lost connection, or in a new session, everything is read again and compared: additions, changes and deletions
 *   that were missed are found. Until then the copy is `Stale`, and shows what it knew.
 * - A node that is deleted and made anew, with the same version even, is noticed by its `czxid`.
 * - Changes come to each reader at the reader's pace: of each node what it has come to, not every step in between.
 * - ZooKeeper tells nobody when an ACL changes, and most servers tell of a node only those who may read it. That a node may
 *   be read is noticed by `sync` or with the next connection. That it may not any more is noticed with the next connection:
 *   until then the copy shows what it knew of it.
 * - Answers that are larger than `maxResponseSize` cost the client its connection. A tree lists such nodes as unreadable,
 *   and looks at the size of nodes ahead of reading them from the first on. The copy of a single node ends with
 *   `ResponseTooLarge`.
 * - When the scope ends, so do the streams of a copy: they are interrupted, as is whoever waits for it, or writes through
 *   it. Whoever asks for a copy after the scope of {@link make} has ended is interrupted at once.
 *
 * **Example** (A tree in memory)
 *
 * ```ts
 * import { Console, Effect, Option, Stream } from "effect"
 * import { ZkMirror } from "effect-zookeeper"
 *
 * const program = Effect.gen(function*() {
 *   const mirror = yield* ZkMirror.make
 *   const services = yield* mirror.tree("/services")
 *   yield* Console.log(`${yield* services.size} nodes`)
 *   const port = Option.map(yield* services.get("/services/billing/port"), (node) => Number(node.text))
 *   yield* Console.log(port)
 *   yield* services.changes.pipe(Stream.runForEach((change) => Console.log(change._tag, change.path)))
 * }).pipe(Effect.scoped)
 * ```
 *
 * @stability unstable
 * @since 0.1.0
 */
import type * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import * as internal from "./internal/cache/mirror.ts"
import type { Children, CreateError, CreateOptions, NodeData, VersionOptions } from "./ZkClient.ts"
import { ZkClient } from "./ZkClient.ts"
import type {
  BadVersion,
  InvalidPath,
  NoAuth,
  NoNode,
  NotEmpty,
  QuotaExceeded,
  SessionError,
  StreamError
} from "./ZkError.ts"
import type { Stat } from "./ZkStat.ts"
import type { Created, Data } from "./ZkTransaction.ts"

/**
 * Whether a copy follows its original.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export type Freshness =
  /** It lags behind by as long as an event and a read take. */
  | { readonly _tag: "Live" }
  /** There is no connection, or what was missed without one is still being read. It shows what it knew. */
  | { readonly _tag: "Stale"; readonly since: DateTime.Utc }

/**
 * What can be known of a node: nothing yet (or ever, if it may not be read), that it does not exist, or how it is. `zxid`
 * is the newest transaction that the server had applied when it said so.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export type MirrorState<A = NodeData> =
  | { readonly _tag: "Unknown" }
  | { readonly _tag: "Missing"; readonly zxid: bigint }
  | { readonly _tag: "Present"; readonly zxid: bigint; readonly node: A }

/**
 * What all copies have in common.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export interface Mirrored {
  readonly path: string
  readonly freshness: Effect.Effect<Freshness>
  /** The present freshness, then every change of it. */
  readonly freshnessChanges: Stream.Stream<Freshness>
  /** Waits until the copy shows everything that has been committed by now. */
  readonly sync: Effect.Effect<void, SessionError>
  /** Waits until the copy shows a transaction that was committed, such as a write by another client (`Stat.mzxid`). */
  readonly awaitZxid: (zxid: bigint) => Effect.Effect<void, SessionError>
}

/**
 * A copy of one node, existing or not.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export interface MirrorNode extends Mirrored {
  /** What is known of the node, without waiting. */
  readonly state: Effect.Effect<MirrorState>
  /** What is known of its children, without waiting. */
  readonly childrenState: Effect.Effect<MirrorState<Children>>
  /**
   * The data of the node. Waits for it until it is known for the first time, but no longer than any operation
   * (`OperationTimeout`); from then on it is there at once.
   */
  readonly value: Effect.Effect<NodeData, NoNode | NoAuth | SessionError>
  /** The names of its children, sorted; as `value`. */
  readonly children: Effect.Effect<ReadonlyArray<string>, NoNode | NoAuth | SessionError>
  /** The present data, then the latest after each change; none while the node does not exist. */
  readonly changes: Stream.Stream<Option.Option<NodeData>, NoAuth | StreamError>
  /** The present names of its children, sorted, then the latest after each change. */
  readonly childrenChanges: Stream.Stream<Option.Option<ReadonlyArray<string>>, NoAuth | StreamError>
  /**
   * As `ZkClient.create`; complete when `value` and `children` show it. (This one and the others fail with
   * `OperationTimeout{maybeApplied: true}` when the write was answered, but could not be seen in time.)
   */
  readonly create: (
    data?: Data,
    options?: Omit<CreateOptions, "mode"> & {
      readonly mode?: "persistent" | "ephemeral" | "container" | undefined
      readonly parents?: boolean | "container" | undefined
    }
  ) => Effect.Effect<Created, CreateError>
  /** As `ZkClient.setData`; complete when `value` shows it, or something newer. */
  readonly set: (
    data: Data,
    options?: VersionOptions
  ) => Effect.Effect<Stat, NoNode | NoAuth | BadVersion | QuotaExceeded | SessionError>
  /** As `ZkClient.delete`; complete when `value` shows it. */
  readonly delete: (
    options?: VersionOptions
  ) => Effect.Effect<void, NoNode | NoAuth | BadVersion | NotEmpty | SessionError>
  /**
   * Reads the data from the server, and writes what the function makes of it if nobody else has written meanwhile;
   * otherwise once more, after a moment. Fails with `BadVersion` when others were faster 100 times, and as the function
   * does. Complete when `value` shows it.
   */
  readonly update: <E = never, R = never>(
    f: (node: NodeData) => Data | Effect.Effect<Data, E, R>
  ) => Effect.Effect<Stat, E | NoNode | NoAuth | BadVersion | QuotaExceeded | SessionError, R>
}

/**
 * What has become of a node in a tree. A node that was deleted and made anew between two looks is `Changed`, with another
 * `czxid`. One that cannot be read any more is `Removed`, with everything below it.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export type TreeChange =
  | { readonly _tag: "Added"; readonly path: string; readonly node: NodeData }
  | { readonly _tag: "Changed"; readonly path: string; readonly node: NodeData; readonly previous: NodeData }
  | { readonly _tag: "Removed"; readonly path: string; readonly previous: NodeData }

/**
 * How much of a tree to copy.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export interface TreeOptions {
  /** How many levels below the node: 0 is the node alone. Default: all. Anything but whole numbers is `InvalidInput`. */
  readonly depth?: number | undefined
  /**
   * Nodes for which it is false are left out, with everything below them. Called with paths below the tree's own, which
   * is always kept; it should always say the same of the same path. Default: all are kept.
   */
  readonly filter?: ((path: string) => boolean) | undefined
}

/**
 * A copy of a node and of everything below it.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export interface MirrorTree extends Mirrored {
  /** A node, if it exists, can be read and is a part of the tree. Paths are whole ones, as everywhere. */
  readonly get: (path: string) => Effect.Effect<Option.Option<NodeData>>
  /** The names of a node's children, sorted, those that cannot be read included; none where `get` gives none. */
  readonly children: (path: string) => Effect.Effect<Option.Option<ReadonlyArray<string>>>
  /** All nodes as they are now, parents before children. */
  readonly entries: Effect.Effect<ReadonlyMap<string, NodeData>>
  /** How many nodes there are, those that cannot be read included. */
  readonly size: Effect.Effect<number>
  /**
   * Nodes that exist and may not be read, or that are too large to be read: with more data, or more names of children,
   * than `maxResponseSize` allows. What is below them is no part of the copy.
   */
  readonly unreadable: Effect.Effect<ReadonlyArray<string>>
  /** The present nodes as additions, parents before children, then what becomes of all of them. */
  readonly changes: Stream.Stream<TreeChange, StreamError>
}

/**
 * Live copies, by way of one client. They need servers from 3.6 on.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export interface ZkMirror {
  /**
   * The copy of a node for as long as the scope is open: the same for everybody, with one watch on the server. Does not
   * wait for the server. Slashes too many are forgiven (`a//b/` is `/a/b`); what cannot be a path otherwise is
   * `InvalidPath`.
   */
  readonly node: (path: string) => Effect.Effect<MirrorNode, InvalidPath, Scope.Scope>
  /**
   * A copy of a node and of everything below it, for as long as the scope is open; complete when everything that is there
   * has been read. The node need not exist; if it may not be read it is `NoAuth`, if it is too large `ResponseTooLarge`.
   */
  readonly tree: (
    path: string,
    options?: TreeOptions
  ) => Effect.Effect<MirrorTree, NoAuth | SessionError, Scope.Scope>
  /** Copies below a node, which is `/` to them, until the scope ends. */
  readonly chroot: (path: string) => Effect.Effect<ZkMirror, InvalidPath, Scope.Scope>
}

/**
 * Makes copies by way of the client. They end with their own scopes, and with this one at the latest.
 *
 * @stability unstable
 * @category constructors
 * @since 0.1.0
 */
export const make: Effect.Effect<ZkMirror, never, ZkClient | Scope.Scope> = Effect.flatMap(ZkClient, internal.make)
