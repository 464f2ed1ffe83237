import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { type EnsembleHandle, type EnsembleOptions, makeEnsemble } from "./ensemble.ts"
import { makeProxy, type Proxy } from "./proxy.ts"
import { type RigError, rigError } from "./rigError.ts"
import type { ServerHandle } from "./serverHandle.ts"

/** An ensemble with a proxy before each member's client port. */
export interface ProxiedEnsembleHandle {
  readonly ensemble: EnsembleHandle
  /** In the order of `ensemble.servers`. */
  readonly proxies: ReadonlyArray<Proxy>
  /** The proxies: clients that use it reach no member directly. */
  readonly connectString: string
  readonly proxyOf: (server: ServerHandle) => Effect.Effect<Proxy, RigError>
}

export const makeProxiedEnsemble = (
  options: EnsembleOptions = {}
): Effect.Effect<ProxiedEnsembleHandle, RigError, Scope.Scope> =>
  Effect.gen(function*() {
    const ensemble = yield* makeEnsemble(options)
    const proxies = yield* Effect.forEach(ensemble.servers, (server) => makeProxy(server.port))
    return {
      ensemble,
      proxies,
      connectString: proxies.map((proxy) => proxy.connectString).join(","),
      proxyOf: (server) => {
        const proxy = proxies[ensemble.servers.findIndex(({ id }) => id === server.id)]
        return proxy === undefined
          ? Effect.fail(rigError(`no member ${server.id} in this ensemble`))
          : Effect.succeed(proxy)
      }
    }
  })

/** `Layer`: `ProxiedEnsemble.layer()`; then `const { ensemble, proxies } = yield* ProxiedEnsemble`. */
export class ProxiedEnsemble extends Context.Service<ProxiedEnsemble, ProxiedEnsembleHandle>()("test/ProxiedEnsemble") {
  static readonly layer = (options: EnsembleOptions = {}): Layer.Layer<ProxiedEnsemble, RigError> =>
    Layer.effect(this, makeProxiedEnsemble(options))
}
