import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as ZkAcl from "../src/ZkAcl.ts"
import * as ZkClient from "../src/ZkClient.ts"
import type * as ZkNode from "../src/ZkNode.ts"
import * as ZkTransaction from "../src/ZkTransaction.ts"
import { expireSession, expireThrough } from "./support/expire.ts"
import { failsWith } from "./support/failsWith.ts"
import { leaveSession } from "./support/leftBehind.ts"
import { pair, proxiedPair } from "./support/mirroring.ts"
import { freshRoot, shared } from "./support/shared.ts"
import { keptNumber, stateBecomes, throttled, typedNode, valueBecomes } from "./support/typedNodes.ts"
import { heard, newSession, sessionOf } from "./support/watching.ts"

const value = Schema.Number

/** Waits until others see it as the node of this session. */
const isOf = (other: ZkClient.ZkClient, path: string, session: bigint) =>
  Effect.scoped(Effect.gen(function*() {
    const node = yield* typedNode(other, path, { value })
    yield* stateBecomes(node, (state) => state._tag === "Present" && state.stat.ephemeralOwner === session)
    return yield* node.get
  }))

const isGone = (other: ZkClient.ZkClient, path: string) =>
  Effect.scoped(Effect.gen(function*() {
    const node = yield* typedNode(other, path, { value })
    yield* stateBecomes(node, (state) => state._tag === "Missing")
  }))

/** Our client in a scope that the test closes: closing waits for what it does in the background. */
const closable = Effect.gen(function*() {
  const rig = yield* proxiedPair()
  const scope = yield* Effect.acquireRelease(Scope.make(), (scope, exit) => Scope.close(scope, exit))
  const mine = yield* Scope.provide(ZkClient.make({ hosts: rig.proxy.connectString }), scope)
  return { ...rig, mine, close: Scope.close(scope, Exit.void) }
})

