/** The states that kazoo and asab have. T = 6 seconds where a TestClock counts. */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as PubSub from "effect/PubSub"
import * as References from "effect/References"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { StateHub } from "../src/internal/session/stateHub.ts"
import * as ZkClient from "../src/ZkClient.ts"
import * as ZkState from "../src/ZkState.ts"
import { expireThrough } from "./support/expire.ts"
import { makeWire, pass, settle } from "./support/fakeClient.ts"
import { makeFakeServer } from "./support/fakeServer.ts"
import { makeProxy } from "./support/proxy.ts"
import { shared } from "./support/shared.ts"
import { recordStates } from "./support/states.ts"
import { record } from "./support/watching.ts"

/** Cuts the connection; the session goes on, or is over. */
const cut = (fake: Effect.Success<typeof makeFakeServer>, becomes: "resumed" | "expired") =>
  Effect.gen(function*() {
    yield* fake.onConnect(({ request }) =>
      becomes === "expired" && request.sessionId !== 0n ? { type: "expired" } : { type: "accept" }
    )
    yield* (yield* fake.current).close
    yield* pass(2_000)
  })

const message = (state: ZkState.ConnectionState) => `ZooKeeperContainer.state/${state}!` as const

describe("states for applications", () => {
  it("are three; before the first session and after the last it is lost [A20]", () => {
    const session = { sessionId: 1n } as const
    const since = {} as ZkState.Suspended["since"]
    const states: ReadonlyArray<readonly [ZkState.SessionState, ZkState.ConnectionState]> = [
      [{ _tag: "Connecting" }, "LOST"],
      [{ _tag: "Connected", ...session, server: "a:1", readOnly: false, timeout: {} as never }, "CONNECTED"],
      [{ _tag: "Suspended", ...session, since }, "SUSPENDED"],
      [{ _tag: "Expired", ...session }, "LOST"],
      [{ _tag: "AuthFailed", error: {} as never }, "LOST"],
      [{ _tag: "Closed" }, "LOST"]
    ]
    for (const [state, expected] of states) assert.strictEqual(ZkState.connectionState(state), expected)
  })

  it.effect("come in order, each once, the present one first, also to whoever comes late [A18] [A20] [A21]", () =>
    Effect.gen(function*() {
      const fake = yield* makeFakeServer
      const wire = makeWire(fake)
      const scope = yield* Scope.make()
      wire.dead.add("zk:2181")
      const zk = yield* Scope.provide(wire.client({ lazy: true }), scope)
      assert.strictEqual(ZkState.connectionState(yield* zk.state), "LOST")
      const early = yield* record(ZkState.connectionChanges(zk))
      yield* pass(1_000)
      wire.dead.clear()
      yield* pass(5_000)
      assert.deepStrictEqual(early.values, ["LOST", "CONNECTED"])
      const late = yield* record(ZkState.connectionChanges(zk))
      yield* settle
      assert.deepStrictEqual(late.values, ["CONNECTED"])
      yield* cut(fake, "resumed")
      yield* cut(fake, "expired")
      yield* Scope.close(scope, Exit.void)
      yield* Fiber.join(early.fiber)
      yield* Fiber.join(late.fiber)
      const rest = ["CONNECTED", "SUSPENDED", "CONNECTED", "SUSPENDED", "LOST", "CONNECTED", "LOST"] as const
      assert.deepStrictEqual(late.values, rest)
      assert.deepStrictEqual(early.values, ["LOST", ...rest])
      assert.deepStrictEqual(yield* Stream.runCollect(ZkState.connectionChanges(zk)), ["LOST"])
    }))

  it.effect("never come twice in a row; a slow reader hears at least that a session was lost [A18]", () =>
    Effect.gen(function*() {
      const since = {} as ZkState.Suspended["since"]
      const connected = (sessionId: bigint): ZkState.SessionState => ({
        _tag: "Connected",
        sessionId,
        server: "a:1",
        readOnly: false,
        timeout: {} as never
      })
      const told = (...states: ReadonlyArray<ZkState.SessionState>) =>
        Stream.runCollect(ZkState.connectionChanges({ stateChanges: Stream.make(...states) }))
      const [one, two] = [connected(1n), connected(2n)]
      assert.deepStrictEqual(yield* told(one, one), ["CONNECTED"])
      assert.deepStrictEqual(yield* told(one, two), ["CONNECTED", "LOST", "CONNECTED"])
      assert.deepStrictEqual(yield* told(one, { _tag: "Suspended", sessionId: 2n, since }), [
        "CONNECTED",
        "LOST",
        "SUSPENDED"
      ])
      assert.deepStrictEqual(yield* told(one, { _tag: "Expired", sessionId: 2n }), ["CONNECTED", "LOST"])
      assert.deepStrictEqual(yield* told({ _tag: "Connecting" }, { _tag: "Closed" }), ["LOST"])
      assert.deepStrictEqual(yield* told({ _tag: "Expired", sessionId: 1n }, two), ["LOST", "CONNECTED"])

      // The oldest of more than can be kept are gone.
      const hub = new StateHub()
      const stateChanges = Stream.unwrap(Effect.map(hub.subscribe, Stream.fromQueue))
      const go = yield* Deferred.make<void>()
      const seen: Array<string> = []
      hub.set(one)
      const reading = yield* Effect.forkChild(
        Stream.runForEach(ZkState.connectionChanges({ stateChanges }), (state) => {
          seen.push(state)
          return Deferred.await(go)
        }),
        { startImmediately: true }
      )
      yield* settle
      for (let id = 2n; id < 1_000n; id++) {
        hub.set({ _tag: "Expired", sessionId: id - 1n })
        hub.set(connected(id))
      }
      hub.end()
      yield* Deferred.succeed(go, undefined)
      yield* Fiber.join(reading)
      assert.isAbove(seen.length, 100)
      for (const [i, state] of seen.entries()) assert.strictEqual(state, i % 2 === 0 ? "CONNECTED" : "LOST")
    }))

  it.effect("no outage that is shorter than the session loses it; the connection is back within a second [A22]", () =>
    Effect.gen(function*() {
      const fake = yield* makeFakeServer
      const wire = makeWire(fake)
      const zk = yield* wire.client()
      const states = yield* recordStates(zk)
      const [first] = states.all
      for (let outage = 500; outage <= 5_500; outage += 250) {
        wire.dead.add("zk:2181")
        const before = states.all.length
        const attempts = wire.attempts.length
        yield* pass(2_000)
        yield* (yield* fake.current).close
        yield* pass(outage)
        assert.strictEqual((yield* zk.state)._tag, "Suspended")
        assert.isAbove(wire.attempts.length, attempts)
        wire.dead.clear()
        yield* pass(1_000)
        assert.deepStrictEqual(states.tags().slice(before), ["Suspended", "Connected"], `after ${outage} ms`)
        const last = states.all.at(-1)
        assert.isTrue(last?._tag === "Connected" && first?._tag === "Connected" && last.sessionId === first.sessionId)
      }
    }))

  it.effect("every line of the log tells session and server, without a connection and without a session too [A24]", () =>
    Effect.gen(function*() {
      const lines: Array<string> = []
      const logger = Logger.make<unknown, void>(({ fiber, message }) => {
        const annotations = fiber.getRef(References.CurrentLogAnnotations)
        const session = String(annotations["zookeeper.session"])
        lines.push(`${String(message)} | ${session} ${String(annotations["zookeeper.server"])}`)
      })
      const fake = yield* makeFakeServer
      const wire = makeWire(fake)
      yield* Effect.gen(function*() {
        const zk = yield* wire.client()
        const states = yield* recordStates(zk)
        yield* pass(2_000)
        yield* cut(fake, "expired")
        yield* states.await("Expired")
      }).pipe(
        Effect.provide(Logger.layer([logger])),
        Effect.provideService(References.MinimumLogLevel, "Debug"),
        Effect.scoped
      )
      assert.deepStrictEqual(lines, [
        "connected to zk:2181 | 0x100000001 zk:2181",
        "connection lost: zk:2181 closed the connection | 0x100000001 zk:2181",
        "session expired: zk:2181 closed the connection | 0x100000001 zk:2181",
        "connected to zk:2181 | 0x100000002 zk:2181"
      ])
    }))
})

