/** Several clients in one program: by name, and by URL. */
import { assert, describe, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Redacted from "effect/Redacted"
import * as References from "effect/References"
import * as Scope from "effect/Scope"
import * as ZkClient from "../src/ZkClient.ts"
import * as ZkClients from "../src/ZkClients.ts"
import * as ZkState from "../src/ZkState.ts"
import { makeEnsemble } from "./support/ensemble.ts"
import { failsWith } from "./support/failsWith.ts"
import { makeWire, pass } from "./support/fakeClient.ts"
import { makeFakeServer } from "./support/fakeServer.ts"
import { makeProxy } from "./support/proxy.ts"
import { Op } from "./support/records.ts"
import { freshPath, freshRoot, shared, sharedHandle } from "./support/shared.ts"
import { recordStates } from "./support/states.ts"

class One extends ZkClient.Service<One>()("test/One") {}
class Two extends ZkClient.Service<Two>()("test/Two") {}

const sessionId = (zk: ZkClient.ZkClient) =>
  Effect.map(zk.state, (state) => ZkState.isConnected(state) ? state.sessionId : assert.fail(state._tag))

describe("two clients in one program", () => {
  it.live(
    "are of two ensembles: one that loses its quorum is nothing to the other [ASAB-A1] [A19]",
    () =>
      Effect.gen(function*() {
        const [near, far] = yield* Effect.all([makeEnsemble({ tickTime: 500 }), makeEnsemble({ tickTime: 500 })], {
          concurrency: 2
        })
        const Live = Layer.mergeAll(
          One.layerUrl(`zookeeper://${near.connectString}/app`, { sessionTimeout: "10 seconds" }),
          Two.layerUrl(`zookeeper://${far.connectString}/app`)
        )
        yield* Effect.gen(function*() {
          const [one, two] = [yield* One, yield* Two]
          const [states, others] = [yield* recordStates(one), yield* recordStates(two)]
          yield* one.create("/x", "one")
          assert.strictEqual((yield* two.getDataOption("/x"))._tag, "None")
          const [leader, [follower]] = [yield* near.leader, yield* near.followers]
          yield* Effect.all([leader.kill, follower!.kill], { concurrency: 2 })
          yield* states.await("Suspended")
          // While the one has no servers, the other works.
          yield* two.create("/x", "two")
          assert.strictEqual((yield* two.state)._tag, "Connected")
          yield* leader.start
          yield* states.await("Connected", { since: 1 })
          assert.strictEqual((yield* one.getData("/x")).text, "one")
          assert.deepStrictEqual(states.tags(), ["Connected", "Suspended", "Connected"])
          assert.deepStrictEqual(others.tags(), ["Connected"])
        }).pipe(Effect.scoped, Effect.provide(Live))
      }),
    60_000
  )

  it.live("hear of their own connections only, also on the same servers [A19]", () =>
    Effect.gen(function*() {
      const { port } = yield* shared
      const [near, far] = [yield* makeProxy(port), yield* makeProxy(port)]
      const path = yield* freshRoot
      const clients = yield* ZkClients.make()
      const one = yield* clients.client(`zookeeper://${near.connectString}${path}`)
      const two = yield* clients.client(`zookeeper://${far.connectString}${path}`)
      const [states, others] = [yield* recordStates(one), yield* recordStates(two)]
      yield* near.cutAll
      yield* states.await("Connected", { since: 1 })
      yield* one.create("/x")
      yield* far.cutAll
      yield* others.await("Connected", { since: 1 })
      assert.strictEqual((yield* two.exists("/x"))._tag, "Some")
      for (const each of [states, others]) {
        assert.deepStrictEqual(each.tags(), ["Connected", "Suspended", "Connected"])
      }
      assert.notStrictEqual(yield* sessionId(one), yield* sessionId(two))
    }))

  it.live("end one by one, or with the program; with each its session and ephemeral nodes [A36]", () =>
    Effect.gen(function*() {
      const server = yield* sharedHandle
      const root = yield* freshRoot
      const scope = yield* Scope.make()
      const clients = yield* Scope.provide(ZkClients.make({ idleTimeToLive: 0 }), scope)
      const url = (name: string) => `zookeeper://${server.connectString}${root}/${name}`
      const [first, second] = [yield* Scope.make(), yield* Scope.make()]
      const one = yield* Scope.provide(clients.client(url("one")), first)
      const two = yield* Scope.provide(clients.client(url("two")), second)
      const ids = [yield* sessionId(one), yield* sessionId(two)] as const
      for (const zk of [one, two]) yield* zk.create("/e", null, { mode: "ephemeral" })
      assert.deepStrictEqual(yield* server.ephemerals(ids[0]), [`${root}/one/e`])

      yield* Scope.close(first, Exit.void)
      const left = yield* server.sessions
      assert.deepStrictEqual(ids.map((id) => left.includes(id)), [false, true])
      assert.strictEqual((yield* one.state)._tag, "Closed")
      assert.strictEqual((yield* two.state)._tag, "Connected")

      // Somebody still has the other one, but the program ends.
      yield* Scope.close(scope, Exit.void)
      assert.notInclude(yield* server.sessions, ids[1])
      assert.deepStrictEqual(yield* server.ephemerals(ids[1]), [])
      assert.strictEqual((yield* two.state)._tag, "Closed")
      yield* Scope.close(second, Exit.void)
    }))
})

describe("clients by URL", () => {
  /** Clients of a network on which every server is the same fake one. */
  const onWire = Effect.gen(function*() {
    const fake = yield* makeFakeServer
    const wire = makeWire(fake)
    const scope = yield* Effect.acquireRelease(
      Scope.make(),
      (scope, exit) => Effect.raceFirst(Scope.close(scope, exit), Effect.forever(pass(100)))
    )
    const make = (options?: ZkClients.ClientsOptions) => wire.provide(Scope.provide(ZkClients.make(options), scope))
    /** A client until the end of the test. */
    const take = (clients: ZkClients.ZkClients, url: string) => wire.provide(Scope.provide(clients.client(url), scope))
    /** One that is let go of at once. */
    const borrow = (clients: ZkClients.ZkClients, url: string) => wire.provide(Effect.scoped(clients.client(url)))
    return { fake, wire, make, take, borrow }
  })

  it.effect("all spellings of a URL are one session; another path, other servers or TLS another [CLIENTS-01]", () =>
    Effect.gen(function*() {
      const { fake, make, take, wire } = yield* onWire
      const clients = yield* make()
      const same = [
        "zookeeper://zk1:2181,ZK2:2182/app",
        "ZOOKEEPER://zk2:2182,zk1//app/",
        " zookeeper://zk1, zk2:2182,zk1:/%61pp "
      ]
      const found = yield* Effect.forEach(same, (url) => take(clients, url), { concurrency: "unbounded" })
      assert.strictEqual(new Set(found).size, 1)
      assert.strictEqual(fake.connects.length, 1)
      const others = [
        "zookeeper://zk1:2181,zk2:2182/app/x",
        "zookeeper://zk1/app",
        "zookeepers://zk1:2181,zk2:2182/app",
        "zookeeper://zk1:2181,zk2:2182/APP"
      ]
      const more = yield* Effect.forEach(others, (url) => take(clients, url))
      assert.strictEqual(new Set([...found, ...more]).size, 5)
      const ordered = yield* make({ shuffle: false })
      const [first, second] = [yield* take(ordered, "zookeeper://a,b/p"), yield* take(ordered, "zookeeper://b,a/p")]
      assert.notStrictEqual(first, second)
      // Zones are names of interfaces, whose case counts.
      yield* take(clients, "zookeeper://[FE80::1%25Eth0]/p")
      assert.strictEqual(wire.attempts.at(-1)?.server, "[fe80::1%Eth0]:2181")
    }))

  it.effect("a client that nobody uses stays for a while, and longer when it is asked for [CLIENTS-02]", () =>
    Effect.gen(function*() {
      const { borrow, fake, make } = yield* onWire
      const clients = yield* make({ idleTimeToLive: "20 seconds" })
      const url = "zookeeper://zk/app"
      const zk = yield* borrow(clients, url)
      yield* pass(15_000, 500)
      assert.strictEqual(yield* borrow(clients, url), zk)
      yield* pass(15_000, 500)
      assert.strictEqual(yield* borrow(clients, url), zk)
      assert.strictEqual((yield* zk.state)._tag, "Connected")
      yield* pass(21_000, 500)
      assert.strictEqual((yield* zk.state)._tag, "Closed")
      assert.notStrictEqual(yield* borrow(clients, url), zk)
      assert.strictEqual(fake.connects.length, 2)
    }))

  it.effect("who is interrupted while a client is made leaves it to others, or ends the attempt [CLIENTS-02]", () =>
    Effect.gen(function*() {
      const { borrow, fake, make, wire } = yield* onWire
      for (const idleTimeToLive of ["1 minute", 0] as const) {
        const clients = yield* make({ idleTimeToLive })
        const url = "zookeeper://zk/app"
        const before = fake.connects.length
        wire.dead.add("zk:2181")
        const waiting = yield* Effect.forkScoped(borrow(clients, url), { startImmediately: true })
        yield* pass(300)
        yield* Fiber.interrupt(waiting)
        const attempts = wire.attempts.length
        yield* pass(3_000)
        assert.strictEqual(wire.attempts.length > attempts, idleTimeToLive !== 0)
        wire.dead.clear()
        const found = yield* Effect.forkScoped(borrow(clients, url))
        yield* pass(3_000)
        yield* Fiber.join(found)
        assert.strictEqual(fake.connects.length, before + 1)
      }
    }))

  it.effect("what could not be made is made anew for the next who asks [CLIENTS-03]", () =>
    Effect.gen(function*() {
      const { borrow, make, wire } = yield* onWire
      const clients = yield* make({ connectTimeout: "3 seconds" })
      const url = "zookeeper://zk/app"
      wire.dead.add("zk:2181")
      const failing = yield* Effect.forkScoped(
        Effect.all([1, 2, 3].map(() => failsWith(borrow(clients, url), "ConnectError")), { concurrency: "unbounded" })
      )
      yield* pass(3_500)
      yield* Fiber.join(failing)
      wire.dead.clear()
      assert.strictEqual((yield* (yield* borrow(clients, url)).state)._tag, "Connected")
      yield* failsWith(borrow(clients, "zookeeper://u:pw@zk/app"), "ConfigError")
      yield* failsWith(borrow(clients, "zookeeper:./app"), "ConfigError")
      yield* failsWith(clients.invalidate("zk/app"), "ConfigError")
    }))

  it.effect("a client that is over is not given to anybody [CLIENTS-03]", () =>
    Effect.gen(function*() {
      const { fake, make, take } = yield* onWire
      const clients = yield* make({ onExpiry: "end", sessionTimeout: "6 seconds" })
      const url = "zookeeper://zk/app"
      const zk = yield* take(clients, url)
      yield* fake.onConnect(({ request }) => request.sessionId === 0n ? { type: "accept" } : { type: "expired" })
      yield* (yield* fake.current).close
      yield* pass(3_000)
      assert.strictEqual((yield* zk.state)._tag, "Expired")
      const next = yield* take(clients, url)
      assert.strictEqual((yield* next.state)._tag, "Connected")
      assert.strictEqual(yield* take(clients, url), next)
    }))

  it.effect("an attempt that was given up and fails later is no reason to give up its successor [CLIENTS-03]", () =>
    Effect.gen(function*() {
      const { borrow, fake, make, take } = yield* onWire
      const clients = yield* make({ connectTimeout: "3 seconds" })
      const url = "zookeeper://zk/app"
      // The first is silent to the end, and for longer than the first client waits.
      yield* fake.onConnect(() => fake.connects.length > 1 ? { type: "accept" } : { type: "silence" })
      const failing = yield* Effect.forkScoped(failsWith(borrow(clients, url), "ConnectError"))
      yield* pass(1_000)
      assert.strictEqual(fake.connects.length, 1)
      yield* clients.invalidate(url)
      const next = yield* take(clients, url)
      yield* pass(3_000)
      yield* Fiber.join(failing)
      assert.strictEqual(yield* borrow(clients, url), next)
      assert.strictEqual((yield* next.state)._tag, "Connected")
    }))

  it.effect("one that is given up is kept by those who have it [CLIENTS-03]", () =>
    Effect.gen(function*() {
      const { make, take } = yield* onWire
      const clients = yield* make()
      const zk = yield* take(clients, "zookeeper://zk/app")
      yield* clients.invalidate("zookeeper://zk:2181//app")
      assert.notStrictEqual(yield* take(clients, "zookeeper://zk/app"), zk)
      assert.strictEqual((yield* zk.state)._tag, "Connected")
    }))

  it.effect("configuration is that of the layer, whoever asks first [CLIENTS-04]", () =>
    Effect.gen(function*() {
      const fake = yield* makeFakeServer
      const provider = (servers: string) =>
        ConfigProvider.layer(ConfigProvider.fromUnknown({ zookeeper: { servers, path: "/base" }, ZK_AUTH: "ann:x" }))
      const wire = makeWire(fake)
      const Live = ZkClients.layer({ name: "all", auth: [{ scheme: "digest", credential: Redacted.make("bob:x") }] })
      const use = Effect.flatMap(ZkClient.ZkClient, (zk) => zk.create("/x")).pipe(
        Effect.provide(ZkClients.get("zookeeper:./deep")),
        Effect.provide(provider("wrong"))
      )
      const main = use.pipe(Effect.provide(Layer.provide(Live, provider("right"))))
      const done = yield* Effect.forkScoped(wire.provide(main))
      yield* pass(1_000)
      assert.strictEqual((yield* Fiber.join(done)).path, "/x")
      assert.deepStrictEqual([...new Set(wire.attempts.map(({ server }) => server))], ["right:2181"])
      assert.include(fake.requests.flatMap(({ path }) => path ?? []), "/base/deep/x")
    }))

  it.effect("what a client says is not part of what was going on where it was first asked for [CLIENTS-05]", () =>
    Effect.gen(function*() {
      const { fake, make, take } = yield* onWire
      const lines: Array<string> = []
      const logger = Logger.make<unknown, void>(({ fiber, message }) => {
        const annotations = Object.keys(fiber.getRef(References.CurrentLogAnnotations)).toSorted()
        const spans = fiber.getRef(References.CurrentLogSpans).map(([name]) => name)
        lines.push(`${String(message)} | ${[...annotations, ...spans].join(" ")}`)
      })
      const clients = yield* make().pipe(
        Effect.annotateLogs("program", "p"),
        Effect.provide(Logger.layer([logger])),
        Effect.provideService(References.MinimumLogLevel, "Debug")
      )
      yield* take(clients, "zookeeper://zk/app").pipe(
        Effect.annotateLogs("request", "of-somebody"),
        Effect.withLogSpan("request"),
        Effect.provideService(References.MinimumLogLevel, "None")
      )
      yield* (yield* fake.current).close
      yield* pass(1_000)
      assert.deepStrictEqual(lines, [
        "connected to zk:2181 | program zookeeper.server zookeeper.session",
        "connection lost: zk:2181 closed the connection | program zookeeper.server zookeeper.session",
        "connected to zk:2181 | program zookeeper.server zookeeper.session"
      ])
    }))

  it.effect("have what is configured beside their servers, however these are written [CLIENTS-04] [CONF-03]", () =>
    Effect.gen(function*() {
      const { fake, make, take } = yield* onWire
      const provider = ConfigProvider.fromUnknown({ zookeeper: { servers: "ZK1.Example", auth: "ann:x" } })
      const clients = yield* make().pipe(Effect.provide(ConfigProvider.layer(provider)))
      yield* take(clients, "zookeeper://ZK1.Example/app")
      assert.strictEqual(fake.requests.filter(({ op }) => op === Op.auth).length, 1)
    }))

  it.live("one session serves all who ask, on a real server [CLIENTS-01]", () =>
    Effect.gen(function*() {
      const { connectString } = yield* shared
      const root = yield* freshPath
      const id = Effect.flatMap(ZkClient.ZkClient, sessionId)
      const ids = yield* Effect.gen(function*() {
        const apart = yield* Effect.provide(id, ZkClients.get(`zookeeper://${connectString}${root}`))
        const again = yield* Effect.provide(id, ZkClients.get(`zookeeper://${connectString}${root}//`))
        const below = yield* Effect.provide(id, ZkClients.get(`zookeeper://${connectString}${root}/x`))
        return [apart, again, below]
      }).pipe(Effect.provide(ZkClients.layer()))
      assert.strictEqual(ids[0], ids[1])
      assert.notStrictEqual(ids[0], ids[2])
      const open = yield* (yield* sharedHandle).sessions
      assert.deepStrictEqual(ids.filter((each) => open.includes(each)), [])
    }))
})
