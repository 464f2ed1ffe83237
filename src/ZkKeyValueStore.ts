/**
 * Effect's `KeyValueStore`, kept in ZooKeeper: for libraries that want one. An entry point of its own
 * (`effect-zookeeper/ZkKeyValueStore`), since programs that do not use it should not load that module of Effect.
 *
 * **Details**
 *
 * - Keys are any texts, by way of `ZkDict.escapedKey`; values are kept as they are, texts as UTF-8.
 * - Reads ask nobody, writes complete when reads show them: see `ZkDict`.
 * - `modify` starts from what the servers have, and loses nothing that others write meanwhile: the function may be called
 *   more than once.
 * - Every failure is a `KeyValueStoreError` with the error of this library as its `cause`.
 * - Meant for small values: ZooKeeper keeps everything in memory, and takes no more than a megabyte at a time.
 *
 * **Example** (Persistence in ZooKeeper)
 *
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { KeyValueStore } from "effect/persistence"
 * import { ZkClient } from "effect-zookeeper"
 * import * as ZkKeyValueStore from "effect-zookeeper/ZkKeyValueStore"
 *
 * const program = Effect.gen(function*() {
 *   const store = yield* KeyValueStore.KeyValueStore
 *   yield* store.set("last/run", "2026-01-01")
 *   return yield* store.get("last/run")
 * })
 *
 * const Live = ZkKeyValueStore.layer("/app/store").pipe(Layer.provide(ZkClient.layer({ hosts: "127.0.0.1:2181" })))
 * const main = Effect.provide(program, Live)
 * ```
 *
 * @barrel none
 * @stability unstable
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as KeyValueStore from "effect/persistence/KeyValueStore"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type { ZkClient } from "./ZkClient.ts"
import * as ZkCodec from "./ZkCodec.ts"
import * as ZkDict from "./ZkDict.ts"

/**
 * A store whose values are the children of a node.
 *
 * @stability unstable
 * @category constructors
 * @since 0.1.0
 */
export const make = (
  root: string,
  options?: ZkDict.RootOptions
): Effect.Effect<KeyValueStore.KeyValueStore, ZkDict.MakeError, ZkClient | Scope.Scope> =>
  Effect.map(
    ZkDict.make(root, {
      ...options,
      value: Schema.Uint8Array,
      codec: () => ZkCodec.bytes,
      key: ZkDict.escapedKey
    }),
    (dict) => {
      const failing = (method: string, key?: string) =>
        Effect.mapError((cause: { readonly message: string }) =>
          new KeyValueStore.KeyValueStoreError({
            method,
            ...(key === undefined ? {} : { key }),
            message: cause.message,
            cause
          })
        )
      const encoder = new TextEncoder()
      // A byte order mark is a part of the text.
      const decoder = new TextDecoder("utf-8", { ignoreBOM: true })
      const get = (key: string) => Effect.map(dict.getOption(key), Option.getOrUndefined)
      const modify = (key: string, f: (value: Uint8Array) => Uint8Array) =>
        Effect.catchTag(dict.update(key, f), "KeyNotFound", () => Effect.succeed(undefined))
      return KeyValueStore.make({
        get: (key) =>
          Effect.map(get(key), (bytes) => bytes === undefined ? undefined : decoder.decode(bytes)).pipe(
            failing("get", key)
          ),
        getUint8Array: (key) => failing("getUint8Array", key)(get(key)),
        set: (key, value) =>
          failing("set", key)(dict.set(key, typeof value === "string" ? encoder.encode(value) : value)),
        remove: (key) => failing("remove", key)(Effect.asVoid(dict.remove(key))),
        clear: failing("clear")(dict.clear),
        size: failing("size")(dict.size),
        keys: failing("keys")(dict.keys),
        has: (key) => failing("has", key)(dict.has(key)),
        modify: (key, f) =>
          Effect.map(
            modify(key, (bytes) => encoder.encode(f(decoder.decode(bytes)))),
            (bytes) => bytes === undefined ? undefined : decoder.decode(bytes)
          ).pipe(failing("modify", key)),
        modifyUint8Array: (key, f) => failing("modifyUint8Array", key)(modify(key, f))
      })
    }
  )

/**
 * A layer with a store. See {@link make}.
 *
 * @stability unstable
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  root: string,
  options?: ZkDict.RootOptions
): Layer.Layer<KeyValueStore.KeyValueStore, ZkDict.MakeError, ZkClient> =>
  Layer.effect(KeyValueStore.KeyValueStore, make(root, options))
