/** Commands that make sense in a shell only. */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { ZkClient } from "../../ZkClient.ts"
import { NoNode } from "../../ZkError.ts"
import { resolvePath } from "../nodePath.ts"
import { report } from "../output.ts"
import { printable } from "../printable.ts"
import { Shell } from "./state.ts"

const cd = Command.make("cd", {
  path: Argument.String("path").pipe(
    Argument.withDefault("/"),
    Argument.withDescription("The node; - is the one before. Default: the root")
  )
}, ({ path }) =>
  Effect.gen(function*() {
    const zk = yield* ZkClient
    const shell = yield* Shell
    const at = path === "-" ? shell.previous : yield* resolvePath(path)
    if (Option.isNone(yield* zk.exists(at))) return yield* new NoNode({ operation: "exists", path: at })
    shell.previous = shell.node
    shell.node = at
  })).pipe(
    Command.withDescription("Goes to a node: paths without a slash in front begin there."),
    Command.withShortDescription("Go to a node")
  )

const pwd = Command.make(
  "pwd",
  {},
  () => Effect.flatMap(Shell, ({ node }) => report({ json: () => ({ path: node }), text: () => [printable(node)] }))
).pipe(
  Command.withDescription("Prints the path of the node where the shell is."),
  Command.withShortDescription("Print where the shell is")
)

const history = Command.make("history", {}, () =>
  Effect.flatMap(Shell, ({ lines }) => {
    const width = `${lines.length}`.length
    return report({
      json: () => lines,
      text: ({ style }) => lines.map((line, index) => `${style.faint(`${index + 1}`.padStart(width))}  ${line}`)
    })
  })).pipe(
    Command.withDescription("Prints the lines that were typed, the oldest first."),
    Command.withShortDescription("Print the lines that were typed")
  )

/** `help ls` is what `ls --help` is: the shell sees to it, and this is what the help says of it. */
const help = Command.make("help", {
  command: Argument.String("command").pipe(Argument.variadic(), Argument.withDescription("Default: all of them"))
}, () => Effect.void).pipe(
  Command.withDescription("Says what commands there are, and what one of them does."),
  Command.withShortDescription("Say what commands do")
)

const ending = (name: "exit" | "quit") =>
  Command.make(name, {}, () =>
    Effect.map(Shell, (shell) => {
      shell.isEnding = true
    })).pipe(
      Command.withDescription("Ends the shell and its session; ephemeral nodes that it created go with it."),
      Command.withShortDescription("End the shell, as Ctrl-D does")
    )

export const builtins = { group: "Shell", commands: [cd, pwd, history, help, ending("exit"), ending("quit")] } as const
