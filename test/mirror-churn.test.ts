/** Copies of a tree that changes at random, against a model of it. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { ZkClient } from "../src/ZkClient.ts"
import type * as ZkMirror from "../src/ZkMirror.ts"
import { random } from "./soak/flags.ts"
import { expireThrough } from "./support/expire.ts"
import { byPath, present, proxiedPair, showChange, shown } from "./support/mirroring.ts"
import { record } from "./support/watching.ts"

/** A tree as it should be. Each step gives the changes that it makes. */
class Model {
  readonly nodes = new Map<string, string>()
  private readonly chance: () => number
  private readonly other: ZkClient
  private readonly root: string
  private counter = 0

  constructor(other: ZkClient, root: string, chance: () => number) {
    this.other = other
    this.root = root
    this.chance = chance
    this.nodes.set(root, "")
  }

  private pick(): string {
    const paths = [...this.nodes.keys()]
    return paths[Math.floor(this.chance() * paths.length)]!
  }

  step(): Effect.Effect<ReadonlyArray<string>, unknown> {
    const path = this.pick()
    const below = path.slice(this.root.length)
    const dice = this.chance()
    const text = `${this.counter++}`
    if (dice < 0.5) {
      // A few names, so that some come back.
      const name = `${path}/${"abcdef"[Math.floor(this.chance() * 6)]}`
      if (this.nodes.has(name)) return this.step()
      this.nodes.set(name, text)
      return Effect.as(this.other.create(name, text), [`Added ${name.slice(this.root.length)}`])
    }
    if (dice < 0.8 || path === this.root) {
      this.nodes.set(path, text)
      return Effect.as(this.other.setData(path, text), [`Changed ${below}`])
    }
    const gone = [...this.nodes.keys()].filter((node) => node === path || node.startsWith(`${path}/`))
    for (const node of gone) this.nodes.delete(node)
    return Effect.as(this.other.deleteRecursive(path), gone.map((node) => `Removed ${node.slice(this.root.length)}`))
  }
}

/** Each node is added, changed and removed in turn, never by something older; gives what is left. */
const replay = (changes: ReadonlyArray<ZkMirror.TreeChange>): ReadonlyMap<string, string> => {
  const nodes = new Map<string, string>()
  const newest = new Map<string, bigint>()
  for (const change of changes) {
    const { _tag, path } = change
    assert.strictEqual(nodes.has(path), _tag !== "Added", `${_tag} ${path}`)
    if (_tag === "Removed") {
      nodes.delete(path)
      assert.isFalse([...nodes.keys()].some((node) => node.startsWith(`${path}/`)), `children of ${path} go first`)
      continue
    }
    assert.isTrue(
      _tag === "Changed" || nodes.size === 0 || nodes.has(path.slice(0, path.lastIndexOf("/"))),
      `the parent of ${path} comes first`
    )
    const { mzxid } = change.node.stat
    assert.isTrue(mzxid > (newest.get(path) ?? 0n), `${path} goes back`)
    newest.set(path, mzxid)
    nodes.set(path, change.node.text)
  }
  return nodes
}

const clip = (nodes: ReadonlyMap<string, string>, root: string, depth: number) =>
  new Map([...nodes].filter(([path]) => path.slice(root.length).split("/").length - 1 <= depth))

describe("a tree that changes at random", () => {
  it.live("is told step by step, as deep as asked for [TC-13]", () =>
    Effect.gen(function*() {
      const { mirror, other, root } = yield* proxiedPair()
      const model = new Model(other, root, random(5))
      const tree = yield* mirror.tree(root)
      const flat = yield* mirror.tree(root, { depth: 3 })
      const changes = yield* record(Stream.map(tree.changes, showChange(root)))
      const flatChanges = yield* record(Stream.map(flat.changes, showChange(root)))
      yield* changes.until("the start", (values) => values.length === 1)
      yield* flatChanges.until("the start", (values) => values.length === 1)
      const expected: Array<string> = ["Added "]
      const expectedFlat: Array<string> = ["Added "]
      for (let i = 0; i < 500; i++) {
        const told = yield* model.step()
        const from = expected.length
        expected.push(...told)
        expectedFlat.push(...told.filter((change) => change.split("/").length - 1 <= 3))
        yield* changes.until(`step ${i}`, (values) => values.length === expected.length)
        assert.sameMembers([...changes.values.slice(from)], [...told])
        // Behind by a step, it would tell two changes of a node as one.
        yield* flatChanges.until(`step ${i}, not as deep`, (values) => values.length === expectedFlat.length)
      }
      assert.sameMembers([...flatChanges.values], expectedFlat)
      assert.deepStrictEqual(byPath(yield* shown(tree)), byPath(model.nodes))
      assert.deepStrictEqual(byPath(yield* shown(flat)), byPath(clip(model.nodes, root, 3)))
      assert.isAbove(Math.max(...expected.map((change) => change.split("/").length - 1)), 4)
    }))
})

describe.concurrent("a tree that changes at random, and whoever follows it", () => {
  for (const seed of [2]) {
    it.live(
      `is what the server has, through lost connections and ended sessions: ${seed} [TC-13] [Z13] [L2]`,
      () =>
        Effect.gen(function*() {
          const { mirror, other, port, proxy, root } = yield* proxiedPair()
          const chance = random(seed)
          const model = new Model(other, root, chance)
          const tree = yield* mirror.tree(root)
          const flat = yield* mirror.tree(root, { depth: 5, filter: (path) => !path.endsWith("/f") })
          const changes = yield* record(tree.changes)
          const slow = yield* record(Stream.tap(tree.changes, () => Effect.yieldNow))
          const node = yield* mirror.node(`${root}/a`)
          const seen = yield* record(node.changes)
          let cuts = 0
          let expiries = 0
          for (let i = 0; i < 1000; i++) {
            yield* model.step()
            const dice = chance()
            // Else most of it would happen without a connection.
            if (dice < 0.012) yield* proxy.awaitOpen(1)
            if (dice < 0.009) {
              cuts++
              yield* proxy.cutAll
            } else if (dice < 0.012) {
              expiries++
              yield* expireThrough(proxy, port)
            }
          }
          const { connections } = yield* proxy.stats()
          assert.isAtLeast(cuts, 5)
          assert.isAtLeast(expiries, 1)
          assert.isAtLeast(connections, cuts + expiries)
          const settled = Effect.retry(Effect.andThen(tree.sync, flat.sync), {
            while: ({ _tag }) => _tag === "SessionExpired"
          })
          yield* settled
          const there = yield* present(other, root)
          assert.deepStrictEqual(byPath(model.nodes), byPath(there))
          assert.deepStrictEqual(byPath(yield* shown(tree)), byPath(there))
          const kept = [...clip(there, root, 5)].filter(([path]) => !`${path}/`.includes("/f/"))
          assert.deepStrictEqual(byPath(yield* shown(flat)), byPath(new Map(kept)))
          yield* node.sync
          const state = yield* node.state
          assert.strictEqual(state._tag === "Present" ? state.node.text : undefined, there.get(`${root}/a`))
          yield* other.create(`${root}/end`, "")
          for (const { until, values } of [changes, slow]) {
            yield* until("the end", (values) => values.at(-1)?.path === `${root}/end`)
            assert.deepStrictEqual(byPath(replay(values)), byPath(there.set(`${root}/end`, "")))
          }
          let newest = 0n
          for (const value of seen.values) {
            if (Option.isNone(value)) continue
            assert.isTrue(value.value.stat.mzxid > newest)
            newest = value.value.stat.mzxid
          }
        }),
      60_000
    )
  }
})
