/** Semaphores: how many are inside, in which order they get there, and what their handles say. */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import type * as ZkSemaphore from "../src/ZkSemaphore.ts"
import * as ZkTransaction from "../src/ZkTransaction.ts"
import { failsWith } from "./support/failsWith.ts"
import { lockClient, twoClients } from "./support/locking.ts"
import { makeProxy } from "./support/proxy.ts"
import { lineUp, nodesOf, semaphore } from "./support/semaphores.ts"
import { freshPath, shared } from "./support/shared.ts"
import { record } from "./support/watching.ts"

describe.concurrent("a semaphore", () => {
  for (const max of [1, 2]) {
    it.live(`lets ${max} in, and the next one when a permit is given back [SEM-01]`, () =>
      Effect.gen(function*() {
        const { a, b, name } = yield* twoClients
        const clients = [a, b]
        const held: Array<ZkSemaphore.Permits> = []
        for (let i = 0; i < max; i++) {
          const one = yield* semaphore(clients[i % 2]!, name, max, { owner: { who: i } })
          held.push(yield* one.acquire())
        }
        const next = yield* semaphore(b, name, max, { owner: { who: "next" } })
        const who = () =>
          Effect.map(next.holders, (all) => all.map(({ owner }) => Option.getOrThrow(owner).custom?.["who"]))
        assert.sameMembers([...(yield* who())], held.map((_, i) => i))
        assert.strictEqual(yield* next.available, 0)
        assert.isTrue(Option.isNone(yield* next.tryAcquire()))
        const waiting = yield* lineUp(a, name, 1, next.acquire())
        yield* Effect.all([a.sync(), b.sync()])
        assert.isUndefined(waiting.pollUnsafe())
        assert.isTrue(yield* held[0]!.release)
        const permit = yield* Fiber.join(waiting)
        assert.isTrue(yield* permit.isHeld)
        assert.sameMembers([...(yield* who())], ["next", ...held.slice(1).map((_, i) => i + 1)])
        // Only once, and only by who holds it.
        assert.isFalse(yield* held[0]!.release)
        assert.isFalse(yield* held[0]!.isHeld)
        assert.strictEqual((yield* failsWith(held[0]!.use(Effect.void), "LockLost")).reason, "released")
        assert.strictEqual((yield* failsWith(held[0]!.guard([]), "LockLost")).reason, "released")
        assert.strictEqual(yield* next.available, 0)
      }))
  }

  it.live("shows one node for each permit that is held, and no others [SEM-11]", () =>
    Effect.gen(function*() {
      const { a, b, name } = yield* twoClients
      const ours = yield* semaphore(a, name, 6, { owner: { who: "a" } })
      const theirs = yield* semaphore(b, name, 6)
      assert.deepStrictEqual(yield* ours.holders, [])
      const two = yield* ours.acquire(2)
      const three = yield* theirs.acquire(3)
      assert.deepStrictEqual([two.permits, three.permits], [2, 3])
      const holders = yield* theirs.holders
      assert.sameMembers(holders.map(({ path }) => path), [...two.paths, ...three.paths])
      assert.sameMembers(
        [...(yield* a.getChildren(`${name}/leases`)).children].map((child) => `${name}/leases/${child}`),
        holders.map(({ path }) => path)
      )
      const session = (yield* a.session).sessionId
      const mine = holders.filter(({ sessionId }) => sessionId === session)
      assert.sameMembers(mine.map(({ path }) => path), [...two.paths])
      assert.strictEqual(yield* ours.available, 1)
      assert.strictEqual(yield* ours.max, 6)
      yield* three.release
      assert.sameMembers((yield* ours.holders).map(({ path }) => path), [...two.paths])
      assert.strictEqual(yield* ours.available, 4)
      assert.deepStrictEqual(yield* nodesOf(b, name), { leases: 2, waiting: 0 })
    }))

  it.live("serves in the order of arrival, also those who want more than there is [SEM-FIFO]", () =>
    Effect.gen(function*() {
      const { a, b, name } = yield* twoClients
      const ours = yield* semaphore(a, name, 3)
      const theirs = yield* semaphore(b, name, 3)
      const one = yield* ours.acquire()
      const other = yield* ours.acquire()
      const order: Array<string> = []
      const turn = (who: string, permits: number) =>
        Effect.tap(theirs.acquire(permits), () => Effect.sync(() => order.push(who)))
      const big = yield* lineUp(a, name, 1, turn("three", 3))
      const small = yield* lineUp(a, name, 2, turn("one", 1))
      const last = yield* lineUp(a, name, 3, turn("two", 2))
      // There is one left, and still nobody overtakes.
      assert.strictEqual(yield* ours.available, 1)
      assert.isTrue(Option.isNone(yield* ours.tryAcquire()))
      yield* one.release
      yield* Effect.all([a.sync(), b.sync()])
      assert.deepStrictEqual(order, [])
      yield* other.release
      yield* (yield* Fiber.join(big)).release
      yield* Fiber.join(small)
      yield* Fiber.join(last)
      assert.deepStrictEqual(order, ["three", "one", "two"])
    }))

  it.live("gives all of the permits that are asked for or none, to three who want three of five [J8]", () =>
    Effect.gen(function*() {
      const { a, b, name } = yield* twoClients
      const c = yield* lockClient()
      const d = yield* lockClient()
      yield* a.ensurePath(`${name}/leases`)
      const seen = yield* record(d.childrenChanges(`${name}/leases`))
      yield* seen.until("the first look", (values) => values.length > 0)
      let inside = 0
      let most = 0
      const contend = (client: typeof a) =>
        Effect.gen(function*() {
          const permits = yield* semaphore(client, name, 5)
          yield* Effect.repeat(
            permits.withPermits(
              3,
              Effect.gen(function*() {
                most = Math.max(most, ++inside)
                yield* client.sync()
                inside--
              })
            ),
            { times: 9 }
          )
        })
      yield* Effect.forEach([a, b, c], contend, { concurrency: "unbounded" })
      assert.strictEqual(most, 1)
      const end = yield* d.create(`${name}/leases/end`)
      yield* seen.until(
        "the end",
        (values) =>
          Option.match(values.at(-1)!, { onNone: () => false, onSome: ({ children }) => children.length === 1 }) &&
          end.path !== ""
      )
      const sizes = new Set(
        seen.values.slice(0, -1).map(Option.match({
          onNone: () => 0,
          onSome: ({ children }) => children.length
        }))
      )
      // They are made together. They go one by one, but all at once.
      assert.isTrue([...sizes].every((size) => size <= 3), [...sizes].join())
      assert.isTrue(sizes.has(3))
    }))

  it.live("is never overdrawn by ten clients who take batches at random [SEM-02]", () =>
    Effect.gen(function*() {
      const name = yield* freshPath
      let free = 0
      let least = Infinity
      let done = 0
      const max = 25 + Math.floor((yield* Random.next) * 75)
      free = max
      const oneClient = Effect.gen(function*() {
        const client = yield* lockClient()
        const permits = yield* semaphore(client, name, max)
        for (let round = 0; round < 30; round++) {
          const batch = 1 + Math.floor((yield* Random.next) * 25)
          yield* permits.withPermits(
            batch,
            Effect.gen(function*() {
              least = Math.min(least, free -= batch)
              assert.isAtLeast(free, 0)
              yield* Effect.repeat(client.sync(), { times: 15 })
              free += batch
            })
          )
        }
        done++
      })
      yield* Effect.forEach(Array.from({ length: 10 }, () => oneClient), (client) => Effect.scoped(client), {
        concurrency: "unbounded"
      })
      assert.strictEqual(done, 10)
      // More than fit into one batch, so that several were inside together.
      assert.isBelow(least, max - 25)
      const client = yield* lockClient()
      assert.deepStrictEqual(yield* nodesOf(client, name), { leases: 0, waiting: 0 })
      assert.strictEqual(yield* (yield* semaphore(client, name, max)).available, max)
    }).pipe(Random.withSeed("SEM-02")))

  it.live("says no at once to who wants more than there are in all [SEM-LIMITS]", () =>
    Effect.gen(function*() {
      const { a, b, name } = yield* twoClients
      const ours = yield* semaphore(a, name, 2)
      const theirs = yield* semaphore(b, name, 2)
      yield* ours.acquire(2)
      // Somebody is in line, and would be waited for.
      yield* lineUp(a, name, 1, ours.acquire())
      const attempts = [
        Effect.asSome(theirs.acquire(3)),
        Effect.asSome(theirs.acquireTimeout("1 minute", 3)),
        theirs.tryAcquire(3)
      ]
      for (const acquire of attempts) {
        const error = yield* Effect.flip(acquire)
        assert.isTrue(error._tag === "PermitsExceeded" && error.permits === 3 && error.max === 2)
      }
      const body = Effect.die("not under three of two")
      assert.strictEqual((yield* failsWith(theirs.withPermits(3, body), "PermitsExceeded")).path, name)
      assert.deepStrictEqual(yield* nodesOf(b, name), { leases: 2, waiting: 1 })
      for (const permits of [0, -1, 1.5, NaN, Infinity]) {
        const { cause } = yield* failsWith(theirs.acquire(permits), "LockNotAcquired")
        assert.strictEqual(cause._tag, "InvalidInput")
        yield* failsWith(semaphore(a, name, permits), "InvalidInput")
        yield* failsWith(ours.resize(permits), "InvalidInput")
      }
      yield* failsWith(semaphore(a, name, 1_000_000_000), "InvalidInput")
      yield* failsWith(semaphore(a, "a//b", 1), "InvalidPath")
      yield* failsWith(semaphore(a, "/", 1), "InvalidPath")
      yield* failsWith(semaphore(a, name, 1, { tickTime: 0 }), "InvalidInput")
      assert.strictEqual((yield* semaphore(a, "x/y", 1)).path, "/semaphores/x/y")
      assert.strictEqual((yield* semaphore(a, "x/y", 1, { root: "/" })).path, "/x/y")
    }))

  it.live("is tried for, and waited for up to a time, without leaving anything [SEM-09] [J5]", () =>
    Effect.gen(function*() {
      const { a, b, name } = yield* twoClients
      const ours = yield* semaphore(a, name, 3)
      const theirs = yield* semaphore(b, name, 3)
      const one = yield* ours.acquire()
      assert.isTrue(Option.isNone(yield* theirs.tryAcquire(3)))
      assert.deepStrictEqual(yield* nodesOf(a, name), { leases: 1, waiting: 0 })
      const error = yield* failsWith(theirs.acquireTimeout("150 millis", 3), "LockTimeout")
      assert.deepStrictEqual([error.path, error.timeout], [name, 150])
      assert.deepStrictEqual(yield* nodesOf(a, name), { leases: 1, waiting: 0 })
      yield* failsWith(theirs.withPermits(3, Effect.die("no"), { timeout: "50 millis" }), "LockTimeout")
      // Behind somebody who waits, too.
      const waiting = yield* lineUp(a, name, 1, Effect.scoped(ours.acquire(3)))
      yield* failsWith(theirs.acquireTimeout("50 millis"), "LockTimeout")
      assert.deepStrictEqual(yield* nodesOf(a, name), { leases: 1, waiting: 1 })
      yield* Fiber.interrupt(waiting)
      assert.deepStrictEqual(yield* nodesOf(a, name), { leases: 1, waiting: 0 })
      yield* one.release
      const all = Option.getOrThrow(yield* theirs.tryAcquire(3))
      assert.isTrue(yield* all.isHeld)
    }))

  it.live("holds permits for as long as a body runs, or a scope is open [SEM-01]", () =>
    Effect.gen(function*() {
      const { a, b, name } = yield* twoClients
      const ours = yield* semaphore(a, name, 2)
      const bodies = [Effect.void, Effect.fail("no"), Effect.die("defect"), Effect.interrupt]
      for (const body of bodies) {
        const within = Effect.andThen(
          Effect.map(nodesOf(b, name), (nodes) => assert.deepStrictEqual(nodes, { leases: 2, waiting: 0 })),
          body
        )
        yield* Effect.exit(ours.withPermits(2, within))
        assert.deepStrictEqual(yield* nodesOf(b, name), { leases: 0, waiting: 0 })
      }
      const paths = yield* ours.withPermits(1, ({ isHeld, paths }) => Effect.as(isHeld, paths))
      assert.lengthOf(paths, 1)
      yield* Effect.scoped(ours.acquire(2))
      assert.deepStrictEqual(yield* nodesOf(b, name), { leases: 0, waiting: 0 })
    }))

  it.live("guards what is written with the nodes of all permits [SEM-GUARD]", () =>
    Effect.gen(function*() {
      const { a, b, name } = yield* twoClients
      const data = `${name}-data`
      yield* a.create(data, "0")
      const ours = yield* semaphore(a, name, 3)
      const permits = yield* ours.acquire(3)
      const [set] = yield* permits.guard([ZkTransaction.setData(data, "1")])
      assert.strictEqual(set.version, 1)
      const error = yield* failsWith(
        permits.guard([ZkTransaction.setData(data, "2"), ZkTransaction.check(data, { version: 9 })]),
        "MultiFailed"
      )
      assert.deepStrictEqual([error.index, error.results.length], [1, 2])
      yield* b.delete(permits.paths[2]!)
      assert.strictEqual((yield* failsWith(permits.guard([ZkTransaction.setData(data, "3")]), "LockLost")).path, name)
      assert.strictEqual((yield* b.getData(data)).text, "1")
    }))

  it.live("costs as many requests as it needs, and none in vain when it is given back [SEM-COST]", () =>
    Effect.gen(function*() {
      const { port } = yield* shared
      const proxy = yield* makeProxy(port)
      const a = yield* lockClient({ hosts: proxy.connectString })
      const ours = yield* semaphore(a, yield* freshPath, 5)
      yield* ours.withPermits(1, Effect.void)
      yield* a.sync()
      const since = yield* proxy.position
      yield* Effect.scoped(Effect.gen(function*() {
        const permits = yield* ours.acquire(3)
        // One transaction for all; afterwards each node is watched, and the inner lock's is not any more.
        yield* a.sync()
        assert.strictEqual((yield* proxy.stats(since)).ops["multi"], 1)
        assert.isTrue(yield* permits.release)
      }))
      yield* a.sync()
      const { ops } = yield* proxy.stats(since)
      // The inner lock's node and three permits.
      assert.strictEqual(ops["delete"], 4)
      assert.strictEqual(ops["create2"], 1)
      assert.isUndefined(ops["removeWatches"])
    }))
})

