/** Semaphores through lost answers, lost connections, lost sessions and lost nodes. */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as ZkClient from "../src/ZkClient.ts"
import { expireThrough } from "./support/expire.ts"
import { failsWith } from "./support/failsWith.ts"
import { awaitCandidates, lockClient, twoClients } from "./support/locking.ts"
import { type FramePattern, makeProxy } from "./support/proxy.ts"
import { lineUp, nodesOf, semaphore } from "./support/semaphores.ts"
import { makeServer } from "./support/server.ts"
import { freshPath, shared } from "./support/shared.ts"
import { patience } from "./support/wait.ts"
import { countWatches } from "./support/watching.ts"

/** The first of the two is behind the proxy. */
const throughProxy = (options?: Parameters<typeof ZkClient.make>[0]) =>
  Effect.gen(function*() {
    const { port } = yield* shared
    const proxy = yield* makeProxy(port)
    const a = yield* lockClient({ hosts: proxy.connectString, ...options })
    const b = yield* lockClient()
    const name = yield* freshPath
    return { a, b, name, port, proxy }
  })

const taking: FramePattern = { op: "multi", path: /-lease-/ }

describe.concurrent("permits whose transaction is lost", () => {
  for (const kind of ["request", "reply"] as const) {
    for (const again of [false, true]) {
      for (const how of ["acquire", "tryAcquire"] as const) {
        const title = `with its ${kind}${again ? ", twice" : ""}, are taken once, by ${how} [J5]`
        it.live(title, () =>
          Effect.gen(function*() {
            const { a, b, name, proxy } = yield* throughProxy()
            const ours = yield* semaphore(a, name, 5)
            const rule = yield* proxy.rule({ ...taking, kind }, "cut")
            const permits = how === "acquire" ? yield* ours.acquire(3) : Option.getOrThrow(yield* ours.tryAcquire(3))
            assert.strictEqual(yield* rule.count, 1)
            assert.isTrue(yield* permits.isHeld)
            yield* permits.guard([])
            assert.lengthOf(permits.paths, 3)
            assert.deepStrictEqual(yield* nodesOf(b, name), { leases: 3, waiting: 0 })
            assert.isTrue(yield* permits.release)
            assert.deepStrictEqual(yield* nodesOf(b, name), { leases: 0, waiting: 0 })
          }))
      }
    }
  }

  for (const kind of ["request", "reply"] as const) {
    it.live(`with its ${kind} held back until the time is up are none, and nothing is left [J5]`, () =>
      Effect.gen(function*() {
        const { a, b, name, proxy } = yield* throughProxy()
        const ours = yield* semaphore(a, name, 5)
        // Long enough for a slow machine to get there.
        const limit = Duration.millis(700 * patience)
        const rule = yield* proxy.rule({ ...taking, kind }, "freeze")
        const asking = yield* Effect.forkScoped(failsWith(ours.acquireTimeout(limit, 3), "LockTimeout"))
        yield* rule.fired
        yield* Effect.sleep(limit)
        yield* proxy.heal
        yield* Fiber.join(asking)
        assert.deepStrictEqual(yield* nodesOf(b, name), { leases: 0, waiting: 0 })
        assert.isTrue(Option.isSome(yield* ours.tryAcquire(5)))
      }))
  }

  it.live("for good, because the place in line was lost: nothing is taken [SEM-05]", () =>
    Effect.gen(function*() {
      const { a, b, name, proxy } = yield* throughProxy()
      for (const onCandidateLost of ["fail", "requeue"] as const) {
        const ours = yield* semaphore(a, name, 5, { onCandidateLost })
        const rule = yield* proxy.rule({ ...taking, kind: "request" }, {
          before: Effect.orDie(Effect.flatMap(b.getChildren(`${name}/locks`), ({ children }) =>
            Effect.forEach(children, (child) =>
              b.delete(`${name}/locks/${child}`))))
        })
        const exit = yield* Effect.exit(Effect.scoped(ours.acquire(3)))
        assert.strictEqual(yield* rule.count, 1)
        if (onCandidateLost === "fail") {
          const error = Option.getOrThrow(Exit.findErrorOption(exit))
          assert.isTrue(error._tag === "LockNotAcquired" && error.cause._tag === "CandidateRemoved")
        } else assert.isTrue(Exit.isSuccess(exit))
        assert.deepStrictEqual(yield* nodesOf(b, name), { leases: 0, waiting: 0 })
      }
    }))
})

