import { assert, describe, it, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import { Chroot } from "../src/internal/client/chroot.ts"
import * as ZkClient from "../src/ZkClient.ts"
import * as ZkState from "../src/ZkState.ts"
import * as ZkTransaction from "../src/ZkTransaction.ts"
import { failsWith } from "./support/failsWith.ts"
import { freshPath, shared, sharedHandle } from "./support/shared.ts"

const direct = Layer.unwrap(Effect.map(shared, ({ connectString }) => ZkClient.layer({ hosts: connectString })))

/** A view of a node of the test's own, beside the whole tree. */
const makeView = Effect.gen(function*() {
  const zk = yield* ZkClient.ZkClient
  const root = yield* freshPath
  yield* zk.create(root)
  return { zk, root, view: yield* zk.chroot(root) }
})

describe("paths of a view", () => {
  const view = new Chroot("/app")

  it.each([["/", "/app"], ["/x", "/app/x"], ["/app", "/app/app"]] as const)(
    "%s is the server's %s [G2]",
    (path, at) => {
      assert.strictEqual(view.toServer(path), at)
      assert.strictEqual(view.toClient(at), path)
    }
  )

  it.each(["/apple", "/apple/x", "/ap", "/", "/other/app", ""])("the server's %j is not below [G2] [CH-09]", (path) => {
    assert.isUndefined(view.toClient(path))
  })

  it("of a view of a view are below both [CH-05]", () => {
    const deeper = view.below("/a").below("/").below("/b/c")
    assert.strictEqual(deeper.toServer("/x"), "/app/a/b/c/x")
    assert.strictEqual(deeper.toClient("/app/a/b/c"), "/")
    assert.isUndefined(deeper.toClient("/app/a/b"))
    assert.strictEqual(new Chroot("").toServer("/x"), "/x")
    assert.strictEqual(new Chroot("").toClient("/x"), "/x")
  })
})

layer(direct, { excludeTestServices: true })("a view", (it) => {
  it.effect("gives paths of its own in results and errors [CH-01] [G2]", () =>
    Effect.gen(function*() {
      const { root, view, zk } = yield* makeView
      assert.strictEqual((yield* view.create("/x", "1")).path, "/x")
      assert.strictEqual((yield* zk.getData(`${root}/x`)).text, "1")
      const numbered = yield* view.create("/n-", null, { mode: "ephemeralSequential" })
      assert.strictEqual(numbered.path, "/n-0000000001")
      assert.strictEqual((yield* view.create("/", null, { mode: "persistentSequential" })).path, "/0000000002")
      const marked = yield* view.createProtected("/p-", null, { mode: "ephemeralSequential" })
      assert.match(marked.path, /^\/_c_[0-9a-f-]{36}-p-0000000003$/)
      assert.isTrue(Option.isSome(yield* zk.exists(root + marked.path)))
      const [made, , stat] = yield* view.multi([
        ZkTransaction.create("/m-", "x", { mode: "persistentSequential" }),
        ZkTransaction.check("/x"),
        ZkTransaction.setData("/x", "2")
      ])
      assert.deepStrictEqual([made.path, stat.version], ["/m-0000000004", 1])
      assert.strictEqual((yield* failsWith(view.getData("/missing/x"), "NoNode")).path, "/missing/x")
      assert.include((yield* failsWith(view.create("/x"), "NodeExists")).message, "create /x:")
      const refused = yield* failsWith(view.multi([ZkTransaction.delete("/nowhere")]), "MultiFailed")
      assert.deepInclude(refused.cause, { operation: "delete", path: "/nowhere" })
      const [found, missing] = yield* view.multiRead([ZkTransaction.getData("/x"), ZkTransaction.getData("/y")])
      assert.isTrue(Result.isSuccess(found) && found.success.text === "2")
      assert.isTrue(Result.isFailure(missing) && missing.failure._tag === "NoNode" && missing.failure.path === "/y")
      assert.deepStrictEqual(yield* Stream.runCollect(Stream.take(view.walk("/"), 1)), ["/"])
      assert.strictEqual(yield* view.getAllChildrenNumber("/"), 5)
      assert.strictEqual((yield* failsWith(view.getData("/a//b"), "InvalidPath")).path, "/a//b")
    }))

  it.effect("gives paths of its own in events [CH-01] [CH-07] [G2]", () =>
    Effect.gen(function*() {
      const { root, view, zk } = yield* makeView
      const exists = yield* view.existsWatch("/x")
      const children = yield* view.getChildrenWatch("/")
      const queue = yield* view.subscribe("/", "recursive")
      const deep = yield* view.subscribe("/x", "persistent")
      yield* zk.create(`${root}/x`)
      // It starts like the view's node, and is none of its business.
      yield* zk.create(`${root}ple`)
      yield* zk.setData(`${root}/x`, "1")
      assert.deepInclude(yield* exists.fired, { _tag: "NodeCreated", path: "/x" })
      assert.deepInclude(yield* children.fired, { _tag: "NodeChildrenChanged", path: "/" })
      const data = yield* view.getDataWatch("/")
      yield* zk.setData(root, "of the view itself")
      assert.deepInclude(yield* data.fired, { _tag: "NodeDataChanged", path: "/" })
      const seen = yield* Effect.forEach([1, 2, 3], () => Queue.take(queue))
      assert.deepStrictEqual(
        seen.map((event) => event._tag === "Reset" ? ["Reset"] : [event._tag, event.path]),
        [["NodeCreated", "/x"], ["NodeDataChanged", "/x"], ["NodeDataChanged", "/"]]
      )
      assert.deepInclude(yield* Queue.take(deep), { _tag: "NodeCreated", path: "/x" })
      assert.strictEqual(yield* Queue.size(queue), 0)
    }).pipe(Effect.scoped))

  it.effect("follows nodes, and takes its watches back [CH-08]", () =>
    Effect.gen(function*() {
      const { root, view, zk } = yield* makeView
      const server = yield* sharedHandle
      const state = yield* zk.state
      const id = ZkState.isConnected(state) ? state.sessionId : 0n
      const isWatched = Effect.map(server.watchesOf(id), (paths) => paths.includes(`${root}/x`))
      const changes = yield* Effect.forkChild(
        view.changes("/x").pipe(Stream.take(2), Stream.runCollect),
        { startImmediately: true }
      )
      yield* server.waitUntil("the watch is set", () => isWatched)
      yield* zk.create(`${root}/x`, "1")
      const texts = (yield* Fiber.join(changes)).map(Option.map(({ text }) => text))
      assert.deepStrictEqual(texts, [Option.none(), Option.some("1")])
      yield* Effect.scoped(Effect.gen(function*() {
        yield* view.subscribe("/x", "persistent")
        assert.isTrue(yield* isWatched)
      }))
      yield* server.waitUntil("the watch is gone", () => Effect.map(isWatched, (is) => !is))
    }))

  it.effect("lists the ephemeral nodes that are below it, by their paths there [CH-07] [G7]", () =>
    Effect.gen(function*() {
      const { root, view, zk } = yield* makeView
      yield* zk.create(`${root}ple`, null, { mode: "ephemeral" })
      yield* zk.create(`${root}/e`, null, { mode: "ephemeral" })
      assert.deepStrictEqual(yield* view.getEphemerals(), ["/e"])
      assert.deepStrictEqual(yield* view.getEphemerals("/e"), ["/e"])
      assert.deepStrictEqual(yield* view.getEphemerals("/x"), [])
      assert.deepStrictEqual(yield* (yield* zk.chroot(`${root}/e`)).getEphemerals(), ["/"])
      assert.deepStrictEqual(yield* view.whoAmI, yield* zk.whoAmI)
    }))

  it.effect("shares the session, and nothing else, with others [CH-06] [F8]", () =>
    Effect.gen(function*() {
      const { root, view, zk } = yield* makeView
      const [a, b] = [yield* view.chroot("/a"), yield* view.chroot("/b")]
      yield* Effect.all([a.create("/"), b.create("/")], { concurrency: "unbounded" })
      yield* Effect.all([a.create("/x", "of a"), b.create("/x", "of b")], { concurrency: "unbounded" })
      assert.strictEqual((yield* a.getData("/x")).text, "of a")
      assert.strictEqual((yield* zk.getData(`${root}/b/x`)).text, "of b")
      assert.strictEqual((yield* view.getData("/a/x")).text, "of a")
      assert.deepStrictEqual(yield* a.state, yield* zk.state)
      assert.strictEqual(yield* a.lastZxid, yield* zk.lastZxid)
    }))

  it.effect("of a node that is missing finds nothing, until its root is made [CH-03] [CH-04] [G3] [K9]", () =>
    Effect.gen(function*() {
      const { root, zk } = yield* makeView
      const view = yield* zk.chroot(`${root}/missing`)
      assert.deepStrictEqual(yield* view.exists("/"), Option.none())
      assert.strictEqual((yield* failsWith(view.create("/x"), "NoNode")).path, "/x")
      assert.strictEqual((yield* failsWith(view.getData("/"), "NoNode")).path, "/")
      assert.strictEqual((yield* view.create("/", "made")).path, "/")
      assert.strictEqual((yield* zk.getData(`${root}/missing`)).text, "made")
      yield* view.create("/x")
      yield* failsWith(view.create("/"), "NodeExists")
      // What lies above its root has no name in a view, but is made where it is missing.
      const deep = yield* zk.chroot(`${root}/a/b/c`)
      yield* deep.create("/x/y", "z", { parents: true })
      assert.strictEqual((yield* zk.getData(`${root}/a/b/c/x/y`)).text, "z")
      const deeper = yield* (yield* zk.chroot(`${root}/d`)).chroot("/e/f")
      yield* deeper.ensurePath("/")
      assert.isTrue(Option.isSome(yield* zk.exists(`${root}/d/e/f`)))
    }))

  it.effect("can be deleted from inside like any node", () =>
    Effect.gen(function*() {
      const { root, view, zk } = yield* makeView
      yield* view.create("/x")
      yield* failsWith(view.delete("/"), "NotEmpty")
      yield* view.delete("/x")
      yield* view.delete("/")
      assert.deepStrictEqual(yield* zk.exists(root), Option.none())
    }))

  it.effect("shows the ensemble's configuration where it always is [CH-07]", () =>
    Effect.gen(function*() {
      const { view, zk } = yield* makeView
      assert.deepStrictEqual((yield* view.getConfig).stat, (yield* zk.getConfig).stat)
    }))

  it.effect("must have a valid path [CH-05]", () =>
    Effect.gen(function*() {
      const zk = yield* ZkClient.ZkClient
      for (const path of ["", "abc", "//", "/abc/", "/a/../b"]) {
        assert.strictEqual((yield* failsWith(zk.chroot(path), "InvalidPath")).path, path)
      }
      const whole = yield* zk.chroot("/")
      const path = yield* freshPath
      assert.strictEqual((yield* whole.create(path)).path, path)
    }))
})

layer(direct, { excludeTestServices: true })("a client of its own below a node", (it) => {
  const connect = (suffix: string, options: { readonly chroot?: string; readonly createChroot?: boolean } = {}) =>
    Effect.flatMap(shared, ({ connectString }) => ZkClient.make({ hosts: connectString + suffix, ...options }))

  it.effect("takes it from the connection string, from an option, or from both [K9] [CH-01]", () =>
    Effect.gen(function*() {
      const { root, zk } = yield* makeView
      const clients = [
        yield* connect(`${root}/a/b`, { createChroot: true }),
        yield* connect("", { chroot: `${root}/a/b` }),
        yield* connect(`${root}/a`, { chroot: "/b" })
      ]
      for (const [index, client] of clients.entries()) {
        assert.strictEqual((yield* client.create(`/${index}`)).path, `/${index}`)
        assert.isTrue(Option.isSome(yield* zk.exists(`${root}/a/b/${index}`)))
      }
    }))

  it.effect("makes the node only when that is asked for [K9] [G3]", () =>
    Effect.gen(function*() {
      const { root, zk } = yield* makeView
      const without = yield* connect(`${root}/x`)
      yield* failsWith(without.create("/y"), "NoNode")
      assert.deepStrictEqual(yield* zk.exists(`${root}/x`), Option.none())
      const several = yield* Effect.forEach(
        [1, 2, 3, 4],
        () => connect(`${root}/x/deep`, { createChroot: true }),
        { concurrency: "unbounded" }
      )
      for (const [index, client] of several.entries()) yield* client.create(`/${index}`)
      assert.strictEqual(yield* zk.getAllChildrenNumber(root), 6)
    }))
})
