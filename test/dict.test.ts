/** What all dictionaries do, whatever they are kept in. */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type * as ZkDict from "../src/ZkDict.ts"
import { kinds } from "./support/dictionaries.ts"
import { failsWith } from "./support/failsWith.ts"
import { record } from "./support/watching.ts"

const showChange = (change: ZkDict.Change<string, number>): string => {
  const show = (value: Result.Result<number, unknown>) => Result.isSuccess(value) ? `${value.success}` : "!"
  switch (change._tag) {
    case "Added":
      return `+${change.key}=${show(change.value)}`
    case "Changed":
      return `${change.key}=${show(change.previous)}->${show(change.value)}`
    case "Removed":
      return `-${change.key}=${show(change.previous)}`
  }
}

const Even = Schema.Number.pipe(Schema.check(Schema.makeFilter((n: number) => n % 2 === 0)))

describe.each(kinds)("a dictionary: $name", ({ isManual, isShared, name, place }) => {
  it.live("gives what it was given, and takes it back [M1] [M11] [M15] [M18] [M7] [M56] [DICT-01]", () =>
    Effect.gen(function*() {
      const { mine } = yield* place
      const config = yield* mine(Schema.Union([Schema.Number, Schema.String]))
      yield* config.set("exchange_rate", 25)
      yield* config.set("language", "en")
      yield* config.set("language", "en-US")
      assert.strictEqual(yield* config.get("exchange_rate"), 25)
      assert.deepStrictEqual(yield* config.getOption("language"), Option.some("en-US"))
      assert.strictEqual(yield* config.pop("exchange_rate"), 25)
      const error = yield* failsWith(config.get("exchange_rate"), "KeyNotFound")
      assert.strictEqual(error.key, "exchange_rate")
      assert.strictEqual(error.path, config.path)
      assert.include(error.message, `"exchange_rate"`)
      assert.deepStrictEqual(yield* config.getOption("exchange_rate"), Option.none())
      assert.strictEqual(yield* config.get("language"), "en-US")
    }))

  it.live("has no values but those that were set: defaults are not kept [M16] [M18] [M19]", () =>
    Effect.gen(function*() {
      const { mine } = yield* place
      const dict = yield* mine(Schema.Number)
      for (const orElse of [0, false, "", null, undefined, 25]) {
        assert.strictEqual(yield* dict.getOrElse("x", () => orElse), orElse)
        assert.strictEqual(yield* dict.popOrElse("x", () => orElse), orElse)
      }
      assert.deepStrictEqual(yield* dict.popOption("x"), Option.none())
      assert.strictEqual((yield* failsWith(dict.pop("x"), "KeyNotFound")).key, "x")
      assert.strictEqual(yield* dict.size, 0)
      yield* dict.set("x", 0)
      assert.strictEqual(yield* dict.getOrElse("x", () => 1), 0)
      assert.strictEqual(yield* dict.popOrElse("x", () => 1), 0)
      assert.isFalse(yield* dict.has("x"))
    }))

  it.live("tells whether there was something to remove [M17]", () =>
    Effect.gen(function*() {
      const { mine } = yield* place
      const dict = yield* mine(Schema.Number)
      assert.isFalse(yield* dict.remove("x"))
      yield* dict.set("x", 1)
      assert.isTrue(yield* dict.remove("x"))
      assert.isFalse(yield* dict.remove("x"))
      assert.isFalse(yield* dict.has("x"))
    }))

  it.live("shows the same in all ways, in the order of its keys [M46] [M48] [M23]", () =>
    Effect.gen(function*() {
      const { mine } = yield* place
      const dict = yield* mine(Schema.Number)
      assert.deepStrictEqual([yield* dict.size, yield* dict.keys, yield* dict.entries], [0, [], []])
      for (const [index, key] of ["b", "š☃", "a", "10", "9"].entries()) yield* dict.set(key, index)
      const keys = ["10", "9", "a", "b"]
      assert.deepStrictEqual((yield* dict.keys).filter((key) => key !== "š☃"), keys)
      const snapshot = yield* dict.snapshot
      const entries = yield* dict.entries
      assert.deepStrictEqual([...snapshot], entries)
      assert.deepStrictEqual(entries.map(([key]) => key), yield* dict.keys)
      assert.deepStrictEqual(entries.map(([, value]) => value), yield* dict.values)
      assert.strictEqual(yield* dict.size, 5)
      for (const [key, value] of entries) {
        assert.isTrue(yield* dict.has(key))
        assert.strictEqual(yield* dict.get(key), value)
      }
      assert.isTrue(Equal.equals(snapshot, new Map([["š☃", 1], ["a", 2], ["b", 0], ["10", 3], ["9", 4]])))
      assert.strictEqual((yield* dict.invalid).size, 0)
      // What was given out stays as it was.
      yield* dict.set("a", 9)
      assert.strictEqual(snapshot.get("a"), 2)
    }))

  it.live("sets many keys, and removes all [M47]", () =>
    Effect.gen(function*() {
      const { mine } = yield* place
      const dict = yield* mine(Schema.Number)
      const all = Array.from({ length: 200 }, (_, i) => [`k${i}`, i] as const)
      yield* dict.setAll([])
      yield* dict.setAll(new Map([["k0", -1], ["k1", -1]]))
      yield* dict.setAll([...all, ["k0", 1], ["k0", 2]])
      assert.deepStrictEqual(
        yield* dict.snapshot,
        new Map([...(yield* dict.keys)].map((key) => [
          key,
          key === "k0" ? 2 : Number(key.slice(1))
        ]))
      )
      assert.strictEqual(yield* dict.size, 200)
      yield* dict.clear
      assert.strictEqual(yield* dict.size, 0)
      yield* dict.clear
    }))

  it.live("writes nothing at all when something cannot be written [DICT-03]", () =>
    Effect.gen(function*() {
      const { mine } = yield* place
      const dict = yield* mine(Even)
      yield* dict.set("a", 2)
      const error = yield* failsWith(dict.set("b", 7_777_777), "ValueEncodeError")
      assert.notInclude(JSON.stringify(error) + String(error), "7777777")
      yield* failsWith(dict.setAll([["a", 4], ["b", 4], ["c", 5]]), "ValueEncodeError")
      yield* failsWith(dict.getOrSet("b", 5), "ValueEncodeError")
      yield* failsWith(dict.update("a", (a) => a + 1), "ValueEncodeError")
      yield* failsWith(dict.transact(({ set }) => Effect.andThen(set("a", 4), set("b", 5))), "ValueEncodeError")
      assert.deepStrictEqual(yield* dict.snapshot, new Map([["a", 2]]))
    }))

  it.live("keeps values of any shape [M50] [DICT-01]", () =>
    Effect.gen(function*() {
      const { mine } = yield* place
      const Limits = Schema.Struct({
        since: Schema.Date,
        hosts: Schema.Array(Schema.Tuple([Schema.String, Schema.BigInt])),
        secret: Schema.Uint8Array,
        note: Schema.NullOr(Schema.String)
      })
      const dict = yield* mine(Limits)
      const value = {
        since: new Date(5),
        hosts: [["☃ \ud83d", 2n ** 70n]] as const,
        secret: Uint8Array.of(0, 255),
        note: null
      }
      yield* dict.set("a", value)
      assert.deepStrictEqual(yield* dict.get("a"), value)
      assert.deepStrictEqual(yield* dict.pop("a"), value)
    }))

  it.live("gives values of which each is one's own [M49]", () =>
    Effect.gen(function*() {
      const { mine } = yield* place
      const dict = yield* mine(Schema.mutable(Schema.Array(Schema.Number)))
      const given = [1]
      yield* dict.set("a", given)
      given.push(2)
      const first = yield* dict.get("a")
      first.push(3)
      const [[, second] = []] = yield* dict.entries
      second?.push(4)
      assert.deepStrictEqual(yield* dict.get("a"), [1])
    }))

  it.live("gives the value that there is, or sets it [DICT-GETORSET]", () =>
    Effect.gen(function*() {
      const { mine } = yield* place
      const dict = yield* mine(Schema.Number)
      assert.strictEqual(yield* dict.getOrSet("a", 1), 1)
      assert.strictEqual(yield* dict.get("a"), 1)
      assert.strictEqual(yield* dict.getOrSet("a", 2), 1)
      assert.strictEqual(yield* dict.get("a"), 1)
    }))

  it.live("replaces values by what is made of them [DICT-UPDATE]", () =>
    Effect.gen(function*() {
      const { mine } = yield* place
      const dict = yield* mine(Schema.Number)
      let calls = 0
      assert.strictEqual((yield* failsWith(dict.update("a", () => ++calls), "KeyNotFound")).key, "a")
      assert.strictEqual(calls, 0)
      yield* dict.set("a", 1)
      assert.strictEqual(yield* dict.update("a", (a) => a + 1), 2)
      assert.strictEqual(yield* dict.get("a"), 2)
      assert.strictEqual(yield* dict.update("a", (a) => Effect.succeed(a + 1)), 3)
      yield* failsWith(dict.update("a", () => Effect.fail({ _tag: "Mine" as const })), "Mine")
      assert.strictEqual(yield* dict.get("a"), 3)
    }))

  it.live("counts changes, by one for each [M27] [M28] [M29]", () =>
    Effect.gen(function*() {
      const { mine } = yield* place
      const dict = yield* mine(Schema.Number)
      assert.strictEqual(yield* dict.revision, 0n)
      for (let i = 0; i < 20; i++) yield* dict.set(`k${i}`, i)
      assert.strictEqual(yield* dict.revision, 20n)
      yield* dict.set("k0", 5)
      yield* dict.update("k0", (value) => value + 1)
      assert.strictEqual(yield* dict.revision, 22n)
      yield* dict.remove("k0")
      yield* dict.pop("k1")
      assert.strictEqual(yield* dict.revision, 24n)
      yield* dict.get("k2")
      yield* dict.getOrSet("k2", 5)
      yield* dict.remove("k0")
      yield* dict.sync
      assert.strictEqual(yield* dict.revision, 24n)
    }))

  it.live("tells what is there, then what becomes of it [M27]", () =>
    Effect.gen(function*() {
      const { mine } = yield* place
      const dict = yield* mine(Schema.Number)
      yield* dict.setAll([["a", 1], ["b", 2]])
      const { until, values } = yield* record(Stream.map(dict.changes, showChange))
      const comes = (change: string) => until(change, (values) => values.at(-1) === change)
      yield* until("what is there", (values) => values.length === 2)
      assert.sameMembers([...values], ["+a=1", "+b=2"])
      yield* dict.set("c", 3)
      yield* comes("+c=3")
      yield* dict.set("a", 4)
      yield* comes("a=1->4")
      yield* dict.remove("b")
      yield* comes("-b=2")
      assert.strictEqual(yield* dict.pop("a"), 4)
      yield* comes("-a=4")
      assert.strictEqual(values.length, 6)
      // Each reader begins with what is there.
      const [first] = yield* Stream.runCollect(Stream.take(dict.changes, 1))
      assert.strictEqual(showChange(first!), "+c=3")
    }))

  it.live("tells a slow reader what each key has come to [M30]", () =>
    Effect.gen(function*() {
      const { mine } = yield* place
      const dict = yield* mine(Schema.Number)
      yield* dict.set("a", 0)
      const isBusy = yield* Deferred.make<void>()
      const goOn = yield* Deferred.make<void>()
      const { until, values } = yield* record(Stream.mapEffect(dict.changes, (change) =>
        Deferred.succeed(isBusy, undefined).pipe(
          Effect.andThen(Deferred.await(goOn)),
          Effect.as(showChange(change))
        )))
      yield* Deferred.await(isBusy)
      for (let i = 1; i <= 5; i++) {
        yield* dict.set("a", i)
      }
      yield* dict.set("b", 1)
      yield* dict.remove("b")
      yield* dict.set("end", 1)
      yield* Deferred.succeed(goOn, undefined)
      yield* until("the end", (values) =>
        values.includes("+end=1"))
      assert.deepStrictEqual(values.slice(), ["+a=0", "a=0->5", "+end=1"])
    }))

  it.live("changes several keys at once, or none [DICT-TRANSACT]", () =>
    Effect.gen(function*() {
      const { mine } = yield* place
      const dict = yield* mine(Schema.Number)
      yield* dict.setAll([["a", 10], ["b", 1], ["old", 5]])
      const sum = yield* dict.transact(Effect.fnUntraced(function*({ get, remove, set }) {
        const a = Option.getOrThrow(yield* get("a"))
        const b = Option.getOrThrow(yield* get("b"))
        assert.deepStrictEqual(yield* get("new"), Option.none())
        yield* set("a", a - 3)
        yield* set("b", b + 3)
        yield* set("new", 1)
        yield* remove("old")
        // It sees what it has written, and nobody else does.
        assert.deepStrictEqual([yield* get("a"), yield* get("new")], [Option.some(7), Option.some(1)])
        assert.deepStrictEqual(yield* get("old"), Option.none())
        yield* set("new", 2)
        assert.deepStrictEqual(yield* get("new"), Option.some(2))
        assert.strictEqual(yield* dict.get("a"), 10)
        return a + b
      }))
      assert.strictEqual(sum, 11)
      assert.deepStrictEqual(yield* dict.snapshot, new Map([["a", 7], ["b", 4], ["new", 2]]))
      // Written and taken back is not written.
      yield* dict.transact(({ remove, set }) => Effect.andThen(set("x", 1), remove("x")))
      assert.isFalse(yield* dict.has("x"))
      yield* dict.transact(() => Effect.void)
      yield* failsWith(
        dict.transact(({ remove, set }) =>
          set("a", 0).pipe(
            Effect.andThen(remove("b")),
            Effect.andThen(Effect.fail({ _tag: "Mine" as const }))
          )
        ),
        "Mine"
      )
      assert.deepStrictEqual(yield* dict.snapshot, new Map([["a", 7], ["b", 4], ["new", 2]]))
    }))

  it.live("runs a transaction again when others were faster, 100 times at most [DICT-TRANSACT]", () =>
    Effect.gen(function*() {
      const { mine } = yield* place
      const dict = yield* mine(Schema.Number)
      yield* dict.set("a", 0)
      const meddling = (times: number, key: string, from = 0) => {
        let runs = 0
        return dict.transact(({ get, set }) =>
          Effect.gen(function*() {
            const before = yield* get(key)
            if (++runs <= times) yield* dict.set(key, runs)
            yield* set("result", from + 100 * runs + Option.getOrElse(before, () => 0))
          })
        )
      }
      yield* meddling(3, "a")
      assert.strictEqual(yield* dict.get("result"), 403)
      // That a key is missing is a thing that is read.
      yield* meddling(1, "b")
      assert.strictEqual(yield* dict.get("result"), 201)
      // That takes a while.
      if (!["nodes, live", "document, live", "memory, live"].includes(name)) return
      const error = yield* failsWith(meddling(Infinity, "a", 10_000), "WriteConflict")
      assert.strictEqual(error.tries, 100)
      assert.strictEqual(yield* dict.get("a"), 100)
      assert.strictEqual(yield* dict.get("result"), 201)
    }))

  it.live("takes writes of many at once, and applies those of one key in order [DICT-ORDER]", () =>
    Effect.gen(function*() {
      const { mine } = yield* place
      const dict = yield* mine(Schema.Number)
      yield* Effect.forEach(
        Array.from({ length: 100 }, (_, i) => i),
        (i) => Effect.andThen(dict.set("same", i), dict.set(`k${i}`, i)),
        { concurrency: "unbounded", discard: true }
      )
      assert.strictEqual(yield* dict.size, 101)
      assert.strictEqual(yield* dict.get("same"), 99)
    }))

  it.live("refuses what cannot be a key everywhere [M33]", () =>
    Effect.gen(function*() {
      const { mine } = yield* place
      const dict = yield* mine(Schema.Number)
      const key = 5 as never
      const uses: ReadonlyArray<Effect.Effect<unknown, { readonly _tag: string }>> = [
        dict.get(key),
        dict.getOption(key),
        dict.getOrElse(key, () => 0),
        dict.has(key),
        dict.set(key, 1),
        dict.setAll([["fine", 1], [key, 1]]),
        dict.remove(key),
        dict.pop(key),
        dict.popOption(key),
        dict.popOrElse(key, () => 0),
        dict.getOrSet(key, 1),
        dict.update(key, (value) => value),
        dict.transact(({ get }) => get(key)),
        dict.transact(({ set }) => Effect.andThen(set("fine", 1), set(key, 1))),
        dict.transact(({ remove, set }) => Effect.andThen(set("fine", 1), remove(key)))
      ]
      for (const use of uses) yield* failsWith(use, "InvalidDictKey")
      assert.strictEqual(yield* dict.size, 0)
    }))

  describe.runIf(isShared)("and others", () => {
    it.live("see each other's changes, and count the same [M53] [M9] [M7] [M29] [DICT-02] [DICT-04]", () =>
      Effect.gen(function*() {
        const { mine, theirs } = yield* place
        const other = yield* theirs(Schema.Number)
        yield* other.setAll([["a", 1], ["b", 2], ["c", 3]])
        // What is there is known from the beginning.
        const dict = yield* mine(Schema.Number)
        assert.strictEqual(yield* dict.size, 3)
        assert.strictEqual(yield* dict.revision, 3n)
        const changes = yield* record(Stream.map(dict.changes, showChange))
        yield* changes.until("what is there", (values) => values.length === 3)
        yield* other.set("a", 5)
        yield* other.remove("b")
        yield* other.set("d", 4)
        yield* changes.until("the changes", (values) => values.length === 6)
        assert.deepStrictEqual(changes.values.slice(3), ["a=1->5", "-b=2", "+d=4"])
        if (isManual) assert.deepStrictEqual(yield* dict.snapshot, new Map([["a", 1], ["b", 2], ["c", 3]]))
        yield* dict.sync
        assert.deepStrictEqual(yield* dict.snapshot, new Map([["a", 5], ["c", 3], ["d", 4]]))
        assert.strictEqual(yield* dict.revision, 6n)
        assert.strictEqual(yield* other.revision, 6n)
        // With what we write ourselves we see what others wrote.
        yield* other.set("e", 6)
        yield* dict.sync
        yield* dict.set("f", 7)
        assert.deepStrictEqual(yield* dict.snapshot, new Map([["a", 5], ["c", 3], ["d", 4], ["e", 6], ["f", 7]]))
        yield* other.sync
        assert.deepStrictEqual(yield* other.snapshot, yield* dict.snapshot)
        yield* dict.clear
        yield* other.sync
        assert.strictEqual(yield* other.size, 0)
      }))

    it.live("see all of a transaction, or nothing [DICT-TRANSACT]", () =>
      Effect.gen(function*() {
        const { mine, theirs } = yield* place
        const dict = yield* mine(Schema.Number)
        const other = yield* theirs(Schema.Number)
        yield* dict.setAll([["a", 50], ["b", 50]])
        yield* other.sync
        const move = (dict: Pick<typeof other, "transact">, amount: number) =>
          dict.transact(({ get, set }) =>
            Effect.gen(function*() {
              const a = Option.getOrThrow(yield* get("a"))
              const b = Option.getOrThrow(yield* get("b"))
              yield* set("a", a - amount)
              yield* set("b", b + amount)
              return a + b
            })
          )
        yield* Effect.forEach(
          Array.from({ length: 20 }, (_, i) => i),
          (i) => Effect.map(move(i % 2 === 0 ? dict : other, i), (sum) => assert.strictEqual(sum, 100)),
          { concurrency: 4, discard: true }
        )
        yield* dict.sync
        const moved = (20 * 19) / 2
        assert.deepStrictEqual(yield* dict.snapshot, new Map([["a", 50 - moved], ["b", 50 + moved]]))
      }))

    it.live("read their own writes, without waiting [M41]", () =>
      Effect.gen(function*() {
        const { mine, theirs } = yield* place
        const dict = yield* mine(Schema.Number)
        const other = yield* theirs(Schema.Number)
        let theirWrites = 0
        yield* Effect.forkScoped(
          Effect.forever(Effect.suspend(() => other.set(`other${theirWrites++ % 10}`, theirWrites))),
          { startImmediately: true }
        )
        for (let i = 0; i < 200; i++) {
          yield* dict.set("mine", i)
          assert.strictEqual(yield* dict.get("mine"), i)
        }
        assert.isAbove(theirWrites, 20)
      }))
  })
})
