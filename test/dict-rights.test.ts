/** Dictionaries that may not be read or written, that are too large, or that nothing is heard of. */
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as ZkAcl from "../src/ZkAcl.ts"
import type * as ZkClient from "../src/ZkClient.ts"
import * as ZkDict from "../src/ZkDict.ts"
import { on } from "./support/dictionaries.ts"
import { failsWith } from "./support/failsWith.ts"
import { makeWire, pass, settle } from "./support/fakeClient.ts"
import { err, makeFakeServer } from "./support/fakeServer.ts"
import { pair, proxiedPair } from "./support/mirroring.ts"
import type { Proxy } from "./support/proxy.ts"
import { record } from "./support/watching.ts"

const numbers = (zk: ZkClient.ZkClient, root: string, options: ZkDict.RootOptions = {}) =>
  on(zk)(ZkDict.make(root, { value: Schema.Number, ...options }))

/** Everything to one user, and to the others only what is said. */
const only = (perms = 0): ReadonlyArray<ZkAcl.Acl> => [
  ZkAcl.digest("a", Redacted.make("b")),
  ...(perms === 0 ? [] : [{ perms, scheme: "world", id: "anyone" }])
]

const asUser = (client: ZkClient.ZkClient) => client.addAuth({ scheme: "digest", credential: Redacted.make("a:b") })

const becomes = (dict: ZkDict.Followed<unknown>, tag: string) =>
  dict.freshnessChanges.pipe(Stream.filter(({ _tag }) => _tag === tag), Stream.runHead, Effect.timeout("10 seconds"))

const reconnect = (proxy: Proxy, dict: ZkDict.Followed<unknown>) =>
  proxy.cutAll.pipe(Effect.andThen(becomes(dict, "Stale")), Effect.andThen(becomes(dict, "Live")))

describe("rights", () => {
  it.live("are those of the option, for the root and for all keys [DICT-ACL]", () =>
    Effect.gen(function*() {
      const { other, root, zk } = yield* pair
      yield* asUser(zk)
      const dict = yield* numbers(zk, `${root}/dict`, { acl: only() })
      yield* dict.set("a", 1)
      yield* dict.getOrSet("b", 2)
      yield* dict.transact(({ set }) => Effect.andThen(set("c", 3), set("d", 4)))
      const document = yield* on(zk)(ZkDict.document(`${root}/doc`, { value: Schema.Number, acl: only() }))
      yield* document.set("a", 1)
      for (const path of ["dict", "dict/a", "dict/b", "dict/c", "dict/d", "doc"]) {
        assert.deepStrictEqual((yield* zk.getAcl(`${root}/${path}`)).acl, only())
        yield* failsWith(other.getData(`${root}/${path}`), "NoAuth")
      }
      yield* failsWith(numbers(other, `${root}/dict`), "NoAuth")
      yield* failsWith(on(other)(ZkDict.document(`${root}/doc`, { value: Schema.Number })), "NoAuth")
      const open = yield* numbers(zk, `${root}/open`)
      yield* open.set("a", 1)
      assert.deepStrictEqual((yield* other.getAcl(`${root}/open/a`)).acl, ZkAcl.openAcl)
    }))

  it.live("to read are enough for who only reads; writes say what is missing [DICT-READER]", () =>
    Effect.gen(function*() {
      const { other, root, zk } = yield* pair
      yield* asUser(zk)
      const acl = only(ZkAcl.Perms.read)
      yield* zk.create(`${root}/app`, null, { acl })
      const writer = yield* numbers(zk, `${root}/app/dict`, { acl })
      yield* writer.set("a", 1)
      const reader = yield* numbers(other, `${root}/app/dict`)
      assert.strictEqual(yield* reader.get("a"), 1)
      yield* writer.set("a", 2)
      yield* reader.sync
      assert.strictEqual(yield* reader.get("a"), 2)
      const writes: ReadonlyArray<Effect.Effect<unknown, { readonly _tag: string }>> = [
        reader.set("a", 3),
        reader.set("b", 3),
        reader.remove("a"),
        reader.pop("a"),
        reader.getOrSet("b", 3),
        reader.update("a", () => 3),
        reader.transact(({ set }) => set("a", 3)),
        reader.clear
      ]
      for (const write of writes) yield* failsWith(write, "NoAuth")
      assert.strictEqual(yield* reader.getOrSet("a", 3), 2)
      assert.deepStrictEqual(yield* writer.entries, [["a", 2]])
      // What is not there cannot be made.
      yield* failsWith(numbers(other, `${root}/app/new`), "NoAuth")
    }))

  it.live("that a key lacks are a failure of that key [DICT-UNREADABLE]", () =>
    Effect.gen(function*() {
      const { other, root, zk } = yield* pair
      yield* asUser(zk)
      yield* zk.create(`${root}/secret`, "1", { acl: only() })
      yield* zk.create(`${root}/open`, "2")
      const dict = yield* numbers(other, root)
      assert.deepStrictEqual(yield* dict.keys, ["open", "secret"])
      assert.strictEqual(yield* dict.size, 2)
      assert.isTrue(yield* dict.has("secret"))
      const error = yield* failsWith(dict.get("secret"), "NoAuth")
      assert.strictEqual(error.path, `${root}/secret`)
      yield* failsWith(dict.getOption("secret"), "NoAuth")
      yield* failsWith(dict.transact(({ get }) => get("secret")), "NoAuth")
      assert.deepStrictEqual(yield* dict.entries, [["open", 2]])
      assert.deepStrictEqual([...(yield* dict.invalid)].map(([key, { _tag }]) => [key, _tag]), [["secret", "NoAuth"]])
      yield* zk.setAcl(`${root}/secret`, ZkAcl.openAcl)
      yield* dict.sync
      assert.strictEqual(yield* dict.get("secret"), 1)
      assert.strictEqual((yield* dict.invalid).size, 0)
    }))

  it.live("that the root has lost are a failure of all reads, until it has them again [DICT-UNREADABLE]", () =>
    Effect.gen(function*() {
      const { other, proxy, root, zk } = yield* proxiedPair()
      yield* asUser(other)
      const dict = yield* numbers(zk, root)
      const document = yield* on(zk)(ZkDict.document(`${root}/doc`, { value: Schema.Number }))
      yield* dict.set("a", 1)
      yield* document.set("a", 1)
      for (const path of [root, `${root}/doc`]) yield* other.setAcl(path, only())
      for (const each of [dict, document]) {
        yield* reconnect(proxy, each)
        const reads: ReadonlyArray<Effect.Effect<unknown, { readonly _tag: string }>> = [
          each.get("a"),
          each.getOrElse("a", () => 0),
          each.has("b"),
          each.size,
          each.keys,
          each.values,
          each.snapshot,
          each.invalid
        ]
        for (const read of reads) yield* failsWith(read, "NoAuth")
        yield* failsWith(each.get(5 as never), "InvalidDictKey")
      }
      yield* failsWith(document.set("a", 2), "NoAuth")
      for (const path of [root, `${root}/doc`]) yield* other.setAcl(path, ZkAcl.openAcl)
      for (const each of [dict, document]) {
        yield* each.sync
        assert.strictEqual(yield* each.get("a"), 1)
      }
    }))
})

