/** What can be done about a lock from outside: asking everybody to give way, and clearing away a dead one. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import type { ZkClient } from "../src/ZkClient.ts"
import * as ZkLock from "../src/ZkLock.ts"
import { failsWith } from "./support/failsWith.ts"
import { awaitCandidates, lockClient, on, queueUp, twoClients } from "./support/locking.ts"
import { makeProxy } from "./support/proxy.ts"
import { freshPath, shared } from "./support/shared.ts"

const readWrite = (client: ZkClient, name: string, options?: ZkLock.Options) =>
  on(client)(ZkLock.makeReadWrite(name, options))

describe("revokeAll", () => {
  it.live("asks everybody in line to give way, gently, and counts them [T32]", () =>
    Effect.gen(function*() {
      const { a, b, name } = yield* twoClients
      const ours = yield* readWrite(a, name)
      const theirs = yield* readWrite(b, name)
      const one = yield* ours.read.acquire()
      const two = yield* theirs.read.acquire()
      const waiting = yield* queueUp(a, name, 3, ours.write.acquire())
      assert.strictEqual(yield* theirs.write.revokeAll, 3)
      for (const handle of [one, two]) {
        // Nobody in particular asks.
        assert.deepStrictEqual((yield* handle.revocationRequested).by, [])
        assert.isTrue(yield* handle.isHeld)
        yield* handle.guard([])
      }
      assert.deepStrictEqual((yield* ours.read.contenders).map(({ revoking }) => revoking), [true, true, true])
      assert.isUndefined(waiting.pollUnsafe())
      yield* one.release
      yield* two.release
      yield* (yield* Fiber.join(waiting)).revocationRequested
    }))

  it.live("counts nobody where there is nobody, or no lock at all [T32]", () =>
    Effect.gen(function*() {
      const { a, name } = yield* twoClients
      const lock = yield* on(a)(ZkLock.make(name))
      assert.strictEqual(yield* lock.revokeAll, 0)
      assert.strictEqual(yield* lock.clear, 0)
      assert.isFalse(yield* lock.isLocked)
      assert.deepStrictEqual(yield* lock.contenders, [])
      // Asking made nothing.
      assert.isTrue(Option.isNone(yield* a.exists(name)))
      yield* lock.withLock(Effect.void)
      assert.strictEqual(yield* lock.revokeAll, 0)
      assert.strictEqual(yield* lock.clear, 0)
    }))
})

describe("clear", () => {
  it.live("deletes all candidates and nothing else, and counts them; their owners are told [T33]", () =>
    Effect.gen(function*() {
      const { a, b, name } = yield* twoClients
      const ours = yield* readWrite(a, name)
      const theirs = yield* on(b)(ZkLock.make(name))
      yield* a.create(name)
      // Of others, and some that look a little like candidates.
      const strangers = ["notes", "lock-", "_c_x-lock-12", "lock-0000000001-old", "__READ__", "a-0000000001"]
      for (const stranger of strangers) yield* a.create(`${name}/${stranger}`, "theirs")
      const one = yield* ours.read.acquire()
      const two = yield* ours.read.acquire()
      const waiting = yield* Effect.forkScoped(failsWith(theirs.acquire(), "LockNotAcquired"))
      const present = strangers.length + 2
      yield* awaitCandidates(a, name, present + 1)
      assert.strictEqual(yield* theirs.clear, 3)
      for (const handle of [one, two]) assert.strictEqual((yield* failsWith(handle.lost, "LockLost")).reason, "removed")
      assert.strictEqual((yield* Fiber.join(waiting)).cause._tag, "CandidateRemoved")
      assert.sameMembers([...(yield* a.getChildren(name)).children], strangers)
      assert.isTrue(Option.isSome(yield* ours.write.tryAcquire()))
    }))

  it.live("lets nobody who waits hold the lock for a moment [T33]", () =>
    Effect.gen(function*() {
      const { port } = yield* shared
      const proxy = yield* makeProxy(port)
      const a = yield* lockClient({ hosts: proxy.connectString })
      const b = yield* lockClient()
      const name = yield* freshPath
      const ours = yield* on(a)(ZkLock.make(name))
      const theirs = yield* on(b)(ZkLock.make(name))
      let held = 0
      const onStatus = (status: ZkLock.LockStatus) =>
        Effect.sync(() => {
          if (status._tag === "Held") held++
        })
      yield* ours.acquire({ onStatus })
      const waiting: Array<Fiber.Fiber<unknown, unknown>> = []
      for (let i = 0; i < 24; i++) {
        waiting.push(yield* Effect.forkScoped(failsWith(theirs.acquire({ onStatus }), "LockNotAcquired")))
      }
      yield* awaitCandidates(a, name, 25)
      // Between the first one and the next there is time to hear of it, to look at the line, and to be granted the lock.
      let deleted = 0
      const rule = yield* proxy.rule({ op: "delete", kind: "request", where: () => ++deleted === 2 }, {
        before: Effect.orDie(Effect.repeat(b.sync(), { times: 3 }))
      })
      assert.strictEqual(yield* ours.clear, 25)
      assert.strictEqual(yield* rule.count, 1)
      yield* Fiber.joinAll(waiting)
      assert.strictEqual(held, 1)
    }))

  it.live("lets those in again, at the end of the line, who are to queue up anew [T33]", () =>
    Effect.gen(function*() {
      const { a, b, name } = yield* twoClients
      const ours = yield* on(a)(ZkLock.make(name))
      const theirs = yield* on(b)(ZkLock.make(name, { onCandidateLost: "requeue" }))
      yield* ours.acquire()
      const waiting = yield* queueUp(a, name, 2, theirs.acquire())
      assert.strictEqual(yield* ours.clear, 2)
      assert.isTrue(yield* (yield* Fiber.join(waiting)).isHeld)
    }))

  it.live("does not count who has gone by itself meanwhile [T33]", () =>
    Effect.gen(function*() {
      const { port } = yield* shared
      const proxy = yield* makeProxy(port)
      const admin = yield* lockClient({ hosts: proxy.connectString })
      const b = yield* lockClient()
      const name = yield* freshPath
      const held = yield* (yield* on(b)(ZkLock.make(name))).acquire()
      const lock = yield* on(admin)(ZkLock.make(name))
      const rule = yield* proxy.rule({ op: "delete", kind: "request" }, { before: held.release })
      assert.strictEqual(yield* lock.clear, 0)
      assert.strictEqual(yield* rule.count, 1)
    }))

  it.live("fails where it may not delete, and says so [T33]", () =>
    Effect.gen(function*() {
      const { a, b, name } = yield* twoClients
      yield* a.create(name, "", { acl: [{ perms: 5, scheme: "world", id: "anyone" }] })
      const held = yield* (yield* on(a)(ZkLock.make(name))).acquire()
      yield* failsWith((yield* on(b)(ZkLock.make(name))).clear, "NoAuth")
      assert.isTrue(yield* held.isHeld)
    }))
})
