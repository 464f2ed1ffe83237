import { assert, describe, it } from "@effect/vitest"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { inspect } from "node:util"
import * as ZkAcl from "../src/ZkAcl.ts"
import * as ZkCodec from "../src/ZkCodec.ts"
import { failsWith } from "./support/failsWith.ts"
import { pair } from "./support/mirroring.ts"
import { showState, stateBecomes, typedNode, valueBecomes } from "./support/typedNodes.ts"
import { record } from "./support/watching.ts"

const anyone = { scheme: "world", id: "anyone" }

describe("making a typed node", () => {
  it.live("each option is seen at the server: data, codec, ACL, mode [T57] [Z44]", () =>
    Effect.gen(function*() {
      const { other, root, zk } = yield* pair
      const Limits = Schema.Struct({ requests: Schema.Int, since: Schema.optionalKey(Schema.Date) })
      const limits = { requests: 3, since: new Date(0) }
      const acl = [{ perms: ZkAcl.Perms.read + ZkAcl.Perms.write, ...anyone }]
      const json = yield* typedNode(zk, `${root}/json`, { value: Limits, default: limits, acl })
      const found = yield* other.getData(`${root}/json`)
      assert.deepStrictEqual(JSON.parse(found.text), { requests: 3, since: "1970-01-01T00:00:00.000Z" })
      assert.strictEqual(found.stat.ephemeralOwner, 0n)
      assert.deepStrictEqual((yield* other.getAcl(`${root}/json`)).acl, acl)
      assert.deepStrictEqual(yield* json.get, limits)
      assert.strictEqual(json.path, `${root}/json`)
      yield* typedNode(zk, `${root}/text`, { value: Schema.String, codec: ZkCodec.text, default: "as it is" })
      assert.strictEqual((yield* other.getData(`${root}/text`)).text, "as it is")
      yield* typedNode(zk, `${root}/kept`, { value: Schema.Null, mode: "ephemeral", default: null, acl })
      const kept = yield* other.getData(`${root}/kept`)
      assert.strictEqual(kept.text, "null")
      assert.strictEqual(kept.stat.ephemeralOwner, (yield* zk.session).sessionId)
      assert.deepStrictEqual((yield* other.getAcl(`${root}/kept`)).acl, acl)
      // What there is already is left as it is.
      const again = yield* typedNode(zk, `${root}/json`, { value: Limits, default: { requests: 4 } })
      assert.deepStrictEqual(yield* again.get, limits)
      // And what set makes anew has the ACL too.
      yield* other.delete(`${root}/json`)
      yield* json.set({ requests: 5 })
      assert.deepStrictEqual((yield* other.getAcl(`${root}/json`)).acl, acl)
    }))

  it.live("creates nothing without a default, and null is one [T58]", () =>
    Effect.gen(function*() {
      const { other, root, zk } = yield* pair
      const path = `${root}/a`
      const node = yield* typedNode(zk, path, { value: Schema.NullOr(Schema.Number) })
      assert.deepStrictEqual(yield* node.getOption, Option.none())
      assert.strictEqual((yield* failsWith(node.get, "NoNode")).path, path)
      yield* failsWith(node.stat, "NoNode")
      yield* failsWith(node.lastModified, "NoNode")
      yield* failsWith(node.children, "NoNode")
      yield* failsWith(node.update(() => 1), "NoNode")
      yield* failsWith(node.set(1, { version: 0 }), "NoNode")
      yield* failsWith(node.delete(), "NoNode")
      assert.isTrue(Option.isNone(yield* other.exists(path)))
      yield* typedNode(zk, path, { value: Schema.NullOr(Schema.Number), default: null })
      assert.strictEqual((yield* other.getData(path)).text, "null")
      yield* node.sync
      assert.deepStrictEqual(yield* node.getOption, Option.some(null))
      assert.strictEqual(yield* node.update((n) => (n ?? 6) + 1), 7)
      assert.strictEqual(yield* node.get, 7)
    }))

  it.live("an undefined value is no default, but one that is kept [NODE-UNDEFINED]", () =>
    Effect.gen(function*() {
      const { other, root, zk } = yield* pair
      const value = Schema.UndefinedOr(Schema.Number)
      yield* typedNode(zk, `${root}/a`, { value, default: undefined })
      assert.isTrue(Option.isNone(yield* other.exists(`${root}/a`)))
      const kept = yield* typedNode(zk, `${root}/c`, { value, mode: "ephemeral", default: undefined })
      assert.strictEqual((yield* other.getData(`${root}/c`)).stat.ephemeralOwner, (yield* zk.session).sessionId)
      assert.isUndefined(yield* kept.get)
      assert.strictEqual(yield* kept.update((n) => (n ?? 1) + 1), 2)
      assert.isUndefined(yield* kept.update(() => undefined))
    }))

  it.live("ten who make it at once with a default all succeed, also below parents that are missing [T59]", () =>
    Effect.gen(function*() {
      const { other, root, zk } = yield* pair
      const path = `${root}/not/there/yet`
      const nodes = yield* Effect.forEach(
        Array.from({ length: 10 }, (_, i) => i),
        (i) => typedNode(i % 2 === 0 ? zk : other, path, { value: Schema.Int, default: i }),
        { concurrency: "unbounded" }
      )
      const values = yield* Effect.forEach(nodes, (node) => Effect.andThen(node.sync, node.get))
      assert.lengthOf([...new Set(values)], 1)
      assert.strictEqual((yield* other.getData(path)).stat.version, 0)
    }))

  it.live("refuses what is no path, and a default that cannot be kept, without a trace [NODE-REFUSED]", () =>
    Effect.gen(function*() {
      const { other, root, zk } = yield* pair
      for (const path of ["", "a", `${root}/`, `${root}//a`, `${root}/../a`]) {
        yield* failsWith(typedNode(zk, path, { value: Schema.Int, default: 1 }), "InvalidPath")
      }
      const secret = "correct-horse"
      const NoHorses = Schema.String.check(Schema.makeFilter((text) => !text.includes("horse")))
      const error = yield* failsWith(
        typedNode(zk, `${root}/a`, { value: NoHorses, default: secret }),
        "ValueEncodeError"
      )
      assert.notInclude(inspect(error, { depth: null }) + JSON.stringify(error) + String(error), secret)
      assert.isTrue(Option.isNone(yield* other.exists(`${root}/a`)))
    }))
})

