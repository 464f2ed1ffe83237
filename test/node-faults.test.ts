import { assert, describe, it } from "@effect/vitest"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as ZkClient from "../src/ZkClient.ts"
import { expireThrough } from "./support/expire.ts"
import { failsWith } from "./support/failsWith.ts"
import { becomes, pair, proxiedPair } from "./support/mirroring.ts"
import { shared } from "./support/shared.ts"
import { showState, typedNode, valueBecomes } from "./support/typedNodes.ts"
import { newSession, record, sessionOf } from "./support/watching.ts"

const value = Schema.Number

class TooMuch extends Data.TaggedError("TooMuch")<{ readonly n: number }> {}

describe.concurrent("a typed node across connections and sessions", () => {
  it.live("has what was set while its session ended, and then asks for nothing [T70]", () =>
    Effect.gen(function*() {
      const { other, port, proxy, root, zk } = yield* proxiedPair()
      const path = `${root}/a`
      const node = yield* typedNode(zk, path, { value, default: 942 })
      const session = yield* sessionOf(zk)
      yield* proxy.setAccept("refuse")
      yield* expireThrough(proxy, port)
      yield* other.setData(path, "777")
      assert.strictEqual(yield* node.get, 942)
      yield* proxy.heal
      yield* valueBecomes(node, 777)
      assert.notStrictEqual(yield* sessionOf(zk), session)
      // From the first time on that anybody asks for them the children are followed as well.
      yield* node.children
      yield* node.sync
      const since = yield* proxy.position
      for (let i = 0; i < 1_000; i++) {
        assert.strictEqual(yield* node.get, 777)
        yield* node.getOption
        yield* node.stat
        yield* node.children
      }
      assert.strictEqual((yield* proxy.stats(since)).requests, 0)
      // Nor was it by chance.
      yield* other.setData(path, "778")
      yield* valueBecomes(node, 778)
    }))

  it.live(
    "is right after any number of lost connections, and lost answers of its own reads [T71]",
    () =>
      Effect.gen(function*() {
        const { other, proxy, root, zk } = yield* proxiedPair()
        const path = `${root}/a`
        const node = yield* typedNode(zk, path, { value, default: -1 })
        const seen = yield* record(Stream.map(node.changes, ({ current }) => showState(current)))
        for (let i = 0; i < 8; i++) {
          // The read that the change brings about is lost with its connection.
          const lost = i % 2 === 0 ? yield* proxy.swallowReply({ op: "getData" }) : undefined
          if (i % 4 === 2) yield* other.delete(path)
          if (i % 4 === 2) yield* other.create(path, String(i))
          else yield* other.setData(path, String(i))
          if (lost === undefined) yield* proxy.cutAll
          else yield* lost.fired
        }
        yield* valueBecomes(node, 7)
        yield* seen.until("the last", (values) => values.at(-1) === 7)
        const numbers = seen.values.filter((n) => typeof n === "number")
        assert.deepStrictEqual(numbers, numbers.toSorted((a, b) => a - b))
        assert.isAtLeast((yield* proxy.stats()).connections, 4)
      }),
    30_000
  )

  it.live("says whether it is connected, and shows what it knew [T72]", () =>
    Effect.gen(function*() {
      const { other, proxy, root, zk } = yield* proxiedPair({ requestTimeout: "500 millis" })
      const path = `${root}/a`
      const node = yield* typedNode(zk, path, { value, default: 1 })
      assert.strictEqual((yield* node.freshness)._tag, "Live")
      yield* proxy.setAccept("refuse")
      yield* proxy.cutAll
      yield* becomes(node, "Stale")
      assert.strictEqual(yield* node.get, 1)
      // Whatever needs a server fails in time, as not applied.
      const errors = yield* Effect.all([
        failsWith(node.set(2), "OperationTimeout"),
        failsWith(node.update((n) => n + 1), "OperationTimeout"),
        failsWith(node.delete(), "OperationTimeout"),
        failsWith(node.sync, "OperationTimeout")
      ], { concurrency: "unbounded" })
      for (const error of errors) assert.isFalse(error.maybeApplied)
      const setting = yield* Effect.forkChild(Effect.retry(node.set(3), { times: 20 }), { startImmediately: true })
      yield* proxy.heal
      yield* becomes(node, "Live")
      yield* Fiber.join(setting)
      assert.strictEqual(yield* node.get, 3)
      assert.strictEqual((yield* other.getData(path)).text, "3")
    }))
})

