/** What a client says of writes whose answers were lost: never a false failure, never a second copy. */
import { assert, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import * as ZkClient from "../src/ZkClient.ts"
import type { Options } from "../src/ZkConfig.ts"
import { isRetryable } from "../src/ZkError.ts"
import * as ZkTransaction from "../src/ZkTransaction.ts"
import { failsWith } from "./support/failsWith.ts"
import { type FramePattern, ProxiedServer, type Proxy } from "./support/proxy.ts"
import { sessionOf } from "./support/watching.ts"

let counter = 0

/** A client behind the proxy, another one past it, and a node of the test's own. */
const makeClients = (options?: Options): Effect.Effect<
  { readonly proxy: Proxy; readonly zk: ZkClient.ZkClient; readonly other: ZkClient.ZkClient; readonly root: string },
  unknown,
  ProxiedServer | Scope.Scope
> =>
  Effect.gen(function*() {
    const { connectString, proxy, server } = yield* ProxiedServer
    yield* proxy.heal
    const other = yield* ZkClient.make({ hosts: server.connectString })
    const zk = yield* ZkClient.make({ hosts: connectString, sessionTimeout: "5 seconds", ...options })
    const root = `/root-${counter++}`
    yield* other.create(root)
    return { proxy, zk, other, root }
  })

/** Runs a write whose answer is lost with its connection, and makes sure that it was. */
const losing = <A, E, R>(
  proxy: Proxy,
  op: FramePattern["op"],
  effect: Effect.Effect<A, E, R>,
  then: "cut" | "reset" = "cut"
) =>
  Effect.gen(function*() {
    const rule = yield* proxy.swallowReply({ op }, then)
    const outcome = yield* Effect.result(effect)
    assert.strictEqual(yield* rule.count, 1)
    return outcome
  })

/** The request does not even reach the server. */
const losingRequest = <A, E, R>(proxy: Proxy, op: FramePattern["op"], effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    const rule = yield* proxy.rule({ op, kind: "request" }, "cut")
    const outcome = yield* Effect.result(effect)
    assert.strictEqual(yield* rule.count, 1)
    return outcome
  })

