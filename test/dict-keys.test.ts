/** What keys can be, and which names of nodes are keys. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaParser from "effect/SchemaParser"
import * as Stream from "effect/Stream"
import * as ZkDict from "../src/ZkDict.ts"
import * as Any from "./fixtures/arbitraries.ts"
import { on } from "./support/dictionaries.ts"
import { failsWith } from "./support/failsWith.ts"
import { pair, proxiedPair } from "./support/mirroring.ts"
import { record } from "./support/watching.ts"

const { escapedKey } = ZkDict

/** What is easily got wrong. */
const odd = [
  "",
  ".",
  "..",
  "...",
  "%",
  "%%",
  "%25",
  "%2F",
  "%uD83D",
  "a/b",
  "/",
  "//",
  "a/",
  "zookeeper",
  "\u0000",
  "\u001f",
  " ",
  " a ",
  "\u007f",
  "\u009f",
  "š☃",
  "e\u0301",
  "😀",
  "\ud83d",
  "\ude00",
  "\ude00\ud83d",
  "a\ud83d%uDE00",
  "\ufeff",
  "\ufff0",
  "\uffff",
  "\ue000",
  "\uf8ff",
  "__proto__",
  "constructor",
  "_c_0b83d2d1-5b32-4b4f-a0c6-5ffb8e1b4b1c-pop-0000000001",
  "x".repeat(2_000)
]

const ranges = [[0x00, 0x1f], [0x2f, 0x2f], [0x7f, 0x9f], [0xd800, 0xf8ff], [0xfff0, 0xffff]] as const

/** What ZooKeeper takes for the name of a node. */
const isName = (name: string): boolean =>
  !["", ".", ".."].includes(name) &&
  !Array.from({ length: name.length }, (_, i) => name.charCodeAt(i)).some((code) =>
    ranges.some(([from, to]) => from <= code && code <= to)
  )

describe("keys as they are", () => {
  it.live("are refused before anything is sent, or come back; the root is never written to [M34] [M33] [DICT-03]", () =>
    Effect.gen(function*() {
      const { other, proxy, root, zk } = yield* proxiedPair()
      yield* other.setData(root, "of the root")
      const dict = yield* on(zk)(ZkDict.make(root, { value: Schema.Number }))
      const refused: Array<string> = []
      for (const key of odd) {
        yield* proxy.forget
        const result = yield* Effect.result(dict.set(key, 1))
        if (Result.isSuccess(result)) {
          assert.strictEqual(yield* dict.get(key), 1)
          assert.deepStrictEqual(yield* dict.keys, [key])
          assert.deepStrictEqual((yield* other.getChildren(root)).children, [key])
          assert.isTrue(yield* dict.remove(key))
        } else {
          refused.push(key)
          const uses: ReadonlyArray<Effect.Effect<unknown, { readonly _tag: string }>> = [
            dict.get(key),
            dict.getOrElse(key, () => 0),
            dict.has(key),
            dict.remove(key),
            dict.popOption(key),
            dict.getOrSet(key, 1),
            dict.update(key, (value) => value),
            dict.setAll([["fine", 1], [key, 1]])
          ]
          const error = result.failure
          assert.strictEqual(error._tag, "InvalidDictKey")
          if (error._tag === "InvalidDictKey") assert.deepStrictEqual([error.path, error.key], [root, key])
          for (const use of uses) yield* failsWith(use, "InvalidDictKey")
          assert.strictEqual((yield* proxy.stats()).requests, 0)
        }
      }
      assert.deepStrictEqual(refused, odd.filter((key) => !isName(key)))
      assert.deepStrictEqual((yield* other.getChildren(root)).children, [])
      const { stat, text } = yield* other.getData(root)
      assert.deepStrictEqual([text, stat.version], ["of the root", 1])
    }))

  it.live.prop("any text is refused or comes back [M34]", [Any.anyText], ([key]) =>
    Effect.gen(function*() {
      const { other, root, zk } = yield* pair
      const dict = yield* on(zk)(ZkDict.make(root, { value: Schema.String }))
      const result = yield* Effect.result(dict.set(key, key))
      if (Result.isFailure(result)) assert.strictEqual(result.failure._tag, "InvalidDictKey")
      else assert.deepStrictEqual(yield* dict.entries, [[key, key]])
      assert.strictEqual((yield* other.getData(root)).stat.version, 0)
    }).pipe(Effect.scoped), { arbitrary: { runs: 40 } })
})

