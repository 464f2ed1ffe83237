/** Several operations as one. */
import { assert, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as ZkAcl from "../src/ZkAcl.ts"
import * as ZkClient from "../src/ZkClient.ts"
import * as ZkTransaction from "../src/ZkTransaction.ts"
import { failsWith } from "./support/failsWith.ts"
import { onFake } from "./support/fakeClient.ts"
import { makeFakeServer } from "./support/fakeServer.ts"
import { freshRoot, shared } from "./support/shared.ts"

const client = Layer.unwrap(Effect.map(shared, ({ connectString }) => ZkClient.layer({ hosts: connectString })))

const text = (zk: ZkClient.ZkClient, path: string) => Effect.map(zk.getData(path), (node) => node.text)

layer(client, { excludeTestServices: true, timeout: "60 seconds" })("a transaction", (it) => {
  it.effect("gives results in the shape of its operations, later ones seeing earlier ones [K57] [MULTI-02] [H7]", () =>
    Effect.gen(function*() {
      const zk = yield* ZkClient.ZkClient
      const root = yield* freshRoot
      const [a, b, checked, set, numbered, deleted] = yield* zk.multi([
        ZkTransaction.create(`${root}/a`, "0"),
        ZkTransaction.create(`${root}/a/b`),
        ZkTransaction.check(`${root}/a`, { version: 0 }),
        ZkTransaction.setData(`${root}/a`, "1", { version: 0 }),
        ZkTransaction.create(`${root}/n-`, null, { mode: "ephemeralSequential" }),
        ZkTransaction.delete(`${root}/a/b`)
      ])
      assert.deepStrictEqual([a.path, b.path], [`${root}/a`, `${root}/a/b`])
      assert.isUndefined(checked)
      assert.isUndefined(deleted)
      assert.strictEqual(set.version, 1)
      assert.match(numbered.path, /\/n-\d{10}$/)
      assert.strictEqual(yield* text(zk, `${root}/a`), "1")
      // Servers of before 2022 leave the Stat of creates out; where it is, it is the node's.
      const stat = yield* zk.exists(`${root}/a`)
      if (a.stat !== undefined) assert.strictEqual(a.stat.czxid, Option.getOrThrow(stat).czxid)
    }))

  it.effect("that fails names the culprit, applies nothing, and takes no sequence number [H8] [K57] [MULTI-03] [CRUD-10]", () =>
    Effect.gen(function*() {
      const zk = yield* ZkClient.ZkClient
      const root = yield* freshRoot
      yield* zk.create(`${root}/n`, "old")
      const error = yield* failsWith(
        zk.multi([
          ZkTransaction.setData(`${root}/n`, "new", { version: 0 }),
          ZkTransaction.create(`${root}/s-`, null, { mode: "persistentSequential" }),
          ZkTransaction.setData(`${root}/n`, "newer", { version: 0 }),
          ZkTransaction.create(`${root}/m`)
        ]),
        "MultiFailed"
      )
      assert.strictEqual(error.index, 2)
      assert.deepStrictEqual(error.results, ["ok", "ok", "failed", "skipped"])
      assert.strictEqual(error.cause._tag, "BadVersion")
      if (error.cause._tag === "BadVersion") {
        assert.deepStrictEqual([error.cause.path, error.cause.expected, error.cause.operation], [
          `${root}/n`,
          0,
          "setData"
        ])
      }
      assert.deepStrictEqual((yield* zk.getChildren(root)).children, ["n"])
      assert.strictEqual(yield* text(zk, `${root}/n`), "old")
      const { path } = yield* zk.create(`${root}/s-`, null, { mode: "persistentSequential" })
      assert.strictEqual(path, `${root}/s-0000000001`)
    }))

  it.effect("fails with the error of the first, the last or the only operation [H8] [MULTI-05] [MULTI-06]", () =>
    Effect.gen(function*() {
      const zk = yield* ZkClient.ZkClient
      const root = yield* freshRoot
      yield* zk.create(`${root}/full/child`, null, { parents: true })
      const cases = [
        { op: ZkTransaction.check(`${root}/none`), tag: "NoNode" },
        { op: ZkTransaction.check(root, { version: 9 }), tag: "BadVersion" },
        { op: ZkTransaction.create(`${root}/full`), tag: "NodeExists" },
        { op: ZkTransaction.delete(`${root}/full`), tag: "NotEmpty" },
        { op: ZkTransaction.setData(`${root}/none`, ""), tag: "NoNode" }
      ]
      const fine = ZkTransaction.check(root)
      for (const { op, tag } of cases) {
        for (const [index, ops] of [[op], [op, fine], [fine, op]].entries()) {
          const error = yield* failsWith(zk.multi(ops), "MultiFailed")
          assert.deepStrictEqual([error.index, error.cause._tag], [index === 2 ? 1 : 0, tag])
        }
      }
      assert.isUndefined((yield* zk.multi([fine]))[0])
    }))

  it.effect("without operations is no request, and one that is too large is not sent [H9] [MULTI-01]", () =>
    Effect.gen(function*() {
      const fake = yield* makeFakeServer
      yield* onFake(
        fake,
        Effect.scoped(Effect.gen(function*() {
          const zk = yield* ZkClient.make({ hosts: "zk" })
          assert.deepStrictEqual(yield* zk.multi([]), [])
          assert.deepStrictEqual(yield* zk.multiRead([]), [])
          const many = Array.from({ length: 1000 }, (_, i) => ZkTransaction.create(`/n-${i}`, "x".repeat(1100)))
          const error = yield* failsWith(zk.multi(many), "RequestTooLarge")
          assert.isAbove(error.size, error.limit)
          assert.strictEqual(fake.requests.length, 0)
        }))
      )
    }))

  it.effect("with something invalid in it is not sent, and says what [MULTI-10] [H10]", () =>
    Effect.gen(function*() {
      const fake = yield* makeFakeServer
      yield* onFake(
        fake,
        Effect.scoped(Effect.gen(function*() {
          const zk = yield* ZkClient.make({ hosts: "zk" })
          const fine = ZkTransaction.check("/")
          const path = yield* failsWith(zk.multi([fine, ZkTransaction.create("/foo/")]), "InvalidPath")
          assert.strictEqual(path.path, "/foo/")
          yield* failsWith(zk.multi([fine, ZkTransaction.check("/a", { version: 2 ** 31 })]), "InvalidInput")
          yield* failsWith(zk.multi([fine, ZkTransaction.create("/a", "", { acl: [] })]), "InvalidAcl")
          yield* failsWith(zk.create("/a", "", { acl: [] }), "InvalidAcl")
          yield* failsWith(zk.multiRead([ZkTransaction.getData("a")]), "InvalidPath")
          assert.strictEqual(fake.requests.length, 0)
        }))
      )
    }))

  it.effect("tells an ACL for identities that the session does not have [H10] [AUTH-03]", () =>
    Effect.gen(function*() {
      const zk = yield* ZkClient.ZkClient
      const root = yield* freshRoot
      const acl = ZkAcl.creatorAcl
      yield* failsWith(zk.create(`${root}/a`, "", { acl }), "InvalidAcl")
      const failed = yield* failsWith(zk.multi([ZkTransaction.create(`${root}/a`, "", { acl })]), "MultiFailed")
      assert.strictEqual(failed.cause._tag, "InvalidAcl")
      const { connectString } = yield* shared
      const known = yield* ZkClient.make({
        hosts: connectString,
        auth: [{ scheme: "digest", credential: Redacted.make("somebody:secret") }]
      })
      yield* known.multi([ZkTransaction.create(`${root}/a`, "", { acl })])
    }))

  it.effect("of reads gives each its own result, in order [MULTI-11] [K57]", () =>
    Effect.gen(function*() {
      const zk = yield* ZkClient.ZkClient
      const root = yield* freshRoot
      yield* zk.create(`${root}/a`, "1")
      const [missing, data, children, again] = yield* zk.multiRead([
        ZkTransaction.getData(`${root}/none`),
        ZkTransaction.getData(`${root}/a`),
        ZkTransaction.getChildren(root),
        ZkTransaction.getData(`${root}/a`)
      ])
      const error = Result.getOrThrow(Result.flip(missing))
      assert.deepStrictEqual([error._tag, error.path], ["NoNode", `${root}/none`])
      assert.strictEqual(Result.getOrThrow(data).text, "1")
      assert.deepStrictEqual(Result.getOrThrow(children), ["a"])
      assert.strictEqual(Result.getOrThrow(again).stat.mzxid, Result.getOrThrow(data).stat.mzxid)
      // @ts-expect-error a write is no read
      const mixed = zk.multiRead([ZkTransaction.delete("/a")])
      // @ts-expect-error nor a read a write
      const mixedToo = zk.multi([ZkTransaction.getData("/a")])
      assert.isDefined([mixed, mixedToo])
    }))
})
