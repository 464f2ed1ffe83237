import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as ZkAcl from "../src/ZkAcl.ts"
import * as ZkClient from "../src/ZkClient.ts"
import * as ZkTransaction from "../src/ZkTransaction.ts"
import { failsWith } from "./support/failsWith.ts"
import { becomes, mirrorOf, pair, proxiedPair, takenBack, textOf } from "./support/mirroring.ts"
import { freshPath, shared, sharedHandle } from "./support/shared.ts"
import { record, sessionOf } from "./support/watching.ts"

describe("a copy of a node", () => {
  it.live("is one for everybody who asks for the same path, however it is written [Z5] [Z6]", () =>
    Effect.gen(function*() {
      const { mirror, root, zk } = yield* pair
      const { watchesByPath } = yield* sharedHandle
      const node = yield* mirror.node(`${root}/a/b`)
      for (const same of [`${root}/a/b/`, `${root}//a///b`, `${root.slice(1)}/a/b`]) {
        assert.strictEqual(yield* mirror.node(same), node)
      }
      assert.strictEqual(node.path, `${root}/a/b`)
      yield* node.sync
      assert.deepStrictEqual((yield* watchesByPath).get(node.path), [yield* sessionOf(zk)])
      for (const bad of [`${root}/../b`, `${root}/.`, `${root}/a\u0000`]) {
        assert.strictEqual((yield* failsWith(mirror.node(bad), "InvalidPath")).path, bad)
      }
      assert.strictEqual((yield* mirror.node("")).path, "/")
    }))

  it.live("tells data and metadata, and that empty data is neither none nor no node [Z7] [Z14] [Z15]", () =>
    Effect.gen(function*() {
      const { mirror, other, root } = yield* pair
      const node = yield* mirror.node(`${root}/a`)
      yield* other.create(`${root}/a`, "")
      yield* node.sync
      assert.deepStrictEqual((yield* node.value).data, new Uint8Array(0))
      yield* other.setData(`${root}/a`, null)
      yield* node.sync
      assert.isNull((yield* node.value).data)
      yield* other.create(`${root}/a/b`)
      yield* node.set("text")
      const read = yield* other.getData(`${root}/a`)
      const value = yield* node.value
      assert.strictEqual(value.text, "text")
      assert.deepStrictEqual(value.stat, read.stat)
      assert.strictEqual(Object.keys(value.stat).length, 11)
    }))

  it.live("tells its children, sorted [Z8]", () =>
    Effect.gen(function*() {
      const { mirror, other, root } = yield* pair
      const node = yield* mirror.node(root)
      assert.deepStrictEqual(yield* node.children, [])
      for (const name of ["c", "a", "b"]) yield* other.create(`${root}/${name}`)
      yield* node.sync
      assert.deepStrictEqual(yield* node.children, ["a", "b", "c"])
    }))

  it.live("is unknown, missing or there; of a missing one all is told at once [Z9] [Z11] [Z12]", () =>
    Effect.gen(function*() {
      const { mirror, other, proxy, root } = yield* proxiedPair()
      const node = yield* mirror.node(`${root}/a`)
      assert.deepStrictEqual(yield* node.state, { _tag: "Unknown" })
      assert.deepStrictEqual(yield* node.childrenState, { _tag: "Unknown" })
      assert.strictEqual((yield* failsWith(node.value, "NoNode")).path, `${root}/a`)
      assert.strictEqual((yield* failsWith(node.children, "NoNode")).path, `${root}/a`)
      assert.strictEqual((yield* node.state)._tag, "Missing")
      assert.strictEqual((yield* node.childrenState)._tag, "Missing")
      // Nobody is asked: it is known.
      const { requests } = yield* proxy.stats()
      for (let i = 0; i < 100; i++) yield* failsWith(node.value, "NoNode")
      yield* node.sync
      assert.strictEqual((yield* proxy.stats()).requests, requests + 1)
      yield* other.create(`${root}/a`, "1")
      yield* node.sync
      const state = yield* node.state
      assert.strictEqual(state._tag === "Present" && state.node.text, "1")
    }))

  it.live("tells of data and children at which transaction they were seen [Z53]", () =>
    Effect.gen(function*() {
      const { mirror, other, root } = yield* pair
      const node = yield* mirror.node(root)
      yield* node.sync
      const { mzxid } = yield* other.setData(root, "1")
      yield* node.awaitZxid(mzxid)
      const child = yield* other.create(`${root}/a`)
      yield* node.awaitZxid(child.stat!.czxid)
      const state = yield* node.state
      const children = yield* node.childrenState
      assert(state._tag === "Present" && children._tag === "Present")
      assert.strictEqual(state.node.text, "1")
      assert.isAtLeast(Number(state.zxid), Number(mzxid))
      assert.deepStrictEqual(children.node.children, ["a"])
      assert.isAtLeast(Number(children.zxid), Number(child.stat!.czxid))
    }))
})