describe.concurrent("a node that is kept", () => {
  it.live("is made anew when it is deleted, and in each session, with its last value and ACL, until its scope ends [T73] [PN-01] [PN-08]", () =>
    Effect.gen(function*() {
      const { other, port, proxy, root, zk } = yield* proxiedPair()
      const path = `${root}/a/b`
      const acl = [{ ...ZkAcl.openAcl[0]!, perms: ZkAcl.Perms.read | ZkAcl.Perms.write }]
      yield* Effect.scoped(Effect.gen(function*() {
        const node = yield* typedNode(zk, path, { value, mode: "ephemeral", default: 1, acl })
        let session = yield* sessionOf(zk)
        for (let i = 0; i < 3; i++) {
          yield* other.delete(path)
          assert.strictEqual(yield* isOf(other, path, session), 1)
        }
        for (let i = 2; i < 7; i++) {
          // Own writes count, and those of others.
          if (i % 2 === 0) yield* node.set(i)
          else {
            yield* other.setData(path, String(i))
            yield* valueBecomes(node, i)
          }
          yield* expireThrough(proxy, port)
          session = yield* newSession(zk, session)
          assert.strictEqual(yield* isOf(other, path, session), i)
          assert.deepStrictEqual((yield* other.getAcl(path)).acl, acl)
          yield* valueBecomes(node, i)
        }
        yield* node.delete()
        assert.strictEqual(yield* isOf(other, path, session), 6)
      }))
      assert.isTrue(Option.isNone(yield* other.exists(path)))
      assert.isTrue(Option.isSome(yield* other.exists(`${root}/a`)))
    }))

  it.live("of a new session replaces at once what the old one has left, which lives on [T73] [NODE-KEPT-LEFT]", () =>
    Effect.gen(function*() {
      const rig = yield* proxiedPair()
      const { other, port, proxy, root, zk } = rig
      const path = `${root}/a`
      const scope = yield* Scope.make()
      const node = yield* Scope.provide(keptNumber(zk, path), scope)
      yield* node.set(2)
      const events = yield* other.subscribe(path, "persistent")
      const { left, session } = yield* leaveSession(rig, yield* sessionOf(zk))
      assert.strictEqual(yield* isOf(other, path, session), 2)
      yield* expireSession(port, left)
      assert.deepStrictEqual(yield* heard(other, events, root), ["NodeDeleted /a", "NodeCreated /a"])
      const transactions = yield* proxy.frames({ op: "multi", direction: "toServer" })
      assert.deepStrictEqual(transactions.map(({ ops }) => ops.map((op) => op.path)), [[path, path]])
      yield* node.set(3)
      assert.strictEqual(yield* isOf(other, path, session), 3)
      yield* Scope.close(scope, Exit.void)
      yield* isGone(other, path)
    }))

  it.live("waits for the node of somebody else to go, and leaves it alone [PN-01] [PN-03]", () =>
    Effect.gen(function*() {
      const { other, root, zk } = yield* pair
      const { connectString } = yield* shared
      const path = `${root}/a`
      const theirs = yield* Scope.make()
      const third = yield* Scope.provide(ZkClient.make({ hosts: connectString }), theirs)
      yield* third.create(path, "7", { mode: "ephemeral" })
      const scope = yield* Scope.make()
      const node = yield* Scope.provide(keptNumber(zk, path), scope)
      assert.strictEqual(yield* node.get, 7)
      assert.strictEqual((yield* failsWith(node.set(2), "NodeExists")).path, path)
      assert.strictEqual((yield* other.getData(path)).text, "7")
      yield* Scope.close(theirs, Exit.void)
      assert.strictEqual(yield* isOf(other, path, yield* sessionOf(zk)), 1)
      // Others' again, in place of ours.
      yield* other.multi([ZkTransaction.delete(path), ZkTransaction.create(path, "8", { mode: "ephemeral" })])
      yield* valueBecomes(node, 8)
      yield* failsWith(node.set(2), "NodeExists")
      yield* Scope.close(scope, Exit.void)
      yield* zk.sync()
      assert.strictEqual((yield* other.getData(path)).text, "8")
    }))

  it.live("is not made where a persistent one is in the way, which stays, whatever is known of it [PN-03] [PN-05]", () =>
    Effect.gen(function*() {
      const { other, proxy, root, zk } = yield* proxiedPair()
      for (const isSlow of [false, true]) {
        const path = `${root}/${isSlow}`
        yield* other.create(path, "7")
        // The copy does not read anything before it is all over.
        const slow = isSlow
          ? yield* proxy.rule({ op: "getData", direction: "toClient" }, throttled)
          : undefined
        yield* Effect.scoped(Effect.gen(function*() {
          const error = yield* failsWith(keptNumber(zk, path), "NodeExists")
          assert.deepStrictEqual([error.path, error.operation], [path, "make"])
          yield* zk.sync()
          assert.isTrue(Option.isSome(yield* other.exists(path)))
        }))
        if (slow !== undefined) assert.strictEqual(yield* slow.count, 1)
        yield* zk.sync()
        assert.strictEqual((yield* other.getData(path)).text, "7")
      }
    }))

  it.live("a node that could not be made leaves nothing though its scope goes on, nor does one that was interrupted anywhere [PN-05]", () =>
    Effect.gen(function*() {
      let interrupted = 0
      for (let point = 0; point < 42; point++) {
        yield* Effect.scoped(Effect.gen(function*() {
          const { close, mine, other, proxy, root } = yield* closable
          const paths = [`${root}/p/none`, `${root}/theirs`, `${root}/persistent`]
          const path = paths[point % 3]!
          const at = Math.floor(point / 3)
          yield* other.create(paths[1]!, "7", { mode: "ephemeral" })
          yield* other.create(paths[2]!, "7")
          yield* proxy.forget
          const fiber = yield* Effect.forkScoped(keptNumber(mine, path))
          // Not waiting for its end: the event itself goes on.
          yield* proxy.runAt(
            at,
            Effect.sync(() => {
              interrupted++
              fiber.interruptUnsafe()
            })
          )
          // The scope that it was made in is the test's, and still open.
          const exit = yield* Fiber.await(fiber)
          if (Exit.isFailure(exit) || path !== paths[0]) {
            yield* mine.sync()
            yield* close
            assert.isTrue(Option.isNone(yield* other.exists(paths[0]!)))
          }
          assert.strictEqual((yield* other.getData(paths[1]!)).text, "7")
          assert.strictEqual((yield* other.getData(paths[2]!)).text, "7")
        }))
      }
      assert.isAtLeast(interrupted, 24)
    }))

  it.live("an interrupted make takes its node back at once, not with the client [PN-05]", () =>
    Effect.gen(function*() {
      const { other, proxy, root, zk } = yield* proxiedPair()
      const path = `${root}/a`
      // The first reading of the copy never ends, so that the node is there, and making it does not come back.
      yield* proxy.rule({ op: "getData", direction: "toClient" }, throttled, { times: 1_000 })
      const making = yield* Effect.forkScoped(keptNumber(zk, path))
      yield* isOf(other, path, yield* sessionOf(zk))
      yield* Fiber.interrupt(making)
      yield* zk.sync()
      assert.isTrue(Option.isNone(yield* other.exists(path)))
    }))

  it.live("goes with its scope, also without a connection: then as soon as there is one [T73] [PN-05]", () =>
    Effect.gen(function*() {
      const { other, proxy, root, zk } = yield* proxiedPair()
      const path = `${root}/a`
      const scope = yield* Scope.make()
      yield* Scope.provide(keptNumber(zk, path), scope)
      const session = yield* sessionOf(zk)
      yield* proxy.setAccept("refuse")
      yield* proxy.cutAll
      yield* zk.stateChanges.pipe(Stream.takeUntil((state) => state._tag === "Suspended"), Stream.runDrain)
      yield* Effect.timeout(Scope.close(scope, Exit.void), "1 second")
      assert.isTrue(Option.isSome(yield* other.exists(path)))
      yield* proxy.heal
      yield* isGone(other, path)
      assert.strictEqual(yield* sessionOf(zk), session)
    }))

  it.live("somebody else's node that took its place unseen is not removed [T73]", () =>
    Effect.gen(function*() {
      const { close, mine, other, proxy, root } = yield* closable
      const path = `${root}/a`
      const scope = yield* Scope.make()
      const node = yield* Scope.provide(keptNumber(mine, path), scope)
      yield* proxy.setAccept("refuse")
      yield* proxy.cutAll
      yield* mine.stateChanges.pipe(Stream.takeUntil((state) => state._tag === "Suspended"), Stream.runDrain)
      yield* other.multi([ZkTransaction.delete(path), ZkTransaction.create(path, "8", { mode: "ephemeral" })])
      const setting = yield* Effect.forkChild(Effect.flip(node.set(2)), { startImmediately: true })
      yield* proxy.heal
      // Nor is it written to.
      assert.strictEqual((yield* Fiber.join(setting))._tag, "NodeExists")
      assert.strictEqual((yield* other.getData(path)).text, "8")
      yield* proxy.setAccept("refuse")
      yield* proxy.cutAll
      yield* mine.stateChanges.pipe(Stream.takeUntil((state) => state._tag === "Suspended"), Stream.runDrain)
      yield* Scope.close(scope, Exit.void)
      yield* proxy.heal
      yield* mine.sync()
      yield* close
      assert.strictEqual((yield* other.getData(path)).text, "8")
    }))

  it.live("none is left when the scope ends while the node is being made anew, whatever becomes of the answer [T73] [PN-05]", () =>
    Effect.gen(function*() {
      for (const how of ["request", "lost", "reply"] as const) {
        yield* Effect.scoped(Effect.gen(function*() {
          const { close, mine, other, proxy, root } = yield* closable
          const path = `${root}/a`
          const scope = yield* Scope.make()
          yield* Scope.provide(keptNumber(mine, path), scope)
          const end = Effect.sync(() => void Effect.runFork(Scope.close(scope, Exit.void)))
          const rule = yield* proxy.rule(
            {
              op: "create",
              direction: how === "request" ? "toServer" : "toClient",
              path: how === "request" ? path : undefined
            },
            how === "lost" ? "cut" : { before: end }
          )
          yield* other.delete(path)
          yield* rule.fired
          if (how === "lost") yield* Scope.close(scope, Exit.void)
          yield* mine.sync()
          yield* Scope.close(scope, Exit.void)
          yield* isGone(other, path)
          yield* close
          assert.isTrue(Option.isNone(yield* other.exists(path)))
        }))
      }
    }))

  it.live("nothing is written after the end [PN-05]", () =>
    Effect.gen(function*() {
      const { other, root, zk } = yield* pair
      const path = `${root}/a`
      const scope = yield* Scope.make()
      const node = yield* Scope.provide(keptNumber(zk, path), scope)
      yield* Scope.close(scope, Exit.void)
      yield* Scope.close(scope, Exit.void)
      const exits = yield* Effect.all([Effect.exit(node.set(2)), Effect.exit(Effect.asVoid(node.update((n) => n + 1)))])
      assert.deepStrictEqual(exits.map((exit) => Exit.hasInterrupts(exit as Exit.Exit<unknown, unknown>)), [true, true])
      yield* zk.sync()
      assert.isTrue(Option.isNone(yield* other.exists(path)))
    }))

  it.live("is made late where there is no server, and not at all with nonsense [PN-07]", () =>
    Effect.gen(function*() {
      const { connectString } = yield* shared
      const root = yield* freshRoot
      const other = yield* ZkClient.make({ hosts: connectString })
      const { proxy } = yield* proxiedPair()
      yield* proxy.setAccept("refuse")
      const zk = yield* ZkClient.make({ hosts: proxy.connectString, lazy: true })
      const making = yield* Effect.forkScoped(keptNumber(zk, `${root}/a`), { startImmediately: true })
      yield* proxy.setAccept("accept")
      const node = yield* Fiber.join(making)
      assert.strictEqual(yield* isOf(other, `${root}/a`, yield* sessionOf(zk)), 1)
      assert.strictEqual(yield* node.get, 1)
      const none = {} as ZkNode.EphemeralOptions<number>
      yield* failsWith(typedNode(zk, `${root}/b`, { value, ...none, mode: "ephemeral" }), "ValueEncodeError")
      yield* failsWith(keptNumber(zk, "b"), "InvalidPath")
      yield* failsWith(typedNode(zk, `${root}/b`, { value, mode: "ephemeral", default: 1, acl: [] }), "InvalidAcl")
      yield* failsWith(keptNumber(zk, `${root}/a/below`), "NoChildrenForEphemerals")
      assert.deepStrictEqual([...(yield* other.getChildren(root)).children], ["a"])
    }))
})

