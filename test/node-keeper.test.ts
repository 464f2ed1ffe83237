import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import type { Options } from "../src/ZkConfig.ts"
import { failsWith } from "./support/failsWith.ts"
import { makeWire, pass, settle } from "./support/fakeClient.ts"
import { err, ok } from "./support/fakeScript.ts"
import { makeFakeServer } from "./support/fakeServer.ts"
import { JuteWriter } from "./support/jute.ts"
import { makeStat, Op, writeStat } from "./support/records.ts"
import { recordStates } from "./support/states.ts"
import { keptNumber, warnings } from "./support/typedNodes.ts"

const path = "/a"
const secret = 573_829
const noNode = -101
const noAuth = -102
const invalidAcl = -114

/** A scripted server that knows one ephemeral node. */
const rig = (options?: Options) =>
  Effect.gen(function*() {
    const fake = yield* makeFakeServer
    let stat: ReturnType<typeof makeStat> | undefined
    const refused = { create: 0, getData: 0, getChildren: 0 }
    let zxid = 100n
    const found = () => stat === undefined ? undefined : writeStat(new JuteWriter(), stat).bytes()
    yield* fake.on("any", ({ op }) => {
      switch (op) {
        case Op.create2: {
          if (refused.create !== 0) return err(refused.create)
          if (stat !== undefined) return err(-110)
          stat = makeStat({ ephemeralOwner: session(), czxid: ++zxid, mzxid: zxid })
          return [
            { type: "event", event: 1, path },
            ok(writeStat(new JuteWriter().ustring(path), stat).bytes())
          ]
        }
        case Op.delete:
          stat = undefined
          return ok()
        case Op.exists:
          return stat === undefined ? err(noNode) : ok(found()!)
        case Op.getData: {
          if (stat === undefined) return err(noNode)
          if (refused.getData !== 0) return err(refused.getData)
          return ok(writeStat(new JuteWriter().buffer(Buffer.from(String(secret))), stat).bytes())
        }
        case Op.getChildren2:
          return stat === undefined ? err(noNode) : { type: "default" }
        default:
          return { type: "default" }
      }
    })
    const wire = makeWire(fake)
    const scope = yield* Effect.acquireRelease(Scope.make(), (scope, exit) => Scope.close(scope, exit))
    const zk = yield* Scope.provide(wire.client(options), scope)
    const states = yield* recordStates(zk)
    yield* states.await("Connected")
    const session = () => {
      const known = states.all.findLast((state) => state._tag === "Connected")
      return known?._tag === "Connected" ? known.sessionId : 0n
    }
    const log = warnings()
    return {
      fake,
      wire,
      zk,
      log,
      states,
      refused,
      closeClient: Scope.close(scope, Exit.void),
      isThere: () => stat !== undefined,
      /** It goes, and whoever watches it is told, if at all. */
      vanish: (isTold = true) =>
        Effect.andThen(
          Effect.sync(() => void (stat = undefined)),
          isTold ? Effect.flatMap(fake.current, (connection) => connection.event(2, path)) : Effect.void
        ),
      /** The session ends, with the node; the next begins. */
      expire: Effect.gen(function*() {
        const since = states.all.length
        yield* fake.onConnect(({ request }) => request.sessionId === 0n ? { type: "accept" } : { type: "expired" })
        yield* (yield* fake.current).close
        stat = undefined
        yield* pass(3_000)
        yield* states.await("Connected", { since })
      }),
      count: (name: string, since = 0) => fake.requests.slice(since).filter((request) => request.name === name).length
    }
  })

/** When requests of this kind come, by the test's Clock. */
const timesOf = (fake: { readonly requests: ReadonlyArray<{ readonly name: string }> }, name: string) => {
  const times: Array<number> = []
  let seen = 0
  return {
    times,
    pass: (millis: number) =>
      Effect.gen(function*() {
        const end = (yield* Clock.currentTimeMillis) + millis
        while ((yield* Clock.currentTimeMillis) < end) {
          yield* pass(100, 100)
          const now = yield* Clock.currentTimeMillis
          for (const request of fake.requests.slice(seen)) if (request.name === name) times.push(now)
          seen = fake.requests.length
        }
      })
  }
}

