/** `zk ls`: the children of a node. */
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import { ZkClient } from "../../ZkClient.ts"
import { NoAuth } from "../../ZkError.ts"
import * as ZkPath from "../../ZkPath.ts"
import * as ZkStat from "../../ZkStat.ts"
import { optionalPathArgument, resolvePath } from "../nodePath.ts"
import { Output, print, toJson } from "../output.ts"
import { printable } from "../printable.ts"
import { owner, statJson, time } from "../stat.ts"
import type { Branch } from "../subtree.ts"
import { byName, flatten, noteClosed, readSubtree } from "../subtree.ts"
import type { Column } from "../table.ts"
import { printTable } from "../table.ts"

/** Empty where it is not told. */
const field = (read: (stat: ZkStat.Stat) => string | number) => ({ stat }: Branch): string =>
  stat === undefined ? "" : String(read(stat))

const columns = (label: (branch: Branch) => string): ReadonlyArray<Column<Branch>> => [
  { heading: "NAME", cell: (branch) => printable(label(branch)), shrink: "middle" },
  { heading: "BYTES", cell: field(({ dataLength }) => dataLength), align: "right" },
  { heading: "CHILDREN", cell: field(({ numChildren }) => numChildren), align: "right" },
  { heading: "VERSION", cell: field(({ version }) => version), align: "right" },
  { heading: "MODIFIED", cell: field((stat) => time(ZkStat.modified(stat))), shrink: "end" },
  { heading: "SESSION", cell: field(owner), paint: (style) => style.mark }
]

const namesOf = Effect.fnUntraced(function*(path: string) {
  const zk = yield* ZkClient
  const { children } = yield* zk.getChildren(path)
  return [...children].sort(byName)
})

export const ls = Command.make("ls", {
  path: optionalPathArgument,
  recursive: Flag.Boolean("recursive").pipe(
    Flag.withAlias("R"),
    Flag.withDefault(false),
    Flag.withDescription("All nodes below it, as paths")
  ),
  stat: Flag.Boolean("stat").pipe(
    Flag.withAlias("l"),
    Flag.withDefault(false),
    Flag.withDescription("With sizes, versions, times and owners")
  )
}, ({ path, recursive, stat }) =>
  Effect.gen(function*() {
    const output = yield* Output
    const at = yield* resolvePath(path)
    if (!recursive && !stat) {
      const names = yield* namesOf(at)
      return yield* print(
        output.isJson ? names.map((name) => toJson({ path: ZkPath.join(at, name) })) : names.map(printable)
      )
    }
    const top = yield* readSubtree(at, recursive ? undefined : 1)
    if (top.cut === "forbidden") return yield* new NoAuth({ operation: "getChildren", path: at })
    const branches = [...flatten(top)].slice(1)
    // One level says nothing of what is below it.
    if (recursive) yield* noteClosed(branches)
    if (output.isJson) {
      return yield* print(
        branches.map((branch) => toJson({ path: branch.path, stat: branch.stat && statJson(branch.stat) }))
      )
    }
    const label = recursive ? (branch: Branch) => branch.path : (branch: Branch) => branch.name
    if (stat) return yield* printTable(columns(label), branches)
    return yield* print(branches.map((branch) => printable(label(branch))))
  })).pipe(
    Command.withDescription("Lists the children of a node, sorted by name; without a path, those of the root."),
    Command.withShortDescription("List the children of a node"),
    Command.withExamples([
      { command: "zk ls /app", description: "The names of the children" },
      { command: "zk ls /app -l", description: "With sizes, versions, times and owners" },
      { command: "zk ls / -R | grep lock", description: "All paths, for another program" }
    ])
  )
