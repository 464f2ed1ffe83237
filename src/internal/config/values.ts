/** Values of a configuration: absent, or read, or wrong with a reason that says where they were written. */
import * as Config from "effect/Config"
import type * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"

/** What is wrong, and where it was written. */
export const wrong = (source: string, reason: string): Config.ConfigError =>
  new Config.ConfigError(new Schema.SchemaError(new SchemaIssue.InvalidValue({ message: `${source}: ${reason}` })))

export const checked = <A>(source: string, result: Result.Result<A, string>): Effect.Effect<A, Config.ConfigError> =>
  Result.isSuccess(result) ? Effect.succeed(result.success) : Effect.fail(wrong(source, result.failure))

export const check = <A>(source: string, result: Result.Result<A, string>): Config.Config<A> =>
  Config.mapEffect(Config.succeed(undefined), () => checked(source, result))

export const none = Config.succeed(Option.none<never>())

export const filled = (text: Option.Option<string>): Option.Option<string> =>
  Option.filter(Option.map(text, (value) => value.trim()), (value) => value !== "")

/** A value that is empty, or nothing but blanks, is not there. */
export const text = (path: ConfigProvider.Path): Config.Config<Option.Option<string>> =>
  Config.map(Config.option(Config.schema(Schema.String, path)), filled)

/** `h1,h2`, or a list where the source knows lists. */
export const list = (path: ReadonlyArray<string>): Config.Config<Option.Option<string>> =>
  Config.map(
    Config.option(Config.Array(Schema.String, path)),
    (entries) => filled(Option.map(entries, (each) => each.filter((entry) => entry.trim() !== "").join(",")))
  )

/**
 * Refuses one of some keys below a key that is to have a text. What has no text counts as absent, which must not be how
 * somebody loses credentials or TLS.
 */
export const flat = (source: string, path: ReadonlyArray<string>, keys: ConfigProvider.Path, reason: string) =>
  Config.mapEffect(
    first(keys.map((key) => text([...path, key]))),
    (found) => Option.isSome(found) ? Effect.fail(wrong(source, reason)) : Effect.void
  )

export const parsed = <A>(
  source: string,
  value: Config.Config<Option.Option<string>>,
  parse: (text: string) => Result.Result<A, string>
): Config.Config<Option.Option<A>> =>
  Config.mapEffect(value, (found) =>
    Option.isNone(found)
      ? Effect.succeed(Option.none())
      : Effect.map(checked(source, parse(found.value)), Option.some))

export const first = <A>(candidates: ReadonlyArray<Config.Config<Option.Option<A>>>): Config.Config<Option.Option<A>> =>
  candidates.reduceRight<Config.Config<Option.Option<A>>>(
    (rest, candidate) => Config.flatMap(candidate, (found) => Option.isSome(found) ? Config.succeed(found) : rest),
    none
  )
