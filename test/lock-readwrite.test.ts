/** Read/write locks: who may be inside with whom, and in which order they get there. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import * as Scope from "effect/Scope"
import { blockersOf, holdersOf, type Kind, type Place } from "../src/internal/recipes/queue.ts"
import type { ZkClient } from "../src/ZkClient.ts"
import * as ZkLock from "../src/ZkLock.ts"
import { failsWith } from "./support/failsWith.ts"
import { awaitCandidates, lockClient, on, queueUp, twoClients } from "./support/locking.ts"
import { freshPath } from "./support/shared.ts"

/** The line in short: `R` and `W`, with a star behind who holds the lock. */
const line = (lock: ZkLock.ZkLock<ZkLock.LockHandle>) =>
  Effect.map(
    lock.contenders,
    (all) => all.map(({ isHolder, kind }) => `${kind === "shared" ? "R" : "W"}${isHolder ? "*" : ""}`).join(" ")
  )

const readWrite = (client: ZkClient, name: string) => on(client)(ZkLock.makeReadWrite(name))

describe("a read/write lock", () => {
  it.live("is shared by readers, and keeps a writer and everybody else apart, both ways [RW-01] [T34]", () =>
    Effect.gen(function*() {
      const { a, b, name } = yield* twoClients
      const ours = yield* readWrite(a, name)
      const theirs = yield* readWrite(b, name)
      const first = yield* ours.read.acquire()
      const second = yield* theirs.read.acquire()
      assert.strictEqual(first.kind, "shared")
      assert.strictEqual(yield* line(ours.read), "R* R*")
      for (const { write } of [ours, theirs]) assert.isTrue(Option.isNone(yield* write.tryAcquire()))
      yield* first.release
      // One reader is enough.
      for (const { write } of [ours, theirs]) assert.isTrue(Option.isNone(yield* write.tryAcquire()))
      yield* second.release
      const writer = yield* ours.write.acquire()
      assert.strictEqual(writer.kind, "exclusive")
      for (const { read, write } of [ours, theirs]) {
        assert.isTrue(Option.isNone(yield* read.tryAcquire()))
        assert.isTrue(Option.isNone(yield* write.tryAcquire()))
      }
      assert.strictEqual(yield* line(theirs.write), "W*")
      assert.isTrue(yield* writer.release)
      assert.isFalse(yield* theirs.read.isLocked)
    }))

  it.live("serves who waits in the order in which they came, and readers together [RW-02] [T34] [J2]", () =>
    Effect.gen(function*() {
      const { a, b, name } = yield* twoClients
      const ours = yield* readWrite(a, name)
      const theirs = yield* readWrite(b, name)
      const first = yield* ours.write.acquire()
      const reader = yield* queueUp(a, name, 2, theirs.read.acquire())
      const writer = yield* queueUp(a, name, 3, ours.write.acquire())
      const late: Array<Fiber.Fiber<ZkLock.SharedHandle, unknown>> = []
      for (let i = 0; i < 6; i++) {
        late.push(yield* queueUp(a, name, 4 + i, (i % 2 === 0 ? ours : theirs).read.acquire()))
      }
      assert.strictEqual(yield* line(ours.read), "W* R W R R R R R R")
      yield* first.release
      const read = yield* Fiber.join(reader)
      // Those behind the writer wait, though they could share the lock with whoever holds it: else it might never come.
      assert.strictEqual(yield* line(ours.read), "R* W R R R R R R")
      assert.isTrue(Option.isNone(yield* ours.read.tryAcquire()))
      yield* Effect.all([a.sync(), b.sync()])
      for (const fiber of [writer, ...late]) assert.isUndefined(fiber.pollUnsafe())
      yield* read.release
      const write = yield* Fiber.join(writer)
      assert.strictEqual(yield* line(ours.read), "W* R R R R R R")
      for (const fiber of late) assert.isUndefined(fiber.pollUnsafe())
      yield* write.release
      const together = yield* Fiber.joinAll(late)
      for (const handle of together) assert.isTrue(yield* handle.isHeld)
      assert.strictEqual(yield* line(ours.read), "R* R* R* R* R* R*")
    }))

  it.live("is no deadlock of a reader and the writer behind it [J1] [T34]", () =>
    Effect.gen(function*() {
      const { a, b, name } = yield* twoClients
      const ours = yield* readWrite(a, name)
      const theirs = yield* readWrite(b, name)
      const first = yield* ours.write.acquire()
      const reader = yield* queueUp(a, name, 2, theirs.read.withLock(Effect.succeed("read")))
      const writer = yield* queueUp(a, name, 3, ours.write.withLock(Effect.succeed("written")))
      yield* first.release
      assert.deepStrictEqual(yield* Fiber.joinAll([reader, writer]), ["read", "written"])
    }))

  it.live("lets a writer in that readers who keep coming would keep out [J2]", () =>
    Effect.gen(function*() {
      const { a, b, name } = yield* twoClients
      const ours = yield* readWrite(a, name)
      const theirs = yield* readWrite(b, name)
      let written = false
      let before = 0
      // Four at a time, each coming again at once: without order there is always one inside.
      const readers = yield* Effect.forEach(
        [0, 1, 2, 3],
        () =>
          Effect.forkScoped(Effect.gen(function*() {
            while (!written) {
              yield* ours.read.withLock(Effect.sync(() => {
                if (!written) before++
              }))
            }
          }))
      )
      yield* Effect.repeat(Effect.yieldNow, { until: () => before >= 4 })
      const since = before
      yield* theirs.write.withLock(Effect.sync(() => {
        written = true
      }))
      yield* Fiber.joinAll(readers)
      // Those that were in line, and those that came while the writer's candidate was on its way.
      assert.isAtMost(before - since, 40)
    }))

  it.live("is the lock of the same path for plain locks: they are writers [T36]", () =>
    Effect.gen(function*() {
      const { a, b, name } = yield* twoClients
      const plain = yield* on(a)(ZkLock.make(name))
      const both = yield* readWrite(b, name)
      const holder = yield* plain.acquire()
      assert.isTrue(Option.isNone(yield* both.read.tryAcquire()))
      assert.isTrue(Option.isNone(yield* both.write.tryAcquire()))
      const reader = yield* queueUp(a, name, 2, both.read.acquire())
      yield* holder.release
      const read = yield* Fiber.join(reader)
      assert.isTrue(Option.isNone(yield* plain.tryAcquire()))
      const waiter = yield* queueUp(a, name, 2, plain.acquire())
      assert.isTrue(Option.isNone(yield* both.read.tryAcquire()))
      yield* read.release
      assert.isTrue(yield* (yield* Fiber.join(waiter)).isHeld)
    }))

  it.live("is kept by eight clients who read and write at random [RW-03]", () =>
    Effect.gen(function*() {
      const name = yield* freshPath
      let readers = 0
      let writers = 0
      let reads = 0
      let writes = 0
      let most = 0
      const check = () => assert.isTrue(writers === 0 || (writers === 1 && readers === 0), `${readers} ${writers}`)
      const read = (client: ZkClient) =>
        Effect.gen(function*() {
          most = Math.max(most, ++readers)
          reads++
          check()
          yield* client.sync()
          check()
          readers--
        })
      const write = (client: ZkClient) =>
        Effect.gen(function*() {
          writers++
          writes++
          check()
          yield* client.sync()
          check()
          writers--
        })
      const oneClient = Effect.gen(function*() {
        const client = yield* lockClient()
        const lock = yield* readWrite(client, name)
        for (let round = 0; round < 100; round++) {
          yield* (yield* Random.next) < 0.1 ? lock.write.withLock(write(client)) : lock.read.withLock(read(client))
        }
      })
      yield* Effect.forEach(Array.from({ length: 8 }, () => oneClient), (client) => Effect.scoped(client), {
        concurrency: "unbounded"
      }).pipe(Random.withSeed("rw-03"))
      assert.strictEqual(reads + writes, 800)
      assert.isAbove(writes, 40)
      assert.isAbove(most, 1)
      const { read: lock } = yield* readWrite(yield* lockClient(), name)
      assert.deepStrictEqual(yield* lock.contenders, [])
    }))

  it.live("is held by who acquired it, not by the process or the client [RW-06]", () =>
    Effect.gen(function*() {
      const { a, name } = yield* twoClients
      const { read, write } = yield* on(a)(ZkLock.makeReadWrite(name, { reentrant: true }))
      yield* write.withLock(Effect.gen(function*() {
        // Under it, and so asked for by its holder.
        assert.isTrue(yield* read.withLock((handle) => handle.isHeld))
        assert.strictEqual(yield* line(read), "W*")
      }))
      const handle = yield* write.acquire()
      // Another fiber, or this one but not under the lock.
      assert.isTrue(Option.isNone(yield* read.tryAcquire()))
      const other = yield* Effect.forkScoped(read.tryAcquire())
      assert.isTrue(Option.isNone(yield* Fiber.join(other)))
      assert.isTrue(yield* handle.isHeld)
    }))

  it.live("tells how many read and write [RW-07]", () =>
    Effect.gen(function*() {
      const { a, b, name } = yield* twoClients
      const ours = yield* readWrite(a, name)
      const theirs = yield* readWrite(b, name)
      yield* Effect.forEach(Array.from({ length: 20 }, () => ours.read.acquire()), (acquire) => acquire, {
        concurrency: "unbounded"
      })
      for (let i = 0; i < 8; i++) yield* Effect.forkScoped(theirs.write.acquire())
      yield* awaitCandidates(a, name, 28)
      const all = yield* ours.write.contenders
      assert.lengthOf(all.filter(({ kind }) => kind === "shared"), 20)
      assert.lengthOf(all.filter(({ kind }) => kind === "exclusive"), 8)
      assert.lengthOf(all.filter(({ isHolder }) => isHolder), 20)
    }))

  it.live("keeps what was told of the owner when it was asked for, and where [RW-08]", () =>
    Effect.gen(function*() {
      const { b, name } = yield* twoClients
      const life = yield* Scope.make()
      const a = yield* Scope.provide(lockClient(), life)
      const owner: Record<string, string> = { team: "blue" }
      const { read } = yield* on(a)(ZkLock.makeReadWrite(name, { owner }))
      const handle = yield* read.acquire()
      owner["team"] = "red"
      const [told] = yield* read.contenders
      assert.deepStrictEqual(Option.getOrThrow(told!.owner).custom, { team: "blue" })
      assert.strictEqual(told!.path, handle.path)
      assert.isTrue(handle.path.startsWith(`${name}/`))
      assert.strictEqual((yield* b.getData(handle.path)).stat.ephemeralOwner, told!.sessionId)
      yield* Scope.close(life, Exit.void)
      yield* failsWith(b.getData(handle.path), "NoNode")
      assert.strictEqual((yield* failsWith(handle.lost, "LockLost")).reason, "closed")
    }))
})

