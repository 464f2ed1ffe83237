import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as ZkLock from "../../src/ZkLock.ts"
import * as ZkSemaphore from "../../src/ZkSemaphore.ts"
import { curatorAvailable, makeCurator } from "../support/curator.ts"
import { awaitCandidates, lockClient, on, queueUp } from "../support/locking.ts"
import { freshPath, shared } from "../support/shared.ts"
import { limitedTurn, openBoard, readLog } from "./board.ts"
import { handOver, worker } from "./handOver.ts"

/** A client of each side, and names for a lock and a board of one's own. */
const both = Effect.gen(function*() {
  const { connectString } = yield* shared
  const curator = yield* (yield* makeCurator).connect(connectString)
  const zk = yield* lockClient()
  const path = yield* freshPath
  return { curator, zk, path, board: `${path}-board` }
})

describe.skipIf(!curatorAvailable)("locks shared with Curator", () => {
  it.live("go to and fro between our lock and InterProcessMutex, in line and one at a time [IL4]", () =>
    Effect.gen(function*() {
      const { board, curator, path, zk } = yield* both
      const lock = yield* on(zk)(ZkLock.make(path))
      const rounds = 20
      const ours = worker(zk, lock, board, rounds)
      const theirs = curator.ask("work", "mutex", path, board, rounds)
      const workers = [ours, theirs, ours, theirs, ours, theirs, ours, theirs, ours, theirs]
      assert.isAbove(yield* handOver({ zk, gate: lock, board, rounds, workers }), 100)
    }))

  it.live("go to and fro between our read/write lock and InterProcessReadWriteLock, in line [IL5]", () =>
    Effect.gen(function*() {
      const { board, curator, path, zk } = yield* both
      const { read, write } = yield* on(zk)(ZkLock.makeReadWrite(path))
      const rounds = 20
      const theirs = (kind: string) => curator.ask("work", kind, path, board, rounds)
      const workers = [
        worker(zk, write, board, rounds),
        theirs("read"),
        worker(zk, read, board, rounds),
        theirs("write"),
        theirs("read"),
        worker(zk, read, board, rounds),
        worker(zk, write, board, rounds),
        theirs("write"),
        worker(zk, read, board, rounds),
        theirs("read")
      ]
      assert.isAbove(yield* handOver({ zk, gate: write, board, rounds, workers }), 50)
    }))

  it.live("are held by readers of both sides together [IL5]", () =>
    Effect.gen(function*() {
      const { curator, path, zk } = yield* both
      const { read, write } = yield* on(zk)(ZkLock.makeReadWrite(path))
      const reader = yield* read.acquire()
      yield* curator.ask("hold", "r1", "read", path)
      const writing = yield* queueUp(zk, path, 3, write.acquire())
      const late = yield* queueUp(zk, path, 4, curator.ask("hold", "r2", "read", path))
      yield* reader.release
      yield* zk.sync()
      assert.isUndefined(writing.pollUnsafe())
      yield* curator.ask("release", "r1")
      const writer = yield* Fiber.join(writing)
      const downgraded = yield* writer.downgrade
      yield* Fiber.join(late)
      assert.isTrue(yield* downgraded.isHeld)
      yield* curator.ask("release", "r2")
    }))

  it.live("let both sides see who is in line [IL3]", () =>
    Effect.gen(function*() {
      const { curator, path, zk } = yield* both
      const lock = yield* on(zk)(ZkLock.make(path))
      const [theirs] = yield* curator.ask("hold", "java", "mutex", path)
      const waiting = yield* queueUp(zk, path, 2, lock.acquire())
      const contenders = yield* lock.contenders
      assert.deepStrictEqual(contenders.map(({ isHolder }) => isHolder), [true, false])
      assert.strictEqual(contenders[0]?.path, theirs)
      assert.strictEqual(contenders[0]?.sessionId, curator.sessionId)
      const participants = yield* curator.ask("participants", "mutex", path)
      assert.deepStrictEqual(participants, contenders.map(({ path }) => path))
      yield* curator.ask("release", "java")
      assert.strictEqual((yield* Fiber.join(waiting)).path, participants[1])
    }))

  it.live("are given up by a revocable mutex that we ask [IL6] [T39]", () =>
    Effect.gen(function*() {
      const { curator, path, zk } = yield* both
      const lock = yield* on(zk)(ZkLock.make(path))
      yield* curator.ask("hold", "java", "mutex", path, "revocable")
      yield* lock.withLock(Effect.void, { revoke: "request", timeout: "10 seconds" })
      assert.deepStrictEqual(yield* curator.ask("released", "java"), ["true"])
    }))

  it.live("hear of a request that Curator's Revoker makes [IL6] [T39]", () =>
    Effect.gen(function*() {
      const { curator, path, zk } = yield* both
      const lock = yield* on(zk)(ZkLock.make(path))
      const held = yield* lock.acquire()
      const [holder = ""] = yield* curator.ask("participants", "mutex", path)
      assert.strictEqual(holder, held.path)
      yield* curator.ask("revoke", holder)
      assert.deepStrictEqual((yield* held.revocationRequested).by, [])
      assert.isTrue((yield* lock.contenders)[0]?.revoking)
      assert.isTrue(yield* held.isHeld)
    }))

  it.live("taken as a plain lock wait for Curator's readers and writers, with one warning [IL7]", () =>
    Effect.gen(function*() {
      const warnings: Array<string> = []
      const logger = Logger.make<unknown, void>(({ logLevel, message }) => {
        if (logLevel === "Warn") warnings.push(String(message))
      })
      yield* Effect.gen(function*() {
        const { curator, path, zk } = yield* both
        const lock = yield* on(zk)(ZkLock.make(path))
        for (const kind of ["read", "write"]) {
          yield* curator.ask("hold", kind, kind, path)
          assert.isTrue(Option.isNone(yield* lock.tryAcquire()))
          const waiting = yield* queueUp(zk, path, 2, lock.withLock(Effect.void))
          yield* curator.ask("release", kind)
          yield* Fiber.join(waiting)
        }
        assert.strictEqual(warnings.length, 1)
        assert.include(warnings[0], path)
      }).pipe(Effect.provide(Logger.layer([logger])))
    }))
})

