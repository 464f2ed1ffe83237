import { assert, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { randomUUID } from "node:crypto"
import * as ZkClient from "../src/ZkClient.ts"
import type { NoAuth, SessionError } from "../src/ZkError.ts"
import { failsWith } from "./support/failsWith.ts"
import { ProxiedServer } from "./support/proxy.ts"
import { countWatches, heard, record } from "./support/watching.ts"

const setUp = Effect.gen(function*() {
  const { proxy, server } = yield* ProxiedServer
  yield* proxy.forget
  const zk = yield* ZkClient.make({ hosts: proxy.connectString })
  const other = yield* ZkClient.make({ hosts: server.connectString })
  const root = `/${randomUUID()}`
  yield* zk.create(root)
  /** How many watches the server has, behind everything that we have asked for and all that this leads to. */
  const watches = Effect.andThen(Effect.repeat(zk.sync(), { times: 4 }), countWatches(server))
  return { zk, other, proxy, root, server, watches }
})

layer(ProxiedServer.layer(), { excludeTestServices: true })("taking watches back", (it) => {
  it.effect("the last subscriber takes the server's watch along [E12] [E14]", () =>
    Effect.gen(function*() {
      const { other, root, watches, zk } = yield* setUp
      const kinds: ReadonlyArray<Effect.Effect<unknown, unknown, Scope.Scope>> = [
        zk.getDataWatch(root),
        zk.existsWatch(root),
        zk.getChildrenWatch(root),
        zk.subscribe(root, "persistent"),
        zk.subscribe(root, "recursive")
      ]
      for (const kind of kinds) {
        const [one, two] = [yield* Scope.make(), yield* Scope.make()]
        yield* Scope.provide(kind, one)
        yield* Scope.provide(kind, two)
        yield* Scope.close(one, Exit.void)
        assert.isAbove(yield* watches, 0)
        yield* Scope.close(two, Exit.void)
        assert.strictEqual(yield* watches, 0)
      }
      const [one, two] = [yield* Scope.make(), yield* Scope.make()]
      yield* Scope.provide(zk.getDataWatch(root), one)
      const { fired } = yield* Scope.provide(zk.getDataWatch(root), two)
      yield* Scope.close(one, Exit.void)
      yield* other.setData(root, "x")
      assert.strictEqual((yield* fired)._tag, "NodeDataChanged")
      yield* Scope.close(two, Exit.void)
    }))

  it.effect("a watch that has fired costs no request to take back", () =>
    Effect.gen(function*() {
      const { other, proxy, root, zk } = yield* setUp
      yield* Effect.scoped(Effect.gen(function*() {
        const { fired } = yield* zk.getDataWatch(root)
        yield* other.setData(root, "x")
        yield* fired
      }))
      yield* zk.sync()
      assert.isUndefined((yield* proxy.stats()).ops["removeWatches"])
    }))

  it.effect("a new subscription is not hit by the late removal of an old one [E13]", () =>
    Effect.gen(function*() {
      const { other, proxy, root, zk } = yield* setUp
      for (let i = 0; i < 20; i++) {
        yield* Effect.scoped(zk.getDataWatch(root))
        const { fired } = yield* zk.getDataWatch(root)
        yield* other.setData(root, String(i))
        assert.strictEqual((yield* fired)._tag, "NodeDataChanged")
        yield* Effect.scoped(zk.subscribe(root, "persistent"))
        yield* Effect.scoped(Effect.gen(function*() {
          const queue = yield* zk.subscribe(root, "persistent")
          yield* other.setData(root, "x")
          assert.deepStrictEqual(yield* heard(zk, queue, root), ["NodeDataChanged "])
        }))
      }
      assert.isAbove((yield* proxy.stats()).ops["removeWatches"] ?? 0, 20)
    }))

  it.effect("nor is one that waits for room when the old one is given up [E13]", () =>
    Effect.gen(function*() {
      const { other, proxy, root } = yield* setUp
      const zk = yield* ZkClient.make({ hosts: proxy.connectString, maxInFlight: 1 })
      const old = yield* Scope.make()
      yield* Scope.provide(zk.getDataWatch(root), old)
      // One is under way, so the second waits; then the first subscriber leaves.
      const [, { fired }] = yield* Effect.all([
        zk.exists(root),
        zk.getDataWatch(root),
        Effect.andThen(Effect.yieldNow, Scope.close(old, Exit.void))
      ], { concurrency: 3 })
      yield* zk.sync()
      yield* other.setData(root, "x")
      assert.strictEqual((yield* fired)._tag, "NodeDataChanged")
      assert.strictEqual((yield* proxy.stats()).ops["removeWatches"], 1)
    }))

  it.effect("of a lost connection there is nothing to take back, and nothing is set again [E12] [W-22]", () =>
    Effect.gen(function*() {
      const { proxy, root, watches, zk } = yield* setUp
      const scope = yield* Scope.make()
      yield* Scope.provide(zk.getDataWatch(root), scope)
      yield* Scope.provide(zk.subscribe(root, "recursive"), scope)
      yield* proxy.setAccept("refuse")
      yield* proxy.cutAll
      yield* zk.stateChanges.pipe(Stream.filter((state) => state._tag === "Suspended"), Stream.runHead)
      yield* Scope.close(scope, Exit.void)
      const since = yield* proxy.position
      yield* proxy.heal
      assert.strictEqual(yield* watches, 0)
      const { ops } = yield* proxy.stats(since)
      assert.deepStrictEqual(Object.keys(ops), ["sync"])
    }))

  it.effect("what is given up while a new connection sets its watches goes after that [E12] [W-22]", () =>
    Effect.gen(function*() {
      const { proxy, root, watches, zk } = yield* setUp
      const scope = yield* Scope.make()
      yield* Scope.provide(zk.getDataWatch(root), scope)
      yield* Scope.provide(zk.subscribe(`${root}/r`, "recursive"), scope)
      const rule = yield* proxy.rule(
        { kind: "reply", op: "setWatches2" },
        { before: Effect.suspend(() => Scope.close(scope, Exit.void)) }
      )
      yield* proxy.cutAll
      yield* rule.fired
      assert.strictEqual(yield* watches, 0)
    }))

  it.effect("a plain and a recursive one on a path, given up while they are set again", () =>
    Effect.gen(function*() {
      const { other, proxy, root, watches, zk } = yield* setUp
      const scope = yield* Scope.make()
      yield* Scope.provide(zk.subscribe(root, "recursive"), scope)
      const persistent = yield* zk.subscribe(root, "persistent")
      const rule = yield* proxy.rule(
        { kind: "reply", op: "setWatches2" },
        { before: Effect.suspend(() => Scope.close(scope, Exit.void)) }
      )
      yield* proxy.cutAll
      yield* rule.fired
      assert.deepStrictEqual(yield* heard(zk, persistent, root), ["Reset reconnected"])
      yield* zk.sync()
      yield* other.create(`${root}/a`)
      yield* other.create(`${root}/a/b`)
      assert.deepStrictEqual(yield* heard(zk, persistent, root), ["NodeChildrenChanged "])
      assert.isAbove(yield* watches, 0)
    }))

  it.effect("a watch races with its removal: it fires or goes, and nothing is left [W-19]", () =>
    Effect.gen(function*() {
      const { other, root, watches, zk } = yield* setUp
      let fired = 0
      for (let i = 0; i < 100; i++) {
        const scope = yield* Scope.make()
        const watch = yield* Scope.provide(zk.getDataWatch(root), scope)
        const waiting = yield* Effect.forkChild(watch.fired, { startImmediately: true })
        yield* Effect.all([
          other.setData(root, String(i)),
          i % 2 === 0 ? Scope.close(scope, Exit.void) : Effect.andThen(zk.sync(), Scope.close(scope, Exit.void))
        ], { concurrency: 2 })
        const exit = yield* Fiber.await(waiting)
        if (Exit.isSuccess(exit)) fired++
        else assert.isTrue(Exit.hasInterrupts(exit))
      }
      assert.strictEqual(yield* watches, 0)
      assert.isBelow(fired, 100)
    }))
})

layer(ProxiedServer.layer(), { excludeTestServices: true })("nothing is left behind", (it) => {
  it.effect("by reads that fail [E7] [W-14]", () =>
    Effect.gen(function*() {
      const { proxy, root, watches, zk } = yield* setUp
      const missing = `${root}/missing`
      yield* failsWith(zk.getDataWatch(missing), "NoNode")
      yield* failsWith(zk.getChildrenWatch(missing), "NoNode")
      assert.strictEqual(yield* watches, 0)
      yield* proxy.cutAll
      yield* zk.sync()
      // Nothing to set again: nobody counts as a watcher.
      const { ops } = yield* proxy.stats()
      assert.isUndefined(ops["setWatches"])
      assert.isUndefined(ops["removeWatches"])
    }))

  it.effect("by reads whose time was up before their answer came [E7] [E15]", () =>
    Effect.gen(function*() {
      const { proxy, root, server } = yield* setUp
      const zk = yield* ZkClient.make({ hosts: proxy.connectString, requestTimeout: "200 millis" })
      const reads: ReadonlyArray<["exists" | "addWatch", Effect.Effect<unknown, SessionError | NoAuth, Scope.Scope>]> =
        [
          ["exists", zk.existsWatch(root)],
          ["addWatch", zk.subscribe(root, "persistent")]
        ]
      for (const [op, read] of reads) {
        yield* proxy.forget
        yield* proxy.rule({ kind: "reply", op }, { delay: 600 })
        yield* failsWith(read, "OperationTimeout")
        yield* server.waitUntil("the watch is set and taken back", (server) =>
          Effect.gen(function*() {
            if ((yield* proxy.stats()).ops["removeWatches"] === undefined) return false
            return (yield* countWatches(server)) === 0
          }))
      }
      yield* proxy.heal
    }))

  it.effect("by interruption at any moment [E15]", () =>
    Effect.gen(function*() {
      const { root, watches, zk } = yield* setUp
      const everything: ReadonlyArray<Effect.Effect<unknown, unknown, Scope.Scope>> = [
        zk.existsWatch(`${root}/a`),
        zk.getDataWatch(root),
        zk.getChildrenWatch(root),
        zk.subscribe(root, "persistent"),
        zk.subscribe(root, "recursive"),
        Stream.runHead(zk.changes(root)),
        Stream.runHead(zk.childrenChanges(`${root}/a`)),
        Stream.runDrain(zk.watch(`${root}/b`, "persistent")),
        Stream.runDrain(zk.changes(`${root}/b`))
      ]
      const all = Effect.scoped(Effect.all(everything, { concurrency: "unbounded", discard: true }))
      const turn = Effect.promise(() => new Promise<void>((resolve) => setImmediate(resolve)))
      for (let moment = 0; moment < 60; moment++) {
        const running = yield* Effect.forkChild(all, { startImmediately: moment % 2 === 0 })
        for (let i = 0; i < moment / 2; i++) yield* turn
        yield* Fiber.interrupt(running)
        if (moment % 10 === 9) assert.strictEqual(yield* watches, 0, `after ${moment} turns`)
      }
    }))

  it.effect("by ten thousand waits for nodes that never appear [E15]", () =>
    Effect.gen(function*() {
      const { root, watches, zk } = yield* setUp
      yield* Effect.forEach(
        Array.from({ length: 10_000 }, (_, i) => `${root}/${i}`),
        (path) => Effect.scoped(zk.existsWatch(path)),
        { concurrency: 500, discard: true }
      )
      assert.strictEqual(yield* watches, 0)
    }))

  it.effect("by streams that end: taken, failed, or interrupted [E12] [K43]", () =>
    Effect.gen(function*() {
      const { other, root, watches, zk } = yield* setUp
      const two = yield* record(Stream.take(zk.changes(root), 2))
      const failing = yield* record(Stream.mapEffect(zk.changes(root), () => Effect.fail("a reader's own" as const)))
      const endless = yield* record(zk.childrenChanges(`${root}/missing`))
      yield* two.until("the first value", (values) => values.length === 1)
      yield* endless.until("the first value", (values) => values.length === 1)
      yield* failsWith(
        Effect.mapError(Fiber.join(failing.fiber), (error) => ({ _tag: typeof error === "string" ? "own" : "other" })),
        "own"
      )
      yield* other.setData(root, "x")
      yield* Fiber.join(two.fiber)
      assert.strictEqual(yield* watches, 1)
      yield* Fiber.interrupt(endless.fiber)
      assert.strictEqual(yield* watches, 0)
    }))
})