describe.concurrent("asking for permits", () => {
  // At each event of the network, whatever it is.
  for (const taken of [0, 3]) {
    it.live(`leaves nothing when it is interrupted at any moment, with ${5 - taken} free [J5]`, () =>
      Effect.gen(function*() {
        const { a, b, name, proxy } = yield* throughProxy()
        const theirs = yield* semaphore(b, name, 5)
        const holds = taken === 0 ? undefined : yield* theirs.acquire(taken)
        const ours = yield* semaphore(a, name, 5)
        yield* ours.max
        let done = false
        let interrupted = 0
        for (let point = 0; !done; point++) {
          yield* a.sync()
          yield* proxy.forget
          const reached = yield* Deferred.make<void>()
          // Nothing more happens when it has what it wants, or has looked with a watch.
          let looks = 0
          const looked = yield* proxy.rule(
            { path: `${name}/leases`, kind: "reply", where: () => ++looks === 2 },
            "pass"
          )
          const acquired = yield* Deferred.make<void>()
          const holding = Effect.andThen(Deferred.succeed(acquired, undefined), Effect.never)
          const acquiring = yield* Effect.forkScoped(Effect.scoped(Effect.andThen(ours.acquire(3), holding)))
          yield* proxy.runAt(
            point,
            Effect.sync(() => {
              Deferred.doneUnsafe(reached, Exit.void)
              acquiring.interruptUnsafe()
            })
          )
          const settled = taken === 0 ? Deferred.await(acquired) : looked.fired
          done = yield* Effect.raceFirst(Effect.as(Deferred.await(reached), false), Effect.as(settled, true))
          if (!done) interrupted++
          yield* Fiber.interrupt(acquiring)
          yield* proxy.heal
          yield* awaitCandidates(b, `${name}/locks`, 0)
          yield* awaitCandidates(b, `${name}/leases`, taken)
        }
        assert.isAbove(interrupted, taken === 0 ? 10 : 7)
        if (holds !== undefined) assert.isTrue(yield* holds.isHeld)
      }))
  }

  it.live("fails when the place in line is lost, for who is served and for who waits [SEM-05]", () =>
    Effect.gen(function*() {
      const { a, b, name } = yield* twoClients
      const ours = yield* semaphore(a, name, 1)
      const theirs = yield* semaphore(b, name, 1)
      const held = yield* theirs.acquire()
      const head = yield* lineUp(b, name, 1, failsWith(ours.acquire(), "LockNotAcquired"))
      const next = yield* lineUp(b, name, 2, failsWith(ours.acquire(), "LockNotAcquired"))
      const last = yield* lineUp(b, name, 3, ours.acquire())
      const { children } = yield* b.getChildren(`${name}/locks`)
      const inOrder = [...children].sort((x, y) => x.slice(-10) < y.slice(-10) ? -1 : 1)
      for (const index of [1, 0]) yield* b.delete(`${name}/locks/${inOrder[index]}`)
      for (const fiber of [head, next]) {
        const error = yield* Fiber.join(fiber)
        assert.deepStrictEqual([error.path, error.cause._tag], [name, "CandidateRemoved"])
      }
      yield* held.release
      assert.isTrue(yield* (yield* Fiber.join(last)).isHeld)
    }))

  it.live("goes on at the end of the line where that is asked for [SEM-05]", () =>
    Effect.gen(function*() {
      const { a, b, name } = yield* twoClients
      const ours = yield* semaphore(a, name, 1, { onCandidateLost: "requeue" })
      const theirs = yield* semaphore(b, name, 1)
      const held = yield* theirs.acquire()
      const order: Array<string> = []
      const turn = (who: string) => Effect.sync(() => order.push(who))
      const first = yield* lineUp(b, name, 1, ours.withPermits(1, turn("first")))
      const second = yield* lineUp(b, name, 2, theirs.withPermits(1, turn("second")))
      const { children } = yield* b.getChildren(`${name}/locks`)
      const [head] = [...children].sort((x, y) => x.slice(-10) < y.slice(-10) ? -1 : 1)
      yield* b.delete(`${name}/locks/${head}`)
      yield* awaitCandidates(b, `${name}/locks`, 2)
      yield* held.release
      yield* Fiber.joinAll([first, second])
      assert.deepStrictEqual(order, ["second", "first"])
    }))

  it.live("waits through an outage that is longer than any lease, also at the head of the line [SEM-OUTAGE]", () =>
    Effect.gen(function*() {
      const { a, b, name, proxy } = yield* throughProxy({ sessionTimeout: "4 seconds" })
      const ours = yield* semaphore(a, name, 2)
      const theirs = yield* semaphore(b, name, 2)
      const held = yield* theirs.acquire(2)
      const head = yield* lineUp(b, name, 1, ours.acquire())
      const next = yield* lineUp(b, name, 2, ours.acquire())
      const { children } = yield* b.getChildren(`${name}/locks`)
      const session = (yield* a.session).sessionId
      yield* proxy.setAccept("refuse")
      yield* proxy.cutAll
      // What is held would be lost after 2.29 s.
      yield* Effect.sleep(2_400)
      assert.sameMembers([...(yield* b.getChildren(`${name}/locks`)).children], [...children])
      yield* held.release
      yield* proxy.heal
      for (const fiber of [head, next]) assert.isTrue(yield* (yield* Fiber.join(fiber)).isHeld)
      assert.strictEqual((yield* a.session).sessionId, session)
    }))

  it.live("lets the head of the line alone watch what is taken [SEM-WATCH]", () =>
    Effect.gen(function*() {
      const { a, b, name, proxy } = yield* throughProxy()
      const ours = yield* semaphore(a, name, 3)
      const theirs = yield* semaphore(b, name, 3)
      const held = [yield* theirs.acquire(), yield* theirs.acquire(), yield* theirs.acquire()]
      let head = ""
      const waiting: Array<Fiber.Fiber<unknown, unknown>> = []
      for (let i = 0; i < 8; i++) {
        waiting.push(yield* lineUp(b, name, i + 1, ours.acquire()))
        if (i === 0) head = `${name}/locks/${(yield* b.getChildren(`${name}/locks`)).children[0]}`
      }
      yield* a.sync()
      const looks = (since = 0) => proxy.frames({ path: `${name}/leases`, kind: "request" }, since)
      // It looked without a watch, and then with one.
      assert.lengthOf(yield* looks(), 2)
      const since = yield* proxy.position
      yield* held[0]!.release
      yield* Fiber.join(waiting[0]!)
      yield* awaitCandidates(b, `${name}/locks`, 7)
      yield* a.sync()
      // The one that comes in looks once more, and so does the next one.
      assert.isAtMost((yield* looks(since)).length, 3)
      const woken = (yield* proxy.frames({ kind: "event" }, since)).map(({ path = "" }) => path)
      // Of the permits, and of the place that the second waited for; nobody else heard of anything.
      assert.sameMembers([...new Set(woken)], [`${name}/leases`, head])
    }))
})

