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
  const enter = Effect.all(
    [zk.createProtected(name, "{\"host\":\"a\",\"pid\":1}", { mode: "ephemeralSequential" }), zk.getChildren(path)],
    { concurrency: "unbounded" }
  )
  // What a lock asks for that nobody else wants: a place in the line and the line, its own node's data and its end.
  const alone = Effect.flatMap(
    enter,
    ([{ path }]) => Effect.all([zk.getData(path), zk.delete(path)], { concurrency: "unbounded" })
  )
  // And one that has to wait: it hears of its own node and of the one ahead, and lists the line once more.
  const inLine = Effect.scoped(Effect.gen(function*() {
    const [created, { children }] = yield* enter
    const line = children.toSorted((a, b) => a.slice(-10) < b.slice(-10) ? -1 : 1)
    const ahead = line[line.indexOf(created.path.slice(path.length + 1)) - 1]
    const waiting = ahead === undefined ? Effect.void : zk.getDataWatch(`${path}/${ahead}`).pipe(
      Effect.flatMap(({ fired }) => fired),
      Effect.catchTag("NoNode", () => Effect.void),
      Effect.andThen(zk.getChildren(path))
    )
    yield* Effect.all([zk.getDataWatch(created.path), waiting], { concurrency: "unbounded" })
    yield* zk.delete(created.path)
  }))
  if (what === "bare") yield* zk.ensurePath(path)

  const repeat = (effect: Effect.Effect<unknown, unknown>, times: number): Effect.Effect<void, unknown> => {
    let left = times
    return Effect.whileLoop({ while: () => left-- > 0, body: () => effect, step: () => {} })
  }
  const runs: Record<Scenario, (count: number) => Effect.Effect<void, unknown>> = {
    uncontended: (count) => repeat(what === "bare" ? alone : once, count),
    contended: (count) =>
      Effect.forEach(
        Array.from({ length: contenders }),
        () => repeat(what === "bare" ? inLine : once, count / contenders),
        {
          concurrency: "unbounded",
          discard: true
        }
      )
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
