/** A tree cache that is kept up to date for as long as a scope is open. */
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import type { NoAuth, SessionError, StreamError } from "../../ZkError.ts"
import type { TreeChange } from "../../ZkMirror.ts"
import { changesOf } from "./changes.ts"
import type { TreeCacheOptions } from "./treeCache.ts"
import { TreeCache } from "./treeCache.ts"
import type { Upkeep } from "./upkeep.ts"
import { keepUp } from "./upkeep.ts"

export interface LiveTree extends Upkeep {
  readonly cache: TreeCache
  /** The present nodes as additions, then all changes. */
  readonly changes: Stream.Stream<TreeChange, StreamError>
}

/** Comes back when everything that is there has been read. */
export const makeLiveTree = (
  options: TreeCacheOptions
): Effect.Effect<LiveTree, NoAuth | SessionError, Scope.Scope> =>
  Effect.gen(function*() {
    const { client, root } = options
    const run = yield* FiberSet.makeRuntime<never, void, never>()
    const cache = new TreeCache(options, (effect) => run(Effect.withTracerEnabled(effect, false)))
    const upkeep = yield* keepUp(client, root, "recursive", cache)
    yield* upkeep.catchUp
    const refusal = cache.refusal(root)
    if (refusal !== undefined) return yield* refusal
    return {
      ...upkeep,
      cache,
      changes: changesOf({ present: () => cache.nodes(), subscribe: (listener) => cache.subscribe(listener) })
    }
  })
