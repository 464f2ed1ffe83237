/**
 * What bytes a typed value is kept as in a node.
 *
 * A codec is an ordinary Effect `Schema` whose encoded side is `Uint8Array`: all of Schema applies to it (`Schema.decodeTo`,
 * `Schema.check`, `Schema.encodeEffect`, ...).
 *
 * - {@link json}: JSON, the default wherever a value is kept.
 * - {@link text}: text as it is, for what people and other programs write.
 * - {@link bytes}: bytes as they are.
 * - {@link fallback}: writes one format and still reads older ones.
 * - {@link gzip}: compressed.
 * - {@link lax}: text whose look decides on its type, as in zktools.
 *
 * **Details**
 *
 * - Data that cannot be read is a {@link ValueDecodeError}, a value that cannot be written an {@link ValueEncodeError}. Both tell where
 *   and what was expected, and never what was there: the bytes are `Redacted`, and messages that a schema makes up when it
 *   fails are left out. To explain what is expected, annotate the schema or the check (`expected`, `message`).
 * - What a schema throws is a defect, as it is everywhere in Schema. A transformation that can fail is a
 *   `SchemaTransformation.transformEffect`.
 * - No data at all is read as no bytes. As text these are `""`; they are no JSON.
 *
 * **Example** (Settings as JSON, in the format of today and in that of yesterday)
 *
 * ```ts
 * import { DateTime, Schema, SchemaTransformation } from "effect"
 * import { ZkCodec } from "effect-zookeeper"
 *
 * const Limits = Schema.Struct({ requests: Schema.Int, since: Schema.DateTimeUtc })
 *
 * // once it was only a number
 * const Old = Schema.FiniteFromString.pipe(
 *   Schema.decodeTo(
 *     Schema.toType(Limits),
 *     SchemaTransformation.transform({
 *       decode: (requests) => ({ requests, since: DateTime.makeUnsafe(0) }),
 *       encode: ({ requests }) => requests
 *     })
 *   )
 * )
 *
 * const codec = ZkCodec.fallback(ZkCodec.json(Limits), ZkCodec.text(Old))
 * ```
 *
 * @stability unstable
 * @since 0.1.0
 */
import type * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as SchemaParser from "effect/SchemaParser"
import * as SchemaTransformation from "effect/SchemaTransformation"
import { compressed } from "./internal/codec/gzip.ts"
import * as internal from "./internal/codec/lax.ts"
import type { CalendarDate } from "./internal/codec/lax.ts"
import { fromJson, utf8 } from "./internal/codec/text.ts"

/**
 * A schema between values and the data of nodes.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export type ZkCodec<A, RD = never, RE = never> = Schema.Codec<A, Uint8Array, RD, RE>

// -- errors -------------------------------------------------------------------------------------------------------

const id = (tag: string): string => `effect-zookeeper/ZkCodec/${tag}`

/**
 * The data of a node is not what its codec reads. `reason` tells where and what was expected, without any of the data.
 *
 * @stability unstable
 * @category errors
 * @since 0.1.0
 */
export class ValueDecodeError extends Schema.TaggedError<ValueDecodeError>(id("ValueDecodeError"))("ValueDecodeError", {
  path: Schema.String,
  reason: Schema.String,
  /**
   * The bytes that were read. No data at all shows as no bytes. They stay in this process: a schema that writes this error
   * as JSON, for another one, fails.
   */
  data: Schema.Redacted(Schema.Uint8Array, { disallowJsonEncode: true })
}) {
  override get message(): string {
    return `${this.path}: the data cannot be read: ${this.reason}`
  }
}

/**
 * A value is not one that its codec writes. Nothing was sent. `reason` tells where and what was expected, without any of
 * the value.
 *
 * @stability unstable
 * @category errors
 * @since 0.1.0
 */
export class ValueEncodeError extends Schema.TaggedError<ValueEncodeError>(id("ValueEncodeError"))("ValueEncodeError", {
  path: Schema.String,
  reason: Schema.String
}) {
  override get message(): string {
    return `${this.path}: the value cannot be written: ${this.reason}`
  }
}

// -- codecs -------------------------------------------------------------------------------------------------------

