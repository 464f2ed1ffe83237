/** What a client says of its session: under TestClock, T = 6 seconds. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Random from "effect/Random"
import * as Stream from "effect/Stream"
import { StateHub } from "../src/internal/session/stateHub.ts"
import type { SessionState } from "../src/ZkState.ts"
import { isConnected } from "../src/ZkState.ts"
import { makeWire, pass, settle } from "./support/fakeClient.ts"
import { type ConnectAnswer, makeFakeServer } from "./support/fakeServer.ts"
import { recordStates } from "./support/states.ts"

describe("states", () => {
  it.effect("come in order, each once, from the first connection to the end of the client [N4] [K11] [SES-01]", () =>
    Effect.gen(function*() {
      const fake = yield* makeFakeServer
      const wire = makeWire(fake)
      const states = yield* Effect.scoped(Effect.gen(function*() {
        wire.dead.add("zk:2181")
        const zk = yield* wire.client({ lazy: true })
        const states = yield* recordStates(zk)
        const all = yield* Effect.forkDetach(Stream.runCollect(zk.stateChanges), { startImmediately: true })
        yield* pass(1_000)
        wire.dead.clear()
        yield* pass(3_000)
        yield* (yield* fake.current).close
        yield* pass(2_000)
        yield* fake.onConnect(({ request }) => request.sessionId === 0n ? { type: "accept" } : { type: "expired" })
        yield* (yield* fake.current).close
        yield* pass(2_000)
        yield* states.await("Expired")
        return all
      }))
      const tags = Array.from(yield* Fiber.join(states), (state) => state._tag)
      assert.deepStrictEqual(tags, [
        "Connecting",
        "Connected",
        "Suspended",
        "Connected",
        "Suspended",
        "Expired",
        "Connected",
        "Closed"
      ])
    }))

  it.effect("are told to whoever asks late, the current one first, and end with the client [K10] [SES-35]", () =>
    Effect.gen(function*() {
      const fake = yield* makeFakeServer
      const wire = makeWire(fake)
      const { late, zk } = yield* Effect.scoped(Effect.gen(function*() {
        const zk = yield* wire.client()
        assert.isTrue(isConnected(yield* zk.state))
        const late = yield* Effect.forkDetach(Stream.runCollect(zk.stateChanges), { startImmediately: true })
        yield* settle
        return { late, zk }
      }))
      assert.deepStrictEqual((yield* Fiber.join(late)).map(({ _tag }) => _tag), ["Connected", "Closed"])
      assert.strictEqual((yield* zk.state)._tag, "Closed")
      assert.deepStrictEqual((yield* Stream.runCollect(zk.stateChanges)).map(({ _tag }) => _tag), ["Closed"])
    }))

  it.effect("reach every subscriber, though another one fails, stops, or never looks [N4] [SES-07]", () =>
    Effect.gen(function*() {
      const fake = yield* makeFakeServer
      const wire = makeWire(fake)
      const zk = yield* wire.client()
      const failing = yield* Effect.forkScoped(
        Stream.runForEach(zk.stateChanges, () => Effect.die(new Error("not my day"))),
        { startImmediately: true }
      )
      yield* Effect.forkScoped(Stream.runForEach(zk.stateChanges, () => Effect.never), { startImmediately: true })
      const first = yield* Stream.runCollect(Stream.take(zk.stateChanges, 1))
      assert.strictEqual(first.length, 1)
      const states = yield* recordStates(zk)
      yield* (yield* fake.current).close
      yield* pass(500)
      yield* states.await("Connected", { since: 1 })
      assert.strictEqual((yield* Fiber.await(failing))._tag, "Failure")
    }))

  it.effect("pile up for a subscriber that is slow; the oldest go, never the newest [N4]", () =>
    Effect.gen(function*() {
      const hub = new StateHub()
      const queue = yield* hub.subscribe
      const state = (i: number): SessionState => ({ _tag: "Expired", sessionId: BigInt(i) })
      for (let i = 1; i <= 1_000; i++) hub.set(state(i))
      hub.end()
      const seen = yield* Stream.runCollect(Stream.fromQueue(queue))
      assert.strictEqual(seen.length, 256)
      assert.deepStrictEqual(seen.at(-1), state(1_000))
      assert.deepStrictEqual(seen[0], state(745))
    }))

  it.effect("cost nothing once nobody listens: a thousand subscribers leave nothing behind [N3] [C8]", () =>
    Effect.gen(function*() {
      const hub = new StateHub()
      const count = () => (hub as unknown as { readonly subscribers: ReadonlySet<unknown> }).subscribers.size
      yield* Effect.forEach(
        Array.from({ length: 1_000 }),
        () => Effect.scoped(Effect.andThen(hub.subscribe, Effect.sync(() => assert.strictEqual(count(), 1))))
      )
      assert.strictEqual(count(), 0)
    }))
})

/** What may follow what. */
const allowed: Readonly<Record<SessionState["_tag"], ReadonlyArray<SessionState["_tag"]>>> = {
  Connecting: ["Connected", "Closed"],
  Connected: ["Suspended", "Closed"],
  Suspended: ["Connected", "Expired", "Closed"],
  Expired: ["Connected", "Closed"],
  AuthFailed: ["Closed"],
  Closed: []
}

