/** The end of a client, in whatever state it is: under TestClock, T = 6 seconds, at most 2 to close. */
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as ZkClient from "../src/ZkClient.ts"
import type { Options } from "../src/ZkConfig.ts"
import { failsWith } from "./support/failsWith.ts"
import { makeWire, pass, settle } from "./support/fakeClient.ts"
import { type ConnectAnswer, makeFakeServer } from "./support/fakeServer.ts"
import { recordStates } from "./support/states.ts"

/** A client whose end is the test's to begin; `close` gives how long it took. */
const closable = (options?: Options, dead?: string) =>
  Effect.gen(function*() {
    const fake = yield* makeFakeServer
    const wire = makeWire(fake)
    if (dead !== undefined) wire.dead.add(dead)
    const scope = yield* Scope.make()
    const zk = yield* wire.provide(
      Scope.provide(ZkClient.make({ hosts: "zk", sessionTimeout: "6 seconds", ...options }), scope)
    )
    const states = yield* recordStates(zk)
    const close = Effect.gen(function*() {
      const before = yield* Clock.currentTimeMillis
      yield* Scope.close(scope, Exit.void)
      return (yield* Clock.currentTimeMillis) - before
    })
    return { close, fake, states, wire, zk }
  })

const closes = (fake: { readonly requests: ReadonlyArray<{ readonly name: string }> }) =>
  fake.requests.filter(({ name }) => name === "closeSession").length

