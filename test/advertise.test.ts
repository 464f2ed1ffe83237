import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as SubscriptionRef from "effect/SubscriptionRef"
import * as ZkAcl from "../src/ZkAcl.ts"
import * as ZkClient from "../src/ZkClient.ts"
import * as ZkCodec from "../src/ZkCodec.ts"
import * as ZkTransaction from "../src/ZkTransaction.ts"
import { advertise, advertising, becomesState, seenAs, upToDate } from "./support/advertising.ts"
import { expireSession, expireThrough } from "./support/expire.ts"
import { failsWith } from "./support/failsWith.ts"
import { leaveSession } from "./support/leftBehind.ts"
import { shared } from "./support/shared.ts"
import { recordStates } from "./support/states.ts"
import { warnings } from "./support/typedNodes.ts"
import { patience } from "./support/wait.ts"
import { heard, newSession, sessionOf } from "./support/watching.ts"

const value = Schema.Number
const kinds = [false, true] as const

/** Of this session, with this text. */
const is = (session: bigint, text?: string) => (node: Option.Option<ZkClient.NodeData>) =>
  Option.exists(node, (found) => found.stat.ephemeralOwner === session && (text === undefined || found.text === text))

const childrenOf = (client: ZkClient.ZkClient, path: string) =>
  Effect.map(client.getChildren(path), ({ children }) => children.toSorted())

/** Nothing goes through, and the client knows. */
const disconnected = (rig: Rig) =>
  Effect.gen(function*() {
    yield* rig.proxy.setAccept("refuse")
    yield* rig.proxy.cutAll
    yield* rig.zk.stateChanges.pipe(Stream.takeUntil((state) => state._tag === "Suspended"), Stream.runDrain)
  })

type Rig = Effect.Success<ReturnType<typeof advertising>>

