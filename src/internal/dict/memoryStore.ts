/** A dictionary in memory, for tests of programs that use one. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { WriteConflict } from "../../ZkError.ts"
import type { Freshness } from "../../ZkMirror.ts"
import { backOff, maxTries } from "../contention.ts"
import type { Entries } from "./mapView.ts"
import { MapView } from "./mapView.ts"
import type { Store } from "./store.ts"
import { wholeOperations, WholeTransaction } from "./wholeStore.ts"

const path = "/memory"
const live: Freshness = { _tag: "Live" }

export const makeMemoryStore: Effect.Effect<Store, never, Scope.Scope> = Effect.gen(function*() {
  const view = new MapView()
  let isOver = false
  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      isOver = true
      view.end()
    })
  )
  let current: Entries = new Map()

  const transact = <A, E, R>(
    operation: string,
    body: (transaction: WholeTransaction) => Effect.Effect<A, E, R>
  ): Effect.Effect<A, E | WriteConflict, R> => {
    const attempt = (tries: number): Effect.Effect<A, E | WriteConflict, R> =>
      Effect.suspend(() => {
        const before = current
        const transaction = new WholeTransaction(before, () => true)
        return Effect.flatMap(body(transaction), (result) => {
          const next = transaction.result()
          if (next === undefined) return Effect.succeed(result)
          if (current === before) {
            current = next
            view.replace(next)
            return Effect.succeed(result)
          }
          return tries === maxTries
            ? Effect.fail(new WriteConflict({ operation, path, tries }))
            : Effect.andThen(backOff(tries), attempt(tries + 1))
        })
      })
    // As everywhere else, nothing is written after the end.
    return Effect.suspend(() => isOver ? Effect.interrupt : attempt(1))
  }

  return {
    path,
    view: { problem: () => undefined, get: (name) => view.get(name), names: () => view.names() },
    revision: () => view.revision,
    changes: view.changes,
    follow: (name) => view.follow(name),
    freshness: Effect.succeed(live),
    // Nothing follows the first, but it does not end either.
    freshnessChanges: Stream.concat(Stream.succeed(live), Stream.never),
    sync: Effect.void,
    ...wholeOperations<never>(path, transact, transact)
  }
})
