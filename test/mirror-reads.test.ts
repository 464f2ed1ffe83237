import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { Reads } from "../src/internal/cache/reads.ts"

/** Reads that the test answers one at a time, and what was begun. */
const manual = () => {
  const begun: Array<string> = []
  const answers = new Map<string, () => void>()
  const reads: Reads<string> = new Reads(
    (key) =>
      Effect.callback((resume) => {
        begun.push(key)
        answers.set(key, () => resume(Effect.void))
      }),
    (effect) => void Effect.runFork(effect)
  )
  const mark = (...keys: ReadonlyArray<string>) => {
    for (const key of keys) reads.mark(key, reads.begin())
    reads.pump()
  }
  const turn = Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
  /** A read that is under way is answered, by default the oldest, and those that follow are begun. */
  const answer = (key = answers.keys().next().value!) => {
    const resume = answers.get(key)!
    answers.delete(key)
    resume()
    return turn
  }
  return { answer, begun, mark, reads, turn }
}

const some = (count: number, name: string) => Array.from({ length: count }, (_, i) => `${name}-${i}`)

describe("reads of a copy", () => {
  it.live("take turns: what changes while it is read is read again, however much else changes [RD-01]", () =>
    Effect.gen(function*() {
      const { answer, begun, mark, turn } = manual()
      mark("hot")
      yield* turn
      mark("hot", ...some(200, "other"))
      yield* turn
      assert.deepStrictEqual(begun, ["hot", ...some(63, "other")])
      // Its turn came while it was being read.
      for (let i = 0; i < 50; i++) yield* answer(`other-${i}`)
      yield* answer("hot")
      let answers = 0
      while (begun.filter((key) => key === "hot").length < 2) {
        // More comes than is read.
        mark(...some(2, `more-${answers}`))
        yield* answer()
        assert.isAtMost(++answers, 200)
      }
    }))

  it.live("are begun once each, in the order in which they were asked for, and all of them [RD-02]", () =>
    Effect.gen(function*() {
      const { answer, begun, mark, reads, turn } = manual()
      const keys = some(1000, "key")
      mark(...keys)
      let isDone = false
      reads.whenDone(() => {
        isDone = true
      })
      yield* turn
      while (!isDone) yield* answer()
      assert.deepStrictEqual(begun, keys)
      // And once more, behind a look through all of them.
      mark("key-0")
      yield* turn
      mark("key-0")
      yield* answer()
      yield* answer()
      assert.deepStrictEqual(begun, [...keys, "key-0", "key-0"])
    }))
})