describe("a thousand faults", () => {
  it.effect.each(["a", "b", "c", "d"])(
    "never bring a state that may not follow the last: seed %s [K11] [N4] [B4] [Z40]",
    (seed) =>
      Effect.gen(function*() {
        const fake = yield* makeFakeServer
        const wire = makeWire(fake)
        const hosts = ["zk1", "zk2", "zk3"]
        const random = yield* Random.Random
        const pick = <A>(...items: ReadonlyArray<A>): A => items[Math.floor(random.nextDoubleUnsafe() * items.length)]!
        const answers: ReadonlyArray<ConnectAnswer> = [
          { type: "expired" },
          { type: "refuse" },
          { type: "reset" },
          { type: "silence" },
          { type: "bogus" },
          { type: "partial", bytes: 21 },
          { type: "accept", sessionId: 4711n }
        ]
        let faults = 0
        const chance = (probability: number) => random.nextDoubleUnsafe() < probability
        yield* fake.onConnect(() => {
          if (!chance(0.4)) return undefined
          faults++
          return pick(...answers)
        })
        const zk = yield* wire.client({ hosts, requestTimeout: "3 seconds" })
        const states = yield* recordStates(zk)
        const breakIt = Effect.suspend(() => {
          faults++
          const last = fake.connections.at(-1)!
          return pick(
            last.close,
            last.reset,
            last.send(Buffer.from([0xff, 0, 0, 0])),
            fake.once("ping", () => ({ type: "silence" })),
            Effect.sync(() => pick(...hosts.map((host) => () => void wire.dead.add(`${host}:2181`)))()),
            Effect.sync(() => wire.dead.clear())
          )
        })
        while (faults < 250) {
          yield* Effect.forkChild(Effect.ignore(chance(0.5) ? zk.getData("/a") : zk.setData("/a", "x")), {
            startImmediately: true
          })
          yield* breakIt
          yield* pass(pick(20, 100, 700, 5_000), 100)
        }
        yield* fake.defaults
        wire.dead.clear()
        yield* pass(20_000, 200)
        yield* zk.setData("/a", "x")
        assert.include(states.tags(), "Expired")
        let session: bigint | undefined
        for (const [i, state] of states.all.entries()) {
          const next = states.all[i + 1]
          if (next !== undefined) assert.include(allowed[state._tag], next._tag, `after ${state._tag}`)
          if (!("sessionId" in state)) continue
          // An id stays until it has expired, and does not come back.
          if (session !== undefined) assert.strictEqual(state.sessionId, session, `state ${i} ${state._tag}`)
          session = state._tag === "Expired" ? undefined : state.sessionId
        }
      }).pipe(Random.withSeed(seed))
  )
})
