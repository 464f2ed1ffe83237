/** Values as bytes: codecs, what they refuse, and what their errors show. */
import { assert, describe, it } from "@effect/vitest"
import {
  Arbitrary,
  Cause,
  Context,
  DateTime,
  Effect,
  Exit,
  Option,
  Redacted,
  Schema,
  SchemaIssue,
  SchemaTransformation
} from "effect"
import { inspect } from "node:util"
import { gunzipSync, gzipSync } from "node:zlib"
import { decodeWith, encodeWith } from "../src/internal/codec/run.ts"
import * as ZkCodec from "../src/ZkCodec.ts"
import * as Any from "./fixtures/arbitraries.ts"

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text)
const textOf = (bytes: Uint8Array): string => new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes)

const path = "/config/limits"

const read = <A, RD>(codec: Schema.Codec<A, Uint8Array, RD, unknown>, data: Uint8Array | string | null) =>
  decodeWith(codec)(path, typeof data === "string" ? utf8(data) : data)

const write = <A, RE>(codec: Schema.Codec<A, Uint8Array, unknown, RE>, value: NoInfer<A>) =>
  encodeWith(codec)(path, value)

/** Through bytes and back. */
const roundTrip = <A, RD, RE>(codec: ZkCodec.ZkCodec<A, RD, RE>, value: NoInfer<A>) =>
  Effect.flatMap(write(codec, value), (bytes) => read(codec, bytes))

/** The reason why data is refused. */
const refused = <A, RD>(codec: Schema.Codec<A, Uint8Array, RD, unknown>, data: Uint8Array | string | null) =>
  Effect.map(Effect.flip(read(codec, data)), (error) => {
    assert.strictEqual(error._tag, "DecodeError")
    assert.strictEqual(error.path, path)
    assert.strictEqual(error.message, `${path}: the data cannot be read: ${error.reason}`)
    assert.deepStrictEqual(
      Redacted.value(error.data),
      typeof data === "string" ? utf8(data) : data ?? new Uint8Array(0)
    )
    return error.reason
  })

/** The reason why a value is refused. */
const unwritten = <A, RE>(codec: Schema.Codec<A, Uint8Array, unknown, RE>, value: NoInfer<A>) =>
  Effect.map(Effect.flip(write(codec, value)), (error) => {
    assert.strictEqual(error._tag, "EncodeError")
    assert.strictEqual(error.path, path)
    assert.strictEqual(error.message, `${path}: the value cannot be written: ${error.reason}`)
    return error.reason
  })

/** A value that refers to itself through arrays. */
interface Tree {
  readonly label: string
  readonly children: ReadonlyArray<Tree>
}
const Tree: Schema.Codec<Tree> = Schema.Struct({
  label: Schema.String,
  children: Schema.Array(Schema.suspend(() => Tree))
})

