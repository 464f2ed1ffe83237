import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { spawn } from "node:child_process"
import { createHash } from "node:crypto"
import { existsSync } from "node:fs"
import { readFile } from "node:fs/promises"
import { basename, delimiter, dirname, join } from "node:path"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import { cached } from "./cache.ts"
import { isDebian, unpackPackages } from "./debianPackages.ts"
import { exec, tail } from "./exec.ts"
import { hasJava, javaCommand } from "./java.ts"
import { attempt, messageOf, type RigError, rigError } from "./rigError.ts"
import { patience } from "./wait.ts"

const bridgeSource = new URL("../interop/CuratorBridge.java", import.meta.url)

const packages = [
  "libcurator-recipes-java",
  "libcurator-framework-java",
  "libcurator-client-java",
  "libguava-java",
  "libzookeeper-java",
  "libslf4j-java"
]

/** In the order of a class path; jute before zookeeper, whose manifest would otherwise pull in another. */
const jars = [
  "curator-recipes",
  "curator-framework",
  "curator-client",
  "guava",
  "zookeeper-jute",
  "zookeeper",
  "slf4j-api",
  "slf4j-nop"
]

/** Curator and what it needs: given, installed as Debian's packages, or these unpacked into the cache. */
const findClassPath = async (): Promise<string> => {
  const given = process.env["ZK_TEST_CURATOR_CLASSPATH"]
  if (given) return given
  const inFolder = (folder: string) => jars.map((jar) => join(folder, `${jar}.jar`))
  const installed = inFolder("/usr/share/java")
  if (installed.every((jar) => existsSync(jar))) return installed.join(delimiter)
  if (!isDebian()) throw rigError("ZK_TEST_CURATOR_CLASSPATH is not set, and this is not a Debian with apt-get")
  const folder = await cached("debian-curator", (folder) => unpackPackages(packages, folder))
  return inFolder(join(folder, "usr/share/java")).join(delimiter)
}

/** The compiler of a JDK; beside a Java without one, Eclipse's, which is a jar. */
const compiler = async (): Promise<ReadonlyArray<string>> => {
  const javac = javaCommand() === "java" ? "javac" : join(dirname(javaCommand()), "javac")
  if ((await exec(javac, ["-version"])).code === 0) return [javac]
  if (!isDebian()) throw rigError("there is no javac")
  const folder = await cached("debian-ecj", (folder) => unpackPackages(["libeclipse-jdt-core-java"], folder))
  const jar = join(folder, "usr/share/java/eclipse-jdt-core.jar")
  return [javaCommand(), "-cp", jar, "org.eclipse.jdt.internal.compiler.batch.Main", "-11", "-proc:none"]
}

const compile = async (source: string, classPath: string): Promise<string> => {
  const hash = createHash("sha256").update(await readFile(source)).update(classPath).digest("hex").slice(0, 16)
  return cached(`java-${basename(source, ".java")}-${hash}`, async (folder) => {
    const [command = "", ...args] = await compiler()
    const ran = await exec(command, [...args, "-encoding", "UTF-8", "-nowarn", "-cp", classPath, "-d", folder, source])
    if (ran.code !== 0) throw rigError(`${command} ${source}: ${tail(ran.stderr || ran.stdout)}`)
  })
}

/** How to run a Java file of one class that uses Curator: what comes before the class name. Compiled once. */
export const curatorProgram = async (
  source: URL,
  flags: ReadonlyArray<string> = []
): Promise<readonly [command: string, args: ReadonlyArray<string>]> => {
  if (!await hasJava()) throw rigError("there is no Java")
  const classPath = await findClassPath()
  const file = fileURLToPath(source)
  const classes = await compile(file, classPath)
  return [javaCommand(), [...flags, "-cp", `${classes}${delimiter}${classPath}`, basename(file, ".java")]]
}

const smallJvm = ["-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData"]

const program = await curatorProgram(bridgeSource, smallJvm).catch((cause: unknown) => ({ problem: messageOf(cause) }))

