/** Ephemeral nodes that go with a scope, and their removal: T = 6 seconds on the scripted server, or a real one. */
import { assert, describe, it, layer } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as ZkClient from "../src/ZkClient.ts"
import * as ZkTransaction from "../src/ZkTransaction.ts"
import { expireThrough } from "./support/expire.ts"
import { failsWith } from "./support/failsWith.ts"
import { pass, settle } from "./support/fakeClient.ts"
import { leaseRig } from "./support/leasing.ts"
import { makeProxy } from "./support/proxy.ts"
import { ZkServer } from "./support/server.ts"
import { pollUntil } from "./support/wait.ts"
import { newSession } from "./support/watching.ts"

const marked = /^\/a\/_c_[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}-n$/

describe("an ephemeral node that goes with a scope", () => {
  it.effect("is there as long as that, under a name of its own [VALUE-08]", () =>
    Effect.gen(function*() {
      const { nodes, zk } = yield* leaseRig
      const session = yield* zk.session
      const paths = yield* Effect.scoped(
        Effect.gen(function*() {
          const one = yield* session.createEphemeral("/a/n", "x")
          const two = yield* session.createEphemeral("/a/n", "x", { sequential: true })
          const three = yield* session.createEphemeral("/a/n", "x", { mark: (uuid) => `mine-${uuid.slice(0, 8)}-` })
          assert.match(one.path, marked)
          assert.strictEqual(two.path.slice(-10), "0000000001")
          assert.match(three.path, /^\/a\/mine-[0-9a-f]{8}-n$/)
          assert.isTrue(one.stat.czxid > 0n)
          return [one.path, two.path, three.path]
        }).pipe(Effect.tap((paths) => Effect.sync(() => assert.deepStrictEqual([...nodes.paths()], paths))))
      )
      assert.lengthOf(paths, 3)
      assert.deepStrictEqual(nodes.paths(), [])
    }))

  it.effect("may be removed before, once [VALUE-08]", () =>
    Effect.gen(function*() {
      const { fake, nodes, zk } = yield* leaseRig
      const session = yield* zk.session
      yield* Effect.scoped(Effect.gen(function*() {
        const node = yield* session.createEphemeral("/a/n")
        assert.strictEqual(yield* node.remove, "removed")
        assert.deepStrictEqual(nodes.paths(), [])
        // Somebody else's, by the same name.
        yield* nodes.add(node.path)
        assert.strictEqual(yield* node.remove, "removed")
        assert.deepStrictEqual(nodes.paths(), [node.path])
      }))
      assert.lengthOf(nodes.paths(), 1)
      assert.lengthOf(fake.requests.filter(({ name }) => name === "delete"), 1)
      yield* Effect.scoped(Effect.gen(function*() {
        const node = yield* session.createEphemeral("/a/n")
        yield* nodes.remove(node.path)
        assert.strictEqual(yield* node.remove, "missing")
      }))
    }))

  it.effect("is not made in another session [VALUE-09]", () =>
    Effect.gen(function*() {
      const { fake, nodes, states, zk } = yield* leaseRig
      const session = yield* zk.session
      yield* fake.onConnect(({ request }) => request.sessionId === 0n ? { type: "accept" } : { type: "expired" })
      // The creation goes out, and its answer is lost with the session.
      yield* fake.once("create2", () => ({ type: "close" }))
      const creating = yield* Effect.forkChild(
        failsWith(Effect.scoped(session.createEphemeral("/a/n")), "SessionExpired"),
        { startImmediately: true }
      )
      yield* pass(1_000)
      yield* states.await("Connected", { since: 2 })
      assert.strictEqual((yield* Fiber.join(creating)).sessionId, session.sessionId)
      const since = fake.requests.length
      yield* failsWith(Effect.scoped(session.createEphemeral("/a/n")), "SessionExpired")
      assert.strictEqual(yield* session.remove("/a/n"), "pending")
      yield* pass(1_000)
      assert.deepStrictEqual(fake.requests.slice(since).filter(({ name }) => name !== "ping"), [])
      assert.deepStrictEqual(nodes.paths(), [])
    }))
})