describe.skipIf(!curatorAvailable)("semaphores shared with InterProcessSemaphoreV2", () => {
  it.live("never let in more than the maximum, of both sides together [IL10]", () =>
    Effect.gen(function*() {
      const { board, curator, path, zk } = yield* both
      const max = 3
      const rounds = 20
      yield* openBoard(zk, board)
      const semaphore = yield* on(zk)(ZkSemaphore.make(path, { permits: max }))
      const theirs = curator.ask("workPermits", path, max, board, rounds)
      const ours = Effect.repeat(semaphore.withPermits(1, limitedTurn(zk, board, max)), { times: rounds - 1 })
      const workers = [ours, theirs, ours, theirs, ours, theirs, ours, theirs, ours, theirs]
      yield* Effect.all(workers, { concurrency: "unbounded" })
      const log = yield* readLog(zk, board)
      assert.strictEqual(log.length, rounds * workers.length)
      // Each turn has noted how many there were: all permits were in use, by both.
      for (const who of ["ours", "java"]) assert.isTrue(log.some((turn) => turn.who === who && turn.sequence === max))
      assert.strictEqual(yield* semaphore.available, max)
    }))

  it.live("are counted alike by both sides, whoever came first [IL11]", () =>
    Effect.gen(function*() {
      const { curator, path, zk } = yield* both
      // The nodes are Curator's, without a number.
      yield* curator.ask("permits", "java", path, 5, 2)
      const semaphore = yield* on(zk)(ZkSemaphore.make(path, { permits: 5 }))
      assert.strictEqual(yield* semaphore.available, 3)
      const two = yield* semaphore.acquire(2)
      const nodes = yield* curator.ask("permitNodes", path, 5)
      assert.strictEqual(nodes.length, 4)
      assert.deepStrictEqual(
        (yield* semaphore.holders).map(({ path }) => path).toSorted(),
        nodes.map((name) => `${path}/leases/${name}`).toSorted()
      )
      assert.deepStrictEqual(yield* curator.ask("permitsNow", "more", path, 5, 2, 100), ["false"])
      assert.isTrue(Option.isNone(yield* semaphore.tryAcquire(2)))
      yield* curator.ask("permits", "last", path, 5, 1)
      assert.strictEqual(yield* semaphore.available, 0)
      const waiting = yield* queueUp(zk, `${path}/locks`, 1, semaphore.acquire(2))
      yield* curator.ask("returnPermits", "java")
      const more = yield* Fiber.join(waiting)
      // And theirs wait for ours.
      const asked = yield* queueUp(zk, `${path}/locks`, 1, curator.ask("permits", "again", path, 5, 2))
      yield* two.release
      yield* Fiber.join(asked)
      yield* more.release
      yield* curator.ask("returnPermits", "again")
      yield* curator.ask("returnPermits", "last")
      yield* awaitCandidates(zk, `${path}/leases`, 0)
      assert.strictEqual(yield* semaphore.available, 5)
    }))
})
