/** What a server saw of a node, and when: `observeData` and `observeChildren`. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as ZkAcl from "../src/ZkAcl.ts"
import type * as ZkClient from "../src/ZkClient.ts"
import type { NoAuth, SessionError } from "../src/ZkError.ts"
import { failsWith } from "./support/failsWith.ts"
import { fakeClient, pass, settle } from "./support/fakeClient.ts"
import { type Answer, makeFakeServer } from "./support/fakeServer.ts"
import { JuteWriter } from "./support/jute.ts"
import { pair, proxiedPair } from "./support/mirroring.ts"
import { makeStat, writeStat } from "./support/records.ts"
import { freshRoot, sharedHandle } from "./support/shared.ts"

type Observer = (
  zk: ZkClient.ZkClient,
  path: string
) => Effect.Effect<ZkClient.Observed<ZkClient.NodeData | ZkClient.Children>, NoAuth | SessionError>

const observers: ReadonlyArray<readonly ["data" | "children", Observer]> = [
  ["data", (zk, path) => zk.observeData(path)],
  ["children", (zk, path) => zk.observeChildren(path)]
]

const isNone = (observed: { readonly node: Option.Option<unknown> }) => Option.isNone(observed.node)

describe("an observation of several nodes", () => {
  it.live("is made in one request, and tells of each node what it would tell of it alone [OBS-09]", () =>
    Effect.gen(function*() {
      const { proxy, root, zk } = yield* proxiedPair()
      yield* zk.create(`${root}/a`, "1")
      yield* zk.create(`${root}/empty`, null)
      const { stat } = yield* zk.create(`${root}/secret`, "2", {
        acl: [ZkAcl.digest("other", Redacted.make("x"))]
      })
      const view = yield* zk.chroot(root)
      const before = (yield* proxy.stats()).requests
      const observed = yield* view.observeEach(["/a", "/missing", "/secret", "/empty", "/"])
      assert.strictEqual((yield* proxy.stats()).requests, before + 1)
      const [a, missing, secret, empty, self] = observed
      assert.strictEqual(observed.length, 5)
      for (const [result, path] of [[a, "/a"], [missing, "/missing"], [empty, "/empty"], [self, "/"]] as const) {
        assert.isTrue(Result.isSuccess(result!))
        const alone = yield* view.observeData(path)
        if (Result.isSuccess(result!)) {
          assert.deepStrictEqual(result.success, { node: alone.node, zxid: result.success.zxid })
          assert.isTrue(result.success.zxid >= stat!.czxid && result.success.zxid <= alone.zxid)
        }
      }
      assert.isTrue(Result.isFailure(secret!) && secret.failure._tag === "NoAuth" && secret.failure.path === "/secret")
      assert.deepStrictEqual(yield* zk.observeEach([]), [])
      assert.strictEqual((yield* failsWith(zk.observeEach(["/a", "b"]), "InvalidPath")).path, "b")
    }))
})

describe("an observation", () => {
  it.live("is what a read gives, with a transaction that is no older than what it shows [OBS-01]", () =>
    Effect.gen(function*() {
      const { other, root, zk } = yield* pair
      const { mzxid } = yield* zk.setData(root, "1")
      const data = yield* zk.observeData(root)
      assert.deepStrictEqual(Option.getOrThrow(data.node), yield* zk.getData(root))
      assert.isTrue(data.zxid >= mzxid)
      const child = yield* zk.create(`${root}/a`)
      const children = yield* zk.observeChildren(root)
      assert.deepStrictEqual(Option.getOrThrow(children.node), yield* zk.getChildren(root))
      assert.isTrue(children.zxid >= child.stat!.czxid)
      // It is the server's transaction, not the node's: what happens elsewhere moves it on.
      const elsewhere = yield* other.setData(yield* freshRoot, "2")
      yield* zk.sync()
      for (const [, observe] of observers) assert.isTrue((yield* observe(zk, root)).zxid >= elsewhere.mzxid)
      assert.isTrue(Option.getOrThrow(data.node).stat.mzxid < elsewhere.mzxid)
    }))

  it.live("of a missing node tells when it was missing [OBS-02]", () =>
    Effect.gen(function*() {
      const { other, root, zk } = yield* pair
      let last = -1n
      for (let round = 0; round < 5; round++) {
        const { stat } = yield* other.create(`${root}/a`)
        yield* other.delete(`${root}/a`)
        // The next transaction, so that there is one to compare the deletion with.
        const { mzxid } = yield* other.setData(root, `${round}`)
        yield* zk.sync()
        for (const [, observe] of observers) {
          const observed = yield* observe(zk, `${root}/a`)
          assert.isTrue(isNone(observed))
          assert.isTrue(observed.zxid >= mzxid && mzxid > stat!.czxid && observed.zxid >= last)
          last = observed.zxid
        }
      }
      // So does one below a node that is missing too.
      for (const [, observe] of observers) {
        const observed = yield* observe(zk, `${root}/x/y/z`)
        assert.isTrue(isNone(observed) && observed.zxid >= last)
      }
    }))

  it.live("through a view has the view's paths and the server's transaction [OBS-03]", () =>
    Effect.gen(function*() {
      const { root, zk } = yield* pair
      yield* zk.addAuth({ scheme: "digest", credential: Redacted.make("a:b") })
      const view = yield* zk.chroot(`${root}/view`)
      for (const [, observe] of observers) assert.isTrue(isNone(yield* observe(view, "/")))
      const { stat } = yield* zk.create(`${root}/view`, "top")
      const data = yield* view.observeData("/")
      assert.strictEqual(Option.getOrThrow(data.node).text, "top")
      yield* view.create("/a", "1")
      const children = yield* view.observeChildren("/")
      assert.deepStrictEqual(Option.getOrThrow(children.node).children, ["a"])
      assert.isTrue(children.zxid > data.zxid && data.zxid >= stat!.czxid)
      yield* view.setAcl("/a", [ZkAcl.digest("other", Redacted.make("x"))])
      for (const [, observe] of observers) {
        assert.strictEqual((yield* failsWith(observe(view, "/a"), "NoAuth")).path, "/a")
        assert.strictEqual((yield* failsWith(observe(view, "a"), "InvalidPath")).path, "a")
      }
    }))

  it.live("needs the right to read; without it nothing is told of the node, nor of its absence [OBS-04]", () =>
    Effect.gen(function*() {
      const { other, root, zk } = yield* pair
      yield* other.addAuth({ scheme: "digest", credential: Redacted.make("a:b") })
      yield* other.create(`${root}/closed`, "secret", { acl: [ZkAcl.digest("a", Redacted.make("b"))] })
      for (const [, observe] of observers) {
        const error = yield* failsWith(observe(zk, `${root}/closed`), "NoAuth")
        assert.strictEqual(error.path, `${root}/closed`)
        assert.isFalse(isNone(yield* observe(other, `${root}/closed`)))
        // What is below it is another matter.
        assert.isTrue(isNone(yield* observe(zk, `${root}/closed/missing`)))
      }
      yield* other.delete(`${root}/closed`)
      for (const [, observe] of observers) assert.isTrue(isNone(yield* observe(zk, `${root}/closed`)))
    }))

  it.live("is one request, leaves no watch, and refuses bad paths before anything is sent [OBS-05]", () =>
    Effect.gen(function*() {
      const { proxy, root, zk } = yield* proxiedPair()
      const since = yield* proxy.position
      for (const [, observe] of observers) {
        yield* observe(zk, root)
        yield* observe(zk, `${root}/missing`)
        for (const bad of ["", "a", "/a/", "/a//b", "/a/../b"]) yield* failsWith(observe(zk, bad), "InvalidPath")
      }
      const { ops, requests } = yield* proxy.stats(since)
      assert.deepStrictEqual([requests, ops], [4, { getData: 2, getChildren2: 2 }])
      const watches = yield* (yield* sharedHandle).watchesByPath
      assert.deepStrictEqual([watches.get(root), watches.get(`${root}/missing`)], [undefined, undefined])
    }))
})

describe("the transaction of an observation", () => {
  const present = (zxid: bigint, what: "data" | "children"): Answer => {
    const w = new JuteWriter()
    return {
      type: "reply",
      zxid,
      body: writeStat(
        what === "data" ? w.buffer(Buffer.from("x")) : w.vector(["a"], (w, name) => w.ustring(name)),
        makeStat()
      )
        .bytes()
    }
  }
  const absent = (zxid: bigint): Answer => ({ type: "reply", err: -101, zxid })

  it.effect.each(observers)(
    "of %s is the answer's, exactly, whether there is a node or not [OBS-06]",
    ([what, observe]) =>
      Effect.gen(function*() {
        const fake = yield* makeFakeServer
        const zk = yield* fakeClient(fake)
        const op = what === "data" ? "getData" : "getChildren2"
        for (const zxid of [0x7n, 0xffff_ffffn, 0x1_0000_0000n, 0x12_ffff_fff0n, 0x7fff_ffff_ffff_ffffn]) {
          yield* fake.once(op, () => present(zxid, what))
          const there = yield* observe(zk, "/a")
          assert.deepStrictEqual([there.zxid, isNone(there)], [zxid, false])
          yield* fake.once(op, () => absent(zxid))
          const missing = yield* observe(zk, "/a")
          assert.deepStrictEqual([missing.zxid, isNone(missing)], [zxid, true])
        }
        // Each has its own, though many are under way.
        let next = 0x20_0000_0000n
        yield* fake.on(op, () => next++ % 2n === 0n ? present(next, what) : absent(next))
        const many = yield* Effect.forEach(Array.from({ length: 100 }), () => observe(zk, "/a"), { concurrency: 100 })
        assert.deepStrictEqual(many.map(({ zxid }) => zxid), many.map((_, i) => 0x20_0000_0001n + BigInt(i)))
        assert.deepStrictEqual(many.map(isNone), many.map((_, i) => i % 2 === 1))
      })
  )

  it.effect.each(observers)(
    "of %s is that of the answer that came, after a lost one [OBS-07]",
    ([what, observe]) =>
      Effect.gen(function*() {
        const fake = yield* makeFakeServer
        const zk = yield* fakeClient(fake)
        const op = what === "data" ? "getData" : "getChildren2"
        yield* fake.once(op, () => ({ type: "close" }))
        yield* fake.on(op, () => absent(40n))
        const observed = yield* Effect.forkChild(observe(zk, "/a"), { startImmediately: true })
        yield* settle
        yield* pass(1_000)
        const { node, zxid } = yield* Fiber.join(observed)
        assert.deepStrictEqual([zxid, Option.isNone(node)], [40n, true])
        assert.strictEqual(fake.requests.filter(({ name }) => name === op).length, 2)
        // The description may be run again: it remembers nothing.
        const again = observe(zk, "/b")
        yield* fake.on(op, () => present(50n, what))
        assert.strictEqual((yield* again).zxid, 50n)
        yield* fake.on(op, () => absent(60n))
        assert.strictEqual((yield* again).zxid, 60n)
      })
  )

  it.effect.each(observers)(
    "of %s is not waited for without an end [OBS-08]",
    ([what, observe]) =>
      Effect.gen(function*() {
        const fake = yield* makeFakeServer
        const zk = yield* fakeClient(fake, { requestTimeout: "2 seconds" })
        yield* fake.on(what === "data" ? "getData" : "getChildren2", () => ({ type: "silence" }))
        const observed = yield* Effect.forkChild(failsWith(observe(zk, "/a"), "OperationTimeout"), {
          startImmediately: true
        })
        yield* pass(1_950)
        assert.isUndefined(observed.pollUnsafe())
        yield* pass(100)
        assert.isFalse((yield* Fiber.join(observed)).maybeApplied)
      })
  )
})
