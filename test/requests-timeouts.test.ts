/** How long requests wait, and when they are tried again: under TestClock, T = 6 seconds. */
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schedule from "effect/Schedule"
import * as ZkClient from "../src/ZkClient.ts"
import { isRetryable, OperationTimeout, ThrottledOp } from "../src/ZkError.ts"
import { everyOperation } from "./support/everyOperation.ts"
import { failsWith } from "./support/failsWith.ts"
import { fakeClient, makeWire, pass, settle } from "./support/fakeClient.ts"
import { err, type FakeServer, makeFakeServer } from "./support/fakeServer.ts"

const start = <A, E>(effect: Effect.Effect<A, E>) => Effect.forkChild(effect, { startImmediately: true })

const silence = { type: "silence" } as const

const namesOf = (fake: FakeServer) => fake.requests.filter(({ name }) => name !== "ping").map(({ name }) => name)

describe("requestTimeout", () => {
  it.effect("fails what was not answered, telling whether it may have been applied [S-REQUEST-TIMEOUT] [X5]", () =>
    Effect.gen(function*() {
      const fake = yield* makeFakeServer
      const zk = yield* fakeClient(fake, { requestTimeout: "2 seconds", maxInFlight: 2 })
      yield* fake.once("setData", () => silence)
      yield* fake.once("getData", () => silence)
      const write = yield* start(failsWith(zk.setData("/a", "x"), "OperationTimeout"))
      const read = yield* start(failsWith(zk.getData("/a"), "OperationTimeout"))
      const queued = yield* start(failsWith(zk.create("/queued"), "OperationTimeout"))
      yield* pass(1_950)
      assert.deepStrictEqual([write, read, queued].map((fiber) => fiber.pollUnsafe()), [
        undefined,
        undefined,
        undefined
      ])
      yield* pass(50)
      const errors = [yield* Fiber.join(write), yield* Fiber.join(read), yield* Fiber.join(queued)]
      assert.deepStrictEqual(errors.map((error) => error.maybeApplied), [true, false, false])
      assert.deepStrictEqual(errors.map(isRetryable), [false, true, true])
      assert.deepStrictEqual(errors.map((error) => error.timeout), [2_000, 2_000, 2_000])
      // The places of the two stay: their late answers are for nobody, and the next is for whom it belongs to.
      const exists = yield* start(zk.exists("/b"))
      yield* pass(100)
      assert.deepStrictEqual(namesOf(fake), ["setData", "getData"])
      yield* fake.once("exists", () => silence)
      for (const name of ["setData", "getData", "exists"]) {
        const request = yield* fake.awaitRequest((request) => request.name === name)
        yield* request.reply({ type: "default" })
      }
      yield* Fiber.join(exists)
      assert.deepStrictEqual(namesOf(fake), ["setData", "getData", "exists"])
      assert.strictEqual(fake.connects.length, 1)
    }))

  it.effect("counts the time without a connection, and what was lost with one [S-REQUEST-TIMEOUT] [K51]", () =>
    Effect.gen(function*() {
      const fake = yield* makeFakeServer
      const wire = makeWire(fake)
      const zk = yield* wire.client({ requestTimeout: "2 seconds", sessionTimeout: "60 seconds" })
      yield* fake.on("getData", () => silence)
      const read = yield* start(failsWith(zk.getData("/a"), "OperationTimeout"))
      yield* pass(1_000)
      wire.dead.add("zk:2181")
      yield* (yield* fake.current).close
      yield* pass(500)
      const write = yield* start(failsWith(zk.setData("/a", "x"), "OperationTimeout"))
      yield* pass(500)
      assert.isFalse((yield* Fiber.join(read)).maybeApplied)
      yield* pass(1_450)
      assert.isUndefined(write.pollUnsafe())
      yield* pass(50)
      assert.isFalse((yield* Fiber.join(write)).maybeApplied)
    }))

  it.effect("is not put off by what the session asks for itself in between [S-REQUEST-TIMEOUT]", () =>
    Effect.gen(function*() {
      const fake = yield* makeFakeServer
      const zk = yield* fakeClient(fake, { requestTimeout: "2 seconds", maxInFlight: 3 })
      const scope = yield* start(Effect.scoped(Effect.andThen(zk.getDataWatch("/watched"), Effect.never)))
      yield* settle
      yield* fake.on("any", ({ name }) => name === "ping" ? undefined : silence)
      const reads = [yield* start(zk.getData("/1")), yield* start(zk.getData("/2"))]
      const late = [yield* start(zk.getData("/3")), yield* start(failsWith(zk.getData("/4"), "OperationTimeout"))]
      yield* pass(500)
      // The watch is taken back ahead of the request that waits.
      yield* Fiber.interrupt(scope)
      yield* (yield* fake.awaitRequest("getData", { since: 1 })).reply({ type: "default" })
      yield* pass(100)
      assert.deepStrictEqual(namesOf(fake).at(-1), "removeWatches")
      yield* fake.requests.find(({ path }) => path === "/2")!.reply({ type: "default" })
      yield* pass(100)
      assert.strictEqual(fake.requests.at(-1)?.path, "/4")
      yield* Fiber.join(reads[0]!)
      yield* Fiber.join(reads[1]!)
      yield* pass(1_250)
      assert.isUndefined(late[1]!.pollUnsafe())
      yield* pass(50)
      assert.isDefined(late[1]!.pollUnsafe())
      assert.isDefined(late[0]!.pollUnsafe())
    }))

  it.effect("may be switched off: then a request waits for as long as its session lives [S-REQUEST-TIMEOUT]", () =>
    Effect.gen(function*() {
      const fake = yield* makeFakeServer
      const zk = yield* fakeClient(fake, { requestTimeout: "none" })
      yield* fake.on("getData", () => silence)
      const read = yield* start(zk.getData("/a"))
      yield* pass(600_000, 900)
      assert.isUndefined(read.pollUnsafe())
      yield* fake.requests.find(({ name }) => name === "getData")!.reply({ type: "default" })
      yield* pass(50)
      yield* Fiber.join(read)
    }))
})

