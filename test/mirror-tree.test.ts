import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as ZkAcl from "../src/ZkAcl.ts"
import * as ZkClient from "../src/ZkClient.ts"
import type * as ZkMirror from "../src/ZkMirror.ts"
import * as ZkTransaction from "../src/ZkTransaction.ts"
import { failsWith } from "./support/failsWith.ts"
import {
  becomes,
  byPath,
  mirrorOf,
  pair,
  present,
  proxiedPair,
  showChange,
  shown,
  takenBack,
  textOf
} from "./support/mirroring.ts"
import { shared, sharedHandle } from "./support/shared.ts"
import { record, sessionOf } from "./support/watching.ts"

const recordChanges = (tree: ZkMirror.MirrorTree, root: string) => record(Stream.map(tree.changes, showChange(root)))

const plant = (client: ZkClient.ZkClient, root: string, ...paths: ReadonlyArray<string>) =>
  Effect.forEach(paths, (path) => client.create(`${root}${path}`, path), { discard: true })

describe("a copy of a tree", () => {
  it.live("has everything that is there when it is complete, parents before children [TC-01]", () =>
    Effect.gen(function*() {
      const { mirror, other, root } = yield* pair
      yield* plant(other, root, "/b", "/a", "/a/2", "/a/1", "/a/1/deep", "/c")
      const tree = yield* mirror.tree(root)
      assert.deepStrictEqual(byPath(yield* shown(tree)), byPath(yield* present(other, root)))
      assert.strictEqual(yield* tree.size, 7)
      assert.deepStrictEqual(yield* tree.freshness, { _tag: "Live" })
      const { until, values } = yield* recordChanges(tree, root)
      yield* until("all", (values) => values.length === 7)
      for (const value of values) {
        const parent = value.slice(0, value.lastIndexOf("/"))
        assert.isTrue(value === "Added " || values.indexOf(parent) < values.indexOf(value), values.join())
      }
    }))

  it.live("of nothing is complete at once, and shows what comes [TC-01] [L4]", () =>
    Effect.gen(function*() {
      const { mirror, other, root } = yield* pair
      const tree = yield* mirror.tree(`${root}/a/b`)
      assert.strictEqual(yield* tree.size, 0)
      assert.deepStrictEqual(yield* tree.freshness, { _tag: "Live" })
      const { until, values } = yield* recordChanges(tree, root)
      yield* other.create(`${root}/a/b/c`, "", { parents: true })
      yield* until("all", (values) => values.length === 2)
      assert.deepStrictEqual(values, ["Added /a/b", "Added /a/b/c"])
    }))

  it.live("tells what is added, changed and removed, with what it was [TC-02]", () =>
    Effect.gen(function*() {
      const { mirror, other, root } = yield* pair
      const tree = yield* mirror.tree(root)
      const { until, values } = yield* record(tree.changes)
      yield* until("the root", (values) => values.length === 1)
      const steps = [
        other.create(`${root}/a`, "1"),
        other.setData(`${root}/a`, "2"),
        other.create(`${root}/a/b`, "3"),
        other.deleteRecursive(`${root}/a`)
      ]
      for (const [index, step] of steps.entries()) {
        yield* step
        yield* until(`step ${index}`, (values) => values.length === (index === 3 ? 6 : index + 2))
      }
      const texts = values.slice(1).map((change) => [
        showChange(root)(change),
        change._tag === "Removed" ? undefined : change.node.text,
        change._tag === "Added" ? undefined : change.previous.text
      ])
      assert.deepStrictEqual(texts, [
        ["Added /a", "1", undefined],
        ["Changed /a", "2", "1"],
        ["Added /a/b", "3", undefined],
        ["Removed /a/b", undefined, "3"],
        ["Removed /a", undefined, "2"]
      ])
    }))

  it.live("tells of single nodes; of missing ones and those elsewhere nothing [TC-03]", () =>
    Effect.gen(function*() {
      const { mirror, other, root } = yield* pair
      yield* plant(other, root, "/t", "/t/b", "/t/a", "/elsewhere")
      const tree = yield* mirror.tree(`${root}/t`)
      assert.strictEqual(Option.getOrThrow(yield* tree.get(`${root}/t/a`)).text, "/t/a")
      assert.deepStrictEqual(yield* tree.children(`${root}/t`), Option.some(["a", "b"]))
      assert.deepStrictEqual(yield* tree.children(`${root}/t/a`), Option.some([]))
      for (const none of [`${root}/t/x`, `${root}/elsewhere`, root, "nonsense", ""]) {
        assert.deepStrictEqual(yield* tree.get(none), Option.none())
        assert.deepStrictEqual(yield* tree.children(none), Option.none())
      }
      yield* failsWith(mirror.tree(`${root}//t`), "InvalidPath")
      for (const depth of [-1, 0.5, Number.NaN]) yield* failsWith(mirror.tree(root, { depth }), "InvalidInput")
    }))

  it.live("has one watch, and takes only that back when it ends [TC-04] [L8]", () =>
    Effect.gen(function*() {
      const { mirror, other, root, zk } = yield* pair
      const { watchesByPath } = yield* sharedHandle
      yield* plant(other, root, "/t", "/t/a", "/t/a/b", "/other")
      const mine = Effect.map(watchesByPath, (all) => [...all.keys()].filter((path) => path.startsWith(root)).sort())
      yield* zk.subscribe(`${root}/other`, "persistent")
      const scope = yield* Scope.make()
      const tree = yield* Scope.provide(mirror.tree(`${root}/t`), scope)
      assert.deepStrictEqual(yield* mine, [`${root}/other`, `${root}/t`])
      const { fiber, until, values } = yield* recordChanges(tree, root)
      yield* until("all", (values) => values.length === 3)
      yield* Scope.close(scope, Exit.void)
      assert.isTrue(Exit.isFailure(yield* Fiber.await(fiber)))
      yield* takenBack(zk)
      assert.deepStrictEqual(yield* mine, [`${root}/other`])
      yield* other.delete(`${root}/t/a/b`)
      yield* zk.sync()
      assert.deepStrictEqual(values, ["Added /t", "Added /t/a", "Added /t/a/b"])
      assert.strictEqual(yield* tree.size, 3)
      assert.strictEqual((yield* tree.freshness)._tag, "Stale")
    }))

  for (const [depth, expected] of [[0, [""]], [1, ["", "/a", "/late"]], [2, ["", "/a", "/a/b", "/late"]]] as const) {
    it.live(`${depth} levels deep has no more than these [TC-05]`, () =>
      Effect.gen(function*() {
        const { mirror, other, root } = yield* pair
        yield* plant(other, root, "/a", "/a/b", "/a/b/c")
        const tree = yield* mirror.tree(root, { depth })
        yield* plant(other, root, "/late", "/a/b/c/d", "/a/b/c/d/e")
        yield* other.setData(`${root}/a/b/c`, "changed")
        yield* tree.sync
        assert.deepStrictEqual([...(yield* tree.entries).keys()].sort(), expected.map((path) => root + path))
      }))
  }

  it.live("leaves out what a filter says, and what is below [TC-05]", () =>
    Effect.gen(function*() {
      const { mirror, other, root } = yield* pair
      yield* plant(other, root, "/yes", "/no", "/no/yes", "/yes/no")
      const asked = new Set<string>()
      const tree = yield* mirror.tree(root, {
        filter: (path) => {
          asked.add(path.slice(root.length))
          return !path.endsWith("no")
        }
      })
      yield* plant(other, root, "/yes/yes", "/no/later", "/later")
      yield* tree.sync
      const expected = ["", "/later", "/yes", "/yes/yes"].map((path) => root + path)
      assert.deepStrictEqual([...(yield* tree.entries).keys()].sort(), expected)
      assert.isFalse(asked.has(""))
      assert.isFalse(asked.has("/no/yes"), "nothing below is looked at")
    }))

  it.live("starts at the root of all nodes if it is told to [TC-05]", () =>
    Effect.gen(function*() {
      const { mirror, other, root } = yield* pair
      yield* plant(other, root, "/a")
      const tree = yield* mirror.tree("/", { filter: (path) => path.startsWith(root) })
      assert.deepStrictEqual([...(yield* tree.entries).keys()], ["/", root, `${root}/a`])
      yield* plant(other, root, "/a/b")
      yield* tree.sync
      assert.isTrue(Option.isSome(yield* tree.get(`${root}/a/b`)))
      assert.deepStrictEqual(yield* tree.children("/"), Option.some([root.slice(1)]))
    }))

  it.live("ends with what a filter throws, at the start or later [TC-14]", () =>
    Effect.gen(function*() {
      const { mirror, other, root } = yield* pair
      yield* plant(other, root, "/a")
      const filter = (path: string) => {
        if (path.endsWith("bad")) throw new Error("no such path")
        return true
      }
      const tree = yield* mirror.tree(root, { filter })
      const { fiber } = yield* record(tree.changes)
      yield* plant(other, root, "/bad")
      for (const exit of [yield* Fiber.await(fiber), yield* Effect.exit(mirror.tree(root, { filter }))]) {
        assert.include(String(exit), "no such path")
      }
      assert.strictEqual((yield* tree.freshness)._tag, "Stale")
    }))

  it.live("survives its root, which may come and go [TC-08] [L4]", () =>
    Effect.gen(function*() {
      const { mirror, other, proxy, root } = yield* proxiedPair()
      const top = `${root}/t`
      const tree = yield* mirror.tree(top)
      const { until, values } = yield* recordChanges(tree, root)
      const expected: Array<string> = []
      for (let round = 0; round < 3; round++) {
        yield* plant(other, root, "/t", "/t/a")
        expected.push("Added /t", "Added /t/a")
        yield* until("the nodes", (values) => values.length === expected.length)
        yield* other.deleteRecursive(top)
        expected.push("Removed /t/a", "Removed /t")
        yield* until("their end", (values) => values.length === expected.length)
      }
      assert.deepStrictEqual(values, expected)
      yield* tree.sync
      const { requests } = yield* proxy.stats()
      yield* tree.sync
      yield* Effect.sleep(300)
      assert.strictEqual((yield* proxy.stats()).requests, requests + 1, "nothing is read for nothing")
    }))

  it.live("goes by what is read, not by what events say [TC-09] [L11]", () =>
    Effect.gen(function*() {
      const { mirror, other, proxy, root } = yield* proxiedPair()
      yield* plant(other, root, "/a", "/a/old", "/a/both")
      const tree = yield* mirror.tree(root)
      const changes = yield* record(tree.changes)
      yield* changes.until("all", (values) => values.length === 4)
      // Events come one by one, and by the time the first is heard all has happened.
      yield* proxy.setMode("toClient", { delay: 20 })
      yield* other.multi([
        ZkTransaction.delete(`${root}/a/old`),
        ZkTransaction.delete(`${root}/a/both`),
        ZkTransaction.delete(`${root}/a`),
        ZkTransaction.create(`${root}/a`, "anew"),
        ZkTransaction.create(`${root}/a/both`, "anew"),
        ZkTransaction.create(`${root}/a/new`, "anew")
      ])
      yield* proxy.setMode("toClient", "pass")
      yield* tree.sync
      assert.deepStrictEqual(byPath(yield* shown(tree)), byPath(yield* present(other, root)))
      yield* changes.until("the new one", (values) => values.some(({ path }) => path.endsWith("new")))
      const last = new Map(changes.values.map((change) => [change.path.slice(root.length), change]))
      assert.strictEqual(last.get("/a/old")?._tag, "Removed")
      for (const path of ["/a", "/a/both", "/a/new"]) {
        const change = last.get(path)!
        assert.isTrue(change._tag !== "Removed" && change.node.text === "anew")
      }
    }))

  it.live("gives each reader what each node has come to, however slow the reader is [L7] [TC-14]", () =>
    Effect.gen(function*() {
      const { mirror, other, root } = yield* pair
      yield* plant(other, root, "/a", "/gone", "/gone/child", "/anew")
      const tree = yield* mirror.tree(root)
      const gate = yield* Deferred.make<void>()
      const slow = yield* record(Stream.tap(tree.changes, () => Deferred.await(gate)))
      const failing = yield* record(Stream.mapEffect(tree.changes, () => Effect.die("no more")))
      const fast = yield* record(tree.changes)
      yield* fast.until("the start", (values) => values.length === 5)
      for (let i = 0; i < 50; i++) yield* other.setData(`${root}/a`, `${i}`)
      yield* other.setData(`${root}/gone`, "last")
      yield* other.deleteRecursive(`${root}/gone`)
      yield* plant(other, root, "/passing")
      yield* other.delete(`${root}/passing`)
      yield* other.multi([ZkTransaction.delete(`${root}/anew`), ZkTransaction.create(`${root}/anew`, "anew")])
      yield* plant(other, root, "/new", "/new/child")
      yield* other.setData(`${root}/new`, "changed")
      yield* tree.sync
      // The first thing that a reader hears of a node may be what was last set.
      const isLast = (change: ZkMirror.TreeChange) =>
        change.path === `${root}/new` && change._tag !== "Removed" && change.node.text === "changed"
      const isChild = (change: ZkMirror.TreeChange) => change.path === `${root}/new/child`
      yield* fast.until("the end", (values) => values.some(isLast) && values.some(isChild))
      yield* Deferred.succeed(gate, undefined)
      yield* slow.until("the end", (values) => showChange(root)(values.at(-1)!) === "Added /new/child")
      assert.isTrue(Exit.isFailure(yield* Fiber.await(failing.fiber)))
      const missed = slow.values.slice(5)
      assert.deepStrictEqual(missed.map(showChange(root)), [
        "Changed /a",
        "Removed /gone/child",
        "Removed /gone",
        "Changed /anew",
        "Added /new",
        "Added /new/child"
      ])
      const [a, , gone, anew, added] = missed
      assert(a?._tag === "Changed" && gone?._tag === "Removed" && anew?._tag === "Changed" && added?._tag === "Added")
      assert.deepStrictEqual([a.node.text, a.previous.text], ["49", "/a"])
      assert.strictEqual(gone.previous.text, "/gone")
      assert.notStrictEqual(anew.node.stat.czxid, anew.previous.stat.czxid)
      assert.strictEqual(added.node.text, "changed")
    }))

  it.live("alternates additions and removals while many workers change the same nodes [TC-12]", () =>
    Effect.gen(function*() {
      const { mirror, other, root } = yield* pair
      const tree = yield* mirror.tree(root)
      const { until, values } = yield* record(tree.changes)
      const names = Array.from({ length: 10 }, (_, i) => `${root}/${i}`)
      let seed = 7
      const random = (n: number) => (seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648) % n
      const work = Effect.suspend(() => {
        const path = names[random(10)]!
        const step = [other.create(path, "made"), other.setData(path, "set"), other.delete(path)][random(3)]!
        return Effect.ignore(step)
      })
      yield* Effect.forEach(Array.from({ length: 100 }), () => Effect.repeat(work, { times: 99 }), {
        concurrency: "unbounded",
        discard: true
      })
      yield* other.create(`${root}/end`)
      yield* until("the end", (values) => values.at(-1)?.path === `${root}/end`)
      yield* tree.sync
      assert.deepStrictEqual(byPath(yield* shown(tree)), byPath(yield* present(other, root)))
      const there = new Set<string>()
      for (const change of values) {
        assert.strictEqual(there.has(change.path), change._tag !== "Added", `${change._tag} ${change.path}`)
        if (change._tag === "Removed") there.delete(change.path)
        else there.add(change.path)
      }
      assert.deepStrictEqual([...there].sort(), [...(yield* tree.entries).keys()].sort())
      assert.isAbove(values.length, 100)
    }))
})

