/**
 * Whether a lock excludes processes from each other while everything fails: `npm run exclusion`, with `-- --seed 7` for
 * another order, `--seconds 20` for a shorter run, and `--mutant lease` for a library that is broken on purpose: then
 * it has to find two holders. `--logs <folder>`, which must not be there, keeps what the processes log.
 *
 * Six processes count up one node under one exclusive lock, on three servers, with proxies before and between these.
 * Meanwhile, as the seed decides: the leader is killed and comes back; a server stands still; the server of a holder is
 * cut from its leader for longer than the session lives, while the client hears it answer; clients are frozen for longer
 * than that; connections are reset or fall silent; writes and their answers are lost. In the end the logs of all processes and what the servers have are
 * judged (`exclusionJudge.ts`).
 */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { randomInt } from "node:crypto"
import { mkdirSync, writeFileSync } from "node:fs"
import * as ZkClient from "../../src/ZkClient.ts"
import { makeProxiedEnsemble, type ProxiedEnsembleHandle } from "../support/proxiedEnsemble.ts"
import type { Proxy } from "../support/proxy.ts"
import { attempt, type RigError, rigError } from "../support/rigError.ts"
import { pollUntil } from "../support/wait.ts"
import { examine, judge, parseClaim } from "./exclusionJudge.ts"
import { claimsPath, counterPath, lockPath, makeWorkers, type Worker } from "./exclusionWorkers.ts"
import { numberFlag, random, textFlag } from "./flags.ts"
import { mutants, mutantsOf } from "./mutant.ts"

const seed = numberFlag("seed", randomInt(1_000_000))
const duration = numberFlag("seconds", 60) * 1000
const mutant = textFlag("mutant")
if (mutant !== undefined && !mutantsOf("exclusion").includes(mutant)) {
  throw new Error(`--mutant takes one of: ${mutantsOf("exclusion").join(", ")}`)
}
const logs = textFlag("logs")
if (logs !== undefined) mkdirSync(logs)

const tickTime = 500
const syncLimit = 14
const sessionTimeout = 3_000
const processes = 6
/** Everybody who waits has the lock within this, once nothing fails any more. */
const patience = 45_000

const print = (line = ""): void => void process.stdout.write(`${line}\n`)

const now = (): number => Number(process.hrtime.bigint())

interface Fault {
  readonly what: string
  /** For the server's log, which tells the time of day. */
  readonly time: string
  readonly from: number
  to: number
}

const faults: Array<Fault> = []

/** Breaks something, and mends it after so many milliseconds. */
const strike = <E>(what: string, breaks: Effect.Effect<void, E>, ms: number, mends: Effect.Effect<void, E>) =>
  Effect.gen(function*() {
    yield* breaks
    const fault: Fault = { what, time: new Date().toISOString(), from: now(), to: Infinity }
    faults.push(fault)
    yield* Effect.sleep(ms)
    yield* mends
    fault.to = now()
  })

/** A chance for each attack: how fast one of them is does not change what another does. */
const chances = (offset: number) => {
  const chance = random(seed * 31 + offset)
  return {
    chance,
    between: (from: number, to: number) => Math.floor(from + chance() * (to - from)),
    pick: <A>(all: ReadonlyArray<A>): A => all[Math.floor(chance() * all.length)] as A
  }
}

type Attack = (rig: ProxiedEnsembleHandle, workers: ReadonlyArray<Worker>) => Effect.Effect<void, RigError>

const becomes = (what: string, probe: () => boolean, within: number): Effect.Effect<boolean> =>
  attempt(what, (signal) => pollUntil(what, async () => probe() ? true : undefined, { signal, within, every: 2 })).pipe(
    Effect.orElseSucceed(() => false)
  )

// -- servers ----------------------------------------------------------------------------------------------------------

const servers = chances(1)

const killLeader: Attack = ({ ensemble }) =>
  Effect.gen(function*() {
    const leader = yield* ensemble.leader
    yield* strike("leader killed", leader.kill, servers.between(200, 2_000), leader.start)
  })

const freezeServer: Attack = ({ ensemble }) =>
  Effect.gen(function*() {
    const leader = yield* ensemble.leader
    const server = servers.pick(ensemble.servers)
    const what = server === leader ? "leader frozen" : "follower frozen"
    yield* strike(what, server.freeze, servers.between(300, sessionTimeout * 1.5), server.resume)
  })

