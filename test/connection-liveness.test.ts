/** How a client notices that nobody is there any more, and shows that it is: under TestClock, T = 6 seconds. */
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { TestClock } from "effect/testing"
import { BootTime } from "../src/internal/session/clock.ts"
import { failsWith } from "./support/failsWith.ts"
import { makeWire, pass, settle } from "./support/fakeClient.ts"
import { type FakeServer, makeFakeServer } from "./support/fakeServer.ts"
import { frame } from "./support/jute.ts"
import { encodeEvent, encodeReply } from "./support/records.ts"
import { recordStates } from "./support/states.ts"

/** Notes when pings come, by the test's Clock, and answers them or not. */
const pingTimes = (fake: FakeServer, answered = true) => {
  const times: Array<number> = []
  const noting = Effect.map(Clock.currentTimeMillis, (at) => {
    times.push(at)
    return answered ? undefined : { type: "silence" } as const
  })
  return Effect.as(fake.on("ping", () => noting), times)
}

describe("pings", () => {
  it.effect("are sent when nothing was sent for a sixth of the negotiated timeout [K60] [B15]", () =>
    Effect.gen(function*() {
      const fake = yield* makeFakeServer
      const times = yield* pingTimes(fake)
      const wire = makeWire(fake)
      yield* fake.onConnect(() => ({ type: "accept", timeout: 3_000 }))
      const zk = yield* wire.client({ sessionTimeout: "1 hour" })
      yield* pass(3_000)
      assert.deepStrictEqual(times, [500, 1_000, 1_500, 2_000, 2_500, 3_000])
      yield* pass(250)
      yield* zk.getData("/a")
      yield* pass(450)
      assert.strictEqual(times.length, 6)
      yield* pass(50)
      assert.strictEqual(times.at(-1), 3_750)
    }))

  it.effect("keep their pace though answers take their time, and go out at once behind one that was late [K60] [B15]", () =>
    Effect.gen(function*() {
      const fake = yield* makeFakeServer
      const times: Array<number> = []
      yield* fake.on("ping", () =>
        Effect.flatMap(Clock.currentTimeMillis, (at) => {
          times.push(at)
          return Effect.as(Effect.sleep(at === 2_000 ? 700 : 50), undefined)
        }))
      const wire = makeWire(fake)
      yield* fake.onConnect(() => ({ type: "accept", timeout: 3_000 }))
      yield* wire.client({ sessionTimeout: "1 hour" })
      yield* pass(3_200)
      assert.deepStrictEqual(times, [500, 1_000, 1_500, 2_000, 2_700, 3_200])
    }))

  it.effect("are not needed while requests are sent, and unasked answers to them are ignored [SES-10] [SES-12]", () =>
    Effect.gen(function*() {
      const fake = yield* makeFakeServer
      const times = yield* pingTimes(fake)
      const zk = yield* makeWire(fake).client()
      const states = yield* recordStates(zk)
      yield* (yield* fake.current).send(frame(encodeReply({ xid: -2, zxid: 1n, err: 0 })))
      for (let i = 0; i < 30; i++) {
        yield* zk.getData("/a")
        yield* pass(900, 300)
      }
      assert.deepStrictEqual(times, [])
      yield* pass(60_000, 500)
      assert.closeTo(times.length, 60, 1)
      assert.deepStrictEqual(states.tags(), ["Connected"])
      assert.strictEqual(fake.connects.length, 1)
    }))

  it.effect("are under way one at a time; the silence, not their number, is what ends the connection [B21] [B2]", () =>
    Effect.gen(function*() {
      const fake = yield* makeFakeServer
      const times = yield* pingTimes(fake, false)
      const zk = yield* makeWire(fake).client()
      const states = yield* recordStates(zk)
      yield* pass(3_950)
      assert.deepStrictEqual(times, [1_000])
      assert.deepStrictEqual(states.tags(), ["Connected"])
      yield* pass(100)
      yield* states.await("Suspended")
      assert.isFalse(fake.connections[0]?.isOpen)
    }))
})

