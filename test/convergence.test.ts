/** Everything that is kept up to date, while another client changes it and connections break: a small `npm run convergence`. */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { MinimumLogLevel } from "effect/References"
import { printReport, runConvergence } from "./soak/convergenceRun.ts"

it.live(
  "dictionaries, trees and nodes end up with what the server has, and tell nothing but what was [X2] [CONV-01] [CONV-02] [CONV-03] [CONV-04] [CONV-05] [CONV-06] [CONV-07]",
  () =>
    Effect.gen(function*() {
      const options = {
        seed: 3,
        keys: 40,
        faults: 12,
        faultsPerRound: 4,
        rebuildEvery: 25,
        sessionTimeout: 1_000,
        // It takes 0.3 seconds, where nothing else is done at the same time.
        limit: 5_000
      }
      const report = yield* Effect.provideService(runConvergence(options), MinimumLogLevel, "None")
      const said = printReport(options, report)
      assert.deepStrictEqual(report.problems, [], said)
      // Each kind of fault has happened, and there was something to follow.
      assert.isAtLeast(Object.keys(report.faults).length, 12, said)
      assert.isAtLeast(report.connections, 11, said)
      assert.isAtLeast(report.sessions, 2, said)
      assert.isAtLeast(report.rebuilds, 2, said)
      for (const what of ["create", "set", "delete", "recreate"]) assert.isAtLeast(report.ops[what] ?? 0, 50, said)
      for (const what of ["set: done", "update: done", "pop: done", "pop: absent"]) {
        assert.isAtLeast(report.own[what] ?? 0, 5, said)
      }
      assert.isAbove(report.told["a dictionary"] ?? 0, 300, said)
    }),
  90_000
)
