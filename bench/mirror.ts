/**
 * What a copy of a large tree costs: 20 000 nodes of 100 bytes below 200 parents, from one real server. Time and CPU to
 * read it, memory for each node, and the time from somebody else's write to the change of the copy.
 * `npm run bench:mirror`.
 */
import { Effect, Stream } from "effect"
import { ZkClient, ZkMirror, ZkTransaction } from "effect-zookeeper"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { makeServer } from "../test/support/server.ts"

setFlagsFromString("--expose-gc")
const collect: () => void = runInNewContext("gc")

const parents = 200
const nodes = 20_000
const loads = 5
const writes = 500

const memory = (): number => {
  for (let i = 0; i < 3; i++) collect()
  const { arrayBuffers, heapUsed } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

const percentile = (sorted: ReadonlyArray<number>, share: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]!

const load = Effect.fnUntraced(function*(mirror: ZkMirror.ZkMirror) {
  // What a fiber has just come by it keeps until it does something else.
  yield* Effect.sleep("100 millis")
  const before = memory()
  const cpuBefore = process.cpuUsage()
  const start = performance.now()
  const tree = yield* mirror.tree("/tree")
  const wall = performance.now() - start
  const { system, user } = process.cpuUsage(cpuBefore)
  const size = yield* tree.size
  const line = `${wall.toFixed(0)} ms, ${((user + system) / 1000).toFixed(0)} ms of CPU, ` +
    `${((memory() - before) / size).toFixed(0)} bytes for each of ${size} nodes`
  yield* Effect.sync(() => process.stdout.write(`load: ${line}\n`))
  return tree
})

const program = Effect.scoped(Effect.gen(function*() {
  const server = yield* makeServer()
  const writer = yield* ZkClient.make({ hosts: server.connectString })
  const zk = yield* ZkClient.make({ hosts: server.connectString })
  yield* writer.create("/tree")
  yield* Effect.forEach(Array.from({ length: parents }), (_, i) => writer.create(`/tree/parent-${i}`), {
    concurrency: 50
  })
  const paths = Array.from({ length: nodes }, (_, i) => `/tree/parent-${i % parents}/node-${i}`)
  for (let i = 0; i < nodes; i += 1000) {
    const some = paths.slice(i, i + 1000)
    yield* writer.multi(some.map((path) => ZkTransaction.create(path, "x".repeat(100))))
  }
  const mirror = yield* Effect.provideService(ZkMirror.make, ZkClient.ZkClient, zk)
  for (let i = 0; i < loads; i++) yield* Effect.scoped(load(mirror))

  const tree = yield* load(mirror)
  const seen = new Map<string, (at: number) => void>()
  yield* Effect.forkScoped(
    Stream.runForEach(tree.changes, (change) =>
      Effect.sync(() => {
        if (change._tag === "Changed") seen.get(change.node.text)?.(performance.now())
      })),
    { startImmediately: true }
  )
  const times: Array<number> = []
  const answers: Array<number> = []
  for (let i = 0; i < writes; i++) {
    const change = new Promise<number>((resolve) => seen.set(`${i}`, resolve))
    const start = performance.now()
    yield* writer.setData(paths[(i * 37) % nodes]!, `${i}`)
    answers.push(performance.now() - start)
    times.push((yield* Effect.promise(() => change)) - start)
  }
  times.sort((a, b) => a - b)
  answers.sort((a, b) => a - b)
  const show = (sorted: ReadonlyArray<number>) =>
    `median ${percentile(sorted, 0.5).toFixed(2)} ms, 99th percentile ${percentile(sorted, 0.99).toFixed(2)} ms`
  process.stdout.write(`from a write to its answer: ${show(answers)}\n`)
  process.stdout.write(`from a write to the change of the copy: ${show(times)}, of ${writes}\n`)
}))

await Effect.runPromise(program)
