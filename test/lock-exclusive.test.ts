/** An exclusive lock: who has it, in which order, for how long, and what its handle says and does. */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as os from "node:os"
import * as ZkAcl from "../src/ZkAcl.ts"
import type { ZkClient } from "../src/ZkClient.ts"
import * as ZkLock from "../src/ZkLock.ts"
import { failsWith } from "./support/failsWith.ts"
import { lockClient, on, queueUp, twoClients } from "./support/locking.ts"

/** Fails when somebody else is inside: the server is the judge, not a clock of ours. */
const alone = (client: ZkClient, path: string) =>
  Effect.acquireUseRelease(
    client.create(path, "", { mode: "ephemeral" }),
    () => client.sync(),
    () => Effect.orDie(client.delete(path))
  )

/** How many nodes are below the lock's node, whatever they are. */
const candidates = (client: ZkClient, path: string) =>
  Effect.map(
    Effect.catchTag(client.getChildren(path), "NoNode", () => Effect.succeed({ children: [] })),
    ({ children }) => children.length
  )

describe("an exclusive lock", () => {
  it.live("is handed over in the order in which it was asked for, one at a time [T1]", () =>
    Effect.gen(function*() {
      const { a, b, name } = yield* twoClients
      const c = yield* lockClient()
      const clients = [a, b, c]
      const order: Array<number> = []
      const first = yield* on(a)(ZkLock.make(name)).pipe(Effect.flatMap((lock) => lock.acquire()))
      const waiting: Array<Fiber.Fiber<void, unknown>> = []
      for (let i = 0; i < 10; i++) {
        const client = clients[i % 3]!
        const lock = yield* on(client)(ZkLock.make(name))
        const turn = Effect.andThen(Effect.sync(() => order.push(i)), alone(client, `${name}-inside`))
        waiting.push(yield* queueUp(a, name, i + 2, lock.withLock(turn)))
      }
      assert.deepStrictEqual(order, [])
      assert.isTrue(yield* first.release)
      yield* Fiber.joinAll(waiting)
      assert.deepStrictEqual(order, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
      assert.strictEqual(yield* candidates(a, name), 0)
    }))

  it.live("lets one of twenty in at a time, however they come [LOCK-07] [T1]", () =>
    Effect.gen(function*() {
      const { a, b, name } = yield* twoClients
      const ours = yield* on(a)(ZkLock.make(name))
      const theirs = yield* on(b)(ZkLock.make(name))
      let inside = 0
      let most = 0
      const section = (client: ZkClient) =>
        Effect.gen(function*() {
          most = Math.max(most, ++inside)
          yield* alone(client, `${name}-inside`)
          inside--
        })
      yield* Effect.forEach(
        Array.from({ length: 20 }, (_, i) => i),
        (i) => i % 2 === 0 ? ours.withLock(section(a)) : theirs.withLock(section(b)),
        { concurrency: "unbounded" }
      )
      assert.strictEqual(most, 1)
      assert.strictEqual(yield* candidates(a, name), 0)
    }))

  it.live("goes to one of twenty that try at once at most, and the others leave nothing [LOCK-07] [LOCK-03]", () =>
    Effect.gen(function*() {
      const { a, b, name } = yield* twoClients
      const ours = yield* on(a)(ZkLock.make(name))
      const theirs = yield* on(b)(ZkLock.make(name))
      const tried = yield* Effect.forEach(
        Array.from({ length: 20 }, (_, i) => i),
        (i) => (i % 2 === 0 ? ours : theirs).tryAcquire(),
        { concurrency: "unbounded" }
      )
      const winners = tried.filter(Option.isSome)
      assert.lengthOf(winners, 1)
      assert.deepStrictEqual(
        (yield* ours.contenders).map(({ path }) => path),
        winners.map(({ value }) => value.path)
      )
      assert.strictEqual(yield* candidates(a, name), 1)
    }))

  it.live("shows who holds it and who waits, in order, with what they tell of themselves [LOCK-01] [T4] [K39]", () =>
    Effect.gen(function*() {
      const { a, b, name } = yield* twoClients
      const ours = yield* on(a)(ZkLock.make(name, { owner: { job: "test" } }))
      const theirs = yield* on(b)(ZkLock.make(name, { owner: { job: "contender" } }))
      const before = Date.now()
      assert.isFalse(yield* ours.isLocked)
      assert.deepStrictEqual(yield* ours.contenders, [])
      const first = yield* ours.acquire()
      const waiting = yield* queueUp(a, name, 2, theirs.acquireTimeout("60 seconds"))
      const all = yield* theirs.contenders
      const owners = all.map(({ owner }) => Option.getOrThrow(owner))
      assert.deepStrictEqual(owners.map(({ custom }) => custom?.["job"]), ["test", "contender"])
      assert.deepStrictEqual(all.map(({ isHolder }) => isHolder), [true, false])
      assert.deepStrictEqual(all.map(({ kind }) => kind), ["exclusive", "exclusive"])
      assert.deepStrictEqual(all.map(({ sessionId }) => sessionId), [
        (yield* a.session).sessionId,
        (yield* b.session).sessionId
      ])
      assert.strictEqual(all[0]!.path, first.path)
      assert.isBelow(all[0]!.sequence, all[1]!.sequence)
      for (const [at, { host, pid, since }] of owners.entries()) {
        assert.deepStrictEqual([host, pid], [os.hostname(), process.pid])
        assert.isAtLeast(since.epochMilliseconds, before)
        assert.isAtMost(Math.abs(all[at]!.created.epochMilliseconds - since.epochMilliseconds), 60_000)
        assert.include(all[at]!.text, os.hostname())
      }
      // How long the other is going to wait.
      const { deadline, since } = owners[1]!
      assert.strictEqual(deadline!.epochMilliseconds - since.epochMilliseconds, 60_000)
      assert.isTrue(yield* theirs.isLocked)
      assert.isTrue(yield* first.release)
      const second = yield* Fiber.join(waiting)
      assert.deepStrictEqual((yield* ours.contenders).map(({ isHolder, path }) => [isHolder, path]), [
        [true, second.path]
      ])
    }))

  it.live("can be taken again and again with one value [LOCK-08]", () =>
    Effect.gen(function*() {
      const { a, b, name } = yield* twoClients
      const lock = yield* on(a)(ZkLock.make(name))
      const other = yield* on(b)(ZkLock.make(name))
      const paths = new Set<string>()
      for (let i = 0; i < 30; i++) {
        yield* lock.withLock((handle) => Effect.sync(() => paths.add(handle.path)))
        const handle = Option.getOrThrow(yield* lock.tryAcquire())
        paths.add(handle.path)
        assert.isTrue(Option.isNone(yield* other.tryAcquire()))
        assert.isTrue(yield* handle.release)
      }
      assert.strictEqual(paths.size, 60)
      assert.isTrue(Option.isSome(yield* other.tryAcquire()))
    }))

  it.live("serialises those who use one value of one process at the same time [T18] [T41] [I13]", () =>
    Effect.gen(function*() {
      const { a, name } = yield* twoClients
      const lock = yield* on(a)(ZkLock.make(name))
      const first = yield* lock.acquire()
      const waiting = yield* queueUp(a, name, 2, lock.acquire())
      assert.isTrue(yield* first.isHeld)
      assert.isTrue(yield* first.release)
      const second = yield* Fiber.join(waiting)
      assert.notStrictEqual(second.path, first.path)
      assert.deepStrictEqual([yield* first.isHeld, yield* second.isHeld], [false, true])
      // The handle of the one says nothing about the other.
      assert.isFalse(yield* first.release)
      assert.isTrue(yield* second.isHeld)
      assert.isTrue(yield* second.release)
      assert.strictEqual(yield* candidates(a, name), 0)
    }))

  it.live("is not waited for by whoever holds it already [I13] [T18]", () =>
    Effect.gen(function*() {
      const { a, name } = yield* twoClients
      const lock = yield* on(a)(ZkLock.make(name))
      yield* lock.withLock((handle) =>
        Effect.gen(function*() {
          for (
            const nested of [
              Effect.asVoid(Effect.scoped(lock.acquire())),
              Effect.asVoid(Effect.scoped(lock.tryAcquire()))
            ]
          ) {
            const { cause } = yield* failsWith(nested, "LockNotAcquired")
            assert.strictEqual(cause._tag, "LockAlreadyHeld")
          }
          assert.isTrue(yield* handle.isHeld)
          assert.strictEqual(yield* candidates(a, name), 1)
        })
      )
      assert.strictEqual(yield* candidates(a, name), 0)
    }))

  it.live("can be released by another fiber than the one that took it [I13]", () =>
    Effect.gen(function*() {
      const { a, b, name } = yield* twoClients
      const lock = yield* on(a)(ZkLock.make(name))
      const other = yield* on(b)(ZkLock.make(name))
      const held = yield* lock.acquire()
      const waiting = yield* queueUp(a, name, 2, other.acquire())
      const releases = yield* Effect.forEach([1, 2, 3], () => Effect.forkChild(held.release))
      const answers = yield* Effect.forEach(releases, Fiber.join)
      assert.deepStrictEqual(answers, [true, false, false])
      assert.isTrue(yield* (yield* Fiber.join(waiting)).isHeld)
    }))

  it.live("needs no class for taking it in the background [T40]", () =>
    Effect.gen(function*() {
      const { a, b, name } = yield* twoClients
      const ours = yield* on(a)(ZkLock.make(name))
      const theirs = yield* on(b)(ZkLock.make(name))
      const held = yield* ours.acquire()
      const acquiring = yield* queueUp(a, name, 2, theirs.acquire())
      // Whatever there is to do meanwhile.
      yield* b.sync()
      assert.isUndefined(acquiring.pollUnsafe())
      yield* held.release
      const handle = yield* Fiber.join(acquiring)
      assert.isTrue(yield* handle.isHeld)
    }))
})

describe("withLock", () => {
  it.live("releases however its body ends [T16]", () =>
    Effect.gen(function*() {
      const { a, b, name } = yield* twoClients
      const lock = yield* on(a)(ZkLock.make(name))
      const started = yield* Deferred.make<void>()
      const bodies: ReadonlyArray<Effect.Effect<string, "mine">> = [
        Effect.succeed("done"),
        Effect.fail("mine"),
        Effect.die("defect"),
        Effect.interrupt,
        Effect.andThen(Deferred.succeed(started, undefined), Effect.never)
      ]
      const exits: Array<Exit.Exit<string, unknown>> = []
      for (const body of bodies) {
        const fiber = yield* Effect.forkChild(lock.withLock(body))
        if (body === bodies.at(-1)) {
          yield* Deferred.await(started)
          yield* Fiber.interrupt(fiber)
        }
        exits.push(yield* Fiber.await(fiber))
        // At once, and for everybody.
        yield* b.sync(name)
        assert.strictEqual(yield* candidates(b, name), 0)
      }
      assert.deepStrictEqual(exits[0], Exit.succeed("done"))
      assert.deepStrictEqual(exits[1], Exit.fail("mine"))
      assert.isTrue(Exit.hasDies(exits[2]!))
      assert.isTrue(Exit.hasInterrupts(exits[3]!))
      assert.isTrue(Exit.hasInterrupts(exits[4]!))
    }))

  it.live("does not begin its body without the lock [T17] [T49]", () =>
    Effect.gen(function*() {
      const { a, b, name } = yield* twoClients
      const ours = yield* on(a)(ZkLock.make(name))
      const theirs = yield* on(b)(ZkLock.make(name))
      yield* ours.acquire()
      let ran = false
      const body = Effect.sync(() => {
        ran = true
      })
      for (const timeout of [0, 1, 100]) {
        const error = yield* failsWith(theirs.withLock(body, { timeout }), "LockTimeout")
        assert.deepInclude(error, { path: name, timeout })
      }
      yield* a.create(`${name}-closed`, "", { acl: ZkAcl.readAcl })
      const closed = yield* on(b)(ZkLock.make(`${name}-closed/lock`))
      const refused = yield* failsWith(closed.withLock(body), "LockNotAcquired")
      assert.strictEqual(refused.cause._tag, "NoAuth")
      assert.isFalse(ran)
      assert.strictEqual(yield* candidates(a, name), 1)
    }))
})

describe("the handle of a lock", () => {
  it.live("says whether the lock is held [T19]", () =>
    Effect.gen(function*() {
      const { a, b, name } = yield* twoClients
      const lock = yield* on(a)(ZkLock.make(name))
      const released = yield* lock.acquire()
      assert.isTrue(yield* released.isHeld)
      assert.isTrue(yield* released.release)
      assert.isFalse(yield* released.isHeld)

      const left = yield* Effect.scoped(lock.acquire())
      assert.isFalse(yield* left.isHeld)

      const cleared = yield* lock.acquire()
      const other = yield* on(b)(ZkLock.make(name))
      assert.strictEqual(yield* other.clear, 1)
      yield* Effect.flip(cleared.lost)
      assert.isFalse(yield* cleared.isHeld)
    }))

  it.live("hears of the node's removal by hand, and ends what runs under it [I7] [T21]", () =>
    Effect.gen(function*() {
      const { a, b, name } = yield* twoClients
      const lock = yield* on(a)(ZkLock.make(name))
      const cleaned: Array<string> = []
      const inside = yield* Deferred.make<string>()
      const fiber = yield* Effect.forkChild(lock.withLock((handle) =>
        Effect.andThen(Deferred.succeed(inside, handle.path), Effect.never).pipe(
          Effect.onInterrupt(() => Effect.sync(() => cleaned.push("body")))
        )
      ))
      yield* b.delete(yield* Deferred.await(inside))
      const lost = yield* failsWith(Fiber.join(fiber), "LockLost")
      assert.deepInclude(lost, { path: name, reason: "removed" })
      assert.deepStrictEqual(cleaned, ["body"])
    }))

  it.live("says that a lock was not held any more when it is released [T14]", () =>
    Effect.gen(function*() {
      const { a, b, name } = yield* twoClients
      const lock = yield* on(a)(ZkLock.make(name))
      const scope = yield* Scope.make()
      const known = yield* Scope.provide(lock.acquire(), scope)
      yield* b.delete(known.path)
      yield* Effect.flip(known.lost)
      assert.isFalse(yield* known.release)
      yield* Scope.close(scope, Exit.void)
    }))

  it.live(
    "asks for it is heard by none of a thousand that follow each other quickly [T22]",
    () =>
      Effect.gen(function*() {
        const { a, name } = yield* twoClients
        const lock = yield* on(a)(ZkLock.make(name))
        const asked: Array<string> = []
        for (let i = 0; i < 1000; i++) {
          const handle = yield* lock.acquire()
          yield* Effect.forkScoped(
            Effect.andThen(handle.revocationRequested, Effect.sync(() => asked.push(handle.path))),
            { startImmediately: true }
          )
          yield* Effect.forkScoped(Effect.onExit(handle.lost, () => Effect.sync(() => asked.push("lost"))), {
            startImmediately: true
          })
          assert.isTrue(yield* handle.release)
        }
        yield* a.sync()
        assert.deepStrictEqual(asked, [])
      }).pipe(Effect.scoped),
    60_000
  )

  it.live("knows nothing of what happened to a candidate before it [T23]", () =>
    Effect.gen(function*() {
      const { a, b, name } = yield* twoClients
      const ours = yield* on(a)(ZkLock.make(name))
      const theirs = yield* on(b)(ZkLock.make(name, { onCandidateLost: "requeue" }))
      const first = yield* ours.acquire()
      const waiting = yield* queueUp(a, name, 2, theirs.acquire())
      const [, old] = yield* ours.contenders
      // Asked to give way, and cleared, while it waits.
      yield* a.setData(old!.path, "__REVOKE__")
      yield* a.delete(old!.path)
      yield* first.release
      const second = yield* Fiber.join(waiting)
      assert.notStrictEqual(second.path, old!.path)
      assert.isTrue(yield* second.isHeld)
      const asked = yield* Effect.forkScoped(second.revocationRequested, { startImmediately: true })
      yield* b.sync()
      assert.isUndefined(asked.pollUnsafe())
      yield* a.setData(second.path, "__REVOKE__")
      yield* Fiber.join(asked)
    }))

  it.live("is told of a request to give way, of its node's end and of the session's, without asking for it [T21]", () =>
    Effect.gen(function*() {
      const { a, b, name } = yield* twoClients
      const lock = yield* on(a)(ZkLock.make(name))
      const asked = yield* lock.acquire()
      const hearing = yield* Effect.forkChild(asked.revocationRequested, { startImmediately: true })
      yield* b.setData(asked.path, "__REVOKE__")
      yield* Fiber.join(hearing)
      assert.isTrue(yield* asked.isHeld)
      yield* b.delete(asked.path)
      assert.strictEqual((yield* Effect.flip(asked.lost)).reason, "removed")
    }))

  it.live("gives numbers that rise from holder to holder, so that a store can refuse the old ones [T20]", () =>
    Effect.gen(function*() {
      const { a, b, name } = yield* twoClients
      // Not ZooKeeper: it remembers the highest number that it has seen.
      let highest = 0n
      const written: Array<string> = []
      const write = (token: bigint, value: string) =>
        Effect.suspend(() => {
          if (token < highest) return Effect.fail("stale")
          highest = token
          written.push(value)
          return Effect.void
        })
      const tokens: Array<bigint> = []
      const locks = [yield* on(a)(ZkLock.make(name)), yield* on(b)(ZkLock.make(name))]
      let former: ZkLock.LockHandle | undefined
      for (let i = 0; i < 6; i++) {
        const handle = yield* locks[i % 2]!.acquire()
        tokens.push(handle.fencingToken)
        yield* write(handle.fencingToken, String(i))
        if (former !== undefined) {
          assert.strictEqual(yield* Effect.flip(write(former.fencingToken, "of a holder of the past")), "stale")
        }
        former = handle
        // By release, or because somebody took it away: the next number is larger in any case.
        yield* i % 3 === 0 ? Effect.asVoid(locks[1]!.clear) : Effect.asVoid(handle.release)
      }
      assert.deepStrictEqual(tokens, [...tokens].sort((x, y) => Number(x - y)))
      assert.strictEqual(new Set(tokens).size, 6)
      assert.deepStrictEqual(written, ["0", "1", "2", "3", "4", "5"])
    }))
})
