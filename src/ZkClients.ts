/**
 * Clients by URL: as many as a program asks for, one session for each URL.
 *
 * A program that knows its ensembles gives each a name (`ZkClient.Service`). One that is told where to go while it runs
 * (a tool, a gateway, a service with tenants) asks for a client by URL, as often as it likes: whoever asks for the same
 * URL gets the same client, and the last who lets go of it leaves it behind for a while, in case somebody asks again.
 *
 * **Details**
 *
 * - The same URL is one with the same meaning: spelling, default ports, the order of servers, servers that are named
 *   twice, slashes too many and the case of host names make no difference.
 * - What URLs leave out comes from configuration: that of the layer, read when a client is made. See `ZkConfig.options`.
 * - A client that could not be made is no client: the next who asks has another one made. So it is when a client is over
 *   because a server refused its credentials, or its session ended with `onExpiry: "end"`.
 * - A client belongs to the layer: it logs as the layer does, without the annotations and spans of who asks first.
 * - Each client has a session, states and events of its own. What happens to one concerns no other.
 * - All of them end with the layer.
 *
 * **Example** (Copying from one ensemble to another)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { ZkClient, ZkClients } from "effect-zookeeper"
 *
 * const read = Effect.flatMap(ZkClient.ZkClient, (zk) => zk.getData("/limits"))
 *
 * const copy = Effect.fn("copy")(function*(from: string, to: string) {
 *   const { data } = yield* read.pipe(Effect.provide(ZkClients.get(from)))
 *   const write = Effect.flatMap(ZkClient.ZkClient, (zk) => zk.createOrSet("/limits", data))
 *   yield* write.pipe(Effect.provide(ZkClients.get(to)))
 * })
 *
 * const main = copy("zookeeper://zk-old/app", "zookeeper://zk-new/app").pipe(Effect.provide(ZkClients.layer()))
 * ```
 *
 * @stability unstable
 * @since 0.1.0
 */
import type * as Config from "effect/Config"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as internal from "./internal/config/clients.ts"
import type { MakeError, ZkClient } from "./ZkClient.ts"
import type * as ZkConfig from "./ZkConfig.ts"

/**
 * Why there is no client for a URL: `ConfigError` for a URL or a configuration that cannot be used, otherwise as
 * `ZkClient.make`.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export type ClientError = MakeError | Config.ConfigError

/**
 * The settings of all clients.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export interface ClientsOptions extends Omit<ZkConfig.Lookup, "url"> {
  /** How long a client stays that nobody uses. `0` ends it at once. Default: 1 minute. */
  readonly idleTimeToLive?: Duration.Input | undefined
}

/**
 * Clients by URL.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export interface ZkClients {
  readonly [internal.TypeId]: typeof internal.TypeId
  /** The client for a URL as a layer. */
  readonly get: (url: string) => Layer.Layer<ZkClient, ClientError>
  /**
   * The client for a URL, for the time of a scope. Interruption ends the waiting; the client is made all the same, for
   * whoever asks next, unless `idleTimeToLive` is `0` and nobody else waits for it.
   */
  readonly client: (url: string) => Effect.Effect<ZkClient, ClientError, Scope.Scope>
  /**
   * Has the next who asks for a URL get a new client. Who has the present one keeps it; when nobody has, it ends at once.
   */
  readonly invalidate: (url: string) => Effect.Effect<void, Config.ConfigError>
}

/**
 * The service key of {@link ZkClients}.
 *
 * @stability unstable
 * @category services
 * @since 0.1.0
 */
export const ZkClients: Context.Service<ZkClients, ZkClients> = Context.Service<ZkClients>("effect-zookeeper/ZkClients")

/**
 * Clients by URL, which end with the scope. Connects to nobody.
 *
 * @stability unstable
 * @category constructors
 * @since 0.1.0
 */
export const make: (options?: ClientsOptions) => Effect.Effect<ZkClients, never, Scope.Scope> = internal.make

/**
 * A layer with clients by URL. See {@link make}.
 *
 * @stability unstable
 * @category layers
 * @since 0.1.0
 */
export const layer = (options?: ClientsOptions): Layer.Layer<ZkClients> => Layer.effect(ZkClients, make(options))

/**
 * The client for a URL, from {@link ZkClients}. Fails as `ZkClient.layerUrl` does.
 *
 * **Example** (One URL, asked for twice)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { ZkClient, ZkClients } from "effect-zookeeper"
 *
 * const children = Effect.flatMap(ZkClient.ZkClient, (zk) => zk.getChildren("/"))
 *
 * // One session: both are the same URL.
 * const both = Effect.all([
 *   Effect.provide(children, ZkClients.get("zookeeper://zk1/app")),
 *   Effect.provide(children, ZkClients.get("zookeeper://zk1:2181/app/"))
 * ])
 * ```
 *
 * @stability unstable
 * @category layers
 * @since 0.1.0
 */
export const get = (url: string): Layer.Layer<ZkClient, ClientError, ZkClients> =>
  Layer.unwrap(Effect.map(ZkClients, (clients) => clients.get(url)))
