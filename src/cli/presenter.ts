/** How help is shown, and what is wrong with a command line: the errors, the usage, and where to read more. */
import * as CliConfig from "effect/cli/CliConfig"
import type * as CliError from "effect/cli/CliError"
import * as CliOutput from "effect/cli/CliOutput"
import * as GlobalFlag from "effect/cli/GlobalFlag"
import type * as HelpDoc from "effect/cli/HelpDoc"
import * as TerminalCapabilities from "effect/cli/TerminalCapabilities"
import * as Effect from "effect/Effect"
import { completionsFlag } from "./completions.ts"
import { exitCodes } from "./failure.ts"
import { helpLines } from "./help.ts"
import { toJson, writeTo } from "./output.ts"
import { printable } from "./printable.ts"
import { colored, plain } from "./style.ts"

const mean = (suggestions: ReadonlyArray<string>): string =>
  suggestions.length === 0 ? "" : `; did you mean ${suggestions.join(" or ")}?`

/** One line, without what is said by the usage. */
const describe = (error: CliError.NonShowHelpErrors): string => {
  switch (error._tag) {
    case "UnrecognizedOption":
      return `there is no flag ${error.option}${mean(error.suggestions)}`
    case "UnknownSubcommand":
      return `there is no command ${JSON.stringify(error.subcommand)}${mean(error.suggestions)}`
    case "MissingArgument":
      return `<${error.argument}> is missing`
    case "MissingOption":
      return `--${error.option} is missing`
    case "UnexpectedArgument":
      return `too many arguments: ${error.arguments.map((argument) => JSON.stringify(argument)).join(", ")}`
    case "InvalidValue": {
      const what = error.kind === "argument" ? `<${error.option}>` : `--${error.option}`
      const expected = error.expected.replace(/^Expected:? /, "").replace(/^a string representing /, "")
      if (error.value === "") return `${what} needs a value`
      return `${what}: ${
        expected.includes(error.value) ? expected : `${JSON.stringify(error.value)} is not ${expected}`
      }`
    }
    default:
      return error.message
  }
}

const oneLine = (text: string): string => printable(text.replaceAll(/\s*\n\s*/g, " ").trim())

export interface PresenterOptions {
  readonly isJson: boolean
  /** Whether the help was not asked for: it is in place of a command. */
  readonly isImplicit?: boolean | undefined
  /** What stands before a command: `zk `, and nothing in a shell. */
  readonly prefix: string
  /** In front of each message: `zk: `. */
  readonly mark: string
}

/** On standard error, by a command that was not understood. */
const complain = (
  { isJson, mark, prefix }: PresenterOptions,
  path: ReadonlyArray<string>,
  doc: HelpDoc.HelpDoc,
  errors: ReadonlyArray<string>
): string => {
  const rename = renamer(prefix)
  const usage = rename(doc.usage)
  if (isJson) return toJson({ error: "usage", message: errors.join("; "), exitCode: exitCodes.usage, usage })
  const help = rename([...path, "--help"].join(" "))
  return [
    ...errors.map((error) => `${mark}${error}`),
    `usage: ${usage}`,
    `see ${help === "--help" ? "help" : help}`
  ].join("\n")
}

/** From how the program is called to how a shell is spoken to. */
const renamer = (prefix: string) => (text: string): string => text.replace(/^zk( |$)/, prefix)

/** A presenter cannot fail: the program tells this defect from others. */
const write = (stream: NodeJS.WriteStream, text: string) => Effect.orDie(writeTo(stream, text))

export const makePresenter = (options: PresenterOptions): CliOutput.Presenter => {
  const rename = renamer(options.prefix)
  const help = (doc: HelpDoc.HelpDoc, stream: NodeJS.WriteStream) =>
    Effect.gen(function*() {
      const { canColor } = yield* TerminalCapabilities.TerminalCapabilities
      const lines = helpLines(doc, {
        rename,
        columns: stream.isTTY ? stream.columns : undefined,
        style: canColor && stream.isTTY ? colored : plain
      })
      yield* write(stream, `${lines.join("\n")}\n`)
    })
  const tell = (text: string) => Effect.sync(() => void process.stderr.write(`${text}\n`))
  return {
    present: (event) => {
      switch (event._tag) {
        case "Help":
          if (event.reason === "Requested" && options.isImplicit !== true) return help(event.helpDoc, process.stdout)
          if (options.isJson) return tell(complain(options, event.commandPath, event.helpDoc, ["which command?"]))
          return help(event.helpDoc, process.stderr)
        case "Version":
          return write(process.stdout, `${event.name} ${event.version}\n`)
        case "InvalidInvocation": {
          const errors = event.errors.map((error) => oneLine(describe(error)))
          return tell(complain(options, event.commandPath, event.helpDoc, errors))
        }
      }
    }
  }
}

/** What every command of the program has. A wizard is not worth its line: help says as much. */
const ofProgram: ReadonlyArray<GlobalFlag.BuiltIn> = [
  GlobalFlag.Help,
  GlobalFlag.Version,
  completionsFlag,
  GlobalFlag.LogLevel
]

export const withPresenter =
  (presenter: CliOutput.Presenter, builtIns = ofProgram) => <A, E, R>(effect: Effect.Effect<A, E, R>) =>
    effect.pipe(
      Effect.provideService(CliOutput.Presenter, presenter),
      Effect.provideService(CliConfig.CliConfig, CliConfig.make({ builtIns }))
    )
