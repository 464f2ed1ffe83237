/** The commands of the `zk` program that change nodes. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { createHash } from "node:crypto"
import { mkdtempSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { makeZk, matchesSnapshot, type Ran, type Zk } from "./support/cli.ts"
import { expireThrough } from "./support/expire.ts"
import { makeProxy } from "./support/proxy.ts"
import { screenOf } from "./support/screen.ts"
import { shared } from "./support/shared.ts"

const failed = (ran: Ran, code: number) => {
  assert.strictEqual(ran.code, code, `${ran.stdout}${ran.stderr}`)
  assert.strictEqual(ran.stdout, "")
  assert.match(ran.stderr, /^zk: [^\n]+\n$/)
}

/** With what it printed. */
const transcript = (zk: Zk, runs: ReadonlyArray<readonly [ReadonlyArray<string>, string?]>) =>
  Effect.gen(function*() {
    const lines: Array<string> = []
    for (const [args, stdin] of runs) {
      const { code, stderr, stdout } = yield* zk.run(args, { stdin })
      const end = code === 0 ? "" : `[${code}]\n`
      lines.push(`$ ${stdin === undefined ? "" : "… | "}zk ${args.join(" ")}\n${stdout}${stderr}${end}`)
    }
    return lines.join("\n")
  })

