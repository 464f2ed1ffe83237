/** Who comes before whom: names and numbers, also where the numbers go round or run out. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { randomUUID } from "node:crypto"
import type { LayoutName } from "../src/internal/recipes/layout.ts"
import { layouts } from "../src/internal/recipes/layout.ts"
import type { Kind, Place } from "../src/internal/recipes/queue.ts"
import { blockersOf, compare, holdersOf, readQueue } from "../src/internal/recipes/queue.ts"
import * as ZkLock from "../src/ZkLock.ts"
import * as ZkPath from "../src/ZkPath.ts"
import { failsWith } from "./support/failsWith.ts"
import { fakeClient, settle } from "./support/fakeClient.ts"
import { type Answer, err, type FakeServer, makeFakeServer, ok } from "./support/fakeServer.ts"
import { JuteReader, JuteWriter } from "./support/jute.ts"
import { on } from "./support/locking.ts"
import { makeStat, writeStat } from "./support/records.ts"

/** The same numbers in every run. */
const makeRandom = (seed: number) => (below: number): number => {
  seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0
  return Math.floor(seed / 2 ** 32 * below)
}

const shuffled = <A>(values: ReadonlyArray<A>, random: (below: number) => number): Array<A> => {
  const all = [...values]
  for (let i = all.length - 1; i > 0; i--) {
    const j = random(i + 1)
    const [a, b] = [all[i]!, all[j]!]
    all[i] = b
    all[j] = a
  }
  return all
}

/** As servers write it: `%010d`. */
const digits = (sequence: number): string =>
  sequence < 0 ? `-${String(-sequence).padStart(9, "0")}` : String(sequence).padStart(10, "0")

const largest = 2 ** 31 - 1
const smallest = -(2 ** 31)

const layoutNames = Object.keys(layouts) as ReadonlyArray<LayoutName>

const nameOf = (layoutName: LayoutName, kind: Kind, isReadWrite: boolean, sequence: number): string => {
  const layout = layouts[layoutName]
  return `${layout.mark(randomUUID())}${layout.candidate(kind, isReadWrite)}${digits(sequence)}`
}

