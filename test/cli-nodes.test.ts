/** The commands of the `zk` program on nodes, as people and as programs use them. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { makeZk, matchesSnapshot, type Zk } from "./support/cli.ts"

/** Something to look at. */
const furnish = ({ client }: Zk) =>
  Effect.gen(function*() {
    yield* client.create("/app/config", `{"rate": 25}`, { parents: true })
    yield* client.create("/app/empty", "")
    yield* client.create(
      "/app/logo",
      Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0xff, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12)
    )
    yield* client.create("/app/members/m-", "10.0.0.7:8080", { mode: "ephemeralSequential", parents: true })
    yield* client.create("/app/none", null)
    yield* client.create("/app/grüße, 世界", "two\nlines\n")
    yield* client.create("/app/with a name that is much too long for a terminal of eighty columns, and then some", "x")
  })

describe.concurrent("zk, on nodes", () => {
  it.live("lists, draws and shows them, to people and to programs [CLI-N1] [CLI-N2]", ({ expect }) =>
    Effect.gen(function*() {
      const zk = yield* makeZk()
      yield* furnish(zk)
      const outputs: Array<string> = []
      for (
        const args of [
          ["ls", "/app"],
          ["ls", "/app", "-l"],
          ["ls", "-R"],
          ["tree"],
          ["tree", "/app", "--depth", "1"],
          ["get", "/app/config"],
          ["get", "/app/config", "--stat"],
          ["get", "/app/logo", "--hex"],
          ["stat", "/app/config"],
          ["rm", "-r", "/app", "--dry-run"]
        ]
      ) {
        for (const flags of [[], ["--json"]]) {
          const { code, stderr, stdout } = yield* zk.run([...args, ...flags])
          assert.strictEqual(code, 0, stderr)
          outputs.push(`$ zk ${[...args, ...flags].join(" ")}\n${stdout.replace(/([^\n])$/, "$1⏎\n")}${stderr}`)
        }
      }
      yield* matchesSnapshot(expect, "nodes", outputs.join("\n"))
    }))

  it.live("fits what it shows to the terminal [CLI-N3]", ({ expect }) =>
    Effect.gen(function*() {
      const zk = yield* makeZk()
      yield* furnish(zk)
      const outputs: Array<string> = []
      const nodes = ["logo", "none", "empty"].map((name) => ["get", `/app/${name}`])
      const commands = [["ls", "/app", "-l"], ["tree"], ["stat", "/app/config"], ...nodes]
      const shown = yield* Effect.forEach(
        [80, 200].flatMap((columns) => commands.map((args) => ({ args, columns }))),
        ({ args, columns }) => Effect.map(zk.show(args, { columns }), (screen) => ({ args, columns, screen })),
        { concurrency: 4 }
      )
      for (const { args, columns, screen } of shown) {
        for (const line of screen.split("\n")) assert.isAtMost(line.length, columns, line)
        outputs.push(`$ zk ${args.join(" ")}   (${columns} columns)\n${screen}`)
      }
      for (const args of [["create", "/app/new", "x"], ["set", "/app/new", "yes"], ["rm", "/app/new"]]) {
        outputs.push(`$ zk ${args.join(" ")}   (80 columns)\n${yield* zk.show(args)}`)
      }
      yield* matchesSnapshot(expect, "nodes-terminal", outputs.join("\n"))
    }))
})