describe("nodes that may not be read", () => {
  it.live("are told, and the rest of the tree works [L12]", () =>
    Effect.gen(function*() {
      const { mirror, other, proxy, root } = yield* proxiedPair()
      const auth = { scheme: "digest", credential: Redacted.make("a:b") }
      yield* other.addAuth(auth)
      const acl = [ZkAcl.digest("a", Redacted.make("b"))]
      yield* plant(
        other,
        root,
        "/open",
        "/closed",
        "/closed/child",
        "/closing",
        "/closing/child",
        "/closing/child/deep"
      )
      yield* other.setAcl(`${root}/closed`, acl)
      const tree = yield* mirror.tree(root)
      const changes = yield* recordChanges(tree, root)
      yield* changes.until("the start", (values) => values.length === 5)
      assert.deepStrictEqual(yield* tree.unreadable, [`${root}/closed`])
      assert.strictEqual(yield* tree.size, 6)
      assert.deepStrictEqual(yield* tree.get(`${root}/closed`), Option.none())
      assert.deepStrictEqual(yield* tree.children(root), Option.some(["closed", "closing", "open"]))

      // That it is open nobody tells, but `sync` looks.
      yield* other.setData(`${root}/closed`, "secret")
      yield* other.setData(`${root}/closed/child`, "not secret")
      yield* other.setData(`${root}/open`, "changed")
      yield* tree.sync
      assert.deepStrictEqual(yield* tree.unreadable, [`${root}/closed`])
      assert.strictEqual(textOf(yield* tree.get(`${root}/open`)), "changed")
      yield* other.setAcl(`${root}/closed`, ZkAcl.openAcl)
      yield* tree.sync
      assert.deepStrictEqual(yield* tree.unreadable, [])
      yield* other.setAcl(`${root}/closed`, acl)
      yield* proxy.cutAll
      yield* becomes(tree, "Stale")
      yield* becomes(tree, "Live")
      assert.deepStrictEqual(yield* tree.unreadable, [`${root}/closed`])
      // Or something happens to it, and then what is below is found as well.
      yield* other.setAcl(`${root}/closed`, ZkAcl.openAcl)
      const from = changes.values.length
      yield* other.setData(`${root}/closed`, "open")
      yield* changes.until("it again", (values) => values.includes("Added /closed/child", from))
      assert.deepStrictEqual(byPath(yield* shown(tree)), byPath(yield* present(other, root)))

      // One that is closed later is noticed with the next connection at the latest; some servers tell before.
      yield* other.setAcl(`${root}/closing`, acl)
      yield* other.setData(`${root}/closing`, "secret")
      yield* other.delete(`${root}/closing/child/deep`)
      yield* proxy.cutAll
      yield* becomes(tree, "Stale")
      yield* becomes(tree, "Live")
      assert.deepStrictEqual(yield* tree.unreadable, [`${root}/closing`])
      yield* changes.until("the loss", (values) => values.includes("Removed /closing"))
      const removals = changes.values.filter((change) => change.startsWith("Removed /closing"))
      assert.deepStrictEqual(removals, ["Removed /closing/child/deep", "Removed /closing/child", "Removed /closing"])
    }))

  it.live("are asked for again by whoever wants one of them [L12]", () =>
    Effect.gen(function*() {
      const { mirror, other, root } = yield* pair
      yield* other.addAuth({ scheme: "digest", credential: Redacted.make("a:b") })
      const acl = [ZkAcl.digest("a", Redacted.make("b"))]
      yield* plant(other, root, "/closed", "/closed/child")
      yield* other.setAcl(`${root}/closed`, acl)
      yield* failsWith(mirror.tree(`${root}/closed`), "NoAuth")
      const node = yield* mirror.node(`${root}/closed`)
      yield* failsWith(node.value, "NoAuth")
      yield* failsWith(node.children, "NoAuth")
      assert.strictEqual((yield* node.state)._tag, "Unknown")
      const refused = yield* record(node.changes)
      yield* failsWith(Fiber.join(refused.fiber), "NoAuth")
      yield* other.setAcl(`${root}/closed`, ZkAcl.openAcl)
      const allowed = yield* record(node.changes)
      yield* allowed.until("it may be read", (values) => values.length === 1)
      assert.strictEqual((yield* node.value).text, "/closed")
      assert.deepStrictEqual(yield* node.children, ["child"])
    }))

  it.live("are noticed to be gone, with what was below them [L12]", () =>
    Effect.gen(function*() {
      const { mirror, other, root } = yield* pair
      const open = ZkAcl.openAcl
      yield* other.create(`${root}/a`, "", { acl: [{ ...open[0]!, perms: ZkAcl.Perms.all & ~ZkAcl.Perms.read }] })
      const tree = yield* mirror.tree(root)
      yield* plant(other, root, "/a/b", "/a/b/c")
      yield* tree.sync
      assert.deepStrictEqual([yield* tree.unreadable, yield* tree.size], [[`${root}/a`], 2])
      yield* other.deleteRecursive(`${root}/a/b`).pipe(Effect.ignore)
      yield* other.delete(`${root}/a/b/c`).pipe(Effect.ignore)
      yield* other.delete(`${root}/a/b`).pipe(Effect.ignore)
      yield* other.delete(`${root}/a`)
      yield* tree.sync
      assert.deepStrictEqual([yield* tree.unreadable, yield* tree.size], [[], 1])
      assert.deepStrictEqual(yield* tree.children(root), Option.some([]))
    }))
})

describe("several copies", () => {
  it.live("of overlapping trees and nodes share what the server watches [MIR-SHARED]", () =>
    Effect.gen(function*() {
      const { connectString } = yield* shared
      const { mirror, other, root } = yield* pair
      const zk = yield* ZkClient.make({ hosts: connectString })
      const again = yield* mirrorOf(zk)
      const copies = [
        yield* mirror.tree(root),
        yield* mirror.tree(root),
        yield* again.tree(root),
        yield* mirror.tree(`${root}/a`)
      ]
      const node = yield* mirror.node(root)
      yield* plant(other, root, "/a", "/a/b")
      for (const copy of [...copies, node]) yield* copy.sync
      for (const copy of copies) assert.strictEqual((yield* shown(copy)).get(`${root}/a/b`), "/a/b")
      assert.deepStrictEqual(yield* node.children, ["a"])
      const watches = (yield* (yield* sharedHandle).watchesByPath).get(root)
      assert.deepStrictEqual(watches?.filter((id, i) => watches.indexOf(id) === i).length, 2)
      assert.include(watches ?? [], yield* sessionOf(zk))
    }))
})
