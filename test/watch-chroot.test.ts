import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as ZkClient from "../src/ZkClient.ts"
import { makeWire, pass } from "./support/fakeClient.ts"
import { makeFakeServer } from "./support/fakeServer.ts"
import { makeProxy } from "./support/proxy.ts"
import { freshPath, shared } from "./support/shared.ts"
import { heard, record } from "./support/watching.ts"

describe("watches below a chroot", () => {
  it.live("tell of paths as the client sees them [PW-13]", () =>
    Effect.gen(function*() {
      const { connectString } = yield* shared
      const chroot = `${yield* freshPath}/app`
      const zk = yield* ZkClient.make({ hosts: connectString, chroot, createChroot: true })
      const other = yield* ZkClient.make({ hosts: connectString })
      const inner = yield* zk.chroot("/inner")
      const [recursive, persistent] = [yield* zk.subscribe("/", "recursive"), yield* zk.subscribe("/", "persistent")]
      const [fromInner, beside] = [yield* inner.subscribe("/", "recursive"), yield* zk.subscribe("/inn", "recursive")]
      const exists = yield* zk.existsWatch("/inner")
      const root = yield* zk.getDataWatch("/")
      yield* other.create(`${chroot}/inner`)
      yield* other.create(`${chroot}/inner/a`)
      yield* other.setData(chroot, "x")
      yield* other.create(`${chroot}x`)
      assert.deepStrictEqual(yield* heard(zk, recursive), [
        "NodeCreated /inner",
        "NodeCreated /inner/a",
        "NodeDataChanged /"
      ])
      assert.deepStrictEqual(yield* heard(zk, persistent), ["NodeChildrenChanged /", "NodeDataChanged /"])
      assert.deepStrictEqual(yield* heard(zk, fromInner), ["NodeCreated /", "NodeCreated /a"])
      assert.deepStrictEqual(yield* heard(zk, beside), [])
      assert.strictEqual((yield* exists.fired).path, "/inner")
      assert.strictEqual((yield* root.fired).path, "/")
      yield* other.deleteRecursive(`${chroot}/inner`)
      assert.deepStrictEqual(yield* heard(zk, fromInner), ["NodeDeleted /a", "NodeDeleted /"])
    }))

  it.live("are set again at the servers' paths [PW-13] [E20]", () =>
    Effect.gen(function*() {
      const { connectString, port } = yield* shared
      const proxy = yield* makeProxy(port)
      const chroot = yield* freshPath
      const zk = yield* ZkClient.make({ hosts: proxy.connectString, chroot, createChroot: true })
      const other = yield* ZkClient.make({ hosts: connectString })
      const watch = yield* zk.getDataWatch("/")
      const config = yield* record(zk.configChanges)
      const seen = yield* record(Stream.map(zk.changes("/a"), (state) => Option.getOrNull(state)?.text))
      yield* seen.until("the first", (values) => values.length === 1)
      yield* config.until("the first", (values) => values.length === 1)
      yield* proxy.cutAll
      yield* zk.sync()
      assert.strictEqual((yield* proxy.stats()).ops["setWatches"], 1)
      yield* other.setData(chroot, "x")
      assert.strictEqual((yield* watch.fired).path, "/")
      yield* other.create(`${chroot}/a`, "late")
      yield* seen.until("the node", (values) => values.at(-1) === "late")
      assert.strictEqual(config.values.length, 1)
    }))

  for (const chroot of [undefined, "/short", "/zookeeper", "/zookeeper/config/a"]) {
    it.effect(`${chroot ?? "none"}: the ensemble's configuration is where it always is [E20] [W-23]`, () =>
      Effect.gen(function*() {
        const fake = yield* makeFakeServer
        const { client } = makeWire(fake)
        const zk = yield* client({ chroot })
        const seen = yield* record(zk.configChanges)
        yield* seen.until("the first", (values) => values.length === 1)
        yield* (yield* fake.current).event(3, "/zookeeper/config")
        const second = yield* fake.awaitRequest((request) => request.name === "getData" && request.index > 0)
        assert.strictEqual(second.path, "/zookeeper/config")
        // A watch of the client's own is below its chroot, whatever it is called.
        const own = yield* zk.getDataWatch("/zookeeper/config")
        const prefix = chroot ?? ""
        assert.strictEqual(fake.requests.at(-1)?.path, `${prefix}/zookeeper/config`)
        yield* (yield* fake.current).close
        yield* pass(1_000)
        const again = yield* fake.awaitRequest("setWatches")
        assert.include(again.payload.toString("latin1"), `${prefix}/zookeeper/config`)
        yield* (yield* fake.current).event(3, `${prefix}/zookeeper/config`)
        assert.strictEqual((yield* own.fired).path, "/zookeeper/config")
      }))
  }
})