describe("the order of candidates", () => {
  const place = (sequence: number): Place => ({ name: "x", kind: "exclusive", sequence })

  it("is that of numbers on a ring [T6] [LOCK-15]", () => {
    const inOrder: ReadonlyArray<readonly [earlier: number, later: number]> = [
      [0, 1],
      [9_999, 10_000],
      [largest - 1, largest],
      [largest, smallest],
      [largest, smallest + 5],
      [smallest, smallest + 1],
      [-2, -1],
      [-1, 0],
      [largest - 1_000_000, smallest + 1_000_000]
    ]
    for (const [earlier, later] of inOrder) {
      assert.isBelow(compare(place(earlier), place(later)), 0, `${earlier} before ${later}`)
      assert.isAbove(compare(place(later), place(earlier)), 0, `${later} behind ${earlier}`)
    }
  })

  // Each of these is what a queue can be: neighbours on the ring, whoever listed them in whatever order.
  const starts = [0, 1, 9_999_990, largest - 20, largest - 3, largest, smallest, smallest + 1, -20, -3, -1]

  it.each(layoutNames)("of %s is that in which they came, wherever on the ring [T6] [LOCK-15] [I12]", (layoutName) => {
    const layout = layouts[layoutName]
    const random = makeRandom(42)
    for (const start of starts) {
      for (let round = 0; round < 20; round++) {
        const isReadWrite = random(2) === 0
        let sequence = start
        const made = Array.from({ length: 1 + random(30) }, () => {
          const kind: Kind = isReadWrite && random(2) === 0 ? "shared" : "exclusive"
          const name = nameOf(layoutName, kind, isReadWrite, sequence)
          // Those that came in between have gone.
          sequence = (sequence + 1 + random(3)) | 0
          return { kind, name }
        })
        const queue = readQueue(shuffled(made.map(({ name }) => name), random), layout.parse)
        assert.deepStrictEqual(queue.map(({ kind, name }) => ({ kind, name })), made)
        const waiting = queue.map((own) => blockersOf(queue, own))
        for (const [at, blockers] of waiting.entries()) {
          const ahead = queue.slice(0, at)
          const expected = queue[at]!.kind === "exclusive" ? ahead : ahead.filter(({ kind }) => kind === "exclusive")
          assert.deepStrictEqual(blockers, expected)
        }
        // Those in nobody's way are the holders: one exclusive one, or shared ones only.
        const unblocked = queue.filter((_, at) => waiting[at]!.length === 0)
        assert.deepStrictEqual(holdersOf(queue), unblocked)
        if (unblocked.some(({ kind }) => kind === "exclusive")) assert.lengthOf(unblocked, 1)
        assert.isNotEmpty(unblocked)
      }
    }
  })

  it("takes only names of candidates for such, and their numbers for nothing but numbers [I12] [T6]", () => {
    const own = "_c_ffffffff-5d3c-4b1e-9f6e-0123456789ab-lock-0000000002"
    const others = [
      "_c_00000000-5d3c-4b1e-9f6e-0123456789ab-lock-0000000010",
      "_c_11111111-5d3c-4b1e-9f6e-0123456789ab-lock--2147483648",
      "zzz-lock-0000000001"
    ]
    const noCandidates = [
      "lock-",
      "lock-1",
      "lock-000000001",
      "lock-00000000001",
      "lock-0000000001x",
      "lock-9999999999",
      // Of zktools, and not -1.
      "5f0b1c2a3d4e5f60718293a4b5c6d7e8-lock--0000000001",
      "_c_0000-lock-0000000001-old",
      "config",
      "leases",
      "member-0000000000",
      "0000000000",
      ""
    ]
    const queue = readQueue([...noCandidates, ...others, own], layouts.curator.parse)
    assert.deepStrictEqual(queue.map(({ sequence }) => sequence), [1, 2, 10, -2_147_483_648])
    assert.deepStrictEqual(
      blockersOf(queue, layouts.curator.parse(own)!).map(({ name }) => name),
      ["zzz-lock-0000000001"]
    )
  })

  it("is known of what other clients of the same layout write [I12] [T6]", () => {
    const places = [
      ...["5f0b1c2a3d4e5f60718293a4b5c6d7e8-lock--0000000003", "5f0b1c2a3d4e5f60718293a4b5c6d7e8-lock-0000000004"],
      ...["5f0b1c2a3d4e5f60718293a4b5c6d7e8-read--0000000005", "5f0b1c2a3d4e5f60718293a4b5c6d7e8-write---000000006"]
    ].map((name) => layouts.zktools.parse(name))
    assert.deepStrictEqual(places.map((place) => [place?.kind, place?.sequence]), [
      ["exclusive", 3],
      ["exclusive", 4],
      ["shared", 5],
      ["exclusive", -6]
    ])
    const kazoo = layouts.kazoo.parse("5f0b1c2a3d4e5f60718293a4b5c6d7e8__rlock__-000000001")
    assert.deepStrictEqual([kazoo?.kind, kazoo?.sequence], ["shared", -1])
    assert.isUndefined(layouts.kazoo.parse("_c_5f0b-lock-0000000001"))
    assert.isUndefined(layouts.curator.parse("5f0b1c2a3d4e5f60718293a4b5c6d7e8__rlock__0000000001"))
  })
})