describe("messages of asab's", () => {
  it.effect("come for each change, in order, from the first connection on, with the client that they are of [A18] [A19] [A20]", () =>
    Effect.gen(function*() {
      const messages = yield* PubSub.unbounded<ZkState.StateMessage>()
      const all = yield* record(Stream.fromPubSub(messages))
      const fakes = [yield* makeFakeServer, yield* makeFakeServer] as const
      const wires = [makeWire(fakes[0]), makeWire(fakes[1])] as const
      wires[0].dead.add("zk:2181")
      const clients = yield* Effect.all([wires[0].client({ lazy: true }), wires[1].client()])
      const scope = yield* Scope.make()
      yield* Scope.provide(ZkState.publish(clients[0], messages), scope)
      yield* ZkState.publish(clients[1], messages)
      yield* pass(1_000)
      // That there is no connection yet is nobody's message.
      assert.deepStrictEqual(all.values, [{ type: message("CONNECTED"), client: clients[1] }])
      wires[0].dead.clear()
      yield* pass(5_000)
      yield* cut(fakes[0], "expired")
      yield* cut(fakes[1], "resumed")
      const of = (client: ZkClient.ZkClient) =>
        all.values.filter((message) => message.client === client).map(({ type }) => type)
      const lost = ["CONNECTED", "SUSPENDED", "LOST", "CONNECTED"] as const
      assert.deepStrictEqual(of(clients[0]), lost.map(message))
      assert.deepStrictEqual(of(clients[1]), (["CONNECTED", "SUSPENDED", "CONNECTED"] as const).map(message))
      yield* Scope.close(scope, Exit.void)
      yield* cut(fakes[0], "resumed")
      assert.strictEqual(of(clients[0]).length, 4)
    }))

  it.effect("can be waited for once, which leaves nothing behind; late subscribers get the last one if it is kept [A21] [A41]", () =>
    Effect.gen(function*() {
      const fake = yield* makeFakeServer
      const zk = yield* makeWire(fake).client()
      const scope = yield* Scope.make()
      const messages = yield* PubSub.unbounded<ZkState.StateMessage>({ replay: 1 })
      yield* Scope.provide(ZkState.publish(zk, messages), scope)
      yield* pass(5_000)
      const next = Stream.runHead(Stream.map(Stream.fromPubSub(messages), ({ type }) => type))
      assert.deepStrictEqual(yield* next, Option.some(message("CONNECTED")))
      const lost = yield* Stream.fromPubSub(messages).pipe(
        Stream.filter(({ type }) => type === message("LOST")),
        Stream.runHead,
        Effect.forkChild({ startImmediately: true })
      )
      yield* cut(fake, "expired")
      assert.isTrue(Option.isSome(yield* Fiber.join(lost)))
      // Nobody listens any more: nothing is kept for anybody.
      assert.strictEqual(yield* PubSub.size(messages), 0)
      assert.deepStrictEqual(yield* next, Option.some(message("CONNECTED")))
      yield* PubSub.shutdown(messages)
      yield* cut(fake, "expired")
      yield* Scope.close(scope, Exit.void)
    }))

  it.effect("await-one on the states ends its subscription [A41]", () =>
    Effect.gen(function*() {
      const hub = new StateHub()
      const count = () => (hub as unknown as { readonly subscribers: ReadonlySet<unknown> }).subscribers.size
      const stateChanges = Stream.unwrap(Effect.map(hub.subscribe, Stream.fromQueue))
      const first = ZkState.connectionChanges({ stateChanges }).pipe(Stream.take(1), Stream.runDrain)
      yield* Effect.forEach(Array.from({ length: 100 }), () => first)
      assert.strictEqual(count(), 0)
      const stopped = yield* Effect.forkChild(
        Stream.runHead(Stream.filter(ZkState.connectionChanges({ stateChanges }), (state) => state === "CONNECTED")),
        { startImmediately: true }
      )
      assert.strictEqual(count(), 1)
      yield* Fiber.interrupt(stopped)
      assert.strictEqual(count(), 0)
    }))

  it.live("come from a real server: cut, healed, expired [A18]", () =>
    Effect.gen(function*() {
      const { port } = yield* shared
      const proxy = yield* makeProxy(port)
      const zk = yield* ZkClient.make({ hosts: proxy.connectString })
      const messages = yield* PubSub.bounded<ZkState.StateMessage>(16)
      const subscription = yield* PubSub.subscribe(messages)
      yield* ZkState.publish(zk, messages)
      const takes = (...states: ReadonlyArray<ZkState.ConnectionState>) =>
        Effect.forEach(states, (state) =>
          Effect.map(Effect.timeout(PubSub.take(subscription), "10 seconds"), ({ type }) =>
            assert.strictEqual(type, message(state))))
      yield* takes("CONNECTED")
      yield* proxy.cutAll
      yield* takes("SUSPENDED", "CONNECTED")
      yield* expireThrough(proxy, port)
      yield* takes("SUSPENDED", "LOST", "CONNECTED")
      assert.strictEqual(yield* PubSub.remaining(subscription), 0)
    }))
})
