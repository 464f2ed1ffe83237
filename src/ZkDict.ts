/**
 * Dictionaries that are kept in ZooKeeper and read from memory: configuration, flags, small shared state.
 *
 * **Which one to use**
 *
 * - `ZkClient.changes` follows one node, for one reader.
 * - `ZkNode` is one value.
 * - {@link make} is a dictionary with a node for each key: any number of keys, each changed without touching the others.
 *   {@link struct} is the same with keys that are known, each with a type of its own.
 * - {@link document} is a dictionary in one node: many small values, of which every change rewrites all.
 *   {@link documentStruct} is that with keys that are known.
 * - `ZkMirror` is nodes and trees as they are, without types.
 *
 * **Details**
 *
 * - Reads ask nobody. What they give was so on the servers, and never goes back; it lags behind by as long as an event and
 *   a read take. Writes complete when reads show them, or something newer. `sync` waits for everything that was committed
 *   by now, by whomever.
 * - While there is no connection reads give what is known: `freshness` tells, and with `maxStaleness` reads fail when it
 *   is too old. A connection that is silent is noticed after two thirds of the session timeout at most. ZooKeeper tells
 *   nobody that an ACL has changed: a key that may not be read any more shows what it was until the next connection.
 * - A snapshot is not of one moment: what others change as one may be seen one key after the other. A document is.
 * - A value is kept as JSON, unless `codec` says otherwise. What cannot be decoded concerns nobody but who asks for that
 *   key. Each read decodes anew: what is done to a value afterwards changes nothing but that value.
 * - A key is the name of a node, so that `a/b` and a few others are `InvalidDictKey`, before anything is sent: see
 *   {@link escapedKey}. Nodes whose names are no keys are left alone, and not read.
 * - One watch serves a dictionary of any size. A change of one key costs one more read.
 * - `set` and `remove` of one key by one dictionary are applied in the order in which they were begun. `set` is one
 *   request, `update` and `transact` two or more. A write whose answer was lost is looked for. When that shows nothing,
 *   since others have written meanwhile, it fails with `maybeApplied: true`.
 * - `pop` gives a value to one caller only, whoever deletes, sets or makes nodes at the same time, and with whatever
 *   client. Where it cannot know whether it has removed the key, `PopInDoubt` has the value. It needs the rights to create
 *   and to delete below the root and below the key's node: for a moment there are ephemeral nodes of its own, with names
 *   that begin with `_c_`, which are no keys.
 * - `update` and `transact` notice whoever writes meanwhile by the nodes' versions. A key that was removed and made anew
 *   in between, and set as often as before, passes for the same.
 * - The root is made when the dictionary is, and whenever a write misses it. Its data is never touched.
 * - Everything of a dictionary ends with its scope, and nothing but what is its own. Whoever waits for it then is
 *   interrupted, as are streams of changes; nothing is written any more, and reads go on giving what was known.
 *
 * **Example** (Exchange rates)
 *
 * ```ts
 * import { Console, Effect, Schema } from "effect"
 * import { ZkDict } from "effect-zookeeper"
 *
 * const program = Effect.gen(function*() {
 *   const rates = yield* ZkDict.make("/app/rates", { value: Schema.Number })
 *   yield* rates.set("EUR", 25.31)
 *   yield* rates.update("EUR", (rate) => rate * 1.01)
 *   yield* Console.log(yield* rates.get("EUR"))
 *   return yield* rates.pop("EUR")
 * }).pipe(Effect.scoped)
 * ```
 *
 * **Example** (As a service, which tests keep in memory)
 *
 * ```ts
 * import { Context, Effect, Layer, Schema } from "effect"
 * import { ZkClient, ZkDict } from "effect-zookeeper"
 *
 * class Rates extends Context.Service<Rates, ZkDict.ZkDict<string, number>>()("app/Rates") {
 *   static readonly layer = Layer.effect(Rates, ZkDict.make("/app/rates", { value: Schema.Number }))
 *   static readonly memory = Layer.effect(Rates, ZkDict.makeMemory({ value: Schema.Number }))
 * }
 *
 * const convert = Effect.fnUntraced(function*(amount: number, currency: string) {
 *   const rates = yield* Rates
 *   return amount * (yield* rates.get(currency))
 * })
 *
 * const Live = Rates.layer.pipe(Layer.provide(ZkClient.layer({ hosts: "127.0.0.1:2181" })))
 * const main = Effect.provide(convert(100, "EUR"), Live)
 * const test = Effect.provide(convert(100, "EUR"), Rates.memory)
 * ```
 *
 * @stability unstable
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type { LazyArg } from "effect/Function"
import type * as Option from "effect/Option"
import type * as Result from "effect/Result"
import type * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import * as internal from "./internal/dict/dict.ts"
import type { InvalidDictKey, KeyNotFound, PopInDoubt, TooStale } from "./internal/dict/dictErrors.ts"
import * as names from "./internal/dict/names.ts"
import type { Acl } from "./ZkAcl.ts"
import type { ZkClient } from "./ZkClient.ts"
import type { ValueDecodeError, ValueEncodeError, ZkCodec } from "./ZkCodec.ts"
import type {
  EphemeralOnLocalSession,
  InvalidAcl,
  NoAuth,
  NoChildrenForEphemerals,
  NoNode,
  NotEmpty,
  QuotaExceeded,
  ResponseTooLarge,
  SessionError,
  StreamError,
  WriteConflict
} from "./ZkError.ts"
import type { Freshness } from "./ZkMirror.ts"

export { InvalidDictKey, KeyNotFound, PopInDoubt, TooStale } from "./internal/dict/dictErrors.ts"

// -- errors -----------------------------------------------------------------------------------------------------------

/**
 * What can happen to any read, although it asks nobody: the root, or the key that is asked for, may not be read any more,
 * or the answer to that would be larger than the client's `maxResponseSize` (of the root, for the number of its children).
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export type ReadError = NoAuth | ResponseTooLarge

/**
 * What can happen to any write.
 *
 * - `NoNode`: the root is missing and was not to be created.
 * - `NoChildrenForEphemerals`: the root is an ephemeral node.
 * - `WriteConflict`: the key came and went too often while it was written.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export type WriteError =
  | NoNode
  | NoAuth
  | NoChildrenForEphemerals
  | InvalidAcl
  | QuotaExceeded
  | WriteConflict
  | SessionError

/**
 * What can happen to any removal. `NotEmpty`: the key's node has children.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export type RemoveError = NoAuth | NotEmpty | WriteConflict | SessionError

/**
 * What can happen to a `pop`.
 *
 * - `NoChildrenForEphemerals`: the key is an ephemeral node, which cannot be claimed.
 * - `EphemeralOnLocalSession`: the session may not claim anything.
 * - `WriteConflict`: others were faster, or somebody has claimed the key for 15 seconds.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export type PopError<V> =
  | RemoveError
  | NoChildrenForEphemerals
  | QuotaExceeded
  | EphemeralOnLocalSession
  | InvalidDictKey
  | ValueDecodeError
  | PopInDoubt<V>

// -- models -----------------------------------------------------------------------------------------------------------

/**
 * What has become of a key. A value that cannot be decoded is a failure, and not the end of a stream. A key that cannot be
 * read any more is `Removed`, though it is still one of the `keys`.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export type Change<K, V> =
  | { readonly _tag: "Added"; readonly key: K; readonly value: Result.Result<V, ValueDecodeError> }
  | {
    readonly _tag: "Changed"
    readonly key: K
    readonly value: Result.Result<V, ValueDecodeError>
    readonly previous: Result.Result<V, ValueDecodeError>
  }
  | { readonly _tag: "Removed"; readonly key: K; readonly previous: Result.Result<V, ValueDecodeError> }

/**
 * Several keys at once, as they are where they are kept.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export interface Transaction<in K, in out V, out W = never> {
  /** The value, as this transaction leaves it. */
  readonly get: (
    key: K
  ) => Effect.Effect<Option.Option<V>, InvalidDictKey | ValueDecodeError | NoAuth | SessionError | W>
  readonly set: (key: K, value: V) => Effect.Effect<void, InvalidDictKey | ValueEncodeError>
  readonly remove: (key: K) => Effect.Effect<void, InvalidDictKey>
}

