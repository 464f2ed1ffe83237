/** `zk stat`: what ZooKeeper knows of a node. */
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { ZkClient } from "../../ZkClient.ts"
import { NoNode } from "../../ZkError.ts"
import { renderFields } from "../fields.ts"
import { pathArgument, resolvePath } from "../nodePath.ts"
import { report } from "../output.ts"
import { printable } from "../printable.ts"
import { statJson, statLines } from "../stat.ts"

export const stat = Command.make("stat", { path: pathArgument }, ({ path }) =>
  Effect.gen(function*() {
    const zk = yield* ZkClient
    const at = yield* resolvePath(path)
    const found = yield* zk.exists(at)
    if (Option.isNone(found)) return yield* new NoNode({ operation: "exists", path: at })
    yield* report({
      json: () => ({ path: at, stat: statJson(found.value) }),
      text: ({ style }) => [
        style.strong(printable(at)),
        ...renderFields(statLines(found.value), style)
      ]
    })
  })).pipe(
    Command.withDescription("Shows version, size, times, transactions and owner of a node."),
    Command.withShortDescription("Show what ZooKeeper knows of a node"),
    Command.withExamples([
      { command: "zk stat /app/config", description: "For people" },
      { command: "zk stat /app/config --json | jq .stat.version", description: "For programs" }
    ])
  )
