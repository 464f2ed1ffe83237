/** A dictionary as users have it: keys and values in place of names and bytes. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import type { ValueDecodeError, ValueEncodeError } from "../../ZkCodec.ts"
import type { Change, Transaction, ZkDict } from "../../ZkDict.ts"
import { Courtesy } from "../contention.ts"
import type { InvalidDictKey } from "./dictErrors.ts"
import { KeyNotFound } from "./dictErrors.ts"
import { settled } from "./settled.ts"
import type { Entry, Store, StoreChange, Transaction as StoreTransaction, Unreadable } from "./store.ts"
import type { Values } from "./values.ts"

export const typed = <K extends string | number, V, E, W extends { readonly _tag: string }, P extends W & E>(
  store: Store<W, P>,
  values: Values<K, V>,
  /** Whether what is shown may be given. */
  isFresh: Effect.Effect<void, E>
): ZkDict<K, V, E, W> => {
  const { path, view } = store
  const notFound = (key: K) => new KeyNotFound({ path, key: String(key) })

  // -- reads ----------------------------------------------------------------------------------------------------------

  const readable: Effect.Effect<void, E | Unreadable> = Effect.andThen(
    isFresh,
    Effect.suspend(() => {
      const problem = view.problem()
      return problem === undefined ? Effect.void : Effect.fail(problem)
    })
  )
  const reading = <A, E2>(read: () => Effect.Effect<A, E2>): Effect.Effect<A, E | Unreadable | E2> =>
    Effect.andThen(readable, Effect.suspend(read))

  const named = <A, E2, R2>(key: K, use: (name: string) => Effect.Effect<A, E2, R2>) =>
    Effect.suspend((): Effect.Effect<A, E2 | InvalidDictKey, R2> => {
      const name = values.toName(key)
      return Result.isFailure(name) ? Effect.fail(name.failure) : use(name.success)
    })

  const decode = (name: string, { data }: Entry): Effect.Effect<V, ValueDecodeError> =>
    values.codecOf(name).decode(data)

  const decoded = (name: string, entry: Entry | Unreadable): Effect.Effect<V, ValueDecodeError | Unreadable> =>
    "data" in entry ? decode(name, entry) : Effect.fail(entry)

  const getOption = (key: K) =>
    named(key, (name) =>
      reading(() => {
        const entry = view.get(name)
        return entry === undefined ? Effect.succeedNone : Effect.asSome(decoded(name, entry))
      }))

  const keysOf = (): ReadonlyArray<readonly [name: string, key: K]> =>
    [...view.names()].sort().flatMap((name) => {
      const key = values.toKey(name)
      return key === undefined ? [] : [[name, key] as const]
    })

  /** Of each key what it holds, or what is wrong with it. */
  const results = reading(() =>
    Effect.map(
      Effect.forEach(keysOf(), ([name, key]) => {
        const entry = view.get(name)
        if (entry === undefined) return Effect.succeed(undefined)
        return Effect.map(Effect.result(decoded(name, entry)), (result) => [key, result] as const)
      }),
      (found) => found.filter((result) => result !== undefined)
    )
  )
  const entries = Effect.map(
    results,
    (found) => found.flatMap(([key, result]) => Result.isSuccess(result) ? [[key, result.success] as const] : [])
  )

  // -- writes ---------------------------------------------------------------------------------------------------------

  const encode = (name: string, value: V): Effect.Effect<Uint8Array, ValueEncodeError> =>
    values.codecOf(name).encode(value)

  const set = (key: K, value: V) =>
    named(key, (name) => Effect.flatMap(encode(name, value), (data) => store.set(name, data)))

  const popOption = (key: K) => named(key, (name) => store.pop(name, (entry) => decode(name, entry)))

  const updates = new Courtesy()
  const update = <E2 = never, R2 = never>(key: K, f: (value: V) => V | Effect.Effect<V, E2, R2>) =>
    Effect.flatMap(
      named(key, (name) =>
        updates.inTurn(
          name,
          store.update((transaction) =>
            Effect.gen(function*() {
              const entry = yield* transaction.read(name)
              // That it is missing is to be seen, too, before anybody is told.
              if (entry === undefined) return Option.none<V>()
              const made = f(yield* decode(name, entry))
              const value = Effect.isEffect(made) ? yield* made : made
              transaction.write(name, yield* encode(name, value))
              return Option.some(value)
            })
          )
        )),
      (updated) => Option.isSome(updated) ? Effect.succeed(updated.value) : Effect.fail(notFound(key))
    )

  const getOrSet = (key: K, value: V) =>
    named(
      key,
      (name) =>
        Effect.flatMap(encode(name, value), (data) =>
          settled(
            store.update((transaction) =>
              Effect.flatMap(transaction.read(name), (entry) => {
                if (entry !== undefined) {
                  return decode(name, entry)
                }
                transaction.write(name, data)
                // What everybody else will read.
                return decode(name, { data })
              })
            ),
            Effect.andThen(
              store.sync,
              store.update((transaction) =>
                Effect.flatMap(
                  transaction.read(name),
                  (entry) => entry === undefined ? Effect.succeedNone : Effect.asSome(decode(name, entry))
                )
              )
            )
          ))
    )

  const inTransaction = (transaction: StoreTransaction<W>): Transaction<K, V, W> => {
    const written = new Map<string, Uint8Array | undefined>()
    const write = (name: string, data: Uint8Array | undefined) => {
      written.set(name, data)
      transaction.write(name, data)
    }
    return {
      get: (key) =>
        named(key, (name) => {
          const data = written.get(name)
          const entry = written.has(name)
            ? Effect.succeed(data === undefined ? undefined : { data })
            : transaction.read(name)
          return Effect.flatMap(entry, (entry) =>
            entry === undefined ? Effect.succeedNone : Effect.asSome(decode(name, entry)))
        }),
      set: (key, value) => named(key, (name) => Effect.map(encode(name, value), (data) => write(name, data))),
      remove: (key) => named(key, (name) => Effect.sync(() => write(name, undefined)))
    }
  }

  // -- following ------------------------------------------------------------------------------------------------------

  const toChange = (change: StoreChange): Effect.Effect<ReadonlyArray<Change<K, V>>> => {
    const { path: name } = change
    const key = values.toKey(name)
    if (key === undefined) return Effect.succeed([])
    const result = (entry: Entry) => Effect.result(decode(name, entry))
    switch (change._tag) {
      case "Added":
        return Effect.map(result(change.node), (value) => [{ _tag: "Added", key, value }])
      case "Changed":
        return Effect.zipWith(
          result(change.node),
          result(change.previous),
          (value, previous) => [{ _tag: "Changed", key, value, previous }]
        )
      case "Removed":
        return Effect.map(result(change.previous), (previous) => [{ _tag: "Removed", key, previous }])
    }
  }

  return {
    path,
    size: reading(() => Effect.succeed(view.names().length)),
    freshness: store.freshness,
    freshnessChanges: store.freshnessChanges,
    revision: Effect.sync(store.revision),
    sync: store.sync,
    clear: store.clear,
    get: (key) =>
      Effect.flatMap(
        getOption(key),
        (found) => Option.isSome(found) ? Effect.succeed(found.value) : Effect.fail(notFound(key))
      ),
    getOption,
    getOrElse: (key, orElse) => Effect.map(getOption(key), Option.getOrElse(orElse)),
    has: (key) => named(key, (name) => reading(() => Effect.succeed(view.get(name) !== undefined))),
    keys: reading(() => Effect.succeed(keysOf().map(([, key]) => key))),
    values: Effect.map(entries, (found) => found.map(([, value]) => value)),
    entries,
    snapshot: Effect.map(entries, (found) => new Map(found)),
    invalid: Effect.map(
      results,
      (found) => new Map(found.flatMap(([key, result]) => Result.isFailure(result) ? [[key, result.failure]] : []))
    ),
    set,
    setAll: (all) =>
      Effect.flatMap(
        // What cannot be written is found before anything is.
        Effect.forEach(all, ([key, value]) =>
          named(key, (name) => Effect.map(encode(name, value), (data) => [name, data] as const))),
        store.setAll
      ),
    remove: (key) => named(key, store.remove),
    popOption,
    pop: (key) =>
      Effect.flatMap(
        popOption(key),
        (found) => Option.isSome(found) ? Effect.succeed(found.value) : Effect.fail(notFound(key))
      ),
    popOrElse: (key, orElse) => Effect.map(popOption(key), Option.getOrElse(orElse)),
    getOrSet,
    update,
    transact: (body) => store.transact((transaction) => body(inTransaction(transaction))),
    changes: store.changes.pipe(Stream.mapEffect(toChange), Stream.flattenIterable),
    follow: (key) =>
      Stream.unwrap(
        named(key, (name) =>
          Effect.succeed(Stream.mapEffect(store.follow(name), (entry) =>
            entry === undefined ? Effect.succeedNone : Effect.asSome(Effect.result(decode(name, entry))))))
      )
  }
}
