/** Values as bytes. */
import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, DateTime, Effect, Option, Schema, SchemaTransformation } from "effect"
import { gzipSync } from "node:zlib"
import * as ZkCodec from "../src/ZkCodec.ts"
import * as Any from "./fixtures/arbitraries.ts"
import { Point, read, refused, roundTrip, textOf, Tree, unwritten, utf8, write } from "./support/codecs.ts"

describe("JSON", () => {
  const Everything = Schema.Struct({
    number: Schema.Number,
    integer: Schema.Int,
    bigint: Schema.BigInt,
    boolean: Schema.Boolean,
    nothing: Schema.Null,
    maybe: Schema.optionalKey(Schema.Date),
    undefinable: Schema.optional(Schema.String),
    date: Schema.Date,
    moment: Schema.DateTimeUtc,
    nested: Schema.Struct({
      map: Schema.ReadonlyMap(Schema.String, Schema.BigInt),
      set: Schema.ReadonlySet(Schema.Int)
    }),
    option: Schema.Option(Schema.Date),
    symbol: Schema.Literals(["a", "b"]),
    url: Schema.URL,
    record: Schema.Record(Schema.String, Schema.NullOr(Schema.BigInt)),
    point: Point
  })
  const everything = ZkCodec.json(Everything)

  it.effect.prop(
    "values come back as they were, whatever they consist of [M50]",
    [Everything, Any.anyText, Any.bytes],
    (
      [value, text, bytes]
    ) =>
      Effect.gen(function*() {
        assert.isTrue(Schema.toEquivalence(Everything)(yield* roundTrip(everything, value), value))
        const codec = ZkCodec.json(Schema.Tuple([Schema.String, Schema.Uint8Array]))
        assert.deepStrictEqual(yield* roundTrip(codec, [text, bytes]), [text, bytes])
      })
  )

  it.effect("numbers that JSON does not have, and -0, come back as they were [M50]", () =>
    Effect.gen(function*() {
      const codec = ZkCodec.json(Schema.Array(Schema.Number))
      const values = [NaN, Infinity, -Infinity, -0, 0, Number.MIN_VALUE, Number.MAX_VALUE, 2 ** 53, 0.1]
      const back = yield* roundTrip(codec, values)
      assert.isTrue(values.every((value, i) => Object.is(value, back[i])))
      assert.strictEqual(textOf(yield* write(codec, [-0, 0, 1])), "[-0,0,1]")
      assert.isTrue(Object.is(yield* roundTrip(ZkCodec.json(Schema.Number), -0), -0))
    }))

  it.effect("dates, moments, maps, options and instances come back as what they were [M50]", () =>
    Effect.gen(function*() {
      const codec = ZkCodec.json(Schema.Struct({
        date: Schema.Date,
        moment: Schema.DateTimeUtc,
        map: Schema.ReadonlyMap(Schema.Date, Schema.Uint8Array),
        option: Schema.Option(Schema.BigInt),
        point: Point
      }))
      const value = {
        date: new Date(-1),
        moment: DateTime.makeUnsafe("2012-02-29T03:04:05.678Z"),
        map: new Map([[new Date(0), Uint8Array.of(0, 255)]]),
        option: Option.some(2n ** 80n),
        point: new Point({ x: -0, y: 1e300 })
      }
      const back = yield* roundTrip(codec, value)
      assert.deepStrictEqual(back.date, value.date)
      assert.isTrue(DateTime.Equivalence(back.moment, value.moment))
      assert.deepStrictEqual([...back.map], [...value.map])
      assert.deepStrictEqual(back.option, value.option)
      assert.instanceOf(back.point, Point)
      assert.isTrue(Object.is(back.point.x, -0))
    }))

  it.effect("is plain JSON in UTF-8, for anybody to read [M50]", () =>
    Effect.gen(function*() {
      const codec = ZkCodec.json(Schema.Struct({ host: Schema.String, port: Schema.FiniteFromString, at: Schema.Date }))
      const bytes = yield* write(codec, { host: "hôte ☃", port: 8080, at: new Date(0) })
      assert.strictEqual(textOf(bytes), `{"host":"hôte ☃","port":"8080","at":"1970-01-01T00:00:00.000Z"}`)
      assert.strictEqual((yield* read(codec, ` {"port":"1",\n"host":"","at":"1970-01-01"} `)).port, 1)
    }))

  it.effect.prop(
    "tuples, trees and unions nest, with any text in values and keys [M52]",
    [Arbitrary.array(Any.anyText, { maxLength: 5 }), Any.anyText],
    ([texts, key]) =>
      Effect.gen(function*() {
        const codec = ZkCodec.json(
          Schema.Struct({
            tuple: Schema.Tuple([Schema.Int, Schema.Tuple([Schema.String, Schema.Array(Schema.String)])]),
            tree: Tree,
            record: Schema.Record(Schema.String, Schema.Union([Schema.String, Schema.Array(Schema.String)])),
            json: Schema.Json
          })
        )
        const value = {
          tuple: [1, ["☃", texts]] as const,
          tree: texts.reduce<Tree>((below, label) => ({ label, children: [below, below] }), {
            label: key,
            children: []
          }),
          record: { [key]: texts, other: key },
          json: { [key]: [texts, { [key]: null }] }
        }
        assert.deepStrictEqual(yield* roundTrip(codec, value), value)
      })
  )

  it.effect("keys that mean something to JavaScript are keys like others [M52]", () =>
    Effect.gen(function*() {
      const codec = ZkCodec.json(Schema.Struct({
        record: Schema.Record(Schema.String, Schema.Json),
        json: Schema.Json
      }))
      const data = `{"record":{"__proto__":{"a":1},"constructor":2},"json":{"__proto__":{"a":1},"toJSON":"b"}}`
      const value = yield* read(codec, data)
      assert.isFalse("a" in value.record)
      assert.strictEqual(textOf(yield* write(codec, value)), data)
      assert.isUndefined(Object.getOwnPropertyDescriptor(Object.prototype, "a"))
    }))

  it.effect("what is no JSON, or something else than expected, cannot be read [VALUE-CODEC-01]", () =>
    Effect.gen(function*() {
      const codec = ZkCodec.json(Schema.Struct({ a: Schema.Array(Schema.Int), b: Schema.optionalKey(Schema.Date) }))
      for (const data of ["", " ", "{", "nope", "{a:1}", "'a'", "NaN", "undefined", `{"a":[1]} x`]) {
        assert.strictEqual(yield* refused(codec, data), "Expected a valid JSON string")
      }
      assert.strictEqual(yield* refused(codec, null), "Expected a valid JSON string")
      assert.match(yield* refused(codec, "[]"), /^Expected /)
      assert.strictEqual(yield* refused(codec, "{}"), `Missing key at ["a"]`)
      assert.strictEqual(yield* refused(codec, `{"a":[1,2.5]}`), `Expected an integer at ["a"][1]`)
      assert.strictEqual(yield* refused(codec, `{"a":[],"b":"soon"}`), `Expected a valid Date at ["b"]`)
    }))

  it.effect("values that have no JSON cannot be written [VALUE-CODEC-01]", () =>
    Effect.gen(function*() {
      const cycle: Array<unknown> = []
      cycle.push(cycle)
      assert.match(yield* unwritten(ZkCodec.json(Schema.Unknown), cycle), /JSON/)
      assert.match(yield* unwritten(ZkCodec.json(Schema.Unknown), () => 1), /JSON/)
      assert.strictEqual(yield* unwritten(ZkCodec.json(Schema.Int), 1.5), "Expected an integer")
    }))
})

