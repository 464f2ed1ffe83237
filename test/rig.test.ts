import { assert, describe, it, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import { TestClock } from "effect/testing"
import type { Duplex } from "node:stream"
import { makeEnsemble } from "./support/ensemble.ts"
import { expireSession } from "./support/expire.ts"
import { err, Fake, makeFakeServer } from "./support/fakeServer.ts"
import { frame, FrameSplitter, JuteWriter } from "./support/jute.ts"
import { kazooAvailable, makeKazoo } from "./support/kazoo.ts"
import { makeProxiedEnsemble } from "./support/proxiedEnsemble.ts"
import { makeProxiedServer, makeProxy, ProxiedServer } from "./support/proxy.ts"
import { connectRaw } from "./support/rawClient.ts"
import { decodeConnectResponse, decodeReply, encodeConnectRequest, encodeCreate, Op } from "./support/records.ts"
import { makeServer } from "./support/server.ts"
import { freshPath, freshRoot, shared, sharedHandle } from "./support/shared.ts"

const ephemeral = 1

describe("shared server", () => {
  it.live("serves a raw client", () =>
    Effect.gen(function*() {
      const { port, version } = yield* shared
      assert.match(version, /^\d+\.\d+\.\d+$/)
      const client = yield* connectRaw({ port, timeout: 4_000 })
      assert.strictEqual(client.timeout, 4_000)
      const root = yield* freshRoot
      assert.strictEqual(yield* client.create(`${root}/a`, "hello"), `${root}/a`)
      const { data, stat } = yield* client.getData(`${root}/a`, true)
      assert.strictEqual(data?.toString(), "hello")
      assert.strictEqual(stat.dataLength, 5)
      yield* client.setData(`${root}/a`, "changed")
      assert.deepStrictEqual(client.watchEvents, [{ type: 3, state: 3, path: `${root}/a` }])
      assert.deepStrictEqual(yield* client.getChildren(root), ["a"])
      assert.isUndefined(yield* client.exists(`${root}/b`))
      yield* client.closeSession
    }))

  it.live("tells of watches, ephemeral nodes and sessions", () =>
    Effect.gen(function*() {
      const server = yield* sharedHandle
      const client = yield* connectRaw({ port: server.port })
      const path = yield* freshPath
      yield* client.create(path, null, ephemeral)
      yield* client.exists(path, true)
      assert.deepStrictEqual(yield* server.ephemerals(client.sessionId), [path])
      assert.deepStrictEqual(yield* server.watchesOf(client.sessionId), [path])
      assert.deepStrictEqual((yield* server.watchesByPath).get(path), [client.sessionId])
      assert.isAtLeast(yield* server.watchCount, 1)
      assert.include(yield* server.sessions, client.sessionId)
      assert.include(yield* server.connectedSessions, client.sessionId)
      yield* client.closeSession
      assert.notInclude(yield* server.sessions, client.sessionId)
    }))

  it.live("forgets a session that is expired on demand", () =>
    Effect.gen(function*() {
      const server = yield* sharedHandle
      const client = yield* connectRaw({ port: server.port })
      const path = yield* freshPath
      yield* client.create(path, null, ephemeral)
      yield* expireSession(server.port, client)
      yield* client.closed
      assert.deepStrictEqual(yield* server.ephemerals(client.sessionId), [])
      const again = yield* Effect.flip(connectRaw({ port: server.port, ...client, timeout: 4_000 }))
      assert.include(again.message, "expired")
    }))
})

layer(ProxiedServer.layer(), { excludeTestServices: true })("proxy", (it) => {
  it.effect("passes frames and counts them", () =>
    Effect.gen(function*() {
      const { proxy } = yield* ProxiedServer
      yield* proxy.forget
      const client = yield* connectRaw(proxy)
      yield* client.create("/counted", "x")
      yield* client.getData("/counted")
      const stats = yield* proxy.stats()
      assert.deepStrictEqual(stats.ops, { create: 1, getData: 1 })
      assert.deepStrictEqual(stats.frames, { toServer: 3, toClient: 3 })
      assert.strictEqual(stats.connections, 1)
      const reply = yield* proxy.awaitFrame({ kind: "reply", op: "create" })
      assert.strictEqual(reply.path, "/counted")
      assert.strictEqual(reply.err, 0)
    }))

  it.effect("swallows the reply to a create and cuts: the node is there, the client does not know", () =>
    Effect.gen(function*() {
      const { proxy, server } = yield* ProxiedServer
      const client = yield* connectRaw(proxy)
      const rule = yield* proxy.swallowReply({ op: "create", path: "/swallowed" })
      const failure = yield* Effect.flip(client.create("/swallowed"))
      assert.include(failure.message, "the connection ended")
      assert.strictEqual((yield* rule.fired).path, "/swallowed")
      const other = yield* connectRaw(server)
      assert.isDefined(yield* other.exists("/swallowed"))
    }))

  it.effect("cuts at every point of a scenario", () =>
    Effect.gen(function*() {
      const { proxy } = yield* ProxiedServer
      const scenario = (path: string) =>
        Effect.scoped(Effect.flatMap(connectRaw(proxy), (client) => client.create(path, "x")))
      yield* proxy.forget
      yield* scenario("/points")
      const points = yield* proxy.nextIndex
      // open, connect request and response, create and its reply
      assert.strictEqual(points, 5)
      for (let n = 0; n < points; n++) {
        yield* proxy.awaitOpen(0)
        yield* proxy.forget
        yield* proxy.cutAt(n)
        assert.isTrue(Option.isNone(yield* Effect.option(scenario(`/points-${n}`))))
      }
      yield* proxy.heal
      const client = yield* connectRaw(proxy)
      assert.isUndefined(yield* client.exists("/points-3"))
      assert.isDefined(yield* client.exists("/points-4"))
    }))

  it.effect("runs something while an event waits", () =>
    Effect.gen(function*() {
      const { proxy, server } = yield* ProxiedServer
      const client = yield* connectRaw(proxy)
      yield* proxy.runAt(yield* proxy.nextIndex, Effect.orDie(expireSession(server.port, client)))
      yield* Effect.flip(client.create("/too-late"))
      yield* proxy.heal
      assert.isUndefined(yield* (yield* connectRaw(server)).exists("/too-late"))
    }))

  it.effect("cuts after a frame and at a byte", () =>
    Effect.gen(function*() {
      const { proxy } = yield* ProxiedServer
      const client = yield* connectRaw(proxy)
      yield* proxy.cutAfterFrame("toClient", 2)
      yield* client.create("/first")
      yield* client.closed
      yield* proxy.cutAtByte("toClient", 10)
      const failure = yield* Effect.flip(connectRaw(proxy))
      assert.include(failure.message, "the connection ended")
    }))

  it.effect("freezes both ways and goes on", () =>
    Effect.gen(function*() {
      const { proxy } = yield* ProxiedServer
      const client = yield* connectRaw(proxy)
      yield* proxy.freeze
      const pending = yield* Effect.forkChild(client.create("/frozen"), { startImmediately: true })
      const silent = yield* Effect.forkChild(connectRaw(proxy), { startImmediately: true })
      yield* proxy.awaitOpen(2)
      assert.isUndefined(pending.pollUnsafe())
      yield* proxy.heal
      assert.strictEqual(yield* Fiber.join(pending), "/frozen")
      yield* Fiber.join(silent)
    }))

  it.effect("delivers single bytes, twice, late, or not at all", () =>
    Effect.gen(function*() {
      const { proxy } = yield* ProxiedServer
      yield* proxy.setMode("toClient", "bytes")
      yield* proxy.setMode("toServer", "bytes")
      const client = yield* connectRaw(proxy)
      yield* client.create("/bytes", "one at a time")
      assert.strictEqual((yield* client.getData("/bytes")).data?.toString(), "one at a time")
      yield* proxy.setMode("toClient", "pass")
      yield* proxy.setMode("toServer", "pass")
      yield* proxy.rule({ op: "create", kind: "request" }, "twice")
      yield* client.create("/twice-", null, 2)
      yield* client.request(Op.ping)
      const twins = (yield* client.getChildren("/")).filter((name) => name.startsWith("twice-"))
      assert.strictEqual(twins.length, 2)
      yield* proxy.rule({ op: "delete", kind: "request" }, "drop")
      const lost = yield* Effect.forkChild(client.delete("/bytes"), { startImmediately: true })
      yield* proxy.awaitFrame({ op: "delete" })
      assert.isDefined(yield* client.exists("/bytes"))
      yield* Fiber.interrupt(lost)
      yield* proxy.rule({ op: "exists", kind: "reply" }, { delay: 20 })
      assert.isDefined(yield* client.exists("/bytes"))
    }))

  it.effect("refuses, resets, or ignores new connections", () =>
    Effect.gen(function*() {
      const { proxy } = yield* ProxiedServer
      for (const accept of ["refuse", "reset", "close"] as const) {
        yield* proxy.setAccept(accept)
        yield* Effect.flip(connectRaw(proxy))
      }
      yield* proxy.setAccept("silent")
      const silent = yield* Effect.forkChild(connectRaw(proxy), { startImmediately: true })
      yield* proxy.awaitOpen(1)
      yield* proxy.heal
      yield* (yield* Fiber.join(silent)).create("/heard-at-last")
    }))

  it.effect("moves to another server", () =>
    Effect.gen(function*() {
      const { server } = yield* ProxiedServer
      const fake = yield* makeFakeServer
      const { port } = yield* fake.listen
      const proxy = yield* makeProxy(server.port)
      yield* connectRaw(proxy)
      yield* proxy.retarget(port)
      yield* proxy.cutAll
      yield* connectRaw(proxy)
      assert.strictEqual(fake.connects.length, 1)
    }))
})

describe("standalone server", () => {
  it.live("stops, starts, freezes, and forgets", () =>
    Effect.gen(function*() {
      const { proxy, server } = yield* makeProxiedServer({ tickTime: 200 })
      const client = yield* connectRaw({ port: proxy.port, timeout: 1 })
      assert.strictEqual(client.timeout, 400)
      yield* client.create("/kept", "x")
      yield* server.stop
      yield* client.closed
      yield* server.start
      assert.isDefined(yield* (yield* connectRaw(server)).exists("/kept"))
      yield* server.freeze
      const waiting = yield* Effect.forkChild(connectRaw(server), { startImmediately: true })
      yield* server.resume
      yield* Fiber.join(waiting)
      yield* server.wipe
      assert.isUndefined(yield* (yield* connectRaw(server)).exists("/kept"))
    }))

  it.live("takes extra configuration", () =>
    Effect.gen(function*() {
      const server = yield* makeServer({ extraConfig: { maxSessionTimeout: "1234" } })
      assert.strictEqual((yield* connectRaw({ port: server.port })).timeout, 1_234)
    }))
})

describe("ensemble", () => {
  it.live("loses its leader and finds another", () =>
    Effect.gen(function*() {
      const ensemble = yield* makeEnsemble({ tickTime: 200 })
      const leader = yield* ensemble.leader
      const followers = yield* ensemble.followers
      assert.strictEqual(followers.length, 2)
      const client = yield* connectRaw(followers[0] ?? leader)
      yield* client.create("/kept", "x")
      yield* leader.kill
      yield* ensemble.waitForQuorum(2)
      const next = yield* ensemble.leader
      assert.notStrictEqual(next.id, leader.id)
      yield* leader.start
      yield* ensemble.waitForQuorum(3)
      yield* Effect.flatMap(connectRaw(leader), (client) => client.getData("/kept"))

      const frozen = yield* ensemble.leader
      yield* frozen.freeze
      yield* ensemble.waitForQuorum(2)
      yield* frozen.resume
      yield* ensemble.waitForQuorum(3)
    }), 60_000)

  it.live("cuts a follower off from the leader, and lets it come back", () =>
    Effect.gen(function*() {
      const { ensemble, proxyOf } = yield* makeProxiedEnsemble({ tickTime: 200, quorumProxies: true })
      for (const follower of yield* ensemble.followers) {
        const client = yield* connectRaw(yield* proxyOf(follower))
        yield* ensemble.partition(follower)
        // It answers reads until it notices, and so do its pings; it is no part of the quorum any more.
        yield* client.getData("/")
        yield* client.closed
        yield* follower.waitUntil("the follower is alone", (server) =>
          Effect.map(server.mode, (mode) => mode === undefined))
        yield* ensemble.heal
        yield* ensemble.waitForQuorum(3)
      }
    }), 60_000)
})

describe("kazoo", () => {
  it.live.skipIf(!kazooAvailable)("writes what a raw client reads, and holds a lock", () =>
    Effect.gen(function*() {
      const { connectString, port } = yield* shared
      const root = yield* freshRoot
      const kazoo = yield* (yield* makeKazoo).connect(connectString)
      assert.strictEqual(yield* kazoo.create(`${root}/k`, "from python", { ephemeral: true }), `${root}/k`)
      const client = yield* connectRaw({ port })
      const { data, stat } = yield* client.getData(`${root}/k`)
      assert.strictEqual(data?.toString(), "from python")
      assert.strictEqual(stat.ephemeralOwner, kazoo.sessionId)
      yield* client.setData(`${root}/k`, "from the rig")
      assert.strictEqual((yield* kazoo.get(`${root}/k`)).data.toString(), "from the rig")
      assert.deepStrictEqual(yield* kazoo.ephemerals(root), [`${root}/k`])
      const script = "lock = client.Lock(args['path'], 'me'); result = lock.acquire(timeout=5)"
      assert.strictEqual(yield* kazoo.script(script, { path: `${root}/lock` }), true)
      assert.strictEqual((yield* client.getChildren(`${root}/lock`)).length, 1)
      assert.deepStrictEqual(yield* kazoo.script("lock.release(); result = lock.is_acquired"), false)
      const failure = yield* Effect.flip(kazoo.get(`${root}/missing`))
      assert.include(failure.message, "NoNodeError")
    }))
})

const shakeHands = (stream: Duplex) => {
  const splitter = new FrameSplitter()
  const frames: Array<Buffer> = []
  const waiting: Array<() => void> = []
  stream.on("data", (chunk: Buffer) => {
    frames.push(...splitter.push(chunk))
    for (const go of waiting.splice(0)) go()
  })
  stream.write(frame(encodeConnectRequest({
    protocolVersion: 0,
    lastZxidSeen: BigInt(0),
    timeout: 6_000,
    sessionId: BigInt(0),
    password: Buffer.alloc(16),
    readOnly: false
  })))
  return Effect.promise(async () => {
    while (frames.length === 0) await new Promise<void>((go) => waiting.push(go))
    return frames.shift() ?? Buffer.alloc(0)
  })
}

layer(Fake.layer)("fake server", (it) => {
  it.effect("shakes hands in memory and answers", () =>
    Effect.gen(function*() {
      const fake = yield* Fake
      const stream = fake.openDuplex()
      const response = decodeConnectResponse(yield* shakeHands(stream))
      assert.strictEqual(response.timeout, 6_000)
      assert.notStrictEqual(response.sessionId, BigInt(0))
      stream.write(frame(new JuteWriter().int(7).int(Op.create).raw(encodeCreate("/a", "x")).bytes()))
      const request = yield* fake.awaitRequest("create")
      assert.deepInclude(request, { xid: 7, op: 1, path: "/a", connection: 1 })
      const closed = new Promise<void>((resolve) => stream.once("close", () => resolve()))
      yield* (yield* fake.current).close
      yield* Effect.promise(() => closed)
    }))

  it.effect("waits on the test's Clock", () =>
    Effect.gen(function*() {
      const fake = yield* Fake
      yield* fake.onConnect(() => Effect.as(Effect.sleep("3 seconds"), { type: "accept", sessionId: BigInt(77) }))
      const stream = fake.openDuplex()
      const response = yield* Effect.forkChild(shakeHands(stream), { startImmediately: true })
      yield* fake.awaitConnect(fake.connections.length)
      yield* TestClock.adjust("2 seconds")
      assert.isUndefined(response.pollUnsafe())
      yield* TestClock.adjust("1 second")
      assert.strictEqual(decodeConnectResponse(yield* Fiber.join(response)).sessionId, BigInt(77))
      yield* fake.defaults
      stream.destroy()
    }))

  it.effect("misbehaves over TCP as told", () =>
    Effect.gen(function*() {
      const fake = yield* Fake
      const { port } = yield* fake.listen
      for (const answer of [{ type: "refuse" }, { type: "reset" }, { type: "partial", bytes: 3, end: true }] as const) {
        yield* fake.onConnect(() => answer)
        assert.include((yield* Effect.flip(connectRaw({ port }))).message, "the connection ended")
      }
      yield* fake.onConnect(() => ({ type: "expired" }))
      assert.include((yield* Effect.flip(connectRaw({ port }))).message, "expired")
      yield* fake.onConnect(() => ({ type: "bogus" }))
      const stream = fake.openDuplex()
      assert.deepInclude(decodeReply(yield* shakeHands(stream)), { xid: 0, err: -119 })
      yield* fake.defaults

      const client = yield* connectRaw({ port })
      yield* (yield* fake.current).singleBytes
      yield* fake.once("exists", () => [{ type: "event", event: 1, path: "/w" }, err(-101)])
      assert.isUndefined(yield* client.exists("/w"))
      assert.deepStrictEqual(client.watchEvents, [{ type: 1, state: 3, path: "/w" }])
      const reads = yield* Effect.forkChild(client.getData("/held"), { startImmediately: true })
      yield* Fiber.join(reads)
      yield* fake.once("getData", () => ({ type: "silence" }))
      const held = yield* Effect.forkChild(client.getData("/held"), { startImmediately: true })
      const request = yield* fake.awaitRequest((request) => request.xid === 3)
      yield* request.reply({ type: "default" })
      assert.strictEqual((yield* Fiber.join(held)).data?.length, 0)
      yield* fake.once("getData", () => ({ type: "close" }))
      yield* Effect.flip(client.getData("/cut"))
      stream.destroy()
      yield* fake.awaitClosed
    }))
})