class Point extends Schema.Class<Point>("Point")({ x: Schema.Number, y: Schema.Number }) {}

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

  it.effect("what is no JSON, or something else than expected, cannot be read [CODEC-01]", () =>
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

  it.effect("values that have no JSON cannot be written [CODEC-01]", () =>
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
    "text comes back as it was, byte order marks included [CODEC-02]",
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

  it.effect("any schema over text can be used [CODEC-02]", () =>
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
    "bytes that are no UTF-8 are refused, not patched up: %s [CODEC-03]",
    ([, bytes]) =>
      Effect.gen(function*() {
        for (const codec of [ZkCodec.text(Schema.String), ZkCodec.json(Schema.String), ZkCodec.lax]) {
          assert.strictEqual(yield* refused(codec, Uint8Array.from(bytes)), "Expected text in UTF-8")
          assert.strictEqual(yield* refused(codec, Uint8Array.from([0x22, ...bytes, 0x22])), "Expected text in UTF-8")
        }
      })
  )

  it.effect("text with lone surrogates is not written as something else [CODEC-03]", () =>
    Effect.gen(function*() {
      for (const text of ["\ud800", "a\udfffb", "\udc00\ud800", "😀\ud83d"]) {
        assert.strictEqual(yield* unwritten(ZkCodec.text(Schema.String), text), "Expected text without lone surrogates")
        assert.strictEqual(yield* roundTrip(ZkCodec.json(Schema.String), text), text)
      }
    }))

  it.effect("JSON with a byte order mark is refused [CODEC-03]", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* refused(ZkCodec.json(Schema.Json), "\ufeff{}"), "Expected a valid JSON string")
    }))

  it.effect.prop("bytes are kept as they are [CODEC-04]", [Any.bytes], ([bytes]) =>
    Effect.gen(function*() {
      assert.strictEqual(yield* write(ZkCodec.bytes, bytes), bytes)
      assert.strictEqual(yield* read(ZkCodec.bytes, bytes), bytes)
    }))

  it.effect("no data is read as no bytes [CODEC-04]", () =>
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

  it.effect.prop("values come back, and the same value makes the same bytes [CODEC-05]", [Any.bytes, Any.texts], (
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

  it.effect("compressed data is smaller, and what gzip itself writes is read [CODEC-05]", () =>
    Effect.gen(function*() {
      const values = Array.from({ length: 1000 }, () => "the same again")
      assert.isBelow((yield* write(codec, values)).length, 300)
      assert.deepStrictEqual(yield* read(codec, gzipSync(JSON.stringify(values), { level: 1 })), values)
      const parts = [gzipSync(`["in two`), gzipSync(` members"]`)]
      assert.deepStrictEqual(yield* read(codec, Buffer.concat(parts)), ["in two members"])
    }))

  it.effect("what is not gzip, or only half of it, is refused [CODEC-05]", () =>
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

  it.effect("nodes that are not compressed yet are read with a fallback [CODEC-05] [M51]", () =>
    Effect.gen(function*() {
      const both = ZkCodec.fallback(codec, plain)
      assert.deepStrictEqual(yield* read(both, `["a"]`), ["a"])
      assert.deepStrictEqual(yield* read(both, yield* write(both, ["b"])), ["b"])
      assert.deepStrictEqual(yield* read(codec, yield* write(both, ["b"])), ["b"])
    }))

  it.effect("decompressing stops at the largest size that is allowed [CODEC-06]", () =>
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

  it.effect("the largest size is exact, in reading and in writing [CODEC-06]", () =>
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

describe("errors", () => {
  const secret = "s3cr3t-7391"

  /** Everything in which an error could be shown. */
  const shown = (error: Error): string =>
    [
      String(error),
      error.message,
      error.stack,
      inspect(error, { depth: 20, showHidden: true }),
      JSON.stringify(error),
      Cause.pretty(Cause.fail(error)),
      inspect(Exit.fail(error), { depth: 20 })
    ].join("\n")

  const assertDiscreet = (error: ZkCodec.DecodeError | ZkCodec.EncodeError) => {
    assert.notInclude(shown(error), secret)
    assert.notInclude(shown(error), "7391")
    assert.isAbove(error.reason.length, 0)
  }

  const failing = (issue: (input: unknown) => SchemaIssue.Issue) =>
    Schema.Unknown.pipe(
      Schema.decodeTo(
        Schema.Unknown,
        SchemaTransformation.transformEffect<unknown, unknown>({
          decode: (input) => Effect.fail(issue(input)),
          encode: (input) => Effect.fail(issue(input))
        })
      )
    )
  const checked = (filter: (input: unknown) => Schema.FilterOutput) => Schema.Unknown.check(Schema.makeFilter(filter))
  const reporting = (schema: Schema.Codec<unknown, unknown>) =>
    Schema.Unknown.pipe(
      Schema.decodeTo(
        Schema.Unknown,
        SchemaTransformation.transformEffect<unknown, unknown>({
          decode: (input) =>
            Schema.decodeUnknownEffect(schema)(input, { reportInput: true }).pipe(
              Effect.mapError((error) => error.issue)
            ),
          encode: (input) =>
            Schema.decodeUnknownEffect(schema)(input, { reportInput: true }).pipe(
              Effect.mapError((error) => error.issue)
            )
        })
      )
    )

  const Text = Schema.Struct({ a: Schema.String })
  const unread: Record<string, readonly [schema: Schema.Codec<unknown, unknown>, value: unknown, reason?: string]> = {
    "a wrong type": [Schema.Number, secret],
    "a literal": [Schema.Literal("a"), secret, `Expected "a"`],
    "a union": [Schema.Union([Schema.Number, Text]), secret],
    "a tagged union": [Schema.TaggedUnion({ A: { a: Schema.Number }, B: { a: Schema.Date } }), {
      _tag: "A",
      a: secret
    }],
    "an unknown tag": [Schema.TaggedUnion({ A: { a: Schema.Number } }), { _tag: secret, a: 1 }],
    "a union of which one must match": [
      Schema.Union([Schema.String, Schema.String.check(Schema.isMinLength(1))], { mode: "oneOf" }),
      secret,
      "Expected exactly one member to match"
    ],
    "nothing that would do": [Schema.Never, secret],
    "a pattern": [Schema.String.check(Schema.isPattern(/^x/)), secret, "Expected a string matching the RegExp ^x"],
    "an annotated check": [
      Schema.String.check(Schema.isMaxLength(3, { message: "At most three letters" })),
      secret,
      "At most three letters"
    ],
    "several checks": [Schema.String.check(Schema.isMaxLength(3), Schema.isStartingWith("x")), secret],
    "a check that tells the value": [checked((input) => `${input} is bad`), secret, "Expected <filter>"],
    "a check that tells it with a place": [
      checked((input) => ({ path: ["a"], issue: `${input} is bad` })),
      secret,
      `Expected a valid value at ["a"]`
    ],
    "a check that tells it twice": [checked((input) => [`${input} is bad`, `${input} is very bad`]), secret],
    "a check with an issue": [checked((input) => new SchemaIssue.Forbidden({ message: `${input}` })), secret],
    "a refinement": [Schema.String.pipe(Schema.refine((text): text is "x" => text === "x")), secret],
    "a transformation that tells the value": [
      failing((input) => new SchemaIssue.InvalidValue({ message: `${input} is bad` }, input, { reportInput: true })),
      secret,
      "Expected a valid value"
    ],
    "a forbidden transformation": [
      failing((input) => new SchemaIssue.Forbidden({ message: `not ${input}` }, input, { reportInput: true })),
      secret,
      "Forbidden operation"
    ],
    "a missing key": [Schema.Struct({ a: Text, b: Text }), { b: { a: secret } }, `Missing key at ["a"]`],
    "a missing key with a message": [
      Schema.Struct({ a: Schema.String.annotateKey({ messageMissingKey: "An a is needed" }), b: Schema.String }),
      { b: secret },
      `An a is needed at ["a"]`
    ],
    "a tuple that is too short": [Schema.Tuple([Schema.String, Schema.String]), [secret]],
    "a tuple that is too long": [Schema.Tuple([Schema.String]), ["a", secret]],
    "a template": [Schema.TemplateLiteral(["a-", Schema.Number]), secret],
    "an enumeration": [Schema.Enum({ A: "a", B: "b" }), secret],
    "a number": [Schema.FiniteFromString, secret],
    "a date": [Schema.Date, secret],
    "a moment": [Schema.DateTimeUtc, secret],
    "a moment in a zone": [Schema.DateTimeZoned, secret],
    "a URL": [Schema.URL, secret],
    "a duration": [Schema.DurationFromString, secret],
    "a bigint": [Schema.BigInt, secret],
    "bytes": [Schema.Uint8Array, `${secret}!`],
    "a value of a map": [Schema.ReadonlyMap(Schema.String, Schema.Number), [[secret, secret]]],
    "a key of a map": [Schema.HashMap(Schema.Number, Schema.String), [[secret, secret]]],
    "a value of a record": [
      Schema.Record(Schema.String, Schema.Date),
      { key: secret },
      `Expected a valid Date at ["key"]`
    ],
    "something redacted": [Schema.Redacted(Schema.Number), secret],
    "an instance": [Point, { x: secret, y: 1 }],
    "JSON in JSON": [Schema.fromJsonString(Schema.Number), `{"${secret}`],
    "members of a union that tell the value": [
      Schema.Union([checked((input) => `${input} is bad`), checked((input) => `${input} is very bad`)]),
      secret,
      "Expected <filter>; Expected <filter>"
    ],
    "reported inputs of unions of which one must match": [
      reporting(Schema.Union([Schema.String, Schema.String.check(Schema.isMinLength(1))], { mode: "oneOf" })),
      secret
    ],
    "inputs that are reported": [reporting(Schema.Number), secret, "Expected number"],
    "reported inputs below": [reporting(Schema.Struct({ a: Schema.Number })), { a: secret }],
    "reported inputs of checks": [reporting(Schema.String.check(Schema.isMaxLength(3))), secret],
    "reported inputs of unions": [reporting(Schema.Union([Schema.Number, Schema.Boolean])), secret],
    "reported inputs of tagged unions": [reporting(Schema.TaggedUnion({ A: { a: Schema.Number } })), { _tag: secret }],
    "reported inputs of strict structs": [
      reporting(
        failing((input) =>
          new SchemaIssue.Pointer(["a"], new SchemaIssue.UnexpectedKey(Text.ast, input, { reportInput: true }))
        )
      ),
      secret,
      `Expected no excess property at ["a"]`
    ]
  }
  it.effect.each(Object.entries(unread))(
    "of reading do not show what was read: %s [CODEC-07]",
    ([, [schema, value, reason]]) =>
      Effect.gen(function*() {
        const codec = ZkCodec.json(schema)
        const data = utf8(JSON.stringify(value))
        const error = yield* Effect.flip(decodeWith(codec)(path, data))
        assertDiscreet(error)
        if (reason !== undefined) assert.strictEqual(error.reason, reason)
        // the data is there for those who ask for it
        assert.strictEqual(Redacted.value(error.data), data)
        assertDiscreet(yield* Effect.flip(decodeWith(ZkCodec.fallback(codec, codec))(path, data)))
        assertDiscreet(yield* Effect.flip(decodeWith(ZkCodec.gzip(codec))(path, gzipSync(data))))
      })
  )

  it.effect("of reading do not show text that is no JSON, no UTF-8 or no gzip [CODEC-07]", () =>
    Effect.gen(function*() {
      for (
        const codec of Array.of<Schema.Codec<unknown, Uint8Array>>(
          ZkCodec.json(Schema.Json),
          ZkCodec.gzip(ZkCodec.bytes),
          ZkCodec.text(Schema.FiniteFromString)
        )
      ) {
        for (const data of [secret, `{"${secret}`, `\ufeff${secret}`, `{"a":"${secret}",}`]) {
          assertDiscreet(yield* Effect.flip(read(codec, data)))
        }
        assertDiscreet(yield* Effect.flip(read(codec, Buffer.concat([utf8(secret), Uint8Array.of(0xff)]))))
      }
    }))

  const unwritable: Record<string, readonly [schema: Schema.Codec<unknown, unknown>, value: unknown]> = {
    "a wrong type": [Schema.Number, secret],
    "a check": [Schema.String.check(Schema.isMaxLength(3)), secret],
    "a check that tells the value": [checked((input) => `${input} is bad`), secret],
    "a union": [Schema.Union([Schema.Number, Text]), { a: 1, b: secret }],
    "an instance": [Point, { x: secret, y: secret }],
    "no instance": [Schema.Date, secret],
    "a transformation": [
      failing((input) => new SchemaIssue.InvalidValue({ message: `${input}` }, input, { reportInput: true })),
      secret
    ],
    "reported inputs": [reporting(Schema.Number), secret],
    "something redacted": [Schema.Redacted(Schema.String, { disallowJsonEncode: true }), Redacted.make(secret)],
    "no JSON": [Schema.Unknown, { [secret.slice(0, 1)]: () => secret }],
    "an unsafe integer": [Schema.Int, 7391.5]
  }
  it.effect.each(Object.entries(unwritable))(
    "of writing do not show the value: %s [CODEC-07]",
    ([, [schema, value]]) =>
      Effect.gen(function*() {
        const codec = ZkCodec.json(schema)
        assertDiscreet(yield* Effect.flip(write(codec, value)))
        assertDiscreet(yield* Effect.flip(write(ZkCodec.fallback(codec), value)))
        assertDiscreet(yield* Effect.flip(write(ZkCodec.gzip(codec), value)))
      })
  )

  it.effect("of reading are not written as JSON with the data in it [CODEC-07]", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(read(ZkCodec.json(Schema.Number), secret))
      const failed = yield* Effect.flip(Schema.encodeEffect(Schema.toCodecJson(ZkCodec.DecodeError))(error))
      assert.notInclude(shown(failed), secret)
      assert.notInclude(shown(failed), Buffer.from(secret).toString("base64"))
    }))

  it.effect("tell of each place that is wrong, in one line [CODEC-08]", () =>
    Effect.gen(function*() {
      const codec = ZkCodec.json(Schema.Union([
        Schema.Struct({ a: Schema.Struct({ "b c": Schema.Array(Schema.Int) }) }),
        Schema.Struct({ a: Schema.Date })
      ]))
      assert.strictEqual(
        yield* refused(codec, `{"a":{"b c":[1,"2"]}}`),
        `Expected number at ["a"]["b c"][1]; Expected string at ["a"]`
      )
    }))

  it.effect("what a schema throws is a defect [CODEC-09]", () =>
    Effect.gen(function*() {
      const boom = new Error("boom")
      const throwing = Schema.String.pipe(
        Schema.decodeTo(
          Schema.String,
          SchemaTransformation.transform<string, string>({
            decode: () => {
              throw boom
            },
            encode: () => {
              throw boom
            }
          })
        )
      )
      for (
        const codec of [
          ZkCodec.text(throwing),
          ZkCodec.json(throwing),
          ZkCodec.fallback(ZkCodec.json(throwing), ZkCodec.json(Schema.String))
        ]
      ) {
        const reading = yield* Effect.exit(read(codec, `"a"`))
        const writing = yield* Effect.exit(write(codec, "a"))
        for (const exit of [reading, writing]) {
          assert.deepStrictEqual(exit, Exit.die(boom))
        }
      }
    }))

  it.effect("data that nests too deeply for its schema is refused, and is no defect [CODEC-09]", () =>
    Effect.gen(function*() {
      const depth = 100_000
      const codec = ZkCodec.json(Tree)
      const data = `{"label":"","children":[`.repeat(depth) + `]}`.repeat(depth)
      const reason = "Expected a value that is not nested so deeply"
      assert.strictEqual(yield* refused(codec, data), reason)
      assert.strictEqual(yield* refused(ZkCodec.fallback(codec), data), reason)
      let tree: Tree = { label: "", children: [] }
      for (let i = 0; i < depth; i++) tree = { label: "", children: [tree] }
      assert.strictEqual(yield* unwritten(codec, tree), reason)
      // without a recursive schema it is JSON like any other, which JSON.stringify cannot write
      const json = yield* read(ZkCodec.json(Schema.Json), data)
      assert.match(yield* unwritten(ZkCodec.json(Schema.Json), json), /^Expected a JSON-serializable value/)
    }))

  it.live("schemas may use services and take their time [CODEC-10]", () =>
    Effect.gen(function*() {
      class Key extends Context.Service<Key, string>()("test/Key") {}
      const keyed = Schema.String.pipe(
        Schema.decodeTo(
          Schema.String,
          SchemaTransformation.transformEffect<string, string, Key, Key>({
            decode: (text) => Effect.map(Effect.delay(Key, 1), (key) => text.replace(key, "")),
            encode: (text) => Effect.map(Effect.delay(Key, 1), (key) => key + text)
          })
        )
      )
      const codec = ZkCodec.gzip(ZkCodec.fallback(ZkCodec.json(keyed), ZkCodec.text(keyed)))
      const bytes = yield* write(codec, "a").pipe(Effect.provideService(Key, "key:"))
      assert.strictEqual(textOf(gunzipSync(bytes)), `"key:a"`)
      assert.strictEqual(yield* read(codec, bytes).pipe(Effect.provideService(Key, "key:")), "a")
    }))
})
