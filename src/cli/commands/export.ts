/** `zk export`: a tree of nodes as lines of JSON. */
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { ZkClient } from "../../ZkClient.ts"
import { endLine, nodeLine } from "../exportFormat.ts"
import { optionalPathArgument, resolvePath } from "../nodePath.ts"
import { note, Output, report } from "../output.ts"
import { printable } from "../printable.ts"
import type { Progress } from "../progress.ts"
import { makeProgress } from "../progress.ts"
import { plural } from "../stat.ts"
import { tellStates } from "../states.ts"
import type { TreeOptions } from "../treeNode.ts"
import { readTree, treeFlags } from "../treeNode.ts"
import { wholeFile } from "../wholeFile.ts"

/** Reads no further than what is written has been taken. */
const exportTo = Effect.fnUntraced(function*<E, R>(
  at: string,
  options: TreeOptions,
  write: (text: string) => Effect.Effect<void, E, R>,
  progress: Progress
) {
  const zk = yield* ZkClient
  let nodes = 0
  let leftOut = 0
  yield* Stream.runForEach(readTree(zk, at, options), (part) => {
    nodes += part.nodes.length
    leftOut += part.leftOut
    const text = part.nodes.map((node) => `${nodeLine(node)}\n`).join("")
    return Effect.andThen(text === "" ? Effect.void : write(text), progress.show(nodes))
  })
  yield* write(`${endLine({ nodes, leftOut })}\n`)
  return { nodes, leftOut }
})

const leftOutText = (count: number) => count === 0 ? "" : `, ${plural(count, "ephemeral node")} left out`

export const exportTree = Command.make("export", {
  path: optionalPathArgument,
  output: Flag.Path("output").pipe(
    Flag.withAlias("o"),
    Flag.optional,
    Flag.withMetavar("file"),
    Flag.withDescription("Write a file. It is there when all is in it, and not before")
  ),
  ...treeFlags
}, ({ ephemerals, noAcl, output: file, path }) =>
  Effect.gen(function*() {
    const output = yield* Output
    const at = yield* resolvePath(path)
    const options = { acl: !noAcl, ephemerals }
    const isShown = Option.isNone(file) && (yield* output.columns) !== undefined
    const { leftOut, nodes } = yield* Effect.scoped(Effect.gen(function*() {
      const progress = yield* makeProgress("exported", { isQuiet: isShown })
      yield* tellStates(progress.note)
      if (Option.isNone(file)) return yield* exportTo(at, options, output.write, progress)
      return yield* wholeFile(file.value, (write) => exportTo(at, options, write, progress))
    }))
    const text = `${plural(nodes, "node")} of ${printable(at)}${leftOutText(leftOut)}`
    if (Option.isNone(file)) return yield* note(output.noteStyle.faint(text))
    yield* report({
      json: () => ({ path: at, file: file.value, nodes, leftOut }),
      text: () => [`${printable(file.value)}: ${text}`]
    })
  })).pipe(
    Command.withDescription(
      "Writes a node and everything below it as lines of JSON, for zk import: paths, data and ACLs. Containers and nodes with a time to live come back as persistent ones, which is all that can be seen of them."
    ),
    Command.withShortDescription("Write a tree as lines of JSON"),
    Command.withExamples([
      { command: "zk export /app > app.jsonl", description: "Keep a tree" },
      { command: "zk export /app -o app.jsonl", description: "The same, but never half of it" },
      { command: "zk export /app | jq -r 'select(.path).path'", description: "For other programs" }
    ])
  )
