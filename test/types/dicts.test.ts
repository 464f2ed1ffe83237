/** What the compiler lets pass of dictionaries, and what not. The proof is `npm run check`: here nothing is run. */
import { describe, it } from "@effect/vitest"
import type * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import type { ZkClient } from "../../src/ZkClient.ts"
import * as ZkCodec from "../../src/ZkCodec.ts"
import * as ZkDict from "../../src/ZkDict.ts"
import type * as ZkError from "../../src/ZkError.ts"
import { type Reader, same, unrun, type Writer } from "../support/types.ts"

type Needing = Schema.Codec<string, string, Reader, Writer>

type Base = ZkClient | Scope.Scope
type Read = ZkError.NoAuth | ZkError.ResponseTooLarge
type ErrorOf<F extends (...args: never) => unknown> = Effect.Error<ReturnType<F>>

const value = Schema.Number

describe("types of dictionaries", () => {
  it("options are named, and others are none [M3] [M4] [S-TYPES-DICTS]", () => {
    unrun(() => {
      // @ts-expect-error what values are has to be said
      ZkDict.make("/a", {})
      // @ts-expect-error
      ZkDict.make("/a", { value, autosync: false })
      // @ts-expect-error
      ZkDict.make("/a", { value, mode: "automatic" })
      // @ts-expect-error
      ZkDict.make("/a", { value, createRoot: "yes" })
      // @ts-expect-error
      ZkDict.make("/a", { value, maxStaleness: true })
      // @ts-expect-error the root comes first
      ZkDict.make({ value }, "/a")
      // @ts-expect-error a document is JSON
      ZkDict.document("/a", { value, codec: ZkCodec.json })
      // @ts-expect-error a document is made by the first write
      ZkDict.document("/a", { value, createRoot: true })
      // @ts-expect-error memory has no rights
      ZkDict.makeMemory({ value, acl: [] })
      // @ts-expect-error nor does it grow old
      ZkDict.makeMemory({ value, maxStaleness: 5 })
      // @ts-expect-error
      ZkDict.struct("/a", { a: value }, { value })
      // @ts-expect-error the keys of a struct are its fields
      ZkDict.struct("/a", { a: value }, { key: ZkDict.escapedKey })
      // @ts-expect-error
      ZkDict.documentStruct("/a", { a: value }, { codec: ZkCodec.json })
      // @ts-expect-error keys are texts or numbers
      ZkDict.make("/a", { value, key: Schema.DateFromString })
      // @ts-expect-error a codec of other values
      ZkDict.make("/a", { value, codec: () => ZkCodec.bytes })
      // @ts-expect-error
      ZkDict.struct("/a", { a: 5 })
      return ZkDict.make("/a", { value, codec: ZkCodec.json, key: ZkDict.escapedKey, mode: "manual", acl: [] })
    })
  })

  it("reads can be too old only where there is a limit [S-TYPES-DICTS]", () => {
    const make = () => ZkDict.make("/a", { value })
    const strict = () => ZkDict.make("/a", { value, maxStaleness: "5 seconds" })
    const document = () => ZkDict.document("/a", { value })
    const strictDocument = () => ZkDict.document("/a", { value, maxStaleness: 0 })
    const memory = () => ZkDict.makeMemory({ value })
    type TooStale = ZkDict.TooStale
    type Decode = ZkCodec.ValueDecodeError
    type OfDocuments = Decode | ZkError.QuotaExceeded
    same<ReturnType<typeof make>, Effect.Effect<ZkDict.ZkDict<string, number>, ZkDict.MakeError, Base>>(true)
    same<ReturnType<typeof strict>, Effect.Effect<ZkDict.ZkDict<string, number, TooStale>, ZkDict.MakeError, Base>>(
      true
    )
    same<Effect.Success<ReturnType<typeof document>>, ZkDict.ZkDict<string, number, Decode, OfDocuments>>(true)
    same<Effect.Error<ReturnType<typeof document>>, ZkError.NoAuth | ZkError.SessionError>(true)
    same<
      Effect.Success<ReturnType<typeof strictDocument>>,
      ZkDict.ZkDict<string, number, Decode | TooStale, OfDocuments>
    >(
      true
    )
    same<ReturnType<typeof memory>, Effect.Effect<ZkDict.ZkDict<string, number>, never, Scope.Scope>>(true)
    type Lenient = ZkDict.ZkDict<string, number>
    type Strict = ZkDict.ZkDict<string, number, TooStale>
    same<Effect.Error<Lenient["size"]>, Read>(true)
    same<Effect.Error<Strict["size"]>, Read | TooStale>(true)
    same<ErrorOf<Lenient["get"]>, ZkDict.KeyNotFound | ZkDict.InvalidDictKey | Decode | Read>(true)
    same<ErrorOf<Strict["get"]>, ZkDict.KeyNotFound | ZkDict.InvalidDictKey | Decode | Read | TooStale>(true)
    same<ErrorOf<Lenient["getOption"]>, ZkDict.InvalidDictKey | Decode | Read>(true)
    same<ErrorOf<Lenient["has"]>, ZkDict.InvalidDictKey | Read>(true)
    same<Effect.Error<Lenient["revision"]>, never>(true)
    // writes never fail for that
    same<ErrorOf<Strict["set"]>, ErrorOf<Lenient["set"]>>(true)
    same<ErrorOf<Strict["pop"]>, ErrorOf<Lenient["pop"]>>(true)
    same<ErrorOf<Lenient["set"]>, ZkDict.InvalidDictKey | ZkCodec.ValueEncodeError | ZkDict.WriteError>(true)
    same<ErrorOf<Lenient["remove"]>, ZkDict.InvalidDictKey | ZkDict.RemoveError>(true)
    same<Stream.Error<Strict["changes"]>, ZkError.StreamError>(true)
    unrun(() => [make, strict, document, strictDocument, memory])
  })

  it("what schemas need is needed where the dictionary is made, and nowhere else [S-TYPES-DICTS]", () => {
    const make = (value: Needing) => ZkDict.make("/a", { value })
    const document = (value: Needing) => ZkDict.document("/a", { value })
    const struct = (value: Needing) => ZkDict.struct("/a", { a: value, b: Schema.Number })
    const documentStruct = (value: Needing) => ZkDict.documentStruct("/a", { a: value })
    const memory = (value: Needing) => ZkDict.makeMemory({ value })
    same<Effect.Services<ReturnType<typeof make>>, Base | Reader | Writer>(true)
    same<Effect.Services<ReturnType<typeof document>>, Base | Reader | Writer>(true)
    same<Effect.Services<ReturnType<typeof struct>>, Base | Reader | Writer>(true)
    same<Effect.Services<ReturnType<typeof documentStruct>>, Base | Reader | Writer>(true)
    same<Effect.Services<ReturnType<typeof memory>>, Scope.Scope | Reader | Writer>(true)
    unrun(() => [make, document, struct, documentStruct, memory])
  })

  it("keys have the type of their schema [S-TYPES-DICTS]", () => {
    const ports = () => ZkDict.make("/a", { value, key: Schema.FiniteFromString })
    const Name = Schema.Literals(["a", "b"])
    const named = () => ZkDict.document("/a", { value, key: Name })
    type Ports = Effect.Success<ReturnType<typeof ports>>
    same<Effect.Success<Ports["keys"]>, ReadonlyArray<number>>(true)
    same<Parameters<Ports["get"]>[0], number>(true)
    same<Parameters<Effect.Success<ReturnType<typeof named>>["get"]>[0], "a" | "b">(true)
    unrun(() => [ports, named])
  })

  it("functions keep their errors and services [S-TYPES-DICTS]", () => {
    unrun(() => {
      const dict = {} as ZkDict.ZkDict<string, number>
      const updated = dict.update("a", () => ({}) as Effect.Effect<number, "mine", Reader>)
      same<Effect.Services<typeof updated>, Reader>(true)
      same<Extract<Effect.Error<typeof updated>, string>, "mine">(true)
      const plain = dict.update("a", (a) => a + 1)
      same<Effect.Services<typeof plain>, never>(true)
      const moved = dict.transact(({ set }) => set("a", 1))
      type Writing = ZkDict.InvalidDictKey | ZkCodec.ValueEncodeError | ZkDict.WriteError
      same<Effect.Error<typeof moved>, Writing | ZkError.NotEmpty>(true)
      // what removes nothing meets no children
      same<ErrorOf<typeof dict.getOrSet>, Writing | ZkCodec.ValueDecodeError>(true)
      // who only reads takes any dictionary, and those with values of a smaller type
      const reader: ZkDict.ReadonlyZkDict<string, number | string> = dict
      // @ts-expect-error no writes
      reader.set("a", 1)
      const orElse = dict.getOrElse("a", () => null)
      same<Effect.Success<typeof orElse>, number | null>(true)
      // @ts-expect-error another type
      dict.set("a", "1")
      // @ts-expect-error
      dict.update("a", () => "1")
      // @ts-expect-error
      dict.transact(({ set }) => set("a", "1"))
      // @ts-expect-error
      dict.get(5)
      return [updated, plain, moved, orElse]
    })
  })

  it("keys of a struct are checked, and each has its type [S-TYPES-DICTS]", () => {
    const make = () => ZkDict.struct("/a", { rate: Schema.Number, since: Schema.optional(Schema.Date).schema })
    const Fields = { rate: Schema.Number, language: Schema.String }
    const strict = () => ZkDict.struct("/a", Fields, { maxStaleness: 5 })
    const strictDocument = () => ZkDict.documentStruct("/a", Fields, { maxStaleness: 5 })
    interface Config {
      readonly rate: number
      readonly language: string
    }
    same<Effect.Error<Effect.Success<ReturnType<typeof strict>>["size"]>, Read | ZkDict.TooStale>(true)
    same<
      Effect.Error<Effect.Success<ReturnType<typeof strictDocument>>["size"]>,
      Read | ZkDict.TooStale | ZkCodec.ValueDecodeError
    >(true)
    same<Effect.Error<Effect.Success<ReturnType<typeof make>>["size"]>, Read>(true)
    unrun(() => {
      const config = {} as ZkDict.ZkStruct<Config>
      const made: Effect.Success<ReturnType<typeof strict>> = {} as ZkDict.ZkStruct<Config, ZkDict.TooStale>
      const rate = config.get("rate")
      same<Effect.Success<typeof rate>, number>(true)
      // there are no invalid keys to handle
      same<Effect.Error<typeof rate>, ZkDict.KeyNotFound | ZkCodec.ValueDecodeError | Read>(true)
      const language = config.popOption("language")
      same<Effect.Success<typeof language>, Option.Option<string>>(true)
      same<Effect.Success<typeof config.snapshot>, Partial<Config>>(true)
      same<Effect.Success<typeof config.keys>, ReadonlyArray<"rate" | "language">>(true)
      // @ts-expect-error no such key
      config.get("rat")
      // @ts-expect-error
      config.set("other", 1)
      // @ts-expect-error another type
      config.set("rate", "25")
      // @ts-expect-error
      config.set("language", 25)
      // @ts-expect-error
      config.setAll({ rate: "25" })
      // @ts-expect-error
      config.setAll({ rat: 25 })
      // @ts-expect-error
      config.update("rate", () => "25")
      // @ts-expect-error
      config.transact(({ set }) => set("language", 5))
      const mapped = config.transact(({ get }) => get("language"))
      same<Effect.Success<typeof mapped>, Option.Option<string>>(true)
      config.setAll({ rate: 25 })
      return [made, mapped, make]
    })
  })
})
