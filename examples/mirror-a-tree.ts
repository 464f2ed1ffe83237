/**
 * A tree of services that is mirrored: reading it costs no request, and every change of it is told, whatever happens to
 * the connection meanwhile.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Config, Console, Effect, Fiber, Option, Stream } from "effect"
import { ZkClient, ZkMirror } from "effect-zookeeper"

const services = "/examples/services"

const show = (change: ZkMirror.TreeChange) => {
  const name = change.path.slice(services.length) || "/"
  switch (change._tag) {
    case "Added":
      return `+ ${name} ${change.node.text}`
    case "Changed":
      return `~ ${name} ${change.previous.text} -> ${change.node.text}`
    case "Removed":
      return `- ${name}`
  }
}

const program = Effect.scoped(Effect.gen(function*() {
  const zk = yield* ZkClient.ZkClient
  yield* zk.create(`${services}/billing/1`, "10.0.0.1:80", { parents: true })
  yield* zk.create(`${services}/billing/2`, "10.0.0.2:80")

  const mirror = yield* ZkMirror.make
  // Complete when everything that is there has been read, and kept up to date until the scope ends.
  const tree = yield* mirror.tree(services)
  yield* Console.log(`${yield* tree.size} nodes`)
  const instances = yield* tree.children(`${services}/billing`)
  yield* Console.log(`billing: ${Option.getOrElse(instances, () => ["none"]).join(", ")}`)

  // The nodes that are there, then what becomes of them.
  const printing = yield* tree.changes.pipe(
    Stream.map(show),
    Stream.tap((line) => Console.log(line)),
    Stream.takeUntil((line) => line === "- /billing/2"),
    Stream.runDrain,
    Effect.forkChild({ startImmediately: true })
  )
  yield* tree.freshnessChanges.pipe(
    Stream.runForEach(({ _tag }) => Console.log(_tag === "Live" ? "up to date" : "without a connection")),
    Effect.forkScoped({ startImmediately: true })
  )

  // In real life these are others, on other machines.
  yield* Effect.sleep("1 second")
  yield* zk.setData(`${services}/billing/1`, "10.0.0.9:80")
  yield* zk.create(`${services}/search`, "10.0.0.3:80")
  yield* tree.sync
  yield* zk.delete(`${services}/billing/2`)

  yield* Fiber.join(printing)
  yield* zk.deleteRecursive("/examples")
}))

const ZkLive = ZkClient.layerConfig({
  hosts: Config.String("ZK_SERVERS").pipe(Config.withDefault("127.0.0.1:2181"))
})

NodeRuntime.runMain(Effect.provide(program, ZkLive))
