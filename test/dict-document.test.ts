/** Dictionaries in one node. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type * as ZkClient from "../src/ZkClient.ts"
import * as ZkDict from "../src/ZkDict.ts"
import { on } from "./support/dictionaries.ts"
import { failsWith } from "./support/failsWith.ts"
import { pair, proxiedPair } from "./support/mirroring.ts"
import { record } from "./support/watching.ts"

const numbers = (zk: ZkClient.ZkClient, path: string) => on(zk)(ZkDict.document(path, { value: Schema.Number }))

describe("a document", () => {
  it.live("is made by the first write, with all that is above it [DOC-MADE]", () =>
    Effect.gen(function*() {
      const { other, root, zk } = yield* pair
      const path = `${root}/a/doc`
      const dict = yield* numbers(zk, path)
      assert.strictEqual(yield* dict.size, 0)
      assert.isFalse(yield* dict.remove("a"))
      assert.deepStrictEqual(yield* dict.popOption("a"), Option.none())
      yield* dict.clear
      yield* dict.setAll([])
      yield* failsWith(dict.update("a", () => 1), "KeyNotFound")
      assert.deepStrictEqual(yield* other.exists(`${root}/a`), Option.none())
      yield* dict.set("a", 1)
      assert.strictEqual((yield* other.getData(path)).text, `{"a":1}`)
      // The same again is not written.
      yield* dict.set("a", 1)
      assert.strictEqual((yield* other.getData(path)).stat.version, 0)
      yield* dict.setAll([["b", 2], ["c", 3]])
      const { stat, text } = yield* other.getData(path)
      assert.deepStrictEqual([text, stat.version], [`{"a":1,"b":2,"c":3}`, 1])
      yield* dict.clear
      assert.strictEqual((yield* other.getData(path)).text, "{}")
    }))

  it.live("is one request to be read, and two to be written [DOC-MADE]", () =>
    Effect.gen(function*() {
      const { other, proxy, root, zk } = yield* proxiedPair()
      const theirs = yield* numbers(other, root + "/doc")
      yield* theirs.setAll(Array.from({ length: 1_000 }, (_, i) => [`k${i}`, i] as const))
      const dict = yield* numbers(zk, root + "/doc")
      assert.strictEqual(yield* dict.size, 1_000)
      const changes = yield* record(Stream.drop(dict.changes, 1_000))
      yield* proxy.forget
      yield* theirs.set("k5", -1)
      yield* changes.until("the change", (values) => values.length === 1)
      assert.strictEqual((yield* proxy.stats()).requests, 1)
      yield* proxy.forget
      yield* dict.set("k6", -1)
      assert.strictEqual((yield* proxy.stats()).requests, 3)
      yield* proxy.forget
      for (let i = 0; i < 1_000; i++) yield* dict.get("k7")
      assert.strictEqual((yield* proxy.stats()).requests, 0)
    }))

  it.live("keeps what is not the dictionary's as it was written, numbers as well [DOC-OTHERS]", () =>
    Effect.gen(function*() {
      const { other, root, zk } = yield* pair
      const others =
        `"big":123456789012345678901234567890,"exact":[0.10,1E400,-0,1e2],"deep":{"__proto__":{"n":1.0},"":"\\ud800"}`
      yield* other.setData(root, `{${others},"limit":1.50}`)
      const dict = yield* on(zk)(ZkDict.documentStruct(root, { limit: Schema.Number }))
      assert.strictEqual(yield* dict.get("limit"), 1.5)
      assert.deepStrictEqual(yield* dict.keys, ["limit"])
      yield* dict.update("limit", (limit) => limit + 1)
      assert.strictEqual((yield* other.getData(root)).text, `{${others},"limit":2.5}`)
      yield* dict.clear
      assert.strictEqual((yield* other.getData(root)).text, `{${others}}`)
      yield* dict.set("limit", 3)
      assert.strictEqual(yield* dict.pop("limit"), 3)
      assert.strictEqual((yield* other.getData(root)).text, `{${others}}`)
    }))

  it.live("that is none is a failure of reads and writes, stays as it is, and may be repaired [DOC-MALFORMED]", () =>
    Effect.gen(function*() {
      const { other, root, zk } = yield* pair
      const malformed = [
        "",
        "[]",
        "null",
        "5",
        `"s3cret"`,
        "{s3cret",
        `{"a":}`,
        "\ufeff{}",
        Buffer.of(0x7b, 0xff, 0x7d)
      ]
      const dict = yield* numbers(zk, root + "/doc")
      yield* dict.set("a", 1)
      const changes = yield* record(Stream.map(dict.changes, ({ _tag, key }) => `${_tag} ${key}`))
      yield* changes.until("the start", (values) => values.length === 1)
      for (const data of malformed) {
        const { version } = yield* other.setData(root + "/doc", data)
        yield* dict.sync
        const all: ReadonlyArray<Effect.Effect<unknown, { readonly _tag: string }>> = [
          dict.get("a"),
          dict.has("a"),
          dict.size,
          dict.keys,
          dict.invalid,
          dict.set("a", 2),
          dict.setAll([["a", 2]]),
          dict.remove("a"),
          dict.clear,
          dict.pop("a"),
          dict.getOrSet("a", 2),
          dict.update("a", () => 2),
          dict.transact(({ get }) => get("a"))
        ]
        for (const use of all) {
          const error = yield* failsWith(use, "ValueDecodeError")
          assert.notInclude(String(error) + JSON.stringify(error), "s3cret")
        }
        const error = yield* failsWith(dict.get("a"), "ValueDecodeError")
        assert.strictEqual(error.path, root + "/doc")
        assert.deepStrictEqual(Buffer.from(Redacted.value(error.data)), Buffer.from(data))
        const now = yield* other.getData(root + "/doc")
        assert.strictEqual(now.stat.version, version)
        assert.deepStrictEqual(Buffer.from(now.data ?? []), Buffer.from(data))
        yield* failsWith((yield* numbers(other, root + "/doc")).get("a"), "ValueDecodeError")
      }
      yield* other.setData(root + "/doc", ` {\n "b": 5 }`)
      yield* dict.sync
      assert.deepStrictEqual(yield* dict.entries, [["b", 5]])
      yield* changes.until("the end", (values) => values.length === 3)
      assert.deepStrictEqual(changes.values.slice(1).toSorted(), ["Added b", "Removed a"])
    }))

  it.live("has members that cannot be decoded, each for itself [M25] [TC-17]", () =>
    Effect.gen(function*() {
      const { other, root, zk } = yield* pair
      yield* other.setData(root, `{"a":1,"b":"s3cret","c":null}`)
      const dict = yield* numbers(zk, root)
      assert.deepStrictEqual(yield* dict.entries, [["a", 1]])
      assert.deepStrictEqual([...(yield* dict.invalid).keys()], ["b", "c"])
      const error = yield* failsWith(dict.get("b"), "ValueDecodeError")
      assert.strictEqual(error.path, `${root}/b`)
      assert.notInclude(String(error) + JSON.stringify(error), "s3cret")
      yield* failsWith(dict.pop("b"), "ValueDecodeError")
      assert.isTrue(yield* dict.has("b"))
      yield* dict.set("b", 2)
      yield* dict.remove("c")
      assert.strictEqual((yield* other.getData(root)).text, `{"a":1,"b":2}`)
    }))

  it.live("may have members that are called like nothing else should be [DOC-KEYS]", () =>
    Effect.gen(function*() {
      const { other, root, zk } = yield* pair
      const dict = yield* on(zk)(ZkDict.document(root + "/doc", { value: Schema.Unknown }))
      yield* dict.set("__proto__", { polluted: true })
      yield* dict.set("constructor", 1)
      assert.strictEqual((yield* other.getData(root + "/doc")).text, `{"__proto__":{"polluted":true},"constructor":1}`)
      assert.deepStrictEqual(yield* dict.keys, ["__proto__", "constructor"])
      assert.deepStrictEqual(yield* dict.get("__proto__"), { polluted: true })
      assert.isUndefined(({} as { readonly polluted?: unknown }).polluted)
      assert.isFalse(yield* dict.has("toString"))
      yield* failsWith(dict.get("hasOwnProperty"), "KeyNotFound")
      const struct = yield* on(zk)(ZkDict.documentStruct(root + "/doc", { ["__proto__"]: Schema.Unknown }))
      const snapshot = yield* struct.snapshot
      assert.deepStrictEqual(Object.keys(snapshot), ["__proto__"])
      assert.strictEqual(Object.getPrototypeOf(snapshot), Object.prototype)
      yield* struct.set("__proto__", 5)
      yield* dict.sync
      assert.strictEqual(yield* dict.get("__proto__"), 5)
    }))

  it.live("is empty when its node is deleted, and made again by the next write [DOC-DELETED]", () =>
    Effect.gen(function*() {
      const { other, root, zk } = yield* pair
      const dict = yield* numbers(zk, root + "/doc")
      yield* dict.setAll([["a", 1], ["b", 2]])
      const changes = yield* record(Stream.map(dict.changes, ({ _tag, key }) => `${_tag} ${key}`))
      yield* changes.until("the start", (values) => values.length === 2)
      yield* other.delete(root + "/doc")
      yield* changes.until("the end", (values) => values.length === 4)
      assert.strictEqual(yield* dict.size, 0)
      assert.sameMembers(changes.values.slice(2), ["Removed a", "Removed b"])
      yield* other.create(root + "/doc", "{}")
      yield* dict.sync
      assert.strictEqual(yield* dict.size, 0)
      yield* other.delete(root + "/doc")
      yield* dict.set("c", 3)
      assert.deepStrictEqual(yield* dict.entries, [["c", 3]])
      assert.strictEqual((yield* other.getData(root + "/doc")).text, `{"c":3}`)
    }))

  it.live("takes many writes of one program at once, one after the other [DOC-TURNS]", () =>
    Effect.gen(function*() {
      const { proxy, root, zk } = yield* proxiedPair()
      const dict = yield* numbers(zk, root + "/doc")
      const keys = Array.from({ length: 200 }, (_, i) => `k${i}`)
      yield* Effect.forEach(keys, (key) => dict.set(key, 1), { concurrency: "unbounded", discard: true })
      assert.strictEqual(yield* dict.size, 200)
      const popped = yield* Effect.forEach(keys, (key) => dict.pop(key), { concurrency: "unbounded" })
      assert.strictEqual(popped.length, 200)
      assert.strictEqual(yield* dict.size, 0)
      // None had to be done twice.
      assert.strictEqual((yield* proxy.stats()).ops["setData"], 399)
      // A transaction may write by itself meanwhile.
      yield* dict.transact(({ set }) => Effect.andThen(dict.getOrSet("a", 1), set("b", 2)))
      assert.deepStrictEqual(yield* dict.entries, [["a", 1], ["b", 2]])
    }))
})
