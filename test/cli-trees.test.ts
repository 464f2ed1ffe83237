/** `zk cp`, `export` and `import`: whole trees, from here to there and back. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { mkdtempSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { endLine, ExportReader, nodeLine } from "../src/cli/exportFormat.ts"
import { lines } from "../src/cli/lines.ts"
import { renderProgress } from "../src/cli/progress.ts"
import { readTree } from "../src/cli/treeNode.ts"
import * as ZkAcl from "../src/ZkAcl.ts"
import * as ZkClient from "../src/ZkClient.ts"
import { makeZk, matchesSnapshot, type Zk } from "./support/cli.ts"
import { makeProxy } from "./support/proxy.ts"
import { shared } from "./support/shared.ts"

const folder = () => mkdtempSync(join(tmpdir(), "zk-cli-"))

/** The password is `s3cret`. */
const bob = { scheme: "digest", id: "bob:X1weBMmhh4G+1kOSLdsTdv+wUDQ=" }

const everyByte = Uint8Array.from({ length: 256 }, (_, index) => index)

const furnish = ({ client }: Zk) =>
  Effect.gen(function*() {
    yield* client.create("/app", "root")
    yield* client.create("/app/bytes", everyByte)
    yield* client.create("/app/empty", "")
    yield* client.create("/app/none", null)
    yield* client.create("/app/grüße, 世界\u2067", `{"a": "\\n\u2028"}\r\n`)
    yield* client.create("/app/read only", "x", { acl: ZkAcl.readAcl })
    yield* client.create("/app/deep", null)
    yield* client.create("/app/deep/er", "1", {
      acl: [{ scheme: "world", id: "anyone", perms: 13 }, { scheme: "ip", id: "127.0.0.1", perms: 31 }]
    })
    yield* client.create("/app/deep/er/still", "2")
    yield* client.create("/app/deep/gone soon", "3", { mode: "ephemeral" })
  })

const transcript = (
  zk: Zk,
  runs: ReadonlyArray<readonly [ReadonlyArray<string>, string?]>,
  hide: (text: string) => string = (text) => text
) =>
  Effect.gen(function*() {
    const texts: Array<string> = []
    for (const [args, stdin] of runs) {
      const { code, stderr, stdout } = yield* zk.run(args, { stdin })
      const end = code === 0 ? "" : `[${code}]\n`
      texts.push(hide(`$ ${stdin === undefined ? "" : "… | "}zk ${args.join(" ")}\n${stdout}${stderr}${end}`))
    }
    return texts.join("\n")
  })

