/**
 * Whether everything that is kept up to date ends up with what the servers have, and has told nothing but what was, while
 * connections break and sessions expire: `npm run convergence`, with `-- --seed 7` for another order, `--faults 20` for
 * a shorter run, `--keys 100` for a smaller one, `--within 2000` for a machine that has other things to do, and `--mutant event` for a library that is broken on purpose: then it has
 * to find that.
 *
 * Another client (kazoo, if there is one) creates, sets and deletes keys below one root, deletes and makes them anew in one
 * transaction and with the same version, and from time to time does so with the root and everything below it. Ours
 * follows by dictionaries, trees, mirrored and typed nodes, and writes to keys of its own. In the end what was written, what
 * there is, and what everybody was told are judged (`convergenceJudge.ts`).
 */
import * as Effect from "effect/Effect"
import { MinimumLogLevel } from "effect/References"
import { spawnSync } from "node:child_process"
import { randomInt } from "node:crypto"
import { rigError } from "../support/rigError.ts"
import { examine } from "./convergenceForgeries.ts"
import { judge } from "./convergenceJudge.ts"
import { printReport, runConvergence } from "./convergenceRun.ts"
import { numberFlag, textFlag } from "./flags.ts"
import { mutantsOf } from "./mutant.ts"

const print = (line: string): void => void process.stdout.write(`${line}\n`)

const flaws = examine(judge)
if (flaws.length > 0) throw rigError(`the judge: ${flaws.join("; ")}`)

const options = {
  seed: numberFlag("seed", randomInt(1_000_000)),
  faults: numberFlag("faults", 200),
  keys: numberFlag("keys", 500),
  faultsPerRound: 10,
  rebuildEvery: 100,
  sessionTimeout: 2_000,
  limit: numberFlag("within", 1_000)
}
const mutant = textFlag("mutant")
const isMutant = process.env["ZK_MUTANT"] !== undefined
if (mutant !== undefined && !isMutant) {
  const mutants = mutantsOf("convergence")
  if (!mutants.includes(mutant)) throw new Error(`--mutant takes one of: ${mutants.join(", ")}`)
  const hooks = new URL("mutant.ts", import.meta.url).href
  const { status } = spawnSync(process.execPath, ["--import", hooks, ...process.argv.slice(1)], {
    stdio: "inherit",
    env: { ...process.env, ZK_MUTANT: mutant }
  })
  process.exitCode = status ?? 1
} else {
  print(`convergence: seed ${options.seed}, ${options.faults} faults`)
  const report = await Effect.runPromise(Effect.provideService(runConvergence(options), MinimumLogLevel, "None"))
  print(printReport(options, report))
  if (isMutant) print(report.problems.length > 0 ? "found, as it has to be" : "NOT FOUND: a problem")
  process.exitCode = report.problems.length > 0 === isMutant ? 0 : 1
}
