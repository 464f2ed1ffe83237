/** A session as a value, and the client that is bound to it: T = 6 seconds, on the scripted server. */
import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { ZkClient } from "../src/ZkClient.ts"
import * as ZkTransaction from "../src/ZkTransaction.ts"
import { everyOperation } from "./support/everyOperation.ts"
import { failsWith } from "./support/failsWith.ts"
import { makeWire, pass } from "./support/fakeClient.ts"
import { makeFakeServer } from "./support/fakeServer.ts"
import { leaseRig } from "./support/leasing.ts"
import { recordStates } from "./support/states.ts"

type AnyError = { readonly _tag: string; readonly sessionId?: bigint; readonly maybeApplied?: boolean }

/** All operations of a client by their names. */
const operations = (
  client: ZkClient,
  root: string
): ReadonlyArray<readonly [string, Effect.Effect<unknown, AnyError>]> => Object.entries(everyOperation(client, root))

/** The servers end the session, and give the next one. */
const expire = Effect.fnUntraced(function*({ fake, states }: Effect.Success<typeof leaseRig>) {
  const since = states.all.length
  yield* fake.onConnect(({ request }) => request.sessionId === 0n ? { type: "accept" } : { type: "expired" })
  yield* (yield* fake.current).close
  yield* pass(1_000)
  yield* states.await("Expired", { since })
  yield* states.await("Connected", { since })
})

describe("a client that is bound to a session", () => {
  it.effect("does all that the client does, as long as the session lives [VALUE-01]", () =>
    Effect.gen(function*() {
      const fake = yield* makeFakeServer
      const zk = yield* makeWire(fake).client()
      const session = yield* zk.session
      const failed: Array<string> = []
      for (const [name, operation] of operations(session.client, "/root")) {
        const exit = yield* Effect.exit(operation)
        if (Exit.isFailure(exit)) failed.push(name)
      }
      const plain: Array<string> = []
      for (const [name, operation] of operations(zk, "/root")) {
        const exit = yield* Effect.exit(operation)
        if (Exit.isFailure(exit)) plain.push(name)
      }
      // The scripted server knows little: what it refuses to one it refuses to the other.
      assert.deepStrictEqual(failed, plain)
      assert.isBelow(failed.length, 8)
    }))

  it.effect("fails with it: no operation is run in the next session, nor anything sent [VALUE-02] [K34]", () =>
    Effect.gen(function*() {
      const rig = yield* leaseRig
      const { fake, zk } = rig
      const session = yield* zk.session
      const view = yield* session.client.chroot("/view")
      yield* expire(rig)
      yield* zk.sync()
      const since = fake.requests.length
      for (const client of [session.client, view]) {
        for (const [name, operation] of operations(client, "/root")) {
          const error = yield* Effect.flip(operation)
          assert.strictEqual(error._tag, "SessionExpired", name)
          assert.strictEqual(error.sessionId, session.sessionId, name)
          assert.isFalse(error.maybeApplied, name)
        }
      }
      assert.deepStrictEqual(fake.requests.slice(since).map(({ name }) => name), [])
      // The client itself goes on.
      yield* zk.sync()
    }))

  it.effect("lets go what waits for a connection, and never sends it in the next session [VALUE-02]", () =>
    Effect.gen(function*() {
      const { fake, states, wire, zk } = yield* leaseRig
      const { client, sessionId } = yield* zk.session
      wire.dead.add("zk:2181")
      yield* (yield* fake.current).close
      yield* pass(100)
      const requests: ReadonlyArray<Effect.Effect<unknown, AnyError>> = [
        client.create("/bound"),
        client.getData("/bound")
      ]
      const waiting = yield* Effect.forEach(
        requests,
        (request) => Effect.forkChild(Effect.flip(request), { startImmediately: true })
      )
      yield* fake.onConnect(({ request }) => request.sessionId === 0n ? { type: "accept" } : { type: "expired" })
      wire.dead.clear()
      yield* pass(3_000)
      yield* states.await("Connected", { since: 2 })
      for (const fiber of waiting) {
        const error = yield* Fiber.join(fiber)
        assert.strictEqual(error._tag, "SessionExpired")
        assert.strictEqual(error.sessionId, sessionId)
        assert.isFalse(error.maybeApplied)
      }
      yield* zk.sync()
      assert.notInclude(fake.requests.map(({ path }) => path), "/bound")
    }))

  it.effect("has streams and subscriptions that end with it [VALUE-03]", () =>
    Effect.gen(function*() {
      const rig = yield* leaseRig
      const { fake, nodes, zk } = rig
      yield* nodes.add("/a")
      const { client } = yield* zk.session
      const ends: Record<string, string> = {}
      const run = <A, E extends { readonly _tag: string }>(name: string, stream: Stream.Stream<A, E>) =>
        Effect.forkScoped(
          Effect.matchEffect(Stream.runDrain(stream), {
            onSuccess: () => Effect.sync(() => void (ends[name] = "end")),
            onFailure: (error) => Effect.sync(() => void (ends[name] = error._tag))
          }),
          { startImmediately: true }
        )
      yield* run("changes", client.changes("/a"))
      yield* run("childrenChanges", client.childrenChanges("/a"))
      yield* run("watch", client.watch("/a", "persistent"))
      yield* run("recursive", client.watch("/a", "recursive"))
      const subscription = yield* client.subscribe("/a", "persistent")
      yield* run("subscription", Stream.fromQueue(subscription))
      const { fired } = yield* client.getDataWatch("/a")
      yield* run("one-shot", Stream.fromEffect(fired))
      // Those of the client itself go on.
      yield* run("plain", zk.changes("/a"))
      yield* run("plain watch", zk.watch("/a", "persistent"))
      yield* pass(100)
      assert.deepStrictEqual(ends, {})
      yield* expire(rig)
      const over = "SessionExpired"
      assert.deepStrictEqual(ends, {
        changes: over,
        childrenChanges: over,
        watch: over,
        recursive: over,
        subscription: over,
        "one-shot": over
      })
      assert.isAbove(fake.requests.length, 0)
    }))
})

