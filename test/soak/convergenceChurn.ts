/** Who changes what `npm run convergence` follows, and the journal of that. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as ZkClient from "../../src/ZkClient.ts"
import * as ZkTransaction from "../../src/ZkTransaction.ts"
import { kazooAvailable, makeKazoo } from "../support/kazoo.ts"
import { messageOf, type RigError, rigError } from "../support/rigError.ts"
import { sleep } from "../support/wait.ts"
import type { Held } from "./convergenceJudge.ts"

export const root = "/convergence"

export const textOf = (key: string, n: number): string => JSON.stringify({ key, n })

type Kind = "create" | "set" | "delete" | "recreate"

/** The last of the values is what is to be seen. */
type Op = readonly [kind: Kind, name: string, values: ReadonlyArray<string>]

/** A client other than the one whose followers are to be proven. */
export interface Writer {
  readonly what: string
  /** What became of each: `done`, `unknown`, or an error. Begun in this order. */
  readonly apply: (ops: ReadonlyArray<Op>) => Effect.Effect<ReadonlyArray<string>, RigError>
  /** Deletes the root with all that is below it, and makes it again after so many seconds. */
  readonly rebuild: (value: string, pause: number) => Effect.Effect<string, RigError>
  /** What the server has, behind a `sync`; the root is the empty name. */
  readonly truth: Effect.Effect<ReadonlyMap<string, Held>, RigError>
}

const makeKazooWriter = (hosts: string): Effect.Effect<Writer, RigError, Scope.Scope> =>
  Effect.gen(function*() {
    const client = yield* (yield* makeKazoo).connect(hosts)
    const file = new URL("convergence_churn.py", import.meta.url)
    const call = (name: string, args: Record<string, string | number> = {}) =>
      client.call(file, name, { root, ...args })
    return {
      what: "kazoo",
      apply: (ops) =>
        Effect.map(call("apply", { ops: JSON.stringify(ops) }), (outcomes) => outcomes as ReadonlyArray<string>),
      rebuild: (value, pause) => Effect.map(call("rebuild", { value, pause }), String),
      truth: Effect.map(call("truth"), (found) =>
        new Map(
          (JSON.parse(String(found)) as ReadonlyArray<readonly [string, string, Record<string, string>]>)
            .map(([name, value, stat]) => [name, { value, stat }])
        ))
    }
  })

/** Where there is no kazoo. */
const makeOwnWriter = (hosts: string): Effect.Effect<Writer, RigError, Scope.Scope> =>
  Effect.gen(function*() {
    const zk = yield* Effect.mapError(ZkClient.make({ hosts }), (error) => rigError(messageOf(error), error))
    const begin = ([kind, name, [first = "", ...more]]: Op): Effect.Effect<unknown, { readonly _tag: string }> => {
      const path = `${root}/${name}`
      switch (kind) {
        case "create":
          return zk.create(path, first)
        case "set":
          return zk.setData(path, first)
        case "delete":
          return zk.delete(path)
        case "recreate":
          return zk.multi([
            ZkTransaction.delete(path),
            ZkTransaction.create(path, first),
            ...more.map((value) => ZkTransaction.setData(path, value))
          ])
      }
    }
    const rig = <A>(effect: Effect.Effect<A, { readonly message: string }>): Effect.Effect<A, RigError> =>
      Effect.mapError(effect, (error) => rigError(error.message, error))
    const outcome = (error: { readonly _tag: string }) =>
      "maybeApplied" in error && error.maybeApplied === true ? "unknown" : error._tag
    return {
      what: "another client of our own",
      apply: (ops) =>
        Effect.forEach(ops, (op) => Effect.match(begin(op), { onSuccess: () => "done", onFailure: outcome }), {
          concurrency: "unbounded"
        }),
      rebuild: (value, pause) =>
        rig(Effect.gen(function*() {
          yield* Effect.catchTag(zk.deleteRecursive(root), "NoNode", () => Effect.void)
          yield* Effect.promise(() => sleep(pause * 1000))
          return yield* Effect.match(zk.create(root, value), { onSuccess: () => "done", onFailure: outcome })
        })),
      truth: rig(Effect.gen(function*() {
        yield* zk.sync(root)
        const { children } = yield* zk.getChildren(root)
        const found = yield* Effect.forEach(["", ...children], (name) =>
          Effect.map(zk.getData(name === "" ? root : `${root}/${name}`), ({ stat, text }) => {
            const entries = Object.entries(stat).map(([key, value]) => [key, String(value)])
            return [name, { value: text, stat: Object.fromEntries(entries) }] as const
          }), { concurrency: 32 })
        return new Map(found)
      }))
    }
  })

/** The client itself has no say in what becomes of its requests, so that it may be one of any kind. */
export const makeWriter = (hosts: string): Effect.Effect<Writer, RigError, Scope.Scope> =>
  kazooAvailable ? makeKazooWriter(hosts) : makeOwnWriter(hosts)

