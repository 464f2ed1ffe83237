/** Values through codecs, and what codecs refuse. */
import { assert } from "@effect/vitest"
import { Effect, Redacted, Schema } from "effect"
import { decodeWith, encodeWith } from "../../src/internal/codec/run.ts"
import type * as ZkCodec from "../../src/ZkCodec.ts"

export const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text)
export const textOf = (bytes: Uint8Array): string => new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes)

export const path = "/config/limits"

export const read = <A, RD>(codec: Schema.Codec<A, Uint8Array, RD, unknown>, data: Uint8Array | string | null) =>
  decodeWith(codec)(path, typeof data === "string" ? utf8(data) : data)

export const write = <A, RE>(codec: Schema.Codec<A, Uint8Array, unknown, RE>, value: NoInfer<A>) =>
  encodeWith(codec)(path, value)

/** Through bytes and back. */
export const roundTrip = <A, RD, RE>(codec: ZkCodec.ZkCodec<A, RD, RE>, value: NoInfer<A>) =>
  Effect.flatMap(write(codec, value), (bytes) => read(codec, bytes))

/** The reason why data is refused. */
export const refused = <A, RD>(codec: Schema.Codec<A, Uint8Array, RD, unknown>, data: Uint8Array | string | null) =>
  Effect.map(Effect.flip(read(codec, data)), (error) => {
    assert.strictEqual(error._tag, "ValueDecodeError")
    assert.strictEqual(error.path, path)
    assert.strictEqual(error.message, `${path}: the data cannot be read: ${error.reason}`)
    assert.deepStrictEqual(
      Redacted.value(error.data),
      typeof data === "string" ? utf8(data) : data ?? new Uint8Array(0)
    )
    return error.reason
  })

/** The reason why a value is refused. */
export const unwritten = <A, RE>(codec: Schema.Codec<A, Uint8Array, unknown, RE>, value: NoInfer<A>) =>
  Effect.map(Effect.flip(write(codec, value)), (error) => {
    assert.strictEqual(error._tag, "ValueEncodeError")
    assert.strictEqual(error.path, path)
    assert.strictEqual(error.message, `${path}: the value cannot be written: ${error.reason}`)
    return error.reason
  })

/** A value that contains others of its kind. */
export interface Tree {
  readonly label: string
  readonly children: ReadonlyArray<Tree>
}
export const Tree: Schema.Codec<Tree> = Schema.Struct({
  label: Schema.String,
  children: Schema.Array(Schema.suspend(() => Tree))
})

export class Point extends Schema.Class<Point>("Point")({ x: Schema.Number, y: Schema.Number }) {}
