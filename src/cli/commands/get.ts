/** `zk get`: the data of a node. */
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import { ZkClient } from "../../ZkClient.ts"
import { dataJson, hexDump, textOf } from "../data.ts"
import { pathArgument, resolvePath } from "../nodePath.ts"
import { note, Output, print, printJson } from "../output.ts"
import { printableLines } from "../printable.ts"
import { bytes, statJson } from "../stat.ts"

export const get = Command.make("get", {
  path: pathArgument,
  stat: Flag.Boolean("stat").pipe(
    Flag.withDefault(false),
    Flag.withDescription("Say version and size as well, on standard error")
  ),
  hex: Flag.Boolean("hex").pipe(Flag.withDefault(false), Flag.withDescription("Show the bytes"))
}, ({ hex, path, stat }) =>
  Effect.gen(function*() {
    const zk = yield* ZkClient
    const output = yield* Output
    const at = yield* resolvePath(path)
    const node = yield* zk.getData(at)
    if (output.isJson) {
      return yield* printJson({ path: at, ...dataJson(node.data), stat: statJson(node.stat) })
    }
    const data = node.data ?? new Uint8Array()
    const isTerminal = (yield* output.columns) !== undefined
    const text = textOf(data)
    if (hex || (isTerminal && text === undefined)) yield* print(hexDump(data))
    else if (!isTerminal) yield* output.write(data)
    else if (node.data === null) yield* note(output.noteStyle.faint("no data"))
    else if (text === "") yield* note(output.noteStyle.faint("empty data"))
    else yield* print([printableLines(text!)])
    if (stat) yield* note(output.noteStyle.faint(`version ${node.stat.version}, ${bytes(node.stat.dataLength)}`))
  })).pipe(
    Command.withDescription(
      "Prints the data of a node. Into a pipe or file go the bytes as they are; on a terminal, what is no text is shown as a dump."
    ),
    Command.withShortDescription("Print the data of a node"),
    Command.withExamples([
      { command: "zk get /app/config", description: "Print a node" },
      { command: "zk get /app/config > config.json", description: "Keep its bytes in a file" },
      { command: "zk get /app/config --json | jq -r .stat.version", description: "Use it in a script" }
    ])
  )
