/** Copies through sessions that come and go, against a scripted server, under TestClock. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import * as ZkClient from "../src/ZkClient.ts"
import type * as ZkMirror from "../src/ZkMirror.ts"
import { makeWire, pass, settle } from "./support/fakeClient.ts"
import { type Answer, type ConnectAnswer, makeFakeServer } from "./support/fakeServer.ts"
import { frame, JuteWriter } from "./support/jute.ts"
import { mirrorOf } from "./support/mirroring.ts"
import { encodeEvent, makeStat, writeStat } from "./support/records.ts"
import { recordStates } from "./support/states.ts"
import { record } from "./support/watching.ts"

interface Script {
  /** What each node holds; its children are those that begin with its path. */
  readonly texts: Map<string, string>
  zxid: bigint
  /** Sessions that the server knows no more. */
  readonly gone: Set<bigint>
}

/** A server of a few nodes, and a client that has copies of `/r`: of the node, and of the tree. */
const scripted = Effect.gen(function*() {
  const fake = yield* makeFakeServer
  const wire = makeWire(fake)
  const script: Script = { texts: new Map([["/r", "0"]]), zxid: 10n, gone: new Set() }
  const namesBelow = (path: string) =>
    [...script.texts.keys()].filter((other) => other.startsWith(`${path}/`)).map((other) =>
      other.slice(path.length + 1)
    )
  const answer = (path: string, body: (w: JuteWriter, text: string) => JuteWriter): Answer => {
    const text = script.texts.get(path)
    const { zxid } = script
    if (text === undefined) return { type: "reply", err: -101, zxid }
    const numChildren = namesBelow(path).length
    const stat = makeStat({ czxid: 1n, mzxid: zxid, pzxid: BigInt(numChildren), numChildren })
    return { type: "reply", zxid, body: writeStat(body(new JuteWriter(), text), stat).bytes() }
  }
  yield* fake.on("getData", ({ path = "" }) => answer(path, (w, text) => w.buffer(Buffer.from(text))))
  yield* fake.on(
    "getChildren2",
    ({ path = "" }) => answer(path, (w) => w.vector(namesBelow(path), (w, n) => w.ustring(n)))
  )
  const zk = yield* wire.client()
  const mirror = yield* mirrorOf(zk)
  const node = yield* mirror.node("/r")
  const loading = yield* Effect.forkChild(mirror.tree("/r"), { startImmediately: true })
  yield* settle
  const tree = yield* Fiber.join(loading)
  const session = Effect.map(zk.state, (state) => state._tag === "Connected" ? state.sessionId : undefined)
  /** Something new, of which no event tells. */
  const change = (text: string) =>
    Effect.sync(() => {
      script.zxid++
      script.texts.set("/r", text)
    })
  /** Time passes until both copies are fresh. Gives how much. */
  const untilLive = (most: number) =>
    Effect.gen(function*() {
      yield* settle
      for (let passed = 0;; passed += 50) {
        const all: ReadonlyArray<ZkMirror.Freshness> = [yield* node.freshness, yield* tree.freshness]
        if (all.every(({ _tag }) => _tag === "Live")) return passed
        assert.isBelow(passed, most, `${(yield* zk.state)._tag} after ${passed} ms`)
        yield* pass(50)
      }
    })
  const showing = Effect.gen(function*() {
    return [(yield* node.value).text, Option.getOrThrow(yield* tree.get("/r")).text] as const
  })
  return { change, fake, node, script, session, showing, tree, untilLive, wire, zk }
})

describe("a description of copies", () => {
  it.effect("connects to nothing before it is run [Z1]", () =>
    Effect.gen(function*() {
      const fake = yield* makeFakeServer
      const wire = makeWire(fake)
      const layer = ZkClient.layer({ hosts: "zk" })
      const program = Effect.gen(function*() {
        const mirror = yield* mirrorOf(yield* ZkClient.ZkClient)
        return yield* mirror.node("/a")
      })
      const whole = Effect.scoped(Effect.provide(program, layer))
      yield* pass(5_000, 500)
      assert.deepStrictEqual([wire.attempts.length, fake.connections.length], [0, 0])
      // Building the layer is what connects.
      yield* wire.provide(Effect.scoped(Layer.build(layer)))
      assert.strictEqual(wire.attempts.length, 1)
      yield* wire.provide(whole)
      assert.strictEqual(wire.attempts.length, 2)
    }))
})

