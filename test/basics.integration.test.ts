import { assert, describe, it, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as ZkClient from "../src/ZkClient.ts"
import { suite } from "./contract/basics.contract.ts"
import { failsWith } from "./support/failsWith.ts"
import { makeServer } from "./support/server.ts"
import { freshPath, shared } from "./support/shared.ts"

const direct = Layer.unwrap(Effect.map(shared, ({ connectString }) => ZkClient.layer({ hosts: connectString })))

suite("a client of the real server", direct)

suite(
  "a client below a chroot",
  Layer.unwrap(Effect.gen(function*() {
    const { connectString } = yield* shared
    const chroot = `${yield* freshPath}/app/deep`
    return ZkClient.layer({ hosts: connectString, chroot, createChroot: true })
  }))
)

suite(
  "a view of a client",
  Layer.unwrap(Effect.gen(function*() {
    const zk = yield* ZkClient.ZkClient
    const path = yield* freshPath
    yield* zk.create(path)
    return ZkClient.layerChroot(path)
  })).pipe(Layer.provide(direct))
)

layer(direct, { excludeTestServices: true })("the root of the tree", (it) => {
  it.effect("cannot be deleted [CRUD-06]", () =>
    Effect.gen(function*() {
      const zk = yield* ZkClient.ZkClient
      assert.strictEqual((yield* failsWith(zk.delete("/"), "BadArguments")).path, "/")
      yield* failsWith(zk.create("/"), "NodeExists")
      yield* zk.ensurePath("/")
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