describe.concurrent("the number of permits", () => {
  it.live("is stored as text by the first, and the others must agree [SEM-03] [J7]", () =>
    Effect.gen(function*() {
      const { a, b, name } = yield* twoClients
      const ours = yield* semaphore(a, name, 12)
      const theirs = yield* semaphore(b, name, 2)
      const permits = yield* ours.acquire()
      assert.strictEqual((yield* b.getData(name)).text, "12")
      for (
        const effect of [
          theirs.acquire(),
          theirs.acquireTimeout("1 minute"),
          theirs.tryAcquire(),
          theirs.max,
          theirs.available
        ]
      ) {
        const error = yield* Effect.flip(effect as Effect.Effect<unknown, ZkSemaphore.SemaphoreMismatch>)
        assert.deepStrictEqual({ ...error, message: "" }, {
          _tag: "SemaphoreMismatch",
          path: name,
          stored: 12,
          expected: 2,
          message: ""
        })
      }
      assert.deepStrictEqual(yield* nodesOf(b, name), { leases: 1, waiting: 0 })
      assert.isTrue(yield* permits.isHeld)
      // Neither what holds permits nor what does not is lost by the difference.
      assert.lengthOf(yield* theirs.holders, 1)
    }))

  it.live("is stored by one of those who come first together [SEM-03] [J7]", () =>
    Effect.gen(function*() {
      const { a, b, name } = yield* twoClients
      const all = yield* Effect.forEach(
        [a, b, a, b, a, b],
        (client, i) =>
          Effect.flatMap(semaphore(client, name, i % 2 === 0 ? 6 : 7), (one) =>
            Effect.match(one.max, { onFailure: ({ _tag }) => _tag, onSuccess: String })),
        { concurrency: "unbounded" }
      )
      const { text } = yield* a.getData(name)
      assert.include(["6", "7"], text)
      assert.sameMembers([...all], [
        text,
        text,
        text,
        ...Array.from({ length: 3 }, () =>
          "SemaphoreMismatch")
      ])
    }))

  it.live("is put into a node that is empty [SEM-03] [J7]", () =>
    Effect.gen(function*() {
      const { a, b, name } = yield* twoClients
      yield* a.create(name)
      const [one, two] = [yield* semaphore(a, name, 3), yield* semaphore(b, name, 3)]
      assert.deepStrictEqual(yield* Effect.all([one.max, two.max], { concurrency: 2 }), [3, 3])
      const { stat, text } = yield* a.getData(name)
      assert.deepStrictEqual([text, stat.version], ["3", 1])
    }))

  for (const text of ["a$", "0", "007", "-1", "1e3", " 3", "1000000000"]) {
    it.live(`is assumed where the node holds "${text}", which is left alone, with one warning [SEM-03] [J7]`, () =>
      Effect.gen(function*() {
        const warnings: Array<string> = []
        const logger = Logger.make<unknown, void>(({ logLevel, message }) => {
          if (logLevel === "Warn") warnings.push(String(message))
        })
        yield* Effect.gen(function*() {
          const { a, b, name } = yield* twoClients
          yield* a.create(name, text)
          const ours = yield* semaphore(a, name, 2)
          assert.strictEqual(yield* ours.max, 2)
          yield* ours.acquire(2)
          yield* failsWith(ours.acquire(3), "PermitsExceeded")
          assert.isTrue(Option.isNone(yield* ours.tryAcquire()))
          assert.strictEqual((yield* b.getData(name)).text, text)
          assert.lengthOf(warnings, 1)
          assert.include(warnings[0], text)
        }).pipe(Effect.provide(Logger.layer([logger])))
      }))
  }
})

