/** Everything below a node, read with many requests at a time. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as ZkClient from "../ZkClient.ts"
import type { SessionError } from "../ZkError.ts"
import { NoNode } from "../ZkError.ts"
import * as ZkPath from "../ZkPath.ts"
import type { Stat } from "../ZkStat.ts"
import { note, Output } from "./output.ts"
import { printable } from "./printable.ts"

export interface Branch {
  readonly path: string
  readonly name: string
  /** Servers from 3.9.2 on do not tell it of nodes that may not be read. */
  readonly stat: Stat | undefined
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
): Effect.Effect<Branch, NoNode | SessionError, ZkClient.ZkClient> =>
  Effect.gen(function*() {
    const zk = yield* ZkClient.ZkClient
    const below = (at: string, names: ReadonlyArray<string>, left: number) =>
      Effect.forEach([...names].sort(byName), (name) =>
        Effect.catchTag(
          Effect.asSome(read(ZkPath.join(at, name), left)),
          "NoNode",
          () => Effect.succeedNone
        ), { concurrency })
    const closed = (at: string): Effect.Effect<Branch, NoNode | SessionError> =>
      zk.exists(at).pipe(
        Effect.flatMap((found): Effect.Effect<Stat | undefined, NoNode> =>
          Option.isSome(found)
            ? Effect.succeed(found.value)
            : Effect.fail(new NoNode({ operation: "exists", path: at }))
        ),
        Effect.catchTag("NoAuth", () => Effect.undefined),
        Effect.map((stat) => ({ path: at, name: nameOf(at), stat, children: [], cut: "forbidden" }))
      )
    const read = (at: string, left: number): Effect.Effect<Branch, NoNode | SessionError> =>
      Effect.matchEffect(zk.getChildren(at), {
        onFailure: (error) => error._tag === "NoAuth" ? closed(at) : Effect.fail(error),
        onSuccess: ({ children, stat }) => {
          const branch = { path: at, name: nameOf(at), stat }
          if (left === 0) {
            return Effect.succeed<Branch>({ ...branch, children: [], cut: children.length === 0 ? undefined : "depth" })
          }
          return Effect.map(below(at, children, left - 1), (found): Branch => ({
            ...branch,
            children: found.flatMap(Option.toArray),
            cut: undefined
          }))
        }
      })
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
