/** Dictionaries of known keys. */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaGetter from "effect/SchemaGetter"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { ZkClient } from "../src/ZkClient.ts"
import * as ZkCodec from "../src/ZkCodec.ts"
import * as ZkDict from "../src/ZkDict.ts"
import type { QuotaExceeded } from "../src/ZkError.ts"
import { on } from "./support/dictionaries.ts"
import { failsWith } from "./support/failsWith.ts"
import { pair } from "./support/mirroring.ts"
import { record } from "./support/watching.ts"

const fields = { exchange_rate: Schema.Number, language: Schema.String, since: Schema.Date }

type Config = ZkDict.ZkStruct<
  ZkDict.ValuesOf<typeof fields>,
  ZkCodec.ValueDecodeError,
  ZkCodec.ValueDecodeError | QuotaExceeded
>

const kinds: ReadonlyArray<{
  readonly name: string
  readonly make: (root: string) => Effect.Effect<Config, unknown, ZkClient | Scope.Scope>
}> = [
  { name: "nodes, live", make: (root) => ZkDict.struct(root, fields) },
  { name: "nodes, manual", make: (root) => ZkDict.struct(root, fields, { mode: "manual" }) },
  { name: "a document, live", make: (root) => ZkDict.documentStruct(`${root}/doc`, fields) },
  { name: "a document, manual", make: (root) => ZkDict.documentStruct(`${root}/doc`, fields, { mode: "manual" }) }
]

describe.each(kinds)("a struct: $name", ({ make }) => {
  it.live("has values of several types [STRUCT] [M1]", () =>
    Effect.gen(function*() {
      const { other, root, zk } = yield* pair
      const config = yield* on(zk)(make(root))
      assert.deepStrictEqual(yield* config.snapshot, {})
      yield* config.set("exchange_rate", 25)
      yield* config.setAll({ language: "en-US", since: new Date(5) })
      assert.deepStrictEqual(yield* config.snapshot, { exchange_rate: 25, language: "en-US", since: new Date(5) })
      assert.deepStrictEqual([yield* config.size, yield* config.keys], [3, ["exchange_rate", "language", "since"]])
      assert.strictEqual((yield* config.get("since")).getTime(), 5)
      assert.strictEqual(yield* config.update("exchange_rate", (rate) => rate + 1), 26)
      assert.strictEqual(yield* config.getOrSet("exchange_rate", 5), 26)
      assert.strictEqual(yield* config.pop("exchange_rate"), 26)
      assert.strictEqual((yield* failsWith(config.get("exchange_rate"), "KeyNotFound")).key, "exchange_rate")
      assert.strictEqual(yield* config.getOrElse("exchange_rate", () => "none"), "none")
      assert.strictEqual(yield* config.popOrElse("exchange_rate", () => null), null)
      assert.deepStrictEqual(yield* config.popOption("language"), Option.some("en-US"))
      assert.isTrue(yield* config.remove("since"))
      assert.isFalse(yield* config.has("since"))
      const moved = yield* config.transact(({ get, remove, set }) =>
        Effect.gen(function*() {
          yield* set("exchange_rate", 1)
          yield* set("language", "cs")
          yield* remove("since")
          return Option.getOrThrow(yield* get("exchange_rate"))
        })
      )
      assert.strictEqual(moved, 1)
      const theirs = yield* on(other)(make(root))
      assert.deepStrictEqual(yield* theirs.snapshot, { exchange_rate: 1, language: "cs" })
      const seen = yield* record(Stream.map(theirs.changes, (change) => {
        if (change._tag !== "Added") return change._tag
        return change.key === "language" ? Result.map(change.value, (text) => text.length) : change.key
      }))
      yield* seen.until("both", (values) => values.length === 2)
      assert.sameDeepMembers([...seen.values], ["exchange_rate", Result.succeed(2)])
      yield* config.clear
      yield* theirs.sync
      assert.deepStrictEqual(yield* theirs.snapshot, {})
    }))

  it.live("refuses values of another key's type, and writes none of them [STRUCT]", () =>
    Effect.gen(function*() {
      const { root, zk } = yield* pair
      const config = yield* on(zk)(make(root))
      yield* failsWith(config.set("language", 5 as never), "ValueEncodeError")
      yield* failsWith(config.setAll({ exchange_rate: 1, language: 5 as never }), "ValueEncodeError")
      assert.deepStrictEqual(yield* config.snapshot, {})
      // A type lets pass what an object has besides.
      const wide = { exchange_rate: 7, bogus: "?" }
      yield* config.setAll(wide)
      assert.deepStrictEqual(yield* config.snapshot, { exchange_rate: 7 })
    }))
})

