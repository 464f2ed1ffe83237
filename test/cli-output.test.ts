/** How the `zk` program writes: colours, widths, text that is not fit for a terminal, readers that leave. */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import * as CliOutput from "effect/cli/CliOutput"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Stdio from "effect/Stdio"
import { Writable } from "node:stream"
import { formatAcl, parseAcl } from "../src/cli/acl.ts"
import { draw } from "../src/cli/commands/tree.ts"
import { hexDump, preview } from "../src/cli/data.ts"
import { parseDuration } from "../src/cli/duration.ts"
import { bucketsOf } from "../src/cli/histogram.ts"
import { main } from "../src/cli/main.ts"
import { normalize } from "../src/cli/nodePath.ts"
import { Output, print, writeTo } from "../src/cli/output.ts"
import { printable, truncate } from "../src/cli/printable.ts"
import { plain } from "../src/cli/style.ts"
import { type Branch, flatten } from "../src/cli/subtree.ts"
import { renderTable } from "../src/cli/table.ts"
import { makeZk } from "./support/cli.ts"
import { makeStat } from "./support/records.ts"

const escape = "\u001b"

describe.concurrent("zk, its output", () => {
  it.live("is coloured on a terminal, unless that is not wanted, and nowhere else [CLI-O1]", () =>
    Effect.gen(function*() {
      const zk = yield* makeZk()
      yield* zk.client.create("/a/b", "x", { parents: true })
      const open = (env: Record<string, string>) =>
        Effect.scoped(Effect.flatMap(zk.open(["tree"], { env }), (terminal) => terminal.ended))
      assert.include((yield* open({})).stdout, `${escape}[1m`)
      for (const env of [{ NO_COLOR: "1" }, { TERM: "dumb" }]) {
        assert.notInclude((yield* open(env)).stdout, `${escape}[`)
      }
      const { stderr, stdout } = yield* zk.run(["tree"])
      assert.notInclude(`${stdout}${stderr}`, escape)
    }))

  it.live("shows no escape sequence that is somebody else's [CLI-O2]", () =>
    Effect.gen(function*() {
      const zk = yield* makeZk()
      const evil = `${escape}]0;title\u0007${escape}[2Jgone\u0085\u202e`
      yield* zk.client.create("/evil", evil)
      const terminal = yield* zk.open(["get", "/evil"], { env: { NO_COLOR: "1" } })
      const { stdout } = yield* terminal.ended
      assert.notInclude(stdout, escape)
      assert.include(stdout, "\\x1b]0;title\\x07\\x1b[2Jgone\\x85\\u202e")
      // Into a pipe go the bytes as they are.
      assert.strictEqual((yield* zk.run(["get", "/evil"])).stdout, evil)
    }))

  it.live("ends without a word when nobody reads it any more [CLI-O3]", () =>
    Effect.gen(function*() {
      const zk = yield* makeZk()
      yield* Effect.forEach(
        Array.from({ length: 3_000 }, (_, index) => `/${String(index).padStart(60, "0")}`),
        (path) => zk.client.create(path),
        { concurrency: "unbounded", discard: true }
      )
      for (const args of [["ls", "-R"], ["--help"]]) {
        const running = yield* zk.start(args)
        yield* running.closeOutput
        const { code, stderr } = yield* running.ended
        assert.strictEqual(stderr, "")
        assert.strictEqual(code, 141)
      }
    }))

  it.effect("says why what it prints was not taken, unless nobody reads it any more [CLI-O3]", () =>
    Effect.gen(function*() {
      for (const [code, tag] of [["EPIPE", "OutputClosed"], ["ENOSPC", "CommandFailed"]] as const) {
        const stream = new Writable({ write: (_, __, done) => done(Object.assign(new Error(`${code}: no`), { code })) })
        stream.on("error", () => {})
        const error = yield* Effect.flip(writeTo(stream, "x"))
        assert.strictEqual(error._tag, tag)
        if (error._tag === "CommandFailed") assert.strictEqual(error.message, "standard output: ENOSPC: no")
      }
    }))

  it("makes text fit, by what it takes on the screen [CLI-O4]", () => {
    assert.strictEqual(printable("a\tb\n\u001b[31m\u2028"), "a\\tb\\n\\x1b[31m\\u2028")
    assert.strictEqual(truncate("abcdef", 6), "abcdef")
    assert.strictEqual(truncate("abcdefg", 6), "abcde…")
    assert.strictEqual(truncate("abcdefg", 5, "middle"), "ab…fg")
    assert.strictEqual(truncate("世界世界", 5), "世界…")
    assert.strictEqual(truncate("abc", 0), "")
    assert.strictEqual(preview(Uint8Array.of(0xff, 0)), "0xff00")
    assert.strictEqual(preview(Buffer.from("two\nlines"), 6), "two\\n…")
    assert.deepStrictEqual(hexDump(new Uint8Array()), [])
    const columns = [
      { heading: "NAME", cell: ([name]: readonly [string, number]) => name, shrink: "end" as const },
      { heading: "N", cell: ([, n]: readonly [string, number]) => `${n}`, align: "right" as const }
    ]
    const rows = [["世界".repeat(10), 1], ["b", 22]] as const
    const narrow = renderTable(columns, rows, { width: 20, style: plain })
    assert.deepStrictEqual(narrow, ["NAME               N", "世界世界世界世…    1", "b                 22"])
    for (const line of narrow) assert.isAtMost(CliOutput.displayWidth(line), 20)
    for (const line of renderTable(columns, rows, { width: 7, style: plain })) {
      assert.isAtMost(CliOutput.displayWidth(line), 7)
    }
    assert.strictEqual(renderTable(columns, rows, { width: undefined, style: plain })[1], `${"世界".repeat(10)}   1`)
  })

  it("understands paths, durations and ACLs as people write them [CLI-O5]", () => {
    assert.strictEqual(normalize("/a//b/", "/"), "/a/b")
    assert.strictEqual(normalize("../c/./d", "/a/b"), "/a/c/d")
    assert.strictEqual(normalize("../../../..", "/a/b"), "/")
    assert.strictEqual(normalize(".", "/a/b"), "/a/b")
    const durations = { "10s": 10_000, "1.5 s": 1_500, "250ms": 250, "2 hours": 7_200_000, "3": 3_000, "1m": 60_000 }
    for (const [text, millis] of Object.entries(durations)) {
      assert.deepStrictEqual(parseDuration(text), Option.some(millis), text)
    }
    for (const text of ["", "s", "-1s", "1x", "1 s s", "NaN"]) assert.isTrue(Option.isNone(parseDuration(text)), text)
    const acl = "world:anyone:r,digest:bob:/x=:cdrwa,ip:::1/64:rw"
    assert.strictEqual(Result.getOrThrow(parseAcl(acl)).map(formatAcl).join(), acl)
    for (const text of ["", "world", "world:anyone", "world:anyone:", "world:anyone:x", ":a:r", "world:anyone:r,"]) {
      assert.isTrue(Result.isFailure(parseAcl(text)), text)
    }
  })

  it.effect("has no limit for how many nodes there are, nor for how deep they are [CLI-O6]", () =>
    Effect.gen(function*() {
      const many = 300_000
      let written = ""
      yield* print(Array.from({ length: many }, () => "x")).pipe(
        Effect.provideService(Output, {
          isJson: false,
          columns: Effect.undefined,
          style: plain,
          noteStyle: plain,
          canAnimate: false,
          canPrompt: false,
          write: (text) => Effect.sync(() => void (written += String(text))),
          remark: () => Effect.void
        })
      )
      assert.lengthOf(written, 2 * many)
      assert.strictEqual(bucketsOf(Array.from({ length: many }, () => 1))[0]?.count, many)
      const depth = 1_500
      const branch = (name: string, children: ReadonlyArray<Branch>): Branch => ({
        path: name,
        name,
        stat: makeStat(),
        children,
        cut: undefined
      })
      let top = branch("0", [])
      for (let level = 1; level < depth; level++) top = branch(`${level}`, [top, branch("leaf", [])])
      assert.lengthOf([...flatten(top)], 2 * depth - 1)
      assert.deepStrictEqual([...draw(top, plain, Infinity)].slice(0, 2), ["1499", "├── 1498"])
    }))

  it.effect("tells an error of its own, and does not pass it over in silence [CLI-O7]", () =>
    Effect.gen(function*() {
      const told: Array<string> = []
      const { write } = process.stderr
      const stdio = yield* Effect.provide(Stdio.Stdio, NodeServices.layer)
      const broken = Stdio.make({ ...stdio, stdoutIsTerminal: Effect.die(new RangeError("too much")) })
      process.stderr.write = (text) => told.push(String(text)) > 0
      const error = yield* main(["ls", "-s", "127.0.0.1:1"]).pipe(
        Effect.provideService(Stdio.Stdio, broken),
        Effect.provide(NodeServices.layer),
        Effect.flip,
        Effect.ensuring(Effect.sync(() => process.stderr.write = write))
      )
      assert.deepInclude(error, { _tag: "Told", exitCode: 1 })
      assert.deepStrictEqual(told, ["zk: this is a bug: RangeError: too much\n"])
    }))
})
