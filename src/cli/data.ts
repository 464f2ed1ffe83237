/** Data of nodes: as text where it is text, as base64 in JSON and as a dump on a terminal where it is not. */
import * as Argument from "effect/cli/Argument"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import { usage } from "./failure.ts"
import { printable, truncate } from "./printable.ts"

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

/** `undefined` for what is no UTF-8. */
export const textOf = (data: Uint8Array): string | undefined => {
  try {
    return decoder.decode(data)
  } catch {
    return undefined
  }
}

/** Of a node, in JSON. Without an `encoding` the data is text. */
export interface DataJson {
  readonly data: string | null
  readonly encoding?: "base64"
}

export const dataJson = (data: Uint8Array | null): DataJson => {
  if (data === null) return { data: null }
  const text = textOf(data)
  return text === undefined ? { data: Buffer.from(data).toString("base64"), encoding: "base64" } : { data: text }
}

/** A line of a table. */
export const preview = (data: Uint8Array | null, width = Infinity): string => {
  if (data === null) return ""
  const text = textOf(data)
  return truncate(
    text === undefined ? `0x${Buffer.from(data.subarray(0, 256)).toString("hex")}` : printable(text),
    width
  )
}

/** As `hexdump -C` has it. */
export const hexDump = (data: Uint8Array): ReadonlyArray<string> =>
  Array.from({ length: Math.ceil(data.length / 16) }, (_, row) => {
    const part = Buffer.from(data.subarray(row * 16, row * 16 + 16))
    const hex = [...part].map((byte) => byte.toString(16).padStart(2, "0"))
    const halves = [hex.slice(0, 8).join(" "), hex.slice(8).join(" ")].join("  ")
    const text = [...part].map((byte) => byte >= 32 && byte < 127 ? String.fromCharCode(byte) : ".").join("")
    return `${(row * 16).toString(16).padStart(8, "0")}  ${halves.padEnd(48)}  |${text}|`
  })

/** What to write into a node: an argument, a file, standard input, or nothing. */
export const dataArgument = Argument.String("data").pipe(
  Argument.optional,
  Argument.withDescription("The data, as text; - reads it from standard input")
)

export const dataFlags = {
  file: Flag.File("file", { mustExist: true }).pipe(
    Flag.withAlias("f"),
    Flag.optional,
    Flag.withDescription("Read the data from a file")
  ),
  base64: Flag.Boolean("base64").pipe(
    Flag.withDefault(false),
    Flag.withDescription("The data is given as base64")
  ),
  none: Flag.Boolean("null").pipe(
    Flag.withDefault(false),
    Flag.withDescription("No data at all, which is not the same as empty data")
  )
}

export interface DataInput {
  readonly data: Option.Option<string>
  readonly file: Option.Option<string>
  readonly base64: boolean
  readonly none: boolean
}

const readAll = Effect.gen(function*() {
  const { stdin } = yield* Stdio.Stdio
  return Buffer.concat(yield* Stream.runCollect(stdin))
})

const decodeBase64 = (text: string) => {
  const compact = text.replaceAll(/\s/g, "")
  return /^[A-Za-z0-9+/]*={0,2}$/.test(compact) && compact.length % 4 === 0
    ? Effect.succeed(Buffer.from(compact, "base64"))
    : Effect.fail(usage("the data is no base64"))
}

/** None where nothing was said about data. */
export const readData = Effect.fnUntraced(function*(input: DataInput) {
  const given = [Option.isSome(input.data), Option.isSome(input.file), input.none].filter(Boolean).length
  if (given > 1) return yield* usage("the data, --file and --null exclude each other")
  if (input.none) return Option.some(null)
  const fs = yield* FileSystem.FileSystem
  let raw: Uint8Array
  if (Option.isSome(input.file)) raw = yield* fs.readFile(input.file.value)
  else if (Option.isNone(input.data)) return Option.none()
  else if (input.data.value === "-") raw = yield* readAll
  else raw = Buffer.from(input.data.value)
  return Option.some(input.base64 ? yield* decodeBase64(Buffer.from(raw).toString()) : raw)
})
