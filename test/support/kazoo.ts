import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { spawn } from "node:child_process"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import { cached } from "./cache.ts"
import { isDebian, unpackPackages } from "./debianPackages.ts"
import { exec, tail } from "./exec.ts"
import { attempt, messageOf, type RigError, rigError } from "./rigError.ts"
import { patience } from "./wait.ts"

interface Python {
  readonly command: string
  readonly path: string | undefined
}

const imports = async (command: string, path?: string): Promise<string | undefined> => {
  const ran = await exec(command, ["-c", "import kazoo.client"], {
    timeout: 20_000,
    ...(path === undefined ? {} : { env: { PYTHONPATH: path } })
  })
  return ran.code === 0 ? undefined : ran.code === "ENOENT" ? "not found" : tail(ran.stderr, 1)
}

/** A Python that can import kazoo: of this machine, or with Debian's package unpacked into the cache. */
const findPython = async (): Promise<Python | { readonly problem: string }> => {
  const given = process.env["ZK_TEST_PYTHON"]
  const commands = given ? [given] : ["python3", "/usr/bin/python3"]
  const tried: Array<string> = []
  for (const command of commands) {
    const problem = await imports(command)
    if (problem === undefined) return { command, path: undefined }
    tried.push(`${command}: ${problem}`)
  }
  if (!isDebian()) return { problem: tried.join("; ") }
  try {
    const folder = await cached("debian-kazoo", (folder) => unpackPackages(["python3-kazoo", "python3-six"], folder))
    const path = join(folder, "usr/lib/python3/dist-packages")
    for (const command of commands) {
      const problem = await imports(command, path)
      if (problem === undefined) return { command, path }
      tried.push(`${command} with Debian's package: ${problem}`)
    }
  } catch (cause) {
    tried.push(messageOf(cause))
  }
  return { problem: tried.join("; ") }
}

const python = await findPython()

/** Why there is no kazoo here, or `undefined` when there is. */
export const kazooProblem: string | undefined = "problem" in python ? python.problem : undefined

/** For `it.live.skipIf(!kazooAvailable)`. */
export const kazooAvailable: boolean = kazooProblem === undefined

/** How to run Python with kazoo, for programs other than the bridge. */
export const kazooCommand: { readonly command: string; readonly env: Record<string, string> } | undefined =
  "problem" in python
    ? undefined
    : { command: python.command, env: python.path === undefined ? {} : { PYTHONPATH: python.path } }

if (!kazooAvailable) process.stderr.write(`tests with kazoo are skipped: ${kazooProblem}\n`)

/** What kazoo gave: bytes are `{ base64 }`, integers beyond 2^53 `{ bigint }`, named tuples objects. */
export type KazooValue =
  | null
  | string
  | number
  | boolean
  | ReadonlyArray<KazooValue>
  | { readonly [key: string]: KazooValue }

interface Line {
  readonly id: number
  readonly value?: KazooValue
  readonly error?: string
  readonly message?: string
}

type Ask<A> = Effect.Effect<A, RigError>

export interface KazooClient {
  readonly sessionId: bigint
  readonly create: (path: string, value?: string | Uint8Array, options?: {
    readonly ephemeral?: boolean
    readonly sequence?: boolean
    readonly makepath?: boolean
  }) => Ask<string>
  readonly set: (path: string, value: string | Uint8Array, version?: number) => Ask<void>
  readonly delete: (path: string, options?: { readonly version?: number; readonly recursive?: boolean }) => Ask<void>
  readonly get: (path: string) => Ask<{ readonly data: Buffer; readonly version: number }>
  readonly exists: (path: string) => Ask<boolean>
  readonly children: (path: string) => Ask<ReadonlyArray<string>>
  /** Ephemeral nodes of this client's session at and below the path. */
  readonly ephemerals: (path: string) => Ask<ReadonlyArray<string>>
  /**
   * Runs Python with `client`, `clients` and `args` in scope; what it assigns to `result` is given back. Variables live
   * on until the next script, so that a lock can be acquired in one and released in another. A script may block.
   */
  readonly script: (python: string, args?: Readonly<Record<string, string | number | boolean>>) => Ask<KazooValue>
  /**
   * Calls a function of a Python file with the client and named arguments. May block; calls that run at the same time
   * share nothing but the file's globals.
   */
  readonly call: (
    file: URL,
    name: string,
    args?: Readonly<Record<string, string | number | boolean>>
  ) => Ask<KazooValue>
}

export interface Kazoo {
  /** A client with a session of its own, closed with the scope. */
  readonly connect: (hosts: string, options?: {
    /** Seconds. */
    readonly timeout?: number
  }) => Effect.Effect<KazooClient, RigError, Scope.Scope>
}

const bytes = (value: string | Uint8Array): string => Buffer.from(value as Uint8Array).toString("base64")

const toBigInt = (value: KazooValue): bigint =>
  BigInt(typeof value === "object" && value !== null && "bigint" in value ? String(value["bigint"]) : String(value))