describe.concurrent("resize", () => {
  it.live("upwards lets those in who wait, as many as there are permits for [SEM-09]", () =>
    Effect.gen(function*() {
      const { a, b, name } = yield* twoClients
      const ours = yield* semaphore(a, name, 1)
      const theirs = yield* semaphore(b, name, 1)
      yield* ours.acquire()
      const second = yield* lineUp(a, name, 1, theirs.acquire())
      const third = yield* lineUp(a, name, 2, theirs.acquire())
      yield* ours.resize(2)
      assert.isTrue(yield* (yield* Fiber.join(second)).isHeld)
      yield* Effect.all([a.sync(), b.sync()])
      assert.isUndefined(third.pollUnsafe())
      assert.strictEqual(yield* theirs.max, 2)
      yield* theirs.resize(3)
      assert.isTrue(yield* (yield* Fiber.join(third)).isHeld)
      assert.strictEqual(yield* ours.max, 3)
    }))

  it.live("downwards waits for permits to be given back, and takes none away [J7]", () =>
    Effect.gen(function*() {
      const { a, b, name } = yield* twoClients
      const ours = yield* semaphore(a, name, 3)
      const theirs = yield* semaphore(b, name, 3)
      const held = [yield* ours.acquire(), yield* ours.acquire(), yield* theirs.acquire()]
      yield* theirs.resize(1)
      for (const permits of held) assert.isTrue(yield* permits.isHeld)
      assert.strictEqual(yield* ours.available, 0)
      const waiting = yield* lineUp(a, name, 1, theirs.acquire())
      for (const permits of held.slice(1)) {
        yield* permits.release
        yield* Effect.all([a.sync(), b.sync()])
        assert.isUndefined(waiting.pollUnsafe())
      }
      yield* held[0]!.release
      assert.isTrue(yield* (yield* Fiber.join(waiting)).isHeld)
    }))

  it.live("below what somebody waits for ends that waiting, and lets those behind in [J7] [SEM-LIMITS]", () =>
    Effect.gen(function*() {
      const { a, b, name } = yield* twoClients
      const ours = yield* semaphore(a, name, 3)
      const theirs = yield* semaphore(b, name, 3)
      const held = yield* ours.acquire()
      const first = yield* lineUp(a, name, 1, failsWith(theirs.acquire(3), "PermitsExceeded"))
      const second = yield* lineUp(a, name, 2, failsWith(theirs.acquire(3), "PermitsExceeded"))
      const third = yield* lineUp(a, name, 3, theirs.acquire())
      yield* ours.resize(2)
      assert.deepInclude(yield* Fiber.join(first), { permits: 3, max: 2 })
      assert.deepInclude(yield* Fiber.join(second), { permits: 3, max: 2 })
      assert.isTrue(yield* (yield* Fiber.join(third)).isHeld)
      assert.isTrue(yield* held.isHeld)
    }))

  it.live("is followed by who has agreed before; who comes later must agree with it [J7]", () =>
    Effect.gen(function*() {
      const { a, b, name } = yield* twoClients
      const ours = yield* semaphore(a, name, 2)
      const theirs = yield* semaphore(b, name, 2)
      assert.strictEqual(yield* ours.max, 2)
      assert.strictEqual(yield* theirs.max, 2)
      yield* theirs.resize(5)
      assert.strictEqual(yield* ours.max, 5)
      assert.strictEqual((yield* ours.acquire(4)).permits, 4)
      yield* failsWith((yield* semaphore(a, name, 2)).max, "SemaphoreMismatch")
      assert.strictEqual(yield* (yield* semaphore(a, name, 5)).max, 5)
      // Whoever changes the number has agreed to it.
      const late = yield* semaphore(b, name, 1)
      yield* late.resize(7)
      assert.strictEqual(yield* late.max, 7)
      assert.strictEqual((yield* b.getData(name)).text, "7")
    }))

  it.live("may come first [J7]", () =>
    Effect.gen(function*() {
      const { a, name } = yield* twoClients
      const ours = yield* semaphore(a, `${name}/deep/down`, 2)
      yield* ours.resize(4)
      assert.strictEqual(yield* ours.max, 4)
      assert.strictEqual((yield* ours.acquire(4)).permits, 4)
    }))
})

