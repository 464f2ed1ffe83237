import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as ZkLock from "../../src/ZkLock.ts"
import { kazooAvailable, makeKazoo } from "../support/kazoo.ts"
import { awaitCandidates, lockClient, on, queueUp } from "../support/locking.ts"
import { freshPath, shared } from "../support/shared.ts"
import { handOver, worker } from "./handOver.ts"

const file = new URL("kazoo_locks.py", import.meta.url)
const zktools = new URL("zktools_locks.py", import.meta.url)

/** A client of each side, and names for a lock and a board of one's own. */
const both = Effect.gen(function*() {
  const { connectString } = yield* shared
  const kazoo = yield* (yield* makeKazoo).connect(connectString)
  const zk = yield* lockClient()
  const path = yield* freshPath
  return { kazoo, zk, path, board: `${path}-board` }
})

describe.skipIf(!kazooAvailable)("locks shared with kazoo", () => {
  it.live("go to and fro between our lock and kazoo's, in line and one at a time [IL1]", () =>
    Effect.gen(function*() {
      const { board, kazoo, path, zk } = yield* both
      const lock = yield* on(zk)(ZkLock.make(path, { layout: "kazoo" }))
      const rounds = 20
      const ours = worker(zk, lock, board, rounds)
      const theirs = kazoo.call(file, "work", { kind: "lock", path, board, rounds })
      const changes = yield* handOver({
        zk,
        gate: lock,
        board,
        rounds,
        workers: [ours, theirs, ours, theirs, ours, theirs, ours, theirs, ours, theirs]
      })
      // As many as chance allows, on a busy machine too.
      assert.isAbove(changes, 50)
    }))

  it.live("go to and fro between readers and writers of both sides, in line [IL2]", () =>
    Effect.gen(function*() {
      const { board, kazoo, path, zk } = yield* both
      const { read, write } = yield* on(zk)(ZkLock.makeReadWrite(path, { layout: "kazoo" }))
      const rounds = 20
      const theirs = (kind: string) => kazoo.call(file, "work", { kind, path, board, rounds })
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

  it.live("are held by readers of both sides together, and wait for a writer of the other [IL2]", () =>
    Effect.gen(function*() {
      const { kazoo, path, zk } = yield* both
      const { read, write } = yield* on(zk)(ZkLock.makeReadWrite(path, { layout: "kazoo" }))
      const plain = yield* on(zk)(ZkLock.make(path, { layout: "kazoo" }))
      const reader = yield* read.acquire()
      yield* kazoo.call(file, "acquire", { name: "r1", kind: "read", path })
      const writing = yield* queueUp(zk, path, 3, write.acquire())
      const late = yield* queueUp(zk, path, 4, kazoo.call(file, "acquire", { name: "r2", kind: "read", path }))
      yield* reader.release
      yield* zk.sync()
      assert.isUndefined(writing.pollUnsafe())
      yield* kazoo.call(file, "release", { name: "r1" })
      const writer = yield* Fiber.join(writing)
      yield* writer.release
      yield* Fiber.join(late)
      assert.isTrue(Option.isNone(yield* write.tryAcquire()))
      assert.isTrue(Option.isNone(yield* plain.tryAcquire()))
      assert.isTrue(Option.isSome(yield* read.tryAcquire()))
      yield* kazoo.call(file, "release", { name: "r2" })
    }))

  it.live("let both sides see who is in line [IL3]", () =>
    Effect.gen(function*() {
      const { kazoo, path, zk } = yield* both
      const lock = yield* on(zk)(ZkLock.make(path, { layout: "kazoo", owner: { who: "ours" } }))
      const theirs = yield* kazoo.call(file, "acquire", { name: "python", kind: "lock", path })
      const waiting = yield* queueUp(zk, path, 2, lock.acquire())
      const [first, second, ...more] = yield* lock.contenders
      assert.deepStrictEqual(more, [])
      assert.strictEqual(first?.path, `${path}/${String(theirs)}`)
      assert.strictEqual(first.text, "python")
      assert.isTrue(Option.isNone(first.owner))
      assert.isTrue(first.isHolder)
      assert.strictEqual(first.sessionId, kazoo.sessionId)
      assert.isFalse(second?.isHolder)
      const listed = yield* kazoo.call(file, "contenders", { kind: "lock", path }) as Effect.Effect<Array<string>>
      assert.deepStrictEqual(listed, ["python", second?.text])
      assert.include(listed[1], "\"who\":\"ours\"")
      yield* kazoo.call(file, "release", { name: "python" })
      const held = yield* Fiber.join(waiting)
      assert.strictEqual(held.path, second?.path)
    }))
})

describe.skipIf(!kazooAvailable)("locks shared with zktools", () => {
  it.live("go to and fro between our lock and zktools', in line and one at a time [IL8]", () =>
    Effect.gen(function*() {
      const { board, kazoo, path, zk } = yield* both
      const lock = yield* on(zk)(ZkLock.make(path, { layout: "zktools" }))
      const rounds = 34
      const ours = worker(zk, lock, board, rounds)
      const theirs = kazoo.call(zktools, "work", { kind: "lock", path, board, rounds })
      const changes = yield* handOver({
        zk,
        gate: lock,
        board,
        rounds,
        workers: [ours, theirs, ours, theirs, ours, theirs]
      })
      // As many as chance allows, on a busy machine too.
      assert.isAbove(changes, 50)
    }))

  it.live("go to and fro between readers and writers of both sides, in line [IL8]", () =>
    Effect.gen(function*() {
      const { board, kazoo, path, zk } = yield* both
      const { read, write } = yield* on(zk)(ZkLock.makeReadWrite(path, { layout: "zktools" }))
      const rounds = 25
      const theirs = (kind: string) => kazoo.call(zktools, "work", { kind, path, board, rounds })
      const workers = [
        theirs("read"),
        worker(zk, read, board, rounds),
        theirs("write"),
        worker(zk, write, board, rounds),
        theirs("read"),
        worker(zk, read, board, rounds),
        worker(zk, write, board, rounds),
        theirs("write")
      ]
      assert.isAbove(yield* handOver({ zk, gate: write, board, rounds, workers }), 50)
    }))

  it.live("give way when the other side asks with its message [IL9] [T39]", () =>
    Effect.gen(function*() {
      const { kazoo, path, zk } = yield* both
      const { read, write } = yield* on(zk)(ZkLock.makeReadWrite(path, { layout: "zktools" }))
      yield* kazoo.call(zktools, "acquire", { name: "reader", kind: "read", path })
      const reader = yield* read.acquire()
      const writing = yield* queueUp(zk, path, 3, write.acquire({ revoke: "request" }))
      // Both readers hear of it.
      assert.strictEqual(yield* kazoo.call(zktools, "await_revocation", { name: "reader" }), true)
      yield* reader.revocationRequested
      yield* kazoo.call(zktools, "release", { name: "reader" })
      yield* zk.sync()
      assert.isUndefined(writing.pollUnsafe())
      yield* reader.release
      const writer = yield* Fiber.join(writing)
      const asking = yield* Effect.forkChild(
        kazoo.call(zktools, "acquire", { name: "writer", kind: "write", path, revoke: true }),
        { startImmediately: true }
      )
      const { by } = yield* writer.revocationRequested
      assert.deepStrictEqual(by, [])
      const [holder] = yield* write.contenders
      assert.strictEqual(holder?.path, writer.path)
      assert.isTrue(holder.revoking)
      assert.strictEqual(holder.text, "unlock")
      yield* writer.release
      yield* Fiber.join(asking)
      yield* kazoo.call(zktools, "release", { name: "writer" })
      yield* awaitCandidates(zk, path, 0)
    }))
})
