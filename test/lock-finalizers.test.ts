/** What goes on although the lock is lost: finalizers, and services with fibers of their own. T = 6 seconds. */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import type * as ZkClient from "../src/ZkClient.ts"
import * as ZkLock from "../src/ZkLock.ts"
import { failsWith } from "./support/failsWith.ts"
import { pass, settle } from "./support/fakeClient.ts"
import { leaseRig } from "./support/leasing.ts"
import { recordStates } from "./support/states.ts"

/** How the end of a lock is heard of: by the servers, or by the clock of a machine that slept. */
const ways = ["removed", "lease"] as const

/** A lock on the scripted server; what is in `said` happened, in order. */
const rig = Effect.gen(function*() {
  const base = yield* leaseRig
  const lock = yield* base.withClient(ZkLock.make("a"))
  const said: Array<string> = []
  const say = (what: string) => Effect.sync(() => void said.push(what))
  /** The body stands at the gate meanwhile. A sleep is noticed by whoever takes the first step after it. */
  const lose = (way: (typeof ways)[number], gate: Deferred.Deferred<void>) =>
    Effect.gen(function*() {
      if (way === "removed") yield* base.nodes.remove(base.nodes.paths().at(-1) ?? "")
      else {
        // Longer than the lease, not as long as the session.
        base.boot.seconds += 4.2
        // The clock that counts it is asked again after some milliseconds. No timer of the lease has run by then.
        yield* pass(5)
        yield* Deferred.succeed(gate, undefined)
      }
      yield* settle
    })
  return { ...base, lock, lose, said, say }
})

