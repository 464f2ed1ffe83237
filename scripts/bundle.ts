/**
 * Bundles the `zk` program with everything that it stands on into one file, so that the package needs nothing else to
 * run it. `node scripts/bundle.ts [file]`; the file is dist/zk.js unless another is named.
 */
import { fileURLToPath } from "node:url"
import { build } from "rolldown"

export const bundle = async (file: string): Promise<void> => {
  await build({
    input: fileURLToPath(new URL("../src/cli.ts", import.meta.url)),
    platform: "node",
    logLevel: "warn",
    output: { file, format: "esm", minify: true }
  })
}

if (import.meta.main) await bundle(process.argv[2] ?? fileURLToPath(new URL("../dist/zk.js", import.meta.url)))
