import { assert, describe, it, layer } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import * as Redacted from "effect/Redacted"
import * as References from "effect/References"
import * as Tracer from "effect/Tracer"
import { inspect } from "node:util"
import * as ZkAcl from "../src/ZkAcl.ts"
import * as ZkClient from "../src/ZkClient.ts"
import type * as ZkConfig from "../src/ZkConfig.ts"
import { failsWith } from "./support/failsWith.ts"
import { ProxiedServer, type Proxy } from "./support/proxy.ts"
import { freshPath } from "./support/shared.ts"
import { recordStates } from "./support/states.ts"

const digest = (credential: string): ZkConfig.Auth => ({ scheme: "digest", credential: Redacted.make(credential) })
const unknownScheme: ZkConfig.Auth = { scheme: "nonsense", credential: Redacted.make("x") }

const connect = (options: ZkConfig.Options) =>
  Effect.flatMap(ProxiedServer, ({ connectString }) => ZkClient.make({ hosts: connectString, ...options }))

const toServer = (proxy: Proxy, since: number) =>
  Effect.map(proxy.frames({ direction: "toServer" }, since), (frames) => frames.map(({ kind, op }) => op ?? kind))

/** Lets the server's answer to credentials wait until the test lets it go. */
const holdAuth = Effect.fnUntraced(function*(proxy: Proxy) {
  const gate = yield* Deferred.make<void>()
  const { fired } = yield* proxy.rule({ op: "auth", direction: "toClient" }, { before: Deferred.await(gate) })
  return { answered: fired, release: Deferred.succeed(gate, undefined) }
})

/** The server's answer to the next credentials says that it refuses them. */
const refuseAuth = (proxy: Proxy) =>
  proxy.rule({ op: "auth", direction: "toClient" }, {
    replace: (payload: Buffer) => {
      payload.writeInt32BE(-115, 12)
      return payload
    }
  })