class Bridge {
  readonly #waiting = new Map<number, { resolve: (value: KazooValue) => void; reject: (cause: RigError) => void }>()
  readonly #child
  #lastId = 0
  #said = ""
  readonly ready: Promise<KazooValue>

  constructor({ command, path }: Python) {
    this.#child = spawn(command, ["-u", fileURLToPath(new URL("kazoo_bridge.py", import.meta.url))], {
      stdio: ["pipe", "pipe", "pipe"],
      env: { ...process.env, ...(path === undefined ? {} : { PYTHONPATH: path }) }
    })
    this.ready = new Promise((resolve, reject) => this.#waiting.set(0, { resolve, reject }))
    this.#child.stdin.on("error", () => {})
    this.#child.stderr.on("data", (chunk: Buffer) => {
      this.#said = `${this.#said}${chunk.toString()}`.slice(-4_000)
    })
    createInterface({ input: this.#child.stdout }).on("line", (line) => this.#receive(JSON.parse(line) as Line))
    this.#child.on("error", (cause) => this.#over(cause.message))
    this.#child.on("close", () => this.#over("Python ended"))
  }

  #receive(line: Line) {
    const waiting = this.#waiting.get(line.id)
    this.#waiting.delete(line.id)
    if (line.error === undefined) waiting?.resolve(line.value ?? null)
    else waiting?.reject(rigError(`kazoo: ${line.error}: ${line.message}`, line))
  }

  #over(why: string) {
    for (const { reject } of this.#waiting.values()) reject(rigError(`kazoo: ${why} ${this.#said}`))
    this.#waiting.clear()
  }

  ask(message: Readonly<Record<string, unknown>>): Promise<KazooValue> {
    const id = ++this.#lastId
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => reject(rigError(`kazoo: no answer to ${JSON.stringify(message)}`)),
        25_000 * patience
      )
      const settle = <A>(use: (value: A) => void) => (value: A) => {
        clearTimeout(timer)
        use(value)
      }
      this.#waiting.set(id, { resolve: settle(resolve), reject: settle(reject) })
      this.#child.stdin.write(`${JSON.stringify({ id, ...message })}\n`)
    })
  }

  end() {
    this.#child.stdin.end()
  }
}

const makeClient = (bridge: Bridge, client: string, sessionId: bigint): KazooClient => {
  const ask = <A>(op: string, fields: Readonly<Record<string, unknown>>, use: (value: KazooValue) => A): Ask<A> =>
    attempt(`kazoo ${op}`, async () => use(await bridge.ask({ op, client, ...fields })))
  return {
    sessionId,
    create: (path, value = "", options) => ask("create", { path, value: bytes(value), ...options }, String),
    set: (path, value, version = -1) => ask("set", { path, value: bytes(value), version }, () => {}),
    delete: (path, options) => ask("delete", { path, ...options }, () => {}),
    get: (path) =>
      ask("get", { path }, (value) => {
        const [data, stat] = value as [{ base64: string }, { version: number }]
        return { data: Buffer.from(data.base64, "base64"), version: stat.version }
      }),
    exists: (path) => ask("exists", { path }, (value) => value !== null),
    children: (path) => ask("children", { path }, (value) => value as Array<string>),
    ephemerals: (path) => ask("ephemerals", { path }, (value) => value as Array<string>),
    script: (script, args = {}) => ask("script", { script, args }, (value) => value),
    call: (file, name, args = {}) => ask("call", { file: fileURLToPath(file), function: name, args }, (value) => value)
  }
}

/** A Python process that ends with the scope. */
export const makeKazoo: Effect.Effect<Kazoo, RigError, Scope.Scope> = Effect.gen(function*() {
  if ("problem" in python) return yield* rigError(`no kazoo: ${python.problem}`)
  const bridge = yield* Effect.acquireRelease(
    Effect.sync(() => new Bridge(python)),
    (bridge) => Effect.sync(() => bridge.end())
  )
  yield* attempt("kazoo", () => bridge.ready)
  let clients = 0
  return {
    connect: (hosts, options) =>
      Effect.acquireRelease(
        attempt("kazoo", async () => {
          const client = `c${++clients}`
          const id = await bridge.ask({ op: "connect", client, hosts, ...options })
          return { client, id: toBigInt(id) }
        }),
        ({ client }) => Effect.ignore(attempt("kazoo", () => bridge.ask({ op: "close", client })))
      ).pipe(Effect.map(({ client, id }) => makeClient(bridge, client, BigInt.asIntN(64, id))))
  }
})

/** `Layer`: `KazooProcess.layer`; then `const client = yield* (yield* KazooProcess).connect(connectString)`. */
export class KazooProcess extends Context.Service<KazooProcess, Kazoo>()("test/KazooProcess") {
  static readonly layer = Layer.effect(this, makeKazoo)
}