describe("the removal of a node", () => {
  it.effect("waits for the server while there is a connection, a third of the timeout at most [VALUE-10]", () =>
    Effect.gen(function*() {
      const { fake, nodes, zk } = yield* leaseRig
      const session = yield* zk.session
      const scope = yield* Scope.make()
      const node = yield* Scope.provide(session.createEphemeral("/a/n"), scope)
      yield* fake.on("delete", () => ({ type: "silence" }))
      const removing = yield* Effect.forkChild(node.remove, { startImmediately: true })
      yield* pass(1_950)
      assert.isUndefined(removing.pollUnsafe())
      yield* pass(50)
      assert.strictEqual(yield* Fiber.join(removing), "pending")
      assert.deepStrictEqual(nodes.paths(), [node.path])
      // It goes on with another try, on the next connection at the latest.
      yield* fake.on("delete", nodes.answer)
      yield* (yield* fake.current).close
      yield* pass(1_000)
      assert.deepStrictEqual(nodes.paths(), [])
    }))

  it.effect("does not wait where there is no connection, and is done on the next [VALUE-10] [I4]", () =>
    Effect.gen(function*() {
      const { fake, nodes, states, wire, zk } = yield* leaseRig
      const session = yield* zk.session
      const scope = yield* Scope.make()
      const node = yield* Scope.provide(session.createEphemeral("/a/n"), scope)
      wire.dead.add("zk:2181")
      yield* (yield* fake.current).close
      yield* settle
      yield* states.await("Suspended")
      const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void), { startImmediately: true })
      yield* settle
      assert.isDefined(closing.pollUnsafe())
      assert.strictEqual(yield* node.remove, "pending")
      yield* pass(2_000)
      wire.dead.clear()
      yield* pass(2_500)
      assert.deepStrictEqual(nodes.paths(), [])
    }))

  it.effect("goes on through lost answers and what passes by itself [VALUE-11]", () =>
    Effect.gen(function*() {
      const { fake, nodes, zk } = yield* leaseRig
      const session = yield* zk.session
      yield* nodes.add("/a/n")
      yield* fake.once("delete", () => ({ type: "close" }))
      yield* fake.once("delete", () => ({ type: "reply", err: -127 }))
      yield* fake.once("delete", () => ({ type: "close" }))
      const removing = yield* Effect.forkChild(session.remove("/a/n"), { startImmediately: true })
      yield* settle
      assert.strictEqual(yield* Fiber.join(removing), "pending")
      assert.deepStrictEqual(nodes.paths(), ["/a/n"])
      yield* pass(3_000)
      assert.deepStrictEqual(nodes.paths(), [])
      assert.strictEqual(fake.requests.filter(({ name }) => name === "delete").length, 4)
      // And no more after that.
      yield* pass(10_000)
      assert.strictEqual(fake.requests.filter(({ name }) => name === "delete").length, 4)
    }))

  it.effect("cannot be interrupted, nor does it fail: what may not be deleted stays with its session [VALUE-11]", () =>
    Effect.gen(function*() {
      const { fake, nodes, zk } = yield* leaseRig
      const session = yield* zk.session
      yield* nodes.add("/a/n")
      yield* fake.once("delete", () => ({ type: "silence" }))
      const removing = yield* Effect.forkChild(session.remove("/a/n"), { startImmediately: true })
      yield* settle
      const interrupting = yield* Effect.forkChild(Fiber.interrupt(removing), { startImmediately: true })
      yield* pass(1_000)
      assert.isUndefined(interrupting.pollUnsafe())
      yield* pass(1_000)
      yield* Fiber.join(interrupting)
      yield* (yield* fake.current).close
      yield* pass(1_000)
      assert.deepStrictEqual(nodes.paths(), [])
      yield* fake.on("delete", () => ({ type: "reply", err: -102 }))
      assert.strictEqual(yield* session.remove("/a/n"), "pending")
      const since = fake.requests.length
      yield* pass(5_000)
      assert.isAtMost(fake.requests.slice(since).filter(({ name }) => name === "delete").length, 1)
    }))

  it.effect("ends with the session [VALUE-11]", () =>
    Effect.gen(function*() {
      const { fake, nodes, states, wire, zk } = yield* leaseRig
      const session = yield* zk.session
      yield* nodes.add("/a/n")
      wire.dead.add("zk:2181")
      yield* (yield* fake.current).close
      yield* settle
      assert.strictEqual(yield* session.remove("/a/n"), "pending")
      yield* fake.onConnect(({ request }) => request.sessionId === 0n ? { type: "accept" } : { type: "expired" })
      wire.dead.clear()
      yield* pass(3_000)
      yield* states.await("Connected", { since: 2 })
      yield* pass(3_000)
      assert.notInclude(fake.requests.map(({ name }) => name), "delete")
    }))

  it.effect("is waited for by the end of the client, but not beyond its time [VALUE-12]", () =>
    Effect.gen(function*() {
      const { fake, nodes, wire } = yield* leaseRig
      const scope = yield* Scope.make()
      const zk = yield* Scope.provide(wire.client({ closeTimeout: "3 seconds" }), scope)
      const session = yield* zk.session
      yield* nodes.add("/a/n")
      yield* fake.once("delete", () => Effect.as(Effect.sleep("1 second"), { type: "default" } as const))
      yield* Effect.forkChild(session.remove("/a/n"), { startImmediately: true })
      yield* settle
      const began = session.nowUnsafe()
      yield* Scope.close(scope, Exit.void)
      const took = session.nowUnsafe() - began
      assert.isAtLeast(took, 1_000)
      assert.isBelow(took, 1_500)
      assert.strictEqual(fake.requests.at(-1)?.name, "closeSession")
      // One that cannot be done does not hold it up for ever.
      const second = yield* Scope.make()
      const other = yield* Scope.provide(wire.client({ closeTimeout: "3 seconds" }), second)
      const theirs = yield* other.session
      wire.dead.add("zk:2181")
      yield* (yield* fake.current).close
      yield* settle
      assert.strictEqual(yield* theirs.remove("/a/m"), "pending")
      const begun = theirs.nowUnsafe()
      yield* Scope.close(second, Exit.void)
      assert.isAtMost(theirs.nowUnsafe() - begun, 3_100)
    }))
})

