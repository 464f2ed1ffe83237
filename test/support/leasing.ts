import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { LockHandle } from "../../src/ZkLock.ts"
import { makeWire, pass, settle } from "./fakeClient.ts"
import { keepNodes } from "./fakeNodes.ts"
import type { FakeRequest } from "./fakeScript.ts"
import { makeFakeServer } from "./fakeServer.ts"
import { on } from "./locking.ts"
import { Op } from "./records.ts"
import { recordStates } from "./states.ts"

// What tests of leases have in common: a session timeout of six seconds by the test's Clock, and a scripted server.

/** The margin of a lease in milliseconds: a sixth, a quarter for want of a known tick, a hundredth of six seconds. */
export const margin = 1000 + 1500 + 60
/** How long a lease lasts, from the moment when the write was sent. */
export const leaseTime = 6000 - margin

/** A client of a scripted server that keeps nodes. `boot` is the time since the machine was booted, in seconds. */
export const leaseRig = Effect.gen(function*() {
  const fake = yield* makeFakeServer
  const nodes = yield* keepNodes(fake)
  const boot = { seconds: 0 }
  const wire = makeWire(fake, () => boot.seconds)
  const zk = yield* wire.client()
  const states = yield* recordStates(zk)
  yield* states.await("Connected")
  const isHeartbeat = ({ op, ops }: FakeRequest) => op === Op.multi && ops.every(({ op }) => op === Op.check)
  return {
    boot,
    fake,
    nodes,
    states,
    wire,
    zk,
    withClient: on(zk),
    /** The transactions of nothing but checks that have come so far: the nodes that each of them checks. */
    heartbeats: (since = 0) =>
      fake.requests.slice(since).filter(isHeartbeat).map(({ ops }) => ops.map(({ path }) => path)),
    isHeartbeat,
    /** From here on transactions are turned away: they are answered, and prove nothing. */
    throttle: fake.on("multi", () => ({ type: "reply", err: -127 }))
  }
})

/** Acquires or does something else that a scripted server answers at once, without any time passing. */
export const atOnce = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.tap(effect, () => settle)

/** Why a lock was lost, as soon as it was. */
export const watchLoss = (handle: LockHandle): Effect.Effect<() => string | undefined, never, Scope.Scope> =>
  Effect.gen(function*() {
    let reason: string | undefined
    yield* Effect.forkScoped(
      Effect.catch(handle.lost, (lost) => Effect.sync(() => void (reason = lost.reason))),
      { startImmediately: true }
    )
    return () => reason
  })

/** Passes time until a millisecond before the end of a lease, and then that millisecond. */
export const endsIn = (millis: number, handle: LockHandle, reason = "lease"): Effect.Effect<void, never, Scope.Scope> =>
  Effect.gen(function*() {
    const lost = yield* watchLoss(handle)
    yield* pass(millis - 1)
    assert.isUndefined(lost())
    assert.isTrue(yield* handle.isHeld)
    yield* pass(1)
    assert.strictEqual(lost(), reason)
    assert.isFalse(yield* handle.isHeld)
  })
