/** Many who change the same thing, in one process. */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { TestClock } from "effect/testing"
import { Courtesy } from "../src/internal/contention.ts"

const now = { startImmediately: true } as const

describe("changes of one thing", () => {
  it.effect("go one after the other, in the order in which they came; those of another do not wait [UPDATE-01]", () =>
    Effect.gen(function*() {
      const courtesy = new Courtesy()
      const log: Array<string> = []
      const gate = yield* Deferred.make<void>()
      const change = (name: string) =>
        Effect.gen(function*() {
          log.push(`${name} begins`)
          yield* Effect.yieldNow
          log.push(`${name} ends`)
        })
      const first = yield* Effect.forkChild(
        courtesy.inTurn("k", Effect.andThen(Deferred.await(gate), change("a"))),
        now
      )
      const given = yield* Effect.forkChild(courtesy.inTurn("k", change("given up")), now)
      const others = yield* Effect.forEach(
        ["b", "c"],
        (name) => Effect.forkChild(courtesy.inTurn("k", change(name)), now)
      )
      yield* courtesy.inTurn("other", change("other"))
      assert.deepStrictEqual(log, ["other begins", "other ends"])
      yield* Fiber.interrupt(given)
      log.length = 0
      const last = yield* Effect.forkChild(courtesy.inTurn("k", change("given up, too")), now)
      yield* Fiber.interrupt(last)
      const after = yield* Effect.forkChild(courtesy.inTurn("k", change("d")), now)
      assert.deepStrictEqual(log, [])
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.joinAll([first, ...others, after])
      assert.deepStrictEqual(log, ["a", "b", "c", "d"].flatMap((name) => [`${name} begins`, `${name} ends`]))
    }))

  it.effect("may wait for each other: the next one begins after a second in any case [UPDATE-02]", () =>
    Effect.gen(function*() {
      const courtesy = new Courtesy()
      const nested = courtesy.inTurn("k", courtesy.inTurn("k", courtesy.inTurn("k", Effect.succeed("done"))))
      const fiber = yield* Effect.forkChild(nested, now)
      yield* TestClock.adjust("999 millis")
      assert.isUndefined(fiber.pollUnsafe())
      yield* TestClock.adjust("1 second")
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* Fiber.join(fiber), "done")
      // Nothing is left of it.
      assert.strictEqual(yield* courtesy.inTurn("k", Effect.succeed("at once")), "at once")
    }))

  it.effect("leave the way free however they end [UPDATE-02]", () =>
    Effect.gen(function*() {
      const courtesy = new Courtesy()
      assert.strictEqual(yield* Effect.flip(courtesy.inTurn("k", Effect.fail("no"))), "no")
      const running = yield* Effect.forkChild(courtesy.inTurn("k", Effect.never), now)
      const waiting = yield* Effect.forkChild(courtesy.inTurn("k", Effect.succeed("mine")), now)
      assert.isUndefined(waiting.pollUnsafe())
      yield* Fiber.interrupt(running)
      assert.strictEqual(yield* Fiber.join(waiting), "mine")
    }))
})
