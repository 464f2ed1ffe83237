/** One run of the program: arguments in, exit code out. */
import * as CliError from "effect/cli/CliError"
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as References from "effect/References"
import manifest from "../../package.json" with { type: "json" }
import { exitCodes, failureOf, Told } from "./failure.ts"
import { OutputClosed, toJson } from "./output.ts"
import { program } from "./program.ts"

const isJson = (args: ReadonlyArray<string>) => args.slice(0, args.indexOf("--") >>> 0).includes("--json")

const tell = (text: string) => Effect.sync(() => void process.stderr.write(`${text}\n`))

/** Fails with what ends the process: it has been told by then. */
export const main = (args: ReadonlyArray<string>) =>
  Command.runWith(program, { version: manifest.version })(args).pipe(
    Effect.provideService(References.MinimumLogLevel, "Error"),
    // Standard output is for results.
    Effect.provide(Logger.layer([Logger.withConsoleError(Logger.formatLogFmt)])),
    Effect.catch((error): Effect.Effect<void, OutputClosed | Told> => {
      if (CliError.isCliError(error)) {
        const isHelp = error._tag === "ShowHelp" && error.errors.length === 0
        return isHelp ? Effect.void : Effect.fail(new Told({ exitCode: exitCodes.usage }))
      }
      if (error instanceof OutputClosed) return Effect.fail(error)
      const failure = failureOf(error)
      const text = isJson(args) ? toJson(failure) : `zk: ${failure.message}`
      return Effect.andThen(tell(text), Effect.fail(new Told({ exitCode: failure.exitCode })))
    })
  )
