/** `zk ping`: how long answers take, and how many do not come. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { bucketsOf, drawBuckets, quantile } from "../src/cli/histogram.ts"
import { makeZk, matchesSnapshot } from "./support/cli.ts"
import { makeProxy } from "./support/proxy.ts"
import { screenOf } from "./support/screen.ts"
import { freshRoot, shared } from "./support/shared.ts"

/** Times are about none. */
const timeless = (text: string) => text.replaceAll(/127\.0\.0\.1:\d+/g, "<server>").replaceAll(/\d+\.\d+/g, "0.00")

/** Before the bars. */
const head = (text: string) => timeless(text.split("\n").slice(0, 2).join("\n"))

const samples: Readonly<Record<string, ReadonlyArray<number>>> = {
  close: [0.31, 0.32, 0.33, 0.36, 0.41, 0.42, 0.42, 0.43, 0.55, 0.81],
  far: [...Array.from({ length: 90 }, (_, index) => 0.3 + index / 300), 1.2, 1.3, 2.5, 7, 44, 230.5],
  one: [1],
  same: [2, 2, 2],
  none: [],
  zero: [0, 0],
  slow: [1200, 1250, 1300, 1349]
}

interface Summary {
  readonly servers: ReadonlyArray<string>
  readonly sent: number
  readonly received: number
  readonly lost: number
  readonly min: number | null
  readonly median: number | null
  readonly p95: number | null
  readonly p99: number | null
  readonly max: number | null
  readonly histogram: ReadonlyArray<{ readonly count: number }>
}

const read = (stdout: string) => JSON.parse(stdout) as Summary

/** The program, with a proxy between it and the server. */
const throughProxy = Effect.gen(function*() {
  const { port } = yield* shared
  const proxy = yield* makeProxy(port)
  const root = yield* freshRoot
  const zk = yield* makeZk(`${proxy.connectString}${root}`)
  return { proxy, zk }
})

describe.concurrent("zk ping", () => {
  it.live("counts each time once, and draws them in any width [CLI-P1]", ({ expect }) =>
    Effect.gen(function*() {
      const outputs: Array<string> = []
      for (const [name, values] of Object.entries(samples)) {
        const buckets = bucketsOf(values)
        assert.strictEqual(buckets.reduce((sum, { count }) => sum + count, 0), values.length)
        assert.isAtMost(buckets.length, 14)
        for (const [index, { from, to }] of buckets.entries()) {
          assert.isBelow(from, to)
          if (index > 0) assert.strictEqual(from, buckets[index - 1]?.to)
        }
        for (const width of [40, 80]) {
          const lines = drawBuckets(buckets, { unit: "ms", width })
          for (const line of lines) assert.isAtMost(line.length, width)
          outputs.push(`${name} (${width} columns)\n${lines.join("\n")}\n`)
        }
      }
      const hundred = Array.from({ length: 100 }, (_, index) => index + 1)
      const parts = [0, 0.5, 0.95, 0.99, 1]
      assert.deepStrictEqual(parts.map((part) => quantile(hundred, part)), [1, 50, 95, 99, 100])
      assert.deepStrictEqual(parts.map((part) => quantile([7], part)), [7, 7, 7, 7, 7])
      assert.isUndefined(quantile([], 0.5))
      yield* matchesSnapshot(expect, "ping-histogram", outputs.join("\n"))
    }))

  it.live("asks as often as told, and sums up, for people and for programs [CLI-P1]", ({ expect }) =>
    Effect.gen(function*() {
      const zk = yield* makeZk()
      const args = ["ping", "--count", "20", "--interval", "1ms"]
      const piped = yield* zk.run(args)
      assert.strictEqual(piped.code, 0)
      assert.strictEqual(piped.stderr, "")
      const screens = yield* Effect.forEach([60, 200], (columns) =>
        Effect.map(zk.show(args, { columns }), (screen) => {
          for (const line of screen.split("\n")) assert.isAtMost(line.length, columns, line)
          assert.match(screen, /\d ms +\d+ {2}█/)
          return `(${columns} columns)\n${head(screen)}`
        }))
      yield* matchesSnapshot(expect, "ping", [head(piped.stdout), ...screens].join("\n\n"))
      const json = read((yield* zk.run([...args, "--json"])).stdout)
      assert.deepInclude(json, { sent: 20, received: 20, lost: 0 })
      assert.strictEqual(json.servers.length, 1)
      const { max, median, min, p95, p99 } = json
      const times = [min, median, p95, p99, max].map(Number)
      assert.deepStrictEqual(times, times.toSorted((a, b) => a - b))
      assert.isAbove(times[0]!, 0)
      assert.strictEqual(json.histogram.reduce((sum, { count }) => sum + count, 0), 20)
      for (const [flag, value] of [["--count", "-1"], ["--interval", "0"], ["--interval", "soon"]] as const) {
        assert.strictEqual((yield* zk.run(["ping", flag, value])).code, 2)
      }
    }))

  it.live("ends with what it has seen when it is interrupted [CLI-P2]", () =>
    Effect.gen(function*() {
      const zk = yield* makeZk()
      const terminal = yield* zk.open(["ping", "--count", "0", "--interval", "5ms"])
      yield* terminal.awaitText("3 answers, the last in")
      yield* terminal.send("\u0003")
      const { code, stdout } = yield* terminal.ended
      assert.strictEqual(code, 130)
      assert.match(screenOf(stdout), /^(\^C)?127\.0\.0\.1:\d+: \d+ requests, \d+ answers, none lost\nmin /)
      const { proxy, zk: slow } = yield* throughProxy
      const piped = yield* slow.start(["ping", "--count", "0", "--interval", "1h", "--json"])
      yield* proxy.awaitFrame({ direction: "toServer", op: "exists" })
      yield* piped.signal("SIGINT")
      const ended = yield* piped.ended
      assert.strictEqual(ended.code, 130)
      const { lost, received, sent } = read(ended.stdout)
      assert.deepStrictEqual([lost, received], [0, sent])
    }))

  it.live("says which answers did not come, and goes on [CLI-P3]", () =>
    Effect.gen(function*() {
      const { proxy, zk } = yield* throughProxy
      const lost = yield* proxy.rule({ direction: "toServer", op: "exists" }, "drop")
      const { code, stderr, stdout } = yield* zk.run(
        ["ping", "--count", "5", "--interval", "1ms", "--timeout", "1s", "--json"]
      )
      assert.strictEqual(yield* lost.count, 1)
      assert.strictEqual(code, 0)
      assert.match(stderr, /^no answer to request 1: .*no answer within 1000 ms.*\n$/)
      assert.deepInclude(read(stdout), { sent: 5, received: 4, lost: 1 })
    }))

  it.live("fails when no answer came at all [CLI-P3]", () =>
    Effect.gen(function*() {
      const { proxy, zk } = yield* throughProxy
      yield* proxy.rule({ direction: "toServer", op: "exists" }, "drop", { times: 100 })
      const { code, stderr, stdout } = yield* zk.run(["ping", "--count", "1", "--timeout", "1s"])
      assert.strictEqual(code, 6)
      assert.strictEqual(timeless(stdout), "<server>: 1 request, 0 answers, 1 lost (100 %)\n")
      assert.include(stderr, "zk: no request was answered\n")
    }))
})
