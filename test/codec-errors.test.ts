/** What codecs' errors show, and what is no error but a defect. */
import { assert, describe, it } from "@effect/vitest"
import { Cause, Context, Effect, Exit, Redacted, Schema, SchemaIssue, SchemaTransformation } from "effect"
import { inspect } from "node:util"
import { gunzipSync, gzipSync } from "node:zlib"
import { decodeWith } from "../src/internal/codec/run.ts"
import * as ZkCodec from "../src/ZkCodec.ts"
import { path, Point, read, refused, textOf, Tree, unwritten, utf8, write } from "./support/codecs.ts"

describe("errors of codecs", () => {
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

  const assertDiscreet = (error: ZkCodec.ValueDecodeError | ZkCodec.ValueEncodeError) => {
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
    "of reading do not show what was read: %s [VALUE-CODEC-07]",
    ([, [schema, value, reason]]) =>
      Effect.gen(function*() {
        const codec = ZkCodec.json(schema)
        const data = utf8(JSON.stringify(value))
        const error = yield* Effect.flip(decodeWith(codec)(path, data))
        assertDiscreet(error)
        if (reason !== undefined) assert.strictEqual(error.reason, reason)
        // the data is there for those who ask for it
        assert.deepStrictEqual(Redacted.value(error.data), data)
        assertDiscreet(yield* Effect.flip(decodeWith(ZkCodec.fallback(codec, codec))(path, data)))
        assertDiscreet(yield* Effect.flip(decodeWith(ZkCodec.gzip(codec))(path, gzipSync(data))))
      })
  )

  it.effect("of reading do not show text that is no JSON, no UTF-8 or no gzip [VALUE-CODEC-07]", () =>
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
    "of writing do not show the value: %s [VALUE-CODEC-07]",
    ([, [schema, value]]) =>
      Effect.gen(function*() {
        const codec = ZkCodec.json(schema)
        assertDiscreet(yield* Effect.flip(write(codec, value)))
        assertDiscreet(yield* Effect.flip(write(ZkCodec.fallback(codec), value)))
        assertDiscreet(yield* Effect.flip(write(ZkCodec.gzip(codec), value)))
      })
  )

  it.effect("of reading are not written as JSON with the data in it [VALUE-CODEC-07]", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(read(ZkCodec.json(Schema.Number), secret))
      const failed = yield* Effect.flip(Schema.encodeEffect(Schema.toCodecJson(ZkCodec.ValueDecodeError))(error))
      assert.notInclude(shown(failed), secret)
      assert.notInclude(shown(failed), Buffer.from(secret).toString("base64"))
    }))

  it.effect("tell of each place that is wrong, in one line [VALUE-CODEC-08]", () =>
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

  it.effect("what a schema throws is a defect [VALUE-CODEC-09]", () =>
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

  it.effect("data that nests too deeply for its schema is refused, and is no defect [VALUE-CODEC-09]", () =>
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

  it.live("schemas may use services and take their time [VALUE-CODEC-10]", () =>
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
