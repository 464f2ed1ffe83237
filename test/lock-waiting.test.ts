/** Waiting for a lock: giving up, being thrown out of the queue, and going on over lost connections. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Scope from "effect/Scope"
import type { ZkClient } from "../src/ZkClient.ts"
import * as ZkLock from "../src/ZkLock.ts"
import * as ZkPath from "../src/ZkPath.ts"
import { expireThrough } from "./support/expire.ts"
import { failsWith } from "./support/failsWith.ts"
import { awaitCandidates, inLine, lockClient, on, queueUp, twoClients } from "./support/locking.ts"
import { makeProxy } from "./support/proxy.ts"
import { freshPath, shared } from "./support/shared.ts"
import { recordStates } from "./support/states.ts"

const pathsOf = (lock: ZkLock.ZkLock) => Effect.map(lock.contenders, (all) => all.map(({ path }) => path))

/** `a` reaches the server directly, `b` through a proxy. Both have the same lock. */
const setUp = (options?: ZkLock.Options) =>
  Effect.gen(function*() {
    const { port } = yield* shared
    const proxy = yield* makeProxy(port)
    const a = yield* lockClient()
    const b = yield* lockClient({ hosts: proxy.connectString })
    const name = yield* freshPath
    const ours = yield* on(a)(ZkLock.make(name))
    const theirs = yield* on(b)(ZkLock.make(name, options))
    return { a, b, name, ours, proxy, port, theirs }
  })

/** Statuses in short, to be taken one after another as they come. */
const recordStatuses = Effect.map(Queue.unbounded<string>(), (queue) => ({
  onStatus: (status: ZkLock.LockStatus) =>
    Effect.asVoid(Queue.offer(
      queue,
      status._tag === "Queued"
        ? `Queued ${status.ahead}`
        : status._tag === "Lost"
        ? `Lost ${status.reason}`
        : status._tag
    )),
  next: Queue.take(queue),
  others: Queue.clear(queue)
}))

/** Deletes a candidate as soon as it is there, while a frame of its owner's waits. */
const deleting = (client: ZkClient, name: string, count: number, except?: string) =>
  Effect.gen(function*() {
    yield* awaitCandidates(client, name, count)
    const { children } = yield* client.getChildren(name)
    const paths = children.map((child) => ZkPath.join(name, child)).filter((path) => path !== except)
    yield* Effect.forEach(paths, (path) => client.delete(path), { discard: true })
  }).pipe(Effect.orDie)

