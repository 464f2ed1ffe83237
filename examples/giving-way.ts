/**
 * A holder that gives way when it is asked to: a long batch that anybody may interrupt between two items, and goes on with
 * when its turn comes again.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Config, Console, Deferred, Effect, Fiber, Option, Queue } from "effect"
import { ZkClient, ZkLock } from "effect-zookeeper"

const program = Effect.gen(function*() {
  const items = yield* Queue.unbounded<string>()
  yield* Queue.offerAll(items, ["a", "b", "c"])
  const started = yield* Deferred.make<void>()

  const batchLock = yield* ZkLock.make("/examples/printer", { owner: { job: "batch" } })
  const urgentLock = yield* ZkLock.make("/examples/printer", { owner: { job: "urgent" } })

  /** Prints until nothing is left, or until somebody asks for the printer. Gives whether it is done. */
  const batch = batchLock.withLock(Effect.fnUntraced(function*(handle) {
    const asked = yield* Effect.forkChild(handle.revocationRequested, { startImmediately: true })
    while ((yield* Queue.size(items)) > 0) {
      yield* Console.log(`batch: ${yield* Queue.take(items)}`)
      yield* Deferred.succeed(started, undefined)
      // In real life the next item takes a while; here the batch waits to be asked after its first one.
      if ((yield* Queue.size(items)) === 2) yield* Fiber.await(asked)
      const request = asked.pollUnsafe()
      if (request?._tag === "Success") {
        const jobs = request.value.by.map(({ owner }) => Option.getOrUndefined(owner)?.custom?.["job"])
        yield* Console.log(`batch: giving way to ${jobs.join(", ")}`)
        return false
      }
    }
    return true
  }))

  const worker = yield* Effect.forkChild(Effect.repeat(batch, { while: (done) => !done }))
  yield* Deferred.await(started)
  yield* urgentLock.withLock(Console.log("urgent: one page"), { revoke: "request" })
  yield* Fiber.join(worker)
  yield* Console.log("batch: done")
  const zk = yield* ZkClient.ZkClient
  yield* zk.deleteRecursive("/examples")
})

const ZkLive = ZkClient.layerConfig({
  hosts: Config.String("ZK_SERVERS").pipe(Config.withDefault("127.0.0.1:2181"))
})

NodeRuntime.runMain(Effect.provide(program, ZkLive))
