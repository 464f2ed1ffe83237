/** What the compiler lets pass of codecs, and what not. The proof is `npm run check`: here nothing is run. */
import { describe, it } from "@effect/vitest"
import type * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { decodeWith, encodeWith } from "../../src/internal/codec/run.ts"
import * as ZkCodec from "../../src/ZkCodec.ts"
import { type Reader, same, unrun, type Writer } from "../support/types.ts"

interface Old {
  readonly old: unique symbol
}
interface Others {
  readonly needed: Schema.Codec<string, string, Reader, Writer>
  readonly older: Schema.Codec<"a", string, Old, Others>
}

describe("types of codecs", () => {
  it("a codec has the type of its schema, whatever that is written as [S-TYPES-CODECS]", () => {
    const Limits = Schema.Struct({ requests: Schema.Int, since: Schema.optionalKey(Schema.Date) })
    unrun(() => {
      const json = ZkCodec.json(Limits)
      same<typeof json, ZkCodec.ZkCodec<typeof Limits.Type>>(true)
      const text = ZkCodec.text(Schema.NumberFromString)
      same<typeof text, ZkCodec.ZkCodec<number>>(true)
      const gzip = ZkCodec.gzip(json, { maxSize: 1 })
      same<typeof gzip, ZkCodec.ZkCodec<typeof Limits.Type>>(true)
      same<typeof ZkCodec.bytes, ZkCodec.ZkCodec<Uint8Array>>(true)
      same<typeof ZkCodec.lax, ZkCodec.ZkCodec<ZkCodec.LaxValue>>(true)
      // every schema over bytes is a codec
      const own: ZkCodec.ZkCodec<Uint8Array> = Schema.Uint8Array
      // @ts-expect-error a number is no text
      ZkCodec.text(Schema.Number)
      // @ts-expect-error a schema over text is no codec
      ZkCodec.gzip(Schema.String)
      return own
    })
  })

  it("the services of both directions are kept apart; of older formats only those for reading count [S-TYPES-CODECS]", () => {
    unrun(() => {
      const { needed, older } = {} as Others
      const json = ZkCodec.json(needed)
      same<typeof json, ZkCodec.ZkCodec<string, Reader, Writer>>(true)
      const both = ZkCodec.gzip(ZkCodec.fallback(json, ZkCodec.text(older), ZkCodec.text(Schema.String)))
      same<typeof both, ZkCodec.ZkCodec<string, Reader | Old, Writer>>(true)
      // @ts-expect-error an older format must give values of the current type
      ZkCodec.fallback(json, ZkCodec.bytes)
      const decode = decodeWith(both)
      same<ReturnType<typeof decode>, Effect.Effect<string, ZkCodec.ValueDecodeError, Reader | Old>>(true)
      const encode = encodeWith(both)
      same<ReturnType<typeof encode>, Effect.Effect<Uint8Array, ZkCodec.ValueEncodeError, Writer>>(true)
    })
  })

  it("the data of an error cannot be used by accident [S-TYPES-CODECS]", () => {
    same<ZkCodec.ValueDecodeError["data"], Redacted.Redacted<Uint8Array>>(true)
    unrun(() => Redacted.value({} as ZkCodec.ValueDecodeError["data"]).length)
  })
})
