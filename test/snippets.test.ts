import { assert, describe, it } from "@effect/vitest"
import * as effect from "effect"
import * as zookeeper from "effect-zookeeper"
import { execFileSync } from "node:child_process"
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { compileFunction } from "node:vm"

const root = new URL("../", import.meta.url)

interface Snippet {
  /** `src/ZkPath.ts:24`: where the code begins. */
  readonly where: string
  readonly code: string
}

/** The fenced blocks of a text, without the comment's stars where it has some. */
const snippetsOf = (file: string): ReadonlyArray<Snippet> => {
  const snippets: Array<Snippet> = []
  let lines: Array<string> | undefined
  let begin = 0
  for (const [index, line] of readFileSync(new URL(file, root), "utf8").split("\n").entries()) {
    const text = file.endsWith(".ts") ? line.replace(/^\s*\* ?/, "") : line
    if (lines === undefined) {
      if (!/^```ts\b/.test(text)) continue
      lines = []
      begin = index + 2
    } else if (text.startsWith("```")) {
      snippets.push({ where: `${file}:${begin}`, code: lines.join("\n") })
      lines = undefined
    } else {
      lines.push(text)
    }
  }
  return snippets
}

const modules = readdirSync(new URL("src/", root)).filter((file) => file.endsWith(".ts")).map((file) => `src/${file}`)
const snippets = ["README.md", ...modules].flatMap(snippetsOf)

const folder = new URL("node_modules/.cache/snippets/", root)

/** Type-checks all snippets in one go, each as a module, with the settings of the repository. */
const compile = (): string => {
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  const names = snippets.map(({ code, where }) => {
    const name = `${where.replaceAll(/[^\w]+/g, "-")}.ts`
    writeFileSync(new URL(name, folder), `${code}\n`)
    return name
  })
  // A snippet need not use everything that it declares.
  // A file below node_modules belongs to no package, so the name is spelt out.
  const paths = { "effect-zookeeper": ["../../../src/index.ts"], "effect-zookeeper/*": ["../../../src/*.ts"] }
  const compilerOptions = { noUnusedLocals: false, paths }
  writeFileSync(
    new URL("tsconfig.json", folder),
    JSON.stringify({ extends: "../../../tsconfig.json", compilerOptions, include: [], files: names })
  )
  const tsc = fileURLToPath(new URL("node_modules/typescript/bin/tsc", root))
  try {
    execFileSync(process.execPath, [tsc, "-p", fileURLToPath(folder), "--pretty", "false"], { encoding: "utf8" })
    return ""
  } catch (error) {
    return error instanceof Error && "stdout" in error ? String(error.stdout) : String(error)
  }
}

/** `expression // => value` pairs; the value may stand on the next line. */
const claims = snippets.flatMap(({ code }) =>
  [...code.matchAll(/^(?!\s*(?:import|\/\/))(.+?)\s*\/\/ => (.+)$/gm)].map(([, expression = "", value = ""]) => ({
    expression,
    value
  }))
)

/** In sight of what snippets import. */
const evaluate = (expression: string): unknown => {
  const scope = { ...effect, ...zookeeper }
  return compileFunction(`return (${expression})`, Object.keys(scope))(...Object.values(scope))
}

describe("snippets", () => {
  it("in the README and in documentation comments compile [EX-02]", () => {
    assert.isAbove(snippets.filter(({ where }) => where.startsWith("README.md")).length, 5)
    assert.isAbove(snippets.filter(({ where }) => where.startsWith("src/")).length, 5)
    assert.strictEqual(compile(), "")
  })

  it("say what pure functions give [EX-03]", () => {
    assert.isAbove(claims.length, 8)
    for (const { expression, value } of claims) {
      assert.deepStrictEqual(evaluate(expression), evaluate(value), expression)
    }
  })
})
