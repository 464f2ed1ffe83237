/** What can be seen of locks from outside: spans and metrics. */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Metric from "effect/Metric"
import * as Option from "effect/Option"
import type * as Tracer from "effect/Tracer"
import * as ZkLock from "../src/ZkLock.ts"
import * as ZkSemaphore from "../src/ZkSemaphore.ts"
import { lockClient, on, queueUp, twoClients } from "./support/locking.ts"
import { freshPath } from "./support/shared.ts"
import { spanSpies } from "./support/spans.ts"

const parentOf = (span: Tracer.NativeSpan): string | undefined => {
  const parent = Option.getOrUndefined(span.parent)
  return parent?._tag === "Span" ? parent.name : undefined
}

/** The figures of this test alone: metrics are kept in a registry that comes with the context. */
const withOwnMetrics = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.provideService(effect, Metric.MetricRegistry, new Map())

const figures = Effect.map(Metric.snapshot, (all) => {
  const found: Record<string, unknown> = {}
  for (const { id, state } of all) {
    if (id.startsWith("zookeeper_lock")) found[id] = "count" in state ? state.count : state
  }
  return found
})

describe("locks", () => {
  it.live("show how they were waited for and held, in spans if a tracer is installed [LOCK-SPANS]", () =>
    Effect.gen(function*() {
      const { a, b, name } = yield* twoClients
      const { spans, tracer } = spanSpies()
      const ours = yield* on(a)(ZkLock.make(name))
      const theirs = yield* on(b)(ZkLock.make(name))
      const held = yield* ours.acquire()
      const waiter = yield* queueUp(
        a,
        name,
        2,
        theirs.withLock(Effect.withSpan(Effect.void, "body")).pipe(Effect.withTracer(tracer))
      )
      yield* held.release
      yield* Fiber.join(waiter)
      const named = (wanted: string) => spans.filter((span) => span.name === wanted)
      const [acquire, ...more] = named("ZkLock.acquire")
      assert.deepStrictEqual(more, [])
      assert.strictEqual(acquire?.attributes.get("zookeeper.path"), name)
      assert.strictEqual(acquire?.attributes.get("zookeeper.lock.ahead"), 1)
      assert.strictEqual(acquire?.status._tag, "Ended")
      assert.strictEqual(parentOf(named("body")[0]!), "ZkLock.use")
      // What the library does for itself in the background is nobody's span.
      assert.deepStrictEqual(spans.filter((span) => span.name === "ZkClient.multi"), [])
      assert.isEmpty(spans.filter((span) => span.status._tag !== "Ended"))
    }))

  it.live("make no spans where no tracer is installed [LOCK-SPANS]", () =>
    Effect.gen(function*() {
      const zk = yield* lockClient()
      const { spans, tracer } = spanSpies()
      const lock = yield* on(zk)(ZkLock.make(yield* freshPath))
      yield* lock.withLock(Effect.void).pipe(Effect.withTracer(tracer), Effect.withTracerEnabled(false))
      assert.isEmpty(spans)
    }))

  it.live("count waiting, holding, contenders and losses [LOCK-METRICS]", () =>
    Effect.gen(function*() {
      const zk = yield* lockClient()
      const lock = yield* on(zk)(ZkLock.make(yield* freshPath))
      const semaphore = yield* on(zk)(ZkSemaphore.make(yield* freshPath, { permits: 2 }))
      yield* withOwnMetrics(Effect.gen(function*() {
        yield* lock.withLock(Effect.void)
        const held = yield* lock.acquire()
        yield* lock.clear
        yield* Effect.flip(held.lost)
        yield* semaphore.withPermits(2, Effect.void)
        const context = yield* Effect.context<never>()
        assert.isTrue(Context.get(context, Metric.MetricRegistry).size > 0)
        assert.deepStrictEqual(yield* figures, {
          // The lock twice, the permits, and the place in line for them.
          zookeeper_lock_wait_millis: 4,
          zookeeper_lock_hold_millis: 4,
          zookeeper_lock_contenders: 3,
          zookeeper_locks_lost: 1
        })
      }))
    }).pipe(Effect.scoped))
})
