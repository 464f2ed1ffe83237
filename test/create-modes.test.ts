/** What kinds of node a client can ask for, and what becomes of them. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as ZkClient from "../src/ZkClient.ts"
import type { CreateMode } from "../src/ZkTransaction.ts"
import * as ZkTransaction from "../src/ZkTransaction.ts"
import { failsWith } from "./support/failsWith.ts"
import { onFake } from "./support/fakeClient.ts"
import { makeFakeServer } from "./support/fakeServer.ts"
import { decodeCreate, Op } from "./support/records.ts"
import { makeServer } from "./support/server.ts"

/** A server that reaps containers and TTL nodes at once. */
const reaping = makeServer({
  jvmFlags: [
    "-Dznode.container.checkIntervalMs=50",
    "-Dznode.container.maxPerMinute=1000000",
    "-Dzookeeper.extendedTypesEnabled=true"
  ]
})

/** Waits for the servers to remove a node. */
const gone = (zk: ZkClient.ZkClient, path: string) =>
  zk.existsWatch(path).pipe(
    Effect.flatMap(({ fired, result }) => Option.isNone(result) ? Effect.void : Effect.asVoid(fired)),
    Effect.scoped
  )

const modes: ReadonlyArray<{ readonly mode: CreateMode; readonly op: number; readonly flags: number }> = [
  { mode: "persistent", op: Op.create2, flags: 0 },
  { mode: "ephemeral", op: Op.create2, flags: 1 },
  { mode: "persistentSequential", op: Op.create2, flags: 2 },
  { mode: "ephemeralSequential", op: Op.create2, flags: 3 },
  { mode: "container", op: Op.createContainer, flags: 4 },
  { mode: { ttl: "1 minute" }, op: Op.createTTL, flags: 5 },
  { mode: { ttl: "1 minute", sequential: true }, op: Op.createTTL, flags: 6 }
]

const wrongTtls: ReadonlyArray<unknown> = [0, -1, 0.4, NaN, 2 ** 40, Infinity, "soon", undefined]

describe("create modes", () => {
  it.live("operation code and flags follow from the mode alone, alone and in a transaction [D7] [H3] [CONT-04]", () =>
    Effect.gen(function*() {
      const fake = yield* makeFakeServer
      yield* onFake(
        fake,
        Effect.scoped(Effect.gen(function*() {
          const zk = yield* ZkClient.make({ hosts: "zk" })
          for (const { flags, mode, op } of modes) {
            const since = fake.requests.length
            yield* Effect.exit(zk.create("/a", null, { mode }))
            yield* Effect.exit(zk.multi([ZkTransaction.create("/a", null, { mode })]))
            const [single, multi] = fake.requests.slice(since)
            assert.strictEqual(single?.op, op)
            assert.strictEqual(decodeCreate(single.payload).flags, flags)
            assert.deepStrictEqual(multi?.ops, [{ op, path: "/a", flags }])
          }
        }))
      )
    }).pipe(Effect.scoped))

  it.live("a mode or a time to live that is none is refused before anything is sent [D7] [H4] [TTL-04]", () =>
    Effect.gen(function*() {
      const fake = yield* makeFakeServer
      yield* onFake(
        fake,
        Effect.scoped(Effect.gen(function*() {
          const zk = yield* ZkClient.make({ hosts: "zk" })
          const wrong = [...wrongTtls.map((ttl) => ({ ttl })), "persistant", "toString", 4] as ReadonlyArray<CreateMode>
          for (const mode of wrong) {
            yield* failsWith(zk.create("/a", null, { mode }), "InvalidInput")
            yield* failsWith(zk.multi([ZkTransaction.create("/a", null, { mode })]), "InvalidInput")
          }
          assert.strictEqual(fake.requests.length, 0)
        }))
      )
    }).pipe(Effect.scoped))

  it.live("containers and TTL nodes are what they are asked to be; setting data keeps one alive [H3] [H5] [CONT-01]", () =>
    Effect.gen(function*() {
      const server = yield* reaping
      const zk = yield* ZkClient.make({ hosts: server.connectString })
      yield* zk.create("/container", null, { mode: "container" })
      yield* zk.create("/persistent")
      yield* zk.create("/container/child")
      yield* zk.create("/persistent/child")
      yield* zk.delete("/container/child")
      yield* zk.delete("/persistent/child")
      yield* gone(zk, "/container")
      assert.isTrue(Option.isSome(yield* zk.exists("/persistent")))

      yield* zk.create("/kept", "0", { mode: { ttl: "2 seconds" } })
      yield* zk.create("/parent", null, { mode: { ttl: "1 milli" } })
      yield* zk.create("/parent/child", null, { mode: { ttl: "2 seconds" } })
      const { path } = yield* zk.create("/ttl-", null, { mode: { ttl: "2 seconds", sequential: true } })
      const touch = Effect.andThen(zk.setData("/kept", "1"), Effect.sleep("100 millis"))
      yield* Effect.raceFirst(Effect.forever(touch), Effect.andThen(gone(zk, path), gone(zk, "/parent/child")))
      assert.isTrue(Option.isSome(yield* zk.exists("/kept")))
      // With a child, it was not the parent's turn.
      yield* gone(zk, "/parent")
    }).pipe(Effect.scoped))

  it.live("a TTL is Unimplemented where servers have it switched off, and the session goes on [H4] [TTL-05]", () =>
    Effect.gen(function*() {
      const server = yield* makeServer({ extraConfig: { extendedTypesEnabled: "false" } })
      const zk = yield* ZkClient.make({ hosts: server.connectString })
      const error = yield* failsWith(zk.create("/a", null, { mode: { ttl: "1 minute" } }), "Unimplemented")
      assert.include(error.message, "switched off")
      yield* zk.create("/a")
    }).pipe(Effect.scoped))

  it.live("an ephemeral node has no children of any kind [H6] [CRUD-07]", () =>
    Effect.gen(function*() {
      const server = yield* makeServer()
      const zk = yield* ZkClient.make({ hosts: server.connectString })
      yield* zk.create("/ephemeral", null, { mode: "ephemeral" })
      for (const mode of ["persistent", "ephemeral", "persistentSequential", "container"] as const) {
        const error = yield* failsWith(zk.create("/ephemeral/child", null, { mode }), "NoChildrenForEphemerals")
        assert.strictEqual(error.path, "/ephemeral/child")
      }
      const { cause } = yield* failsWith(zk.multi([ZkTransaction.create("/ephemeral/child")]), "MultiFailed")
      assert.strictEqual(cause._tag, "NoChildrenForEphemerals")
    }).pipe(Effect.scoped))
})
