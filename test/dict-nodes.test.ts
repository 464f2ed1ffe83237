/** Dictionaries with a node for each key, and what goes over the wire. */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaTransformation from "effect/SchemaTransformation"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as ZkClient from "../src/ZkClient.ts"
import * as ZkCodec from "../src/ZkCodec.ts"
import * as ZkDict from "../src/ZkDict.ts"
import { on } from "./support/dictionaries.ts"
import { failsWith } from "./support/failsWith.ts"
import { pair, proxiedPair } from "./support/mirroring.ts"
import { shared, sharedHandle } from "./support/shared.ts"
import { record, sessionOf } from "./support/watching.ts"

const numbers = (zk: ZkClient.ZkClient, root: string) => on(zk)(ZkDict.make(root, { value: Schema.Number }))

describe("a dictionary of nodes", () => {
  it.live("is a node with the value's JSON for each key, and nothing else [M2] [M11] [M23] [M32]", () =>
    Effect.gen(function*() {
      const { other, root, zk } = yield* pair
      const path = `${root}/app/config`
      const dict = yield* on(zk)(ZkDict.make(path, { value: Schema.String }))
      assert.strictEqual(dict.path, path)
      yield* dict.set("language", "en-US")
      const { stat, text } = yield* other.getData(`${path}/language`)
      assert.deepStrictEqual([text, stat.version, stat.ephemeralOwner], [`"en-US"`, 0, 0n])
      yield* dict.set("language", "cs")
      assert.strictEqual((yield* other.getData(`${path}/language`)).stat.version, 1)
      assert.deepStrictEqual((yield* other.getChildren(path)).children, ["language"])
      assert.strictEqual((yield* other.getData(path)).text, "")
      yield* dict.remove("language")
      assert.deepStrictEqual((yield* other.getChildren(path)).children, [])
      for (const bad of [`${path}/`, `${root}//x`, "app", ""]) yield* failsWith(numbers(zk, bad), "InvalidPath")
    }))

  it.live("is complete when it is made, also in manual mode [M6]", () =>
    Effect.gen(function*() {
      const { other, root, zk } = yield* pair
      for (const key of ["a", "b", "c"]) yield* other.create(`${root}/${key}`, "1")
      for (const mode of ["live", "manual"] as const) {
        const dict = yield* on(zk)(ZkDict.make(root, { value: Schema.Number, mode }))
        assert.deepStrictEqual(yield* dict.keys, ["a", "b", "c"])
        assert.strictEqual(yield* dict.revision, 3n)
      }
    }))

  it.live("asks the server nothing to be read [M8]", () =>
    Effect.gen(function*() {
      const { proxy, root, zk } = yield* proxiedPair()
      const dict = yield* numbers(zk, root)
      yield* dict.set("a", 1)
      yield* proxy.forget
      for (let i = 0; i < 2_000; i++) {
        assert.strictEqual(yield* dict.get("a"), 1)
        assert.isFalse(yield* dict.has("b"))
        assert.strictEqual(yield* dict.size, 1)
        yield* dict.snapshot
        yield* dict.revision
      }
      yield* dict.freshness
      assert.strictEqual((yield* proxy.stats()).requests, 0)
    }))

  it.live("of a thousand keys has one watch, and reads what has changed and nothing else [M26] [T74]", () =>
    Effect.gen(function*() {
      const { other, proxy, root, zk } = yield* proxiedPair()
      const theirs = yield* numbers(other, root)
      yield* theirs.setAll(Array.from({ length: 1_000 }, (_, i) => [`k${i}`, i] as const))
      yield* proxy.forget
      const dict = yield* numbers(zk, root)
      assert.strictEqual(yield* dict.size, 1_000)
      const { ops } = yield* proxy.stats()
      assert.strictEqual(ops["addWatch"], 1)
      assert.isUndefined(ops["setWatches2"])
      const server = yield* sharedHandle
      assert.deepStrictEqual(yield* server.watchesOf(yield* sessionOf(zk)), [root])
      const changes = yield* record(Stream.drop(dict.changes, 1_000))
      yield* proxy.forget
      yield* theirs.set("k7", -1)
      yield* changes.until("the change", (values) => values.length === 1)
      assert.strictEqual(yield* dict.get("k7"), -1)
      assert.isAtMost((yield* proxy.stats()).requests, 1)
      yield* proxy.forget
      yield* dict.set("k8", -1)
      assert.isAtMost((yield* proxy.stats()).requests, 2)
    }))

  it.live("ends with its scope, and nothing else does; without the client it fails [M5] [M55] [M57]", () =>
    Effect.gen(function*() {
      const { connectString } = yield* shared
      const { other, root } = yield* pair
      const clientScope = yield* Scope.make()
      const zk = yield* Scope.provide(ZkClient.make({ hosts: connectString }), clientScope)
      const scope = yield* Scope.make()
      const dict = yield* Scope.provide(numbers(zk, root), scope)
      const kept = yield* numbers(zk, root)
      yield* dict.set("a", 1)
      const reader = yield* record(dict.changes)
      yield* Scope.close(scope, Exit.void)
      const end = yield* Fiber.await(reader.fiber)
      assert.isTrue(Exit.isFailure(end) && Exit.hasInterrupts(end))
      assert.isTrue(Exit.hasInterrupts(yield* Effect.exit(dict.set("a", 2))))
      assert.strictEqual((yield* zk.state)._tag, "Connected")
      const server = yield* sharedHandle
      const session = yield* sessionOf(zk)
      assert.deepStrictEqual(yield* server.watchesOf(session), [root])
      yield* kept.set("b", 1)
      assert.strictEqual(yield* kept.get("b"), 1)
      const changes = yield* record(kept.changes)
      yield* Scope.close(clientScope, Exit.void)
      yield* failsWith(Fiber.join(changes.fiber), "SessionClosed")
      yield* failsWith(kept.set("b", 2), "SessionClosed")
      yield* failsWith(kept.sync, "SessionClosed")
      assert.strictEqual(yield* kept.get("b"), 1)
      assert.strictEqual((yield* kept.freshness)._tag, "Stale")
      assert.deepStrictEqual([...(yield* server.sessions)].filter((id) => id === session), [])
      assert.strictEqual((yield* other.getData(`${root}/b`)).text, "1")
    }))

  it.live("knows nothing of others that have other roots [M53] [DICT-02]", () =>
    Effect.gen(function*() {
      const { root, zk } = yield* pair
      const a = yield* numbers(zk, `${root}/a`)
      const ab = yield* numbers(zk, `${root}/ab`)
      const inner = yield* numbers(zk, `${root}/a/key`)
      yield* a.set("x", 1)
      yield* ab.set("x", 2)
      yield* inner.set("y", 3)
      yield* a.sync
      assert.deepStrictEqual(yield* a.entries, [["x", 1]])
      assert.deepStrictEqual(yield* a.keys, ["key", "x"])
      assert.deepStrictEqual(yield* ab.entries, [["x", 2]])
    }))

  it.live("shows two thousand writes, each at once, while another writes [M41]", () =>
    Effect.gen(function*() {
      const { other, root, zk } = yield* pair
      const dict = yield* numbers(zk, root)
      const theirs = yield* numbers(other, root)
      let theirWrites = 0
      yield* Effect.forkScoped(
        Effect.forever(Effect.suspend(() => theirs.set(`k${theirWrites++ % 10}`, theirWrites))),
        { startImmediately: true }
      )
      for (let i = 0; i < 2_000; i++) {
        yield* dict.set("mine", i)
        assert.strictEqual(yield* dict.get("mine"), i)
      }
      assert.isAbove(theirWrites, 200)
    }), 60_000)

  it.live("takes what was changed while it was read for news [M31]", () =>
    Effect.gen(function*() {
      const { other, proxy, root, zk } = yield* proxiedPair()
      yield* other.create(`${root}/a`, "1")
      // The answer with the old value is held back until there is a new one.
      const rule = yield* proxy.rule(
        { direction: "toClient", kind: "reply", op: "getChildren2" },
        { before: Effect.orDie(Effect.andThen(other.setData(`${root}/a`, "2"), other.create(`${root}/b`, "2"))) }
      )
      const dict = yield* numbers(zk, root)
      assert.strictEqual(yield* rule.count, 1)
      yield* dict.sync
      const written = yield* Deferred.make<void>()
      yield* proxy.rule(
        { direction: "toClient", kind: "reply", op: ["getData", "multiRead"] },
        {
          before: Effect.orDie(
            Effect.andThen(other.setData(`${root}/a`, "4"), Deferred.succeed(written, undefined))
          )
        }
      )
      yield* other.setData(`${root}/a`, "3")
      yield* Deferred.await(written)
      yield* dict.sync
      assert.deepStrictEqual(yield* dict.entries, [["a", 4], ["b", 2]])
    }))

  it.live("can be read while keys come and go [M24]", () =>
    Effect.gen(function*() {
      const { other, root, zk } = yield* pair
      const theirs = yield* numbers(other, root)
      yield* theirs.set("stable", 1)
      const dict = yield* numbers(zk, root)
      const reader = yield* Effect.forkChild(Effect.forever(Effect.gen(function*() {
        assert.strictEqual(yield* dict.get("stable"), 1)
        assert.strictEqual((yield* dict.snapshot).get("stable"), 1)
        assert.strictEqual((yield* dict.invalid).size, 0)
        yield* Effect.yieldNow
        yield* Effect.promise(() => new Promise<void>((resolve) => setImmediate(resolve)))
      })))
      yield* Effect.forEach(
        Array.from({ length: 500 }, (_, i) => `k${i % 20}`),
        (key) => Effect.andThen(theirs.set(key, 1), theirs.remove(key)),
        { concurrency: 10, discard: true }
      )
      yield* dict.sync
      assert.deepStrictEqual(yield* dict.keys, ["stable"])
      assert.isUndefined(reader.pollUnsafe())
      yield* Fiber.interrupt(reader)
    }))

  it.live("has no root where it may not have one [M5] [M35]", () =>
    Effect.gen(function*() {
      const { other, root, zk } = yield* pair
      const path = `${root}/a/b`
      const dict = yield* on(zk)(ZkDict.make(path, { value: Schema.Number, createRoot: false }))
      assert.strictEqual(yield* dict.size, 0)
      const written = dict.set("x", 1).pipe(
        Effect.as("written"),
        Effect.catchTag("NoNode", () => Effect.succeed("no root"))
      )
      assert.strictEqual(yield* written, "no root")
      yield* failsWith(dict.getOrSet("x", 1), "NoNode")
      yield* failsWith(dict.transact(({ set }) => set("x", 1)), "NoNode")
      assert.isFalse(yield* dict.remove("x"))
      assert.deepStrictEqual(yield* dict.popOption("x"), Option.none())
      yield* dict.clear
      assert.deepStrictEqual(yield* other.exists(`${root}/a`), Option.none())
      // It waits for one.
      yield* other.create(path, null, { parents: true })
      assert.strictEqual(yield* written, "written")
      assert.strictEqual(yield* dict.get("x"), 1)
      yield* other.deleteRecursive(`${root}/a`)
      yield* dict.sync
      assert.strictEqual(yield* dict.size, 0)
      assert.strictEqual(yield* written, "no root")
    }))

  it.live("makes its root, and makes it again, but never below an ephemeral node [M5] [DICT-ROOT]", () =>
    Effect.gen(function*() {
      const { other, root, zk } = yield* pair
      const path = `${root}/a/b`
      const dict = yield* numbers(zk, path)
      assert.isTrue(Option.isSome(yield* other.exists(path)))
      for (
        const write of [
          dict.set("x", 1),
          dict.getOrSet("x", 1),
          dict.transact(({ set }) => Effect.andThen(set("x", 1), set("y", 1)))
        ]
      ) {
        yield* other.deleteRecursive(`${root}/a`)
        yield* write
        assert.strictEqual(yield* dict.get("x"), 1)
      }
      yield* other.create(`${root}/e`, null, { mode: "ephemeral" })
      const below = yield* numbers(zk, `${root}/e`)
      yield* failsWith(below.set("x", 1), "NoChildrenForEphemerals")
      yield* failsWith(below.getOrSet("x", 1), "NoChildrenForEphemerals")
      yield* failsWith(numbers(zk, `${root}/e/x`), "NoChildrenForEphemerals")
    }))

  it.live("tells that all keys have gone with their root, and that they are back [DICT-06]", () =>
    Effect.gen(function*() {
      const { other, root, zk } = yield* pair
      const path = `${root}/dict`
      const dict = yield* numbers(zk, path)
      yield* dict.set("a", 1)
      yield* dict.set("b", 2)
      const changes = yield* record(Stream.map(dict.changes, ({ _tag, key }) => `${_tag} ${key}`))
      // Whoever fails leaves the others alone.
      const failing = yield* record(Stream.mapEffect(dict.changes, () => Effect.fail("mine")))
      assert.deepStrictEqual(yield* Effect.flip(Fiber.join(failing.fiber)), "mine")
      yield* changes.until("the start", (values) => values.length === 2)
      yield* other.deleteRecursive(path)
      yield* changes.until("the end", (values) => values.length === 4)
      assert.strictEqual(yield* dict.size, 0)
      yield* failsWith(dict.get("a"), "KeyNotFound")
      const before = yield* dict.revision
      yield* other.create(`${path}/c`, "3", { parents: true })
      yield* changes.until("the new one", (values) => values.length === 5)
      assert.deepStrictEqual(changes.values.slice(4), ["Added c"])
      assert.sameMembers(changes.values.slice(2, 4), ["Removed a", "Removed b"])
      assert.strictEqual((yield* dict.revision) - before, 1n)
    }))

  it.live("leaves keys with children alone, and says so [M54]", () =>
    Effect.gen(function*() {
      const { other, root, zk } = yield* pair
      const dict = yield* numbers(zk, root)
      yield* dict.setAll([["a", 1], ["b", 2]])
      yield* other.create(`${root}/a/child`)
      assert.strictEqual((yield* failsWith(dict.remove("a"), "NotEmpty")).path, `${root}/a`)
      yield* failsWith(dict.pop("a"), "NotEmpty")
      yield* failsWith(dict.popOption("a"), "NotEmpty")
      yield* failsWith(dict.transact(({ remove }) => Effect.andThen(remove("b"), remove("a"))), "NotEmpty")
      assert.deepStrictEqual(yield* dict.entries, [["a", 1], ["b", 2]])
      yield* failsWith(dict.clear, "NotEmpty")
      yield* dict.set("a", 3)
      assert.strictEqual(yield* dict.get("a"), 3)
      assert.deepStrictEqual((yield* other.getChildren(`${root}/a`)).children, ["child"])
      yield* other.delete(`${root}/a/child`)
      assert.strictEqual(yield* dict.pop("a"), 3)
    }))

  it.live("removes a key though the answer is lost [M17]", () =>
    Effect.gen(function*() {
      const { other, proxy, root, zk } = yield* proxiedPair()
      const dict = yield* numbers(zk, root)
      yield* dict.set("a", 1)
      const rule = yield* proxy.swallowReply({ op: "delete" })
      assert.isTrue(yield* dict.remove("a"))
      assert.strictEqual(yield* rule.count, 1)
      assert.isFalse(yield* dict.has("a"))
      assert.deepStrictEqual(yield* other.exists(`${root}/a`), Option.none())
    }))
})

