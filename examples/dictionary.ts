/**
 * Configuration in a dictionary: a number and a text, each in a node of its own, and read from memory by whoever shares
 * them.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Config, Console, Effect, Schema } from "effect"
import { ZkClient, ZkDict } from "effect-zookeeper"

const root = "/examples/config"

const program = Effect.scoped(Effect.gen(function*() {
  // Known keys, each with its type: `config.set("language", 7)` does not compile.
  const config = yield* ZkDict.struct(root, { exchange_rate: Schema.Number, language: Schema.String })
  yield* config.set("exchange_rate", 25)
  yield* config.set("language", "en-US")
  yield* Console.log(yield* config.get("exchange_rate"))
  yield* Console.log(yield* config.get("language"))

  // Nobody else gets what was popped.
  yield* Console.log(yield* config.pop("exchange_rate"))
  yield* config.get("exchange_rate").pipe(
    Effect.catchTag("KeyNotFound", ({ _tag, key }) => Console.log(`${_tag}: ${key}`))
  )

  // Any number of keys, all of one type. In real life this is another program, on another machine.
  const texts = yield* ZkDict.make(root, { value: Schema.String })
  yield* config.update("language", (language) => language.toLowerCase())
  yield* texts.set("greeting", "hello")
  yield* texts.sync
  for (const [key, text] of yield* texts.entries) yield* Console.log(`${key}: ${text}`)

  const zk = yield* ZkClient.ZkClient
  yield* zk.deleteRecursive("/examples")
}))

const ZkLive = ZkClient.layerConfig({
  hosts: Config.String("ZK_SERVERS").pipe(Config.withDefault("127.0.0.1:2181"))
})

NodeRuntime.runMain(Effect.provide(program, ZkLive))
