/**
 * Runs the TypeScript of documentation, in a process of its own:
 *
 *     node test/support/snippetRunner.ts plan.json report.json
 *
 * What a module declares at its top level is run as users would run it: an effect with a client and a scope, a layer
 * until it is built. The snippets of a page are run one after the other, each on what those before it have left.
 */
import { Cause, ConfigProvider, Console, Effect, Exit, Layer, Logger } from "effect"
import { ZkClient } from "effect-zookeeper"
import { deepStrictEqual } from "node:assert"
import { spawn } from "node:child_process"
import { readFileSync, writeFileSync } from "node:fs"
import { stripTypeScriptTypes } from "node:module"
import { formatWithOptions } from "node:util"

/** What an expression is said to give. */
export interface Claim {
  readonly expression: string
  readonly value: string
}

export interface Runnable {
  readonly where: string
  /** Where to put the module. */
  readonly module: string
  readonly code: string
  /** Which of its constants to run. */
  readonly names: ReadonlyArray<string>
  readonly claims: ReadonlyArray<Claim>
  /** What it prints, if it says so. */
  readonly prints?: ReadonlyArray<string> | undefined
  /** It runs itself, and is given a process. */
  readonly isProgram: boolean
}

export interface Page {
  readonly hosts: string
  /** For each effect, in milliseconds. */
  readonly timeout: number
  readonly snippets: ReadonlyArray<Runnable>
}

/** What became of a snippet. */
export interface Outcome {
  readonly where: string
  /** What was run: names, or the program. */
  readonly ran: ReadonlyArray<string>
  readonly printed: ReadonlyArray<string>
  readonly problems: ReadonlyArray<string>
}

/** The module, with what is to be run and judged given out. */
const write = ({ claims, code, module, names }: Runnable): void => {
  const judged = claims.map(({ expression, value }) => `() => [(${expression}), (${value})]`)
  const more = `export const claims__ = [${judged.join(", ")}]\nexport { ${names.join(", ")} }\n`
  writeFileSync(module, stripTypeScriptTypes(`${code}\n${more}`))
}

const linesOf = (text: string): ReadonlyArray<string> => text === "" ? [] : text.trimEnd().split("\n")

/** A console that keeps what is printed. */
const makeConsole = () => {
  let text = ""
  const keep = (...values: ReadonlyArray<unknown>) => {
    text += `${formatWithOptions({ colors: false }, ...values)}\n`
  }
  const kept: Console.Console = Object.assign(Object.create(console), { log: keep, error: keep })
  return { kept, lines: () => linesOf(text) }
}

const isEffect = (value: unknown): value is Effect.Effect<unknown, unknown, ZkClient.ZkClient> => Effect.isEffect(value)
const isLayer = (value: unknown): value is Layer.Layer<unknown, unknown, ZkClient.ZkClient> => Layer.isLayer(value)

const runnable = (value: unknown) =>
  isEffect(value) ? value : isLayer(value) ? Effect.scoped(Layer.build(value)) : undefined

const judge = (module: Record<string, unknown>, { claims }: Runnable): ReadonlyArray<string> => {
  const judged = module["claims__"]
  return claims.flatMap(({ expression }, index) => {
    try {
      const [actual, expected] = Array.isArray(judged) ? judged[index]() : []
      deepStrictEqual(actual, expected)
      return []
    } catch (error) {
      return [`${expression}: ${String(error)}`]
    }
  })
}

const runParts = (page: Page, snippet: Runnable) =>
  Effect.gen(function*() {
    const { kept, lines } = makeConsole()
    const ran: Array<string> = []
    const problems: Array<string> = []
    const module: Record<string, unknown> = yield* Effect.tryPromise(() => import(snippet.module)).pipe(
      Effect.catch(({ cause }) => {
        problems.push(`at once: ${String(cause)}`)
        return Effect.succeed({})
      })
    )
    problems.push(...judge(module, snippet))
    for (const name of snippet.names) {
      const effect = runnable(module[name])
      if (effect === undefined) continue
      ran.push(name)
      const exit = yield* Effect.scoped(effect).pipe(
        Effect.timeout(page.timeout),
        Effect.provideService(Console.Console, kept),
        Effect.provideService(
          ConfigProvider.ConfigProvider,
          ConfigProvider.fromEnv({ env: { ZK_SERVERS: page.hosts } })
        ),
        Effect.exit
      )
      if (Exit.isFailure(exit)) problems.push(`${name}: ${Cause.pretty(exit.cause)}`)
    }
    return { where: snippet.where, ran, printed: lines(), problems }
  })

const runProgram = (page: Page, snippet: Runnable) =>
  Effect.callback<Outcome>((resume) => {
    const child = spawn(process.execPath, [snippet.module], {
      env: { ...process.env, ZK_SERVERS: page.hosts },
      stdio: ["ignore", "pipe", "pipe"],
      timeout: page.timeout,
      killSignal: "SIGKILL"
    })
    let output = ""
    let errors = ""
    child.stdout.on("data", (chunk) => void (output += String(chunk)))
    child.stderr.on("data", (chunk) => void (errors += String(chunk)))
    child.on("close", (code, signal) => {
      const problems = code === 0 ? [] : [`ended with ${code ?? signal}:\n${output}${errors}`]
      resume(Effect.succeed({ where: snippet.where, ran: ["program"], printed: linesOf(output), problems }))
    })
  })

const runPage = (page: Page) =>
  Effect.forEach(page.snippets, (snippet) => {
    write(snippet)
    return Effect.map(snippet.isProgram ? runProgram(page, snippet) : runParts(page, snippet), (outcome) => {
      const { prints } = snippet
      if (prints === undefined || prints.join("\n") === outcome.printed.join("\n")) return outcome
      const problem = `prints\n${outcome.printed.join("\n")}\nand not\n${prints.join("\n")}`
      return { ...outcome, problems: [...outcome.problems, problem] }
    })
  }).pipe(
    Effect.provide(ZkClient.layer({ hosts: page.hosts, createChroot: true })),
    Effect.provide(Logger.layer([]))
  )

const [planFile, reportFile] = process.argv.slice(2)
if (planFile !== undefined && reportFile !== undefined) {
  const pages: ReadonlyArray<Page> = JSON.parse(readFileSync(planFile, "utf8"))
  const outcomes = await Effect.runPromise(Effect.forEach(pages, runPage, { concurrency: "unbounded" }))
  writeFileSync(reportFile, JSON.stringify(outcomes.flat()))
}