/**
 * What all dictionaries have in common. `E` is what reads can fail with besides.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export interface Followed<out E = never> {
  readonly path: string
  readonly size: Effect.Effect<number, ReadError | E>
  /** Whether reads follow what is kept. See `ZkMirror`. */
  readonly freshness: Effect.Effect<Freshness>
  /** The present freshness, then every change of it. */
  readonly freshnessChanges: Stream.Stream<Freshness>
  /**
   * How many changes of keys were seen: rises by one with each that is seen, whoever made it. Several changes of one key
   * in quick succession may be seen as one. Starts with as many as there were keys.
   */
  readonly revision: Effect.Effect<bigint>
  /**
   * Waits until reads show everything that was committed by now. In manual mode, the only thing besides own writes that
   * makes them show anything.
   */
  readonly sync: Effect.Effect<void, SessionError>
}

/**
 * A dictionary to be read: what those need who do not write. `E` is what reads can fail with besides ({@link TooStale}, if
 * there is a limit).
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export interface ReadonlyZkDict<in out K, out V, out E = never> extends Followed<E> {
  readonly get: (key: K) => Effect.Effect<V, KeyNotFound | InvalidDictKey | ValueDecodeError | ReadError | E>
  readonly getOption: (key: K) => Effect.Effect<Option.Option<V>, InvalidDictKey | ValueDecodeError | ReadError | E>
  /** The value, or what is given in its place; nothing is written. */
  readonly getOrElse: <B>(
    key: K,
    orElse: LazyArg<B>
  ) => Effect.Effect<V | B, InvalidDictKey | ValueDecodeError | ReadError | E>
  /** Whether there is such a key, whatever its value. */
  readonly has: (key: K) => Effect.Effect<boolean, InvalidDictKey | ReadError | E>
  /** All keys, in the order of the names of their nodes. */
  readonly keys: Effect.Effect<ReadonlyArray<K>, ReadError | E>
  /** The values that can be decoded, in the order of keys. */
  readonly values: Effect.Effect<ReadonlyArray<V>, ReadError | E>
  /** The keys whose values can be decoded, with these. */
  readonly entries: Effect.Effect<ReadonlyArray<readonly [key: K, value: V]>, ReadError | E>
  /** The same as a map. */
  readonly snapshot: Effect.Effect<ReadonlyMap<K, V>, ReadError | E>
  /** The keys whose values cannot be decoded or may not be read, and why. */
  readonly invalid: Effect.Effect<ReadonlyMap<K, ValueDecodeError | ReadError>, ReadError | E>
  /**
   * The present keys as additions, then what becomes of all of them. To a reader that is slow, of each key what it has
   * come to. In manual mode it tells what `sync` would bring.
   */
  readonly changes: Stream.Stream<Change<K, V>, StreamError>
  /**
   * What one key holds, then the latest after each change; none while there is no such key. A value that cannot be decoded
   * is a failure, and not the end of the stream.
   */
  readonly follow: (
    key: K
  ) => Stream.Stream<Option.Option<Result.Result<V, ValueDecodeError>>, InvalidDictKey | StreamError>
}

