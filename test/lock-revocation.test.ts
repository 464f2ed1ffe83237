/** Asking for a lock, and taking it away: who is told, who is harmed, and that nobody is in vain. */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type { ZkClient } from "../src/ZkClient.ts"
import * as ZkLock from "../src/ZkLock.ts"
import * as ZkTransaction from "../src/ZkTransaction.ts"
import { failsWith } from "./support/failsWith.ts"
import { awaitCandidates, lockClient, on, queueUp, twoClients } from "./support/locking.ts"
import { type FramePattern, makeProxy } from "./support/proxy.ts"
import { freshPath, shared } from "./support/shared.ts"
import { patience } from "./support/wait.ts"

const readWrite = (client: ZkClient, name: string, options?: ZkLock.Options) =>
  on(client)(ZkLock.makeReadWrite(name, options))

const plain = (client: ZkClient, name: string, options?: ZkLock.Options) => on(client)(ZkLock.make(name, options))

/** The first of the two is behind the proxy. */
const throughProxy = Effect.gen(function*() {
  const { port } = yield* shared
  const proxy = yield* makeProxy(port)
  const a = yield* lockClient({ hosts: proxy.connectString })
  const b = yield* lockClient()
  const name = yield* freshPath
  return { a, b, name, proxy }
})

/** Whether the server agrees that it is held. */
const isSound = (handle: ZkLock.LockHandle) =>
  Effect.match(handle.guard([]), { onFailure: () => false, onSuccess: () => true })

const causeOf = <A>(acquisition: Effect.Effect<A, ZkLock.LockNotAcquired, Scope.Scope>) =>
  Effect.map(failsWith(Effect.scoped(acquisition), "LockNotAcquired"), ({ cause }) => cause._tag)

