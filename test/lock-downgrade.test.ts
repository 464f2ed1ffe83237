/** A write lock that becomes a read lock, with nobody in between and whatever happens on the way. */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import type { ZkClient } from "../src/ZkClient.ts"
import * as ZkLock from "../src/ZkLock.ts"
import * as ZkPath from "../src/ZkPath.ts"
import * as ZkTransaction from "../src/ZkTransaction.ts"
import { expireThrough } from "./support/expire.ts"
import { failsWith } from "./support/failsWith.ts"
import { lockClient, on, queueUp, twoClients } from "./support/locking.ts"
import { type Action, makeProxy } from "./support/proxy.ts"
import { freshPath, shared } from "./support/shared.ts"

const line = (lock: ZkLock.ZkLock<ZkLock.LockHandle>) =>
  Effect.map(
    lock.contenders,
    (all) => all.map(({ isHolder, kind }) => `${kind === "shared" ? "R" : "W"}${isHolder ? "*" : ""}`).join(" ")
  )

const readWrite = (client: ZkClient, name: string, options?: ZkLock.Options) =>
  on(client)(ZkLock.makeReadWrite(name, options))

/** A writer behind a proxy, and another client past it. */
const throughProxy = Effect.gen(function*() {
  const { port } = yield* shared
  const proxy = yield* makeProxy(port)
  const a = yield* lockClient({ hosts: proxy.connectString })
  const b = yield* lockClient()
  const name = yield* freshPath
  return { a, b, name, proxy }
})

const downgrades = { op: "multi", path: /__READ__/ } as const

