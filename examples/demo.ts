/**
 * `npm run demo`: a tour of the client, against a real ZooKeeper that it brings up itself.
 *
 * Between client and server stands a proxy of the test rig, so that the connection can really be cut.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Console, Deferred, Duration, Effect, Fiber, Option, Stream } from "effect"
import { ZkClient, ZkStat, ZkTransaction } from "effect-zookeeper"
import { makeProxiedServer } from "../test/support/proxy.ts"

const isTerminal = process.stdout.isTTY === true && process.env["NO_COLOR"] === undefined
const paint = (code: number) => (text: string) => isTerminal ? `\u001b[${code}m${text}\u001b[0m` : text
const bold = paint(1)
const dim = paint(2)
const green = paint(32)
const yellow = paint(33)
const cyan = paint(36)

const heading = (text: string) => Console.log(`\n${bold(text)}`)
const code = (text: string) => Console.log(`  ${dim(text)}`)
const result = (text: string) => Console.log(`    ${green("→")} ${text}`)
const note = (text: string) => Console.log(`    ${cyan("·")} ${text}`)

const showState = (state: Effect.Success<ZkClient.ZkClient["state"]>): string => {
  switch (state._tag) {
    case "Connected":
      return `${green("Connected")} session ${ZkStat.toHex(state.sessionId)}, timeout ${Duration.format(state.timeout)}`
    case "Suspended":
      return `${yellow("Suspended")} the connection is lost, the session may live`
    default:
      return yellow(state._tag)
  }
}

const connecting = Effect.gen(function*() {
  yield* heading("1. Connect")
  yield* code("ZkClient.layer({ hosts, sessionTimeout: \"4 seconds\" })")
  const zk = yield* ZkClient.ZkClient
  yield* result(showState(yield* zk.state))
})

const nodes = Effect.gen(function*() {
  const zk = yield* ZkClient.ZkClient
  yield* heading("2. Nodes")
  yield* code("zk.create(\"/demo/config\", \"color=green\", { parents: true })")
  const { path } = yield* zk.create("/demo/config", "color=green", { parents: true })
  yield* result(`${path} created, and /demo with it`)
  yield* code("zk.getData(\"/demo/config\")")
  const { stat, text } = yield* zk.getData("/demo/config")
  yield* result(`${JSON.stringify(text)}, version ${stat.version}, made by transaction ${ZkStat.toHex(stat.czxid)}`)
})

const errors = Effect.gen(function*() {
  const zk = yield* ZkClient.ZkClient
  yield* heading("3. Errors have types")
  yield* code("zk.getData(\"/demo/nowhere\").pipe(Effect.catchTag(\"NoNode\", ...))")
  yield* zk.getData("/demo/nowhere").pipe(
    Effect.catchTag("NoNode", (error) => result(`NoNode: ${error.message}`))
  )
  yield* code("zk.setData(\"/demo/config\", \"color=red\", { version: 7 })")
  yield* zk.setData("/demo/config", "color=red", { version: 7 }).pipe(
    Effect.catchTag("BadVersion", (error) => result(`BadVersion: ${error.message}`))
  )
})

const watching = Effect.gen(function*() {
  const zk = yield* ZkClient.ZkClient
  yield* heading("4. A node as a Stream")
  yield* code("zk.changes(\"/demo/config\")")
  // Each change is made once the one before has been seen: a reader that is slower sees the latest only.
  const seen = yield* Effect.all([Deferred.make<void>(), Deferred.make<void>(), Deferred.make<void>()])
  const steps = ["color=blue", undefined, "color=gold"] as const
  const follower = yield* zk.changes("/demo/config").pipe(
    Stream.map(Option.match({ onNone: () => "(no such node)", onSome: (node) => node.text })),
    Stream.take(4),
    Stream.zipWithIndex,
    Stream.runForEach(([text, index]) =>
      Effect.andThen(
        result(text),
        Effect.suspend(() => index < 3 ? Deferred.succeed(seen[index]!, undefined) : Effect.void)
      )
    ),
    Effect.forkChild
  )
  for (const [index, text] of steps.entries()) {
    yield* Deferred.await(seen[index]!)
    if (text === undefined) yield* zk.delete("/demo/config")
    else if (index === 0) yield* zk.setData("/demo/config", text)
    else yield* zk.create("/demo/config", text)
  }
  yield* Fiber.join(follower)
})

const transaction = Effect.gen(function*() {
  const zk = yield* ZkClient.ZkClient
  yield* heading("5. All or nothing")
  yield* code("zk.multi([create(\"/demo/a\"), check(\"/demo/config\", { version: 0 }), create(\"/demo/b\")])")
  const [a, , b] = yield* zk.multi([
    ZkTransaction.create("/demo/a"),
    ZkTransaction.check("/demo/config", { version: 0 }),
    ZkTransaction.create("/demo/b")
  ])
  yield* result(`${a.path} and ${b.path} in one transaction`)
  yield* code("zk.multi([delete(\"/demo/a\"), create(\"/demo/b\")])")
  yield* zk.multi([ZkTransaction.delete("/demo/a"), ZkTransaction.create("/demo/b")]).pipe(
    Effect.catchTag(
      "MultiFailed",
      (error) => result(`${error.cause._tag} at operation ${error.index}: nothing was done`)
    )
  )
  yield* note(`/demo/a is ${Option.isSome(yield* zk.exists("/demo/a")) ? "still there" : "gone"}`)
})

const outage = (cut: Effect.Effect<void>) =>
  Effect.gen(function*() {
    const zk = yield* ZkClient.ZkClient
    yield* heading("6. The connection is cut")
    yield* code("zk.create(\"/demo/me\", \"here\", { mode: \"ephemeral\" })")
    const { path, stat } = yield* zk.create("/demo/me", "here", { mode: "ephemeral" })
    yield* result(`${path} lives as long as session ${ZkStat.toHex(stat?.ephemeralOwner ?? 0n)}`)
    yield* code("zk.stateChanges")
    const states = yield* zk.stateChanges.pipe(
      Stream.drop(1),
      Stream.take(2),
      Stream.runForEach((state) => result(showState(state))),
      Effect.forkChild({ startImmediately: true })
    )
    yield* note("cut!")
    yield* cut
    yield* note("a read that is asked for now waits for the next connection")
    const { text } = yield* zk.getData("/demo/me")
    yield* Fiber.join(states)
    yield* result(`/demo/me: ${JSON.stringify(text)}, the same session, nothing lost`)
  })

const leaving = Effect.gen(function*() {
  const zk = yield* ZkClient.ZkClient
  yield* zk.deleteRecursive("/demo")
})

const tour = (cut: Effect.Effect<void>) =>
  Effect.gen(function*() {
    yield* connecting
    yield* nodes
    yield* errors
    yield* watching
    yield* transaction
    yield* outage(cut)
    yield* leaving
  })

const demo = Effect.scoped(Effect.gen(function*() {
  yield* Console.log(bold("effect-zookeeper, a tour"))
  yield* Console.log(dim("Starting a ZooKeeper server. The first time this takes a while."))
  const { connectString, proxy, server } = yield* makeProxiedServer()
  yield* Console.log(dim(`ZooKeeper ${server.version} is up at ${connectString}.`))
  yield* tour(proxy.cutAll).pipe(
    Effect.provide(ZkClient.layer({ hosts: connectString, sessionTimeout: "4 seconds" }))
  )
  yield* heading("7. Goodbye")
  const left = yield* server.sessions
  yield* result(
    `the scope is closed: ${left.length === 0 ? "no session is left at the server" : `${left.length} left`}`
  )
}))

NodeRuntime.runMain(demo)
