/** A dictionary as the children of a node: a node a name, seen through one watch. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { NodeData } from "../../ZkClient.ts"
import type { NoAuth, NotEmpty, SessionError } from "../../ZkError.ts"
import { WriteConflict } from "../../ZkError.ts"
import * as ZkPath from "../../ZkPath.ts"
import { isSameBytes } from "../bytes.ts"
import type { Source } from "../cache/changes.ts"
import { changesOfOne } from "../cache/changes.ts"
import type { LiveTree } from "../cache/liveTree.ts"
import { makeLiveTree } from "../cache/liveTree.ts"
import { seen } from "../cache/upkeep.ts"
import type { Lost } from "../client/resolve.ts"
import { inTheNext, isLost, leftOpen } from "../client/resolve.ts"
import { maxTries } from "../contention.ts"
import { awaitClaims, popNode } from "./claim.ts"
import type { NodeStoreOptions } from "./root.ts"
import { makeRoot } from "./root.ts"
import type { Store, StoreRemoveError, StoreWriteError } from "./store.ts"
import { transactNodes, updateNodes } from "./transactNodes.ts"
import { Turns } from "./turns.ts"

/** Requests under way at a time, where there are many to be made. */
const concurrency = 32

// -- writing one name -------------------------------------------------------------------------------------------------

/**
 * What became of a write whose answer was lost: it is there, or nothing has changed since. If somebody else has written
 * by now nobody can tell.
 */
const resolveSet = (
  { client, root }: NodeStoreOptions,
  path: string,
  data: Uint8Array,
  before: bigint,
  lost: Lost
): Effect.Effect<boolean, NoAuth | SessionError> => {
  const look = Effect.andThen(
    client.sync(path),
    Effect.all([client.getDataOption(path), client.exists(root)], { concurrency: 2 })
  ).pipe(inTheNext)
  return Effect.flatMap(Effect.mapError(look, (later) => leftOpen(lost, later)), ([node, parent]) => {
    if (Option.isSome(node)) {
      if (isSameBytes(node.value.data, data)) return Effect.succeed(true)
      return node.value.stat.mzxid <= before ? Effect.succeed(false) : Effect.fail(lost)
    }
    // No child has come or gone.
    const isUntouched = Option.isSome(parent) && parent.value.pzxid <= before
    return isUntouched ? Effect.succeed(false) : Effect.fail(lost)
  })
}

/** `isThere`: what to try first. */
const setNode = (
  options: NodeStoreOptions,
  path: string,
  data: Uint8Array,
  isThere: boolean
): Effect.Effect<void, StoreWriteError | WriteConflict> => {
  const { acl, client } = options
  const create = client.create(path, data, { acl }).pipe(
    Effect.as(true),
    Effect.catchTags({
      NodeExists: () => Effect.succeed(false),
      EphemeralOnLocalSession: Effect.die
    })
  )
  const set = Effect.as(client.setData(path, data), true).pipe(
    Effect.catchTags({
      NoNode: () => Effect.succeed(false),
      // Any version will do.
      BadVersion: Effect.die
    })
  )
  /** The one that was tried does not fit what is there: `other`. The root is there by now: `same`. */
  const once = (isThere: boolean): Effect.Effect<"done" | "same" | "other", StoreWriteError> =>
    Effect.flatMap(
      client.lastZxid,
      (before) =>
        Effect.map(isThere ? set : create, (isDone) => isDone ? "done" as const : "other" as const).pipe(
          Effect.catch((error): Effect.Effect<"done" | "same", StoreWriteError> => {
            if (error._tag === "NoNode" && options.createRoot) return Effect.as(makeRoot(options), "same")
            if (!isLost(error)) return Effect.fail(error)
            return Effect.map(
              resolveSet(options, path, data, before, error),
              (isDone) => isDone ? "done" : "same"
            )
          })
        )
    )
  const attempt = (isThere: boolean, tries: number): Effect.Effect<void, StoreWriteError | WriteConflict> =>
    Effect.flatMap(once(isThere), (outcome) => {
      if (outcome === "done") return Effect.void
      if (tries === maxTries) return Effect.fail(new WriteConflict({ operation: "set", path, tries }))
      return attempt(outcome === "same" ? isThere : !isThere, tries + 1)
    })
  return attempt(isThere, 1)
}

/** It has children: claims, perhaps. */
interface Blocked {
  readonly error: NotEmpty
  readonly lost: Lost | undefined
}

