import { spawn } from "node:child_process"
import { closeSync, openSync } from "node:fs"
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { NodeProcess } from "./nodeProcess.ts"
import { rigError } from "./rigError.ts"
import { pollUntil } from "./wait.ts"
import { jvmFlags, type NodeSpec, serverLines, settings } from "./zooCfg.ts"

// The JVM runs below a shell whose standard input is a pipe from this process. When this process is gone, however it
// went, the pipe ends and the shell's watcher kills the JVM (also a frozen one) and removes the data. The JVM's own pid
// comes first on standard output: freezing must hit the JVM, not the shell.
const wrapper = `
folder=$1; shift
exec 3<&0
"$@" 3<&- </dev/null >&2 &
jvm=$!
echo "$jvm"
( cat <&3 >/dev/null; kill -9 $$ "$jvm"; rm -rf "$folder" ) >/dev/null 2>&1 &
watcher=$!
exec 3<&-
wait "$jvm"
code=$?
kill -9 "$watcher" 2>/dev/null
exit "$code"
`

interface Running {
  readonly pid: number
  readonly ended: Promise<void>
  readonly isOver: () => boolean
}

const startJvm = (folder: string, command: ReadonlyArray<string>, onEnd: () => void): Promise<Running> =>
  new Promise((resolve, reject) => {
    const log = openSync(join(folder, "log.txt"), "a")
    const shell = spawn("/bin/sh", ["-c", wrapper, "zk-test", folder, ...command], {
      stdio: ["pipe", "pipe", log],
      // A group of its own: Ctrl-C in the terminal must not end servers before the tests' finalizers ran.
      detached: true
    })
    closeSync(log)
    const { stdin, stdout } = shell
    if (stdin === null || stdout === null) return reject(rigError("/bin/sh has no pipes"))
    stdin.on("error", () => {})
    let over = false
    const ended = new Promise<void>((done) =>
      shell.once("exit", () => {
        over = true
        stdin.destroy()
        onEnd()
        done()
      })
    )
    shell.once("error", (cause) => reject(rigError(`/bin/sh: ${cause.message}`, cause)))
    stdout.once("data", (chunk: Buffer) => {
      resolve({ pid: Number.parseInt(chunk.toString(), 10), ended, isOver: () => over })
    })
  })

/** A server that is a JVM of this machine. */
export const makeJvmNode = async (
  java: string,
  classPath: string,
  spec: NodeSpec
): Promise<NodeProcess> => {
  const folder = await mkdtemp(join(tmpdir(), `zk-test-${spec.id}-`))
  const data = join(folder, "data")
  const config = join(folder, "zoo.cfg")

  const prepareData = async () => {
    await mkdir(data, { recursive: true })
    if (spec.peers.length > 0) await writeFile(join(data, "myid"), `${spec.id}\n`)
  }

  await prepareData()
  const lines = [...Object.entries({ ...settings(spec), dataDir: data }), ...serverLines(spec)]
  await writeFile(config, lines.map(([key, value]) => `${key}=${value}\n`).join(""))

  const command = [
    java,
    ...jvmFlags(spec),
    "-cp",
    classPath,
    "org.apache.zookeeper.server.quorum.QuorumPeerMain",
    config
  ]
  let running: Running | undefined

  const signal = (name: "SIGTERM" | "SIGKILL" | "SIGSTOP" | "SIGCONT") => {
    if (running === undefined) return
    try {
      process.kill(running.pid, name)
    } catch {
      // It ended a moment ago; `ended` says so.
    }
  }

  const kill = async () => {
    const was = running
    signal("SIGKILL")
    await was?.ended
  }

  return {
    spec,
    start: async () => {
      if (running !== undefined) return
      const starting = await startJvm(folder, command, () => {
        running = undefined
      })
      if (!starting.isOver()) running = starting
    },
    stop: async () => {
      const was = running
      if (was === undefined) return
      signal("SIGTERM")
      // A frozen one hears of it only when it goes on.
      signal("SIGCONT")
      const stubborn = setTimeout(() => signal("SIGKILL"), 5_000)
      await was.ended
      clearTimeout(stubborn)
    },
    kill,
    freeze: async () => {
      const was = running
      if (was === undefined) throw rigError("cannot freeze a server that does not run")
      signal("SIGSTOP")
      if (process.platform !== "linux") return
      // The signal is delivered in a moment; a frozen server that still answers would make a test flicker.
      await pollUntil("the server is frozen", async () => {
        const stat = await readFile(`/proc/${was.pid}/stat`, "utf8").catch(() => ") T")
        return stat.slice(stat.lastIndexOf(")") + 2).startsWith("T") ? true : undefined
      }, { within: 2_000, every: 2 })
    },
    resume: async () => signal("SIGCONT"),
    wipe: async () => {
      if (running !== undefined) throw rigError("cannot wipe a server that runs")
      await rm(data, { recursive: true, force: true })
      await prepareData()
    },
    isRunning: () => running !== undefined,
    log: () => readFile(join(folder, "log.txt"), "utf8").catch(() => ""),
    dispose: async () => {
      await kill()
      await rm(folder, { recursive: true, force: true })
    }
  }
}
