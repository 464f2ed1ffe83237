/** Clients by URL: which URLs are the same, and which clients are not worth keeping. */
import type * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as LayerMap from "effect/LayerMap"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import * as ZkClient from "../../ZkClient.ts"
import type { ClientsOptions, ZkClients } from "../../ZkClients.ts"
import { formatServer } from "../transport.ts"
import { formatUrl, parseUrl } from "./url.ts"
import { wrong } from "./values.ts"

export const TypeId = "~effect-zookeeper/ZkClients"

/** The same for all URLs of one meaning. The order of servers is one where clients are told to keep to it. */
const keyOf = (text: string, isOrdered: boolean): Result.Result<string, string> =>
  Result.map(parseUrl(text), (url) => {
    if (url.servers === undefined) return formatUrl(url)
    const distinct = new Map(url.servers.map(({ host, port }) => {
      const server = { host: host.toLowerCase(), port }
      return [formatServer(server), server]
    }))
    const names = isOrdered ? [...distinct.keys()] : [...distinct.keys()].toSorted()
    return formatUrl({ ...url, servers: names.flatMap((name) => distinct.get(name) ?? []) })
  })

export const make = Effect.fnUntraced(function*(
  options: ClientsOptions = {}
): Effect.fn.Return<ZkClients, never, Scope.Scope> {
  const { idleTimeToLive = "1 minute", ...lookup } = options
  const provider = yield* ConfigProvider.ConfigProvider

  /** The map keeps a failure for as long as it keeps a client. */
  const failed = new Set<string>()

  const map = yield* LayerMap.make(
    (url: string) => {
      failed.delete(url)
      const layer = ZkClient.layerUrl(url, lookup)
      // Not that of whoever happens to ask first.
      return Layer.tapCause(layer, () => Effect.sync(() => failed.add(url))).pipe(
        Layer.provide(ConfigProvider.layer(provider))
      )
    },
    { idleTimeToLive }
  )

  const isOver = (client: ZkClient.ZkClient): Effect.Effect<boolean> =>
    Effect.map(
      client.state,
      ({ _tag }) => _tag === "Closed" || _tag === "AuthFailed" || (_tag === "Expired" && lookup.onExpiry === "end")
    )

  const isUseless = (key: string): Effect.Effect<boolean> =>
    Effect.suspend(() => {
      if (failed.delete(key)) return Effect.succeed(true)
      return Effect.flatMap(
        Effect.exit(Effect.scoped(map.contextEffectOption(key))),
        (kept) =>
          Exit.isSuccess(kept) && Option.isSome(kept.value)
            ? isOver(Context.get(kept.value.value, ZkClient.ZkClient))
            : Effect.succeed(false)
      )
    })

  const withKey = <A, E, R>(
    url: string,
    use: (key: string) => Effect.Effect<A, E, R>
  ): Effect.Effect<A, E | Config.ConfigError, R> =>
    Effect.suspend((): Effect.Effect<A, E | Config.ConfigError, R> => {
      const key = keyOf(url, lookup.shuffle === false)
      return Result.isFailure(key) ? Effect.fail(wrong("the URL", key.failure)) : use(key.success)
    })

  const contextOf = (url: string) =>
    withKey(
      url,
      (key) =>
        Effect.flatMap(isUseless(key), (useless) =>
          useless ? Effect.andThen(map.invalidate(key), map.contextEffect(key)) : map.contextEffect(key))
    )

  return {
    [TypeId]: TypeId,
    get: (url) => Layer.effectContext(contextOf(url)),
    client: (url) => Effect.map(contextOf(url), Context.get(ZkClient.ZkClient)),
    invalidate: (url) => withKey(url, (key) => map.invalidate(key))
  }
})
