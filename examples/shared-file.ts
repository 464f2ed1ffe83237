/**
 * A read/write lock around a file that many processes share: readers read together, a writer has it for itself, and whoever
 * has just written reads on without anybody else writing in between.
 */
import { NodeRuntime, NodeServices } from "@effect/platform-node"
import { Config, Console, Effect, FileSystem, Layer } from "effect"
import { ZkClient, ZkLock } from "effect-zookeeper"

const program = Effect.scoped(Effect.gen(function*() {
  const fs = yield* FileSystem.FileSystem
  const file = yield* fs.makeTempFileScoped()
  const { read, write } = yield* ZkLock.makeReadWrite("/examples/catalogue")

  // Two steps, between which the file makes no sense.
  const publish = (edition: string) =>
    Effect.gen(function*() {
      yield* fs.writeFileString(file, `edition ${edition}, page 1\n`)
      yield* fs.writeFileString(file, `edition ${edition}, page 2\n`, { flag: "a" })
    })

  const check = Effect.gen(function*() {
    const text = yield* fs.readFileString(file)
    const editions = new Set([...text.matchAll(/edition (\d+)/g)].map(([, edition]) => edition))
    return `${editions.size === 1 && text.endsWith("page 2\n") ? "whole" : "torn"}: ${
      text.trim().split("\n").length
    } pages`
  })

  yield* write.withLock(publish("1"))
  const reader = read.withLock(Effect.flatMap(check, Console.log))
  const writer = (edition: string) =>
    write.withLock(Effect.fnUntraced(function*(handle) {
      yield* publish(edition)
      // From here on readers may come in, but no writer.
      const shared = yield* handle.downgrade
      yield* Console.log(`edition ${edition} is out (${shared.kind})`)
    }))
  yield* Effect.all([reader, writer("2"), reader, reader, writer("3"), reader], { concurrency: "unbounded" })
  const zk = yield* ZkClient.ZkClient
  yield* zk.deleteRecursive("/examples")
}))

const ZkLive = ZkClient.layerConfig({
  hosts: Config.String("ZK_SERVERS").pipe(Config.withDefault("127.0.0.1:2181"))
})

NodeRuntime.runMain(Effect.provide(program, Layer.mergeAll(ZkLive, NodeServices.layer)))
