/**
 * A scheduled job that runs on one of many machines: all of them have the schedule, and for each date one of them does the
 * work, also when some are late, or go down in the middle of it.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Config, Console, Effect, Layer } from "effect"
import { ZkClient, ZkLock, ZkTransaction } from "effect-zookeeper"

const lastRun = "/examples/report/last-run"

/** Does the work for a date unless it is done. The lock makes the others wait, the node tells them that it is done. */
const report = Effect.fnUntraced(
  function*(date: string) {
    const zk = yield* ZkClient.ZkClient
    const lock = yield* ZkLock.make("/examples/report/lock")
    yield* lock.withLock(Effect.fnUntraced(function*(handle) {
      const { text } = yield* zk.getData(lastRun)
      if (text >= date) return yield* Console.log(`${date}: nothing left to do`)
      yield* Console.log(`${date}: making the report`)
      // Written only if the lock is still held: whoever lost it has not done the work.
      yield* handle.guard([ZkTransaction.setData(lastRun, date)])
    }))
  },
  Effect.catchTags({
    // This machine was cut off: another does the work, or this one next time.
    LockLost: ({ message }) => Console.log(message),
    LockNotAcquired: ({ message }) => Console.log(message)
  })
)

const ZkLive = ZkClient.layerConfig({
  hosts: Config.String("ZK_SERVERS").pipe(Config.withDefault("127.0.0.1:2181"))
})

/** In real life these are as many processes. Each has a session of its own. */
const machine = Effect.gen(function*() {
  yield* report("2026-01-30")
  yield* report("2026-01-31")
}).pipe(Effect.provide(Layer.fresh(ZkLive)))

const program = Effect.gen(function*() {
  const zk = yield* ZkClient.ZkClient
  yield* zk.create(lastRun, "", { parents: true })
  yield* Effect.all([machine, machine, machine], { concurrency: "unbounded" })
  yield* zk.deleteRecursive("/examples")
})

NodeRuntime.runMain(Effect.provide(program, ZkLive))