describe("a key that cannot be decoded", () => {
  it.live("is a failure of its own, listed, and works again when it is repaired [M25] [TC-17] [DICT-03]", () =>
    Effect.gen(function*() {
      const { other, root, zk } = yield* pair
      yield* other.create(`${root}/early`, "s3cret")
      const dict = yield* numbers(zk, root)
      yield* dict.set("fine", 1)
      const changes = yield* record(Stream.map(dict.changes, (change) => {
        const value = change._tag === "Removed" ? change.previous : change.value
        return `${change._tag} ${change.key} ${Result.isSuccess(value) ? value.success : value.failure._tag}`
      }))
      yield* changes.until("the start", (values) => values.length === 2)
      yield* other.create(`${root}/empty`)
      yield* other.setData(`${root}/fine`, `"s3cret"`)
      yield* changes.until("the change", (values) => values.length === 4)
      yield* other.setData(`${root}/fine`, "2")
      yield* dict.sync
      const error = yield* failsWith(dict.get("early"), "ValueDecodeError")
      assert.strictEqual(error.path, `${root}/early`)
      assert.strictEqual(Buffer.from(Redacted.value(error.data)).toString(), "s3cret")
      assert.notInclude(String(error) + JSON.stringify(error) + error.message, "s3cret")
      yield* failsWith(dict.getOption("empty"), "ValueDecodeError")
      yield* failsWith(dict.getOrElse("empty", () => 1), "ValueDecodeError")
      yield* failsWith(dict.getOrSet("empty", 1), "ValueDecodeError")
      yield* failsWith(dict.update("empty", () => 1), "ValueDecodeError")
      yield* failsWith(dict.transact(({ get }) => get("empty")), "ValueDecodeError")
      // What cannot be decoded is not lost.
      yield* failsWith(dict.pop("early"), "ValueDecodeError")
      assert.isTrue(yield* dict.has("early"))
      assert.deepStrictEqual(yield* dict.entries, [["fine", 2]])
      assert.deepStrictEqual(yield* dict.keys, ["early", "empty", "fine"])
      assert.strictEqual(yield* dict.size, 3)
      const invalid = yield* dict.invalid
      assert.deepStrictEqual([...invalid.keys()], ["early", "empty"])
      assert.strictEqual(invalid.get("early")?.["_tag"], "ValueDecodeError")
      yield* dict.set("empty", 3)
      assert.strictEqual(yield* dict.get("empty"), 3)
      yield* dict.remove("early")
      assert.strictEqual((yield* dict.invalid).size, 0)
      yield* changes.until("the end", (values) => values.includes("Removed early ValueDecodeError"))
      assert.includeMembers([...changes.values], [
        "Added early ValueDecodeError",
        "Added empty ValueDecodeError",
        "Changed fine ValueDecodeError",
        "Changed empty 3"
      ])
    }))
})

