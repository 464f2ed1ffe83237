/** From the attempt to the first request: whatever a server may say, or not say, in place of a handshake. */
import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Random from "effect/Random"
import { failsWith } from "./support/failsWith.ts"
import { makeWire, pass, settle } from "./support/fakeClient.ts"
import { type ConnectAnswer, type FakeConnect, makeFakeServer } from "./support/fakeServer.ts"
import { recordStates } from "./support/states.ts"

const zeros = Buffer.alloc(16)

/** The first so many connections are answered badly, all others well. */
const badAtFirst = (answer: ConnectAnswer, count = 1) => ({ connection }: FakeConnect): ConnectAnswer =>
  connection <= count ? answer : { type: "accept" }

describe("handshake", () => {
  it.effect("asks for a new session with nothing seen, no password, and the read-only byte off [B16] [K14]", () =>
    Effect.gen(function*() {
      const fake = yield* makeFakeServer
      const wire = makeWire(fake)
      yield* wire.client()
      assert.deepInclude(fake.connects[0]?.request, {
        lastZxidSeen: 0n,
        sessionId: 0n,
        timeout: 6_000,
        readOnly: false
      })
      assert.deepStrictEqual(Buffer.from(fake.connects[0]!.request.password), zeros)
    }))

  const silent: ReadonlyArray<readonly [string, ConnectAnswer]> = [
    ["nothing at all", { type: "silence" }],
    ["a length and nothing behind it", { type: "partial", bytes: 4 }],
    ["half of a length", { type: "partial", bytes: 2 }],
    ["all of an answer but one byte", { type: "partial", bytes: 40 }]
  ]

  it.effect.each(silent)(
    "goes on to the next server after a bounded time when it hears %s [B1] [B3]",
    ([, answer]) =>
      Effect.gen(function*() {
        const fake = yield* makeFakeServer
        const wire = makeWire(fake)
        yield* fake.onConnect(badAtFirst(answer))
        const making = yield* Effect.forkChild(wire.client({ hosts: "a,b" }), { startImmediately: true })
        // Two servers share half of the session timeout.
        yield* pass(1_450)
        assert.strictEqual(wire.attempts.length, 1)
        yield* pass(100)
        yield* Fiber.join(making)
        assert.deepStrictEqual(wire.attempts.map(({ server }) => server), ["a:2181", "b:2181"])
        assert.isTrue(wire.attempts[0]?.stream.destroyed)
      })
  )

  const nonsense: ReadonlyArray<readonly [string, ConnectAnswer]> = [
    ["a bare reply header, as from a read-only server", { type: "bogus" }],
    ["an HTTP answer", { type: "raw", bytes: Buffer.from("HTTP/1.1 400 Bad Request\r\n\r\n") }],
    ["a TLS alert", { type: "raw", bytes: Buffer.from([0x15, 3, 3, 0, 2, 2, 0x50, 0, 0, 0, 0]) }],
    ["a negative length", { type: "raw", bytes: Buffer.from([0xff, 0xff, 0xff, 0xfe]) }],
    ["the end", { type: "refuse" }],
    ["half an answer and the end", { type: "partial", bytes: 20, end: true }],
    ["a reset", { type: "reset" }]
  ]

  it.effect.each(nonsense)(
    "goes on to the next server at once when it hears %s [B10] [A2] [CONN-09]",
    ([, answer]) =>
      Effect.gen(function*() {
        const fake = yield* makeFakeServer
        const wire = makeWire(fake)
        yield* fake.onConnect(badAtFirst(answer))
        yield* wire.client({ hosts: "a,b" })
        assert.deepStrictEqual(wire.attempts.map(({ at, server }) => ({ at, server })), [
          { server: "a:2181", at: 0 },
          { server: "b:2181", at: 0 }
        ])
        assert.isTrue(wire.attempts[0]?.stream.destroyed)
      })
  )

  it.effect("says what it heard in place of a handshake [A2] [K2]", () =>
    Effect.gen(function*() {
      const fake = yield* makeFakeServer
      const wire = makeWire(fake)
      yield* fake.onConnect(() => ({ type: "raw", bytes: Buffer.from("HTTP/1.1 400") }))
      const making = yield* Effect.forkChild(failsWith(wire.client({ connectTimeout: "1 second" }), "ConnectError"), {
        startImmediately: true
      })
      yield* pass(1_100)
      const error = yield* Fiber.join(making)
      assert.deepStrictEqual(error.hosts, ["zk:2181"])
      // 'HTTP' as a number, and the limit.
      assert.match(error.message, /zk:2181.*1213486160.*67108864/)
    }))

  it.effect("reads an answer without the read-only byte, and shows the negotiated timeout [B16] [B15]", () =>
    Effect.gen(function*() {
      const fake = yield* makeFakeServer
      const wire = makeWire(fake)
      yield* fake.onConnect(() => ({ type: "accept", short: true, timeout: 4_000 }))
      const zk = yield* wire.client()
      const state = yield* zk.state
      assert.strictEqual(state._tag, "Connected")
      if (state._tag !== "Connected") return
      assert.isFalse(state.readOnly)
      assert.strictEqual(Duration.toMillis(state.timeout), 4_000)
      assert.strictEqual(state.server, "zk:2181")
    }))

  it.effect("writes nothing but the ConnectRequest before it is answered [B17]", () =>
    Effect.gen(function*() {
      const fake = yield* makeFakeServer
      const wire = makeWire(fake)
      let answer: (() => void) | undefined
      yield* fake.onConnect(() =>
        Effect.as(Effect.promise(() => new Promise<void>((resolve) => (answer = resolve))), { type: "accept" } as const)
      )
      const zk = yield* wire.client({ lazy: true })
      const creating = yield* Effect.forkChild(zk.create("/a"), { startImmediately: true })
      yield* fake.awaitConnect()
      yield* pass(1_000)
      assert.strictEqual(fake.requests.length, 0)
      assert.strictEqual(wire.attempts.length, 1)
      answer?.()
      assert.strictEqual((yield* Fiber.join(creating)).path, "/a")
    }))

  it.effect("a server that is slow to answer is left before the next is asked [C9]", () =>
    Effect.gen(function*() {
      const fake = yield* makeFakeServer
      const wire = makeWire(fake)
      const open: Array<number> = []
      yield* fake.onConnect(({ connection }) => {
        open.push(wire.attempts.filter(({ stream }) => !stream.destroyed).length)
        return connection < 6 ? { type: "silence" } : { type: "accept" }
      })
      const making = yield* Effect.forkChild(wire.client({ hosts: "a,b,c" }), { startImmediately: true })
      yield* pass(15_000, 100)
      yield* Fiber.join(making)
      assert.deepStrictEqual(open, [1, 1, 1, 1, 1, 1])
    }))
})

