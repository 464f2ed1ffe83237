import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as ZkClient from "../../src/ZkClient.ts"
import type * as ZkLock from "../../src/ZkLock.ts"
import { freshPath, shared } from "./shared.ts"
import { patience } from "./wait.ts"

// What tests of locks have in common.

/** A client of its own on the shared server. */
export const lockClient = (options?: Parameters<typeof ZkClient.make>[0]) =>
  Effect.flatMap(
    shared,
    ({ connectString }) => ZkClient.make({ hosts: connectString, sessionTimeout: "10 seconds", ...options })
  )

/** Two clients, and an absolute name for a lock that nobody else uses. */
export const twoClients = Effect.gen(function*() {
  return { a: yield* lockClient(), b: yield* lockClient(), name: yield* freshPath }
})

/** What wants a client gets this one. */
export const on = (client: ZkClient.ZkClient) => <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.provideService(effect, ZkClient.ZkClient, client)

/** Waits until so many candidates are in line; 10 s at most. */
export const awaitCandidates = (client: ZkClient.ZkClient, path: string, count: number) =>
  client.childrenChanges(path).pipe(
    Stream.filter((node) => (Option.isNone(node) ? 0 : node.value.children.length) === count),
    Stream.runHead,
    Effect.timeout(10_000 * patience),
    Effect.asVoid
  )

/** Runs an acquisition in the background until it is in line as the `position`-th (from 1). */
export const queueUp = <A, E, R>(
  client: ZkClient.ZkClient,
  path: string,
  position: number,
  acquisition: Effect.Effect<A, E, R>
) =>
  Effect.tap(
    Effect.forkScoped(acquisition, { startImmediately: true }),
    () => awaitCandidates(client, path, position)
  )

/** Runs an acquisition in the background until it knows that it has to wait; before that its candidate is not its own. */
export const inLine = <A, E, R>(
  acquire: (options: Pick<ZkLock.AcquireOptions, "onStatus">) => Effect.Effect<A, E, R>
) =>
  Effect.flatMap(Deferred.make<void>(), (queued) =>
    Effect.tap(
      Effect.forkScoped(
        acquire({
          onStatus: ({ _tag }) => _tag === "Queued" ? Effect.asVoid(Deferred.succeed(queued, undefined)) : Effect.void
        }),
        { startImmediately: true }
      ),
      () => Effect.timeout(Deferred.await(queued), 10_000 * patience)
    ))
