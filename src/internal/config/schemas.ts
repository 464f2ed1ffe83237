/** What is read from text, as a schema. */
import * as Effect from "effect/Effect"
import type * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import * as SchemaTransformation from "effect/SchemaTransformation"

const Server = Schema.Struct({ host: Schema.String, port: Schema.Number })

export const Servers = Schema.Array(Server)

/** The issue has the reason of the parser and nothing else. */
export const fromText = <T>(options: {
  readonly to: Schema.Codec<T, T>
  readonly parse: (text: string) => Result.Result<T, string>
  readonly format: (value: T) => string
}): Schema.Codec<T, string> =>
  Schema.String.pipe(Schema.decodeTo(
    options.to,
    SchemaTransformation.transformEffect<T, string>({
      decode: (text) =>
        Effect.mapError(
          Effect.fromResult(options.parse(text)),
          (message) => new SchemaIssue.InvalidValue({ message })
        ),
      encode: (value) => Effect.succeed(options.format(value))
    })
  ))
