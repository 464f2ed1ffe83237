/** `zk watch`: what happens to a node, or to a whole tree, as it happens. */
import * as CliOutput from "effect/cli/CliOutput"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { NodeData } from "../../ZkClient.ts"
import { ZkClient } from "../../ZkClient.ts"
import type { NoAuth, StreamError } from "../../ZkError.ts"
import * as ZkMirror from "../../ZkMirror.ts"
import { dataJson, preview } from "../data.ts"
import { usage } from "../failure.ts"
import { optionalPathArgument, resolvePath } from "../nodePath.ts"
import type { OutputShape } from "../output.ts"
import { note, Output, report } from "../output.ts"
import { printable, truncate } from "../printable.ts"
import { bytes, plural, statJson, time } from "../stat.ts"
import { tellStates } from "../states.ts"

/** What is there at the beginning, or what has become of it since. */
interface Seen {
  readonly what: "present" | "added" | "changed" | "removed"
  readonly path: string
  /** As it is or, of what was removed, as it was. */
  readonly node: NodeData
  /** Deleted and made again between two looks. */
  readonly isOther?: boolean | undefined
}

interface Watched {
  readonly present: ReadonlyArray<Seen>
  readonly changes: Stream.Stream<Seen, NoAuth | StreamError>
  /** Nodes that cannot be followed. */
  readonly unreadable: ReadonlyArray<string>
}

const changed = (path: string, node: NodeData, previous: NodeData): Seen => ({
  what: "changed",
  path,
  node,
  isOther: node.stat.czxid !== previous.stat.czxid
})

/** Of one node what differs between each state and the one before. */
const watchNode = Effect.fnUntraced(function*(path: string) {
  const zk = yield* ZkClient
  const pull = yield* Stream.toPull(zk.changes(path))
  let last = (yield* pull)[0]
  const next = (state: Option.Option<NodeData>): ReadonlyArray<Seen> => {
    const previous = last
    last = state
    if (Option.isNone(state)) {
      return Option.isNone(previous) ? [] : [{ what: "removed", path, node: previous.value }]
    }
    if (Option.isNone(previous)) return [{ what: "added", path, node: state.value }]
    return [changed(path, state.value, previous.value)]
  }
  const watched: Watched = {
    present: Option.isNone(last) ? [] : [{ what: "present", path, node: last.value }],
    changes: Stream.flattenIterable(Stream.map(Stream.fromPull(Effect.succeed(pull)), next)),
    unreadable: []
  }
  return watched
})

/**
 * The changes of a copy begin with all that is there. What was there before they were asked for is no news, unless it
 * has changed in between.
 */
const watchTree = Effect.fnUntraced(function*(root: string, depth: number | undefined) {
  const mirror = yield* ZkMirror.make
  const tree = yield* mirror.tree(root, { depth })
  const known = new Map(yield* tree.entries)
  const present = Array.from(known, ([path, node]): Seen => ({ what: "present", path, node }))
  const toSeen = (change: ZkMirror.TreeChange): ReadonlyArray<Seen> => {
    const { path } = change
    if (change._tag === "Removed") return [{ what: "removed", path, node: change.previous }]
    const { node } = change
    if (change._tag === "Changed") return [changed(path, node, change.previous)]
    const before = known.get(path)
    if (before === undefined) return [{ what: "added", path, node }]
    const isSame = before.stat.czxid === node.stat.czxid && before.stat.mzxid === node.stat.mzxid
    return isSame ? [] : [changed(path, node, before)]
  }
  let isFirst = true
  const seen = (chunk: ReadonlyArray<ZkMirror.TreeChange>): ReadonlyArray<Seen> => {
    const news = chunk.flatMap(toSeen)
    if (!isFirst || known.size === 0) return news
    isFirst = false
    const there = new Set(chunk.map(({ path }) => path))
    const gone = Array.from(known).filter(([path]) => !there.has(path)).reverse()
    known.clear()
    return [...gone.map(([path, node]): Seen => ({ what: "removed", path, node })), ...news]
  }
  const watched: Watched = {
    present,
    changes: Stream.flattenIterable(Stream.map(Stream.chunks(tree.changes), seen)),
    unreadable: yield* tree.unreadable
  }
  return watched
})

const paints = { present: "faint", added: "good", changed: "warning", removed: "bad" } as const

