/** Text that looks like a value, as that value: one schema for each kind of value, and all of them as one. */
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as SchemaTransformation from "effect/SchemaTransformation"
import { fromJson } from "./text.ts"

// -- numbers ------------------------------------------------------------------------------------------------------

const numberToText = (value: number): string => {
  if (Object.is(value, -0)) return "-0"
  // digits alone would be read as a bigint
  return Number.isInteger(value) && !Number.isSafeInteger(value) ? value.toExponential() : String(value)
}

const numberFromText = SchemaTransformation.transform<number, string>({ decode: Number, encode: numberToText })

const integerText = Schema.String.check(
  Schema.isPattern(/^-?(?:0|[1-9]\d*)$/, { expected: "an integer in digits" })
)

const safeInteger = integerText.pipe(Schema.decodeTo(Schema.Int, numberFromText))

const isSafe = (value: bigint): boolean =>
  value >= BigInt(Number.MIN_SAFE_INTEGER) && value <= BigInt(Number.MAX_SAFE_INTEGER)

const bigInteger = integerText.pipe(
  Schema.decodeTo(
    Schema.BigInt.check(
      Schema.makeFilter((value) => !isSafe(value), { expected: "an integer that is too large for a number" })
    ),
    SchemaTransformation.bigintFromString
  )
)

export const integer = Schema.Union([safeInteger, bigInteger])

const decimalPattern = /^(-?)((?:0|[1-9]\d*)?)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/

/** The digits without zeros around them, and where the point is: the same for texts that mean the same number. */
const digitsOf = (text: string): string | undefined => {
  const match = decimalPattern.exec(text)
  if (match === null) return undefined
  const [, sign, whole = "", fraction = "", exponent = "0"] = match
  if (whole === "" && fraction === "") return undefined
  const digits = (whole + fraction).replace(/^0+/, "")
  // not by a regular expression, which takes the square of the time for zeros that are not at the end
  let end = digits.length
  while (digits[end - 1] === "0") end--
  return end === 0
    ? `${sign}0`
    : `${sign}${digits.slice(0, end)}e${Number(exponent) - fraction.length + digits.length - end}`
}

/** Neither out of range nor rounded: the number, when written again, means what the text means. */
const fitsNumber = (text: string): boolean => {
  const digits = digitsOf(text)
  return digits !== undefined && digits === digitsOf(numberToText(Number(text)))
}

export const decimal = Schema.String.check(
  Schema.makeFilter(fitsNumber, { expected: "a decimal number that a double keeps without rounding" })
).pipe(Schema.decodeTo(Schema.Finite, numberFromText))

// -- words --------------------------------------------------------------------------------------------------------

export const boolean = Schema.String.check(
  Schema.isPattern(/^(?:true|false)$/i, { expected: "true or false" })
).pipe(
  Schema.decodeTo(
    Schema.Boolean,
    SchemaTransformation.transform<boolean, string>({
      decode: (text) => text.toLowerCase() === "true",
      encode: String
    })
  )
)

export const none = Schema.String.check(Schema.isPattern(/^none$/i, { expected: "none" })).pipe(
  Schema.decodeTo(
    Schema.Null,
    SchemaTransformation.transform<null, string>({ decode: () => null, encode: () => "none" })
  )
)

// -- dates --------------------------------------------------------------------------------------------------------

const daysOf = (year: number, month: number): number => {
  if (month === 2) return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31
}

const padded = (value: number, length: number): string => String(value).padStart(length, "0")

/**
 * A day in the calendar, without a time and without a time zone: years 0 to 9999, months and days from 1.
 *
 * **Example** (A day as text)
 *
 * ```ts
 * import { ZkCodec } from "effect-zookeeper"
 *
 * const day = ZkCodec.CalendarDate.make({ year: 2012, month: 2, day: 29 })
 *
 * console.log(`${day}`) // 2012-02-29
 * ```
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export class CalendarDate extends Schema.Class<CalendarDate>("effect-zookeeper/ZkCodec/CalendarDate")(
  Schema.Struct({
    year: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 9999 })),
    month: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 12 })),
    day: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 31 }))
  }).check(
    Schema.makeFilter(({ day, month, year }) => day <= daysOf(year, month), { expected: "a day that the month has" })
  )
) {
  override toString(): string {
    return `${padded(this.year, 4)}-${padded(this.month, 2)}-${padded(this.day, 2)}`
  }
}

export const isoDate = Schema.String.check(
  Schema.isPattern(/^\d{4}-\d\d-\d\d$/, { expected: "a date (YYYY-MM-DD)" })
).pipe(
  Schema.decodeTo(
    CalendarDate,
    SchemaTransformation.transform<typeof CalendarDate.Encoded, string>({
      decode: (text) => {
        const [year, month, day] = text.split("-").map(Number) as [number, number, number]
        return { year, month, day }
      },
      encode: ({ day, month, year }) => `${padded(year, 4)}-${padded(month, 2)}-${padded(day, 2)}`
    })
  )
)

/** `Date` refuses a thirteenth month and a thirty-second day, but takes the 30th of February for the 1st of March. */
const exists = (text: string): boolean => {
  const [, year, month, day] = /^(.+?)-(\d\d)-(\d\d)/.exec(text)!.map(Number) as [number, number, number, number]
  return day <= daysOf(year, month)
}

export const isoDateTime = Schema.String.check(
  Schema.isPattern(
    /^(?:\d{4}|[+-]\d{6})-\d\d-\d\d[T ](?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d+)?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)$/,
    { expected: "a date and time with a zone (YYYY-MM-DDThh:mm:ssZ)" }
  ).abort(),
  Schema.makeFilter(exists, { expected: "a date that exists" })
).pipe(
  Schema.decodeTo(
    Schema.DateTimeUtcFromString,
    SchemaTransformation.transform<string, string>({
      decode: (text) => text.replace(" ", "T"),
      encode: (text) => text
    })
  )
)

// -- JSON and text ------------------------------------------------------------------------------------------------

const document = Schema.String.check(
  Schema.isPattern(/^\s*[[{]/, { expected: "an array or object in JSON" })
).pipe(
  Schema.decodeTo(
    fromJson(
      Schema.Json.check(
        Schema.makeFilter((json) => typeof json === "object" && json !== null, { expected: "an array or object" })
      ) as Schema.Codec<Schema.JsonArray | Schema.JsonObject>
    )
  )
)

const quoted = Schema.String.check(Schema.isPattern(/^"[^]*"$/, { expected: "a string in JSON" })).pipe(
  Schema.decodeTo(fromJson(Schema.String))
)

const special = [none, boolean, safeInteger, bigInteger, decimal, isoDate, isoDateTime, document] as const

const isSpecial = Schema.decodeOption(Schema.Union([...special, quoted]))

/** Text that is not taken for anything else, when it is read again, is written as it is; other text in quotes. */
const plain = Schema.String.check(
  Schema.makeFilter((text) => text.isWellFormed() && Option.isNone(isSpecial(text)), { expected: "text" })
)

/** The order is that of reading. In writing the first that fits the value is taken: `quoted` for what `plain` is not. */
export const lax = Schema.Union([...special, plain, quoted])