describe("a write through a copy", () => {
  it.live("is seen when it is complete: creations [Z16]", () =>
    Effect.gen(function*() {
      const { mirror, root } = yield* pair
      yield* Effect.forEach(Array.from({ length: 1000 }, (_, i) => i), (i) =>
        Effect.scoped(Effect.gen(function*() {
          const node = yield* mirror.node(`${root}/n${i}`)
          yield* node.create(`${i}`)
          const state = yield* node.state
          assert.strictEqual(state._tag === "Present" && state.node.text, `${i}`)
          assert.deepStrictEqual(yield* node.children, [])
        })), { concurrency: 50 })
    }))

  it.live("is seen when it is complete: changes, whatever their version [Z19]", () =>
    Effect.gen(function*() {
      const { mirror, other, root } = yield* pair
      yield* Effect.forEach(Array.from({ length: 20 }, (_, i) => `${root}/${i}`), (path) =>
        Effect.gen(function*() {
          yield* other.create(path)
          const node = yield* mirror.node(path)
          for (let i = 0; i < 500; i++) {
            const { mzxid } = yield* node.set(`${i}`)
            const value = yield* node.value
            assert.strictEqual(value.text, `${i}`)
            assert.strictEqual(value.stat.mzxid, mzxid)
          }
        }), { concurrency: "unbounded" })
    }))

  it.live("asks the server, not the copy, whether there is a node [Z17]", () =>
    Effect.gen(function*() {
      const { mirror, other, root } = yield* pair
      const node = yield* mirror.node(`${root}/a`)
      for (let i = 0; i < 20; i++) {
        yield* node.create(`${i}`)
        yield* other.delete(`${root}/a`)
      }
      yield* node.create("at last", { mode: "ephemeral" })
      assert.strictEqual((yield* node.value).text, "at last")
      yield* failsWith(node.create("again"), "NodeExists")
      yield* failsWith((yield* mirror.node(`${root}/x/y`)).create(), "NoNode")
      yield* (yield* mirror.node(`${root}/x/y`)).create("deep", { parents: true })
      assert.strictEqual((yield* other.getData(`${root}/x/y`)).text, "deep")
    }))

  it.live("holds for a version, or for any [Z18] [Z21]", () =>
    Effect.gen(function*() {
      const { mirror, other, root } = yield* pair
      const node = yield* mirror.node(`${root}/a`)
      yield* failsWith(node.set("1"), "NoNode")
      yield* failsWith(node.delete(), "NoNode")
      yield* node.create("0")
      assert.strictEqual((yield* node.set("1", { version: 0 })).version, 1)
      assert.strictEqual((yield* failsWith(node.set("2", { version: 0 }), "BadVersion")).expected, 0)
      assert.strictEqual((yield* node.set("2")).version, 2)
      yield* failsWith(node.delete({ version: 1 }), "BadVersion")
      yield* other.create(`${root}/a/b`)
      yield* failsWith(node.delete(), "NotEmpty")
      yield* other.delete(`${root}/a/b`)
      yield* node.delete({ version: 2 })
      yield* failsWith(node.value, "NoNode")
      assert.strictEqual((yield* node.state)._tag, "Missing")
    }))

  it.live("updates what the server has, as often as it takes [Z45]", () =>
    Effect.gen(function*() {
      const { mirror, root } = yield* pair
      const path = `${root}/n`
      const ours = yield* mirror.node(path)
      yield* failsWith(ours.update(() => "1"), "NoNode")
      yield* ours.create(null)
      // No data is a value like any other.
      yield* ours.update(({ text }) => text === "" ? "0" : "wrong")
      assert.strictEqual((yield* ours.value).text, "0")
      assert.strictEqual(yield* Effect.flip(ours.update(() => Effect.fail("no" as const))), "no")
      // A failure of the function's own is its own, whatever it is called.
      let calls = 0
      yield* Effect.flip(ours.update(() => {
        calls++
        return Effect.fail({ _tag: "BadVersion" as const })
      }))
      assert.strictEqual(calls, 1)
    }))

  it.live("updates among others who do, with as many requests as attempts take [Z45]", () =>
    Effect.gen(function*() {
      const { other, proxy, root } = yield* proxiedPair()
      yield* other.setData(root, "0")
      const writers = yield* Effect.forEach(Array.from({ length: 8 }), () =>
        Effect.gen(function*() {
          const own = yield* mirrorOf(yield* ZkClient.make({ hosts: proxy.connectString }))
          const node = yield* own.node(root)
          yield* node.value
          return node
        }))
      const since = yield* proxy.position
      let attempts = 0
      const increment = ({ text }: ZkClient.NodeData) => {
        attempts++
        return Effect.succeed(`${Number(text) + 1}`)
      }
      yield* Effect.forEach(
        writers,
        (node) => Effect.repeat(node.update(increment), { times: 99 }),
        { concurrency: "unbounded" }
      )
      assert.strictEqual((yield* other.getData(root)).text, "800")
      for (const node of writers) {
        yield* node.sync
        assert.strictEqual((yield* node.value).text, "800")
      }
      assert.isBelow(attempts, 3 * 800)
      const { ops } = yield* proxy.stats(since)
      assert.strictEqual(ops["setData"], attempts)
      // Besides those of the attempts there are the reads of eight copies, one for each change that they hear of.
      assert.isAtMost(ops["getData"]!, attempts + 8 * 800)
    }))
})

