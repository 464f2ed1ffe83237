/** What can be seen of a client from outside: spans, metrics, logs. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as Metric from "effect/Metric"
import * as References from "effect/References"
import { failsWith } from "./support/failsWith.ts"
import { makeWire, pass } from "./support/fakeClient.ts"
import { err, makeFakeServer } from "./support/fakeServer.ts"
import { spanSpies } from "./support/spans.ts"
import { recordStates } from "./support/states.ts"

describe("spans", () => {
  it.effect("tell operation, path and transaction of every request, when a tracer is installed [K61]", () =>
    Effect.gen(function*() {
      const { spans, tracer } = spanSpies()
      const fake = yield* makeFakeServer
      const zk = yield* makeWire(fake).client({ chroot: "/app" })
      fake.zxid = 0x1_0000_0041n
      yield* fake.once("getData", () => err(-101))
      yield* Effect.gen(function*() {
        yield* zk.setData("/a", "x")
        yield* failsWith(zk.getData("/b"), "NoNode")
      }).pipe(Effect.withTracer(tracer))
      assert.deepStrictEqual(spans.map(({ name }) => name), ["ZkClient.setData", "ZkClient.getData"])
      const [setData, getData] = spans
      assert.deepStrictEqual(Object.fromEntries(setData!.attributes), {
        "db.system.name": "zookeeper",
        "db.operation.name": "setData",
        "zookeeper.path": "/a",
        "zookeeper.zxid": "0x100000042"
      })
      assert.strictEqual(setData?.kind, "client")
      assert.strictEqual(getData?.attributes.get("zookeeper.path"), "/b")
      assert.strictEqual(getData?.status._tag, "Ended")
      assert.deepInclude(getData?.status, { _tag: "Ended" })
    }))

  it.effect("are not made where no tracer is installed, nor where tracing is off [K61]", () =>
    Effect.gen(function*() {
      const { spans, tracer } = spanSpies()
      const fake = yield* makeFakeServer
      const zk = yield* makeWire(fake).client()
      yield* zk.setData("/a", "x")
      yield* zk.setData("/a", "x").pipe(Effect.withTracer(tracer), Effect.withTracerEnabled(false))
      assert.isEmpty(spans)
    }))
})

describe("metrics", () => {
  const mine = (name: string) =>
    Effect.map(
      Metric.snapshot,
      (snapshots) =>
        Object.fromEntries(
          snapshots.flatMap(({ attributes, id, state }) =>
            attributes?.["client"] === name && "value" in state
              ? [[id.replace("zookeeper_client_", ""), state.value] as const]
              : []
          )
        )
    )

  it.effect("tell what a client does now, and go with it [K61]", () =>
    Effect.gen(function*() {
      const fake = yield* makeFakeServer
      const wire = makeWire(fake)
      yield* Effect.scoped(Effect.gen(function*() {
        const zk = yield* wire.client({ name: "orders", maxInFlight: 2 })
        const states = yield* recordStates(zk)
        assert.deepStrictEqual(yield* mine("orders"), { in_flight: 0, queued: 0, watchers: 0, reconnects: 0, pings: 0 })
        yield* pass(2_000)
        yield* zk.existsWatch("/a")
        yield* (yield* fake.current).close
        yield* pass(2_500)
        yield* states.await("Connected", { since: 1 })
        yield* fake.on("any", () => ({ type: "silence" }))
        for (const path of ["/a", "/b", "/c"]) {
          yield* Effect.forkScoped(Effect.ignore(zk.getData(path)), { startImmediately: true })
        }
        yield* pass(0)
        const now = yield* mine("orders")
        assert.deepInclude(now, { in_flight: 2, queued: 1, watchers: 1, reconnects: 1 })
        assert.isAtLeast(Number(now["pings"]), 2)
        yield* fake.defaults
      }))
      assert.deepStrictEqual(yield* mine("orders"), {})
    }))

  it.effect("are told apart by the client's name, its hosts by default [K61]", () =>
    Effect.gen(function*() {
      const fake = yield* makeFakeServer
      const wire = makeWire(fake)
      yield* wire.client({ hosts: "one:1,two:2" })
      yield* wire.client({ name: "second" })
      assert.property(yield* mine("one:1,two:2"), "pings")
      assert.property(yield* mine("second"), "pings")
    }))
})

describe("logs", () => {
  const life = (minimum: "Info" | "Debug") =>
    Effect.gen(function*() {
      const lines: Array<string> = []
      const logger = Logger.make<unknown, void>(({ logLevel, message }) => {
        lines.push(`${logLevel} ${String(message)}`)
      })
      const fake = yield* makeFakeServer
      const wire = makeWire(fake)
      yield* Effect.gen(function*() {
        const zk = yield* wire.client()
        const states = yield* recordStates(zk)
        yield* pass(2_000)
        yield* (yield* fake.current).close
        yield* pass(2_000)
        yield* states.await("Connected", { since: 1 })
        const quiet = [...lines]
        yield* fake.onConnect(({ request }) => request.sessionId === 0n ? { type: "accept" } : { type: "expired" })
        yield* (yield* fake.current).close
        yield* pass(2_000)
        yield* states.await("Expired")
        return { quiet, all: lines }
      }).pipe(
        Effect.provide(Logger.layer([logger])),
        Effect.provideService(References.MinimumLogLevel, minimum),
        Effect.scoped
      )
      return lines
    })

  it.effect("are silent in good times and bad; the loss of a session is a warning [K61]", () =>
    Effect.gen(function*() {
      const lines = yield* life("Info")
      assert.deepStrictEqual(lines, ["Warn session expired: zk:2181 closed the connection"])
    }))

  it.effect("follow the connection where that is asked for [K61]", () =>
    Effect.gen(function*() {
      const lines = yield* life("Debug")
      assert.include(lines, "Debug connected to zk:2181")
      assert.include(lines, "Debug connection lost: zk:2181 closed the connection")
    }))
})
