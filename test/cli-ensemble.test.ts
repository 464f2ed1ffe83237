/** The `zk` program and a real ensemble: each command, and the loss of the leader under those that run for long. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { mkdtempSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { endLine, nodeLine } from "../src/cli/exportFormat.ts"
import { commands } from "../src/cli/program.ts"
import { makeZk } from "./support/cli.ts"
import { makeEnsemble } from "./support/ensemble.ts"
import { makeProxy } from "./support/proxy.ts"
import { screenOf } from "./support/screen.ts"

const count = 400
const paths = ["/", ...Array.from({ length: count - 1 }, (_, index) => `/n${index}`)]

describe("zk, with an ensemble", () => {
  it.live("does what it does with one server, and outlives the leader [CLI-E1] [CLI-E2]", () =>
    Effect.gen(function*() {
      const folder = mkdtempSync(join(tmpdir(), "zk-cli-"))
      const ensemble = yield* makeEnsemble({ tickTime: 500 })
      const leader = yield* ensemble.leader
      const [follower] = yield* ensemble.followers
      const zk = yield* makeZk(ensemble.connectString)

      const runs: ReadonlyArray<ReadonlyArray<string>> = [
        ["create", "/app/config", "one", "--parents"],
        ["create", "/locks/unused/x", "--parents"],
        ["rm", "/locks/unused/x"],
        ["set", "/app/config", "two"],
        ["get", "/app/config"],
        ["stat", "/app/config"],
        ["ls", "/app"],
        ["tree", "/app"],
        ["cp", "/app", "/copy", "--recursive"],
        ["export", "/copy", "--output", join(folder, "copy.jsonl")],
        ["import", join(folder, "copy.jsonl"), "/again"],
        ["acl", "set", "/again", "world:anyone:cdrwa"],
        ["acl", "get", "/again"],
        ["locks", "list"],
        ["locks", "show", "unused"],
        ["locks", "clear", "unused"],
        ["session"],
        ["ping", "--count", "1"],
        ["config"]
      ]
      const names = commands.flatMap(({ commands }) => commands.map(({ name }): string => name))
      assert.sameMembers([...new Set(runs.map(([name]) => name!)), "watch"], names)
      for (const args of runs) {
        const { code, stderr, stdout } = yield* zk.run(args)
        assert.strictEqual(code, 0, `${args.join(" ")}: ${stdout}${stderr}`)
      }
      const one = yield* zk.start(["watch", "/app/config", "--count", "1"])
      yield* one.awaitText("watching")
      yield* zk.client.setData("/app/config", "three")
      assert.strictEqual((yield* one.ended).code, 0)
      const members = (yield* zk.run(["config", "--json"])).stdout.trim().split("\n").map((line) => JSON.parse(line))
      assert.include(JSON.stringify(members), "participant")

      // The leader dies in the middle of an import, in sight of a watch and of a shell.
      const file = join(folder, "many.jsonl")
      const lines = paths.map((path) => nodeLine({ path, data: Buffer.from(path), acl: undefined }))
      writeFileSync(file, [...lines, endLine({ nodes: count, leftOut: 0 })].join("\n"))
      const watch = yield* zk.start(["watch", "/many", "--recursive", "--json"])
      yield* watch.awaitText("watching")
      const shell = yield* zk.open(["shell"], { env: { XDG_STATE_HOME: folder, NO_COLOR: "1" } })
      yield* shell.awaitText("zk connected /> ")
      const proxy = yield* makeProxy(follower!.port)
      let begun = 0
      const killed = yield* proxy.rule(
        { direction: "toServer", op: "create", where: () => ++begun > 100 },
        { before: Effect.orDie(leader.kill) }
      )
      const running = yield* zk.start(["import", file, "/many"], { env: { ZK_SERVERS: proxy.connectString } })
      yield* killed.fired
      const { code, stderr, stdout } = yield* running.ended
      assert.strictEqual(code, 0, stderr)
      assert.strictEqual(stdout, `/many: ${count} new nodes\n`)
      assert.include(stderr, "connection lost")

      yield* shell.awaitText("connected again")
      const from = shell.stdout().length
      yield* shell.send("ls /app\r")
      yield* shell.awaitText(/config\r\n[^]*zk connected \/> /, from)
      yield* shell.send("exit\r")
      const ended = yield* shell.ended
      assert.strictEqual(ended.code, 0, screenOf(ended.stdout))

      yield* Effect.retry(zk.client.sync(), { times: 5 })
      assert.strictEqual((yield* zk.client.getChildren("/many")).children.length, count - 1)
      // Each node once, whatever the watch went through.
      yield* watch.awaitText(new RegExp(`^(.*\n){${count}}`))
      yield* watch.signal("SIGINT")
      const told = (yield* watch.ended).stdout.trim().split("\n").map((line) => JSON.parse(line))
      assert.strictEqual(told.length, count)
      assert.sameMembers(told.map(({ path }) => path), paths.map((path) => path === "/" ? "/many" : `/many${path}`))
    }), 60_000)
})