let counter = 0

layer(ZkServer.layer(), { excludeTestServices: true, timeout: "60 seconds" })("on a real server", (it) => {
  const clients = Effect.gen(function*() {
    const server = yield* ZkServer
    const proxy = yield* makeProxy(server.port)
    const other = yield* ZkClient.make({ hosts: server.connectString })
    const zk = yield* ZkClient.make({ hosts: proxy.connectString, sessionTimeout: "3 seconds" })
    const root = `/root-${counter++}`
    yield* other.create(root)
    const session = yield* zk.session
    const isEmpty = Effect.promise(() =>
      pollUntil("nothing is left", () =>
        Effect.runPromise(
          Effect.map(other.getChildren(root), ({ children }) => children.length === 0 ? true : undefined)
        ))
    )
    return { isEmpty, other, proxy, root, server, session, zk }
  })

  it.effect("one node is made, whichever answer is lost on the way [VALUE-13] [I1] [K36]", () =>
    Effect.forEach(
      // None, and each event of looking for it: connection, handshake, sync, list, exists.
      [0, 2, 3, 4, 5, 6, 7, 8, 9, 10],
      (at) =>
        Effect.scoped(Effect.gen(function*() {
          const { isEmpty, other, proxy, root, session } = yield* clients
          yield* proxy.forget
          const lost = yield* proxy.swallowReply({ op: "create" }, "cut")
          if (at > 0) yield* proxy.cutAt(at)
          yield* Effect.scoped(Effect.gen(function*() {
            const node = yield* session.createEphemeral(`${root}/n`, "x", { sequential: at % 2 === 0 })
            assert.deepStrictEqual(
              [...(yield* other.getChildren(root)).children],
              [node.path.slice(root.length + 1)]
            )
            const stat = Option.getOrUndefined(yield* other.exists(node.path))
            assert.strictEqual(stat?.ephemeralOwner, session.sessionId)
            assert.strictEqual(node.stat.czxid, stat?.czxid)
          }))
          assert.strictEqual(yield* lost.count, 1)
          yield* isEmpty
        })),
      { concurrency: 4, discard: true }
    ))

  it.effect("none is left by an interruption at any event of the network [VALUE-14] [I3]", () =>
    Effect.gen(function*() {
      let interrupted = 0
      const points = [
        ...[0, 1, 2, 3].map((at) => ({ at, lost: false })),
        ...Array.from({ length: 12 }, (_, at) => ({ at, lost: true }))
      ]
      yield* Effect.forEach(points, ({ at, lost }) =>
        Effect.scoped(Effect.gen(function*() {
          const { isEmpty, proxy, root, session, zk } = yield* clients
          yield* proxy.forget
          if (lost) yield* proxy.swallowReply({ op: "create" }, "cut")
          const made = yield* Deferred.make<void>()
          const fiber = yield* Effect.forkChild(
            Effect.scoped(Effect.andThen(
              session.createEphemeral(`${root}/n`, "x", { sequential: true }),
              Effect.andThen(Deferred.succeed(made, undefined), Effect.never)
            ))
          )
          const interrupt = Effect.sync(() => fiber.interruptUnsafe())
          // Not waiting for its end: the event itself goes on.
          yield* proxy.runAt(at, Effect.andThen(Effect.sync(() => interrupted++), interrupt))
          // Where there is no such event the node is there, and goes with its scope.
          yield* Effect.raceFirst(Deferred.await(made), Effect.ignore(Fiber.await(fiber)))
          yield* interrupt
          yield* Fiber.await(fiber)
          yield* zk.sync()
          yield* isEmpty
        })), { concurrency: 6, discard: true })
      assert.isAtLeast(interrupted, 10)
    }))

  it.effect("one that goes with its session is not removed from the next [VALUE-09]", () =>
    Effect.gen(function*() {
      const { isEmpty, other, proxy, root, server, session, zk } = yield* clients
      const scope = yield* Scope.make()
      const node = yield* Scope.provide(session.createEphemeral(`${root}/n`), scope)
      const id = yield* expireThrough(proxy, server.port)
      assert.strictEqual(id, session.sessionId)
      yield* newSession(zk, id)
      yield* isEmpty
      yield* other.create(node.path, "somebody else's")
      yield* Scope.close(scope, Exit.void)
      yield* zk.sync()
      assert.isTrue(Option.isSome(yield* other.exists(node.path)))
    }))

  it.effect("an answered write counts, and so does a refused transaction [VALUE-06]", () =>
    Effect.gen(function*() {
      const { root, session, zk } = yield* clients
      yield* zk.getChildren(root)
      yield* zk.sync()
      assert.strictEqual(session.committedAtUnsafe(), -Infinity)
      yield* zk.create(`${root}/x`)
      const first = session.committedAtUnsafe()
      assert.isAbove(first, -Infinity)
      yield* failsWith(zk.create(`${root}/x`), "NodeExists")
      assert.strictEqual(session.committedAtUnsafe(), first)
      yield* failsWith(zk.multi([ZkTransaction.check(`${root}/none`)]), "MultiFailed")
      assert.isAbove(session.committedAtUnsafe(), first)
    }))
})
