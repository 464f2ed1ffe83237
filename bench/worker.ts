/** One client in a process of its own: runs what it is told, and says what CPU time that took the whole process. */
import type { BenchClient, OperationName, Target } from "./client.ts"
import { connectBareLoop } from "./clients/bareLoop.ts"
import { connectNodeZookeeperClient } from "./clients/nodeZookeeperClient.ts"
import { connectOurs } from "./clients/ours.ts"

export const connectors = {
  "effect-zookeeper": connectOurs,
  "node-zookeeper-client": connectNodeZookeeperClient,
  "bare loop": connectBareLoop
} satisfies Record<string, (target: Target) => Promise<BenchClient>>

export type ClientName = keyof typeof connectors

export interface Command {
  readonly operation: OperationName
  readonly inFlight: number
  readonly count: number
}

export interface Measurement {
  /** CPU microseconds per operation: user and system, of all threads. */
  readonly cpu: number
  /** Operations per second. */
  readonly rate: number
}

const measure = async (client: BenchClient, { count, inFlight, operation }: Command): Promise<Measurement> => {
  const start = performance.now()
  const before = process.cpuUsage()
  await client.run(operation, inFlight, count)
  const { system, user } = process.cpuUsage(before)
  return { cpu: (system + user) / count, rate: count / (performance.now() - start) * 1000 }
}

if (process.send !== undefined) {
  const [name, host = "", port, path = ""] = process.argv.slice(2)
  const client = await connectors[name as ClientName]({ host, port: Number(port), path })
  process.on("message", (command: Command | "close") => {
    if (command === "close") void client.close().then(() => process.disconnect())
    else void measure(client, command).then((measurement) => process.send?.(measurement))
  })
  process.send("ready")
}
