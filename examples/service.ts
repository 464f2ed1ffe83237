/**
 * A service without a state of its own: its settings come from ZooKeeper, and it tells others where it is and what it
 * has to do. Both stand on one session, and end with it.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Config, Console, Context, Effect, Layer, Schema, Stream } from "effect"
import { ZkAdvertisement, ZkClient, ZkNode, ZkState } from "effect-zookeeper"

const SettingsValue = Schema.Struct({ workers: Schema.Int })
type SettingsValue = typeof SettingsValue.Type

/** In memory, and as they are now. */
class Settings extends Context.Service<Settings, ZkNode.ZkNode<SettingsValue>>()("app/Settings") {
  static readonly layer = Layer.effect(
    Settings,
    ZkNode.make("/examples/billing/settings", { value: SettingsValue, default: { workers: 1 } })
  )
}

const Instance = Schema.Struct({ address: Schema.String, workers: Schema.Int })

/** What others see of this instance: under a name of its own, with the latest settings. */
class Presence extends Context.Service<Presence, ZkAdvertisement.ZkAdvertisement<typeof Instance.Type>>()(
  "app/Presence"
) {
  static readonly layer = (address: string) =>
    Layer.effect(
      Presence,
      Effect.gen(function*() {
        const settings = yield* Settings
        return yield* ZkAdvertisement.make("/examples/run/billing.", {
          value: Instance,
          data: { address, workers: (yield* settings.get).workers },
          sequential: true,
          follow: settings.changes.pipe(
            Stream.map(({ current }) => current),
            // While there are no settings, or none that can be read, the last ones stand.
            Stream.filter((current) => current._tag === "Present"),
            Stream.map(({ value }) => ({ address, workers: value.workers })),
            // The client has ended; so does this.
            Stream.catch(() => Stream.empty)
          )
        })
      })
    )
}

const ServiceLive = Presence.layer("10.0.0.7:8080").pipe(Layer.provideMerge(Settings.layer))

/** In real life this is another program, on another machine. */
const look = Effect.gen(function*() {
  const zk = yield* ZkClient.ZkClient
  const { children } = yield* zk.getChildren("/examples/run")
  for (const name of children) {
    const { text } = yield* zk.getData(`/examples/run/${name}`)
    yield* Console.log(`${name.split(".")[0]}: ${text}`)
  }
  if (children.length === 0) yield* Console.log("nobody is there")
})

const serve = Effect.gen(function*() {
  const zk = yield* ZkClient.ZkClient
  const settings = yield* Settings
  const presence = yield* Presence
  yield* Console.log(ZkState.connectionState(yield* zk.state))
  yield* look
  yield* settings.set({ workers: 4 })
  yield* presence.changes.pipe(
    Stream.filter((state) => state._tag === "Advertised" && state.upToDate),
    Stream.mapEffect(() => zk.getChildren("/examples/run")),
    Stream.mapEffect(({ children }) => zk.getData(`/examples/run/${children[0]}`)),
    Stream.takeUntil(({ text }) => text.includes(`"workers":4`)),
    Stream.runDrain
  )
  yield* look
})

const program = Effect.gen(function*() {
  yield* Effect.provide(serve, ServiceLive)
  // The service has ended; the client goes on.
  yield* look
  const zk = yield* ZkClient.ZkClient
  yield* zk.deleteRecursive("/examples")
})

const ZkLive = ZkClient.layerConfig({
  hosts: Config.String("ZK_SERVERS").pipe(Config.withDefault("127.0.0.1:2181"))
})

NodeRuntime.runMain(Effect.provide(program, ZkLive))
