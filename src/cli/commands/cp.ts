/** `zk cp`: copies a node, or a node with everything below it. */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { ZkClient } from "../../ZkClient.ts"
import { Elsewhere } from "../connection.ts"
import { usage } from "../failure.ts"
import { resolvePath } from "../nodePath.ts"
import { note, Output, report } from "../output.ts"
import { printable } from "../printable.ts"
import { makeProgress } from "../progress.ts"
import { plural } from "../stat.ts"
import { tellStates } from "../states.ts"
import type { TreeNode, TreeOptions } from "../treeNode.ts"
import { readNode, readTree, treeFlags } from "../treeNode.ts"
import { existingFlags, existingOf, planTree, tallyText, writeTree } from "../writeTree.ts"

/** All of it, before anything is written. */
const readAll = Effect.fnUntraced(function*(zk: ZkClient, from: string, options: TreeOptions) {
  const progress = yield* makeProgress("read")
  const nodes: Array<TreeNode> = []
  let leftOut = 0
  yield* Stream.runForEach(readTree(zk, from, options), (part) => {
    for (const node of part.nodes) nodes.push(node)
    leftOut += part.leftOut
    return progress.show(nodes.length)
  })
  return { nodes, remark: leftOut === 0 ? undefined : `${plural(leftOut, "ephemeral node")} left out` }
}, Effect.scoped)

const readOne = Effect.fnUntraced(function*(zk: ZkClient, from: string, options: TreeOptions) {
  const { isLeftOut, node, stat } = yield* readNode(zk, from, "/", options)
  if (isLeftOut) return yield* usage(`${printable(from)} is ephemeral: --ephemerals copies it as a persistent node`)
  const children = plural(stat.numChildren, "child", "children")
  return { nodes: [node], remark: stat.numChildren === 0 ? undefined : `without ${children}: see --recursive` }
})

export const cp = Command.make("cp", {
  source: Argument.String("source").pipe(Argument.withDescription("The node to copy")),
  destination: Argument.String("destination").pipe(
    Argument.withDescription("The path of the copy; nodes above it are made where they are missing")
  ),
  recursive: Flag.Boolean("recursive").pipe(
    Flag.withAlias("r"),
    Flag.withDefault(false),
    Flag.withDescription("And everything below it")
  ),
  ...existingFlags,
  ...treeFlags,
  to: Flag.String("to").pipe(
    Flag.withMetavar("hosts"),
    Flag.optional,
    Flag.withDescription("The servers of another ensemble, or a zookeeper: URL, where the copy is to be")
  )
}, ({ destination, ephemerals, noAcl, recursive, source, to, ...input }) =>
  Effect.scoped(Effect.gen(function*() {
    const zk = yield* ZkClient
    const { noteStyle } = yield* Output
    const existing = yield* existingOf(input)
    const from = yield* resolvePath(source)
    const at = yield* resolvePath(destination)
    if (Option.isNone(to)) {
      if (from === at) return yield* usage(`${printable(from)} and its copy would be the same node`)
      if (recursive && at.startsWith(from === "/" ? from : `${from}/`)) {
        return yield* usage(`${printable(at)} is below ${printable(from)}: a copy cannot be a part of itself`)
      }
    }
    const there = Option.isNone(to) ? zk : yield* Effect.flatMap(Elsewhere, ({ connect }) => connect(to.value))
    const options = { acl: !noAcl, ephemerals }
    const { nodes, remark } = yield* (recursive ? readAll(zk, from, options) : readOne(zk, from, options))
    const steps = yield* planTree(there, at, nodes, existing)
    const tally = yield* Effect.scoped(Effect.gen(function*() {
      const progress = yield* makeProgress("copied")
      yield* Effect.provideService(tellStates(progress.note), ZkClient, there)
      return yield* writeTree(there, steps, { existing, acl: !noAcl }, progress)
    }))
    yield* report({
      json: () => ({ path: at, ...tally }),
      text: () => [`${printable(at)}: ${tallyText(tally)}`]
    })
    if (remark !== undefined) yield* note(noteStyle.faint(remark))
  }))).pipe(
    Command.withDescription(
      "Copies the data and the ACL of a node, and with --recursive of everything below it. What is copied is read first, all of it. Nothing is written where a node is there already, unless --skip or --overwrite say what to do about it."
    ),
    Command.withShortDescription("Copy a node, or a whole tree"),
    Command.withExamples([
      { command: "zk cp /app/config /app/config.old", description: "One node" },
      { command: "zk cp -r /app /backup/app", description: "A tree" },
      { command: "zk cp -r /app /app --to staging:2181 --overwrite", description: "To another ensemble" }
    ])
  )
