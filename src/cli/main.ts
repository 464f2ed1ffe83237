/** One run of the program: arguments in, exit code out. */
import * as Command from "effect/cli/Command"
import * as Completions from "effect/cli/Completions"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as References from "effect/References"
import manifest from "../../package.json" with { type: "json" }
import { isIncomplete } from "./commandLine.ts"
import { askedFor, asking } from "./completions.ts"
import { CommandFailed, exitCodes, Told } from "./failure.ts"
import { isWriteError } from "./output.ts"
import { makePresenter, withPresenter } from "./presenter.ts"
import { program } from "./program.ts"
import { asksForJson, tellFailure } from "./tell.ts"

/** Fails with what ends the process: it has been told by then. */
export const main = (given: ReadonlyArray<string>) => {
  const descriptor = Completions.fromCommand(program)
  const args = given[0] === asking ? askedFor(descriptor, given.slice(1)) : given
  if (args === undefined) return Effect.void
  const isJson = asksForJson(args)
  // Help that nobody asked for needs no connection, and it is a failure.
  const isImplicit = isIncomplete(descriptor, args)
  const run = Command.runWith(program, { version: manifest.version })
  return Effect.andThen(
    run(isImplicit ? [...args, "--help"] : args),
    isImplicit ? Effect.fail(new Told({ exitCode: exitCodes.usage })) : Effect.void
  ).pipe(
    withPresenter(makePresenter({ isJson, isImplicit, prefix: "zk ", mark: "zk: " })),
    Effect.provideService(References.MinimumLogLevel, "Error"),
    // Standard output is for results.
    Effect.provide(Logger.layer([Logger.withConsoleError(Logger.formatLogFmt)])),
    // An error of the program itself: without a word nobody would know that it is one.
    Effect.catchDefect((defect) =>
      Effect.fail(
        isWriteError(defect)
          ? defect
          : new CommandFailed({ reason: "failed", message: `this is a bug: ${String(defect)}` })
      )
    ),
    Effect.catch((error) => tellFailure(error, { isJson, mark: "zk: " }))
  )
}
