/** Stores that are read and changed as a whole: every operation is a transaction. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import type { DecodeError } from "../../ZkCodec.ts"
import { maybeApplied } from "../../ZkError.ts"
import type { Conflict } from "../../ZkError.ts"
import { PopInDoubt } from "./dictErrors.ts"
import type { Entries } from "./mapView.ts"
import { isSameBytes } from "./mapView.ts"
import type { Entry, Store, StorePopError, StoreWriteError, Transaction } from "./store.ts"

export class WholeTransaction implements Transaction {
  private readonly entries: Entries
  private readonly written = new Map<string, Uint8Array | undefined>()

  private readonly isName: (name: string) => boolean

  constructor(entries: Entries, isName: (name: string) => boolean) {
    this.entries = entries
    this.isName = isName
  }

  read(name: string): Effect.Effect<Entry | undefined> {
    const data = this.entries.get(name)
    return Effect.succeed(data === undefined ? undefined : { data })
  }

  write(name: string, data: Uint8Array | undefined): void {
    this.written.set(name, data)
  }

  removeAll(): void {
    for (const name of this.entries.keys()) if (this.isName(name)) this.write(name, undefined)
  }

  /** What it comes to; nothing if it is the same as before. */
  result(): Entries | undefined {
    const next = new Map(this.entries)
    let isChanged = false
    for (const [name, data] of this.written) {
      const before = next.get(name)
      if (data === undefined) {
        isChanged = next.delete(name) || isChanged
      } else if (before === undefined || !isSameBytes(before, data)) {
        next.set(name, data)
        isChanged = true
      }
    }
    return isChanged ? next : undefined
  }
}

export type Transact<W> = <A, E, R>(
  operation: string,
  body: (transaction: WholeTransaction) => Effect.Effect<A, E, R>
) => Effect.Effect<A, E | StoreWriteError | Conflict | W, R>

export const wholeOperations = <W extends { readonly message: string }>(
  path: string,
  transact: Transact<W>
): Pick<Store<W>, "set" | "setAll" | "remove" | "clear" | "pop" | "transact"> => ({
  set: (name, data) => transact("set", (transaction) => Effect.sync(() => transaction.write(name, data))),
  setAll: (all) =>
    transact("setAll", (transaction) =>
      Effect.sync(() => {
        for (const [name, data] of all) transaction.write(name, data)
      })),
  remove: (name) =>
    transact("remove", (transaction) =>
      Effect.map(transaction.read(name), (entry) => {
        transaction.write(name, undefined)
        return entry !== undefined
      })),
  clear: transact("clear", (transaction) => Effect.sync(() => transaction.removeAll())),
  pop: <A>(name: string, decode: (entry: Entry) => Effect.Effect<A, DecodeError>) =>
    Effect.suspend(() => {
      let popped: Option.Option<A> = Option.none()
      const removed = transact("pop", (transaction) =>
        Effect.flatMap(transaction.read(name), (entry) => {
          popped = Option.none()
          if (entry === undefined) return Effect.succeed(popped)
          transaction.write(name, undefined)
          return Effect.map(decode(entry), (value) => (popped = Option.some(value)))
        }))
      return Effect.mapError(removed, (error): StorePopError<A> | W => {
        if (!maybeApplied(error) || Option.isNone(popped)) return error
        return new PopInDoubt({ path, value: Redacted.make(popped.value), reason: error.message })
      })
    }),
  transact: (body) => transact("transact", body)
})
