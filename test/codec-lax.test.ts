/** Text whose look decides on its type. */
import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, DateTime, Effect, Result, Schema } from "effect"
import { decodeWith, encodeWith } from "../src/internal/codec/run.ts"
import * as ZkCodec from "../src/ZkCodec.ts"
import * as Any from "./fixtures/arbitraries.ts"

const readBytes = decodeWith(ZkCodec.lax)
const writeBytes = encodeWith(ZkCodec.lax)

const read = (text: string) => readBytes("/node", new TextEncoder().encode(text))
const write = (value: ZkCodec.LaxValue) =>
  Effect.map(writeBytes("/node", value), (bytes) => new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes))

const day = (year: number, month: number, day: number) => ZkCodec.CalendarDate.make({ year, month, day })
const moment = (iso: string) => DateTime.makeUnsafe(iso)

const assertSame = (actual: ZkCodec.LaxValue, expected: ZkCodec.LaxValue) => {
  if (DateTime.isDateTime(expected)) {
    assert.isTrue(DateTime.isDateTime(actual))
    assert.strictEqual(DateTime.toEpochMillis(actual as DateTime.Utc), DateTime.toEpochMillis(expected))
  } else {
    // tells 0 from -0, and an instance from a record
    assert.deepStrictEqual(actual, expected)
    if (typeof expected === "number") assert.isTrue(Object.is(actual, expected))
  }
}

type Row = readonly [text: string, value: ZkCodec.LaxValue]

/** A title for each row: the text as JSON, and short. */
const titled = (rows: ReadonlyArray<Row>) => rows.map(([text, value]) => [JSON.stringify(text), text, value] as const)

