import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import * as ZkAcl from "../src/ZkAcl.ts"
import * as ZkClient from "../src/ZkClient.ts"
import { failsWith } from "./support/failsWith.ts"
import { makeProxy } from "./support/proxy.ts"
import { connectRaw } from "./support/rawClient.ts"
import { freshPath, freshRoot, shared } from "./support/shared.ts"
import { heard, record } from "./support/watching.ts"

const setUp = Effect.gen(function*() {
  const { connectString, port } = yield* shared
  const proxy = yield* makeProxy(port)
  const zk = yield* ZkClient.make({ hosts: proxy.connectString })
  const other = yield* ZkClient.make({ hosts: connectString })
  return { zk, other, proxy, root: yield* freshRoot }
})

const textOf = (state: Option.Option<ZkClient.NodeData>) => Option.getOrNull(state)?.text
const namesOf = (state: Option.Option<ZkClient.Children>) => Option.getOrNull(state)?.children.toSorted()

describe("changes of a node", () => {
  it.live("missing, made, deleted, made again: every state is seen [K43] [W-24]", () =>
    Effect.gen(function*() {
      const { other, root, zk } = yield* setUp
      const path = `${root}/node`
      const seen = yield* record(Stream.map(zk.changes(path), textOf))
      const next = (what: string, count: number) => seen.until(what, (values) => values.length === count)
      yield* next("that it is missing", 1)
      yield* other.create(path, "v0")
      yield* next("v0", 2)
      yield* other.delete(path)
      yield* next("that it is gone", 3)
      yield* other.create(path, "v0")
      yield* next("it again", 4)
      yield* other.setData(path, "v1")
      yield* next("v1", 5)
      assert.deepStrictEqual(seen.values, [undefined, "v0", undefined, "v0", "v1"])
    }))

  it.live("are told by transaction, not by version: nothing twice, nothing missed [X3] [K45]", () =>
    Effect.gen(function*() {
      const { other, proxy, root, zk } = yield* setUp
      const seen = yield* record(zk.changes(root))
      yield* seen.until("the first", (values) => values.length === 1)
      // Another node of the same version, while nobody looks.
      const rule = yield* proxy.rule({ kind: "event" }, "cut")
      yield* other.delete(root)
      yield* rule.fired
      yield* proxy.setAccept("refuse")
      yield* other.create(root)
      yield* proxy.heal
      yield* seen.until("the other node", (values) => values.length === 2)
      // What changes no data is no news.
      yield* other.setAcl(root, ZkAcl.openAcl)
      yield* other.create(`${root}/child`)
      yield* proxy.cutAll
      yield* zk.sync()
      const last = yield* other.setData(root, "x")
      yield* seen.until("the last", (values) => Option.getOrNull(values.at(-1)!)?.stat.mzxid === last.mzxid)
      assert.deepStrictEqual(
        seen.values.map((state) => Option.getOrNull(state)?.stat.version).filter((version) => version !== undefined),
        [0, 0, 1]
      )
    }))

  it.live("that come fast are not all seen, but the last always is [K44] [E1]", () =>
    Effect.gen(function*() {
      const { other, root, zk } = yield* setUp
      const seen = yield* record(Stream.map(zk.changes(root), textOf))
      yield* Effect.forEach(
        Array.from({ length: 1000 }, (_, i) => String(i)),
        (text) => other.setData(root, text),
        { concurrency: 100, discard: true }
      )
      const { text } = yield* other.getData(root)
      yield* seen.until("the last", (values) => values.at(-1) === text)
      assert.isBelow(seen.values.length, 1001)
    }))

  it.live("arm and read in one request each [X3]", () =>
    Effect.gen(function*() {
      const { other, proxy, root, zk } = yield* setUp
      yield* proxy.forget
      const seen = yield* record(zk.changes(root))
      yield* seen.until("the first", (values) => values.length === 1)
      yield* other.setData(root, "x")
      yield* seen.until("the second", (values) => values.length === 2)
      assert.deepStrictEqual((yield* proxy.stats()).ops, { getData: 2 })
    }))

  it.live("are given to each subscriber at its own pace: one is stuck, one fails, one is quick [X7] [W-11] [W-13]", () =>
    Effect.gen(function*() {
      const { other, root, zk } = yield* setUp
      const gate = yield* Deferred.make<void>()
      const stuck = yield* record(Stream.tap(zk.changes(root), () => Deferred.await(gate)))
      const failing = yield* record(
        Stream.tap(zk.changes(root), () => Effect.die(new Error("a subscriber's own")))
      )
      const quick = yield* record(Stream.map(zk.changes(root), textOf))
      yield* quick.until("the first", (values) => values.length === 1)
      for (let i = 1; i <= 20; i++) yield* other.setData(root, String(i))
      yield* quick.until("the last", (values) => values.at(-1) === "20")
      assert.strictEqual((yield* Fiber.await(failing.fiber))._tag, "Failure")
      assert.deepStrictEqual(stuck.values, [])
      yield* Deferred.succeed(gate, undefined)
      // What it was stuck at, then the latest, and nothing of what came in between.
      yield* stuck.until("the last", (values) => textOf(values.at(-1) ?? Option.none()) === "20")
      assert.deepStrictEqual(stuck.values.map(textOf), ["", "20"])
    }))

  it.live("fail with NoAuth when they may not be read [K50]", () =>
    Effect.gen(function*() {
      const { root, zk } = yield* setUp
      const { connectString } = yield* shared
      const auth = [{ scheme: "digest", credential: Redacted.make("owner:secret") }]
      const owner = yield* ZkClient.make({ hosts: connectString, auth })
      yield* owner.setAcl(root, ZkAcl.creatorAcl)
      yield* zk.sync()
      assert.strictEqual((yield* failsWith(Stream.runDrain(zk.changes(root)), "NoAuth")).path, root)
      assert.strictEqual((yield* failsWith(Stream.runDrain(zk.childrenChanges(root)), "NoAuth")).path, root)
      // A reader who was allowed to see the first state, and is then shut out: the next read fails.
      const path = `${root}/open`
      yield* owner.create(path)
      const shutOut = Effect.andThen(owner.setData(path, "secret"), owner.setAcl(path, ZkAcl.creatorAcl))
      const seen = yield* record(Stream.tap(zk.changes(path), () => shutOut))
      yield* failsWith(Fiber.join(seen.fiber), "NoAuth")
    }))
})