describe("closing", () => {
  it.effect("ends the session, behind what was asked for before, and waits for the answer [K6] [SES-37]", () =>
    Effect.gen(function*() {
      const { close, fake, states, zk } = yield* closable()
      yield* fake.on("closeSession", () => Effect.as(Effect.sleep("900 millis"), { type: "default" } as const))
      yield* fake.on("create2", () => ({ type: "silence" }))
      const creating = yield* Effect.forkChild(zk.create("/a"), { startImmediately: true })
      const request = yield* fake.awaitRequest("create2")
      const closing = yield* Effect.forkChild(close, { startImmediately: true })
      yield* fake.awaitRequest("closeSession")
      const refused = yield* failsWith(zk.create("/b"), "SessionClosed")
      assert.isFalse(refused.maybeApplied)
      yield* request.reply({ type: "default" })
      assert.strictEqual((yield* Fiber.join(creating)).path, "/a")
      yield* pass(850)
      assert.isUndefined(closing.pollUnsafe())
      yield* pass(50)
      assert.strictEqual(yield* Fiber.join(closing), 900)
      assert.deepStrictEqual(fake.requests.map(({ name }) => name), ["create2", "closeSession"])
      yield* states.await("Closed")
      assert.deepStrictEqual(states.tags(), ["Connected", "Closed"])
      yield* fake.awaitClosed
    }))

  it.effect("is bounded where the server does not answer [K6] [SES-37]", () =>
    Effect.gen(function*() {
      const { close, fake, states, wire, zk } = yield* closable({ closeTimeout: "700 millis" })
      yield* fake.on("any", () => ({ type: "silence" }))
      const reading = yield* Effect.forkChild(failsWith(zk.getData("/a"), "SessionClosed"), { startImmediately: true })
      const writing = yield* Effect.forkChild(failsWith(zk.setData("/a", "x"), "SessionClosed"), {
        startImmediately: true
      })
      const closing = yield* Effect.forkChild(close, { startImmediately: true })
      yield* pass(700)
      assert.strictEqual(yield* Fiber.join(closing), 700)
      assert.isFalse((yield* Fiber.join(reading)).maybeApplied)
      assert.isTrue((yield* Fiber.join(writing)).maybeApplied)
      yield* fake.awaitClosed
      yield* pass(30_000, 500)
      assert.strictEqual(wire.attempts.length, 1)
      assert.deepStrictEqual(states.tags(), ["Connected", "Closed"])
    }))

  it.effect("while nobody can be reached is bounded, and is no expiry [K6] [SES-36]", () =>
    Effect.gen(function*() {
      const { close, fake, states, wire, zk } = yield* closable()
      wire.dead.add("zk:2181")
      yield* (yield* fake.current).close
      yield* settle
      const waiting = yield* Effect.forkChild(failsWith(zk.setData("/a", "x"), "SessionClosed"), {
        startImmediately: true
      })
      const closing = yield* Effect.forkChild(close, { startImmediately: true })
      yield* pass(2_000)
      assert.strictEqual(yield* Fiber.join(closing), 2_000)
      assert.isFalse((yield* Fiber.join(waiting)).maybeApplied)
      yield* states.await("Closed")
      assert.deepStrictEqual(states.tags(), ["Connected", "Suspended", "Closed"])
    }))

  it.effect("goes on over the next connection when the answer to it is lost, or the connection is away [K6]", () =>
    Effect.gen(function*() {
      const { close, fake, states } = yield* closable()
      const { sessionId } = yield* states.await("Connected")
      yield* fake.once("closeSession", () => ({ type: "reset" }))
      const closing = yield* Effect.forkChild(close, { startImmediately: true })
      yield* pass(500)
      yield* Fiber.join(closing)
      assert.strictEqual(closes(fake), 2)
      assert.strictEqual(fake.connects[1]?.request.sessionId, sessionId)
      assert.notInclude(states.tags().slice(1), "Connected")
    }))

  it.effect("does not wait where there is no session to end [K6] [K3]", () =>
    Effect.gen(function*() {
      const { close, fake, states, zk } = yield* closable({ lazy: true, hosts: "nobody" }, "nobody:2181")
      yield* settle
      const waiting = yield* Effect.forkChild(failsWith(zk.getData("/a"), "SessionClosed"), { startImmediately: true })
      assert.strictEqual(yield* close, 0)
      yield* Fiber.join(waiting)
      assert.strictEqual(closes(fake), 0)
      yield* states.await("Closed")
    }))

  it.effect("ends a session that was just being made [N7] [K6]", () =>
    Effect.gen(function*() {
      const fake = yield* makeFakeServer
      const wire = makeWire(fake)
      yield* fake.onConnect(() => Effect.as(Effect.sleep("800 millis"), { type: "accept" } as const))
      const making = yield* Effect.forkChild(Effect.scoped(wire.client()), { startImmediately: true })
      yield* fake.awaitConnect()
      const interrupting = yield* Effect.forkChild(Fiber.interrupt(making), { startImmediately: true })
      yield* pass(900)
      yield* Fiber.join(interrupting)
      assert.strictEqual(closes(fake), 1)
      yield* fake.awaitClosed
    }))

  it.effect("within a state's handler, or twice, is fine [SES-34]", () =>
    Effect.gen(function*() {
      const { close, fake, zk } = yield* closable()
      const handler = yield* Effect.forkChild(
        Stream.runForEach(zk.stateChanges, (state) => state._tag === "Suspended" ? close : Effect.void),
        { startImmediately: true }
      )
      yield* (yield* fake.current).close
      yield* pass(2_500)
      yield* Fiber.join(handler)
      yield* close
      assert.strictEqual((yield* zk.state)._tag, "Closed")
    }))
})

describe("a closed client", () => {
  it.effect("fails whatever is asked of it at once, typed [K53]", () =>
    Effect.gen(function*() {
      const { close, fake, zk } = yield* closable()
      yield* close
      const before = fake.requests.length
      const operations = {
        create: zk.create("/a"),
        createProtected: zk.createProtected("/a", "", { mode: "ephemeral" }),
        delete: zk.delete("/a"),
        ensureAbsent: zk.ensureAbsent("/a"),
        deleteRecursive: zk.deleteRecursive("/a"),
        exists: zk.exists("/a"),
        getData: zk.getData("/a"),
        setData: zk.setData("/a", "x"),
        getChildren: zk.getChildren("/a"),
        getAcl: zk.getAcl("/a"),
        sync: zk.sync(),
        multi: zk.multi([]),
        getEphemerals: zk.getEphemerals(),
        whoAmI: zk.whoAmI,
        getConfig: zk.getConfig,
        addAuth: zk.addAuth({ scheme: "digest", credential: Redacted.make("a:b") }),
        watch: Stream.runDrain(zk.watch("/a", "recursive")),
        changes: Stream.runDrain(zk.changes("/a")),
        walk: Stream.runDrain(zk.walk("/a")),
        getDataWatch: Effect.scoped(zk.getDataWatch("/a")),
        subscribe: Effect.scoped(zk.subscribe("/a", "persistent"))
      }
      for (const [name, operation] of Object.entries(operations)) {
        if (name === "multi") continue
        const exit = yield* Effect.exit(Effect.flip(operation as Effect.Effect<unknown, { readonly _tag: string }>))
        assert.strictEqual(Exit.isSuccess(exit) ? exit.value._tag : exit._tag, "SessionClosed", name)
      }
      assert.strictEqual(fake.requests.length, before)
    }))
})