layer(ProxiedServer.layer(), { excludeTestServices: true })("credentials over a cut connection", (it) => {
  it.effect("are taken before anything else is asked, or the connection announced [F1] [K55]", () =>
    Effect.gen(function*() {
      const { proxy } = yield* ProxiedServer
      const zk = yield* connect({ auth: [digest("ann:secret"), digest("bob:secret")] })
      const path = yield* freshPath
      yield* zk.create(path, "x", { acl: ZkAcl.creatorAcl })
      const watch = yield* zk.getDataWatch(path)
      const states = yield* recordStates(zk)
      const since = yield* proxy.position
      const hold = yield* holdAuth(proxy)
      yield* proxy.cutAll
      yield* states.await("Suspended")
      const reads = yield* Effect.forkChild(
        Effect.forEach([1, 2, 3, 4, 5], () => zk.getData(path), { concurrency: "unbounded" }),
        { startImmediately: true }
      )
      yield* hold.answered
      assert.deepStrictEqual(yield* toServer(proxy, since), ["connect", "auth", "auth"])
      assert.strictEqual((yield* zk.state)._tag, "Suspended")
      yield* hold.release
      for (const { text } of yield* Fiber.join(reads)) assert.strictEqual(text, "x")
      assert.deepStrictEqual(states.tags(), ["Connected", "Suspended", "Connected"])
      const order = yield* toServer(proxy, since)
      assert.deepStrictEqual(order.slice(0, 4), ["connect", "auth", "auth", "setWatches"])
      assert.strictEqual((yield* proxy.stats(since)).connections, 1)
      yield* zk.setData(path, "y")
      assert.strictEqual((yield* watch.fired)._tag, "NodeDataChanged")
    }).pipe(Effect.scoped))

  it.effect("open nodes at any moment of many cuts [F1] [K55]", () =>
    Effect.gen(function*() {
      const { proxy } = yield* ProxiedServer
      const zk = yield* connect({ auth: [digest("ann:secret")] })
      const path = yield* freshPath
      yield* zk.create(path, "x", { acl: ZkAcl.creatorAcl })
      const since = yield* proxy.position
      const reader = Effect.forever(zk.getData(path))
      const cuts = Effect.gen(function*() {
        for (let cut = 1; cut <= 4; cut++) {
          yield* proxy.awaitFrame({ op: "getData", kind: "reply" }, { since: yield* proxy.position })
          yield* proxy.cutAll
        }
      })
      // A NoAuth would be the end of a reader, and of the race.
      yield* Effect.raceFirst(cuts, Effect.all([reader, reader, reader], { concurrency: "unbounded" }))
      assert.isAtLeast((yield* proxy.stats(since)).connections, 3)
      assert.strictEqual((yield* zk.getData(path)).text, "x")
    }))

  it.effect("given at run time are given again when their answer is lost [F4]", () =>
    Effect.gen(function*() {
      const { proxy } = yield* ProxiedServer
      const zk = yield* connect({})
      const since = yield* proxy.position
      const lost = yield* proxy.swallowReply({ op: "auth" })
      yield* zk.addAuth(digest("late:secret"))
      yield* lost.fired
      const stats = yield* proxy.stats(since)
      assert.strictEqual(stats.connections, 1)
      assert.strictEqual(stats.ops["auth"], 2)
      assert.deepInclude(yield* zk.whoAmI, { scheme: "digest", user: "late" })
    }))

  it.effect("given while a connection is being set up are not forgotten [F4]", () =>
    Effect.gen(function*() {
      const { proxy } = yield* ProxiedServer
      const zk = yield* connect({ auth: [digest("ann:secret")] })
      const states = yield* recordStates(zk)
      const hold = yield* holdAuth(proxy)
      yield* proxy.cutAll
      yield* states.await("Suspended")
      yield* hold.answered
      const added = yield* Effect.forkChild(zk.addAuth(digest("late:secret")), { startImmediately: true })
      yield* hold.release
      yield* Fiber.join(added)
      assert.sameMembers((yield* zk.whoAmI).map(({ user }) => user), ["127.0.0.1", "ann", "late"])
      const since = yield* proxy.position
      yield* proxy.cutAll
      yield* zk.sync()
      assert.strictEqual((yield* proxy.stats(since)).ops["auth"], 2)
    }).pipe(Effect.scoped))

  it.effect("given while nobody is connected are told to the next server [F4]", () =>
    Effect.gen(function*() {
      const { proxy } = yield* ProxiedServer
      const zk = yield* connect({})
      const states = yield* recordStates(zk)
      yield* proxy.setAccept("refuse")
      yield* proxy.cutAll
      yield* states.await("Suspended")
      const added = yield* Effect.forkChild(zk.addAuth(digest("late:secret")), { startImmediately: true })
      yield* proxy.setAccept("accept")
      yield* Fiber.join(added)
      assert.deepInclude(yield* zk.whoAmI, { scheme: "digest", user: "late" })
    }).pipe(Effect.scoped))

  it.effect("given several times are told to each server once [F4]", () =>
    Effect.gen(function*() {
      const { proxy } = yield* ProxiedServer
      const zk = yield* connect({ auth: [digest("ann:secret")] })
      const again = [digest("ann:secret"), digest("late:secret"), digest("late:secret"), digest("late:other")]
      yield* Effect.forEach(again, (auth) => zk.addAuth(auth), { concurrency: "unbounded" })
      const since = yield* proxy.position
      yield* proxy.cutAll
      yield* zk.sync()
      assert.strictEqual((yield* proxy.stats(since)).ops["auth"], 3)
    }))

  it.effect("that nobody waits for any more are given all the same [F4]", () =>
    Effect.gen(function*() {
      const { proxy } = yield* ProxiedServer
      const zk = yield* connect({})
      const hold = yield* holdAuth(proxy)
      const added = yield* Effect.forkChild(zk.addAuth(digest("late:secret")), { startImmediately: true })
      yield* hold.answered
      yield* Fiber.interrupt(added)
      yield* hold.release
      assert.deepInclude(yield* zk.whoAmI, { scheme: "digest", user: "late" })
      yield* proxy.cutAll
      assert.deepInclude(yield* zk.whoAmI, { scheme: "digest", user: "late" })
    }))

  it.effect("that a server refuses at run time end the call and the connection, not the session [F4] [F3]", () =>
    Effect.gen(function*() {
      const { proxy } = yield* ProxiedServer
      const zk = yield* connect({ auth: [digest("ann:secret")] })
      const before = yield* zk.state
      yield* zk.create(yield* freshPath, null, { mode: "ephemeral" })
      const since = yield* proxy.position
      const error = yield* failsWith(zk.addAuth(unknownScheme), "AuthFailed")
      assert.deepInclude(error, { operation: "addAuth", scheme: "nonsense", maybeApplied: false })
      assert.strictEqual((yield* zk.getEphemerals()).length, 1)
      assert.deepStrictEqual(yield* zk.state, before)
      // Once for the refused ones, and the good ones on the new connection.
      const stats = yield* proxy.stats(since)
      assert.deepStrictEqual([stats.connections, stats.ops["auth"]], [1, 2])
      const later = yield* proxy.position
      yield* proxy.cutAll
      yield* zk.sync()
      assert.strictEqual((yield* proxy.stats(later)).ops["auth"], 1)
      assert.deepStrictEqual((yield* zk.whoAmI).map(({ user }) => user).sort(), ["127.0.0.1", "ann"])
    }))
})

