/** `zk watch`: what it tells of changes, and that it goes on through all that happens to connections and sessions. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { makeZk, matchesSnapshot, type Running, type Zk } from "./support/cli.ts"
import { expireThrough } from "./support/expire.ts"
import { makeProxy } from "./support/proxy.ts"
import { screenOf } from "./support/screen.ts"
import { shared } from "./support/shared.ts"

const changesOf = ({ client }: Zk) =>
  [
    ["/app/config", client.create("/app/config", "one\nline")],
    ["/app/config", client.setData("/app/config", Uint8Array.of(0xff, 0, 1))],
    ["/app/bad", client.create("/app/bad\u2067name", "\u001b[31mred\u001b[0m")],
    ["/app", client.setData("/app", null)],
    ["/app/config", client.delete("/app/config")],
    ["/app/config", client.create("/app/config", "")],
    ["/app/config/deep", client.create("/app/config/deep", "er")]
  ] as const

/** Without what goes through a proxy. */
const proxied = Effect.gen(function*() {
  const zk = yield* makeZk()
  const { port } = yield* shared
  const proxy = yield* makeProxy(port)
  const root = zk.hosts.slice(zk.hosts.indexOf("/"))
  return { zk, proxy, port, through: { env: { ZK_SERVERS: `${proxy.connectString}${root}` } } }
})

const pathsOf = (running: Running): ReadonlyArray<string> =>
  running.stdout().trim().split("\n").filter((line) => line !== "").map((line) => {
    const { change, path, recreated } = JSON.parse(line)
    return `${change} ${path}${recreated === true ? " anew" : ""}`
  })

describe.concurrent("zk watch", () => {
  it.live("prints each change of a node, of its children, or of everything below it [CLI-W1]", ({ expect }) =>
    Effect.gen(function*() {
      const zk = yield* makeZk()
      yield* zk.client.create("/app", "here")
      const isAny = () => true
      const started = yield* Effect.forEach(
        [
          { args: ["/app/config"], sees: (path: string) => path === "/app/config" },
          { args: ["/app/config", "--json", "--count", "4"], sees: (path: string) => path === "/app/config" },
          { args: ["/app", "--children", "--initial"], sees: (path: string) => path !== "/app/config/deep" },
          { args: ["/app", "-r"], sees: isAny },
          { args: ["/app", "-r", "--json", "--initial"], sees: isAny }
        ],
        (each) => Effect.map(zk.start(["watch", ...each.args]), (running) => ({ ...each, running, lines: 1 })),
        { concurrency: "unbounded" }
      )
      for (const each of started) {
        yield* each.running.awaitText("watching")
        if (each.args.includes("--initial")) each.lines++
      }
      // One at a time, so that none is told together with another; the line on standard error counts as well.
      for (const [path, change] of changesOf(zk)) {
        yield* change
        for (const each of started.filter(({ sees }) => sees(path))) {
          each.lines++
          yield* each.running.awaitText(new RegExp(`^(.*\\n){${each.lines}}`))
        }
      }
      const outputs: Array<string> = []
      for (const { args, running } of started) {
        if (!args.includes("--count")) yield* running.signal("SIGINT")
        const { code, stderr, stdout } = yield* running.ended
        assert.strictEqual(code, args.includes("--count") ? 0 : 130)
        outputs.push(`$ zk watch ${args.join(" ")}\n${stderr}${stdout}`)
      }
      yield* matchesSnapshot(expect, "watch", outputs.join("\n"))
    }))

  it.live("fits a change into a line of the terminal, and ends with Ctrl-C [CLI-W2]", ({ expect }) =>
    Effect.gen(function*() {
      const zk = yield* makeZk()
      yield* zk.client.create("/app", "here")
      const terminal = yield* zk.open(["watch", "-r", "--initial"], { columns: 72 })
      yield* terminal.awaitText("watching")
      const long = `/app/${"long ".repeat(20)}name`
      yield* zk.client.create(long, "x")
      yield* terminal.awaitText("added")
      yield* zk.client.setData("/app", "a text that is longer than what fits into a line of this terminal")
      yield* terminal.awaitText("changed")
      yield* zk.client.delete(long)
      yield* terminal.awaitText("removed")
      yield* terminal.send("\u0003")
      const { code, stdout } = yield* terminal.ended
      assert.strictEqual(code, 130)
      const screen = screenOf(stdout)
      for (const line of screen.split("\n")) assert.isAtMost(line.length, 72, line)
      yield* matchesSnapshot(expect, "watch-terminal", screen)
    }))

  it.live("tells what changed while there was no connection exactly once, and of the loss itself [CLI-W3]", () =>
    Effect.gen(function*() {
      const { proxy, through, zk } = yield* proxied
      const { client } = zk
      for (const name of ["stays", "changes", "goes", "anew"]) {
        yield* client.create(`/app/${name}`, "", { parents: true })
      }
      const tree = yield* zk.start(["watch", "/app", "-r", "--json"], through)
      const node = yield* zk.start(["watch", "/app/changes", "--json"], through)
      yield* tree.awaitText("watching /app and 4 nodes below it")
      yield* node.awaitText("watching")
      yield* proxy.setAccept("refuse")
      yield* proxy.cutAll
      yield* Effect.forEach([tree, node], (each) => each.awaitText("connection lost"))
      yield* client.setData("/app/changes", "1")
      yield* client.setData("/app/changes", "2")
      yield* client.delete("/app/goes")
      yield* client.create("/app/comes", "")
      yield* client.delete("/app/anew")
      yield* client.create("/app/anew", "")
      yield* proxy.setAccept("accept")
      yield* Effect.forEach([tree, node], (each) => each.awaitText("connected again"))
      yield* client.create("/app/marker", "")
      for (const name of ["changes", "goes", "comes", "anew", "marker"]) yield* tree.awaitText(`"/app/${name}"`)
      yield* client.delete("/app/marker")
      yield* tree.awaitText(/removed[^]*removed/)
      yield* node.awaitText(`"data":"2"`)
      assert.sameMembers([...pathsOf(tree)], [
        "changed /app/changes",
        "removed /app/goes",
        "added /app/comes",
        "changed /app/anew anew",
        "added /app/marker",
        "removed /app/marker"
      ])
      assert.deepStrictEqual(pathsOf(node), ["changed /app/changes"])
    }))

  it.live("goes on in a new session, and says so [CLI-W4]", () =>
    Effect.gen(function*() {
      const { port, proxy, through, zk } = yield* proxied
      yield* zk.client.create("/app", "")
      const running = yield* zk.start(["watch", "/app", "-r", "--json", "--count", "2"], through)
      yield* running.awaitText("watching /app")
      yield* expireThrough(proxy, port)
      yield* running.awaitText("in a new session")
      yield* zk.client.create("/app/a", "")
      yield* running.awaitText("/app/a")
      yield* zk.client.delete("/app/a")
      const { code, stderr } = yield* running.ended
      assert.strictEqual(code, 0)
      assert.include(stderr, "the session has expired")
      assert.deepStrictEqual(pathsOf(running), ["added /app/a", "removed /app/a"])
    }))
})
