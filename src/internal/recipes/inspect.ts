/** Who holds a lock and who waits for it, and what can be done about that from outside. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { ZkClient } from "../../ZkClient.ts"
import type { BadVersion, NoAuth, NotEmpty, QuotaExceeded, SessionError } from "../../ZkError.ts"
import type { Contender } from "../../ZkLock.ts"
import * as ZkPath from "../../ZkPath.ts"
import * as ZkStat from "../../ZkStat.ts"
import type { Layout } from "./layout.ts"
import * as owner from "./owner.ts"
import type { Place } from "./queue.ts"
import { holdersOf, readQueue } from "./queue.ts"

export interface Inspected {
  readonly client: ZkClient
  readonly path: string
  readonly layout: Layout
}

const concurrency = 16

const queueOf = ({ client, layout, path }: Inspected): Effect.Effect<ReadonlyArray<Place>, NoAuth | SessionError> =>
  client.getChildren(path).pipe(
    Effect.map(({ children }) => readQueue(children, layout.parse)),
    Effect.catchTag("NoNode", () => Effect.succeed([]))
  )

export const contenders = (lock: Inspected): Effect.Effect<ReadonlyArray<Contender>, NoAuth | SessionError> =>
  Effect.gen(function*() {
    const { client, layout } = lock
    const queue = yield* queueOf(lock)
    const holders = new Set(holdersOf(queue))
    const read = yield* Effect.forEach(queue, (place) => {
      const path = ZkPath.join(lock.path, place.name)
      return Effect.map(
        client.getDataOption(path),
        Option.map(({ stat, text }): Contender => ({
          path,
          kind: place.kind,
          sequence: place.sequence,
          isHolder: holders.has(place),
          sessionId: stat.ephemeralOwner,
          created: ZkStat.created(stat),
          owner: owner.read(text),
          text,
          revoking: text === layout.revocation
        }))
      )
    }, { concurrency })
    // Those that have gone meanwhile are not in line any more.
    return read.flatMap(Option.toArray)
  })

export const isLocked = (lock: Inspected): Effect.Effect<boolean, NoAuth | SessionError> =>
  Effect.map(queueOf(lock), (queue) => queue.length > 0)

/**
 * Does something to every candidate; gives how many were still there for it. From the end of the line on: whoever
 * waits must not come to hold the lock in between.
 */
const forEachCandidate = <E>(
  lock: Inspected,
  isDone: (path: string) => Effect.Effect<boolean, E>
): Effect.Effect<number, E | NoAuth | SessionError> =>
  Effect.flatMap(queueOf(lock), (queue) =>
    Effect.map(
      Effect.forEach([...queue].reverse(), ({ name }) => isDone(ZkPath.join(lock.path, name)), { concurrency }),
      (done) => done.filter(Boolean).length
    ))

const hasGone = () => Effect.succeed(false)

export const revokeAll = (
  lock: Inspected
): Effect.Effect<number, NoAuth | BadVersion | QuotaExceeded | SessionError> =>
  forEachCandidate(lock, (path) => {
    const ask = Effect.as(lock.client.setData(path, lock.layout.revocation), true)
    return Effect.catchTag(ask, "NoNode", hasGone)
  })

export const clear = (lock: Inspected): Effect.Effect<number, NoAuth | BadVersion | NotEmpty | SessionError> =>
  forEachCandidate(lock, (path) => {
    const remove = Effect.as(lock.client.delete(path), true)
    return Effect.catchTag(remove, "NoNode", hasGone)
  })
