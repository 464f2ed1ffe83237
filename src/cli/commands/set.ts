/** `zk set`: sets the data of a node. */
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { ZkClient } from "../../ZkClient.ts"
import { dataArgument, dataFlags, readData } from "../data.ts"
import { usage } from "../failure.ts"
import { ifVersionFlag } from "../ifVersion.ts"
import { pathArgument, resolvePath } from "../nodePath.ts"
import { report } from "../output.ts"
import { printable } from "../printable.ts"
import { bytes, statJson } from "../stat.ts"

export const set = Command.make("set", {
  path: pathArgument,
  data: dataArgument,
  ...dataFlags,
  ifVersion: ifVersionFlag,
  create: Flag.Boolean("create").pipe(
    Flag.withDefault(false),
    Flag.withDescription("Create the node, with its parents, where it is missing")
  )
}, ({ create, ifVersion, path, ...input }) =>
  Effect.gen(function*() {
    const zk = yield* ZkClient
    const at = yield* resolvePath(path)
    if (create && Option.isSome(ifVersion)) {
      return yield* usage("--create and --if-version exclude each other")
    }
    const data = yield* readData(input)
    if (Option.isNone(data)) {
      const message = "what to set? Give the data, - for standard input, --file or --null"
      return yield* usage(message)
    }
    const stat = create
      ? yield* zk.createOrSet(at, data.value)
      : yield* zk.setData(at, data.value, { version: Option.getOrUndefined(ifVersion) })
    yield* report({
      json: () => ({ path: at, stat: statJson(stat) }),
      text: () => [`${printable(at)}: version ${stat.version}, ${bytes(stat.dataLength)}`]
    })
  })).pipe(
    Command.withDescription("Sets the data of a node, and prints its new version."),
    Command.withShortDescription("Set the data of a node"),
    Command.withExamples([
      { command: "zk set /app/config on", description: "Set a text" },
      {
        command: "zk set /app/config --file config.json --if-version 3",
        description: "Set a file's bytes, if nobody else has"
      },
      { command: "jq .x < in.json | zk set /app/x - --create", description: "Set what another program prints" }
    ])
  )
