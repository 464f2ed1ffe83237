/** The `zk` program: its commands, and what all of them share. */
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Layer from "effect/Layer"
import { acl } from "./commands/acl.ts"
import { config } from "./commands/config.ts"
import { cp } from "./commands/cp.ts"
import { create } from "./commands/create.ts"
import { exportTree } from "./commands/export.ts"
import { get } from "./commands/get.ts"
import { importTree } from "./commands/import.ts"
import { locks } from "./commands/locks.ts"
import { ls } from "./commands/ls.ts"
import { ping } from "./commands/ping.ts"
import { rm } from "./commands/rm.ts"
import { session } from "./commands/session.ts"
import { set } from "./commands/set.ts"
import { makeShell } from "./commands/shell.ts"
import { stat } from "./commands/stat.ts"
import { tree } from "./commands/tree.ts"
import { watch } from "./commands/watch.ts"
import { completeNodes } from "./completions.ts"
import { clientLayer, connectionFlags } from "./connection.ts"
import * as Output from "./output.ts"
import { builtins } from "./shell/builtins.ts"

export const jsonFlag = Flag.Boolean("json").pipe(
  Flag.withDefault(false),
  Flag.withDescription("Results for programs: each line is a JSON value")
)

/** What can be done with nodes, in a shell as well. */
export const commands = [
  { group: "Nodes", commands: [ls, tree, get, set, create, rm, stat] },
  { group: "Trees", commands: [watch, cp, exportTree, importTree] },
  { group: "Locks", commands: [locks] },
  { group: "Access", commands: [acl] },
  { group: "Servers", commands: [session, ping, config] }
] as const

/** What a line of a shell can be. */
const lines = Command.make("zk").pipe(
  Command.withDescription("Commands of this shell. Paths without a slash in front begin where it is."),
  Command.withSharedFlags({ json: jsonFlag }),
  Command.withSubcommands([...commands, builtins]),
  Command.provide(({ json }) => Output.layer({ isJson: json }))
)

export const program = Command.make("zk").pipe(
  Command.withDescription("Looks at what is kept in ZooKeeper, and changes it."),
  Command.withSharedFlags({ ...connectionFlags, json: jsonFlag }),
  Command.withSubcommands([...commands, { group: "Shell", commands: [makeShell(lines)] }, completeNodes]),
  Command.withExamples([
    { command: "zk ls / --servers zk1:2181,zk2:2181,zk3:2181/app", description: "Say where the servers are" },
    { command: "source <(zk --completions bash)", description: "In ~/.bashrc: Tab knows commands and nodes" },
    { command: "source <(zk --completions zsh)", description: "In ~/.zshrc, below compinit" },
    { command: "zk --completions fish | source", description: "In ~/.config/fish/config.fish" }
  ]),
  Command.provide((input) => clientLayer(input).pipe(Layer.provideMerge(Output.layer({ isJson: input.json }))))
)
