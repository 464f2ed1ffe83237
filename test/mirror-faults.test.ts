import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as ZkClient from "../src/ZkClient.ts"
import * as ZkTransaction from "../src/ZkTransaction.ts"
import { expireSession, expireThrough } from "./support/expire.ts"
import { failsWith } from "./support/failsWith.ts"
import { becomes, byPath, mirrorOf, present, proxiedPair, showChange, shown, textOf } from "./support/mirroring.ts"
import { makeProxiedServer } from "./support/proxy.ts"
import { newSession, record, sessionOf } from "./support/watching.ts"

describe.concurrent("a copy without a connection", () => {
  it.live("is stale, shows what it knew, and finds everything that it missed [L2] [TC-06]", () =>
    Effect.gen(function*() {
      const { mirror, other, proxy, root, zk } = yield* proxiedPair()
      for (const name of ["same", "changed", "gone", "gone/child"]) yield* other.create(`${root}/${name}`, "before")
      const session = yield* sessionOf(zk)
      const tree = yield* mirror.tree(root)
      const node = yield* mirror.node(`${root}/changed`)
      const missing = yield* mirror.node(`${root}/new`)
      const changes = yield* record(Stream.map(tree.changes, showChange(root)))
      const texts = yield* record(Stream.map(node.changes, textOf))
      const comings = yield* record(Stream.map(missing.changes, textOf))
      yield* changes.until("the start", (values) => values.length === 5)
      yield* texts.until("the start", (values) => values.length === 1)
      yield* comings.until("the start", (values) => values.length === 1)
      assert.strictEqual((yield* tree.freshness)._tag, "Live")

      yield* proxy.setAccept("refuse")
      yield* proxy.cutAll
      yield* becomes(tree, "Stale")
      yield* other.setData(`${root}/changed`, "after")
      yield* other.deleteRecursive(`${root}/gone`)
      yield* other.create(`${root}/new`, "after")
      const state = yield* zk.state
      assert.strictEqual(state._tag, "Suspended")
      const since = state._tag === "Suspended" ? state.since : undefined
      assert.deepStrictEqual(yield* tree.freshness, { _tag: "Stale", since: since! })
      assert.strictEqual((yield* node.freshness)._tag, "Stale")
      assert.strictEqual((yield* node.value).text, "before")
      assert.strictEqual((yield* tree.entries).size, 5)

      yield* proxy.setAccept("accept")
      yield* becomes(tree, "Live")
      assert.deepStrictEqual(byPath(yield* shown(tree)), byPath(yield* present(other, root)))
      yield* becomes(node, "Live")
      assert.strictEqual((yield* node.value).text, "after")
      yield* becomes(missing, "Live")
      assert.strictEqual((yield* missing.value).text, "after")
      assert.strictEqual(yield* sessionOf(zk), session)
      yield* tree.sync
      yield* changes.until("the end", (values) => values.length === 9)
      assert.sameMembers(changes.values.slice(5), [
        "Changed /changed",
        "Removed /gone/child",
        "Removed /gone",
        "Added /new"
      ])
      assert.isBelow(changes.values.indexOf("Removed /gone/child"), changes.values.indexOf("Removed /gone"))
      assert.deepStrictEqual([texts.values, comings.values], [["before", "after"], [undefined, "after"]])
    }))

  it.live("notices that a node is another, though all its numbers are the same [L1]", () =>
    Effect.gen(function*() {
      const { mirror, other, proxy, root } = yield* proxiedPair()
      const path = `${root}/a`
      yield* other.create(path, "same")
      yield* other.create(`${path}/old`)
      const tree = yield* mirror.tree(root)
      const node = yield* mirror.node(path)
      const changes = yield* record(Stream.map(tree.changes, showChange(root)))
      const ids = yield* record(Stream.map(node.changes, Option.map(({ stat }) => stat.czxid)))
      yield* changes.until("the start", (values) => values.length === 3)
      yield* ids.until("the start", (values) => values.length === 1)
      yield* proxy.setAccept("refuse")
      yield* proxy.cutAll
      yield* becomes(tree, "Stale")
      yield* other.multi([
        ZkTransaction.delete(`${path}/old`),
        ZkTransaction.delete(path),
        ZkTransaction.create(path, "same"),
        ZkTransaction.create(`${path}/new`)
      ])
      yield* proxy.setAccept("accept")
      yield* becomes(tree, "Live")
      yield* changes.until("the end", (values) => values.length === 6)
      assert.sameMembers(changes.values.slice(3), ["Changed /a", "Removed /a/old", "Added /a/new"])
      yield* ids.until("the end", (values) => values.length === 2)
      assert.notDeepEqual(ids.values[0], ids.values[1])
    }))

  it.live("goes on being read while there is no server; whoever asks the server is told [TC-16]", () =>
    Effect.gen(function*() {
      const { proxy, server } = yield* makeProxiedServer()
      const zk = yield* ZkClient.make({ hosts: proxy.connectString, requestTimeout: "500 millis" })
      const mirror = yield* mirrorOf(zk)
      yield* zk.create("/a", "1")
      const tree = yield* mirror.tree("/")
      const node = yield* mirror.node("/a")
      yield* node.value
      yield* server.stop
      yield* becomes(tree, "Stale")
      assert.strictEqual(textOf(yield* tree.get("/a")), "1")
      assert.strictEqual((yield* node.value).text, "1")
      yield* failsWith(zk.getData("/a"), "OperationTimeout")
      yield* failsWith(tree.sync, "OperationTimeout")
      const unknown = yield* mirror.node("/b")
      assert.strictEqual((yield* unknown.state)._tag, "Unknown")
      yield* failsWith(unknown.value, "OperationTimeout")
      yield* failsWith(mirror.tree("/a"), "OperationTimeout")
      yield* server.start
      yield* becomes(unknown, "Live")
      yield* failsWith(unknown.value, "NoNode")
      yield* becomes(tree, "Live")
      yield* node.set("2")
      assert.strictEqual((yield* node.value).text, "2")
    }))

  it.live("may be asked for, and comes when there is a server [TC-15]", () =>
    Effect.gen(function*() {
      const { mirror, other, proxy, root, zk } = yield* proxiedPair()
      yield* other.create(`${root}/a`, "1")
      yield* proxy.setAccept("refuse")
      yield* proxy.cutAll
      yield* zk.stateChanges.pipe(Stream.takeUntil((state) => state._tag === "Suspended"), Stream.runDrain)
      const node = yield* mirror.node(`${root}/a`)
      assert.strictEqual((yield* node.freshness)._tag, "Stale")
      const value = yield* Effect.forkChild(node.value, { startImmediately: true })
      const tree = yield* Effect.forkChild(mirror.tree(root), { startImmediately: true })
      assert.strictEqual((yield* node.state)._tag, "Unknown")
      yield* proxy.setAccept("accept")
      assert.strictEqual((yield* Fiber.join(value)).text, "1")
      assert.strictEqual(yield* (yield* Fiber.join(tree)).size, 2)
    }))
})