describe("lax: reading", () => {
  const table: ReadonlyArray<Row> = [
    ["483.24", 483.24],
    ["0.0", 0],
    ["42", 42],
    ["0", 0],
    ["true", true],
    ["True", true],
    ["TRUE", true],
    ["false", false],
    ["fAlSe", false],
    ["none", null],
    ["None", null],
    ["NONE", null],
    ["2012-02-29", day(2012, 2, 29)],
    ["2011-12-13T14:15:16.171Z", moment("2011-12-13T14:15:16.171Z")],
    ["2011-12-13 14:15:16.171819Z", moment("2011-12-13T14:15:16.171Z")],
    ["anything else", "anything else"],
    ["☃", "☃"],
    ["", ""]
  ]
  it.effect.each(titled(table))("zktools' table: %s [T60]", ([, text, value]) =>
    Effect.gen(function*() {
      assertSame(yield* read(text), value)
    }))

  const numbers: ReadonlyArray<Row> = [
    ["-5", -5],
    ["-1.5", -1.5],
    ["1e5", 100000],
    ["1E+5", 100000],
    ["-25e-1", -2.5],
    [".5", 0.5],
    ["-.5", -0.5],
    ["-0", -0],
    ["-0.0", -0],
    ["1.50", 1.5],
    ["9007199254740991", 9007199254740991],
    ["9007199254740992", 9007199254740992n],
    ["-9007199254740993", -9007199254740993n],
    [`1${"0".repeat(400)}`, 10n ** 400n],
    ["1e20", 1e20],
    ["1e308", 1e308],
    ["5e-324", 5e-324],
    [`0.${"0".repeat(400)}1e401`, 1],
    [`1.${"0".repeat(400)}`, 1],
    ["0e999", 0]
  ]
  it.effect.each(titled(numbers))(
    "numbers with signs, exponents and any length: %s [T61]",
    ([, text, value]) =>
      Effect.gen(function*() {
        assertSame(yield* read(text), value)
      })
  )

  const dates: ReadonlyArray<Row> = [
    ["0000-01-01", day(0, 1, 1)],
    ["9999-12-31", day(9999, 12, 31)],
    ["2000-02-29", day(2000, 2, 29)],
    ["2012-01-02T03:04:05Z", moment("2012-01-02T03:04:05Z")],
    ["2012-01-02 03:04:05Z", moment("2012-01-02T03:04:05Z")],
    ["2012-01-02T03:04:05.6Z", moment("2012-01-02T03:04:05.600Z")],
    ["2012-01-02T03:04:05.678999999Z", moment("2012-01-02T03:04:05.678Z")],
    ["-000004-02-29T03:04:05Z", moment("-000004-02-29T03:04:05Z")],
    ["2012-01-02T00:04:05+01:30", moment("2012-01-01T22:34:05Z")],
    ["0099-01-01T00:00:00Z", moment("0099-01-01T00:00:00Z")],
    ["0099-01-01 00:00:00Z", moment("0099-01-01T00:00:00Z")],
    ["-000004-02-29 03:04:05Z", moment("-000004-02-29T03:04:05Z")],
    ["+012012-01-02T03:04:05Z", moment("+012012-01-02T03:04:05Z")],
    ["-000001-01-02T03:04:05.000Z", moment("-000001-01-02T03:04:05Z")]
  ]
  it.effect.each(titled(dates))(
    "dates, and moments with a zone: %s [T61]",
    ([, text, value]) =>
      Effect.gen(function*() {
        assertSame(yield* read(text), value)
      })
  )

  const texts = [
    "007",
    "-01",
    "00.5",
    "+5",
    "5.",
    ".",
    "-",
    "--5",
    "1e",
    "e5",
    "1_000",
    "1,5",
    "0x10",
    "5\n",
    " 5",
    "5 ",
    "٣",
    "1e999",
    "-1e999",
    "1e-999",
    "0.1234567890123456789",
    "9007199254740993.0",
    "NaN",
    "Infinity",
    "-inf",
    "null",
    "undefined",
    "yes",
    "true\n",
    " none",
    "2013-13-45",
    "2013-02-29",
    "1900-02-29",
    "2013-00-10",
    "2013-04-31",
    "2013-01-00",
    "12-01-02",
    "2012-1-2",
    "2012-01-02\n",
    "2012-01-02T03:04:05",
    "2012-01-02T03:04Z",
    "2012-01-00T03:04:05Z",
    "2012-13-01T03:04:05Z",
    "2012-00-01T03:04:05Z",
    "-000001-02-29T03:04:05Z",
    "2012-01-02T24:00:00Z",
    "2012-01-02T03:60:00Z",
    "2012-01-02T03:04:60Z",
    "2012-02-30T03:04:05Z",
    "2012-01-02T03:04:05+24:00",
    "2012-01-02T03:04:05.Z",
    "2012-01-02t03:04:05z",
    "-000000-01-02T03:04:05Z",
    "+999999-01-02T03:04:05Z"
  ]
  it.effect.each(texts.map((text) => [JSON.stringify(text), text] as const))(
    "what is not quite one of these stays the text that it is: %s [T61]",
    ([, text]) =>
      Effect.gen(function*() {
        assert.strictEqual(yield* read(text), text)
        assert.strictEqual(yield* write(text), text)
      })
  )

  it.effect("a value that cannot be read as what it looks like is no failure, and the next one is read [T61]", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* read("2013-13-45"), "2013-13-45")
      assertSame(yield* read("2013-12-25"), day(2013, 12, 25))
    }))

  const pretty = { a: [1, { b: null }], "☃": "{" }
  const documents: ReadonlyArray<Row> = [
    ["{}", {}],
    ["[]", []],
    [`["a", 1, -0.5, true, null]`, ["a", 1, -0.5, true, null]],
    [JSON.stringify(pretty), pretty],
    [JSON.stringify(pretty, null, 2), pretty],
    [`\n\t ${JSON.stringify(pretty, null, "\t")}\r\n`, pretty],
    [`["2012-02-29", "none", "1"]`, ["2012-02-29", "none", "1"]],
    [`"text"`, "text"],
    [`"true"`, "true"],
    [`"\\ud800\\n"`, "\ud800\n"],
    [`"[1]"`, "[1]"]
  ]
  it.effect.each(titled(documents))(
    "arrays, objects and strings in JSON: %s [T63]",
    ([, text, value]) =>
      Effect.gen(function*() {
        assertSame(yield* read(text), value)
      })
  )

  const broken = [
    "{[x}",
    "[1, 2",
    "{a: 1}",
    "[1,]",
    "{} x",
    "[NaN]",
    "[1e400]",
    "{'a': 1}",
    `"`,
    `"a`,
    `"a"b"`,
    `"a" `,
    ` "a"`,
    `"a\nb"`,
    "\ufeff[]",
    "\u00a0[]"
  ]
  it.effect.each(broken.map((text) => [JSON.stringify(text), text] as const))(
    "broken JSON stays text here, and is refused by the strict codec: %s [T63]",
    ([, text]) =>
      Effect.gen(function*() {
        assert.strictEqual(yield* read(text), text)
        assert.strictEqual(yield* read(yield* write(text)), text)
        const strict = ZkCodec.json(Schema.Union([Schema.JsonObject, Schema.Array(Schema.Json)]))
        const error = yield* Effect.flip(decodeWith(strict)("/node", new TextEncoder().encode(text)))
        assert.strictEqual(error._tag, "ValueDecodeError")
      })
  )

  it.effect("takes no longer for text that is made to be slow [VALUE-CODEC-11]", () =>
    Effect.gen(function*() {
      const length = 1_000_000
      const zeros = "0".repeat(length)
      const slow = [
        `1${zeros}1.5`,
        `1.${zeros}1`,
        `1e${zeros}1`,
        `-${zeros}`,
        `2012-01-02T03:04:05.${zeros}`,
        " ".repeat(length),
        `${" ".repeat(length)}x`,
        `"${`\\"`.repeat(length / 2)}`,
        `"${"a".repeat(length)}" x`,
        "[".repeat(length),
        `${"{\"a\":".repeat(length / 5)}x`
      ]
      assertSame(yield* read(`2012-01-02T03:04:05.${zeros}Z`), moment("2012-01-02T03:04:05Z"))
      for (const text of slow) {
        const value = yield* read(text)
        if (text.startsWith("1e")) assert.strictEqual(value, 10)
        else assert.isTrue(value === text)
        assert.isTrue((yield* read(yield* write(text))) === text)
      }
      assert.isTrue((yield* read(`1${zeros}`)) === 10n ** BigInt(length))
      const deep = yield* read("[".repeat(length) + "]".repeat(length))
      assert.isTrue(Array.isArray(deep))
      // too deep for JSON.stringify: an error, and no defect
      const error = yield* Effect.flip(write(deep))
      assert.strictEqual(error._tag, "ValueEncodeError")
    }))
})