/** The server of a holder is cut from its leader for so long that the leader ends the session. */
const cutHolderOff: Attack = ({ ensemble, proxies }, workers) =>
  Effect.gen(function*() {
    const leader = yield* ensemble.leader
    const others = ensemble.servers.flatMap((server, i) =>
      server === leader ? [] : [{ server, hosts: proxies[i]?.connectString }]
    )
    const isThere = (worker: Worker) => others.find(({ hosts }) => hosts === worker.holds && !worker.isFrozen)
    yield* becomes("a holder is on a follower", () => workers.some((worker) => isThere(worker) !== undefined), 3_000)
    const holder = workers.find((worker) => isThere(worker) !== undefined)
    const place = holder && isThere(holder)
    if (holder === undefined || place === undefined) return
    holder.say("stay")
    if (yield* becomes("the holder stays", () => holder.isStaying && isThere(holder) === place, 500)) {
      yield* strike(
        "holder's follower cut from its leader",
        ensemble.partition(place.server),
        sessionTimeout + tickTime * 2 + servers.between(200, 1_500),
        ensemble.heal
      )
    }
    holder.say("go")
  })

const attackServers: Attack = (rig, workers) =>
  Effect.forever(
    Effect.gen(function*() {
      yield* Effect.sleep(servers.between(300, 1_500))
      const dice = servers.chance()
      yield* (dice < 0.3 ? killLeader : dice < 0.6 ? freezeServer : cutHolderOff)(rig, workers)
      yield* rig.ensemble.waitForQuorum(3)
    })
  )

// -- clients ----------------------------------------------------------------------------------------------------------

const clients = chances(2)

/** One at a time; every other time one that holds the lock. */
const attackClients: Attack = (_, workers) =>
  Effect.forever(
    Effect.gen(function*() {
      yield* Effect.sleep(clients.between(300, 2_500))
      const wantsHolder = clients.chance() < 0.6
      const any = clients.pick(workers)
      if (wantsHolder) yield* becomes("somebody holds", () => workers.some(({ holds }) => holds !== undefined), 2_000)
      const holder = workers.find(({ holds }) => holds !== undefined)
      const victim = wantsHolder && holder !== undefined ? holder : any
      yield* strike(
        victim === holder ? "holder frozen" : "another client frozen",
        Effect.sync(() => victim.freeze()),
        sessionTimeout + clients.between(300, 2_500),
        Effect.sync(() => victim.resume())
      )
    })
  )

// -- connections ------------------------------------------------------------------------------------------------------

const connections = chances(3)

/** Ends the connection of the next who writes under the lock: ahead of the write, or with its answer. */
const loseWrite = (proxies: ReadonlyArray<Proxy>, isApplied: boolean): Effect.Effect<void, RigError> =>
  Effect.gen(function*() {
    let count = 0
    const where = () => {
      // At one server only.
      count++
      return count === 1
    }
    const rules = yield* Effect.forEach(proxies, (proxy) => {
      const write = { op: "multi", path: counterPath, where } as const
      return isApplied
        ? proxy.swallowReply(write, "reset")
        : proxy.rule({ ...write, direction: "toServer", kind: "request" }, "reset")
    })
    const what = isApplied ? "answer to a write lost" : "write lost"
    if (yield* becomes(what, () => count > 0, 3_000)) yield* strike(what, Effect.void, 0, Effect.void)
    yield* Effect.forEach(rules, (rule) => rule.remove)
  })

const attackConnections: Attack = ({ proxies }) =>
  Effect.forever(
    Effect.gen(function*() {
      yield* Effect.sleep(connections.between(500, 2_500))
      const proxy = connections.pick(proxies)
      const dice = connections.chance()
      if (dice < 0.4) {
        yield* loseWrite(proxies, dice < 0.25)
      } else if (dice < 0.6) {
        yield* strike("connections reset", proxy.resetAll, 0, Effect.void)
      } else if (dice < 0.8) {
        yield* strike("connections closed", proxy.cutAll, 0, Effect.void)
      } else {
        yield* strike("connections silent", proxy.freeze, connections.between(100, sessionTimeout), proxy.heal)
      }
      // What was seen is of no use here, and only grows.
      yield* proxy.forget
    })
  )

// -- the run ----------------------------------------------------------------------------------------------------------

const hosts = ({ ensemble }: ProxiedEnsembleHandle) => ensemble.connectString

