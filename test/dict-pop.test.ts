/** Taking values out, while others do what they like. */
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as ZkAcl from "../src/ZkAcl.ts"
import * as ZkClient from "../src/ZkClient.ts"
import * as ZkDict from "../src/ZkDict.ts"
import * as ZkTransaction from "../src/ZkTransaction.ts"
import { by, dictOf, documentOf, json, untilChildless } from "./support/dicting.ts"
import { expireThrough } from "./support/expire.ts"
import { failsWith } from "./support/failsWith.ts"
import { kazooAvailable, makeKazoo } from "./support/kazoo.ts"
import { pair, proxiedPair } from "./support/mirroring.ts"
import { makeProxy } from "./support/proxy.ts"
import { freshRoot, shared } from "./support/shared.ts"
import { patience } from "./support/wait.ts"

const count = 1_000
const keys = Array.from({ length: count }, (_, i) => `k${i}`)

describe.concurrent("two clients that pop the same keys", () => {
  it.live("get each value once [M20] [DICT-POP-01]", () =>
    Effect.gen(function*() {
      const { other, root, zk } = yield* pair
      yield* Effect.forEach(keys, (key) => zk.create(`${root}/${key}`, json(key)), { concurrency: 50, discard: true })
      const dicts = [yield* dictOf(zk, root), yield* dictOf(other, root)]
      const got = yield* Effect.forEach(
        dicts,
        (dict) => Effect.forEach(keys, (key) => Effect.result(dict.pop(key)), { concurrency: 8 }),
        { concurrency: "unbounded" }
      )
      for (const [i, key] of keys.entries()) {
        const results = got.map((results) => results[i]!)
        const values = results.flatMap((result) => result._tag === "Success" ? [result.success] : [])
        const errors = results.flatMap((result) => result._tag === "Failure" ? [result.failure._tag] : [])
        assert.deepStrictEqual([values, errors], [[key], ["KeyNotFound"]])
      }
      const shares = got.map((results) => results.filter((result) => result._tag === "Success").length)
      assert.isAbove(Math.min(...shares), 0)
      yield* untilChildless(zk, root)
    }), 60_000)

  it.live("give one key to one of a hundred who want it at once [M20] [DICT-POP-14]", () =>
    Effect.gen(function*() {
      const { other, root, zk } = yield* pair
      const { zk: third } = yield* pair
      const dicts = yield* Effect.forEach([zk, other, third], (client) => dictOf(client, root))
      const wanting = Array.from({ length: 120 }, (_, i) => dicts[i % 3]!)
      for (let round = 0; round < 5; round++) {
        yield* dicts[0]!.set("k", `v${round}`)
        const got = yield* Effect.forEach(wanting, (dict) => dict.popOption("k"), { concurrency: "unbounded" })
        assert.deepStrictEqual(got.flatMap(Option.toArray), [`v${round}`])
      }
      yield* untilChildless(zk, root)
    }), 60_000)

  it.live("get each value once, also from a document [M20] [DICT-POP-01]", () =>
    Effect.gen(function*() {
      const { other, root, zk } = yield* pair
      const few = keys.slice(0, 100)
      const dicts = [yield* documentOf(zk, `${root}/d`), yield* documentOf(other, `${root}/d`)]
      yield* dicts[0]!.setAll(few.map((key) => [key, key]))
      const got = yield* Effect.forEach(
        dicts,
        (dict) => Effect.forEach(few, (key) => dict.popOption(key)),
        { concurrency: "unbounded" }
      )
      for (const [i, key] of few.entries()) {
        assert.deepStrictEqual(got.flatMap((values) => Option.toArray(values[i]!)), [key])
      }
    }), 60_000)

  it.live(
    "a set meanwhile is popped, or survives; nothing that was set is lost [M20] [DICT-POP-06]",
    () =>
      Effect.gen(function*() {
        const { other, root, zk } = yield* pair
        const [popper, setter] = [yield* dictOf(zk, root), yield* dictOf(other, root)]
        const third = yield* dictOf(other, root)
        // Each value is set where there is none, so that none may vanish but by being popped.
        const set: Array<string> = []
        const popped: Array<string> = []
        const setting = Effect.gen(function*() {
          for (let i = 0; i < 300; i++) {
            const value = `v${i}`
            if ((yield* setter.getOrSet("k", value)) === value) set.push(value)
          }
        })
        const popping = (dict: typeof popper) =>
          Effect.forever(Effect.map(dict.popOption("k"), (value) => {
            popped.push(...Option.toArray(value))
          }))
        yield* Effect.raceFirst(
          setting,
          Effect.all([popping(popper), popping(third)], { concurrency: "unbounded", discard: true })
        ).pipe(Effect.asVoid)
        yield* untilChildless(zk, `${root}/k`)
        const left = yield* zk.getDataOption(`${root}/k`)
        const all = [...popped, ...Option.toArray(left).map(({ text }) => JSON.parse(text) as string)]
        assert.strictEqual(new Set(all).size, all.length)
        // One pop may have been interrupted.
        assert.isAtMost(set.filter((value) => !all.includes(value)).length, 2)
        assert.deepStrictEqual(all.filter((value) => !set.includes(value)), [])
        assert.isAbove(popped.length, 20)
      }),
    60_000
  )
})

