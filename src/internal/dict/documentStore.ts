/** A dictionary as one JSON object in one node. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import type { Acl } from "../../ZkAcl.ts"
import type { NodeData, ZkClient } from "../../ZkClient.ts"
import { ValueDecodeError } from "../../ZkCodec.ts"
import type { NoAuth, QuotaExceeded, ResponseTooLarge, SessionError } from "../../ZkError.ts"
import { WriteConflict } from "../../ZkError.ts"
import type { LiveNode } from "../cache/liveNode.ts"
import { makeLiveNode } from "../cache/liveNode.ts"
import { seen } from "../cache/upkeep.ts"
import { backOff, maxTries } from "../contention.ts"
import type { Entries } from "./mapView.ts"
import { MapView } from "./mapView.ts"
import type { Store, StoreWriteError } from "./store.ts"
import { Turns } from "./turns.ts"
import { wholeOperations, WholeTransaction } from "./wholeStore.ts"

export interface DocumentStoreOptions {
  readonly client: ZkClient
  readonly path: string
  readonly acl: ReadonlyArray<Acl> | undefined
  /** Which members count: others are left alone. */
  readonly isName: (name: string) => boolean
}

const encoder = new TextEncoder()
/** A byte order mark is not JSON: it is not left out. */
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

/** Numbers that a double cannot hold stay as they were written: not all of a document is ours. */
const keepNumbers = (_: string, value: unknown, context: { readonly source?: string }): unknown =>
  typeof value === "number" && context.source !== undefined && String(value) !== context.source
    ? rawJson(context.source)
    : value

/** ECMAScript's JSON.parse with source text. */
declare const JSON: {
  readonly parse: (
    text: string,
    reviver?: (key: string, value: unknown, context: { readonly source?: string }) => unknown
  ) => unknown
  readonly stringify: (value: unknown) => string
  readonly rawJSON: (text: string) => unknown
}

const rawJson = (source: string): unknown => JSON.rawJSON(source)

const malformed = (path: string, data: Uint8Array) =>
  new ValueDecodeError({ path, reason: "Expected a JSON object", data: Redacted.make(data, { label: "data" }) })

const parse = (path: string, data: Uint8Array | null): Entries | ValueDecodeError => {
  const bytes = data ?? new Uint8Array(0)
  try {
    const document = JSON.parse(decoder.decode(bytes), keepNumbers)
    if (typeof document !== "object" || document === null || Array.isArray(document)) return malformed(path, bytes)
    return new Map(Object.entries(document).map(([name, value]) => [name, encoder.encode(JSON.stringify(value))]))
  } catch {
    return malformed(path, bytes)
  }
}

/** Values are JSON already, so that they need not be understood. */
const format = (entries: Entries): string =>
  `{${[...entries].map(([name, data]) => `${JSON.stringify(name)}:${decoder.decode(data)}`).join(",")}}`

type Write<E> = (node: Option.Option<NodeData>, data: string) => Effect.Effect<boolean, E>

/** Gives whether it was written; if not, somebody else was faster. */
const replace = ({ client, path }: DocumentStoreOptions, { stat }: NodeData, data: string) =>
  Effect.as(client.setData(path, data, { version: stat.version, idempotent: true }), true).pipe(
    Effect.catchTags({
      NoNode: () => Effect.succeed(false),
      BadVersion: () => Effect.succeed(false)
    })
  )

const writeWith = (options: DocumentStoreOptions): Write<StoreWriteError> => (node, data) => {
  if (Option.isSome(node)) return replace(options, node.value, data)
  const { acl, client, path } = options
  return Effect.as(client.create(path, data, { acl, parents: true, idempotent: true }), true).pipe(
    Effect.catchTags({
      NodeExists: () => Effect.succeed(false),
      EphemeralOnLocalSession: Effect.die
    })
  )
}

/** For what only removes: where there is no document there is nothing to write. */
const rewriteWith = (options: DocumentStoreOptions): Write<NoAuth | QuotaExceeded | SessionError> => (node, data) =>
  Option.isSome(node) ? replace(options, node.value, data) : Effect.succeed(true)

