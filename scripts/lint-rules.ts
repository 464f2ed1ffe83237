/**
 * The rules about this repository that the linter cannot express.
 *
 * - The package has no runtime dependencies.
 * - The lock file names no registry, so that `npm ci` works with any.
 */
import { readFileSync } from "node:fs"

const read = (path: string) => readFileSync(new URL(`../${path}`, import.meta.url), "utf8")

const problems: Array<string> = []

const manifest = JSON.parse(read("package.json"))
for (const field of ["dependencies", "optionalDependencies", "bundleDependencies"]) {
  if (field in manifest) problems.push(`package.json: has ${field}, but the package has no runtime dependencies`)
}

const lock = JSON.parse(read("package-lock.json"))
for (const [path, entry] of Object.entries<Record<string, unknown>>(lock.packages)) {
  if ("resolved" in entry && entry["link"] !== true) {
    problems.push(`package-lock.json: ${path} names a registry (omit-lockfile-registry-resolved in .npmrc avoids it)`)
  }
}

if (problems.length > 0) {
  console.error(problems.join("\n"))
  process.exitCode = 1
}