describe.concurrent("permits that are held", () => {
  it.live("are lost when the session is over, and free again; who lives is shown [SEM-07] [J6]", () =>
    Effect.gen(function*() {
      const { a, b, name, port, proxy } = yield* throughProxy()
      const ours = yield* semaphore(a, name, 2, { owner: { who: "first" } })
      const theirs = yield* semaphore(b, name, 2, { owner: { who: "fred" } })
      const permits = yield* ours.acquire(2)
      const before = (yield* a.session).sessionId
      const waiting = yield* lineUp(b, name, 1, theirs.acquire())
      // Somebody of the dying session waits too.
      const again = yield* semaphore(a, name, 2, { owner: { who: "again" }, onCandidateLost: "requeue" })
      const requeued = yield* lineUp(b, name, 2, again.acquire())
      const lost = yield* lineUp(b, name, 3, failsWith(ours.acquire(), "LockNotAcquired"))
      assert.strictEqual(yield* expireThrough(proxy, port), before)
      assert.strictEqual((yield* failsWith(permits.lost, "LockLost")).reason, "expired")
      assert.isFalse(yield* permits.isHeld)
      assert.isTrue(yield* (yield* Fiber.join(waiting)).isHeld)
      const { cause } = yield* Fiber.join(lost)
      assert.strictEqual(cause._tag, "SessionExpired")
      // A new node in the new session.
      const next = yield* Fiber.join(requeued)
      assert.isTrue(yield* next.isHeld)
      const holders = yield* theirs.holders
      assert.sameMembers(holders.map(({ owner }) => Option.getOrThrow(owner).custom?.["who"]), ["fred", "again"])
      assert.isFalse(holders.some(({ sessionId }) => sessionId === before))
      assert.isFalse(yield* permits.release)
      assert.deepStrictEqual(yield* nodesOf(b, name), { leases: 2, waiting: 0 })
    }))

  it.live("come back when their client is closed [SEM-06]", () =>
    Effect.gen(function*() {
      const { b, name } = yield* twoClients
      const life = yield* Scope.make()
      const a = yield* Scope.provide(lockClient(), life)
      const permits = yield* (yield* semaphore(a, name, 3)).acquire(3)
      const theirs = yield* semaphore(b, name, 3)
      const waiting = yield* lineUp(b, name, 1, theirs.acquire(3))
      yield* Scope.close(life, Exit.void)
      assert.isTrue(yield* (yield* Fiber.join(waiting)).isHeld)
      assert.strictEqual((yield* failsWith(permits.lost, "LockLost")).reason, "closed")
    }))

  it.live("of who is cut off are lost to it before others get them, and within two timeouts [SEM-10] [J6]", () =>
    Effect.gen(function*() {
      const { a, b, name, proxy } = yield* throughProxy({ sessionTimeout: "2 seconds" })
      const ours = yield* semaphore(a, name, 1)
      const theirs = yield* semaphore(b, name, 1)
      const permits = yield* ours.acquire()
      const order: Array<string> = []
      const hearing = yield* Effect.forkScoped(
        Effect.tap(failsWith(permits.lost, "LockLost"), () => Effect.sync(() => order.push("lost"))),
        { startImmediately: true }
      )
      const waiting = yield* lineUp(
        b,
        name,
        1,
        Effect.tap(theirs.acquire(), () => Effect.sync(() => order.push("had")))
      )
      const start = performance.now()
      yield* proxy.freeze
      yield* Fiber.join(waiting)
      const elapsed = performance.now() - start
      assert.strictEqual((yield* Fiber.join(hearing)).reason, "lease")
      assert.deepStrictEqual(order, ["lost", "had"])
      assert.isBelow(elapsed, 4_000)
    }))
})

