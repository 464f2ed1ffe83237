/**
 * This library's lock in a process of its own: `node ours.ts lock host:port path`. With `bare` in place of `lock` the same
 * requests as plain operations of this library's client, and nothing that makes a lock of them.
 */
import { Effect } from "effect"
import { ZkClient, ZkLock } from "effect-zookeeper"
import { createInterface } from "node:readline"
import { contenders, type Measurement, type Scenario } from "./command.ts"

const [, , what, hosts = "", path = ""] = process.argv

const program = Effect.gen(function*() {
  const zk = yield* ZkClient.make({ hosts, sessionTimeout: 30_000 })
  const lock = yield* Effect.provideService(ZkLock.make(path), ZkClient.ZkClient, zk)
  const once = lock.withLock(Effect.void)

  const name = `${path}/lock-`
  // What a lock asks for: a place in the line and the line, its own node's data and, at the same time, its end.
  const requests = Effect.flatMap(
    Effect.all(
      [zk.createProtected(name, "{\"host\":\"a\",\"pid\":1}", { mode: "ephemeralSequential" }), zk.getChildren(path)],
      { concurrency: "unbounded" }
    ),
    ([{ path }]) => Effect.all([zk.getData(path), zk.delete(path)], { concurrency: "unbounded" })
  )
  if (what === "bare") yield* zk.ensurePath(path)

  const repeat = (effect: Effect.Effect<unknown, unknown>, times: number): Effect.Effect<void, unknown> => {
    let left = times
    return Effect.whileLoop({ while: () => left-- > 0, body: () => effect, step: () => {} })
  }
  const runs: Record<Scenario, (count: number) => Effect.Effect<void, unknown>> = {
    uncontended: (count) => repeat(what === "bare" ? requests : once, count),
    contended: (count) =>
      Effect.forEach(Array.from({ length: contenders }), () => repeat(once, count / contenders), {
        concurrency: "unbounded",
        discard: true
      })
  }
  const measure = async (scenario: Scenario, count: number): Promise<Measurement> => {
    const start = performance.now()
    const before = process.cpuUsage()
    await Effect.runPromise(runs[scenario](count))
    const { system, user } = process.cpuUsage(before)
    return { rate: count / (performance.now() - start) * 1000, cpu: (system + user) / count }
  }
  console.log("ready")
  yield* Effect.promise(async () => {
    for await (const line of createInterface({ input: process.stdin })) {
      const [scenario, count] = line.split(" ")
      console.log(JSON.stringify(await measure(scenario as Scenario, Number(count))))
    }
  })
})

await Effect.runPromise(Effect.scoped(program))
