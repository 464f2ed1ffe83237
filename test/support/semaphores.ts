import * as Effect from "effect/Effect"
import type { ZkClient } from "../../src/ZkClient.ts"
import * as ZkSemaphore from "../../src/ZkSemaphore.ts"
import { on, queueUp } from "./locking.ts"

// What tests of semaphores have in common.

export const semaphore = (
  client: ZkClient,
  name: string,
  permits: number,
  options?: Omit<ZkSemaphore.Options, "permits">
) => on(client)(ZkSemaphore.make(name, { permits, ...options }))

const countOf = (client: ZkClient, path: string) =>
  client.getChildren(path).pipe(
    Effect.map(({ children }) => children.length),
    Effect.catchTag("NoNode", () => Effect.succeed(0))
  )

/** How many permits are taken, and how many are in line, as the server knows it. */
export const nodesOf = (client: ZkClient, name: string) =>
  Effect.map(
    Effect.all([countOf(client, `${name}/leases`), countOf(client, `${name}/locks`)]),
    ([leases, waiting]) => ({ leases, waiting })
  )

/** Runs an acquisition in the background until it is in line as the `position`-th (from 1). */
export const lineUp = <A, E, R>(
  client: ZkClient,
  name: string,
  position: number,
  acquisition: Effect.Effect<A, E, R>
) => queueUp(client, `${name}/locks`, position, acquisition)
