import { assert, describe, it, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as ZkClient from "../src/ZkClient.ts"
import * as ZkTransaction from "../src/ZkTransaction.ts"
import * as basics from "./contract/basics.contract.ts"
import * as trees from "./contract/trees.contract.ts"
import { failsWith } from "./support/failsWith.ts"
import { makeWire } from "./support/fakeClient.ts"
import { makeFakeServer } from "./support/fakeServer.ts"
import { makeServer } from "./support/server.ts"
import { freshPath, shared } from "./support/shared.ts"

const direct = Layer.unwrap(Effect.map(shared, ({ connectString }) => ZkClient.layer({ hosts: connectString })))

const belowChroot = Layer.unwrap(Effect.gen(function*() {
  const { connectString } = yield* shared
  const chroot = `${yield* freshPath}/app/deep`
  return ZkClient.layer({ hosts: connectString, chroot, createChroot: true })
}))

const view = Layer.unwrap(Effect.gen(function*() {
  const zk = yield* ZkClient.ZkClient
  const path = yield* freshPath
  yield* zk.create(path)
  return ZkClient.layerChroot(path)
})).pipe(Layer.provide(direct))

for (const [what, { suite }] of [["nodes", basics], ["trees", trees]] as const) {
  suite(`${what} of a real server`, direct)
  suite(`${what} below a chroot`, belowChroot)
  suite(`${what} of a view`, view)
}

layer(direct, { excludeTestServices: true })("the root of the tree", (it) => {
  it.effect("cannot be deleted [CRUD-06]", () =>
    Effect.gen(function*() {
      const zk = yield* ZkClient.ZkClient
      assert.strictEqual((yield* failsWith(zk.delete("/"), "BadArguments")).path, "/")
      yield* failsWith(zk.create("/"), "NodeExists")
      yield* zk.ensurePath("/")
    }))
})

layer(direct, { excludeTestServices: true })("a node with many children", (it) => {
  it.effect(
    "lists all hundred thousand, though the answer is larger than any request may be [K23]",
    () =>
      Effect.gen(function*() {
        const zk = yield* ZkClient.ZkClient
        const root = yield* freshPath
        yield* zk.create(root)
        const names = Array.from({ length: 100_000 }, (_, i) => String(i).padStart(16, "n"))
        const batches = Array.from({ length: 100 }, (_, i) => names.slice(i * 1_000, (i + 1) * 1_000))
        yield* Effect.forEach(
          batches,
          (batch) => zk.multi(batch.map((name) => ZkTransaction.create(`${root}/${name}`))),
          { concurrency: 8, discard: true }
        )
        const { children, stat } = yield* zk.getChildren(root)
        assert.deepStrictEqual(new Set(children), new Set(names))
        assert.strictEqual(stat.numChildren, names.length)
        // A server of ours goes, and they with it.
        if ((yield* shared).kind === "servers") yield* zk.deleteRecursive(root)
      }),
    60_000
  )
})

describe("input that is no good", () => {
  it.effect("is refused before a single byte of it is sent [PATH-02] [G1] [AUTH-04] [K28]", () =>
    Effect.gen(function*() {
      const fake = yield* makeFakeServer
      const zk = yield* makeWire(fake).client()
      for (const path of ["", "a", "/a/", "/a//b", "/.", "/a/../b", "/\u0000", "/\ud800"]) {
        yield* failsWith(zk.create(path), "InvalidPath")
        yield* failsWith(zk.create(path, null, { parents: true }), "InvalidPath")
        yield* failsWith(zk.ensurePath(path), "InvalidPath")
        yield* failsWith(zk.getData(path), "InvalidPath")
        yield* failsWith(zk.deleteRecursive(path), "InvalidPath")
        yield* failsWith(zk.multi([ZkTransaction.create("/a"), ZkTransaction.check(path)]), "InvalidPath")
        yield* failsWith(Effect.scoped(zk.subscribe(path, "recursive")), "InvalidPath")
      }
      yield* failsWith(zk.create("/a", null, { acl: [] }), "InvalidAcl")
      yield* failsWith(zk.setAcl("/a", []), "InvalidAcl")
      yield* failsWith(zk.setData("/a", "x", { version: 2 ** 31 }), "InvalidInput")
      yield* failsWith(zk.create("/a", null, { mode: { ttl: 0 } }), "InvalidInput")
      yield* failsWith(zk.setData("/a", new Uint8Array(2 ** 20)), "RequestTooLarge")
      assert.deepStrictEqual(fake.requests.map(({ name }) => name), [])
      yield* zk.sync()
      assert.deepStrictEqual(fake.requests.map(({ name }) => name), ["sync"])
    }))
})

describe("container parents", () => {
  it.live("go with their last child [CRUD-14]", () =>
    Effect.gen(function*() {
      const server = yield* makeServer({
        jvmFlags: ["-Dznode.container.checkIntervalMs=200", "-Dznode.container.maxPerMinute=600000"]
      })
      const zk = yield* ZkClient.make({ hosts: server.connectString })
      yield* zk.create("/one/two/three", "x", { parents: "container" })
      const [one, two] = [yield* zk.existsWatch("/one"), yield* zk.existsWatch("/one/two")]
      yield* zk.delete("/one/two/three")
      assert.strictEqual((yield* two.fired)._tag, "NodeDeleted")
      assert.strictEqual((yield* one.fired)._tag, "NodeDeleted")
    }))
})
