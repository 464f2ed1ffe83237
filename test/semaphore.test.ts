import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as ZkSemaphore from "../src/ZkSemaphore.ts"
import { on, queueUp, twoClients } from "./support/locking.ts"

describe("a semaphore", () => {
  it.live("lets in as many as there are permits", () =>
    Effect.gen(function*() {
      const { a, b, name } = yield* twoClients
      const ours = yield* on(a)(ZkSemaphore.make(name, { permits: 2 }))
      const theirs = yield* on(b)(ZkSemaphore.make(name, { permits: 2 }))
      const other = yield* on(b)(ZkSemaphore.make(name, { permits: 3 }))
      const first = yield* ours.acquire()
      const second = yield* theirs.acquire()
      assert.isTrue(Option.isNone(yield* ours.tryAcquire()))
      assert.strictEqual((yield* Effect.flip(ours.acquireTimeout("200 millis")))._tag, "LockTimeout")
      assert.strictEqual((yield* Effect.flip(ours.acquire(3)))._tag, "PermitsExceeded")
      assert.strictEqual((yield* Effect.flip(other.acquire()))._tag, "SemaphoreMismatch")
      assert.strictEqual(yield* ours.available, 0)
      assert.strictEqual((yield* ours.holders).length, 2)
      const both = yield* queueUp(a, `${name}/locks`, 1, ours.acquire(2))
      assert.isTrue(yield* first.release)
      assert.isTrue(yield* second.release)
      const taken = yield* Fiber.join(both)
      assert.isTrue(yield* taken.isHeld)
      yield* taken.guard([])
      const third = yield* queueUp(a, `${name}/locks`, 1, theirs.acquire())
      yield* theirs.resize(3)
      yield* (yield* Fiber.join(third)).release
      assert.strictEqual(yield* ours.max, 3)
      yield* a.delete(taken.paths[0]!)
      assert.strictEqual((yield* Effect.flip(taken.lost)).reason, "removed")
    }).pipe(Effect.scoped))
})
