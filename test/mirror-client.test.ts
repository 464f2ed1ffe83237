/** What users of copies rely on beside the copies themselves: writes, states, and silence. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { vi } from "vitest"
import * as ZkAcl from "../src/ZkAcl.ts"
import * as ZkClient from "../src/ZkClient.ts"
import * as ZkState from "../src/ZkState.ts"
import { expireThrough } from "./support/expire.ts"
import { failsWith } from "./support/failsWith.ts"
import { becomes, mirrorOf, pair, proxiedPair, textOf } from "./support/mirroring.ts"
import { shared, sharedHandle } from "./support/shared.ts"
import { recordStates } from "./support/states.ts"
import { newSession, record, sessionOf } from "./support/watching.ts"

describe("creating a node through its copy", () => {
  it.live("tells its real path, with ten digits if it is sequential; an ephemeral one goes with its client [Z41]", () =>
    Effect.gen(function*() {
      const { connectString } = yield* shared
      const { mirror, other, root, zk } = yield* pair
      const { path } = yield* zk.create(`${root}/n-`, "1", { mode: "persistentSequential" })
      assert.match(path.slice(root.length), /^\/n-\d{10}$/)
      assert.strictEqual((yield* (yield* mirror.node(path)).value).text, "1")
      const ephemeral = yield* zk.create(`${root}/e-`, "2", { mode: "ephemeralSequential" })
      assert.match(ephemeral.path.slice(root.length), /^\/e-\d{10}$/)
      assert.strictEqual((yield* other.getData(ephemeral.path)).stat.ephemeralOwner, yield* sessionOf(zk))

      const scope = yield* Scope.make()
      const theirs = yield* Scope.provide(ZkClient.make({ hosts: connectString }), scope)
      const made = yield* Scope.provide(Effect.flatMap(mirrorOf(theirs), (own) => own.node(`${root}/mine`)), scope)
      assert.strictEqual((yield* made.create("3", { mode: "ephemeral" })).path, `${root}/mine`)
      assert.strictEqual((yield* made.value).stat.ephemeralOwner, yield* sessionOf(theirs))
      const seen = yield* record(Stream.map((yield* mirror.node(`${root}/mine`)).changes, textOf))
      yield* seen.until("it", (values) => values.length === 1)
      yield* Scope.close(scope, Exit.void)
      yield* seen.until("its end", (values) => values.length === 2)
      assert.deepStrictEqual(seen.values, ["3", undefined])
    }))

  it.live("with all that is missing above it gives what was made, with its data [Z42] [Z43]", () =>
    Effect.gen(function*() {
      const { mirror, other, root, zk } = yield* pair
      const node = yield* mirror.node(`${root}/a/b/c`)
      const { path, stat } = yield* node.create("deep", { parents: true })
      assert.strictEqual(path, `${root}/a/b/c`)
      const value = yield* node.value
      assert.strictEqual(value.text, "deep")
      assert.strictEqual(stat?.czxid, value.stat.czxid)
      const view = yield* zk.chroot(`${root}/view`)
      const below = yield* (yield* mirrorOf(view)).node("/p/q")
      assert.strictEqual((yield* below.create("VAL", { parents: true })).path, "/p/q")
      assert.strictEqual((yield* below.value).text, "VAL")
      assert.strictEqual((yield* other.getData(`${root}/view/p/q`)).text, "VAL")
    }))

  it.live("if it is missing succeeds for everybody who wants that at once, and keeps the first one's data [Z43]", () =>
    Effect.gen(function*() {
      const { connectString } = yield* shared
      const { mirror, root } = yield* pair
      const others = yield* Effect.forEach(
        [1, 2, 3],
        () => Effect.flatMap(ZkClient.make({ hosts: connectString }), mirrorOf)
      )
      for (let round = 0; round < 10; round++) {
        const path = `${root}/${round}/p/q`
        const made = yield* Effect.forEach(
          [mirror, ...others, mirror, ...others],
          (mirror, i) =>
            Effect.gen(function*() {
              const node = yield* mirror.node(path)
              const text = `VAL ${i}`
              const isMade = yield* node.create(text, { parents: true }).pipe(
                Effect.as([text]),
                Effect.catchTag("NodeExists", () => Effect.succeed([]))
              )
              yield* node.sync
              return { isMade, seen: (yield* node.value).text }
            }),
          { concurrency: "unbounded" }
        )
        const [winner, ...more] = made.flatMap(({ isMade }) => isMade)
        assert.deepStrictEqual(more, [])
        for (const { seen } of made) assert.strictEqual(seen, winner)
      }
      // Who does not care what is there sets it.
      const node = yield* mirror.node(`${root}/r/s`)
      const clients = yield* Effect.forEach([1, 2, 3], () => ZkClient.make({ hosts: connectString }))
      yield* Effect.forEach(
        [...clients, ...clients, ...clients],
        (client) => client.createOrSet(`${root}/r/s`, "VAL"),
        { concurrency: "unbounded", discard: true }
      )
      yield* node.sync
      assert.strictEqual((yield* node.value).text, "VAL")
    }))

  it.live("opens it to everybody, or to those who were named [Z50]", () =>
    Effect.gen(function*() {
      const { mirror, other, root, zk } = yield* pair
      const open = yield* mirror.node(`${root}/open`)
      yield* open.create("1")
      assert.deepStrictEqual((yield* other.getAcl(open.path)).acl, ZkAcl.openAcl)
      yield* zk.addAuth({ scheme: "digest", credential: Redacted.make("a:b") })
      const closed = yield* mirror.node(`${root}/closed`)
      yield* closed.create("secret", { acl: [ZkAcl.digest("a", Redacted.make("b"))] })
      assert.strictEqual((yield* closed.value).text, "secret")
      yield* closed.set("changed")
      yield* failsWith(other.getData(closed.path), "NoAuth")
      yield* failsWith(other.setData(closed.path, "x"), "NoAuth")
      const theirs = yield* (yield* mirrorOf(other)).node(closed.path)
      yield* failsWith(theirs.value, "NoAuth")
      yield* failsWith(theirs.set("x"), "NoAuth")
    }))
})

describe("what is asked of a copy during an outage", () => {
  it.live("happens after it, each once and in order, and the node has one watch [Z36]", () =>
    Effect.gen(function*() {
      const { mirror, other, proxy, root, zk } = yield* proxiedPair()
      const node = yield* mirror.node(root)
      yield* node.value
      const session = yield* sessionOf(zk)
      const outage = yield* proxy.rule({ kind: "connect" }, "cut", { times: Infinity })
      yield* proxy.cutAll
      yield* becomes(node, "Stale")
      const writes = yield* Effect.forEach(
        Array.from({ length: 100 }, (_, i) => i),
        (i) => Effect.forkChild(node.set(`${i}`), { startImmediately: true })
      )
      // Nobody is answered while attempts fail.
      yield* proxy.awaitEvent((event) => event.type === "close", { since: yield* proxy.position })
      for (const write of writes) assert.isUndefined(write.pollUnsafe())
      yield* outage.remove
      assert.isAtLeast(yield* outage.count, 1)
      const stats = yield* Effect.forEach(writes, Fiber.join)
      assert.deepStrictEqual(stats.map(({ version }) => version), Array.from({ length: 100 }, (_, i) => i + 1))
      assert.strictEqual((yield* other.getData(root)).stat.version, 100)
      assert.strictEqual((yield* node.value).text, "99")
      assert.strictEqual((yield* proxy.frames({ kind: "request", op: "setData" })).length, 100)
      assert.deepStrictEqual((yield* (yield* sharedHandle).watchesByPath).get(root), [session])
      yield* expireThrough(proxy, (yield* shared).port)
      const next = yield* newSession(zk, session)
      yield* becomes(node, "Live")
      yield* node.sync
      assert.deepStrictEqual((yield* (yield* sharedHandle).watchesByPath).get(root), [next])
    }))

  it.live("fails in time as not applied if there is no end to it, and does not happen later [Z36]", () =>
    Effect.gen(function*() {
      const { mirror, other, proxy, root } = yield* proxiedPair({ requestTimeout: "300 millis" })
      const node = yield* mirror.node(root)
      yield* node.value
      yield* proxy.setAccept("refuse")
      yield* proxy.cutAll
      yield* becomes(node, "Stale")
      const errors = yield* Effect.forEach(
        Array.from({ length: 100 }, (_, i) => i),
        (i) => failsWith(node.set(`${i}`), "OperationTimeout"),
        { concurrency: "unbounded" }
      )
      for (const { maybeApplied } of errors) assert.isFalse(maybeApplied)
      yield* proxy.setAccept("accept")
      yield* becomes(node, "Live")
      yield* node.sync
      assert.strictEqual((yield* node.value).stat.version, 0)
      assert.strictEqual((yield* other.getData(root)).stat.version, 0)
      assert.strictEqual((yield* proxy.frames({ kind: "request", op: "setData" })).length, 0)
    }))
})

describe("the state of the connection", () => {
  it.live("tells with whom it is, or since when it is lost, as copies do [Z39] [Z40]", () =>
    Effect.gen(function*() {
      const { mirror, proxy, root, zk } = yield* proxiedPair()
      const states = yield* recordStates(zk)
      const node = yield* mirror.node(root)
      yield* becomes(node, "Live")
      const first = yield* zk.state
      assert.isTrue(ZkState.isConnected(first))
      assert.strictEqual(first._tag === "Connected" && first.server, proxy.connectString)
      const before = Date.now()
      const outage = yield* proxy.rule({ kind: "connect" }, "cut", { times: Infinity })
      yield* proxy.cutAll
      const { since } = yield* states.await("Suspended")
      assert.isAtLeast(since.epochMilliseconds, before)
      assert.isAtMost(since.epochMilliseconds, Date.now())
      // It does not move on while attempts fail.
      yield* proxy.awaitEvent((event) => event.type === "close", { since: yield* proxy.position })
      const second = yield* zk.state
      assert.isFalse(ZkState.isConnected(second))
      assert.deepStrictEqual(second._tag === "Suspended" && second.since, since)
      assert.deepStrictEqual(yield* node.freshness, { _tag: "Stale", since })
      yield* outage.remove
      assert.isAtLeast(yield* outage.count, 1)
      const third = yield* states.await("Connected", { since: 1 })
      assert.strictEqual(third.server, proxy.connectString)
      yield* becomes(node, "Live")
      assert.deepStrictEqual(states.tags(), ["Connected", "Suspended", "Connected"])
    }))
})

describe("the library", () => {
  it.live("prints nothing of its own accord [Z52]", () =>
    Effect.gen(function*() {
      const spies = [
        vi.spyOn(process.stdout, "write"),
        vi.spyOn(process.stderr, "write"),
        ...(["log", "info", "warn", "error", "debug"] as const).map((name) => vi.spyOn(console, name))
      ]
      yield* Effect.addFinalizer(() =>
        Effect.sync(() => {
          for (const spy of spies) spy.mockRestore()
        })
      )
      yield* Effect.scoped(Effect.gen(function*() {
        const { mirror, proxy, root } = yield* proxiedPair()
        const node = yield* mirror.node(`${root}/a`)
        const tree = yield* mirror.tree(root)
        const changes = yield* record(tree.changes)
        yield* node.create("1")
        yield* failsWith(node.create("1"), "NodeExists")
        yield* proxy.cutAll
        yield* becomes(node, "Stale")
        yield* becomes(node, "Live")
        yield* node.set("2")
        yield* node.delete()
        yield* failsWith(node.value, "NoNode")
        yield* changes.until("the deletion", (values) => values.at(-1)?._tag === "Removed")
      }))
      assert.deepStrictEqual(spies.flatMap(({ mock }) => mock.calls), [])
    }))
})
