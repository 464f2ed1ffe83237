/** What `onStatus` can do to the lock that it tells of: nothing. T = 6 seconds. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as ZkLock from "../src/ZkLock.ts"
import { failsWith } from "./support/failsWith.ts"
import { pass, settle } from "./support/fakeClient.ts"
import { leaseRig, leaseTime, watchLoss } from "./support/leasing.ts"

type OnStatus = NonNullable<ZkLock.AcquireOptions["onStatus"]>

/** The ways in which it goes wrong, each for every status that there is. Counts how often it was called. */
const broken: ReadonlyArray<readonly [name: string, onStatus: (called: (tag: string) => void) => OnStatus]> = [
  ["throws", (called) => ({ _tag }) => {
    called(_tag)
    throw new Error(`thrown for ${_tag}`)
  }],
  ["dies", (called) => ({ _tag }) => {
    called(_tag)
    return Effect.die(new Error(`died of ${_tag}`))
  }],
  ["never ends", (called) => ({ _tag }) => {
    called(_tag)
    return Effect.never
  }],
  ["is interrupted", (called) => ({ _tag }) => {
    called(_tag)
    return Effect.interrupt
  }]
]

describe("an onStatus that goes wrong", () => {
  it.effect.each(broken)(
    "keeps nobody from waiting, holding and giving back: %s [LOCK-STATUS1]",
    ([, onStatus]) =>
      Effect.gen(function*() {
        const { nodes, withClient } = yield* leaseRig
        const called: Array<string> = []
        const other = "/locks/a/_c_other-lock-0000000000"
        yield* nodes.add(other)
        const lock = yield* withClient(ZkLock.make("a"))
        const acquiring = yield* Effect.forkChild(
          lock.acquire({ onStatus: onStatus((tag) => void called.push(tag)) }),
          { startImmediately: true }
        )
        yield* settle
        assert.deepStrictEqual(called, ["Queued"])
        yield* nodes.remove(other)
        yield* settle
        const handle = yield* Fiber.join(acquiring)
        assert.isTrue(yield* handle.isHeld)
        assert.isTrue(yield* handle.release)
        assert.deepStrictEqual(nodes.paths(), [])
        assert.deepStrictEqual(called, ["Queued", "Held", "Released"])
      })
  )

  it.effect.each(broken)(
    "keeps no loss from being told, by whatever it comes: %s [LOCK-STATUS1]",
    ([, onStatus]) =>
      Effect.gen(function*() {
        const { nodes, throttle, withClient } = yield* leaseRig
        yield* throttle
        for (const reason of ["removed", "lease"] as const) {
          const called: Array<string> = []
          const lock = yield* withClient(ZkLock.make(reason))
          const handle = yield* lock.acquire({ onStatus: onStatus((tag) => void called.push(tag)) })
          const lost = yield* watchLoss(handle)
          let runs = true
          const working = yield* Effect.forkChild(
            failsWith(handle.use(Effect.ensuring(Effect.never, Effect.sync(() => void (runs = false)))), "LockLost"),
            { startImmediately: true }
          )
          yield* settle
          if (reason === "removed") yield* nodes.remove(handle.path)
          else yield* pass(leaseTime)
          yield* settle
          assert.strictEqual(lost(), reason)
          assert.isFalse(runs)
          assert.strictEqual((yield* Fiber.join(working)).reason, reason)
          assert.isFalse(yield* handle.isHeld)
          assert.deepStrictEqual(called, ["Held", "Lost"])
        }
      })
  )

  it.effect.each(broken)("costs other locks of the session neither their loss nor their lease: %s [LOCK-STATUS2]", (
    [, onStatus]
  ) =>
    Effect.gen(function*() {
      const { nodes, throttle, withClient } = yield* leaseRig
      const acquire = (name: string, options?: ZkLock.AcquireOptions) =>
        Effect.flatMap(withClient(ZkLock.make(name)), (lock) => lock.acquire(options))
      const called: Array<string> = []
      const options = { onStatus: onStatus((tag) => void called.push(tag)) }
      // Whoever is lost first, it is not the last.
      const all = [
        yield* acquire("a", options),
        yield* acquire("b"),
        yield* acquire("c", options),
        yield* acquire("d")
      ]
      const lost = yield* Effect.forEach(all, watchLoss)
      let running = 0
      for (const handle of all) {
        running++
        const body = Effect.ensuring(Effect.never, Effect.sync(() => void running--))
        yield* Effect.forkChild(Effect.exit(handle.use(body)), { startImmediately: true })
      }
      yield* nodes.remove(all[0]!.path)
      yield* pass(10_000)
      // Those who see to the lease have gone on.
      assert.deepStrictEqual(lost.map((reason) => reason()), ["removed", undefined, undefined, undefined])
      yield* throttle
      yield* pass(leaseTime)
      assert.deepStrictEqual(lost.map((reason) => reason()), ["removed", "lease", "lease", "lease"])
      assert.strictEqual(running, 0)
      assert.deepStrictEqual(called, ["Held", "Held", "Lost", "Lost"])
    }))
})
