/**
 * A configuration node that is followed: the program always has the latest valid configuration, whatever happens to the
 * node, the connection or the session.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Config, Console, Effect, Fiber, Option, Schema, Stream, SubscriptionRef } from "effect"
import { ZkClient } from "effect-zookeeper"

const Settings = Schema.Struct({ color: Schema.String, workers: Schema.Int })
const decode = Schema.decodeUnknownEffect(Schema.fromJsonString(Settings))
const defaults: typeof Settings.Type = { color: "grey", workers: 1 }

/** The current settings: the defaults while there is no node, the last valid ones while its text is not. */
const makeSettings = (path: string) =>
  Effect.gen(function*() {
    const zk = yield* ZkClient.ZkClient
    const settings = yield* SubscriptionRef.make(defaults)
    const follow = zk.changes(path).pipe(
      Stream.runForEach(Option.match({
        onNone: () => SubscriptionRef.set(settings, defaults),
        onSome: ({ text }) =>
          decode(text).pipe(
            Effect.flatMap((value) => SubscriptionRef.set(settings, value)),
            Effect.catch(() => Console.log(`ignored: ${text}`))
          )
      }))
    )
    // Ends with the scope, and with it the watch at the server.
    yield* Effect.forkScoped(follow)
    return settings
  })

const program = Effect.scoped(Effect.gen(function*() {
  const zk = yield* ZkClient.ZkClient
  yield* zk.ensurePath("/examples")
  const settings = yield* makeSettings("/examples/settings")
  const shown = yield* SubscriptionRef.changes(settings).pipe(
    Stream.changesWith((a, b) => a === b),
    Stream.tap(({ color, workers }) => Console.log(`${workers} workers in ${color}`)),
    Stream.takeUntil(({ color }) => color === "gold"),
    Stream.runDrain,
    Effect.forkChild({ startImmediately: true })
  )

  // In real life this is somebody else, on another machine.
  yield* zk.create("/examples/settings", JSON.stringify({ color: "blue", workers: 4 }))
  yield* zk.setData("/examples/settings", "{ nonsense")
  yield* zk.delete("/examples/settings")
  yield* zk.create("/examples/settings", JSON.stringify({ color: "gold", workers: 8 }))

  yield* Fiber.join(shown)
  yield* zk.deleteRecursive("/examples")
}))

const ZkLive = ZkClient.layerConfig({
  hosts: Config.String("ZK_SERVERS").pipe(Config.withDefault("127.0.0.1:2181"))
})

NodeRuntime.runMain(Effect.provide(program, ZkLive))
