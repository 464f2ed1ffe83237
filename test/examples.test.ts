import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { execFile } from "node:child_process"
import { readdirSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { attempt } from "./support/rigError.ts"
import { freshRoot, shared } from "./support/shared.ts"

const folder = new URL("../examples/", import.meta.url)

/** Runs an example as a user does, below a node of its own, and gives the lines that it prints. */
const run = (name: string) =>
  Effect.gen(function*() {
    const { connectString } = yield* shared
    const servers = `${connectString.replace(/\/.*$/, "")}${yield* freshRoot}`
    return yield* attempt(name, (signal) =>
      new Promise<ReadonlyArray<string>>((resolve, reject) => {
        const file = fileURLToPath(new URL(`${name}.ts`, folder))
        const env = { ...process.env, ZK_SERVERS: servers, NO_COLOR: "1" }
        execFile(process.execPath, [file], { env, signal }, (error, stdout, stderr) => {
          if (error !== null) reject(new Error(`${error.message}\n${stdout}${stderr}`))
          else resolve(stdout.trimEnd().split("\n"))
        })
      }))
  })

const expected: Record<string, ReadonlyArray<string>> = {
  "connect-and-read": [
    "connected, session timeout 10000 millis",
    "created /examples/greeting-<number>",
    "read \"hello\": 5 bytes, version 0",
    "missing: None",
    "listed: true"
  ],
  "errors-by-tag": [
    "no /examples/errors-by-tag/settings: the default",
    "create found /examples/errors-by-tag there already",
    "version 0 is gone",
    "counted to 5",
    "invalid path \"no-slash\": it does not start with /"
  ],
  "watch-configuration": [
    "no configuration: defaults",
    "version 0: 2 workers, log level info",
    "version 1: 8 workers, log level debug",
    "version 2 is malformed: keeping the last",
    "no configuration: defaults"
  ],
  "unknown-outcome": [
    "setData failed, maybe applied: true",
    "in truth: \"a lost answer\"",
    "idempotent: version 1 later, once",
    "applied: the mark is ours",
    "gone"
  ],
  "two-clusters": [
    "billing has 2 limits",
    "search has 1 limit",
    "2 sessions"
  ]
}

describe.concurrent("examples", () => {
  it("are all run here", () => {
    const programs = readdirSync(folder).filter((file) => file.endsWith(".ts") && file !== "demo.ts")
    assert.deepStrictEqual(
      programs.toSorted(),
      [...Object.keys(expected), "session-expires"].map((n) => `${n}.ts`).toSorted()
    )
  })

  for (const [name, lines] of Object.entries(expected)) {
    it.live(`${name} does what it says [EX-01]`, () =>
      Effect.gen(function*() {
        assert.deepStrictEqual(yield* run(name), lines)
      }))
  }

  it.live("session-expires does what it says [EX-01]", () =>
    Effect.gen(function*() {
      const lines = yield* run("session-expires")
      // Two fibers print: what each of them says has an order.
      const states = lines.filter((line) => line.startsWith("state: ")).map((line) => line.slice("state: ".length))
      assert.deepStrictEqual(states, ["Connected", "Suspended", "Connected", "Suspended", "Expired", "Connected"])
      // The client's warning, by the logger that a program has if it chooses none.
      assert.match(
        lines.join(" "),
        /session expired: [^{]*\{\s+'zookeeper\.session': '0x[0-9a-f]+',\s+'zookeeper\.server': '127\.0\.0\.1:\d+'/
      )
      assert.deepStrictEqual(lines.filter((line) => /^(registered|after|another)/.test(line)), [
        "registered",
        "after a short interruption the node is still there",
        "registered",
        "another session: true, the node is its own: true"
      ])
    }))
})