describe("changes of children", () => {
  it.live("missing, made, filled, deleted, made again [K46] [K47] [W-25]", () =>
    Effect.gen(function*() {
      const { other, root, zk } = yield* setUp
      const path = `${root}/parent`
      const seen = yield* record(Stream.map(zk.childrenChanges(path), namesOf))
      const next = (what: string, count: number) => seen.until(what, (values) => values.length === count)
      yield* next("that it is missing", 1)
      yield* other.create(path)
      yield* next("it without children", 2)
      yield* other.create(`${path}/a`)
      yield* next("a", 3)
      yield* other.create(`${path}/b`)
      yield* next("a and b", 4)
      yield* other.delete(`${path}/a`)
      yield* next("b", 5)
      yield* other.delete(`${path}/b`)
      yield* next("none", 6)
      yield* other.delete(path)
      yield* next("that it is gone", 7)
      yield* other.create(path)
      yield* next("it again", 8)
      assert.deepStrictEqual(seen.values, [undefined, [], ["a"], ["a", "b"], ["b"], [], undefined, []])
    }))

  it.live("nothing twice after a reconnect, and a child that was exchanged is news [K46] [X3]", () =>
    Effect.gen(function*() {
      const { other, proxy, root, zk } = yield* setUp
      yield* other.create(`${root}/a`)
      const seen = yield* record(Stream.map(zk.childrenChanges(root), namesOf))
      yield* seen.until("the first", (values) => values.length === 1)
      for (let i = 0; i < 2; i++) {
        yield* proxy.cutAll
        yield* zk.sync()
      }
      assert.strictEqual((yield* proxy.stats()).connections, 3)
      yield* other.delete(`${root}/a`)
      yield* other.create(`${root}/a`)
      yield* seen.until("the same names", (values) => values.length > 1 && values.at(-1)?.length === 1)
      // Data is nobody's concern here.
      yield* other.setData(root, "x")
      yield* other.setData(`${root}/a`, "x")
      yield* other.create(`${root}/b`)
      yield* seen.until("a and b", (values) => values.at(-1)?.length === 2)
      assert.isTrue(seen.values.length === 3 || seen.values.length === 4, "with or without the moment in between")
    }))

  it.live("settle as a stream like any other [W-26] [K49]", () =>
    Effect.gen(function*() {
      const { other, root, zk } = yield* setUp
      const settled = yield* Effect.forkChild(
        zk.childrenChanges(root).pipe(
          Stream.map(namesOf),
          Stream.filter((names) => names !== undefined && names.length > 0),
          Stream.debounce("300 millis"),
          Stream.runHead
        ),
        { startImmediately: true }
      )
      for (let i = 0; i < 5; i++) yield* other.create(`${root}/${i}`)
      assert.deepStrictEqual(yield* Fiber.join(settled), Option.some(["0", "1", "2", "3", "4"]))
    }))
})

