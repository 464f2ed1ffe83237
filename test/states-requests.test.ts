/** What programs that were written for asab's container ask of a client. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as ZkAcl from "../src/ZkAcl.ts"
import * as ZkClient from "../src/ZkClient.ts"
import { advertise } from "./support/advertising.ts"
import { failsWith } from "./support/failsWith.ts"
import { pair, proxiedPair } from "./support/mirroring.ts"
import { freshRoot, shared } from "./support/shared.ts"
import { typedNode } from "./support/typedNodes.ts"
import { sessionOf } from "./support/watching.ts"

describe("a client for everything", () => {
  it.live("what modules make is made in the session of the client that they are given, chroots included [A25]", () =>
    Effect.gen(function*() {
      const { connectString } = yield* shared
      const root = yield* freshRoot
      const zk = yield* ZkClient.make({ hosts: connectString + root })
      const below = yield* zk.chroot("/app")
      yield* advertise(below, "/ad", { value: Schema.Number, data: 1 })
      yield* typedNode(zk, "/node", { value: Schema.Number, mode: "ephemeral", default: 1 })
      yield* below.create("/own", null, { mode: "ephemeral" })
      assert.deepStrictEqual((yield* zk.getEphemerals()).toSorted(), ["/app/ad", "/app/own", "/node"])
      assert.strictEqual(yield* sessionOf(below), yield* sessionOf(zk))
    }))

  it.live("creates with number, session and parents in one call, which gives the real path [A27]", () =>
    Effect.gen(function*() {
      const { other, root, zk } = yield* pair
      const path = `${root}/a/b/c-`
      const created = yield* zk.create(path, "data", { mode: "ephemeralSequential", parents: true })
      assert.strictEqual(created.path, `${path}0000000000`)
      const { stat, text } = yield* other.getData(created.path)
      assert.deepStrictEqual([text, stat.ephemeralOwner], ["data", yield* sessionOf(zk)])
      for (const parent of [`${root}/a`, `${root}/a/b`]) {
        assert.strictEqual(Option.getOrThrow(yield* other.exists(parent)).ephemeralOwner, 0n)
      }
    }))

  it.live("tells what is missing from what is refused and from what cannot be known [A28]", () =>
    Effect.gen(function*() {
      const { other, proxy, root, zk } = yield* proxiedPair({ requestTimeout: "200 millis" })
      const nobody = [{ ...ZkAcl.openAcl[0]!, perms: ZkAcl.Perms.admin }]
      yield* other.create(`${root}/secret`, "x", { acl: nobody })
      const missing = `${root}/missing`
      const secret = `${root}/secret`
      assert.isTrue(Option.isNone(yield* zk.exists(missing)))
      assert.isTrue(Option.isNone(yield* zk.getDataOption(missing)))
      yield* failsWith(zk.getData(missing), "NoNode")
      yield* failsWith(zk.getChildren(missing), "NoNode")
      yield* failsWith(zk.setData(missing, "x"), "NoNode")
      yield* failsWith(zk.delete(missing), "NoNode")
      yield* failsWith(zk.getDataOption(secret), "NoAuth")
      yield* failsWith(zk.getChildren(secret), "NoAuth")
      yield* failsWith(zk.setData(secret, "x"), "NoAuth")
      yield* proxy.setAccept("refuse")
      yield* proxy.cutAll
      for (const path of [missing, secret]) {
        const reads = [Effect.asVoid(zk.exists(path)), Effect.asVoid(zk.getDataOption(path))]
        yield* Effect.forEach(reads, (read) => failsWith(read, "OperationTimeout"), { concurrency: "unbounded" })
      }
      yield* proxy.heal
    }))

  it.live("writes or creates, whichever it takes, against somebody who deletes it a thousand times: never NoNode [A29]", () =>
    Effect.gen(function*() {
      const { other, root, zk } = yield* pair
      const path = `${root}/a/b`
      let deleted = 0
      const deleting = yield* Effect.forkChild(Effect.gen(function*() {
        while (deleted < 1_000) {
          yield* Effect.match(other.delete(path), { onSuccess: () => void deleted++, onFailure: () => {} })
        }
      }))
      let written = 0
      while (deleting.pollUnsafe() === undefined) {
        yield* Effect.all([zk.createOrSet(path, "1"), zk.createOrSet(path, "2")], { concurrency: 2 })
        written += 2
      }
      yield* Fiber.join(deleting)
      assert.isAtLeast(written, 1_000)
    }))

  it.live("reads JSON by a schema: what is missing is not the same as an empty object [A30]", () =>
    Effect.gen(function*() {
      const { other, root, zk } = yield* pair
      const value = Schema.Struct({ host: Schema.optionalKey(Schema.String) })
      const node = yield* typedNode(zk, `${root}/a`, { value })
      const written = (text: string | null) => Effect.andThen(other.createOrSet(`${root}/a`, text), node.sync)
      assert.deepStrictEqual(yield* node.getOption, Option.none())
      yield* failsWith(node.get, "NoNode")
      yield* written("{}")
      assert.deepStrictEqual(yield* node.getOption, Option.some({}))
      yield* written(`{"host":"a"}`)
      assert.deepStrictEqual(yield* node.getOption, Option.some({ host: "a" }))
      for (const text of ["", null, "[]", `{"host":1}`]) {
        yield* written(text)
        yield* failsWith(node.getOption, "ValueDecodeError")
      }
    }))

  it.live("holds nobody up: ten thousand requests leave the event loop free for all but some milliseconds [A26]", () =>
    Effect.gen(function*() {
      const { root, zk } = yield* pair
      yield* zk.create(`${root}/a`, "x".repeat(100))
      // In time of the processor, so that it does not matter who else uses it.
      const now = () => {
        const { system, user } = process.threadCpuUsage()
        return (system + user) / 1_000
      }
      const turns: Array<number> = []
      let last = now()
      let isDone = false
      const turn = () => {
        const time = now()
        turns.push(time - last)
        last = time
        if (!isDone) setImmediate(turn)
      }
      setImmediate(turn)
      const read = zk.getData(`${root}/a`)
      const write = zk.setData(`${root}/a`, "y")
      const requests = Array.from({ length: 10_000 }, (_, i) => i % 10 === 0 ? write : read)
      yield* Effect.forEach(requests, (request) => Effect.asVoid<unknown, unknown, never>(request), {
        concurrency: 256,
        discard: true
      })
      isDone = true
      turns.sort((a, b) => b - a)
      // The longest belong to the garbage collector.
      const [, , , fourth = Infinity] = turns
      assert.isAbove(turns.length, 50)
      assert.isBelow(fourth, 20, `${turns.slice(0, 8).map(Math.round).join(", ")} ms`)
    }))
})
