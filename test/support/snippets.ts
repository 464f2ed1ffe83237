/** The code in documentation: how it is found, compiled and run. */
import { execFileSync } from "node:child_process"
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { exec } from "./exec.ts"
import type { Claim, Outcome, Page } from "./snippetRunner.ts"

export const root = new URL("../../", import.meta.url)

/** A fenced block. */
export interface Snippet {
  readonly file: string
  /** `src/ZkPath.ts:24`: where the code begins. */
  readonly where: string
  /** The words behind the language. */
  readonly info: ReadonlyArray<string>
  readonly code: string
}

/** The blocks of a language in a text, without the comment's stars where it has some. */
export const snippetsOf = (file: string, language: string): ReadonlyArray<Snippet> => {
  const snippets: Array<Snippet> = []
  let lines: Array<string> | undefined
  let info: ReadonlyArray<string> = []
  let begin = 0
  for (const [index, line] of readFileSync(new URL(file, root), "utf8").split("\n").entries()) {
    const text = file.endsWith(".ts") ? line.replace(/^\s*\* ?/, "") : line
    if (lines === undefined) {
      const [, name, rest = ""] = /^```(\w+)(.*)$/.exec(text) ?? []
      if (name !== language) continue
      lines = []
      info = rest.split(" ").filter((word) => word !== "")
      begin = index + 2
    } else if (text.startsWith("```")) {
      snippets.push({ file, where: `${file}:${begin}`, info, code: lines.join("\n") })
      lines = undefined
    } else {
      lines.push(text)
    }
  }
  return snippets
}

const filesIn = (folder: string, extension: string): ReadonlyArray<string> =>
  readdirSync(new URL(folder, root)).filter((file) => file.endsWith(extension)).map((file) => `${folder}${file}`)

/** The public modules. */
export const modules: ReadonlyArray<string> = filesIn("src/", ".ts").filter((file) => /\/Zk\w+\.ts$/.test(file))

/** For those who work on the library, not with it. */
const internal = ["docs/behaviours.md", "docs/internals.md"]

/** What users read. */
export const pages: ReadonlyArray<string> = [
  "README.md",
  ...filesIn("docs/", ".md").filter((file) => !internal.includes(file))
]

// -- TypeScript -------------------------------------------------------------------------------------------------------

/** Compiled, and not run: it stands for something that is not there when tests run. */
export const isRun = (snippet: Snippet): boolean => !snippet.info.includes("no-run")

const isProgram = ({ code }: Snippet): boolean => code.includes("runMain(")

/** Of one's own: somebody else may run the tests at the same time. */
const folder = new URL(`node_modules/.cache/snippets-${process.pid}/`, root)

const nameOf = ({ where }: Snippet): string => where.replaceAll(/[^\w]+/g, "-")

export const removeSnippets = (): void => rmSync(folder, { recursive: true, force: true })

/** Writes all snippets, each as a module. Here the name of the package stands for its sources, as for users its build. */
export const writeSnippets = (snippets: ReadonlyArray<Snippet>): void => {
  removeSnippets()
  mkdirSync(new URL("node_modules/", folder), { recursive: true })
  // Where a package is found by its name. Its files are where the link leads to, so that Node runs them as they are.
  symlinkSync(fileURLToPath(root), new URL("node_modules/effect-zookeeper", folder), "dir")
  for (const snippet of snippets) writeFileSync(new URL(`${nameOf(snippet)}.ts`, folder), `${snippet.code}\n`)
}

/** Type-checks what was written in one go, with the settings of the repository. Gives the complaints. */
export const compile = (snippets: ReadonlyArray<Snippet>): string => {
  // A snippet need not use everything that it declares.
  // A file below node_modules belongs to no package, so the name is spelt out.
  const paths = { "effect-zookeeper": ["../../../src/index.ts"], "effect-zookeeper/*": ["../../../src/*.ts"] }
  const compilerOptions = { noUnusedLocals: false, paths }
  const files = snippets.map((snippet) => `${nameOf(snippet)}.ts`)
  writeFileSync(
    new URL("tsconfig.json", folder),
    JSON.stringify({ extends: "../../../tsconfig.json", compilerOptions, include: [], files })
  )
  const tsc = fileURLToPath(new URL("node_modules/typescript/bin/tsc", root))
  try {
    execFileSync(process.execPath, [tsc, "-p", fileURLToPath(folder), "--pretty", "false"], { encoding: "utf8" })
    return ""
  } catch (error) {
    return error instanceof Error && "stdout" in error ? String(error.stdout) : String(error)
  }
}

/** Without what is text and no code. */
const bare = (code: string): string =>
  code
    .replaceAll(/\/\*.*?\*\//gs, "")
    .replaceAll(/"(?:\\.|[^"\\\n])*"/g, `""`)
    .replaceAll(/`[^`]*`/g, (text) => [...text.matchAll(/\$\{([^}]*)\}/g)].map(([, inner]) => inner).join(","))
    .replaceAll(/\/\/.*$/gm, "")

/**
 * The constants that a snippet declares at its top level, but for those that others of its own stand on: these are parts,
 * and not meant to be run alone.
 */
const namesOf = (text: string): ReadonlyArray<string> => {
  const code = bare(text)
  return [...code.matchAll(/^const (\w+)\b/gm)].flatMap(({ 0: { length }, 1: name = "", index }) =>
    new RegExp(`(?<![.\\w]|const )${name}\\b(?!:)`).test(code.slice(index + length)) ? [] : [name]
  )
}

/** `expression // => value` at the top level; the value may stand on the next line. */
export const claimsOf = ({ code }: Snippet): ReadonlyArray<Claim> =>
  [...code.matchAll(/^(?!\s|import|\/\/)(.+?)\s*\/\/ => (.+)$/gm)].map(([, expression = "", value = ""]) => ({
    expression,
    value
  }))

