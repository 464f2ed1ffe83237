/** The first program: connect, write a node, read it, and leave nothing behind. */
import { NodeRuntime } from "@effect/platform-node"
import { Config, Console, Effect } from "effect"
import { ZkClient } from "effect-zookeeper"

const program = Effect.gen(function*() {
  // The session is there when the layer is: no state to wait for.
  const zk = yield* ZkClient.ZkClient
  const state = yield* zk.state
  yield* Console.log(`the session is ${state._tag}`)

  // Text is written as UTF-8; missing parents are made on request.
  yield* zk.createOrSet("/examples/greeting", "hello")

  const { stat, text } = yield* zk.getData("/examples/greeting")
  yield* Console.log(`${text}, version ${stat.version}, ${stat.dataLength} bytes`)

  const { children } = yield* zk.getChildren("/examples")
  yield* Console.log(`children of /examples: ${children.join(", ")}`)

  yield* zk.deleteRecursive("/examples")
})

// Where the servers are is a matter of configuration: ZK_SERVERS=zk1:2181,zk2:2181 node connect-and-read.ts
const ZkLive = ZkClient.layerConfig({
  hosts: Config.String("ZK_SERVERS").pipe(Config.withDefault("127.0.0.1:2181"))
})

// The session ends with the layer, whether the program succeeds, fails or is interrupted.
NodeRuntime.runMain(Effect.provide(program, ZkLive))
