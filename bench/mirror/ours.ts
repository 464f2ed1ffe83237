/** This library's live tree in a process of its own: `node ours.ts host:port`; see command.ts. */
import { Effect, Exit, Scope, Stream } from "effect"
import { ZkClient, ZkMirror } from "effect-zookeeper"
import { createInterface } from "node:readline"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import type { Load, Weight } from "./command.ts"

setFlagsFromString("--expose-gc")
const collect: () => void = runInNewContext("gc")

const [, , hosts = ""] = process.argv

const memory = Effect.gen(function*() {
  // What a fiber has just come by it keeps until it does something else.
  yield* Effect.sleep("100 millis")
  for (let i = 0; i < 3; i++) collect()
  const { arrayBuffers, heapUsed } = process.memoryUsage()
  return heapUsed + arrayBuffers
})

const program = Effect.gen(function*() {
  const zk = yield* ZkClient.make({ hosts, sessionTimeout: 30_000 })
  const mirror = yield* Effect.provideService(ZkMirror.make, ZkClient.ZkClient, zk)
  const scope = yield* Effect.scope

  const load = (path: string) =>
    Effect.scoped(Effect.gen(function*() {
      const start = performance.now()
      const before = process.cpuUsage()
      const tree = yield* mirror.tree(path)
      const { system, user } = process.cpuUsage(before)
      const wall = performance.now() - start
      return { wall, cpu: (system + user) / 1000, nodes: yield* tree.size } satisfies Load
    }))

  const weigh = (path: string) =>
    Effect.scoped(Effect.gen(function*() {
      const before = yield* memory
      const tree = yield* mirror.tree(path)
      return { bytes: (yield* memory) - before, nodes: yield* tree.size } satisfies Weight
    }))

  let kept: Scope.Closeable | undefined
  const follow = (path: string) =>
    Effect.gen(function*() {
      kept = yield* Scope.fork(scope)
      const tree = yield* Scope.provide(mirror.tree(path), kept)
      yield* tree.changes.pipe(
        Stream.runForEach((change) =>
          Effect.sync(() => {
            if (change._tag !== "Changed") return
            const at = process.hrtime.bigint()
            if (/^\d+$/.test(change.node.text)) console.log(`${change.node.text} ${at}`)
          })
        ),
        Effect.forkIn(kept, { startImmediately: true })
      )
      return "following"
    })
  const drop = Effect.suspend(() =>
    Effect.as(kept === undefined ? Effect.void : Scope.close(kept, Exit.void), "dropped")
  )

  const answer = ([command, path = ""]: ReadonlyArray<string>) => {
    switch (command) {
      case "load":
        return Effect.map(load(path), (measured) => JSON.stringify(measured))
      case "weigh":
        return Effect.map(weigh(path), (measured) => JSON.stringify(measured))
      case "follow":
        return follow(path)
      case "drop":
        return drop
      default:
        return Effect.sync(() => `${process.hrtime.bigint()}`)
    }
  }
  console.log("ready")
  yield* Effect.promise(async () => {
    for await (const line of createInterface({ input: process.stdin })) {
      console.log(await Effect.runPromise(answer(line.split(" "))))
    }
  })
})

await Effect.runPromise(Effect.scoped(program))
