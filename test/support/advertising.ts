import * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as ZkAdvertisement from "../../src/ZkAdvertisement.ts"
import * as ZkClient from "../../src/ZkClient.ts"
import { makeProxy } from "./proxy.ts"
import { freshRoot, shared } from "./shared.ts"
import { patience } from "./wait.ts"

// What tests of advertisements have in common.

/** An advertisement by way of this client. */
export const advertise = <A, I, RD = never, RE = never, R = never>(
  client: ZkClient.ZkClient,
  path: string,
  options: ZkAdvertisement.Options<A, I, RD, RE, R>
): Effect.Effect<ZkAdvertisement.ZkAdvertisement<A>, ZkAdvertisement.MakeError, Scope.Scope | RE | R> =>
  Effect.provideService(ZkAdvertisement.make(path, options), ZkClient.ZkClient, client) as Effect.Effect<
    ZkAdvertisement.ZkAdvertisement<A>,
    ZkAdvertisement.MakeError,
    Scope.Scope | RE | R
  >

/** Who advertises, through a proxy, in a scope that the test closes; and another client, which looks. */
export const advertising = (options?: { readonly connected?: boolean }) =>
  Effect.gen(function*() {
    const { connectString, port } = yield* shared
    const proxy = yield* makeProxy(port)
    const zk = yield* ZkClient.make({
      hosts: proxy.connectString,
      sessionTimeout: "4 seconds",
      lazy: options?.connected === false
    })
    const other = yield* ZkClient.make({ hosts: connectString })
    return { zk, other, proxy, port, root: yield* freshRoot }
  })

export const becomesState = <A>(
  advertisement: ZkAdvertisement.ZkAdvertisement<A>,
  isIt: (state: ZkAdvertisement.AdvertisementState) => boolean
): Effect.Effect<Option.Option<ZkAdvertisement.AdvertisementState>, unknown> =>
  advertisement.changes.pipe(Stream.filter(isIt), Stream.runHead, Effect.timeout(10_000 * patience))

/** Where it is, once the latest value is there. */
export const upToDate = <A>(advertisement: ZkAdvertisement.ZkAdvertisement<A>) =>
  advertisement.changes.pipe(
    Stream.filter((state) => state._tag === "Advertised"),
    Stream.filter((state) => state.upToDate),
    Stream.take(1),
    Stream.runCollect,
    Effect.map(([state]) => state!),
    Effect.timeout(10_000 * patience)
  )

/** The node as another client sees it, once it is as wanted; a second at most. */
export const seenAs = (
  other: ZkClient.ZkClient,
  path: string,
  isIt: (node: Option.Option<ZkClient.NodeData>) => boolean
) =>
  other.changes(path).pipe(
    Stream.filter(isIt),
    Stream.runHead,
    Effect.timeout(1_000 * patience)
  )