/** In a pipe, which has no width. */
const longestPreview = 200

const line = ({ isOther, node, path, what }: Seen, at: DateTime.Utc, width = Infinity, { style }: OutputShape) => {
  const { data, stat } = node
  const head = `${time(at)}  ${what.padEnd(7)}  `
  const facts = what === "removed"
    ? ""
    : `  v${stat.version}  ${bytes(stat.dataLength)}${isOther === true ? "  made anew" : ""}`
  const left = width - head.length - facts.length
  // The data is to be seen as well.
  const name = truncate(printable(path), Math.max(Math.min(left, 16), Math.floor(left * 2 / 3)), "middle")
  const room = left - CliOutput.displayWidth(name) - 2
  const shown = what === "removed" || room < 8 ? "" : preview(data, Math.min(room, longestPreview))
  const painted = `${style.faint(time(at))}  ${style[paints[what]](what.padEnd(7))}  ${name}${style.faint(facts)}`
  return shown === "" ? painted : `${painted}  ${shown}`
}

const tell = (seen: Seen) =>
  Effect.gen(function*() {
    const at = yield* DateTime.now
    const width = yield* Effect.flatMap(Output, ({ columns }) => columns)
    const { isOther, node, path, what } = seen
    yield* report({
      json: () => ({
        time: DateTime.formatIso(at),
        change: what,
        path,
        ...(what === "removed"
          ? { previous: statJson(node.stat) }
          : { ...dataJson(node.data), stat: statJson(node.stat) }),
        ...(isOther === true && { recreated: true })
      }),
      text: (output) => [line(seen, at, width, output)]
    })
  })

const whatIsWatched = (path: string, { present, unreadable }: Watched, isTree: boolean): string => {
  const isThere = present.length > 0
  const count = present.length - 1
  const below = isTree && isThere ? ` and ${count === 0 ? "what comes" : plural(count, "node")} below it` : ""
  const closed = unreadable.length === 0 ? "" : `; ${plural(unreadable.length, "node")} cannot be read`
  return `watching ${printable(path)}${below}${isThere ? "" : ", which is not there yet"}${closed}`
}

export const watch = Command.make("watch", {
  path: optionalPathArgument,
  recursive: Flag.Boolean("recursive").pipe(
    Flag.withAlias("r"),
    Flag.withDefault(false),
    Flag.withDescription("And everything below it")
  ),
  children: Flag.Boolean("children").pipe(
    Flag.withDefault(false),
    Flag.withDescription("And its children")
  ),
  initial: Flag.Boolean("initial").pipe(
    Flag.withDefault(false),
    Flag.withDescription("Begin with what is there")
  ),
  count: Flag.Int("count").pipe(
    Flag.withAlias("c"),
    Flag.filter((count) => count > 0, () => "a count is at least 1"),
    Flag.optional,
    Flag.withDescription("End after so many changes. Default: Ctrl-C ends it")
  )
}, ({ children, count, initial, path, recursive }) =>
  Effect.scoped(Effect.gen(function*() {
    const { noteStyle } = yield* Output
    if (children && recursive) {
      return yield* usage("--children and --recursive exclude each other")
    }
    const at = yield* resolvePath(path)
    const isTree = children || recursive
    const watched = yield* (isTree ? watchTree(at, children ? 1 : undefined) : watchNode(at))
    if (initial) yield* Effect.forEach(watched.present, tell, { discard: true })
    yield* tellStates()
    yield* note(noteStyle.faint(whatIsWatched(at, watched, isTree)))
    yield* watched.changes.pipe(
      Option.isSome(count) ? Stream.take(count.value) : (changes) => changes,
      Stream.runForEach(tell)
    )
  }))).pipe(
    Command.withDescription(
      "Prints what becomes of a node, which need not be there: created, changed, deleted. Of changes that come faster than they are printed it tells what they came to. It survives lost connections and sessions, and tells then what has changed meanwhile."
    ),
    Command.withShortDescription("Watch a node or a tree"),
    Command.withExamples([
      { command: "zk watch /app/config", description: "One node" },
      { command: "zk watch /app -r", description: "A node and everything below it" },
      { command: "zk watch /ready --count 1 && ./start", description: "Wait until something becomes of it" },
      { command: "zk watch /app -r --json | jq .path", description: "For other programs" }
    ])
  )
