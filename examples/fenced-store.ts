/**
 * Writes to a store that is not ZooKeeper, safe from a holder that has lost the lock and does not know it yet: the store
 * remembers the highest fencing token, and refuses lower ones. No lock service can do without the store's help here.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Config, Console, Data, Effect, Ref } from "effect"
import { ZkClient, ZkLock } from "effect-zookeeper"

class StaleToken extends Data.TaggedError("StaleToken")<{ readonly token: bigint; readonly seen: bigint }> {}

/** With a database: `UPDATE t SET value = $1, token = $2 WHERE id = $3 AND token <= $2`, and look at the count. */
const makeStore = Effect.map(Ref.make({ value: "", token: 0n }), (state) => ({
  value: Effect.map(Ref.get(state), ({ value }) => value),
  write: (value: string, token: bigint) =>
    Effect.flatMap(
      Ref.modify(state, (seen) => token < seen.token ? [seen.token, seen] : [undefined, { value, token }]),
      (seen) => seen === undefined ? Effect.void : Effect.fail(new StaleToken({ token, seen }))
    )
}))

const program = Effect.scoped(Effect.gen(function*() {
  const store = yield* makeStore
  const lock = yield* ZkLock.make("/examples/store")

  const slow = yield* lock.acquire()
  // Somebody is sure that the first holder is dead, and is wrong.
  const hasty = yield* lock.acquire({ revoke: "immediate" })
  yield* store.write("by the second holder", hasty.fencingToken)

  // The first holder has heard of it by now. Under `use` it would have been interrupted; what it had sent would not.
  const lost = yield* Effect.flip(slow.lost)
  yield* Console.log(lost.reason)
  yield* store.write("by the first holder, too late", slow.fencingToken).pipe(
    Effect.catchTag("StaleToken", () => Console.log("refused: another has held the lock since"))
  )
  yield* Console.log(`the store: ${yield* store.value}`)

  yield* hasty.release
  const zk = yield* ZkClient.ZkClient
  yield* zk.deleteRecursive("/examples")
}))

const ZkLive = ZkClient.layerConfig({
  hosts: Config.String("ZK_SERVERS").pipe(Config.withDefault("127.0.0.1:2181"))
})

NodeRuntime.runMain(Effect.provide(program, ZkLive))
