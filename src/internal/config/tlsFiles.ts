/** TLS from configuration: a switch, and the files of certificates and key. */
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import { readFile } from "node:fs/promises"
import type { ConnectionOptions } from "node:tls"
import { createSecureContext } from "node:tls"
import { flat, parsed, text, wrong } from "./values.ts"

const files = ["ca", "cert", "key"] as const

const isOn = (value: string): Result.Result<boolean, string> => {
  if (/^(?:true|yes|on|1)$/i.test(value)) return Result.succeed(true)
  if (/^(?:false|no|off|0)$/i.test(value)) return Result.succeed(false)
  return Result.fail(`${JSON.stringify(value)} is neither yes nor no`)
}

const read = (source: string, file: string): Effect.Effect<Buffer, Config.ConfigError> =>
  Effect.tryPromise({
    try: (signal) => readFile(file, { signal }),
    catch: (error) => wrong(source, `${JSON.stringify(file)} cannot be read: ${codeOf(error)}`)
  })

/** Of errors in what is a secret only the code is told. */
const codeOf = (error: unknown): string =>
  typeof error === "object" && error !== null && "code" in error ? String(error.code) : "an error without a code"

/**
 * The keys `tls`, `tls_ca`, `tls_cert` and `tls_key` of a section, which belong together: none of them is ever taken
 * from another one. A file that is named switches TLS on, unless it is switched off.
 */
export const readTls = (section: string): Config.Config<Option.Option<boolean | ConnectionOptions>> => {
  const at = (key: string) => `[${section}] ${key}`
  const found = Config.all({
    on: parsed(at("tls"), text([section, "tls"]), isOn),
    ca: text([section, "tls_ca"]),
    cert: text([section, "tls_cert"]),
    key: text([section, "tls_key"])
  })
  const nested = flat(at("tls"), [section, "tls"], files, "the files have keys of their own: tls_ca, tls_cert, tls_key")
  return Config.mapEffect(
    // From an environment `tls_ca` looks like `ca` below `tls`, too.
    Config.flatMap(
      found,
      (names) =>
        files.some((file) => Option.isSome(names[file])) ? Config.succeed(names) : Config.map(nested, () => names)
    ),
    Effect.fnUntraced(function*({ on, ...names }) {
      const named = files.flatMap((file) => Option.isSome(names[file]) ? [{ file, path: names[file].value }] : [])
      if (named.length === 0 || (Option.isSome(on) && !on.value)) return on
      if (Option.isSome(names.cert) !== Option.isSome(names.key)) {
        return yield* Effect.fail(wrong(at("tls_cert, tls_key"), "a certificate and its key go together"))
      }
      const contents: { ca?: Buffer; cert?: Buffer; key?: Buffer } = {}
      for (const { file, path } of named) contents[file] = yield* read(at(`tls_${file}`), path)
      yield* Effect.try({
        try: () => createSecureContext(contents),
        catch: (error) => wrong(at(named.map(({ file }) => `tls_${file}`).join(", ")), `unusable: ${codeOf(error)}`)
      })
      return Option.some(contents)
    })
  )
}
