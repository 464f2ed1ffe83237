/** What becomes of requests when their connection is cut: on a real server, behind a proxy. */
import { assert, describe, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import { operations } from "../src/internal/client/operations.ts"
import { GetData } from "../src/internal/protocol/requests.ts"
import * as ZkClient from "../src/ZkClient.ts"
import type { Options } from "../src/ZkConfig.ts"
import { isRetryable } from "../src/ZkError.ts"
import * as ZkTransaction from "../src/ZkTransaction.ts"
import { makeSession } from "./support/engine.ts"
import { failsWith } from "./support/failsWith.ts"
import { makeProxy, type Proxy } from "./support/proxy.ts"
import { ZkServer } from "./support/server.ts"
import { recordStates } from "./support/states.ts"
import { sessionOf } from "./support/watching.ts"

let counter = 0

/** A client behind a proxy of its own, another one past it, and a node of the test's own. */
const makeClients = (options?: Options) =>
  Effect.gen(function*() {
    const server = yield* ZkServer
    const proxy = yield* makeProxy(server.port)
    const other = yield* ZkClient.make({ hosts: server.connectString })
    const zk = yield* ZkClient.make({ hosts: proxy.connectString, sessionTimeout: "5 seconds", ...options })
    const root = `/root-${counter++}`
    yield* other.create(root, "data")
    return { server, proxy, other, zk, root }
  })

/** Requests of one connection in the order in which they were written: operation and last name of the path. */
const sentOn = (proxy: Proxy, connection: number) =>
  Effect.map(
    proxy.frames({ connection, kind: "request" }),
    (frames) => frames.map(({ op, path }) => path === undefined ? op : `${op} ${path.slice(path.lastIndexOf("/") + 1)}`)
  )

/** Starts effects one after the other, without waiting for their ends. */
const start = <A, E>(effects: ReadonlyArray<Effect.Effect<A, E>>) =>
  Effect.forEach(effects, (effect) => Effect.forkChild(effect, { startImmediately: true }))

describe.concurrent("with a server of its own", () => {
  layer(ZkServer.layer(), { excludeTestServices: true, timeout: "60 seconds" })("a cut connection", (it) => {
    it.effect("has reads that were not answered sent again, in order, and answered in order [D1] [K54] [K30] [A23]", () =>
      Effect.gen(function*() {
        const { proxy, root, zk } = yield* makeClients()
        yield* zk.sync()
        const cut = yield* proxy.swallowReply({ op: "getData" }, "cut")
        const reads: ReadonlyArray<Effect.Effect<unknown, Effect.Error<typeof zk.whoAmI> | ZkClient.CreateError>> = [
          zk.getData(root),
          zk.exists(root),
          zk.getChildren(root),
          zk.getAcl(root),
          zk.multiRead([ZkTransaction.getData(root)]),
          zk.sync(root),
          zk.getEphemerals(root),
          zk.getAllChildrenNumber(root),
          zk.whoAmI,
          zk.getConfig
        ]
        const answered: Array<number> = []
        const all = reads.map((read, i) => Effect.tap(read, () => Effect.sync(() => answered.push(i))))
        yield* Effect.all(all, { concurrency: "unbounded" })
        assert.strictEqual(yield* cut.count, 1)
        assert.deepStrictEqual(answered, [...reads.keys()])
        const sent = yield* sentOn(proxy, 2)
        assert.deepStrictEqual(sent, (yield* sentOn(proxy, 1)).slice(1))
        assert.strictEqual(sent.length, reads.length)
      }))

    it.effect("has reads behind an unanswered write answered only behind a sync [D1] [K54] [X10]", () =>
      Effect.gen(function*() {
        const { proxy, root, zk } = yield* makeClients()
        yield* proxy.swallowReply({ op: "getData" }, "cut")
        const [first, write, behind, list] = yield* Effect.all([
          zk.getData(root),
          failsWith(zk.setData(root, "new"), "ConnectionLoss"),
          zk.getDataOption(root),
          zk.getChildren(root)
        ], { concurrency: "unbounded" })
        assert.deepStrictEqual(yield* sentOn(proxy, 2), [
          "sync ",
          `getData ${root.slice(1)}`,
          `getData ${root.slice(1)}`,
          `getChildren2 ${root.slice(1)}`
        ])
        assert.isTrue(write.maybeApplied)
        assert.strictEqual(first.text, "new")
        assert.strictEqual(Option.getOrThrow(behind).text, "new")
        assert.strictEqual(list.children.length, 0)
        // Once is enough.
        yield* proxy.cutAll
        yield* zk.getData(root)
        assert.deepStrictEqual(yield* sentOn(proxy, 3), [`getData ${root.slice(1)}`])
      }))

    it.effect("keeps the sync for the next connection when it is cut again [D1]", () =>
      Effect.gen(function*() {
        const { proxy, root, zk } = yield* makeClients()
        yield* proxy.swallowReply({ op: "setData" }, "cut")
        yield* proxy.swallowReply({ op: "sync" }, "cut")
        yield* failsWith(zk.setData(root, "new"), "ConnectionLoss")
        assert.strictEqual((yield* zk.getData(root)).text, "new")
        for (const connection of [2, 3]) {
          assert.deepStrictEqual(yield* sentOn(proxy, connection), ["sync ", `getData ${root.slice(1)}`])
        }
      }))

    it.effect("fails requests for this connection only, those that waited included [S-SAME-CONNECTION]", () =>
      Effect.gen(function*() {
        const { proxy, root } = yield* makeClients()
        const since = yield* proxy.position
        const engine = yield* makeSession({ hosts: proxy.connectString, maxInFlight: 2 })
        const read = (options: object) => engine.execute(operations.getData, new GetData(root, false), options)
        yield* read({})
        const cut = yield* proxy.swallowReply({ op: "getData" }, "cut")
        const [, written, waiting, other] = yield* Effect.all([
          read({}),
          failsWith(read({ sameConnection: true, path: "/as/asked" }), "ConnectionLoss"),
          failsWith(read({ sameConnection: true }), "ConnectionLoss"),
          read({})
        ], { concurrency: "unbounded" })
        assert.strictEqual(yield* cut.count, 1)
        assert.deepStrictEqual([written.path, waiting.path], ["/as/asked", root])
        assert.isFalse(written.maybeApplied || waiting.maybeApplied)
        assert.strictEqual(other.text, "data")
        // Run while there is no connection, it is for the next one.
        const states = yield* engine.states.subscribe
        yield* proxy.cutAll
        while ((yield* Queue.take(states))._tag !== "Suspended");
        assert.strictEqual((yield* read({ sameConnection: true })).text, "data")
        assert.strictEqual((yield* proxy.stats(since)).ops["getData"], 1 + 2 + 2 + 1)
      }))

    it.effect("sends what waited meanwhile after it, in order and once [D4] [K54] [K51] [SES-28]", () =>
      Effect.gen(function*() {
        const { proxy, root, zk } = yield* makeClients()
        const states = yield* recordStates(zk)
        yield* proxy.setAccept("refuse")
        yield* proxy.cutAll
        yield* states.await("Suspended")
        const names = ["a", "b", "c", "d", "e"]
        const waiting: ReadonlyArray<Effect.Effect<unknown, ZkClient.CreateError>> = [
          ...names.map((name) => zk.create(`${root}/${name}`, null, { mode: "ephemeral" })),
          zk.getChildren(root)
        ]
        const fibers = yield* start(waiting)
        assert.deepStrictEqual(fibers.map((fiber) => fiber.pollUnsafe()), fibers.map(() => undefined))
        yield* proxy.setAccept("accept")
        for (const fiber of fibers) yield* Fiber.join(fiber)
        assert.deepStrictEqual(yield* sentOn(proxy, 2), [
          ...names.map((name) => `create2 ${name}`),
          `getChildren2 ${root.slice(1)}`
        ])
        assert.sameMembers([...(yield* zk.getChildren(root)).children], names)
      }))

    it.effect("moves nothing that waited to another session [D4] [K34] [K54] [SES-28]", () =>
      Effect.gen(function*() {
        const { proxy, root, server, zk } = yield* makeClients({ sessionTimeout: "1 second" })
        const states = yield* recordStates(zk)
        const id = yield* sessionOf(zk)
        yield* proxy.setAccept("refuse")
        yield* proxy.cutAll
        yield* states.await("Suspended")
        const waiting: ReadonlyArray<Effect.Effect<unknown, ZkClient.CreateError>> = [
          zk.create(`${root}/ephemeral`, null, { mode: "ephemeral" }),
          zk.create(`${root}/lasting`),
          zk.getChildren(root)
        ]
        const fibers = yield* start(waiting.map((effect) => failsWith(effect, "SessionExpired")))
        yield* server.waitUntil(
          "the session is over",
          (server) => Effect.map(server.sessions, (all) => !all.includes(id))
        )
        yield* proxy.setAccept("accept")
        for (const fiber of fibers) {
          const error = yield* Fiber.join(fiber)
          assert.strictEqual(error.sessionId, id)
          assert.isFalse(error.maybeApplied)
          assert.isFalse(isRetryable(error))
        }
        // What is run from then on belongs to the next session.
        yield* zk.create(`${root}/next`, null, { mode: "ephemeral" })
        assert.notStrictEqual(yield* sessionOf(zk), id)
        assert.deepStrictEqual((yield* zk.getChildren(root)).children, ["next"])
        assert.lengthOf(yield* proxy.frames({ op: "create", kind: "request" }), 1)
      }))

    it.effect("leaves no ephemeral node in the way of the next session, though servers still knew the last [D22]", () =>
      Effect.gen(function*() {
        const { proxy, root, server, zk } = yield* makeClients({ sessionTimeout: "1 second" })
        const states = yield* recordStates(zk)
        const id = yield* sessionOf(zk)
        const create = zk.create(`${root}/me`, null, { mode: "ephemeral" })
        yield* create
        // The server hears the client all the time, and so keeps its session; the client hears nothing.
        yield* proxy.setMode("toClient", "drop")
        yield* states.await("Expired")
        assert.include(yield* server.sessions, id)
        yield* proxy.heal
        const again = yield* create
        assert.notStrictEqual(again.stat?.ephemeralOwner, id)
        assert.strictEqual(again.stat?.ephemeralOwner, yield* sessionOf(zk))
      }))

    it.effect("lets nothing happen that was said not to have happened [K52] [K51]", () =>
      Effect.gen(function*() {
        const { other, proxy, root, zk } = yield* makeClients({ requestTimeout: "200 millis" })
        const states = yield* recordStates(zk)
        yield* proxy.setAccept("refuse")
        yield* proxy.cutAll
        yield* states.await("Suspended")
        const error = yield* failsWith(zk.create(`${root}/ghost`), "OperationTimeout")
        assert.isFalse(error.maybeApplied)
        assert.isTrue(isRetryable(error))
        const impatient = yield* Effect.forkChild(zk.create(`${root}/ghost`), { startImmediately: true })
        yield* Fiber.interrupt(impatient)
        yield* proxy.setAccept("accept")
        yield* zk.sync().pipe(ZkClient.retry())
        assert.lengthOf(yield* proxy.frames({ op: "create" }), 0)
        assert.isTrue(Option.isNone(yield* other.exists(`${root}/ghost`)))
      }))

    it.effect("fails a request tied to a session that is not the current one, and sends nothing [S-SESSION]", () =>
      Effect.gen(function*() {
        const { proxy, root } = yield* makeClients()
        const engine = yield* makeSession({ hosts: proxy.connectString })
        const read = (session: bigint) => engine.execute(operations.getData, new GetData(root, false), { session })
        // There is no session yet.
        yield* failsWith(read(1n), "SessionExpired")
        yield* engine.execute(operations.getData, new GetData(root, false), {})
        const since = yield* proxy.position
        assert.strictEqual((yield* failsWith(read(1n), "SessionExpired")).sessionId, 1n)
        assert.strictEqual((yield* proxy.stats(since)).requests, 0)
        assert.strictEqual((yield* read(engine.sessionId()!)).text, "data")
      }))

    it.effect("keeps the place of a request that was given up, for its answer [D13]", () =>
      Effect.gen(function*() {
        const { proxy, root, zk } = yield* makeClients()
        const gate = yield* Effect.forkChild(Effect.never)
        yield* proxy.rule({ op: "create", kind: "reply" }, { before: Fiber.await(gate) })
        const [create] = yield* start([zk.create(`${root}/a`)])
        const [children] = yield* start([zk.getChildren(root)])
        const [exists] = yield* start([zk.exists(`${root}/a`)])
        const [data] = yield* start([zk.getData(root)])
        yield* proxy.awaitFrame({ op: "create", kind: "reply" })
        // One answer that is on its way, and one request behind it.
        yield* Fiber.interrupt(create!)
        yield* Fiber.interrupt(exists!)
        yield* Fiber.interrupt(gate)
        assert.deepStrictEqual((yield* Fiber.join(children!)).children, ["a"])
        assert.strictEqual((yield* Fiber.join(data!)).text, "data")
        assert.strictEqual((yield* proxy.stats()).connections, 1)
      }))

    it.effect("has an effect of several steps run again as a whole, if that is asked for [K31]", () =>
      Effect.gen(function*() {
        const { proxy, root, zk } = yield* makeClients()
        yield* proxy.swallowReply({ op: "setData" }, "cut")
        let runs = 0
        const steps = Effect.gen(function*() {
          runs++
          const { stat } = yield* zk.getData(root)
          yield* zk.setData(root, String(runs), { version: stat.version })
          return yield* zk.getData(root)
        })
        const isLost = (error: unknown) =>
          typeof error === "object" && error !== null && "_tag" in error && error._tag === "ConnectionLoss"
        const { stat, text } = yield* steps.pipe(ZkClient.retry({ while: isLost }))
        assert.deepStrictEqual([runs, text, stat.version], [2, "2", 2])
        // By itself nothing is run again whose outcome is open.
        yield* proxy.swallowReply({ op: "setData" }, "cut")
        const error = yield* failsWith(steps.pipe(ZkClient.retry()), "ConnectionLoss")
        assert.deepStrictEqual([runs, error.maybeApplied], [3, true])
      }))
  })
})