/** A key with fewer versions than this is deleted and made anew with the same one. */
const mostVersions = 4

export interface ChurnOptions {
  readonly keys: number
  /** So many batches, and the root is made anew. */
  readonly rebuildEvery: number
}

export class Churn {
  /** Of each key, what was ever written to it, or may have been, in this order. */
  readonly written = new Map<string, Set<string>>()
  /** How often the deletion of the root has begun or ended. */
  epoch = 0
  rebuilds = 0
  /** Requests by what became of them. */
  readonly ops: Record<string, number> = {}
  private readonly writer: Writer
  private readonly chance: () => number
  private readonly options: ChurnOptions
  private readonly names: ReadonlyArray<string>
  /** The versions of those keys that are there. */
  private readonly versions = new Map<string, number>()
  private batches = 0
  private n = 0

  constructor(writer: Writer, chance: () => number, options: ChurnOptions) {
    this.writer = writer
    this.chance = chance
    this.options = options
    this.names = Array.from({ length: options.keys }, (_, i) => `k${i}`)
    // Anybody may make the root, without a value.
    this.written.set("", new Set([""]))
  }

  /** A value that is written nowhere else. */
  next(key: string): string {
    return textOf(key, ++this.n)
  }

  /** Before it is written: a follower may see it before the writer hears of its success. */
  note(key: string, value: string): void {
    const values = this.written.get(key)
    if (values === undefined) this.written.set(key, new Set([value]))
    else values.add(value)
  }

  /** It was not applied, and never will be. */
  strike(key: string, value: string): void {
    this.written.get(key)?.delete(value)
  }

  private pick(): Op {
    const name = this.names[Math.floor(this.chance() * this.names.length)]!
    const version = this.versions.get(name)
    const dice = this.chance()
    if (dice < 0.02) return this.op(version === undefined ? "set" : "create", name)
    if (version === undefined) {
      this.versions.set(name, 0)
      return this.op("create", name)
    }
    if (dice < 0.25) {
      this.versions.delete(name)
      return this.op("delete", name)
    }
    if (dice < 0.5 && version < mostVersions) return this.op("recreate", name, version)
    this.versions.set(name, version + 1)
    return this.op("set", name)
  }

  private op(kind: Kind, name: string, version = 0): Op {
    if (kind === "delete") return [kind, name, []]
    // Those but the last are never to be seen.
    const values = Array.from({ length: version + 1 }, () => this.next(name))
    this.note(name, values.at(-1)!)
    return [kind, name, values]
  }

  private count(what: string): void {
    this.ops[what] = (this.ops[what] ?? 0) + 1
  }

  private apply(ops: ReadonlyArray<Op>): Effect.Effect<void, RigError> {
    return Effect.map(this.writer.apply(ops), (outcomes) => {
      for (const [i, [kind, name, values]] of ops.entries()) {
        const outcome = outcomes[i] ?? "unknown"
        this.count(outcome === "done" ? kind : `${kind}: ${outcome}`)
        if (outcome !== "done" && outcome !== "unknown" && kind !== "delete") this.strike(name, values.at(-1)!)
      }
    })
  }

  /** All keys at first. */
  readonly begin: Effect.Effect<void, RigError> = Effect.suspend(() => Effect.andThen(this.rebuild(), this.fill(1)))

  private fill(share: number): Effect.Effect<void, RigError> {
    return Effect.suspend(() => {
      const names = this.names.filter(() => this.chance() < share)
      for (const name of names) this.versions.set(name, 0)
      return this.apply(names.map((name) => this.op("create", name)))
    })
  }

  private rebuild(): Effect.Effect<void, RigError> {
    return Effect.suspend(() => {
      const value = this.next("")
      this.note("", value)
      this.versions.clear()
      this.epoch++
      return Effect.map(this.writer.rebuild(value, this.chance() * 0.05), (outcome) => {
        this.epoch++
        this.rebuilds++
        this.count(outcome === "done" ? "rebuild" : `rebuild: ${outcome}`)
        if (outcome === "exists" || outcome === "NodeExists") this.strike("", value)
      })
    })
  }

  /** Some writes at once. */
  readonly burst: Effect.Effect<void, RigError> = Effect.suspend(() =>
    this.apply(Array.from({ length: 1 + Math.floor(this.chance() * 20) }, () => this.pick()))
  )

  /** Some writes, and a pause; from time to time the root with everything below it. */
  readonly step: Effect.Effect<void, RigError> = Effect.suspend(() => {
    if (++this.batches % this.options.rebuildEvery === 0) return Effect.andThen(this.rebuild(), this.fill(0.8))
    const pause = this.chance() * 60
    return Effect.andThen(this.burst, Effect.promise(() => sleep(pause)))
  })
}