/**
 * A dictionary. `E` is what reads can fail with besides, `W` what writes can. Writes are complete when reads show them.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export interface ZkDict<in out K, in out V, out E = never, out W = never> extends ReadonlyZkDict<K, V, E> {
  /** Creates or overwrites. Nobody ever sees the key without its value. */
  readonly set: (key: K, value: V) => Effect.Effect<void, InvalidDictKey | ValueEncodeError | WriteError | W>
  /**
   * Sets several keys, each for itself: with an error, some may have been set, but none if one of them is no key or no
   * value. See `transact`. (A document is written once.)
   */
  readonly setAll: (
    entries: Iterable<readonly [key: K, value: V]>
  ) => Effect.Effect<void, InvalidDictKey | ValueEncodeError | WriteError | W>
  /**
   * Makes sure that there is no such key. Gives whether there was, as far as is known: after a lost answer it may have
   * been somebody else who removed it.
   */
  readonly remove: (key: K) => Effect.Effect<boolean, InvalidDictKey | RemoveError | W>
  /**
   * Removes the key and gives its value, to nobody else. A value that cannot be decoded stays. Interrupted, it may have
   * removed the key all the same.
   */
  readonly pop: (key: K) => Effect.Effect<V, KeyNotFound | PopError<V> | W>
  readonly popOption: (key: K) => Effect.Effect<Option.Option<V>, PopError<V> | W>
  readonly popOrElse: <B>(key: K, orElse: LazyArg<B>) => Effect.Effect<V | B, PopError<V> | W>
  /** The value that there is, or else this one from now on. All who ask at the same time get the same. */
  readonly getOrSet: (
    key: K,
    value: V
  ) => Effect.Effect<V, InvalidDictKey | ValueDecodeError | ValueEncodeError | WriteError | W>
  /**
   * Replaces the value by what the function makes of it, if nobody else has written meanwhile; otherwise once more.
   * `WriteConflict` when others were faster 100 times. Gives the new value. Updates of one key take turns within a
   * `ZkDict`, for as long as each is done within a second.
   */
  readonly update: <E2 = never, R2 = never>(
    key: K,
    f: (value: V) => V | Effect.Effect<V, E2, R2>
  ) => Effect.Effect<V, E2 | KeyNotFound | InvalidDictKey | ValueDecodeError | ValueEncodeError | WriteError | W, R2>
  /**
   * Reads and writes several keys: all of it is applied as if at one moment, or nothing. The body is run again, 100 times
   * at most, when something that it has read was changed by others; then `WriteConflict`. When it fails nothing is written.
   */
  readonly transact: <A, E2, R2>(
    body: (transaction: Transaction<K, V, W>) => Effect.Effect<A, E2, R2>
  ) => Effect.Effect<A, E2 | WriteError | NotEmpty | W, R2>
  /** Removes all keys, one by one; nodes that are no keys stay. */
  readonly clear: Effect.Effect<void, RemoveError | W>
}

