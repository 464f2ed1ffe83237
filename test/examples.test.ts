import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { spawn } from "node:child_process"
import { readdirSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { makeProxy } from "./support/proxy.ts"
import { attempt, rigError } from "./support/rigError.ts"
import { freshRoot, shared } from "./support/shared.ts"
import { pollUntil } from "./support/wait.ts"

const folder = new URL("../examples/", import.meta.url)

/**
 * Runs an example as a user does, below a node of its own and through a proxy, so that there is something to live
 * through. Killed with the scope, should it still run.
 */
const start = (name: string, env: Record<string, string> = {}) =>
  Effect.gen(function*() {
    const { port } = yield* shared
    const proxy = yield* makeProxy(port)
    const hosts = `${proxy.connectString}${yield* freshRoot}`
    let output = ""
    let errors = ""
    let ended: number | null | undefined
    const child = yield* Effect.acquireRelease(
      Effect.sync(() =>
        spawn(process.execPath, [fileURLToPath(new URL(`${name}.ts`, folder))], {
          env: { ...process.env, NO_COLOR: "1", ...env, ZK_SERVERS: hosts },
          stdio: ["ignore", "pipe", "pipe"]
        })
      ),
      (child) => Effect.sync(() => void child.kill("SIGKILL"))
    )
    child.stdout.on("data", (chunk) => void (output += String(chunk)))
    child.stderr.on("data", (chunk) => void (errors += String(chunk)))
    child.on("close", (code) => {
      ended = code
    })
    const lines = () => output.trimEnd().split("\n")
    return {
      proxy,
      awaitLine: (line: string) =>
        attempt(name, (signal) =>
          pollUntil(() => `${name} says ${line}, not only:\n${output}${errors}`, async () => {
            if (lines().includes(line)) return true as const
            if (ended !== undefined) throw rigError(`${name} ended without it:\n${output}${errors}`)
            return undefined
          }, { signal })),
      /** Everything that it printed, once it has ended by itself and without complaint. */
      lines: attempt(name, async (signal) => {
        await pollUntil(() => `${name} ends:\n${output}${errors}`, async () => ended === undefined ? undefined : true, {
          signal
        })
        if (ended !== 0) throw rigError(`${name} ended with ${ended}:\n${output}${errors}`)
        return lines()
      })
    }
  })

const lines = (name: string) => Effect.flatMap(start(name), (example) => example.lines)

describe.concurrent("examples [EX-01]", () => {
  it("are all run here", () => {
    const programs = readdirSync(folder).filter((file) => file.endsWith(".ts") && file !== "demo.ts")
    assert.deepStrictEqual(programs.toSorted(), [
      "connect-and-read.ts",
      "dictionary.ts",
      "errors-by-tag.ts",
      "fenced-store.ts",
      "giving-way.ts",
      "mirror-a-tree.ts",
      "mirror-nodes.ts",
      "scheduled-job.ts",
      "service.ts",
      "session-expires.ts",
      "shared-file.ts",
      "two-clusters.ts",
      "unknown-outcome.ts",
      "watch-configuration.ts"
    ])
  })

  it.live("connect-and-read", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* lines("connect-and-read"), [
        "the session is Connected",
        "hello, version 0, 5 bytes",
        "children of /examples: greeting"
      ])
    }))

  it.live("dictionary does what the dictionary of Python promised [M1]", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* lines("dictionary"), [
        "25",
        "en-US",
        "25",
        "KeyNotFound: exchange_rate",
        "greeting: hello",
        "language: en-us"
      ])
    }))

  it.live("mirror-nodes does what the mirror of Python promised [Z5]", () =>
    Effect.gen(function*() {
      const said = yield* lines("mirror-nodes")
      // The first value may have been replaced before anybody looks.
      assert.deepStrictEqual(said.filter((line) => line !== "value: the root"), [
        "the root []",
        "NoNode /missing",
        "NoNode /missing",
        "value []",
        "new value",
        "value: stuff"
      ])
    }))

  it.live("errors-by-tag", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* lines("errors-by-tag"), [
        "port: 8080",
        "claimed",
        "/examples/leader belongs to somebody else",
        "InvalidPath: it does not start with /",
        "BadVersion: expected 5"
      ])
    }))

  it.live("watch-configuration prints what there is, and what it becomes [Z51]", () =>
    Effect.gen(function*() {
      const said = yield* lines("watch-configuration")
      // What comes in between may be left out when it comes fast; the first and the last never are.
      assert.strictEqual(said[0], "1 workers in grey")
      assert.strictEqual(said.at(-1), "8 workers in gold")
    }))

  it.live("unknown-outcome counts each once although an answer is lost", () =>
    Effect.gen(function*() {
      const example = yield* start("unknown-outcome")
      const lost = yield* example.proxy.swallowReply({ op: "multi" })
      const said = yield* example.lines
      assert.strictEqual((yield* lost.fired).op, "multi")
      assert.include(said, "ConnectionLoss: looking for the mark")
      assert.deepStrictEqual(said.slice(-2), ["counted to 5", "set to 100"])
    }))

  it.live("service has settings and an advertisement by one layer, which ends with both [A43]", () =>
    Effect.gen(function*() {
      const example = yield* start("service")
      const said = yield* example.lines
      assert.deepStrictEqual(said, [
        "CONNECTED",
        `billing: {"address":"10.0.0.7:8080","workers":1}`,
        `billing: {"address":"10.0.0.7:8080","workers":4}`,
        "nobody is there"
      ])
      assert.strictEqual((yield* example.proxy.stats()).connections, 1)
    }))

  it.live("two-clusters", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* lines("two-clusters"), ["billing: limits, prices", "search: limits"])
    }))

  it.live("scheduled-job does the work of each date once although an answer is lost", () =>
    Effect.gen(function*() {
      const example = yield* start("scheduled-job")
      const lost = yield* example.proxy.swallowReply({ op: "create2", path: /lock-/ })
      const said = yield* example.lines
      assert.strictEqual((yield* lost.fired).op, "create2")
      for (const date of ["2026-01-30", "2026-01-31"]) {
        assert.strictEqual(said.filter((line) => line === `${date}: making the report`).length, 1, said.join("\n"))
        assert.strictEqual(said.filter((line) => line === `${date}: nothing left to do`).length, 2, said.join("\n"))
      }
    }))

  it.live("shared-file is never seen torn", () =>
    Effect.gen(function*() {
      const said = yield* lines("shared-file")
      assert.strictEqual(said.filter((line) => line === "whole: 2 pages").length, 4, said.join("\n"))
      assert.includeMembers(said, ["edition 2 is out (shared)", "edition 3 is out (shared)"])
    }))

  it.live("giving-way gives way", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* lines("giving-way"), [
        "batch: a",
        "batch: giving way to urgent",
        "urgent: one page",
        "batch: b",
        "batch: c",
        "batch: done"
      ])
    }))

  it.live("fenced-store refuses a holder of the past", () =>
    Effect.gen(function*() {
      const said = yield* lines("fenced-store")
      assert.deepStrictEqual(said.slice(-3), [
        "removed",
        "refused: another has held the lock since",
        "the store: by the second holder"
      ])
    }))

  it.live("mirror-a-tree tells all changes across a lost connection", () =>
    Effect.gen(function*() {
      const example = yield* start("mirror-a-tree")
      yield* example.awaitLine("up to date")
      yield* example.proxy.cutAll
      const said = yield* example.lines
      assert.isAtLeast((yield* example.proxy.stats()).connections, 2)
      assert.deepStrictEqual(said.slice(0, 2), ["4 nodes", "billing: 1, 2"])
      assert.sameMembers(said.slice(2, 6).filter((line) => line.startsWith("+")), [
        "+ / ",
        "+ /billing ",
        "+ /billing/1 10.0.0.1:80",
        "+ /billing/2 10.0.0.2:80"
      ])
      assert.isAtLeast(said.filter((line) => line === "up to date").length, 2, said.join("\n"))
      assert.include(said, "without a connection")
      const changes = said.slice(6).filter((line) => /^[-+~]/.test(line))
      assert.deepStrictEqual(changes, [
        "~ /billing/1 10.0.0.1:80 -> 10.0.0.9:80",
        "+ /search 10.0.0.3:80",
        "- /billing/2"
      ])
    }))

  it.live("session-expires announces itself in every session", () =>
    Effect.gen(function*() {
      const example = yield* start("session-expires", { ZK_SESSION_TIMEOUT: "1 second" })
      yield* example.awaitLine("announced")
      yield* example.proxy.setAccept("refuse")
      yield* example.proxy.cutAll
      yield* example.awaitLine("session: Expired")
      yield* example.proxy.setAccept("accept")
      const said = yield* example.lines
      const states = said.filter((line) => line.startsWith("session: "))
      assert.deepStrictEqual(states, ["session: Connected", "session: Suspended", "session: Expired"])
      assert.strictEqual(said.filter((line) => line === "announced").length, 2)
      assert.strictEqual(said.at(-1), "the node is back")
      // The client's warning, by the logger that a program has if it chooses none.
      assert.match(
        said.join(" "),
        /session expired: [^{]*\{\s+'zookeeper\.session': '0x[0-9a-f]+',\s+'zookeeper\.server': '127\.0\.0\.1:\d+'/
      )
    }))
})
