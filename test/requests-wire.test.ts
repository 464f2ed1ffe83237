/** How requests go over a connection and how their answers are taken: on a fake server, byte by byte if need be. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import type { Engine } from "../src/internal/engine.ts"
import { operation } from "../src/internal/operation.ts"
import { Check } from "../src/internal/protocol/requests.ts"
import type { Request } from "../src/internal/protocol/requests.ts"
import { everyOperation } from "./support/everyOperation.ts"
import { failsWith } from "./support/failsWith.ts"
import { fakeClient, makeWire, pass, settle } from "./support/fakeClient.ts"
import { err, type FakeServer, makeFakeServer, ok } from "./support/fakeServer.ts"
import { JuteWriter } from "./support/jute.ts"
import { makeStat, Op, writeStat } from "./support/records.ts"

const start = <A, E>(effect: Effect.Effect<A, E>) => Effect.forkChild(effect, { startImmediately: true })

const silence = { type: "silence" } as const

const namesOf = (fake: FakeServer) => fake.requests.filter(({ name }) => name !== "ping").map(({ name }) => name)

describe("the order of requests", () => {
  it.effect("is that in which they were run, whatever they are [D14]", () =>
    Effect.gen(function*() {
      const fake = yield* makeFakeServer
      const zk = yield* fakeClient(fake)
      const operations = (i: number) => [zk.create(`/${i}`), zk.getData(`/${i}`), zk.sync(`/${i}`), zk.delete(`/${i}`)]
      const all = Array.from({ length: 400 }, (_, i): Effect.Effect<unknown, unknown> => operations(i)[i % 4]!)
      yield* Effect.all(all, { concurrency: "unbounded" })
      assert.deepStrictEqual(fake.requests.map(({ path }) => path), all.map((_, i) => `/${i}`))
      assert.deepStrictEqual(fake.requests.map(({ xid }) => xid), all.map((_, i) => i + 1))
    }))

  it.effect("holds across fibers, and past one that is interrupted before it is written [D14] [D13]", () =>
    Effect.gen(function*() {
      const fake = yield* makeFakeServer
      const zk = yield* fakeClient(fake)
      const a = yield* start(zk.getData("/a"))
      const b = yield* start(zk.getData("/b"))
      const c = yield* start(zk.getData("/c"))
      b.interruptUnsafe()
      yield* Fiber.join(a)
      yield* Fiber.join(c)
      assert.deepStrictEqual(fake.requests.map(({ path }) => path), ["/a", "/c"])
    }))

  it.effect("is kept in few writes to the socket: those of one turn go together [N8]", () =>
    Effect.gen(function*() {
      const fake = yield* makeFakeServer
      const wire = makeWire(fake)
      const zk = yield* wire.client()
      const { stream } = wire.attempts[0]!
      const sizes: Array<number> = []
      const write = stream.write.bind(stream)
      stream.write = (chunk: Uint8Array) => {
        sizes.push(chunk.length)
        return write(chunk)
      }
      const paths = Array.from({ length: 500 }, (_, i) => `/${i}`)
      yield* Effect.forEach(paths, (path) => zk.getData(path), { concurrency: "unbounded" })
      assert.deepStrictEqual(fake.requests.map(({ path }) => path), paths)
      assert.lengthOf(sizes, 1)
      // Large ones are not gathered without end.
      const large = new Uint8Array(100_000)
      yield* Effect.forEach(paths.slice(0, 20), (path) => zk.setData(path, large), { concurrency: "unbounded" })
      assert.isAtLeast(sizes.length, 6)
      assert.isAtMost(Math.max(...sizes), 256 * 1024 + 101_000)
    }))
})

describe("answers", () => {
  it.effect("to credentials overtake those to requests, and are told apart from them [D5]", () =>
    Effect.gen(function*() {
      const fake = yield* makeFakeServer
      const zk = yield* fakeClient(fake)
      yield* fake.once("getData", () => silence)
      yield* fake.once("exists", () => silence)
      const data = yield* start(zk.getData("/a"))
      const exists = yield* start(zk.exists("/missing"))
      const auth = { scheme: "digest", credential: Redacted.make("ann:secret") }
      yield* zk.addAuth(auth)
      assert.isUndefined(data.pollUnsafe())
      // Another one that is answered in the middle.
      yield* fake.once("auth", () => silence)
      const again = yield* start(zk.addAuth({ ...auth, credential: Redacted.make("bob:secret") }))
      const [first, second] = [yield* fake.awaitRequest("getData"), yield* fake.awaitRequest("exists")]
      const late = yield* fake.awaitRequest("auth", { since: 3 })
      yield* first.reply({ type: "default" })
      yield* late.reply({ type: "default" })
      yield* second.reply(err(-101))
      assert.strictEqual((yield* Fiber.join(data)).text, "")
      assert.isTrue(Option.isNone(yield* Fiber.join(exists)))
      yield* Fiber.join(again)
      assert.strictEqual(fake.connects.length, 1)
    }))

  it.effect("move the newest transaction that was seen forwards only [D9]", () =>
    Effect.gen(function*() {
      const fake = yield* makeFakeServer
      const zk = yield* fakeClient(fake)
      const seen: Array<bigint> = []
      const stat = writeStat(new JuteWriter(), makeStat()).bytes()
      for (const zxid of [5n, 0n, -1n, 4n, 0x1_ffff_ffffn, 0x1_0000_0001n, 0x2_0000_0000n]) {
        yield* fake.once("exists", () => ({ type: "reply", zxid, body: stat }))
        yield* zk.exists("/a")
        seen.push(yield* zk.lastZxid)
      }
      assert.deepStrictEqual(seen, [5n, 5n, 5n, 5n, 0x1_ffff_ffffn, 0x1_ffff_ffffn, 0x2_0000_0000n])
      // Errors count as well: what they tell of was seen too.
      yield* fake.once("exists", () => ({ type: "reply", zxid: 0x2_0000_0001n, err: -101 }))
      yield* zk.exists("/a")
      assert.strictEqual(yield* zk.lastZxid, 0x2_0000_0001n)
      // Neither events nor answers that belong to no request.
      yield* fake.once("auth", () => ({ type: "reply", zxid: 0x7_0000_0000n }))
      yield* zk.addAuth({ scheme: "digest", credential: Redacted.make("ann:secret") })
      yield* (yield* fake.current).event(3, "/a", 0x7_0000_0001n)
      yield* settle
      assert.strictEqual(yield* zk.lastZxid, 0x2_0000_0001n)
      yield* (yield* fake.current).close
      yield* pass(1_000)
      assert.strictEqual(fake.connects[1]?.request.lastZxidSeen, 0x2_0000_0001n)
    }))

  it.effect("to what a server does not know are Unimplemented, once; the session goes on [D8] [H4]", () =>
    Effect.gen(function*() {
      const fake = yield* makeFakeServer
      const zk = yield* fakeClient(fake)
      yield* zk.getData("/a")
      const before = yield* zk.lastZxid
      yield* fake.on("whoAmI", () => [{ type: "reply", err: -6, zxid: -1n }, { type: "close" }])
      const [error, behind, write] = yield* Effect.all([
        failsWith(zk.whoAmI, "Unimplemented"),
        zk.getData("/b"),
        failsWith(zk.setData("/b", "x"), "ConnectionLoss"),
        Effect.andThen(settle, pass(1_000))
      ], { concurrency: "unbounded" })
      assert.strictEqual(error.operation, "whoAmI")
      assert.strictEqual(behind.text, "")
      assert.isTrue(write.maybeApplied)
      assert.isTrue((yield* zk.lastZxid) >= before)
      const asked = () => namesOf(fake).filter((name) => name === "whoAmI").length
      assert.strictEqual(asked(), 1)
      assert.strictEqual(fake.connects[1]?.request.sessionId, 0x100000001n)
      // Asking again costs no connection, until the server may have been upgraded.
      yield* failsWith(zk.whoAmI, "Unimplemented")
      yield* zk.getData("/b")
      assert.deepStrictEqual([asked(), fake.connects.length], [1, 2])
      yield* pass(60_000, 500)
      yield* fake.on("whoAmI", () => ({ type: "silence" }))
      const since = fake.requests.length
      const again = yield* start(zk.whoAmI)
      yield* fake.awaitRequest("whoAmI", { since })
      yield* Fiber.interrupt(again)
    }))
})

describe("a consumer", () => {
  it.effect("that is stuck, or fails, stops neither pings nor requests nor other consumers [D15]", () =>
    Effect.gen(function*() {
      const fake = yield* makeFakeServer
      const zk = yield* fakeClient(fake)
      const seen: Array<string> = []
      const watch = (act: (type: string) => Effect.Effect<void>) =>
        start(Stream.runForEach(zk.watch("/a", "persistent", { bufferSize: 8 }), (event) => act(event._tag)))
      const stuck = yield* watch(() => Effect.never)
      const failing = yield* watch(() => Effect.die("a defect of the consumer"))
      const asking = yield* watch((type) =>
        Effect.andThen(Effect.orDie(zk.getData("/a")), Effect.sync(() => seen.push(type)))
      )
      yield* settle
      const connection = yield* fake.current
      for (let i = 0; i < 50; i++) {
        yield* connection.event(3, "/a")
        yield* settle
      }
      yield* pass(10_000, 500)
      assert.strictEqual(seen.length, 50)
      assert.strictEqual(failing.pollUnsafe()?._tag, "Failure")
      assert.isUndefined(stuck.pollUnsafe())
      assert.isUndefined(asking.pollUnsafe())
      assert.isAtLeast(fake.requests.filter(({ name }) => name === "ping").length, 8)
      assert.strictEqual(fake.connects.length, 1)
    }))
})

describe("a check", () => {
  it.effect("never goes out on its own, whatever is asked for [D6]", () =>
    Effect.gen(function*() {
      const fake = yield* makeFakeServer
      const zk = yield* fakeClient(fake)
      for (const run of Object.values(everyOperation(zk, "/root"))) {
        const fiber = yield* start(Effect.exit(run as Effect.Effect<unknown>))
        // What follows a change gets one.
        yield* settle
        yield* Fiber.interrupt(fiber)
      }
      const ops = new Set(fake.requests.map(({ op }) => op))
      assert.isFalse(ops.has(Op.check))
      // All of them were really asked for.
      assert.isAtLeast(ops.size, 18)
      assert.isTrue(fake.requests.some((request) => request.ops.some(({ op }) => op === Op.check)))
    }))

  it("is no request to the compiler [D6]", () => {
    const unrun = (_: (engine: Engine) => unknown): void => {}
    const multi = operation("multi")
    unrun((engine) => {
      // @ts-expect-error: an item of a transaction is no request
      const request: Request = new Check("/a", 0)
      // @ts-expect-error: nor can it be sent as one
      return [request, engine.execute(multi, new Check("/a", 0), {})]
    })
    assert.isFalse("decode" in new Check("/a", 0))
  })
})

describe("a sync", () => {
  it.effect("is a request to the server, which answers behind all that it had to catch up with [X10] [D18]", () =>
    Effect.gen(function*() {
      const fake = yield* makeFakeServer
      const zk = yield* fakeClient(fake)
      yield* fake.once("sync", () => silence)
      const sync = yield* start(zk.sync("/a"))
      yield* settle
      assert.isUndefined(sync.pollUnsafe())
      const request = yield* fake.awaitRequest("sync")
      assert.strictEqual(request.path, "/a")
      yield* request.reply(ok(new JuteWriter().ustring("/a").bytes()))
      yield* Fiber.join(sync)
    }))
})
