import { assert, describe, it } from "@effect/vitest"
import * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import * as ZkAcl from "../src/ZkAcl.ts"
import * as ZkClient from "../src/ZkClient.ts"
import * as ZkState from "../src/ZkState.ts"
import { failsWith } from "./support/failsWith.ts"
import { freshRoot, shared, sharedHandle } from "./support/shared.ts"

const sessionId = (zk: ZkClient.ZkClient) =>
  Effect.map(zk.state, (state) => ZkState.isConnected(state) ? state.sessionId : assert.fail(state._tag))

const hosts = Effect.map(shared, ({ connectString }) => connectString)

class Billing extends ZkClient.Service<Billing>()("test/Billing") {}
class Search extends ZkClient.Service<Search>()("test/Search") {}

/** A recipe: it wants a client and does not care whose. */
const visit = Effect.fnUntraced(function*(name: string) {
  const zk = yield* ZkClient.ZkClient
  yield* zk.create(`/${name}`, null, { mode: "ephemeral" })
  return yield* sessionId(zk)
})

describe("several clients in one program", () => {
  it.live("have a session and a view each, and lend them to recipes [S-SERVICES]", () =>
    Effect.gen(function*() {
      const connectString = yield* hosts
      const [ours, theirs] = [yield* freshRoot, yield* freshRoot]
      const Live = Layer.mergeAll(
        Billing.layer({ hosts: connectString, chroot: ours }),
        Search.layer({ hosts: `${connectString}${theirs}` }),
        ZkClient.layer({ hosts: connectString })
      )
      const ids = yield* Effect.gen(function*() {
        const zk = yield* ZkClient.ZkClient
        const [billing, search] = yield* Effect.all([Billing.provide(visit("b")), Search.provide(visit("s"))])
        assert.deepStrictEqual((yield* zk.getChildren(ours)).children, ["b"])
        assert.deepStrictEqual((yield* zk.getChildren(theirs)).children, ["s"])
        assert.strictEqual(yield* sessionId(yield* Billing), billing)
        return [billing, search, yield* sessionId(zk)]
      }).pipe(Effect.provide(Live))
      assert.strictEqual(new Set(ids).size, 3)
      // The sessions ended with the layers.
      const open = yield* (yield* sharedHandle).sessions
      assert.deepStrictEqual(ids.filter((id) => open.includes(id)), [])
    }))
})

describe("layers", () => {
  it.live("that are used twice make one session [S-MEMO]", () =>
    Effect.gen(function*() {
      const ZkLive = ZkClient.layer({ hosts: yield* hosts })
      class A extends ZkClient.Service<A>()("test/A") {}
      class B extends ZkClient.Service<B>()("test/B") {}
      const from = <Self, Key extends string>(service: ZkClient.ServiceClass<Self, Key>) =>
        Layer.effect(service, ZkClient.ZkClient).pipe(Layer.provide(ZkLive))
      const [a, b] = yield* Effect.all([A, B]).pipe(Effect.provide(Layer.mergeAll(from(A), from(B))))
      assert.strictEqual(a, b)
      const fresh = Layer.mergeAll(from(A), Layer.fresh(from(B)))
      const [c, d] = yield* Effect.gen(function*() {
        return [yield* sessionId(yield* A), yield* sessionId(yield* B)]
      }).pipe(Effect.provide(fresh))
      assert.notStrictEqual(c, d)
    }))

  it.live("end their session with all its ephemeral nodes before they are closed [S-MEMO]", () =>
    Effect.gen(function*() {
      const root = yield* freshRoot
      const scope = yield* Scope.make()
      const context = yield* Layer.buildWithScope(ZkClient.layer({ hosts: (yield* hosts) + root }), scope)
      const id = yield* Effect.provideContext(visit("x"), context)
      const server = yield* sharedHandle
      assert.deepStrictEqual(yield* server.ephemerals(id), [`${root}/x`])
      yield* Scope.close(scope, yield* Effect.exit(Effect.void))
      assert.notInclude(yield* server.sessions, id)
      assert.deepStrictEqual(yield* server.ephemerals(id), [])
      const zk = yield* Effect.provideContext(ZkClient.ZkClient, context)
      assert.strictEqual((yield* zk.state)._tag, "Closed")
      yield* failsWith(zk.getData("/x"), "SessionClosed")
    }))

  it.live("below a node use the session of the client that they stand on [S-CHROOT-LAYER]", () =>
    Effect.gen(function*() {
      const root = yield* freshRoot
      const whole = ZkClient.layer({ hosts: yield* hosts })
      const deeper = ZkClient.layerChroot("/b").pipe(Layer.provide(ZkClient.layerChroot(`${root}/a`)))
      const [inner, outer] = yield* Effect.gen(function*() {
        const outer = yield* ZkClient.ZkClient
        const inner = yield* Effect.gen(function*() {
          const zk = yield* ZkClient.ZkClient
          assert.strictEqual((yield* zk.create("/x", "1", { parents: true })).path, "/x")
          return yield* sessionId(zk)
        }).pipe(Effect.provide(deeper))
        assert.strictEqual((yield* outer.getData(`${root}/a/b/x`)).text, "1")
        return [inner, yield* sessionId(outer)]
      }).pipe(Effect.provide(whole))
      assert.strictEqual(inner, outer)
      const bad = ZkClient.layerChroot("no/path").pipe(Layer.provide(whole))
      yield* failsWith(Effect.scoped(Layer.build(bad)), "InvalidPath")
    }))
})