describe("servers that accept and close", () => {
  it.effect("are asked ever more slowly, up to every two seconds or so [C4] [C3] [K5]", () =>
    Effect.gen(function*() {
      const fake = yield* makeFakeServer
      const wire = makeWire(fake)
      let open = false
      yield* fake.onConnect(() => open ? { type: "accept" } : { type: "refuse" })
      const zk = yield* wire.client({ lazy: true })
      const states = yield* recordStates(zk)
      yield* pass(60_000, 100)
      const times = wire.attempts.map(({ at }) => at)
      const pauses = times.slice(1).map((at, i) => at - times[i]!)
      assert.isAtLeast(times.length, 30)
      assert.isAtMost(times.length, 60)
      for (const pause of pauses) assert.isAtMost(pause, 1_700)
      for (const pause of pauses.slice(8)) assert.isAtLeast(pause, 600)
      // A minute of it, and one more pause at most until the client is back.
      open = true
      yield* pass(1_700, 100)
      assert.deepStrictEqual(states.tags(), ["Connecting", "Connected"])
    }).pipe(Random.withSeed("pauses")))

  it.effect("are not taken for good when they close right after the handshake, again and again [B9] [C4]", () =>
    Effect.gen(function*() {
      const fake = yield* makeFakeServer
      const wire = makeWire(fake)
      const zk = yield* wire.client()
      const states = yield* recordStates(zk)
      // As when two clients have one session: each is closed as soon as the other comes.
      yield* fake.onConnect(({ connection }) =>
        Effect.as(
          Effect.forkDetach(Effect.andThen(settle, Effect.suspend(() => fake.connections[connection - 1]!.close))),
          {
            type: "accept"
          } as const
        )
      )
      const before = wire.attempts.length
      yield* (yield* fake.current).close
      for (let i = 0; i < 200; i++) {
        yield* settle
        yield* settle
        yield* pass(100, 100)
      }
      const attempts = wire.attempts.length - before
      assert.isAtLeast(attempts, 10)
      assert.isAtMost(attempts, 30)
      assert.notInclude(states.tags(), "Expired")
      assert.strictEqual(new Set(fake.connects.slice(1).map(({ request }) => request.sessionId)).size, 1)
    }).pipe(Random.withSeed("pauses")))
})

