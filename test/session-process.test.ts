/** A client in a process of its own: its end, and its being stopped. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import { connectRaw } from "./support/rawClient.ts"
import { attempt } from "./support/rigError.ts"
import { freshPath, shared, sharedHandle } from "./support/shared.ts"
import { pollUntil } from "./support/wait.ts"

const program = fileURLToPath(new URL("fixtures/clientProcess.ts", import.meta.url))

/** Starts the program; it is killed, should it still run, when the scope is closed. */
const start = (what: "exit" | "stay", hosts: string, path: string) =>
  Effect.gen(function*() {
    const child = yield* Effect.acquireRelease(
      Effect.sync(() => spawn(process.execPath, [program, hosts, path, what], { stdio: ["pipe", "pipe", "inherit"] })),
      (child) => Effect.sync(() => void child.kill("SIGKILL"))
    )
    const lines: Array<string> = []
    createInterface({ input: child.stdout }).on("line", (line) => {
      if (line.startsWith("> ")) lines.push(line.slice(2))
    })
    const ended = once(child, "close")
    const awaitLine = (what: string, find: (line: string, index: number) => boolean) =>
      attempt(what, () => pollUntil(() => `${what}; it said: ${lines.join(", ")}`, async () => lines.find(find)))
    return { child, lines, awaitLine, ended: attempt("the end", () => ended) }
  })

describe("a process", () => {
  it.live("ends by itself once the client's scope is closed; nothing of the client is left [N2] [X4] [K6]", () =>
    Effect.gen(function*() {
      const { connectString } = yield* shared
      const path = yield* freshPath
      const { child, ended, lines } = yield* start("exit", connectString, path)
      yield* ended
      assert.strictEqual(child.exitCode, 0)
      assert.deepStrictEqual(lines, ["connected", "done, sockets: 0"])
      const other = yield* connectRaw(yield* shared)
      assert.isUndefined(yield* other.exists(path))
    }))

  it.live("that was stopped for longer than its session lives knows it before it does anything [B18] [SES-39]", () =>
    Effect.gen(function*() {
      const server = yield* sharedHandle
      const path = yield* freshPath
      const { awaitLine, child, lines } = yield* start("stay", server.connectString, path)
      const connected = yield* awaitLine("the program connects", (line) => line.startsWith("Connected"))
      const session = BigInt(connected.split(" ")[1] ?? "0")
      child.stdin.write("before\n")
      yield* awaitLine("it creates a node", (line) => line === "created before")
      child.kill("SIGSTOP")
      child.stdin.write("after\n")
      // The server takes the session for dead after two seconds or more, the client after two and two thirds.
      yield* server.waitUntil(
        "the session expires",
        (server) => Effect.map(server.sessions, (sessions) => !sessions.includes(session))
      )
      yield* Effect.sleep("800 millis")
      child.kill("SIGCONT")
      const last = yield* awaitLine("it has a new session", (line, i) => i > 1 && line.startsWith("Connected"))
      yield* awaitLine("it answers for what was asked", (line) => line.startsWith("failed") || line === "created after")
      assert.notStrictEqual(last, connected)
      const states = lines.filter((line) => !line.startsWith("created") && !line.startsWith("failed"))
      assert.deepStrictEqual(states, [connected, "Suspended", "Expired", last])
      // Asked for under the old session it certainly was not applied; under the new one it certainly was.
      const outcome = lines.find((line) => line.startsWith("failed") || line === "created after")
      const isThere = (yield* (yield* connectRaw(server)).exists(`${path}-after`)) !== undefined
      assert.strictEqual(outcome, isThere ? "created after" : "failed SessionExpired false")
      child.stdin.end()
      yield* awaitLine("it ends", (line) => line === "done, sockets: 0")
    }))
})