describe.concurrent("a request to give way", () => {
  it.live("goes to those in the way, to each once, and to nobody else [T26]", () =>
    Effect.gen(function*() {
      const { a, b, name, proxy } = yield* throughProxy
      const ours = yield* readWrite(a, name)
      const theirs = yield* readWrite(b, name)
      const one = yield* theirs.read.acquire()
      const two = yield* theirs.read.acquire()
      const waiting = yield* queueUp(b, name, 3, theirs.write.acquire())
      // To a reader the writer alone is in the way.
      const reader = yield* queueUp(b, name, 4, ours.read.acquire({ revoke: "request" }))
      yield* proxy.awaitFrame({ op: "setData", kind: "reply" })
      assert.deepStrictEqual(
        (yield* theirs.read.contenders).map(({ revoking }) => revoking),
        [false, false, true, false]
      )
      // To a writer all of them are: one has the message already, which does no harm.
      const since = yield* proxy.position
      const writer = yield* queueUp(b, name, 5, ours.write.acquire({ revoke: "request" }))
      yield* proxy.awaitEvent((event) => event.type === "frame" && event.kind === "reply" && event.op === "setData", {
        since
      })
      yield* one.revocationRequested
      yield* two.revocationRequested
      yield* one.release
      yield* two.release
      const third = yield* Fiber.join(waiting)
      yield* third.revocationRequested
      yield* third.release
      const fourth = yield* Fiber.join(reader)
      yield* fourth.revocationRequested
      yield* fourth.release
      assert.isTrue(yield* (yield* Fiber.join(writer)).isHeld)
      // It looked at the line again whenever somebody had gone, and asked nobody twice.
      const messages = yield* proxy.frames({ op: "setData", kind: "request" })
      assert.lengthOf(messages, 5)
      assert.lengthOf(new Set(messages.slice(1).map(({ path }) => path)), 4)
    }))

  it.live("is followed by the lock when the holder releases it [T26] [T39] [LOCK-19]", () =>
    Effect.gen(function*() {
      const { a, b, name } = yield* twoClients
      const ours = yield* plain(a, name)
      const theirs = yield* plain(b, name, { owner: { who: "b" } })
      const started = yield* Deferred.make<void>()
      const holder = yield* Effect.forkScoped(ours.withLock(Effect.fnUntraced(function*(handle) {
        yield* Deferred.succeed(started, undefined)
        return yield* handle.revocationRequested
      })))
      yield* Deferred.await(started)
      const taken = yield* theirs.acquire({ revoke: "request" })
      const { by } = yield* Fiber.join(holder)
      assert.deepStrictEqual(by.map(({ path }) => path), [taken.path])
      assert.deepStrictEqual(Option.getOrThrow(by[0]!.owner).custom, { who: "b" })
    }))

  it.live("takes nothing away from a holder that goes on [T39]", () =>
    Effect.gen(function*() {
      const { a, b, name } = yield* twoClients
      const held = yield* (yield* plain(a, name)).acquire()
      const theirs = yield* plain(b, name)
      const error = yield* Effect.flip(theirs.acquireTimeout("200 millis", { revoke: "request" }))
      assert.strictEqual(error._tag, "LockTimeout")
      yield* held.revocationRequested
      assert.isTrue(yield* held.isHeld)
      assert.isTrue(yield* isSound(held))
    }))

  it.live("tells who asks and until when; the message stays when the asker has given up [T27]", () =>
    Effect.gen(function*() {
      const { a, b, name } = yield* twoClients
      const ours = yield* plain(a, name)
      const theirs = yield* plain(b, name, { owner: { who: "b" } })
      const held = yield* ours.acquire()
      const asking = yield* queueUp(
        a,
        name,
        2,
        Effect.scoped(theirs.acquireTimeout("1 minute", { revoke: "request" }))
      )
      const told = yield* held.revocationRequested
      assert.lengthOf(told.by, 1)
      const asker = Option.getOrThrow(told.by[0]!.owner)
      assert.strictEqual(asker.revoke, "request")
      assert.deepStrictEqual(asker.custom, { who: "b" })
      assert.strictEqual(
        Math.round((asker.deadline!.epochMilliseconds - asker.since.epochMilliseconds) / 1000),
        60
      )
      yield* Fiber.interrupt(asking)
      const [left, ...others] = yield* ours.contenders
      assert.lengthOf(others, 0)
      assert.isTrue(left!.revoking)
      assert.isTrue(Option.isNone(left!.owner))
      assert.deepStrictEqual((yield* held.revocationRequested).by, [])
    }))

  it.live("reaches who is still waiting, and is known when the lock is there [T26]", () =>
    Effect.gen(function*() {
      const { a, b, name } = yield* twoClients
      const c = yield* lockClient()
      const first = yield* (yield* plain(a, name)).acquire()
      const second = yield* queueUp(a, name, 2, (yield* plain(b, name)).acquire())
      const third = yield* plain(c, name, { owner: { who: "c" } })
      yield* queueUp(a, name, 3, third.acquire({ revoke: "request" }))
      yield* first.revocationRequested
      yield* first.release
      const handle = yield* Fiber.join(second)
      const { by } = yield* handle.revocationRequested
      assert.deepStrictEqual(by.map(({ owner }) => Option.getOrThrow(owner).custom), [{ who: "c" }])
    }))

  it.live("names those who wait behind the holder, not who holds the lock beside it [T26]", () =>
    Effect.gen(function*() {
      const { a, b, name } = yield* twoClients
      const ours = yield* readWrite(a, name)
      const theirs = yield* readWrite(b, name, { owner: { who: "b" } })
      const first = yield* ours.read.acquire({ revoke: "request" })
      // It came behind, asking, but there was nobody to be asked.
      yield* theirs.read.acquire({ revoke: "request" })
      yield* b.setData(first.path, "__REVOKE__")
      assert.deepStrictEqual((yield* first.revocationRequested).by, [])
      yield* queueUp(a, name, 3, theirs.write.acquire({ revoke: "request" }))
      yield* queueUp(a, name, 4, theirs.write.acquire())
      const { by } = yield* first.revocationRequested
      assert.deepStrictEqual(by.map(({ kind, sequence }) => [kind, sequence]), [["exclusive", 2]])
    }))

  it.live("reaches the holder that a writer has become by a downgrade [T26] [J3]", () =>
    Effect.gen(function*() {
      const { a, b, name } = yield* twoClients
      const ours = yield* readWrite(a, name)
      const theirs = yield* readWrite(b, name)
      const writer = yield* ours.write.acquire()
      yield* queueUp(a, name, 2, theirs.write.acquire({ revoke: "request" }))
      yield* writer.revocationRequested
      // It holds on to another node, which has no message yet; the asker finds it in its way and asks again.
      const reader = yield* writer.downgrade
      assert.lengthOf((yield* reader.revocationRequested).by, 1)
    }))

  it.live("arrives also when it was written while the holder had no connection [T24]", () =>
    Effect.gen(function*() {
      const { a, b, name, proxy } = yield* throughProxy
      const held = yield* (yield* plain(a, name)).acquire()
      const theirs = yield* plain(b, name)
      yield* a.sync()
      yield* proxy.setAccept("refuse")
      yield* proxy.cutAll
      yield* queueUp(b, name, 2, theirs.acquire({ revoke: "request" }))
      yield* awaitMessage(b, held.path)
      yield* proxy.heal
      assert.lengthOf((yield* held.revocationRequested).by, 1)
      assert.isTrue(yield* held.isHeld)
    }))

  it.live("and the end of the node right behind it: the holder is told [T24]", () =>
    Effect.gen(function*() {
      const { a, b, name, proxy } = yield* throughProxy
      const ours = yield* plain(a, name)
      const held = yield* ours.acquire()
      const both = (path: string) =>
        Effect.all([b.setData(path, "__REVOKE__"), b.delete(path)], { concurrency: "unbounded" })
      yield* both(held.path)
      assert.strictEqual((yield* failsWith(held.lost, "LockLost")).reason, "removed")
      // The same in the midst of what the holder does about the message.
      const again = yield* ours.acquire()
      yield* a.sync()
      const look = yield* proxy.rule({ op: "getData", path: again.path, kind: "request" }, {
        before: Effect.orDie(b.delete(again.path))
      })
      yield* b.setData(again.path, "__REVOKE__")
      assert.strictEqual((yield* failsWith(again.lost, "LockLost")).reason, "removed")
      assert.strictEqual(yield* look.count, 1)
      // And while it has no connection.
      const third = yield* ours.acquire()
      yield* a.sync()
      yield* proxy.setAccept("refuse")
      yield* proxy.cutAll
      yield* both(third.path)
      yield* proxy.heal
      assert.strictEqual((yield* failsWith(third.lost, "LockLost")).reason, "removed")
    }))
})