/** A scripted server whose parent gives the numbers that it is told to, and lists what was made and not deleted. */
const countingFrom = (fake: FakeServer, first: number) =>
  Effect.gen(function*() {
    const names = new Set<string>()
    let sequence = first
    yield* fake.on("create2", ({ payload }): Answer => {
      const path = `${new JuteReader(payload).ustring()}${digits(sequence)}`
      sequence = (sequence + 1) | 0
      names.add(ZkPath.name(path))
      return ok(writeStat(new JuteWriter().ustring(path), makeStat()).bytes())
    })
    yield* fake.on("getChildren2", () =>
      ok(writeStat(new JuteWriter().vector([...names], (w, name) => w.ustring(name)), makeStat()).bytes()))
    yield* fake.on("delete", ({ path }): Answer =>
      names.delete(ZkPath.name(path!)) ? ok() : err(-101))
    return names
  })

describe("numbers that run out", () => {
  it.effect("the last one is as good as any [LOCK-15]", () =>
    Effect.gen(function*() {
      const fake = yield* makeFakeServer
      const zk = yield* fakeClient(fake)
      const names = yield* countingFrom(fake, largest)
      const lock = yield* on(zk)(ZkLock.make("/lock"))
      const held = yield* lock.acquire()
      assert.isTrue(held.path.endsWith("-lock-2147483647"))
      assert.isTrue(yield* held.release)
      assert.strictEqual(names.size, 0)
    }))

  it.effect("one that has gone round is given back, whoever holds the lock [T6] [LOCK-15]", () =>
    Effect.gen(function*() {
      const fake = yield* makeFakeServer
      const zk = yield* fakeClient(fake)
      const names = yield* countingFrom(fake, largest)
      const lock = yield* on(zk)(ZkLock.make("/lock"))
      const held = yield* lock.acquire()
      for (let i = 0; i < 3; i++) {
        const { cause } = yield* failsWith(lock.withLock(Effect.die("not to be run")), "LockNotAcquired")
        assert.strictEqual(cause._tag, "SequenceExhausted")
        assert.include(cause.message, "/lock")
      }
      const tried = yield* failsWith(lock.tryAcquire(), "LockNotAcquired")
      assert.strictEqual(tried.cause._tag, "SequenceExhausted")
      assert.deepStrictEqual([...names], [ZkPath.name(held.path)])
      assert.isTrue(yield* held.isHeld)
      assert.lengthOf(fake.requests.filter(({ name }) => name === "delete"), 4)
    }))

  it.effect.each(layoutNames)(
    "is told from a sign that belongs to a name, with %s [T6]",
    (layout) =>
      Effect.gen(function*() {
        const fake = yield* makeFakeServer
        const zk = yield* fakeClient(fake)
        for (const sequence of [smallest, smallest + 1, -1_000_000_000, -999_999_999, -3]) {
          const names = yield* countingFrom(fake, sequence)
          const { read, write } = yield* on(zk)(ZkLock.makeReadWrite("/lock", { layout }))
          const plain = yield* on(zk)(ZkLock.make("/lock", { layout }))
          const all: ReadonlyArray<Effect.Effect<unknown, ZkLock.LockNotAcquired, Scope.Scope>> = [
            read.acquire(),
            write.acquire(),
            plain.acquire()
          ]
          for (const acquire of all) {
            const { cause } = yield* failsWith(acquire, "LockNotAcquired")
            assert.strictEqual(cause._tag, "SequenceExhausted")
          }
          assert.strictEqual(names.size, 0)
        }
      })
  )

  it.effect("a name that is there already says that the counter stands still [T6] [LOCK-15]", () =>
    Effect.gen(function*() {
      const fake = yield* makeFakeServer
      const zk = yield* fakeClient(fake)
      yield* fake.on("create2", () => err(-110))
      const lock = yield* on(zk)(ZkLock.make("/lock"))
      const { cause } = yield* failsWith(lock.acquire(), "LockNotAcquired")
      assert.strictEqual(cause._tag, "SequenceExhausted")
      yield* settle
      // Whoever has the name is left alone.
      assert.deepStrictEqual(fake.requests.map(({ name }) => name).filter((name) => name !== "getChildren2"), [
        "create2"
      ])
    }))
})