describe("a server that says nothing", () => {
  it.effect("is left after two thirds of the timeout: reads go on elsewhere, of a write nobody knows [B2] [K60]", () =>
    Effect.gen(function*() {
      const fake = yield* makeFakeServer
      const wire = makeWire(fake)
      const zk = yield* wire.client({ hosts: "a,b,c" })
      const states = yield* recordStates(zk)
      const first = yield* states.await("Connected")
      yield* fake.on("any", ({ connection }) => connection === 1 ? { type: "silence" } : { type: "default" })
      const reading = yield* Effect.forkChild(zk.getData("/read"), { startImmediately: true })
      const writing = yield* Effect.forkChild(failsWith(zk.setData("/write", "x"), "ConnectionLoss"), {
        startImmediately: true
      })
      yield* pass(3_950)
      assert.isUndefined(reading.pollUnsafe())
      assert.isUndefined(writing.pollUnsafe())
      yield* pass(450)
      yield* Fiber.join(reading)
      const error = yield* Fiber.join(writing)
      assert.isTrue(error.maybeApplied)
      assert.include(error.message, "silent")
      const again = yield* states.await("Connected", { since: 2 })
      assert.strictEqual(again.sessionId, first.sessionId)
      assert.strictEqual(again.server, "b:2181")
    }))

  it.effect("is left also while requests are written all the time [B22]", () =>
    Effect.gen(function*() {
      const fake = yield* makeFakeServer
      const zk = yield* makeWire(fake).client()
      const states = yield* recordStates(zk)
      yield* fake.on("any", () => ({ type: "silence" }))
      for (let i = 0; i < 19; i++) {
        yield* Effect.forkScoped(Effect.ignore(zk.setData("/a", String(i))), { startImmediately: true })
        yield* pass(200)
      }
      assert.deepStrictEqual(states.tags(), ["Connected"])
      assert.strictEqual(fake.requests.length, 19)
      yield* pass(300)
      yield* states.await("Suspended")
    }))

  it.effect("is asked last the next time [C10] [B1]", () =>
    Effect.gen(function*() {
      const fake = yield* makeFakeServer
      const wire = makeWire(fake)
      // Frozen: its connections come about, and nothing else does.
      const isFrozen = (connection: number) => wire.attempts[connection - 1]?.server === "a:2181"
      let frozen = false
      yield* fake.onConnect(({ connection }) =>
        frozen && isFrozen(connection) ? { type: "silence" } : { type: "accept" }
      )
      yield* fake.on("any", ({ connection }) => frozen && isFrozen(connection) ? { type: "silence" } : undefined)
      const zk = yield* wire.client({ hosts: "a,b,c" })
      const states = yield* recordStates(zk)
      frozen = true
      yield* pass(4_500)
      assert.deepStrictEqual(wire.attempts.map(({ server }) => server), ["a:2181", "b:2181"])
      wire.dead.add("b:2181")
      yield* pass(2_000)
      yield* (yield* fake.current).close
      yield* pass(500)
      assert.deepStrictEqual(wire.attempts.slice(2).map(({ server }) => server), ["c:2181"])
      assert.deepStrictEqual(states.tags(), ["Connected", "Suspended", "Connected", "Suspended", "Connected"])
    }))
})

describe("a machine that slept", () => {
  const asleep = Effect.gen(function*() {
    const fake = yield* makeFakeServer
    const boot = { seconds: 1_000 }
    const wire = makeWire(fake, () => boot.seconds)
    const zk = yield* wire.client()
    const states = yield* recordStates(zk)
    yield* states.await("Connected")
    // Its monotonic clock goes on where it stopped, some time into the quiet after a request.
    yield* pass(500)
    return { boot, fake, states, wire, zk }
  })

  it.effect("for longer than the session lives: it is over before the first write after waking [B18] [SES-39]", () =>
    Effect.gen(function*() {
      const { boot, fake, states, zk } = yield* asleep
      boot.seconds += 3_600
      const told: Array<string> = []
      const error = yield* failsWith(zk.setData("/a", "x"), "SessionExpired").pipe(
        Effect.tap(Effect.map(zk.state, (state) => told.push(state._tag)))
      )
      assert.isFalse(error.maybeApplied)
      assert.deepStrictEqual(told, ["Expired"])
      yield* pass(1_000)
      yield* states.await("Connected", { since: 1 })
      assert.deepStrictEqual(states.tags(), ["Connected", "Suspended", "Expired", "Connected"])
      assert.isEmpty(fake.requests.filter(({ name }) => name === "setData"))
      yield* zk.setData("/a", "x")
    }))

  it.effect("not as long: what is asked for waits, and goes over a new connection [B18]", () =>
    Effect.gen(function*() {
      const { boot, fake, states, zk } = yield* asleep
      boot.seconds += 5
      const writing = yield* Effect.forkChild(zk.setData("/a", "x"), { startImmediately: true })
      yield* settle
      assert.strictEqual((yield* states.await("Suspended"))._tag, "Suspended")
      assert.isEmpty(fake.requests)
      yield* pass(400)
      yield* Fiber.join(writing)
      assert.deepStrictEqual(states.tags(), ["Connected", "Suspended", "Connected"])
      assert.deepStrictEqual(fake.requests.map(({ connection, name }) => [connection, name]), [[2, "setData"]])
    }))

  it.effect("in the midst of traffic: within a moment nothing more is written [B18]", () =>
    Effect.gen(function*() {
      const { boot, fake, states, zk } = yield* asleep
      const write = Effect.forkChild(Effect.exit(zk.setData("/a", "x")), { startImmediately: true })
      const busy = (millis: number) =>
        Effect.forEach(Array.from({ length: millis / 20 }), () => Effect.andThen(write, pass(20, 20)), {
          discard: true
        })
      yield* busy(1_000)
      assert.deepStrictEqual(states.tags(), ["Connected"])
      const written = fake.requests.length
      boot.seconds += 3_600
      yield* busy(1_000)
      yield* states.await("Expired")
      const slipped = fake.requests.filter(({ connection, index }) => connection === 1 && index >= written)
      assert.isAtMost(slipped.length, 6)
    }))

  it.effect("with nobody who asks for anything: the next timer finds out, and announces it [B18]", () =>
    Effect.gen(function*() {
      const { boot, fake, states } = yield* asleep
      boot.seconds += 3_600
      yield* pass(550)
      yield* states.await("Expired")
      assert.isEmpty(fake.connections[0]?.requests)
      assert.isFalse(fake.connections[0]?.isOpen)
    }))

  it.effect("does not believe what waited in its sockets [B18]", () =>
    Effect.gen(function*() {
      const { boot, fake, states, zk } = yield* asleep
      yield* fake.once("getData", () => ({ type: "silence" }))
      const reading = yield* Effect.forkChild(zk.getData("/a"), { startImmediately: true })
      const request = yield* fake.awaitRequest("getData")
      yield* pass(200)
      boot.seconds += 5
      yield* request.reply({ type: "reply", err: -101 })
      yield* settle
      yield* states.await("Suspended")
      assert.isUndefined(reading.pollUnsafe())
      yield* pass(400)
      yield* Fiber.join(reading)
    }))

  it.effect("is told from one that counts in whole seconds [B18]", () =>
    Effect.gen(function*() {
      const fake = yield* makeFakeServer
      const clock = yield* Clock.Clock
      const wire = makeWire(fake, () => Math.floor(clock.currentTimeMillisUnsafe() / 1_000))
      const zk = yield* wire.client()
      const states = yield* recordStates(zk)
      for (let i = 0; i < 30; i++) {
        yield* zk.getData("/a")
        yield* pass(730, 73)
      }
      assert.deepStrictEqual(states.tags(), ["Connected"])
      assert.strictEqual(fake.connects.length, 1)
    }))
})

