/** Two ensembles in one program: two services, two sessions, and nothing that mixes them up. */
import { NodeRuntime } from "@effect/platform-node"
import { Config, Console, Effect, Layer, Option } from "effect"
import { ZkClient, ZkPath } from "effect-zookeeper"

class Billing extends ZkClient.Service<Billing>()("examples/Billing") {}
class Search extends ZkClient.Service<Search>()("examples/Search") {}

/** Written for any client; who calls it decides which one it gets. */
const describe = Effect.gen(function*() {
  const zk = yield* ZkClient.ZkClient
  const { children } = yield* zk.getChildren("/")
  return children.length === 0 ? "empty" : [...children].sort().join(", ")
})

const program = Effect.gen(function*() {
  const billing = yield* Billing
  const search = yield* Search
  yield* billing.createOrSet("/limits", "100")
  yield* billing.createOrSet("/prices", "5")

  // From one to the other.
  const limits = yield* billing.getDataOption("/limits")
  if (Option.isSome(limits)) yield* search.createOrSet("/limits", limits.value.data)

  yield* Console.log(`billing: ${yield* Billing.provide(describe)}`)
  yield* Console.log(`search: ${yield* Search.provide(describe)}`)

  for (const [zk, name] of [[billing, "/limits"], [billing, "/prices"], [search, "/limits"]] as const) {
    yield* zk.ensureAbsent(ZkPath.join("/", name))
  }
})

const hosts = (name: string) => Config.String(name).pipe(Config.withDefault("127.0.0.1:2181"))

// Each sees its own part of the tree as "/", which is made when it is missing.
const Live = Layer.mergeAll(
  Billing.layerConfig({
    hosts: hosts("ZK_SERVERS"),
    chroot: Config.succeed("/examples-billing"),
    createChroot: Config.succeed(true)
  }),
  Search.layerConfig({
    hosts: hosts("ZK_SERVERS"),
    chroot: Config.succeed("/examples-search"),
    createChroot: Config.succeed(true)
  })
)

NodeRuntime.runMain(Effect.provide(program, Live))