describe.concurrent("an advertisement", () => {
  it.live("is there when it is made, with its data, ACL and parents, and gone with its scope [A31] [A35] [ADV-01]", () =>
    Effect.gen(function*() {
      const { other, root, zk } = yield* advertising()
      const Instance = Schema.Struct({ host: Schema.String, port: Schema.Int })
      const acl = [{ ...ZkAcl.openAcl[0]!, perms: ZkAcl.Perms.read | ZkAcl.Perms.write }]
      for (const sequential of kinds) {
        const scope = yield* Scope.make()
        const path = `${root}/${sequential}/run/app.`
        const ad = yield* Scope.provide(
          advertise(zk, path, { value: Instance, data: { host: "a", port: 1 }, sequential, acl }),
          scope
        )
        assert.strictEqual(ad.path, path)
        const state = yield* ad.state
        assert.isTrue(state._tag === "Advertised" && state.upToDate && state.sessionId === (yield* sessionOf(zk)))
        if (state._tag !== "Advertised") return
        assert.match(state.path.slice(path.length), sequential ? /^[0-9a-f-]{36}-[0-9]{10}$/ : /^$/)
        const { stat, text } = yield* other.getData(state.path)
        assert.deepStrictEqual(JSON.parse(text), { host: "a", port: 1 })
        assert.strictEqual(stat.ephemeralOwner, state.sessionId)
        assert.deepStrictEqual((yield* other.getAcl(state.path)).acl, acl)
        const last = yield* Effect.forkChild(Stream.runCollect(ad.changes), { startImmediately: true })
        yield* Scope.close(scope, Exit.void)
        assert.deepStrictEqual(yield* childrenOf(other, `${root}/${sequential}/run`), [])
        assert.deepStrictEqual(yield* ad.state, { _tag: "Ended" })
        assert.deepStrictEqual((yield* Fiber.join(last)).map(({ _tag }) => _tag), ["Advertised", "Ended"])
        assert.isTrue(Exit.hasInterrupts(yield* Effect.exit(ad.set({ host: "b", port: 2 }))))
        yield* zk.sync()
        assert.deepStrictEqual(yield* childrenOf(other, `${root}/${sequential}/run`), [])
      }
    }))

  it.live("is seen by others within a second of its connection, of its deletion, and of its session's end [A31] [A33] [M11-ADV]", () =>
    Effect.gen(function*() {
      for (const sequential of kinds) {
        yield* Effect.scoped(Effect.gen(function*() {
          const { other, port, proxy, root, zk } = yield* advertising({ connected: false })
          yield* proxy.setAccept("refuse")
          const making = yield* Effect.forkScoped(advertise(zk, `${root}/a`, { value, data: 1, sequential }), {
            startImmediately: true
          })
          yield* proxy.heal
          const ad = yield* Fiber.join(making)
          const { path, sessionId } = yield* upToDate(ad)
          yield* seenAs(other, path, is(sessionId, "1"))
          for (let i = 0; i < 3; i++) {
            yield* other.delete(path)
            yield* seenAs(other, path, is(sessionId, "1"))
          }
          let session = sessionId
          for (let i = 2; i < 5; i++) {
            yield* ad.set(i)
            yield* upToDate(ad)
            yield* expireThrough(proxy, port)
            session = yield* newSession(zk, session)
            yield* seenAs(other, path, is(session, String(i)))
            // Who it is stays the same.
            assert.strictEqual((yield* upToDate(ad)).path, path)
          }
          assert.strictEqual((yield* childrenOf(other, root)).length, 1)
        }))
      }
    }))

  it.live("of a new session replaces at once what the old one has left, which does not take it along when it ends [A32] [M11-ADV] [M13-ADV]", () =>
    Effect.gen(function*() {
      for (const sequential of kinds) {
        yield* Effect.scoped(Effect.gen(function*() {
          const rig = yield* advertising()
          const { other, port, proxy, root, zk } = rig
          const states = yield* recordStates(zk)
          const ad = yield* advertise(zk, `${root}/a`, { value, data: 1, sequential })
          const { path, sessionId } = yield* upToDate(ad)
          // Everything that happens to the node from now on.
          const events = yield* other.subscribe(path, "persistent")
          const { left, session } = yield* leaveSession(rig, sessionId)
          yield* states.await("Expired")
          yield* seenAs(other, path, is(session, "1"))
          assert.deepStrictEqual(yield* childrenOf(other, root), [path.slice(root.length + 1)])
          const { czxid } = Option.getOrThrow(yield* other.exists(path))
          // Only now the old one is really over.
          yield* expireSession(port, left)
          yield* other.sync()
          const after = Option.getOrThrow(yield* other.exists(path))
          assert.deepStrictEqual([after.ephemeralOwner, after.czxid], [session, czxid])
          assert.strictEqual((yield* upToDate(ad)).sessionId, session)
          const transactions = yield* proxy.frames({ op: "multi", direction: "toServer" })
          assert.deepStrictEqual(transactions.map(({ ops }) => ops.map((op) => op.path)), [[path, path]])
          const node = path.slice(root.length)
          assert.deepStrictEqual(yield* heard(other, events, root), [`NodeDeleted ${node}`, `NodeCreated ${node}`])
        }))
      }
    }))

  it.live("is one node, whatever becomes of the answer to its creation [A33]", () =>
    Effect.gen(function*() {
      for (const then of ["cut", "reset"] as const) {
        for (const sequential of kinds) {
          yield* Effect.scoped(Effect.gen(function*() {
            const { other, proxy, root, zk } = yield* advertising()
            yield* zk.create(`${root}/run`)
            const lost = yield* proxy.swallowReply({ op: "create", path: /run.+/ }, then)
            const ad = yield* advertise(zk, `${root}/run/a`, { value, data: 1, sequential })
            assert.strictEqual((yield* lost.fired).err, 0)
            const { path } = yield* upToDate(ad)
            assert.deepStrictEqual((yield* childrenOf(other, `${root}/run`)).map((name) => `${root}/run/${name}`), [
              path
            ])
            // And again, when it is made anew.
            const again = yield* proxy.swallowReply({ op: "create", path }, then)
            yield* other.delete(path)
            yield* again.fired
            yield* seenAs(other, path, is(yield* Effect.map(zk.session, (session) => session.sessionId)))
            assert.strictEqual((yield* childrenOf(other, `${root}/run`)).length, 1)
          }))
        }
      }
    }))

  it.live("ends up with the last of a thousand values, through lost answers, lost connections and a lost session [A34]", () =>
    Effect.gen(function*() {
      const { other, port, proxy, root, zk } = yield* advertising()
      const ad = yield* advertise(zk, `${root}/a`, { value, data: -1, sequential: true })
      const { path } = yield* upToDate(ad)
      for (let i = 0; i < 1_000; i++) yield* ad.set(i)
      assert.isFalse(((state) => state._tag === "Advertised" && state.upToDate)(yield* ad.state))
      yield* upToDate(ad)
      assert.strictEqual((yield* other.getData(path)).text, "999")
      // Of values that nobody could write in time most are left out.
      assert.isBelow((yield* proxy.stats()).ops["setData"] ?? 0, 100)

      let fired = 0
      for (let round = 0; round < 6; round++) {
        const at = round % 3
        const pattern = { op: "setData", direction: at === 0 ? "toServer" : "toClient" } as const
        const rule = yield* at === 2
          ? proxy.rule(pattern, { before: Effect.ignore(expireThrough(proxy, port)) })
          : proxy.rule(pattern, "cut")
        for (let i = 0; i < 100; i++) {
          yield* ad.set(round * 100 + i)
          yield* Effect.yieldNow
        }
        yield* rule.fired
        fired++
        yield* upToDate(ad)
        yield* other.sync()
        assert.strictEqual((yield* other.getData(path)).text, String(round * 100 + 99))
      }
      assert.strictEqual(fired, 6)
    }))

  it.live("follows a stream; a value without an encoding is left out, and an error to whoever sets it [ADV-02]", () =>
    Effect.gen(function*() {
      const { other, root, zk } = yield* advertising()
      const { layer, lines } = warnings()
      const ref = yield* SubscriptionRef.make(1)
      const small = Schema.Number.check(Schema.isLessThan(100))
      const ad = yield* Effect.provide(
        advertise(zk, `${root}/a`, { value: small, data: 1, follow: SubscriptionRef.changes(ref) }),
        layer
      )
      for (const next of [2, 4711, 3]) yield* SubscriptionRef.set(ref, next)
      yield* seenAs(other, `${root}/a`, is(yield* sessionOf(zk), "3"))
      assert.strictEqual(lines.length, 1)
      assert.include(lines[0], `${root}/a`)
      assert.notInclude(lines.join(), "4711")
      const error = yield* failsWith(ad.set(4711), "ValueEncodeError")
      assert.notInclude(String(error), "4711")
      yield* ad.set(4)
      yield* seenAs(other, `${root}/a`, is(yield* sessionOf(zk), "4"))
      yield* failsWith(advertise(zk, `${root}/b`, { value: small, data: 4711 }), "ValueEncodeError")
      assert.deepStrictEqual(yield* childrenOf(other, root), ["a"])
      // Any codec will do.
      yield* advertise(zk, `${root}/text`, { value: Schema.String, codec: ZkCodec.text, data: "not JSON" })
      assert.strictEqual((yield* other.getData(`${root}/text`)).text, "not JSON")
    }))

  it.live("writes what is new, once; a value that is the same costs nothing [ADV-02]", () =>
    Effect.gen(function*() {
      const { other, proxy, root, zk } = yield* advertising()
      const ad = yield* advertise(zk, `${root}/a`, { value, data: 0 })
      const since = yield* proxy.position
      for (let i = 1; i <= 10; i++) {
        yield* ad.set(i)
        yield* upToDate(ad)
        yield* ad.set(i)
      }
      yield* zk.sync()
      const { ops } = yield* proxy.stats(since)
      assert.strictEqual(ops["setData"], 10)
      assert.isAtMost(ops["exists"] ?? 0, 11)
      // Others' writes are theirs: what is new here replaces them, whatever version they have made.
      yield* other.setData(`${root}/a`, "77")
      yield* ad.set(11)
      yield* seenAs(other, `${root}/a`, is(yield* sessionOf(zk), "11"))
    }))
})