describe.concurrent("zk, changing nodes", () => {
  it.live("creates, sets and deletes, and says what it did and what it could not [CLI-N4] [CLI-N5]", ({ expect }) =>
    Effect.gen(function*() {
      const zk = yield* makeZk()
      const output = yield* transcript(zk, [
        [["create", "/app/config", "one"]],
        [["create", "/app/config", "one", "--parents"]],
        [["create", "/app/config", "--json"]],
        [["create", "/app/job-", "-q", "--json"]],
        [["create", "/app/job-", "-q", "--acl", "world:anyone:r"]],
        [["create", "/app/box", "--container"]],
        [["create", "/app/x", "--container", "--sequential"]],
        [["create", "/app/x", "--container", "--ephemeral"]],
        [["create", "/app/x", "--acl", "world:anyone:q"]],
        [["create", "/app/x", "--ttl", "soon"]],
        [["create", "/app/brief", "--ttl", "10m"]],
        [["set", "/app/config", "two"]],
        [["set", "/app/config", "three", "--if-version", "7"]],
        [["set", "/app/config", "three", "--if-version", "1", "--json"]],
        [["set", "/app/config"]],
        [["set", "/app/config", "x", "--null"]],
        [["set", "/app/config", "-"], "from a pipe"],
        [["set", "/app/config", "////", "--base64"]],
        [["set", "/app/config", "?", "--base64"]],
        [["set", "/app/config", "--null"]],
        [["set", "/new/node", "x"]],
        [["set", "/new/node", "x", "--create"]],
        [["set", "/new/node", "x", "--create", "--if-version", "1"]],
        [["rm", "/app"]],
        [["rm", "/new/node", "--if-version", "3"]],
        [["rm", "/new/node", "--if-version", "0"]],
        [["rm", "/new/node"]],
        [["rm", "/new", "--json"]],
        [["rm", "-r", "/app"]],
        [["rm", "-r", "/app", "--if-version", "1"]],
        [["rm", "/app", "--dry-run"]],
        [["rm", "-r", "/app", "--yes"]],
        [["rm", "/"]],
        [["get", "/../gone/./it/"]],
        [["get", "/gone", "--json"]]
      ])
      yield* matchesSnapshot(expect, "writes", output)
      assert.deepStrictEqual((yield* zk.client.getChildren("/")).children, [])
    }))

  it.live("takes data from arguments, files and pipes, byte by byte [CLI-N6]", () =>
    Effect.gen(function*() {
      const zk = yield* makeZk()
      const bytes = Uint8Array.from({ length: 256 }, (_, index) => index)
      const file = join(mkdtempSync(join(tmpdir(), "zk-cli-")), "data")
      writeFileSync(file, bytes)
      assert.strictEqual((yield* zk.run(["create", "/file", "--file", file])).code, 0)
      assert.strictEqual((yield* zk.run(["create", "/pipe", "-"], { stdin: bytes })).code, 0)
      assert.strictEqual((yield* zk.run(["create", "/none", "--null"])).code, 0)
      assert.strictEqual((yield* zk.run(["create", "/nothing"])).code, 0)
      assert.deepStrictEqual((yield* zk.client.getData("/file")).data, bytes)
      assert.deepStrictEqual((yield* zk.client.getData("/pipe")).data, bytes)
      assert.isNull((yield* zk.client.getData("/none")).data)
      assert.deepStrictEqual((yield* zk.client.getData("/nothing")).data, new Uint8Array())
      const json = JSON.parse((yield* zk.run(["get", "/file", "--json"])).stdout)
      assert.deepStrictEqual(Uint8Array.from(Buffer.from(json.data, "base64")), bytes)
    }))

  it.live("asks on a terminal before it deletes a subtree, and wants --yes elsewhere [CLI-N7]", () =>
    Effect.gen(function*() {
      const zk = yield* makeZk()
      yield* zk.client.create("/a/b", "x", { parents: true })
      failed(yield* zk.run(["rm", "-r", "/a"]), 2)
      for (const [answer, isThere] of [["n", true], ["\u0003", true], ["y", false]] as const) {
        const terminal = yield* zk.open(["rm", "-r", "/a"])
        yield* terminal.awaitText("Delete /a and 1 node below it?")
        yield* terminal.send(answer)
        const { code, stdout } = yield* terminal.ended
        assert.strictEqual(code, answer === "y" ? 0 : answer === "n" ? 1 : 130, screenOf(stdout))
        assert.match(stdout, /\n$/)
        assert.strictEqual((yield* zk.client.getChildren("/")).children.includes("a"), isThere)
      }
    }))

  it.live("does not pass a part of a tree off as all of it, be it shown or deleted [CLI-N11]", () =>
    Effect.gen(function*() {
      const zk = yield* makeZk()
      yield* zk.client.create("/t/secret/below", "", { parents: true })
      yield* zk.client.create("/u/kept/below", "", { parents: true })
      yield* zk.client.create("/u/other/x/y", "", { parents: true })
      yield* zk.client.setAcl("/t/secret", [{ perms: 31, scheme: "digest", id: "bob:none" }])
      yield* zk.client.setAcl("/u/kept", [{ perms: 1, scheme: "world", id: "anyone" }])
      const run = (...args: ReadonlyArray<string>) => zk.run(args)
      const [listed, json, closed, dry, removed] = yield* Effect.all([
        run("ls", "-R", "/t"),
        run("tree", "/t", "--json"),
        run("ls", "-l", "/t/secret"),
        run("rm", "-r", "/t", "--dry-run"),
        run("rm", "-r", "/u", "--yes")
      ], { concurrency: 5 })
      assert.strictEqual(listed.stdout, "/t/secret\n")
      assert.strictEqual(listed.stderr, "/t/secret: what is below may not be read\n")
      assert.strictEqual(json.stderr, listed.stderr)
      for (const ran of [closed, dry, removed]) failed(ran, 5)
      assert.include(
        removed.stderr,
        "/u/kept/below: the ACL does not allow it to this session; a part of what is below"
      )
      assert.isTrue(Option.isNone(yield* zk.client.exists("/u/other/x/y")))
    }))

  it.live("leaves to the servers what is theirs, and nothing else that has the name of it [CLI-N13]", () =>
    Effect.gen(function*() {
      const zk = yield* makeZk()
      yield* zk.client.create("/zookeeper/mine", "", { parents: true })
      const theirs = (yield* shared).connectString + "/zookeeper"
      const [mine, quota] = yield* Effect.all([
        zk.run(["rm", "-r", "/zookeeper", "--yes"]),
        zk.run(["rm", "-r", "/quota", "--yes", "-s", theirs])
      ], { concurrency: 2 })
      assert.strictEqual(mine.stdout, "deleted /zookeeper and 1 below it\n")
      failed(quota, 2)
      assert.include(quota.stderr, "/quota belongs to the servers")
    }))

  it.live("keeps an ephemeral node until it is interrupted, and leaves no session behind [CLI-N8]", () =>
    Effect.gen(function*() {
      const zk = yield* makeZk()
      const running = yield* zk.start(["create", "/members/m-", "me", "-e", "-q", "-p"])
      yield* running.awaitText("/members/m-0000000000\n")
      yield* running.awaitText("until this is interrupted")
      assert.notStrictEqual((yield* zk.client.getData("/members/m-0000000000")).stat.ephemeralOwner, BigInt(0))
      yield* running.signal("SIGINT")
      assert.strictEqual((yield* running.ended).code, 130)
      // At once: the session was closed, not left to expire.
      yield* zk.client.sync()
      assert.deepStrictEqual((yield* zk.client.getChildren("/members")).children, [])
    }))

  it.live("says when an ephemeral node has gone with its session, which is no failure to create it [CLI-N8]", () =>
    Effect.gen(function*() {
      const zk = yield* makeZk()
      const { port } = yield* shared
      const proxy = yield* makeProxy(port)
      const env = { ZK_SERVERS: zk.hosts.replace(/^[^/]*/, proxy.connectString) }
      const running = yield* zk.start(["create", "/me", "-e"], { env })
      yield* running.awaitText("until this is interrupted")
      yield* expireThrough(proxy, port)
      yield* proxy.cutAll
      const { code, stderr, stdout } = yield* running.ended
      assert.strictEqual(stdout, "/me\n")
      assert.match(stderr, /\nzk: \/me is gone: its session has ended\n$/)
      assert.strictEqual(code, 1)
    }))

  it.live("takes the password from the environment, a file or a prompt, and shows it to nobody [CLI-N9]", () =>
    Effect.gen(function*() {
      const zk = yield* makeZk()
      const id = createHash("sha1").update("bob:s3cret").digest("base64")
      yield* zk.client.create("/closed", "treasure", { acl: [{ perms: 31, scheme: "digest", id: `bob:${id}` }] })
      const file = join(mkdtempSync(join(tmpdir(), "zk-cli-")), "password")
      writeFileSync(file, "s3cret\n")
      failed(yield* zk.run(["get", "/closed"]), 5)
      failed(yield* zk.run(["get", "/closed", "--user", "bob"]), 2)
      const runs = [
        yield* zk.run(["get", "/closed", "--user", "bob"], { env: { ZK_PASSWORD: "s3cret" } }),
        yield* zk.run(["get", "/closed", "--user", "bob", "--password-file", file]),
        yield* zk.run(["get", "/closed", "--log-level", "debug"], { env: { ZK_AUTH: "bob:s3cret" } })
      ]
      for (const { code, stderr, stdout } of runs) {
        assert.strictEqual(stdout, "treasure", stderr)
        assert.strictEqual(code, 0)
        assert.notInclude(stderr, "s3cret")
      }
      const terminal = yield* zk.open(["get", "/closed", "--user", "bob"])
      yield* terminal.awaitText("Password of bob")
      yield* terminal.send("s3cret\r")
      const { code, stdout } = yield* terminal.ended
      assert.strictEqual(code, 0)
      assert.include(screenOf(stdout), "treasure")
      assert.notInclude(stdout, "s3cret")
      const wrong = yield* zk.run(["get", "/closed", "--user", "bob"], { env: { ZK_PASSWORD: "wr0ng" } })
      failed(wrong, 5)
      assert.notInclude(wrong.stderr, "wr0ng")
    }))

  it.live("says plainly when there is no server, and when an address is nonsense [CLI-N10]", () =>
    Effect.gen(function*() {
      const zk = yield* makeZk()
      failed(yield* zk.run(["ls", "-s", "127.0.0.1:1", "--timeout", "300ms"]), 6)
      for (const nonsense of ["zk://./library", "http://x/y", "h1:2181/p/", "zookeeper://bob:s3cret@h1/x", ":1", ""]) {
        const ran = yield* zk.run(["ls", "-s", nonsense])
        failed(ran, 2)
        assert.notInclude(ran.stderr, "s3cret")
      }
      const [servers, ...path] = zk.hosts.split("/")
      yield* zk.client.create("/here", "")
      for (const url of [`zookeeper://${servers}/${path.join("/")}`, `zookeeper:///${path.join("/")}`]) {
        const { stdout } = yield* zk.run(["ls", "-s", url], { env: { ZK_SERVERS: servers! } })
        assert.strictEqual(stdout, "here\n")
      }
      const blank = yield* zk.run(["ls"], { env: { ZK_SERVERS: " ", ASAB_ZOOKEEPER_SERVERS: zk.hosts } })
      assert.strictEqual(blank.stdout, "here\n")
    }))
})