describe("lax: writing", () => {
  const bigint = Arbitrary.map(
    Arbitrary.all([
      Any.constants(1n, -1n),
      Any.constants(2n ** 53n, 2n ** 64n, 10n ** 40n),
      Any.between(0, 0xffffffff)
    ]),
    ([sign, base, more]) => sign * (base + BigInt(more))
  )
  const number = Any.oneOf(
    Arbitrary.schema(Schema.Finite),
    Arbitrary.schema(Schema.Int),
    Any.constants(
      -0,
      0,
      2 ** 53,
      -(2 ** 53),
      1e20,
      -1e20,
      1e21,
      5e-324,
      1.7976931348623157e308,
      0.1,
      -1e-7,
      123456.789
    ),
    // doubles of any bit pattern
    Arbitrary.map(Any.int64, (bits) => {
      const view = new DataView(new ArrayBuffer(8))
      view.setBigInt64(0, bits)
      const value = view.getFloat64(0)
      return Number.isFinite(value) ? value : 0
    })
  )
  const date = Arbitrary.map(
    Arbitrary.all([Any.between(0, 9999), Any.between(1, 12), Any.between(1, 28)]),
    ([year, month, d]) => day(year, month, d)
  )
  const instant = Arbitrary.map(
    Any.oneOf(
      Any.between(-8.64e15, 8.64e15),
      Any.between(-1e12, 2e12),
      Any.constants(-8.64e15, 8.64e15, 0, -1, -62167219200000, -62167219200001, 253402300799999, 253402300800000)
    ),
    (millis) => DateTime.makeUnsafe(millis)
  )
  /** Strings that look like something, or almost. */
  const pieces = [
    "true",
    "None",
    "5",
    "-",
    ".",
    "e",
    "007",
    "2012-01-02",
    "T03:04:05Z",
    "\"",
    "[",
    "]",
    "{}",
    "\n",
    " ",
    "\\"
  ]
  const ambiguous = Any.oneOf(
    Arbitrary.map(Arbitrary.array(Any.constants(...pieces), { maxLength: 5 }), (parts) => parts.join("")),
    Arbitrary.map(Any.anyText, (text) => JSON.stringify(text)),
    Arbitrary.map(number, String),
    Arbitrary.map(bigint, String),
    Arbitrary.map(date, String),
    Arbitrary.map(instant, DateTime.formatIso),
    Arbitrary.map(Arbitrary.schema(Schema.Json), (json) => JSON.stringify(json))
  )
  const json = Arbitrary.map(
    Arbitrary.all([Arbitrary.schema(Schema.Json), Any.anyText, number, ambiguous]),
    ([any, text, n, key]): Schema.JsonObject | Schema.JsonArray => [any, { [text]: n, [key]: [key, { any }] }]
  )
  const value: Arbitrary.Arbitrary<ZkCodec.LaxValue> = Any.oneOf<ZkCodec.LaxValue>(
    Any.constants(null, true, false),
    number,
    bigint,
    Any.anyText,
    ambiguous,
    date,
    instant,
    json
  )

  it.effect.prop("what was written is read as the same value [T62]", [value], ([x]) =>
    Effect.gen(function*() {
      assertSame(yield* read(yield* write(x)), x)
    }), { arbitrary: { runs: 1000 } })

  it.effect.prop(
    "text is never misread: what was read and written again is the same value [T62]",
    [ambiguous],
    ([text]) =>
      Effect.gen(function*() {
        if (!text.isWellFormed()) return
        const x = yield* read(text)
        assertSame(yield* read(yield* write(x)), x)
      }),
    { arbitrary: { runs: 1000 } }
  )

  const written: ReadonlyArray<readonly [value: ZkCodec.LaxValue, text: string]> = [
    [null, "none"],
    [true, "true"],
    [-7, "-7"],
    [-0, "-0"],
    [1e20, "1e+20"],
    [2 ** 53, "9.007199254740992e+15"],
    [2n ** 53n, "9007199254740992"],
    [0.1, "0.1"],
    ["123", `"123"`],
    ["true", `"true"`],
    ["None", `"None"`],
    ["plain text, with \"quotes\"", "plain text, with \"quotes\""],
    [`"quoted"`, `"\\"quoted\\""`],
    [`"`, `"`],
    ["\ud800", `"\\ud800"`],
    ["two\nlines", "two\nlines"],
    ["", ""],
    ["[1]", `"[1]"`],
    ["[1", "[1"],
    ["2012-02-29", `"2012-02-29"`],
    [day(12, 2, 9), "0012-02-09"],
    [moment("2012-02-29T03:04:05.600Z"), "2012-02-29T03:04:05.600Z"],
    [[1, { a: -0 }], `[1,{"a":-0}]`],
    [{ year: 2012, month: 2, day: 29 }, `{"year":2012,"month":2,"day":29}`]
  ]
  it.effect("strings that look like something else are in quotes, all else as it is read [T62]", () =>
    Effect.gen(function*() {
      for (const [x, text] of written) {
        assert.strictEqual(yield* write(x), text)
        assertSame(yield* read(text), x)
      }
    }))

  const refused: ReadonlyArray<unknown> = [
    NaN,
    Infinity,
    undefined,
    5n,
    2n ** 53n - 1n,
    -5n,
    new Date(0),
    Symbol.iterator,
    () => 1,
    new Map(),
    Uint8Array.of(1),
    { a: undefined },
    { a: 1n },
    [NaN],
    [new Date(0)],
    [moment("2012-02-29T03:04:05Z")],
    DateTime.makeZonedUnsafe(0, { timeZone: "Europe/Paris" })
  ]
  it.effect("what would come back as something else is not written [T62]", () =>
    Effect.gen(function*() {
      for (const x of refused) {
        const error = yield* Effect.flip(write(x as ZkCodec.LaxValue))
        assert.strictEqual(error._tag, "ValueEncodeError")
      }
    }))
})

