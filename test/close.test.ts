/** The end of a client, at any moment: what was asked for before it, what comes after, and what the servers are left. */
import { assert, describe, it, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as ZkClient from "../src/ZkClient.ts"
import type { Options } from "../src/ZkConfig.ts"
import { everyOperation } from "./support/everyOperation.ts"
import { failsWith } from "./support/failsWith.ts"
import { makeWire, pass, settle } from "./support/fakeClient.ts"
import { makeFakeServer } from "./support/fakeServer.ts"
import { makeProxy } from "./support/proxy.ts"
import { ZkServer } from "./support/server.ts"
import { recordStates } from "./support/states.ts"
import { countWatches, sessionOf } from "./support/watching.ts"

const start = <A, E>(effect: Effect.Effect<A, E>) => Effect.forkChild(effect, { startImmediately: true })

let counter = 0

/** A client behind a proxy of its own, which is closed by hand, another one past it, and a node of the test's own. */
const makeClients = (options?: Options) =>
  Effect.gen(function*() {
    const server = yield* ZkServer
    const proxy = yield* makeProxy(server.port)
    const other = yield* ZkClient.make({ hosts: server.connectString })
    const scope = yield* Effect.acquireRelease(Scope.make(), (scope) => Scope.close(scope, Exit.void))
    const zk = yield* Scope.provide(ZkClient.make({ hosts: proxy.connectString, ...options }), scope)
    const root = `/root-${counter++}`
    yield* other.create(root)
    return { server, proxy, other, zk, root, close: Scope.close(scope, Exit.void) }
  })

layer(ZkServer.layer(), { excludeTestServices: true, timeout: "60 seconds" })("closing", (it) => {
  it.effect("waits for a thousand requests before it, fails those after it, and takes ephemeral nodes along [D10]", () =>
    Effect.gen(function*() {
      const { close, other, proxy, root, server, zk } = yield* makeClients()
      const id = yield* sessionOf(zk)
      const before = yield* Effect.forEach(
        Array.from({ length: 1_000 }, (_, i) => i),
        (i) => start(zk.create(`${root}/${i}`, null, { mode: i % 2 === 0 ? "persistent" : "ephemeral" }))
      )
      const closing = yield* start(close)
      const after = yield* start(failsWith(zk.create(`${root}/after`), "SessionClosed"))
      assert.isFalse((yield* Fiber.join(after)).maybeApplied)
      yield* Fiber.join(closing)
      for (const fiber of before) assert.strictEqual(fiber.pollUnsafe()?._tag, "Success")
      assert.strictEqual((yield* other.getChildren(root)).children.length, 500)
      assert.notInclude(yield* server.sessions, id)
      const last = (yield* proxy.frames({ kind: "request" })).at(-1)
      assert.strictEqual(last?.op, "closeSession")
      assert.strictEqual((yield* proxy.awaitFrame({ op: "closeSession", kind: "reply" })).err, 0)
      assert.strictEqual((yield* zk.state)._tag, "Closed")
    }))

  it.effect("leaves no watch and no node of any kind of subscriber, who all hear of it [X4] [N2]", () =>
    Effect.gen(function*() {
      const { close, other, proxy, root, server, zk } = yield* makeClients()
      const watches = yield* countWatches(server)
      yield* zk.create(`${root}/ephemeral`, null, { mode: "ephemeral" })
      yield* zk.createProtected(`${root}/p-`, null, { mode: "ephemeralSequential" })
      // Not the parent of the ephemeral nodes, whose going is an event that comes ahead of the end.
      const kept = `${root}/kept`
      yield* other.create(kept)
      const waiting = {
        data: Effect.scoped(Effect.flatMap(zk.getDataWatch(kept), ({ fired }) => fired)),
        exists: Effect.scoped(Effect.flatMap(zk.existsWatch(`${root}/missing`), ({ fired }) => fired)),
        children: Effect.scoped(Effect.flatMap(zk.getChildrenWatch(kept), ({ fired }) => fired)),
        changes: Stream.runDrain(zk.changes(kept)),
        childrenChanges: Stream.runDrain(zk.childrenChanges(kept)),
        watch: Stream.runDrain(zk.watch(kept, "persistent")),
        recursive: Stream.runDrain(zk.watch(`${root}/ephemeral`, "recursive"))
      }
      const fibers = yield* Effect.forEach(
        Object.values<Effect.Effect<unknown, ZkClient.CreateError>>(waiting),
        (effect) => start(failsWith(effect, "SessionClosed"))
      )
      yield* zk.sync()
      assert.isAbove(yield* countWatches(server), watches)
      yield* close
      for (const fiber of fibers) yield* Fiber.join(fiber)
      assert.deepStrictEqual((yield* other.getChildren(root)).children, ["kept"])
      yield* proxy.awaitOpen(0)
      // The server takes them away once the connection has gone, which nobody is told.
      const gone = Effect.map(countWatches(server), (count) => count === watches)
      yield* Effect.repeat(gone, { until: (isSo) => isSo, schedule: Schedule.spaced("20 millis") }).pipe(
        Effect.timeout("5 seconds")
      )
    }))

  it.effect("goes on over the next connection when its answer is lost [D10] [D12]", () =>
    Effect.gen(function*() {
      for (const kind of ["request", "reply"] as const) {
        const { close, other, proxy, root, server, zk } = yield* makeClients()
        const id = yield* sessionOf(zk)
        const states = yield* recordStates(zk)
        yield* zk.create(`${root}/x`, null, { mode: "ephemeral" })
        const cut = yield* proxy.rule({ op: "closeSession", kind }, "cut")
        yield* close
        assert.strictEqual(yield* cut.count, 1)
        yield* states.await("Closed")
        assert.notInclude(states.tags(), "Expired")
        assert.notInclude(yield* server.sessions, id)
        assert.isTrue(Option.isNone(yield* other.exists(`${root}/x`)))
      }
    }))

  it.effect("waits for what an interrupted protected create may have left, and for that alone [D10] [IDEM-05]", () =>
    Effect.gen(function*() {
      const { close, other, proxy, root, zk } = yield* makeClients()
      const gate = yield* Effect.forkChild(Effect.never)
      const held = yield* proxy.rule({ op: "create", kind: "reply" }, { before: Fiber.await(gate) })
      const create = yield* start(zk.createProtected(`${root}/n-`, "x", { mode: "persistentSequential" }))
      yield* held.fired
      yield* Fiber.interrupt(create)
      assert.strictEqual((yield* other.getChildren(root)).children.length, 1)
      const closing = yield* start(close)
      yield* failsWith(zk.create(`${root}/after`), "SessionClosed")
      yield* Fiber.interrupt(gate)
      yield* Fiber.join(closing)
      assert.deepStrictEqual((yield* other.getChildren(root)).children, [])
      assert.strictEqual((yield* proxy.frames({ kind: "request" })).at(-1)?.op, "closeSession")
    }))

  it.effect("is bounded when no server answers, and leaves writes open that were sent [D10] [D11] [X5]", () =>
    Effect.gen(function*() {
      const { close, proxy, root, zk } = yield* makeClients({ closeTimeout: "100 millis" })
      yield* proxy.freeze
      const write = yield* start(failsWith(zk.create(`${root}/a`), "SessionClosed"))
      const read = yield* start(failsWith(zk.getData(root), "SessionClosed"))
      yield* close
      assert.isTrue((yield* Fiber.join(write)).maybeApplied)
      assert.isFalse((yield* Fiber.join(read)).maybeApplied)
      yield* proxy.heal
      yield* proxy.awaitOpen(0)
    }))

  it.effect("is the end of every operation, at once, as often as it is asked for [D11] [K53]", () =>
    Effect.gen(function*() {
      const { close, proxy, root, zk } = yield* makeClients()
      const states = yield* recordStates(zk)
      yield* Effect.all([close, close], { concurrency: "unbounded" })
      yield* close
      const since = yield* proxy.position
      for (const [name, operation] of Object.entries(everyOperation(zk, root))) {
        const error = yield* failsWith(operation as Effect.Effect<unknown, ZkClient.CreateError>, "SessionClosed")
        assert.isFalse(error.maybeApplied, name)
      }
      assert.deepStrictEqual(states.tags(), ["Connected", "Closed"])
      assert.deepStrictEqual(proxy.events.slice(since).filter(({ type }) => type === "open"), [])
    }))
})

describe("closing while there is no session at hand", () => {
  type Fake = Effect.Success<typeof makeFakeServer>
  const whileIt: Record<string, {
    readonly dead: boolean
    readonly prepare: (fake: Fake) => Effect.Effect<unknown, unknown>
  }> = {
    "has no server": { dead: true, prepare: () => settle },
    "waits between attempts": { dead: true, prepare: () => pass(3_025) },
    "is being reconnected": {
      dead: false,
      prepare: Effect.fnUntraced(function*(fake) {
        yield* pass(100)
        yield* fake.onConnect(() => ({ type: "silence" }))
        yield* (yield* fake.current).close
        yield* pass(400)
        assert.strictEqual(fake.connects.length, 2)
      })
    },
    "has just lost its session": {
      dead: false,
      prepare: Effect.fnUntraced(function*(fake) {
        yield* pass(100)
        yield* fake.onConnect(({ request }) => request.sessionId === 0n ? { type: "silence" } : { type: "expired" })
        yield* (yield* fake.current).close
        yield* pass(400)
        assert.strictEqual(fake.connects.length, 3)
      })
    }
  }
  for (const [what, { dead, prepare }] of Object.entries(whileIt)) {
    it.effect(`when the client ${what} is prompt, and nothing is begun after it [D11]`, () =>
      Effect.gen(function*() {
        const fake = yield* makeFakeServer
        const wire = makeWire(fake)
        if (dead) wire.dead.add("zk:2181")
        const scope = yield* Scope.make()
        const zk = yield* Scope.provide(wire.client({ lazy: true }), scope)
        yield* prepare(fake)
        const waiting = yield* start(failsWith(zk.create("/a"), "SessionClosed"))
        const closing = yield* start(Scope.close(scope, Exit.void))
        yield* pass(2_100)
        assert.isDefined(closing.pollUnsafe())
        assert.isFalse((yield* Fiber.join(waiting)).maybeApplied)
        const { length } = wire.attempts
        yield* fake.onConnect(() => undefined)
        wire.dead.clear()
        yield* pass(30_000, 1_000)
        assert.strictEqual(wire.attempts.length, length)
        assert.isTrue(wire.attempts.every(({ stream }) => stream.destroyed))
        assert.strictEqual((yield* zk.state)._tag, "Closed")
      }))
  }

  it.effect("ends a session that comes about in that very moment [D12]", () =>
    Effect.gen(function*() {
      const fake = yield* makeFakeServer
      const wire = makeWire(fake)
      yield* fake.onConnect(() => Effect.as(Effect.sleep("1 second"), { type: "accept" as const }))
      const scope = yield* Scope.make()
      const zk = yield* Scope.provide(wire.client({ lazy: true }), scope)
      const before = yield* start(zk.create("/before"))
      yield* pass(500)
      const closing = yield* start(Scope.close(scope, Exit.void))
      yield* settle
      yield* failsWith(zk.create("/after"), "SessionClosed")
      yield* pass(600)
      yield* Fiber.join(closing)
      // What was asked for before the end was asked of that session.
      assert.strictEqual((yield* Fiber.join(before)).path, "/before")
      assert.deepStrictEqual(fake.requests.map(({ name }) => name), ["create2", "closeSession"])
      assert.strictEqual((yield* zk.state)._tag, "Closed")
      assert.strictEqual(fake.connects.length, 1)
    }))
})