describe("a typed node", () => {
  it.live("reflects what others write, and has what was set at once, as a value of its type [T64] [T65]", () =>
    Effect.gen(function*() {
      const { other, root, zk } = yield* pair
      const path = `${root}/a`
      const node = yield* typedNode(zk, path, { value: Schema.Number, default: 483.24 })
      assert.strictEqual(yield* node.get, 483.24)
      for (let i = 0; i < 200; i++) {
        const stat = yield* node.set(i)
        assert.strictEqual(yield* node.get, i)
        assert.strictEqual((yield* node.stat).mzxid, stat.mzxid)
      }
      yield* other.setData(path, "777")
      yield* valueBecomes(node, 777)
      yield* node.delete()
      assert.deepStrictEqual(yield* node.getOption, Option.none())
      assert.strictEqual(yield* node.update((n) => n + 1), 484.24)
      assert.strictEqual(yield* node.get, 484.24)
    }))

  it.live("versions are those of the server [NODE-VERSION]", () =>
    Effect.gen(function*() {
      const { other, root, zk } = yield* pair
      const path = `${root}/a`
      const node = yield* typedNode(zk, path, { value: Schema.Number, default: 1 })
      const first = yield* node.set(2, { version: 0 })
      assert.strictEqual(first.version, 1)
      const error = yield* failsWith(node.set(3, { version: 0 }), "BadVersion")
      assert.strictEqual(error.expected, 0)
      yield* failsWith(node.delete({ version: 0 }), "BadVersion")
      assert.strictEqual((yield* other.getData(path)).text, "2")
      yield* node.delete({ version: 1 })
      assert.isTrue(Option.isNone(yield* other.exists(path)))
    }))

  it.live("knows when it was modified last, by the server's clock [T66] [DICT-05]", () =>
    Effect.gen(function*() {
      const { other, root, zk } = yield* pair
      const path = `${root}/a`
      const node = yield* typedNode(zk, path, { value: Schema.Number, default: 1 })
      const seen = yield* typedNode(other, path, { value: Schema.Number })
      const isRight = Effect.gen(function*() {
        const stat = Option.getOrThrow(yield* other.exists(path))
        assert.strictEqual((yield* node.lastModified).epochMilliseconds, Number(stat.mtime))
        assert.deepStrictEqual(yield* node.stat, stat)
        return stat
      })
      yield* isRight
      const own = yield* node.set(2)
      assert.strictEqual((yield* isRight).mzxid, own.mzxid)
      yield* valueBecomes(seen, 2)
      assert.strictEqual((yield* seen.lastModified).epochMilliseconds, Number(own.mtime))
      const theirs = yield* seen.set(3)
      yield* valueBecomes(node, 3)
      assert.strictEqual((yield* isRight).mzxid, theirs.mzxid)
      assert.isTrue(DateTime.isDateTime(yield* node.lastModified))
      assert.isAtLeast(Number(theirs.mtime), Number(own.mtime))
    }))

  it.live("tells readers of values and children where they are, and each change, until all is gone [T67] [DICT-06]", () =>
    Effect.gen(function*() {
      const { other, root, zk } = yield* pair
      const path = `${root}/a`
      const node = yield* typedNode(zk, path, { value: Schema.Number, default: 1 })
      const values = yield* record(Stream.map(node.changes, ({ current }) => showState(current)))
      const names = yield* record(Stream.map(node.childrenChanges, Option.getOrUndefined))
      yield* values.until("the first", (values) => values.length === 1)
      yield* names.until("the first", (values) => values.length === 1)
      // One that fails harms nobody else.
      const failing = yield* Effect.exit(Stream.runForEach(node.changes, () => Effect.die("by itself")))
      assert.strictEqual(failing._tag, "Failure")
      yield* other.create(`${path}/y`)
      yield* names.until("y", (values) => values.length === 2)
      yield* other.create(`${path}/x`)
      yield* names.until("x", (values) => values.length === 3)
      yield* node.set(2)
      yield* values.until("2", (values) => values.length === 2)
      assert.deepStrictEqual([...(yield* node.children)], ["x", "y"])
      yield* other.deleteRecursive(path)
      yield* values.until("the end", (values) => values.at(-1) === "missing")
      yield* names.until("the end", (values) => values.at(-1) === undefined)
      assert.deepStrictEqual([...values.values], [1, 2, "missing"])
      assert.deepStrictEqual(names.values.slice(0, 3), [[], ["y"], ["x", "y"]])
    }))

  it.live("a reader has the last of a thousand values, each next to the one that it had before [T68]", () =>
    Effect.gen(function*() {
      const { other, root, zk } = yield* pair
      const path = `${root}/a`
      const node = yield* typedNode(zk, path, { value: Schema.Number, default: -1 })
      const seen = yield* record(node.changes)
      const slow = yield* record(Stream.tap(node.changes, () => Effect.sleep("5 millis")))
      yield* Effect.forEach(
        Array.from({ length: 1_000 }, (_, i) => i),
        (i) => other.setData(path, String(i)),
        { concurrency: 100, discard: true }
      )
      for (const { until, values } of [seen, slow]) {
        yield* until("the last", (values) => {
          const last = values.at(-1)
          return last !== undefined && showState(last.current) === 999
        })
        assert.isTrue(Option.isNone(values[0]!.previous))
        values.slice(1).forEach(({ previous }, i) =>
          assert.strictEqual(Option.getOrThrow(previous), values[i]!.current)
        )
        const numbers = values.map(({ current }) => showState(current) as number)
        assert.deepStrictEqual(numbers, numbers.toSorted((a, b) => a - b))
        assert.lengthOf([...new Set(numbers)], numbers.length)
      }
      assert.isBelow(slow.values.length, 1_001)
    }))

  it.live("is right after it was deleted and made anew a thousand times [T69]", () =>
    Effect.gen(function*() {
      const { other, root, zk } = yield* pair
      const path = `${root}/a`
      const node = yield* typedNode(zk, path, { value: Schema.Number, default: -1 })
      const seen = yield* record(Stream.map(node.changes, ({ current }) => showState(current)))
      for (let i = 0; i < 1_000; i++) {
        yield* Effect.all([other.delete(path), other.create(path, String(i))], { concurrency: 2 })
      }
      yield* valueBecomes(node, 999)
      yield* seen.until("the last", (values) => values.at(-1) === 999)
      yield* other.delete(path)
      yield* stateBecomes(node, (state) => state._tag === "Missing")
      yield* failsWith(node.get, "NoNode")
      yield* node.set(5)
      assert.strictEqual((yield* other.getData(path)).text, "5")
      assert.strictEqual(yield* node.get, 5)
    }), 30_000)

  it.live("may be used by its own readers, also to end them [T75] [DICT-06]", () =>
    Effect.gen(function*() {
      const { other, root, zk } = yield* pair
      const path = `${root}/a`
      const value = Schema.Number
      for (const mode of ["persistent", "ephemeral"] as const) {
        const node = yield* (mode === "ephemeral"
          ? typedNode(zk, path, { value, mode, default: 0 })
          : typedNode(zk, path, { value, mode, default: 0 }))
        yield* node.changes.pipe(
          Stream.takeUntil(({ current }) => current._tag === "Missing"),
          Stream.runForEach(({ current }) =>
            Effect.gen(function*() {
              if (current._tag !== "Present") return
              yield* node.sync
              yield* node.children
              yield* node.get
              if (current.value < 4) yield* node.set(current.value + 1)
              else if (current.value < 8) yield* node.update((n) => n + 1)
              else yield* node.delete()
              const inner = yield* typedNode(zk, `${path}-inner`, { value, default: 0 }).pipe(Effect.scoped)
              assert.strictEqual(inner.path, `${path}-inner`)
            })
          ),
          Effect.timeout("10 seconds")
        )
        if (mode === "ephemeral") yield* valueBecomes(node, 8)
        yield* Effect.ignore(other.delete(path))
      }
    }))
})