/**
 * JSON in UTF-8. Through `Schema.toCodecJson`: dates, bigints, bytes, maps, `undefined`, `NaN`, infinities and `-0` come
 * back as they were.
 *
 * A byte order mark is not JSON: data that begins with one is refused, as is text that is not UTF-8. Of keys that occur
 * twice in an object the last counts.
 *
 * **Example** (A record)
 *
 * ```ts
 * import { Schema } from "effect"
 * import { ZkCodec } from "effect-zookeeper"
 *
 * const codec = ZkCodec.json(Schema.Struct({ host: Schema.String, started: Schema.Date }))
 * ```
 *
 * @stability unstable
 * @category constructors
 * @since 0.1.0
 */
export const json = <A, RD, RE>(schema: Schema.Codec<A, unknown, RD, RE>): ZkCodec<A, RD, RE> =>
  text(fromJson(Schema.toCodecJson(schema)))

/**
 * Text in UTF-8, as it is: `text(Schema.String)`, `text(Schema.NumberFromString)`.
 *
 * Text that is not UTF-8 is refused, not patched up. So are lone surrogates in writing, which have no bytes in UTF-8. A
 * byte order mark is the character U+FEFF like anywhere else in the text: it is neither taken away nor added.
 *
 * @stability unstable
 * @category constructors
 * @since 0.1.0
 */
export const text = <A, RD, RE>(schema: Schema.Codec<A, string, RD, RE>): ZkCodec<A, RD, RE> =>
  utf8.pipe(Schema.decodeTo(schema))

/**
 * Bytes as they are.
 *
 * @stability unstable
 * @category constructors
 * @since 0.1.0
 */
export const bytes: ZkCodec<Uint8Array> = Schema.Uint8Array

/**
 * Writes with `current`. Reads with `current` and, where that fails, with the older ones in order: for formats that
 * change while nodes in the old one are still there. They are in the new one once they are set. If none can read the
 * data, the error is that of `current`.
 *
 * Where data is valid in both formats, `current` wins: a format must be recognizable for this to be right.
 *
 * **Example** (From text to JSON)
 *
 * ```ts
 * import { Schema } from "effect"
 * import { ZkCodec } from "effect-zookeeper"
 *
 * const codec = ZkCodec.fallback(ZkCodec.json(Schema.String), ZkCodec.text(Schema.String))
 * ```
 *
 * @stability unstable
 * @category combinators
 * @since 0.1.0
 */
export const fallback = <A, RD, RE, Older extends ReadonlyArray<Schema.Codec<A, Uint8Array, unknown, unknown>>>(
  current: ZkCodec<A, RD, RE>,
  ...older: Older
): ZkCodec<A, RD | Older[number]["DecodingServices"], RE> => {
  type Services = RD | Older[number]["DecodingServices"]
  const read = SchemaParser.decodeEffect(current)
  const others = older.map((codec) =>
    SchemaParser.decodeEffect(codec as Schema.Codec<A, Uint8Array, Services, unknown>)
  )
  return Schema.Uint8Array.pipe(
    Schema.decodeTo(
      Schema.toType(current),
      SchemaTransformation.transformEffect<A, Uint8Array, Services, RE>({
        decode: (data, options) =>
          Effect.catch(
            read(data, options),
            (issue) =>
              others.reduceRight<ReturnType<(typeof others)[number]>>(
                (next, other) => Effect.catch(other(data, options), () => next),
                Effect.fail(issue)
              )
          ),
        encode: SchemaParser.encodeEffect(current)
      })
    )
  )
}

/**
 * What `codec` writes, compressed with gzip. Data that is not gzip is refused (see {@link fallback} for nodes that are not
 * compressed yet), and so is data that would be larger than `maxSize` bytes when decompressed, without decompressing
 * more of it: 16 MiB unless told otherwise. Values that large are not written either.
 *
 * The same value makes the same bytes each time (no time and no system in the header) with one version of Node.
 *
 * **Example** (Nodes that are to be compressed from now on)
 *
 * ```ts
 * import { Schema } from "effect"
 * import { ZkCodec } from "effect-zookeeper"
 *
 * const plain = ZkCodec.json(Schema.Array(Schema.String))
 *
 * const codec = ZkCodec.fallback(ZkCodec.gzip(plain), plain)
 * ```
 *
 * @stability unstable
 * @category combinators
 * @since 0.1.0
 */
export const gzip = <A, RD, RE>(
  codec: ZkCodec<A, RD, RE>,
  options?: { readonly maxSize?: number | undefined }
): ZkCodec<A, RD, RE> =>
  Schema.Uint8Array.pipe(Schema.decodeTo(codec, compressed(options?.maxSize ?? 16 * 1024 * 1024)))

