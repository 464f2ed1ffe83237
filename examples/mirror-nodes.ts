/**
 * Nodes that are mirrored, whether they exist or not: their values and children are there to be read, and change as those
 * of the servers do.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Config, Console, Effect, Fiber, Option, Stream } from "effect"
import { ZkClient, ZkMirror } from "effect-zookeeper"

const program = Effect.scoped(Effect.gen(function*() {
  const zk = yield* ZkClient.ZkClient
  yield* zk.create("/examples/mirror", "the root", { parents: true })
  const mirror = yield* Effect.flatMap(ZkMirror.make, (mirror) => mirror.chroot("/examples/mirror"))

  // A node that is there,
  const root = yield* mirror.node("/")
  yield* Console.log((yield* root.value).text, yield* root.children)

  // and one that is not.
  const missing = yield* mirror.node("/missing")
  yield* missing.value.pipe(Effect.catchTag("NoNode", ({ _tag, path }) => Console.log(_tag, path)))
  yield* missing.children.pipe(Effect.catchTag("NoNode", ({ _tag, path }) => Console.log(_tag, path)))

  // Once it is created its value and its children are there.
  yield* missing.create("value")
  const { stat, text } = yield* missing.value
  yield* Console.log(text, yield* missing.children)
  yield* missing.set("new value", { version: stat.version })
  const changed = yield* missing.value
  yield* Console.log(changed.text)
  yield* missing.delete({ version: changed.stat.version })

  // Watchers begin with the present value, and end with their scopes.
  const watching = yield* root.changes.pipe(
    Stream.map(Option.match({ onNone: () => "no node", onSome: (node) => node.text })),
    Stream.tap((value) => Console.log(`value: ${value}`)),
    Stream.takeUntil((value) => value === "stuff"),
    Stream.runDrain,
    Effect.forkChild({ startImmediately: true })
  )
  yield* root.set("stuff")
  yield* Fiber.join(watching)

  yield* zk.deleteRecursive("/examples")
}))

const ZkLive = ZkClient.layerConfig({
  hosts: Config.String("ZK_SERVERS").pipe(Config.withDefault("127.0.0.1:2181"))
})

NodeRuntime.runMain(Effect.provide(program, ZkLive))
