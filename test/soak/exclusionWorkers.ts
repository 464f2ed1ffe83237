/** Starts the processes of `npm run exclusion`, and speaks with them. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import type { Entry } from "./exclusionJudge.ts"

export const lockPath = "/exclusion/lock"
export const counterPath = "/exclusion/counter"
export const claimsPath = "/exclusion/claims"

export interface WorkerOptions {
  /** Its number. */
  readonly worker: number
  readonly hosts: string
  /** Milliseconds. */
  readonly sessionTimeout: number
  /** What it knows of the servers' tick; nothing if it is not given. */
  readonly tickTime?: number | undefined
  readonly seed: number
  /** The file that it writes its log to. */
  readonly log: string
}

export interface Worker {
  readonly id: number
  /** The server it was connected to when it got the lock that it holds. */
  readonly holds: string | undefined
  readonly isStaying: boolean
  readonly isFrozen: boolean
  /** Fulfilled with the exit code. */
  readonly ended: Promise<number | null>
  readonly say: (what: "stay" | "go" | "stop") => void
  readonly freeze: () => void
  readonly resume: () => void
  readonly kill: () => void
  /** Calls back whenever it has said something. */
  onLine: () => void
  /** What it has logged so far. */
  readonly entries: () => ReadonlyArray<Entry>
}

const program = fileURLToPath(new URL("exclusion-worker.ts", import.meta.url))
const mutation = new URL("mutant.ts", import.meta.url).href

class Process implements Worker {
  readonly id: number
  readonly ended: Promise<number | null>
  holds: string | undefined
  isStaying = false
  isFrozen = false
  onLine = () => {}
  private readonly child: ChildProcess
  private readonly log: string

  constructor(options: WorkerOptions, mutant: string | undefined) {
    this.id = options.worker
    this.log = options.log
    const flags = mutant === undefined ? [] : ["--import", mutation]
    const child = this.child = spawn(process.execPath, [...flags, program, JSON.stringify(options)], {
      stdio: ["pipe", "pipe", "inherit"],
      env: { ...process.env, ...(mutant !== undefined && { ZK_MUTANT: mutant }) }
    })
    child.stdin?.on("error", () => {})
    this.ended = once(child, "close").then(([code]) => code as number | null)
    createInterface({ input: child.stdout! }).on("line", (line) => {
      // Log messages go to the same place.
      const [mark, word, server] = line.split(" ")
      if (mark !== ">") return
      if (word === "staying") this.isStaying = true
      else {
        this.holds = word === "held" ? server ?? "" : undefined
        this.isStaying = false
      }
      this.onLine()
    })
  }

  say(what: "stay" | "go" | "stop"): void {
    this.child.stdin?.write(`${what}\n`)
  }

  freeze(): void {
    this.isFrozen = true
    this.child.kill("SIGSTOP")
  }

  resume(): void {
    this.isFrozen = false
    this.child.kill("SIGCONT")
  }

  kill(): void {
    this.child.kill("SIGKILL")
  }

  entries(): ReadonlyArray<Entry> {
    let text = ""
    try {
      text = readFileSync(this.log, "utf8")
    } catch {
      // It has not got as far as that.
    }
    return text.split("\n").filter((line) => line !== "").map((line) => JSON.parse(line) as Entry)
  }
}

/** Processes that are killed when the scope is closed; their logs stay if there is a folder for them. */
export const makeWorkers = (
  options: ReadonlyArray<Omit<WorkerOptions, "log">>,
  more?: {
    /** How the library is broken. */
    readonly mutant?: string | undefined
    readonly logs?: string | undefined
  }
): Effect.Effect<ReadonlyArray<Worker>, never, Scope.Scope> =>
  Effect.gen(function*() {
    const folder = more?.logs ?? (yield* Effect.acquireRelease(
      Effect.sync(() => mkdtempSync(join(tmpdir(), "zk-exclusion-"))),
      (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
    ))
    return yield* Effect.forEach(options, (each) =>
      Effect.acquireRelease(
        Effect.sync((): Worker => new Process({ ...each, log: join(folder, `${each.worker}.log`) }, more?.mutant)),
        (worker) =>
          Effect.promise(() => {
            worker.kill()
            return worker.ended
          })
      ))
  })
