import { assert, describe, it, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Queue from "effect/Queue"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import { randomUUID } from "node:crypto"
import { EventType } from "../src/internal/protocol/constants.ts"
import * as ZkClient from "../src/ZkClient.ts"
import type { Options } from "../src/ZkConfig.ts"
import * as ZkTransaction from "../src/ZkTransaction.ts"
import { expireThrough } from "./support/expire.ts"
import { failsWith } from "./support/failsWith.ts"
import { makeWire, pass } from "./support/fakeClient.ts"
import { makeFakeServer } from "./support/fakeServer.ts"
import { makeProxiedServer, ProxiedServer } from "./support/proxy.ts"
import { countWatches, heard, newSession, record, sessionOf } from "./support/watching.ts"

/** A client behind the proxy, and one beside it. */
const setUp = (options?: Options) =>
  Effect.gen(function*() {
    const { proxy, server } = yield* ProxiedServer
    yield* proxy.forget
    const zk = yield* ZkClient.make({ hosts: proxy.connectString, ...options })
    const other = yield* ZkClient.make({ hosts: server.connectString })
    const root = `/${randomUUID()}`
    yield* zk.create(root)
    /** Runs what happens while the client is not connected. */
    const away = <A, E, R>(happens: Effect.Effect<A, E, R>) =>
      Effect.gen(function*() {
        const before = yield* proxy.stats()
        yield* proxy.setAccept("refuse")
        yield* proxy.cutAll
        yield* zk.stateChanges.pipe(Stream.filter((state) => state._tag === "Suspended"), Stream.runHead)
        const result = yield* happens
        yield* proxy.heal
        yield* zk.sync()
        assert.isAbove((yield* proxy.stats()).connections, before.connections, "it did connect again")
        return result
      })
    return { zk, other, proxy, server, root, away }
  })

const setWatchesOps = ["setWatches", "setWatches2"] as const

layer(ProxiedServer.layer(), { excludeTestServices: true })("one-shot watches across a reconnect", (it) => {
  it.effect("tell of what happened meanwhile [E2] [K41] [W-28]", () =>
    Effect.gen(function*() {
      const { away, other, root, zk } = yield* setUp()
      for (const name of ["data", "deleted", "again", "children", "gone"]) yield* zk.create(`${root}/${name}`)
      const watches = {
        data: yield* zk.getDataWatch(`${root}/data`),
        deleted: yield* zk.existsWatch(`${root}/deleted`),
        again: yield* zk.getDataWatch(`${root}/again`),
        children: yield* zk.getChildrenWatch(`${root}/children`),
        gone: yield* zk.getChildrenWatch(`${root}/gone`),
        absent: yield* zk.existsWatch(`${root}/absent`),
        flash: yield* zk.existsWatch(`${root}/flash`),
        quiet: yield* zk.getDataWatch(root)
      }
      const session = yield* sessionOf(zk)
      yield* away(Effect.gen(function*() {
        yield* other.setData(`${root}/data`, "x")
        yield* other.delete(`${root}/deleted`)
        yield* other.delete(`${root}/again`)
        yield* other.create(`${root}/again`)
        yield* other.create(`${root}/children/a`)
        yield* other.delete(`${root}/gone`)
        yield* other.create(`${root}/absent`)
        // What came and went leaves no trace that a server could tell of.
        yield* other.create(`${root}/flash`)
        yield* other.delete(`${root}/flash`)
      }))
      assert.strictEqual(yield* sessionOf(zk), session)
      const tags = {
        data: (yield* watches.data.fired)._tag,
        deleted: (yield* watches.deleted.fired)._tag,
        again: (yield* watches.again.fired)._tag,
        children: (yield* watches.children.fired)._tag,
        gone: (yield* watches.gone.fired)._tag,
        absent: (yield* watches.absent.fired)._tag
      }
      assert.deepStrictEqual(tags, {
        data: "NodeDataChanged",
        deleted: "NodeDeleted",
        again: "NodeDataChanged",
        children: "NodeChildrenChanged",
        gone: "NodeDeleted",
        absent: "NodeCreated"
      })
      const waiting = yield* Effect.forEach(
        [watches.flash, watches.quiet],
        ({ fired }) => Effect.forkChild(fired, { startImmediately: true })
      )
      yield* zk.sync()
      for (const fiber of waiting) assert.isUndefined(fiber.pollUnsafe())
      yield* other.create(`${root}/flash`)
      yield* other.setData(root, "x")
      assert.deepStrictEqual(
        (yield* Effect.forEach(waiting, (fiber) => Fiber.join(fiber))).map(({ _tag }) => _tag),
        ["NodeCreated", "NodeDataChanged"]
      )
    }))

  it.effect("are in the list that fits what was read [E6]", () =>
    Effect.gen(function*() {
      const { away, other, root, zk } = yield* setUp()
      const path = `${root}/late`
      const absent = yield* zk.existsWatch(path)
      yield* away(Effect.void)
      yield* other.create(path)
      assert.strictEqual((yield* absent.fired)._tag, "NodeCreated")
      // The node exists now: one that does not change tells of nothing, one that goes does.
      const present = yield* zk.existsWatch(path)
      yield* away(Effect.void)
      yield* other.delete(path)
      assert.strictEqual((yield* present.fired)._tag, "NodeDeleted")
    }))

  it.effect("of one transaction all come, also when the connection breaks between them [E4] [RE-09]", () =>
    Effect.gen(function*() {
      const { other, proxy, root, zk } = yield* setUp()
      const [a, b] = [`${root}/a`, `${root}/b`]
      yield* zk.create(a)
      yield* zk.create(b)
      const [first, second] = [yield* zk.getDataWatch(a), yield* zk.getDataWatch(b)]
      const rule = yield* proxy.rule({ kind: "event" }, "passThenCut")
      yield* other.multi([ZkTransaction.setData(a, "x"), ZkTransaction.setData(b, "x")])
      yield* rule.fired
      assert.strictEqual((yield* first.fired)._tag, "NodeDataChanged")
      assert.strictEqual((yield* second.fired)._tag, "NodeDataChanged")
      assert.strictEqual((yield* proxy.stats()).connections, 2)
    }))

  it.effect("do not double over several reconnects [RE-12]", () =>
    Effect.gen(function*() {
      const { away, other, proxy, root, zk } = yield* setUp()
      const data = yield* zk.getDataWatch(root)
      const queue = yield* zk.subscribe(root, "recursive")
      for (let i = 0; i < 5; i++) yield* away(Effect.void)
      assert.deepStrictEqual(yield* heard(zk, queue, root), Array(5).fill("Reset reconnected"))
      const since = yield* proxy.position
      yield* other.setData(root, "x")
      yield* data.fired
      assert.deepStrictEqual(yield* heard(zk, queue, root), ["NodeDataChanged "])
      assert.strictEqual((yield* proxy.frames({ kind: "event" }, since)).length, 1)
    }))

  it.effect("are set again behind the credentials and ahead of requests that wait [RE-10]", () =>
    Effect.gen(function*() {
      const auth = [{ scheme: "digest", credential: Redacted.make("me:secret") }]
      const { other, proxy, root, zk } = yield* setUp({ auth })
      yield* zk.getDataWatch(root)
      yield* zk.subscribe(root, "persistent")
      yield* proxy.setAccept("refuse")
      const since = yield* proxy.position
      yield* proxy.cutAll
      yield* zk.stateChanges.pipe(Stream.filter((state) => state._tag === "Suspended"), Stream.runHead)
      const waiting = yield* Effect.forkChild(zk.getData(root), { startImmediately: true })
      yield* proxy.heal
      yield* Fiber.join(waiting)
      const frames = yield* proxy.frames({ direction: "toServer" }, since)
      const names = frames.filter(({ kind }) => kind !== "ping").map(({ kind, op }) => kind === "connect" ? kind : op)
      assert.deepStrictEqual(names, ["connect", "auth", "setWatches2", "getData"])
      yield* other.sync()
    }))

  it.effect("are set again in several requests when there are many [E5] [RE-07]", () =>
    Effect.gen(function*() {
      const { other, proxy, root, zk } = yield* setUp({ maxInFlight: 20 })
      const children = yield* zk.getChildrenWatch(root)
      const name = "x".repeat(90)
      const paths = Array.from({ length: 30_000 }, (_, i) => `${root}-${name}-${i}`)
      const watches = yield* Effect.forEach(paths, (path) => zk.existsWatch(path), { concurrency: 2000 })
      const since = yield* proxy.position
      yield* proxy.cutAll
      yield* zk.sync()
      const batches = yield* proxy.frames({ direction: "toServer", op: setWatchesOps }, since)
      assert.isAbove(batches.length, 28)
      for (const { size } of batches) assert.isBelow(size, 129 * 1024)
      assert.strictEqual((yield* proxy.stats(since)).connections, 1)
      const last = watches.length - 1
      yield* other.create(paths[last]!)
      assert.strictEqual((yield* watches[last]!.fired)._tag, "NodeCreated")
      yield* other.create(`${root}/child`)
      assert.strictEqual((yield* children.fired)._tag, "NodeChildrenChanged")
      yield* other.delete(paths[last]!)
    }), 60_000)
})

layer(ProxiedServer.layer(), { excludeTestServices: true })("persistent watches across a reconnect", (it) => {
  it.effect("are told to look for themselves, since nothing is replayed [E3]", () =>
    Effect.gen(function*() {
      const { away, other, root, zk } = yield* setUp()
      const queues = [yield* zk.subscribe(root, "persistent"), yield* zk.subscribe(root, "recursive")]
      const recursive = yield* zk.subscribe("/", "recursive")
      yield* away(Effect.andThen(other.setData(root, "x"), other.create(`${root}/a`)))
      for (const queue of queues) assert.deepStrictEqual(yield* heard(zk, queue, root), ["Reset reconnected"])
      yield* other.create(`${root}/b`)
      assert.deepStrictEqual(yield* heard(zk, queues[0]!, root), ["NodeChildrenChanged "])
      assert.deepStrictEqual(yield* heard(zk, queues[1]!, root), ["NodeCreated /b"])
      assert.deepStrictEqual(yield* heard(zk, recursive, root), ["Reset reconnected", "NodeCreated /b"])
    }))

  it.effect("and one-shot ones of the same path: both hold [E11]", () =>
    Effect.gen(function*() {
      const { away, other, root, zk } = yield* setUp()
      for (const kind of ["persistent", "recursive"] as const) {
        yield* Effect.scoped(Effect.gen(function*() {
          const queue = yield* zk.subscribe(root, kind)
          const missed = yield* zk.getDataWatch(root)
          const children = yield* zk.getChildrenWatch(root)
          yield* away(other.setData(root, kind))
          assert.strictEqual((yield* missed.fired)._tag, "NodeDataChanged")
          const data = yield* zk.getDataWatch(root)
          yield* Queue.clear(queue)
          yield* other.create(`${root}/${kind}`)
          assert.strictEqual((yield* children.fired)._tag, "NodeChildrenChanged")
          yield* other.setData(root, "again")
          assert.strictEqual((yield* data.fired)._tag, "NodeDataChanged")
          yield* other.setData(root, "and again")
          const first = kind === "persistent" ? "NodeChildrenChanged " : "NodeCreated /recursive"
          assert.deepStrictEqual(yield* heard(zk, queue, root), [first, "NodeDataChanged ", "NodeDataChanged "])
        }))
      }
    }))

  it.effect("asked for while there is none are set by the next, without a Reset", () =>
    Effect.gen(function*() {
      const { away, other, root, zk } = yield* setUp()
      const fiber = yield* away(Effect.forkScoped(zk.subscribe(root, "persistent"), { startImmediately: true }))
      const queue = yield* Fiber.join(fiber)
      yield* other.setData(root, "x")
      assert.deepStrictEqual(yield* heard(zk, queue, root), ["NodeDataChanged "])
    }))

  it.effect("whose setting was not answered are set by the next [E7]", () =>
    Effect.gen(function*() {
      const { other, proxy, root, server, zk } = yield* setUp()
      const rule = yield* proxy.swallowReply({ op: "addWatch" })
      const queue = yield* zk.subscribe(root, "persistent")
      yield* rule.fired
      yield* other.setData(root, "x")
      assert.deepStrictEqual(yield* heard(zk, queue, root), ["NodeDataChanged "])
      assert.isAbove(yield* countWatches(server), 0)
    }))

  it.effect("survive a frozen connection [E17]", () =>
    Effect.gen(function*() {
      const { other, proxy, root, zk } = yield* setUp({ sessionTimeout: "3 seconds" })
      const queue = yield* zk.subscribe(root, "persistent")
      const session = yield* sessionOf(zk)
      yield* proxy.freeze
      yield* other.setData(root, "x")
      yield* zk.stateChanges.pipe(Stream.filter((state) => state._tag === "Suspended"), Stream.runHead)
      yield* proxy.heal
      const events = yield* heard(zk, queue, root)
      // A machine that is busy may take so long that the session is over.
      assert.deepStrictEqual(events, [
        (yield* sessionOf(zk)) === session ? "Reset reconnected" : "Reset newSession"
      ])
    }))
})

describe("watches and the end of a session", () => {
  it.live("one-shot ones are told, once, and not set again [E16] [W-27] [RE-11]", () =>
    Effect.gen(function*() {
      const { proxy, server } = yield* makeProxiedServer()
      const zk = yield* ZkClient.make({ hosts: proxy.connectString })
      yield* zk.create("/a")
      const watches = [yield* zk.getDataWatch("/a"), yield* zk.existsWatch("/b"), yield* zk.getChildrenWatch("/a")]
      const session = yield* sessionOf(zk)
      yield* expireThrough(proxy, server)
      for (const { fired } of watches) {
        assert.strictEqual((yield* failsWith(fired, "SessionExpired")).sessionId, session)
      }
      yield* newSession(zk, session)
      assert.strictEqual(yield* countWatches(server), 0)
      const again = yield* zk.getDataWatch("/a")
      yield* zk.setData("/a", "x")
      assert.strictEqual((yield* again.fired)._tag, "NodeDataChanged")
    }))

  it.live("persistent ones go on with the next, or end, as they were asked to [PW-07] [E3] [K48]", () =>
    Effect.gen(function*() {
      const { proxy, server } = yield* makeProxiedServer()
      const zk = yield* ZkClient.make({ hosts: proxy.connectString })
      const going = yield* zk.subscribe("/a", "recursive")
      const ending = yield* zk.subscribe("/a", "persistent", { onSessionLoss: "end" })
      const stream = yield* record(zk.watch("/a", "persistent", { onSessionLoss: "end" }))
      const resuming = yield* record(zk.watch("/a", "persistent"))
      yield* zk.create("/a")
      const session = yield* sessionOf(zk)
      // A lost connection is no lost session.
      yield* proxy.cutAll
      yield* zk.sync()
      assert.deepStrictEqual(yield* heard(zk, ending), ["NodeCreated /a", "Reset reconnected"])
      yield* expireThrough(proxy, server)
      yield* newSession(zk, session)
      assert.strictEqual((yield* failsWith(Queue.take(ending), "SessionExpired")).sessionId, session)
      yield* failsWith(Fiber.join(stream.fiber), "SessionExpired")
      yield* zk.setData("/a", "x")
      assert.deepStrictEqual(yield* heard(zk, going), [
        "NodeCreated /a",
        "Reset reconnected",
        "Reset newSession",
        "NodeDataChanged /a"
      ])
      yield* resuming.until("the change", (values) => values.at(-1)?._tag === "NodeDataChanged")
    }))
})

describe("what a new connection is told", () => {
  it.effect("is the newest transaction that answers have shown, whatever pings and events say [RE-09] [E4]", () =>
    Effect.gen(function*() {
      const fake = yield* makeFakeServer
      const { client } = makeWire(fake)
      const zk = yield* client()
      fake.zxid = 100n
      yield* zk.getDataWatch("/a")
      yield* zk.getDataWatch("/b")
      yield* (yield* fake.current).event(EventType.dataChanged, "/b", 500n)
      yield* pass(2_000)
      yield* (yield* fake.current).close
      yield* pass(1_000)
      const request = yield* fake.awaitRequest("setWatches")
      assert.strictEqual(request.payload.readBigInt64BE(0), 100n)
      assert.isAbove(fake.requests.filter(({ name }) => name === "ping").length, 0)
      assert.strictEqual(fake.connects.at(-1)?.request.lastZxidSeen, 100n)
    }))
})