/**
 * Several known keys at once. See {@link Transaction}.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export interface StructTransaction<in out T, out W = never> {
  readonly get: <K extends keyof T>(
    key: K
  ) => Effect.Effect<Option.Option<T[K]>, ValueDecodeError | NoAuth | SessionError | W>
  readonly set: <K extends keyof T>(key: K, value: T[K]) => Effect.Effect<void, ValueEncodeError>
  readonly remove: (key: keyof T) => Effect.Effect<void>
}

/**
 * A dictionary whose keys are known, each with a type of its own. Other nodes below its root are left alone. Its operations
 * are those of {@link ZkDict}.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export interface ZkStruct<in out T, out E = never, out W = never> extends Followed<E> {
  readonly get: <K extends keyof T>(key: K) => Effect.Effect<T[K], KeyNotFound | ValueDecodeError | ReadError | E>
  readonly getOption: <K extends keyof T>(
    key: K
  ) => Effect.Effect<Option.Option<T[K]>, ValueDecodeError | ReadError | E>
  readonly getOrElse: <K extends keyof T, B>(
    key: K,
    orElse: LazyArg<B>
  ) => Effect.Effect<T[K] | B, ValueDecodeError | ReadError | E>
  readonly has: (key: keyof T) => Effect.Effect<boolean, ReadError | E>
  readonly keys: Effect.Effect<ReadonlyArray<keyof T>, ReadError | E>
  /** All values that are there and can be decoded. */
  readonly snapshot: Effect.Effect<Partial<T>, ReadError | E>
  readonly invalid: Effect.Effect<ReadonlyMap<keyof T, ValueDecodeError | ReadError>, ReadError | E>
  readonly set: <K extends keyof T>(key: K, value: T[K]) => Effect.Effect<void, ValueEncodeError | WriteError | W>
  /** Properties that are no fields are left out. */
  readonly setAll: (values: Partial<T>) => Effect.Effect<void, ValueEncodeError | WriteError | W>
  readonly remove: (key: keyof T) => Effect.Effect<boolean, RemoveError | W>
  readonly pop: <K extends keyof T>(key: K) => Effect.Effect<T[K], KeyNotFound | PopError<T[K]> | W>
  readonly popOption: <K extends keyof T>(key: K) => Effect.Effect<Option.Option<T[K]>, PopError<T[K]> | W>
  readonly popOrElse: <K extends keyof T, B>(key: K, orElse: LazyArg<B>) => Effect.Effect<T[K] | B, PopError<T[K]> | W>
  readonly getOrSet: <K extends keyof T>(
    key: K,
    value: T[K]
  ) => Effect.Effect<T[K], ValueDecodeError | ValueEncodeError | WriteError | W>
  readonly update: <K extends keyof T, E2 = never, R2 = never>(
    key: K,
    f: (value: T[K]) => T[K] | Effect.Effect<T[K], E2, R2>
  ) => Effect.Effect<T[K], E2 | KeyNotFound | ValueDecodeError | ValueEncodeError | WriteError | W, R2>
  readonly transact: <A, E2, R2>(
    body: (transaction: StructTransaction<T, W>) => Effect.Effect<A, E2, R2>
  ) => Effect.Effect<A, E2 | WriteError | NotEmpty | W, R2>
  readonly clear: Effect.Effect<void, RemoveError | W>
  readonly changes: Stream.Stream<{ readonly [K in keyof T]: Change<K, T[K]> }[keyof T], StreamError>
  readonly follow: <K extends keyof T>(
    key: K
  ) => Stream.Stream<Option.Option<Result.Result<T[K], ValueDecodeError>>, StreamError>
}

