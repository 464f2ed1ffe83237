/** What a lock costs: requests, watches, and who is woken by whom. On a server of its own, so that all can be counted. */
import { assert, layer } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import { randomUUID } from "node:crypto"
import * as ZkClient from "../src/ZkClient.ts"
import * as ZkLock from "../src/ZkLock.ts"
import { awaitCandidates, inLine, on } from "./support/locking.ts"
import type { Frame } from "./support/proxy.ts"
import { ProxiedServer } from "./support/proxy.ts"
import { countWatches } from "./support/watching.ts"

/** So long that no heartbeat of a lease falls into a test. */
const sessionTimeout = "120 seconds"
const extraConfig = { maxSessionTimeout: "200000" }

const setUp = (clients: number) =>
  Effect.gen(function*() {
    const { proxy, server } = yield* ProxiedServer
    yield* proxy.forget
    const name = `/${randomUUID()}`
    const all = yield* Effect.forEach(
      Array.from({ length: clients }),
      () => ZkClient.make({ hosts: proxy.connectString, sessionTimeout })
    )
    // Not through the proxy: what it does is not counted.
    const other = yield* ZkClient.make({ hosts: server.connectString, sessionTimeout })
    const locks = yield* Effect.forEach(all, (client) => on(client)(ZkLock.make(name)))
    /** Behind all that has been asked for and what follows from it. */
    const quiet = Effect.repeat(Effect.forEach(all, (client) => client.sync()), { times: 4 })
    return { all, locks, name, other, proxy, quiet, server }
  })

const events = { direction: "toClient", kind: "event" } as const

layer(ProxiedServer.layer({ extraConfig }), { excludeTestServices: true })("the cost of a lock", (it) => {
  it.effect("is four requests when nobody else wants it [I8]", () =>
    Effect.gen(function*() {
      const { locks: [lock], proxy, quiet } = yield* setUp(1)
      yield* lock!.withLock(Effect.void)
      yield* quiet
      for (const attempt of [lock!.withLock(Effect.void), Effect.scoped(lock!.acquireTimeout("10 seconds"))]) {
        const since = yield* proxy.position
        yield* attempt
        const stats = yield* proxy.stats(since)
        assert.isAtMost(stats.requests, 4, JSON.stringify(stats.ops))
        yield* quiet
      }
    }))

  it.effect("leaves no watch behind, of holders nor of those who gave up [I8]", () =>
    Effect.gen(function*() {
      const { locks: [ours, theirs], quiet, server } = yield* setUp(2)
      const held = yield* Scope.provide(ours!.acquire(), yield* Effect.scope)
      yield* Fiber.interrupt(yield* inLine(theirs!.acquire))
      yield* theirs!.tryAcquire()
      yield* quiet
      // The holder's own.
      assert.strictEqual(yield* countWatches(server), 1)
      yield* held.release
      yield* quiet
      assert.strictEqual(yield* countWatches(server), 0)
    }))

  it.effect("is no herd: of two hundred waiters a release wakes one [T7] [I8]", () =>
    Effect.gen(function*() {
      const { all, locks, name, other, proxy, quiet, server } = yield* setUp(4)
      const scope = yield* Effect.scope
      // Each watches its own node and the one ahead; the holder its own.
      const watched = yield* Deferred.make<void>()
      let watches = 0
      yield* proxy.onEvent((event) => {
        if (event.type !== "frame" || event.kind !== "reply" || event.op !== "getData") return
        if (++watches === 401) Deferred.doneUnsafe(watched, Effect.void)
      })
      const first = yield* locks[3]!.acquire()
      const got: Array<ZkLock.LockHandle> = []
      const waiting: Array<Fiber.Fiber<ZkLock.LockHandle, ZkLock.LockNotAcquired>> = []
      for (let i = 0; i < 200; i++) {
        const acquire = Scope.provide(locks[i % 4]!.acquire(), scope)
        const fiber = Effect.forkIn(Effect.tap(acquire, (handle) => Effect.sync(() => got.push(handle))), scope, {
          startImmediately: true
        })
        // The next in line is another client, so that each watch is an event of its own.
        waiting.push(yield* Effect.tap(fiber, () => all[i % 4]!.sync()))
      }
      yield* awaitCandidates(other, name, 201)
      const { children } = yield* other.getChildren(name)
      yield* Deferred.await(watched)
      yield* quiet
      const before = yield* countWatches(server)
      const woken: Array<Frame> = []
      for (let round = 0; round < 10; round++) {
        const since = yield* proxy.position
        const holder = round === 0 ? first : got[round - 1]!
        yield* holder.release
        yield* proxy.awaitFrame(events, { since })
        yield* Effect.raceAll(waiting.filter((fiber) => fiber.pollUnsafe() === undefined).map(Fiber.await))
        yield* quiet
        const heard = yield* proxy.frames(events, since)
        // Who released it has watched it too.
        assert.lengthOf(heard, 2)
        woken.push(...heard)
        assert.lengthOf(got, round + 1)
        // Nobody but the next has asked for anything.
        const { ops } = yield* proxy.stats(since)
        assert.isAtMost(ops["getChildren2"] ?? 0, 1)
        assert.isAtMost((ops["getData"] ?? 0) + (ops["multi"] ?? 0) + (ops["delete"] ?? 0), 4)
      }
      // All of them of nodes that went, none of the lock's own node.
      assert.isTrue(woken.every(({ path }) => children.some((child) => path === `${name}/${child}`)))
      assert.isBelow(yield* countWatches(server), before)
      yield* Fiber.interruptAll(waiting)
    }), 60_000)

  it.effect("a predecessor that goes between list and watch leaves no watch, and no waiter [I9]", () =>
    Effect.gen(function*() {
      const { locks: [ours], name, other, proxy, quiet, server } = yield* setUp(1)
      const theirs = yield* on(other)(ZkLock.make(name))
      const held = yield* theirs.acquire()
      const rule = yield* proxy.rule({ direction: "toServer", op: "getData", path: held.path }, {
        before: held.release
      })
      const scope = yield* Scope.make()
      const handle = yield* Scope.provide(ours!.acquire(), scope)
      assert.strictEqual(yield* rule.count, 1)
      const refused = yield* proxy.frames({ direction: "toClient", op: "getData", path: held.path })
      assert.deepStrictEqual(refused.map(({ err }) => err), [-101])
      assert.isTrue(yield* handle.isHeld)
      yield* quiet
      // Its own node, and nothing of the one that is no more.
      assert.deepStrictEqual([...(yield* server.watchesByPath).keys()], [handle.path])
      assert.strictEqual(yield* countWatches(server), 1)
      yield* Scope.close(scope, Exit.void)
      yield* quiet
      assert.strictEqual(yield* countWatches(server), 0)
    }))
})