describe("lax: one kind at a time", () => {
  const pieces: ReadonlyArray<
    readonly [
      name: string,
      schema: Schema.Codec<ZkCodec.LaxValue, string>,
      yes: ReadonlyArray<Row>,
      no: ReadonlyArray<string>
    ]
  > = [
    ["IntegerFromString", ZkCodec.IntegerFromString, [["-5", -5], ["9007199254740993", 9007199254740993n]], [
      "",
      "1.0",
      "1e5",
      "007",
      "+5",
      "5\n",
      "x"
    ]],
    ["DecimalFromString", ZkCodec.DecimalFromString, [["-1.5", -1.5], [".5", 0.5], ["1e5", 1e5], ["5", 5]], [
      "",
      "0x10",
      " 1",
      "1e999",
      "9007199254740993",
      "x"
    ]],
    ["BooleanFromString", ZkCodec.BooleanFromString, [["TRUE", true], ["false", false]], ["", "1", "yes", "true "]],
    ["NoneFromString", ZkCodec.NoneFromString, [["None", null]], ["", "null"]],
    ["CalendarDateFromString", ZkCodec.CalendarDateFromString, [["2012-02-29", day(2012, 2, 29)]], [
      "",
      "2013-02-29",
      "2013-13-45",
      "2012-02-29T00:00:00Z"
    ]],
    ["DateTimeFromString", ZkCodec.DateTimeFromString, [["2012-02-29 03:04:05Z", moment("2012-02-29T03:04:05Z")]], [
      "",
      "2012-02-29",
      "2012-02-29T03:04:05",
      "2013-02-29T03:04:05Z",
      "2012"
    ]]
  ]
  it.effect.each(pieces)(
    "$0 refuses everything else [VALUE-CODEC-12]",
    ([, schema, yes, no]) =>
      Effect.gen(function*() {
        const codec = ZkCodec.text(schema)
        const decode = (text: string) => decodeWith(codec)("/node", new TextEncoder().encode(text))
        for (const [text, expected] of yes) {
          assertSame(yield* decode(text), expected)
          const again = yield* encodeWith(codec)("/node", expected)
          assertSame(yield* decodeWith(codec)("/node", again), expected)
        }
        for (const text of no) {
          const error = yield* Effect.flip(decode(text))
          assert.match(error.reason, /^Expected (?!.*<filter>)/)
        }
      })
  )

  it("a calendar date is a day that exists, and a value [VALUE-CODEC-12]", () => {
    assert.strictEqual(`${day(987, 6, 5)}`, "0987-06-05")
    assert.deepStrictEqual(day(2012, 2, 29), day(2012, 2, 29))
    for (
      const [year, month, d] of [[2013, 2, 29], [2012, 0, 1], [2012, 13, 1], [2012, 4, 31], [10000, 1, 1], [-1, 1, 1]]
    ) {
      assert.isTrue(Result.isFailure(Result.try(() => day(year!, month!, d!))))
    }
  })
})
