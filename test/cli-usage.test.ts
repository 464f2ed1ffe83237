/** What the `zk` program says of itself, and to command lines that it cannot understand. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { asksForJson } from "../src/cli/tell.ts"
import { makeZk, matchesSnapshot } from "./support/cli.ts"

/** Where nothing is sent, nobody needs to listen. */
const nowhere = "127.0.0.1:1"

describe.concurrent("zk, and how it is used", () => {
  it.live("says what is wrong, how it is right, and where to read more [CLI-U1] [CLI-U2]", ({ expect }) =>
    Effect.gen(function*() {
      const zk = yield* makeZk()
      const wrong: ReadonlyArray<ReadonlyArray<string>> = [
        ["ls", "--foo", "--recursvie"],
        ["lst"],
        ["create"],
        ["ls", "a", "b\u001b[2J", "c"],
        ["tree", "--depth", "x"],
        ["create", "/a", "--ttl", "soon"],
        ["ls", "--servers"],
        ["ls", "--log-level", "loud"],
        ["create", "/a", "--acl", "everybody"]
      ]
      const outputs = yield* Effect.forEach(
        [...wrong, ...wrong.slice(0, 3).map((args) => [...args, "--json"])],
        (args) =>
          Effect.map(zk.run(args, { env: { ZK_SERVERS: nowhere } }), ({ code, stderr, stdout }) => {
            assert.strictEqual(code, 2, stderr)
            assert.strictEqual(stdout, "")
            if (args.includes("--json")) {
              const lines = stderr.trimEnd().split("\n")
              assert.lengthOf(lines, 1)
              const told: unknown = JSON.parse(lines[0]!)
              assert.deepInclude(told, { error: "usage", exitCode: 2 })
            }
            return `$ zk ${args.join(" ").replace("\u001b", "ESC")}\n${stderr}`
          }),
        { concurrency: 4 }
      )
      yield* matchesSnapshot(expect, "usage", outputs.join("\n"))
    }))

  it("knows who wants JSON before it knows the rest [CLI-U2]", () => {
    for (const words of [["ls", "--json"], ["--json=true", "ls"]]) assert.isTrue(asksForJson(words))
    for (const words of [["ls"], ["--json=false", "ls"], ["ls", "--", "--json"]]) assert.isFalse(asksForJson(words))
  })

  it.live("has help in eighty columns, on standard output where it was asked for [CLI-U3] [CLI-U4]", ({ expect }) =>
    Effect.gen(function*() {
      const zk = yield* makeZk()
      const env = { ZK_SERVERS: nowhere }
      const run = (args: ReadonlyArray<string>) => zk.run(args, { env })
      const [help, ls, create, nothing, version] = yield* Effect.all([
        run(["--help"]),
        run(["ls", "--help"]),
        run(["create", "-h"]),
        run([]),
        run(["--version"])
      ], { concurrency: 4 })
      for (const { code, stderr, stdout } of [help, ls, create]) {
        assert.strictEqual(code, 0)
        assert.strictEqual(stderr, "")
        for (const line of stdout.split("\n")) assert.isAtMost(line.length, 80, line)
      }
      assert.match(help.stdout, /\n {2}ls {2,}List the children of a node\n/)
      yield* matchesSnapshot(expect, "help", `$ zk ls --help\n${ls.stdout}\n$ zk create -h\n${create.stdout}`)
      assert.deepStrictEqual(nothing, { code: 2, stdout: "", stderr: help.stdout })
      assert.match(version.stdout, /^zk \d+\.\d+\.\d+\n$/)
      // Narrower than that, where the terminal is.
      const narrow = yield* zk.show(["ls", "--help"], { columns: 60 })
      for (const line of narrow.split("\n")) assert.isAtMost(line.length, 60, line)
    }))
})