describe.concurrent("a copy in a new session", () => {
  it.live("tells of exactly what has changed meanwhile [Z32]", () =>
    Effect.gen(function*() {
      const { mirror, other, port, proxy, root, zk } = yield* proxiedPair()
      const paths = Array.from({ length: 100 }, (_, i) => `${root}/${i}`)
      yield* Effect.forEach(paths, (path) => other.create(path, "before"), { concurrency: 20 })
      const told = new Set<string>()
      const nodes = yield* Effect.forEach(paths, (path) => mirror.node(path))
      for (const node of nodes) {
        yield* node.value
        yield* record(Stream.tap(Stream.drop(node.changes, 1), () => Effect.sync(() => told.add(node.path))))
      }
      yield* proxy.setAccept("refuse")
      const session = yield* expireThrough(proxy, port)
      yield* Effect.forEach(paths.slice(0, 50), (path) => other.setData(path, "after"), { concurrency: 20 })
      yield* proxy.setAccept("accept")
      yield* newSession(zk, session)
      for (const [i, node] of nodes.entries()) {
        yield* node.sync
        assert.strictEqual((yield* node.value).text, i < 50 ? "after" : "before")
      }
      assert.sameMembers([...told], paths.slice(0, 50))
    }))

  it.live("sees a node that was missing when it comes [Z33]", () =>
    Effect.gen(function*() {
      const { mirror, other, port, proxy, root, zk } = yield* proxiedPair()
      const node = yield* mirror.node(`${root}/a`)
      yield* failsWith(node.value, "NoNode")
      const { until, values } = yield* record(Stream.map(node.changes, textOf))
      yield* newSession(zk, yield* expireThrough(proxy, port))
      yield* other.create(`${root}/a`, "1")
      yield* until("the node", () => values.length === 2)
      assert.deepStrictEqual(values, [undefined, "1"])
    }))

  it.live("has lost the nodes of the old one, and no others [TC-07]", () =>
    Effect.gen(function*() {
      const { mirror, other, port, proxy, root, zk } = yield* proxiedPair()
      yield* zk.create(`${root}/ours`, "", { mode: "ephemeral" })
      yield* other.create(`${root}/theirs`, "", { mode: "ephemeral" })
      const tree = yield* mirror.tree(root)
      const { until, values } = yield* record(Stream.map(tree.changes, showChange(root)))
      yield* until("the start", () => values.length === 3)
      yield* newSession(zk, yield* expireThrough(proxy, port))
      yield* until("the removal", () => values.length === 4)
      yield* tree.sync
      assert.strictEqual(values[3], "Removed /ours")
      assert.strictEqual(values.length, 4)
    }))

  it.live("of a client that has only one ends with it [MIR-END]", () =>
    Effect.gen(function*() {
      const { mirror, port, proxy, root, zk } = yield* proxiedPair({ onExpiry: "end" })
      const node = yield* mirror.node(root)
      const tree = yield* mirror.tree(root)
      const changes = yield* record(node.changes)
      const treeChanges = yield* record(tree.changes)
      yield* changes.until("the start", (values) => values.length === 1)
      const session = yield* expireThrough(proxy, port)
      assert.strictEqual((yield* failsWith(Fiber.join(changes.fiber), "SessionExpired")).sessionId, session)
      yield* failsWith(Fiber.join(treeChanges.fiber), "SessionExpired")
      yield* failsWith(node.value, "SessionExpired")
      yield* failsWith(mirror.tree(root), "SessionExpired")
      assert.strictEqual((yield* tree.freshness)._tag, "Stale")
      assert.strictEqual((yield* zk.state)._tag, "Expired")
    }))

  it.live("bound to the old one ends with that [MIR-END]", () =>
    Effect.gen(function*() {
      const { port, proxy, root, zk } = yield* proxiedPair()
      const mirror = yield* mirrorOf((yield* zk.session).client)
      const tree = yield* mirror.tree(root)
      const { fiber } = yield* record(tree.changes)
      yield* expireThrough(proxy, port)
      yield* failsWith(Fiber.join(fiber), "SessionExpired")
      yield* failsWith(mirror.tree(root), "SessionExpired")
    }))
})

