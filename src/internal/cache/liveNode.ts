/** A node cache that is kept up to date for as long as a scope is open. */
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import type * as Scope from "effect/Scope"
import type { ZkClient } from "../../ZkClient.ts"
import { NodeCache } from "./nodeCache.ts"
import type { Upkeep } from "./upkeep.ts"
import { keepUp } from "./upkeep.ts"

export interface LiveNode extends Upkeep {
  readonly cache: NodeCache
}

/** Does not wait for what there is to be known. `wantsNames`: those of the children, also if nobody asks for them. */
export const makeLiveNode = (
  client: ZkClient,
  path: string,
  wantsNames: boolean
): Effect.Effect<LiveNode, never, Scope.Scope> =>
  Effect.gen(function*() {
    const run = yield* FiberSet.makeRuntime<never, void, never>()
    const cache = new NodeCache(client, path, wantsNames, (effect) => run(Effect.withTracerEnabled(effect, false)))
    const upkeep = yield* keepUp(client, path, "persistent", cache)
    return { ...upkeep, cache }
  })