layer(ProxiedServer.layer(), { excludeTestServices: true })("credentials that are no good", (it) => {
  it.effect("let the making of a client fail at once, with one connection [F3]", () =>
    Effect.gen(function*() {
      const { proxy } = yield* ProxiedServer
      const since = yield* proxy.position
      const error = yield* failsWith(Effect.scoped(connect({ auth: [digest("ann:x"), unknownScheme] })), "AuthFailed")
      assert.strictEqual(error.scheme, "nonsense")
      yield* proxy.awaitOpen(0)
      // Whoever else connects is the second.
      yield* connect({})
      assert.strictEqual((yield* proxy.stats(since)).connections, 2)
    }))

  it.effect("are the end of a client: for what waits, for what comes, and for good [F3]", () =>
    Effect.gen(function*() {
      const { proxy } = yield* ProxiedServer
      const since = yield* proxy.position
      const zk = yield* connect({ auth: [unknownScheme], lazy: true })
      const states = yield* recordStates(zk)
      const waiting = yield* Effect.all([
        failsWith(zk.getData("/x"), "AuthFailed"),
        failsWith(zk.create("/x"), "AuthFailed"),
        failsWith(zk.addAuth(digest("ann:x")), "AuthFailed"),
        failsWith(Effect.scoped(zk.existsWatch("/x")), "AuthFailed"),
        failsWith(Effect.scoped(zk.subscribe("/x", "persistent")), "AuthFailed")
      ], { concurrency: "unbounded" })
      for (const error of waiting) assert.deepInclude(error, { scheme: "nonsense", maybeApplied: false })
      assert.deepInclude(waiting[1], { operation: "create", path: "/x" })
      const state = yield* states.await("AuthFailed")
      assert.strictEqual(state.error.scheme, "nonsense")
      assert.deepStrictEqual(states.tags(), ["Connecting", "AuthFailed"])
      yield* failsWith(zk.getData("/x"), "AuthFailed")
      yield* failsWith(zk.addAuth(digest("ann:x")), "AuthFailed")
      yield* proxy.awaitOpen(0)
      assert.strictEqual((yield* proxy.stats(since)).connections, 1)
    }).pipe(Effect.scoped))

  it.effect("end a client also when they were good once [F3]", () =>
    Effect.gen(function*() {
      const { proxy, server } = yield* ProxiedServer
      const path = yield* freshPath
      const since = yield* proxy.position
      yield* Effect.scoped(Effect.gen(function*() {
        const zk = yield* connect({ auth: [digest("ann:secret")], sessionTimeout: "10 seconds" })
        const states = yield* recordStates(zk)
        const { fired } = yield* zk.existsWatch(`${path}-never`)
        yield* proxy.swallowReply({ op: "create", path }, "cut")
        const refused = yield* refuseAuth(proxy)
        const [write, read] = yield* Effect.all([
          failsWith(zk.create(path), "ConnectionLoss"),
          failsWith(
            Effect.andThen(Effect.asVoid(states.await("Suspended").pipe(Effect.orDie)), zk.getData(path)),
            "AuthFailed"
          )
        ], { concurrency: "unbounded" })
        assert.isTrue(write.maybeApplied)
        assert.isFalse(read.maybeApplied)
        yield* refused.fired
        yield* failsWith(fired, "AuthFailed")
        yield* states.await("AuthFailed")
        assert.deepStrictEqual(states.tags(), ["Connected", "Suspended", "AuthFailed"])
        yield* proxy.awaitOpen(0)
      }))
      assert.strictEqual((yield* proxy.stats(since)).connections, 2)
      // Closing it worked, and left nobody connected.
      yield* server.waitUntil("nobody is connected", (handle) =>
        Effect.map(handle.connectedSessions, (sessions) => sessions.length === 0))
    }))
})

const enforcing = ProxiedServer.layer({
  jvmFlags: ["-Dzookeeper.enforce.auth.enabled=true", "-Dzookeeper.enforce.auth.schemes=digest"]
})