describe("a node that cannot be kept", () => {
  for (const code of [noAuth, invalidAcl]) {
    it.effect(`is warned of, and tried again with pauses that grow, until it can: ${code} [PN-06]`, () =>
      Effect.gen(function*() {
        const { fake, isThere, log, refused, vanish, zk } = yield* rig()
        yield* Effect.gen(function*() {
          yield* keptNumber(zk, path, secret)
          refused.create = code
          const since = fake.requests.length
          const clock = timesOf({
            get requests() {
              return fake.requests.slice(since)
            }
          }, "create2")
          yield* vanish()
          yield* clock.pass(120_000)
          const gaps = clock.times.slice(1).map((time, i) => time - clock.times[i]!)
          assert.isAtLeast(gaps.length, 9)
          assert.isAtMost(gaps.length, 20)
          assert.isAtMost(gaps[0]!, 500)
          for (const gap of gaps.slice(-4)) assert.isTrue(gap >= 11_000 && gap <= 19_000, String(gaps))
          // None of them is silent, and none tells the value.
          assert.lengthOf(log.lines, clock.times.length)
          for (const line of log.lines) {
            assert.include(line, `${path} cannot be made anew`)
            assert.notInclude(line, String(secret))
          }
          // Pings aside, nothing else is asked either.
          const others = fake.requests.slice(since).filter(({ name }) => name !== "ping" && name !== "create2")
          assert.isAtMost(others.length, 4)
          refused.create = 0
          yield* pass(20_000, 500)
          assert.isTrue(isThere())
          const tries = fake.requests.length
          yield* pass(30_000, 500)
          assert.isTrue(fake.requests.slice(tries).every(({ name }) => name === "ping"))
        }).pipe(Effect.scoped, Effect.provide(log.layer))
        assert.isFalse(isThere())
      }))
  }

  it.effect("is an error of make at first, which leaves nothing running [PN-06]", () =>
    Effect.gen(function*() {
      const { fake, log, refused, zk } = yield* rig()
      refused.create = noAuth
      yield* Effect.gen(function*() {
        const making = yield* Effect.forkChild(failsWith(keptNumber(zk, path, secret), "NoAuth"))
        yield* pass(500)
        yield* Fiber.join(making)
        const since = fake.requests.length
        yield* pass(30_000, 500)
        assert.isTrue(fake.requests.slice(since).every(({ name }) => name === "ping"))
      }).pipe(Effect.provide(log.layer))
      assert.deepStrictEqual(log.lines, [])
    }))

  it.effect("is kept though it may not be read: that is warned of, and the node is looked for [NODE-KEPT-UNREADABLE]", () =>
    Effect.gen(function*() {
      const { expire, fake, isThere, log, refused, vanish, zk } = yield* rig()
      refused.getData = noAuth
      yield* Effect.gen(function*() {
        const making = yield* Effect.forkScoped(keptNumber(zk, path, secret))
        yield* pass(500)
        const node = yield* Fiber.join(making)
        yield* failsWith(node.get, "NoAuth")
        const since = fake.requests.length
        yield* pass(60_000, 500)
        assert.isAtMost(fake.requests.slice(since).filter(({ name }) => name !== "ping").length, 60)
        assert.isTrue(log.lines.length > 3 && log.lines.length < 20)
        for (const line of log.lines) assert.include(line, `${path} cannot be followed`)
        // It can be set nevertheless.
        const setting = yield* Effect.forkChild(node.set(secret), { startImmediately: true })
        yield* pass(500)
        yield* Fiber.join(setting)
        // Nobody is told who may not read it.
        yield* vanish(false)
        yield* pass(40_000, 500)
        assert.isTrue(isThere())
        yield* expire
        yield* pass(40_000, 500)
        assert.isTrue(isThere())
      }).pipe(Effect.scoped, Effect.provide(log.layer))
      assert.isFalse(isThere())
    }))
})

describe("keeping a node", () => {
  it.effect("ends in silence with the client [NODE-KEPT-END]", () =>
    Effect.gen(function*() {
      const { closeClient, fake, log, refused, vanish, zk } = yield* rig()
      yield* Effect.gen(function*() {
        const node = yield* keptNumber(zk, path, secret)
        // In the middle of being made anew.
        refused.create = noAuth
        yield* vanish()
        yield* pass(1_000)
        const lines = log.lines.length
        assert.isAbove(lines, 1)
        const since = fake.requests.length
        yield* closeClient
        yield* pass(30_000, 500)
        assert.lengthOf(log.lines, lines)
        assert.isTrue(fake.requests.slice(since).every(({ name }) => name === "closeSession"))
        yield* failsWith(node.get, "SessionClosed")
        yield* failsWith(node.set(1), "SessionClosed")
      }).pipe(Effect.scoped, Effect.provide(log.layer))
    }))

  it.effect("ends with the session where the client is bound to one [NODE-KEPT-END]", () =>
    Effect.gen(function*() {
      const { expire, fake, isThere, log, refused, vanish, zk } = yield* rig()
      yield* Effect.gen(function*() {
        const session = yield* zk.session
        const node = yield* keptNumber(session.client, path, secret)
        refused.create = noAuth
        yield* vanish()
        yield* pass(1_000)
        refused.create = 0
        yield* expire
        const lines = log.lines.length
        const since = fake.requests.length
        yield* pass(60_000, 500)
        assert.isAtMost(log.lines.length, lines + 1)
        assert.isTrue(fake.requests.slice(since).every(({ name }) => name === "ping"))
        assert.isFalse(isThere())
        yield* failsWith(node.set(1), "SessionExpired")
      }).pipe(Effect.scoped, Effect.provide(log.layer))
    }))

  it.effect("lets writes fail in time while there is no server, and be interrupted [NODE-KEPT-OUTAGE]", () =>
    Effect.gen(function*() {
      const { fake, isThere, log, vanish, wire, zk } = yield* rig({ requestTimeout: "2 seconds" })
      yield* Effect.gen(function*() {
        const node = yield* keptNumber(zk, path, secret)
        wire.dead.add("zk:2181")
        yield* fake.on("create2", () => ({ type: "silence" }))
        // The node is being made anew, when the connection goes.
        yield* vanish()
        yield* settle
        yield* (yield* fake.current).close
        yield* settle
        const began = yield* Clock.currentTimeMillis
        const ends: Array<number> = []
        const sets = yield* Effect.forEach([1, 2], (n) =>
          Effect.forkChild(
            Effect.tap(failsWith(node.set(n), "OperationTimeout"), () =>
              Effect.map(Clock.currentTimeMillis, (now) => void ends.push(now - began))),
            { startImmediately: true }
          ))
        const impatient = yield* Effect.forkChild(node.set(3), { startImmediately: true })
        yield* pass(1_000)
        yield* Fiber.interrupt(impatient)
        yield* pass(9_000)
        const errors = yield* Effect.forEach(sets, Fiber.join)
        assert.deepStrictEqual(errors.map(({ maybeApplied }) => maybeApplied), [false, false])
        assert.isAtMost(Math.max(...ends), 8_500)
        yield* fake.on("create2", () => ({ type: "silence" }))
        assert.isFalse(isThere())
      }).pipe(Effect.scoped, Effect.provide(log.layer))
    }))
})
