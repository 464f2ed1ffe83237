/** Clients whose servers and path come from a URL or from configuration. */
import { assert, describe, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as ZkAcl from "../src/ZkAcl.ts"
import * as ZkClient from "../src/ZkClient.ts"
import * as ZkConfig from "../src/ZkConfig.ts"
import * as ZkState from "../src/ZkState.ts"
import { failsWith } from "./support/failsWith.ts"
import { onFake } from "./support/fakeClient.ts"
import { makeFakeServer } from "./support/fakeServer.ts"
import { makeProxy } from "./support/proxy.ts"
import { freshPath, freshRoot, shared, sharedHandle } from "./support/shared.ts"

const hosts = Effect.map(shared, ({ connectString }) => connectString)

const configured = (configuration: unknown) => ConfigProvider.layer(ConfigProvider.fromUnknown(configuration))

/** What a client of this layer does. */
const using = <A, E, E2>(
  layer: Layer.Layer<ZkClient.ZkClient, E2>,
  configuration: unknown,
  use: (zk: ZkClient.ZkClient) => Effect.Effect<A, E>
) =>
  Effect.flatMap(ZkClient.ZkClient, use).pipe(
    Effect.provide(Layer.provide(layer, configured(configuration)))
  )

class Library extends ZkClient.Service<Library>()("test/Library") {}

describe("a layer", () => {
  it.effect("needs nothing but a variable of the environment [ASAB-A2] [A15]", () =>
    Effect.gen(function*() {
      const fake = yield* makeFakeServer
      const created = yield* onFake(fake, using(ZkClient.layerConfig(), { ZK_SERVERS: "zk" }, (zk) => zk.create("/x")))
      assert.strictEqual(created.path, "/x")
      assert.strictEqual((yield* fake.awaitRequest("create2")).path, "/asab")
      assert.deepStrictEqual(fake.requests.flatMap(({ path }) => path ?? []), ["/asab", "/asab/x"])
    }))

  it.effect("without servers fails with an error, and connects to nobody [ASAB-A8] [CONF-05]", () =>
    Effect.gen(function*() {
      const fake = yield* makeFakeServer
      const layers = [
        ZkClient.layerConfig(),
        ZkClient.layerConfig(ZkConfig.options({ section: "my:zk" })),
        ZkClient.layerUrl("zookeeper:///p"),
        ZkClient.layerUrl("zookeeper:./p", { section: "my:zk" }),
        ZkClient.layerUrl("http://x/y")
      ]
      for (const layer of layers) {
        yield* failsWith(onFake(fake, using(layer, {}, (zk) => zk.create("/x"))), "ConfigError")
      }
      const named = Library.layerUrl("zookeeper:./p").pipe(Layer.provide(configured({})))
      yield* failsWith(onFake(fake, Effect.scoped(Layer.build(named))), "ConfigError")
      assert.strictEqual(fake.connections.length, 0)
    }))

  it.effect("reads configuration when it is built, and each time that it is [ASAB-A7]", () =>
    Effect.gen(function*() {
      const fake = yield* makeFakeServer
      const configuration = { zookeeper: { servers: "zk", path: "/one" } }
      const layer = ZkClient.layerUrl("zookeeper:./x")
      configuration.zookeeper.path = "/two"
      yield* onFake(fake, using(layer, configuration, () => Effect.void))
      configuration.zookeeper.path = "/three"
      yield* onFake(fake, using(layer, configuration, () => Effect.void))
      assert.deepStrictEqual(fake.requests.flatMap(({ path }) => path ?? []), ["/two/x", "/three/x"])
    }))

  it.live("of a URL has its path as root, which exists before anything can be asked for [A17] [CONF-05]", () =>
    Effect.gen(function*() {
      const [connectString, base] = [yield* hosts, yield* freshPath]
      const seen = yield* using(
        ZkClient.layerUrl(`zookeeper://${connectString}/${base}/a//b/`),
        {},
        (zk) =>
          Effect.gen(function*() {
            assert.deepStrictEqual((yield* zk.getChildren("/")).children, [])
            return yield* zk.create("/x", "1")
          })
      )
      assert.strictEqual(seen.path, "/x")
      const text = yield* using(
        Library.layerUrl("zookeeper:./b", { section: "my:zk" }).pipe(
          (layer) => Layer.provide(Layer.effect(ZkClient.ZkClient, Library), layer)
        ),
        { "my:zk": { path: `${base}/a/` }, zookeeper: { servers: connectString } },
        (zk) => Effect.map(zk.getData("/x"), (node) => node.text)
      )
      assert.strictEqual(text, "1")
    }))

  it.live("is ready after the answer that makes its path, not before, and not at all without it [A17]", () =>
    Effect.gen(function*() {
      const proxy = yield* makeProxy((yield* shared).port)
      const base = yield* freshPath
      // The first answer is lost: whether the path is there has to be found out.
      const lost = yield* proxy.swallowReply({ op: "create2" }, "cut")
      const first = yield* using(
        ZkClient.layerUrl(`zookeeper://${proxy.connectString}${base}`),
        {},
        (zk) => zk.getData("/")
      )
      assert.isNull(first.data)
      assert.strictEqual((yield* lost.fired).op, "create2")
      yield* proxy.swallowReply({ op: "create2" }, "keep")
      const silent = ZkClient.layerUrl(`zookeeper://${proxy.connectString}${base}/deep`, {
        requestTimeout: "300 millis"
      })
      const error = yield* failsWith(using(silent, {}, () => Effect.void), "ConnectError")
      assert.include(error.message, "/deep")
    }))

  it.live("finds a path below one where nobody may create anything; without it there is no client [A17]", () =>
    Effect.gen(function*() {
      const [connectString, root] = [yield* hosts, yield* freshRoot]
      yield* using(
        ZkClient.layerUrl(`zookeeper://${connectString}${root}`),
        {},
        (zk) => Effect.andThen(zk.create("/mine"), zk.setAcl("/", ZkAcl.readAcl))
      )
      const below = (name: string) =>
        using(ZkClient.layerUrl(`zookeeper://${connectString}${root}/${name}`), {}, (zk) => zk.create("/x"))
      assert.strictEqual((yield* below("mine")).path, "/x")
      const error = yield* failsWith(below("other"), "ConnectError")
      assert.include(error.message, "ACL")
    }))

  it.live("has its path made once: who deletes it afterwards has it deleted [A17]", () =>
    Effect.gen(function*() {
      const [connectString, base] = [yield* hosts, yield* freshPath]
      yield* using(ZkClient.layerUrl(`zookeeper://${connectString}${base}/app`), {}, (zk) =>
        Effect.gen(function*() {
          yield* using(ZkClient.layer({ hosts: connectString }), {}, (other) => other.deleteRecursive(base))
          yield* failsWith(zk.create("/x"), "NoNode")
          assert.strictEqual((yield* zk.create("/x", null, { parents: true })).path, "/x")
        }))
    }))

  it.live("may have the root itself, from a URL or from configuration [A12]", () =>
    Effect.gen(function*() {
      const [connectString, path] = [yield* hosts, yield* freshPath]
      const url = yield* using(ZkClient.layerUrl(`zookeeper://${connectString}/`), {}, (zk) => zk.create(path))
      assert.strictEqual(url.path, path)
      const found = yield* using(
        ZkClient.layerUrl("zookeeper:///"),
        { ZK_SERVERS: connectString },
        (zk) => zk.exists(path)
      )
      assert.strictEqual(found._tag, "Some")
      const section = { zookeeper: { servers: connectString, path: "/" } }
      yield* using(ZkClient.layerConfig(), section, (zk) => zk.delete(path))
    }))

  it.live("asks for the configured timeout, and shows what the servers agreed to [A16]", () =>
    Effect.gen(function*() {
      const configuration = { zookeeper: { servers: yield* hosts, path: yield* freshPath, timeout: "5s" } }
      const state = yield* using(ZkClient.layerConfig(), configuration, (zk) => zk.state)
      assert.isTrue(ZkState.isConnected(state) && Duration.equals(state.timeout, Duration.seconds(5)))
      configuration.zookeeper.timeout = "1 millis"
      const least = yield* using(ZkClient.layerConfig(), configuration, (zk) => zk.state)
      assert.isTrue(ZkState.isConnected(least) && Duration.toMillis(least.timeout) >= 100)
    }))

  it.live("gives configured credentials to the servers [CONF-03]", () =>
    Effect.gen(function*() {
      const configuration = { ZK_SERVERS: yield* hosts, ZK_AUTH: "ann:secret" }
      const { acl } = yield* using(ZkClient.layerUrl(`zookeeper://${yield* freshPath}`), configuration, (zk) =>
        Effect.andThen(zk.create("/x", null, { acl: ZkAcl.creatorAcl }), zk.getAcl("/x")))
      assert.include(JSON.stringify(acl), "ann:")
    }))

  it.live("ends its session when it is closed, whatever it was made from [A17]", () =>
    Effect.gen(function*() {
      const url = `zookeeper://${yield* hosts}${yield* freshPath}`
      const state = yield* using(ZkClient.layerUrl(url), {}, (zk) => zk.state)
      const open = yield* (yield* sharedHandle).sessions
      assert.isTrue(ZkState.isConnected(state) && !open.includes(state.sessionId))
    }))
})
