/** Sessions on real servers: negotiated, cut, frozen, restarted, expired, resumed, closed. */
import { assert, describe, it, layer } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as ZkClient from "../src/ZkClient.ts"
import type { Options } from "../src/ZkConfig.ts"
import { expireSession } from "./support/expire.ts"
import { failsWith } from "./support/failsWith.ts"
import { makeProxiedServer, ProxiedServer, type Proxy } from "./support/proxy.ts"
import { connectRaw } from "./support/rawClient.ts"
import { makeServer } from "./support/server.ts"
import { freshPath, freshRoot, shared, sharedHandle } from "./support/shared.ts"
import { recordStates } from "./support/states.ts"
import { pollUntil } from "./support/wait.ts"

const short: Options = { sessionTimeout: "1 second" }

const ephemeral = { mode: "ephemeral" } as const

/** What the server gave the session for a password: the last 16 bytes of its answer, but for the read-only byte. */
const spyPassword = (proxy: Proxy) =>
  Effect.gen(function*() {
    let password = Buffer.alloc(0)
    yield* proxy.rule({ kind: "connected" }, {
      replace: (payload: Buffer) => {
        password = Buffer.from(payload.subarray(20, 36))
        return payload
      }
    })
    return () => password
  })

layer(ProxiedServer.layer(), { excludeTestServices: true })("a session", (it) => {
  const healed = Effect.gen(function*() {
    const { proxy, server } = yield* ProxiedServer
    yield* proxy.heal
    yield* proxy.forget
    return { proxy, server, hosts: proxy.connectString }
  })

  it.effect("has the timeout that the server agrees to [B15] [K7] [SES-09]", () =>
    Effect.gen(function*() {
      const { hosts } = yield* healed
      const agreed = (asked: Duration.Input) =>
        Effect.scoped(Effect.gen(function*() {
          const states = yield* recordStates(yield* ZkClient.make({ hosts, sessionTimeout: asked }))
          return Duration.toMillis((yield* states.await("Connected")).timeout)
        }))
      // With ticks of half a second: between 2 and 20 of them.
      assert.strictEqual(yield* agreed("1 millis"), 1_000)
      assert.strictEqual(yield* agreed("4321 millis"), 4_321)
      assert.strictEqual(yield* agreed("1 hour"), 10_000)
    }))

  it.effect("is resumed after a cut: same id, ephemeral nodes still there, reads as if nothing had been [SES-19]", () =>
    Effect.gen(function*() {
      const { hosts, proxy } = yield* healed
      const zk = yield* ZkClient.make({ hosts })
      const states = yield* recordStates(zk)
      const first = yield* states.await("Connected")
      const path = yield* freshPath
      yield* zk.create(path, "x", ephemeral)
      for (const cut of [proxy.cutAll, proxy.resetAll]) {
        const since = states.all.length
        yield* cut
        assert.strictEqual((yield* zk.getData(path)).stat.ephemeralOwner, first.sessionId)
        assert.strictEqual((yield* states.await("Connected", { since })).sessionId, first.sessionId)
      }
      assert.deepStrictEqual(states.tags(), ["Connected", "Suspended", "Connected", "Suspended", "Connected"])
      assert.strictEqual((yield* proxy.stats()).connections, 3)
    }))

  it.effect("survives a server that freezes for less than its time [B2] [SES-03]", () =>
    Effect.gen(function*() {
      const { hosts, proxy } = yield* healed
      const zk = yield* ZkClient.make({ hosts, sessionTimeout: "5 seconds" })
      const states = yield* recordStates(zk)
      const first = yield* states.await("Connected")
      yield* proxy.freeze
      const suspended = yield* states.await("Suspended")
      assert.strictEqual(suspended.sessionId, first.sessionId)
      yield* proxy.heal
      const again = yield* states.await("Connected", { since: 1 })
      assert.strictEqual(again.sessionId, first.sessionId)
    }))

  it.effect("that nobody can reach is over by itself, about when the servers say so [X6] [K12] [B5] [SES-27]", () =>
    Effect.gen(function*() {
      const { hosts, proxy, server } = yield* healed
      const zk = yield* ZkClient.make({ hosts, ...short })
      const states = yield* recordStates(zk)
      const first = yield* states.await("Connected")
      const path = yield* freshPath
      yield* zk.create(path, "", ephemeral)
      const other = yield* ZkClient.make({ hosts: server.connectString })
      const gone = yield* other.existsWatch(path)
      yield* proxy.setAccept("refuse")
      yield* proxy.cutAll
      yield* states.await("Suspended")
      yield* failsWith(zk.getData(path), "SessionExpired")
      assert.strictEqual((yield* states.await("Expired")).sessionId, first.sessionId)
      assert.strictEqual((yield* gone.fired)._tag, "NodeDeleted")
      yield* proxy.setAccept("accept")
      const next = yield* states.await("Connected", { since: 1 })
      assert.notStrictEqual(next.sessionId, first.sessionId)
      assert.isTrue(Option.isNone(yield* zk.exists(path)))
      assert.deepStrictEqual(states.tags(), ["Connected", "Suspended", "Expired", "Connected"])
    }))

  it.effect("that was ended behind the client's back is followed by another; nodes of old are gone [K4] [B4] [SES-01]", () =>
    Effect.gen(function*() {
      const { hosts, proxy, server } = yield* healed
      const password = yield* spyPassword(proxy)
      const zk = yield* ZkClient.make({ hosts })
      const states = yield* recordStates(zk)
      const { sessionId } = yield* states.await("Connected")
      const path = yield* freshPath
      yield* zk.create(path, "", ephemeral)
      yield* expireSession(server.port, { sessionId, password: password() })
      const next = yield* states.await("Connected", { since: 1 })
      assert.notStrictEqual(next.sessionId, sessionId)
      assert.deepStrictEqual(states.tags(), ["Connected", "Suspended", "Expired", "Connected"])
      yield* zk.create(path, "again", ephemeral)
    }))

  it.effect("that was ended ends the client where that was asked for [B4]", () =>
    Effect.gen(function*() {
      const { hosts, proxy, server } = yield* healed
      const password = yield* spyPassword(proxy)
      const zk = yield* ZkClient.make({ hosts, onExpiry: "end" })
      const states = yield* recordStates(zk)
      const { sessionId } = yield* states.await("Connected")
      yield* expireSession(server.port, { sessionId, password: password() })
      yield* states.await("Expired")
      assert.strictEqual((yield* failsWith(zk.getData("/"), "SessionExpired")).sessionId, sessionId)
      yield* proxy.awaitOpen(0)
      assert.deepStrictEqual(states.tags(), ["Connected", "Suspended", "Expired"])
    }))

  it.effect("that somebody else resumes is taken back, and its id stays [B9] [SES-22]", () =>
    Effect.gen(function*() {
      const { hosts, proxy, server } = yield* healed
      const password = yield* spyPassword(proxy)
      const zk = yield* ZkClient.make({ hosts })
      const states = yield* recordStates(zk)
      const { sessionId } = yield* states.await("Connected")
      const thief = yield* connectRaw({ port: server.port, sessionId, password: password() })
      yield* states.await("Suspended")
      const again = yield* states.await("Connected", { since: 1 })
      assert.strictEqual(again.sessionId, sessionId)
      yield* thief.closed
      yield* zk.sync()
    }))

  it.effect("stays while its client reads without a pause [B20]", () =>
    Effect.gen(function*() {
      const { hosts, proxy } = yield* healed
      const zk = yield* ZkClient.make({ hosts, sessionTimeout: "2 seconds" })
      const states = yield* recordStates(zk)
      const path = yield* freshPath
      yield* zk.create(path, Buffer.alloc(1_000))
      const end = performance.now() + 2_500
      let count = 0
      while (performance.now() < end) {
        yield* Effect.forEach(Array.from({ length: 1_000 }), () => zk.getData(path), { concurrency: "unbounded" })
        count += 1_000
      }
      yield* zk.setData(path, "still here")
      assert.isAbove(count, 1_000)
      assert.deepStrictEqual(states.tags(), ["Connected"])
      assert.strictEqual((yield* proxy.stats()).connections, 1)
    }))
})