describe("changes of a copied node", () => {
  it.live("are each state that it gets into [Z22]", () =>
    Effect.gen(function*() {
      const { mirror, other, root } = yield* pair
      const node = yield* mirror.node(`${root}/a`)
      const { until, values } = yield* record(Stream.map(node.changes, textOf))
      yield* until("none", (values) => values.length === 1)
      const steps = [
        other.create(`${root}/a`, "1"),
        other.setData(`${root}/a`, "2"),
        other.delete(`${root}/a`),
        other.create(`${root}/a`, "3")
      ]
      for (const [index, step] of steps.entries()) {
        yield* step
        yield* until(`step ${index}`, (values) => values.length === index + 2)
      }
      assert.deepStrictEqual(values, [undefined, "1", "2", undefined, "3"])
    }))

  it.live("tell of its children, and when it goes [Z23]", () =>
    Effect.gen(function*() {
      const { mirror, other, root } = yield* pair
      const path = `${root}/a`
      yield* other.create(path)
      const { until, values } = yield* record(
        Stream.map(
          (yield* mirror.node(path)).childrenChanges,
          (names) => Option.getOrElse(names, () => ["gone"]).join()
        )
      )
      yield* until("the first", (values) => values.length === 1)
      const steps = [
        other.create(`${path}/y`),
        other.create(`${path}/x`),
        other.delete(`${path}/y`),
        other.delete(`${path}/x`),
        other.delete(path)
      ]
      for (const [index, step] of steps.entries()) {
        yield* step
        yield* until(`step ${index}`, (values) => values.length === index + 2)
      }
      assert.deepStrictEqual(values, ["", "y", "x,y", "x", "", "gone"])
    }))

  it.live("come to each reader on its own, the present state first [Z24] [Z25] [Z26] [Z27] [Z30]", () =>
    Effect.gen(function*() {
      const { mirror, other, root } = yield* pair
      const node = yield* mirror.node(root)
      const texts = Stream.map(node.changes, textOf)
      const readers = yield* Effect.forEach([1, 2, 3], () => record(texts))
      const leaving = yield* record(texts)
      const gate = yield* Deferred.make<void>()
      const slow = yield* record(Stream.tap(texts, () => Deferred.await(gate)))
      const failing = yield* record(Stream.tap(texts, (text) => text === "1" ? Effect.die("no more") : Effect.void))
      // It may do with the node what it likes.
      const busy = yield* record(
        Stream.tap(texts, (text) => text === "1" ? Effect.asVoid(node.set("2")) : Effect.asVoid(node.value))
      )
      for (const { until } of [...readers, leaving, failing, busy]) {
        yield* until("the present state", (values) => values.length === 1)
      }
      yield* Fiber.interrupt(leaving.fiber)
      yield* other.setData(root, "1")
      for (const { until } of [...readers, busy]) yield* until("the last", (values) => values.at(-1) === "2")
      assert.isTrue(Exit.isFailure(yield* Fiber.await(failing.fiber)))
      for (let i = 3; i <= 30; i++) yield* other.setData(root, `${i}`)
      for (const { until } of readers) yield* until("the last", (values) => values.at(-1) === "30")
      const late = yield* record(texts)
      yield* late.until("the present state", (values) => values.length === 1)
      assert.deepStrictEqual(late.values, ["30"])
      assert.deepStrictEqual(leaving.values, [""])
      assert.deepStrictEqual(failing.values, [""])
      yield* Deferred.succeed(gate, undefined)
      yield* slow.until("the last", (values) => values.at(-1) === "30")
      assert.deepStrictEqual(slow.values, ["", "30"])
    }))

  it.live("are news only if something has changed, and always if the node is another [Z28]", () =>
    Effect.gen(function*() {
      const { mirror, other, root } = yield* pair
      const path = `${root}/a`
      yield* other.create(path, "same")
      yield* other.create(`${path}/x`)
      const node = yield* mirror.node(path)
      const data = yield* record(Stream.map(node.changes, Option.map(({ stat }) => stat.czxid)))
      const names = yield* record(node.childrenChanges)
      yield* data.until("the first", (values) => values.length === 1)
      yield* names.until("the first", (values) => values.length === 1)
      // Neither of these is a change of both.
      yield* other.create(`${path}/y`)
      yield* names.until("the second", (values) => values.length === 2)
      yield* other.setData(path, "same")
      yield* data.until("the second", (values) => values.length === 2)
      yield* other.setAcl(path, ZkAcl.openAcl)
      yield* other.setData(`${path}/x`, "not ours")
      yield* other.multi([
        ZkTransaction.delete(`${path}/x`),
        ZkTransaction.delete(`${path}/y`),
        ZkTransaction.delete(path),
        ZkTransaction.create(path, "same")
      ])
      yield* data.until("the third", (values) => values.length === 3)
      yield* names.until("the third", (values) => values.length === 3)
      // The same data, the same version, and another node.
      yield* other.multi([ZkTransaction.delete(path), ZkTransaction.create(path, "same")])
      yield* data.until("the fourth", (values) => values.length === 4)
      yield* names.until("the fourth", (values) => values.length === 4)
      yield* node.sync
      assert.strictEqual(data.values.length, 4)
      assert.strictEqual(names.values.length, 4)
      assert.deepStrictEqual(names.values.at(-1), Option.some([]))
    }))

  it.live("never tell what the copy does not show yet, and never go back [Z13] [Z31]", () =>
    Effect.gen(function*() {
      const { mirror, other, root } = yield* pair
      const node = yield* mirror.node(root)
      let last = 0n
      const { until } = yield* record(Stream.mapEffect(node.changes, (told) =>
        Effect.map(node.value, (value) => {
          const { mzxid } = Option.getOrThrow(told).stat
          assert.isTrue(mzxid >= last && value.stat.mzxid >= mzxid)
          last = mzxid
          return value.text
        })))
      for (let i = 0; i < 300; i++) yield* other.setData(root, `${i}`)
      yield* until("the last", (values) => values.at(-1) === "299")
    }))

  it.live("of a node that is deleted and made anew at once end with the new one [Z29]", () =>
    Effect.gen(function*() {
      const { mirror, other, root } = yield* pair
      const path = `${root}/a`
      yield* other.create(path, "first")
      const node = yield* mirror.node(path)
      const { until } = yield* record(Stream.map(node.changes, textOf))
      yield* Effect.forEach(
        Array.from({ length: 1000 }, (_, i) => i),
        (i) => other.multi([ZkTransaction.delete(path), ZkTransaction.create(path, `${i}`)]),
        { concurrency: 20, discard: true }
      )
      const last = yield* other.getData(path)
      yield* until("the last", (values) => values.at(-1) === last.text)
      yield* node.sync
      assert.deepStrictEqual((yield* node.value).stat, last.stat)
    }))
})