describe("text and bytes", () => {
  it.effect.prop(
    "text comes back as it was, byte order marks included [VALUE-CODEC-02]",
    [Any.text],
    ([text]) =>
      Effect.gen(function*() {
        const codec = ZkCodec.text(Schema.String)
        for (const value of [text, `\ufeff${text}`, `\0${text}\n`]) {
          assert.deepStrictEqual(yield* write(codec, value), utf8(value))
          assert.strictEqual(yield* roundTrip(codec, value), value)
        }
      })
  )

  it.effect("any schema over text can be used [VALUE-CODEC-02]", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* read(ZkCodec.text(Schema.NumberFromString), "8080"), 8080)
      assert.strictEqual(textOf(yield* write(ZkCodec.text(Schema.BigIntFromString), 2n ** 70n)), `${2n ** 70n}`)
      assert.match(yield* refused(ZkCodec.text(Schema.FiniteFromString), "many"), /^Expected a finite number/)
      assert.match(yield* refused(ZkCodec.text(Schema.Literals(["on", "off"])), "maybe"), /^Expected "on" \| "off"/)
    }))

  const malformed = {
    "a byte that never occurs": [0xff],
    "a continuation without a beginning": [0x61, 0x80],
    "a beginning without its continuation": [0x61, 0xe2, 0x98],
    "a longer form than needed": [0xc0, 0xaf],
    "a surrogate": [0xed, 0xa0, 0x80],
    "beyond the last character": [0xf4, 0x90, 0x80, 0x80]
  }
  it.effect.each(Object.entries(malformed))(
    "bytes that are no UTF-8 are refused, not patched up: %s [VALUE-CODEC-03]",
    ([, bytes]) =>
      Effect.gen(function*() {
        for (const codec of [ZkCodec.text(Schema.String), ZkCodec.json(Schema.String), ZkCodec.lax]) {
          assert.strictEqual(yield* refused(codec, Uint8Array.from(bytes)), "Expected text in UTF-8")
          assert.strictEqual(yield* refused(codec, Uint8Array.from([0x22, ...bytes, 0x22])), "Expected text in UTF-8")
        }
      })
  )

  it.effect("text with lone surrogates is not written as something else [VALUE-CODEC-03]", () =>
    Effect.gen(function*() {
      for (const text of ["\ud800", "a\udfffb", "\udc00\ud800", "😀\ud83d"]) {
        assert.strictEqual(yield* unwritten(ZkCodec.text(Schema.String), text), "Expected text without lone surrogates")
        assert.strictEqual(yield* roundTrip(ZkCodec.json(Schema.String), text), text)
      }
    }))

  it.effect("JSON with a byte order mark is refused [VALUE-CODEC-03]", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* refused(ZkCodec.json(Schema.Json), "\ufeff{}"), "Expected a valid JSON string")
    }))

  it.effect.prop("bytes are kept as they are [VALUE-CODEC-04]", [Any.bytes], ([bytes]) =>
    Effect.gen(function*() {
      // Copies: what is done to one changes nothing in the other.
      for (const copy of [yield* write(ZkCodec.bytes, bytes), yield* read(ZkCodec.bytes, bytes)]) {
        assert.deepStrictEqual(copy, bytes)
        assert.notStrictEqual(copy, bytes)
      }
    }))

  it.effect("no data is read as no bytes [VALUE-CODEC-04]", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* read(ZkCodec.bytes, null), new Uint8Array(0))
      assert.strictEqual(yield* read(ZkCodec.text(Schema.String), null), "")
      assert.strictEqual(yield* read(ZkCodec.lax, null), "")
      yield* refused(ZkCodec.json(Schema.String), null)
      yield* refused(ZkCodec.gzip(ZkCodec.bytes), null)
    }))
})

