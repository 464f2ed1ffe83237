/** One key followed, reads that are put together, and what is shown behind an update that finds nothing. */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as ZkAcl from "../src/ZkAcl.ts"
import * as ZkClient from "../src/ZkClient.ts"
import * as ZkDict from "../src/ZkDict.ts"
import * as ZkTransaction from "../src/ZkTransaction.ts"
import { type AnyDict, kinds, on } from "./support/dictionaries.ts"
import { failsWith } from "./support/failsWith.ts"
import { pair, proxiedPair } from "./support/mirroring.ts"
import { record } from "./support/watching.ts"

const numbers = (zk: ZkClient.ZkClient, root: string) => on(zk)(ZkDict.make(root, { value: Schema.Number }))

/** What is followed, in short: the value, none, or `invalid`. */
const followed = (dict: AnyDict<number>, key: string) =>
  record(Stream.map(
    dict.follow(key),
    Option.match({
      onNone: () => "none",
      onSome: Result.match({ onSuccess: String, onFailure: ({ _tag }) => _tag })
    })
  ))

const ends = (text: string) => (values: ReadonlyArray<string>) => values.at(-1) === text

describe.each(kinds)("one key of a dictionary that is followed: $name", ({ place }) => {
  it.live("is what it is, then the latest after each change, to each of those who follow [DICT-FOLLOW]", () =>
    Effect.gen(function*() {
      const { mine } = yield* place
      const dict = yield* mine(Schema.Number)
      yield* dict.set("other", 0)
      const early = yield* followed(dict, "k")
      yield* early.until("the start", ends("none"))
      yield* dict.set("k", 1)
      yield* early.until("1", ends("1"))
      const late = yield* followed(dict, "k")
      yield* late.until("the start", ends("1"))
      for (
        const [write, text] of [
          [dict.set("k", 2), "2"],
          [dict.update("k", (n) => n + 1), "3"],
          [dict.remove("k"), "none"],
          [dict.set("k", 4), "4"],
          [dict.pop("k"), "none"],
          [dict.transact(({ set }) => set("k", 5)), "5"]
        ] as const
      ) {
        yield* write
        // Changes of others are none of its.
        yield* dict.update("other", (n) => n + 1)
        for (const follower of [early, late]) yield* follower.until(text, ends(text))
      }
      yield* dict.set("other", 100)
      assert.deepStrictEqual(early.values, ["none", "1", "2", "3", "none", "4", "none", "5"])
      assert.deepStrictEqual(late.values, ["1", "2", "3", "none", "4", "none", "5"])
      // Whoever leaves leaves the others.
      yield* Fiber.interrupt(early.fiber)
      yield* dict.set("k", 6)
      yield* late.until("6", ends("6"))
      assert.strictEqual(early.values.at(-1), "5")
    }))
})

describe("one key that is followed", () => {
  it.live("may be one of a struct, with its type [DICT-FOLLOW] [STRUCT]", () =>
    Effect.gen(function*() {
      const { root, zk } = yield* pair
      const fields = { rate: Schema.Number, since: Schema.Date }
      for (
        const config of [
          yield* on(zk)(ZkDict.struct(root, fields)),
          yield* on(zk)(ZkDict.documentStruct(`${root}/d`, fields))
        ]
      ) {
        yield* config.set("rate", 1)
        const since = yield* record(
          Stream.map(config.follow("since"), Option.map(Result.map((date) => date.getTime())))
        )
        yield* since.until("the start", (values) => values.length === 1)
        yield* config.set("rate", 2)
        yield* config.set("since", new Date(5))
        yield* since.until("the date", (values) => values.length === 2)
        assert.deepStrictEqual(since.values, [Option.none(), Option.some(Result.succeed(5))])
      }
    }))

  it.live("is a failure while it cannot be decoded, and goes on through deletion and lost connections [DICT-FOLLOW]", () =>
    Effect.gen(function*() {
      const { other, proxy, root, zk } = yield* proxiedPair()
      const [path, file] = [`${root}/n`, `${root}/d`]
      const nodes: AnyDict<number> = yield* numbers(zk, path)
      const document: AnyDict<number> = yield* on(zk)(ZkDict.document(file, { value: Schema.Number }))
      const write = (text: string) =>
        Effect.andThen(
          other.createOrSet(`${path}/k`, text),
          other.createOrSet(file, `{"k":${text}}`)
        )
      yield* write(`"bad"`)
      yield* Effect.all([nodes.sync, document.sync])
      const both = [yield* followed(nodes, "k"), yield* followed(document, "k")]
      const all = (text: string) => Effect.forEach(both, (each) => each.until(text, ends(text)), { discard: true })
      yield* all("ValueDecodeError")
      yield* write("1")
      yield* all("1")
      yield* write(`"bad"`)
      yield* all("ValueDecodeError")
      yield* Effect.all([other.deleteRecursive(path), other.delete(file)])
      yield* all("none")
      yield* other.create(path)
      yield* write("2")
      yield* all("2")
      yield* proxy.setAccept("refuse")
      yield* proxy.cutAll
      yield* write("3")
      yield* write("4")
      yield* proxy.setAccept("accept")
      yield* all("4")
      // Nothing that was missed is told, and nothing twice.
      const expected = ["ValueDecodeError", "1", "ValueDecodeError", "none", "2", "4"]
      assert.deepStrictEqual(both.map(({ values }) => values), [expected, expected])
      assert.isAbove((yield* proxy.stats()).connections, 1)
    }))

  it.live("has to be one, and is interrupted with its dictionary [DICT-FOLLOW]", () =>
    Effect.gen(function*() {
      const { root, zk } = yield* pair
      const fiber = yield* Effect.scoped(Effect.gen(function*() {
        const dict = yield* numbers(zk, root)
        yield* failsWith(Stream.runHead(dict.follow("a/b")), "InvalidDictKey")
        const first = yield* Deferred.make<void>()
        const fiber = yield* Effect.forkDetach(
          Stream.runForEach(dict.follow("k"), () => Deferred.succeed(first, undefined)),
          { startImmediately: true }
        )
        yield* Deferred.await(first)
        return fiber
      }))
      const exit = yield* Fiber.await(fiber)
      assert.isTrue(Exit.hasInterrupts(exit))
    }))
})

