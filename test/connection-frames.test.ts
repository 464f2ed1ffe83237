/** A connection and its frames, end to end: pieces and lumps, wrong numbers, too much, and errors after the end. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { internalOperation } from "../src/internal/operation.ts"
import { Exists } from "../src/internal/protocol/requests.ts"
import { drive } from "../src/internal/session/reconnect.ts"
import { Session } from "../src/internal/session/session.ts"
import * as ZkClient from "../src/ZkClient.ts"
import { resolve } from "../src/ZkConfig.ts"
import { failsWith } from "./support/failsWith.ts"
import { makeWire, pass, settle } from "./support/fakeClient.ts"
import { type FakeRequest, makeFakeServer } from "./support/fakeServer.ts"
import { frame, JuteWriter } from "./support/jute.ts"
import { makeProxy } from "./support/proxy.ts"
import { encodeReply, makeStat, writeStat } from "./support/records.ts"
import { freshRoot, shared } from "./support/shared.ts"
import { recordStates } from "./support/states.ts"

const bodyOf = (text: string) => writeStat(new JuteWriter().buffer(Buffer.from(text)), makeStat()).bytes()

describe("frames", () => {
  it.live("come and go one byte at a time [A1]", () =>
    Effect.gen(function*() {
      const { port } = yield* shared
      const root = yield* freshRoot
      const proxy = yield* makeProxy(port)
      yield* proxy.setMode("toClient", "bytes")
      yield* proxy.setMode("toServer", "bytes")
      const zk = yield* ZkClient.make({ hosts: proxy.connectString })
      const text = "one byte at a time, \u00e4\u{1F600}".repeat(20)
      const watched = yield* zk.existsWatch(`${root}/a`)
      yield* zk.create(`${root}/a`, text)
      assert.strictEqual((yield* watched.fired)._tag, "NodeCreated")
      assert.strictEqual((yield* zk.getData(`${root}/a`)).text, text)
      assert.deepStrictEqual((yield* zk.getChildren(root)).children, ["a"])
      assert.strictEqual((yield* proxy.stats()).connections, 1)
    }))

  it.effect.each([500, 5_000])("come %i in one chunk [A1]", (count) =>
    Effect.gen(function*() {
      const fake = yield* makeFakeServer
      const zk = yield* makeWire(fake).client({ maxInFlight: count })
      yield* fake.on("getData", () => ({ type: "silence" }))
      const reading = yield* Effect.forkChild(
        Effect.forEach(Array.from({ length: count }, (_, i) => `/n${i}`), (path) => zk.getData(path), {
          concurrency: "unbounded"
        }),
        { startImmediately: true }
      )
      const last = yield* fake.awaitRequest(({ path }) => path === `/n${count - 1}`)
      const answers = fake.requests.slice(0, last.index + 1).map(({ path, xid }) =>
        frame(encodeReply({ xid, zxid: 5n, err: 0 }, bodyOf(path ?? "")))
      )
      assert.strictEqual(answers.length, count)
      yield* (yield* fake.current).send(Buffer.concat(answers))
      const texts = (yield* Fiber.join(reading)).map(({ text }) => text)
      assert.strictEqual(new Set(texts).size, count)
      texts.forEach((text, i) => assert.strictEqual(text, `/n${i}`))
    }))
})

describe("request numbers", () => {
  it.effect("go round from 2^31 - 1 to 1, and answers find their requests [A9]", () =>
    Effect.gen(function*() {
      const fake = yield* makeFakeServer
      const { session: options } = yield* resolve({ hosts: "zk" })
      const session = yield* makeWire(fake).provide(Effect.gen(function*() {
        const context = yield* Effect.context<never>()
        return yield* Effect.acquireRelease(
          Effect.sync(() => {
            const session = new Session({ ...options, firstXid: 0x7ffffffe }, context)
            session.start(drive(session))
            return session
          }),
          (session) => session.close
        )
      }))
      const exists = (path: string) => session.execute(internalOperation, new Exists(path, false), {})
      yield* Effect.forEach(["/a", "/b", "/c", "/d"], exists, { concurrency: "unbounded" })
      yield* exists("/e")
      assert.deepStrictEqual(fake.requests.map(({ path, xid }) => [path, xid]), [
        ["/a", 0x7ffffffe],
        ["/b", 0x7fffffff],
        ["/c", 1],
        ["/d", 2],
        ["/e", 3]
      ])
    }))

  it.effect("that nobody asked with end the connection: a write fails, reads are asked again [A10]", () =>
    Effect.gen(function*() {
      const fake = yield* makeFakeServer
      const zk = yield* makeWire(fake).client()
      const states = yield* recordStates(zk)
      yield* fake.once("create2", ({ xid }) => ({ type: "reply", xid: xid + 1 }))
      yield* fake.once("getData", () => ({ type: "silence" }))
      const creating = yield* Effect.forkChild(failsWith(zk.create("/a"), "ConnectionLoss"), { startImmediately: true })
      const reading = yield* Effect.forkChild(zk.getData("/a"), { startImmediately: true })
      const error = yield* Fiber.join(creating)
      assert.isTrue(error.maybeApplied)
      assert.match(error.message, /answered request 2, expected was 1/)
      yield* pass(400)
      yield* Fiber.join(reading)
      assert.deepStrictEqual(states.tags(), ["Connected", "Suspended", "Connected"])
      assert.deepStrictEqual(fake.requests.map(({ connection, name }) => `${connection} ${name}`), [
        "1 create2",
        "1 getData",
        // The read was asked for behind a write whose outcome nobody knows.
        "2 sync",
        "2 getData"
      ])
    }))

  it.effect("of answers to nothing end the connection, too [A10]", () =>
    Effect.gen(function*() {
      const fake = yield* makeFakeServer
      const zk = yield* makeWire(fake).client()
      const states = yield* recordStates(zk)
      yield* (yield* fake.current).send(frame(encodeReply({ xid: 17, zxid: 5n, err: 0 })))
      yield* states.await("Suspended")
      assert.strictEqual(yield* zk.lastZxid, 0n)
      yield* pass(400)
      yield* states.await("Connected", { since: 2 })
    }))
})

describe("too much", () => {
  it.live("for the server: the request fails, is not sent, and harms nobody [A4]", () =>
    Effect.gen(function*() {
      const { port } = yield* shared
      const root = yield* freshRoot
      const proxy = yield* makeProxy(port)
      const zk = yield* ZkClient.make({ hosts: proxy.connectString })
      const states = yield* recordStates(zk)
      yield* zk.create(`${root}/a`)
      const since = yield* proxy.position
      const error = yield* failsWith(zk.setData(`${root}/a`, Buffer.alloc(1_048_576)), "RequestTooLarge")
      assert.strictEqual(error.limit, 1_048_575)
      assert.isAbove(error.size, 1_048_576)
      assert.strictEqual((yield* proxy.stats(since)).requests, 0)
      // The largest that fits: all but the path, its length, the data's length, the version, and the header.
      const overhead = 8 + 4 + Buffer.byteLength(`${root}/a`) + 4 + 4
      yield* zk.setData(`${root}/a`, Buffer.alloc(1_048_575 - overhead))
      yield* failsWith(zk.setData(`${root}/a`, Buffer.alloc(1_048_576 - overhead)), "RequestTooLarge")
      assert.deepStrictEqual(states.tags(), ["Connected"])
      assert.strictEqual((yield* proxy.stats()).connections, 1)
    }))

  it.live("for the client: the caller hears of it, nothing is asked again, and others go on [A3]", () =>
    Effect.gen(function*() {
      const { port } = yield* shared
      const root = yield* freshRoot
      const proxy = yield* makeProxy(port)
      const zk = yield* ZkClient.make({ hosts: proxy.connectString, maxResponseSize: 100_000 })
      const states = yield* recordStates(zk)
      const first = yield* states.await("Connected")
      yield* zk.create(`${root}/large`, Buffer.alloc(200_000))
      yield* zk.create(`${root}/small`, "x")
      const [large, small] = yield* Effect.all([
        failsWith(zk.getData(`${root}/large`), "ResponseTooLarge"),
        zk.getData(`${root}/small`)
      ], { concurrency: 2 })
      assert.strictEqual(large.limit, 100_000)
      assert.isAbove(large.size, 200_000)
      assert.strictEqual(small.text, "x")
      const again = yield* states.await("Connected", { since: 1 })
      assert.strictEqual(again.sessionId, first.sessionId)
      assert.strictEqual((yield* proxy.frames({ kind: "request", path: `${root}/large`, op: "getData" })).length, 1)
      assert.strictEqual((yield* proxy.stats()).connections, 2)
    }))

  it.effect("and what makes no sense in the middle of a session: the connection is left [A2]", () =>
    Effect.gen(function*() {
      const fake = yield* makeFakeServer
      const zk = yield* makeWire(fake).client()
      const states = yield* recordStates(zk)
      yield* fake.once("setData", () => ({ type: "length", length: -7 }))
      const error = yield* failsWith(zk.setData("/a", "x"), "ConnectionLoss")
      assert.match(error.message, /-7 bytes.*67108864/)
      assert.isTrue(error.maybeApplied)
      yield* pass(400)
      yield* states.await("Connected", { since: 2 })
    }))
})

describe("errors on a socket", () => {
  const reset = () => Object.assign(new Error("read ECONNRESET"), { code: "ECONNRESET" })

  it.effect("never go uncaught: in a handshake, in a session, after each, and after the client [N6]", () =>
    Effect.gen(function*() {
      const fake = yield* makeFakeServer
      const wire = makeWire(fake)
      const failing = Effect.sync(() => {
        for (const { stream } of wire.attempts) {
          stream.destroy(reset())
          // As a socket does that fails while it is being destroyed: without a listener, this throws.
          stream.emit("error", reset())
        }
      })
      yield* fake.onConnect(({ connection }) => ({ type: connection === 1 ? "silence" : "accept" }))
      yield* Effect.scoped(Effect.gen(function*() {
        const zk = yield* wire.client({ lazy: true })
        const states = yield* recordStates(zk)
        yield* fake.awaitConnect(1)
        yield* failing
        yield* pass(400)
        yield* states.await("Connected")
        yield* failing
        yield* failing
        yield* states.await("Suspended")
        yield* pass(400)
        yield* states.await("Connected", { since: 2 })
      }))
      yield* settle
      assert.strictEqual(wire.attempts.length, 3)
      yield* failing
    }))

  it.effect("name their cause to whoever lost a write by it [N6]", () =>
    Effect.gen(function*() {
      const fake = yield* makeFakeServer
      const zk = yield* makeWire(fake).client()
      yield* fake.once("setData", (_: FakeRequest) => ({ type: "reset" }))
      const error = yield* failsWith(zk.setData("/a", "x"), "ConnectionLoss")
      assert.match(error.message, /zk:2181.*ECONNRESET/)
    }))
})
