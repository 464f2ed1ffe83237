/** Makes dictionaries: what they are kept in, what their keys and values are, and how reads behave. */
import * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { ZkClient } from "../../ZkClient.ts"
import * as ZkCodec from "../../ZkCodec.ts"
import type * as ZkDict from "../../ZkDict.ts"
import type { NoAuth, SessionError } from "../../ZkError.ts"
import { InvalidInput } from "../../ZkError.ts"
import * as ZkPath from "../../ZkPath.ts"
import { InvalidDictKey, TooStale } from "./dictErrors.ts"
import type { DocumentError } from "./documentStore.ts"
import { makeDocumentStore } from "./documentStore.ts"
import { manually } from "./manual.ts"
import { makeMemoryStore } from "./memoryStore.ts"
import type { Names } from "./names.ts"
import { anyNames, escapedKey, nodeNames } from "./names.ts"
import { makeNodeStore } from "./nodeStore.ts"
import type { Store } from "./store.ts"
import { typed } from "./typed.ts"
import type { Values } from "./values.ts"
import { codecAt, valuesOf } from "./values.ts"

// -- how reads behave -------------------------------------------------------------------------------------------------

const parseStaleness = (
  path: string,
  { maxStaleness }: ZkDict.ReadOptions
): Effect.Effect<Duration.Duration | undefined, InvalidInput> => {
  if (maxStaleness === undefined) return Effect.succeed(undefined)
  const parsed = Duration.fromInput(maxStaleness)
  return Option.isSome(parsed) && Duration.toMillis(parsed.value) >= 0
    ? Effect.succeed(parsed.value)
    : Effect.fail(new InvalidInput({ operation: "make", path, reason: `${String(maxStaleness)} is no maxStaleness` }))
}

const within = (store: Pick<Store, "freshness" | "path">, limit: Duration.Duration): Effect.Effect<void, TooStale> =>
  Effect.flatMap(store.freshness, (freshness) => {
    if (freshness._tag === "Live") return Effect.void
    const { since } = freshness
    return Effect.flatMap(Clock.currentTimeMillis, (now) =>
      now - since.epochMilliseconds < Duration.toMillis(limit)
        ? Effect.void
        : Effect.fail(new TooStale({ path: store.path, since })))
  })

/** That reads can be `TooStale` only the public constructors can say: their types know whether there is a limit. */
const readAs = <K extends string | number, V, W extends { readonly _tag: string }, P extends W>(
  store: Store<W, P>,
  values: Values<K, V>,
  options: ZkDict.ReadOptions,
  limit: Duration.Duration | undefined
): ZkDict.ZkDict<K, V, P, W> =>
  typed<K, V, P, W, P>(
    options.mode === "manual" ? manually(store) : store,
    values,
    limit === undefined ? Effect.void : within(store, limit) as Effect.Effect<void, never>
  )

// -- what keys and values are -----------------------------------------------------------------------------------------

const anyText: Schema.Codec<string, string> = Schema.String

/** Without a schema of its own a key is a text: for callers that leave it out K is its default, `string`. */
const keyOf = <K extends string | number>({ key }: { readonly key?: Schema.Codec<K, string> | undefined }) =>
  key ?? (anyText as unknown as Schema.Codec<K, string>) // K is `string` here, which no type says

const codecOf = <V, I, RD, RE>(
  { codec, value }: Pick<ZkDict.ValueOptions<V, I, RD, RE, string>, "value" | "codec">
): ZkCodec.ZkCodec<V, RD, RE> => codec === undefined ? ZkCodec.json(value) : codec(value)

/** Known keys, each with a codec of its own. Any other name is nobody's. */
const valuesOfFields = (
  path: string,
  fields: ZkDict.Fields,
  names: Names<string>,
  codec: ZkDict.StructOptions["codec"],
  context: Context.Context<unknown>
): Values<string, unknown> => {
  const codecs = new Map<string, Values<string, unknown>["codecOf"]>()
  for (const [key, field] of Object.entries(fields)) {
    const at = codecAt(codec === undefined ? ZkCodec.json(field) : codec(field), context)
    // Escaped, all can be names, but for that of the servers below their root: a field of that name is a defect.
    const name = Result.getOrThrow(names.toName(key))
    codecs.set(name, () => at(ZkPath.join(path, name)))
  }
  return {
    // The name of a property is a text, whatever it was written as.
    toName: (key) => names.toName(String(key)),
    toKey: (name) => codecs.has(name) ? names.toKey(name) : undefined,
    codecOf: (name) => {
      const codec = codecs.get(name)
      // Only types that know less than the value, `Record<string, ...>`, let this happen: a defect.
      if (codec === undefined) throw new InvalidDictKey({ path, key: name, reason: "there is no such field" })
      return codec(name)
    }
  }
}

const isNameOf = ({ toKey }: Pick<Names<unknown>, "toKey">) => (name: string): boolean => toKey(name) !== undefined

// -- dictionaries -----------------------------------------------------------------------------------------------------

type Services<RD, RE> = ZkClient | Scope.Scope | RD | RE