describe.concurrent("a node that is deleted and made anew in between", () => {
  it.live("gives one value twice and loses another, if only its version is trusted [DICT-POP-03]", () =>
    Effect.gen(function*() {
      const { other, root, zk } = yield* pair
      const path = `${root}/k`
      const markers = `${root}/markers`
      yield* other.create(markers)
      yield* other.create(path, "first")
      const remove = (client: ZkClient.ZkClient, version: number, marker: string) =>
        client.multi([ZkTransaction.delete(path, { version }), ZkTransaction.create(`${markers}/${marker}`)])
      const ours = yield* zk.getData(path)
      // Somebody else takes the first value out, and sets a second one.
      const theirs = yield* other.getData(path)
      yield* remove(other, theirs.stat.version, "theirs")
      yield* other.create(path, "second")
      yield* remove(zk, ours.stat.version, "ours")
      assert.deepStrictEqual([ours.text, theirs.text], ["first", "first"])
      assert.isTrue(Option.isNone(yield* zk.exists(path)))
    }))

  it.live("cannot be while pop is at it: its claim keeps everybody from deleting [M20] [DICT-POP-03]", () =>
    Effect.gen(function*() {
      const { other, proxy, root, zk } = yield* proxiedPair()
      const path = `${root}/k`
      const dict = yield* dictOf(zk, root)
      yield* dict.set("k", "first")
      const seen: Array<string> = []
      const kazoo = kazooAvailable ? yield* (yield* makeKazoo).connect((yield* shared).connectString) : undefined
      // All that pop knows is read by now; its transaction is on its way.
      const rule = yield* proxy.rule({ kind: "request", op: "multi" }, {
        before: Effect.gen(function*() {
          seen.push((yield* failsWith(other.delete(path, { version: 0 }), "NotEmpty"))._tag)
          const replace = [ZkTransaction.delete(path), ZkTransaction.create(path, json("second"))]
          seen.push((yield* failsWith(other.multi(replace), "MultiFailed")).cause._tag)
          if (kazoo !== undefined) seen.push(yield* Effect.flip(kazoo.delete(path)).pipe(Effect.map((e) => e.message)))
        }).pipe(Effect.orDie)
      })
      assert.strictEqual(yield* dict.pop("k"), "first")
      assert.strictEqual(yield* rule.count, 1)
      assert.deepStrictEqual(seen.slice(0, 2), ["NotEmpty", "NotEmpty"])
      if (kazoo !== undefined) assert.include(seen[2], "NotEmptyError")
      assert.isTrue(Option.isNone(yield* other.exists(path)))
    }))

  it.live("ahead of the claim is another value, which is what pop gives [M20] [DICT-POP-03]", () =>
    Effect.gen(function*() {
      const { other, proxy, root, zk } = yield* proxiedPair()
      const path = `${root}/k`
      const dict = yield* dictOf(zk, root)
      yield* dict.set("k", "first")
      const rule = yield* proxy.rule({ kind: "request", op: "create", path: /pop-/ }, {
        before: Effect.orDie(other.multi([ZkTransaction.delete(path), ZkTransaction.create(path, json("second"))]))
      })
      assert.strictEqual(yield* dict.pop("k"), "second")
      assert.strictEqual(yield* rule.count, 1)
    }))

  it.live("is deleted by the lowest claim only: nobody else's transaction passes for ours [M20] [DICT-POP-03]", () =>
    Effect.gen(function*() {
      const { other, proxy, root, zk } = yield* proxiedPair()
      const dict = yield* dictOf(zk, root)
      const theirs = yield* dictOf(other, root)
      yield* dict.set("k", "v")
      yield* theirs.sync
      let rival: Fiber.Fiber<Option.Option<string>, unknown> | undefined
      const rule = yield* proxy.rule({ kind: "request", op: "multi" }, {
        before: Effect.gen(function*() {
          rival = yield* Effect.forkDetach(theirs.popOption("k"), { startImmediately: true })
          // It has done by now what it can.
          for (let i = 0; i < 8; i++) yield* other.sync()
          yield* proxy.cutAll
        }).pipe(Effect.orDie)
      })
      const got = [yield* dict.popOption("k"), yield* Fiber.join(rival!)]
      assert.strictEqual(yield* rule.count, 1)
      assert.deepStrictEqual(got.flatMap(Option.toArray), ["v"])
    }))
})

