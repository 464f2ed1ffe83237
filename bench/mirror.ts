/**
 * What a copy of a large tree costs, ours (`ZkMirror.tree`) beside Curator's CuratorCache and kazoo's TreeCache, against one
 * real server: time and CPU time until it is complete, memory for each node, and the time from somebody else's write to
 * the change of the copy. Nodes have 100 bytes each, below 200 parents.
 * `npm run bench:mirror`, or for a first idea `npm run bench:mirror -- --quick`.
 *
 * The clients take turns within one run, each in a process of its own, and what counts is the median of several rounds:
 * other work on the machine disturbs them alike. The server shares the machine with them. Curator and kazoo are what the
 * tests find (see test/support); where one is missing the others are measured.
 */
import { Effect } from "effect"
import { ZkClient, ZkTransaction } from "effect-zookeeper"
import { loadavg } from "node:os"
import { fileURLToPath } from "node:url"
import { curatorProblem, curatorProgram } from "../test/support/curator.ts"
import { kazooCommand, kazooProblem } from "../test/support/kazoo.ts"
import { makeServer } from "../test/support/server.ts"
import { ClientProcess } from "./clientProcess.ts"
import type { Load, Weight } from "./mirror/command.ts"
import { median, met, percentile, print, printProgress, printTable } from "./report.ts"

const quick = process.argv.includes("--quick")

interface Plan {
  readonly nodes: number
  /** Loads to warm up: the machines of Java and Node compile what runs often. */
  readonly warmUp: number
  readonly rounds: number
  /** How often to look at the memory. */
  readonly weights: number
  /** Kazoo takes half a minute for a larger tree. */
  readonly withKazoo: boolean
}

const plans: ReadonlyArray<Plan> = quick
  ? [{ nodes: 20_000, warmUp: 3, rounds: 3, weights: 1, withKazoo: true }]
  : [
    { nodes: 20_000, warmUp: 5, rounds: 7, weights: 1, withKazoo: true },
    // Curator 5.4 gets no further than 65 535.
    { nodes: 60_000, warmUp: 2, rounds: 5, weights: 1, withKazoo: false },
    { nodes: 100_000, warmUp: 1, rounds: 2, weights: 1, withKazoo: true }
  ]
const parents = 200
const payload = "x".repeat(100)
/** Of the first tree, followed by one client at a time. */
const following = { rounds: quick ? 2 : 5, warmUp: 100, writes: quick ? 200 : 400 }

const wanted = { loadOfCurator: 3, bytes: 1000 }

type Name = "effect-zookeeper" | "Curator" | "kazoo"

/** Of one write, in milliseconds. */
interface Arrival {
  readonly answered: number
  readonly changed: number
}

class Client extends ClientProcess<Name> {
  async load(path: string): Promise<Load> {
    return JSON.parse(await this.ask(`load ${path}`)) as Load
  }

  async weigh(path: string): Promise<Weight> {
    return JSON.parse(await this.ask(`weigh ${path}`)) as Weight
  }

  /** Fails where its clock is not ours. */
  async checkClock(): Promise<void> {
    const before = process.hrtime.bigint()
    const theirs = BigInt(await this.ask("clock"))
    if (theirs < before || theirs > process.hrtime.bigint()) throw new Error(`the clock of ${this.name} is another`)
  }
}

const file = (name: string): URL => new URL(`mirror/${name}`, import.meta.url)

const makeClients = async (hosts: string): Promise<ReadonlyArray<Client>> => {
  const clients = [new Client("effect-zookeeper", [process.execPath, [fileURLToPath(file("ours.ts")), hosts]])]
  if (curatorProblem === undefined) {
    const [java, args] = await curatorProgram(file("CuratorMirror.java"))
    clients.push(new Client("Curator", [java, [...args, hosts]]))
  }
  if (kazooCommand !== undefined) {
    const { command, env } = kazooCommand
    clients.push(new Client("kazoo", [command, [fileURLToPath(file("kazoo_mirror.py")), hosts]], env))
  } else {
    print(`without kazoo: ${kazooProblem}`)
  }
  for (const client of clients) {
    await client.hear()
    await client.checkClock()
  }
  return clients
}

type Results<A> = Map<Name, Array<A>>