describe("a value that cannot be read", () => {
  it.live("is told as such, with its error, until there is one that can [Z46] [T61] [DICT-05]", () =>
    Effect.gen(function*() {
      const { other, root, zk } = yield* pair
      const path = `${root}/a`
      const secret = "correct-horse"
      const node = yield* typedNode(zk, path, { value: Schema.Struct({ n: Schema.Int }), default: { n: 1 } })
      const seen = yield* record(node.changes)
      yield* seen.until("the first", (values) => values.length === 1)
      for (const [i, text] of [secret, JSON.stringify({ n: secret }), null].entries()) {
        const stat = yield* other.setData(path, text)
        yield* seen.until("bad", (values) => values.length === 2 * i + 2)
        const { current } = seen.values[2 * i + 1]!
        if (current._tag !== "Invalid") return assert.fail(current._tag)
        assert.strictEqual(current.error.path, path)
        assert.strictEqual(current.stat.mzxid, stat.mzxid)
        for (
          const error of [
            current.error,
            yield* failsWith(node.get, "ValueDecodeError"),
            yield* failsWith(node.getOption, "ValueDecodeError"),
            yield* failsWith(node.update((a) => a), "ValueDecodeError")
          ]
        ) {
          assert.strictEqual(error.path, path)
          assert.notInclude(inspect(error) + JSON.stringify(error) + String(error) + error.message, secret)
        }
        // Metadata needs no decoding.
        assert.strictEqual((yield* node.stat).mzxid, stat.mzxid)
        yield* other.setData(path, JSON.stringify({ n: i }))
        yield* seen.until("good", (values) => values.length === 2 * i + 3)
        assert.deepStrictEqual(yield* node.get, { n: i })
      }
      // What is wrong may be set right.
      yield* other.setData(path, secret)
      yield* node.set({ n: 9 })
      assert.deepStrictEqual(yield* node.get, { n: 9 })
    }))

  it.live("is none in lax values: what looks like nothing else is text, and what comes later is read again [T61]", () =>
    Effect.gen(function*() {
      const { other, root, zk } = yield* pair
      const path = `${root}/a`
      yield* other.create(path, "942")
      const node = yield* typedNode(zk, path, { value: ZkCodec.lax, codec: (lax) => lax })
      assert.strictEqual(yield* node.get, 942)
      const second = yield* typedNode(other, path, { value: ZkCodec.lax, codec: (lax) => lax })
      for (
        const [text, value] of [["2013-13-45", "2013-13-45"], ["-5", -5], ["{[x}", "{[x}"], ["true", true]] as const
      ) {
        yield* other.setData(path, text)
        yield* valueBecomes(node, value)
      }
      yield* node.set({ a: [1, "2"] })
      yield* stateBecomes(second, (state) => state._tag === "Present" && typeof state.value === "object")
      assert.deepStrictEqual(yield* second.get, { a: [1, "2"] })
      yield* node.set("123")
      assert.strictEqual(yield* node.get, "123")
      assert.strictEqual((yield* other.getData(path)).text, "\"123\"")
    }))
})
