/** What becomes of a value that is taken out when answers, claims and scopes go on the way. */
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import { makeUuid } from "../src/internal/uuid.ts"
import type * as ZkClient from "../src/ZkClient.ts"
import * as ZkDict from "../src/ZkDict.ts"
import { by, dictOf, documentOf, json, type Texts, untilChildless } from "./support/dicting.ts"
import { failsWith } from "./support/failsWith.ts"
import { pair, proxiedPair } from "./support/mirroring.ts"
import { record } from "./support/watching.ts"

/** Deletes all claims of a key, as nobody should. */
const deleteClaims = (client: ZkClient.ZkClient, path: string) =>
  Effect.flatMap(client.getChildren(path), ({ children }) => {
    assert.lengthOf(children, 1)
    return Effect.forEach(children, (name) => client.delete(`${path}/${name}`), { discard: true })
  })

describe("a pop whose connection goes with its transaction", () => {
  it.live("does not take somebody else's removal for its own, though its claim is gone [M20] [DICT-POP-10]", () =>
    Effect.gen(function*() {
      const { other, proxy, root, zk } = yield* proxiedPair()
      const dict = yield* dictOf(zk, root)
      const theirs = yield* dictOf(other, root)
      yield* dict.set("k", "v")
      yield* theirs.sync
      let got: Option.Option<string> = Option.none()
      const rule = yield* proxy.rule({ kind: "request", op: "multi" }, {
        before: Effect.gen(function*() {
          yield* proxy.setAccept("refuse")
          yield* proxy.cutAll
          yield* deleteClaims(other, `${root}/k`)
          got = yield* theirs.popOption("k")
          yield* proxy.setAccept("accept")
        }).pipe(Effect.orDie)
      })
      const mine = yield* dict.popOption("k")
      assert.strictEqual(yield* rule.count, 1)
      assert.deepStrictEqual([mine, got], [Option.none(), Option.some("v")])
      yield* untilChildless(other, root)
    }))

  it.live("has its value if it was applied, also where there is another by now, and leaves no mark [M20] [DICT-POP-10]", () =>
    Effect.gen(function*() {
      const { other, proxy, root, zk } = yield* proxiedPair()
      const dict = yield* dictOf(zk, root)
      yield* dict.set("k", "first")
      const rule = yield* proxy.rule({ kind: "reply", op: "multi" }, {
        before: Effect.gen(function*() {
          yield* proxy.cutAll
          // There is a mark, as long as nobody knows.
          assert.lengthOf((yield* other.getChildren(root)).children, 1)
          yield* other.create(`${root}/k`, json("second"))
        }).pipe(Effect.orDie)
      })
      assert.strictEqual(yield* dict.pop("k"), "first")
      assert.strictEqual(yield* rule.count, 1)
      yield* untilChildless(other, root, "k")
      yield* dict.sync
      assert.strictEqual(yield* dict.pop("k"), "second")
      yield* untilChildless(other, root)
    }))
})

describe("the marks of pops", () => {
  const mark = "_c_0123abcd-0123-4abc-8def-0123456789ab-popped"

  it.live("are no keys, neither to be seen nor to be used, and are not touched [DICT-POP-11]", () =>
    Effect.gen(function*() {
      const { other, root, zk } = yield* pair
      yield* other.create(`${root}/${mark}`, json("mark"))
      const anyKey = { value: Schema.String }
      for (
        const dict of [
          yield* dictOf(zk, root),
          yield* by(zk)(ZkDict.make(root, { ...anyKey, key: ZkDict.escapedKey })),
          yield* by(zk)(ZkDict.make(root, { ...anyKey, mode: "manual" }))
        ]
      ) {
        const changes = yield* record(dict.changes)
        yield* dict.set("k", "v")
        // As pop makes them, and in the middle of being made.
        yield* other.setData(`${root}/${mark}`, json("changed"))
        yield* dict.sync
        assert.deepStrictEqual(yield* dict.keys, ["k"])
        assert.deepStrictEqual([...yield* dict.snapshot], [["k", "v"]])
        assert.strictEqual(yield* dict.size, 1)
        assert.strictEqual((yield* dict.invalid).size, 0)
        for (
          const use of [
            dict.get(mark),
            dict.has(mark),
            dict.set(mark, "v"),
            dict.remove(mark),
            dict.pop(mark),
            dict.transact(({ set }) => set(mark, "v"))
          ]
        ) {
          yield* failsWith(use as Effect.Effect<unknown, { readonly _tag: string }>, "InvalidDictKey")
        }
        yield* dict.clear
        yield* changes.until("the end", (values) => values.some(({ _tag }) => _tag === "Removed"))
        assert.deepStrictEqual(new Set(changes.values.map(({ key }) => key)), new Set(["k"]))
      }
      assert.strictEqual((yield* other.getData(`${root}/${mark}`)).text, json("changed"))
      // In a document it is a key like any other.
      const document = yield* documentOf(zk, `${root}/document`)
      yield* document.set(mark, "v")
      assert.strictEqual(yield* document.pop(mark), "v")
    }))

  it.live("are nobody else's, though two programs have the same source of chance [DICT-POP-12]", () =>
    Effect.gen(function*() {
      const { other, root, zk } = yield* pair
      const dicts = [yield* dictOf(zk, root), yield* dictOf(other, root)]
      const alike = Random.withSeed("the same")
      yield* dicts[0]!.setAll([["k", "v"], ["a", "a"], ["b", "b"]])
      // That of somebody who has drawn the same, and is about to delete it.
      yield* other.create(`${root}/_c_${yield* alike(makeUuid)}-popped`)
      assert.strictEqual(yield* alike(dicts[0]!.pop("k")), "v")
      const popped = yield* Effect.forEach(["a", "b"], (key, i) => alike(dicts[i]!.pop(key)), {
        concurrency: "unbounded"
      })
      assert.deepStrictEqual(popped, ["a", "b"])
    }))
})