describe.concurrent("while a pop is on its way", () => {
  const during = (act: (other: ZkClient.ZkClient, path: string) => Effect.Effect<unknown, unknown>) =>
    Effect.gen(function*() {
      const { other, proxy, root, zk } = yield* proxiedPair()
      const dict = yield* dictOf(zk, root)
      yield* dict.set("k", "first")
      const rule = yield* proxy.rule({ kind: "request", op: "multi" }, {
        before: Effect.orDie(act(other, `${root}/k`))
      })
      const popped = yield* dict.popOption("k")
      assert.strictEqual(yield* rule.count, 1)
      const left = Option.map(yield* other.getDataOption(`${root}/k`), ({ text }) => text)
      return { popped: Option.getOrUndefined(popped), left: Option.getOrUndefined(left) }
    })

  it.live("a value that is set is what is popped [DICT-POP-06]", () =>
    Effect.gen(function*() {
      const set = during((other, path) =>
        Effect.flatMap(dictOf(other, path.slice(0, -2)), (dict) => dict.set("k", "second")).pipe(Effect.scoped)
      )
      assert.deepStrictEqual(yield* set, { popped: "second", left: undefined })
      const update = during((other, path) =>
        Effect.flatMap(dictOf(other, path.slice(0, -2)), (dict) => dict.update("k", (value) => `${value} and more`))
          .pipe(
            Effect.scoped
          )
      )
      assert.deepStrictEqual(yield* update, { popped: "first and more", left: undefined })
    }))

  it.live("a remove and a transaction wait for it, and find nothing [DICT-POP-06]", () =>
    Effect.gen(function*() {
      const { other, proxy, root, zk } = yield* proxiedPair()
      const dict = yield* dictOf(zk, root)
      const theirs = yield* dictOf(other, root)
      yield* dict.set("k", "first")
      yield* theirs.sync
      const waiting: Array<Fiber.Fiber<unknown, unknown>> = []
      const rule = yield* proxy.rule({ kind: "request", op: "multi" }, {
        before: Effect.gen(function*() {
          waiting.push(yield* Effect.forkDetach(theirs.remove("k"), { startImmediately: true }))
          const taking = theirs.transact((all) =>
            Effect.tap(all.get("k"), (value) => Option.isSome(value) ? all.remove("k") : Effect.void)
          )
          waiting.push(yield* Effect.forkDetach(taking, { startImmediately: true }))
          // Behind what these have sent.
          for (let i = 0; i < 5; i++) yield* other.sync()
        }).pipe(Effect.orDie)
      })
      assert.strictEqual(yield* dict.pop("k"), "first")
      assert.strictEqual(yield* rule.count, 1)
      const found = yield* Effect.forEach(waiting, (fiber) => Fiber.join(fiber))
      assert.deepStrictEqual(found, [false, Option.none()])
    }))
})

/** Fifteen seconds pass in three tenths of one. */
const hurried = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.flatMap(Clock.Clock, (clock) =>
    Effect.provideService(effect, Clock.Clock, {
      currentTimeMillisUnsafe: () => clock.currentTimeMillisUnsafe(),
      currentTimeMillis: clock.currentTimeMillis,
      monotonicTimeNanosUnsafe: () => clock.monotonicTimeNanosUnsafe(),
      monotonicTimeNanos: clock.monotonicTimeNanos,
      currentTimeNanosUnsafe: () => clock.currentTimeNanosUnsafe(),
      currentTimeNanos: clock.currentTimeNanos,
      sleep: (duration) => clock.sleep(Duration.millis(Duration.toMillis(duration) / 50))
    }))