describe("raw events", () => {
  it.live("beyond a subscriber's buffer become one Reset, and the others get all of them [E19] [X7]", () =>
    Effect.gen(function*() {
      const { port } = yield* shared
      const { root, zk } = yield* setUp
      const writer = yield* connectRaw({ port })
      const small = yield* zk.subscribe(root, "persistent", { bufferSize: 10 })
      const large = yield* zk.subscribe(root, "persistent", { bufferSize: 5000 })
      const standard = yield* zk.subscribe(root, "persistent")
      const write = (count: number) =>
        Effect.forEach(Array.from({ length: count }), () => writer.setData(root, "x"), {
          concurrency: 500,
          discard: true
        })
      yield* write(10)
      assert.deepStrictEqual(yield* heard(zk, small), Array(10).fill(`NodeDataChanged ${root}`))
      yield* write(11)
      assert.deepStrictEqual(yield* heard(zk, small), ["Reset overflow"])
      yield* write(13)
      assert.deepStrictEqual(yield* heard(zk, small), ["Reset overflow", ...Array(2).fill(`NodeDataChanged ${root}`)])
      yield* write(3000)
      assert.strictEqual((yield* heard(zk, large)).length, 3034)
      assert.isAtMost(yield* Queue.size(small), 10)
      assert.isAtMost(yield* Queue.size(standard), 1024)
      assert.strictEqual((yield* heard(zk, standard))[0], "Reset overflow")
    }))

  it.live("do not stop for a subscriber that is stuck or fails [X7] [W-11]", () =>
    Effect.gen(function*() {
      const { other, root, zk } = yield* setUp
      const stuck = yield* record(Stream.tap(zk.watch(root, "persistent", { bufferSize: 2 }), () => Effect.never))
      const failing = yield* record(Stream.tap(zk.watch(root, "persistent"), () => Effect.die("a subscriber's own")))
      const quick = yield* zk.subscribe(root, "persistent")
      for (let i = 0; i < 20; i++) yield* other.setData(root, String(i))
      assert.strictEqual((yield* heard(zk, quick)).length, 20)
      assert.strictEqual((yield* Fiber.await(failing.fiber))._tag, "Failure")
      assert.deepStrictEqual(stuck.values, [])
      yield* zk.setData(root, "the client lives")
    }))

  it.live("of the unknown kind, and for paths that nobody watches, are passed over [E21]", () =>
    Effect.gen(function*() {
      const { other, proxy, zk } = yield* setUp
      const path = yield* freshPath
      const queue = yield* zk.subscribe(path, "persistent")
      // The types of removals, which servers do not send, one that nobody knows, and a path of nobody.
      const events = [5, 7, 99]
      yield* proxy.rule({ kind: "event" }, {
        replace: (payload: Buffer) => {
          payload.writeInt32BE(events.shift()!, 16)
          return payload
        }
      }, { times: 3 })
      yield* other.create(path)
      yield* other.setData(path, "x")
      yield* other.create(`${path}/a`)
      yield* other.setData(path, "y")
      assert.deepStrictEqual(yield* heard(zk, queue, path), ["NodeDataChanged "])
      assert.deepStrictEqual(events, [])
    }))
})
