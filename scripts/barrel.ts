/**
 * Writes src/index.ts from the public modules: the PascalCase files directly in src.
 *
 * Below its marker line the barrel has one `export * as X from "./X.ts"` per module, with the stability and the
 * version that the module's header states. A module with `@barrel none` in its header is an entry point of its own
 * and is left out. What stands above the marker is kept.
 *
 * `--check` writes nothing and fails when the barrel is stale.
 */
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs"

const src = new URL("../src/", import.meta.url)
const index = new URL("index.ts", src)
const marker = "// @barrel: Auto-generated exports. Do not edit manually.\n"

const fail = (...lines: ReadonlyArray<string>): never => {
  console.error(lines.join("\n"))
  process.exit(1)
}

const modules = existsSync(src)
  ? readdirSync(src).filter((file) => /^[A-Z][A-Za-z0-9]*\.ts$/.test(file)).toSorted()
  : []

const problems: Array<string> = []
const exports: Array<string> = []
for (const file of modules) {
  const header = /^\s*\/\*\*.*?\*\//s.exec(readFileSync(new URL(file, src), "utf8"))?.[0] ?? ""
  if (/@barrel none\b/.test(header)) continue
  const stability = /@stability (stable|unstable|experimental)\b/.exec(header)?.[1]
  const since = /@since (\d+\.\d+\.\d+)\b/.exec(header)?.[1]
  if (stability === undefined || since === undefined) {
    problems.push(`src/${file}: the file must begin with a JSDoc comment that has @stability and @since`)
    continue
  }
  const name = file.slice(0, -".ts".length)
  exports.push(`\n/**\n * @stability ${stability}\n * @since ${since}\n */\nexport * as ${name} from "./${file}"\n`)
}
if (problems.length > 0) fail(...problems)

const current = existsSync(index) ? readFileSync(index, "utf8") : ""
const start = current.indexOf(marker)
if (start === -1 && current.trim() !== "") {
  fail("src/index.ts has no line", marker.trim(), "so it is not known what in it was written by hand")
}
const expected = current.slice(0, Math.max(start, 0)) + marker + exports.join("")

if (current !== expected) {
  if (process.argv.includes("--check")) fail("src/index.ts is stale: run `npm run barrel`")
  writeFileSync(index, expected)
  console.log(`src/index.ts: ${exports.length} modules`)
}