describe("copies and sessions that end", () => {
  it.effect("follow through five hundred of them, one after the other [Z34]", () =>
    Effect.gen(function*() {
      const { change, fake, session, showing, tree, untilLive } = yield* scripted
      const sessions = new Set([yield* session])
      yield* fake.onConnect(({ request }) => request.sessionId === 0n ? undefined : { type: "expired" })
      const changes = yield* record(tree.changes)
      for (let round = 1; round <= 500; round++) {
        yield* change(`${round}`)
        const connection = yield* fake.current
        yield* round % 2 === 0 ? connection.close : connection.reset
        yield* untilLive(20_000)
        assert.deepStrictEqual(yield* showing, [`${round}`, `${round}`])
        sessions.add(yield* session)
      }
      assert.strictEqual(sessions.size, 501)
      // Each session has the watches of both copies, so that what happens then is heard.
      for (const { connect, requests } of fake.connections) {
        if (connect?.request.sessionId !== 0n) continue
        const watched = requests.filter(({ name }) => name === "addWatch" || name === "setWatches2")
        assert.isNotEmpty(watched, `connection ${requests[0]?.connection}`)
      }
      yield* change("at last")
      yield* (yield* fake.current).event(3, "/r")
      yield* pass(50)
      assert.deepStrictEqual(yield* showing, ["at last", "at last"])
      yield* changes.until("the last", (values) => {
        const last = values.at(-1)
        return last?._tag === "Changed" && last.node.text === "at last"
      })
    }))

  it.effect.each(["a", "b", "c"])(
    "follow while no server answers twice alike: seed %s [Z35] [Z34]",
    (seed) =>
      Effect.gen(function*() {
        const { change, fake, script, session, showing, untilLive, wire, zk } = yield* scripted
        const states = yield* recordStates(zk)
        const random = yield* Random.Random
        const chance = (probability: number) => random.nextDoubleUnsafe() < probability
        const faults: ReadonlyArray<ConnectAnswer> = [
          { type: "refuse" },
          { type: "reset" },
          { type: "silence" },
          { type: "bogus" },
          { type: "partial", bytes: 21, end: true }
        ]
        let isFlapping = false
        let flaps = 0
        yield* fake.onConnect(({ request }) => {
          if (isFlapping && chance(0.7)) {
            flaps++
            return faults[Math.floor(random.nextDoubleUnsafe() * faults.length)]!
          }
          return script.gone.has(request.sessionId) ? { type: "expired" } : undefined
        })
        let expired = 0
        for (let round = 1; round <= 60; round++) {
          const before = yield* session
          const isEnding = chance(0.7)
          if (isEnding) script.gone.add(before!)
          isFlapping = true
          yield* change(`${round}`)
          yield* (yield* fake.current).close
          // Sometimes no server is there at all, or the connection breaks once more when it has just come about.
          if (chance(0.3)) wire.dead.add("zk:2181")
          yield* pass(chance(0.5) ? 300 : 3_000, 100)
          if (chance(0.3)) yield* (yield* fake.current).reset
          wire.dead.clear()
          isFlapping = chance(0.5)
          yield* pass(chance(0.5) ? 300 : 3_000, 100)
          isFlapping = false
          yield* untilLive(30_000)
          assert.deepStrictEqual(yield* showing, [`${round}`, `${round}`], `round ${round}`)
          if (isEnding) {
            assert.notStrictEqual(yield* session, before)
            expired++
          }
        }
        assert.isAbove(flaps, 60)
        assert.isAbove(expired, 20)
        assert.isAtLeast(states.tags().filter((tag) => tag === "Expired").length, expired)
      }).pipe(Random.withSeed(seed))
  )

  it.effect("come back after all servers were down for a minute [Z37]", () =>
    Effect.gen(function*() {
      const { change, fake, node, script, session, showing, untilLive, wire, zk } = yield* scripted
      const states = yield* recordStates(zk)
      const before = yield* session
      script.gone.add(before!)
      yield* fake.onConnect(({ request }) => script.gone.has(request.sessionId) ? { type: "expired" } : undefined)
      wire.dead.add("zk:2181")
      yield* change("1")
      yield* (yield* fake.current).close
      yield* pass(60_000, 250)
      assert.include(states.tags(), "Expired")
      assert.deepStrictEqual(yield* showing, ["0", "0"])
      assert.strictEqual((yield* node.freshness)._tag, "Stale")
      assert.isAbove(wire.attempts.length, 10)
      wire.dead.clear()
      assert.isAtMost(yield* untilLive(10_000), 2_500)
      assert.deepStrictEqual(yield* showing, ["1", "1"])
      assert.notStrictEqual(yield* session, before)
    }))
})

describe("copies and more events than wait to be looked at", () => {
  it.effect("read everything again, and tell what was missed [MIR-OVERFLOW]", () =>
    Effect.gen(function*() {
      const { fake, node, script, tree } = yield* scripted
      const freshness = yield* record(tree.freshnessChanges)
      const changes = yield* record(tree.changes)
      const names = yield* record(node.childrenChanges)
      yield* names.until("the start", (values) => values.length === 1)
      yield* changes.until("the start", (values) => values.length === 1)
      const connection = yield* fake.current
      // All in one piece: nobody has a chance to look at any of them before the last has come.
      const flood = (events: number) =>
        connection.send(Buffer.concat(Array(events).fill(frame(encodeEvent({ type: 3, state: 3, path: "/r" })))))
      script.texts.set("/r/unheard", "1")
      yield* flood(65_536)
      yield* pass(500)
      // Each event is looked at, and what none of them tells of is not.
      assert.strictEqual(yield* tree.size, 1)
      assert.deepStrictEqual(yield* node.children, [])
      assert.deepStrictEqual(freshness.values.map(({ _tag }) => _tag), ["Live"])
      yield* flood(65_537)
      yield* pass(500)
      yield* changes.until("what was missed", (values) => values.length > 1)
      assert.deepStrictEqual(changes.values.map(({ path }) => path), ["/r", "/r/unheard"])
      assert.deepStrictEqual(yield* node.children, ["unheard"])
      assert.deepStrictEqual(names.values, [Option.some([]), Option.some(["unheard"])])
      assert.deepStrictEqual(freshness.values.map(({ _tag }) => _tag), ["Live", "Stale", "Live"])
      assert.strictEqual(fake.connections.length, 1)
    }))
})