describe.concurrent("a client that stops in the middle of a pop", () => {
  /** Its claim is made, and then nothing more comes from it. */
  const stopped = Effect.gen(function*() {
    const { other, port, proxy, root, zk } = yield* proxiedPair()
    const dict = yield* dictOf(zk, root)
    const theirs = yield* dictOf(other, root)
    yield* dict.set("k", "v")
    yield* theirs.sync
    const rule = yield* proxy.rule({ kind: "request", op: "multi" }, "freeze")
    const fiber = yield* Effect.forkChild(dict.pop("k"), { startImmediately: true })
    yield* rule.fired
    yield* proxy.setAccept("silent")
    assert.lengthOf((yield* other.getChildren(`${root}/k`)).children, 1)
    return { theirs, other, port, proxy, root, fiber }
  })

  it.live("is waited for until its session ends [DICT-POP-05]", () =>
    Effect.gen(function*() {
      const { fiber, other, port, proxy, root, theirs } = yield* stopped
      const pop = yield* Effect.forkChild(theirs.popOption("k"), { startImmediately: true })
      for (let i = 0; i < 5; i++) yield* other.sync()
      assert.isUndefined(pop.pollUnsafe())
      yield* expireThrough(proxy, port)
      assert.deepStrictEqual(yield* Fiber.join(pop), Option.some("v"))
      yield* proxy.heal
      // It learns of the end of its session, and that the key has gone.
      const late = yield* Effect.result(Fiber.join(fiber))
      assert.strictEqual(late._tag === "Failure" ? late.failure._tag : "", "PopInDoubt")
      assert.isTrue(Option.isNone(yield* other.exists(`${root}/k`)))
    }))

  it.live("keeps a remove waiting as well [DICT-POP-05]", () =>
    Effect.gen(function*() {
      const { fiber, other, port, proxy, theirs } = yield* stopped
      const remove = yield* Effect.forkChild(theirs.remove("k"), { startImmediately: true })
      for (let i = 0; i < 5; i++) yield* other.sync()
      assert.isUndefined(remove.pollUnsafe())
      yield* expireThrough(proxy, port)
      assert.isTrue(yield* Fiber.join(remove))
      yield* Fiber.interrupt(fiber)
    }))

  it.live("is not waited for longer than 15 seconds [X5] [DICT-POP-05]", () =>
    Effect.gen(function*() {
      const { fiber, other, root, theirs } = yield* stopped
      yield* failsWith(hurried(theirs.pop("k")), "WriteConflict")
      yield* failsWith(hurried(theirs.remove("k")), "WriteConflict")
      yield* failsWith(hurried(theirs.transact((all) => all.remove("k"))), "WriteConflict")
      // What only sets does not wait.
      yield* theirs.set("k", "w")
      assert.strictEqual((yield* other.getData(`${root}/k`)).text, json("w"))
      // Nor does it wait for a server that does not answer.
      const begun = performance.now()
      yield* Fiber.interrupt(fiber)
      assert.isBelow(performance.now() - begun, 1_000 * patience)
    }))
})

describe.concurrent("what cannot be popped stays", () => {
  it.live("for want of rights, children, an ephemeral or an undecodable value [DICT-POP-07]", () =>
    Effect.gen(function*() {
      const { other, root, zk } = yield* pair
      const dict = yield* by(zk)(ZkDict.make(root, { value: Schema.String }))
      const acl = (perms: number) => [{ perms, scheme: "world", id: "anyone" }]
      yield* other.create(`${root}/read-only`, json("v"), { acl: acl(ZkAcl.Perms.read) })
      yield* other.create(`${root}/write-only`, json("v"), { acl: acl(ZkAcl.Perms.create | ZkAcl.Perms.delete) })
      yield* other.create(`${root}/ephemeral`, json("v"), { mode: "ephemeral" })
      yield* other.create(`${root}/parent`, json("v"))
      yield* other.create(`${root}/parent/child`)
      yield* other.create(`${root}/garbage`, "}")
      yield* dict.sync
      yield* failsWith(dict.pop("read-only"), "NoAuth")
      yield* failsWith(dict.pop("write-only"), "NoAuth")
      yield* failsWith(dict.pop("ephemeral"), "NoChildrenForEphemerals")
      yield* failsWith(dict.pop("parent"), "NotEmpty")
      yield* failsWith(dict.pop("garbage"), "ValueDecodeError")
      yield* failsWith(dict.pop("missing"), "KeyNotFound")
      assert.lengthOf((yield* other.getChildren(root)).children, 5)
      yield* untilChildless(other, `${root}/garbage`)
      // Nobody may look below the other one, but it can be deleted, and so has no children.
      yield* zk.sync()
      yield* other.delete(`${root}/write-only`)
      assert.deepStrictEqual((yield* other.getChildren(`${root}/parent`)).children, ["child"])
    }))

  it.live("when the root allows no deletions; the claim goes [DICT-POP-07]", () =>
    Effect.gen(function*() {
      const { other, root, zk } = yield* pair
      const path = `${root}/d`
      const perms = ZkAcl.Perms.all & ~ZkAcl.Perms.delete
      yield* other.create(path, "", { acl: [{ perms, scheme: "world", id: "anyone" }] })
      const dict = yield* dictOf(zk, path)
      yield* dict.set("k", "v")
      yield* failsWith(dict.pop("k"), "NoAuth")
      yield* untilChildless(other, `${path}/k`)
      assert.strictEqual(yield* dict.get("k"), "v")
    }))
})