describe.concurrent("withPermits", () => {
  it.live("is independent of permits around it: there may be enough for both [SEM-NESTED]", () =>
    Effect.gen(function*() {
      const { a, name } = yield* twoClients
      const ours = yield* semaphore(a, name, 2)
      const inner = Effect.fnUntraced(function*(permits: ZkSemaphore.Permits) {
        assert.isTrue(yield* permits.isHeld)
        assert.strictEqual(yield* ours.available, 0)
        return yield* ours.tryAcquire()
      })
      const third = yield* Effect.scoped(ours.withPermits(1, ours.withPermits(1, inner)))
      assert.isTrue(Option.isNone(third))
    }))

  it.live("ends its body when the permits are lost, and says so [J6]", () =>
    Effect.gen(function*() {
      const { a, b, name } = yield* twoClients
      const ours = yield* semaphore(a, name, 2)
      const started = yield* Deferred.make<ZkSemaphore.Permits>()
      let ended = false
      const running = yield* Effect.forkScoped(failsWith(
        ours.withPermits(2, (permits) =>
          Effect.andThen(Deferred.succeed(started, permits), Effect.never).pipe(
            Effect.onInterrupt(() =>
              Effect.sync(() => {
                ended = true
              })
            )
          )),
        "LockLost"
      ))
      const permits = yield* Deferred.await(started)
      // One of them is enough.
      yield* b.delete(permits.paths[1]!)
      const lost = yield* Fiber.join(running)
      assert.deepStrictEqual([lost.path, lost.reason], [name, "removed"])
      assert.isTrue(ended)
      // The other one is given back with it.
      assert.deepStrictEqual(yield* nodesOf(b, name), { leases: 0, waiting: 0 })
      assert.strictEqual((yield* failsWith(permits.lost, "LockLost")).reason, "removed")
      assert.isFalse(yield* permits.release)
    }))
})
