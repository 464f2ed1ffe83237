import { assert, describe, it, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { randomUUID } from "node:crypto"
import * as ZkClient from "../src/ZkClient.ts"
import type { Options } from "../src/ZkConfig.ts"
import { expireThrough } from "./support/expire.ts"
import { failsWith } from "./support/failsWith.ts"
import { ProxiedServer } from "./support/proxy.ts"
import { countWatches, newSession, record, sessionOf } from "./support/watching.ts"

const setUp = (options?: Options) =>
  Effect.gen(function*() {
    const { proxy, server } = yield* ProxiedServer
    yield* proxy.forget
    const zk = yield* ZkClient.make({ hosts: proxy.connectString, ...options })
    const other = yield* ZkClient.make({ hosts: server.connectString })
    const root = `/${randomUUID()}`
    yield* zk.create(root)
    return { zk, other, proxy, server, root }
  })

const textOf = (state: Option.Option<ZkClient.NodeData>) => Option.getOrNull(state)?.text
const namesOf = (state: Option.Option<ZkClient.Children>) => Option.getOrNull(state)?.children.toSorted()

layer(ProxiedServer.layer(), { excludeTestServices: true })("changes across faults", (it) => {
  const faults = {
    "a lost connection": "cut",
    "a reset connection": "reset",
    "a lost event": "event",
    "a lost answer": "answer",
    "an expired session": "expire",
    "a frozen connection": "freeze"
  } as const

  for (const [name, fault] of Object.entries(faults)) {
    it.effect(`go on after ${name} [E2] [X2]`, () =>
      Effect.gen(function*() {
        const { other, proxy, root, server, zk } = yield* setUp(
          fault === "freeze" ? { sessionTimeout: "2 seconds" } : {}
        )
        const data = yield* record(Stream.map(zk.changes(root), textOf))
        const late = yield* record(Stream.map(zk.changes(`${root}/late`), textOf))
        const children = yield* record(Stream.map(zk.childrenChanges(root), namesOf))
        yield* data.until("the first", (values) => values.length === 1)
        yield* late.until("the first", (values) => values.length === 1)
        yield* children.until("the first", (values) => values.length === 1)
        const { connections } = yield* proxy.stats()
        const session = yield* sessionOf(zk)
        switch (fault) {
          case "cut":
            yield* proxy.cutAll
            break
          case "reset":
            yield* proxy.resetAll
            break
          case "event":
            yield* proxy.rule({ kind: "event" }, "cut")
            break
          case "answer":
            yield* proxy.swallowReply({ op: "getData", path: root })
            break
          case "expire":
            yield* expireThrough(proxy, server)
            break
          case "freeze":
            yield* proxy.freeze
            break
        }
        yield* other.setData(root, "meanwhile")
        yield* other.create(`${root}/late`, "late")
        if (fault === "freeze") {
          yield* zk.stateChanges.pipe(Stream.filter((state) => state._tag === "Suspended"), Stream.runHead)
          yield* proxy.heal
        }
        yield* data.until("what happened meanwhile", (values) => values.at(-1) === "meanwhile")
        yield* late.until("what happened meanwhile", (values) => values.at(-1) === "late")
        yield* children.until("what happened meanwhile", (values) => values.at(-1)?.join() === "late")
        assert.isAbove((yield* proxy.stats()).connections, connections, "it did connect again")
        if (fault === "expire") assert.notStrictEqual(yield* sessionOf(zk), session)
        yield* other.setData(root, "afterwards")
        yield* data.until("what came afterwards", (values) => values.at(-1) === "afterwards")
        assert.deepStrictEqual(data.values, ["", "meanwhile", "afterwards"])
        assert.deepStrictEqual(late.values, [undefined, "late"])
        for (const { fiber } of [data, late, children]) yield* Fiber.interrupt(fiber)
        yield* Effect.repeat(zk.sync(), { times: 4 })
        assert.strictEqual(yield* countWatches(server), 0)
      }))
  }

  it.effect("end with the session if they were asked to, and not with a connection [K48] [W-25]", () =>
    Effect.gen(function*() {
      const { other, proxy, root, server, zk } = yield* setUp()
      const ending = { onSessionLoss: "end" } as const
      const data = yield* record(Stream.map(zk.changes(root, ending), textOf))
      const children = yield* record(zk.childrenChanges(`${root}/missing`, ending))
      const resuming = yield* record(Stream.map(zk.changes(root, { onSessionLoss: "resume" }), textOf))
      yield* data.until("the first", (values) => values.length === 1)
      yield* children.until("the first", (values) => values.length === 1)
      yield* resuming.until("the first", (values) => values.length === 1)
      yield* proxy.cutAll
      yield* other.setData(root, "over a lost connection")
      yield* data.until("the change", (values) => values.at(-1) === "over a lost connection")
      const session = yield* sessionOf(zk)
      yield* expireThrough(proxy, server)
      assert.strictEqual((yield* failsWith(Fiber.join(data.fiber), "SessionExpired")).sessionId, session)
      yield* failsWith(Fiber.join(children.fiber), "SessionExpired")
      yield* newSession(zk, session)
      yield* other.setData(root, "over a lost session")
      yield* resuming.until("the change", (values) => values.at(-1) === "over a lost session")
      // A stream that begins now belongs to the session that is current now.
      assert.strictEqual(
        textOf(Option.getOrThrow(yield* Stream.runHead(zk.changes(root, ending)))),
        "over a lost session"
      )
    }))

  it.effect("end with a session that expires while a slow reader has yet to ask for more [K48]", () =>
    Effect.gen(function*() {
      const { proxy, root, server, zk } = yield* setUp()
      const session = yield* sessionOf(zk)
      const seen = yield* record(
        Stream.tap(
          zk.changes(root, { onSessionLoss: "end" }),
          () => Effect.andThen(Effect.orDie(expireThrough(proxy, server)), Effect.orDie(newSession(zk, session)))
        )
      )
      assert.strictEqual((yield* failsWith(Fiber.join(seen.fiber), "SessionExpired")).sessionId, session)
      assert.strictEqual(seen.values.length, 1)
    }))

  it.effect("end when the client does not renew its session", () =>
    Effect.gen(function*() {
      const { proxy, root, server, zk } = yield* setUp({ onExpiry: "end" })
      const data = yield* record(zk.changes(root))
      const raw = yield* record(zk.watch(root, "recursive"))
      yield* data.until("the first", (values) => values.length === 1)
      yield* zk.sync()
      yield* expireThrough(proxy, server)
      yield* failsWith(Fiber.join(data.fiber), "SessionExpired")
      yield* failsWith(Fiber.join(raw.fiber), "SessionExpired")
    }))

  it.effect("end when the client is closed", () =>
    Effect.gen(function*() {
      const { proxy, root } = yield* setUp()
      const streams = yield* Effect.scoped(Effect.gen(function*() {
        const outer = yield* Effect.scope
        const zk = yield* ZkClient.make({ hosts: proxy.connectString })
        const changes = yield* Effect.forkDetach(Stream.runDrain(zk.changes(root)), { startImmediately: true })
        const missing = yield* Effect.forkDetach(
          Stream.runDrain(zk.childrenChanges(`${root}/missing`)),
          { startImmediately: true }
        )
        yield* zk.sync()
        assert.isDefined(outer)
        return [changes, missing]
      }))
      for (const fiber of streams) yield* failsWith(Fiber.join(fiber), "SessionClosed")
    }))
})

describe("an outage", () => {
  it.live("of the server itself: what was changed before it came back is seen [X2]", () =>
    Effect.gen(function*() {
      const { proxy, server } = yield* ProxiedServer
      const zk = yield* ZkClient.make({ hosts: proxy.connectString })
      yield* zk.create("/a", "before")
      const seen = yield* record(Stream.map(zk.changes("/a"), textOf))
      yield* seen.until("the first", (values) => values.length === 1)
      yield* server.kill
      yield* server.start
      const other = yield* ZkClient.make({ hosts: server.connectString })
      yield* other.setData("/a", "after")
      yield* seen.until("the change", (values) => values.at(-1) === "after")
      assert.deepStrictEqual(seen.values, ["before", "after"])
    }).pipe(Effect.provide(ProxiedServer.layer())))
})
