/** Dictionaries through lost connections, ended sessions, silent servers and sizes beyond all limits. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as ZkClient from "../src/ZkClient.ts"
import * as ZkTransaction from "../src/ZkTransaction.ts"
import { dictOf, documentOf, json, type Texts } from "./support/dicting.ts"
import { expireThrough } from "./support/expire.ts"
import { failsWith } from "./support/failsWith.ts"
import { heapUsed } from "./support/heap.ts"
import { pair, proxiedPair } from "./support/mirroring.ts"
import { makeProxy } from "./support/proxy.ts"
import { makeServer } from "./support/server.ts"
import { shared } from "./support/shared.ts"
import { patience } from "./support/wait.ts"
import { countWatches, newSession, sessionOf } from "./support/watching.ts"

const becomesLive = (dict: Texts) => Effect.andThen(Effect.retry(dict.sync, { times: 5 }), dict.snapshot)

describe("a dictionary", () => {
  it.live(
    "shows what there is, after any number of lost connections and ended sessions [X2] [DICT-CHURN]",
    () =>
      Effect.gen(function*() {
        const { other, root } = yield* pair
        const { port } = yield* shared
        const [path, file] = [`${root}/n`, `${root}/d`]
        const theirs: ReadonlyArray<Texts> = [yield* dictOf(other, path), yield* documentOf(other, file)]
        let seed = 20_261
        const random = (bound: number) => {
          seed = (seed * 48_271) % 2_147_483_647
          return seed % bound
        }
        let done = 0
        const churn = Effect.forever(Effect.suspend(() => {
          const dict = theirs[random(2)]!
          const key = `k${random(20)}`
          done++
          return Effect.asVoid<unknown, unknown, never>(random(3) === 0 ? dict.remove(key) : dict.set(key, `v${done}`))
        }))
        // A client that loses its connection too often takes its time: better several, each now and then.
        const followers = yield* Effect.forEach(Array.from({ length: 8 }), (_, who) =>
          Effect.gen(function*() {
            const proxy = yield* makeProxy(port)
            const zk = yield* ZkClient.make({ hosts: proxy.connectString })
            const dicts: ReadonlyArray<Texts> = [yield* dictOf(zk, path), yield* documentOf(zk, file)]
            const faults = Effect.gen(function*() {
              for (let i = 0; i < 5; i++) {
                yield* Effect.retry(zk.sync(), { times: 5 })
                if ((i + who) % 4 === 3) {
                  const session = yield* sessionOf(zk)
                  yield* expireThrough(proxy, port)
                  yield* newSession(zk, session)
                } else {
                  yield* proxy.cutAll
                }
              }
              assert.isAbove((yield* proxy.stats()).connections, 5)
            })
            return { dicts, faults }
          }))
        const all = Effect.forEach(followers, ({ faults }) => faults, { concurrency: "unbounded", discard: true })
        yield* Effect.raceFirst(all, churn)
        assert.isAbove(done, 200)
        for (const [i, dict] of theirs.entries()) {
          yield* dict.sync
          const expected = [...yield* dict.snapshot]
          assert.isAbove(expected.length, 5)
          for (const { dicts } of followers) assert.deepStrictEqual([...yield* becomesLive(dicts[i]!)], expected)
        }
      }),
    60_000
  )

  it.live("notices a key that was replaced by one of the same version meanwhile [X3]", () =>
    Effect.gen(function*() {
      const { other, proxy, root, zk } = yield* proxiedPair()
      const dict: Texts = yield* dictOf(zk, root)
      yield* dict.set("k", "before")
      yield* proxy.setAccept("refuse")
      yield* proxy.cutAll
      const path = `${root}/k`
      yield* other.multi([ZkTransaction.delete(path), ZkTransaction.create(path, json("after"))])
      assert.strictEqual((yield* other.getData(path)).stat.version, 0)
      assert.strictEqual(yield* dict.get("k"), "before")
      yield* proxy.setAccept("accept")
      assert.deepStrictEqual([...(yield* becomesLive(dict)).values()], ["after"])
    }))

  it.live("shows each write as soon as it is done, while others write [M41]", () =>
    Effect.gen(function*() {
      const { other, root, zk } = yield* pair
      const dict = yield* dictOf(zk, root)
      const theirs = yield* dictOf(other, root)
      let others = 0
      const noise = Effect.forever(Effect.suspend(() => theirs.set(`noise${others++ % 10}`, String(others))))
      const loop = (key: string) =>
        Effect.gen(function*() {
          for (let i = 0; i < 1_000; i++) {
            yield* dict.set(key, String(i))
            assert.strictEqual(yield* dict.get(key), String(i))
          }
        })
      yield* Effect.raceFirst(
        Effect.forEach(Array.from({ length: 10 }), (_, i) => loop(`k${i}`), { concurrency: "unbounded" }),
        noise
      )
      assert.isAbove(others, 100)
    }), 60_000)
})

const writes: Record<string, (dict: Texts) => Effect.Effect<unknown, { readonly _tag: string }>> = {
  set: (dict) => dict.set("a", "w"),
  setAll: (dict) => dict.setAll([["b", "w"], ["c", "w"]]),
  remove: (dict) => dict.remove("d"),
  pop: (dict) => dict.pop("e"),
  getOrSet: (dict) => dict.getOrSet("f", "w"),
  update: (dict) => dict.update("g", () => "w"),
  transact: (dict) => dict.transact((all) => all.set("h", "w")),
  clear: (dict) => dict.clear,
  sync: (dict) => dict.sync
}

describe("while nobody answers", () => {
  for (const how of ["refused", "silent", "silent for all that is sent"] as const) {
    it.live(`whoever gives up gets away at once: ${how} [X5]`, () =>
      Effect.gen(function*() {
        const { proxy, root, zk } = yield* proxiedPair({ closeTimeout: "100 millis" })
        const dicts: ReadonlyArray<Texts> = [yield* dictOf(zk, `${root}/n`), yield* documentOf(zk, `${root}/d`)]
        for (const dict of dicts) yield* dict.setAll([..."abcdefgh"].map((key) => [key, "v"]))
        yield* proxy.setAccept(how === "refused" ? "refuse" : "silent")
        if (how === "silent") yield* proxy.freeze
        else if (how === "refused") yield* proxy.cutAll
        // The first request that changes something goes through, and nothing after it.
        else yield* proxy.rule({ kind: "reply", op: ["create", "setData", "delete", "multi"] }, "freeze")
        yield* Effect.forEach(dicts, (dict) =>
          Effect.forEach(Object.entries(writes), ([name, write]) =>
            Effect.gen(function*() {
              const begun = performance.now()
              yield* Effect.exit(Effect.timeout(write(dict), 300))
              assert.isBelow(performance.now() - begun, 1_000 * patience, name)
              // Reads ask nobody.
              yield* dict.snapshot
            }), { concurrency: "unbounded" }), { concurrency: "unbounded" })
        yield* proxy.heal
      }))
  }

  it.live("every write fails in time, and says what it knows [X5] [DICT-TIMEOUT]", () =>
    Effect.gen(function*() {
      const { other, proxy, root, zk } = yield* proxiedPair({
        requestTimeout: "200 millis",
        closeTimeout: "100 millis"
      })
      const dicts: ReadonlyArray<Texts> = [yield* dictOf(zk, `${root}/n`), yield* documentOf(zk, `${root}/d`)]
      for (const dict of dicts) yield* dict.setAll([..."abcdefgh"].map((key) => [key, "v"]))
      yield* proxy.setAccept("silent")
      yield* proxy.freeze
      const outcomes = yield* Effect.forEach(dicts, (dict) =>
        Effect.forEach(Object.entries(writes), ([name, write]) =>
          Effect.gen(function*() {
            const begun = performance.now()
            const error = yield* Effect.flip(write(dict))
            assert.isBelow(performance.now() - begun, 1_500 * patience, name)
            const { maybeApplied } = error as { readonly maybeApplied?: boolean }
            return `${name}: ${error._tag}${maybeApplied === true ? "?" : ""}`
          }), { concurrency: "unbounded" }), { concurrency: "unbounded" })
      // A document is read first, and a pop begins with its claim: nothing of theirs was sent that matters.
      const sent = ["set", "setAll", "remove"]
      assert.deepStrictEqual(outcomes, [
        Object.keys(writes).map((name) =>
          `${name}: OperationTimeout${sent.includes(name) ? "?" : ""}`
        ),
        Object.keys(writes).map((name) =>
          `${name}: OperationTimeout`
        )
      ])
      assert.lengthOf((yield* other.getChildren(`${root}/n`)).children, 8)
    }))
})

describe("a write that was applied", () => {
  it.live("says so, though the session ends before it can be seen [X1] [DICT-SEEN]", () =>
    Effect.gen(function*() {
      const { other, port, proxy, root, zk } = yield* proxiedPair()
      const { client } = yield* zk.session
      const dict: Texts = yield* dictOf(client, root)
      yield* dict.set("k", "v")
      // The answer comes, and nothing after it.
      const rule = yield* proxy.rule({ kind: "reply", op: "setData" }, {
        before: proxy.rule({ direction: "toClient", kind: "reply" }, "drop", { times: 1_000 })
      })
      const set = yield* Effect.forkChild(dict.set("k", "w"), { startImmediately: true })
      yield* rule.fired
      yield* proxy.awaitFrame({ kind: "reply", op: "setData" })
      yield* expireThrough(proxy, port)
      yield* proxy.heal
      const error = yield* failsWith(Fiber.join(set), "SessionExpired")
      assert.isTrue(error.maybeApplied)
      assert.strictEqual((yield* other.getData(`${root}/k`)).text, json("w"))
    }))
})

describe("what is too large", () => {
  it.live("fails at once as a value, and harms nobody [M44]", () =>
    Effect.gen(function*() {
      const { proxy, root, zk } = yield* proxiedPair()
      const large = "x".repeat(2_000_000)
      const session = yield* sessionOf(zk)
      for (const dict of [yield* dictOf(zk, `${root}/n`), yield* documentOf(zk, `${root}/d`)] as ReadonlyArray<Texts>) {
        yield* dict.set("k", "v")
        const begun = performance.now()
        const error = yield* failsWith(dict.set("k", large), "RequestTooLarge")
        assert.isAbove(error.size, error.limit)
        yield* failsWith(dict.setAll([["k", large]]), "RequestTooLarge")
        yield* failsWith(dict.getOrSet("new", large), "RequestTooLarge")
        yield* failsWith(dict.update("k", () => large), "RequestTooLarge")
        yield* failsWith(dict.transact((all) => all.set("k", large)), "RequestTooLarge")
        assert.isBelow(performance.now() - begun, 1_000 * patience)
        assert.deepStrictEqual([...yield* dict.snapshot], [["k", "v"]])
      }
      assert.strictEqual(yield* sessionOf(zk), session)
      assert.strictEqual((yield* proxy.stats()).connections, 1)
    }))

  it.live("are keys whose names fill an answer: reads say so, until there are fewer [M45]", () =>
    Effect.gen(function*() {
      const { other, root, zk } = yield* proxiedPair({ maxResponseSize: 20_000 })
      const dict: Texts = yield* dictOf(zk, root)
      yield* dict.set("k", "v")
      const names = Array.from({ length: 1_000 }, (_, i) => `${root}/${"n".repeat(30)}${i}`)
      yield* other.multi(names.map((name) => ZkTransaction.create(name, json("v"))))
      // What asks for the names again finds that there are too many.
      yield* failsWith(dictOf(zk, root), "ResponseTooLarge")
      yield* Effect.retry(dict.sync, { times: 3 })
      yield* failsWith(dict.get("k"), "ResponseTooLarge")
      yield* failsWith(dict.keys, "ResponseTooLarge")
      yield* other.multi(names.map((name) => ZkTransaction.delete(name)))
      yield* Effect.retry(dict.sync, { times: 3 })
      assert.strictEqual(yield* dict.get("k"), "v")
    }))
})

describe("ten thousand dictionaries that come and go", () => {
  it.live("leave no watch, and no memory [X4] [L8]", () =>
    Effect.gen(function*() {
      const server = yield* makeServer()
      const zk = yield* ZkClient.make({ hosts: server.connectString })
      yield* zk.ensurePath("/dicts")
      const one = (i: number) =>
        Effect.scoped(Effect.gen(function*() {
          const dict: Texts = i % 2 === 0
            ? yield* dictOf(zk, `/dicts/n${i % 50}`)
            : yield* documentOf(zk, `/dicts/d${i % 50}`)
          if (i % 7 === 0) yield* dict.getOrSet("k", "v")
        }))
      const round = (from: number, count: number) =>
        Effect.forEach(Array.from({ length: count }), (_, i) => one(from + i), { concurrency: 50, discard: true })
      yield* round(0, 2_000)
      const before = yield* heapUsed
      yield* round(2_000, 8_000)
      yield* Effect.repeat(zk.sync(), { times: 3 })
      assert.isBelow((yield* heapUsed) - before, 1_000_000)
      assert.strictEqual(yield* countWatches(server), 0)
      yield* Effect.scoped(Effect.gen(function*() {
        const dict = yield* dictOf(zk, "/dicts/n0")
        assert.isTrue(Option.isSome(yield* dict.getOption("k")))
        // Older servers count a persistent watch twice.
        assert.isAbove(yield* countWatches(server), 0)
      }))
      yield* zk.sync()
      assert.strictEqual(yield* countWatches(server), 0)
    }), 90_000)
})