/** Gives whether there was something to remove. */
const removeNode = (
  { client }: NodeStoreOptions,
  path: string,
  wasThere: boolean,
  lost: Lost | undefined
): Effect.Effect<boolean | Blocked, StoreRemoveError> => {
  const attempt = (tries: number, lost: Lost | undefined): Effect.Effect<boolean | Blocked, StoreRemoveError> =>
    client.delete(path).pipe(
      Effect.as(true),
      // After a lost answer it may have been us.
      Effect.catchTag("NoNode", () => Effect.succeed(lost !== undefined && wasThere)),
      Effect.catch((error): Effect.Effect<boolean | Blocked, StoreRemoveError> => {
        // Any version will do.
        if (error._tag === "BadVersion") return Effect.die(error)
        if (error._tag === "NotEmpty") return Effect.succeed<Blocked>({ error, lost })
        if (isLost(error) && tries < maxTries) return attempt(tries + 1, error)
        // The session ends while we look: the next one tells as much.
        if (lost !== undefined && error._tag === "SessionExpired" && tries < maxTries) return attempt(tries + 1, lost)
        return Effect.fail(lost !== undefined && "maybeApplied" in error ? leftOpen(lost, error) : error)
      })
    )
  return attempt(1, lost)
}

const clearNodes = (
  options: NodeStoreOptions,
  remove: (name: string) => Effect.Effect<boolean, StoreRemoveError>
): Effect.Effect<void, StoreRemoveError> => {
  const { client, isName, root } = options
  return Effect.andThen(client.sync(root), client.getChildren(root)).pipe(
    Effect.flatMap(({ children }) => Effect.forEach(children.filter(isName), remove, { concurrency, discard: true })),
    Effect.catchTag("NoNode", () => Effect.void)
  )
}

// -- all of it --------------------------------------------------------------------------------------------------------

const makeStore = (options: NodeStoreOptions, live: LiveTree): Store => {
  const { client, root } = options
  const { cache } = live
  const turns = new Turns()
  const pathOf = (name: string) => ZkPath.join(root, name)
  let revision = BigInt(cache.childrenOf(root)?.length ?? 0)
  cache.subscribe({
    onChange: ({ path }) => {
      if (path !== root) revision++
    },
    onEnd: () => {}
  })
  const source: Source<NodeData> = {
    present: () => cache.nodes(),
    subscribe: (listener) => cache.subscribe(listener)
  }
  const get = (path: string) => cache.get(path) ?? cache.refusal(path)
  const isThere = (path: string) => get(path) !== undefined
  const set = (name: string, data: Uint8Array) => {
    const path = pathOf(name)
    const write = Effect.suspend(() => setNode(options, path, data, isThere(path)))
    return seen(live, "set", path, turns.take(name, "set", path, write))
  }
  const remove = (name: string): Effect.Effect<boolean, StoreRemoveError> =>
    Effect.suspend(() => {
      const path = pathOf(name)
      const wasThere = isThere(path)
      const attempt = (tries: number, lost: Lost | undefined): Effect.Effect<boolean, StoreRemoveError> =>
        Effect.flatMap(turns.take(name, "remove", path, removeNode(options, path, wasThere, lost)), (outcome) => {
          if (typeof outcome === "boolean") return Effect.succeed(outcome)
          const { error, lost } = outcome
          if (tries === maxTries) return Effect.fail(new WriteConflict({ operation: "remove", path, tries }))
          // Claims do not stand in the way of others, who want to set.
          const waited = Effect.mapError(
            awaitClaims(client, path, "remove"),
            (later) => lost !== undefined && "maybeApplied" in later ? leftOpen(lost, later) : later
          )
          return Effect.flatMap(waited, (isGone) => isGone ? attempt(tries + 1, lost) : Effect.fail(error))
        })
      return attempt(1, undefined)
    })
  return {
    path: root,
    view: {
      problem: () => cache.refusal(root),
      get: (name) => get(pathOf(name)),
      names: () => cache.childrenOf(root) ?? []
    },
    revision: () => revision,
    changes: live.changes.pipe(
      Stream.filter(({ path }) => path !== root),
      Stream.map((change) => ({ ...change, path: ZkPath.name(change.path) }))
    ),
    follow: (name) => changesOfOne(source, pathOf(name), () => cache.get(pathOf(name))),
    freshness: live.freshness,
    freshnessChanges: live.freshnessChanges,
    sync: live.sync,
    set,
    setAll: (all) => Effect.forEach(all, ([name, data]) => set(name, data), { concurrency, discard: true }),
    remove: (name) => seen(live, "remove", pathOf(name), remove(name)),
    clear: seen(live, "clear", root, clearNodes(options, remove)),
    pop: (name, decode) => {
      const popped = Effect.andThen(live.goesOn, popNode(client, pathOf(name), decode))
      // Nobody else has the value: it is given though the view may not show yet, or never, that it was removed.
      return Effect.tap(popped, () => Effect.exit(live.catchUp))
    },
    update: (body) => seen(live, "update", root, updateNodes(options, body)),
    transact: (body) => seen(live, "transact", root, transactNodes(options, body))
  }
}

/** Complete when everything that is there has been read. */
export const makeNodeStore = (
  options: NodeStoreOptions
): Effect.Effect<Store, StoreWriteError, Scope.Scope> =>
  Effect.gen(function*() {
    const { client, isName, root } = options
    if (options.createRoot) yield* makeRoot(options)
    const filter = (path: string) => isName(ZkPath.name(path))
    const live = yield* makeLiveTree({ client, root, depth: 1, filter })
    return makeStore(options, live)
  })
