/**
 * Compares docs/behaviours.md with the report of the last `npm test`.
 *
 * Fails when a rule has no passing test, when a test's title names a rule that does not exist, when two rules have
 * the same id, or when a line that looks like a rule is not one. The format is described in docs/behaviours.md.
 */
import { readFileSync } from "node:fs"
import { readTests } from "./report.ts"

const id = /[A-Z][A-Z0-9]*(?:-[A-Z0-9]+)*/.source
const ruleLine = new RegExp(`^- \\*\\*(${id})\\*\\* (?:_\\(([^)]*)\\)_ )?((?!_\\()\\S.*)$`)
const idInTitle = new RegExp(`\\[(${id})\\]`, "g")

const read = (path: string) => readFileSync(new URL(`../${path}`, import.meta.url), "utf8")

const scripts: Record<string, string> = JSON.parse(read("package.json")).scripts
const problems: Array<string> = []
const rules = new Set<string>()
const required = new Map<string, string>()
let inFence = false
for (const [index, line] of read("docs/behaviours.md").split("\n").entries()) {
  if (line.startsWith("```")) inFence = !inFence
  if (inFence || !/^\s*[-*] \*\*/.test(line)) continue
  const where = `docs/behaviours.md:${index + 1}`
  const [, rule, marker, text] = ruleLine.exec(line) ?? []
  if (rule === undefined || text === undefined) {
    problems.push(`${where}: not a rule: ${line}`)
    continue
  }
  if (rules.has(rule)) problems.push(`${where}: ${rule} is already the id of another rule`)
  rules.add(rule)
  if (marker === undefined) {
    required.set(rule, text)
  } else if (marker.startsWith("by script: ")) {
    const script = /^by script: npm run ([\w:-]+)$/.exec(marker)?.[1]
    if (script === undefined || !(script in scripts)) problems.push(`${where}: ${rule}: no such npm script: ${marker}`)
  } else if (marker !== "not applicable") {
    problems.push(`${where}: ${rule}: unknown marker: ${marker}`)
  }
}

const tests = readTests()
if (tests === undefined && required.size > 0) {
  problems.push("there is no test report: run `npm test` first")
}
const proven = new Set<string>()
const unknown = new Set<string>()
for (const { status, title } of tests ?? []) {
  for (const [, rule] of title.matchAll(idInTitle)) {
    if (rule === undefined) continue
    if (!rules.has(rule)) unknown.add(`no rule has the id [${rule}] of the test: ${title}`)
    else if (status === "passed") proven.add(rule)
  }
}
problems.push(...unknown)
if (tests !== undefined) {
  for (const [rule, text] of required) {
    if (!proven.has(rule)) problems.push(`no passing test: ${rule} ${text}`)
  }
}

if (problems.length > 0) {
  console.error(problems.join("\n"))
  process.exitCode = 1
} else {
  console.log(`${rules.size} rules, ${required.size} of them proven by tests`)
}