describe("who the server takes the client for", () => {
  const lose = Effect.gen(function*() {
    const fake = yield* makeFakeServer
    const wire = makeWire(fake)
    const zk = yield* wire.client()
    const states = yield* recordStates(zk)
    const first = yield* states.await("Connected")
    yield* (yield* fake.current).close
    yield* states.await("Suspended")
    return { fake, first, states, wire, zk }
  })

  it.effect("the same session is asked for, with its password and what was seen, and keeps its id [K60] [SES-19]", () =>
    Effect.gen(function*() {
      const fake = yield* makeFakeServer
      const wire = makeWire(fake)
      const zk = yield* wire.client()
      const states = yield* recordStates(zk)
      const first = yield* states.await("Connected")
      fake.zxid = (7n << 32n) | 0xfffffff0n
      yield* zk.create("/a")
      const seen = fake.zxid
      // Neither an event nor a ping tells what this client has seen.
      yield* (yield* fake.current).event(3, "/elsewhere", seen + 100n)
      yield* settle
      assert.strictEqual(yield* zk.lastZxid, seen)
      yield* (yield* fake.current).close
      yield* states.await("Suspended")
      yield* pass(400)
      const again = yield* states.await("Connected", { since: 2 })
      assert.strictEqual(again.sessionId, first.sessionId)
      assert.deepInclude(fake.connects[1]?.request, { sessionId: first.sessionId, lastZxidSeen: seen })
      assert.strictEqual(fake.connects[1]?.request.password.toString(), "fake-session-pwd")
    }))

  it.effect("an expired session is over once, and the next one is new: no id, no password [B4] [K4] [SES-01]", () =>
    Effect.gen(function*() {
      const { fake, first, states, zk } = yield* lose
      yield* fake.onConnect(({ request }) => request.sessionId === 0n ? { type: "accept" } : { type: "expired" })
      const waiting = yield* Effect.forkChild(failsWith(zk.getData("/a"), "SessionExpired"), { startImmediately: true })
      yield* pass(400)
      const next = yield* states.await("Connected", { since: 2 })
      const error = yield* Fiber.join(waiting)
      assert.strictEqual(error.sessionId, first.sessionId)
      assert.isFalse(error.maybeApplied)
      assert.deepStrictEqual(states.tags(), ["Connected", "Suspended", "Expired", "Connected"])
      assert.notStrictEqual(next.sessionId, first.sessionId)
      assert.deepStrictEqual(fake.connects.map(({ request }) => request.sessionId), [0n, first.sessionId, 0n])
      assert.deepStrictEqual(Buffer.from(fake.connects[2]!.request.password), zeros)
      yield* zk.getData("/a")
    }))

  it.effect("another session than the one that was asked for means that the old one is over [B8]", () =>
    Effect.gen(function*() {
      const { fake, first, states, zk } = yield* lose
      yield* fake.onConnect(() => ({ type: "accept", sessionId: 4711n }))
      const waiting = yield* Effect.forkChild(failsWith(zk.create("/a"), "SessionExpired"), { startImmediately: true })
      yield* pass(400)
      const next = yield* states.await("Connected", { since: 2 })
      assert.strictEqual((yield* Fiber.join(waiting)).sessionId, first.sessionId)
      assert.strictEqual(next.sessionId, 4711n)
      assert.deepStrictEqual(states.tags(), ["Connected", "Suspended", "Expired", "Connected"])
      assert.strictEqual(fake.connects.length, 2)
      assert.strictEqual(fake.requests.length, 0)
    }))

  it.effect("another session ends a client that is to end with its session [B8]", () =>
    Effect.gen(function*() {
      const fake = yield* makeFakeServer
      const wire = makeWire(fake)
      const zk = yield* wire.client({ onExpiry: "end" })
      const states = yield* recordStates(zk)
      yield* fake.onConnect(() => ({ type: "accept", sessionId: 4711n }))
      yield* (yield* fake.current).close
      yield* pass(400)
      yield* states.await("Expired")
      yield* failsWith(zk.getData("/a"), "SessionExpired")
      yield* pass(5_000, 500)
      yield* fake.awaitClosed
      assert.deepStrictEqual(states.tags(), ["Connected", "Suspended", "Expired"])
      assert.strictEqual(wire.attempts.length, 2)
    }))
})
