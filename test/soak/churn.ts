/**
 * Whether followers keep up with a tree that changes while connections break and sessions expire: `npm run churn`, with
 * `-- --seed 7 --faults 20` for another order or a shorter run. Takes about two minutes.
 */
import * as Effect from "effect/Effect"
import { randomInt } from "node:crypto"
import { printReport, runChurn } from "./churnRun.ts"
import { numberFlag } from "./flags.ts"

const options = {
  seed: numberFlag("seed", randomInt(1_000_000)),
  faults: numberFlag("faults", 200),
  nodes: numberFlag("nodes", 50)
}

process.stdout.write(`churn: seed ${options.seed}, ${options.faults} faults\n`)
const report = await Effect.runPromise(runChurn(options))
process.stdout.write(`${printReport(options, report)}\n`)
process.exitCode = report.problems.length === 0 ? 0 : 1
