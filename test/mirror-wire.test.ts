/** Copies against a scripted server, under TestClock. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import { Reads } from "../src/internal/cache/reads.ts"
import { Waves } from "../src/internal/cache/waves.ts"
import { failsWith } from "./support/failsWith.ts"
import { fakeClient, pass, settle } from "./support/fakeClient.ts"
import { type Answer, err, type FakeServer, makeFakeServer } from "./support/fakeServer.ts"
import { JuteWriter } from "./support/jute.ts"
import { mirrorOf } from "./support/mirroring.ts"
import { makeStat, writeStat } from "./support/records.ts"
import { record } from "./support/watching.ts"

const start = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.forkChild(effect, { startImmediately: true })

const data = (text: string, zxid: bigint): Answer => ({
  type: "reply",
  zxid,
  body: writeStat(new JuteWriter().buffer(Buffer.from(text)), makeStat({ mzxid: zxid })).bytes()
})

const count = (fake: FakeServer, name: string) => fake.requests.filter((request) => request.name === name).length

describe("a copy and a server that does not answer", () => {
  it.effect("says so in time, and is unknown until it is told, without hurry [Z10]", () =>
    Effect.gen(function*() {
      const fake = yield* makeFakeServer
      const zk = yield* fakeClient(fake, { requestTimeout: "2 seconds", sessionTimeout: "60 seconds" })
      yield* fake.on("addWatch", () => ({ type: "silence" }))
      yield* fake.on("sync", () => ({ type: "silence" }))
      const mirror = yield* mirrorOf(zk)
      const node = yield* mirror.node("/a")
      const value = yield* start(failsWith(node.value, "OperationTimeout"))
      const tree = yield* start(failsWith(mirror.tree("/a"), "OperationTimeout"))
      yield* pass(1_950)
      assert.deepStrictEqual([value.pollUnsafe(), tree.pollUnsafe()], [undefined, undefined])
      yield* pass(100)
      yield* Fiber.join(value)
      yield* Fiber.join(tree)
      assert.deepStrictEqual(yield* node.state, { _tag: "Unknown" })
      yield* pass(20_000, 250)
      assert.isAtMost(count(fake, "addWatch"), 12)
      assert.deepStrictEqual(yield* node.state, { _tag: "Unknown" })
      yield* fake.defaults
      yield* fake.on("getData", () => err(-101))
      yield* fake.on("getChildren2", () => err(-101))
      yield* fake.current.pipe(Effect.flatMap((connection) => connection.close))
      yield* pass(3_000)
      assert.strictEqual((yield* node.state)._tag, "Missing")
      assert.strictEqual((yield* node.freshness)._tag, "Live")
    }))

  it.effect("that does not know such watches fails with what it said [L9]", () =>
    Effect.gen(function*() {
      const fake = yield* makeFakeServer
      const zk = yield* fakeClient(fake)
      yield* fake.on("addWatch", () => err(-6))
      const mirror = yield* mirrorOf(zk)
      const tree = yield* start(failsWith(mirror.tree("/a"), "Unimplemented"))
      const node = yield* mirror.node("/a")
      const changes = yield* record(node.changes)
      yield* settle
      yield* Fiber.join(tree)
      yield* failsWith(Fiber.join(changes.fiber), "Unimplemented")
      yield* failsWith(node.value, "Unimplemented")
    }))
})

describe("a copy and an answer from before", () => {
  it.effect("does not show it, and asks again [L5] [Z13]", () =>
    Effect.gen(function*() {
      const fake = yield* makeFakeServer
      const zk = yield* fakeClient(fake)
      let answer = data("new", 20n)
      yield* fake.on("getData", () => answer)
      yield* fake.on("getChildren2", () => err(-101))
      const mirror = yield* mirrorOf(zk)
      const node = yield* mirror.node("/a")
      const loading = yield* start(mirror.tree("/a", { depth: 0 }))
      yield* settle
      const tree = yield* Fiber.join(loading)
      const connection = yield* fake.current
      const old = [data("old", 10n), { type: "reply", err: -101, zxid: 10n }] as const
      for (const [round, older] of old.entries()) {
        answer = older
        const reads = count(fake, "getData")
        yield* connection.event(3, "/a", 25n)
        yield* pass(1_000)
        const known = round === 0 ? "new" : "newer 0"
        assert.strictEqual(Option.getOrThrow(yield* tree.get("/a")).text, known)
        assert.strictEqual((yield* node.value).text, known)
        const again = count(fake, "getData") - reads
        assert.isTrue(again > 4 && again < 14, `${again} reads of two copies in a second`)
        answer = data(`newer ${round}`, 30n + BigInt(round))
        yield* pass(300)
        assert.strictEqual(Option.getOrThrow(yield* tree.get("/a")).text, `newer ${round}`)
        assert.strictEqual((yield* node.value).text, `newer ${round}`)
      }
    }))
})

describe("a tree and a node that is found ahead of its parent", () => {
  it.effect("shows neither until it has read both, and asks without hurry [L10]", () =>
    Effect.gen(function*() {
      const fake = yield* makeFakeServer
      const zk = yield* fakeClient(fake)
      let refusals = 3
      yield* fake.on("getData", ({ path }) => path === "/r/a" && refusals-- > 0 ? err(-127) : data(path ?? "", 20n))
      yield* fake.on("getChildren2", () => err(-101))
      const mirror = yield* mirrorOf(zk)
      const loading = yield* start(mirror.tree("/r"))
      yield* settle
      const tree = yield* Fiber.join(loading)
      const { until, values } = yield* record(tree.changes)
      yield* until("the root", (values) => values.length === 1)
      const connection = yield* fake.current
      yield* connection.event(1, "/r/a", 20n)
      yield* connection.event(1, "/r/a/b", 20n)
      yield* pass(500)
      assert.strictEqual(yield* tree.size, 1)
      yield* pass(1_500)
      yield* until("both", (values) => values.length === 3)
      assert.deepStrictEqual(values.map(({ path }) => path), ["/r", "/r/a", "/r/a/b"])
      assert.isBelow(count(fake, "getData"), 20)
    }))

  it.effect("asks for the parent if that is not under way [L10]", () =>
    Effect.gen(function*() {
      const fake = yield* makeFakeServer
      const zk = yield* fakeClient(fake)
      yield* fake.on("getData", ({ path }) => data(path ?? "", 20n))
      yield* fake.on("getChildren2", () => err(-101))
      const mirror = yield* mirrorOf(zk)
      const loading = yield* start(mirror.tree("/r"))
      yield* settle
      const tree = yield* Fiber.join(loading)
      yield* (yield* fake.current).event(1, "/r/a/b/c", 20n)
      yield* pass(1_000)
      assert.deepStrictEqual([...(yield* tree.entries).keys()], ["/r", "/r/a", "/r/a/b", "/r/a/b/c"])
    }))
})

describe("whoever waits for what has happened", () => {
  it("is not told early because of another who was told [Z16]", () => {
    const waves = new Waves<never>()
    const first = waves.begin()
    waves.enter(first)
    const told: Array<string> = []
    waves.whenDone(() => {
      told.push("first")
      const second = waves.begin()
      waves.enter(second)
      waves.whenDone(() => told.push("second"))
    })
    waves.leave(first)
    assert.deepStrictEqual(told, ["first"])
    waves.leave(2)
    assert.deepStrictEqual(told, ["first", "second"])
  })

  it("waits for everything that followed from it, and not for what came later [L3]", () => {
    const waves = new Waves<never>()
    const told: Array<string> = []
    const [a, b] = [waves.begin(), waves.begin()]
    waves.enter(a)
    waves.enter(b)
    waves.whenDone(() => told.push("both"))
    const later = waves.begin()
    waves.enter(later)
    waves.enter(a)
    waves.leave(a)
    waves.leave(b)
    assert.deepStrictEqual(told, [])
    waves.leave(a)
    assert.deepStrictEqual(told, ["both"])
  })

  it("is told when what it waits for is read, though that was marked for somebody else first [L3]", () => {
    const answers: Array<() => void> = []
    const answer = () => answers.shift()!()
    const reads = new Reads<string>(
      () => Effect.callback((resume) => void answers.push(() => resume(Effect.void))),
      (effect) => void Effect.runFork(effect)
    )
    const told: Array<string> = []
    const first = reads.begin()
    reads.mark("parent", first)
    reads.pump()
    reads.whenDone(() => told.push("first"))
    // Of the child something is heard while it is being read, so that it waits, marked.
    reads.mark("child", reads.begin())
    reads.pump()
    reads.mark("child", reads.begin())
    reads.mark("child", first)
    answer()
    assert.deepStrictEqual(told, [])
    answer()
    assert.deepStrictEqual(told, [], "the child is read again")
    answer()
    assert.deepStrictEqual(told, ["first"])
  })
})