describe("when a lock is lost", () => {
  it.effect.each(ways)(
    "the finalizers of its body run whole, with the fibers that they start: %s [LOCK-FIN1]",
    (way) =>
      Effect.gen(function*() {
        const { lock, lose, said, say, zk } = yield* rig
        const gate = yield* Deferred.make<void>()
        const slow = (what: string) => Effect.andThen(Effect.sleep("20 millis"), say(what))
        const finalizers: ReadonlyArray<Effect.Effect<unknown>> = [
          slow("plain"),
          Effect.exit(Effect.timeout(slow("timeout"), "1 second")),
          Effect.raceFirst(slow("race"), Effect.never),
          Effect.all([slow("one of two"), slow("two of two")], { concurrency: 2 }),
          Effect.flatMap(Effect.forkChild(slow("child")), Fiber.join),
          Effect.forkDetach(slow("detached")),
          zk.sync().pipe(Effect.timeout("5 seconds"), Effect.andThen(say("request")), Effect.exit),
          Effect.scoped(Effect.flatMap(Effect.forkScoped(slow("scoped")), Fiber.join))
        ]
        const body = Effect.scoped(Effect.gen(function*() {
          for (const finalizer of [...finalizers].reverse()) yield* Effect.addFinalizer(() => finalizer)
          yield* Deferred.await(gate)
          yield* say("went on")
        }))
        const working = yield* Effect.forkChild(
          Effect.tap(failsWith(lock.withLock(body), "LockLost"), () => say("over")),
          { startImmediately: true }
        )
        yield* settle
        yield* lose(way, gate)
        yield* pass(6_000, 10)
        assert.strictEqual((yield* Fiber.join(working)).reason, way)
        const expected = ["plain", "timeout", "race", "one of two", "two of two", "child", "request", "scoped", "over"]
        assert.deepStrictEqual(said.filter((what) => what !== "detached"), expected)
        assert.include(said, "detached")
      })
  )

  it.effect.each(ways)("fibers that are detached from its body go on: %s [LOCK-FIN2]", (way) =>
    Effect.gen(function*() {
      const { lock, lose, said, say, zk } = yield* rig
      const gate = yield* Deferred.make<void>()
      const longer = yield* Scope.make()
      const go = yield* Deferred.make<void>()
      const detached = (name: string) =>
        Deferred.await(gate).pipe(
          // The first step after a sleep of the machine may be theirs.
          Effect.andThen(say(`${name} saw the gate`)),
          Effect.andThen(Effect.timeout(Deferred.await(go), "1 hour")),
          Effect.andThen(zk.sync()),
          Effect.andThen(say(`${name} went on`)),
          Effect.onInterrupt(() => say(`${name} interrupted`))
        )
      const body = Effect.gen(function*() {
        yield* Effect.forkDetach(detached("detached"), { startImmediately: true })
        yield* Effect.forkIn(detached("scoped"), longer, { startImmediately: true })
        yield* Effect.forkChild(Effect.onInterrupt(Effect.never, () => say("child interrupted")), {
          startImmediately: true
        })
        return yield* Effect.never
      })
      const working = yield* Effect.forkChild(failsWith(lock.withLock(body), "LockLost"), { startImmediately: true })
      yield* settle
      yield* lose(way, gate)
      yield* pass(1_000)
      assert.strictEqual((yield* Fiber.join(working)).reason, way)
      yield* Deferred.succeed(gate, undefined)
      yield* Deferred.succeed(go, undefined)
      yield* pass(3_000)
      assert.sameMembers(said, [
        "detached saw the gate",
        "scoped saw the gate",
        "child interrupted",
        "detached went on",
        "scoped went on"
      ])
      yield* Scope.close(longer, Exit.void)
    }))

  it.effect.each(ways)(
    "a client that was made under it, for longer than the lock, lives on: %s [LOCK-FIN2]",
    (way) =>
      Effect.gen(function*() {
        const { fake, lock, lose, wire } = yield* rig
        const gate = yield* Deferred.make<void>()
        const longer = yield* Scope.make()
        const made = yield* Deferred.make<ZkClient.ZkClient>()
        const body = Effect.gen(function*() {
          yield* Deferred.succeed(made, yield* Scope.provide(wire.client(), longer))
          yield* Deferred.await(gate)
          return yield* Effect.never
        })
        const working = yield* Effect.forkChild(failsWith(lock.withLock(body), "LockLost"), { startImmediately: true })
        const zk = yield* Deferred.await(made)
        const states = yield* recordStates(zk)
        yield* states.await("Connected")
        yield* lose(way, gate)
        // To a client a sleep of its machine is a silence: it may connect again.
        yield* pass(3_000)
        assert.strictEqual((yield* Fiber.join(working)).reason, way)
        yield* zk.sync()
        // A cut is for the fibers that see to the connection.
        const before = states.tags().length
        for (const connection of fake.connections) if (connection.isOpen) yield* connection.close
        yield* pass(3_000)
        assert.deepStrictEqual(states.tags().slice(before), ["Suspended", "Connected"])
        yield* zk.sync()
        // So is its end.
        const since = fake.requests.length
        yield* Scope.close(longer, Exit.void)
        assert.include(fake.requests.slice(since).map(({ name }) => name), "closeSession")
      })
  )

  it.effect.each(ways)(
    "a client of its body's own scope is closed in good order: %s [LOCK-FIN1]",
    (way) =>
      Effect.gen(function*() {
        const { fake, lock, lose, wire } = yield* rig
        const gate = yield* Deferred.make<void>()
        const started = yield* Deferred.make<void>()
        const body = Effect.scoped(Effect.gen(function*() {
          const zk = yield* wire.client()
          yield* zk.sync()
          yield* Deferred.succeed(started, undefined)
          yield* Deferred.await(gate)
          return yield* Effect.never
        }))
        const working = yield* Effect.forkChild(failsWith(lock.withLock(body), "LockLost"), { startImmediately: true })
        yield* Deferred.await(started)
        const since = fake.requests.length
        yield* lose(way, gate)
        yield* pass(3_000)
        assert.strictEqual((yield* Fiber.join(working)).reason, way)
        assert.lengthOf(fake.requests.slice(since).filter(({ name }) => name === "closeSession"), 1)
      })
  )
})
