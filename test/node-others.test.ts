/** Typed nodes that are somebody else's, that begin badly, and that are asked for less or more than the value. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as ZkCodec from "../src/ZkCodec.ts"
import { failsWith } from "./support/failsWith.ts"
import { pair, proxiedPair } from "./support/mirroring.ts"
import { keptNumber, typedNode, valueBecomes } from "./support/typedNodes.ts"
import { record } from "./support/watching.ts"

describe("a node that is kept, while it is of another session", () => {
  it.live("is neither updated, set nor deleted, whatever the version, and then made [NODE-KEPT-OTHERS]", () =>
    Effect.gen(function*() {
      const { other, root, zk } = yield* pair
      const path = `${root}/n`
      yield* other.create(path, "7", { mode: "ephemeral" })
      const before = yield* other.getData(path)
      const node = yield* keptNumber(zk, path, 1)
      assert.strictEqual(yield* node.get, 7)
      let updates = 0
      const update = node.update((n) => {
        updates++
        return n + 1
      })
      assert.strictEqual((yield* failsWith(update, "NodeExists")).operation, "update")
      assert.strictEqual(updates, 0)
      yield* failsWith(node.set(2), "NodeExists")
      for (const version of [before.stat.version, 3]) {
        assert.strictEqual((yield* failsWith(node.set(2, { version }), "NodeExists")).operation, "set")
        assert.strictEqual((yield* failsWith(node.delete({ version }), "NoNode")).operation, "delete")
      }
      yield* failsWith(node.delete(), "NoNode")
      const after = yield* other.getData(path)
      assert.deepStrictEqual([after.text, after.stat], [before.text, before.stat])
      // None of it is kept for later.
      yield* other.delete(path)
      yield* valueBecomes(node, 1)
      assert.strictEqual(yield* node.update((n) => n + 1), 2)
      const { version } = yield* node.stat
      yield* node.set(3, { version })
      yield* node.delete({ version: version + 1 })
      yield* valueBecomes(node, 3)
    }))
})

describe("a typed node of bytes", () => {
  it.live("gives and keeps copies: what is done to a value changes nothing else [NODE-BYTES]", () =>
    Effect.gen(function*() {
      const { other, root, zk } = yield* pair
      const codec = () => ZkCodec.bytes
      const first = Uint8Array.of(1, 2, 3)
      for (const [i, mode] of ([undefined, "ephemeral"] as const).entries()) {
        const path = `${root}/${i}`
        const given = first.slice()
        const node = yield* typedNode(zk, path, {
          value: Schema.Uint8Array,
          codec,
          default: given,
          ...(mode === "ephemeral" ? { mode } : {})
        })
        given[0] = 9
        const changes = yield* record(Stream.map(node.changes, ({ current }) => {
          if (current._tag !== "Present") return ""
          const text = current.value.join()
          current.value.fill(8)
          return text
        }))
        yield* changes.until("the start", (values) => values.length === 1)
        const got = yield* node.get
        got[1] = 9
        assert.deepStrictEqual(yield* node.get, first)
        yield* node.update((value) => {
          value[2] = 4
          return value
        })
        const next = Uint8Array.of(5, 6)
        yield* node.set(next)
        next[0] = 9
        yield* changes.until("the change", (values) => values.at(-1) === "5,6")
        assert.deepStrictEqual(yield* node.get, Uint8Array.of(5, 6))
        assert.strictEqual(changes.values[0], "1,2,3")
        assert.deepStrictEqual([...(yield* other.getData(path)).data ?? []], [5, 6])
        if (mode === undefined) continue
        // Made anew, it is what was set, and not what has become of that.
        const { czxid } = yield* node.stat
        yield* other.delete(path)
        yield* node.changes.pipe(
          Stream.filter(({ current }) => current._tag === "Present" && current.stat.czxid !== czxid),
          Stream.runHead
        )
        assert.deepStrictEqual([...(yield* other.getData(path)).data ?? []], [5, 6])
      }
    }))
})

describe("a typed node with a default", () => {
  it.live("is made though the answer is lost, or the request [NODE-DEFAULT-LOST]", () =>
    Effect.gen(function*() {
      const { other, proxy, root, zk } = yield* proxiedPair()
      const make = (path: string) => typedNode(zk, path, { value: Schema.Number, default: 1 })
      const answered = yield* proxy.swallowReply({ op: "create", path: `${root}/a` })
      assert.strictEqual(yield* (yield* make(`${root}/a`)).get, 1)
      const asked = yield* proxy.rule({ kind: "request", op: "create", path: `${root}/b` }, "cut")
      assert.strictEqual(yield* (yield* make(`${root}/b`)).get, 1)
      // What others make of it meanwhile counts.
      const late = yield* proxy.rule({ kind: "reply", op: "create", path: `${root}/c` }, {
        before: Effect.andThen(Effect.orDie(other.setData(`${root}/c`, "5")), proxy.cutAll)
      })
      assert.strictEqual(yield* (yield* make(`${root}/c`)).get, 5)
      for (const rule of [answered, asked, late]) assert.strictEqual(yield* rule.count, 1)
      const texts = yield* Effect.forEach(["a", "b", "c"], (name) => other.getData(`${root}/${name}`))
      assert.deepStrictEqual(texts.map(({ text, stat }) => [text, stat.version]), [["1", 0], ["1", 0], ["5", 1]])
    }))

  it.live("may be there, says the error, if no answer was had and then no server [NODE-DEFAULT-LOST]", () =>
    Effect.gen(function*() {
      const { other, proxy, root, zk } = yield* proxiedPair({ requestTimeout: "150 millis" })
      yield* zk.sync()
      const rule = yield* proxy.rule({ kind: "reply", op: "create" }, {
        before: Effect.andThen(Effect.orDie(proxy.setAccept("refuse")), proxy.cutAll)
      })
      const make = typedNode(zk, `${root}/a`, { value: Schema.Number, default: 1 })
      assert.isTrue((yield* failsWith(make, "ConnectionLoss")).maybeApplied)
      assert.strictEqual(yield* rule.count, 1)
      assert.strictEqual((yield* other.getData(`${root}/a`)).text, "1")
      yield* proxy.heal
    }))
})

describe("the children of a typed node", () => {
  const lists = ["getChildren", "getChildren2"] as const

  it.live("are not listed before somebody asks, and followed from then on [NODE-CHILDREN]", () =>
    Effect.gen(function*() {
      const { other, proxy, root, zk } = yield* proxiedPair()
      const listed = Effect.map(proxy.frames({ kind: "request", op: lists }), (frames) => frames.length)
      const use = (path: string) =>
        Effect.gen(function*() {
          const node = yield* typedNode(zk, path, { value: Schema.Number, default: 1 })
          yield* node.set(2)
          yield* node.update((n) => n + 1)
          yield* other.create(`${path}/a`)
          yield* node.sync
          assert.strictEqual(yield* node.get, 3)
          return node
        })
      const [asked, followed] = [yield* use(`${root}/x`), yield* use(`${root}/y`)]
      assert.strictEqual(yield* listed, 0)

      assert.deepStrictEqual(yield* asked.children, ["a"])
      assert.strictEqual(yield* listed, 1)
      // A thousand times, and no more requests than there are changes.
      for (let i = 0; i < 1_000; i++) yield* asked.children
      assert.strictEqual(yield* listed, 1)
      yield* other.create(`${root}/x/b`)
      yield* asked.sync
      assert.deepStrictEqual(yield* asked.children, ["a", "b"])
      yield* proxy.cutAll
      yield* other.delete(`${root}/x/a`)
      yield* Effect.retry(asked.sync, { times: 3 })
      assert.deepStrictEqual(yield* asked.children, ["b"])
      // Nor with a new connection.
      yield* followed.sync
      assert.lengthOf(yield* proxy.frames({ kind: "request", op: lists, path: `${root}/y` }), 0)

      const changes = yield* record(Stream.map(followed.childrenChanges, Option.map((names) => names.join())))
      yield* changes.until("the start", (values) => values.length === 1)
      yield* other.create(`${root}/y/b`)
      yield* changes.until("the change", (values) => values.length === 2)
      yield* other.deleteRecursive(`${root}/y`)
      yield* changes.until("the end", (values) => Option.isNone(values.at(-1)!))
      assert.deepStrictEqual(changes.values.slice(0, 2), [Option.some("a"), Option.some("a,b")])
    }))
})