describe("codecs of values", () => {
  it.live("read older formats, and write the new one with the next set [M51]", () =>
    Effect.gen(function*() {
      const { other, root, zk } = yield* pair
      const Limits = Schema.Struct({ requests: Schema.Number })
      const old = Schema.FiniteFromString.pipe(
        Schema.decodeTo(
          Limits,
          SchemaTransformation.transform({
            decode: (requests) => ({ requests }),
            encode: ({ requests }) => requests
          })
        )
      )
      yield* other.create(`${root}/a`, "5")
      yield* other.create(`${root}/b`, "6")
      const dict = yield* on(zk)(ZkDict.make(root, {
        value: Limits,
        codec: (value) => ZkCodec.fallback(ZkCodec.json(value), ZkCodec.text(old))
      }))
      assert.deepStrictEqual(yield* dict.entries, [["a", { requests: 5 }], ["b", { requests: 6 }]])
      assert.strictEqual((yield* other.getData(`${root}/a`)).text, "5")
      yield* dict.set("a", yield* dict.get("a"))
      yield* dict.update("b", ({ requests }) => ({ requests: requests + 1 }))
      assert.strictEqual((yield* other.getData(`${root}/a`)).text, `{"requests":5}`)
      assert.strictEqual((yield* other.getData(`${root}/b`)).text, `{"requests":7}`)
      assert.deepStrictEqual(yield* dict.get("b"), { requests: 7 })
    }))

  it.live("of bytes give copies, as those of anything else do [M49]", () =>
    Effect.gen(function*() {
      const { other, root, zk } = yield* pair
      const options = { value: Schema.Uint8Array, codec: () => ZkCodec.bytes }
      for (const dict of [yield* on(zk)(ZkDict.make(root, options)), yield* ZkDict.makeMemory(options)]) {
        const given = Uint8Array.of(1, 2, 3)
        const written = Uint8Array.of(1, 2, 3)
        yield* dict.set("a", given)
        given[0] = 9
        const got = yield* dict.get("a")
        got[1] = 9
        assert.deepStrictEqual(yield* dict.get("a"), written)
        yield* dict.transact(({ set }) => Effect.tap(set("b", written), () => Effect.sync(() => void (written[0] = 9))))
        assert.deepStrictEqual(yield* dict.get("b"), Uint8Array.of(1, 2, 3))
      }
      assert.deepStrictEqual([...(yield* other.getData(`${root}/b`)).data ?? []], [1, 2, 3])
    }))
})
