/** Text and JSON as bytes. */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import * as SchemaTransformation from "effect/SchemaTransformation"

const encoder = new TextEncoder()

// a byte order mark is a character like others: kept in text, and no JSON
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

/** Lone surrogates have no bytes in UTF-8: they are refused, not replaced. */
export const utf8 = Schema.Uint8Array.pipe(
  Schema.decodeTo(
    Schema.String,
    SchemaTransformation.transformEffect<string, Uint8Array>({
      decode: (bytes, options) =>
        Effect.try({
          try: () => decoder.decode(bytes),
          catch: () => new SchemaIssue.InvalidValue({ expected: "text in UTF-8" }, bytes, options)
        }),
      encode: (text, options) =>
        text.isWellFormed()
          ? Effect.succeed(encoder.encode(text))
          : Effect.fail(new SchemaIssue.InvalidValue({ expected: "text without lone surrogates" }, text, options))
    })
  )
)

// newer than TypeScript's library
const { rawJSON } = JSON as typeof JSON & { readonly rawJSON: (text: string) => unknown }

/** `JSON.stringify` writes `0` for `-0`, which `JSON.parse` would keep. */
const replacer = (_key: string, value: unknown): unknown => Object.is(value, -0) ? rawJSON("-0") : value

export const fromJson = <S extends Schema.Constraint>(schema: S): Schema.fromJsonString<S> =>
  Schema.fromJsonString(schema, { replacer })
