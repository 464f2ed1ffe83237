/** Protected creates: cut or interrupted at every event of the network, they leave one node or none. */
import { assert, describe, it, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Random from "effect/Random"
import * as ZkClient from "../src/ZkClient.ts"
import type { CreateMode } from "../src/ZkTransaction.ts"
import { failsWith } from "./support/failsWith.ts"
import { fakeClient } from "./support/fakeClient.ts"
import { err, makeFakeServer } from "./support/fakeServer.ts"
import { makeProxy } from "./support/proxy.ts"
import { ZkServer } from "./support/server.ts"
import { pollUntil } from "./support/wait.ts"
import { sessionOf } from "./support/watching.ts"

const name = /^_c_[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}-n-(\d{10})?$/

let counter = 0

/** A client behind a proxy of its own, another one past it, and a node of the test's own. */
const makeClients = Effect.gen(function*() {
  const server = yield* ZkServer
  const proxy = yield* makeProxy(server.port)
  const other = yield* ZkClient.make({ hosts: server.connectString })
  const zk = yield* ZkClient.make({ hosts: proxy.connectString, sessionTimeout: "2 seconds" })
  const root = `/root-${counter++}`
  yield* other.create(root)
  return { proxy, server, other, zk, root }
})

type Clients = Effect.Success<typeof makeClients>

/** Runs a scenario once for each point, several at a time, each with clients of its own. */
const atEach = <P, E>(points: ReadonlyArray<P>, scenario: (clients: Clients, point: P) => Effect.Effect<void, E>) =>
  Effect.forEach(points, (point) => Effect.scoped(Effect.flatMap(makeClients, (clients) => scenario(clients, point))), {
    concurrency: 6,
    discard: true
  })

const childrenOf = (zk: ZkClient.ZkClient, path: string) =>
  Effect.map(zk.getChildren(path), (node) => [...node.children])

/** Removal goes on in the background: waits for it. */
const untilEmpty = (zk: ZkClient.ZkClient, path: string) =>
  Effect.promise(() =>
    pollUntil(
      "the node is gone",
      () => Effect.runPromise(Effect.map(childrenOf(zk, path), (names) => names.length === 0 ? true : undefined))
    )
  )

const modes: ReadonlyArray<CreateMode> = ["ephemeralSequential", "persistentSequential", "ephemeral", "persistent"]

describe.concurrent("with a server of its own", () => {
  layer(ZkServer.layer(), { excludeTestServices: true, timeout: "60 seconds" })("a protected create", (it) => {
    for (const mode of modes) {
      it.effect(`(${String(mode)}) that is cut at any event makes one node, and tells of it [K36] [X1] [D1]`, () => {
        const run = Effect.fnUntraced(function*({ other, proxy, root, zk }: Clients) {
          const id = yield* sessionOf(zk)
          yield* proxy.forget
          const created = yield* zk.createProtected(`${root}/n-`, "x", { mode })
          assert.deepStrictEqual(yield* childrenOf(other, root), [created.path.slice(root.length + 1)])
          assert.match(created.path.slice(root.length + 1), name)
          assert.strictEqual(created.stat?.ephemeralOwner, String(mode).startsWith("ephemeral") ? id : 0n)
          return yield* proxy.nextIndex
        })
        return Effect.gen(function*() {
          const events = yield* Effect.scoped(Effect.flatMap(makeClients, run))
          assert.strictEqual(events, 2)
          const once = (["cut", "reset", "passThenCut"] as const).flatMap((how) => [{ at: 0, how }, { at: 1, how }])
          yield* atEach(once, (clients, { at, how }) => Effect.andThen(clients.proxy.cutAt(at, how), run(clients)))
          // The answer is lost, and then one event of looking for it: connection, handshake, sync, list, exists.
          const twice = [2, 3, 4, 5, 6, 7, 8, 9, 10]
          yield* atEach(twice, (clients, second) =>
            Effect.gen(function*() {
              const rule = yield* clients.proxy.swallowReply({ op: "create" }, "cut")
              yield* clients.proxy.cutAt(second)
              assert.isAbove(yield* run(clients), 10)
              assert.strictEqual(yield* rule.count, 1)
            }))
        })
      })
    }

    for (const mode of ["ephemeralSequential", "persistentSequential"] as const) {
      it.effect(`(${mode}) that is interrupted at any event leaves nothing [K36] [IDEM-05]`, () => {
        const points = [
          ...[0, 1].map((at) => ({ at, lost: false, last: 1 })),
          ...[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10].map((at) => ({ at, lost: true, last: 10 }))
        ]
        return atEach(points, ({ other, proxy, root, zk }, { at, last, lost }) =>
          Effect.gen(function*() {
            yield* proxy.forget
            if (lost) yield* proxy.swallowReply({ op: "create" }, "cut")
            const fiber = yield* Effect.forkChild(zk.createProtected(`${root}/n-`, "x", { mode }))
            let interrupted = false
            // Not waiting for its end: the event itself goes on.
            yield* proxy.runAt(
              at,
              Effect.sync(() => {
                interrupted = true
                fiber.interruptUnsafe()
              })
            )
            const exit = yield* Fiber.await(fiber)
            assert.isTrue(interrupted || (lost && at === 1))
            // A lost answer is no event; the last one and the interruption may come at once.
            if (Exit.isSuccess(exit)) {
              assert.isTrue(at === last || (lost && at === 1))
              yield* other.delete(exit.value.path)
            }
            yield* zk.sync()
            yield* untilEmpty(other, root)
          }))
      })
    }

    it.effect("that gives up removes in the background what it may have made [IDEM-05] [FLT-13]", () =>
      Effect.gen(function*() {
        const { other, proxy } = yield* makeClients
        const hosts = `${proxy.connectString}/protected`
        const zk = yield* ZkClient.make({ hosts, createChroot: true, requestTimeout: "300 millis" })
        const rule = yield* proxy.swallowReply({ op: "create" }, "cut")
        const fiber = yield* Effect.forkChild(
          failsWith(zk.createProtected("/n-", "x", { mode: "persistentSequential" }), "ConnectionLoss"),
          { startImmediately: true }
        )
        yield* rule.fired
        yield* proxy.setAccept("refuse")
        assert.isTrue((yield* Fiber.join(fiber)).maybeApplied)
        assert.strictEqual((yield* childrenOf(other, "/protected")).length, 1)
        // The first clean-up fails too.
        const deletion = yield* proxy.rule({ op: "delete", kind: "request" }, "cut")
        yield* proxy.setAccept("accept")
        yield* deletion.fired
        yield* untilEmpty(other, "/protected")
      }))

    it.effect("finds only its own mark, which comes before the last name [IDEM-07]", () =>
      Effect.gen(function*() {
        const { other, proxy, root, zk } = yield* makeClients
        const foreign = ["_c_53345f98-9423-4e0c-a7b5-9f819e3ec2e1-n-0000000000", "_c_not-a-mark-n-", "n-0000000001"]
        for (const child of foreign) yield* other.create(`${root}/${child}`)
        yield* proxy.rule({ op: "create", kind: "request" }, "cut")
        const { path } = yield* zk.createProtected(`${root}/n-`, "x", { mode: "ephemeralSequential" })
        assert.match(path.slice(root.length + 1), name)
        assert.strictEqual((yield* childrenOf(other, root)).length, foreign.length + 1)
        const plain = yield* zk.createProtected(`${root}/n-`)
        assert.match(plain.path.slice(root.length + 1), name)
        yield* failsWith(zk.createProtected("relative"), "InvalidPath")
        yield* failsWith(zk.createProtected(`${root}/missing/n-`), "NoNode")
      }))

    it.effect("of an ephemeral node does not outlive its session [K34]", () =>
      Effect.gen(function*() {
        const { other, proxy, root, server, zk } = yield* makeClients
        const id = yield* sessionOf(zk)
        yield* proxy.swallowReply({ op: "create" }, "cut")
        const states = zk.createProtected(`${root}/n-`, "x", { mode: "ephemeral" })
        const fiber = yield* Effect.forkChild(failsWith(states, "SessionExpired"), { startImmediately: true })
        yield* proxy.awaitFrame({ op: "create", kind: "reply" })
        yield* proxy.setAccept("refuse")
        yield* server.waitUntil(
          "the session is over",
          (server) => Effect.map(server.sessions, (all) => !all.includes(id))
        )
        yield* proxy.setAccept("accept")
        assert.isTrue((yield* Fiber.join(fiber)).maybeApplied)
        assert.deepStrictEqual(yield* childrenOf(other, root), [])
        yield* zk.sync()
        assert.notStrictEqual(yield* sessionOf(zk), id)
      }))
  })
})

describe("the mark of a protected create", () => {
  it.effect("is a UUID whatever the dice say [IDEM-07]", () =>
    Effect.gen(function*() {
      const zk = yield* fakeClient(yield* makeFakeServer)
      for (const chance of [0, 0.5, 1 - 2 ** -53]) {
        const dice = { nextDoubleUnsafe: () => chance, nextIntUnsafe: () => Math.floor(chance * 2 ** 31) }
        const { path } = yield* Effect.provideService(zk.createProtected("/n-"), Random.Random, dice)
        assert.match(path.slice(1), name)
      }
    }))
})

describe("a sequential create", () => {
  it.effect("says NodeExists when the parent's counter has run out, and is not tried again [H1]", () =>
    Effect.gen(function*() {
      const fake = yield* makeFakeServer
      const zk = yield* fakeClient(fake)
      yield* fake.on("create2", () => err(-110))
      const mode = "ephemeralSequential"
      const error = yield* failsWith(zk.create("/locks/n-", null, { mode }), "NodeExists")
      assert.strictEqual(error.path, "/locks/n-")
      yield* failsWith(zk.createProtected("/locks/n-", null, { mode }), "NodeExists")
      yield* failsWith(zk.create("/locks/n-", null, { mode, parents: true }), "NodeExists")
      assert.strictEqual(fake.requests.filter(({ name }) => name !== "ping").length, 3)
    }))
})
