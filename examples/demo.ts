/**
 * A tour against a real server, which it starts itself: `npm run demo`. Ends by itself; Ctrl-C ends it sooner, and
 * leaves nothing behind either.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Cause, Effect, Fiber, Option, Queue, Schedule, Stream } from "effect"
import { ZkClient, type ZkState, ZkTransaction } from "effect-zookeeper"
import { announcements } from "../test/support/provision.ts"
import { makeProxiedServer } from "../test/support/proxy.ts"

// -- printing ---------------------------------------------------------------------------------------------------------

const isTerminal = process.stdout.isTTY
const hasColours = isTerminal && process.stdout.hasColors()
const paint = (code: number) => (text: string): string => hasColours ? `\u001b[${code}m${text}\u001b[0m` : text
const bold = paint(1)
const dim = paint(2)
const red = paint(31)
const green = paint(32)
const yellow = paint(33)
const cyan = paint(36)

const width = 80
const leftWidth = 32

/** A person reads along; a pipe does not. */
const beat = Effect.sleep(isTerminal ? 180 : 0)

const print = (line = ""): Effect.Effect<void> => Effect.sync(() => void process.stdout.write(`${line}\n`))

const heading = (text: string) => Effect.andThen(beat, print(`\n${bold(cyan(text))}`))

/** What was done, and what came of it. */
const row = (left: string, right: string, colour: (text: string) => string = green) => {
  const room = width - 2 - leftWidth - 1
  const cut = right.length > room ? `${right.slice(0, room - 1)}…` : right
  return Effect.andThen(print(cut === "" ? `  ${left}` : `  ${left.padEnd(leftWidth)} ${colour(cut)}`), beat)
}
/** Folded into the width of the screen. */
const fold = (text: string): string =>
  text.replaceAll(new RegExp(`(.{1,${width - 2}})(?: |$)`, "g"), (_, line: string) => `  ${dim(line)}\n`).trimEnd()

const hex = (id: bigint): string => `0x${BigInt.asUintN(64, id).toString(16)}`

// -- the tour ---------------------------------------------------------------------------------------------------------

const nodes = Effect.fnUntraced(function*(zk: ZkClient.ZkClient) {
  yield* heading("Nodes")
  yield* zk.create("/demo/greeting", "hello", { parents: true })
  yield* row("create /demo/greeting \"hello\"", "done, parents included")
  const { stat, text } = yield* zk.getData("/demo/greeting")
  yield* row("getData", `"${text}", version ${stat.version}`)
  const { version } = yield* zk.setData("/demo/greeting", "good day", { version: stat.version })
  yield* row("setData \"good day\", if unchanged", `version ${version}`)

  yield* heading("Errors are values, with a tag and a type")
  const failing = [
    ["getData /demo/nothing", zk.getData("/demo/nothing")],
    ["create /demo/greeting", zk.create("/demo/greeting")],
    ["setData at version 0", zk.setData("/demo/greeting", "", { version: 0 })],
    ["getData demo//greeting", zk.getData("demo//greeting")]
  ] as const
  for (const [what, effect] of failing) {
    const error = yield* Effect.flip<unknown, { readonly _tag: string }, never>(effect)
    yield* row(what, error._tag, yellow)
  }
})

const watch = Effect.fnUntraced(function*(zk: ZkClient.ZkClient) {
  yield* heading("A watch is a stream: the present state, then every newer one")
  const seen = yield* Queue.unbounded<void>()
  const follow = zk.changes("/demo/config").pipe(
    Stream.runForEach((node) =>
      Effect.andThen(
        row("  changes(/demo/config)", Option.match(node, { onNone: () => "not there", onSome: ({ text }) => text })),
        Queue.offer(seen, undefined)
      )
    )
  )
  const fiber = yield* Effect.forkChild(follow)
  yield* Queue.take(seen)
  yield* row("create", "", dim)
  yield* zk.create("/demo/config", "{ workers: 2 }")
  yield* Queue.take(seen)
  yield* row("setData", "", dim)
  yield* zk.setData("/demo/config", "{ workers: 8 }")
  yield* Queue.take(seen)
  yield* row("delete", "", dim)
  yield* zk.delete("/demo/config")
  yield* Queue.take(seen)
  yield* Fiber.interrupt(fiber)
})

