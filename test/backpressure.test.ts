/** Many requests at once: what is on the wire is bounded, what waits costs little, and all are answered in order. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import * as ZkClient from "../src/ZkClient.ts"
import { fakeClient, makeWire, pass, settle } from "./support/fakeClient.ts"
import { makeFakeServer } from "./support/fakeServer.ts"
import { makeProxy } from "./support/proxy.ts"
import { freshRoot, shared } from "./support/shared.ts"

setFlagsFromString("--expose-gc")
const collect: () => void = runInNewContext("gc")

/** The largest number of requests that a server had received and not answered. */
const peak = (
  events: ReadonlyArray<{ readonly type: string; readonly direction?: string; readonly kind?: string }>
) => {
  let open = 0
  let most = 0
  for (const { kind } of events) {
    if (kind === "request") most = Math.max(most, ++open)
    if (kind === "reply") open--
  }
  return most
}

describe("ten thousand requests that nobody waits for", () => {
  it.live("are answered in order by a real server, with no more under way than allowed [D16]", () =>
    Effect.gen(function*() {
      const { port } = yield* shared
      const proxy = yield* makeProxy(port)
      const root = yield* freshRoot
      const zk = yield* ZkClient.make({ hosts: proxy.connectString, maxInFlight: 100 })
      const answered: Array<number> = []
      const fibers = []
      for (let i = 0; i < 10_000; i++) {
        const path = i % 10 === 0 ? `${root}/${i}` : root
        const request: Effect.Effect<unknown, ZkClient.CreateError> = i % 10 === 0 ? zk.create(path) : zk.getData(path)
        fibers.push(
          yield* Effect.forkChild(Effect.tap(request, () => Effect.sync(() => answered.push(i))), {
            startImmediately: true
          })
        )
      }
      assert.isBelow(answered.length, 5_000)
      for (const fiber of fibers) yield* Fiber.join(fiber)
      assert.deepStrictEqual(answered, [...fibers.keys()])
      assert.strictEqual((yield* proxy.stats()).requests, 10_000)
      const most = peak(proxy.events)
      assert.isAtMost(most, 100)
      assert.isAbove(most, 10)
      assert.strictEqual((yield* zk.getChildren(root)).children.length, 1_000)
    }))

  it.effect("cost memory in proportion, which is given back [D16]", () =>
    Effect.gen(function*() {
      const fake = yield* makeFakeServer
      const zk = yield* fakeClient(fake, { maxInFlight: 10 })
      const round = Effect.gen(function*() {
        yield* fake.on("exists", () => ({ type: "silence" }))
        const { length } = fake.requests
        const fibers = []
        for (let i = 0; i < 10_000; i++) {
          fibers.push(yield* Effect.forkChild(zk.exists("/a"), { startImmediately: true }))
        }
        yield* settle
        assert.strictEqual(fake.requests.length - length, 10)
        collect()
        const full = process.memoryUsage().heapUsed
        // In the middle, at the head and at the end of those that wait.
        for (const fiber of fibers) yield* Fiber.interrupt(fiber)
        yield* fake.on("exists", () => undefined)
        for (const request of fake.requests.slice(length)) yield* request.reply({ type: "default" })
        yield* zk.exists("/b")
        return full
      })
      yield* round
      collect()
      const before = process.memoryUsage().heapUsed
      const full = yield* round
      collect()
      const after = process.memoryUsage().heapUsed
      assert.isBelow(full - before, 10_000 * 5_000)
      assert.isBelow(after - before, 3_000_000)
    }))
})

describe("a socket that takes no more", () => {
  it.effect("is written to again when it is drained, in order; meanwhile requests wait [N8] [D16]", () =>
    Effect.gen(function*() {
      const fake = yield* makeFakeServer
      const wire = makeWire(fake)
      const zk = yield* wire.client()
      const { stream } = wire.attempts[0]!
      const write = stream.write.bind(stream)
      let full = true
      let writes = 0
      stream.write = (chunk: Uint8Array) => {
        writes++
        write(chunk)
        return !full
      }
      const paths = Array.from({ length: 100 }, (_, i) => `/${i}`)
      const fibers = []
      for (const path of paths) {
        fibers.push(yield* Effect.forkChild(zk.getData(path), { startImmediately: true }))
        yield* settle
      }
      assert.strictEqual(fake.requests.length, 1)
      // The server answers that one, and still nothing more fits.
      yield* Fiber.join(fibers[0]!)
      // Pings are due all the same, but do not pile up either.
      yield* fake.on("ping", () => ({ type: "silence" }))
      yield* pass(3_000)
      assert.strictEqual(fake.requests.filter(({ name }) => name === "ping").length, 1)
      assert.strictEqual(writes, 2)
      full = false
      stream.emit("drain")
      for (const fiber of fibers) yield* Fiber.join(fiber)
      const got = fake.requests.filter(({ name }) => name === "getData").map(({ path }) => path)
      assert.deepStrictEqual(got, paths)
      assert.strictEqual(writes, 3)
    }))
})