describe("escaped keys", () => {
  const toName = SchemaParser.encodeResult(escapedKey)
  const toKey = SchemaParser.decodeUnknownResult(escapedKey)

  it("look like URLs, and plain ones as they are [KEY-ESCAPED]", () => {
    const names = [
      ["", "%"],
      [".", "%2E"],
      ["..", "%2E%2E"],
      ["a.b", "a.b"],
      ["a/b", "a%2Fb"],
      ["100%", "100%25"],
      ["š☃ é", "š☃ é"],
      ["😀", "%F0%9F%98%80"],
      ["\ud83d", "%uD83D"],
      ["\u0000\n", "%00%0A"],
      ["\uffff", "%EF%BF%BF"]
    ] as const
    for (const [key, name] of names) {
      assert.deepStrictEqual(toName(key), Result.succeed(name))
      assert.deepStrictEqual(toKey(name), Result.succeed(key))
    }
  })

  it.prop("each text has one name, which no other text has [KEY-ESCAPED]", [Any.anyText, Any.anyText], ([a, b]) => {
    for (const text of [a, b, a + b, `${a}%${b}`, `${a}%u${b}`]) {
      const name = Result.getOrThrow(toName(text))
      assert.strictEqual(Result.getOrThrow(toKey(name)), text)
      assert.isTrue(isName(name), name)
    }
    // A text that is read as a name is the name of what it stands for, or of nothing.
    const read = toKey(a)
    if (Result.isSuccess(read)) assert.deepStrictEqual(toName(read.success), Result.succeed(a))
  }, { arbitrary: { runs: 2_000 } })

  it("no other names stand for anything [KEY-ESCAPED]", () => {
    for (
      const name of ["%2f", "%61", "%%", "%2", "%zz", "a%", "%C3", "%uD83D%uDE00", "%u0041", "%uD83d", ".", "%ED%A0%80"]
    ) {
      assert.isTrue(Result.isFailure(toKey(name)), name)
    }
  })

  it.live("are any text, also on servers [KEY-ESCAPED] [M34]", () =>
    Effect.gen(function*() {
      const { other, root, zk } = yield* pair
      yield* other.setData(root, "of the root")
      const dict = yield* on(zk)(ZkDict.make(root, { value: Schema.String, key: escapedKey }))
      const theirs = yield* on(other)(ZkDict.make(root, { value: Schema.String, key: escapedKey }))
      yield* dict.setAll(odd.map((key) => [key, key] as const))
      yield* theirs.sync
      assert.isTrue(Equal.equals(yield* theirs.snapshot, new Map(odd.map((key) => [key, key]))))
      for (const key of odd) assert.strictEqual(yield* theirs.pop(key), key)
      yield* dict.sync
      assert.strictEqual(yield* dict.size, 0)
      assert.deepStrictEqual((yield* other.getChildren(root)).children, [])
      assert.strictEqual((yield* other.getData(root)).text, "of the root")
    }))
})

describe("keys of a document", () => {
  it.live("are any text [DOC-KEYS]", () =>
    Effect.gen(function*() {
      const { other, root, zk } = yield* pair
      const dict = yield* on(zk)(ZkDict.document(root + "/doc", { value: Schema.String }))
      const theirs = yield* on(other)(ZkDict.document(root + "/doc", { value: Schema.String }))
      yield* dict.setAll(odd.map((key) => [key, key] as const))
      yield* theirs.sync
      assert.isTrue(Equal.equals(yield* theirs.snapshot, new Map(odd.map((key) => [key, key]))))
      for (const key of odd) assert.strictEqual(yield* theirs.pop(key), key)
      assert.strictEqual((yield* other.getData(root + "/doc")).text, "{}")
    }))
})

describe("names that are no keys", () => {
  const Port = Schema.FiniteFromString.pipe(Schema.check(Schema.isInt(), Schema.isGreaterThan(0)))

  it.live("are neither read, nor shown, nor removed [KEY-SCHEMA] [M54]", () =>
    Effect.gen(function*() {
      const { other, proxy, root, zk } = yield* proxiedPair()
      const foreign = ["lock", "-1", "1.5", "080", "8e1", " 80", "0", "NaN"]
      for (const name of foreign) yield* other.create(`${root}/${name}`, "of others")
      yield* other.create(`${root}/lock/child`)
      yield* other.create(`${root}/80`, "1")
      yield* proxy.forget
      const dict = yield* on(zk)(ZkDict.make(root, { value: Schema.Number, key: Port }))
      const changes = yield* record(Stream.map(dict.changes, (change) => `${change._tag} ${change.key}`))
      assert.deepStrictEqual([yield* dict.size, yield* dict.keys, yield* dict.revision], [1, [80], 1n])
      assert.deepStrictEqual(yield* dict.snapshot, new Map([[80, 1]]))
      yield* other.setData(`${root}/080`, "5")
      yield* other.setData(`${root}/lock`, "changed")
      yield* other.create(`${root}/lock2`, "new")
      yield* dict.sync
      yield* dict.set(443, 2)
      assert.strictEqual(yield* dict.get(443), 2)
      assert.deepStrictEqual(yield* dict.keys, [443, 80])
      for (const key of [0, -1, 1.5, Number.NaN]) {
        const error = yield* failsWith(dict.set(key, 1), "InvalidDictKey")
        assert.strictEqual(error.key, `${key}`)
        yield* failsWith(dict.has(key), "InvalidDictKey")
      }
      const reads = yield* proxy.frames({ kind: "request", op: ["getData", "exists", "getChildren2", "multiRead"] })
      const read = reads.flatMap(({ ops, path }) => path === undefined ? ops.map((op) => op.path) : [path])
      assert.sameMembers([...new Set(read)], [root, `${root}/80`, `${root}/443`])
      yield* dict.clear
      yield* changes.until("the end", (values) => values.length === 4)
      assert.strictEqual(yield* dict.size, 0)
      assert.sameMembers([...changes.values], ["Added 80", "Added 443", "Removed 443", "Removed 80"])
      assert.sameMembers([...(yield* other.getChildren(root)).children], [...foreign, "lock2"])
    }))

  it.live("are members of a document too, and stay as they are [KEY-SCHEMA] [DOC-OTHERS]", () =>
    Effect.gen(function*() {
      const { other, root, zk } = yield* pair
      yield* other.setData(root, `{"lock":{"a":[1.50]},"80":1,"080":5}`)
      const dict = yield* on(zk)(ZkDict.document(root, { value: Schema.Number, key: Port }))
      assert.deepStrictEqual(yield* dict.entries, [[80, 1]])
      assert.strictEqual(yield* dict.revision, 1n)
      yield* dict.set(443, 2)
      yield* dict.remove(80)
      yield* dict.clear
      assert.strictEqual((yield* other.getData(root)).text, `{"lock":{"a":[1.50]},"080":5}`)
    }))
})
