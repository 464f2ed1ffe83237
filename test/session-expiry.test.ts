/** When a session is over though nobody says so, and what becomes of it: under TestClock, T = 6 seconds. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type { Options } from "../src/ZkConfig.ts"
import { failsWith } from "./support/failsWith.ts"
import { makeWire, pass, settle } from "./support/fakeClient.ts"
import { type FakeConnect, type FakeServer, makeFakeServer } from "./support/fakeServer.ts"
import { recordStates } from "./support/states.ts"

const connected = (options?: Options) =>
  Effect.gen(function*() {
    const fake = yield* makeFakeServer
    const wire = makeWire(fake)
    const zk = yield* wire.client(options)
    const states = yield* recordStates(zk)
    const first = yield* states.await("Connected")
    return { fake, first, states, wire, zk }
  })

/** Nobody listens any more; the connection is closed. */
const outage = (fake: FakeServer, wire: ReturnType<typeof makeWire>) =>
  Effect.gen(function*() {
    wire.dead.add("zk:2181")
    yield* (yield* fake.current).close
    yield* settle
  })

describe("a session that nobody answers for", () => {
  it.effect("ends by its own clock at four thirds of its timeout after the last byte [B5] [X6] [K12]", () =>
    Effect.gen(function*() {
      const { fake, first, states, wire, zk } = yield* connected()
      // The last byte comes at 0; what is sent later, and attempts, count for nothing.
      yield* fake.on("any", () => ({ type: "silence" }))
      yield* pass(3_000)
      const writing = yield* Effect.forkChild(failsWith(zk.setData("/a", "x"), "ConnectionLoss"), {
        startImmediately: true
      })
      wire.dead.add("zk:2181")
      yield* pass(1_100)
      yield* Fiber.join(writing)
      assert.deepStrictEqual(states.tags(), ["Connected", "Suspended"])
      const reading = yield* Effect.forkChild(failsWith(zk.getData("/a"), "SessionExpired"), { startImmediately: true })
      yield* pass(3_850)
      assert.isUndefined(reading.pollUnsafe())
      yield* pass(100)
      assert.strictEqual((yield* states.await("Expired")).sessionId, first.sessionId)
      assert.strictEqual((yield* Fiber.join(reading)).sessionId, first.sessionId)
      // Once only, and for as long as nobody is there.
      yield* pass(60_000, 500)
      assert.deepStrictEqual(states.tags(), ["Connected", "Suspended", "Expired"])
    }))

  it.effect("hands nothing of what was asked for on to the next, listeners or not [K13]", () =>
    Effect.gen(function*() {
      const { fake, wire, zk } = yield* connected()
      yield* outage(fake, wire)
      const creating = yield* Effect.forkChild(
        failsWith(zk.create("/mine", "", { mode: "ephemeral" }), "SessionExpired"),
        { startImmediately: true }
      )
      yield* pass(8_100)
      assert.isFalse((yield* Fiber.join(creating)).maybeApplied)
      wire.dead.clear()
      yield* fake.onConnect(({ request }) => request.sessionId === 0n ? { type: "accept" } : { type: "expired" })
      yield* pass(2_500)
      yield* zk.getData("/a")
      assert.notInclude(fake.requests.map(({ name }) => name), "create2")
    }))

  it.effect("is ended at the servers when one of them still knows it, before the next begins [SES-05]", () =>
    Effect.gen(function*() {
      const { fake, first, states, wire, zk } = yield* connected()
      yield* outage(fake, wire)
      yield* pass(8_100)
      yield* states.await("Expired")
      const reading = yield* Effect.forkChild(zk.getData("/a"), { startImmediately: true })
      wire.dead.clear()
      yield* pass(2_500)
      yield* Fiber.join(reading)
      const next = yield* states.await("Connected", { since: 1 })
      assert.notStrictEqual(next.sessionId, first.sessionId)
      const [, again, anew] = fake.connects
      assert.strictEqual(again?.request.sessionId, first.sessionId)
      assert.strictEqual(anew?.request.sessionId, 0n)
      assert.deepStrictEqual(
        fake.requests.filter(({ name }) => name !== "ping")
          .map(({ connection, name }) => [connection === again?.connection, name]),
        [[true, "closeSession"], [false, "getData"]]
      )
      assert.deepStrictEqual(states.tags(), ["Connected", "Suspended", "Expired", "Connected"])
    }))

  it.effect("is asked for again where a server was slow, or lost in the midst of ending it [SES-41]", () =>
    Effect.gen(function*() {
      const { fake, first, states, wire } = yield* connected()
      yield* outage(fake, wire)
      yield* pass(8_100)
      let asked = 0
      yield* fake.onConnect(({ request }) => {
        if (request.sessionId === 0n) return undefined
        return ++asked === 1 ? { type: "silence" } : undefined
      })
      let ended = 0
      yield* fake.on("closeSession", () => ({ type: ++ended === 1 ? "close" : "default" }))
      wire.dead.clear()
      yield* pass(10_000)
      const next = yield* states.await("Connected", { since: 1 })
      assert.notStrictEqual(next.sessionId, first.sessionId)
      // Not answered, its end not confirmed, ended; then the next one.
      assert.deepStrictEqual(fake.connects.map(({ request }) => request.sessionId), [
        0n,
        first.sessionId,
        first.sessionId,
        first.sessionId,
        0n
      ])
      assert.lengthOf(fake.requests.filter(({ name }) => name === "closeSession"), 2)
    }))

  it.effect("is not waited for without an end: after its timeout the next begins, whoever is silent of it [SES-41]", () =>
    Effect.gen(function*() {
      const { fake, first, states, wire } = yield* connected()
      yield* outage(fake, wire)
      yield* pass(60_000, 500)
      yield* fake.on("closeSession", () => ({ type: "silence" }))
      wire.dead.clear()
      yield* pass(6_000)
      // The minute without any server did not count.
      assert.deepStrictEqual(states.tags(), ["Connected", "Suspended", "Expired"])
      yield* pass(12_000)
      const next = yield* states.await("Connected", { since: 1 })
      assert.notStrictEqual(next.sessionId, first.sessionId)
      const [, ...later] = fake.connects.map(({ request }) => request.sessionId)
      assert.strictEqual(later.pop(), 0n)
      assert.isAbove(later.length, 1)
      assert.deepStrictEqual([...new Set(later)], [first.sessionId])
      yield* fake.defaults
    }))

  it.effect("ends the client where that was asked for [SES-03]", () =>
    Effect.gen(function*() {
      const { fake, first, states, wire, zk } = yield* connected({ onExpiry: "end" })
      yield* outage(fake, wire)
      const reading = yield* Effect.forkChild(failsWith(zk.getData("/a"), "SessionExpired"), { startImmediately: true })
      yield* pass(8_100)
      yield* Fiber.join(reading)
      const before = wire.attempts.length
      wire.dead.clear()
      yield* pass(20_000, 500)
      assert.strictEqual(wire.attempts.length, before)
      assert.strictEqual((yield* failsWith(zk.setData("/a", "x"), "SessionExpired")).sessionId, first.sessionId)
      assert.deepStrictEqual(states.tags(), ["Connected", "Suspended", "Expired"])
    }))

  it.effect("lives through an outage that is shorter, whatever the number of attempts [SES-03] [SES-26]", () =>
    Effect.gen(function*() {
      const { fake, first, states, wire, zk } = yield* connected({ hosts: "a,b,c,d,e,zk" })
      for (const server of ["a", "b", "c", "d", "e", "zk"]) wire.dead.add(`${server}:2181`)
      yield* (yield* fake.current).close
      const creating = yield* Effect.forkChild(zk.create("/a", "", { mode: "ephemeral" }), { startImmediately: true })
      yield* pass(5_000)
      wire.dead.delete("zk:2181")
      yield* pass(1_500)
      yield* Fiber.join(creating)
      const again = yield* states.await("Connected", { since: 1 })
      assert.strictEqual(again.sessionId, first.sessionId)
      assert.deepStrictEqual(states.tags(), ["Connected", "Suspended", "Connected"])
      assert.isAbove(wire.attempts.length, 12)
    }))

  it.effect("that never began is waited for without an end, and requests for theirs [B6] [SES-04] [SES-40]", () =>
    Effect.gen(function*() {
      const fake = yield* makeFakeServer
      const wire = makeWire(fake)
      wire.dead.add("zk:2181")
      const zk = yield* wire.client({ lazy: true, requestTimeout: "5 seconds" })
      const states = yield* recordStates(zk)
      const reading = yield* Effect.forkChild(failsWith(zk.getData("/a"), "OperationTimeout"), {
        startImmediately: true
      })
      yield* pass(4_900, 100)
      assert.isUndefined(reading.pollUnsafe())
      yield* pass(200, 100)
      assert.isFalse((yield* Fiber.join(reading)).maybeApplied)
      yield* pass(600_000, 2_000)
      assert.deepStrictEqual(states.tags(), ["Connecting"])
      wire.dead.clear()
      yield* pass(2_500)
      yield* states.await("Connected")
      yield* zk.sync()
      assert.notInclude(fake.requests.map(({ name }) => name), "getData")
    }))
})