describe.concurrent("updating a typed node", () => {
  it.live("loses nothing among eight writers of a hundred each [T65] [NODE-UPDATE]", () =>
    Effect.gen(function*() {
      const { connectString } = yield* shared
      const { other, proxy, root, zk } = yield* proxiedPair()
      const path = `${root}/a`
      const third = yield* ZkClient.make({ hosts: connectString })
      const nodes = yield* Effect.forEach(
        Array.from({ length: 8 }, (_, i) => [zk, other, third][i % 3]!),
        (client) => typedNode(client, path, { value, default: 0 })
      )
      const since = yield* proxy.position
      let attempts = 0
      const results = yield* Effect.forEach(nodes, (node, i) =>
        Effect.forEach(Array.from({ length: 100 }), () =>
          node.update((n) => {
            if (i % 3 === 0) {
              attempts++
            }
            return n + 1
          })), { concurrency: "unbounded" })
      assert.strictEqual((yield* other.getData(path)).text, "800")
      const flat = results.flat()
      assert.lengthOf([...new Set(flat)], 800)
      for (const own of results) {
        assert.deepStrictEqual(
          own,
          own.toSorted((a, b) =>
            a - b
          )
        )
      }
      for (const node of nodes) {
        yield* node.sync
        assert.strictEqual(yield* node.get, 800)
      }
      // A read and a write for each attempt, a sync after each that was too late.
      const { ops } = yield* proxy.stats(since)
      assert.isAbove(attempts, 300)
      assert.strictEqual(ops["setData"], attempts)
      assert.isAtMost(ops["sync"] ?? 0, attempts - 300 + 3)
    }), 60_000)

  it.live("starts from what the server has, and from the default where there is nothing [NODE-UPDATE]", () =>
    Effect.gen(function*() {
      const { other, root, zk } = yield* pair
      const path = `${root}/a/b`
      const node = yield* typedNode(zk, path, { value, default: 5 })
      yield* other.delete(path)
      assert.strictEqual(yield* node.update((n) => n + 1), 6)
      assert.strictEqual((yield* other.getData(path)).text, "6")
      // What the function does itself, and how it fails, is its own.
      const error = yield* failsWith(node.update((n) => Effect.fail(new TooMuch({ n }))), "TooMuch")
      assert.strictEqual(error.n, 6)
      const given = yield* node.update((n) => Effect.map(Effect.succeed(1), (one) => n + one))
      assert.strictEqual(given, 7)
      const exit = yield* Effect.exit(node.update(() => {
        throw new Error("mine")
      }))
      assert.isTrue(Exit.hasDies(exit))
      // Somebody who is always faster.
      let tries = 0
      const conflict = yield* failsWith(
        node.update((n) => {
          tries++
          return Effect.as(Effect.orDie(other.setData(path, String(n))), n + 1)
        }),
        "WriteConflict"
      )
      assert.deepStrictEqual([tries, conflict.tries, conflict.path], [100, 100, path])
    }))

  it.live("does not count twice when an answer is lost: it is applied, or nobody can know [NODE-UPDATE]", () =>
    Effect.gen(function*() {
      const { other, proxy, root, zk } = yield* proxiedPair()
      const path = `${root}/a`
      const node = yield* typedNode(zk, path, { value, default: 0 })
      for (const how of ["before", "after"] as const) {
        yield* other.setData(path, "0")
        const rule = how === "before"
          ? yield* proxy.rule({ op: "setData", direction: "toServer" }, "cut")
          : yield* proxy.swallowReply({ op: "setData" })
        const exit = yield* Effect.exit(node.update((n) => n + 1))
        yield* rule.fired
        yield* other.sync(path)
        const text = (yield* other.getData(path)).text
        if (Exit.isSuccess(exit)) assert.strictEqual(text, "1")
        else {
          const error = Option.getOrThrow(Exit.findErrorOption(exit))
          assert.deepInclude(error, { _tag: "ConnectionLoss", maybeApplied: true })
          assert.strictEqual(text, "1")
        }
        if (how === "before") assert.isTrue(Exit.isSuccess(exit))
      }
    }))

  it.live("a session that ends meanwhile does not keep it from the next [NODE-UPDATE]", () =>
    Effect.gen(function*() {
      const { other, port, proxy, root, zk } = yield* proxiedPair()
      const path = `${root}/a`
      const node = yield* typedNode(zk, path, { value, default: 0 })
      const session = yield* sessionOf(zk)
      yield* expireThrough(proxy, port)
      yield* newSession(zk, session)
      assert.strictEqual(yield* node.update((n) => n + 1), 1)
      assert.strictEqual(yield* node.get, 1)
      assert.strictEqual((yield* other.getData(path)).text, "1")
    }))
})
