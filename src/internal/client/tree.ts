/** Operations on more than one node: parents that are missing, and whole subtrees. */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { CreateError, CreateOptions, ZkClient } from "../../ZkClient.ts"
import type { BadVersion, MultiCause, MultiFailed, NoAuth, NoNode, NotEmpty, SessionError } from "../../ZkError.ts"
import { InvalidInput } from "../../ZkError.ts"
import * as ZkPath from "../../ZkPath.ts"
import type { Created, Data } from "../../ZkTransaction.ts"
import * as ZkTransaction from "../../ZkTransaction.ts"
import { Chroot } from "./chroot.ts"
import type { Core } from "./core.ts"
import { traced } from "./core.ts"
import { createNode } from "./operations.ts"
import { isLost, leftOpen } from "./resolve.ts"
import type { Lost } from "./resolve.ts"

/** How often what others undo meanwhile is done again. */
const maxRounds = 16

/**
 * Creates a node that may be there already, and its parents if the server misses them: from the bottom up, so that
 * nothing is asked of upper levels, which the session may have no rights on.
 */
const ensure = Effect.fnUntraced(function*(
  core: Core,
  path: string,
  options: CreateOptions
): Effect.fn.Return<void, CreateError> {
  for (let round = 1;; round++) {
    const failure = yield* createNode(core, path, null, options).pipe(
      Effect.as(undefined),
      Effect.catch(Effect.succeed)
    )
    if (failure === undefined || failure._tag === "NodeExists") return
    const isLastRound = round === maxRounds
    if (failure._tag === "NoNode" && !isLastRound) yield* ensureParent(core, path, options)
    // Doing it twice does no harm: the second time it exists.
    else if (!isLost(failure) || isLastRound) return yield* failure
  }
})

const ensureParent = (core: Core, path: string, options: CreateOptions): Effect.Effect<void, CreateError> => {
  const parent = ZkPath.parent(path)
  if (parent !== undefined) return ensure(core, parent, options)
  // The node of the chroot itself misses its parents, which only the whole tree has a name for.
  const above = ZkPath.parent(core.chroot.prefix)
  return above === undefined || core.root === undefined ? Effect.void : ensure(core.root, above, options)
}

export const createWithParents = Effect.fnUntraced(function*(
  core: Core,
  path: string,
  parents: boolean | "container",
  create: Effect.Effect<Created, CreateError>
): Effect.fn.Return<Created, CreateError> {
  if (parents === false) return yield* create
  const options: CreateOptions = { mode: parents === "container" ? "container" : "persistent" }
  for (let round = 1;; round++) {
    const attempt = yield* Effect.result(create)
    if (attempt._tag === "Success") return attempt.success
    if (attempt.failure._tag !== "NoNode" || round === maxRounds) return yield* attempt.failure
    yield* ensureParent(core, path, options)
  }
})

const createOrSet = Effect.fnUntraced(function*(
  client: ZkClient,
  path: string,
  data: Data,
  options: CreateOptions | undefined
) {
  for (let round = 1;; round++) {
    const created = yield* Effect.result(client.create(path, data, { ...options, parents: true }))
    if (created._tag === "Success" && created.success.stat !== undefined) return created.success.stat
    if (created._tag === "Failure" && created.failure._tag !== "NodeExists") return yield* created.failure
    const set = yield* Effect.result(client.setData(path, data))
    if (set._tag === "Success") return set.success
    // Deleted in between: create again.
    if (set.failure._tag === "BadVersion") continue
    if (set.failure._tag !== "NoNode" || round === maxRounds) return yield* set.failure
  }
})

// -- subtrees ---------------------------------------------------------------------------------------------------------

const concurrency = 32

/** The paths below a path, level by level; the path itself has to exist. */
const walk = (client: ZkClient, path: string): Stream.Stream<string, NoNode | NoAuth | SessionError> =>
  Stream.unwrap(Effect.sync(() => {
    let waiting: ReadonlyArray<string> = [path]
    let isFirst = true
    const list = (at: string) => {
      const children = Effect.map(client.getChildren(at), (node) => ({ at, children: node.children }))
      return isFirst ? children : Effect.catchTag(children, "NoNode", () => Effect.succeed(undefined))
    }
    const next = Effect.suspend(() => {
      const now = waiting.slice(0, concurrency)
      return Effect.map(Effect.forEach(now, list, { concurrency }), (found) => {
        isFirst = false
        const below: Array<string> = []
        const here: Array<string> = []
        for (const node of found) {
          if (node === undefined) continue
          here.push(node.at)
          for (const name of node.children) below.push(ZkPath.join(node.at, name))
        }
        waiting = [...waiting.slice(concurrency), ...below]
        return here
      })
    })
    const batches = Stream.unfold(
      undefined,
      () => waiting.length === 0 ? Effect.succeed(undefined) : Effect.map(next, (here) => [here, undefined] as const)
    )
    return Stream.flattenIterable(batches)
  }))