const transactDocument = <A, E, R, WriteError>(
  { client, isName, path }: DocumentStoreOptions,
  operation: string,
  body: (transaction: WholeTransaction) => Effect.Effect<A, E, R>,
  write: Write<WriteError>
): Effect.Effect<A, E | WriteError | NoAuth | SessionError | WriteConflict | ValueDecodeError, R> => {
  const attempt = (
    tries: number
  ): Effect.Effect<A, E | WriteError | NoAuth | SessionError | WriteConflict | ValueDecodeError, R> =>
    Effect.gen(function*() {
      const node = yield* client.getDataOption(path)
      const entries = Option.isNone(node) ? new Map<string, Uint8Array>() : parse(path, node.value.data)
      if (entries instanceof ValueDecodeError) return yield* entries
      const transaction = new WholeTransaction(entries, isName)
      const result = yield* body(transaction)
      const next = transaction.result()
      if (next === undefined || (yield* write(node, format(next)))) return result
      if (tries === maxTries) return yield* new WriteConflict({ operation, path, tries })
      yield* backOff(tries)
      // A server that is behind would show the same again.
      yield* client.sync(path)
      return yield* attempt(tries + 1)
    })
  return attempt(1)
}

/** What changing anything of a document can fail with. */
export type DocumentError = ValueDecodeError | QuotaExceeded

const makeStore = (options: DocumentStoreOptions, live: LiveNode): Store<DocumentError, ValueDecodeError> => {
  const { isName, path } = options
  const { value } = live.cache
  const view = new MapView()
  const turns = new Turns()
  let problem: ValueDecodeError | undefined
  let known: NodeData | undefined
  const look = () => {
    const node = value.state === undefined ? undefined : Option.getOrUndefined(value.state.node)
    if (node === known) return
    known = node
    const entries = node === undefined ? new Map<string, Uint8Array>() : parse(path, node.data)
    problem = entries instanceof ValueDecodeError ? entries : undefined
    if (!(entries instanceof ValueDecodeError)) view.replace(new Map([...entries].filter(([name]) => isName(name))))
  }
  value.onNews(look)
  /** It has grown too large to be read. */
  let excess: ResponseTooLarge | undefined
  live.cache.reads.onEnd((cause) => {
    const error = Option.getOrUndefined(Cause.findErrorOption(cause))
    if (error?._tag === "ResponseTooLarge") excess = error
    view.end(cause)
  })
  look()
  return {
    path,
    view: {
      problem: () => excess ?? value.refusal ?? problem,
      get: (name) => view.get(name),
      names: () => view.names()
    },
    revision: () => view.revision,
    changes: view.changes,
    follow: (name) => view.follow(name),
    freshness: live.freshness,
    freshnessChanges: live.freshnessChanges,
    sync: live.sync,
    ...wholeOperations<DocumentError>(
      path,
      (operation, body) => {
        const write = transactDocument(options, operation, body, writeWith(options))
        // Writers of one program would only get in each other's way. What users bring may write by itself, though.
        const isUsers = operation === "transact" || operation === "update"
        return seen(live, operation, path, isUsers ? write : turns.take(path, operation, path, write))
      },
      (operation, body) => {
        const write = transactDocument(options, operation, body, rewriteWith(options))
        const inTurn = turns.take(path, operation, path, write)
        if (operation !== "pop") return seen(live, operation, path, inTurn)
        // Nobody else has the value: it is given though the view may not show yet, or never, that it was removed.
        return Effect.tap(Effect.andThen(live.goesOn, inTurn), () => Effect.exit(live.catchUp))
      }
    )
  }
}

/** Complete when the node has been read, whether it exists or not. */
export const makeDocumentStore = (
  options: DocumentStoreOptions
): Effect.Effect<Store<DocumentError, ValueDecodeError>, NoAuth | SessionError, Scope.Scope> =>
  Effect.gen(function*() {
    const live = yield* makeLiveNode(options.client, options.path, false)
    yield* live.catchUp
    const { refusal } = live.cache.value
    if (refusal !== undefined) return yield* refusal
    return makeStore(options, live)
  })
