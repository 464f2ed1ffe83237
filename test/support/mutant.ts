import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises"
import { stripTypeScriptTypes } from "node:module"
import { dirname, join } from "node:path"
import { fileURLToPath, pathToFileURL } from "node:url"
import type * as ZkClient from "../../src/ZkClient.ts"
import type * as ZkLock from "../../src/ZkLock.ts"
import { rigError } from "./rigError.ts"

const source = fileURLToPath(new URL("../../src/", import.meta.url))
const mutants = fileURLToPath(new URL("../../node_modules/.cache/mutants/", import.meta.url))

/** A piece of the source that is replaced by another. */
export interface Mutation {
  /** The file's path below `src`. */
  readonly file: string
  /** Has to be there exactly once: a mutant that has fallen behind the source would be none. */
  readonly from: string
  readonly to: string
}

/** Node runs no TypeScript below `node_modules`, which is where packages are found from. */
const toJavaScript = (text: string): string =>
  stripTypeScriptTypes(text).replaceAll(/((?:from|import\() ?"\.[^"]*)\.ts"/g, "$1.js\"")

/** Fails unless the piece is there once. */
export const mutate = (text: string, { file, from, to }: Mutation): string => {
  const count = text.split(from).length - 1
  if (count !== 1) throw rigError(`a mutant of ${file}: ${count} times, not once: ${from}`)
  return text.replace(from, () => to)
}

/**
 * Makes a copy of the library that is broken on purpose, as JavaScript, for the proof that a test can fail. Gives its
 * folder, with modules like `src/ZkClient.js`. Whoever makes it again makes it anew.
 */
export const makeMutant = async (name: string, mutations: ReadonlyArray<Mutation>): Promise<string> => {
  const folder = join(mutants, name)
  await rm(folder, { recursive: true, force: true })
  const files = (await readdir(source, { recursive: true })).filter((file) => file.endsWith(".ts"))
  for (const { file } of mutations) {
    if (!files.includes(file)) throw rigError(`a mutant of ${file}: there is no such file`)
  }
  for (const file of files) {
    const original = await readFile(join(source, file), "utf8")
    const text = mutations.filter((mutation) => mutation.file === file).reduce(mutate, original)
    const target = join(folder, "src", file.replace(/\.ts$/, ".js"))
    await mkdir(dirname(target), { recursive: true })
    await writeFile(target, toJavaScript(text))
  }
  await writeFile(join(folder, "package.json"), JSON.stringify({ type: "module" }))
  return folder
}

/** What a test needs of the library, as it is in a mutant: nothing of it is shared with the library itself. */
export interface MutantModules {
  readonly ZkClient: typeof ZkClient
  readonly ZkLock: typeof ZkLock
}

export const importMutant = async (folder: string): Promise<MutantModules> => {
  const load = (name: string) => import(/* @vite-ignore */ pathToFileURL(join(folder, "src", `${name}.js`)).href)
  return { ZkClient: await load("ZkClient"), ZkLock: await load("ZkLock") }
}
