/** Several locks as one: all of them or none, whatever happens on the way. */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import type { ZkClient } from "../src/ZkClient.ts"
import * as ZkLock from "../src/ZkLock.ts"
import * as ZkTransaction from "../src/ZkTransaction.ts"
import { failsWith } from "./support/failsWith.ts"
import { awaitCandidates, lockClient, on, queueUp, twoClients } from "./support/locking.ts"
import { makeProxy } from "./support/proxy.ts"
import { freshPath, shared } from "./support/shared.ts"

const locksOf = (client: ZkClient, paths: ReadonlyArray<string>, options?: ZkLock.Options) =>
  Effect.forEach(paths, (path) => on(client)(ZkLock.make(path, options)))

const multiOf = (client: ZkClient, paths: ReadonlyArray<string>, options?: ZkLock.Options) =>
  Effect.flatMap(locksOf(client, paths, options), ZkLock.makeMulti)

/** How many candidates there are below each. */
const counts = (client: ZkClient, paths: ReadonlyArray<string>) =>
  Effect.forEach(paths, (path) =>
    Effect.map(
      Effect.catchTag(client.getChildren(path), "NoNode", () => Effect.succeed({ children: [] })),
      ({ children }) => children.length
    ))

const three = Effect.map(twoClients, ({ a, b, name }) => ({
  a,
  b,
  paths: ["c", "a", "b"].map((part) => `${name}-${part}`),
  inOrder: ["a", "b", "c"].map((part) => `${name}-${part}`)
}))

