/** Who follows what `npm run convergence` changes, and what they were told. */
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as ZkClient from "../../src/ZkClient.ts"
import * as ZkDict from "../../src/ZkDict.ts"
import * as ZkMirror from "../../src/ZkMirror.ts"
import * as ZkNode from "../../src/ZkNode.ts"
import type { Stat } from "../../src/ZkStat.ts"
import { sleep } from "../support/wait.ts"
import { root, textOf } from "./convergenceChurn.ts"
import { aChild, type Held, type Told, type Version } from "./convergenceJudge.ts"

export const Value = Schema.Struct({ key: Schema.String, n: Schema.Number })
export type Value = typeof Value.Type
export type Dict = ZkDict.ZkDict<string, Value>

export const showValue = ({ key, n }: Value): string => textOf(key, n)

const showResult = (result: Result.Result<Value, { readonly message: string }>): string =>
  Result.isSuccess(result) ? showValue(result.success) : `undecodable: ${result.failure.message}`

const nameOf = (path: string): string => path.slice(root.length + 1)

const versionOf = ({ czxid, mzxid }: Stat): Version => ({ czxid, mzxid })

/** What a copy may lag behind with, of nodes that have or had children: the root, and what `pop` was called on. */
const ofChildren: ReadonlyArray<string> = ["cversion", "numChildren", "pzxid"]

const hold = (name: string, { stat, text }: ZkClient.NodeData): Held => {
  const isParent = name === "" || name.startsWith("own")
  const entries = Object.entries(stat).filter(([field]) => !isParent || !ofChildren.includes(field))
  return { value: text, stat: Object.fromEntries(entries.map(([field, value]) => [field, String(value)])) }
}

/** What somebody was told. */
export class Tale {
  readonly told: Array<Told> = []
  /** What it has come to. */
  readonly now = new Map<string, string>()
  count = 0
  /** When it was told something last. */
  last = 0

  push(told: Told): void {
    this.told.push(told)
    this.heard()
    if (told.value === undefined) this.now.delete(told.key)
    else this.now.set(told.key, told.value)
  }

  heard(): void {
    this.count++
    this.last = performance.now()
  }
}

/** Somebody who follows, while the run lasts. */
export interface Live {
  readonly what: string
  readonly tale: Tale
  readonly shown: Effect.Effect<ReadonlyMap<string, Held>>
  readonly freshness: Effect.Effect<ZkMirror.Freshness>
  /** Keys that are none of its business. */
  readonly ignores: (key: string) => boolean
  readonly tellsAll: boolean
  readonly namesOnly?: boolean
  readonly fibers: ReadonlyArray<Fiber.Fiber<void, unknown>>
  readonly revision?: Effect.Effect<bigint> | undefined
}

const run = <A, E>(
  stream: Stream.Stream<A, E>,
  use: (value: A) => void
): Effect.Effect<Fiber.Fiber<void, E>, never, Scope.Scope> =>
  Effect.forkScoped(Stream.runForEach(stream, (value) => Effect.sync(() => use(value))), { startImmediately: true })

/** What there is for a moment below and beside a key that is popped. */
const isClaim = (name: string): boolean => name.includes("/") || /^_c_.*-popped$/.test(name)

export const followDict = (what: string, dict: Dict, restEvery = Infinity): Effect.Effect<Live, never, Scope.Scope> =>
  Effect.gen(function*() {
    const tale = new Tale()
    let changed = 0
    const rest = Effect.promise(() => sleep(30))
    // A reader who rests is told of several changes as one.
    const changes = dict.changes.pipe(Stream.tap(() => ++changed % restEvery === 0 ? rest : Effect.void))
    const fiber = yield* run(changes, (change) => {
      tale.push({
        tag: change._tag,
        key: change.key,
        value: change._tag === "Removed" ? undefined : showResult(change.value),
        previous: change._tag === "Added" ? null : showResult(change.previous)
      })
    })
    return {
      what,
      tale,
      shown: shownBy(dict),
      freshness: dict.freshness,
      ignores: (key) => key === "" || isClaim(key),
      tellsAll: true,
      fibers: [fiber],
      revision: dict.revision
    }
  })

export const shownBy = (dict: Dict): Effect.Effect<ReadonlyMap<string, Held>> =>
  Effect.orDie(
    Effect.map(dict.snapshot, (found) => new Map([...found].map(([key, value]) => [key, { value: showValue(value) }])))
  )

export const followTree = (what: string, tree: ZkMirror.MirrorTree): Effect.Effect<Live, never, Scope.Scope> =>
  Effect.gen(function*() {
    const tale = new Tale()
    const fiber = yield* run(tree.changes, (change) => {
      const key = nameOf(change.path)
      if (isClaim(key)) return
      const isThere = change._tag !== "Removed"
      tale.push({
        tag: change._tag,
        key,
        value: isThere ? change.node.text : undefined,
        version: isThere ? versionOf(change.node.stat) : undefined,
        previous: change._tag === "Added" ? null : change.previous.text
      })
    })
    return {
      what,
      tale,
      shown: Effect.map(tree.entries, (entries) =>
        new Map([...entries].flatMap(([path, node]) => {
          const key = nameOf(path)
          return isClaim(key) ? [] : [[key, hold(key, node)] as const]
        }))),
      freshness: tree.freshness,
      ignores: isClaim,
      tellsAll: true,
      fibers: [fiber]
    }
  })