describe.concurrent("the end of an advertisement", () => {
  it.live("without a connection comes at once; the node goes as soon as there is one, in the same session [A35]", () =>
    Effect.gen(function*() {
      for (const sequential of kinds) {
        yield* Effect.scoped(Effect.gen(function*() {
          const rig = yield* advertising()
          const { other, proxy, root, zk } = rig
          const scope = yield* Scope.make()
          const ad = yield* Scope.provide(advertise(zk, `${root}/a`, { value, data: 1, sequential }), scope)
          const { path, sessionId } = yield* upToDate(ad)
          yield* disconnected(rig)
          yield* Effect.timeout(Scope.close(scope, Exit.void), "1 second")
          assert.isTrue(Option.isSome(yield* other.exists(path)))
          yield* proxy.heal
          yield* seenAs(other, path, Option.isNone)
          assert.strictEqual(yield* Effect.map(zk.session, (session) => session.sessionId), sessionId)
        }))
      }
    }))

  it.live("leaves nothing, wherever the making of it is interrupted [A35] [ADV-03]", () =>
    Effect.gen(function*() {
      let interrupted = 0
      for (const sequential of kinds) {
        for (let point = 0; point < 14; point++) {
          yield* Effect.scoped(Effect.gen(function*() {
            const { other, proxy, root, zk } = yield* advertising()
            yield* proxy.forget
            const fiber = yield* Effect.forkScoped(
              advertise(zk, `${root}/p/q/a`, { value, data: 1, sequential })
            )
            yield* proxy.runAt(
              point,
              Effect.sync(() => {
                interrupted++
                fiber.interruptUnsafe()
              })
            )
            const exit = yield* Fiber.await(fiber)
            if (Exit.isSuccess(exit)) return
            yield* zk.sync()
            // What may have been made is looked for in the background.
            yield* other.childrenChanges(`${root}/p/q`).pipe(
              Stream.filter((node) => !Option.exists(node, ({ children }) => children.length > 0)),
              Stream.runHead,
              Effect.timeout(1_000 * patience)
            )
          }))
        }
      }
      assert.isAbove(interrupted, 12)
    }))

  it.live("may be what the stream does that is followed: the node is gone, and the stream is over [ADV-03]", () =>
    Effect.gen(function*() {
      const { other, root, zk } = yield* advertising()
      const scope = yield* Scope.make()
      const go = yield* Deferred.make<void>()
      const ended = yield* Deferred.make<void>()
      const close = Effect.andThen(Deferred.await(go), Scope.close(scope, Exit.void))
      const follow = Stream.ensuring(
        Stream.fromEffect(Effect.andThen(close, Effect.never)),
        Deferred.succeed(ended, undefined)
      )
      const ad = yield* Scope.provide(advertise(zk, `${root}/x`, { value, data: 0, follow }), scope)
      yield* Deferred.succeed(go, undefined)
      yield* Effect.timeout(Deferred.await(ended), 10_000 * patience)
      assert.strictEqual((yield* ad.state)._tag, "Ended")
      assert.isTrue(Option.isNone(yield* other.exists(`${root}/x`)))
    }))

  it.live("while it is still being made ends whoever makes it [ADV-03]", () =>
    Effect.gen(function*() {
      const { other, proxy, root, zk } = yield* advertising({ connected: false })
      yield* proxy.setAccept("refuse")
      const scope = yield* Scope.make()
      const making = yield* Effect.forkScoped(
        Effect.exit(Scope.provide(advertise(zk, `${root}/a`, { value, data: 1, follow: Stream.never }), scope)),
        { startImmediately: true }
      )
      yield* Scope.close(scope, Exit.void)
      assert.isTrue(Exit.hasInterrupts(yield* Fiber.join(making)))
      yield* proxy.heal
      yield* zk.sync()
      assert.isTrue(Option.isNone(yield* other.exists(`${root}/a`)))
    }))

  it.live("in the middle of being made anew, or in another session, leaves nothing [A35] [ADV-03] [M11-ADV]", () =>
    Effect.gen(function*() {
      for (const sequential of kinds) {
        for (const how of ["request", "lost", "reply"] as const) {
          yield* Effect.scoped(Effect.gen(function*() {
            const { other, port, proxy, root, zk } = yield* advertising()
            const scope = yield* Scope.make()
            const ad = yield* Scope.provide(advertise(zk, `${root}/a`, { value, data: 1, sequential }), scope)
            const { path, sessionId } = yield* upToDate(ad)
            const end = Effect.sync(() => void Effect.runFork(Scope.close(scope, Exit.void)))
            const direction = how === "request" ? "toServer" : "toClient"
            const rule = yield* proxy.rule({ op: "create", direction, path }, how === "lost" ? "cut" : { before: end })
            if (how === "request") yield* other.delete(path)
            else yield* expireThrough(proxy, port)
            yield* rule.fired
            yield* Scope.close(scope, Exit.void)
            if (how !== "request") yield* newSession(zk, sessionId)
            yield* zk.sync()
            yield* seenAs(other, path, Option.isNone)
            yield* zk.sync()
            assert.deepStrictEqual(yield* childrenOf(other, root), [])
          }))
        }
      }
    }))

  it.live("with the client is silent, and tells that it is over [ADV-04]", () =>
    Effect.gen(function*() {
      const { other, root } = yield* advertising()
      const { layer, lines } = warnings()
      const scope = yield* Scope.make()
      const mine = yield* Scope.provide(ZkClient.make({ hosts: (yield* shared).connectString }), scope)
      const ad = yield* Effect.provide(advertise(mine, `${root}/a`, { value, data: 1 }), layer)
      const session = yield* mine.session
      const bound = yield* Effect.provide(advertise(session.client, `${root}/b`, { value, data: 1 }), layer)
      yield* Scope.close(scope, Exit.void)
      for (const one of [ad, bound]) yield* becomesState(one, (state) => state._tag === "Ended")
      assert.deepStrictEqual(lines, [])
      assert.deepStrictEqual(yield* childrenOf(other, root), [])
      // Nobody is stopped for it: the scope is open.
      yield* ad.set(2)
    }))
})

