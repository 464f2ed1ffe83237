import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { printReport, runChurn } from "./soak/churnRun.ts"

it.live(
  "followers keep up with a tree that changes while connections break and sessions expire [X2] [W-24]",
  () =>
    Effect.gen(function*() {
      const options = { seed: 9, faults: 10, nodes: 50 }
      const report = yield* runChurn(options)
      assert.deepStrictEqual(report.problems, [], printReport(options, report))
      assert.isAtLeast(report.connections, 11)
      assert.isAbove(report.sessions, 1)
    }),
  90_000
)
