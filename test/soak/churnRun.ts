import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { ZkError } from "../../src/index.ts"
import * as ZkClient from "../../src/ZkClient.ts"
import { expireThrough } from "../support/expire.ts"
import { kazooAvailable, kazooProblem, makeKazoo } from "../support/kazoo.ts"
import { makeProxiedServer, type ProxiedServerHandle } from "../support/proxy.ts"
import { connectRaw } from "../support/rawClient.ts"
import { type RigError, rigError } from "../support/rigError.ts"
import { sleep } from "../support/wait.ts"
import { countWatches, sessionOf } from "../support/watching.ts"
import { random } from "./flags.ts"

// A second client creates, sets, deletes and creates again; connections break and sessions expire. Whoever follows has
// to end up with what the server has, and must not have seen anything else on the way.

export interface ChurnOptions {
  readonly seed: number
  /** How many times something breaks. */
  readonly faults: number
  readonly nodes: number
}

export interface ChurnReport {
  readonly version: string
  readonly writer: "kazoo" | "the rig's client"
  readonly seconds: number
  /** How often what broke. */
  readonly faults: Readonly<Record<string, number>>
  readonly connections: number
  readonly sessions: number
  readonly writes: number
  /** States that the streams of `changes` and `childrenChanges` gave. */
  readonly states: number
  /** What the recursive watch told. */
  readonly events: number
  readonly resets: number
  readonly watchesLeft: number
  /** What went wrong. */
  readonly problems: ReadonlyArray<string>
}

interface Writer {
  readonly create: (path: string, value: string) => Effect.Effect<unknown, RigError>
  readonly set: (path: string, value: string) => Effect.Effect<unknown, RigError>
  readonly delete: (path: string) => Effect.Effect<unknown, RigError>
}

const parent = "/churn"
const nameOf = (index: number): string => `n${index}`

/** A client that is not ours, if there is one. */
const makeWriter = (server: ProxiedServerHandle["server"]): Effect.Effect<Writer, RigError, Scope.Scope> =>
  kazooAvailable
    ? Effect.flatMap(makeKazoo, (kazoo) => kazoo.connect(server.connectString))
    : Effect.map(connectRaw(server), (client) => ({
      create: (path, value) => client.create(path, value),
      set: (path, value) => client.setData(path, value),
      delete: (path) => client.delete(path)
    }))

/** What the writer does, and all that there ever was. */
class Churn {
  readonly writer: Writer
  readonly chance: () => number
  readonly values: ReadonlyArray<Set<string>>
  private readonly exists: Array<boolean>
  writes = 0

  constructor(writer: Writer, chance: () => number, nodes: number) {
    this.writer = writer
    this.chance = chance
    this.values = Array.from({ length: nodes }, () => new Set<string>())
    this.exists = Array.from({ length: nodes }, () => false)
  }

  /** One write to one node. */
  readonly step: Effect.Effect<void, RigError> = Effect.suspend(() => {
    const index = Math.floor(this.chance() * this.exists.length)
    const path = `${parent}/${nameOf(index)}`
    const value = `${nameOf(index)} ${++this.writes}`
    const isDeletion = this.exists[index] === true && this.chance() < 0.4
    // Before it is written, since a follower may see it before the writer hears of its success.
    if (!isDeletion) this.values[index]?.add(value)
    const write = isDeletion
      ? this.writer.delete(path)
      : this.exists[index] === true
      ? this.writer.set(path, value)
      : this.writer.create(path, value)
    this.exists[index] = !isDeletion
    return Effect.asVoid(write)
  })
}

/** What one follower has seen last, and whether it was right. */
interface Followed {
  readonly what: string
  states: number
  last: string | undefined
}

const show = (state: Option.Option<string>): string => Option.getOrElse(state, () => "missing")

type FollowError = ZkError.SessionError | ZkError.NoAuth | ZkError.NoNode

interface Followers {
  readonly followed: ReadonlyArray<Followed>
  readonly raw: { events: number; resets: number; readonly names: Set<string> }
  readonly fibers: ReadonlyArray<Fiber.Fiber<void, FollowError>>
}

