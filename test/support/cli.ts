/** The `zk` program as its users run it: the bundle, as a process, in a pipe or on a pseudo-terminal. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { type ChildProcessByStdio, spawn } from "node:child_process"
import { mkdirSync, readdirSync, renameSync, statSync } from "node:fs"
import type { Readable, Writable } from "node:stream"
import { fileURLToPath } from "node:url"
import type { ExpectStatic } from "vitest"
import { bundle } from "../../scripts/bundle.ts"
import * as ZkClient from "../../src/ZkClient.ts"
import { attempt, type RigError, rigError } from "./rigError.ts"
import { screenOf } from "./screen.ts"
import { freshRoot, shared } from "./shared.ts"
import { patience } from "./wait.ts"

const root = new URL("../../", import.meta.url)
const folder = fileURLToPath(new URL("node_modules/.cache/effect-zookeeper-test/", root))
const program = `${folder}zk.js`

/** Of the newest of the program's sources, in milliseconds since 1970; 0 for what is not there. */
const changedAt = (path: string): number => statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0

/** Made when the sources are newer than it. Workers that do so at the same time do the same. */
const makeBundle = async () => {
  const sources = fileURLToPath(new URL("src/", root))
  const files = readdirSync(sources, { recursive: true, encoding: "utf8" })
  const newest = Math.max(...files.map((file) => changedAt(`${sources}${file}`)))
  if (changedAt(program) > newest) return program
  mkdirSync(folder, { recursive: true })
  const made = `${program}.${process.pid}`
  await bundle(made)
  renameSync(made, program)
  return program
}

let making: Promise<string> | undefined

/** Once a worker: its tests may well start at the same time. */
export const bundled = attempt("the bundle", () => making ??= makeBundle())

export interface Ran {
  /** 128 and more: ended by a signal. */
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

export interface Running {
  readonly stdout: () => string
  readonly stderr: () => string
  /** To its standard input or, on a terminal, its keyboard: `\u0003` is Ctrl-C, `\u0004` Ctrl-D. */
  readonly send: (text: string | Uint8Array) => Effect.Effect<void>
  /** Nothing more comes. */
  readonly endInput: Effect.Effect<void>
  /** As the next one in a pipe that has seen enough. */
  readonly closeOutput: Effect.Effect<void>
  readonly signal: (signal: NodeJS.Signals) => Effect.Effect<void>
  /** Waits until its output (both of them) contains something, behind the first `from` characters. */
  readonly awaitText: (text: string | RegExp, from?: number) => Effect.Effect<void, RigError>
  /** Waits until it has ended. */
  readonly ended: Effect.Effect<Ran, RigError>
}

export interface Settings {
  readonly env?: Readonly<Record<string, string>> | undefined
}

export interface TerminalSettings extends Settings {
  /** Default: 80. */
  readonly columns?: number | undefined
  /** Default: 24. */
  readonly rows?: number | undefined
}

const environment = (hosts: string, extra: Readonly<Record<string, string>> = {}) => {
  const { CI: _ci, FORCE_COLOR: _force, NO_COLOR: _no, ...rest } = process.env
  return { ...rest, TERM: "xterm-256color", LANG: "C.UTF-8", ZK_SERVERS: hosts, ...extra }
}

const within = 20_000 * patience

const running = (
  what: string,
  child: ChildProcessByStdio<Writable, Readable, Readable>
): Running => {
  let stdout = ""
  let stderr = ""
  let code: number | undefined
  const listeners = new Set<() => void>()
  const tell = () => {
    for (const listener of listeners) listener()
  }
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
    stdout += chunk
    tell()
  })
  child.stderr.setEncoding("utf8").on("data", (chunk: string) => {
    stderr += chunk
    tell()
  })
  // It may have ended before it has read all.
  child.stdin.on("error", () => {})
  child.on("close", (status, signal) => {
    code = status ?? (signal === "SIGINT" ? 130 : signal === "SIGKILL" ? 137 : 128)
    tell()
  })
  const until = <A>(wanted: () => string, probe: () => A | undefined): Effect.Effect<A, RigError> =>
    Effect.callback<A, RigError>((resume) => {
      const done = (effect: Effect.Effect<A, RigError>) => {
        listeners.delete(check)
        clearTimeout(timer)
        resume(effect)
      }
      const fail = (why: string) =>
        done(Effect.fail(rigError(`${what} ${why} before ${wanted()}:\n${stdout}\n--\n${stderr}`)))
      const check = () => {
        const found = probe()
        if (found !== undefined) done(Effect.succeed(found))
        else if (code !== undefined) fail(`ended with ${code}`)
      }
      const timer = setTimeout(() => fail(`took ${within} ms`), within)
      listeners.add(check)
      check()
      return Effect.sync(() => {
        listeners.delete(check)
        clearTimeout(timer)
      })
    })
  return {
    stdout: () => stdout,
    stderr: () => stderr,
    send: (text) => Effect.sync(() => void child.stdin.write(text)),
    endInput: Effect.sync(() => void child.stdin.end()),
    closeOutput: Effect.sync(() => void child.stdout.destroy()),
    signal: (signal) => Effect.sync(() => void child.kill(signal)),
    awaitText: (text, from = 0) =>
      until(() => `it said ${text}`, () => {
        const said = `${stdout}${stderr}`.slice(from)
        return (typeof text === "string" ? said.includes(text) : text.test(said)) ? true : undefined
      }),
    ended: until(() => "it ended", () => code === undefined ? undefined : { code, stdout, stderr })
  }
}

