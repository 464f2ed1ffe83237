/** Every operation, interrupted at every moment: nothing of it is left, here or at the server. */
import { assert, describe, it, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Metric from "effect/Metric"
import * as ZkClient from "../src/ZkClient.ts"
import { everyOperation, type OperationName } from "./support/everyOperation.ts"
import { makeWire, settle } from "./support/fakeClient.ts"
import { makeFakeServer } from "./support/fakeServer.ts"
import { makeProxy } from "./support/proxy.ts"
import { ZkServer } from "./support/server.ts"
import { pollUntil } from "./support/wait.ts"
import { countWatches } from "./support/watching.ts"

/** What a client of this name has under way, and who listens. */
const pendingOf = (name: string) =>
  Effect.map(Metric.snapshot, (metrics) => {
    const figure = (id: string) =>
      metrics.find((metric) => metric.id === `zookeeper_client_${id}` && metric.attributes?.["client"] === name)?.state
    return { inFlight: figure("in_flight"), queued: figure("queued"), watchers: figure("watchers") }
  })

const nothing = { inFlight: { value: 0 }, queued: { value: 0 }, watchers: { value: 0 } }

const timers = () => process.getActiveResourcesInfo().filter((resource) => resource === "Timeout").length

/** The names of all operations, which want a client only when they are run. */
const run = (zk: ZkClient.ZkClient, root: string, name: OperationName): Effect.Effect<unknown, unknown> =>
  everyOperation(zk, root)[name]

let counter = 0

layer(ZkServer.layer(), { excludeTestServices: true, timeout: "60 seconds" })("an interruption", (it) => {
  it.effect(
    "at any event of the network leaves no watch, no request and no timer [N1] [X4] [D13] [X5]",
    () =>
      Effect.gen(function*() {
        const server = yield* ZkServer
        const proxy = yield* makeProxy(server.port)
        const other = yield* ZkClient.make({ hosts: server.connectString })
        const zk = yield* ZkClient.make({ hosts: proxy.connectString, name: "interrupted" })
        const watches = yield* countWatches(server)
        const prepare = Effect.gen(function*() {
          const root = `/root-${counter++}`
          yield* Effect.all([
            other.create(root),
            other.create(`${root}/child`, "data"),
            other.create(`${root}/made`),
            other.create(`${root}/made/set`),
            other.create(`${root}/made/path`)
          ], { concurrency: "unbounded" })
          yield* zk.sync()
          yield* proxy.forget
          return root
        })
        // Not of its own choice, but of the rig's: timers that come once are there from the beginning.
        yield* prepare
        const before = timers()
        let interruptions = 0
        for (const name of Object.keys(everyOperation(zk, "/root")) as ReadonlyArray<OperationName>) {
          const whole = yield* prepare
          yield* Effect.ignore(run(zk, whole, name))
          const events = yield* proxy.nextIndex
          assert.isAtLeast(events, 2, name)
          for (let at = 0; at < events; at++) {
            const root = yield* prepare
            const fiber = yield* Effect.forkChild(run(zk, root, name))
            yield* proxy.runAt(at, Effect.sync(() => fiber.interruptUnsafe()))
            const exit = yield* Fiber.await(fiber)
            if (exit._tag === "Failure") interruptions++
            yield* zk.sync()
            yield* proxy.heal
          }
        }
        assert.isAbove(interruptions, 60)
        // What a protected create may have made is looked for in the background.
        yield* Effect.promise(() =>
          pollUntil("the client has nothing to do", () =>
            Effect.runPromise(
              Effect.map(pendingOf("interrupted"), ({ inFlight, queued }) =>
                JSON.stringify([inFlight, queued]) === JSON.stringify([{ value: 0 }, { value: 0 }]) ? true : undefined)
            ))
        )
        assert.deepStrictEqual(yield* pendingOf("interrupted"), nothing)
        assert.strictEqual(yield* countWatches(server), watches)
        assert.isAtMost(timers(), before)
        const marked = (yield* zk.getEphemerals()).filter((path) =>
          path.includes("_c_")
        )
        // One at most: that of the create that was done when its interruption came.
        assert.isAtMost(marked.length, 2)
        assert.strictEqual((yield* proxy.stats()).open, 1)
        assert.strictEqual((yield* zk.state)._tag, "Connected")
      }),
    60_000
  )
})

describe("an interruption", () => {
  const moments: Record<string, (act: () => void) => void> = {
    "before the answer": (act) => act(),
    "in the turn of the answer": (act) => queueMicrotask(act),
    "right after it": (act) => process.nextTick(act),
    "a turn later": (act) => void setImmediate(act)
  }
  for (const [when, moment] of Object.entries(moments)) {
    it.effect(`${when} to any request leaves no watcher and no listener [N1] [X4] [D13]`, () =>
      Effect.gen(function*() {
        const fake = yield* makeFakeServer
        const wire = makeWire(fake)
        const client = `interrupted ${when}`
        const zk = yield* wire.client({ name: client })
        const { stream } = wire.attempts[0]!
        const listeners = () => stream.eventNames().map((name) => [name, stream.listenerCount(name)])
        const before = listeners()
        for (const name of Object.keys(everyOperation(zk, "/root")) as ReadonlyArray<OperationName>) {
          for (let nth = 1; nth <= 6; nth++) {
            let left = nth
            let fiber: Fiber.Fiber<unknown, unknown> | undefined
            yield* fake.on("any", () => {
              if (--left === 0) moment(() => fiber?.interruptUnsafe())
              return undefined
            })
            fiber = yield* Effect.forkChild(run(zk, "/root", name))
            yield* settle
            yield* Fiber.interrupt(fiber)
            yield* settle
            // Fewer requests than that.
            if (left > 0) break
          }
        }
        assert.deepStrictEqual(yield* pendingOf(client), nothing)
        assert.deepStrictEqual(listeners(), before)
        assert.strictEqual(fake.connects.length, 1)
        // Whatever watch was set was taken back: nobody hears of an event.
        const set = fake.requests.filter(({ name, payload }) =>
          ["getData", "exists", "getChildren2"].includes(name) && payload.at(-1) === 1 || name === "addWatch"
        )
        assert.isAbove(set.length, 5)
        const last = new Map<string, string>()
        for (const { name, path, payload } of fake.requests) {
          if (path === undefined) continue
          if (name === "getData" || name === "exists") {
            if (payload.at(-1) === 1) last.set(`data ${path}`, "set")
          } else if (name === "getChildren2") {
            if (payload.at(-1) === 1) last.set(`children ${path}`, "set")
          } else if (name === "addWatch") {
            last.set(`${payload.at(-1) === 1 ? "recursive" : "persistent"} ${path}`, "set")
          } else if (name === "removeWatches") {
            const kind = { 1: "children", 2: "data", 4: "persistent", 5: "recursive" }[payload.at(-1) ?? 0]
            last.set(`${kind} ${path}`, "removed")
          }
        }
        assert.deepStrictEqual([...last].filter(([, state]) => state === "set"), [])
      }))
  }
})