describe("several locks", () => {
  it.live("are taken in the order of their paths, whatever order they are given in, and are all held [LOCK-20]", () =>
    Effect.gen(function*() {
      const { port } = yield* shared
      const proxy = yield* makeProxy(port)
      const a = yield* lockClient({ hosts: proxy.connectString })
      const b = yield* lockClient()
      const name = yield* freshPath
      const paths = ["c", "a", "b"].map((part) => `${name}-${part}`)
      const multi = yield* multiOf(a, paths)
      assert.deepStrictEqual(multi.paths, paths)
      yield* multi.withLock(Effect.void)
      const since = yield* proxy.position
      const handle = yield* multi.acquire()
      const order = (yield* proxy.frames({ op: "create", kind: "request" }, since)).map(({ path = "" }) =>
        path.slice(name.length, name.length + 2)
      )
      assert.deepStrictEqual(order, ["-a", "-b", "-c"])
      assert.deepStrictEqual(handle.handles.map(({ path }) => path.slice(0, name.length + 2)), paths)
      assert.isTrue(yield* handle.isHeld)
      for (const lock of yield* locksOf(b, paths)) assert.isTrue(Option.isNone(yield* lock.tryAcquire()))
      const then = yield* proxy.position
      assert.isTrue(yield* handle.release)
      const released = (yield* proxy.frames({ op: "delete", kind: "request" }, then)).map(({ path = "" }) =>
        path.slice(name.length, name.length + 2)
      )
      assert.deepStrictEqual(released, ["-c", "-b", "-a"])
      assert.isFalse(yield* handle.isHeld)
      assert.isFalse(yield* handle.release)
      assert.deepStrictEqual(yield* counts(b, paths), [0, 0, 0])
    }))

  it.live("must be some, each once, of one client [LOCK-20]", () =>
    Effect.gen(function*() {
      const { a, b, name } = yield* twoClients
      const { read, write } = yield* on(a)(ZkLock.makeReadWrite(name))
      assert.strictEqual((yield* failsWith(ZkLock.makeMulti([]), "InvalidInput")).operation, "ZkLock.makeMulti")
      assert.strictEqual((yield* failsWith(ZkLock.makeMulti([read, write]), "InvalidInput")).path, name)
      const other = yield* on(a)(ZkLock.make(`${name}-other`))
      yield* failsWith(ZkLock.makeMulti([write, other, write]), "InvalidInput")
      // What one session holds cannot be guarded together with what another does.
      const [theirs] = yield* locksOf(b, [`${name}-theirs`])
      yield* failsWith(ZkLock.makeMulti([other, theirs!]), "InvalidInput")
    }))

  it.live("may be of all kinds [LOCK-20]", () =>
    Effect.gen(function*() {
      const { a, b, name } = yield* twoClients
      const { read } = yield* on(a)(ZkLock.makeReadWrite(name))
      const other = yield* on(a)(ZkLock.make(`${name}-other`))
      const multi = yield* ZkLock.makeMulti([read, other])
      yield* multi.withLock(Effect.fnUntraced(function*(handle) {
        assert.deepStrictEqual(handle.handles.map(({ kind }) => kind), ["shared", "exclusive"])
        const theirs = yield* on(b)(ZkLock.makeReadWrite(name))
        assert.isTrue(Option.isSome(yield* Effect.scoped(theirs.read.tryAcquire())))
        assert.isTrue(Option.isNone(yield* theirs.write.tryAcquire()))
      }))
    }))

  it.live("are tried for at once, and none is kept if one is taken [LOCK-20]", () =>
    Effect.gen(function*() {
      const { a, b, inOrder, paths } = yield* three
      const multi = yield* multiOf(a, paths)
      for (const [index, path] of inOrder.entries()) {
        const [lock] = yield* locksOf(b, [path])
        yield* Effect.scoped(Effect.gen(function*() {
          const held = yield* lock!.acquire()
          assert.isTrue(Option.isNone(yield* multi.tryAcquire()))
          assert.deepStrictEqual(yield* counts(b, inOrder), inOrder.map((_, i) => i === index ? 1 : 0))
          assert.isTrue(yield* held.isHeld)
        }))
      }
      const taken = Option.getOrThrow(yield* multi.tryAcquire())
      assert.isTrue(yield* taken.isHeld)
    }))

  it.live("are waited for together, and none is kept when the time is up [LOCK-20]", () =>
    Effect.gen(function*() {
      const { a, b, inOrder, paths } = yield* three
      const multi = yield* multiOf(a, paths)
      const [, second] = yield* locksOf(b, inOrder)
      const held = yield* second!.acquire()
      const error = yield* failsWith(multi.acquireTimeout("150 millis"), "LockTimeout")
      assert.strictEqual(error.timeout, 150)
      assert.strictEqual(error.path, inOrder[1])
      assert.deepStrictEqual(yield* counts(b, inOrder), [0, 1, 0])
      // The time is for all of them: what the first wait took is not there for the second.
      const [first] = yield* locksOf(b, inOrder)
      const before = yield* first!.acquire()
      const start = performance.now()
      const waiting = yield* queueUp(
        b,
        inOrder[0]!,
        2,
        failsWith(multi.withLock(Effect.die("not under all of them"), { timeout: "400 millis" }), "LockTimeout")
      )
      yield* before.release
      yield* Fiber.join(waiting)
      const elapsed = performance.now() - start
      assert.isAtLeast(elapsed, 399)
      assert.deepStrictEqual(yield* counts(b, inOrder), [0, 1, 0])
      assert.isTrue(yield* held.isHeld)
    }))

  it.live("are given back when waiting for the next one is interrupted, or fails [LOCK-20]", () =>
    Effect.gen(function*() {
      const { a, b, inOrder, paths } = yield* three
      const multi = yield* multiOf(a, paths)
      const [, , third] = yield* locksOf(b, inOrder)
      yield* third!.acquire()
      const waiting = yield* queueUp(b, inOrder[2]!, 2, Effect.scoped(multi.acquire()))
      assert.deepStrictEqual(yield* counts(b, inOrder), [1, 1, 2])
      yield* Fiber.interrupt(waiting)
      assert.deepStrictEqual(yield* counts(b, inOrder), [0, 0, 1])
      // In a scope that lives on as well.
      const failing = yield* queueUp(b, inOrder[2]!, 2, failsWith(multi.acquire(), "LockNotAcquired"))
      const [, own] = yield* third!.contenders
      yield* b.delete(own!.path)
      const error = yield* Fiber.join(failing)
      assert.deepStrictEqual([error.path, error.cause._tag], [inOrder[2], "CandidateRemoved"])
      assert.deepStrictEqual(yield* counts(b, inOrder), [0, 0, 1])
    }))

  it.live("are lost when one of them is: what runs under them ends, and the others are given back [LOCK-20]", () =>
    Effect.gen(function*() {
      const { a, b, inOrder, paths } = yield* three
      const multi = yield* multiOf(a, paths)
      for (const lost of [0, 1, 2]) {
        const started = yield* Deferred.make<ZkLock.MultiHandle>()
        const running = yield* Effect.forkScoped(failsWith(
          multi.withLock((handle) => Effect.andThen(Deferred.succeed(started, handle), Effect.never)),
          "LockLost"
        ))
        const handle = yield* Deferred.await(started)
        const hearing = yield* Effect.forkScoped(failsWith(handle.lost, "LockLost"), { startImmediately: true })
        yield* b.delete(handle.handles[lost]!.path)
        const error = yield* Fiber.join(running)
        assert.deepStrictEqual([error.path, error.reason], [paths[lost], "removed"])
        assert.strictEqual((yield* Fiber.join(hearing)).path, paths[lost])
        assert.isFalse(yield* handle.isHeld)
        yield* failsWith(handle.use(Effect.void), "LockLost")
        assert.deepStrictEqual(yield* counts(b, inOrder), [0, 0, 0])
      }
    }))

  it.live("report when they are given back whether all were held until then [LOCK-20]", () =>
    Effect.gen(function*() {
      const { a, b, inOrder, paths } = yield* three
      const multi = yield* multiOf(a, paths)
      const handle = yield* multi.acquire()
      yield* b.delete(handle.handles[1]!.path)
      assert.isFalse(yield* handle.release)
      // Those that could be given back were.
      assert.deepStrictEqual(yield* counts(b, inOrder), [0, 0, 0])
    }))

  it.live("guard what is written with all of their nodes [LOCK-20]", () =>
    Effect.gen(function*() {
      const { a, b, paths } = yield* three
      const data = `${paths[0]}-data`
      yield* a.create(data, "0")
      const multi = yield* multiOf(a, paths)
      const handle = yield* multi.acquire()
      const [set, made] = yield* handle.guard([
        ZkTransaction.setData(data, "1"),
        ZkTransaction.create(`${data}/child`)
      ])
      assert.strictEqual(set.version, 1)
      assert.strictEqual(made.path, `${data}/child`)
      // An operation that fails is known by its place among those that were given.
      for (const index of [0, 1, 2]) {
        const ops = [0, 1, 2].map((i) =>
          i === index ? ZkTransaction.check(data, { version: 17 }) : ZkTransaction.setData(data, "2")
        )
        const error = yield* failsWith(handle.guard(ops), "MultiFailed")
        assert.deepStrictEqual([error.index, error.cause._tag], [index, "BadVersion"])
        assert.lengthOf(error.results, 3)
      }
      assert.isTrue(yield* handle.isHeld)
      assert.strictEqual((yield* b.getData(data)).text, "1")
    }))

  it.live("guard nothing when one is gone, whichever it is and whether that is known or not [LOCK-20]", () =>
    Effect.gen(function*() {
      const { port } = yield* shared
      const proxy = yield* makeProxy(port)
      const a = yield* lockClient({ hosts: proxy.connectString })
      const b = yield* lockClient()
      const name = yield* freshPath
      const paths = ["c", "a", "b"].map((part) => `${name}-${part}`)
      yield* b.create(`${name}-data`)
      const write = [ZkTransaction.setData(`${name}-data`, "x")]
      const multi = yield* multiOf(a, paths)
      for (const gone of [0, 1, 2]) {
        const handle = yield* multi.acquire()
        const rule = yield* proxy.rule({ op: "multi", path: `${name}-data`, kind: "request" }, {
          before: Effect.orDie(b.delete(handle.handles[gone]!.path))
        })
        const error = yield* failsWith(handle.guard(write), "LockLost")
        assert.strictEqual(yield* rule.count, 1)
        assert.deepStrictEqual([error.path, error.reason], [paths[gone], "removed"])
        yield* Effect.flip(handle.lost)
        const since = yield* proxy.position
        assert.strictEqual((yield* failsWith(handle.guard(write), "LockLost")).path, paths[gone])
        assert.lengthOf(yield* proxy.frames({ op: "multi", path: `${name}-data` }, since), 0)
        yield* handle.release
      }
      assert.strictEqual((yield* b.getData(`${name}-data`)).stat.version, 0)
    }))

  it.live("that two want in opposite order are no deadlock [LOCK-20]", () =>
    Effect.gen(function*() {
      const { a, b, inOrder } = yield* three
      let inside = 0
      let rounds = 0
      const section = Effect.gen(function*() {
        assert.strictEqual(++inside, 1)
        yield* a.sync()
        inside--
        rounds++
      })
      const one = yield* multiOf(a, inOrder)
      const other = yield* multiOf(b, [...inOrder].reverse())
      const third = yield* multiOf(b, [inOrder[1]!, inOrder[0]!])
      yield* Effect.forEach(
        [one, other, third],
        (multi) => Effect.repeat(multi.withLock(section), { times: 19 }),
        { concurrency: "unbounded" }
      )
      assert.strictEqual(rounds, 60)
      assert.deepStrictEqual(yield* counts(a, inOrder), [0, 0, 0])
    }))

  it.live("are asked for and taken away like one [LOCK-20]", () =>
    Effect.gen(function*() {
      const { a, b, inOrder, paths } = yield* three
      const theirs = yield* locksOf(b, inOrder)
      const held = yield* Effect.forEach(theirs, (lock) => lock.acquire())
      const multi = yield* multiOf(a, paths)
      const asking = yield* queueUp(b, inOrder[0]!, 2, Effect.scoped(multi.acquire({ revoke: "request" })))
      for (const handle of held) {
        yield* handle.revocationRequested
        yield* handle.release
      }
      yield* Fiber.join(asking)
      const again = yield* Effect.forEach(theirs, (lock) => lock.acquire())
      const taken = Option.getOrThrow(yield* multi.tryAcquire({ revoke: "immediate" }))
      assert.isTrue(yield* taken.isHeld)
      for (const handle of again) yield* failsWith(handle.lost, "LockLost")
    }))

  it.live("cannot be asked for under one of them [LOCK-20]", () =>
    Effect.gen(function*() {
      const { a, b, inOrder, paths } = yield* three
      const multi = yield* multiOf(a, paths)
      const [, second] = yield* locksOf(a, inOrder)
      const exit = yield* Effect.exit(second!.withLock(multi.withLock(Effect.void)))
      const error = Option.getOrThrow(Exit.findErrorOption(exit))
      assert.isTrue(error._tag === "LockNotAcquired" && error.cause._tag === "LockAlreadyHeld")
      const inner = yield* Effect.flip(multi.withLock(second!.withLock(Effect.void)))
      assert.isTrue(inner._tag === "LockNotAcquired" && inner.cause._tag === "LockAlreadyHeld")
      yield* awaitCandidates(b, inOrder[1]!, 0)
      assert.deepStrictEqual(yield* counts(b, inOrder), [0, 0, 0])
    }))
})