/** Why there is no Curator here, or `undefined` when there is. */
export const curatorProblem: string | undefined = "problem" in program ? program.problem : undefined

/** For `it.live.skipIf(!curatorAvailable)`. */
export const curatorAvailable: boolean = curatorProblem === undefined

if (!curatorAvailable) process.stderr.write(`tests with Curator are skipped: ${curatorProblem}\n`)

type Answer = ReadonlyArray<string>

export interface CuratorClient {
  readonly sessionId: bigint
  /** A command of CuratorBridge.java, without the client. May block. */
  readonly ask: (command: string, ...fields: ReadonlyArray<string | number>) => Effect.Effect<Answer, RigError>
}

export interface Curator {
  /** A client with a session of its own, closed with the scope. */
  readonly connect: (hosts: string) => Effect.Effect<CuratorClient, RigError, Scope.Scope>
}

class Bridge {
  readonly #waiting = new Map<string, { resolve: (fields: Answer) => void; reject: (cause: RigError) => void }>()
  readonly #child
  #lastId = 0
  #said = ""
  readonly ready: Promise<Answer>

  constructor(command: string, args: ReadonlyArray<string>) {
    this.#child = spawn(command, args, { stdio: ["pipe", "pipe", "pipe"] })
    this.ready = new Promise((resolve, reject) => this.#waiting.set("0", { resolve, reject }))
    this.#child.stdin.on("error", () => {})
    this.#child.stderr.on("data", (chunk: Buffer) => {
      this.#said = `${this.#said}${chunk.toString()}`.slice(-4_000)
    })
    createInterface({ input: this.#child.stdout }).on("line", (line) => this.#receive(line))
    this.#child.on("error", (cause) => this.#over(cause.message))
    this.#child.on("close", () => this.#over("Java ended"))
  }

  #receive(line: string) {
    const [id = "", outcome, ...fields] = line.split("\t")
    const waiting = this.#waiting.get(id)
    this.#waiting.delete(id)
    if (outcome === "ok") waiting?.resolve(fields)
    else waiting?.reject(rigError(`Curator: ${fields.join(" ")}`))
  }

  #over(why: string) {
    for (const { reject } of this.#waiting.values()) reject(rigError(`Curator: ${why} ${this.#said}`))
    this.#waiting.clear()
  }

  ask(fields: ReadonlyArray<string | number>): Promise<Answer> {
    const id = String(++this.#lastId)
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(rigError(`Curator: no answer to ${fields.join(" ")}`)), 25_000 * patience)
      const settle = <A>(use: (value: A) => void) => (value: A) => {
        clearTimeout(timer)
        use(value)
      }
      this.#waiting.set(id, { resolve: settle(resolve), reject: settle(reject) })
      this.#child.stdin.write(`${[id, ...fields].join("\t")}\n`)
    })
  }

  end() {
    this.#child.stdin.end()
  }
}

/** A Java process that ends with the scope. */
export const makeCurator: Effect.Effect<Curator, RigError, Scope.Scope> = Effect.gen(function*() {
  if ("problem" in program) return yield* rigError(`no Curator: ${program.problem}`)
  const bridge = yield* Effect.acquireRelease(
    Effect.sync(() => new Bridge(...program)),
    (bridge) => Effect.sync(() => bridge.end())
  )
  yield* attempt("Curator", () => bridge.ready)
  let clients = 0
  return {
    connect: (hosts) =>
      Effect.acquireRelease(
        attempt("Curator", async () => {
          const client = `c${++clients}`
          const [id = ""] = await bridge.ask(["connect", client, hosts])
          return { client, sessionId: BigInt(id) }
        }),
        ({ client }) => Effect.ignore(attempt("Curator", () => bridge.ask(["close", client])))
      ).pipe(Effect.map(({ client, sessionId }): CuratorClient => ({
        sessionId,
        ask: (command, ...fields) => attempt(`Curator ${command}`, () => bridge.ask([command, client, ...fields]))
      })))
  }
})