const follow = (
  zk: ZkClient.ZkClient,
  churn: Churn,
  problems: Array<string>
): Effect.Effect<Followers, never, Scope.Scope> =>
  Effect.gen(function*() {
    const followed: Array<Followed> = []
    const isOld = (entry: Followed, zxid: bigint, last: bigint) => {
      if (zxid < last) problems.push(`${entry.what} went back from transaction ${last} to ${zxid}`)
    }

    const node = (index: number) => {
      const entry: Followed = { what: nameOf(index), states: 0, last: undefined }
      followed.push(entry)
      let zxid = 0n
      return Stream.runForEach(zk.changes(`${parent}/${entry.what}`), (state) =>
        Effect.sync(() => {
          entry.states++
          entry.last = show(Option.map(state, ({ text }) => text))
          if (Option.isNone(state)) return
          isOld(entry, state.value.stat.mzxid, zxid)
          zxid = state.value.stat.mzxid
          if (churn.values[index]?.has(state.value.text) !== true) {
            problems.push(`${entry.what} was ${entry.last}, which it never was`)
          }
        }))
    }

    const all: Followed = { what: "children", states: 0, last: undefined }
    followed.push(all)
    let pzxid = 0n
    const known = new Set(churn.values.map((_, index) => nameOf(index)))
    const children = Stream.runForEach(zk.childrenChanges(parent), (state) =>
      Effect.sync(() => {
        all.states++
        all.last = show(Option.map(state, ({ children }) => children.toSorted().join()))
        if (Option.isNone(state)) return
        isOld(all, state.value.stat.pzxid, pzxid)
        pzxid = state.value.stat.pzxid
        for (const name of state.value.children) {
          if (!known.has(name)) problems.push(`${name} was never a child`)
        }
      }))

    const raw = { events: 0, resets: 0, names: new Set<string>() }
    const told: Followed = { what: "the recursive watch", states: 0, last: undefined }
    followed.push(told)
    const tell = () => {
      told.last = [...raw.names].toSorted().join()
    }
    let eventZxid = 0n
    const readAll = Effect.map(
      Effect.retry(zk.getChildren(parent), { while: (error) => error._tag === "SessionExpired" }),
      ({ children }) => {
        raw.names.clear()
        for (const name of children) raw.names.add(name)
        tell()
      }
    )
    const ready = yield* Deferred.make<void>()
    const events = Effect.scoped(Effect.gen(function*() {
      const queue = yield* zk.subscribe(parent, "recursive")
      yield* readAll
      yield* Deferred.succeed(ready, undefined)
      while (true) {
        const event = yield* Queue.take(queue)
        raw.events++
        if (event._tag === "Reset") {
          raw.resets++
          yield* readAll
          continue
        }
        const name = event.path.slice(parent.length + 1)
        if (event.zxid !== undefined) {
          isOld(told, event.zxid, eventZxid)
          eventZxid = event.zxid
        }
        if (event._tag === "NodeDeleted") raw.names.delete(name)
        else if (name !== "") raw.names.add(name)
        tell()
      }
    }))

    const following: ReadonlyArray<Effect.Effect<void, FollowError>> = [
      ...churn.values.map((_, index) => node(index)),
      children,
      events
    ]
    const fibers = yield* Effect.forEach(
      following,
      (effect) => Effect.forkScoped(effect, { startImmediately: true })
    )
    yield* Deferred.await(ready)
    return { followed, raw, fibers }
  })

/** Breaks something, and waits until the client has a connection again. */
const makeFaults = (
  { proxy, server }: ProxiedServerHandle,
  zk: ZkClient.ZkClient,
  chance: () => number
): Effect.Effect<Effect.Effect<string, RigError>> =>
  Effect.sync(() => {
    const connected = (since: number) =>
      Effect.andThen(
        proxy.awaitEvent(
          (event) => event.type === "frame" && event.session !== undefined && event.session.timeout > 0,
          { since, within: 30_000 }
        ),
        zk.stateChanges.pipe(Stream.filter((state) => state._tag === "Connected"), Stream.runHead)
      )
    const replies = ["getData", "exists", "getChildren2", "setWatches2"] as const
    const kinds: ReadonlyArray<readonly [name: string, weight: number, fault: () => Effect.Effect<unknown, RigError>]> =
      [
        ["cut", 30, () => proxy.cutAll],
        ["reset", 10, () => proxy.resetAll],
        ["cut before an event", 15, () => Effect.flatMap(proxy.rule({ kind: "event" }, "cut"), ({ fired }) => fired)],
        [
          "cut after an event",
          10,
          () => Effect.flatMap(proxy.rule({ kind: "event" }, "passThenCut"), ({ fired }) => fired)
        ],
        ["answer swallowed", 15, () => {
          const op = replies[Math.floor(chance() * replies.length)] ?? "getData"
          return Effect.gen(function*() {
            const { fired } = yield* proxy.swallowReply({ op })
            if (op === "setWatches2") yield* proxy.cutAll
            yield* fired
          })
        }],
        ["freeze", 3, () =>
          Effect.gen(function*() {
            yield* proxy.freeze
            yield* zk.stateChanges.pipe(Stream.filter((state) => state._tag !== "Connected"), Stream.runHead)
            yield* proxy.heal
          })],
        ["expiry", 17, () => expireThrough(proxy, server)]
      ]
    const total = kinds.reduce((sum, [, weight]) => sum + weight, 0)
    return Effect.gen(function*() {
      let at = chance() * total
      const [name, , fault] = kinds.find(([, weight]) => (at -= weight) < 0) ?? kinds[0]!
      const since = yield* proxy.position
      yield* fault()
      yield* connected(since)
      // A connection that lasts no time makes the client wait before the next: most last long enough.
      yield* Effect.promise(() => sleep(chance() < 0.8 ? 350 : chance() * 100))
      return name
    })
  })

