/** Stores that are read and changed as a whole: every operation is a transaction. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import type { ValueDecodeError } from "../../ZkCodec.ts"
import { maybeApplied } from "../../ZkError.ts"
import type { NoAuth, SessionError, WriteConflict } from "../../ZkError.ts"
import { isSameBytes } from "../bytes.ts"
import { PopInDoubt } from "./dictErrors.ts"
import type { Entries } from "./mapView.ts"
import { settled } from "./settled.ts"
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

  has(name: string): boolean {
    return this.entries.has(name)
  }

  holds(name: string, data: Uint8Array): boolean {
    const present = this.entries.get(name)
    return present !== undefined && isSameBytes(present, data)
  }

  get isEmpty(): boolean {
    return ![...this.entries.keys()].some(this.isName)
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
) => Effect.Effect<A, E | StoreWriteError | WriteConflict | W, R>

/** A transaction that creates nothing that it is kept in. */
export type Removing<W> = <A, E, R>(
  operation: string,
  body: (transaction: WholeTransaction) => Effect.Effect<A, E, R>
) => Effect.Effect<A, E | NoAuth | SessionError | WriteConflict | W, R>

/** Looks, in a transaction that writes nothing. */
const isSo = <A, W>(
  transact: Removing<W>,
  operation: string,
  test: (transaction: WholeTransaction) => boolean,
  result: A
) =>
  transact(
    operation,
    (transaction) => Effect.sync(() => test(transaction) ? Option.some(result) : Option.none<A>())
  )

const setAll = <W extends { readonly _tag: string }>(
  transact: Transact<W>,
  looking: Removing<W>,
  operation: string,
  all: ReadonlyArray<readonly [name: string, data: Uint8Array]>
) =>
  settled(
    transact(operation, (transaction) =>
      Effect.sync(() => {
        for (const [name, data] of all) transaction.write(name, data)
      })),
    isSo(
      looking,
      operation,
      (transaction) => [...new Map(all)].every(([name, data]) => transaction.holds(name, data)),
      undefined
    )
  )

export const wholeOperations = <W extends { readonly _tag: string; readonly message: string }>(
  path: string,
  transact: Transact<W>,
  removing: Removing<W>
): Pick<Store<W>, "set" | "setAll" | "remove" | "clear" | "pop" | "update" | "transact"> => ({
  set: (name, data) => setAll(transact, removing, "set", [[name, data]]),
  setAll: (all) => setAll(transact, removing, "setAll", all),
  remove: (name) => {
    const remove = removing("remove", (transaction) =>
      Effect.map(transaction.read(name), (entry) => {
        transaction.write(name, undefined)
        return entry !== undefined
      }))
    // What was lost was a write, so that there was something to remove.
    return settled(remove, isSo(removing, "remove", (transaction) => !transaction.has(name), true))
  },
  clear: settled(
    removing("clear", (transaction) => Effect.sync(() => transaction.removeAll())),
    isSo(removing, "clear", (transaction) => transaction.isEmpty, undefined)
  ),
  pop: <A>(name: string, decode: (entry: Entry) => Effect.Effect<A, ValueDecodeError>) =>
    Effect.suspend(() => {
      let popped: Option.Option<A> = Option.none()
      const removed = removing("pop", (transaction) =>
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
  update: (body) => transact("update", body),
  transact: (body) => transact("transact", body)
})
