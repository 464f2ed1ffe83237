/** Keys and values of a dictionary as names and bytes of what it is kept in. */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { ValueDecodeError, ValueEncodeError, ZkCodec } from "../../ZkCodec.ts"
import * as ZkPath from "../../ZkPath.ts"
import { decodeWith, encodeWith } from "../codec/run.ts"
import type { Names } from "./names.ts"

/** Values as the bytes of one name. */
export interface Codec<in out V> {
  readonly decode: (data: Uint8Array | null) => Effect.Effect<V, ValueDecodeError>
  readonly encode: (value: V) => Effect.Effect<Uint8Array, ValueEncodeError>
}

export interface Values<K, V> extends Names<K> {
  readonly codecOf: (name: string) => Codec<V>
}

/** `at`: the names of what is decoded, for errors. */
export const codecAt = <V, RD, RE>(
  codec: ZkCodec<V, RD, RE>,
  context: Context.Context<RD | RE>
): (at: string) => Codec<V> => {
  const decode = decodeWith(codec)
  const encode = encodeWith(codec)
  return (at) => ({
    decode: (data) => Effect.provideContext(decode(at, data), context),
    encode: (value) => Effect.provideContext(encode(at, value), context)
  })
}

/** Values that are all of one kind. */
export const valuesOf = <K, V, RD, RE>(
  path: string,
  names: Names<K>,
  codec: ZkCodec<V, RD, RE>,
  context: Context.Context<RD | RE>
): Values<K, V> => {
  const at = codecAt(codec, context)
  return { ...names, codecOf: (name) => at(ZkPath.join(path, name)) }
}