describe("several formats", () => {
  const Settings = Schema.Struct({ port: Schema.Int, hosts: Schema.Array(Schema.String) })
  const v3 = ZkCodec.json(Settings)
  const v2 = ZkCodec.json(
    Schema.Struct({ port: Schema.Int }).pipe(
      Schema.decodeTo(
        Schema.toType(Settings),
        SchemaTransformation.transform<typeof Settings.Type, { readonly port: number }>({
          decode: ({ port }) => ({ port, hosts: ["v2"] }),
          encode: ({ port }) => ({ port })
        })
      )
    )
  )
  const v1 = ZkCodec.text(
    Schema.FiniteFromString.pipe(
      Schema.decodeTo(
        Schema.toType(Settings),
        SchemaTransformation.transform<typeof Settings.Type, number>({
          decode: (port) => ({ port, hosts: ["v1"] }),
          encode: ({ port }) => port
        })
      )
    )
  )
  const codec = ZkCodec.fallback(v3, v2, v1)

  it.effect("older formats are read, in order, and the current one is written [M51]", () =>
    Effect.gen(function*() {
      const value = { port: 1, hosts: ["a"] }
      const written = { 3: yield* write(v3, value), 2: yield* write(v2, value), 1: yield* write(v1, value) }
      assert.strictEqual(textOf(written[1]), "1")
      assert.deepStrictEqual(yield* read(codec, written[3]), value)
      assert.deepStrictEqual(yield* read(codec, written[2]), { port: 1, hosts: ["v2"] })
      // of two older ones that both can read it, the first
      const anything = ZkCodec.text(
        Schema.String.pipe(
          Schema.decodeTo(
            Schema.toType(Settings),
            SchemaTransformation.transform<typeof Settings.Type, string>({
              decode: (host) => ({ port: 0, hosts: [host] }),
              encode: ({ hosts }) => hosts.join()
            })
          )
        )
      )
      const any = ZkCodec.fallback(v3, v1, anything)
      assert.deepStrictEqual(yield* read(any, "1"), { port: 1, hosts: ["v1"] })
      assert.deepStrictEqual(yield* read(any, "x"), { port: 0, hosts: ["x"] })
      const oldest = yield* read(codec, written[1])
      assert.deepStrictEqual(oldest, { port: 1, hosts: ["v1"] })
      // written again, it is in the current format
      const again = yield* write(codec, oldest)
      assert.deepStrictEqual(yield* read(v3, again), oldest)
    }))

  it.effect("what no format fits is refused with the reason of the current one [M51]", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* refused(codec, `{"hosts":["a"],"port":"x"}`), `Expected number at ["port"]`)
      assert.strictEqual(yield* refused(codec, "nope"), "Expected a valid JSON string")
      assert.strictEqual(yield* refused(ZkCodec.fallback(v3), "nope"), "Expected a valid JSON string")
    }))

  it.effect("what the current format cannot write is neither written in an older one nor read from it [M51]", () =>
    Effect.gen(function*() {
      const strict = ZkCodec.fallback(
        ZkCodec.json(Schema.Finite.check(Schema.isLessThan(10))),
        ZkCodec.text(Schema.FiniteFromString)
      )
      assert.strictEqual(yield* unwritten(strict, 99), "Expected a value less than 10")
      assert.strictEqual(yield* refused(strict, "0x63"), "Expected a value less than 10")
      assert.strictEqual(yield* read(strict, "0x9"), 9)
    }))
})