const makeNodes = <K extends string | number, V>(
  root: string,
  values: Values<K, V>,
  options: ZkDict.RootOptions & ZkDict.ReadOptions
): Effect.Effect<ZkDict.ZkDict<K, V>, ZkDict.MakeError, ZkClient | Scope.Scope> =>
  Effect.gen(function*() {
    const client = yield* ZkClient
    const limit = yield* parseStaleness(root, options)
    const { acl, createRoot = true } = options
    const store = yield* makeNodeStore({ client, root, acl, createRoot, isName: isNameOf(values) })
    return readAs(store, values, options, limit)
  })

const makeDocument = <K extends string | number, V>(
  path: string,
  values: Values<K, V>,
  options: ZkDict.NodeOptions & ZkDict.ReadOptions
): Effect.Effect<
  ZkDict.ZkDict<K, V, ZkCodec.ValueDecodeError, DocumentError>,
  NoAuth | SessionError,
  ZkClient | Scope.Scope
> =>
  Effect.gen(function*() {
    const client = yield* ZkClient
    const limit = yield* parseStaleness(path, options)
    const store = yield* makeDocumentStore({ client, path, acl: options.acl, isName: isNameOf(values) })
    return readAs(store, values, options, limit)
  })

export const make = <V, I, RD, RE, K extends string | number>(
  root: string,
  options: ZkDict.ValueOptions<V, I, RD, RE, K> & ZkDict.RootOptions & ZkDict.ReadOptions
): Effect.Effect<ZkDict.ZkDict<K, V>, ZkDict.MakeError, Services<RD, RE>> =>
  Effect.flatMap(
    Effect.context<RD | RE>(),
    (context) => makeNodes(root, valuesOf(root, nodeNames(root, keyOf(options)), codecOf(options), context), options)
  )

export const document = <V, I, RD, RE, K extends string | number>(
  path: string,
  options: Omit<ZkDict.ValueOptions<V, I, RD, RE, K>, "codec"> & ZkDict.NodeOptions & ZkDict.ReadOptions
): Effect.Effect<
  ZkDict.ZkDict<K, V, ZkCodec.ValueDecodeError, DocumentError>,
  NoAuth | SessionError,
  Services<RD, RE>
> =>
  Effect.flatMap(
    Effect.context<RD | RE>(),
    (context) =>
      makeDocument(path, valuesOf(path, anyNames(path, keyOf(options)), ZkCodec.json(options.value), context), options)
  )

export const makeMemory = <V, I, RD, RE, K extends string | number>(
  options: ZkDict.ValueOptions<V, I, RD, RE, K> & Pick<ZkDict.ReadOptions, "mode">
): Effect.Effect<ZkDict.ZkDict<K, V>, never, Scope.Scope | RD | RE> =>
  Effect.gen(function*() {
    const context = yield* Effect.context<RD | RE>()
    const store = yield* makeMemoryStore
    const { path } = store
    const values = valuesOf(path, nodeNames(path, keyOf(options)), codecOf(options), context)
    return typed(options.mode === "manual" ? manually(store) : store, values, Effect.void)
  })

// -- dictionaries of known keys ---------------------------------------------------------------------------------------

/** A dictionary of unknowns as one of what its fields say: they decide on what each key is encoded and decoded with. */
const toStruct = <F extends ZkDict.Fields, E, W>(
  dict: ZkDict.ZkDict<string, unknown, E, W>,
  fields: F
): ZkDict.ZkStruct<ZkDict.ValuesOf<F>, E, W> => {
  const struct = {
    ...dict,
    snapshot: Effect.map(dict.entries, (entries) => Object.fromEntries(entries)),
    // What an object has besides is let pass by its type, and left out, as Schema does.
    setAll: (values: Record<string, unknown>) =>
      dict.setAll(Object.entries(values).filter(([key]) => Object.hasOwn(fields, key)))
  }
  return struct as unknown as ZkDict.ZkStruct<ZkDict.ValuesOf<F>, E, W> // what `valuesOfFields` has seen to
}

export const struct = <F extends ZkDict.Fields>(
  root: string,
  fields: F,
  options: ZkDict.StructOptions & ZkDict.ReadOptions = {}
): Effect.Effect<
  ZkDict.ZkStruct<ZkDict.ValuesOf<F>>,
  ZkDict.MakeError,
  ZkClient | Scope.Scope | ZkDict.ServicesOf<F>
> =>
  Effect.flatMap(Effect.context<ZkDict.ServicesOf<F>>(), (context) => {
    const values = valuesOfFields(root, fields, nodeNames(root, escapedKey), options.codec, context)
    return Effect.map(makeNodes(root, values, options), (dict) => toStruct(dict, fields))
  })

export const documentStruct = <F extends ZkDict.Fields>(
  path: string,
  fields: F,
  options: ZkDict.NodeOptions & ZkDict.ReadOptions = {}
): Effect.Effect<
  ZkDict.ZkStruct<ZkDict.ValuesOf<F>, ZkCodec.ValueDecodeError, DocumentError>,
  NoAuth | SessionError,
  ZkClient | Scope.Scope | ZkDict.ServicesOf<F>
> =>
  Effect.flatMap(Effect.context<ZkDict.ServicesOf<F>>(), (context) => {
    const values = valuesOfFields(path, fields, anyNames(path, Schema.String), undefined, context)
    return Effect.map(makeDocument(path, values, options), (dict) => toStruct(dict, fields))
  })