/** Each is first, second, and so on in turn: nobody profits from its place. */
const inTurn = async <A>(
  clients: ReadonlyArray<Client>,
  rounds: number,
  results: Results<A>,
  measure: (client: Client) => Promise<A>
): Promise<void> => {
  for (let round = 0; round < rounds; round++) {
    for (let i = 0; i < clients.length; i++) {
      const client = clients[(round + i) % clients.length]!
      const measured = results.get(client.name) ?? []
      results.set(client.name, measured)
      measured.push(await measure(client))
    }
  }
}

const rootOf = ({ nodes }: Plan): string => `/tree-${nodes}`
const pathOf = (plan: Plan, i: number): string => `${rootOf(plan)}/parent-${i % parents}/node-${i}`

const makeTree = (writer: ZkClient.ZkClient, plan: Plan) =>
  Effect.gen(function*() {
    const root = rootOf(plan)
    yield* writer.create(root)
    const all = (count: number, path: (i: number) => string) => Array.from({ length: count }, (_, i) => path(i))
    yield* writer.multi(all(parents, (i) => `${root}/parent-${i}`).map((path) => ZkTransaction.create(path)))
    const paths = all(plan.nodes, (i) => pathOf(plan, i))
    for (let i = 0; i < paths.length; i += 1000) {
      yield* writer.multi(paths.slice(i, i + 1000).map((path) => ZkTransaction.create(path, payload)))
    }
  })

interface Loads {
  readonly plan: Plan
  readonly loads: Results<Load>
  readonly weights: Results<Weight>
  /** Those that say that they are complete, and are not. */
  readonly incomplete: ReadonlyMap<Name, Load>
}

const measureLoads = async (clients: ReadonlyArray<Client>, plan: Plan): Promise<Loads> => {
  const path = rootOf(plan)
  const loads: Loads["loads"] = new Map()
  const weights: Loads["weights"] = new Map()
  const incomplete = new Map<Name, Load>()
  const load = (client: Client): Promise<Load> => {
    printProgress(`${plan.nodes.toLocaleString("en")} nodes: ${client.name} `)
    return client.load(path)
  }
  const measured: Array<Client> = []
  for (const client of clients) {
    if (client.name === "kazoo" && !plan.withKazoo) continue
    const first = await load(client)
    if (first.nodes === plan.nodes + parents + 1) measured.push(client)
    else incomplete.set(client.name, first)
  }
  // Kazoo compiles nothing.
  await inTurn(measured.filter(({ name }) => name !== "kazoo"), plan.warmUp - 1, new Map(), load)
  await inTurn(measured, plan.rounds, loads, load)
  await inTurn(measured, plan.weights, weights, (client) => client.weigh(path))
  printProgress("")
  return { plan, loads, weights, incomplete }
}

const follow = async (client: Client, writer: ZkClient.ZkClient, plan: Plan): Promise<ReadonlyArray<Arrival>> => {
  printProgress(`writes: ${client.name} `)
  const arrivals: Array<Arrival> = []
  await client.ask(`follow ${rootOf(plan)}`)
  for (let i = 0; i < following.warmUp + following.writes; i++) {
    const start = process.hrtime.bigint()
    const since = (at: bigint): number => Number(at - start) / 1e6
    await Effect.runPromise(writer.setData(pathOf(plan, (i * 37) % plan.nodes), `${i}`))
    const answered = since(process.hrtime.bigint())
    const [text, at = "0"] = (await client.hear()).split(" ")
    if (text !== `${i}`) throw new Error(`${client.name} told of ${text} in place of ${i}`)
    if (i >= following.warmUp) arrivals.push({ answered, changed: since(BigInt(at)) })
  }
  await client.ask("drop")
  return arrivals
}

/** The median over the rounds of what another took of ours in the same round. */
const ratioOf = <A>(results: Results<A>, name: Name, of: (measured: A) => number): number => {
  const theirs = results.get(name)
  if (theirs === undefined) return NaN
  return median(results.get("effect-zookeeper")!.map((mine, round) => of(theirs[round]!) / of(mine)))
}

const times = (ratio: number): string => Number.isNaN(ratio) ? "-" : ratio.toFixed(2)

