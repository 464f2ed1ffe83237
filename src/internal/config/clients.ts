/** Clients by URL: which URLs are the same, and which clients are not worth keeping. */
import type * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as RcMap from "effect/RcMap"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import * as ZkClient from "../../ZkClient.ts"
import type { ClientsOptions, ZkClients } from "../../ZkClients.ts"
import { formatServer } from "../transport.ts"
import { canonicalServer } from "./servers.ts"
import { formatUrl, parseUrl } from "./url.ts"
import { wrong } from "./values.ts"

export const TypeId = "~effect-zookeeper/ZkClients"

/** The same for all URLs of one meaning. The order of servers is one where clients are told to keep to it. */
const keyOf = (text: string, isOrdered: boolean): Result.Result<string, string> =>
  Result.map(parseUrl(text), (url) => {
    if (url.servers === undefined) return formatUrl(url)
    const distinct = new Map(url.servers.map(canonicalServer).map((server) => [formatServer(server), server]))
    const names = isOrdered ? [...distinct.keys()] : [...distinct.keys()].toSorted()
    return formatUrl({ ...url, servers: names.flatMap((name) => distinct.get(name) ?? []) })
  })

interface Attempt {
  client: ZkClient.ZkClient | undefined
  failed: boolean
}

export const make = Effect.fnUntraced(function*(
  options: ClientsOptions = {}
): Effect.fn.Return<ZkClients, never, Scope.Scope> {
  const { idleTimeToLive = "1 minute", ...lookup } = options
  /** Who asks first has a client made, and no say in how: what goes on in it is not part of a request of his. */
  const context = yield* Effect.context<never>()
  /** The latest attempt for each URL. */
  const latest = new Map<string, Attempt>()

  const attemptFor = (url: string): Effect.Effect<Attempt, never, Scope.Scope> =>
    Effect.acquireRelease(
      Effect.sync(() => {
        const attempt: Attempt = { client: undefined, failed: false }
        latest.set(url, attempt)
        return attempt
      }),
      (attempt) =>
        Effect.sync(() => {
          if (latest.get(url) === attempt) latest.delete(url)
        })
    )

  const makeClient = (url: string) =>
    Effect.flatMap(attemptFor(url), (attempt) =>
      // The layer leaves nothing behind when it fails, though the scope stays open.
      Layer.build(ZkClient.layerUrl(url, lookup)).pipe(
        Effect.map((built) => attempt.client = Context.get(built, ZkClient.ZkClient)),
        Effect.onError(() =>
          Effect.sync(() => {
            attempt.failed = true
          })
        )
      ))

  const map = yield* RcMap.make({
    lookup: (url: string) =>
      Effect.updateContext(
        makeClient(url),
        (asker: Context.Context<Scope.Scope>) => Context.add(context, Scope.Scope, Context.get(asker, Scope.Scope))
      ),
    idleTimeToLive
  })

  const isOver = (client: ZkClient.ZkClient): Effect.Effect<boolean> =>
    Effect.map(
      client.state,
      ({ _tag }) => _tag === "Closed" || _tag === "AuthFailed" || (_tag === "Expired" && lookup.onExpiry === "end")
    )

  const isUseless = ({ client, failed }: Attempt): Effect.Effect<boolean> =>
    failed ? Effect.succeed(true) : client === undefined ? Effect.succeed(false) : isOver(client)

  /** The map keeps a failure, and a client that is over, for as long as any other client. */
  const dropUseless = (key: string): Effect.Effect<void> =>
    Effect.suspend(() => {
      const attempt = latest.get(key)
      if (attempt === undefined) return Effect.void
      return Effect.flatMap(isUseless(attempt), (useless) => {
        // Somebody else may have had it replaced by now.
        if (!useless || latest.get(key) !== attempt) return Effect.void
        latest.delete(key)
        return RcMap.invalidate(map, key)
      })
    }).pipe(Effect.uninterruptible)

  const withKey = <A, E, R>(
    url: string,
    use: (key: string) => Effect.Effect<A, E, R>
  ): Effect.Effect<A, E | Config.ConfigError, R> =>
    Effect.suspend((): Effect.Effect<A, E | Config.ConfigError, R> => {
      const key = keyOf(url, lookup.shuffle === false)
      return Result.isFailure(key) ? Effect.fail(wrong("the URL", key.failure)) : use(key.success)
    })

  const client: ZkClients["client"] = (url) =>
    withKey(url, (key) => Effect.andThen(dropUseless(key), RcMap.get(map, key)))

  return {
    [TypeId]: TypeId,
    get: (url) => Layer.effect(ZkClient.ZkClient, client(url)),
    client,
    invalidate: (url) => withKey(url, (key) => RcMap.invalidate(map, key))
  }
})
