/** Everything below a node, read with many requests at a time. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as ZkClient from "../ZkClient.ts"
import type { NoAuth, NoNode, SessionError } from "../ZkError.ts"
import * as ZkPath from "../ZkPath.ts"
import type { Stat } from "../ZkStat.ts"
import { note, Output } from "./output.ts"
import { printable } from "./printable.ts"

export interface Branch {
  readonly path: string
  readonly name: string
  readonly stat: Stat
  /** By name. */
  readonly children: ReadonlyArray<Branch>
  /** Why there are none here, though the node may have some. */
  readonly cut: "forbidden" | "depth" | undefined
}

const concurrency = 32

const nameOf = (path: string): string => path === "/" ? "/" : ZkPath.name(path)

/** By code units, as everything here is sorted. */
export const byName = (a: string, b: string): number => a < b ? -1 : a > b ? 1 : 0

/**
 * A node and what is below it, as far down as asked for. Nodes that go meanwhile are left out; it is not a picture of
 * one moment.
 */
export const readSubtree = (
  path: string,
  depth = Infinity
): Effect.Effect<Branch, NoNode | NoAuth | SessionError, ZkClient.ZkClient> =>
  Effect.gen(function*() {
    const zk = yield* ZkClient.ZkClient
    const below = (at: string, names: ReadonlyArray<string>, left: number) =>
      Effect.forEach([...names].sort(byName), (name) =>
        Effect.catchTag(
          Effect.asSome(read(ZkPath.join(at, name), left)),
          "NoNode",
          () => Effect.succeedNone
        ), { concurrency })
    const closed = (at: string, error: NoAuth) =>
      Effect.flatMap(zk.exists(at), (found): Effect.Effect<Branch, NoAuth> =>
        Option.isNone(found)
          ? Effect.fail(error)
          : Effect.succeed({ path: at, name: nameOf(at), stat: found.value, children: [], cut: "forbidden" }))
    const read = (at: string, left: number): Effect.Effect<Branch, NoNode | NoAuth | SessionError> =>
      Effect.flatMap(zk.getChildren(at), ({ children, stat }) => {
        const branch = { path: at, name: nameOf(at), stat }
        if (left === 0) {
          return Effect.succeed<Branch>({ ...branch, children: [], cut: children.length === 0 ? undefined : "depth" })
        }
        return Effect.map(below(at, children, left - 1), (found): Branch => ({
          ...branch,
          children: found.flatMap(Option.toArray),
          cut: undefined
        }))
      }).pipe(Effect.catchTag("NoAuth", (error) => closed(at, error)))
    return yield* read(path, depth)
  })

/** Parents before children. Trees may be deeper than calls may be nested. */
export function* flatten(top: Branch): Generator<Branch> {
  const waiting = [top]
  for (let branch = waiting.pop(); branch !== undefined; branch = waiting.pop()) {
    yield branch
    for (const child of branch.children.toReversed()) waiting.push(child)
  }
}

/** Says on standard error of which nodes it is not known what is below them. */
export const noteClosed = (branches: ReadonlyArray<Branch>, consequence = "") =>
  Effect.gen(function*() {
    const { noteStyle } = yield* Output
    for (const { cut, path } of branches) {
      if (cut !== "forbidden") continue
      yield* note(noteStyle.warning(`${printable(path)}: what is below may not be read${consequence}`))
    }
  })