describe("what is larger than maxResponseSize", () => {
  it.live("is a failure of that key, and the others go on [DICT-LARGE]", () =>
    Effect.gen(function*() {
      const { other, root, zk } = yield* proxiedPair({ maxResponseSize: 10_000 })
      yield* other.create(`${root}/large`, JSON.stringify("x".repeat(20_000)))
      yield* other.create(`${root}/small`, `"s"`)
      const dict = yield* on(zk)(ZkDict.make(root, { value: Schema.String }))
      assert.deepStrictEqual(yield* dict.keys, ["large", "small"])
      const error = yield* failsWith(dict.get("large"), "ResponseTooLarge")
      assert.strictEqual(error.limit, 10_000)
      assert.isTrue(yield* dict.has("large"))
      assert.deepStrictEqual(yield* dict.entries, [["small", "s"]])
      assert.deepStrictEqual([...(yield* dict.invalid).keys()], ["large"])
      yield* dict.set("small", "t")
      assert.strictEqual(yield* dict.get("small"), "t")
      yield* dict.set("large", "no more")
      assert.strictEqual(yield* dict.get("large"), "no more")
    }))

  it.live("is a failure of all reads when it is a root or a document [DICT-LARGE]", () =>
    Effect.gen(function*() {
      const { other, root, zk } = yield* proxiedPair({ maxResponseSize: 10_000 })
      const document = yield* on(zk)(ZkDict.document(`${root}/doc`, { value: Schema.String }))
      yield* document.set("a", "1")
      yield* other.setData(`${root}/doc`, JSON.stringify({ a: "x".repeat(20_000) }))
      yield* document.freshnessChanges.pipe(Stream.filter(({ _tag }) => _tag === "Stale"), Stream.runHead)
      yield* Effect.ignore(document.sync)
      yield* failsWith(document.get("a"), "ResponseTooLarge")
      yield* failsWith(document.keys, "ResponseTooLarge")
      // Names that take more than the limit.
      const names = Array.from({ length: 60 }, (_, i) => `${i}`.padEnd(200, "x"))
      yield* Effect.forEach(names, (name) => other.create(`${root}/${name}`, `"1"`), { concurrency: 20, discard: true })
      yield* failsWith(on(zk)(ZkDict.make(root, { value: Schema.String })), "ResponseTooLarge")
    }))
})

