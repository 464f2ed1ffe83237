/** What is seen of writes, removals and defects: all of it, or why not. */
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as ZkAcl from "../src/ZkAcl.ts"
import * as ZkClient from "../src/ZkClient.ts"
import { maybeApplied } from "../src/ZkError.ts"
import type * as ZkMirror from "../src/ZkMirror.ts"
import type * as ZkNode from "../src/ZkNode.ts"
import * as ZkTransaction from "../src/ZkTransaction.ts"
import { dictOf, documentOf } from "./support/dicting.ts"
import { mirrorOf, pair, proxiedPair } from "./support/mirroring.ts"
import { shared } from "./support/shared.ts"
import { typedNode } from "./support/typedNodes.ts"
import { patience } from "./support/wait.ts"
import { record } from "./support/watching.ts"

describe("a write that can never be seen", () => {
  it.live("says that it was applied: its node is larger than may be read [Z20] [DICT-SEEN]", () =>
    Effect.gen(function*() {
      const { other, root } = yield* pair
      const { connectString } = yield* shared
      const large = "x".repeat(20_000)
      type Write = Effect.Effect<unknown, { readonly _tag: string }>
      type Case = (zk: ZkClient.ZkClient, path: string) => Effect.Effect<Write, unknown, Scope.Scope>
      const copy = (isThere: boolean, write: (node: ZkMirror.MirrorNode) => Write): Case => (zk, path) =>
        Effect.gen(function*() {
          if (isThere) yield* other.create(path)
          return write(yield* (yield* mirrorOf(zk)).node(path))
        })
      const typed = (write: (node: ZkNode.ZkNode<string>) => Write): Case => (zk, path) =>
        Effect.map(typedNode(zk, path, { value: Schema.String, default: "" }), write)
      const cases: ReadonlyArray<Case> = [
        copy(true, (node) => node.set(large)),
        copy(true, (node) => node.update(() => large)),
        copy(false, (node) => node.create(large)),
        typed((node) => node.set(large)),
        typed((node) => node.update(() => large)),
        (zk, path) => Effect.map(documentOf(zk, path), (dict) => dict.set("k", large))
      ]
      const one = (begin: Case, i: number) =>
        Effect.gen(function*() {
          // Each costs its client a connection.
          const zk = yield* ZkClient.make({ hosts: connectString, maxResponseSize: 10_000 })
          const path = `${root}/${i}`
          const write = yield* begin(zk, path)
          const error = yield* Effect.flip(write)
          assert.isTrue(maybeApplied(error), `${i}: ${error._tag}`)
          const written = yield* other.getData(path)
          assert.isAtLeast(written.text.length, large.length)
          // Nobody can see anything any more, so that nothing is sent.
          const again = yield* Effect.flip(write)
          assert.isFalse(maybeApplied(again), `${i}: ${again._tag}`)
          assert.strictEqual((yield* other.getData(path)).stat.mzxid, written.stat.mzxid)
        })
      yield* Effect.forEach(cases, one, { concurrency: "unbounded", discard: true })
    }))
})

describe("a defect while many nodes are read together", () => {
  it.live("ends the copy with what it was, in place of keeping everybody waiting [MIR-DEFECT]", () =>
    Effect.gen(function*() {
      const { other, root, zk } = yield* pair
      const names = Array.from({ length: 40 }, (_, i) => `k${i}`)
      let isBroken = true
      const broken: ZkClient.ZkClient = {
        ...zk,
        observeEach: (paths) => isBroken ? Effect.die("broken") : zk.observeEach(paths)
      }
      const diesOf = (exit: Exit.Exit<unknown, unknown> | undefined) =>
        exit !== undefined && Exit.isFailure(exit) && Cause.pretty(exit.cause).includes("broken") &&
        Cause.hasDies(exit.cause)
      const inTime = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
        Effect.timeoutOption(Effect.exit(effect), 2_000 * patience).pipe(Effect.map(Option.getOrUndefined))
      yield* Effect.forEach(names, (name) => other.create(`${root}/${name}`, "1"), { discard: true, concurrency: 40 })
      const mirror = yield* mirrorOf(broken)
      assert.isTrue(diesOf(yield* inTime(mirror.tree(root))))
      assert.isTrue(diesOf(yield* inTime(dictOf(broken, root))))
      // Later on as well.
      isBroken = false
      const tree = yield* mirror.tree(root)
      const changes = yield* record(tree.changes)
      yield* changes.until("the start", (values) => values.length === 41)
      isBroken = true
      // Together, so that they are read together.
      yield* other.multi(names.map((name) => ZkTransaction.setData(`${root}/${name}`, "2")))
      assert.isTrue(diesOf(yield* inTime(Fiber.join(changes.fiber))))
      assert.isTrue(diesOf(yield* inTime(tree.sync)))
      assert.notStrictEqual((yield* tree.freshness)._tag, "Live")
    }))
})