describe("options from configuration", () => {
  const options = {
    hosts: Config.String("ZK_SERVERS"),
    chroot: Config.String("ZK_CHROOT").pipe(Config.withDefault("/")),
    sessionTimeout: Config.Duration("ZK_SESSION_TIMEOUT").pipe(Config.withDefault("10 seconds")),
    auth: Config.Redacted("ZK_AUTH").pipe(Config.map((credential) => [{ scheme: "digest", credential }]))
  }
  const build = (env: Record<string, string>) =>
    Layer.build(ZkClient.layerConfig(options)).pipe(
      Effect.provide(ConfigProvider.layer(ConfigProvider.fromUnknown(env)))
    )

  it.live("make a client [S-CONFIG]", () =>
    Effect.gen(function*() {
      const root = yield* freshRoot
      const env = {
        ZK_SERVERS: yield* hosts,
        ZK_CHROOT: root,
        ZK_SESSION_TIMEOUT: "4 seconds",
        ZK_AUTH: "ann:secret"
      }
      const zk = yield* Effect.provide(ZkClient.ZkClient, yield* build(env))
      yield* zk.create("/x", null, { acl: ZkAcl.creatorAcl })
      assert.deepStrictEqual((yield* zk.getAcl("/x")).acl, [ZkAcl.digest("ann", Redacted.make("secret"))])
      const state = yield* zk.state
      assert.isTrue(ZkState.isConnected(state) && `${state.timeout}`.includes("4"))
    }))

  it.live("that are missing or no good are errors before anything is connected [S-CONFIG]", () =>
    Effect.gen(function*() {
      assert.include(String(yield* Effect.flip(build({ ZK_AUTH: "x:y" }))), "ZK_SERVERS")
      const bad = { ZK_SERVERS: "zk:port", ZK_AUTH: "x:secret" }
      const error = yield* Effect.flip(build(bad))
      assert.strictEqual(error._tag, "InvalidConfig")
      assert.deepInclude(error, { option: "hosts" })
      assert.notInclude(error.message, "secret")
    }))

  it.live("work for named clients too [S-CONFIG] [S-SERVICES]", () =>
    Effect.gen(function*() {
      const env = { ZK_SERVERS: yield* hosts, ZK_AUTH: "ann:secret" }
      const id = yield* Effect.flatMap(Billing, sessionId).pipe(
        Effect.provide(Billing.layerConfig(options)),
        Effect.provide(ConfigProvider.layer(ConfigProvider.fromUnknown(env)))
      )
      assert.notStrictEqual(id, 0n)
    }))
})
