import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as ZkClient from "../src/ZkClient.ts"
import type { NodeEvent } from "../src/ZkEvent.ts"
import * as ZkTransaction from "../src/ZkTransaction.ts"
import { failsWith } from "./support/failsWith.ts"
import { freshPath, freshRoot, shared } from "./support/shared.ts"
import { isAtLeast } from "./support/watching.ts"

/** Two clients, of which one watches what the other does, and a node of the test's own. */
const setUp = Effect.gen(function*() {
  const { connectString, version } = yield* shared
  const zk = yield* ZkClient.make({ hosts: connectString })
  const other = yield* ZkClient.make({ hosts: connectString })
  const root = yield* freshRoot
  return { zk, other, root, sendsZxids: isAtLeast(version, "3.9.0") }
})

/** What a watch has told so far. Events travel ahead of the answer to a later request. */
const told = <A>(zk: ZkClient.ZkClient, watched: ZkClient.Watched<A>) =>
  Effect.gen(function*() {
    yield* zk.sync()
    const fiber = yield* Effect.forkChild(watched.fired, { startImmediately: true })
    const exit = fiber.pollUnsafe()
    yield* Fiber.interrupt(fiber)
    return exit?._tag === "Success" ? exit.value : undefined
  })

const short = (event: NodeEvent | undefined) => event?._tag.slice("Node".length)