describe("a dictionary without a connection", () => {
  it.live("gives what it knows at once, unless that may not be old; writes end in time [M40] [M42] [M57] [DICT-DOWN]", () =>
    Effect.gen(function*() {
      const { other, proxy, root, zk } = yield* proxiedPair({ requestTimeout: "1 second" })
      const dict = yield* numbers(zk, root)
      const strict = yield* on(zk)(ZkDict.make(root, { value: Schema.Number, maxStaleness: 0 }))
      const patient = yield* on(zk)(ZkDict.make(root, { value: Schema.Number, maxStaleness: "1 hour" }))
      const endless = yield* on(zk)(ZkDict.make(root, { value: Schema.Number, maxStaleness: Duration.infinity }))
      const document = yield* on(zk)(ZkDict.document(`${root}/doc`, { value: Schema.Number, maxStaleness: 0 }))
      yield* dict.set("a", 1)
      yield* document.set("a", 1)
      for (const each of [strict, patient, endless, document]) {
        yield* each.sync
        assert.strictEqual(yield* each.get("a"), 1)
      }
      const freshness = yield* record(Stream.map(dict.freshnessChanges, ({ _tag }) => _tag))
      yield* proxy.setAccept("refuse")
      yield* proxy.cutAll
      yield* becomes(dict, "Stale")
      yield* other.setData(`${root}/a`, "2")
      for (const each of [dict, patient, endless]) assert.strictEqual(yield* each.get("a"), 1)
      assert.strictEqual((yield* dict.freshness)._tag, "Stale")
      for (const each of [strict, document]) {
        const error = yield* failsWith(each.get("a"), "TooStale")
        assert.strictEqual(error.path, each.path)
        yield* failsWith(each.has("a"), "TooStale")
        yield* failsWith(each.snapshot, "TooStale")
        yield* failsWith(each.size, "TooStale")
        yield* failsWith(each.invalid, "TooStale")
      }
      yield* failsWith(strict.get(""), "InvalidDictKey")
      const writes: ReadonlyArray<Effect.Effect<unknown, unknown>> = [
        dict.set("a", 3),
        dict.setAll([["a", 3], ["b", 3]]),
        dict.remove("a"),
        dict.pop("a"),
        dict.getOrSet("a", 3),
        dict.update("a", () => 3),
        dict.transact(({ set }) => set("a", 3)),
        dict.clear,
        dict.sync,
        document.set("a", 3),
        document.pop("a")
      ]
      const before = performance.now()
      const ends = yield* Effect.forEach(writes, Effect.exit, { concurrency: "unbounded" })
      assert.isBelow(performance.now() - before, 5_000)
      for (const [index, end] of ends.entries()) {
        const error = Exit.isFailure(end) ? Option.getOrUndefined(Cause.findErrorOption(end.cause)) : undefined
        assert.match(
          String((error as { readonly _tag: string } | undefined)?._tag),
          /OperationTimeout|ConnectionLoss/,
          `${index}`
        )
      }
      yield* proxy.setAccept("accept")
      yield* becomes(dict, "Live")
      yield* becomes(strict, "Live")
      yield* strict.sync
      assert.strictEqual(yield* strict.get("a"), 2)
      yield* dict.sync
      assert.strictEqual(yield* dict.get("a"), 2)
      yield* freshness.until("Live", (values) => values.length >= 3)
      assert.deepStrictEqual(freshness.values.slice(0, 3), ["Live", "Stale", "Live"])
    }))

  it.effect("fails to be read when the limit is over, and not before [M40] [M42]", () =>
    Effect.gen(function*() {
      const fake = yield* makeFakeServer
      const wire = makeWire(fake)
      const zk = yield* wire.client({ sessionTimeout: "60 seconds" })
      yield* fake.on("getData", () => err(-101))
      yield* fake.on("exists", () => err(-101))
      const making = yield* Effect.forkChild(
        on(zk)(ZkDict.make("/a", { value: Schema.Number, maxStaleness: "5 seconds", createRoot: false })),
        { startImmediately: true }
      )
      yield* settle
      const dict = yield* Fiber.join(making)
      yield* failsWith(dict.get("x"), "KeyNotFound")
      wire.dead.add("zk:2181")
      yield* (yield* fake.current).close
      yield* settle
      assert.strictEqual((yield* dict.freshness)._tag, "Stale")
      yield* pass(4_950)
      yield* failsWith(dict.get("x"), "KeyNotFound")
      yield* pass(50)
      yield* failsWith(dict.get("x"), "TooStale")
      wire.dead.clear()
      yield* pass(5_000)
      assert.strictEqual((yield* dict.freshness)._tag, "Live")
      yield* failsWith(dict.get("x"), "KeyNotFound")
    }))

  it.live("cannot be made with a limit that is no time [M42]", () =>
    Effect.gen(function*() {
      const { root, zk } = yield* pair
      for (const maxStaleness of [-5, "-5 seconds", "soon"] as const) {
        const options = { value: Schema.Number, maxStaleness: maxStaleness as never }
        yield* failsWith(on(zk)(ZkDict.make(root, options)), "InvalidInput")
        yield* failsWith(on(zk)(ZkDict.document(root, options)), "InvalidInput")
      }
    }))
})