// -- constructors -----------------------------------------------------------------------------------------------------

/**
 * How reads behave.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export interface ReadOptions {
  /**
   * What reads show: `live`, the newest that is known; `manual`, what was known at the last `sync` or own write, until the
   * next one. That is copied each time, which costs as much as there are keys. Default: `live`.
   */
  readonly mode?: "live" | "manual" | undefined
  /**
   * For how long reads may give what is known once it is known to lag behind (`freshness` is `Stale`); then they fail with
   * {@link TooStale}. Zero: not at all. A server that falls silent is noticed after two thirds of the session timeout at
   * most, which comes on top. Default: for ever.
   */
  readonly maxStaleness?: Duration.Input | undefined
}

/**
 * Reads that never fail for being old.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export interface LenientReadOptions extends ReadOptions {
  readonly maxStaleness?: undefined
}

/**
 * Reads that do.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export interface StrictReadOptions extends ReadOptions {
  readonly maxStaleness: Duration.Input
}

/**
 * The nodes that are created.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export interface NodeOptions {
  /** Of the root and of keys. Default: everybody may do everything (`ZkAcl.openAcl`). */
  readonly acl?: ReadonlyArray<Acl> | undefined
}

/**
 * Whether there is a root.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export interface RootOptions extends NodeOptions {
  /** Whether the root is created where it is missing, with its parents. Default: `true`. */
  readonly createRoot?: boolean | undefined
}

/**
 * What values and keys are.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export interface ValueOptions<V, I, RD, RE, K extends string | number> {
  readonly value: Schema.Codec<V, I, RD, RE>
  /** What is kept of a value. Default: `ZkCodec.json`. */
  readonly codec?: ((value: Schema.Codec<V, I, RD, RE>) => ZkCodec<V, RD, RE>) | undefined
  /**
   * What keys are: names of nodes that it does not take are none. See {@link escapedKey}. Default: any text that can be
   * the name of a node.
   */
  readonly key?: Schema.Codec<K, string> | undefined
}

/**
 * Why there is no dictionary: its root cannot be made or read.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export type MakeError = NoNode | NoAuth | NoChildrenForEphemerals | InvalidAcl | QuotaExceeded | SessionError

/**
 * A dictionary with a node for each key, below a root. Complete when everything that is there has been read. A root that
 * cannot be a path is `InvalidPath`; a time that is none, `InvalidInput`.
 *
 * @stability unstable
 * @category constructors
 * @since 0.1.0
 */
export const make: {
  <V, I, RD = never, RE = never, K extends string | number = string>(
    root: string,
    options: ValueOptions<V, I, RD, RE, K> & RootOptions & StrictReadOptions
  ): Effect.Effect<ZkDict<K, V, TooStale>, MakeError, ZkClient | Scope.Scope | RD | RE>
  <V, I, RD = never, RE = never, K extends string | number = string>(
    root: string,
    options: ValueOptions<V, I, RD, RE, K> & RootOptions & LenientReadOptions
  ): Effect.Effect<ZkDict<K, V>, MakeError, ZkClient | Scope.Scope | RD | RE>
} = internal.make

/**
 * Keys that are known, and what they hold.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export type Fields = { readonly [key: string]: Schema.Codec<unknown, unknown, unknown, unknown> }

/**
 * The values of known keys.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export type ValuesOf<F extends Fields> = { readonly [K in keyof F]: F[K]["Type"] }

/**
 * What the schemas of known keys need.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export type ServicesOf<F extends Fields> = F[keyof F]["DecodingServices"] | F[keyof F]["EncodingServices"]

/**
 * How values of several types are kept.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export interface StructOptions extends RootOptions {
  /** Default: `ZkCodec.json`. */
  readonly codec?: (<A, RD, RE>(value: Schema.Codec<A, unknown, RD, RE>) => ZkCodec<A, RD, RE>) | undefined
}