layer(enforcing, { excludeTestServices: true })("servers that insist on credentials", (it) => {
  it.effect("are given them first on every connection [F2]", () =>
    Effect.gen(function*() {
      const { proxy } = yield* ProxiedServer
      const since = yield* proxy.position
      // Pings are due after 200 ms.
      const zk = yield* connect({ auth: [digest("ann:secret")], sessionTimeout: "1200 millis" })
      const path = yield* freshPath
      const { fired } = yield* zk.existsWatch(path)
      const before = yield* zk.state
      const states = yield* recordStates(zk)
      yield* proxy.awaitFrame({ kind: "pong" }, { since })
      yield* proxy.cutAll
      yield* states.await("Suspended")
      yield* zk.create(path)
      assert.strictEqual((yield* fired)._tag, "NodeCreated")
      yield* proxy.awaitFrame({ kind: "pong" }, { since: yield* proxy.position })
      assert.deepStrictEqual(yield* zk.state, before)
      const frames = yield* proxy.frames({ direction: "toServer" }, since)
      const connections = [...new Set(frames.map(({ connection }) => connection))]
      assert.strictEqual(connections.length, 2)
      for (const connection of connections) {
        const order = frames.filter((frame) => frame.connection === connection).map(({ kind, op }) => op ?? kind)
        assert.deepStrictEqual(order.slice(0, 2), ["connect", "auth"])
      }
      assert.isFalse((yield* proxy.frames({ direction: "toClient" }, since)).some(({ err }) => err === -124))
    }).pipe(Effect.scoped))

  it.effect("tell a client without any what they want, and serve it once it has some [F2] [AUTH-17]", () =>
    Effect.gen(function*() {
      const { proxy } = yield* ProxiedServer
      const zk = yield* connect({})
      const before = yield* zk.state
      const since = yield* proxy.position
      const path = yield* freshPath
      const error = yield* failsWith(zk.create(path), "AuthRequired")
      assert.deepInclude(error, { operation: "create", path })
      yield* zk.addAuth(digest("ann:secret"))
      yield* zk.create(path)
      assert.deepStrictEqual(yield* zk.state, before)
      assert.isAtLeast((yield* proxy.stats(since)).connections, 1)
    }))
})

layer(ProxiedServer.layer(), { excludeTestServices: true })("secrets", (it) => {
  it.effect("are in no log, no span and no error [K55] [S-SECRETS]", () =>
    Effect.gen(function*() {
      const { connectString, proxy } = yield* ProxiedServer
      const seen: Array<unknown> = []
      const logs: Array<unknown> = []
      const spans: Array<Tracer.Span> = []
      const logger = Logger.make<unknown, void>((options) => {
        logs.push([options.message, options.logLevel, [...Object.entries(options)], inspect(options, { depth: 8 })])
      })
      const tracer = Tracer.make({
        span: (options) => {
          const span = new Tracer.NativeSpan(options)
          spans.push(span)
          return span
        }
      })
      const needle = "n33dle-4711"
      const scenario = Effect.scoped(Effect.gen(function*() {
        const auth = [digest(`ann:${needle}`)]
        const zk = yield* ZkClient.make({ hosts: connectString, auth })
        const states = yield* recordStates(zk)
        yield* zk.addAuth(digest(`bob:${needle}`))
        const path = yield* freshPath
        yield* zk.create(path, null, { acl: ZkAcl.creatorAcl })
        yield* proxy.cutAll
        yield* zk.getData(path)
        seen.push(yield* Effect.flip(zk.addAuth({ scheme: "nonsense", credential: Redacted.make(needle) })))
        seen.push(yield* Effect.flip(zk.getData(`${path}/missing`)))
        seen.push(zk, states.all, auth)
        yield* refuseAuth(proxy)
        yield* proxy.cutAll
        seen.push(yield* states.await("AuthFailed"), yield* Effect.flip(zk.getData(path)))
        seen.push(
          yield* Effect.flip(Effect.scoped(
            ZkClient.make({ hosts: connectString, auth: [{ scheme: "nonsense", credential: Redacted.make(needle) }] })
          ))
        )
      }))
      yield* scenario.pipe(
        Effect.withSpan("scenario"),
        Effect.provideService(Tracer.Tracer, tracer),
        Effect.provide(Logger.layer([logger])),
        Effect.provideService(References.MinimumLogLevel, "All")
      )
      assert.includeMembers(spans.map(({ name }) => name), ["ZkClient.addAuth", "ZkClient.create"])
      assert.isAbove(logs.length, 2)
      assert.strictEqual(seen.length, 8)
      const everything = [
        ...seen.map((value) => inspect(value, { depth: 12, showHidden: true })),
        ...seen.map((value) => value instanceof Error ? JSON.stringify(value) + value.stack : ""),
        ...logs.map((log) => inspect(log, { depth: 12 })),
        ...spans.map((span) => inspect([span.name, span.attributes, span.status], { depth: 12 }))
      ].join("\n")
      assert.include(everything, "nonsense")
      assert.notInclude(everything, needle)
      assert.notInclude(everything, Buffer.from(needle).toString("hex"))
    }))
})

describe("credentials in options", () => {
  it.live("must have a scheme [AUTH-13]", () =>
    Effect.gen(function*() {
      const error = yield* failsWith(
        Effect.scoped(ZkClient.make({ auth: [{ scheme: "", credential: Redacted.make("n33dle") }] })),
        "InvalidConfig"
      )
      assert.strictEqual(error.option, "auth")
      assert.notInclude(inspect(error), "n33dle")
    }))
})