const isInterrupted = (exit: Exit.Exit<unknown, unknown>) => Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause)

const places: ReadonlyArray<readonly [name: string, op: "multi" | "setData", typeof dictOf | typeof documentOf]> = [
  ["nodes", "multi", dictOf],
  ["a document", "setData", documentOf]
]

describe.each(places)("a dictionary in %s whose scope ends", (_, op, make) => {
  it.live("gives what a pop has removed for certain, though it is not seen any more [DICT-POP-13]", () =>
    Effect.gen(function*() {
      const { other, proxy, root, zk } = yield* proxiedPair()
      const scope = yield* Scope.make()
      const dict: Texts = yield* Scope.provide(make(zk, `${root}/d`), scope)
      yield* dict.set("j", "stays")
      yield* dict.set("k", "v")
      const rule = yield* proxy.rule({ kind: "reply", op }, { before: Scope.close(scope, Exit.void) })
      assert.strictEqual(yield* dict.pop("k"), "v")
      assert.strictEqual(yield* rule.count, 1)
      const theirs: Texts = yield* make(other, `${root}/d`)
      assert.deepStrictEqual(yield* theirs.entries, [["j", "stays"]])
    }))

  it.live("writes nothing any more [DICT-ENDED]", () =>
    Effect.gen(function*() {
      const { other, proxy, root, zk } = yield* proxiedPair()
      const scope = yield* Scope.make()
      const dict: Texts = yield* Scope.provide(make(zk, `${root}/d`), scope)
      yield* dict.set("k", "v")
      yield* Scope.close(scope, Exit.void)
      const since = yield* proxy.position
      for (
        const write of [
          dict.pop("k"),
          dict.set("k", "w"),
          dict.set("new", "w"),
          dict.setAll([["k", "w"]]),
          dict.update("k", () => "w"),
          dict.getOrSet("new", "w"),
          dict.remove("k"),
          dict.transact(({ set }) => set("k", "w")),
          dict.clear
        ]
      ) {
        assert.isTrue(isInterrupted(yield* Effect.exit(write as Effect.Effect<unknown, unknown>)))
      }
      assert.strictEqual(yield* dict.get("k"), "v")
      yield* zk.sync()
      const { ops } = yield* proxy.stats(since)
      // The watch is taken back.
      assert.deepStrictEqual(Object.keys(ops).filter((op) => op !== "ping" && op !== "removeWatches"), ["sync"])
      const theirs: Texts = yield* make(other, `${root}/d`)
      assert.deepStrictEqual(yield* theirs.entries, [["k", "v"]])
    }))
})

describe("a dictionary in memory whose scope ends", () => {
  it.live("writes nothing any more [DICT-ENDED]", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const dict = yield* Scope.provide(ZkDict.makeMemory({ value: Schema.String }), scope)
      yield* dict.set("k", "v")
      yield* Scope.close(scope, Exit.void)
      for (const write of [dict.set("k", "w"), dict.pop("k"), dict.clear]) {
        assert.isTrue(isInterrupted(yield* Effect.exit(write as Effect.Effect<unknown, unknown>)))
      }
      assert.deepStrictEqual(yield* dict.entries, [["k", "v"]])
    }))
})

describe("a remove that waits for a claim", () => {
  it.live("keeps no set of that key waiting [DICT-TURNS] [DICT-POP-05]", () =>
    Effect.gen(function*() {
      const { other, proxy, root, zk } = yield* proxiedPair()
      const path = `${root}/k`
      const dict = yield* dictOf(zk, root)
      yield* dict.set("k", "v")
      // Of somebody who does not get done.
      const claim = yield* other.create(`${path}/_c_0-pop-0000000000`, null, { mode: "ephemeral" })
      const remove = yield* Effect.forkChild(dict.remove("k"), { startImmediately: true })
      yield* proxy.awaitFrame({ kind: "reply", op: "exists", path: claim.path })
      yield* dict.set("k", "w")
      assert.strictEqual((yield* other.getData(path)).text, json("w"))
      assert.isUndefined(remove.pollUnsafe())
      yield* other.delete(claim.path)
      assert.isTrue(yield* Fiber.join(remove))
      assert.isTrue(Option.isNone(yield* other.exists(path)))
    }))
})