layer(ProxiedServer.layer(), { excludeTestServices: true, timeout: "60 seconds" })("a lost answer", (it) => {
  it.effect("of a plain write leaves its outcome open, and nothing is sent again [D1] [X1] [K30] [K54]", () =>
    Effect.gen(function*() {
      const { other, proxy, root, zk } = yield* makeClients()
      yield* other.create(`${root}/set`, "old")
      yield* other.create(`${root}/deleted`)
      const writes = {
        create: zk.create(`${root}/made`),
        setData: zk.setData(`${root}/set`, "new", { version: 0 }),
        delete: zk.delete(`${root}/deleted`, { version: 0 }),
        setACL: zk.setAcl(`${root}/set`, [{ perms: 31, scheme: "world", id: "anyone" }]),
        multi: zk.multi([ZkTransaction.create(`${root}/multi`), ZkTransaction.check(root)])
      } as const
      for (const [op, write] of Object.entries(writes)) {
        const since = yield* proxy.position
        const rule = yield* proxy.swallowReply({ op: op as keyof typeof writes }, "cut")
        const error = yield* failsWith<
          unknown,
          ZkClient.CreateError | Effect.Error<typeof write>,
          never,
          "ConnectionLoss"
        >(
          write,
          "ConnectionLoss"
        )
        assert.strictEqual(yield* rule.count, 1)
        assert.isTrue(error.maybeApplied, op)
        assert.isFalse(isRetryable(error), op)
        yield* zk.sync()
        const sent = yield* proxy.frames({ kind: "request", op: op as keyof typeof writes }, since)
        assert.strictEqual(sent.length, 1, op)
      }
      // All of them were applied, once.
      assert.sameMembers([...(yield* other.getChildren(root)).children], ["made", "set", "multi"])
      const set = yield* other.getData(`${root}/set`)
      assert.deepStrictEqual([set.text, set.stat.version, set.stat.aversion], ["new", 1, 1])
    }))

  it.effect("of a sequential create leaves one node, not two [D1] [X1] [K36]", () =>
    Effect.gen(function*() {
      const { other, proxy, root, zk } = yield* makeClients()
      const mode = "ephemeralSequential"
      const outcome = yield* losing(proxy, "create", zk.create(`${root}/n-`, "x", { mode }))
      assert.isTrue(outcome._tag === "Failure" && outcome.failure._tag === "ConnectionLoss")
      yield* zk.sync()
      assert.strictEqual((yield* other.getChildren(root)).children.length, 1)
      const created = yield* losing(proxy, "create", zk.createProtected(`${root}/p-`, "x", { mode }))
      assert.isTrue(created._tag === "Success")
      assert.strictEqual((yield* other.getChildren(root)).children.length, 2)
    }))

  it.effect("is told of when the state says Suspended already [K54]", () =>
    Effect.gen(function*() {
      const { proxy, root, zk } = yield* makeClients()
      const create = Effect.matchEffect(zk.create(`${root}/made`), {
        onSuccess: () => Effect.succeed("made"),
        onFailure: () => Effect.map(zk.state, (state) => state._tag)
      })
      assert.strictEqual(Result.getOrThrow(yield* losing(proxy, "create", create)), "Suspended")
    }))

  it.effect("of a transaction shows all of it or nothing [X1] [MULTI-20]", () =>
    Effect.gen(function*() {
      const { other, proxy, root, zk } = yield* makeClients()
      const write = (name: string) =>
        zk.multi([
          ZkTransaction.create(`${root}/${name}`),
          ZkTransaction.create(`${root}/${name}/below`),
          ZkTransaction.setData(root, name)
        ])
      const applied = yield* losing(proxy, "multi", write("a"))
      const lost = yield* losingRequest(proxy, "multi", write("b"))
      for (const outcome of [applied, lost]) {
        assert.isTrue(outcome._tag === "Failure" && outcome.failure._tag === "ConnectionLoss")
        assert.isTrue(
          outcome._tag === "Failure" && outcome.failure._tag === "ConnectionLoss" && outcome.failure.maybeApplied
        )
      }
      yield* zk.sync()
      assert.deepStrictEqual((yield* other.getChildren(root)).children, ["a"])
      assert.strictEqual((yield* other.getData(root)).text, "a")
      assert.isTrue(Option.isSome(yield* other.exists(`${root}/a/below`)))
    }))

  it.effect("of an idempotent create of an ephemeral node is found out [X1] [K35]", () =>
    Effect.gen(function*() {
      const { other, proxy, root, zk } = yield* makeClients()
      const options = { mode: "ephemeral", idempotent: true } as const
      const id = yield* sessionOf(zk)
      for (const lose of [losing, losingRequest]) {
        const outcome = yield* lose(proxy, "create", zk.create(`${root}/${lose.name}`, "x", options))
        assert.isTrue(outcome._tag === "Success")
        if (outcome._tag === "Failure") return
        assert.strictEqual(outcome.success.path, `${root}/${lose.name}`)
        assert.strictEqual(outcome.success.stat?.ephemeralOwner, id)
        assert.deepStrictEqual(yield* other.exists(`${root}/${lose.name}`), Option.some(outcome.success.stat!))
      }
      // Somebody else's is a definite answer, and so is one that came before the lost answer.
      yield* other.create(`${root}/theirs`, "x", { mode: "ephemeral" })
      yield* failsWith(zk.create(`${root}/theirs`, "x", options), "NodeExists")
      const beaten = yield* losing(proxy, "create", zk.create(`${root}/theirs`, "x", options))
      assert.isTrue(beaten._tag === "Failure" && beaten.failure._tag === "NodeExists")
      yield* failsWith(zk.create(`${root}/n-`, "x", { mode: "ephemeralSequential", idempotent: true }), "InvalidInput")
    }))

  it.effect("of an idempotent create of a lasting node: made when it is not there, open when it is [X1]", () =>
    Effect.gen(function*() {
      const { other, proxy, root, zk } = yield* makeClients()
      const lost = yield* losingRequest(proxy, "create", zk.create(`${root}/a`, "x", { idempotent: true }))
      assert.isTrue(lost._tag === "Success")
      const open = yield* losing(proxy, "create", zk.create(`${root}/b`, "x", { idempotent: true }))
      assert.isTrue(open._tag === "Failure" && open.failure._tag === "ConnectionLoss" && open.failure.maybeApplied)
      assert.isTrue(Option.isSome(yield* other.exists(`${root}/b`)))
      // It was there before the create was asked for, and this client knew.
      yield* zk.sync()
      const exists = yield* losing(proxy, "create", zk.create(`${root}/b`, "x", { idempotent: true }))
      assert.isTrue(exists._tag === "Failure" && exists.failure._tag === "NodeExists")
    }))

  it.effect("of a versioned write is never a BadVersion about itself [D2] [X1] [K35] [IDEM-03]", () =>
    Effect.gen(function*() {
      const { other, proxy, root, zk } = yield* makeClients()
      const set = (data: string, version: number) => zk.setData(root, data, { version, idempotent: true })
      // A client that names a version has seen the node.
      yield* zk.getData(root)
      const lost = yield* losingRequest(proxy, "setData", set("a", 0))
      assert.isTrue(lost._tag === "Success" && lost.success.version === 1)
      // Applied: with the same data to be seen nobody can tell whose it is.
      const open = yield* losing(proxy, "setData", set("b", 1))
      assert.isTrue(open._tag === "Failure" && open.failure._tag === "ConnectionLoss" && open.failure.maybeApplied)
      const { stat, text } = yield* other.getData(root)
      assert.deepStrictEqual([text, stat.version], ["b", 2])
      // Others came first: with other data that is certain.
      yield* failsWith(set("c", 1), "BadVersion")
      const rule = yield* proxy.rule({ op: "setData", kind: "request" }, {
        before: Effect.ignore(other.setData(root, "theirs", { version: 2 }))
      })
      yield* proxy.swallowReply({ op: "setData" }, "cut")
      const error = yield* failsWith(set("mine", 2), "BadVersion")
      assert.strictEqual(error.expected, 2)
      assert.strictEqual(yield* rule.count, 1)
      assert.strictEqual((yield* other.getData(root)).text, "theirs")
      yield* failsWith(zk.setData(root, "x", { idempotent: true }), "InvalidInput")
    }))

  it.effect("of making a node absent is tried again, also when it had been deleted [D3] [X1] [K35] [IDEM-02]", () =>
    Effect.gen(function*() {
      const { other, proxy, root, zk } = yield* makeClients()
      for (const lose of [losing, losingRequest]) {
        yield* other.create(`${root}/x`)
        const since = yield* proxy.position
        const gone = yield* lose(proxy, "delete", zk.ensureAbsent(`${root}/x`, { version: 0 }))
        assert.isTrue(gone._tag === "Success")
        assert.isTrue(Option.isNone(yield* other.exists(`${root}/x`)))
        assert.strictEqual((yield* proxy.frames({ op: "delete", kind: "request" }, since)).length, 2)
      }
      yield* zk.ensureAbsent(`${root}/x`)
      yield* failsWith(zk.delete(`${root}/x`), "NoNode")
      yield* other.create(`${root}/x`)
      const wrong = yield* losing(proxy, "delete", zk.ensureAbsent(`${root}/x`, { version: 1 }))
      assert.isTrue(wrong._tag === "Failure" && wrong.failure._tag === "BadVersion")
    }))

  it.effect("of the last deletion of a subtree is no NoNode [X1] [K25]", () =>
    Effect.gen(function*() {
      const { other, proxy, root, zk } = yield* makeClients()
      for (const version of [undefined, 0]) {
        for (const op of ["multi", "delete"] as const) {
          yield* other.ensurePath(`${root}/a/b/c`)
          const options = version === undefined ? undefined : { version }
          const gone = yield* losing(proxy, op, zk.deleteRecursive(`${root}/a`, options))
          assert.isTrue(gone._tag === "Success", `${op} ${version}`)
          assert.isTrue(Option.isNone(yield* other.exists(`${root}/a`)))
        }
      }
    }))

  it.effect("is not forgotten when looking for it fails too [X1] [D2]", () =>
    Effect.gen(function*() {
      const { other, proxy, root, zk } = yield* makeClients({ requestTimeout: "500 millis" })
      yield* other.create(`${root}/set`)
      yield* other.create(`${root}/deleted`)
      const writes = {
        create: zk.create(`${root}/a`, "x", { mode: "ephemeral", idempotent: true }),
        createProtected: zk.createProtected(`${root}/b`, "x"),
        setData: zk.setData(`${root}/set`, "x", { version: 0, idempotent: true }),
        ensureAbsent: zk.ensureAbsent(`${root}/deleted`),
        deleteRecursive: zk.deleteRecursive(`${root}/set`)
      } as const
      for (const [name, write] of Object.entries(writes)) {
        yield* zk.sync().pipe(ZkClient.retry())
        const op = name === "setData" ? "setData" : name.startsWith("create") ? "create" : "delete"
        // The answer is lost, and behind it no answer comes for longer than the client waits.
        const rule = yield* proxy.swallowReply({ op }, "cut")
        const fiber = yield* Effect.forkChild(Effect.flip(write as Effect.Effect<unknown, ZkClient.CreateError>), {
          startImmediately: true
        })
        yield* rule.fired
        yield* proxy.setAccept("refuse")
        const error = yield* Fiber.join(fiber)
        yield* proxy.heal
        assert.isFalse(isRetryable(error), name)
        assert.isTrue("maybeApplied" in error && error.maybeApplied, `${name} ${error.message}`)
      }
    }))
})