// -- the model ------------------------------------------------------------------------------------------------------

/** A read/write lock in the plainest words: an arrival is let in at once, or waits; a departure lets in who may come. */
class Reference {
  private line: Array<{ readonly kind: Kind; readonly sequence: number; isInside: boolean }> = []

  arrive(kind: Kind, sequence: number): void {
    this.line.push({ kind, sequence, isInside: false })
    this.letIn()
  }

  leave(sequence: number): void {
    this.line = this.line.filter((one) => one.sequence !== sequence)
    this.letIn()
  }

  private letIn(): void {
    for (const one of this.line) {
      if (one.isInside) continue
      const inside = this.line.filter(({ isInside }) => isInside)
      const mayEnter = one.kind === "shared" ? inside.every(({ kind }) => kind === "shared") : inside.length === 0
      // Nobody overtakes.
      if (!mayEnter) return
      one.isInside = true
    }
  }

  get inside(): ReadonlyArray<number> {
    return this.line.filter(({ isInside }) => isInside).map(({ sequence }) => sequence)
  }
}

describe("who blocks whom", () => {
  const below = (end: number) => Effect.map(Random.next, (part) => Math.floor(part * end))

  it.effect("is what a plain model of a read/write lock says, for any schedule [T35]", () =>
    Effect.gen(function*() {
      let waits = 0
      for (let run = 0; run < 100; run++) {
        const model = new Reference()
        const queue: Array<Place> = []
        // Anywhere on the ring, most of all where it closes.
        const first = yield* below(2 ** 32)
        let next = run % 2 === 0 ? 2 ** 31 - 10 : first
        for (let step = 0; step < 40; step++) {
          if (queue.length === 0 || (yield* Random.next) < 0.6) {
            const kind: Kind = (yield* Random.next) < 0.6 ? "shared" : "exclusive"
            const sequence = next++ | 0
            queue.push({ name: `x-${sequence}`, kind, sequence })
            model.arrive(kind, sequence)
          } else {
            // Whoever holds it, or gives up waiting.
            const [leaver] = queue.splice(yield* below(queue.length), 1)
            model.leave(leaver!.sequence)
          }
          const inside = model.inside
          assert.deepStrictEqual(holdersOf(queue).map(({ sequence }) => sequence), inside)
          for (const own of queue) {
            const blockers = blockersOf(queue, own)
            assert.strictEqual(blockers.length === 0, inside.includes(own.sequence))
            const last = blockers.at(-1)
            if (last === undefined) continue
            waits++
            // Whoever hears of the last one's end needs to hear of nobody else: none behind that one is in the way.
            const between = queue.slice(queue.indexOf(last) + 1, queue.indexOf(own))
            if (own.kind === "shared") assert.isTrue(between.every(({ kind }) => kind === "shared"))
            else assert.lengthOf(between, 0)
          }
        }
      }
      assert.isAbove(waits, 5_000)
    }).pipe(Random.withSeed("T35")))

  it("does not ask in which order the names were listed, nor whether the own one is among them", () => {
    const place = (kind: Kind, sequence: number): Place => ({ name: `n${sequence}`, kind, sequence })
    const queue = [place("shared", 1), place("shared", 2), place("exclusive", 5)]
    assert.deepStrictEqual(blockersOf(queue, place("shared", 4)), [])
    assert.deepStrictEqual(blockersOf(queue, place("exclusive", 4)).map(({ sequence }) => sequence), [1, 2])
    assert.deepStrictEqual(blockersOf(queue, place("shared", 6)).map(({ sequence }) => sequence), [5])
    assert.deepStrictEqual(holdersOf([]), [])
  })
})