describe.concurrent("a server that goes down and comes up again", () => {
  it.live(
    "lets everybody have a turn, one at a time, and keeps no watch and no node [SEM-08] [SEM-WATCH]",
    () =>
      Effect.gen(function*() {
        const server = yield* makeServer()
        const make = ZkClient.make({ hosts: server.connectString, sessionTimeout: "4 seconds" })
        const clients = [yield* make, yield* make, yield* make]
        const [a] = clients
        const name = "/down-and-up"
        let inside = 0
        let turns = 0
        const first = yield* Deferred.make<void>()
        const over = yield* Deferred.make<void>()
        const section = Effect.acquireUseRelease(
          Effect.sync(() => {
            assert.strictEqual(++inside, 1)
          }),
          () => {
            turns++
            if (turns > 1) return a!.sync()
            return Effect.andThen(Deferred.succeed(first, undefined), Effect.never)
          },
          () =>
            Effect.sync(() => {
              inside--
            })
        )
        const begin = Effect.gen(function*() {
          const one = yield* semaphore(a!, name, 1, { onCandidateLost: "requeue" })
          yield* failsWith(one.withPermits(1, section), "LockLost")
          assert.strictEqual(inside, 0)
          yield* Deferred.succeed(over, undefined)
        })
        const holder = yield* Effect.forkScoped(begin)
        yield* Deferred.await(first)
        const others: Array<Fiber.Fiber<unknown, unknown>> = []
        for (let i = 0; i < 10; i++) {
          const one = yield* semaphore(clients[i % 3]!, name, 1, { onCandidateLost: "requeue" })
          others.push(yield* Effect.forkScoped(one.withPermits(1, section)))
        }
        yield* awaitCandidates(a!, `${name}/locks`, 10)
        yield* server.kill
        // Nobody can be asked for so long that the permit counts as lost; what was done under it has ended.
        yield* Deferred.await(over)
        assert.deepStrictEqual([inside, turns], [0, 1])
        yield* server.start
        yield* Fiber.join(holder)
        yield* Fiber.joinAll(others)
        assert.strictEqual(turns, 11)
        yield* awaitCandidates(a!, `${name}/locks`, 0)
        assert.deepStrictEqual(yield* nodesOf(a!, name), { leases: 0, waiting: 0 })
        yield* server.waitUntil(
          "no watch is left",
          (handle) => Effect.map(countWatches(handle), (count) => count === 0)
        )
      }),
    60_000
  )
})
