/** The line that shows how far a command has come. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { TestClock } from "effect/testing"
import type { OutputShape } from "../src/cli/output.ts"
import { Output } from "../src/cli/output.ts"
import { makeProgress } from "../src/cli/progress.ts"
import { plain } from "../src/cli/style.ts"
import { screenOf } from "./support/screen.ts"

const outputOf = (canAnimate: boolean) => {
  const said: Array<string> = []
  const output: OutputShape = {
    isJson: false,
    columns: Effect.undefined,
    style: plain,
    noteStyle: plain,
    canAnimate,
    canPrompt: false,
    write: () => Effect.die("results are none of its business"),
    remark: (text) => Effect.sync(() => void said.push(text))
  }
  return { said, output }
}

const work = Effect.scoped(Effect.gen(function*() {
  const progress = yield* makeProgress("imported")
  for (let done = 1; done <= 1_000; done++) {
    yield* progress.show(done, 1_000)
    yield* TestClock.adjust("1 millis")
    if (done === 500) yield* progress.note("connection lost")
  }
}))

describe("progress", () => {
  it.effect("is a line that is drawn now and then, makes room for remarks, and is gone at the end [CLI-X6]", () =>
    Effect.gen(function*() {
      const { output, said } = outputOf(true)
      yield* Effect.provideService(work, Output, output)
      assert.isAtMost(said.length, 12)
      assert.include(screenOf(said.slice(0, -1).join("")), "imported: 901 of 1000 nodes, 1001/s")
      assert.strictEqual(screenOf(said.join("")).trimEnd(), "connection lost")
    }))

  it.effect("is nothing where a line cannot be overwritten [CLI-X6]", () =>
    Effect.gen(function*() {
      const { output, said } = outputOf(false)
      yield* Effect.provideService(work, Output, output)
      assert.deepStrictEqual(said, ["connection lost\n"])
    }))
})