describe("a removal that is told", () => {
  const paths = ["a", "a/b", "a/b/c", "a/d", "e"]
  const user = { scheme: "digest", credential: Redacted.make("a:b") }

  /** What the copy shows each time that its reader is woken. */
  const woken = (tree: ZkMirror.MirrorTree, root: string) =>
    record(Stream.mapEffect(tree.changes, (change) =>
      Effect.gen(function*() {
        return {
          told: `${change._tag} ${change.path.slice(root.length)}`,
          entries: [...(yield* tree.entries).keys()].map((path) => path.slice(root.length)),
          size: yield* tree.size,
          children: Option.getOrUndefined(yield* tree.children(root)),
          unreadable: (yield* tree.unreadable).map((path) => path.slice(root.length)),
          below: yield* Effect.forEach(paths, (path) => tree.children(`${root}/${path}`)),
          nodes: yield* Effect.forEach(paths, (path) => tree.get(`${root}/${path}`))
        }
      })))

  /** A copy whose client misses what the other one does, and finds all of it with one read. */
  const missing = (act: (other: ZkClient.ZkClient, root: string) => Effect.Effect<unknown, unknown>) =>
    Effect.gen(function*() {
      const { mirror, other, proxy, root, zk } = yield* proxiedPair()
      const acl = [ZkAcl.digest("a", Redacted.make("b")), { perms: ZkAcl.Perms.read, scheme: "world", id: "anyone" }]
      yield* other.addAuth(user)
      for (const path of paths) yield* other.create(`${root}/${path}`, "", path === "a" ? { acl } : {})
      const tree = yield* mirror.tree(root)
      const dict = yield* dictOf(zk, root)
      const dictSeen = yield* record(Stream.mapEffect(dict.changes, ({ _tag, key }) =>
        Effect.gen(function*() {
          const size = yield* Effect.result(dict.size)
          const keys = yield* Effect.result(dict.keys)
          return { told: `${_tag} ${key}`, size, keys }
        })))
      const seen = yield* woken(tree, root)
      yield* seen.until("the start", (values) => values.length === 6)
      yield* dictSeen.until("the start", (values) => values.length === 2)
      yield* proxy.setAccept("refuse")
      yield* proxy.cutAll
      yield* act(other, root)
      yield* proxy.setAccept("accept")
      const isEnd = (values: ReadonlyArray<{ readonly told: string }>) =>
        values.some(({ told }) => told === "Removed /a" || told === "Removed a")
      yield* seen.until("the end", isEnd)
      yield* dictSeen.until("the end", isEnd)
      return { seen: seen.values.slice(6), dictSeen: dictSeen.values.slice(2) }
    })

  it.live("is complete by then, with all that was below a node [TC-18]", () =>
    Effect.gen(function*() {
      const { dictSeen, seen } = yield* missing((other, root) => other.deleteRecursive(`${root}/a`))
      assert.sameMembers(
        seen.map(({ told }) => told),
        ["/a/b/c", "/a/b", "/a/d", "/a"].map((path) => `Removed ${path}`)
      )
      assert.strictEqual(seen.at(-1)!.told, "Removed /a")
      for (const { below, children, entries, nodes, size, unreadable } of seen) {
        assert.deepStrictEqual([entries, size, children, unreadable], [["", "/e"], 2, ["e"], []])
        assert.deepStrictEqual(below.map(Option.isSome), [false, false, false, false, true])
        assert.deepStrictEqual(nodes.map(Option.isSome), [false, false, false, false, true])
      }
      assert.deepStrictEqual(dictSeen.map(({ told }) => told), ["Removed a"])
    }))

  it.live("is complete by then, of the root with everything [TC-18] [DICT-06]", () =>
    Effect.gen(function*() {
      const { mirror, other, proxy, root, zk } = yield* proxiedPair()
      const path = `${root}/dict`
      const dict = yield* dictOf(zk, path)
      yield* dict.setAll([["a", "1"], ["b", "2"], ["c", "3"]])
      const tree = yield* mirror.tree(path)
      const ofTree = yield* record(Stream.mapEffect(tree.changes, () => tree.size))
      const ofDict = yield* record(Stream.mapEffect(dict.changes, () => Effect.all([dict.size, dict.keys])))
      yield* ofTree.until("the start", (values) => values.length === 4)
      yield* ofDict.until("the start", (values) => values.length === 3)
      yield* proxy.setAccept("refuse")
      yield* proxy.cutAll
      yield* other.deleteRecursive(path)
      yield* proxy.setAccept("accept")
      yield* ofTree.until("the end", (values) => values.length === 8)
      yield* ofDict.until("the end", (values) => values.length === 6)
      assert.deepStrictEqual(ofTree.values.slice(4), [0, 0, 0, 0])
      assert.deepStrictEqual(ofDict.values.slice(3), [[0, []], [0, []], [0, []]])
    }))

  it.live("is complete by then, of a node that may not be read any more [TC-18] [L12]", () =>
    Effect.gen(function*() {
      const acl = [ZkAcl.digest("a", Redacted.make("b"))]
      const { dictSeen, seen } = yield* missing((other, root) => other.setAcl(`${root}/a`, acl))
      assert.sameMembers(
        seen.map(({ told }) => told),
        ["/a/b/c", "/a/b", "/a/d", "/a"].map((path) => `Removed ${path}`)
      )
      for (const { below, children, entries, nodes, size, unreadable } of seen) {
        assert.deepStrictEqual([entries, size, children, unreadable], [["", "/e"], 3, ["e", "a"].toSorted(), ["/a"]])
        assert.deepStrictEqual(below.map(Option.isSome), [false, false, false, false, true])
        assert.deepStrictEqual(nodes.map(Option.isSome), [false, false, false, false, true])
      }
      // It is still one of the keys.
      const [change] = dictSeen
      assert.deepStrictEqual([change?.told, change?.size, change?.keys], [
        "Removed a",
        Result.succeed(2),
        Result.succeed(["a", "e"])
      ])
    }))
})