describe("a server that is started again", () => {
  it.live("finds its sessions: same id, ephemeral nodes there [SES-20]", () =>
    Effect.gen(function*() {
      const server = yield* makeServer()
      const zk = yield* ZkClient.make({ hosts: server.connectString, sessionTimeout: "10 seconds" })
      const states = yield* recordStates(zk)
      const first = yield* states.await("Connected")
      yield* zk.create("/mine", "x", ephemeral)
      yield* server.stop
      yield* states.await("Suspended")
      yield* server.start
      const again = yield* states.await("Connected", { since: 1, within: 20_000 })
      assert.strictEqual(again.sessionId, first.sessionId)
      assert.strictEqual((yield* zk.getData("/mine")).stat.ephemeralOwner, first.sessionId)
      assert.deepStrictEqual(states.tags(), ["Connected", "Suspended", "Connected"])
    }))

  it.live("is made to forget a session that has ended by the client's clock: no node of it stays [SES-05]", () =>
    Effect.gen(function*() {
      // Sessions have their full time again when a server starts: five seconds here.
      const { proxy, server } = yield* makeProxiedServer({ extraConfig: { minSessionTimeout: "5000" } })
      const password = yield* spyPassword(proxy)
      const zk = yield* ZkClient.make({ hosts: proxy.connectString, ...short })
      const states = yield* recordStates(zk)
      const { sessionId } = yield* states.await("Connected")
      assert.strictEqual(password().length, 16)
      yield* zk.create("/mine", "x", ephemeral)
      yield* server.stop
      yield* states.await("Expired", { within: 20_000 })
      yield* server.start
      const next = yield* states.await("Connected", { since: 1 })
      assert.notStrictEqual(next.sessionId, sessionId)
      assert.isTrue(Option.isNone(yield* zk.exists("/mine")))
      assert.notInclude(yield* server.sessions, sessionId)
      assert.lengthOf(yield* proxy.frames({ kind: "request", op: "closeSession" }), 1)
    }))
})

