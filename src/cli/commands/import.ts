/** `zk import`: what `zk export` wrote, as nodes. */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import { ZkClient } from "../../ZkClient.ts"
import { ExportReader } from "../exportFormat.ts"
import { usage } from "../failure.ts"
import { lines } from "../lines.ts"
import { optionalPathArgument, resolvePath } from "../nodePath.ts"
import { Output, print, report, toJson } from "../output.ts"
import { printable } from "../printable.ts"
import { makeProgress } from "../progress.ts"
import { tellStates } from "../states.ts"
import type { TreeNode } from "../treeNode.ts"
import { treeFlags } from "../treeNode.ts"
import { existingFlags, existingOf, planTree, tallyText, writeTree } from "../writeTree.ts"

/** All of it, before anything is written: what is wrong in the last line should not be found half way. */
const readExport = Effect.fnUntraced(function*(file: string) {
  const fs = yield* FileSystem.FileSystem
  const { stdin } = yield* Stdio.Stdio
  const reader = new ExportReader()
  const wrong = (where: string, problem: string) => usage(printable(`${where} ${problem}`))
  const name = file === "-" ? "standard input" : file
  yield* Stream.runForEach(lines(file === "-" ? stdin : fs.stream(file)), ({ bytes, number }) => {
    const problem = reader.line(bytes)
    return problem === undefined ? Effect.void : Effect.fail(wrong(`line ${number} of ${name}`, problem))
  })
  const problem = reader.finish()
  if (problem !== undefined) return yield* wrong(name, problem)
  return reader.nodes
})

const withoutAcl = ({ data, path }: TreeNode): TreeNode => ({ path, data, acl: undefined })

export const importTree = Command.make("import", {
  file: Argument.String("file").pipe(Argument.withDescription("What zk export wrote; - reads standard input")),
  path: optionalPathArgument,
  ...existingFlags,
  noAcl: treeFlags.noAcl,
  dryRun: Flag.Boolean("dry-run").pipe(
    Flag.withAlias("n"),
    Flag.withDefault(false),
    Flag.withDescription("Only say what would be done")
  )
}, ({ dryRun, file, noAcl, path, ...input }) =>
  Effect.gen(function*() {
    const zk = yield* ZkClient
    const output = yield* Output
    const existing = yield* existingOf(input)
    const at = yield* resolvePath(path)
    const read = yield* readExport(file)
    const nodes = noAcl ? read.map(withoutAcl) : read
    const steps = yield* planTree(zk, at, nodes, existing)
    if (dryRun) {
      return yield* print(
        steps.map((step) =>
          output.isJson ? toJson({ path: step.at, action: step.action }) : `${step.action} ${printable(step.at)}`
        )
      )
    }
    const tally = yield* Effect.scoped(Effect.gen(function*() {
      const progress = yield* makeProgress("imported")
      yield* tellStates(progress.note)
      return yield* writeTree(zk, steps, { existing, acl: !noAcl }, progress)
    }))
    yield* report({
      json: () => ({ path: at, ...tally }),
      text: () => [`${printable(at)}: ${tallyText(tally)}`]
    })
  })).pipe(
    Command.withDescription(
      "Writes what zk export wrote, at the place that is given. All of the file is checked before anything is written, and nothing is where a node is there already, unless --skip or --overwrite say what to do about it."
    ),
    Command.withShortDescription("Write a tree that was exported"),
    Command.withExamples([
      { command: "zk import app.jsonl /app", description: "Bring a tree back" },
      { command: "zk import app.jsonl /app --overwrite --dry-run", description: "See what would be done" },
      { command: "zk export /app | zk import - /copy -s other:2181", description: "Take a tree elsewhere" }
    ])
  )
