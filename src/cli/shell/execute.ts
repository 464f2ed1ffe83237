/** One line of a shell: its words in, exit code out. */
import * as NodeTerminal from "@effect/platform-node/NodeTerminal"
import * as Command from "effect/cli/Command"
import * as Completions from "effect/cli/Completions"
import * as GlobalFlag from "effect/cli/GlobalFlag"
import * as Effect from "effect/Effect"
import * as PlatformError from "effect/PlatformError"
import * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import * as Terminal from "effect/Terminal"
import { isIncomplete } from "../commandLine.ts"
import { exitCodes, usage } from "../failure.ts"
import { WorkingNode } from "../nodePath.ts"
import { Output } from "../output.ts"
import { makePresenter, withPresenter } from "../presenter.ts"
import { SessionEnds } from "../sessionEnds.ts"
import { asksForJson, tellFailure } from "../tell.ts"
import { Shell } from "./state.ts"
import { scan } from "./words.ts"

/** As the program is told: `zk ls` is understood as well, and `help ls` is `ls --help`. */
const normal = (words: ReadonlyArray<string>): ReadonlyArray<string> => {
  const rest = words[0] === "zk" && words.length > 1 ? words.slice(1) : words
  return rest[0] === "help" ? [...rest.slice(1).filter((word) => !word.startsWith("-")), "--help"] : rest
}

/** The shell reads standard input itself. */
const noInput = Effect.map(Stdio.Stdio, (stdio) =>
  Stdio.make({
    ...stdio,
    stdin: Stream.fail(PlatformError.badArgument({
      module: "Stdio",
      method: "stdin",
      description: "in a shell standard input has the commands: give --file"
    }))
  }))

export const isNothing = (line: string): boolean => /^\s*(#.*)?$/.test(line)

/** `root` has the commands. With a line's number it is said in front of what is wrong with it. */
export const makeExecute = <Input, ContextInput, E, R>(root: Command.Command<"zk", Input, ContextInput, E, R>) => {
  const descriptor = Completions.fromCommand(root)
  const run = Command.runWith(root, { version: "" })
  return Effect.fnUntraced(function*(line: string, number?: number) {
    const { isJson: isAlwaysJson } = yield* Output
    const shell = yield* Shell
    const { open, words } = scan(line)
    const texts = normal(words.map(({ text }) => text))
    const isJson = isAlwaysJson || asksForJson(texts)
    const mark = number === undefined ? "zk: " : `zk: line ${number}: `
    const tell = (error: unknown) => tellFailure(error, { isJson, mark, line: number })
    if (open !== undefined) {
      const message = open === "\\" ? "a backslash at the end stands for nothing" : `${open} is not closed`
      return yield* tell(usage(message))
    }
    const isImplicit = isIncomplete(descriptor, texts)
    return yield* run([
      ...(isAlwaysJson && !asksForJson(texts) ? ["--json"] : []),
      ...texts,
      ...(isImplicit ? ["--help"] : [])
    ]).pipe(
      withPresenter(makePresenter({ isJson, isImplicit, prefix: "", mark }), [GlobalFlag.Help]),
      Effect.provideService(WorkingNode, shell.node),
      Effect.provideService(SessionEnds, false),
      Effect.provideServiceEffect(Stdio.Stdio, noInput),
      // Of its own: one that is shared lets go of the keyboard a moment after a question was answered.
      Effect.provideServiceEffect(Terminal.Terminal, NodeTerminal.make()),
      Effect.scoped,
      Effect.as(isImplicit ? exitCodes.usage : 0),
      Effect.catch(tell)
    )
  }, Effect.catchTag("Told", ({ exitCode }) => Effect.succeed(exitCode)))
}