describe("one-shot watches", () => {
  it.live("tell of exactly what they watch [W-01] [W-02] [K42]", () =>
    Effect.gen(function*() {
      const { other, root, zk } = yield* setUp
      const operations: Record<string, (path: string) => Effect.Effect<unknown, unknown>> = {
        "create the node": (path) => other.create(path),
        "set its data": (path) => other.setData(path, "new"),
        "create a child": (path) => other.create(`${path}/child`),
        "delete a child": (path) => other.delete(`${path}/old`),
        "delete the node": (path) => Effect.andThen(other.deleteRecursive(path), other.sync())
      }
      // [exists, getData, getChildren]; the node does not exist before the first, has a child before the fourth.
      const expected: Record<string, ReadonlyArray<string | undefined>> = {
        "create the node": ["Created", undefined, undefined],
        "set its data": ["DataChanged", "DataChanged", undefined],
        "create a child": [undefined, undefined, "ChildrenChanged"],
        "delete a child": [undefined, undefined, "ChildrenChanged"],
        "delete the node": ["Deleted", "Deleted", "Deleted"]
      }
      for (const [index, [name, run]] of Object.entries(operations).entries()) {
        const path = `${root}/${index}`
        const exists = index > 0
        if (exists) yield* other.create(path)
        if (name === "delete a child") yield* other.create(`${path}/old`)
        yield* zk.sync()
        const existsWatch = yield* zk.existsWatch(path)
        assert.strictEqual(Option.isSome(existsWatch.result), exists)
        const watches: Array<ZkClient.Watched<unknown>> = [existsWatch]
        if (exists) watches.push(yield* zk.getDataWatch(path), yield* zk.getChildrenWatch(path))
        else {
          yield* failsWith(zk.getDataWatch(path), "NoNode")
          yield* failsWith(zk.getChildrenWatch(path), "NoNode")
        }
        yield* run(path)
        const events = yield* Effect.forEach(watches, (watch) => told(zk, watch))
        assert.deepStrictEqual(events.map(short), expected[name]!.slice(0, watches.length), name)
        for (const event of events) if (event !== undefined) assert.strictEqual(event.path, path)
      }
    }))

  it.live("fire once, and again only after another read [W-03] [K40]", () =>
    Effect.gen(function*() {
      const { other, root, zk } = yield* setUp
      const first = yield* zk.getDataWatch(root)
      assert.strictEqual(first.result.stat.version, 0)
      yield* other.setData(root, "one")
      yield* other.setData(root, "two")
      const event = yield* first.fired
      assert.strictEqual(event._tag, "NodeDataChanged")
      const second = yield* zk.getDataWatch(root)
      assert.strictEqual(second.result.text, "two")
      assert.isUndefined(yield* told(zk, second), "the second change came before the second watch")
      yield* other.setData(root, "three")
      assert.strictEqual((yield* second.fired)._tag, "NodeDataChanged")
      assert.strictEqual(yield* first.fired, event)
    }))

  it.live("of children hear of neither data nor grandchildren [W-04]", () =>
    Effect.gen(function*() {
      const { other, root, zk } = yield* setUp
      yield* other.create(`${root}/child`)
      yield* zk.sync()
      const watch = yield* zk.getChildrenWatch(root)
      yield* other.setData(root, "x")
      yield* other.setData(`${root}/child`, "x")
      yield* other.create(`${root}/child/grandchild`)
      assert.isUndefined(yield* told(zk, watch))
      yield* other.create(`${root}/second`)
      assert.strictEqual((yield* watch.fired)._tag, "NodeChildrenChanged")
    }))

  it.live("of a child fire ahead of those of its parent [W-05]", () =>
    Effect.gen(function*() {
      const { other, root, zk } = yield* setUp
      const path = `${root}/child`
      const order: Array<string> = []
      const follow = (name: string, watch: ZkClient.Watched<unknown>) =>
        Effect.forkChild(
          Effect.map(watch.fired, (event) => order.push(`${name} ${short(event)}`)),
          { startImmediately: true }
        )
      yield* follow("parent", yield* zk.getChildrenWatch(root))
      yield* follow("child", yield* zk.existsWatch(path))
      yield* other.create(path)
      yield* zk.sync()
      yield* follow("parent", yield* zk.getChildrenWatch(root))
      yield* follow("children of child", yield* zk.getChildrenWatch(path))
      yield* other.delete(path)
      yield* zk.sync()
      assert.deepStrictEqual(order, [
        "child Created",
        "parent ChildrenChanged",
        "children of child Deleted",
        "parent ChildrenChanged"
      ])
    }))

  it.live("of several subscribers all fire, once each [W-08] [E18]", () =>
    Effect.gen(function*() {
      const { other, root, zk } = yield* setUp
      const paths = Array.from({ length: 100 }, (_, i) => `${root}/${i}`)
      yield* other.multi(paths.map((path) => ZkTransaction.create(path)))
      yield* zk.sync()
      const watches = yield* Effect.forEach(paths, (path) =>
        Effect.all([zk.existsWatch(path), zk.getDataWatch(path), zk.getDataWatch(path)], { concurrency: 3 }), {
        concurrency: 100
      })
      yield* Effect.forEach(paths, (path) =>
        other.setData(path, "x"), { concurrency: 100 })
      for (const [index, group] of watches.entries()) {
        for (const watch of group) {
          const event = yield* watch.fired
          assert.deepStrictEqual([short(event), event.path], ["DataChanged", paths[index]])
        }
      }
    }))

  it.live("tell the transaction on servers that do [W-09]", () =>
    Effect.gen(function*() {
      const { other, root, sendsZxids, zk } = yield* setUp
      const path = `${root}/node`
      const created = yield* zk.existsWatch(path)
      const { stat } = yield* other.create(path)
      assert.strictEqual((yield* created.fired).zxid, sendsZxids ? stat?.czxid : undefined)
      const changed = yield* zk.getDataWatch(path)
      const { mzxid } = yield* other.setData(path, "x")
      assert.strictEqual((yield* changed.fired).zxid, sendsZxids ? mzxid : undefined)
      const deleted = yield* zk.getDataWatch(path)
      yield* other.delete(path)
      const { pzxid } = yield* Effect.flatMap(other.exists(root), Effect.fromOption)
      assert.strictEqual((yield* deleted.fired).zxid, sendsZxids ? pzxid : undefined)
    }))

  it.live("of one kind or path leave the others alone [W-15] [E9]", () =>
    Effect.gen(function*() {
      const { other, root, zk } = yield* setUp
      yield* other.create(`${root}/a`)
      yield* zk.sync()
      const data = yield* zk.getDataWatch(root)
      const children = yield* zk.getChildrenWatch(root)
      const elsewhere = yield* zk.getDataWatch(`${root}/a`)
      yield* other.setData(root, "x")
      assert.strictEqual(short(yield* data.fired), "DataChanged")
      assert.isUndefined(yield* told(zk, children))
      yield* other.create(`${root}/b`)
      assert.strictEqual(short(yield* children.fired), "ChildrenChanged")
      assert.isUndefined(yield* told(zk, elsewhere))
      const [both, bothChildren] = [yield* zk.getDataWatch(`${root}/a`), yield* zk.getChildrenWatch(`${root}/a`)]
      yield* other.delete(`${root}/a`)
      for (const watch of [elsewhere, both, bothChildren]) assert.strictEqual(short(yield* watch.fired), "Deleted")
    }))

  it.live("go off in a handler that fails, and the client lives on [W-11]", () =>
    Effect.gen(function*() {
      const { other, root, zk } = yield* setUp
      const watch = yield* zk.getDataWatch(root)
      const failing = yield* Effect.forkChild(
        Effect.andThen(watch.fired, Effect.die(new Error("a handler's own"))),
        { startImmediately: true }
      )
      const sound = yield* Effect.forkChild(watch.fired, { startImmediately: true })
      yield* other.setData(root, "x")
      assert.strictEqual((yield* Fiber.await(failing))._tag, "Failure")
      assert.strictEqual(short(yield* Fiber.join(sound)), "DataChanged")
      assert.strictEqual((yield* zk.getData(root)).text, "x")
    }))

  it.live("do not survive the client [W-21] [E16]", () =>
    Effect.gen(function*() {
      const { connectString } = yield* shared
      const path = yield* freshPath
      const life = yield* Scope.make()
      const zk = yield* Scope.provide(ZkClient.make({ hosts: connectString }), life)
      const { fired } = yield* zk.existsWatch(path)
      yield* Scope.close(life, Exit.void)
      yield* failsWith(fired, "SessionClosed")
      yield* failsWith(zk.existsWatch(path), "SessionClosed")
    }))
})