export const runChurn = (options: ChurnOptions): Effect.Effect<ChurnReport, RigError | ZkClient.MakeError> =>
  Effect.scoped(Effect.gen(function*() {
    const { faults: count, nodes, seed } = options
    const chance = random(seed)
    const handle = yield* makeProxiedServer()
    const { proxy, server } = handle
    const zk = yield* ZkClient.make({ hosts: proxy.connectString, sessionTimeout: "1 second" })
    const writer = yield* makeWriter(server)
    yield* writer.create(parent, "")
    // A chance of its own: how far the writer gets does not depend on the seed alone.
    const churn = new Churn(writer, random(seed + 1), nodes)
    const problems: Array<string> = []
    const started = performance.now()
    const { fibers, followed, raw } = yield* follow(zk, churn, problems)

    const writing = yield* Effect.forkScoped(Effect.forever(churn.step), { startImmediately: true })
    const fault = yield* makeFaults(handle, zk, chance)
    const faults: Record<string, number> = {}
    for (let i = 0; i < count; i++) {
      const name = yield* Effect.raceFirst(fault, Effect.andThen(Fiber.join(writing), Effect.never))
      faults[name] = (faults[name] ?? 0) + 1
    }
    yield* Fiber.interrupt(writing)
    yield* proxy.heal

    // What the server has, from beside the proxy; the writer's last write may still be on its way.
    const reader = yield* connectRaw(server)
    const truth = Effect.gen(function*() {
      const names = (yield* reader.getChildren(parent)).toSorted()
      const expected = new Map([["children", names.join()], ["the recursive watch", names.join()]])
      for (const index of churn.values.keys()) {
        const name = nameOf(index)
        const value = names.includes(name) ? (yield* reader.getData(`${parent}/${name}`)).data?.toString() : undefined
        expected.set(name, value ?? "missing")
      }
      return expected
    })
    const wrong = Effect.map(truth, (expected) => followed.filter(({ last, what }) => last !== expected.get(what)))
    const end = performance.now() + 15_000
    while ((yield* wrong).length > 0 && performance.now() < end) yield* Effect.promise(() => sleep(50))
    const expected = yield* truth
    for (const { last, what } of yield* wrong) {
      problems.push(`${what} is ${expected.get(what)}, but was seen as ${last}`)
    }
    for (const fiber of fibers) {
      const exit = fiber.pollUnsafe()
      if (exit !== undefined) problems.push(`a follower has ended: ${String(exit)}`)
    }

    yield* Fiber.interruptAll(fibers)
    yield* Effect.mapError(Effect.repeat(zk.sync(), { times: 4 }), (error) => rigError(error.message, error))
    yield* sessionOf(zk)
    const watchesLeft = yield* countWatches(server)
    if (watchesLeft > 0) problems.push(`${watchesLeft} watches are left at the server`)
    const sessions = new Set(
      proxy.events.flatMap((event) => event.type === "frame" && event.session?.timeout ? [event.session.sessionId] : [])
    )
    return {
      version: server.version,
      writer: kazooAvailable ? "kazoo" : "the rig's client",
      seconds: (performance.now() - started) / 1000,
      faults,
      connections: (yield* proxy.stats()).connections,
      sessions: sessions.size,
      writes: churn.writes,
      states: followed.reduce((sum, { states }) => sum + states, 0),
      events: raw.events,
      resets: raw.resets,
      watchesLeft,
      problems
    }
  }))

export const printReport = (options: ChurnOptions, report: ChurnReport): string => {
  const { connections, events, faults, problems, resets, seconds, sessions, states, version, watchesLeft, writes } =
    report
  return [
    `seed ${options.seed}, ZooKeeper ${version}, ${options.nodes} nodes, ${seconds.toFixed(1)} s`,
    `faults: ${Object.entries(faults).map(([name, count]) => `${count} × ${name}`).join(", ")}`,
    `${connections} connections, ${sessions} sessions; ${writes} writes by ${report.writer}` +
    (kazooAvailable ? "" : ` (${kazooProblem})`),
    `${states} states followed, ${events} raw events, ${resets} of them resets; ${watchesLeft} watches left`,
    problems.length === 0 ? "no problems" : ["PROBLEMS:", ...problems].join("\n  ")
  ].join("\n")
}