describe.concurrent("a name that is taken", () => {
  it.live("by somebody else's ephemeral node is waited for, and left alone [ADV-05]", () =>
    Effect.gen(function*() {
      const { other, root, zk } = yield* advertising()
      const { layer, lines } = warnings()
      const path = `${root}/a`
      yield* other.create(path, "theirs", { mode: "ephemeral" })
      const scope = yield* Scope.make()
      const ad = yield* Effect.provide(Scope.provide(advertise(zk, path, { value, data: 1 }), scope), layer)
      const state = yield* ad.state
      assert.isTrue(state._tag === "Pending" && Option.exists(state.error, ({ _tag }) => _tag === "NodeExists"))
      yield* ad.set(2)
      yield* other.setData(path, "still theirs")
      yield* zk.sync()
      assert.strictEqual((yield* other.getData(path)).text, "still theirs")
      assert.strictEqual(lines.length, 1)
      yield* other.delete(path)
      yield* seenAs(other, path, is(yield* sessionOf(zk), "2"))
      // In place of ours, unseen.
      yield* other.multi([
        ZkTransaction.delete(path),
        ZkTransaction.create(path, "theirs", { mode: "ephemeral" })
      ])
      yield* becomesState(ad, (state) => state._tag === "Pending" && Option.isSome(state.error))
      yield* Scope.close(scope, Exit.void)
      yield* zk.sync()
      assert.strictEqual((yield* other.getData(path)).text, "theirs")
    }))

  it.live("by a persistent node is an error at the beginning, and waited for later on [ADV-05]", () =>
    Effect.gen(function*() {
      const { other, root, zk } = yield* advertising()
      const path = `${root}/a`
      yield* other.create(path, "7")
      assert.strictEqual((yield* failsWith(advertise(zk, path, { value, data: 1 }), "NodeExists")).path, path)
      yield* zk.sync()
      assert.strictEqual((yield* other.getData(path)).text, "7")
      yield* other.delete(path)
      const ad = yield* advertise(zk, path, { value, data: 1 })
      yield* other.multi([ZkTransaction.delete(path), ZkTransaction.create(path, "7")])
      yield* becomesState(ad, (state) => state._tag === "Pending" && Option.isSome(state.error))
      yield* other.delete(path)
      yield* seenAs(other, path, is(yield* sessionOf(zk), "1"))
    }))

  it.live("by an old node of ours that may not be deleted is waited for; a numbered one takes another name [M12-ADV] [ADV-05]", () =>
    Effect.gen(function*() {
      for (const sequential of kinds) {
        yield* Effect.scoped(Effect.gen(function*() {
          const rig = yield* advertising()
          const { other, port, proxy, root, zk } = rig
          yield* other.create(`${root}/run`, null, {
            acl: [{ ...ZkAcl.openAcl[0]!, perms: ZkAcl.Perms.all & ~ZkAcl.Perms.delete }]
          })
          const ad = yield* advertise(zk, `${root}/run/a`, { value, data: 1, sequential })
          const { path, sessionId } = yield* upToDate(ad)
          const { left, session } = yield* leaveSession(rig, sessionId)
          if (!sequential) {
            yield* becomesState(ad, (state) => state._tag === "Pending" && Option.isSome(state.error))
            yield* expireSession(port, left)
          }
          const now = yield* upToDate(ad)
          assert.strictEqual(now.sessionId, session)
          yield* seenAs(other, now.path, is(session, "1"))
          assert.strictEqual(now.path === path, !sequential)
          // Tried once, and no more.
          assert.strictEqual((yield* proxy.stats()).ops["multi"], 1)
        }))
      }
    }).pipe(Effect.provide(warnings().layer)))

  it.live("by the same client twice is shared: the later value stands, and nobody fights for it [ADV-07]", () =>
    Effect.gen(function*() {
      const { other, proxy, root, zk } = yield* advertising()
      const path = `${root}/a`
      const first = yield* advertise(zk, path, { value, data: 1 })
      const session = yield* sessionOf(zk)
      yield* Effect.scoped(Effect.gen(function*() {
        yield* advertise(zk, path, { value, data: 2 })
        yield* seenAs(other, path, is(session, "2"))
        yield* first.set(3)
        yield* seenAs(other, path, is(session, "3"))
        yield* zk.sync()
        assert.isBelow((yield* proxy.stats()).ops["setData"] ?? 0, 4)
      }))
      // It has taken the node along; it is there again.
      yield* seenAs(other, path, is(session, "3"))
    }))

  it.live("by the first part of others' names is no hindrance: each has a number of its own [ADV-05]", () =>
    Effect.gen(function*() {
      const { other, root, zk } = yield* advertising()
      const make = (client: ZkClient.ZkClient, data: number) =>
        advertise(client, `${root}/a-`, { value, data, sequential: true })
      yield* Effect.all([make(zk, 1), make(zk, 2), make(other, 3), make(other, 4)], { concurrency: "unbounded" })
      const names = yield* childrenOf(other, root)
      const numbers = names.map((name) => Number(name.slice(-10))).toSorted((a, b) => a - b)
      assert.deepStrictEqual(numbers, [0, 1, 2, 3])
      const texts = yield* Effect.forEach(
        names,
        (name) => Effect.map(other.getData(`${root}/${name}`), ({ text }) => text)
      )
      assert.deepStrictEqual(texts.toSorted(), ["1", "2", "3", "4"])
    }))
})