const program = Effect.gen(function*() {
  const rig = yield* makeProxiedEnsemble({ tickTime, quorumProxies: true, extraConfig: { syncLimit: `${syncLimit}` } })
  print(
    `exclusion: ZooKeeper ${rig.ensemble.servers[0]?.version}, tick ${tickTime} ms, sync limit ${syncLimit} ticks, ` +
      `${processes} processes, session timeout ${sessionTimeout} ms, ${duration / 1000} s, seed ${seed}` +
      (mutant === undefined ? "" : `, broken: ${mutants[mutant]?.what}`)
  )
  const zk = yield* ZkClient.make({ hosts: hosts(rig), sessionTimeout: "20 seconds" })
  yield* zk.create(counterPath, "0", { parents: true })
  yield* zk.create(claimsPath)
  const workers = yield* makeWorkers(
    Array.from({ length: processes }, (_, i) => ({
      worker: i + 1,
      hosts: rig.connectString,
      sessionTimeout,
      // Every other one knows the tick, and so holds on for longer.
      ...(i % 2 === 0 && { tickTime }),
      seed: seed * 31 + 100 + i
    })),
    { mutant, logs }
  )
  yield* Effect.forEach(
    workers,
    (worker) => becomes(`process ${worker.id} holds the lock`, () => worker.entries().length > 0, 20_000)
  )

  const striking = yield* Effect.forEach(
    [attackServers, attackClients, attackConnections],
    (attack) => Effect.forkScoped(attack(rig, workers))
  )
  yield* Effect.raceFirst(
    Effect.sleep(duration),
    Effect.raceAll(striking.map((fiber) => Fiber.join(fiber)))
  )
  yield* Effect.forEach(striking, (fiber) => Fiber.interrupt(fiber))

  yield* Effect.forEach(rig.ensemble.servers, (server) => Effect.andThen(server.resume, server.start))
  yield* rig.ensemble.heal
  yield* Effect.forEach(rig.proxies, (proxy) => proxy.heal)
  for (const worker of workers) worker.resume()
  yield* rig.ensemble.waitForQuorum(3)
  for (const worker of workers) worker.say("stop")
  const codes = yield* Effect.forEach(
    workers,
    (worker) =>
      Effect.timeoutOrElse(Effect.promise(() => worker.ended), {
        duration: patience,
        orElse: () => Effect.succeed(undefined)
      }),
    { concurrency: "unbounded" }
  )

  yield* zk.sync()
  const names = (yield* zk.getChildren(claimsPath)).children
  const counter = Number((yield* zk.getData(counterPath)).text)
  const left = yield* zk.getChildren(lockPath).pipe(
    Effect.map(({ children }) => children.length),
    Effect.catchTag("NoNode", () => Effect.succeed(0))
  )
  const { violations, ...report } = judge({
    logs: new Map(workers.map((worker) => [worker.id, worker.entries()])),
    claims: names.map(parseClaim),
    counter
  })
  const problems = [
    ...violations,
    ...codes.flatMap((code, i) =>
      code === 0
        ? []
        : [`process ${workers[i]?.id} ${code === undefined ? "never got the lock again" : `died: ${code}`}`]
    ),
    ...left > 0 ? [`${left} candidates are left`] : []
  ]

  const table = (record: Readonly<Record<string, number>>) =>
    Object.entries(record).toSorted(([a], [b]) => a < b ? -1 : 1).map(([what, n]) => `${what} ${n}`).join(", ") ||
    "none"
  const kinds: Record<string, number> = {}
  for (const { what } of faults) kinds[what] = (kinds[what] ?? 0) + 1
  const { from, to } = report.longestPause
  print(`${report.acquisitions} acquisitions, ${report.handOvers} hand-overs, ${report.steps} steps`)
  print(`faults: ${table(kinds)}`)
  print(`longest time without a holder: ${((to - from) / 1e9).toFixed(1)} s; meanwhile, in seconds from its beginning:`)
  for (const fault of faults.filter((fault) => fault.from < to && fault.to > from - 1e9)) {
    const [since, until] = [fault.from, fault.to].map((at) => ((at - from) / 1e9).toFixed(1))
    print(`  ${since} to ${until}: ${fault.what}`)
  }
  print(`bodies: ${table(report.ends)}; acquisitions that failed: ${table(report.none)}`)
  print(`writes: ${table(report.writes)}; the counter is ${counter}`)
  if (logs !== undefined) {
    writeFileSync(`${logs}/faults.json`, JSON.stringify(faults))
    for (const server of rig.ensemble.servers) writeFileSync(`${logs}/server-${server.id}.log`, yield* server.log)
  }
  for (const problem of problems.slice(0, 20)) print(`VIOLATION: ${problem}`)
  if (problems.length > 20) print(`and ${problems.length - 20} more`)
  // All is said; servers that are slow to go end with this process.
  setTimeout(() => process.exit(), 10_000).unref()
  if (mutant === undefined) {
    if (problems.length > 0) process.exitCode = 1
    return
  }
  const isFound = violations.some((violation) => violation.startsWith("two holders"))
  print(isFound ? "found, as it has to be" : "NOT FOUND: two holders")
  if (!isFound) process.exitCode = 1
})

const flaws = examine(judge)
if (flaws.length > 0) throw rigError(`the judge: ${flaws.join("; ")}`)
await Effect.runPromise(Effect.scoped(program))