/** What a snippet says that it prints: one line for each of `// prints: `, or nothing at all. */
const printsOf = (code: string): ReadonlyArray<string> | undefined => {
  const lines = [...code.matchAll(/^\s*\/\/ prints: (.*)$/gm)].map(([, line = ""]) => line)
  return lines.length === 0 ? undefined : lines
}

/** Everything of one page, below a node of its own. In the code, the address that readers use stands for it. */
export const planPage = (
  hosts: string,
  snippets: ReadonlyArray<Snippet>,
  options?: { readonly timeout?: number; readonly onlyClaims?: boolean }
): Page => ({
  hosts,
  timeout: options?.timeout ?? 10_000,
  snippets: snippets.map((snippet) => ({
    where: snippet.where,
    module: fileURLToPath(new URL(`${nameOf(snippet)}.mjs`, folder)),
    code: snippet.code.replaceAll("127.0.0.1:2181", hosts),
    names: options?.onlyClaims === true ? [] : namesOf(snippet.code),
    claims: claimsOf(snippet),
    prints: printsOf(snippet.code),
    isProgram: isProgram(snippet)
  }))
})

const runner = fileURLToPath(new URL("snippetRunner.ts", import.meta.url))

/** Runs pages in one process, whole programs in one each. */
export const runPages = async (pages: ReadonlyArray<Page>): Promise<ReadonlyArray<Outcome>> => {
  const plan = fileURLToPath(new URL("plan.json", folder))
  const report = fileURLToPath(new URL("report.json", folder))
  writeFileSync(plan, JSON.stringify(pages))
  const { code, stderr, stdout } = await exec(
    process.execPath,
    ["--disable-warning=ExperimentalWarning", runner, plan, report],
    { env: { NO_COLOR: "1" }, timeout: 60_000 }
  )
  if (code !== 0) throw new Error(`the runner ended with ${code}:\n${stdout}${stderr}`)
  return JSON.parse(readFileSync(report, "utf8"))
}

// -- the shell --------------------------------------------------------------------------------------------------------

interface Step {
  readonly command: string
  readonly output: ReadonlyArray<string>
}

/** `$ command` and the lines that it prints; a command that ends with a backslash goes on in the next line. */
export const stepsOf = (code: string): ReadonlyArray<Step> => {
  const steps: Array<{ command: string; output: Array<string> }> = []
  for (const line of code.split("\n")) {
    const step = steps.at(-1)
    if (line.startsWith("$ ")) steps.push({ command: line.slice(2), output: [] })
    else if (step === undefined) throw new Error(`output without a command: ${line}`)
    else if (step.output.length === 0 && step.command.endsWith("\\")) step.command += `\n${line}`
    else step.output.push(line)
  }
  return steps
}

/** Whether this is the line, in which `…` stands for what is different each time. */
const isLine = (expected: string, line: string): boolean => {
  const [first = "", ...others] = expected.split("…")
  if (others.length === 0) return line === expected
  if (!line.startsWith(first)) return false
  let at = first.length
  for (const [index, part] of others.entries()) {
    const found = index === others.length - 1 ? Math.max(at, line.length - part.length) : line.indexOf(part, at)
    if (found < 0 || !line.startsWith(part, found)) return false
    at = found + part.length
  }
  return true
}

const mark = "--- end of step ---"

/**
 * Runs the shell blocks of a page one after the other in one shell, with the program that `zk` is. Gives what went
 * otherwise than it says there.
 */
export const runShell = async (
  zk: string,
  hosts: string,
  snippets: ReadonlyArray<Snippet>
): Promise<ReadonlyArray<string>> => {
  const steps = snippets.flatMap(({ code, where }) => stepsOf(code).map((step) => ({ ...step, where })))
  const script = [
    `zk() { ${JSON.stringify(process.execPath)} ${JSON.stringify(zk)} "$@"; }`,
    ...steps.map(({ command }) => `${command}\necho '${mark}'`)
  ]
  const folder = mkdtempSync(join(tmpdir(), "zk-shell-"))
  const { stdout } = await exec("bash", ["-c", `cd "$1"; exec 2>&1\n${script.join("\n")}`, "bash", folder], {
    env: { ZK_SERVERS: hosts, NO_COLOR: "1" },
    timeout: 60_000
  })
  rmSync(folder, { recursive: true, force: true })
  const outputs = stdout.split(`${mark}\n`).map((text) => text.trimEnd().split("\n"))
  return steps.flatMap(({ command, output, where }, index) => {
    const said = outputs[index] ?? []
    const expected = output.length === 0 ? [""] : output
    const isSame = said.length === expected.length && expected.every((line, at) => isLine(line, said[at] ?? ""))
    return isSame ? [] : [`${where}: ${command}\nprints\n${said.join("\n")}\nand not\n${expected.join("\n")}`]
  })
}
