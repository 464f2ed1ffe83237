/** `zk acl`: who may do what with nodes, looked at and set. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import { formatAcl, parseAcl } from "../src/cli/acl.ts"
import type { Acl } from "../src/ZkAcl.ts"
import * as ZkAcl from "../src/ZkAcl.ts"
import { makeZk, matchesSnapshot, type Zk } from "./support/cli.ts"
import { makeProxy } from "./support/proxy.ts"
import { freshRoot, shared } from "./support/shared.ts"

const aclOf = ({ client }: Zk, path: string) =>
  Effect.map(client.getAcl(path), ({ acl }) => acl.map(formatAcl).join(","))

const others: ReadonlyArray<Acl> = [
  { perms: ZkAcl.Perms.all, scheme: "digest", id: ZkAcl.digestId("bob", Redacted.make("secret")) }
]

describe.concurrent("zk acl", () => {
  it("reads entries whose ids have commas, and takes no two entries for one [CLI-A1]", () => {
    const list = "x509:CN=zk-1,OU=a:b,O=c:cdrwa,world:anyone:r"
    assert.strictEqual(Result.getOrThrow(parseAcl(list)).map(({ id }) => id).join(" | "), "CN=zk-1,OU=a:b,O=c | anyone")
    assert.strictEqual(Result.getOrThrow(parseAcl(list)).map(formatAcl).join(","), list)
    for (
      const wrong of ["world:anyone:x,world:anyone:r", "world:anyone:r,rubbish", "world:anyone:r,", ",world:a:r", ""]
    ) {
      assert.isTrue(Result.isFailure(parseAcl(wrong)), wrong)
    }
  })

  it.live("prints and sets the ACL of a node, if it has a version [CLI-A1]", ({ expect }) =>
    Effect.gen(function*() {
      const zk = yield* makeZk()
      yield* zk.client.create("/a", "")
      const outputs: Array<string> = []
      const runs: ReadonlyArray<readonly [exit: number, ...args: ReadonlyArray<string>]> = [
        [0, "get", "/a"],
        [0, "get", "/a", "--json"],
        [0, "set", "/a", "world:anyone:rwa,ip:127.0.0.1:cdrwa"],
        [4, "set", "/a", "world:anyone:r", "--if-version", "0"],
        [0, "set", "/a", "world:anyone:cdrwa", "--if-version", "1", "--json"],
        [3, "get", "/missing"],
        [3, "set", "/missing", "world:anyone:r"],
        [3, "set", "/missing", "world:anyone:r", "-r", "--yes"],
        [2, "set", "/a", "auth::cdrwa,rubbish"],
        [2, "set", "/a", "world:somebody:r"],
        [2, "set", "/a", "world:anyone:r", "--recursive"],
        [2, "set", "/a", "world:anyone:r", "-r", "--if-version", "1"]
      ]
      for (const [exit, ...args] of runs) {
        const { code, stderr, stdout } = yield* zk.run(["acl", ...args])
        assert.strictEqual(code, exit, stderr)
        outputs.push(`$ zk acl ${args.join(" ")}   (exit ${code})\n${stdout}${stderr}`)
      }
      const screen = yield* zk.show(["acl", "get", "/a"])
      outputs.push(`$ zk acl get /a   (terminal)\n${screen}`)
      assert.strictEqual(yield* aclOf(zk, "/a"), "world:anyone:cdrwa")
      yield* matchesSnapshot(expect, "acl", outputs.join("\n"))
    }))

  it.live("sets the ACLs of a tree after a question, going on past nodes that go [CLI-A2]", () =>
    Effect.gen(function*() {
      const zk = yield* makeZk()
      const paths = ["/t", "/t/a", "/t/a/b", "/t/c"]
      for (const path of paths) yield* zk.client.create(path)
      const set = ["acl", "set", "/t", "world:anyone:cdra", "-r"]
      for (const answer of ["n", "y"]) {
        const terminal = yield* zk.open(set, { columns: 120 })
        yield* terminal.awaitText("Set the ACL of /t and 3 nodes below it?")
        for (const path of paths) assert.strictEqual(yield* aclOf(zk, path), "world:anyone:cdrwa")
        if (answer === "y") yield* zk.client.delete("/t/c")
        yield* terminal.send(answer)
        const { code, stdout } = yield* terminal.ended
        assert.strictEqual(code, answer === "y" ? 0 : 1)
        if (answer === "y") {
          assert.include(stdout, "3 nodes set to world:anyone:cdra, 1 had gone meanwhile")
        }
      }
      for (const path of paths.slice(0, 3)) assert.strictEqual(yield* aclOf(zk, path), "world:anyone:cdra")
    }))

  it.live("says which nodes of a tree it may not set, and sets the others [CLI-A2]", () =>
    Effect.gen(function*() {
      const zk = yield* makeZk()
      for (const path of ["/t", "/t/a", "/t/closed", "/t/closed/below", "/t/z"]) yield* zk.client.create(path)
      yield* zk.client.setAcl("/t/closed", others)
      const set = ["acl", "set", "/t", "world:anyone:cdra", "-r", "--yes"]
      const told = yield* zk.run(set)
      assert.strictEqual(told.code, 5)
      assert.strictEqual(told.stdout, "3 nodes set to world:anyone:cdra\n")
      assert.strictEqual(
        told.stderr,
        [
          "/t/closed: what is below may not be read, and stays",
          "/t/closed: not allowed, not set",
          "zk: the ACL was set on 3 of 4 nodes, not on 1: /t/closed: the ACL does not allow it to this session",
          ""
        ].join("\n")
      )
      for (const path of ["/t", "/t/a", "/t/z"]) assert.strictEqual(yield* aclOf(zk, path), "world:anyone:cdra")
      assert.strictEqual(yield* aclOf(zk, "/t/closed/below"), "world:anyone:cdrwa")
      const json = yield* zk.run([...set, "--json"])
      assert.deepInclude(JSON.parse(json.stdout), { set: 3, vanished: 0, refused: ["/t/closed"], left: 1, unsure: 0 })
    }))

  it.live("says how far it came when the connection fails half way [CLI-A2]", () =>
    Effect.gen(function*() {
      const { port } = yield* shared
      const proxy = yield* makeProxy(port)
      const root = yield* freshRoot
      const zk = yield* makeZk(`${proxy.connectString}${root}`)
      yield* zk.client.create("/t")
      const count = 60
      const names = Array.from({ length: count }, (_, index) => `/t/${String(index).padStart(2, "0")}`)
      for (const name of names) yield* zk.client.create(name)
      const cut = yield* proxy.rule({ direction: "toServer", op: "setACL", path: `${root}/t/30` }, "cut")
      const { code, stderr, stdout } = yield* zk.run(["acl", "set", "/t", "world:anyone:cdra", "-r", "--yes", "--json"])
      assert.strictEqual(yield* cut.count, 1)
      assert.strictEqual(code, 7, stderr)
      const told = JSON.parse(stdout) as Record<"set" | "left" | "unsure" | "vanished", number>
      assert.strictEqual(told.set + told.left + told.unsure, count + 1)
      assert.isAbove(told.left, 0)
      assert.isAbove(told.unsure, 0)
      const message = String((JSON.parse(stderr) as Record<string, unknown>)["message"])
      assert.include(
        message,
        `the ACL was set on ${told.set} of 61 nodes, not on ${told.left}, nobody knows of ${told.unsure}: `
      )
      const acls = yield* Effect.forEach(["/t", ...names], (path) => aclOf(zk, path), { concurrency: 16 })
      const done = acls.filter((acl) => acl === "world:anyone:cdra").length
      assert.isAtLeast(done, told.set)
      assert.isAtMost(done, told.set + told.unsure)
    }))
})