const transaction = Effect.fnUntraced(function*(zk: ZkClient.ZkClient) {
  yield* heading("A transaction: all of it or nothing")
  const { create, delete: remove, setData } = ZkTransaction
  const [moved] = yield* zk.multi([create("/demo/moved", "good day"), remove("/demo/greeting")])
  yield* row("create moved, delete greeting", `both: ${moved.path}`)
  const failed = yield* zk.multi([setData("/demo/moved", "lost?"), remove("/demo/greeting")]).pipe(
    Effect.as("both"),
    Effect.catchTag("MultiFailed", ({ cause, index }) => Effect.succeed(`neither: operation ${index}, ${cause._tag}`))
  )
  yield* row("set moved, delete greeting", failed, yellow)
  const { text } = yield* zk.getData("/demo/moved")
  yield* row("getData /demo/moved", `"${text}", as it was`)
})

const describe = (state: ZkState.SessionState): string =>
  state._tag === "Connected" ? `Connected, session ${hex(state.sessionId)}` : state._tag

const tour = Effect.gen(function*() {
  yield* print(bold("effect-zookeeper"))

  yield* heading("A server")
  announcements.print = (line) => void process.stdout.write(`${fold(line)}\n`)
  const { proxy, server } = yield* makeProxiedServer()
  yield* row("ZooKeeper", `${server.version} on ${server.connectString}`)
  yield* row("in between, to break things", `a proxy on ${proxy.connectString}`)

  yield* heading("Connect")
  yield* Effect.scoped(Effect.gen(function*() {
    const zk = yield* ZkClient.make({ hosts: proxy.connectString, sessionTimeout: "6 seconds" })
    const state = yield* zk.state
    yield* row("session", state._tag === "Connected" ? hex(state.sessionId) : state._tag)
    yield* nodes(zk)
    yield* watch(zk)
    yield* transaction(zk)

    yield* heading("The connection breaks, the session lives")
    yield* zk.create("/demo/me", null, { mode: "ephemeral" })
    yield* row("create /demo/me, ephemeral", "lives as long as the session")
    const states = yield* Effect.forkChild(
      Stream.runForEach(
        zk.stateChanges,
        (state) =>
          print(
            `  ${"  stateChanges".padEnd(leftWidth)} ${(state._tag === "Connected" ? green : red)(describe(state))}`
          )
      ),
      { startImmediately: true }
    )
    yield* beat
    // The server gets the request; its answer, and the connection with it, are lost.
    yield* proxy.swallowReply({ op: "setData", path: "/demo/moved" })
    yield* proxy.setAccept("refuse")
    yield* row("setData, its answer is lost", "", dim)
    const lost = yield* zk.setData("/demo/moved", "bye").pipe(
      Effect.as("answered"),
      Effect.catchTag("ConnectionLoss", (e) => Effect.succeed(`ConnectionLoss, maybeApplied: ${e.maybeApplied}`))
    )
    yield* row("  and so it failed with", lost, yellow)
    const read = yield* Effect.forkChild(zk.getData("/demo/moved"), { startImmediately: true })
    yield* row("getData, while nobody answers", "waits", dim)
    yield* Effect.sleep(800)
    yield* proxy.setAccept("accept")
    const { text } = yield* Fiber.join(read)
    yield* beat
    yield* row("  and was answered after all", `"${text}": it had been applied`)
    yield* row("/demo/me", Option.isSome(yield* zk.exists("/demo/me")) ? "still there" : "gone")
    yield* Fiber.interrupt(states)

    yield* heading("Goodbye")
    yield* zk.deleteRecursive("/demo")
    yield* row("deleteRecursive /demo", "clean")
  }))
  const sessions = yield* server.sessions.pipe(
    Effect.repeat({ until: (open) => open.length === 0, schedule: Schedule.spaced("20 millis"), times: 50 })
  )
  yield* row("sessions left on the server", sessions.length === 0 ? "none" : String(sessions.length))
})

NodeRuntime.runMain(
  Effect.scoped(tour).pipe(
    Effect.andThen(print()),
    Effect.onInterrupt(() => print(dim("\n  interrupted: everything is stopped and removed"))),
    Effect.catchCause((cause) =>
      Cause.hasInterruptsOnly(cause) ? Effect.failCause(cause) : Effect.andThen(
        print(red(`\n  the demo cannot go on: ${Cause.squash(cause)}`)),
        Effect.sync(() => {
          process.exitCode = 1
        })
      )
    )
  )
)
