/**
 * Packs the package and uses it as a user of it does: `npm run package`.
 *
 * - It has no dependencies, nothing that is built on installation, and one program, `zk`.
 * - A program that is written against it compiles with its declarations, and takes a lock.
 * - `zk` runs from a folder where nothing else is installed.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Console, Effect } from "effect"
import { execFileSync } from "node:child_process"
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { makeServer } from "../test/support/server.ts"

const root = fileURLToPath(new URL("../", import.meta.url))

const program = `
import { NodeRuntime } from "@effect/platform-node"
import { Config, Console, Effect } from "effect"
import { ZkClient, ZkLock } from "effect-zookeeper"
import * as ZkKeyValueStore from "effect-zookeeper/ZkKeyValueStore"

const greet = Effect.gen(function*() {
  const lock = yield* ZkLock.make("hello")
  yield* lock.withLock(Console.log("hello from under a lock"))
  return ZkKeyValueStore
})

NodeRuntime.runMain(greet.pipe(Effect.provide(ZkClient.layerConfig({ hosts: Config.String("ZK_SERVERS") }))))
`

const expect = (isSo: boolean, what: string): void => {
  if (!isSo) throw new Error(what)
}

const run = (command: string, args: ReadonlyArray<string>, cwd: string, env: Record<string, string> = {}): string =>
  execFileSync(command, args, { cwd, encoding: "utf8", env: { ...process.env, ...env } })

/** Unpacked beside what it is a peer of. */
const install = (folder: string): string => {
  const [packed] = JSON.parse(run("npm", ["pack", "--json", "--silent", "--pack-destination", folder], root))
  const app = join(folder, "app")
  const home = join(app, "node_modules", "effect-zookeeper")
  mkdirSync(home, { recursive: true })
  run("tar", ["-xzf", join(folder, packed.filename), "-C", home, "--strip-components=1"], folder)
  for (const name of ["effect", "@effect", "@types"]) {
    symlinkSync(join(root, "node_modules", name), join(app, "node_modules", name))
  }
  writeFileSync(join(app, "package.json"), JSON.stringify({ type: "module" }))
  writeFileSync(join(app, "hello.ts"), program)
  return app
}

const examine = (home: string): void => {
  const manifest = JSON.parse(readFileSync(join(home, "package.json"), "utf8"))
  for (const field of ["dependencies", "optionalDependencies", "bundleDependencies"]) {
    expect(!(field in manifest), `the package has ${field}`)
  }
  expect(JSON.stringify(manifest.bin) === JSON.stringify({ zk: "./dist/zk.js" }), "its one program is zk")
  for (const script of ["preinstall", "install", "postinstall"]) {
    expect(!(script in manifest.scripts), `the package runs ${script}`)
  }
  const files = readdirSync(home, { recursive: true, encoding: "utf8" })
  for (const file of files) expect(!/\.node$|binding\.gyp$|^test/.test(file), `${file} is in the package`)
  expect(!files.some((file) => /(^|\/)cli(\.ts|\/)/.test(file)), "the parts of the program are in the package")
}

const main = Effect.gen(function*() {
  const folder = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "zk-package-"))),
    (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
  )
  const server = yield* makeServer()
  const app = install(folder)
  const home = join(app, "node_modules", "effect-zookeeper")
  examine(home)

  const options = { target: "ES2022", module: "NodeNext", strict: true, noEmit: true, types: ["node"] }
  writeFileSync(join(app, "tsconfig.json"), JSON.stringify({ compilerOptions: options, files: ["hello.ts"] }))
  run(process.execPath, [join(root, "node_modules/typescript/bin/tsc"), "--skipLibCheck"], app)
  yield* Console.log("a program compiles against it")
  const env = { ZK_SERVERS: server.connectString }
  expect(run(process.execPath, ["hello.ts"], app, env) === "hello from under a lock\n", "it takes a lock")
  yield* Console.log("it takes a lock")

  const alone = join(folder, "alone")
  mkdirSync(alone)
  cpSync(join(home, "dist", "zk.js"), join(alone, "zk.mjs"))
  expect(run(process.execPath, ["zk.mjs", "ls", "/"], alone, env).includes("locks\n"), "zk lists the root")
  yield* Console.log("zk runs by itself")
})

NodeRuntime.runMain(Effect.scoped(main))