describe("copies below a node", () => {
  it.live("know nothing of what is above, or of neighbours that are called alike [Z47]", () =>
    Effect.gen(function*() {
      const { mirror, other, root } = yield* pair
      yield* other.create(`${root}/app`)
      yield* other.create(`${root}/appX`, "a neighbour")
      const below = yield* mirror.chroot(`${root}/app`)
      const node = yield* below.node("/x")
      const tree = yield* below.tree("/")
      const top = yield* below.node("/")
      const changes = yield* record(Stream.map(tree.changes, ({ _tag, path }) => `${_tag} ${path}`))
      assert.strictEqual((yield* node.create("1")).path, "/x")
      assert.strictEqual((yield* other.getData(`${root}/app/x`)).text, "1")
      assert.strictEqual((yield* node.value).text, "1")
      yield* top.sync
      assert.deepStrictEqual(yield* top.children, ["x"])
      yield* other.setData(`${root}/appX`, "changed")
      yield* node.delete()
      assert.strictEqual((yield* failsWith(node.value, "NoNode")).path, "/x")
      yield* tree.sync
      yield* changes.until("the removal", (values) => values.at(-1) === "Removed /x")
      assert.deepStrictEqual(changes.values, ["Added /", "Added /x", "Removed /x"])
      assert.deepStrictEqual([...(yield* tree.entries).keys()], ["/"])
    }))
})