describe("the wall clock", () => {
  it.effect("may jump: nothing happens [B19]", () =>
    Effect.gen(function*() {
      const fake = yield* makeFakeServer
      const wire = makeWire(fake)
      let offset = 0
      const zk = yield* TestClock.testClockWith((real) => {
        const clock: Clock.Clock = {
          currentTimeMillisUnsafe: () => real.currentTimeMillisUnsafe() + offset,
          currentTimeMillis: Effect.map(real.currentTimeMillis, (millis) => millis + offset),
          currentTimeNanosUnsafe: () => real.currentTimeNanosUnsafe() + BigInt(offset) * 1_000_000n,
          currentTimeNanos: Effect.map(real.currentTimeNanos, (nanos) => nanos + BigInt(offset) * 1_000_000n),
          monotonicTimeNanosUnsafe: () => real.monotonicTimeNanosUnsafe(),
          monotonicTimeNanos: real.monotonicTimeNanos,
          sleep: (duration) => real.sleep(duration)
        }
        return wire.client().pipe(Effect.provideService(Clock.Clock, clock))
      })
      const states = yield* recordStates(zk)
      for (const hours of [1, -1, 24 * 365, 0]) {
        offset = hours * 3_600_000
        yield* zk.setData("/a", "x")
        yield* pass(3_000, 100)
      }
      assert.deepStrictEqual(states.tags(), ["Connected"])
      assert.strictEqual(fake.requests.filter(({ name }) => name === "ping").length, 12)
      assert.strictEqual(fake.connects.length, 1)
    }))
})

describe("a flood", () => {
  it.live("of events does not keep pings from being sent in time [B20]", () =>
    Effect.gen(function*() {
      const fake = yield* makeFakeServer
      const zk = yield* makeWire(fake).client({ sessionTimeout: "1200 millis" }).pipe(
        Effect.provideService(BootTime, () => 0)
      )
      const states = yield* recordStates(zk)
      const connection = yield* fake.current
      const event = frame(encodeEvent({ type: 3, state: 3, path: "/some/node/that/nobody/watches" }, 1n))
      const chunk = Buffer.concat(Array.from({ length: 64 * 1024 / event.length }, () => event))
      let flooding = true
      let sent = 0
      yield* Effect.forkScoped(
        Effect.promise(async () => {
          while (flooding) {
            await Effect.runPromise(connection.send(chunk))
            sent++
            await new Promise((resolve) => setImmediate(resolve))
          }
        }),
        { startImmediately: true }
      )
      yield* fake.awaitRequest((request) => request.name === "ping" && request.index >= 9)
      flooding = false
      assert.isAbove(sent, 100)
      yield* zk.getData("/a")
      assert.deepStrictEqual(states.tags(), ["Connected"])
    }))
})