describe.concurrent("a pop whose time is up", () => {
  const quick = { requestTimeout: "200 millis", closeTimeout: "100 millis" } as const

  it.live("has not touched the key, if it was about the claim [X1] [DICT-POP-08]", () =>
    Effect.gen(function*() {
      const { other, proxy, root, zk } = yield* proxiedPair(quick)
      const dict = yield* dictOf(zk, root)
      yield* dict.set("k", "v")
      const rule = yield* proxy.swallowReply({ op: "create", path: /pop-/ }, "keep")
      const error = yield* failsWith(dict.pop("k"), "OperationTimeout")
      assert.isFalse(error.maybeApplied)
      assert.strictEqual(yield* rule.count, 1)
      yield* untilChildless(other, `${root}/k`)
      assert.strictEqual((yield* other.getData(`${root}/k`)).text, json("v"))
      assert.strictEqual(yield* dict.pop("k"), "v")
    }))

  it.live("has the value with it, if it was about the transaction [X1] [DICT-POP-08]", () =>
    Effect.gen(function*() {
      const { other, proxy, root, zk } = yield* proxiedPair(quick)
      const dict = yield* dictOf(zk, root)
      yield* dict.set("k", "v")
      const rule = yield* proxy.swallowReply({ op: "multi" }, "freeze")
      const begun = performance.now()
      const error = yield* failsWith(dict.pop("k"), "PopInDoubt")
      // The end of its claim is not waited for.
      assert.isBelow(performance.now() - begun, 1_000 * patience)
      assert.strictEqual(Redacted.value(error.value), "v")
      assert.strictEqual(yield* rule.count, 1)
      assert.isTrue(Option.isNone(yield* other.exists(`${root}/k`)))
    }))

  it.live("gives the value, if only the sight of it is late [X1] [DICT-POP-08]", () =>
    Effect.gen(function*() {
      const { other, proxy, root, zk } = yield* proxiedPair(quick)
      const dict = yield* dictOf(zk, root)
      yield* dict.set("k", "v")
      // Reads that follow the transaction have no answer.
      const rule = yield* proxy.rule({ kind: "reply", op: "multi" }, {
        before: proxy.rule({ direction: "toClient", kind: "reply" }, "drop", { times: 1_000 })
      })
      assert.strictEqual(yield* dict.pop("k"), "v")
      assert.strictEqual(yield* rule.count, 1)
      assert.isTrue(Option.isNone(yield* other.exists(`${root}/k`)))
      yield* proxy.heal
    }))

  it.live("of a document has the value with it as well [X1] [DICT-POP-08]", () =>
    Effect.gen(function*() {
      const { proxy, root, zk } = yield* proxiedPair(quick)
      const dict = yield* documentOf(zk, `${root}/d`)
      yield* dict.set("k", "v")
      const rule = yield* proxy.swallowReply({ op: "setData" }, "keep")
      const error = yield* failsWith(dict.pop("k"), "PopInDoubt")
      assert.strictEqual(Redacted.value(error.value), "v")
      assert.strictEqual(yield* rule.count, 1)
    }))
})

describe.concurrent("a dictionary of a client that is bound to a session", () => {
  it.live("ends with it: pop says so at once, and the key stays [DICT-POP-09]", () =>
    Effect.gen(function*() {
      const { connectString, port } = yield* shared
      const proxy = yield* makeProxy(port)
      const zk = yield* ZkClient.make({ hosts: proxy.connectString })
      const root = yield* freshRoot
      const { client } = yield* zk.session
      const dict = yield* dictOf(client, root)
      yield* dict.set("k", "v")
      yield* proxy.rule({ kind: "request", op: "create", path: /pop-/ }, {
        before: Effect.orDie(expireThrough(proxy, port))
      })
      const error = yield* failsWith(dict.pop("k"), "SessionExpired")
      assert.isFalse(error.maybeApplied)
      const other = yield* ZkClient.make({ hosts: connectString })
      assert.strictEqual((yield* other.getData(`${root}/k`)).text, json("v"))
    }))
})