describe("every operation", () => {
  const states = {
    "while there is no session yet": () =>
      Effect.gen(function*() {
        const fake = yield* makeFakeServer
        yield* fake.onConnect(() => silence)
        return yield* fakeClient(fake, { lazy: true })
      }),
    "while the server says nothing": () =>
      Effect.gen(function*() {
        const fake = yield* makeFakeServer
        yield* fake.on("any", () => silence)
        return yield* fakeClient(fake, { sessionTimeout: "60 seconds" })
      }),
    "while there is no connection": () =>
      Effect.gen(function*() {
        const fake = yield* makeFakeServer
        const wire = makeWire(fake)
        const zk = yield* wire.client({ sessionTimeout: "60 seconds" })
        wire.dead.add("zk:2181")
        yield* (yield* fake.current).close
        yield* settle
        assert.strictEqual((yield* zk.state)._tag, "Suspended")
        return zk
      })
  }
  for (const [when, make] of Object.entries(states)) {
    it.effect(`ends with the patience of its caller ${when} [X5] [K51]`, () =>
      Effect.gen(function*() {
        const zk = yield* make()
        for (const [name, operation] of Object.entries(everyOperation(zk, "/root"))) {
          const fiber = yield* start(Effect.timeoutOption(operation as Effect.Effect<unknown>, "1 second"))
          yield* pass(900, 300)
          assert.isUndefined(fiber.pollUnsafe(), name)
          yield* pass(100)
          assert.strictEqual((yield* Fiber.join(fiber))._tag, "None", name)
        }
      }))

    it.effect(`ends with requestTimeout ${when} [X5] [K33]`, () =>
      Effect.gen(function*() {
        const zk = yield* make()
        // What follows a node waits for as long as it takes, and says so.
        const { changes: _c, childrenChanges: _l, configChanges: _g, ...rest } = everyOperation(zk, "/root")
        const fibers = []
        for (const operation of Object.values(rest)) {
          fibers.push(yield* start(Effect.flip(operation as Effect.Effect<unknown, OperationTimeout>)))
        }
        yield* pass(29_000, 1_000)
        for (const [i, name] of Object.keys(rest).entries()) assert.isUndefined(fibers[i]!.pollUnsafe(), name)
        yield* pass(1_000)
        for (const [i, name] of Object.keys(rest).entries()) {
          const error = yield* Fiber.join(fibers[i]!)
          assert.strictEqual(error._tag, "OperationTimeout", name)
        }
      }))
  }
})