describe("giving up", () => {
  it.live("by interruption takes the candidate out of the queue, and nobody else notices [T10] [LOCK-23] [T44]", () =>
    Effect.gen(function*() {
      const { a, b, name } = yield* twoClients
      const ours = yield* on(a)(ZkLock.make(name))
      const theirs = yield* on(b)(ZkLock.make(name))
      const held = yield* ours.acquire()
      const second = yield* inLine((options) => theirs.withLock(Effect.die("not to be run"), options))
      const third = yield* queueUp(a, name, 3, ours.acquire())
      const before = yield* pathsOf(ours)
      yield* Fiber.interrupt(second)
      // When the interruption is done the candidate is gone.
      assert.deepStrictEqual(yield* pathsOf(ours), [before[0]!, before[2]!])
      assert.isTrue(Exit.hasInterrupts(yield* Fiber.await(second)))
      assert.isUndefined(third.pollUnsafe())
      yield* held.release
      assert.strictEqual((yield* Fiber.join(third)).path, before[2])
    }))

  it.live("of one in the middle gives the lock to nobody who is not the next [I10]", () =>
    Effect.gen(function*() {
      const { a, name, ours, proxy, theirs } = yield* setUp()
      const held = yield* ours.acquire()
      const second = yield* queueUp(a, name, 2, ours.withLock(Effect.die("not to be run")))
      const statuses = yield* recordStatuses
      const third = yield* queueUp(a, name, 3, theirs.acquire({ onStatus: statuses.onStatus }))
      assert.strictEqual(yield* statuses.next, "Queued 2")
      yield* Effect.flatMap(pathsOf(ours), ([, , own]) =>
        // The third watches the second, and itself.
        proxy.awaitFrame({ direction: "toClient", kind: "reply", op: "getData", path: own! }))
      const since = yield* proxy.position
      yield* Fiber.interrupt(second)
      // It has heard of it and looked again: who is ahead now is watched.
      yield* proxy.awaitFrame({ direction: "toClient", kind: "event" }, { since })
      yield* proxy.awaitFrame({ direction: "toClient", kind: "reply", op: "getData", path: held.path }, { since })
      assert.isUndefined(third.pollUnsafe())
      assert.strictEqual(yield* statuses.next, "Queued 1")
      assert.isTrue(yield* held.isHeld)
      yield* held.release
      const handle = yield* Fiber.join(third)
      assert.isTrue(yield* handle.isHeld)
    }))

  it.live("of many at once leaves only who has not given up [T44] [T10]", () =>
    Effect.gen(function*() {
      const { a, b, name } = yield* twoClients
      const ours = yield* on(a)(ZkLock.make(name))
      const theirs = yield* on(b)(ZkLock.make(name))
      const held = yield* ours.acquire()
      for (let i = 0; i < 5; i++) yield* Fiber.interrupt(yield* inLine(theirs.acquire))
      const last = yield* queueUp(a, name, 2, theirs.acquire())
      const leaving = yield* Effect.forEach([3, 4, 5, 6], () => inLine(theirs.acquire))
      yield* Fiber.interruptAll(leaving)
      assert.lengthOf(yield* pathsOf(ours), 2)
      yield* held.release
      assert.isTrue(yield* (yield* Fiber.join(last)).isHeld)
    }))

  it.live("when the time is up leaves nothing, and the lock can be had later [LOCK-05]", () =>
    Effect.gen(function*() {
      const { a, b, name } = yield* twoClients
      const ours = yield* on(a)(ZkLock.make(name))
      const theirs = yield* on(b)(ZkLock.make(name))
      const held = yield* ours.acquire()
      const begun = performance.now()
      const error = yield* failsWith(theirs.acquireTimeout("500 millis"), "LockTimeout")
      const took = performance.now() - begun
      assert.isAtLeast(took, 499)
      assert.isBelow(took, 5_000)
      assert.deepInclude(error, { path: name, timeout: 500 })
      assert.include(error.message, "500 ms")
      assert.deepStrictEqual(yield* pathsOf(ours), [held.path])
      yield* held.release
      const later = yield* theirs.acquireTimeout("5 seconds")
      assert.isTrue(yield* later.isHeld)
    }))

  it.live.each([Infinity, Number.MAX_SAFE_INTEGER, 2 ** 33])(
    "does not happen within %s milliseconds if the lock comes before [LOCK-05]",
    (timeout) =>
      Effect.gen(function*() {
        const { a, b, name } = yield* twoClients
        const ours = yield* on(a)(ZkLock.make(name))
        const theirs = yield* on(b)(ZkLock.make(name))
        const held = yield* ours.acquire()
        const waiting = yield* inLine((options) => theirs.acquireTimeout(timeout, options))
        const [, { owner }] = (yield* ours.contenders) as [ZkLock.Contender, ZkLock.Contender]
        // Only what is a date is told.
        assert.strictEqual(Option.getOrThrow(owner).deadline !== undefined, timeout === 2 ** 33)
        assert.isUndefined(waiting.pollUnsafe())
        yield* held.release
        assert.isTrue(yield* (yield* Fiber.join(waiting)).isHeld)
      })
  )

  it.live("waiting for the fiber that waits, and giving that up, changes nothing for the queue [T43]", () =>
    Effect.gen(function*() {
      const { a, b, name } = yield* twoClients
      const ours = yield* on(a)(ZkLock.make(name))
      const theirs = yield* on(b)(ZkLock.make(name))
      const held = yield* ours.acquire()
      const acquiring = yield* queueUp(a, name, 2, theirs.acquire())
      const before = yield* pathsOf(ours)
      assert.isTrue(Option.isNone(yield* Effect.timeoutOption(Fiber.join(acquiring), "50 millis")))
      assert.deepStrictEqual(yield* pathsOf(ours), before)
      yield* held.release
      assert.strictEqual((yield* Fiber.join(acquiring)).path, before[1])
    }))
})

describe("trying", () => {
  it.live("gives the lock or nothing, at once, and leaves no candidate [T11] [LOCK-03] [I15]", () =>
    Effect.gen(function*() {
      const { a, name, ours, proxy, theirs } = yield* setUp()
      const held = yield* ours.acquire()
      const since = yield* proxy.position
      assert.deepStrictEqual(yield* theirs.tryAcquire(), Option.none())
      assert.deepStrictEqual((yield* a.getChildren(name)).children, [ZkPath.name(held.path)])
      // It asks nobody twice, and watches nobody.
      const { ops } = yield* proxy.stats(since)
      assert.deepStrictEqual(Object.keys(ops).sort(), ["create2", "delete", "getChildren2"])
      const scope = yield* Scope.make()
      yield* held.release
      const handle = Option.getOrThrow(yield* Scope.provide(theirs.tryAcquire(), scope))
      assert.isTrue(yield* handle.isHeld)
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual((yield* a.getChildren(name)).children, [])
    }))
})

