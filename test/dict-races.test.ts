/** Writes of dictionaries that get in each other's way. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { Turns } from "../src/internal/dict/turns.ts"
import * as ZkDict from "../src/ZkDict.ts"
import { OperationTimeout } from "../src/ZkError.ts"
import { by, dictOf, documentOf, json, type Texts, untilChildless } from "./support/dicting.ts"
import { failsWith } from "./support/failsWith.ts"
import { byPath, mirrorOf, pair, present, proxiedPair, shown } from "./support/mirroring.ts"
import { record } from "./support/watching.ts"

describe.concurrent("whoever looks at a dictionary", () => {
  it.live("never sees a key without its value, however many come and go [M12] [M37]", () =>
    Effect.gen(function*() {
      const { other, root, zk } = yield* pair
      const dict = yield* dictOf(zk, root)
      const mirror = yield* mirrorOf(other)
      const tree = yield* mirror.tree(root)
      const changes = yield* record(tree.changes)
      // Somebody who reads without being told.
      let reads = 0
      const reading = Effect.forever(Effect.forEach(Array.from({ length: 20 }), (_, i) =>
        Effect.map(other.getDataOption(`${root}/k${i}`), (node) => {
          reads++
          if (Option.isSome(node)) assert.isAbove(node.value.data?.length ?? 0, 0)
        }), { concurrency: "unbounded" }))
      const writing = Effect.forEach(Array.from({ length: 20 }), (_, i) =>
        Effect.forEach(Array.from({ length: 250 }), (_, n) =>
          Effect.andThen(dict.set(`k${i}`, `v${n}`), dict.remove(`k${i}`))), { concurrency: "unbounded" })
      yield* Effect.raceFirst(writing, reading)
      yield* tree.sync
      const seen = changes.values.filter((change) =>
        change.path !== root && change._tag !== "Removed"
      )
      assert.isAbove(seen.length, 100)
      assert.isAbove(reads, 1_000)
      for (const change of seen) {
        assert.isAbove(change._tag === "Removed" ? 1 : change.node.text.length, 0)
      }
    }), 60_000)

  it.live("finds no key whose value could not be encoded [M12]", () =>
    Effect.gen(function*() {
      const { other, proxy, root, zk } = yield* proxiedPair()
      const dict = yield* by(zk)(ZkDict.make(root, { value: Schema.String.check(Schema.isMaxLength(3)) }))
      yield* proxy.forget
      yield* failsWith(dict.set("k", "four"), "ValueEncodeError")
      yield* failsWith(dict.getOrSet("k", "four"), "ValueEncodeError")
      yield* failsWith(dict.setAll([["a", "a"], ["k", "four"]]), "ValueEncodeError")
      assert.strictEqual((yield* proxy.stats()).ops["create2"] ?? 0, 0)
      assert.isFalse((yield* other.getChildren(root)).children.includes("k"))
    }))
})

describe.concurrent("writes of one key by several", () => {
  it.live("a set succeeds, however often others delete the key meanwhile [M13]", () =>
    Effect.gen(function*() {
      const { other, root, zk } = yield* pair
      const dict = yield* dictOf(zk, root)
      let deleted = 0
      const deleting = Effect.forever(Effect.matchEffect(other.delete(`${root}/k`), {
        onFailure: ({ _tag }) => Effect.sync(() => assert.strictEqual(_tag, "NoNode")),
        onSuccess: () => Effect.sync(() => void deleted++)
      }))
      const setting = Effect.forEach(Array.from({ length: 1_000 }), (_, i) => dict.set("k", `v${i}`), { discard: true })
      yield* Effect.raceFirst(setting, deleting)
      assert.isAbove(deleted, 100)
      const left = yield* other.getDataOption(`${root}/k`)
      assert.include([undefined, json("v999")], Option.getOrUndefined(left)?.text)
    }), 60_000)

  for (const [kind, make] of [["nodes", dictOf], ["document", documentOf]] as const) {
    it.live(`${kind}: updates of two clients at once are all counted [M14]`, () =>
      Effect.gen(function*() {
        const { other, root, zk } = yield* pair
        const path = `${root}/d`
        const dicts = [yield* make(zk, path), yield* make(other, path)] as ReadonlyArray<Texts>
        yield* dicts[0]!.set("n", "0")
        yield* Effect.forEach(Array.from({ length: 8 }), (_, i) =>
          Effect.forEach(Array.from({ length: 100 }), () =>
            dicts[i % 2]!.update("n", (n) => String(Number(n) + 1)), { discard: true }), { concurrency: 8 })
        yield* Effect.forEach(dicts, (dict) =>
          dict.sync)
        assert.deepStrictEqual(
          yield* Effect.forEach(dicts, (dict) =>
            dict.get("n")),
          ["800", "800"]
        )
      }), 60_000)

    it.live(`${kind}: two who ask for a default at once get the same [M21]`, () =>
      Effect.gen(function*() {
        const { other, root, zk } = yield* pair
        const path = `${root}/d`
        const dicts = [yield* make(zk, path), yield* make(other, path)] as ReadonlyArray<Texts>
        const rounds = kind === "nodes" ? 1_000 : 200
        const wins = [0, 0]
        yield* Effect.forEach(Array.from({ length: rounds }), (_, i) =>
          Effect.map(
            Effect.forEach(dicts, (dict, who) => dict.getOrSet(`k${i}`, `v${who}`), { concurrency: "unbounded" }),
            ([a, b]) => {
              assert.strictEqual(a, b)
              wins[Number(a?.slice(1))]!++
            }
          ), { concurrency: 4, discard: true })
        assert.strictEqual(wins[0]! + wins[1]!, rounds)
      }), 60_000)
  }

  it.live(
    "sets of one key are applied in the order in which they were begun, from a missing key on [M36]",
    () =>
      Effect.gen(function*() {
        const { other, root, zk } = yield* pair
        const dict = yield* dictOf(zk, root)
        const theirs = yield* dictOf(other, root)
        const seen = yield* record(theirs.changes.pipe(Stream.filter(({ key }) => key === "k")))
        // Somebody removes it once in a while, so that it has to be made again.
        let removed = 0
        const removing = Effect.forever(Effect.map(theirs.remove("k"), (was) => was ? removed++ : removed))
        const setting = Effect.forEach(Array.from({ length: 1_000 }), (_, i) => dict.set("k", String(i)), {
          concurrency: "unbounded",
          discard: true
        })
        yield* Effect.raceFirst(setting, removing)
        yield* dict.set("end", "end")
        yield* theirs.sync
        const values = seen.values.flatMap((change) =>
          change._tag === "Removed" || change.value._tag === "Failure" ? [] : [Number(change.value.success)]
        )
        assert.deepStrictEqual(values, values.toSorted((a, b) => a - b))
        assert.isAbove(values.length, 1)
        assert.isAbove(removed, 0)
        const left = yield* other.getDataOption(`${root}/k`)
        assert.include([undefined, json("999")], Option.getOrUndefined(left)?.text)
      }),
    60_000
  )
})

describe.concurrent("a root that goes and comes", () => {
  it.live("ten times with other keys is what the dictionary shows, and a write makes it anew [M43]", () =>
    Effect.gen(function*() {
      const { other, root, zk } = yield* pair
      const path = `${root}/d`
      const dict = yield* dictOf(zk, path)
      const tree = yield* (yield* mirrorOf(zk)).tree(path)
      for (let i = 0; i < 10; i++) {
        yield* other.deleteRecursive(path)
        if (i % 2 === 0) yield* dict.set(`ours${i}`, "v")
        else yield* other.create(path)
        yield* other.create(`${path}/theirs${i}`, json("w"))
        yield* dict.sync
        const expected = [...i % 2 === 0 ? [`ours${i}`] : [], `theirs${i}`]
        assert.deepStrictEqual(yield* dict.keys, expected)
        yield* tree.sync
        assert.deepStrictEqual(byPath(yield* shown(tree)), byPath(yield* present(other, path)))
      }
    }))

  it.live("while a pop has its claim there: the value is given once, or the key is gone [M43] [DICT-POP-04]", () =>
    Effect.gen(function*() {
      const { other, proxy, root, zk } = yield* proxiedPair()
      const path = `${root}/d`
      const dict = yield* dictOf(zk, path)
      yield* dict.set("k", "first")
      const rule = yield* proxy.rule({ kind: "request", op: "multi" }, {
        before: Effect.orDie(Effect.gen(function*() {
          yield* other.deleteRecursive(path)
          yield* other.create(path)
          yield* other.create(`${path}/k`, json("second"))
        }))
      })
      assert.strictEqual(yield* dict.pop("k"), "second")
      assert.strictEqual(yield* rule.count, 1)
      yield* untilChildless(other, path)
    }))
})

describe.concurrent("turns", () => {
  const timedOut = new OperationTimeout({ operation: "set", path: "/k", maybeApplied: true, timeout: 200 })
  const sizeOf = (turns: Turns) => (turns as unknown as { readonly turns: ReadonlyMap<string, unknown> }).turns.size

  it.effect("pass on that time is up to those behind, as not applied, and to nobody after [DICT-TURNS]", () =>
    Effect.gen(function*() {
      const turns = new Turns()
      let run = 0
      const write = Effect.sync(() => void run++)
      const first = turns.take("k", "set", "/k", Effect.andThen(Effect.yieldNow, Effect.fail(timedOut)))
      const fibers = yield* Effect.forEach(
        [first, turns.take("k", "set", "/k", write), turns.take("k", "remove", "/k", write)],
        (effect) => Effect.forkChild(effect, { startImmediately: true })
      )
      const elsewhere = yield* Effect.forkChild(turns.take("l", "set", "/l", write), { startImmediately: true })
      const [own, ...others] = yield* Effect.forEach(fibers, (fiber) => Effect.flip(Fiber.join(fiber)))
      assert.strictEqual(own, timedOut)
      for (const [i, error] of others.entries()) {
        assert.strictEqual(error._tag, "OperationTimeout")
        if (error._tag !== "OperationTimeout") continue
        assert.deepStrictEqual([error.maybeApplied, error.timeout, error.operation], [
          false,
          200,
          ["set", "remove"][i]!
        ])
      }
      yield* Fiber.join(elsewhere)
      yield* turns.take("k", "set", "/k", write)
      assert.strictEqual(run, 2)
      assert.strictEqual(sizeOf(turns), 0)
    }))

  it.effect("go on behind one that failed or was interrupted, in order, and leave nothing [DICT-TURNS]", () =>
    Effect.gen(function*() {
      const turns = new Turns()
      const order: Array<number> = []
      const write = (i: number) =>
        turns.take("k", "set", "/k", Effect.andThen(Effect.yieldNow, Effect.sync(() => order.push(i))))
      const fibers = yield* Effect.forEach(
        [
          turns.take("k", "set", "/k", Effect.never),
          write(1),
          turns.take("k", "set", "/k", Effect.fail(new Error("x") as never)),
          write(3),
          write(4)
        ],
        (effect) => Effect.forkChild(effect, { startImmediately: true })
      )
      yield* Fiber.interrupt(fibers[3]!)
      yield* Fiber.interrupt(fibers[0]!)
      for (const fiber of fibers) yield* Fiber.await(fiber)
      assert.deepStrictEqual(order, [1, 4])
      assert.strictEqual(sizeOf(turns), 0)
    }))
})