describe.concurrent("zk, with whole trees", () => {
  it.live("brings back what was exported: bytes, nothing, ACLs, and names in any script [CLI-X1] [CLI-X2]", ({ expect }) =>
    Effect.gen(function*() {
      const zk = yield* makeZk()
      yield* furnish(zk)
      const exported = yield* zk.run(["export", "/app"])
      assert.strictEqual(exported.code, 0)
      yield* matchesSnapshot(expect, "export", `$ zk export /app\n${exported.stdout}${exported.stderr}`)
      yield* zk.client.deleteRecursive("/app")
      assert.strictEqual((yield* zk.run(["import", "-", "/app"], { stdin: exported.stdout })).code, 0)
      const again = yield* zk.run(["export", "/app"])
      assert.strictEqual(again.stdout.replace(`"leftOut":0`, `"leftOut":1`), exported.stdout)
      assert.deepStrictEqual((yield* zk.client.getData("/app/bytes")).data, everyByte)
      assert.isNull((yield* zk.client.getData("/app/none")).data)
      assert.deepStrictEqual((yield* zk.client.getAcl("/app/read only")).acl, ZkAcl.readAcl)
      assert.strictEqual((yield* zk.client.getAcl("/app/deep/er")).acl.length, 2)
      // All of a root, which is there already wherever it goes to.
      const all = yield* zk.run(["export"])
      const other = yield* makeZk()
      assert.strictEqual((yield* other.run(["import", "-"], { stdin: all.stdout })).code, 0)
      assert.strictEqual((yield* other.run(["export"])).stdout, all.stdout)
      // Its own root it leaves alone.
      yield* other.client.setData("/", "mine")
      assert.strictEqual((yield* other.run(["import", "-", "--overwrite"], { stdin: all.stdout })).code, 0)
      assert.strictEqual((yield* other.client.getData("/")).text, "mine")
    }))

  it.live("refuses, skips or overwrites what is there, and tells beforehand [CLI-X3]", ({ expect }) =>
    Effect.gen(function*() {
      const zk = yield* makeZk()
      yield* zk.client.create("/there/b", "mine", { parents: true })
      const text = [
        nodeLine({ path: "/", data: null, acl: undefined }),
        nodeLine({ path: "/a", data: Buffer.from("1"), acl: undefined }),
        nodeLine({ path: "/b", data: Buffer.from("2"), acl: undefined }),
        nodeLine({ path: "/b/c", data: Buffer.from("3"), acl: undefined }),
        endLine({ nodes: 4, leftOut: 0 })
      ].join("\n")
      const output = yield* transcript(zk, [
        [["import", "-", "/there"], text],
        [["import", "-", "/there", "--skip", "--overwrite"], text],
        [["import", "-", "/there", "--skip", "--dry-run"], text],
        [["import", "-", "/there", "--overwrite", "--dry-run", "--json"], text],
        [["import", "-", "/there", "--skip"], text],
        [["import", "-", "/there", "--overwrite", "--json"], text],
        [["import", "-", "/new/place"], text],
        [["import", "/no/such/file", "/x"]],
        [["export", "/nowhere"]]
      ])
      yield* matchesSnapshot(expect, "import", output)
      assert.strictEqual((yield* zk.client.getData("/there/b")).text, "2")
      assert.strictEqual((yield* zk.client.getData("/there/b")).stat.version, 1)
      assert.strictEqual((yield* zk.client.getData("/there/a")).stat.version, 0)
    }))

  it.live("checks all of a file before it writes anything [CLI-X4]", () =>
    Effect.gen(function*() {
      const zk = yield* makeZk()
      const root = `{"path":"/","data":null}`
      const end = (nodes: number) => endLine({ nodes, leftOut: 0 })
      const bad: Record<string, ReadonlyArray<string>> = {
        "line 2: is no JSON": [root, `{"path":`, end(1)],
        "line 2: is no node": [root, `["/a"]`, end(1)],
        "line 3: is no node": [root, `{"path":"/a","data":null}`, `{"path":"/b","data":1}`, end(3)],
        "line 2: is no node: ": [root, `{"path":"/b","data":null,"more":1}`, end(2)],
        "line 2: has the path \"/a/../b\"": [root, `{"path":"/a/../b","data":null}`, end(2)],
        "line 2: has the path \"../b\"": [root, `{"path":"../b","data":null}`, end(2)],
        "line 3: has the path \"/a\" for a second time": [
          root,
          `{"path":"/a","data":null}`,
          `{"path":"/a","data":""}`,
          end(3)
        ],
        "line 2: has the path \"/a/b\", and its parent did not come before": [
          root,
          `{"path":"/a/b","data":null}`,
          `{"path":"/a","data":null}`,
          end(3)
        ],
        "line 1: has the path \"/a\", and its parent": [`{"path":"/a","data":null}`, end(1)],
        "line 2: has data that is no base64": [root, `{"path":"/a","data":"a","encoding":"base64"}`, end(2)],
        "line 2: has an encoding, and no data": [root, `{"path":"/a","data":null,"encoding":"base64"}`, end(2)],
        "line 2: has an ACL that is none: \"q\"": [
          root,
          `{"path":"/a","data":null,"acl":[{"scheme":"world","id":"anyone","perms":"q"}]}`,
          end(2)
        ],
        "line 2: says 2 nodes, and there are 1": [root, end(2)],
        "line 2: is of the format 2": [root, `{"end":{"format":2,"nodes":1,"leftOut":0}}`],
        "line 3: comes behind the end": [root, end(1), `{"path":"/a","data":null}`],
        "is not complete": [root],
        "is not complete:": [""].slice(1)
      }
      for (const [problem, text] of Object.entries(bad)) {
        const reader = new ExportReader()
        const found = text
          .map((line, index) => [index + 1, reader.line(Buffer.from(line))] as const)
          .find(([, why]) => why !== undefined)
        const said = found === undefined ? reader.finish() : `line ${found[0]}: ${found[1]}`
        assert.isTrue(said?.startsWith(problem), `${said} is not ${problem}`)
      }
      assert.strictEqual(new ExportReader().line(Uint8Array.of(0xff)), "is no UTF-8")
      // In a process: told in a line, and nothing is written.
      const file = join(folder(), "tree.jsonl")
      writeFileSync(file, [root, `{"path":"/a","data":"1"}`, `{"path":"/b\\u0007","data":"1"}`, end(3)].join("\n"))
      for (const [stdin, args] of [[undefined, file], [root, "-"]] as const) {
        const ran = yield* zk.run(["import", args, "/x"], { stdin })
        assert.strictEqual(ran.code, 2)
        assert.match(
          ran.stderr,
          /^zk: (line 3 of .*tree\.jsonl has the path "\/b\\u0007"|standard input is not com).*\n$/
        )
      }
      const large = nodeLine({ path: "/", data: new Uint8Array(1_048_570).fill(97), acl: undefined })
      const ran = yield* zk.run(["import", "-", "/x"], { stdin: `${large}\n${end(1)}\n` })
      assert.strictEqual(ran.code, 2)
      assert.include(ran.stderr, "servers read 1048575 at most")
      assert.deepStrictEqual((yield* zk.client.getChildren("/")).children, [])
    }))

  it.live("splits what comes in pieces into lines [CLI-X4]", () =>
    Effect.gen(function*() {
      const pieces = ["a", "b\n\nc", "", "d\ne", "f", "g"].map((text) => Buffer.from(text))
      const found = yield* Stream.runCollect(lines(Stream.fromIterable(pieces)))
      assert.deepStrictEqual(found.map(({ bytes, number }) => `${number}${Buffer.from(bytes)}`), [
        "1ab",
        "2",
        "3cd",
        "4efg"
      ])
    }))

  it.live("writes a file when all is in it, and not before; shows how far it is on a terminal [CLI-X5] [CLI-X6]", () =>
    Effect.gen(function*() {
      const zk = yield* makeZk()
      yield* furnish(zk)
      const at = folder()
      const file = join(at, "tree.jsonl")
      writeFileSync(join(at, "link.jsonl"), "old")
      symlinkSync(join(at, "link.jsonl"), join(at, "link"))
      const shown = yield* zk.show(["export", "/app", "-o", file])
      assert.include(shown.replaceAll("\n", ""), "9 nodes of /app, 1 ephemeral node left out")
      const text = readFileSync(file, "utf8")
      // With what moves a cursor written out, on a terminal and elsewhere.
      assert.include(yield* zk.show(["export", "/app"], { columns: 200 }), "世界\\u2067")
      assert.strictEqual((yield* zk.run(["export", "/app", "-o", join(at, "link")])).code, 0)
      assert.strictEqual(readFileSync(join(at, "link.jsonl"), "utf8"), text)
      assert.strictEqual((yield* zk.run(["export", "/nowhere", "-o", file])).code, 3)
      assert.strictEqual(readFileSync(file, "utf8"), text)
      assert.strictEqual((yield* zk.run(["export", "/app", "-o", at])).code, 2)
      assert.sameMembers(readdirSync(at), ["tree.jsonl", "link.jsonl", "link"])
      const imported = yield* zk.show(["import", file, "/copy"])
      assert.strictEqual(imported.trim(), "/copy: 9 new nodes")
      assert.strictEqual((yield* zk.run(["export", "/copy"])).stdout.replace(`"leftOut":0`, `"leftOut":1`), text)
      const copied = yield* zk.show(["cp", "-r", "/copy", "/copy2"])
      assert.strictEqual(copied.trim(), "/copy2: 9 new nodes")
      assert.strictEqual(renderProgress("imported", 1, undefined, 100), "imported: 1 node")
      assert.strictEqual(renderProgress("imported", 500, 1_000, 2_000), "imported: 500 of 1000 nodes, 250/s")
    }))

  it.live("reads no further than somebody takes [CLI-X7]", () =>
    Effect.gen(function*() {
      const zk = yield* makeZk()
      const { port } = yield* shared
      const proxy = yield* makeProxy(port)
      yield* Effect.forEach(
        Array.from({ length: 300 }, (_, index) => `/n${index}`),
        (path) => zk.client.create(path, "x"),
        { concurrency: "unbounded", discard: true }
      )
      const client = yield* ZkClient.make({ hosts: `${proxy.connectString}${zk.hosts.slice(zk.hosts.indexOf("/"))}` })
      const reads = Effect.map(proxy.stats(), ({ ops }) => ops.getData ?? 0)
      const most: Array<number> = []
      let nodes = 0
      yield* Stream.runForEach(readTree(client, "/", { acl: true, ephemerals: false }), (part) =>
        Effect.gen(function*() {
          // A reader that takes its time: nothing more is read meanwhile.
          yield* client.sync()
          most.push((yield* reads) - nodes)
          nodes += part.nodes.length
        }))
      assert.strictEqual(nodes, 301)
      assert.isAtMost(Math.max(...most), 32)
    }))

  it.live("ends without a word when nobody reads an export any more [CLI-X7]", () =>
    Effect.gen(function*() {
      const zk = yield* makeZk()
      yield* Effect.forEach(
        Array.from({ length: 100 }, (_, index) => `/n${index}`),
        (path) => zk.client.create(path, new Uint8Array(10_000)),
        { concurrency: "unbounded", discard: true }
      )
      const running = yield* zk.start(["export"])
      yield* running.closeOutput
      const { code, stderr } = yield* running.ended
      assert.strictEqual(stderr, "")
      assert.strictEqual(code, 141)
    }))

  it.live("exports no ACL that it was not shown in full, nor a tree that it may not read [CLI-X8]", () =>
    Effect.gen(function*() {
      const zk = yield* makeZk()
      const acl = [{ ...bob, perms: 31 }, { scheme: "world", id: "anyone", perms: 1 }]
      yield* zk.client.create("/app/half", "x", { parents: true, acl })
      yield* zk.client.create("/secret", "x", { acl: [{ ...bob, perms: 31 }] })
      const asBob = { env: { ZK_AUTH: "bob:s3cret" } }
      const refused = yield* zk.run(["export", "/app"])
      assert.strictEqual(refused.code, 5)
      assert.include(refused.stderr, "/app/half: its ACL is shown to those only who may change it")
      assert.notInclude(refused.stdout, "end")
      assert.strictEqual((yield* zk.run(["export", "/app", "--no-acl"])).code, 0)
      assert.strictEqual((yield* zk.run(["export"])).code, 5)
      const whole = yield* zk.run(["export"], asBob)
      assert.include(whole.stdout, bob.id)
      assert.strictEqual((yield* zk.run(["import", "-", "/copy"], { stdin: whole.stdout })).code, 0)
      assert.strictEqual((yield* zk.run(["export", "/copy"], asBob)).stdout, whole.stdout)
      assert.strictEqual((yield* zk.run(["import", "-", "/open", "--no-acl"], { stdin: whole.stdout })).code, 0)
      assert.deepStrictEqual((yield* zk.client.getAcl("/open/secret")).acl, ZkAcl.openAcl)
    }))

  it.live("copies a node or a tree, here or to another ensemble, and nothing into itself [CLI-X9]", ({ expect }) =>
    Effect.gen(function*() {
      const zk = yield* makeZk()
      const there = yield* makeZk()
      yield* furnish(zk)
      const hide = (text: string) =>
        text.replaceAll(there.hosts, "elsewhere").replaceAll(/127\.0\.0\.1:\d{2,}/g, "there")
      const output = yield* transcript(zk, [
        [["cp", "/app/bytes", "/one/two/bytes"]],
        [["cp", "/app", "/top"]],
        [["cp", "-r", "/app", "/copy"]],
        [["cp", "-r", "/app", "/copy", "--overwrite", "--json"]],
        [["cp", "-r", "/app", "/app/self"]],
        [["cp", "/app", "/app"]],
        [["cp", "/app/deep/gone soon", "/kept"]],
        [["cp", "/app/deep/gone soon", "/kept", "--ephemerals"]],
        [["cp", "-r", "/app", "/all", "--ephemerals", "--no-acl"]],
        [["cp", "-r", "/app", "/app", "--to", there.hosts]],
        [["cp", "/app/none", "/app/deep/er", "--overwrite", "--to", `zookeeper://${there.hosts}`, "--no-acl"]],
        [["cp", "/app", "/app", "--to", "127.0.0.1:1", "--timeout", "300ms", "--json"]],
        [["cp", "/app/none", "/zookeeper/none", "--to", there.hosts.replace(/\/.*/, "")]],
        [["cp", "/gone", "/x"]]
      ], hide)
      yield* matchesSnapshot(expect, "cp", output)
      const [app, copy] = yield* Effect.forEach(
        ["/app", "/copy"],
        (path) => Stream.runCollect(readTree(zk.client, path, { acl: true, ephemerals: false }))
      )
      assert.deepStrictEqual(copy!.flatMap(({ nodes }) => nodes), app!.flatMap(({ nodes }) => nodes))
      assert.deepStrictEqual((yield* zk.client.getAcl("/all/read only")).acl, ZkAcl.openAcl)
      assert.strictEqual((yield* zk.client.getData("/kept")).stat.ephemeralOwner, BigInt(0))
      assert.deepStrictEqual((yield* there.client.getData("/app/bytes")).data, everyByte)
      assert.isNull((yield* there.client.getData("/app/deep/er")).data)
      assert.strictEqual((yield* there.client.getAcl("/app/deep/er")).acl.length, 2)
    }))
})
