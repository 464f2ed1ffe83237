/** What dictionaries are kept in: bytes by name. Read from a view that is local, changed where they are kept. */
import type * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import type * as Stream from "effect/Stream"
import type { ValueDecodeError } from "../../ZkCodec.ts"
import type {
  EphemeralOnLocalSession,
  InvalidAcl,
  NoAuth,
  NoChildrenForEphemerals,
  NoNode,
  NotEmpty,
  QuotaExceeded,
  ResponseTooLarge,
  SessionError,
  StreamError,
  WriteConflict
} from "../../ZkError.ts"
import type { Freshness } from "../../ZkMirror.ts"
import type { Change } from "../cache/changes.ts"
import type { PopInDoubt } from "./dictErrors.ts"

export interface Entry {
  readonly data: Uint8Array | null
}

export type StoreChange = Change<Entry>

/** It is there, and cannot be read. */
export type Unreadable = NoAuth | ResponseTooLarge

/** `P`: what can be wrong with all of it besides. */
export interface View<P = never> {
  readonly problem: () => Unreadable | P | undefined
  readonly get: (name: string) => Entry | Unreadable | undefined
  /** Of keys only, in no particular order. */
  readonly names: () => ReadonlyArray<string>
}

export type StoreWriteError =
  | NoNode
  | NoAuth
  | NoChildrenForEphemerals
  | InvalidAcl
  | QuotaExceeded
  | SessionError

export type StoreRemoveError = NoAuth | NotEmpty | WriteConflict | SessionError

export type StoreTransactError = StoreWriteError | StoreRemoveError

export type StorePopError<A> =
  | StoreRemoveError
  | NoChildrenForEphemerals
  | QuotaExceeded
  | EphemeralOnLocalSession
  | ValueDecodeError
  | PopInDoubt<A>

export interface Transaction<W = never> {
  /** From where it is kept, once. */
  readonly read: (name: string) => Effect.Effect<Entry | undefined, NoAuth | SessionError | W>
  /** To be written with the others, if everything that was read is still so; `undefined` to be removed. */
  readonly write: (name: string, data: Uint8Array | undefined) => void
}

/** `W`: what writes can fail with besides, `P` what reads can. */
export interface Store<W = never, P extends W = W> {
  readonly path: string
  readonly view: View<P>
  /** How many changes the view has seen. */
  readonly revision: () => bigint
  readonly changes: Stream.Stream<StoreChange, StreamError>
  /** What there is of one name, then what it comes to. */
  readonly follow: (name: string) => Stream.Stream<Entry | undefined, StreamError>
  readonly freshness: Effect.Effect<Freshness>
  readonly freshnessChanges: Stream.Stream<Freshness>
  readonly sync: Effect.Effect<void, SessionError>
  // All of these are complete when the view shows what they did.
  readonly set: (name: string, data: Uint8Array) => Effect.Effect<void, StoreWriteError | WriteConflict | W>
  /** In the order that they are given in, as far as they have the same name. */
  readonly setAll: (all: ReadonlyArray<readonly [name: string, data: Uint8Array]>) => Effect.Effect<
    void,
    StoreWriteError | WriteConflict | W
  >
  /** Gives whether there was something to remove, as far as is known. */
  readonly remove: (name: string) => Effect.Effect<boolean, StoreRemoveError | W>
  readonly clear: Effect.Effect<void, StoreRemoveError | W>
  /** Removes what could be decoded, and gives it to nobody else. */
  readonly pop: <A>(
    name: string,
    decode: (entry: Entry) => Effect.Effect<A, ValueDecodeError>
  ) => Effect.Effect<Option.Option<A>, StorePopError<A> | W>
  /** A transaction that removes nothing. */
  readonly update: <A, E, R>(
    body: (transaction: Transaction<W>) => Effect.Effect<A, E, R>
  ) => Effect.Effect<A, E | StoreWriteError | WriteConflict | W, R>
  /** Runs the body, and again as long as others were faster. */
  readonly transact: <A, E, R>(
    body: (transaction: Transaction<W>) => Effect.Effect<A, E, R>
  ) => Effect.Effect<A, E | StoreTransactError | W, R>
}
