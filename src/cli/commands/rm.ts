/** `zk rm`: deletes a node, or a node with everything below it. */
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { ZkClient } from "../../ZkClient.ts"
import { NoAuth } from "../../ZkError.ts"
import { confirm, yesFlag } from "../ask.ts"
import { halfWay, usage } from "../failure.ts"
import { ifVersionFlag } from "../ifVersion.ts"
import { isServers, pathArgument, resolvePath } from "../nodePath.ts"
import { note, Output, print, report, toJson } from "../output.ts"
import { printable } from "../printable.ts"
import { plural } from "../stat.ts"
import { flatten, readSubtree } from "../subtree.ts"

export const rm = Command.make("rm", {
  path: pathArgument,
  recursive: Flag.Boolean("recursive").pipe(
    Flag.withAlias("r"),
    Flag.withDefault(false),
    Flag.withDescription("And everything below it. Asks first")
  ),
  dryRun: Flag.Boolean("dry-run").pipe(
    Flag.withAlias("n"),
    Flag.withDefault(false),
    Flag.withDescription("Only say what would be deleted")
  ),
  ifVersion: ifVersionFlag,
  yes: yesFlag
}, ({ dryRun, ifVersion, path, recursive, yes }) =>
  Effect.gen(function*() {
    const zk = yield* ZkClient
    const { isJson } = yield* Output
    const at = yield* resolvePath(path)
    if (at === "/") return yield* usage("the root cannot be deleted")
    const session = yield* zk.session
    if (isServers(session.absolutePath(at))) return yield* usage(`${printable(at)} belongs to the servers`)
    if (recursive && Option.isSome(ifVersion)) return yield* usage("--recursive and --if-version exclude each other")
    const branches = recursive || dryRun ? [...flatten(yield* readSubtree(at))] : []
    // Whoever may not see all of it cannot delete it, nor say what would go.
    const closed = branches.find(({ cut }) => cut === "forbidden")
    if (closed !== undefined) return yield* new NoAuth({ operation: "getChildren", path: closed.path })
    if (dryRun) {
      if (!recursive && branches.length > 1) return yield* usage(`${at} has children: --recursive would delete them`)
      // As they go: children before their parents.
      const paths = branches.map((branch) => branch.path).reverse()
      return yield* print(paths.map((each) => isJson ? toJson({ path: each }) : printable(each)))
    }
    if (recursive) {
      yield* confirm(`Delete ${printable(at)} and ${plural(branches.length - 1, "node")} below it?`, yes)
      const said = "a part of what is below it may be gone"
      yield* zk.deleteRecursive(at).pipe(
        Effect.mapError((error) => branches.length === 1 || error._tag === "NoNode" ? error : halfWay(error, said)),
        Effect.onInterrupt(() => note(`interrupted: ${said}`))
      )
    } else {
      yield* zk.delete(at, { version: Option.getOrUndefined(ifVersion) })
    }
    yield* report({
      json: () => ({ path: at, deleted: Math.max(1, branches.length) }),
      text: () => [`deleted ${printable(at)}${branches.length > 1 ? ` and ${branches.length - 1} below it` : ""}`]
    })
  })).pipe(
    Command.withDescription(
      "Deletes a node that has no children or, with --recursive, a node and everything below it. Where nobody can be asked --recursive needs --yes."
    ),
    Command.withShortDescription("Delete a node, or a whole subtree"),
    Command.withExamples([
      { command: "zk rm /app/old", description: "A node without children" },
      { command: "zk rm /app/old --if-version 3", description: "If nobody has changed it" },
      { command: "zk rm -r /app/old --dry-run", description: "See what would go" },
      { command: "zk rm -r /app/old --yes", description: "In a script" }
    ])
  )
