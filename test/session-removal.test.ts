/** Nodes of a session that are removed, or looked for, whatever servers answer to that: T = 6 seconds. */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import * as Random from "effect/Random"
import * as ZkLock from "../src/ZkLock.ts"
import { pass } from "./support/fakeClient.ts"
import type { FakeServer } from "./support/fakeServer.ts"
import { leaseRig } from "./support/leasing.ts"
import { lockClient, on } from "./support/locking.ts"
import { makeProxy } from "./support/proxy.ts"
import { freshPath, shared } from "./support/shared.ts"

/** SessionMoved, SystemError, RuntimeInconsistency, and one that no version of ZooKeeper has. */
const codes = [-118, -1, -2, -4242]

const deletes = (fake: FakeServer) => fake.requests.filter(({ name }) => name === "delete")

/** What is logged as a warning from here on. */
const recordWarnings = () => {
  const lines: Array<string> = []
  const logger = Logger.make<unknown, void>(({ logLevel, message }) => {
    if (logLevel === "Warn") lines.push(String(message))
  })
  return { lines, layer: Logger.layer([logger]) }
}

describe("a removal", () => {
  it.effect.each(codes)(
    "goes on after an answer that says nothing of the node: %i [LOCK-REMOVE1]",
    (code) =>
      Effect.gen(function*() {
        const { fake, nodes, zk } = yield* leaseRig
        const session = yield* zk.session
        yield* nodes.add("/a/n")
        for (let i = 0; i < 3; i++) yield* fake.once("delete", () => ({ type: "reply", err: code }))
        assert.strictEqual(yield* session.remove("/a/n"), "pending")
        yield* pass(5_000)
        assert.deepStrictEqual(nodes.paths(), [])
        // Known to be done, it is over.
        assert.lengthOf(deletes(fake), 4)
      })
  )

  it.effect.each(codes)(
    "of a lock that is given back does so too: %i [LOCK-REMOVE1]",
    (code) =>
      Effect.gen(function*() {
        const { fake, nodes, withClient } = yield* leaseRig
        const handle = yield* Effect.flatMap(withClient(ZkLock.make("/l")), (lock) => lock.acquire())
        for (let i = 0; i < 2; i++) yield* fake.once("delete", () => ({ type: "reply", err: code }))
        assert.isTrue(yield* handle.release)
        yield* pass(5_000)
        assert.deepStrictEqual(nodes.paths(), [])
        assert.lengthOf(deletes(fake), 3)
      })
  )

  it.effect.each(codes)(
    "of a node that an interruption may have left does so too: %i [LOCK-REMOVE1]",
    (code) =>
      Effect.gen(function*() {
        const { fake, nodes, zk } = yield* leaseRig
        // Its answer is lost, and nobody waits for it any more when that comes out.
        yield* fake.once("create2", (request) => {
          nodes.answer(request)
          return { type: "silence" }
        })
        const creating = yield* Effect.forkChild(zk.createProtected("/a/n"), { startImmediately: true })
        yield* fake.awaitRequest("create2")
        assert.lengthOf(nodes.paths(), 1)
        yield* fake.once("getChildren2", () => ({ type: "reply", err: code }))
        yield* fake.once("delete", () => ({ type: "reply", err: code }))
        const interrupting = yield* Effect.forkChild(Fiber.interrupt(creating), { startImmediately: true })
        yield* (yield* fake.current).close
        yield* pass(5_000)
        assert.isDefined(interrupting.pollUnsafe())
        assert.deepStrictEqual(nodes.paths(), [])
        assert.lengthOf(deletes(fake), 2)
      })
  )

  it.effect("that is refused for want of rights ends with one warning [LOCK-REMOVE2]", () => {
    const { layer, lines } = recordWarnings()
    return Effect.gen(function*() {
      const { fake, nodes, withClient, zk } = yield* leaseRig
      const session = yield* zk.session
      yield* nodes.add("/a/n")
      const handle = yield* Effect.flatMap(withClient(ZkLock.make("/l")), (lock) => lock.acquire())
      yield* fake.on("delete", () => ({ type: "reply", err: -102 }))
      assert.strictEqual(yield* session.remove("/a/n"), "pending")
      assert.isTrue(yield* handle.release)
      yield* pass(10_000)
      const requests = deletes(fake).length
      assert.isAtMost(requests, 4)
      assert.lengthOf(lines, 2)
      for (const [i, path] of ["/a/n", handle.path].entries()) assert.include(lines[i], `${path} stays until`)
      yield* pass(60_000, 1_000)
      assert.lengthOf(deletes(fake), requests)
      assert.lengthOf(lines, 2)
    }).pipe(Effect.provide(layer), Effect.scoped)
  })
})

describe("two processes with the same chance", () => {
  const seeded = Random.withSeed("the same")
  const markOf = (path: string) => /_c_([0-9a-f-]{36})-/.exec(path)?.[1]

  // The creation is lost with the request: there is only the other's node. Or with its answer: there are both.
  for (const kind of ["request", "reply"] as const) {
    it.live(`never take each other's node for their own, the creation's ${kind} being lost [LOCK-MARK1]`, () =>
      Effect.gen(function*() {
        const { port } = yield* shared
        const proxy = yield* makeProxy(port)
        const a = yield* lockClient({ hosts: proxy.connectString })
        const b = yield* lockClient()
        const name = yield* freshPath
        yield* b.ensurePath(name)
        const ours = yield* on(a)(ZkLock.make(name))
        const session = yield* b.session
        // In whatever order they are listed, ours is hardly the first.
        const others = yield* Effect.forEach(
          Array.from({ length: 8 }),
          () => seeded(session.createEphemeral(`${name}/lock-`, "", { sequential: true }))
        )
        const rule = kind === "request"
          ? yield* proxy.rule({ op: "create", path: new RegExp(`^${name}/`), kind }, "cut")
          : yield* proxy.swallowReply({ op: "create", path: new RegExp(`^${name}/`) }, "cut")
        const told = yield* Deferred.make<ZkLock.LockStatus>()
        const acquiring = yield* Effect.forkChild(
          seeded(ours.acquire({ onStatus: (status) => Effect.asVoid(Deferred.succeed(told, status)) })),
          { startImmediately: true }
        )
        const status = yield* Deferred.await(told)
        assert.strictEqual(yield* rule.count, 1)
        assert.strictEqual(status._tag, "Queued")
        const paths = others.map(({ path }) => path)
        assert.notInclude(paths, status.path)
        const marks = [status.path, ...paths].map(markOf)
        assert.isDefined(marks[0])
        assert.strictEqual(new Set(marks).size, 1)
        // One node of ours, whatever the answers.
        assert.lengthOf((yield* b.getChildren(name)).children, paths.length + 1)
        for (const { remove } of others) assert.strictEqual(yield* remove, "removed")
        const handle = yield* Fiber.join(acquiring)
        assert.strictEqual(handle.path, status.path)
        assert.isTrue(yield* handle.isHeld)
      }))
  }
})
