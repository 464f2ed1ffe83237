/** `zk shell` on a pseudo-terminal and in a pipe. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { mkdtempSync, readFileSync, statSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { makeZk, matchesSnapshot, type Running } from "./support/cli.ts"
import { expireThrough } from "./support/expire.ts"
import { makeProxy } from "./support/proxy.ts"
import { screenOf } from "./support/screen.ts"
import { shared } from "./support/shared.ts"

const ctrlC = "\u0003"
const ctrlD = "\u0004"
const up = "\u001b[A"

const stateFolder = () => mkdtempSync(join(tmpdir(), "zk-shell-"))
const settings = (XDG_STATE_HOME: string) => ({ env: { XDG_STATE_HOME, NO_COLOR: "1" } })

/** Sends keys, and waits for what comes of them. */
const type = (terminal: Running, keys: string, wanted: string | RegExp) =>
  Effect.suspend(() => {
    const from = terminal.stdout().length
    return Effect.andThen(terminal.send(keys), terminal.awaitText(wanted, from))
  })

const gone = (paths: ReadonlyArray<string>, path: string) => assert.notInclude(paths, path)

describe.concurrent("zk shell", () => {
  it.live("is moved in, completes, asks, and is interrupted; its nodes go with it [CLI-S1] [CLI-S2] [CLI-S3] [CLI-S5]", () =>
    Effect.gen(function*() {
      const zk = yield* makeZk()
      yield* zk.client.create("/app/a name", "named", { parents: true })
      yield* zk.client.create("/app/members/one", "", { parents: true })
      const terminal = yield* zk.open(["shell"], settings(stateFolder()))
      yield* terminal.awaitText("zk connected /> ")
      yield* type(terminal, "cd a\t", "cd app/")
      yield* type(terminal, "\r", "zk connected /app> ")
      yield* type(terminal, "cd nowhere\r", /\/app\/nowhere[^]*zk connected \/app> /)
      yield* type(terminal, "get a\t", "get a\\ name ")
      yield* type(terminal, "\r", /named[^]*zk connected \/app> /)
      yield* type(terminal, "get 'a\t", "get 'a name' ")
      yield* type(terminal, "\r", /named[^]*zk connected \/app> /)
      yield* type(terminal, "e\t", "ex")
      yield* type(terminal, "\t", /export[^]*exit[^]*zk connected \/app> ex/)
      yield* type(terminal, ctrlC, /\^C[^]*zk connected \/app> /)
      yield* type(terminal, "ls --rec\t", "--recursive ")
      yield* type(terminal, "\r", /\/app\/members\/one[^]*zk connected \/app> /)
      // Given up.
      yield* type(terminal, `rm a${ctrlC}`, /\^C[^]*zk connected \/app> /)
      yield* type(terminal, `pwd\r`, /\n\/app\r\n[^]*zk connected \/app> /)
      // Only what runs is interrupted.
      yield* type(terminal, "watch .\r", "watching /app")
      yield* type(terminal, ctrlC, "zk connected /app> ")
      yield* type(terminal, "create -e me\r", /\/app\/me\r\n[^]*zk connected \/app> /)
      // The answers are read by another reader, which has to let go of the keyboard.
      yield* type(terminal, "rm -r members\r", "Delete /app/members and 1 node below it?")
      yield* type(terminal, "n", /not done[^]*zk connected \/app> /)
      yield* type(terminal, "rm -r members\r", "Delete /app/members and 1 node below it?")
      yield* type(terminal, ctrlC, "zk connected /app> ")
      yield* type(terminal, "rm -r members\r", "Delete /app/members and 1 node below it?")
      yield* type(terminal, "y", /deleted \/app\/members[^]*zk connected \/app> /)
      // All that is pasted is run, line by line.
      yield* type(terminal, "cd ..\rpwd\rls ap", /\n\/\r\n[^]*zk connected \/> [^]*ls ap/)
      yield* type(terminal, "p\r", /\na name\r\nme\r\n[^]*zk connected \/> /)
      yield* type(terminal, ctrlD, "\n")
      assert.strictEqual((yield* terminal.ended).code, 0)
      yield* zk.client.sync()
      gone((yield* zk.client.getChildren("/app")).children, "me")
    }))

  it.live("keeps what was typed, but for secrets, for nobody else to read [CLI-S4]", () =>
    Effect.gen(function*() {
      const zk = yield* makeZk()
      yield* zk.client.create("/found", "again")
      const folder = stateFolder()
      const first = yield* zk.open(["shell"], settings(folder))
      yield* first.awaitText("zk connected /> ")
      for (const line of ["get /found", " create /blank", "create /db-password hunter2", "nonsense"]) {
        yield* type(first, `${line}\r`, /\n[^]*zk connected \/> /)
      }
      yield* first.send("exit\r")
      assert.strictEqual((yield* first.ended).code, 0)
      const file = join(folder, "effect-zookeeper", "history")
      assert.strictEqual(readFileSync(file, "utf8"), "get /found\nnonsense\nexit\n")
      assert.strictEqual(statSync(file).mode & 0o777, 0o600)
      const second = yield* zk.open(["shell"], settings(folder))
      yield* second.awaitText("zk connected /> ")
      yield* type(second, `${up}${up}${up}\r`, /again[^]*zk connected \/> /)
      yield* second.send("quit\r")
      assert.strictEqual((yield* second.ended).code, 0)
    }))

  it.live("says at the prompt what became of the connection and of the session [CLI-S6] [CLI-S7]", () =>
    Effect.gen(function*() {
      const zk = yield* makeZk()
      const { port } = yield* shared
      const proxy = yield* makeProxy(port)
      const servers = `${proxy.connectString}${zk.hosts.slice(zk.hosts.indexOf("/"))}`
      const terminal = yield* zk.open(["shell", "--servers", servers], settings(stateFolder()))
      yield* terminal.awaitText("zk connected /> ")
      yield* type(terminal, "create -e me\r", /\/me\r\n[^]*zk connected \/> /)
      const lose = Effect.andThen(proxy.setAccept("refuse"), proxy.cutAll)
      yield* type(terminal, "ls /", "ls /")
      let from = terminal.stdout().length
      yield* lose
      yield* terminal.awaitText(/connection lost[^]*zk suspended \/> ls \//, from)
      // Nothing is waited for: what is typed behind it is there at once.
      yield* type(terminal, "m\t", "m")
      yield* type(terminal, "e", "e")
      assert.match(screenOf(terminal.stdout()), /\nzk suspended \/> ls \/me$/)
      from = terminal.stdout().length
      yield* proxy.heal
      yield* terminal.awaitText(/connected again, to [^]*zk connected \/> ls \/me/, from)
      assert.isTrue((yield* zk.client.getChildren("/")).children.includes("me"))
      yield* type(terminal, ctrlC, "zk connected /> ")

      // Under a command that waits.
      from = terminal.stdout().length
      yield* lose
      yield* terminal.awaitText("zk suspended /> ", from)
      yield* type(terminal, "stat /me\r", "\n")
      from = terminal.stdout().length
      yield* expireThrough(proxy, port)
      yield* proxy.heal
      yield* terminal.awaitText(/has expired: its ephemeral nodes are gone[^]*in the new session 0x/, from)
      yield* terminal.awaitText("zk connected /> ", from)
      const screen = screenOf(terminal.stdout())
      assert.lengthOf(screen.match(/connection lost/g) ?? [], 2)
      assert.lengthOf(screen.match(/ephemeral nodes are gone/g) ?? [], 1)
      gone((yield* zk.client.getChildren("/")).children, "me")
      yield* terminal.send(ctrlD)
      assert.strictEqual((yield* terminal.ended).code, 0)
    }))

  it.live("runs lines from a pipe in one session, to the first that fails [CLI-S8] [CLI-S9]", ({ expect }) =>
    Effect.gen(function*() {
      const zk = yield* makeZk()
      const script = [
        "# What was there before does not matter.",
        "create app '{\"a b\": 1}'",
        "cd app",
        "create -e \"two words\" \"\\\"quoted\\\"\"",
        "zk ls --json",
        "get nothing",
        "",
        "pwd"
      ].join("\n")
      const stops = yield* zk.run(["shell"], { stdin: script })
      yield* zk.client.sync()
      gone((yield* zk.client.getChildren("/app")).children, "two words")
      const goes = yield* zk.run(["shell", "-k"], { stdin: `${script}\nlss\nls 'x\nset . -\nrm -r /app\nexit\npwd\n` })
      const json = yield* zk.run(["shell", "--json"], { stdin: "pwd\nget /gone\n" })
      assert.deepStrictEqual([stops.code, goes.code, json.code], [3, 4, 3])
      yield* matchesSnapshot(
        expect,
        "shell",
        [stops, goes, json].map(({ stderr, stdout }) => `${stdout}--\n${stderr}`).join("\n")
      )
    }))

  it.live("ends with its session when it is told to [CLI-S10]", () =>
    Effect.gen(function*() {
      const zk = yield* makeZk()
      for (const [signal, code] of [["SIGTERM", 130], ["SIGINT", 130]] as const) {
        const running = yield* zk.start(["shell"])
        yield* running.send("create -e /me\n")
        yield* running.awaitText("/me\n")
        yield* running.signal(signal)
        assert.strictEqual((yield* running.ended).code, code)
        yield* zk.client.sync()
        assert.deepStrictEqual((yield* zk.client.getChildren("/")).children, [])
      }
    }))

  it.live("closes its session when its terminal is gone [CLI-S10]", () =>
    Effect.gen(function*() {
      const zk = yield* makeZk()
      // Longer than this test may take: it is not the end of the session that is awaited.
      const terminal = yield* zk.open(["shell", "--session-timeout", "30s"], settings(stateFolder()))
      yield* terminal.awaitText("zk connected /> ")
      yield* type(terminal, "create -e me\r", /\/me\r\n[^]*zk connected \/> /)
      yield* terminal.signal("SIGKILL")
      const end = yield* zk.client.changes("/me").pipe(
        Stream.filter(Option.isNone),
        Stream.runHead,
        Effect.timeout("15 seconds")
      )
      assert.isTrue(Option.isSome(end))
    }))
})