describe("a struct of nodes", () => {
  it.live("leaves other nodes alone, and lists its own that cannot be decoded [STRUCT] [KEY-SCHEMA]", () =>
    Effect.gen(function*() {
      const { other, root, zk } = yield* pair
      yield* other.create(`${root}/foreign`, "{")
      yield* other.create(`${root}/language`, "5")
      const config = yield* on(zk)(ZkDict.struct(root, fields))
      yield* config.set("exchange_rate", 1)
      assert.deepStrictEqual(yield* config.snapshot, { exchange_rate: 1 })
      assert.deepStrictEqual([...(yield* config.invalid).keys()], ["language"])
      assert.strictEqual((yield* failsWith(config.get("language"), "ValueDecodeError")).path, `${root}/language`)
      yield* config.clear
      assert.deepStrictEqual((yield* other.getChildren(root)).children, ["foreign"])
    }))

  it.live("escapes names that cannot be those of nodes [STRUCT]", () =>
    Effect.gen(function*() {
      const { other, root, zk } = yield* pair
      const odd = yield* on(zk)(ZkDict.struct(root, { "a/b": Schema.Number, "": Schema.String, "..": Schema.Boolean }))
      yield* odd.setAll({ "a/b": 1, "": "empty", "..": true })
      assert.deepStrictEqual(yield* odd.snapshot, { "a/b": 1, "": "empty", "..": true })
      assert.sameMembers([...(yield* other.getChildren(root)).children], ["a%2Fb", "%", "%2E%2E"])
    }))

  it.live("may keep its values otherwise [STRUCT]", () =>
    Effect.gen(function*() {
      const { other, root, zk } = yield* pair
      const config = yield* on(zk)(ZkDict.struct(root, fields, {
        codec: (value) => ZkCodec.gzip(ZkCodec.json(value))
      }))
      yield* config.set("language", "cs")
      assert.strictEqual((yield* other.getData(`${root}/language`)).data?.[0], 0x1f)
      assert.strictEqual(yield* config.get("language"), "cs")
    }))
})

describe("schemas that need services", () => {
  class Factor extends Context.Service<Factor, number>()("test/Factor") {}
  const Scaled = Schema.Number.pipe(Schema.decodeTo(Schema.Number, {
    decode: SchemaGetter.transformEffect((n: number) => Factor.use((factor) => Effect.succeed(n * factor))),
    encode: SchemaGetter.transformEffect((n: number) => Factor.use((factor) => Effect.succeed(n / factor)))
  }))

  it.live("get them where the dictionary is made [DICT-SERVICES]", () =>
    Effect.gen(function*() {
      const { other, root, zk } = yield* pair
      const provided = Effect.provideService(Factor, 10)
      const dict = yield* on(zk)(provided(ZkDict.make(root, { value: Scaled })))
      const struct = yield* on(zk)(provided(ZkDict.struct(root, { a: Scaled })))
      const document = yield* on(zk)(provided(ZkDict.document(`${root}/doc`, { value: Scaled })))
      const memory = yield* provided(ZkDict.makeMemory({ value: Scaled }))
      yield* dict.set("a", 50)
      assert.strictEqual((yield* other.getData(`${root}/a`)).text, "5")
      yield* struct.sync
      assert.strictEqual(yield* struct.get("a"), 50)
      yield* document.set("a", 50)
      assert.strictEqual((yield* other.getData(`${root}/doc`)).text, `{"a":5}`)
      yield* memory.set("a", 50)
      assert.strictEqual(yield* memory.update("a", (a) => a + 1), 51)
    }))
})
