/**
 * A counter that several processes increment, and what to do when an answer is lost.
 *
 * Nobody can tell whether a write whose answer was lost was applied. Trying again would count twice, giving up would
 * lose one. A transaction that leaves a mark can be looked up afterwards.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Config, Console, Effect, Option, Random } from "effect"
import { ZkClient, ZkError, ZkTransaction } from "effect-zookeeper"

const counter = "/examples/counter"

/** Adds one, exactly once. */
const increment = Effect.gen(function*() {
  const zk = yield* ZkClient.ZkClient
  const mark = `/examples/marks/${yield* Random.nextIntBetween(0, Number.MAX_SAFE_INTEGER)}`

  const attempt = Effect.gen(function*() {
    const { stat, text } = yield* zk.getData(counter)
    // Both or none: as long as there is the mark, the counter was incremented.
    yield* zk.multi([
      ZkTransaction.setData(counter, String(Number(text) + 1), { version: stat.version }),
      ZkTransaction.create(mark)
    ])
  })

  const resolved: typeof attempt = attempt.pipe(
    Effect.catch((error) => {
      // Somebody else was faster: read again.
      if (error._tag === "MultiFailed" && error.cause._tag === "BadVersion") return resolved
      if (!ZkError.maybeApplied(error)) return Effect.fail(error)
      // Behind a `sync`, what is not there was not applied and never will be.
      return Effect.gen(function*() {
        yield* Console.log(`${error._tag}: looking for the mark`)
        yield* zk.sync()
        const found = yield* zk.exists(mark)
        if (Option.isNone(found)) yield* resolved
      })
    })
  )

  yield* resolved
  yield* zk.ensureAbsent(mark)
})

const program = Effect.gen(function*() {
  const zk = yield* ZkClient.ZkClient
  yield* zk.ensurePath("/examples/marks")
  yield* zk.createOrSet(counter, "0")

  yield* Effect.forEach([1, 2, 3, 4, 5], () => increment, { concurrency: 3, discard: true })
  const { stat, text } = yield* zk.getData(counter)
  yield* Console.log(`counted to ${text}`)

  // For plain writes the client can look by itself. What it cannot find out either says so: maybeApplied.
  yield* zk.setData(counter, "100", { version: stat.version, idempotent: true })
  yield* Console.log(`set to ${(yield* zk.getData(counter)).text}`)

  yield* zk.deleteRecursive("/examples")
}).pipe(
  // What certainly was not applied may simply be tried again.
  ZkClient.retry()
)

const ZkLive = ZkClient.layerConfig({
  hosts: Config.String("ZK_SERVERS").pipe(Config.withDefault("127.0.0.1:2181"))
})

NodeRuntime.runMain(Effect.provide(program, ZkLive))
