/**
 * One typed value in one node: read from memory, kept up to date, changed without losing what others wrote.
 *
 * **Details**
 *
 * - Reads ask nobody, writes complete when reads show them: see `ZkMirror`, whose copies of nodes this stands on. Many
 *   values are better kept in a `ZkDict`.
 * - The value is kept as JSON, unless `codec` says otherwise: see `ZkCodec`, also for values as zktools kept them. A value
 *   that cannot be decoded is a `ValueDecodeError` to whoever asks for it, until there is one that can.
 * - The node may be deleted and made anew by anybody, at any time: that it is missing is a state, and no end.
 * - With the mode `ephemeral` the node is there as long as the scope is open: it is made anew, with the last value, when
 *   somebody deletes it or when its session ends, and deleted with the scope.
 *
 * **Example** (A limit that others may change)
 *
 * ```ts
 * import { Console, Effect, Schema, Stream } from "effect"
 * import { ZkNode } from "effect-zookeeper"
 *
 * const program = Effect.gen(function*() {
 *   const limit = yield* ZkNode.make("/app/limit", { value: Schema.Number, default: 100 })
 *   yield* Console.log(yield* limit.get)
 *   yield* limit.update((n) => n + 1)
 *   yield* limit.changes.pipe(Stream.runForEach(({ current }) => Console.log(current)))
 * }).pipe(Effect.scoped)
 * ```
 *
 * @stability unstable
 * @since 0.1.0
 */
import type * as DateTime from "effect/DateTime"
import type * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import type * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import * as internal from "./internal/node/node.ts"
import type { Acl } from "./ZkAcl.ts"
import type { CreateError, VersionOptions, ZkClient } from "./ZkClient.ts"
import type { ValueDecodeError, ValueEncodeError, ZkCodec } from "./ZkCodec.ts"
import type {
  BadVersion,
  NoAuth,
  NoNode,
  NotEmpty,
  QuotaExceeded,
  SessionError,
  StreamError,
  WriteConflict
} from "./ZkError.ts"
import type { Mirrored } from "./ZkMirror.ts"
import type { Stat } from "./ZkStat.ts"

/**
 * What there is of a node. A value that cannot be decoded is `Invalid`.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export type NodeState<A> =
  | { readonly _tag: "Missing" }
  | { readonly _tag: "Present"; readonly value: A; readonly stat: Stat }
  | { readonly _tag: "Invalid"; readonly error: ValueDecodeError; readonly stat: Stat }

/**
 * What has become of a node, with what it was when its reader last looked.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export interface NodeChange<A> {
  readonly current: NodeState<A>
  /** None: the first. */
  readonly previous: Option.Option<NodeState<A>>
}

/**
 * A typed value in a node.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export interface ZkNode<in out A> extends Mirrored {
  /** The value; `NoNode` while there is none. */
  readonly get: Effect.Effect<A, NoNode | NoAuth | ValueDecodeError | SessionError>
  /** The value, if there is one. */
  readonly getOption: Effect.Effect<Option.Option<A>, NoAuth | ValueDecodeError | SessionError>
  /** The metadata of the node. */
  readonly stat: Effect.Effect<Stat, NoNode | NoAuth | SessionError>
  /** When the data of the node was written last, by the clock of the server that led then. */
  readonly lastModified: Effect.Effect<DateTime.Utc, NoNode | NoAuth | SessionError>
  /**
   * The present state, then the latest after each change, with the one that was given before it. A reader that is slow, or
   * changes that come fast, do not see each one in between.
   */
  readonly changes: Stream.Stream<NodeChange<A>, NoAuth | StreamError>
  /** The names of the node's children, sorted; followed from the first time on that anybody asks for them. */
  readonly children: Effect.Effect<ReadonlyArray<string>, NoNode | NoAuth | SessionError>
  /** The present names of its children, sorted, then the latest after each change; none while there is no node. */
  readonly childrenChanges: Stream.Stream<Option.Option<ReadonlyArray<string>>, NoAuth | StreamError>

  /**
   * Writes the value. Creates the node where it is missing, with its parents, unless a version is given: then a missing one
   * is `NoNode`, and one of another version `BadVersion`.
   *
   * In the mode `ephemeral` a node of somebody else's session is `NodeExists`, and left alone. What could not be set is not
   * kept for later.
   */
  readonly set: (
    value: A,
    options?: VersionOptions
  ) => Effect.Effect<Stat, ValueEncodeError | BadVersion | CreateError>
  /**
   * Reads the value from the server, and writes what the function makes of it if nobody else has written meanwhile;
   * otherwise once more, 100 times at most, then `WriteConflict`. A missing node is taken for one with the default value, if
   * there is a default, and is `NoNode` otherwise. In the mode `ephemeral` somebody else's is `NodeExists`, and a missing one
   * is made anew first, with its last value. Gives the new value.
   */
  readonly update: <E = never, R = never>(
    f: (value: A) => A | Effect.Effect<A, E, R>
  ) => Effect.Effect<A, E | ValueDecodeError | ValueEncodeError | WriteConflict | CreateError, R>
  /**
   * Deletes the node, as `ZkClient.delete`. In the mode `ephemeral` it comes back, and one of somebody else's session is
   * `NoNode`.
   */
  readonly delete: (
    options?: VersionOptions
  ) => Effect.Effect<void, NoNode | NoAuth | BadVersion | NotEmpty | SessionError>
}

/**
 * What the value is.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export interface ValueOptions<A, I, RD, RE> {
  readonly value: Schema.Codec<A, I, RD, RE>
  /** What is kept of a value. Default: `ZkCodec.json`. */
  readonly codec?: ((value: Schema.Codec<A, I, RD, RE>) => ZkCodec<A, RD, RE>) | undefined
  /** Of the node, when it is created. Default: everybody may do everything (`ZkAcl.openAcl`). */
  readonly acl?: ReadonlyArray<Acl> | undefined
}

/**
 * A node that outlives its users.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export interface PersistentOptions<A> {
  /** Default. */
  readonly mode?: "persistent" | undefined
  /** The value with which the node is created at the beginning, with its parents, if it is missing then. */
  readonly default?: A | undefined
}

/**
 * A node that is there as long as its scope.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export interface EphemeralOptions<A> {
  readonly mode: "ephemeral"
  /** The value with which the node is created. */
  readonly default: A
}

/**
 * Why there is no such value.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export type MakeError = ValueEncodeError | CreateError | QuotaExceeded

/**
 * Follows a node, and creates it where there is a default. Complete when it is known what there is.
 *
 * In the mode `ephemeral` a node that others have made before is waited for, once the value is there to be used, until it
 * goes with its session; a persistent one is `NodeExists`. When the node cannot be made anew later on, a warning is logged,
 * and it is tried again until the scope is closed.
 *
 * @stability unstable
 * @category constructors
 * @since 0.1.0
 */
export const make: <A, I, RD = never, RE = never>(
  path: string,
  options: ValueOptions<A, I, RD, RE> & (PersistentOptions<NoInfer<A>> | EphemeralOptions<NoInfer<A>>)
) => Effect.Effect<ZkNode<A>, MakeError, ZkClient | Scope.Scope | RD | RE> = internal.make