describe("many attempts that fail", () => {
  it.effect("leave no socket and no listener behind [C8]", () =>
    Effect.gen(function*() {
      const fake = yield* makeFakeServer
      const wire = makeWire(fake)
      const answers: ReadonlyArray<ConnectAnswer> = [
        { type: "refuse" },
        { type: "reset" },
        { type: "silence" },
        { type: "bogus" },
        { type: "raw", bytes: Buffer.from([0x7f, 0xff, 0xff, 0xff]) }
      ]
      yield* fake.onConnect(({ connection }) => answers[connection % answers.length])
      wire.dead.add("c:2181")
      const zk = yield* wire.client({ lazy: true, hosts: "a,b,c" })
      while (wire.attempts.length < 3_000) yield* pass(10_000, 1_000)
      const open = wire.attempts.filter(({ stream }) => !stream.destroyed)
      assert.isAtMost(open.length, 1)
      for (const { stream } of wire.attempts.slice(0, -1)) {
        for (const event of ["data", "end", "close", "drain"]) assert.isAtMost(stream.listenerCount(event), 1, event)
        assert.isAtMost(stream.listenerCount("error"), 2)
      }
      yield* fake.defaults
      wire.dead.clear()
      yield* pass(3_000)
      assert.strictEqual((yield* zk.state)._tag, "Connected")
    }))
})

describe("a client that does not come about", () => {
  it.effect("fails at connectTimeout, names its servers and what kept them, and leaves nothing [K2] [CONN-13]", () =>
    Effect.gen(function*() {
      const fake = yield* makeFakeServer
      const wire = makeWire(fake)
      wire.dead.add("a:1").add("[::1]:2181")
      const making = yield* Effect.forkChild(
        failsWith(Effect.scoped(wire.client({ hosts: "a:1,[::1]", connectTimeout: "3 seconds" })), "ConnectError"),
        { startImmediately: true }
      )
      yield* pass(2_950)
      assert.isUndefined(making.pollUnsafe())
      yield* pass(150)
      const error = yield* Fiber.join(making)
      assert.deepStrictEqual(error.hosts, ["a:1", "[::1]:2181"])
      assert.match(error.message, /a:1, \[::1\]:2181: connect ECONNREFUSED (a:1|\[::1\]:2181)/)
      const attempts = wire.attempts.length
      yield* pass(10_000, 500)
      assert.strictEqual(wire.attempts.length, attempts)
      yield* fake.awaitClosed
    }))

  it.effect("may be lazy: it is there at once, and operations wait for their session [K3] [CONN-13]", () =>
    Effect.gen(function*() {
      const fake = yield* makeFakeServer
      const wire = makeWire(fake)
      wire.dead.add("zk:2181")
      const zk = yield* wire.client({ lazy: true })
      assert.strictEqual((yield* zk.state)._tag, "Connecting")
      const creating = yield* Effect.forkChild(zk.create("/a"), { startImmediately: true })
      yield* pass(10_000, 100)
      assert.isUndefined(creating.pollUnsafe())
      wire.dead.clear()
      yield* pass(2_100)
      assert.strictEqual((yield* Fiber.join(creating)).path, "/a")
    }))
})
