/**
 * Locks per second, ours beside Curator's InterProcessMutex and kazoo's Lock, against one real server, with the CPU time
 * that each takes of its client. `npm run bench:locks`, or for a first idea `npm run bench:locks -- --quick`.
 *
 * The clients take turns within one run, each in a process of its own, and what counts is the median of several rounds:
 * other work on the machine disturbs them alike. The bare loop is this library's client sending what a lock sends.
 * Curator and kazoo are what the tests find (see test/support); where one is missing the others are measured.
 */
import { Effect } from "effect"
import { fileURLToPath } from "node:url"
import { curatorProblem, curatorProgram } from "../test/support/curator.ts"
import { kazooCommand, kazooProblem } from "../test/support/kazoo.ts"
import { makeServer } from "../test/support/server.ts"
import { ClientProcess } from "./clientProcess.ts"
import type { Measurement, Scenario } from "./locks/command.ts"
import { median, met, print, printProgress, printTable } from "./report.ts"

const quick = process.argv.includes("--quick")
const rounds = quick ? 3 : 7
const scenarios: ReadonlyArray<Scenario> = ["uncontended", "contended"]
const counts: Record<Scenario, number> = { uncontended: quick ? 500 : 1500, contended: 64 * (quick ? 8 : 24) }
/** Times to warm up: the machines of Java and Node compile what runs often. */
const warmUp: Record<Scenario, number> = { uncontended: quick ? 1500 : 4000, contended: 64 * (quick ? 24 : 60) }

const wanted = { uncontendedOfCurator: 2, uncontendedOfBareLoop: 0.9, contendedOfCurator: 1.5 }

type Name = "effect-zookeeper" | "bare loop" | "Curator" | "kazoo"

class Client extends ClientProcess<Name> {
  async measure(scenario: Scenario, count: number): Promise<Measurement> {
    return JSON.parse(await this.ask(`${scenario} ${count}`)) as Measurement
  }
}

const file = (name: string): URL => new URL(`locks/${name}`, import.meta.url)

const makeClients = async (hosts: string): Promise<ReadonlyArray<Client>> => {
  const ours = (what: string, path: string) =>
    [process.execPath, [fileURLToPath(file("ours.ts")), what, hosts, path]] as const
  const clients = [
    new Client("effect-zookeeper", ours("lock", "/bench-ours")),
    new Client("bare loop", ours("bare", "/bench-bare"))
  ]
  if (curatorProblem === undefined) {
    const [java, args] = await curatorProgram(file("CuratorLocks.java"))
    clients.push(new Client("Curator", [java, [...args, hosts, "/bench-curator"]]))
  }
  if (kazooCommand !== undefined) {
    const { command, env } = kazooCommand
    clients.push(new Client("kazoo", [command, [fileURLToPath(file("kazoo_locks.py")), hosts, "/bench-kazoo"]], env))
  } else {
    print(`without kazoo: ${kazooProblem}`)
  }
  for (const client of clients) await client.hear()
  return clients
}

type Results = Map<Name, ReadonlyArray<Measurement>>

const report = (results: Record<Scenario, Results>): void => {
  const of = (scenario: Scenario, name: Name) => results[scenario].get(name) ?? []
  /** The median over the rounds of what ours did beside another in the same round. */
  const ratio = (scenario: Scenario, name: Name, key: keyof Measurement): number =>
    median(of(scenario, "effect-zookeeper").map((mine, round) => mine[key] / (of(scenario, name)[round]?.[key] ?? NaN)))
  const head = ["", "client", "per second", "of ours", "CPU µs each", "of ours"]
  const body: Array<ReadonlyArray<string>> = []
  for (const scenario of scenarios) {
    for (const [name, measured] of results[scenario]) {
      body.push([
        scenario,
        name,
        Math.round(median(measured.map(({ rate }) => rate))).toLocaleString("en"),
        (1 / ratio(scenario, name, "rate")).toFixed(2),
        Math.round(median(measured.map(({ cpu }) => cpu))).toLocaleString("en"),
        (1 / ratio(scenario, name, "cpu")).toFixed(2)
      ])
    }
  }
  print()
  print("Locks acquired and released, and handed over among 64 contenders (medians of the rounds)")
  print()
  printTable(head, body, 2)
  print()
  const bare = ratio("uncontended", "bare loop", "rate")
  if (of("uncontended", "Curator").length === 0) {
    print(`uncontended: ${bare.toFixed(2)} times the bare loop's rate; there is no Curator to compare with`)
    return
  }
  const curator = ratio("uncontended", "Curator", "rate")
  const handedOver = ratio("contended", "Curator", "rate")
  print(
    `uncontended: ${curator.toFixed(2)} times Curator's rate, ${bare.toFixed(2)} times the bare loop's; wanted are ` +
      `${wanted.uncontendedOfCurator} times or ${wanted.uncontendedOfBareLoop} times ` +
      met(curator >= wanted.uncontendedOfCurator || bare >= wanted.uncontendedOfBareLoop)
  )
  print(
    `contended: ${handedOver.toFixed(2)} times Curator's rate, wanted are ${wanted.contendedOfCurator} ` +
      met(handedOver >= wanted.contendedOfCurator)
  )
}

const program = Effect.gen(function*() {
  const server = yield* makeServer({ tickTime: 2_000, jvmFlags: ["-Xmx512m", "-XX:TieredStopAtLevel=4"] })
  print(`ZooKeeper ${server.version}, Node ${process.version}, ${rounds} rounds`)
  const clients = yield* Effect.acquireRelease(
    Effect.promise(() => makeClients(server.connectString)),
    (clients) => Effect.promise(() => Promise.all(clients.map((client) => client.close())))
  )
  const measure = (client: Client, scenario: Scenario, count: number) =>
    Effect.promise(() => client.measure(scenario, count))

  for (const client of clients) {
    for (const scenario of scenarios) {
      yield* measure(client, scenario, warmUp[scenario])
    }
  }
  const results: Record<Scenario, Map<Name, Array<Measurement>>> = { uncontended: new Map(), contended: new Map() }
  for (let round = 0; round < rounds; round++) {
    for (const scenario of scenarios) {
      // Each is first, second, and so on in turn: nobody profits from its place.
      for (let i = 0; i < clients.length; i++) {
        const client = clients[(round + i) % clients.length]!
        const measured = results[scenario].get(client.name) ?? []
        results[scenario].set(client.name, measured)
        measured.push(yield* measure(client, scenario, counts[scenario]))
      }
    }
    printProgress(`round ${round + 1} of ${rounds} `)
  }
  printProgress("")
  report(results)
})

await Effect.runPromise(Effect.scoped(program))
