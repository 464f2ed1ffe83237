/** Copies and answers that are larger than their client accepts. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { expireThrough } from "./support/expire.ts"
import { failsWith } from "./support/failsWith.ts"
import { becomes, proxiedPair, showChange, shown, textOf } from "./support/mirroring.ts"
import type { Proxy } from "./support/proxy.ts"
import { newSession, record, sessionOf } from "./support/watching.ts"

const small = proxiedPair({ maxResponseSize: 10_000 })
const large = "x".repeat(20_000)

const connections = (proxy: Proxy) => Effect.map(proxy.stats(), ({ connections }) => connections)

describe("a tree with nodes that are too large", () => {
  it.live("has all the others, lists these, and finds it out at the cost of one connection each [MIR-LARGE]", () =>
    Effect.gen(function*() {
      const { mirror, other, port, proxy, root, zk } = yield* small
      for (const name of ["a", "b", "c"]) yield* other.create(`${root}/${name}`, name)
      yield* other.create(`${root}/large`, large)
      yield* other.create(`${root}/large/child`, "below")
      const session = yield* sessionOf(zk)
      const tree = yield* mirror.tree(root)
      yield* tree.sync
      assert.deepStrictEqual(yield* tree.unreadable, [`${root}/large`])
      assert.deepStrictEqual([...(yield* shown(tree)).values()].toSorted(), ["", "a", "b", "c"])
      assert.deepStrictEqual(yield* tree.children(root), Option.some(["a", "b", "c", "large"]))
      assert.deepStrictEqual(yield* tree.get(`${root}/large`), Option.none())
      assert.strictEqual(yield* tree.size, 5)
      assert.strictEqual(yield* connections(proxy), 2)
      assert.strictEqual(yield* sessionOf(zk), session)

      // It costs no other, whatever happens: changes of it and below it, looks for it, and a connection or session lost.
      const changes = yield* record(Stream.map(tree.changes, showChange(root)))
      yield* changes.until("the start", (values) => values.length === 4)
      yield* other.setData(`${root}/large`, `${large}!`)
      yield* other.setData(`${root}/large/child`, "changed")
      yield* other.setData(`${root}/a`, "changed")
      yield* tree.sync
      yield* tree.sync
      assert.strictEqual(textOf(yield* tree.get(`${root}/a`)), "changed")
      assert.strictEqual(yield* connections(proxy), 2)
      yield* proxy.cutAll
      yield* becomes(tree, "Stale")
      yield* becomes(tree, "Live")
      yield* tree.sync
      yield* expireThrough(proxy, port)
      yield* newSession(zk, session)
      yield* becomes(tree, "Live")
      yield* tree.sync
      const now = yield* connections(proxy)
      yield* tree.sync
      assert.strictEqual(yield* connections(proxy), now)
      assert.deepStrictEqual(yield* tree.unreadable, [`${root}/large`])
      const reads = yield* proxy.frames({ kind: "request", op: "getData", path: `${root}/large` })
      assert.strictEqual(reads.length, 1)

      // Smaller again, it is there with all that is below.
      yield* other.setData(`${root}/large`, "small")
      yield* tree.sync
      assert.deepStrictEqual(yield* tree.unreadable, [])
      assert.strictEqual(textOf(yield* tree.get(`${root}/large`)), "small")
      assert.strictEqual(textOf(yield* tree.get(`${root}/large/child`)), "changed")
      // And one that grows goes with all that is below.
      yield* other.setData(`${root}/large`, large)
      yield* tree.sync
      assert.deepStrictEqual(yield* tree.unreadable, [`${root}/large`])
      assert.strictEqual(yield* connections(proxy), now)
      yield* other.deleteRecursive(`${root}/large`)
      yield* tree.sync
      assert.deepStrictEqual([yield* tree.unreadable, yield* tree.size], [[], 4])
      yield* changes.until("the end", (values) => values.includes("Removed /large"))
      assert.deepStrictEqual(changes.values.slice(4), [
        "Changed /a",
        "Added /large",
        "Added /large/child",
        "Removed /large/child",
        "Removed /large"
      ])
    }))

  it.live("leaves out what is below a node whose children are too many to be listed [MIR-LARGE]", () =>
    Effect.gen(function*() {
      const { mirror, other, proxy, root } = yield* small
      yield* other.create(`${root}/a`, "a")
      yield* other.create(`${root}/full`, "full")
      const names = Array.from(
        { length: 120 },
        (_, i) => `${root}/full/${"n".repeat(90)}-${String(i).padStart(4, "0")}`
      )
      yield* Effect.forEach(names, (path) => other.create(path), { concurrency: 50, discard: true })
      const tree = yield* mirror.tree(root)
      yield* tree.sync
      assert.deepStrictEqual(yield* tree.unreadable, [`${root}/full`])
      assert.deepStrictEqual([...(yield* tree.entries).keys()], [root, `${root}/a`])
      assert.strictEqual(yield* connections(proxy), 2)
      // More come and some go, and it is not listed again.
      yield* other.create(`${root}/full/more`)
      yield* other.setData(`${root}/full`, "still full")
      yield* other.delete(names[0]!)
      yield* tree.sync
      yield* proxy.cutAll
      yield* becomes(tree, "Stale")
      yield* becomes(tree, "Live")
      yield* tree.sync
      assert.strictEqual(yield* connections(proxy), 3)
      assert.strictEqual(yield* tree.size, 3)
      const lists = yield* proxy.frames({ kind: "request", op: "getChildren2", path: `${root}/full` })
      assert.strictEqual(lists.length, 1)
      // With few enough of them it is.
      yield* Effect.forEach(names.slice(1, 90), (path) => other.delete(path), { concurrency: 50, discard: true })
      yield* tree.sync
      assert.deepStrictEqual(yield* tree.unreadable, [])
      assert.strictEqual(textOf(yield* tree.get(`${root}/full`)), "still full")
      assert.strictEqual(yield* tree.size, 34)
      assert.strictEqual(yield* connections(proxy), 3)
    }))

  it.live("comes about though many are, of which few cost a connection; with such a root it does not [MIR-LARGE]", () =>
    Effect.gen(function*() {
      const { mirror, other, proxy, root } = yield* small
      const names = Array.from({ length: 200 }, (_, i) => `n${i}`)
      yield* Effect.forEach(names, (name) => other.create(`${root}/${name}`, "s"), {
        concurrency: 50,
        discard: true
      })
      // The names in the order in which they are read: two too large ones at the start, in one request, then many more.
      const { children } = yield* other.getChildren(root)
      const isLarge = (i: number) => i === 5 || i === 10 || i >= 80
      yield* Effect.forEach(children, (name, i) => isLarge(i) ? other.setData(`${root}/${name}`, large) : Effect.void, {
        concurrency: 50,
        discard: true
      })
      const tree = yield* mirror.tree(root)
      yield* tree.sync
      assert.strictEqual((yield* tree.unreadable).length, 122)
      assert.strictEqual((yield* tree.entries).size, 79)
      assert.strictEqual(yield* connections(proxy), 2)
      const path = `${root}/${children[5]}`
      const error = yield* failsWith(mirror.tree(path), "ResponseTooLarge")
      assert.deepStrictEqual([error.path, error.limit], [path, 10_000])
    }))

  it.live("a copy of a single one ends with ResponseTooLarge [MIR-LARGE]", () =>
    Effect.gen(function*() {
      const { mirror, other, proxy, root, zk } = yield* small
      const node = yield* mirror.node(root)
      const changes = yield* record(node.changes)
      yield* changes.until("the start", (values) => values.length === 1)
      yield* other.setData(root, large)
      yield* failsWith(node.sync, "ResponseTooLarge")
      yield* failsWith(node.value, "ResponseTooLarge")
      // Once: it is not read again on the next connection.
      yield* zk.sync()
      assert.strictEqual((yield* zk.state)._tag, "Connected")
      assert.strictEqual(yield* connections(proxy), 2)
      yield* other.setData(root, "small")
      yield* failsWith(node.value, "ResponseTooLarge")
      assert.strictEqual(textOf(Option.some(yield* zk.getData(root))), "small")
    }))
})