describe.concurrent("a write through a copy", () => {
  it.live("is complete when it is seen, however late events come [Z20]", () =>
    Effect.gen(function*() {
      const { mirror, proxy, root } = yield* proxiedPair()
      const node = yield* mirror.node(root)
      yield* node.value
      const late = yield* proxy.rule({ kind: "event" }, { delay: 30 }, { times: 10 })
      for (let i = 0; i < 10; i++) {
        yield* node.set(`${i}`)
        assert.strictEqual((yield* node.value).text, `${i}`)
      }
      assert.strictEqual(yield* late.count, 10)
    }))

  for (const fault of ["cut", "expire"] as const) {
    it.live(`is complete when it is seen, though the look at it was lost: ${fault} [Z20]`, () =>
      Effect.gen(function*() {
        const { mirror, port, proxy, root } = yield* proxiedPair()
        const node = yield* mirror.node(root)
        yield* node.value
        // The write is answered, and then it happens.
        const answered = proxy.awaitFrame({ op: "setData", direction: "toClient" })
        const happens = Effect.andThen(answered, fault === "cut" ? proxy.cutAll : expireThrough(proxy, port))
        const lost = yield* proxy.rule({ op: "getData", direction: "toServer" }, { before: Effect.orDie(happens) })
        yield* node.set("1")
        assert.strictEqual(yield* lost.count, 1)
        assert.strictEqual((yield* node.value).text, "1")
      }))
  }

  it.live("that cannot be seen in time tells that it was applied [Z20]", () =>
    Effect.gen(function*() {
      const { mirror, other, proxy, root } = yield* proxiedPair({ requestTimeout: "300 millis" })
      const node = yield* mirror.node(root)
      yield* node.value
      yield* proxy.rule({ op: "getData", direction: "toServer" }, "freeze")
      const error = yield* failsWith(node.set("1"), "OperationTimeout")
      assert.isTrue(error.maybeApplied)
      assert.deepStrictEqual([error.operation, error.path], ["setData", root])
      assert.strictEqual((yield* other.getData(root)).text, "1")
      yield* proxy.heal
      yield* proxy.cutAll
      yield* node.sync.pipe(Effect.retry({ times: 20 }))
      assert.strictEqual((yield* node.value).text, "1")
    }))
})