describe("clients", () => {
  it.live("that are closed have no session and no node left at that moment [K6] [SES-38]", () =>
    Effect.gen(function*() {
      const server = yield* sharedHandle
      const root = yield* freshRoot
      const sessionId = yield* Effect.scoped(Effect.gen(function*() {
        const zk = yield* ZkClient.make({ hosts: server.connectString })
        for (const name of ["a", "b"]) yield* zk.create(`${root}/${name}`, "", ephemeral)
        const states = yield* recordStates(zk)
        return (yield* states.await("Connected")).sessionId
      }))
      assert.notInclude(yield* server.sessions, sessionId)
      assert.deepStrictEqual(yield* server.ephemerals(sessionId), [])
    }))

  it.live("come and go a hundred times and leave no socket here and no session there [N3] [SES-35]", () =>
    Effect.gen(function*() {
      const server = yield* sharedHandle
      const sockets = () => process.getActiveResourcesInfo().filter((resource) => resource.startsWith("TCP")).length
      const before = sockets()
      const ids = new Set<bigint>()
      yield* Effect.forEach(Array.from({ length: 100 }), () =>
        Effect.scoped(Effect.gen(function*() {
          const zk = yield* ZkClient.make({ hosts: server.connectString })
          const state = yield* zk.state
          if (state._tag === "Connected") ids.add(state.sessionId)
          yield* Effect.scoped(zk.existsWatch("/zookeeper"))
        })), { concurrency: 5 })
      assert.strictEqual(ids.size, 100)
      yield* Effect.promise(() => pollUntil("sockets are gone", async () => sockets() <= before ? true : undefined))
      const sessions = yield* server.sessions
      assert.isEmpty([...ids].filter((id) => sessions.includes(id)))
    }))

  it.live("may share a process, a server, and nothing else", () =>
    Effect.gen(function*() {
      const { connectString } = yield* shared
      const clients = yield* Effect.forEach(Array.from({ length: 20 }), () => ZkClient.make({ hosts: connectString }), {
        concurrency: "unbounded"
      })
      const states = yield* Effect.forEach(clients, (zk) => zk.state)
      const ids = new Set(states.map((state) => state._tag === "Connected" ? state.sessionId : undefined))
      assert.strictEqual(ids.size, 20)
    }))
})