/** One copy of a node for each key. */
const followNodes = (
  mirror: ZkMirror.ZkMirror,
  keys: ReadonlyArray<string>
): Effect.Effect<Live, unknown, Scope.Scope> =>
  Effect.gen(function*() {
    const tale = new Tale()
    const nodes = yield* Effect.forEach(keys, (key) =>
      Effect.map(mirror.node(`${root}/${key}`), (node) => [key, node] as const))
    const fibers = yield* Effect.forEach(nodes, ([key, node]) =>
      run(node.changes, (state) => {
        tale.push(
          Option.isNone(state)
            ? { tag: "Missing", key }
            : { tag: "Present", key, value: state.value.text, version: versionOf(state.value.stat) }
        )
      }))
    const known = new Set(keys)
    const [, first] = nodes[0]!
    return {
      what: "mirrored nodes",
      tale,
      shown: Effect.map(
        Effect.forEach(nodes, ([key, node]) =>
          Effect.map(node.state, (state) => [key, state] as const)),
        (found) =>
          new Map(found.flatMap(([key, state]) =>
            state._tag === "Present" ? [[key, hold(key, state.node)] as const] : []
          ))
      ),
      freshness: first.freshness,
      ignores: (key) => !known.has(key),
      tellsAll: true,
      fibers
    }
  })

/** The children of the root, as a copy of one node knows them. */
const followNames = (mirror: ZkMirror.ZkMirror): Effect.Effect<Live, unknown, Scope.Scope> =>
  Effect.gen(function*() {
    const node = yield* mirror.node(root)
    const tale = new Tale()
    let last: ReadonlyArray<string> = []
    const fiber = yield* run(node.childrenChanges, (state) => {
      last = Option.getOrElse(state, () => [])
      tale.heard()
    })
    return {
      what: "the children of a mirrored node",
      tale,
      namesOnly: true,
      // What was told last and what is shown have to be the same: a name that is but in one of them is wrong.
      shown: Effect.map(node.childrenState, (state) => {
        const names = state._tag === "Present" ? state.node.children : []
        const value = names.join() === last.join() ? aChild : `${aChild}, and told otherwise`
        return new Map([...names].map((name) => [name, { value }]))
      }),
      freshness: node.freshness,
      ignores: (key) => key === "" || isClaim(key),
      tellsAll: false,
      fibers: [fiber]
    }
  })

/** Typed nodes. */
const followValues = (zk: ZkClient.ZkClient, keys: ReadonlyArray<string>): Effect.Effect<Live, unknown, Scope.Scope> =>
  Effect.gen(function*() {
    const tale = new Tale()
    const nodes = yield* Effect.forEach(
      keys,
      (key) => Effect.map(ZkNode.make(`${root}/${key}`, { value: Value }), (node) => [key, node] as const)
    )
      .pipe(Effect.provideService(ZkClient.ZkClient, zk))
    const showState = (state: ZkNode.NodeState<Value> | undefined): string | null =>
      state === undefined || state._tag === "Missing"
        ? null
        : state._tag === "Present"
        ? showValue(state.value)
        : `undecodable: ${state.error.message}`
    const fibers = yield* Effect.forEach(nodes, ([key, node]) =>
      run(node.changes, ({ current, previous }) => {
        tale.push({
          tag: current._tag === "Missing" ? "Missing" : "Present",
          key,
          value: showState(current) ?? undefined,
          version: current._tag === "Missing" ? undefined : versionOf(current.stat),
          previous: showState(Option.getOrUndefined(previous))
        })
      }))
    const known = new Set(keys)
    return {
      what: "typed nodes",
      tale,
      shown: Effect.orDie(Effect.map(
        Effect.forEach(nodes, ([key, node]) =>
          Effect.all([node.get, node.stat]).pipe(
            Effect.map(([value, { czxid, mzxid }]) => {
              const stat = { czxid: String(czxid), mzxid: String(mzxid) }
              return [[key, { value: showValue(value), stat }] as const]
            }),
            Effect.catchTag("NoNode", () => Effect.succeed([]))
          )),
        (found) => new Map(found.flat())
      )),
      freshness: nodes[0]![1].freshness,
      ignores: (key) => !known.has(key),
      tellsAll: true,
      fibers
    }
  })

export const manualName = "a manual dictionary"

const makeDict = (zk: ZkClient.ZkClient, mode: "live" | "manual") =>
  Effect.provideService(ZkDict.make(root, { value: Value, mode }), ZkClient.ZkClient, zk)

export interface Followers {
  readonly all: ReadonlyArray<Live>
  readonly live: Dict
  readonly manual: Dict
}

/** `near` has a connection of its own, which nobody breaks. */
export const follow = (
  zk: ZkClient.ZkClient,
  near: ZkClient.ZkClient,
  keys: ReadonlyArray<string>
): Effect.Effect<Followers, unknown, Scope.Scope> =>
  Effect.gen(function*() {
    const live = yield* makeDict(zk, "live")
    const manual = yield* makeDict(zk, "manual")
    const mirror = yield* Effect.provideService(ZkMirror.make, ZkClient.ZkClient, zk)
    const nearMirror = yield* Effect.provideService(ZkMirror.make, ZkClient.ZkClient, near)
    return {
      live,
      manual,
      all: [
        yield* followDict("a dictionary", live),
        yield* followDict("a slow reader of a dictionary", live, Math.max(2, Math.floor(keys.length / 8))),
        yield* followDict(manualName, manual),
        yield* followTree("a tree", yield* mirror.tree(root)),
        yield* followNodes(mirror, keys),
        yield* followNames(mirror),
        yield* followValues(zk, keys.filter((_, i) => i % 20 === 0)),
        yield* followDict("a dictionary that nobody disturbs", yield* makeDict(near, "live")),
        yield* followTree("a tree that nobody disturbs", yield* nearMirror.tree(root))
      ]
    }
  })
