/** Nodes on their way somewhere else: what is taken from each, and how a tree of them is read. */
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { Acl } from "../ZkAcl.ts"
import { openAcl } from "../ZkAcl.ts"
import type { ZkClient } from "../ZkClient.ts"
import type { NoAuth, NoNode, SessionError } from "../ZkError.ts"
import * as ZkPath from "../ZkPath.ts"
import { formatAcl } from "./acl.ts"
import { CommandFailed } from "./failure.ts"
import { isServers } from "./nodePath.ts"
import { printable } from "./printable.ts"
import { byName } from "./subtree.ts"

export interface TreeNode {
  /** Within the tree: `/` is its root. */
  readonly path: string
  readonly data: Uint8Array | null
  /** `undefined`: everybody may do everything, or nobody asked. */
  readonly acl: ReadonlyArray<Acl> | undefined
}

export interface TreeOptions {
  /** Whether ACLs matter. */
  readonly acl: boolean
  /** Whether to take ephemeral nodes, as if they were persistent, or to leave them out. */
  readonly ephemerals: boolean
}

export const treeFlags = {
  noAcl: Flag.Boolean("no-acl").pipe(
    Flag.withDefault(false),
    Flag.withDescription("Without ACLs: everybody may do everything with the new nodes")
  ),
  ephemerals: Flag.Boolean("ephemerals").pipe(
    Flag.withDefault(false),
    Flag.withDescription("Ephemeral nodes as well, as persistent ones. Default: they are left out")
  )
}

/** A path within a tree, where the tree is. */
export const within = (root: string, path: string): string =>
  path === "/" ? root : root === "/" ? path : `${root}${path}`

const aclKey = (acl: ReadonlyArray<Acl>): string => acl.map(formatAcl).sort(byName).join("\n")

export const isSameAcl = (a: ReadonlyArray<Acl>, b: ReadonlyArray<Acl>): boolean => aclKey(a) === aclKey(b)

/** Reads belong to a session, and may be run in the next as well. */
const patiently = <A, E extends { readonly _tag: string }, R>(read: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.retry(read, { times: 5, while: ({ _tag }) => _tag === "SessionExpired" })

/** Servers hide digests from whoever may not change an ACL. Set again like that, it would shut everybody out. */
const isHidden = ({ id, scheme }: Acl): boolean => scheme === "digest" && /^[^:]*:x$/.test(id)

export const readNode = Effect.fnUntraced(function*(
  zk: ZkClient,
  at: string,
  path: string,
  options: TreeOptions
) {
  const { acl, node } = yield* patiently(Effect.all({
    node: zk.getData(at),
    acl: options.acl ? zk.getAcl(at) : Effect.undefined
  }, { concurrency: "unbounded" }))
  const list = acl === undefined || isSameAcl(acl.acl, openAcl) ? undefined : acl.acl
  if (list?.some(isHidden) === true) {
    const message = `${printable(at)}: its ACL is shown to those only who may change it: be one of them (--user), ` +
      "or leave ACLs out (--no-acl)"
    return yield* new CommandFailed({ reason: "forbidden", message })
  }
  const isLeftOut = node.stat.ephemeralOwner !== BigInt(0) && !options.ephemerals
  return { node: { path, data: node.data, acl: list } satisfies TreeNode, stat: node.stat, isLeftOut }
})

const concurrency = 32

type ReadError = NoNode | NoAuth | SessionError | CommandFailed

export interface Part {
  readonly nodes: ReadonlyArray<TreeNode>
  /** How many ephemeral nodes were left out. */
  readonly leftOut: number
}

/**
 * A node and everything below it, level by level and sorted: parents before children. Some nodes are read ahead of the
 * reader, no more. It is not a picture of one moment: nodes that go meanwhile are left out. One that may not be read
 * ends it, since what is there of the tree then would pass for all of it.
 */
export const readTree = (
  zk: ZkClient,
  root: string,
  options: TreeOptions
): Stream.Stream<Part, ReadError> =>
  Stream.unwrap(Effect.map(patiently(zk.session), (session) => {
    const read = (path: string) =>
      Effect.gen(function*() {
        const at = within(root, path)
        const { isLeftOut, node, stat } = yield* readNode(zk, at, path, options)
        const names = stat.numChildren === 0 ? [] : (yield* patiently(zk.getChildren(at))).children
        const below = [...names].sort(byName).map((name) => ZkPath.join(path, name))
        // The servers' own.
        return {
          node: isLeftOut ? undefined : node,
          below: below.filter((child) => !isServers(session.absolutePath(within(root, child))))
        }
      })
    const readThere = (path: string) =>
      path === "/" ? read(path) : Effect.catchTag(read(path), "NoNode", () => Effect.undefined)
    // As long as a level may be, what has been read is let go.
    let waiting: Array<string> = ["/"]
    let head = 0
    const step: Effect.Effect<readonly [ReadonlyArray<Part>, Option.Option<null>], ReadError> = Effect.gen(function*() {
      const now = waiting.slice(head, head + concurrency)
      head += now.length
      if (head > waiting.length / 2) {
        waiting = waiting.slice(head)
        head = 0
      }
      const found = (yield* Effect.forEach(now, readThere, { concurrency })).filter((each) => each !== undefined)
      for (const { below } of found) for (const path of below) waiting.push(path)
      const nodes = found.flatMap(({ node }) => node === undefined ? [] : [node])
      const part: Part = { nodes, leftOut: found.length - nodes.length }
      return [[part], head === waiting.length ? Option.none() : Option.some(null)]
    })
    return Stream.paginate(null, () => step)
  }))