describe("a waiter whose candidate is deleted", () => {
  it.live("is told at once, and is not in the queue any more [T8]", () =>
    Effect.gen(function*() {
      const { a, name, ours, theirs } = yield* setUp()
      const held = yield* ours.acquire()
      const waiting = yield* queueUp(a, name, 2, theirs.withLock(Effect.die("not to be run")))
      const [, own] = yield* pathsOf(ours)
      yield* a.delete(own!)
      const { cause, path } = yield* failsWith(Fiber.join(waiting), "LockNotAcquired")
      assert.strictEqual(path, name)
      assert.strictEqual(cause._tag, "CandidateRemoved")
      assert.deepInclude(cause, { path: own })
      assert.deepStrictEqual(yield* pathsOf(ours), [held.path])
      assert.isTrue(yield* held.isHeld)
    }))

  it.live("goes to the end of the queue when that is asked for [T8]", () =>
    Effect.gen(function*() {
      const { a, b, name, ours, theirs } = yield* setUp({ onCandidateLost: "requeue" })
      const held = yield* ours.acquire()
      const waiting = yield* queueUp(a, name, 2, theirs.acquire())
      const third = yield* queueUp(a, name, 3, ours.acquire())
      const [, own, behind] = yield* pathsOf(ours)
      yield* a.delete(own!)
      yield* awaitCandidates(b, name, 3)
      const after = yield* pathsOf(ours)
      assert.deepStrictEqual(after.slice(0, 2), [held.path, behind!])
      assert.notStrictEqual(after[2], own)
      yield* held.release
      yield* (yield* Fiber.join(third)).release
      assert.strictEqual((yield* Fiber.join(waiting)).path, after[2])
    }))

  it.live("also when it goes between its creation and the first look at the queue [I11] [T8]", () =>
    Effect.gen(function*() {
      const { a, name, ours, proxy, theirs } = yield* setUp()
      const held = yield* ours.acquire()
      // The list goes out together with the creation: here it comes when the candidate has gone again.
      const list = { direction: "toServer", op: "getChildren2", path: name } as const
      const rule = yield* proxy.rule(list, { before: deleting(a, name, 2, held.path) })
      const { cause } = yield* failsWith(theirs.acquire(), "LockNotAcquired")
      assert.strictEqual(cause._tag, "CandidateRemoved")
      assert.strictEqual(yield* rule.count, 1)
      // It was looked for behind a sync, too: a list alone may be old.
      assert.strictEqual((yield* proxy.stats()).ops["sync"], 1)
      assert.deepStrictEqual(yield* pathsOf(ours), [held.path])
      // And with nobody else in the queue, where an index of -1 would look like the first.
      yield* held.release
      for (const attempt of [theirs.withLock(Effect.void), Effect.asVoid(Effect.scoped(theirs.tryAcquire()))]) {
        const alone = yield* proxy.rule(list, { before: deleting(a, name, 1) })
        const { cause } = yield* failsWith(attempt, "LockNotAcquired")
        assert.strictEqual(cause._tag, "CandidateRemoved")
        assert.strictEqual(yield* alone.count, 1)
      }
      assert.deepStrictEqual(yield* pathsOf(ours), [])
    }))
})

describe("a waiter whose session ends", () => {
  it.live("notices, and does not wait for ever [LOCK-25]", () =>
    Effect.gen(function*() {
      const { a, name, ours, port, proxy, theirs } = yield* setUp()
      const held = yield* ours.acquire()
      const waiting = yield* queueUp(a, name, 2, theirs.withLock(Effect.die("not to be run")))
      const sessionId = yield* expireThrough(proxy, port)
      const { cause } = yield* failsWith(Fiber.join(waiting), "LockNotAcquired")
      assert.strictEqual(cause._tag, "SessionExpired")
      assert.deepInclude(cause, { sessionId, maybeApplied: false })
      assert.deepStrictEqual(yield* pathsOf(ours), [held.path])
    }))

  it.live("queues up in the next one when that is asked for [LOCK-25]", () =>
    Effect.gen(function*() {
      const { a, b, name, ours, port, proxy, theirs } = yield* setUp({ onCandidateLost: "requeue" })
      const held = yield* ours.acquire()
      const waiting = yield* queueUp(a, name, 2, theirs.acquire())
      const [, old] = yield* pathsOf(ours)
      const sessionId = yield* expireThrough(proxy, port)
      yield* awaitCandidates(a, name, 2)
      const [, own] = yield* ours.contenders
      assert.notStrictEqual(own!.path, old)
      assert.notStrictEqual(own!.sessionId, sessionId)
      assert.strictEqual(own!.sessionId, (yield* b.session).sessionId)
      yield* held.release
      assert.strictEqual((yield* Fiber.join(waiting)).path, own!.path)
    }))

  it.live("by closing the client fails, whatever was asked for [LOCK-25]", () =>
    Effect.gen(function*() {
      const { a, name, ours } = yield* setUp()
      yield* ours.acquire()
      const scope = yield* Scope.make()
      const b = yield* Scope.provide(lockClient(), scope)
      const theirs = yield* on(b)(ZkLock.make(name, { onCandidateLost: "requeue" }))
      const waiting = yield* queueUp(a, name, 2, theirs.acquire())
      yield* Scope.close(scope, Exit.void)
      const { cause } = yield* failsWith(Fiber.join(waiting), "LockNotAcquired")
      assert.strictEqual(cause._tag, "SessionClosed")
    }))
})

