/** Errors are part of an operation's type: what is handled disappears from it, what is left has to be. */
import { NodeRuntime } from "@effect/platform-node"
import { Config, Console, Effect } from "effect"
import { ZkClient, type ZkError } from "effect-zookeeper"

/** A node that is missing has a meaning here; everything else stays in the type. */
const readPort: Effect.Effect<number, ZkError.NoAuth | ZkError.SessionError, ZkClient.ZkClient> = Effect.gen(
  function*() {
    const zk = yield* ZkClient.ZkClient
    const { text } = yield* zk.getData("/examples/port")
    return Number(text)
  }
).pipe(Effect.catchTag("NoNode", () => Effect.succeed(8080)))

/** Several at once. The compiler knows which errors `create` can have, and refuses the names of others. */
const claim = (path: string) =>
  Effect.gen(function*() {
    const zk = yield* ZkClient.ZkClient
    yield* zk.create(path, "mine", { mode: "ephemeral", parents: true })
    return "claimed"
  }).pipe(Effect.catchTags({
    NodeExists: (error) => Effect.succeed(`${error.path} belongs to somebody else`),
    NoAuth: (error) => Effect.succeed(`not allowed to create ${error.path}`)
  }))

const program = Effect.gen(function*() {
  const zk = yield* ZkClient.ZkClient
  yield* Console.log(`port: ${yield* readPort}`)
  yield* Console.log(yield* claim("/examples/leader"))
  yield* Console.log(yield* claim("/examples/leader"))

  // Bad input is an error like any other, found before anything is sent.
  yield* zk.getData("examples//port").pipe(
    Effect.catchTag("InvalidPath", (error) => Console.log(`InvalidPath: ${error.reason}`))
  )
  yield* zk.setData("/examples/leader", "still mine", { version: 5 }).pipe(
    Effect.catchTag("BadVersion", (error) => Console.log(`BadVersion: expected ${error.expected}`))
  )
  yield* zk.deleteRecursive("/examples")
})

const ZkLive = ZkClient.layerConfig({
  hosts: Config.String("ZK_SERVERS").pipe(Config.withDefault("127.0.0.1:2181"))
})

NodeRuntime.runMain(Effect.provide(program, ZkLive))