describe.concurrent("writing a node that is kept", () => {
  it.live("goes on across the end of a session, in the next [NODE-KEPT-SET]", () =>
    Effect.gen(function*() {
      const { other, port, proxy, root, zk } = yield* proxiedPair()
      const path = `${root}/a`
      const node = yield* keptNumber(zk, path)
      const session = yield* sessionOf(zk)
      yield* proxy.setAccept("refuse")
      yield* proxy.cutAll
      yield* zk.stateChanges.pipe(Stream.takeUntil((state) => state._tag === "Suspended"), Stream.runDrain)
      const setting = yield* Effect.forkChild(node.set(2), { startImmediately: true })
      yield* expireThrough(proxy, port)
      yield* proxy.heal
      const stat = yield* Fiber.join(setting)
      const next = yield* newSession(zk, session)
      assert.strictEqual(stat.ephemeralOwner, next)
      assert.strictEqual(yield* node.get, 2)
      assert.strictEqual(yield* isOf(other, path, next), 2)
    }))

  it.live("what was answered outlives the session, however late the copy hears of it [NODE-KEPT-SET]", () =>
    Effect.gen(function*() {
      for (const how of ["set", "version", "update"] as const) {
        yield* Effect.scoped(Effect.gen(function*() {
          const { other, port, proxy, root, zk } = yield* proxiedPair()
          const path = `${root}/a`
          const node = yield* keptNumber(zk, path)
          const session = yield* sessionOf(zk)
          // No reading of the copy succeeds from the write on until the session is over.
          const answered = yield* proxy.rule({ op: "setData", direction: "toClient" }, {
            before: proxy.rule({ op: "getData", direction: "toClient" }, throttled)
          })
          const writing = yield* Effect.forkChild(
            how === "set"
              ? node.set(2)
              : how === "version"
              ? node.set(2, { version: 0 })
              : node.update((n) => n + 1),
            { startImmediately: true }
          )
          yield* answered.fired
          yield* zk.sync()
          yield* expireThrough(proxy, port)
          const next = yield* newSession(zk, session)
          assert.strictEqual(yield* isOf(other, path, next), 2)
          yield* Fiber.join(writing)
          yield* valueBecomes(node, 2)
        }))
      }
    }))

  it.live("updates add up though the node is deleted again and again [NODE-KEPT-UPDATE]", () =>
    Effect.gen(function*() {
      const { other, root, zk } = yield* pair
      const path = `${root}/a`
      const node = yield* keptNumber(zk, path, 0)
      let isDone = false
      let deleted = 0
      const deleting = yield* Effect.forkChild(
        Effect.gen(function*() {
          while (!isDone) {
            yield* Effect.match(other.delete(path), { onSuccess: () => void deleted++, onFailure: () => {} })
            yield* Effect.sleep("20 millis")
          }
        })
      )
      const increments = Array.from({ length: 100 }, () => node.update((n) => n + 1))
      yield* Effect.all(increments, { concurrency: 4, discard: true })
      isDone = true
      yield* Fiber.join(deleting)
      assert.isAbove(deleted, 3)
      yield* valueBecomes(node, 100)
      assert.strictEqual(yield* isOf(other, path, yield* sessionOf(zk)), 100)
    }))

  it.live("an update notices that the node was made anew, though its version is the same [NODE-KEPT-UPDATE]", () =>
    Effect.gen(function*() {
      const { other, root, zk } = yield* pair
      const path = `${root}/a`
      const node = yield* keptNumber(zk, path, 0)
      const versions: Array<number> = []
      const result = yield* node.update((n) =>
        Effect.gen(function*() {
          versions.push((yield* other.getData(path)).stat.version)
          if (versions.length > 1) return n + 1
          yield* node.set(5)
          yield* other.delete(path)
          assert.strictEqual(yield* isOf(other, path, yield* sessionOf(zk)), 5)
          versions.push((yield* other.getData(path)).stat.version)
          return n + 1
        }).pipe(Effect.orDie)
      )
      assert.deepStrictEqual(versions, [0, 0, 0])
      assert.strictEqual(result, 6)
      assert.strictEqual((yield* other.getData(path)).text, "6")
    }))

  it.live("takes one request, and one to see it [NODE-COST]", () =>
    Effect.gen(function*() {
      const { proxy, root, zk } = yield* proxiedPair()
      const kept = yield* keptNumber(zk, `${root}/a`)
      const persistent = yield* typedNode(zk, `${root}/b`, { value, default: 1 })
      for (const node of [kept, persistent]) {
        yield* node.sync
        const since = yield* proxy.position
        yield* Effect.forEach(Array.from({ length: 20 }, (_, i) => i), (i) => node.set(i))
        const { ops } = yield* proxy.stats(since)
        assert.strictEqual(ops["setData"], 20)
        assert.isAtMost(ops["getData"] ?? 0, 20)
        assert.isUndefined(ops["sync"] ?? ops["exists"] ?? ops["create2"])
      }
    }))
})
