import { assert, describe, it, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import * as ZkAcl from "../src/ZkAcl.ts"
import * as ZkClient from "../src/ZkClient.ts"
import type * as ZkConfig from "../src/ZkConfig.ts"
import type { BadVersion } from "../src/ZkError.ts"
import * as ZkTransaction from "../src/ZkTransaction.ts"
import { failsWith } from "./support/failsWith.ts"
import { ZkServer } from "./support/server.ts"

const { admin, all, create, read, write } = ZkAcl.Perms

const digest = (credential: string): ZkConfig.Auth => ({ scheme: "digest", credential: Redacted.make(credential) })

const connect = (...credentials: ReadonlyArray<string>) =>
  Effect.flatMap(
    ZkServer,
    ({ connectString }) => ZkClient.make({ hosts: connectString, auth: credentials.map(digest) })
  )

const only = (credential: string, perms: number = all): ZkAcl.Acl => {
  const [user = "", password = ""] = credential.split(":")
  return ZkAcl.digest(user, Redacted.make(password), perms)
}

describe("digests of passwords", () => {
  it.each(
    [
      ["super", "test", "super:D/InIHSb7yEEbrWz8b9l71RjZJU="],
      ["super", "foo", "super:t6lQTvqID/Gl5Or0n4FYE6kKP8w="],
      ["super", "bar", "super:hTdNN4QH4isoRvCrQ1Jf7REREQ4="]
    ] as const
  )("are those that ZooKeeper makes: %s:%s [AUTH-01]", (user, password, id) => {
    assert.strictEqual(ZkAcl.digestId(user, Redacted.make(password)), id)
    assert.deepStrictEqual(ZkAcl.digest(user, Redacted.make(password), read), { perms: read, scheme: "digest", id })
    assert.deepStrictEqual(ZkAcl.digest(user, Redacted.make(password)).perms, all)
  })
})

describe("permissions", () => {
  it.each(
    [
      [all, "ALL"],
      [read | write | create | ZkAcl.Perms.delete, "READ|WRITE|CREATE|DELETE"],
      [admin, "ADMIN"],
      [0, "NONE"]
    ] as const
  )("%i is written %s [AUTH-16]", (perms, text) => {
    assert.strictEqual(ZkAcl.formatPerms(perms), text)
  })
})

const root = "root:of all"
const superServer = ZkServer.layer({
  jvmFlags: [`-Dzookeeper.DigestAuthenticationProvider.superDigest=${ZkAcl.digestId("root", Redacted.make("of all"))}`]
})

layer(superServer, { excludeTestServices: true })("identities", (it) => {
  it.effect("open nodes to those who may, and to nobody else [AUTH-02] [K55]", () =>
    Effect.gen(function*() {
      const owner = yield* connect("ann:secret")
      yield* owner.create("/secret", "x", { acl: [only("ann:secret")] })
      assert.strictEqual((yield* owner.getData("/secret")).text, "x")
      for (const stranger of [yield* connect(), yield* connect("ann:wrong"), yield* connect("bob:secret")]) {
        const operations: ReadonlyArray<readonly [string, Effect.Effect<unknown, ZkClient.CreateError | BadVersion>]> =
          [
            ["getData", stranger.getData("/secret")],
            ["getChildren", stranger.getChildren("/secret")],
            ["setData", stranger.setData("/secret", "y")],
            ["create", stranger.create("/secret/x")],
            ["setAcl", stranger.setAcl("/secret", ZkAcl.openAcl)],
            ["getData", Effect.scoped(stranger.getDataWatch("/secret"))]
          ]
        for (const [operation, effect] of operations) {
          const error = yield* failsWith(effect, "NoAuth")
          assert.strictEqual(error.operation, operation)
          assert.strictEqual(error.path, operation === "create" ? "/secret/x" : "/secret")
        }
        const multi = yield* failsWith(stranger.multi([ZkTransaction.setData("/secret", "y")]), "MultiFailed")
        assert.deepInclude(multi.cause, { _tag: "NoAuth", path: "/secret" })
        yield* failsWith(Stream.runDrain(stranger.changes("/secret")), "NoAuth")
      }
      const mighty = yield* connect(root)
      yield* mighty.setAcl("/secret", ZkAcl.readAcl)
      const stranger = yield* connect()
      assert.strictEqual((yield* stranger.getData("/secret")).text, "x")
      yield* failsWith(stranger.setData("/secret", "y"), "NoAuth")
      yield* failsWith(owner.setData("/secret", "y"), "NoAuth")
      yield* mighty.setData("/secret", "y")
    }))

  it.effect("stand in the ACLs that they create [AUTH-03] [AUTH-11] [K56]", () =>
    Effect.gen(function*() {
      const nobody = yield* connect()
      const error = yield* failsWith(nobody.create("/creators", null, { acl: ZkAcl.creatorAcl }), "InvalidAcl")
      assert.deepStrictEqual([error.operation, error.path], ["create", "/creators"])
      const both = yield* connect("ann:1", "bob:2")
      yield* both.create("/creators", null, { acl: ZkAcl.creatorAcl })
      assert.sameDeepMembers([...(yield* both.getAcl("/creators")).acl], [only("ann:1"), only("bob:2")])
      for (const user of ["ann:1", "bob:2"]) yield* (yield* connect(user)).setData("/creators", user)
      yield* failsWith(nobody.getData("/creators"), "NoAuth")
      yield* failsWith(nobody.setAcl("/", ZkAcl.creatorAcl), "InvalidAcl")
    }))

  it.effect("are stored in ACLs as they were given, once each [AUTH-05] [AUTH-16] [K56]", () =>
    Effect.gen(function*() {
      const owner = yield* connect("ann:1")
      const acl = [
        only("ann:1"),
        { perms: read | write, scheme: "ip", id: "127.0.0.1" },
        { perms: read, scheme: "ip", id: "10.0.0.0/8" },
        { perms: create, scheme: "world", id: "anyone" }
      ]
      yield* owner.create("/listed", null, { acl: [...acl, ...acl] })
      assert.sameDeepMembers([...(yield* owner.getAcl("/listed")).acl], acl)
      yield* owner.setAcl("/listed", acl.slice(0, 2))
      assert.sameDeepMembers([...(yield* owner.getAcl("/listed")).acl], acl.slice(0, 2))
      // Those who may not change the ACL see no digests.
      const { acl: shown } = yield* (yield* connect()).getAcl("/listed")
      assert.includeDeepMembers([...shown], [{ perms: all, scheme: "digest", id: "ann:x" }])
    }))

  it.effect("are told by the server [CRUD-27] [AUTH-11]", () =>
    Effect.gen(function*() {
      const zk = yield* connect()
      assert.deepStrictEqual(yield* zk.whoAmI, [{ scheme: "ip", user: "127.0.0.1" }])
      yield* zk.addAuth(digest("ann:1"))
      yield* zk.addAuth(digest("bob:2"))
      assert.sameDeepMembers([...(yield* zk.whoAmI)], [
        { scheme: "ip", user: "127.0.0.1" },
        { scheme: "digest", user: "ann" },
        { scheme: "digest", user: "bob" }
      ])
    }))

  it.effect("may come later, and are good for what follows at once [AUTH-10]", () =>
    Effect.gen(function*() {
      const owner = yield* connect("ann:later")
      yield* owner.create("/later", "x", { acl: ZkAcl.creatorAcl })
      const { connectString } = yield* ZkServer
      const early = yield* ZkClient.make({ hosts: connectString, lazy: true })
      // Nobody is connected yet.
      const [, data] = yield* Effect.all([early.addAuth(digest("ann:later")), early.getData("/later")], {
        concurrency: "unbounded"
      })
      assert.strictEqual(data.text, "x")
      const late = yield* connect()
      yield* failsWith(late.getData("/later"), "NoAuth")
      const after = yield* Effect.andThen(late.addAuth(digest("ann:later")), late.getData("/later"))
      assert.strictEqual(after.text, "x")
    }))

  it.effect("belong to the session: all views of it have them [F8]", () =>
    Effect.gen(function*() {
      const owner = yield* connect("ann:views")
      yield* owner.create("/views")
      yield* owner.create("/views/x", "x", { acl: ZkAcl.creatorAcl })
      const zk = yield* connect()
      const [view, other] = [yield* zk.chroot("/views"), yield* zk.chroot("/elsewhere")]
      yield* failsWith(view.getData("/x"), "NoAuth")
      yield* other.addAuth(digest("ann:views"))
      assert.strictEqual((yield* view.getData("/x")).text, "x")
      assert.strictEqual((yield* zk.getData("/views/x")).text, "x")
    }))

  it.effect("may be spelt in any script, or given as bytes [AUTH-12] [A6]", () =>
    Effect.gen(function*() {
      const credential = "žofie:heslo 路"
      const zk = yield* connect(credential)
      yield* zk.create("/unicode", "x", { acl: [only(credential)] })
      assert.strictEqual((yield* zk.getData("/unicode")).text, "x")
      const { connectString } = yield* ZkServer
      const auth = [{ scheme: "digest", credential: Redacted.make(new TextEncoder().encode(credential)) }]
      const other = yield* ZkClient.make({ hosts: connectString, auth })
      assert.deepStrictEqual((yield* other.getAcl("/unicode")).acl, [only(credential)])
      assert.deepInclude(yield* other.whoAmI, { scheme: "digest", user: "žofie" })
    }))

  it.effect("with characters outside the basic plane do no harm [A6]", () =>
    Effect.gen(function*() {
      const zk = yield* connect("🦓:secret")
      const id = "🦓:" + ZkAcl.digestId("x", Redacted.make("y")).slice(2)
      yield* zk.create("/zebra", "x", { acl: [...ZkAcl.openAcl, { perms: read, scheme: "digest", id }] })
      // The server splits such a character into two, which UTF-8 has no way to write.
      const { acl } = yield* zk.getAcl("/zebra")
      assert.strictEqual(acl.length, 2)
      assert.isTrue((yield* zk.whoAmI).some(({ scheme }) => scheme === "digest"))
      assert.strictEqual((yield* zk.getData("/zebra")).text, "x")
      assert.strictEqual((yield* zk.state)._tag, "Connected")
    }))
})

layer(superServer, { excludeTestServices: true })("trees with closed nodes", (it) => {
  it.effect("get missing nodes without rights on upper levels [G4] [CRUD-13]", () =>
    Effect.gen(function*() {
      const zk = yield* connect()
      yield* zk.ensurePath("/bat/bi/hiru")
      yield* zk.setAcl("/bat", [{ perms: 0, scheme: "world", id: "anyone" }])
      const error = yield* failsWith(zk.create("/bat/foo/bost", null, { parents: true }), "NoAuth")
      assert.strictEqual(error.path, "/bat/foo")
      yield* zk.create("/bat/bi/hiru/bost", null, { parents: true })
      yield* zk.ensurePath("/bat/bi/hiru/lau/sei")
      yield* zk.ensurePath("/bat/bi/hiru")
      yield* zk.createOrSet("/bat/bi/hiru/zazpi", "x")
    }))

  it.effect("are made with the ACL that was asked for: the leaf's, or all of them [CRUD-12] [K15]", () =>
    Effect.gen(function*() {
      const zk = yield* connect("ann:1")
      yield* zk.create("/leaf/a/b", null, { parents: true, acl: ZkAcl.creatorAcl })
      assert.deepStrictEqual((yield* zk.getAcl("/leaf/a")).acl, ZkAcl.openAcl)
      assert.deepStrictEqual((yield* zk.getAcl("/leaf/a/b")).acl, [only("ann:1")])
      yield* zk.ensurePath("/every/a/b", { acl: ZkAcl.creatorAcl })
      for (const path of ["/every", "/every/a", "/every/a/b"]) {
        assert.deepStrictEqual((yield* zk.getAcl(path)).acl, [only("ann:1")])
      }
      // Nobody may put anything below what was made on the way.
      const error = yield* failsWith(zk.ensurePath("/shut/a/b", { acl: ZkAcl.readAcl }), "NoAuth")
      assert.strictEqual(error.path, "/shut/a")
    }))

  it.effect("keep what the session may not delete, and all above it [CRUD-17]", () =>
    Effect.gen(function*() {
      const owner = yield* connect("ann:1")
      yield* owner.ensurePath("/tree/a/b")
      yield* Effect.forEach(
        Array.from({ length: 300 }, (_, i) => `/tree/x-${i}`),
        (path) => owner.create(path),
        { concurrency: "unbounded", discard: true }
      )
      yield* owner.create("/tree/a/b/kept")
      // It is the parent's ACL that lets children be deleted.
      yield* owner.setAcl("/tree/a/b", [only("ann:1"), { perms: read, scheme: "world", id: "anyone" }])
      const zk = yield* connect()
      yield* failsWith(zk.deleteRecursive("/tree"), "NoAuth")
      for (const path of ["/tree", "/tree/a", "/tree/a/b", "/tree/a/b/kept"]) yield* owner.getData(path)
      yield* zk.addAuth(digest("ann:1"))
      yield* zk.deleteRecursive("/tree")
      yield* failsWith(zk.getData("/tree"), "NoNode")
    }))

  it.effect("may begin at the root [AUTH-15]", () =>
    Effect.gen(function*() {
      const owner = yield* connect("ann:1")
      const stranger = yield* connect()
      yield* owner.setAcl("/", ZkAcl.creatorAcl)
      yield* failsWith(stranger.create("/x"), "NoAuth")
      yield* failsWith(stranger.getChildren("/"), "NoAuth")
      yield* owner.create("/owners")
      yield* failsWith(stranger.delete("/owners"), "NoAuth")
      yield* owner.setAcl("/", ZkAcl.openAcl)
      yield* stranger.delete("/owners")
    }))
})
