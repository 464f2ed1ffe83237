/** Telling what went wrong: once, on standard error, as one line or as JSON. */
import * as CliError from "effect/cli/CliError"
import * as Effect from "effect/Effect"
import { exitCodes, failureOf, Told } from "./failure.ts"
import { OutputClosed, toJson } from "./output.ts"
import { printableLines } from "./printable.ts"

/** Whether words of a command line ask for JSON, be they right or wrong otherwise. */
export const asksForJson = (words: ReadonlyArray<string>): boolean =>
  words.slice(0, words.indexOf("--") >>> 0).some((word) => /^--json(=(true|1|y|yes|on))?$/.test(word))

export interface TellOptions {
  readonly isJson: boolean
  /** In front of the message. */
  readonly mark: string
  /** Of a script. */
  readonly line?: number | undefined
}

/** From the failure of a command to the exit code, told by then. */
export const tellFailure = (
  error: unknown,
  { isJson, line, mark }: TellOptions
): Effect.Effect<never, OutputClosed | Told> => {
  // The presenter has told it.
  if (CliError.isCliError(error)) return Effect.fail(new Told({ exitCode: exitCodes.usage }))
  if (error instanceof OutputClosed || error instanceof Told) return Effect.fail(error)
  const failure = failureOf(error)
  const text = isJson
    ? toJson({ ...failure, ...(line !== undefined && { line }) })
    : `${mark}${printableLines(failure.message)}`
  return Effect.andThen(
    Effect.sync(() => void process.stderr.write(`${text}\n`)),
    Effect.fail(new Told({ exitCode: failure.exitCode }))
  )
}