// -- zktools' text ------------------------------------------------------------------------------------------------

export { CalendarDate } from "./internal/codec/lax.ts"

/**
 * What {@link lax} reads and writes.
 *
 * - `number`: finite. `bigint`: only integers that are too large for a number (beyond 2^53 - 1), which a smaller one would
 *   come back as.
 * - `DateTime.Utc`: a moment. {@link CalendarDate}: a day.
 * - Arrays and objects: JSON, in which dates and bigints have no place.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export type LaxValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | CalendarDate
  | DateTime.Utc
  | Schema.JsonArray
  | Schema.JsonObject

/**
 * Text whose look decides on its type, as in zktools' configuration nodes: for values that other programs and people
 * write without a schema in mind. With a schema in mind use {@link json} or {@link text}.
 *
 * **Details**
 *
 * In this order:
 *
 * | text                                                          | value                                              |
 * | ------------------------------------------------------------- | -------------------------------------------------- |
 * | `none`, in any case                                           | `null`                                             |
 * | `true`, `false`, in any case                                  | `boolean`                                          |
 * | `42`, `-7`                                                    | `number`, or `bigint` where that would be rounded  |
 * | `483.24`, `-1.5`, `.5`, `1e5`                                 | `number`                                           |
 * | `2012-02-29`                                                  | {@link CalendarDate}                               |
 * | `2012-02-29T03:04:05.678Z`, `2012-02-29 03:04:05+01:00`       | `DateTime.Utc`, in milliseconds: more are cut off  |
 * | an array or object in JSON, on several lines and indented too | that                                               |
 * | a string in JSON, from the first character to the last        | the string                                         |
 * | anything else, and no text at all                             | `string`, as it is                                 |
 *
 * Text stays text if it is close to one of these but not quite: numbers with zeros in front (`007`) or a plus sign, which
 * are names more often, numbers that a double would round or that are out of range (`0.1234567890123456789`, `1e999`),
 * `NaN` and `Infinity`, days that do not exist (`2013-13-45`), times without a zone, broken JSON, and whatever has a blank
 * or a line end around it, but for JSON. Only data that is not UTF-8 cannot be read.
 *
 * What is written is read as the same value again. Strings that look like something else are written in quotes, as JSON:
 * the string `true` as `"true"`. zktools reads these with the quotes.
 *
 * Numbers within arrays and objects are those of JavaScript's JSON: integers beyond 2^53 are rounded there.
 *
 * @see {@link IntegerFromString} and the schemas after it, for each row by itself
 * @stability unstable
 * @category constructors
 * @since 0.1.0
 */
export const lax: ZkCodec<LaxValue> = text(internal.lax)

/**
 * `42` or `-7` as a `number`, or as a `bigint` where a number would be rounded. No zeros in front, no plus sign, no
 * blanks.
 *
 * @stability unstable
 * @category text
 * @since 0.1.0
 */
export const IntegerFromString: Schema.Codec<number | bigint, string> = internal.integer

/**
 * A finite number with or without a fraction and an exponent: `483.24`, `-1.5`, `.5`, `1e5`, `42`. Numbers that a double
 * would round are refused. `Schema.FiniteFromString` takes these, blanks, and hexadecimal digits too.
 *
 * @stability unstable
 * @category text
 * @since 0.1.0
 */
export const DecimalFromString: Schema.Codec<number, string> = internal.decimal

/**
 * `true` or `false`, in any case.
 *
 * @stability unstable
 * @category text
 * @since 0.1.0
 */
export const BooleanFromString: Schema.Codec<boolean, string> = internal.boolean

/**
 * `none`, in any case, as `null`.
 *
 * @stability unstable
 * @category text
 * @since 0.1.0
 */
export const NoneFromString: Schema.Codec<null, string> = internal.none

/**
 * A date without a time, `2012-02-29`, that exists.
 *
 * @stability unstable
 * @category text
 * @since 0.1.0
 */
export const CalendarDateFromString: Schema.Codec<CalendarDate, string> = internal.isoDate

/**
 * A date and time with a zone: `2012-02-29T03:04:05.678Z`, `2012-02-29 03:04:05+01:00`. Fractions of milliseconds are cut
 * off. `Schema.DateTimeUtcFromString` takes everything that `Date` does, such as dates alone and times without a zone.
 *
 * @stability unstable
 * @category text
 * @since 0.1.0
 */
export const DateTimeFromString: Schema.Codec<DateTime.Utc, string> = internal.isoDateTime