/**
 * A dictionary of known keys with a node each. As {@link make}; names that cannot be those of nodes are escaped.
 *
 * **Example** (A number and a text)
 *
 * ```ts
 * import { Console, Effect, Schema } from "effect"
 * import { ZkDict } from "effect-zookeeper"
 *
 * const program = Effect.gen(function*() {
 *   const config = yield* ZkDict.struct("/app/config", { exchange_rate: Schema.Number, language: Schema.String })
 *   yield* config.set("exchange_rate", 25)
 *   yield* config.set("language", "en-US")
 *   yield* Console.log(yield* config.get("exchange_rate"), yield* config.get("language"))
 * }).pipe(Effect.scoped)
 * ```
 *
 * @stability unstable
 * @category constructors
 * @since 0.1.0
 */
export const struct: {
  <const F extends Fields>(
    root: string,
    fields: F,
    options: StructOptions & StrictReadOptions
  ): Effect.Effect<ZkStruct<ValuesOf<F>, TooStale>, MakeError, ZkClient | Scope.Scope | ServicesOf<F>>
  <const F extends Fields>(
    root: string,
    fields: F,
    options?: StructOptions & LenientReadOptions
  ): Effect.Effect<ZkStruct<ValuesOf<F>>, MakeError, ZkClient | Scope.Scope | ServicesOf<F>>
} = internal.struct

/**
 * A dictionary in one node, as a JSON object: a member for each key. The node is made by the first write. Each write rewrites
 * all of it, if nobody else has meanwhile, and leaves members alone that it does not concern, whatever they are. So it is
 * meant for some hundreds of small values that change seldom. All of it is of one moment.
 *
 * A node that holds anything but a JSON object is a `ValueDecodeError` to all reads, and to writes, which leave it as it is.
 * `pop` trusts the version of the node, so that the node itself must not be deleted and made anew.
 *
 * @stability unstable
 * @category constructors
 * @since 0.1.0
 */
export const document: {
  <V, I, RD = never, RE = never, K extends string | number = string>(
    path: string,
    options: Omit<ValueOptions<V, I, RD, RE, K>, "codec"> & NodeOptions & StrictReadOptions
  ): Effect.Effect<
    ZkDict<K, V, ValueDecodeError | TooStale, ValueDecodeError | QuotaExceeded>,
    NoAuth | SessionError,
    ZkClient | Scope.Scope | RD | RE
  >
  <V, I, RD = never, RE = never, K extends string | number = string>(
    path: string,
    options: Omit<ValueOptions<V, I, RD, RE, K>, "codec"> & NodeOptions & LenientReadOptions
  ): Effect.Effect<
    ZkDict<K, V, ValueDecodeError, ValueDecodeError | QuotaExceeded>,
    NoAuth | SessionError,
    ZkClient | Scope.Scope | RD | RE
  >
} = internal.document

/**
 * Known keys in one node. See {@link document}.
 *
 * @stability unstable
 * @category constructors
 * @since 0.1.0
 */
export const documentStruct: {
  <const F extends Fields>(
    path: string,
    fields: F,
    options: NodeOptions & StrictReadOptions
  ): Effect.Effect<
    ZkStruct<ValuesOf<F>, ValueDecodeError | TooStale, ValueDecodeError | QuotaExceeded>,
    NoAuth | SessionError,
    ZkClient | Scope.Scope | ServicesOf<F>
  >
  <const F extends Fields>(
    path: string,
    fields: F,
    options?: NodeOptions & LenientReadOptions
  ): Effect.Effect<
    ZkStruct<ValuesOf<F>, ValueDecodeError, ValueDecodeError | QuotaExceeded>,
    NoAuth | SessionError,
    ZkClient | Scope.Scope | ServicesOf<F>
  >
} = internal.documentStruct

/**
 * A dictionary in memory, which nobody else sees: for tests of what uses one.
 *
 * @stability unstable
 * @category testing
 * @since 0.1.0
 */
export const makeMemory: <V, I, RD = never, RE = never, K extends string | number = string>(
  options: ValueOptions<V, I, RD, RE, K> & Pick<LenientReadOptions, "mode">
) => Effect.Effect<ZkDict<K, V>, never, Scope.Scope | RD | RE> = internal.makeMemory

/**
 * Any text as a key. What names of nodes cannot have is escaped as in URLs (`a/b` is `a%2Fb`), and so is `%`; the empty
 * text is `%`.
 *
 * @stability unstable
 * @category keys
 * @since 0.1.0
 */
export const escapedKey: Schema.Codec<string, string> = names.escapedKey