describe("a transaction that only reads", () => {
  const sum = (dict: AnyDict<number>, keys: ReadonlyArray<string>) =>
    dict.transact(({ get }) => Effect.forEach(keys, (key) => Effect.map(get(key), Option.getOrElse(() => 0))))

  it.live("sends no write, and needs no right to write [DICT-TRANSACT-READ]", () =>
    Effect.gen(function*() {
      const { other, proxy, root, zk } = yield* proxiedPair()
      const path = `${root}/read-only`
      const acl = [{ perms: ZkAcl.Perms.read, scheme: "world", id: "anyone" }]
      yield* other.create(path)
      yield* other.create(`${path}/a`, "1", { acl })
      yield* other.create(`${path}/b`, "2", { acl })
      yield* other.setAcl(path, acl)
      const dict = yield* numbers(zk, path)
      const since = yield* proxy.position
      assert.deepStrictEqual(yield* sum(dict, ["a"]), [1])
      assert.deepStrictEqual(yield* sum(dict, ["missing"]), [0])
      assert.deepStrictEqual(yield* sum(dict, ["a", "b"]), [1, 2])
      assert.deepStrictEqual(yield* sum(dict, ["a", "missing", "b", "gone"]), [1, 0, 2, 0])
      yield* failsWith(dict.update("missing", () => 1), "KeyNotFound")
      const { ops } = yield* proxy.stats(since)
      assert.includeMembers(["ping", "getData", "multiRead"], Object.keys(ops))
      assert.isAbove(ops["getData"] ?? 0, 5)
      yield* failsWith(dict.transact(({ set }) => set("a", 2)), "NoAuth")
    }))

  it.live("is run again when what it has read was of two moments [DICT-TRANSACT-READ]", () =>
    Effect.gen(function*() {
      const { other, proxy, root, zk } = yield* proxiedPair()
      const theirs = yield* numbers(other, root)
      const dict = yield* numbers(zk, root)
      const equal = (n: number) =>
        theirs.transact(({ set }) => Effect.forEach(["x", "y"], (key) => set(key, n), { discard: true }))
      for (
        const [before, change, after] of [
          [equal(0), equal(1), [1, 1]],
          // Also what is missing was so at one moment.
          [theirs.clear, equal(2), [2, 2]],
          [equal(3), theirs.transact(({ remove }) => Effect.andThen(remove("x"), remove("y"))), [0, 0]],
          // Made anew, with the same version.
          [
            Effect.andThen(theirs.clear, equal(4)),
            Effect.andThen(
              other.multi(["x", "y"].map((key) => ZkTransaction.delete(`${root}/${key}`))),
              equal(5)
            ),
            [5, 5]
          ]
        ] as const
      ) {
        yield* before
        yield* zk.sync()
        yield* dict.sync
        let runs = 0
        const rule = yield* Deferred.make<Effect.Effect<number>>()
        const read = dict.transact(({ get }) =>
          Effect.gen(function*() {
            const x = yield* get("x")
            if (runs++ === 0) {
              const placed = yield* proxy.rule({ kind: "request", op: "getData", path: `${root}/y` }, {
                before: Effect.orDie(change)
              })
              yield* Deferred.succeed(rule, placed.count)
            }
            return [x, yield* get("y")].map(Option.getOrElse(() => 0))
          })
        )
        assert.deepStrictEqual(yield* read, [...after])
        assert.strictEqual(yield* Effect.flatten(Deferred.await(rule)), 1)
        assert.strictEqual(runs, 2)
      }
    }))

  it.live("may read more than fits into one answer [DICT-TRANSACT-READ]", () =>
    Effect.gen(function*() {
      const { other, proxy, root } = yield* proxiedPair()
      const texts = (zk: ZkClient.ZkClient) => on(zk)(ZkDict.make(root, { value: Schema.String }))
      const theirs = yield* texts(other)
      const keys = ["x", "y", "missing"]
      const lengths = (dict: AnyDict<string>, change: Effect.Effect<unknown, unknown>, runs: Array<number>) =>
        dict.transact(({ get }) =>
          Effect.gen(function*() {
            const x = yield* get("x")
            if (runs.push(0) === 1) yield* Effect.orDie(change)
            const others = yield* Effect.forEach(keys.slice(1), get)
            return [x, ...others].map(Option.match({ onNone: () => 0, onSome: ({ length }) => length }))
          })
        )
      for (
        const [large, options, isCut] of [
          // Larger than is asked for at once; and larger than the client accepts, which costs it a connection.
          [600_000, {}, false],
          [6_000, { maxResponseSize: 10_000 }, true]
        ] as const
      ) {
        const zk = yield* ZkClient.make({ hosts: proxy.connectString, ...options })
        const dict: AnyDict<string> = yield* texts(zk)
        const equal = (length: number) => theirs.setAll(["x", "y"].map((key) => [key, "x".repeat(length)]))
        yield* equal(large)
        yield* zk.sync()
        const connections = Effect.map(proxy.stats(), (stats) => stats.connections)
        const before = yield* connections
        const once: Array<number> = []
        assert.deepStrictEqual(yield* lengths(dict, Effect.void, once), [large, large, 0])
        assert.lengthOf(once, 1)
        assert.strictEqual((yield* connections) > before, isCut)
        const twice: Array<number> = []
        assert.deepStrictEqual(yield* lengths(dict, equal(large + 1), twice), [large + 1, large + 1, 0])
        assert.lengthOf(twice, 2)
        if (isCut) continue
        // There for a moment, while it is asked whether everything was so.
        const path = `${root}/missing`
        const rule = yield* proxy.rule({ kind: "request", op: "exists", path }, {
          before: Effect.orDie(Effect.andThen(other.create(path), other.delete(path)))
        })
        const flicker: Array<number> = []
        assert.deepStrictEqual(yield* lengths(dict, Effect.void, flicker), [large + 1, large + 1, 0])
        assert.deepStrictEqual([yield* rule.count, flicker.length], [1, 2])
        const again: Array<number> = []
        const vanish = theirs.transact(({ remove }) => Effect.forEach(["x", "y"], remove, { discard: true }))
        assert.deepStrictEqual(yield* lengths(dict, vanish, again), [0, 0, 0])
        assert.lengthOf(again, 2)
      }
    }))

  it.live("never sees half of what others write all the time [DICT-TRANSACT-READ]", () =>
    Effect.gen(function*() {
      const { other, root, zk } = yield* pair
      const theirs = yield* numbers(other, root)
      const dict = yield* numbers(zk, root)
      let written = 0
      const write = Effect.gen(function*() {
        for (let n = 1; n <= 60; n++) {
          yield* theirs.transact(({ set }) => Effect.andThen(set("x", n), set("y", n)))
          written = n
        }
      })
      const read = Effect.gen(function*() {
        while (written < 60) {
          const [x, y] = yield* sum(dict, ["x", "y"])
          assert.strictEqual(x, y)
        }
      })
      yield* Effect.all([write, read, read], { concurrency: "unbounded" })
    }))
})

describe("an update that finds nothing", () => {
  it.live("is told when reads show that, too [DICT-UPDATE-GONE]", () =>
    Effect.gen(function*() {
      const { other, proxy, root, zk } = yield* proxiedPair()
      const path = `${root}/k`
      const dict = yield* numbers(zk, root)
      yield* dict.set("k", 1)
      let late: Effect.Effect<number> = Effect.succeed(0)
      const rule = yield* proxy.rule({ kind: "request", op: "getData", path }, {
        before: Effect.gen(function*() {
          // What the event leads to takes a moment.
          late = (yield* proxy.rule({ kind: "request", op: "getData", path }, { delay: 50 })).count
          yield* other.delete(path)
        }).pipe(Effect.orDie)
      })
      yield* failsWith(dict.update("k", (n) => n + 1), "KeyNotFound")
      yield* failsWith(dict.get("k"), "KeyNotFound")
      assert.deepStrictEqual([yield* rule.count, yield* late], [1, 1])
    }))
})