const start = (
  what: string,
  command: string,
  args: ReadonlyArray<string>,
  env: NodeJS.ProcessEnv
): Effect.Effect<Running, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => spawn(command, args, { env, stdio: ["pipe", "pipe", "pipe"] })),
      (child) => Effect.sync(() => void child.kill("SIGKILL"))
    ),
    (child) => running(what, child)
  )

const quoted = (word: string) => `'${word.replaceAll("'", "'\\''")}'`

export interface Zk {
  /** What the program is told to connect to: a node of its own is its root. */
  readonly hosts: string
  /** Sees the same nodes as the program. */
  readonly client: ZkClient.ZkClient
  /** In a pipe. */
  readonly start: (args: ReadonlyArray<string>, settings?: Settings) => Effect.Effect<Running, RigError, Scope.Scope>
  /** On a pseudo-terminal; both outputs are one there. */
  readonly open: (
    args: ReadonlyArray<string>,
    settings?: TerminalSettings
  ) => Effect.Effect<Running, RigError, Scope.Scope>
  /** In a pipe, to its end. */
  readonly run: (
    args: ReadonlyArray<string>,
    settings?: Settings & { readonly stdin?: string | Uint8Array | undefined }
  ) => Effect.Effect<Ran, RigError>
  /** On a pseudo-terminal, to its end: what can be seen there then. */
  readonly show: (args: ReadonlyArray<string>, settings?: TerminalSettings) => Effect.Effect<string, RigError>
}

/** The program, connected to `hosts`: to a node of its own on the shared server, unless others are named. */
export const makeZk = (
  hosts?: string
): Effect.Effect<Zk, RigError | ZkClient.MakeError, Scope.Scope> =>
  Effect.gen(function*() {
    const at = hosts ?? `${(yield* shared).connectString}${yield* freshRoot}`
    const client = yield* ZkClient.make({ hosts: at })
    const zk: Zk = {
      hosts: at,
      client,
      start: (args, settings) =>
        Effect.flatMap(bundled, (file) =>
          start(`zk ${args.join(" ")}`, process.execPath, [file, ...args], environment(at, settings?.env))),
      open: (args, settings) =>
        Effect.flatMap(bundled, (file) => {
          const size = `stty cols ${settings?.columns ?? 80} rows ${settings?.rows ?? 24}`
          const command = `${size}; exec ${[process.execPath, file, ...args].map(quoted).join(" ")}`
          return start(
            `zk ${args.join(" ")} on a terminal`,
            "script",
            ["--quiet", "--return", "--flush", "--command", command, "/dev/null"],
            environment(at, settings?.env)
          )
        }),
      run: (args, settings) =>
        Effect.scoped(Effect.gen(function*() {
          const process = yield* zk.start(args, settings)
          if (settings?.stdin !== undefined) {
            yield* process.send(settings.stdin)
          }
          yield* process.endInput
          return yield* process.ended
        })),
      show: (args, settings) =>
        Effect.scoped(Effect.gen(function*() {
          const terminal = yield* zk.open(args, settings)
          return screenOf((yield* terminal.ended).stdout)
        }))
    }
    return zk
  })

/** Ids and times, which no two runs have in common. */
export const normalized = (text: string): string =>
  text
    .replaceAll(/\b0x[0-9a-f]+\b/g, "0x…")
    .replaceAll(/\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?Z/g, "<time>")

/** Compares an output with the one that was kept, in test/snapshots/cli. Takes the `expect` of the test. */
export const matchesSnapshot = (expect: ExpectStatic, name: string, output: string): Effect.Effect<void> =>
  Effect.promise(() => expect(normalized(output)).toMatchFileSnapshot(`./snapshots/cli/${name}.txt`))