describe("a waiter whose connection is lost", () => {
  it.live("goes on with the same candidate, and hears what it missed [I14] [T52]", () =>
    Effect.gen(function*() {
      const { a, b, name, ours, proxy, theirs } = yield* setUp()
      const states = yield* recordStates(b)
      const held = yield* ours.acquire()
      const waiting = yield* queueUp(a, name, 2, theirs.acquire())
      const [, own] = yield* pathsOf(ours)
      // Released while nobody is connected: the event has been lost with the connection.
      yield* proxy.setAccept("refuse")
      yield* proxy.cutAll
      yield* states.await("Suspended")
      yield* held.release
      yield* a.sync()
      yield* proxy.heal
      const handle = yield* Fiber.join(waiting)
      assert.strictEqual(handle.path, own)
      assert.isTrue(yield* handle.isHeld)
      assert.deepStrictEqual(states.tags().slice(0, 3), ["Connected", "Suspended", "Connected"])
    }))

  it.live("waits on when nothing has happened meanwhile, however often [I14] [T52]", () =>
    Effect.gen(function*() {
      const { a, b, name, ours, proxy, theirs } = yield* setUp()
      const states = yield* recordStates(b)
      const held = yield* ours.acquire()
      const waiting = yield* queueUp(a, name, 2, theirs.acquire())
      const [, own] = yield* pathsOf(ours)
      for (let i = 0; i < 5; i++) {
        const since = states.all.length
        yield* proxy.cutAll
        yield* states.await("Suspended", { since })
        yield* states.await("Connected", { since })
      }
      yield* b.sync()
      assert.isUndefined(waiting.pollUnsafe())
      assert.deepStrictEqual(yield* pathsOf(ours), [held.path, own!])
      yield* held.release
      assert.strictEqual((yield* Fiber.join(waiting)).path, own)
    }))
})

describe("the status of an acquisition", () => {
  it.live("goes from Queued to Held to Released [T42]", () =>
    Effect.gen(function*() {
      const { a, name, ours, theirs } = yield* setUp()
      const statuses = yield* recordStatuses
      const first = yield* ours.acquire()
      const second = yield* queueUp(a, name, 2, ours.acquire())
      const waiting = yield* queueUp(a, name, 3, theirs.acquire({ onStatus: statuses.onStatus }))
      assert.strictEqual(yield* statuses.next, "Queued 2")
      yield* first.release
      yield* (yield* Fiber.join(second)).release
      const handle = yield* Fiber.join(waiting)
      assert.strictEqual(yield* statuses.next, "Held")
      yield* handle.release
      assert.strictEqual(yield* statuses.next, "Released")
      assert.deepStrictEqual(yield* statuses.others, [])
    }))

  it.live("ends with Lost and the reason when it was taken away [T42]", () =>
    Effect.gen(function*() {
      const { a, b, theirs } = yield* setUp()
      const statuses = yield* recordStatuses
      const handle = yield* theirs.acquire({ onStatus: statuses.onStatus })
      assert.strictEqual(yield* statuses.next, "Held")
      yield* a.delete(handle.path)
      assert.strictEqual(yield* statuses.next, "Lost removed")
      assert.isFalse(yield* handle.release)
      yield* b.sync()
      assert.deepStrictEqual(yield* statuses.others, [])
    }))

  it.live("begins anew with the next candidate [T42] [T8]", () =>
    Effect.gen(function*() {
      const { a, name, ours, theirs } = yield* setUp({ onCandidateLost: "requeue" })
      const statuses = yield* recordStatuses
      const held = yield* ours.acquire()
      const waiting = yield* queueUp(a, name, 2, theirs.acquire({ onStatus: statuses.onStatus }))
      assert.strictEqual(yield* statuses.next, "Queued 1")
      const [, own] = yield* pathsOf(ours)
      yield* a.delete(own!)
      assert.strictEqual(yield* statuses.next, "Queued 1")
      yield* held.release
      yield* Fiber.join(waiting)
      assert.strictEqual(yield* statuses.next, "Held")
    }))
})