/** Deletes in one request; large enough to save round trips, small enough to be one request. */
const batchSize = 128

type DeleteError = NoNode | NoAuth | BadVersion | NotEmpty | SessionError

const fromCause = (cause: MultiCause): Effect.Effect<never, DeleteError> => {
  switch (cause._tag) {
    case "NodeExists":
    case "NoChildrenForEphemerals":
    case "InvalidAcl":
    case "EphemeralOnLocalSession":
    case "QuotaExceeded":
      return Effect.die(new Error(`a delete cannot fail with ${cause._tag}`))
    default:
      return Effect.fail(cause)
  }
}

/** Deletes some nodes below the root of a subtree, none of which has to be there. */
const deleteBatch = (
  client: ZkClient,
  root: string,
  version: number | undefined,
  paths: ReadonlyArray<string>
): Effect.Effect<void, DeleteError> => {
  const guard = version === undefined ? [] : [ZkTransaction.check(root, { version })]
  const ops: ReadonlyArray<ZkTransaction.WriteOp> = [...guard, ...paths.map((path) => ZkTransaction.delete(path))]
  return client.multi(ops).pipe(
    Effect.asVoid,
    Effect.catchTags({
      MultiFailed: (error: MultiFailed): Effect.Effect<void, DeleteError> => {
        if (error.index < guard.length) return fromCause(error.cause)
        if (paths.length > 1) {
          // Somebody was faster with one of them, or has put something below.
          return Effect.forEach(paths, (path) => deleteBatch(client, root, version, [path]), { discard: true })
        }
        // What is not empty is left for the next round.
        return error.cause._tag === "NoNode" || error.cause._tag === "NotEmpty" ? Effect.void : fromCause(error.cause)
      },
      InvalidAcl: (error) => Effect.die(error)
    })
  )
}

const deleteRecursive = Effect.fnUntraced(function*(
  client: ZkClient,
  path: string,
  version: number | undefined
): Effect.fn.Return<void, DeleteError> {
  if (path === "/") {
    return yield* new InvalidInput({ operation: "deleteRecursive", path, reason: "the root cannot be deleted" })
  }
  let lost: Lost | undefined
  for (let round = 1;; round++) {
    const attempt = yield* Effect.result(deleteRound(client, path, version))
    if (attempt._tag === "Success") return
    const { failure } = attempt
    // The deletion whose answer was lost was the last: it has been done.
    if (failure._tag === "NoNode" && lost !== undefined) return
    const again = failure._tag === "NotEmpty" || isLost(failure)
    if (!again || round === maxRounds) {
      return yield* lost !== undefined && "maybeApplied" in failure ? leftOpen(lost, failure) : failure
    }
    if (isLost(failure)) lost = failure
  }
})

const deleteRound = Effect.fnUntraced(function*(
  client: ZkClient,
  path: string,
  version: number | undefined
): Effect.fn.Return<void, DeleteError> {
  const paths = yield* Stream.runCollect(walk(client, path))
  // The version is looked at before anything is gone, and again with each batch.
  if (version !== undefined) yield* deleteBatch(client, path, version, [])
  const below = paths.slice(1).reverse()
  for (let i = 0; i < below.length; i += batchSize) {
    yield* deleteBatch(client, path, version, below.slice(i, i + batchSize))
  }
  yield* client.delete(path, version === undefined ? undefined : { version })
})

type Tree = Pick<ZkClient, "createOrSet" | "ensurePath" | "deleteRecursive" | "walk">

export const makeTree = (core: Core, client: () => ZkClient): Tree => ({
  createOrSet: (path, data, options) =>
    traced("createOrSet", path, Effect.suspend(() => createOrSet(client(), path, data, options))),
  ensurePath: (path, options) =>
    traced("ensurePath", path, ensure(core, path, { mode: options?.mode, acl: options?.acl })),
  deleteRecursive: (path, options) =>
    traced("deleteRecursive", path, Effect.suspend(() => deleteRecursive(client(), path, options?.version))),
  walk: (path) => Stream.suspend(() => walk(client(), path))
})

/** A view without a chroot, for what lies above one. */
export const rootOf = (core: Core): Core =>
  core.root ?? { engine: core.engine, chroot: new Chroot(""), root: undefined, session: core.session }