describe("the session of a client", () => {
  it.effect("is one object as long as it lives, and another one after that [VALUE-04]", () =>
    Effect.gen(function*() {
      const rig = yield* leaseRig
      const { fake, states, zk } = rig
      const first = yield* zk.session
      assert.strictEqual(yield* zk.session, first)
      const since = states.all.length
      yield* (yield* fake.current).close
      yield* pass(500)
      yield* states.await("Connected", { since })
      assert.strictEqual(yield* zk.session, first)
      yield* expire(rig)
      const second = yield* zk.session
      assert.notStrictEqual(second, first)
      assert.notStrictEqual(second.sessionId, first.sessionId)
      // One that is bound stays where it is.
      const again = yield* first.client.session
      assert.strictEqual(again.sessionId, first.sessionId)
      yield* failsWith(again.client.sync(), "SessionExpired")
      const view = yield* zk.chroot("/view")
      assert.strictEqual((yield* view.session).sessionId, second.sessionId)
    }))

  it.effect("is waited for while there is none [VALUE-04]", () =>
    Effect.gen(function*() {
      const fake = yield* makeFakeServer
      const wire = makeWire(fake)
      wire.dead.add("zk:2181")
      const zk = yield* wire.client({ lazy: true })
      const waiting = yield* Effect.forkChild(zk.session, { startImmediately: true })
      yield* pass(3_000)
      assert.isUndefined(waiting.pollUnsafe())
      wire.dead.clear()
      yield* pass(2_500)
      const first = yield* Fiber.join(waiting)
      // And between two, after an expiry.
      const states = yield* recordStates(zk)
      wire.dead.add("zk:2181")
      yield* fake.onConnect(({ request }) => request.sessionId === 0n ? { type: "accept" } : { type: "expired" })
      yield* (yield* fake.current).close
      yield* pass(8_100)
      yield* states.await("Expired")
      const next = yield* Effect.forkChild(zk.session, { startImmediately: true })
      yield* pass(3_000)
      assert.isUndefined(next.pollUnsafe())
      wire.dead.clear()
      yield* pass(2_500)
      assert.notStrictEqual((yield* Fiber.join(next)).sessionId, first.sessionId)
    }))

  it.effect("is none once the client is closed [VALUE-04]", () =>
    Effect.gen(function*() {
      const fake = yield* makeFakeServer
      const scope = yield* Scope.make()
      const zk = yield* Scope.provide(makeWire(fake).client(), scope)
      const session = yield* zk.session
      yield* Scope.close(scope, Exit.void)
      yield* failsWith(zk.session, "SessionClosed")
      yield* failsWith(session.client.sync(), "SessionClosed")
      yield* failsWith(session.ended, "SessionClosed")
    }))

  it.effect("tells of its end, once and for all [VALUE-05]", () =>
    Effect.gen(function*() {
      const rig = yield* leaseRig
      const { fake, states, zk } = rig
      const session = yield* zk.session
      const ended = yield* Effect.forkChild(failsWith(session.ended, "SessionExpired"), { startImmediately: true })
      const since = states.all.length
      yield* (yield* fake.current).close
      yield* pass(500)
      yield* states.await("Connected", { since })
      assert.isUndefined(ended.pollUnsafe())
      yield* expire(rig)
      assert.strictEqual((yield* Fiber.join(ended)).sessionId, session.sessionId)
      yield* failsWith(session.ended, "SessionExpired")
      const next = yield* zk.session
      const going = yield* Effect.forkChild(next.ended, { startImmediately: true })
      yield* pass(5_000)
      assert.isUndefined(going.pollUnsafe())
      yield* Fiber.interrupt(going)
    }))

  it.effect("tells of its end by refused credentials [VALUE-05]", () =>
    Effect.gen(function*() {
      const { fake, zk } = yield* leaseRig
      const session = yield* zk.session
      const ended = yield* Effect.forkChild(failsWith(session.ended, "AuthFailed"), { startImmediately: true })
      yield* everyOperation(zk, "/root").addAuth
      yield* fake.on("auth", () => ({ type: "reply", err: -115 }))
      yield* (yield* fake.current).close
      yield* pass(500)
      assert.strictEqual((yield* Fiber.join(ended)).scheme, "digest")
    }))

  it.effect("has its own time, and knows when it was last known to live [VALUE-06]", () =>
    Effect.gen(function*() {
      const rig = yield* leaseRig
      const { boot, fake, states, zk } = rig
      const session = yield* zk.session
      assert.strictEqual(Duration.toMillis(session.timeoutUnsafe()), 6_000)
      assert.strictEqual(session.committedAtUnsafe(), -Infinity)
      yield* zk.sync()
      yield* Effect.ignore(zk.getData("/x"))
      assert.strictEqual(session.committedAtUnsafe(), -Infinity)
      const begun = session.nowUnsafe()
      yield* pass(500)
      assert.strictEqual(session.nowUnsafe(), begun + 500)
      // What counts is when the write was sent, not when it was answered.
      yield* fake.once("setData", () => Effect.as(Effect.sleep(300), { type: "default" } as const))
      const writing = yield* Effect.forkChild(zk.setData("/x", "x"), { startImmediately: true })
      yield* pass(200)
      assert.strictEqual(session.committedAtUnsafe(), -Infinity)
      yield* pass(100)
      yield* Fiber.join(writing)
      assert.strictEqual(session.committedAtUnsafe(), begun + 500)
      // A refused write proves nothing; a refused transaction has gone through the leader.
      yield* failsWith(zk.delete("/none"), "NoNode")
      assert.strictEqual(session.committedAtUnsafe(), begun + 500)
      yield* failsWith(zk.multi([ZkTransaction.delete("/none")]), "MultiFailed")
      assert.strictEqual(session.committedAtUnsafe(), begun + 800)
      // It outlives connections.
      const since = states.all.length
      yield* (yield* fake.current).close
      yield* pass(500)
      yield* states.await("Connected", { since })
      assert.strictEqual(session.committedAtUnsafe(), begun + 800)
      // Time for which the machine slept is counted.
      boot.seconds += 2
      assert.isAtLeast(session.nowUnsafe(), begun + 1_300 + 1_500)
      yield* zk.setData("/x", "y")
      const last = session.committedAtUnsafe()
      yield* expire(rig)
      // The next session's writes are none of this one's.
      yield* zk.setData("/x", "z")
      assert.strictEqual(session.committedAtUnsafe(), last)
      assert.isAbove((yield* zk.session).committedAtUnsafe(), last)
    }))

  it.effect("knows paths as the servers do [VALUE-07]", () =>
    Effect.gen(function*() {
      const { zk } = yield* leaseRig
      const view = yield* Effect.flatMap(zk.chroot("/a"), (zk) => zk.chroot("/b"))
      assert.strictEqual((yield* zk.session).absolutePath("/x"), "/x")
      assert.strictEqual((yield* view.session).absolutePath("/x"), "/a/b/x")
      assert.strictEqual((yield* view.session).absolutePath("/"), "/a/b")
      const { client } = yield* view.session
      assert.strictEqual((yield* client.session).absolutePath("/x"), "/a/b/x")
      const deeper = yield* client.chroot("/c")
      assert.strictEqual((yield* deeper.session).absolutePath("/x"), "/a/b/c/x")
    }))
})