describe("a downgrade", () => {
  for (const layout of ["curator", "kazoo", "zktools"] as const) {
    it.live(`puts a reader in the writer's place, ahead of all who wait, in ${layout}'s layout [J3]`, () =>
      Effect.gen(function*() {
        const { a, b, name } = yield* twoClients
        const ours = yield* readWrite(a, name, { layout, owner: { who: "a" } })
        const theirs = yield* readWrite(b, name, { layout })
        const writer = yield* ours.write.acquire()
        const early = yield* queueUp(a, name, 2, theirs.read.acquire())
        const next = yield* queueUp(a, name, 3, theirs.write.acquire())
        const late = yield* queueUp(a, name, 4, theirs.read.acquire())
        const reader = yield* writer.downgrade
        assert.strictEqual(reader.kind, "shared")
        assert.notStrictEqual(reader.path, writer.path)
        const [first] = yield* ours.read.contenders
        assert.strictEqual(first!.path, reader.path)
        assert.strictEqual(ZkPath.sequence(reader.path), ZkPath.sequence(writer.path))
        assert.deepStrictEqual(Option.getOrThrow(first!.owner).custom, { who: "a" })
        // Those who may share it with us are let in; the writer and who is behind it wait on.
        const second = yield* Fiber.join(early)
        assert.strictEqual(yield* line(ours.read), "R* R* W R")
        yield* Effect.all([a.sync(), b.sync()])
        assert.isUndefined(next.pollUnsafe())
        // What the writer wrote under its number goes on under it.
        assert.strictEqual(reader.fencingToken, writer.fencingToken)
        // The old handle says what has become of it, and guards nothing.
        assert.isTrue(yield* reader.isHeld)
        assert.isFalse(yield* writer.isHeld)
        assert.strictEqual((yield* failsWith(writer.guard([]), "LockLost")).reason, "downgraded")
        assert.strictEqual((yield* failsWith(writer.use(Effect.void), "LockLost")).reason, "downgraded")
        assert.strictEqual((yield* failsWith(writer.downgrade, "LockLost")).reason, "downgraded")
        assert.isFalse(yield* writer.release)
        yield* reader.guard([])
        assert.isTrue(yield* reader.release)
        assert.isFalse(yield* reader.release)
        yield* second.release
        assert.isTrue(yield* (yield* Fiber.join(next)).release)
        assert.isTrue(yield* (yield* Fiber.join(late)).isHeld)
      }))
  }

  it.live("leaves what runs under the lock running, until that ends [J3]", () =>
    Effect.gen(function*() {
      const { a, b, name } = yield* twoClients
      const ours = yield* readWrite(a, name)
      const theirs = yield* readWrite(b, name)
      const seen: Array<string> = []
      const begun = yield* Deferred.make<void>()
      const go = yield* Deferred.make<void>()
      const done = yield* Effect.forkScoped(ours.write.withLock(Effect.fnUntraced(function*(writer) {
        const reader = yield* writer.downgrade
        yield* Deferred.succeed(begun, undefined)
        yield* Deferred.await(go)
        seen.push("body")
        return yield* reader.isHeld
      })))
      yield* Deferred.await(begun)
      const beside = Option.getOrThrow(yield* theirs.read.tryAcquire())
      yield* beside.release
      const next = yield* queueUp(
        a,
        name,
        2,
        theirs.write.withLock(Effect.sync(() => {
          seen.push("next")
        }))
      )
      yield* Deferred.succeed(go, undefined)
      assert.isTrue(yield* Fiber.join(done))
      yield* Fiber.join(next)
      assert.deepStrictEqual(seen, ["body", "next"])
      assert.isFalse(yield* ours.read.isLocked)
    }))

  const lost: Record<string, { readonly kind: "request" | "reply"; readonly action: Action }> = {
    "whose answer is lost": { kind: "reply", action: "cut" },
    "that is lost itself": { kind: "request", action: "cut" }
  }
  for (const [what, { action, kind }] of Object.entries(lost)) {
    for (const again of [false, true]) {
      it.live(`${what}${again ? " twice" : ""} is done once [J3]`, () =>
        Effect.gen(function*() {
          const { a, b, name, proxy } = yield* throughProxy
          const ours = yield* readWrite(a, name)
          const theirs = yield* readWrite(b, name)
          const writer = yield* ours.write.acquire()
          const next = yield* queueUp(b, name, 2, theirs.write.acquire())
          const rule = yield* proxy.rule({ ...downgrades, kind }, action, { times: again ? 2 : 1 })
          const reader = yield* writer.downgrade
          assert.strictEqual(yield* rule.count, again ? 2 : 1)
          assert.isTrue(yield* reader.isHeld)
          yield* reader.guard([])
          assert.strictEqual(yield* line(theirs.read), "R* W")
          yield* reader.release
          assert.isTrue(yield* (yield* Fiber.join(next)).isHeld)
          assert.strictEqual(yield* line(theirs.read), "W*")
        }))
    }
  }

  it.live("of a lock that is lost is none, whether that is known or not [J3]", () =>
    Effect.gen(function*() {
      const { a, b, name, proxy } = yield* throughProxy
      const ours = yield* readWrite(a, name)
      const known = yield* ours.write.acquire()
      yield* b.delete(known.path)
      yield* Effect.flip(known.lost)
      const since = yield* proxy.position
      assert.strictEqual((yield* failsWith(known.downgrade, "LockLost")).reason, "removed")
      assert.lengthOf(yield* proxy.frames({ op: "multi", kind: "request" }, since), 0)
      // The node goes while the transaction is on its way, and nobody is told.
      const unknown = yield* ours.write.acquire()
      const rule = yield* proxy.rule({ ...downgrades, kind: "request" }, {
        before: Effect.orDie(b.delete(unknown.path))
      })
      assert.strictEqual((yield* failsWith(unknown.downgrade, "LockLost")).reason, "removed")
      assert.strictEqual(yield* rule.count, 1)
      assert.isFalse(yield* unknown.isHeld)
      assert.deepStrictEqual(yield* ours.read.contenders, [])
    }))

  it.live("in which the session ends is none [J3]", () =>
    Effect.gen(function*() {
      const { a, b, name, proxy } = yield* throughProxy
      const ours = yield* readWrite(a, name)
      const writer = yield* ours.write.acquire()
      const session = (yield* a.session).sessionId
      const rule = yield* proxy.rule({ ...downgrades, kind: "request" }, "freeze")
      const downgrading = yield* Effect.forkScoped(failsWith(writer.downgrade, "SessionExpired"))
      yield* rule.fired
      assert.strictEqual(yield* expireThrough(proxy, (yield* shared).port), session)
      yield* proxy.cutAll
      yield* proxy.heal
      assert.strictEqual((yield* Fiber.join(downgrading)).sessionId, session)
      assert.strictEqual((yield* failsWith(writer.lost, "LockLost")).reason, "expired")
      const theirs = yield* readWrite(b, name)
      assert.isTrue(Option.isSome(yield* theirs.write.tryAcquire()))
    }))

  it.live("is followed by the loss of the reader's node, however that comes [J3]", () =>
    Effect.gen(function*() {
      const { a, b, name } = yield* twoClients
      const ours = yield* readWrite(a, name)
      const theirs = yield* readWrite(b, name)
      const reader = yield* (yield* ours.write.acquire()).downgrade
      yield* a.sync()
      const running = yield* Effect.forkScoped(failsWith(reader.use(Effect.never), "LockLost"))
      yield* b.delete(reader.path)
      yield* Effect.repeat(a.sync(), { times: 1 })
      // At once, not at the next check of all nodes.
      assert.isFalse(yield* reader.isHeld)
      assert.strictEqual((yield* Fiber.join(running)).reason, "removed")
      assert.strictEqual((yield* failsWith(reader.lost, "LockLost")).reason, "removed")
      assert.isFalse(yield* reader.isHeld)
      const again = yield* (yield* ours.write.acquire()).downgrade
      assert.isTrue(Option.isSome(yield* theirs.write.tryAcquire({ revoke: "immediate" })))
      assert.strictEqual((yield* failsWith(again.lost, "LockLost")).reason, "removed")
    }))

  it.live("lets nothing be written meanwhile that no node guards [J3]", () =>
    Effect.gen(function*() {
      const { a, b, name, proxy } = yield* throughProxy
      const ours = yield* readWrite(a, name)
      const writer = yield* ours.write.acquire()
      yield* b.create(`${name}-data`)
      const rule = yield* proxy.rule({ ...downgrades, kind: "reply" }, "freeze")
      const downgrading = yield* Effect.forkScoped(writer.downgrade, { startImmediately: true })
      // Sent behind the downgrade: the writer's node is gone then, and the reader's is none that it knows.
      const guarding = yield* Effect.forkScoped(
        failsWith(writer.guard([ZkTransaction.setData(`${name}-data`, "x")]), "LockLost"),
        { startImmediately: true }
      )
      yield* rule.fired
      yield* proxy.heal
      assert.strictEqual((yield* Fiber.join(guarding)).reason, "downgraded")
      const reader = yield* Fiber.join(downgrading)
      assert.isTrue(yield* reader.isHeld)
      assert.strictEqual((yield* b.getData(`${name}-data`)).stat.version, 0)
    }))

  it.live("that is asked for twice at once is one [J3]", () =>
    Effect.gen(function*() {
      const { a, name } = yield* twoClients
      const ours = yield* readWrite(a, name)
      const writer = yield* ours.write.acquire()
      const [one, two] = yield* Effect.all([
        writer.downgrade,
        failsWith(writer.downgrade, "LockLost")
      ], { concurrency: 2 })
      assert.strictEqual(two.reason, "downgraded")
      assert.isTrue(yield* one.isHeld)
      assert.strictEqual(yield* line(ours.read), "R*")
    }))

  it.live("of a lock that is held more than once is one for all who hold it [J3]", () =>
    Effect.gen(function*() {
      const { a, b, name } = yield* twoClients
      const ours = yield* readWrite(a, name, { reentrant: true })
      const theirs = yield* readWrite(b, name)
      yield* ours.write.withLock(Effect.fnUntraced(function*(outer) {
        yield* ours.write.withLock(Effect.fnUntraced(function*(inner) {
          const reader = yield* inner.downgrade
          assert.isFalse(yield* outer.isHeld)
          assert.strictEqual((yield* failsWith(outer.guard([]), "LockLost")).reason, "downgraded")
          yield* ours.read.withLock(Effect.fnUntraced(function*(once) {
            assert.strictEqual(once.path, reader.path)
            // The message is in the reader's node, and all who hold it hear of it.
            assert.strictEqual(yield* theirs.write.revokeAll, 1)
            yield* Effect.all([once.revocationRequested, reader.revocationRequested])
          }))
          const error = yield* failsWith(ours.write.withLock(Effect.void), "LockNotAcquired")
          assert.strictEqual(error.cause._tag, "LockAlreadyHeld")
        }))
        // Held on by the outer one.
        assert.isTrue(Option.isNone(yield* theirs.write.tryAcquire()))
      }))
      assert.isTrue(Option.isSome(yield* theirs.write.tryAcquire()))
    }))

  it.live("costs one transaction, and nothing more when it is released", () =>
    Effect.gen(function*() {
      const { a, name, proxy } = yield* throughProxy
      const ours = yield* readWrite(a, name)
      const writer = yield* ours.write.acquire()
      yield* a.sync()
      const since = yield* proxy.position
      const reader = yield* writer.downgrade
      yield* a.sync()
      const { ops } = yield* proxy.stats(since)
      // The reader's node is watched from then on.
      assert.deepInclude(ops, { multi: 1, getData: 1 })
      const then = yield* proxy.position
      yield* reader.release
      assert.isAtMost((yield* proxy.stats(then)).ops["delete"] ?? 0, 2)
    }))
})
