/**
 * CPU time of a client per operation, ours beside npm node-zookeeper-client and a bare socket loop, against one real
 * server. `npm run bench`, or for a first idea `npm run bench -- --quick`.
 *
 * The clients take turns within one run, each in a process of its own, and what counts is the median of several rounds:
 * other work on the machine disturbs them alike. CPU time, not elapsed time, since the server takes most of that.
 *
 * Most of what is measured is the kernel's: a client that is faster than the server wakes up for few answers at a time,
 * and pays for a read and a write each time. So a client that does less can take more, and the bare loop is no exact
 * floor.
 */
import { Effect } from "effect"
import { fork } from "node:child_process"
import { connectRaw } from "../test/support/rawClient.ts"
import { makeServer, type ServerHandle } from "../test/support/server.ts"
import { payload } from "./client.ts"
import type { OperationName } from "./client.ts"
import { median, met, print, printProgress, printTable } from "./report.ts"
import type { ClientName, Command, Measurement } from "./worker.ts"

const quick = process.argv.includes("--quick")
const rounds = quick ? 3 : 5
const clients: ReadonlyArray<ClientName> = ["effect-zookeeper", "node-zookeeper-client", "bare loop"]
const operations: ReadonlyArray<OperationName> = ["getData", "setData"]
const counts = new Map([[1, 2_000], [16, 8_000], [256, 30_000], [2048, 15_000]])

const wanted = { inFlight: 256, ofNodeZookeeperClient: 0.65, ofBareLoop: 1.5 }

class Worker {
  private readonly child: ReturnType<typeof fork>
  private readonly path: string

  constructor(name: ClientName, { host, port }: ServerHandle) {
    this.path = pathOf(name)
    this.child = fork(new URL("worker.ts", import.meta.url), [name, host, String(port), this.path])
  }

  /** Its next word. */
  private hear<A>(): Promise<A> {
    return new Promise((resolve, reject) => {
      const onExit = () => reject(new Error(`the process for ${this.path} ended`))
      this.child.once("exit", onExit)
      this.child.once("message", (message) => {
        this.child.off("exit", onExit)
        resolve(message as A)
      })
    })
  }

  ready(): Promise<unknown> {
    return this.hear()
  }

  measure(command: Command): Promise<Measurement> {
    this.child.send(command)
    return this.hear()
  }

  async close(): Promise<void> {
    if (this.child.exitCode !== null) return
    const ended = new Promise((resolve) => this.child.once("exit", resolve))
    this.child.send("close")
    const stubborn = setTimeout(() => this.child.kill("SIGKILL"), 3_000)
    await ended
    clearTimeout(stubborn)
  }
}

const pathOf = (name: ClientName): string => `/bench-${name.replaceAll(" ", "-")}`

const makeWorker = (name: ClientName, server: ServerHandle) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const worker = new Worker(name, server)
      await worker.ready()
      return worker
    }),
    (worker) => Effect.promise(() => worker.close())
  )

interface Row {
  readonly operation: OperationName
  readonly inFlight: number
  readonly results: Map<ClientName, Array<Measurement>>
}

const cpuOf = (row: Row, name: ClientName): number => median(row.results.get(name)!.map(({ cpu }) => cpu))

/** The median over the rounds of what one client took of another in the same round. */
const ratioTo = (row: Row, other: ClientName): number => {
  const theirs = row.results.get(other)!
  return median(row.results.get("effect-zookeeper")!.map(({ cpu }, round) => cpu / theirs[round]!.cpu))
}

const report = (rows: ReadonlyArray<Row>): void => {
  const head = ["operation", "in flight", ...clients.map((name) => `${name} µs`), "of n-z-c", "of bare", "ours/s"]
  const body = rows.map((row) => [
    row.operation,
    String(row.inFlight),
    ...clients.map((name) => cpuOf(row, name).toFixed(1)),
    ratioTo(row, "node-zookeeper-client").toFixed(2),
    ratioTo(row, "bare loop").toFixed(2),
    Math.round(median(row.results.get("effect-zookeeper")!.map(({ rate }) => rate))).toLocaleString("en")
  ])
  print()
  print("CPU time of the client per operation, in microseconds (median of the rounds), and ours as a ratio")
  print()
  printTable(head, body, 1)
  print()
  print(
    `wanted at ${wanted.inFlight} in flight: at most ${wanted.ofNodeZookeeperClient} of node-zookeeper-client, ` +
      `at most ${wanted.ofBareLoop} times the bare loop`
  )
  for (const row of rows.filter(({ inFlight }) => inFlight === wanted.inFlight)) {
    const judge = (ratio: number, most: number) => `${ratio.toFixed(2)} ${met(ratio <= most)}`
    print(
      `  ${row.operation}: ${judge(ratioTo(row, "node-zookeeper-client"), wanted.ofNodeZookeeperClient)} and ` +
        judge(ratioTo(row, "bare loop"), wanted.ofBareLoop)
    )
  }
}

const program = Effect.gen(function*() {
  const server = yield* makeServer({ tickTime: 2_000, jvmFlags: ["-Xmx512m", "-XX:TieredStopAtLevel=4"] })
  print(`ZooKeeper ${server.version}, Node ${process.version}, ${rounds} rounds`)
  const setup = yield* connectRaw({ port: server.port })
  for (const name of clients) yield* setup.create(pathOf(name), payload)
  yield* setup.closeSession

  const workers = new Map<ClientName, Worker>()
  for (const name of clients) workers.set(name, yield* makeWorker(name, server))
  const measure = (name: ClientName, command: Command) => Effect.promise(() => workers.get(name)!.measure(command))

  for (const name of clients) {
    for (const operation of operations) {
      for (const inFlight of [256, 1]) {
        yield* measure(name, { operation, inFlight, count: inFlight === 1 ? 1_000 : quick ? 10_000 : 30_000 })
      }
    }
  }
  const rows: Array<Row> = []
  for (const operation of operations) {
    for (const inFlight of counts.keys()) {
      rows.push({ operation, inFlight, results: new Map(clients.map((name) => [name, []])) })
    }
  }
  for (let round = 0; round < rounds; round++) {
    for (const { inFlight, operation, results } of rows) {
      const count = Math.ceil(counts.get(inFlight)! / (quick ? 4 : 1))
      // Each is first, second and third in turn: nobody profits from its place.
      for (let i = 0; i < clients.length; i++) {
        const name = clients[(round + i) % clients.length]!
        results.get(name)!.push(yield* measure(name, { operation, inFlight, count }))
      }
    }
    printProgress(`round ${round + 1} of ${rounds} `)
  }
  printProgress("")
  report(rows)
})

await Effect.runPromise(Effect.scoped(program))