/** Waits until a node holds the message. */
const awaitMessage = (client: ZkClient, path: string): Effect.Effect<void, unknown> =>
  Effect.scoped(
    Effect.flatMap(client.getDataWatch(path), ({ fired, result }) =>
      result.text === "__REVOKE__" ? Effect.succeed(true) : Effect.as(fired, false))
  ).pipe(
    Effect.flatMap((isThere) =>
      isThere ? Effect.void : awaitMessage(client, path)
    )
  )

describe.concurrent("taking a lock away", () => {
  it.live("ends what the holder does; the taker holds it [T28] [T31] [LOCK-19]", () =>
    Effect.gen(function*() {
      const { a, b, name } = yield* twoClients
      const ours = yield* plain(a, name)
      const theirs = yield* plain(b, name)
      yield* a.create(`${name}-data`, "old")
      const started = yield* Deferred.make<ZkLock.LockHandle>()
      let finished = false
      const victim = yield* Effect.forkScoped(failsWith(
        ours.withLock((handle) =>
          Effect.andThen(Deferred.succeed(started, handle), Effect.never).pipe(
            Effect.onInterrupt(() =>
              Effect.sync(() => {
                finished = true
              })
            )
          )
        ),
        "LockLost"
      ))
      const old = yield* Deferred.await(started)
      const taken = yield* theirs.acquire({ revoke: "immediate" })
      assert.isTrue(yield* taken.isHeld)
      assert.isTrue(yield* isSound(taken))
      assert.strictEqual((yield* Fiber.join(victim)).reason, "removed")
      assert.isTrue(finished)
      // What stops those of its doings that go on all the same.
      assert.strictEqual(
        (yield* failsWith(old.guard([ZkTransaction.setData(`${name}-data`, "x")]), "LockLost")).reason,
        "removed"
      )
      assert.strictEqual((yield* a.getData(`${name}-data`)).text, "old")
      assert.isTrue(taken.fencingToken > old.fencingToken)
    }))

  // Two readers hold the lock, and a writer waits.
  const waiterGone = "CandidateRemoved"
  const left = {
    reader: ["held", "held", waiterGone],
    writer: ["removed", "removed", waiterGone],
    plain: ["removed", "removed", waiterGone]
  }
  for (const kind of ["reader", "writer", "plain"] as const) {
    for (const how of ["acquire", "tryAcquire"] as const) {
      it.live(`harms who is in the way of a ${kind} alone, with ${how} [T29]`, () =>
        Effect.gen(function*() {
          const { a, b, name } = yield* twoClients
          const theirs = yield* readWrite(a, name)
          const readers = [yield* theirs.read.acquire(), yield* theirs.read.acquire()]
          const waiter = yield* queueUp(a, name, 3, causeOf(theirs.write.acquire()))
          const { read, write } = yield* readWrite(b, name)
          const lock: ZkLock.ZkLock<ZkLock.LockHandle> = kind === "reader"
            ? read
            : kind === "writer"
            ? write
            : yield* plain(b, name)
          const taken = how === "acquire"
            ? yield* lock.acquire({ revoke: "immediate" })
            : Option.getOrThrow(yield* lock.tryAcquire({ revoke: "immediate" }))
          assert.isTrue(yield* isSound(taken))
          const outcomes: Array<string> = []
          for (const reader of readers) {
            outcomes.push((yield* isSound(reader)) ? "held" : (yield* failsWith(reader.lost, "LockLost")).reason)
          }
          outcomes.push(yield* Fiber.join(waiter))
          assert.deepStrictEqual(outcomes, left[kind])
        }))
    }
  }

  it.live("from a writer by a reader lets the readers in that waited for it [T29]", () =>
    Effect.gen(function*() {
      const { a, b, name } = yield* twoClients
      const theirs = yield* readWrite(a, name)
      const writer = yield* theirs.write.acquire()
      const waiting = yield* queueUp(a, name, 2, theirs.read.acquire())
      const { read } = yield* readWrite(b, name)
      const taken = Option.getOrThrow(yield* read.tryAcquire({ revoke: "immediate" }))
      assert.strictEqual((yield* failsWith(writer.lost, "LockLost")).reason, "removed")
      assert.isTrue(yield* isSound(yield* Fiber.join(waiting)))
      assert.isTrue(yield* isSound(taken))
    }))

  const takings: FramePattern = { op: "multi", where: ({ ops }) => ops.length > 1 }

  it.live("looks again when one of those in the way has gone at that moment [T30]", () =>
    Effect.gen(function*() {
      const { a, b, name, proxy } = yield* throughProxy
      const theirs = yield* readWrite(b, name)
      const [one, two] = [yield* theirs.read.acquire(), yield* theirs.read.acquire()]
      const ours = yield* readWrite(a, name)
      const rule = yield* proxy.rule({ ...takings, kind: "request" }, {
        before: Effect.andThen(one.release, Effect.orDie(b.sync()))
      })
      const taken = yield* ours.write.tryAcquire({ revoke: "immediate" })
      assert.strictEqual(yield* rule.count, 1)
      assert.isTrue(yield* isSound(Option.getOrThrow(taken)))
      assert.strictEqual((yield* failsWith(two.lost, "LockLost")).reason, "removed")
      assert.lengthOf(yield* proxy.frames({ ...takings, kind: "request" }), 2)
      // The last one that goes by itself leaves nobody to be harmed.
      yield* Option.getOrThrow(taken).release
      const last = yield* theirs.write.acquire()
      yield* proxy.rule({ ...takings, kind: "request" }, { before: last.release })
      assert.isTrue(Option.isSome(yield* ours.write.tryAcquire({ revoke: "immediate" })))
      assert.lengthOf(yield* proxy.frames({ ...takings, kind: "request" }), 3)
    }))

  for (const kind of ["request", "reply"] as const) {
    for (const how of ["acquire", "tryAcquire"] as const) {
      it.live(`succeeds though its ${kind} is lost, and what looks for it as well, with ${how} [T30]`, () =>
        Effect.gen(function*() {
          const { a, b, name, proxy } = yield* throughProxy
          const held = yield* (yield* plain(b, name)).acquire()
          const ours = yield* plain(a, name)
          const rule = yield* proxy.rule({ ...takings, kind }, "cut")
          const looks = yield* proxy.rule({ op: "sync", kind: "request" }, "cut", { times: 2 })
          const taken = how === "acquire"
            ? yield* ours.acquire({ revoke: "immediate" })
            : Option.getOrThrow(yield* ours.tryAcquire({ revoke: "immediate" }))
          assert.deepStrictEqual([yield* rule.count, yield* looks.count], [1, 2])
          assert.isTrue(yield* isSound(taken))
          assert.strictEqual((yield* failsWith(held.lost, "LockLost")).reason, "removed")
          assert.lengthOf(yield* proxy.frames({ ...takings, kind: "request" }), kind === "reply" ? 1 : 2)
        }))
    }
  }

  it.live("harms nobody if it may not be done, or the own place is lost [T30]", () =>
    Effect.gen(function*() {
      const { a, b, name, proxy } = yield* throughProxy
      const theirs = yield* plain(b, name)
      const held = yield* theirs.acquire()
      const ours = yield* plain(a, name)
      const own = (path: string) => path !== held.path && path.startsWith(`${name}/`)
      const attempts = [
        ours.tryAcquire({ revoke: "immediate" }),
        Effect.asSome(ours.acquire({ revoke: "immediate" }))
      ]
      for (const attempt of attempts) {
        const rule = yield* proxy.rule({ ...takings, kind: "request" }, {
          before: Effect.orDie(Effect.flatMap(theirs.contenders, (all) =>
            Effect.forEach(
              all.filter(({ path }) => own(path)),
              ({ path }) => b.delete(path)
            )))
        })
        assert.strictEqual(yield* causeOf(attempt), "CandidateRemoved")
        assert.strictEqual(yield* rule.count, 1)
        assert.isTrue(yield* isSound(held))
      }
      // Nodes may be made and read below it, but not deleted.
      const closed = `${name}-closed`
      yield* b.create(closed, "", { acl: [{ perms: 5, scheme: "world", id: "anyone" }] })
      const safe = yield* (yield* plain(b, closed)).acquire()
      const other = yield* plain(a, closed)
      assert.strictEqual(yield* causeOf(other.tryAcquire({ revoke: "immediate" })), "NoAuth")
      assert.strictEqual(yield* causeOf(other.acquire({ revoke: "immediate" })), "NoAuth")
      assert.isTrue(yield* isSound(safe))
    }))

  describe("when the time is up in the midst of it", () => {
    // Long enough for a slow machine to get there.
    const limit = Duration.millis(700 * patience)

    it.live("comes to its end all the same, and has the lock, if it was under way [T30]", () =>
      Effect.gen(function*() {
        for (const kind of ["request", "reply"] as const) {
          const { a, b, name, proxy } = yield* throughProxy
          const held = yield* (yield* plain(b, name)).acquire()
          const ours = yield* plain(a, name)
          const rule = yield* proxy.rule({ ...takings, kind }, "freeze")
          const taking = yield* Effect.forkScoped(ours.acquireTimeout(limit, { revoke: "immediate" }))
          yield* rule.fired
          yield* Effect.sleep(limit)
          assert.isUndefined(taking.pollUnsafe())
          yield* proxy.heal
          const taken = yield* Fiber.join(taking)
          assert.isTrue(yield* isSound(taken))
          assert.strictEqual((yield* failsWith(held.lost, "LockLost")).reason, "removed")
        }
      }))

    it.live("has the lock if it was done, though the answer was lost with the connection [T30]", () =>
      Effect.gen(function*() {
        const { a, b, name, proxy } = yield* throughProxy
        const held = yield* (yield* plain(b, name)).acquire()
        const ours = yield* plain(a, name)
        const rule = yield* proxy.rule({ ...takings, kind: "reply" }, "cut")
        const taking = yield* Effect.forkScoped(ours.acquireTimeout(limit, { revoke: "immediate" }))
        yield* rule.fired
        yield* proxy.setAccept("refuse")
        yield* Effect.flip(held.lost)
        yield* Effect.sleep(limit)
        assert.isUndefined(taking.pollUnsafe())
        yield* proxy.heal
        assert.isTrue(yield* isSound(yield* Fiber.join(taking)))
      }))

    it.live("gives up, and nobody is harmed, if it was not done [T30]", () =>
      Effect.gen(function*() {
        const { a, b, name, proxy } = yield* throughProxy
        const held = yield* (yield* plain(b, name)).acquire()
        const ours = yield* plain(a, name)
        const rule = yield* proxy.rule({ ...takings, kind: "request" }, "cut")
        const taking = yield* Effect.forkScoped(
          failsWith(Effect.scoped(ours.acquireTimeout(limit, { revoke: "immediate" })), "LockTimeout")
        )
        yield* rule.fired
        yield* proxy.setAccept("refuse")
        yield* Effect.sleep(limit)
        yield* proxy.heal
        yield* Fiber.join(taking)
        assert.isTrue(yield* isSound(held))
        yield* awaitCandidates(b, name, 1)
        assert.lengthOf(yield* proxy.frames({ ...takings, kind: "request" }), 1)
      }))

    it.live("is no different when the taker is interrupted: what was taken is given back [T30]", () =>
      Effect.gen(function*() {
        const { a, b, name, proxy } = yield* throughProxy
        const theirs = yield* plain(b, name)
        const held = yield* theirs.acquire()
        const ours = yield* plain(a, name)
        const rule = yield* proxy.rule({ ...takings, kind: "reply" }, "freeze")
        const taking = yield* Effect.forkScoped(Effect.scoped(ours.acquire({ revoke: "immediate" })))
        yield* rule.fired
        const interrupting = yield* Effect.forkScoped(Fiber.interrupt(taking), { startImmediately: true })
        yield* proxy.heal
        yield* Fiber.join(interrupting)
        assert.strictEqual((yield* failsWith(held.lost, "LockLost")).reason, "removed")
        assert.isTrue(Option.isSome(yield* theirs.tryAcquire()))
      }))
  })
})
