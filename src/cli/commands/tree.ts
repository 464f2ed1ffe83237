/** `zk tree`: everything below a node, drawn. */
import * as CliOutput from "effect/cli/CliOutput"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Stat } from "../../ZkStat.ts"
import { optionalPathArgument, resolvePath } from "../nodePath.ts"
import { Output, print, toJson } from "../output.ts"
import { printable, truncate } from "../printable.ts"
import { bytes, plural, statJson } from "../stat.ts"
import type { Style } from "../style.ts"
import type { Branch } from "../subtree.ts"
import { flatten, noteClosed, readSubtree } from "../subtree.ts"

const sizeOf = (stat: Stat | undefined): number => stat?.dataLength ?? 0

const isEphemeral = (stat: Stat | undefined): boolean => stat !== undefined && stat.ephemeralOwner !== BigInt(0)

const remarks = ({ cut, stat }: Branch, style: Style): ReadonlyArray<string> => [
  ...(sizeOf(stat) === 0 ? [] : [style.faint(bytes(sizeOf(stat)))]),
  ...(isEphemeral(stat) ? [style.mark("ephemeral")] : []),
  ...(cut === "forbidden" ? [style.warning("children may not be read")] : []),
  ...(cut === "depth" ? [style.faint(plural(stat?.numChildren ?? 0, "child", "children"))] : [])
]

/** Trees may be deeper than calls may be nested. */
export function* draw(top: Branch, style: Style, width: number): Generator<string> {
  const waiting = [{ branch: top, first: "", rest: "" }]
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const { branch, first, rest } = next
    const after = remarks(branch, style).map((remark) => `  ${remark}`).join("")
    const room = width - CliOutput.displayWidth(first) - CliOutput.displayWidth(after)
    const name = truncate(printable(branch.name), Math.max(8, room), "middle")
    yield `${style.faint(first)}${branch.children.length > 0 ? style.strong(name) : name}${after}`
    for (const child of branch.children.toReversed()) {
      const isLast = child === branch.children.at(-1)
      waiting.push({
        branch: child,
        first: `${rest}${isLast ? "└── " : "├── "}`,
        rest: `${rest}${isLast ? "    " : "│   "}`
      })
    }
  }
}

export const tree = Command.make("tree", {
  path: optionalPathArgument,
  depth: Flag.Int("depth").pipe(
    Flag.withAlias("d"),
    Flag.filter((depth) => depth >= 0, () => "a number from 0 on"),
    Flag.optional,
    Flag.withDescription("So many levels only")
  )
}, ({ depth, path }) =>
  Effect.gen(function*() {
    const output = yield* Output
    const at = yield* resolvePath(path)
    const top = yield* readSubtree(at, Option.getOrUndefined(depth))
    const branches = [...flatten(top)]
    if (output.isJson) {
      yield* noteClosed(branches)
      return yield* print(
        branches.map((branch) => toJson({ path: branch.path, stat: branch.stat && statJson(branch.stat) }))
      )
    }
    const whole = { ...top, name: at }
    const width = (yield* output.columns) ?? Infinity
    const size = branches.reduce((sum, { stat }) => sum + sizeOf(stat), 0)
    const ephemerals = branches.filter(({ stat }) => isEphemeral(stat)).length
    yield* print([
      ...draw(whole, output.style, width),
      "",
      `${plural(branches.length, "node")}, ${bytes(size)}${ephemerals === 0 ? "" : `, ${ephemerals} ephemeral`}`
    ])
  })).pipe(
    Command.withDescription(
      "Draws a node and everything below it, with the sizes of data; ephemeral nodes are marked."
    ),
    Command.withShortDescription("Draw what is below a node"),
    Command.withExamples([
      { command: "zk tree /app", description: "All of it" },
      { command: "zk tree / --depth 2", description: "Two levels" }
    ])
  )