describe.concurrent("what cannot be advertised", () => {
  it.live("is an error at the beginning, without a trace [M12-ADV] [ADV-06]", () =>
    Effect.gen(function*() {
      const { other, root, zk } = yield* advertising()
      const acl = [{ ...ZkAcl.openAcl[0]!, perms: ZkAcl.Perms.read }]
      yield* other.create(`${root}/closed`, null, { acl })
      yield* other.create(`${root}/ephemeral`, null, { mode: "ephemeral" })
      for (const sequential of kinds) {
        const at = (path: string) => advertise(zk, path, { value, data: 1, sequential })
        yield* failsWith(at(`${root}/closed/a`), "NoAuth")
        yield* failsWith(at(`${root}/ephemeral/a`), "NoChildrenForEphemerals")
        yield* failsWith(at("a"), "InvalidPath")
        yield* failsWith(advertise(zk, `${root}/a`, { value, data: 1, sequential, acl: [] }), "InvalidAcl")
        const long = "x".repeat(1_100_000)
        yield* failsWith(
          advertise(zk, `${root}/a`, { value: Schema.String, data: long, sequential }),
          "RequestTooLarge"
        )
      }
      assert.deepStrictEqual(yield* childrenOf(other, root), ["closed", "ephemeral"])
    }))

  it.live("later on is warned of, to be seen, and tried again with pauses; another value is tried at once [M12-ADV] [ADV-06]", () =>
    Effect.gen(function*() {
      const { other, proxy, root, zk } = yield* advertising()
      const { layer, lines } = warnings()
      yield* other.create(`${root}/run`)
      const ad = yield* Effect.provide(
        advertise(zk, `${root}/run/a`, { value: Schema.String, data: "1", sequential: true }),
        layer
      )
      const { path } = yield* upToDate(ad)
      // Too large to be written: the node stays as it is.
      yield* ad.set("x".repeat(1_100_000))
      yield* becomesState(ad, (state) => state._tag === "Advertised" && !state.upToDate)
      yield* ad.set("2")
      yield* upToDate(ad)
      assert.strictEqual((yield* other.getData(path)).text, `"2"`)
      // Not to be made any more.
      yield* other.setAcl(`${root}/run`, [{ ...ZkAcl.openAcl[0]!, perms: ZkAcl.Perms.all & ~ZkAcl.Perms.create }])
      const since = yield* proxy.position
      yield* other.delete(path)
      yield* becomesState(
        ad,
        (state) => state._tag === "Pending" && Option.exists(state.error, ({ _tag }) => _tag === "NoAuth")
      )
      yield* other.setAcl(`${root}/run`, ZkAcl.openAcl)
      yield* Effect.timeout(upToDate(ad), "5 seconds")
      assert.isBelow((yield* proxy.stats(since)).ops["create2"] ?? 0, 5)
      assert.isAtLeast(lines.length, 1)
      assert.notInclude(lines.join(), "xxxx")
    }))

  it.live("to servers that end the connection over it is given up for a while: others use that connection too [ADV-08]", () =>
    Effect.gen(function*() {
      const { other, proxy, root, zk } = yield* advertising()
      const warned = yield* Deferred.make<string>()
      const logger = Logger.make<unknown, void>(({ logLevel, message }) => {
        if (logLevel === "Warn") Deferred.doneUnsafe(warned, Effect.succeed(String(message)))
      })
      const ad = yield* Effect.provide(advertise(zk, `${root}/a`, { value, data: 1 }), Logger.layer([logger]))
      // Those that are followed by a success do not count.
      yield* proxy.rule({ op: "setData", path: `${root}/a` }, "cut", { times: 2 })
      yield* ad.set(0)
      yield* upToDate(ad)
      const refused = yield* proxy.rule({ op: "setData", path: `${root}/a` }, "cut", { times: Infinity })
      yield* ad.set(2)
      const warning = yield* Effect.timeout(Deferred.await(warned), 10_000 * patience)
      assert.include(warning, "the connection was lost")
      assert.strictEqual(yield* refused.count, 4)
      assert.deepInclude(yield* ad.state, { _tag: "Advertised", upToDate: false })
      yield* refused.remove
      yield* upToDate(ad)
      assert.strictEqual((yield* other.getData(`${root}/a`)).text, "2")
    }))
})
