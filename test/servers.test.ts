/** Which server comes next, when, and for how long: without a network. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import { attemptTimeout, backOff, longestOfSession, ServerList, shuffle } from "../src/internal/session/servers.ts"
import { formatServer } from "../src/internal/transport.ts"

const servers = (count: number) => Array.from({ length: count }, (_, i) => ({ host: `h${i}`, port: 2181 }))

const hostsOf = (list: ServerList, count: number) => Array.from({ length: count }, () => list.next().host)

/** Gives these numbers, one after another. */
const chances = (...values: Array<number>) => () => values.shift() ?? 0

describe("shuffle", () => {
  it.effect("gives each server its turn at being first, and loses none [CONN-05] [K8]", () =>
    Effect.gen(function*() {
      const random = yield* Random.Random
      const first = new Map<string, number>()
      for (let i = 0; i < 3000; i++) {
        const order = shuffle(["a", "b", "c"], () => random.nextDoubleUnsafe())
        assert.deepStrictEqual(order.toSorted(), ["a", "b", "c"])
        first.set(order[0]!, (first.get(order[0]!) ?? 0) + 1)
      }
      for (const name of ["a", "b", "c"]) assert.closeTo(first.get(name) ?? 0, 1000, 200)
    }).pipe(Random.withSeed("shuffle")))

  it("follows the numbers that it is given, and leaves the caller's list alone [CONN-05]", () => {
    const items = ["a", "b", "c", "d"]
    assert.deepStrictEqual(shuffle(items, chances(0, 0, 0)), ["b", "c", "d", "a"])
    assert.deepStrictEqual(shuffle(items, chances(0.99, 0.99, 0.99)), ["a", "b", "c", "d"])
    assert.deepStrictEqual(items, ["a", "b", "c", "d"])
  })
})

describe("the list of servers", () => {
  it("goes round, also across a connection that proved good [CONN-06]", () => {
    const list = new ServerList(servers(3))
    assert.deepStrictEqual(hostsOf(list, 4), ["h0", "h1", "h2", "h0"])
    list.succeeded()
    assert.deepStrictEqual(hostsOf(list, 3), ["h1", "h2", "h0"])
  })

  it("tries a silent server last [C10]", () => {
    const list = new ServerList(servers(4))
    assert.deepStrictEqual(hostsOf(list, 2), ["h0", "h1"])
    list.putLast("h2:2181")
    assert.deepStrictEqual(hostsOf(list, 4), ["h3", "h0", "h1", "h2"])
    list.putLast("somebody else")
    assert.deepStrictEqual(hostsOf(list, 4), ["h3", "h0", "h1", "h2"])
  })

  it("writes addresses as they are read", () => {
    assert.strictEqual(formatServer({ host: "zk", port: 1 }), "zk:1")
    assert.strictEqual(formatServer({ host: "::1", port: 1 }), "[::1]:1")
  })
})

describe("the pause before an attempt", () => {
  const timeout = 10_000

  it("is a little jitter before the first, and none within a round [C3] [CONN-06]", () => {
    const list = new ServerList(servers(3))
    assert.strictEqual(backOff(list, timeout, () => 0), 0)
    assert.closeTo(backOff(list, timeout, () => 0.999), timeout / 20, 1)
    list.failed()
    assert.strictEqual(backOff(list, timeout, () => 0.999), 0)
    list.failed()
    assert.strictEqual(backOff(list, timeout, () => 0.999), 0)
    list.failed()
    assert.isAtLeast(backOff(list, timeout, () => 0), 50)
  })

  it("doubles with each round that brought nothing, up to two seconds, and never to nothing [C3] [C4] [K5]", () => {
    const list = new ServerList(servers(1))
    const longest: Array<number> = []
    const shortest: Array<number> = []
    for (let i = 0; i < 8; i++) {
      list.failed()
      longest.push(Math.round(backOff(list, timeout, () => 1)))
      shortest.push(Math.round(backOff(list, timeout, () => 0)))
    }
    assert.deepStrictEqual(longest, [100, 200, 400, 800, 1600, 2000, 2000, 2000])
    assert.deepStrictEqual(shortest, [50, 100, 200, 400, 800, 1000, 1000, 1000])
    assert.strictEqual(backOff(list, timeout, () => 1, longestOfSession), 900)
    list.succeeded()
    assert.strictEqual(backOff(list, timeout, () => 0), 0)
  })

  it("of a session that waits is less than a second, also before the first attempt, however long it may wait [A22] [C3]", () => {
    const list = new ServerList(servers(1))
    for (let i = 0; i < 8; i++) {
      assert.isAtMost(backOff(list, 600_000, () => 0.999, longestOfSession), 900)
      list.failed()
    }
  })

  it("stays finite after very many failures [C8] [B23]", () => {
    const list = new ServerList(servers(2))
    for (let i = 0; i < 200_000; i++) list.failed()
    assert.strictEqual(backOff(list, timeout, () => 1), 2000)
    assert.isAbove(backOff(list, 1, () => 0), 0)
  })

  it("is short against a short session timeout [C5]", () => {
    const list = new ServerList(servers(1))
    for (let i = 0; i < 20; i++) list.failed()
    assert.strictEqual(backOff(list, 400, () => 1), 100)
  })
})

describe("the time for one attempt", () => {
  it("is a third of the session timeout at most, and lets a round fit into half of what is left [C5] [B1]", () => {
    assert.strictEqual(attemptTimeout(1, 60_000, 60_000), 20_000)
    assert.closeTo(attemptTimeout(9, 4_000, 4_000), 222, 1)
    assert.closeTo(attemptTimeout(3, 10_000, 10_000), 1_667, 1)
    for (const count of [1, 2, 3, 5, 9]) {
      for (const left of [1_000, 4_000, 40_000]) {
        assert.isAtMost(count * attemptTimeout(count, left, left), Math.max(left / 2, count * 50) + 1)
      }
    }
  })

  it("never falls to nothing [C5] [B23]", () => {
    assert.strictEqual(attemptTimeout(100, 1_000, 0), 50)
    assert.strictEqual(attemptTimeout(3, 1, 1), 50)
  })
})