describe("retry", () => {
  const failing = <E>(error: E) =>
    Effect.gen(function*() {
      const times: Array<number> = []
      const effect = Effect.flatMap(Clock.currentTimeMillis, (now) => {
        times.push(now)
        return Effect.fail(error)
      })
      return { times, effect }
    })
  const throttled = new ThrottledOp({ operation: "create", path: "/a" })

  it.effect("goes on for half a minute, from a tenth of a second to five seconds apart [K32] [K33] [D21]", () =>
    Effect.gen(function*() {
      const { effect, times } = yield* failing(throttled)
      const fiber = yield* start(Effect.flip(effect.pipe(ZkClient.retry())))
      yield* pass(60_000, 20)
      assert.strictEqual(yield* Fiber.join(fiber), throttled)
      const gaps = times.slice(1).map((time, i) => time - times[i]!)
      for (const [i, gap] of gaps.entries()) {
        const full = Math.min(5_000, 100 * 2 ** i)
        assert.isAtLeast(gap, full * 0.8 - 20, String(i))
        assert.isAtMost(gap, full * 1.2 + 40, String(i))
      }
      assert.isAtLeast(times.length, 8)
      assert.isAtMost(times.at(-1)!, 36_000)
    }))

  it.effect("is for what was not applied and passes; n tries are n [D21] [D17] [K34]", () =>
    Effect.gen(function*() {
      const outcome = { operation: "create", path: "/a" }
      for (const maybeApplied of [false, true]) {
        const error = new OperationTimeout({ ...outcome, maybeApplied, timeout: 1 })
        const { effect, times } = yield* failing(error)
        const fiber = yield* start(Effect.flip(effect.pipe(ZkClient.retry())))
        // The first pause is 100 ms, give or take a fifth.
        yield* pass(150)
        assert.strictEqual(times.length > 1, !maybeApplied)
        // The pause is interruptible.
        yield* Fiber.interrupt(fiber)
        const { length } = times
        yield* pass(1_000, 100)
        assert.strictEqual(times.length, length)
      }
      const { effect, times } = yield* failing(new OperationTimeout({ ...outcome, maybeApplied: false, timeout: 1 }))
      yield* failsWith(effect.pipe(ZkClient.retry({ schedule: Schedule.recurs(3) })), "OperationTimeout")
      assert.strictEqual(times.length, 4)
    }))

  it.effect("does not outlive the client [D21] [K53]", () =>
    Effect.gen(function*() {
      const fake = yield* makeFakeServer
      yield* fake.on("create2", () => err(-127))
      let zk: ZkClient.ZkClient | undefined
      const client = yield* start(Effect.scoped(Effect.gen(function*() {
        zk = yield* fakeClient(fake)
        return yield* Effect.never
      })))
      yield* settle
      const fiber = yield* start(failsWith(zk!.create("/a").pipe(ZkClient.retry()), "SessionClosed"))
      yield* pass(1_000)
      assert.isAtLeast(namesOf(fake).length, 3)
      yield* Fiber.interrupt(client)
      yield* pass(5_000)
      yield* Fiber.join(fiber)
    }))

  it.effect("waits out a server that throttles, not a quota [D17]", () =>
    Effect.gen(function*() {
      const fake = yield* makeFakeServer
      const zk = yield* fakeClient(fake)
      yield* fake.once("setData", () => err(-127))
      yield* fake.once("setData", () => err(-127))
      const fiber = yield* start(zk.setData("/a", "x").pipe(ZkClient.retry()))
      yield* pass(600)
      yield* Fiber.join(fiber)
      assert.deepStrictEqual(namesOf(fake), ["setData", "setData", "setData"])
      yield* fake.on("setData", () => err(-125))
      yield* failsWith(zk.setData("/a", "x").pipe(ZkClient.retry()), "QuotaExceeded")
      assert.strictEqual(namesOf(fake).length, 4)
    }))
})