describe("compressed", () => {
  const plain = ZkCodec.json(Schema.Array(Schema.String))
  const codec = ZkCodec.gzip(plain)
  const kib = 1024
  const zeros = (size: number) => new Uint8Array(size)

  it.effect.prop("values come back, and the same value makes the same bytes [VALUE-CODEC-05]", [Any.bytes, Any.texts], (
    [bytes, texts]
  ) =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* roundTrip(ZkCodec.gzip(ZkCodec.bytes), bytes), bytes)
      assert.deepStrictEqual(yield* roundTrip(ZkCodec.gzip(codec), texts), texts)
      const written = yield* write(codec, texts)
      assert.deepStrictEqual(written, yield* write(codec, texts))
      // no flags, no time; no operating system
      assert.deepStrictEqual([...written.subarray(0, 8)], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0])
      assert.strictEqual(written[9], 255)
    }))

  it.effect("compressed data is smaller, and what gzip itself writes is read [VALUE-CODEC-05]", () =>
    Effect.gen(function*() {
      const values = Array.from({ length: 1000 }, () => "the same again")
      assert.isBelow((yield* write(codec, values)).length, 300)
      assert.deepStrictEqual(yield* read(codec, gzipSync(JSON.stringify(values), { level: 1 })), values)
      const parts = [gzipSync(`["in two`), gzipSync(` members"]`)]
      assert.deepStrictEqual(yield* read(codec, Buffer.concat(parts)), ["in two members"])
    }))

  it.effect("what is not gzip, or only half of it, is refused [VALUE-CODEC-05]", () =>
    Effect.gen(function*() {
      const written = yield* write(codec, ["a", "b"])
      const altered = written.slice()
      altered[altered.length - 8]! ^= 1
      for (
        const data of [
          "",
          "[]",
          `["a"]`,
          written.subarray(0, -1),
          written.subarray(0, 12),
          altered,
          Buffer.concat([written, utf8("more")])
        ]
      ) {
        assert.strictEqual(yield* refused(codec, data), "Expected gzip")
      }
      assert.strictEqual(yield* refused(codec, gzipSync("nope")), "Expected a valid JSON string")
    }))

  it.effect("nodes that are not compressed yet are read with a fallback [VALUE-CODEC-05] [M51]", () =>
    Effect.gen(function*() {
      const both = ZkCodec.fallback(codec, plain)
      assert.deepStrictEqual(yield* read(both, `["a"]`), ["a"])
      assert.deepStrictEqual(yield* read(both, yield* write(both, ["b"])), ["b"])
      assert.deepStrictEqual(yield* read(codec, yield* write(both, ["b"])), ["b"])
    }))

  it.effect("decompressing stops at the largest size that is allowed [VALUE-CODEC-06]", () =>
    Effect.gen(function*() {
      // 16 GiB in 16 MiB
      const part = gzipSync(zeros(16 * kib * kib))
      const bomb = Buffer.concat(Array.from({ length: 1024 }, () => part))
      assert.strictEqual(
        yield* refused(ZkCodec.gzip(ZkCodec.bytes), bomb),
        "Expected no more than 16777216 bytes when decompressed"
      )
      assert.strictEqual((yield* read(ZkCodec.gzip(ZkCodec.bytes), part)).length, 16 * kib * kib)
    }))

  it.effect("the largest size is exact, in reading and in writing [VALUE-CODEC-06]", () =>
    Effect.gen(function*() {
      const small = ZkCodec.gzip(ZkCodec.bytes, { maxSize: 100 })
      assert.strictEqual((yield* roundTrip(small, zeros(100))).length, 100)
      assert.strictEqual(yield* unwritten(small, zeros(101)), "Expected no more than 100 bytes")
      assert.strictEqual(
        yield* refused(small, gzipSync(zeros(101))),
        "Expected no more than 100 bytes when decompressed"
      )
      const any = ZkCodec.gzip(ZkCodec.bytes, { maxSize: Infinity })
      assert.strictEqual((yield* roundTrip(any, zeros(17 * kib * kib))).length, 17 * kib * kib)
      for (const maxSize of [0, -1, NaN]) {
        assert.throws(() => ZkCodec.gzip(ZkCodec.bytes, { maxSize }), RangeError)
      }
    }))
})
