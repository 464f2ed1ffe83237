/** Copies of nodes and trees as users have them. */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as RcMap from "effect/RcMap"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Children, NodeData, Observed, ZkClient } from "../../ZkClient.ts"
import type { NoAuth, SessionError } from "../../ZkError.ts"
import { InvalidInput, InvalidPath, NoNode } from "../../ZkError.ts"
import type * as ZkMirror from "../../ZkMirror.ts"
import * as ZkPath from "../../ZkPath.ts"
import type { Data } from "../../ZkTransaction.ts"
import { backOff, Courtesy, maxTries } from "../contention.ts"
import type { LiveNode } from "./liveNode.ts"
import { makeLiveNode } from "./liveNode.ts"
import type { LiveTree } from "./liveTree.ts"
import { makeLiveTree } from "./liveTree.ts"
import type { Facet } from "./nodeCache.ts"
import type { Upkeep } from "./upkeep.ts"
import { seen } from "./upkeep.ts"

const sorted = (names: Iterable<string>): ReadonlyArray<string> => [...names].sort()

const mirrored = (path: string, upkeep: Upkeep): ZkMirror.Mirrored => ({
  path,
  freshness: upkeep.freshness,
  freshnessChanges: upkeep.freshnessChanges,
  sync: upkeep.sync,
  awaitZxid: upkeep.awaitZxid
})

// -- one node ---------------------------------------------------------------------------------------------------------

const toState = <A>(seen: Observed<A> | undefined): ZkMirror.MirrorState<A> => {
  if (seen === undefined) return { _tag: "Unknown" }
  const { node, zxid } = seen
  return Option.isSome(node) ? { _tag: "Present", zxid, node: node.value } : { _tag: "Missing", zxid }
}

const sortChildren = ({ children, stat }: Children): Children => ({ children: sorted(children), stat })

const follow = <A>(live: LiveNode, facet: Facet<A>) =>
  Stream.unwrap(Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => {
        const follower = facet.follow()
        live.cache.readRefused()
        return follower
      }),
      ({ stop }) => Effect.sync(stop)
    ),
    ({ pull }) => Stream.fromPull(Effect.succeed(pull))
  ))

export const makeNode = (client: ZkClient, path: string, live: LiveNode): ZkMirror.MirrorNode => {
  const { cache } = live
  /** What is known, once anything is. */
  const known = <A>(facet: Facet<A>, operation: string) => {
    const look = (isLast: boolean): Effect.Effect<A, NoNode | NoAuth | SessionError> =>
      Effect.suspend(() => {
        const { refusal, state } = facet
        if (cache.reads.over !== undefined) return Effect.failCause(cache.reads.over)
        if (refusal !== undefined && isLast) return Effect.fail(refusal)
        // Waits no longer than any request, and looks whether what was refused is allowed by now.
        if (state === undefined || refusal !== undefined) return Effect.andThen(live.sync, look(true))
        return Option.isSome(state.node)
          ? Effect.succeed(state.node.value)
          : Effect.fail(new NoNode({ operation, path }))
      })
    return look(false)
  }
  const shown = <A, E, R>(operation: string, write: Effect.Effect<A, E, R>) => seen(live, operation, path, write)
  const updates = new Courtesy()
  const update: ZkMirror.MirrorNode["update"] = <E = never, R = never>(
    f: (node: NodeData) => Data | Effect.Effect<Data, E, R>
  ) => {
    const attempt = (tries: number): ReturnType<typeof update<E, R>> =>
      Effect.gen(function*() {
        const node = yield* client.getData(path)
        const made = f(node)
        const data = Effect.isEffect(made) ? yield* made : made
        const written = client.setData(path, data, { version: node.stat.version })
        if (tries === maxTries) return yield* written
        return yield* Effect.catchTag(written, "BadVersion", () => Effect.andThen(backOff(tries), attempt(tries + 1)))
      })
    return updates.inTurn(path, shown("setData", attempt(1)))
  }
  return {
    ...mirrored(path, live),
    state: Effect.sync(() => toState(cache.value.state)),
    childrenState: Effect.sync(() => {
      const state = toState(cache.names.state)
      return state._tag === "Present" ? { ...state, node: sortChildren(state.node) } : state
    }),
    value: known(cache.value, "getData"),
    children: Effect.suspend(() => {
      cache.wantNames()
      return Effect.map(known(cache.names, "getChildren"), ({ children }) => sorted(children))
    }),
    changes: follow(live, cache.value),
    childrenChanges: Stream.suspend(() => {
      cache.wantNames()
      return Stream.map(follow(live, cache.names), Option.map(({ children }) => sorted(children)))
    }),
    create: (data, options) => shown("create", client.create(path, data, options)),
    set: (data, options) => shown("setData", client.setData(path, data, options)),
    delete: (options) => shown("delete", client.delete(path, options)),
    update
  }
}

/** Only what people write too much of. */
const normalize = (path: string): string => `/${path.split("/").filter((name) => name !== "").join("/")}`

// -- a tree -----------------------------------------------------------------------------------------------------------

const makeTree = (path: string, live: LiveTree): ZkMirror.MirrorTree => {
  const { cache } = live
  return {
    ...mirrored(path, live),
    get: (at) => Effect.sync(() => Option.fromUndefinedOr(cache.get(at))),
    children: (at) => Effect.sync(() => Option.map(Option.fromUndefinedOr(cache.childrenOf(at)), sorted)),
    entries: Effect.sync((): ReadonlyMap<string, NodeData> => new Map(cache.nodes())),
    size: Effect.sync(() => cache.size),
    unreadable: Effect.sync(() => cache.unreadable()),
    changes: live.changes
  }
}

const tree = (client: ZkClient, root: string, { depth = Infinity, filter }: ZkMirror.TreeOptions) =>
  Effect.suspend(() => {
    if (depth !== Infinity && !(Number.isInteger(depth) && depth >= 0)) {
      return Effect.fail(new InvalidInput({ operation: "tree", path: root, reason: `a depth of ${depth} levels` }))
    }
    return Effect.map(
      makeLiveTree({ client, root, depth, filter }),
      (live) => makeTree(root, live)
    )
  })

export const make = (client: ZkClient): Effect.Effect<ZkMirror.ZkMirror, never, Scope.Scope> =>
  Effect.gen(function*() {
    const scope = yield* Effect.scope
    /** Ends with the caller's scope, and with the mirror's at the latest; at once if nothing comes of it. */
    const within = <A, E>(effect: Effect.Effect<A, E, Scope.Scope>): Effect.Effect<A, E, Scope.Scope> =>
      Effect.flatMap(
        Effect.acquireRelease(Scope.fork(scope), (inner, exit) => Scope.close(inner, exit)),
        (inner) => Effect.onError(Scope.provide(effect, inner), (cause) => Scope.close(inner, Exit.failCause(cause)))
      )
    const nodes = yield* RcMap.make({
      lookup: (path: string) => Effect.map(makeLiveNode(client, path, true), (live) => makeNode(client, path, live))
    })
    return {
      node: (path) =>
        Effect.suspend(() => {
          const at = normalize(path)
          const reason = ZkPath.problem(at)
          return reason === undefined ? RcMap.get(nodes, at) : Effect.fail(new InvalidPath({ path, reason }))
        }),
      tree: (path, options) => within(tree(client, path, options ?? {})),
      chroot: (path) => within(Effect.flatMap(client.chroot(path), make))
    }
  })