const reportLoads = (measured: ReadonlyArray<Loads>): void => {
  const body: Array<ReadonlyArray<string>> = []
  const bytesOf = ({ bytes, nodes }: Weight): number => bytes / nodes
  for (const { loads, plan, weights } of measured) {
    for (const [name, ofClient] of loads) {
      const show = <A>(results: Results<A>, of: (measured: A) => number) => [
        Math.round(median(results.get(name)!.map(of))).toLocaleString("en"),
        times(ratioOf(results, name, of))
      ]
      body.push([
        plan.nodes.toLocaleString("en"),
        name,
        ...show(loads, ({ wall }) => wall),
        ...show(loads, ({ cpu }) => cpu),
        ...show(weights, bytesOf),
        `${Math.round(Math.min(...ofClient.map(({ wall }) => wall)))} to ${
          Math.round(Math.max(...ofClient.map(({ wall }) => wall)))
        }`
      ])
    }
  }
  print()
  print("Reading a tree until the copy is complete (medians of the rounds)")
  print()
  printTable(["nodes", "client", "ms", "of ours", "CPU ms", "of ours", "bytes a node", "of ours", "ms from"], body, 2)
  print()
  print("memory: Node's heap and buffers, and Java's heap, as grown after collection; of Python what tracemalloc tells")
  for (const { incomplete, plan } of measured) {
    const nodes = `${plan.nodes.toLocaleString("en")} nodes`
    if (!plan.withKazoo) print(`${nodes}: without kazoo, which takes too long`)
    for (const [name, load] of incomplete) {
      print(
        `${nodes}: without ${name}, which said after ${
          Math.round(load.wall)
        } ms that it was complete and had ${load.nodes}`
      )
    }
  }
}

const reportArrivals = (results: Results<ReadonlyArray<Arrival>>): void => {
  const middle = (arrivals: ReadonlyArray<Arrival>): number => median(arrivals.map(({ changed }) => changed))
  print()
  print("From somebody else's write to the change of the copy, one write at a time")
  print()
  printTable(
    ["client", "ms median", "of ours", "99th percentile", "ms to the writer's answer"],
    [...results].map(([name, rounds]) => {
      const changed = rounds.flat().map(({ changed }) => changed)
      return [
        name,
        median(changed).toFixed(2),
        times(ratioOf(results, name, middle)),
        percentile(changed, 0.99).toFixed(2),
        median(rounds.flat().map(({ answered }) => answered)).toFixed(2)
      ]
    }),
    1
  )
}

const reportWanted = (measured: ReadonlyArray<Loads>): void => {
  print()
  for (const { loads, plan, weights } of measured) {
    const nodes = `${plan.nodes.toLocaleString("en")} nodes`
    const bytes = median(weights.get("effect-zookeeper")!.map(({ bytes, nodes }) => bytes / nodes))
    print(
      `${nodes}: ${Math.round(bytes)} bytes each, wanted are less than ${wanted.bytes} ${met(bytes < wanted.bytes)}`
    )
    if (!loads.has("Curator")) {
      print(`${nodes}: there is no Curator to compare with`)
      continue
    }
    const wall = ratioOf(loads, "Curator", ({ wall }) => wall)
    const cpu = ratioOf(loads, "Curator", ({ cpu }) => cpu)
    print(
      `${nodes}: read ${times(wall)} times as fast as by Curator, wanted are ${wanted.loadOfCurator} times ` +
        `${met(wall >= wanted.loadOfCurator)}, with 1/${times(cpu)} of its CPU time`
    )
  }
}

const showLoad = (): string => `load of the machine: ${loadavg().map((load) => load.toFixed(2)).join(", ")}`

const program = Effect.gen(function*() {
  const server = yield* makeServer({ tickTime: 2_000, jvmFlags: ["-Xmx1g", "-XX:TieredStopAtLevel=4"] })
  print(`ZooKeeper ${server.version}, Node ${process.version}; ${showLoad()}`)
  const writer = yield* ZkClient.make({ hosts: server.connectString })
  yield* Effect.forEach(plans, (plan) => makeTree(writer, plan))
  const clients = yield* Effect.acquireRelease(
    Effect.promise(() => makeClients(server.connectString)),
    (clients) => Effect.promise(() => Promise.all(clients.map((client) => client.close())))
  )
  const measured: Array<Loads> = []
  for (const plan of plans) measured.push(yield* Effect.promise(() => measureLoads(clients, plan)))
  const arrivals: Results<ReadonlyArray<Arrival>> = new Map()
  yield* Effect.promise(() =>
    inTurn(clients, following.rounds, arrivals, (client) => follow(client, writer, plans[0]!))
  )
  printProgress("")
  reportLoads(measured)
  reportArrivals(arrivals)
  reportWanted(measured)
  print(showLoad())
})

await Effect.runPromise(Effect.scoped(program))