describe("the end of a copy", () => {
  it.live("comes with its scope, also from within a reader, and interrupts who waits [Z48]", () =>
    Effect.gen(function*() {
      const { mirror, other, root } = yield* pair
      const scope = yield* Scope.make()
      const node = yield* Scope.provide(mirror.node(root), scope)
      yield* becomes(node, "Live")
      const reader = yield* Effect.forkChild(
        Stream.runForEach(node.changes, () => Scope.close(scope, Exit.void)),
        { startImmediately: true }
      )
      const exit = yield* Fiber.await(reader)
      assert.isTrue(Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause))
      assert.strictEqual((yield* node.freshness)._tag, "Stale")
      const write = yield* Effect.exit(node.set("1"))
      assert.isTrue(Exit.isFailure(write) && Cause.hasInterruptsOnly(write.cause))
      // Nothing was written: nobody could have seen that it was.
      assert.strictEqual((yield* other.getData(root)).text, "")
      // Whoever asks again has another copy.
      assert.strictEqual((yield* (yield* mirror.node(root)).value).text, "")
    }))

  it.live("comes with the scope of all copies at the latest [MIR-SCOPE]", () =>
    Effect.gen(function*() {
      const { root, zk } = yield* pair
      const scope = yield* Scope.make()
      const mirror = yield* Scope.provide(mirrorOf(zk), scope)
      const node = yield* mirror.node(root)
      const tree = yield* mirror.tree(root)
      const inner = yield* (yield* mirror.chroot(root)).tree("/")
      for (const copy of [node, tree, inner]) yield* becomes(copy, "Live")
      yield* Scope.close(scope, Exit.void)
      for (const copy of [node, tree, inner]) assert.strictEqual((yield* copy.freshness)._tag, "Stale")
      yield* takenBack(zk)
      assert.isUndefined((yield* (yield* sharedHandle).watchesByPath).get(root))
    }))

  it.live("is the end of all copies of a mirror that has ended: whoever asks for more is interrupted [MIR-ENDED]", () =>
    Effect.gen(function*() {
      const { other, root, zk } = yield* pair
      const scope = yield* Scope.make()
      const mirror = yield* Scope.provide(mirrorOf(zk), scope)
      const node = yield* mirror.node(root)
      const below = yield* mirror.chroot(root)
      yield* node.value
      yield* Scope.close(scope, Exit.void)
      const late: ReadonlyArray<Effect.Effect<unknown, unknown, Scope.Scope>> = [
        mirror.node(root),
        mirror.tree(root),
        Effect.flatMap(mirror.chroot(root), (inner) => inner.node("/")),
        below.node("/"),
        below.tree("/"),
        node.value,
        node.sync,
        node.set("1"),
        Stream.runDrain(node.changes)
      ]
      for (const [index, effect] of late.entries()) {
        const exit = yield* Effect.exit(effect)
        assert.isTrue(Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause), `${index}`)
      }
      // Nothing of them is left, and what was known can be read. The client goes on.
      yield* takenBack(zk)
      assert.isUndefined((yield* (yield* sharedHandle).watchesByPath).get(root))
      assert.strictEqual((yield* node.state)._tag, "Present")
      assert.strictEqual((yield* (yield* (yield* mirrorOf(zk)).node(root)).value).text, "")
      // Nor was anything written, of which nobody could have seen the end.
      assert.strictEqual((yield* other.getData(root)).text, "")
    }))

  it.live("comes with the client, and tells so [MIR-END]", () =>
    Effect.gen(function*() {
      const { connectString } = yield* shared
      const path = yield* freshPath
      const scope = yield* Scope.make()
      const zk = yield* Scope.provide(ZkClient.make({ hosts: connectString }), scope)
      const mirror = yield* mirrorOf(zk)
      const node = yield* mirror.node(path)
      const tree = yield* mirror.tree(path)
      yield* becomes(node, "Live")
      const changes = yield* record(node.changes)
      const treeChanges = yield* record(tree.changes)
      yield* Scope.close(scope, Exit.void)
      yield* failsWith(Fiber.join(changes.fiber), "SessionClosed")
      yield* failsWith(Fiber.join(treeChanges.fiber), "SessionClosed")
      yield* failsWith(node.value, "SessionClosed")
      yield* failsWith(node.sync, "SessionClosed")
      yield* failsWith(mirror.tree(path), "SessionClosed")
      yield* failsWith((yield* mirror.node(`${path}/other`)).value, "SessionClosed")
      assert.strictEqual((yield* tree.freshness)._tag, "Stale")
    }))
})