describe("a server that is back", () => {
  it.effect("makes the next session as soon as it has said that the last one is over [K5] [K4]", () =>
    Effect.gen(function*() {
      const { fake, states, wire } = yield* connected()
      yield* outage(fake, wire)
      yield* pass(60_000, 500)
      yield* fake.onConnect(({ request }) => request.sessionId === 0n ? { type: "accept" } : { type: "expired" })
      wire.dead.clear()
      const before = wire.attempts.length
      // One pause of a client that has tried for a minute, and no second one.
      yield* pass(1_550)
      yield* states.await("Connected", { since: 1 })
      const [asking, anew] = wire.attempts.slice(before)
      assert.isDefined(anew)
      assert.strictEqual(anew?.at, asking?.at)
    }))

  it.effect("and has no session to give is not asked in a tight loop [C4]", () =>
    Effect.gen(function*() {
      const fake = yield* makeFakeServer
      const wire = makeWire(fake)
      yield* fake.onConnect(() => ({ type: "expired" }))
      const zk = yield* wire.client({ lazy: true })
      yield* pass(30_000, 100)
      assert.isBelow(wire.attempts.length, 40)
      assert.strictEqual((yield* zk.state)._tag, "Connecting")
    }))
})

describe("servers that have less than the client has seen", () => {
  /** As a wiped ensemble: no session of old, and no client that has seen more. */
  const wiped = (known: Set<bigint>) => ({ request }: FakeConnect) => {
    if (request.lastZxidSeen > 5n) return { type: "refuse" } as const
    if (request.sessionId !== 0n && !known.has(request.sessionId)) return { type: "expired" } as const
    return { type: "accept" } as const
  }

  it.effect("are passed by while the session may live on another [B7] [SES-31]", () =>
    Effect.gen(function*() {
      const { fake, first, states, wire, zk } = yield* connected({ hosts: "a,b,c" })
      fake.zxid = 100n
      yield* zk.setData("/a", "x")
      yield* fake.onConnect((connect) =>
        wire.attempts[connect.connection - 1]?.server === "c:2181" ? { type: "accept" } : wiped(new Set())(connect)
      )
      yield* (yield* fake.current).close
      yield* pass(400)
      const again = yield* states.await("Connected", { since: 1 })
      assert.strictEqual(again.server, "c:2181")
      assert.strictEqual(again.sessionId, first.sessionId)
      assert.strictEqual(fake.connects.at(-1)?.request.lastZxidSeen, 101n)
    }))

  it.effect.each(["", "b", "a c"])(
    "are believed once no other was found for as long as a session lives; dead are: %s [B7]",
    (dead) =>
      Effect.gen(function*() {
        const { fake, first, states, wire, zk } = yield* connected({ hosts: "a,b,c" })
        fake.zxid = 100n
        yield* zk.setData("/a", "x")
        for (const server of dead.split(" ")) wire.dead.add(`${server}:2181`)
        yield* fake.onConnect(wiped(new Set()))
        fake.zxid = 1n
        yield* (yield* fake.current).close
        yield* pass(7_900, 100)
        assert.deepStrictEqual(states.tags(), ["Connected", "Suspended"])
        assert.isTrue(fake.connects.slice(1).every(({ request }) => request.lastZxidSeen > 5n))
        yield* pass(12_000, 100)
        const next = yield* states.await("Connected", { since: 1 })
        assert.notStrictEqual(next.sessionId, first.sessionId)
        assert.deepStrictEqual(states.tags(), ["Connected", "Suspended", "Expired", "Connected"])
        yield* zk.setData("/a", "x")
        assert.strictEqual(yield* zk.lastZxid, fake.zxid)
      })
  )
})