describe.concurrent("a tree that is being read", () => {
  const names = ["/a", "/a/1", "/a/1/x", "/a/2", "/b", "/b/1"]

  const plant = Effect.gen(function*() {
    const rig = yield* proxiedPair()
    yield* Effect.forEach(names, (name) => rig.other.create(`${rig.root}${name}`, "before"), { discard: true })
    const connected = yield* rig.proxy.awaitFrame({
      where: ({ session }) => session !== undefined && session.timeout > 0
    })
    yield* rig.proxy.forget
    return { ...rig, expire: expireSession(rig.port, connected.session!), session: connected.session!.sessionId }
  })

  /** How many events it takes to read it. */
  const events = Effect.gen(function*() {
    const { mirror, proxy, root } = yield* plant
    yield* mirror.tree(root)
    const [first] = yield* proxy.frames({ direction: "toServer" })
    assert.strictEqual(first?.op, "addWatch", "the watch comes first")
    return yield* proxy.nextIndex
  })

  const faults = {
    "is complete though nodes change": ({ other, root }) =>
      other.multi([
        ZkTransaction.setData(`${root}/a`, "after"),
        ZkTransaction.delete(`${root}/a/1/x`),
        ZkTransaction.delete(`${root}/a/1`),
        ZkTransaction.create(`${root}/a/1`, "anew"),
        ZkTransaction.create(`${root}/a/3`),
        ZkTransaction.create(`${root}/a/3/x`),
        ZkTransaction.delete(`${root}/b/1`),
        ZkTransaction.delete(`${root}/b`)
      ]),
    "is complete though the connection is lost": ({ proxy }) => proxy.cutAll,
    "is complete though the session ends": ({ expire }) => expire
  } satisfies Record<string, (rig: Effect.Success<typeof plant>) => Effect.Effect<unknown, unknown>>

  for (const [what, fault] of Object.entries(faults)) {
    it.live(`${what}, at whatever moment [L3] [L10]`, () =>
      Effect.gen(function*() {
        const points = yield* Effect.scoped(events)
        assert.isAbove(points, 20)
        yield* Effect.forEach(
          Array.from({ length: points }, (_, i) => i),
          (at) =>
            Effect.scoped(Effect.gen(function*() {
              const rig = yield* plant
              const { mirror, other, proxy, root } = rig
              const happened = yield* Deferred.make<void, unknown>()
              const happening: Effect.Effect<unknown, unknown> = fault(rig)
              yield* proxy.runAt(at, Deferred.complete(happened, Effect.asVoid(happening)))
              const tree = yield* mirror.tree(root)
              yield* Deferred.await(happened)
              // Complete exactly once, and then with everything that there was.
              const first = new Map([...(yield* shown(tree))])
              assert.isTrue(first.has(`${root}/a/2`) && first.has(`${root}/a/1`) && first.has(`${root}/a`), `at ${at}`)
              // It may be now that the session ends.
              yield* Effect.retry(tree.sync, { while: ({ _tag }) => _tag === "SessionExpired" })
              assert.deepStrictEqual(byPath(yield* shown(tree)), byPath(yield* present(other, root)), `at ${at}`)
              yield* becomes(tree, "Live")
              yield* other.setData(`${root}/a/2`, "at last")
              yield* tree.sync
              assert.strictEqual(textOf(yield* tree.get(`${root}/a/2`)), "at last")
              const { connections } = yield* proxy.stats()
              assert.strictEqual(connections === 0, what.includes("nodes change"), "the fault did happen")
              assert.strictEqual((yield* sessionOf(rig.zk)) === rig.session, !what.includes("session ends"))
            })),
          { concurrency: 4, discard: true }
        )
      }))
  }

  it.live("is complete though it changes all the time [L3]", () =>
    Effect.gen(function*() {
      const { mirror, other, root } = yield* proxiedPair()
      const paths = Array.from({ length: 500 }, (_, i) => `${root}/${i}`)
      yield* Effect.forEach(paths, (path) => other.create(path, "before"), { concurrency: 64, discard: true })
      const churn = yield* Effect.forkChild(
        Effect.forever(
          Effect.forEach(paths.slice(0, 100), (path, i) => other.setData(path, `${i}`), {
            concurrency: 16,
            discard: true
          })
        ),
        { startImmediately: true }
      )
      for (let round = 0; round < 5; round++) {
        yield* Effect.scoped(Effect.gen(function*() {
          const tree = yield* mirror.tree(root)
          assert.strictEqual(yield* tree.size, 501)
          // Whoever waits for what has happened by now does not wait for what happens meanwhile.
          yield* tree.sync
        }))
      }
      yield* Fiber.interrupt(churn)
    }))
})
