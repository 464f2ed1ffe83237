/**
 * Gives package.json the `exports` that users get, for as long as it is packed.
 *
 * In the repository `exports` names the sources, so that examples, benchmarks and tests import "effect-zookeeper" as
 * users do and Node runs what is in the editor, without a build. The package has to name what was built:
 * `publishConfig.exports`. pnpm exchanges the two by itself, npm does not. `npm pack` and `npm publish` run this before
 * they read package.json, and with `--restore` afterwards.
 */
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs"

const manifest = new URL("../package.json", import.meta.url)
const cache = new URL("../node_modules/.cache/", import.meta.url)
const kept = new URL("package.json", cache)

if (process.argv.includes("--restore")) {
  if (existsSync(kept)) renameSync(kept, manifest)
} else {
  const text = readFileSync(manifest, "utf8")
  const { publishConfig: { exports, ...publishConfig }, ...rest } = JSON.parse(text)
  if (exports === undefined) {
    console.error("package.json has no publishConfig.exports: run `npm run postpack`, if packing was interrupted")
    process.exit(1)
  }
  mkdirSync(cache, { recursive: true })
  writeFileSync(kept, text)
  writeFileSync(manifest, `${JSON.stringify({ ...rest, exports, publishConfig }, undefined, 2)}\n`)
}
