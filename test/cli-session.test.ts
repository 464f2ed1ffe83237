/** `zk session` and `zk config`: what the servers know of the client, and of each other. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { parseEnsemble } from "../src/cli/ensemble.ts"
import { makeZk, matchesSnapshot } from "./support/cli.ts"
import { makeProxy } from "./support/proxy.ts"
import { freshRoot, shared } from "./support/shared.ts"

/** An answer that has only the error of unknown requests. */
const unimplemented = (payload: Buffer) => {
  const header = Buffer.from(payload.subarray(0, 16))
  header.writeInt32BE(-6, 12)
  return header
}

const anonymous = (text: string, root: string) =>
  text.replaceAll(root, "/<root>").replaceAll(/127\.0\.0\.1:\d+/g, "<server>")

describe.concurrent("zk session", () => {
  it.live("shows session, server, root and identities, to people and to programs [CLI-I1]", ({ expect }) =>
    Effect.gen(function*() {
      const zk = yield* makeZk()
      const root = zk.hosts.slice(zk.hosts.indexOf("/"))
      const outputs: Array<string> = []
      for (const args of [["session"], ["session", "--json"], ["session", "-u", "ann"]]) {
        const { code, stderr, stdout } = yield* zk.run(args, { env: { ZK_PASSWORD: "wonderland" } })
        assert.strictEqual(code, 0, stderr)
        assert.notInclude(stdout + stderr, "wonderland")
        outputs.push(`$ zk ${args.join(" ")}\n${stdout}${stderr}`)
      }
      outputs.push(`$ zk session   (terminal)\n${yield* zk.show(["session"])}`)
      yield* matchesSnapshot(expect, "session", anonymous(outputs.join("\n"), root))
    }))

  it.live("leaves out what an older server does not know [CLI-I1]", () =>
    Effect.gen(function*() {
      const { port } = yield* shared
      const proxy = yield* makeProxy(port)
      const root = yield* freshRoot
      const zk = yield* makeZk(`${proxy.connectString}${root}`)
      const asked = yield* proxy.rule({ direction: "toClient", op: "whoAmI" }, { replace: unimplemented })
      const listed = yield* proxy.rule({ direction: "toClient", op: "getEphemerals" }, { replace: unimplemented })
      const { code, stderr, stdout } = yield* zk.run(["session", "--json"])
      assert.strictEqual(code, 0, stderr)
      assert.deepStrictEqual([yield* asked.count, yield* listed.count], [1, 1])
      const told = JSON.parse(stdout) as object
      assert.deepStrictEqual(Object.keys(told), ["sessionId", "timeout", "server", "readOnly", "root", "lastZxid"])
    }))
})

describe.concurrent("zk config", () => {
  it("reads members of all forms, and what it does not know [CLI-I2]", () => {
    const text = [
      "server.2=zk2:2888:3888:observer;[::1]:2181",
      "server.10=zk10:2888:3888:participant;2182",
      "server.1=zk1a:2888:3888|[fe80::1]:2888:3888:participant;0.0.0.0:2181",
      "server.3=zk3:2888:3888",
      "group.1=1:2",
      "nonsense",
      "",
      "version=10000000a"
    ].join("\n")
    assert.deepStrictEqual(parseEnsemble(text), {
      version: "0x10000000a",
      members: [
        {
          id: "1",
          role: "participant",
          addresses: ["zk1a:2888:3888", "[fe80::1]:2888:3888"],
          client: "0.0.0.0:2181"
        },
        { id: "2", role: "observer", addresses: ["zk2:2888:3888"], client: "[::1]:2181" },
        { id: "3", role: "participant", addresses: ["zk3:2888:3888"], client: undefined },
        { id: "10", role: "participant", addresses: ["zk10:2888:3888"], client: "0.0.0.0:2182" }
      ],
      settings: [["group.1", "1:2"]]
    })
    assert.deepStrictEqual(parseEnsemble(""), { version: undefined, members: [], settings: [] })
  })

  it.live("shows the servers, their roles and addresses, to people and to programs [CLI-I2]", ({ expect }) =>
    Effect.gen(function*() {
      const { port } = yield* shared
      const proxy = yield* makeProxy(port)
      const zk = yield* makeZk(proxy.connectString)
      const alone = yield* zk.run(["config"])
      assert.deepStrictEqual(alone, { code: 0, stdout: "", stderr: "the server tells of no ensemble: it is alone\n" })
      // What an ensemble would have answered: the shared server has none.
      const config = [
        "server.1=zk1.example.org:2888:3888:participant;0.0.0.0:2181",
        "server.2=zk2.example.org:2888:3888|zk2.backup.example.org:2888:3888:participant;0.0.0.0:2181",
        "server.3=zk3.example.org:2888:3888:observer;0.0.0.0:2181",
        "version=100000000"
      ].join("\n")
      const replaced = yield* proxy.rule({ direction: "toClient", op: "getData", path: "/zookeeper/config" }, {
        replace: (payload: Buffer) => {
          const data = Buffer.from(config)
          const length = Buffer.alloc(4)
          length.writeInt32BE(data.length)
          // Header, then the data with its length, then the Stat.
          const stat = payload.subarray(payload.length - 68)
          return Buffer.concat([payload.subarray(0, 16), length, data, stat])
        }
      }, { times: 4 })
      const outputs: Array<string> = []
      for (const args of [["config"], ["config", "--json"]]) {
        const { code, stderr, stdout } = yield* zk.run(args)
        assert.strictEqual(code, 0, stderr)
        outputs.push(`$ zk ${args.join(" ")}\n${stdout}${stderr}`)
      }
      for (const columns of [80, 200]) {
        const screen = yield* zk.show(["config"], { columns })
        for (const line of screen.split("\n")) assert.isAtMost(line.length, columns, line)
        outputs.push(`$ zk config   (${columns} columns)\n${screen}\n`)
      }
      assert.strictEqual(yield* replaced.count, 4)
      yield* matchesSnapshot(expect, "config", outputs.join("\n"))
    }))
})
