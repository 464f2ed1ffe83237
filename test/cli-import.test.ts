/** `zk import` through faults: it ends with everything there, or with an exact account. */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { mkdtempSync, readdirSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { endLine, nodeLine } from "../src/cli/exportFormat.ts"
import type { ZkClient } from "../src/ZkClient.ts"
import { makeZk, type Running } from "./support/cli.ts"
import { expireThrough } from "./support/expire.ts"
import { makeProxy } from "./support/proxy.ts"
import { makeServer } from "./support/server.ts"
import { shared } from "./support/shared.ts"

const count = 400

/** Of three levels. */
const paths = [
  "/",
  ...Array.from({ length: 20 }, (_, index) => `/d${index}`),
  ...Array.from({ length: count - 21 }, (_, index) => `/d${index % 20}/n${index}`)
]

const file = (() => {
  const name = join(mkdtempSync(join(tmpdir(), "zk-cli-")), "tree.jsonl")
  const nodes = paths.map((path) => nodeLine({ path, data: Buffer.from(path), acl: undefined }))
  writeFileSync(name, [...nodes, endLine({ nodes: count, leftOut: 0 })].join("\n"))
  return name
})()

const proxied = Effect.gen(function*() {
  const zk = yield* makeZk()
  const { port } = yield* shared
  const proxy = yield* makeProxy(port)
  const root = zk.hosts.slice(zk.hosts.indexOf("/"))
  return { zk, proxy, port, through: { env: { ZK_SERVERS: `${proxy.connectString}${root}` } } }
})

/** How many of them are there; each as it should be, and written once. */
const written = (client: ZkClient, at: string) =>
  Effect.gen(function*() {
    yield* client.sync()
    const found = yield* Effect.forEach(
      paths,
      (path) => client.getDataOption(path === "/" ? at : `${at}${path}`),
      { concurrency: "unbounded" }
    )
    let number = 0
    for (const [index, node] of found.entries()) {
      if (node._tag === "None") continue
      number++
      assert.strictEqual(node.value.text, paths[index])
      assert.strictEqual(node.value.stat.version, 0)
    }
    return number
  })

const done = (running: Running) =>
  Effect.map(running.ended, ({ code, stderr, stdout }) => {
    assert.strictEqual(code, 0, stderr)
    assert.strictEqual(stdout, `/x: ${count} new nodes\n`)
    return stderr
  })

/** The numbers in what it says of itself. */
const accountOf = (stderr: string): number => Number(/(\d+) of 400 nodes written/.exec(stderr)?.[1] ?? Number.NaN)

describe.concurrent("zk import, through faults", () => {
  for (const fate of ["cut", "expired"] as const) {
    it.live(`finds out what became of writes whose answers were lost, ${fate} [CLI-X10]`, () =>
      Effect.gen(function*() {
        const { port, proxy, through, zk } = yield* proxied
        // Some dozens have been applied by then, and are not answered.
        let lost = 0
        const isLate = () => ++lost > 30
        const cut = yield* proxy.rule(
          { direction: "toClient", kind: "reply", op: "create", where: isLate },
          fate === "cut" ? "cut" : { before: Effect.orDie(Effect.andThen(expireThrough(proxy, port), proxy.cutAll)) }
        )
        const running = yield* zk.start(["import", file, "/x"], through)
        yield* cut.fired
        const stderr = yield* done(running)
        if (fate === "cut") assert.match(stderr, /^connection lost[^\n]*\nconnected again\n$/)
        else assert.include(stderr, "connected again, in a new session")
        assert.strictEqual(yield* written(zk.client, "/x"), count)
      }))
  }

  it.live("goes on when a server comes back, as does a watch [CLI-X10] [CLI-W3]", () =>
    Effect.gen(function*() {
      const server = yield* makeServer()
      const proxy = yield* makeProxy(server.port)
      const zk = yield* makeZk(server.connectString)
      const watch = yield* zk.start(["watch", "/x", "-r", "--json"])
      yield* watch.awaitText("watching")
      let begun = 0
      const killed = yield* Deferred.make<void>()
      yield* proxy.rule(
        { direction: "toServer", op: "create", where: () => ++begun > 100 },
        { before: Effect.andThen(Effect.orDie(server.kill), Deferred.done(killed, Exit.void)) }
      )
      const running = yield* zk.start(["import", file, "/x"], { env: { ZK_SERVERS: proxy.connectString } })
      yield* Deferred.await(killed)
      yield* running.awaitText("connection lost")
      yield* server.start
      yield* done(running)
      assert.strictEqual(yield* written(zk.client, "/x"), count)
      yield* zk.client.create("/x/marker", "")
      yield* watch.awaitText("/x/marker")
      yield* watch.awaitText(new RegExp(`^(.*\n){${count + 1}}`))
      const told = watch.stdout().trim().split("\n").map((line) => JSON.parse(line))
      assert.isTrue(told.every(({ change }) => change === "added"))
      assert.strictEqual(new Set(told.map(({ path }) => path)).size, count + 1)
      assert.strictEqual(told.length, count + 1)
      assert.include(watch.stderr(), "connection lost")
    }))

  it.live("tells exactly what was written when the servers stay away, and the same again does the rest [CLI-X11]", () =>
    Effect.gen(function*() {
      const { proxy, through, zk } = yield* proxied
      let answered = 0
      const gone = yield* proxy.rule(
        { direction: "toClient", kind: "reply", op: "create", where: () => ++answered > 100 },
        { before: Effect.orDie(proxy.setAccept("refuse").pipe(Effect.andThen(proxy.cutAll))) }
      )
      const running = yield* zk.start(["import", file, "/x", "--timeout", "700ms"], through)
      yield* gone.fired
      const { code, stderr, stdout } = yield* running.ended
      assert.strictEqual(code, 7, stderr)
      assert.strictEqual(stdout, "")
      const number = accountOf(stderr)
      const [, named, more = "0"] = /nobody knows about ([^;]*?)(?: and (\d+) more)?;/.exec(stderr) ?? []
      const doubtful = named!.split(", ").length + Number(more)
      const there = yield* written(zk.client, "/x")
      assert.isAtLeast(there, number, stderr)
      assert.isAtMost(there, number + doubtful, stderr)
      yield* proxy.setAccept("accept")
      const rest = yield* zk.run(["import", file, "/x", "--skip", "--json"])
      assert.deepStrictEqual(JSON.parse(rest.stdout), {
        path: "/x",
        created: count - there,
        overwritten: 0,
        unchanged: 0,
        skipped: there
      })
      assert.strictEqual(yield* written(zk.client, "/x"), count)
    }))

  it.live("ends with Ctrl-C and an account, on a terminal with its progress [CLI-X12] [CLI-X6]", () =>
    Effect.gen(function*() {
      const interrupted = Effect.fnUntraced(function*(isTerminal: boolean) {
        const { proxy, through, zk } = yield* proxied
        let answered = 0
        const hang = yield* proxy.rule(
          { direction: "toClient", kind: "reply", op: "create", where: () => ++answered > 150 },
          "freeze"
        )
        const running = yield* (isTerminal ? zk.open : zk.start)(["import", file, "/x"], through)
        yield* hang.fired
        if (isTerminal) yield* running.send("\u0003")
        else yield* running.signal("SIGINT")
        // It is told at once, whatever becomes of the session.
        yield* running.awaitText("interrupted: ")
        yield* proxy.heal
        const { code, stderr, stdout } = yield* running.ended
        assert.strictEqual(code, 130)
        const said = isTerminal ? stdout : stderr
        assert.match(said, /interrupted: \d+ of 400 nodes written, and up to \d+ more/)
        const there = yield* written(zk.client, "/x")
        const underWay = Number(/up to (\d+) more/.exec(said)![1])
        assert.isAtLeast(there, accountOf(said))
        assert.isAtMost(there, accountOf(said) + underWay)
        if (!isTerminal) assert.strictEqual(stdout, "")
      })
      yield* Effect.forEach([false, true], interrupted, { concurrency: 2 })
    }))

  it.live("leaves no half of a file when an export is interrupted [CLI-X12]", () =>
    Effect.gen(function*() {
      const { proxy, through, zk } = yield* proxied
      yield* Effect.forEach(["/a", "/b", "/c"], (path) => zk.client.create(path, "x"))
      const hang = yield* proxy.rule({ direction: "toClient", kind: "reply", op: "getData", path: /\/b$/ }, "freeze")
      const at = mkdtempSync(join(tmpdir(), "zk-cli-"))
      const running = yield* zk.start(["export", "-o", join(at, "tree.jsonl")], through)
      yield* hang.fired
      yield* running.signal("SIGINT")
      const { code, stderr, stdout } = yield* running.ended
      assert.strictEqual(code, 130)
      assert.strictEqual(`${stdout}${stderr}`, "")
      assert.deepStrictEqual(readdirSync(at), [])
    }))
})
