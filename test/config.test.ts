/** Connection strings and options: what is read, and what is refused before anything is connected. */
import { assert, describe, it } from "@effect/vitest"
import * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import { Transport } from "../src/internal/transport.ts"
import * as ZkClient from "../src/ZkClient.ts"
import { type Options, parseConnectionString, resolve } from "../src/ZkConfig.ts"
import { failsWith } from "./support/failsWith.ts"
import { onFake } from "./support/fakeClient.ts"
import { makeFakeServer } from "./support/fakeServer.ts"

const server = (host: string, port = 2181) => ({ host, port })

describe("connection strings", () => {
  type Server = ReturnType<typeof server>
  const good: ReadonlyArray<readonly [text: string, servers: ReadonlyArray<Server>, chroot: string | undefined]> = [
    ["h1:1,h2:2/a/b", [server("h1", 1), server("h2", 2)], "/a/b"],
    ["h1", [server("h1")], undefined],
    ["h1/", [server("h1")], undefined],
    ["h1/ \n", [server("h1")], undefined],
    ["h1:", [server("h1")], undefined],
    [" h1 , h2:2183 ", [server("h1"), server("h2", 2183)], undefined],
    ["h1,,h2,", [server("h1"), server("h2")], undefined],
    ["h1,h2,h1:2181", [server("h1"), server("h2")], undefined],
    ["h1:2182,h2", [server("h1", 2182), server("h2")], undefined],
    ["[::1]:2181", [server("::1")], undefined],
    ["127.0.0.1:65535", [server("127.0.0.1", 65535)], undefined],
    ["zk-0.zk.svc.cluster.local,zk_1", [server("zk-0.zk.svc.cluster.local"), server("zk_1")], undefined],
    ["[2001:db8::1]:2182", [server("2001:db8::1", 2182)], undefined],
    ["[::1],[fe80::1%eth0]:1/c", [server("::1"), server("fe80::1%eth0", 1)], "/c"],
    ["h/chroot with blanks/x", [server("h")], "/chroot with blanks/x"]
  ]

  it.each(good)("%j [C7] [CONN-01] [CONN-02] [Z2] [Z3]", (text, servers, chroot) => {
    assert.deepStrictEqual(Result.getOrThrow(parseConnectionString(text)), { servers, chroot })
  })

  const bad: ReadonlyArray<readonly [string, string]> = [
    ["", "no server"],
    ["  ", "no server"],
    [" , ", "no server"],
    ["/chroot", "no server"],
    [":1234", "no host"],
    ["h:0", "no port"],
    ["h:65536", "no port"],
    ["h:a234", "no port"],
    ["h:-1", "no port"],
    ["h:21 81", "no port"],
    ["h1:1111+h2:123", "brackets"],
    ["h1;h2", "no host name"],
    ["h 1", "no host name"],
    ["::1", "brackets"],
    ["fe80::1:2181", "brackets"],
    ["[::1", "brackets"],
    ["[::1]x", "brackets"],
    ["[h]:1", "brackets"],
    ["[]", "brackets"],
    ["h//", "chroot"],
    ["h/abc/", "chroot"],
    ["h/a//b", "chroot"],
    ["h/a/../b", "chroot"],
    ["h1/chroot,h2", "comes last"]
  ]

  it.each(bad)("not %j: %s [C7] [CONN-02] [CONN-03] [Z3]", (text, reason) => {
    const result = parseConnectionString(text)
    assert.isTrue(Result.isFailure(result))
    assert.include(Result.isFailure(result) ? result.failure : "", reason)
  })
})

describe("options", () => {
  const refused = (options: Options) => failsWith(resolve(options), "InvalidConfig")

  it.effect("have defaults [K1]", () =>
    Effect.gen(function*() {
      const { session, ...rest } = yield* resolve({})
      assert.deepStrictEqual(session.servers, [server("127.0.0.1")])
      assert.strictEqual(session.sessionTimeout, 10_000)
      assert.strictEqual(session.requestTimeout, 30_000)
      assert.strictEqual(session.closeTimeout, 2_000)
      assert.strictEqual(session.maxInFlight, 2048)
      assert.strictEqual(session.maxRequestSize, 1_048_575)
      assert.strictEqual(session.onExpiry, "renew")
      assert.isTrue(session.shuffle)
      assert.isUndefined(session.tls)
      assert.strictEqual(rest.connectTimeout, 15_000)
      assert.strictEqual(rest.chroot, "")
      assert.isFalse(rest.lazy)
    }))

  it.effect("take hosts as a list, and put one chroot behind the other [CONN-01] [K1] [Z2] [Z3]", () =>
    Effect.gen(function*() {
      const { chroot, session } = yield* resolve({ hosts: ["a:1", "[::1]", "b/base"], chroot: "/app" })
      assert.deepStrictEqual(session.servers, [server("a", 1), server("::1"), server("b")])
      assert.strictEqual(chroot, "/base/app")
      assert.strictEqual((yield* resolve({ hosts: "a/base", chroot: "/" })).chroot, "/base")
      assert.strictEqual((yield* resolve({ hosts: "a/ ", chroot: "/app" })).chroot, "/app")
    }))

  const wrong: ReadonlyArray<readonly [string, Options]> = [
    ["hosts", { hosts: "" }],
    ["hosts", { hosts: [] }],
    ["hosts", { hosts: "a:b" }],
    ["chroot", { chroot: "app" }],
    ["chroot", { chroot: "/app/" }],
    ["chroot", { chroot: "//" }],
    ["createChroot", { chroot: "/a", createChroot: true, lazy: true }],
    ["sessionTimeout", { sessionTimeout: 0 }],
    ["sessionTimeout", { sessionTimeout: "1000 hours" }],
    ["sessionTimeout", { sessionTimeout: Infinity }],
    ["connectTimeout", { connectTimeout: -1 }],
    ["requestTimeout", { requestTimeout: Number.NaN }],
    ["closeTimeout", { closeTimeout: 0 }],
    ["maxInFlight", { maxInFlight: 0 }],
    ["maxInFlight", { maxInFlight: 1.5 }],
    ["maxRequestSize", { maxRequestSize: Number.NaN }],
    ["maxResponseSize", { maxResponseSize: -5 }],
    ["auth", { auth: [{ scheme: "", credential: Redacted.make("u:p") }] }]
  ]

  it.effect.each(wrong)("%s is checked: %j [CONN-03] [B23]", ([option, options]) =>
    Effect.gen(function*() {
      const error = yield* refused(options)
      assert.strictEqual(error.option, option)
      assert.include(error.message, option)
    }))

  it.effect("that are wrong fail the client before it connects [CONN-03] [Z3]", () =>
    Effect.gen(function*() {
      const fake = yield* makeFakeServer
      const error = yield* failsWith(onFake(fake, ZkClient.make({ hosts: "a/b/" })), "InvalidConfig")
      assert.strictEqual(error.option, "hosts")
      assert.strictEqual(fake.connections.length, 0)
    }))

  it.effect("without hosts the client goes to the local server [K1] [Z2]", () =>
    Effect.gen(function*() {
      const fake = yield* makeFakeServer
      const asked: Array<unknown> = []
      yield* ZkClient.make().pipe(
        Effect.provideService(Transport, {
          connect: (address) =>
            Effect.sync(() => {
              asked.push(address)
              return fake.openDuplex()
            })
        })
      )
      assert.deepStrictEqual(asked, [server("127.0.0.1")])
    }))

  it.effect("come from configuration [K1] [K3]", () =>
    Effect.gen(function*() {
      const fake = yield* makeFakeServer
      const Live = ZkClient.layerConfig({
        hosts: Config.String("ZK_SERVERS"),
        sessionTimeout: Config.Duration("ZK_SESSION_TIMEOUT").pipe(Config.withDefault("10 seconds"))
      }).pipe(Layer.provide(ConfigProvider.layer(ConfigProvider.fromUnknown({ ZK_SERVERS: "zk1/app" }))))
      const created = yield* onFake(
        fake,
        Effect.provide(
          Effect.flatMap(ZkClient.ZkClient, (zk) => zk.create("/a")),
          Live
        )
      )
      assert.strictEqual(created.path, "/a")
      assert.strictEqual((yield* fake.awaitRequest("create2")).path, "/app/a")
      assert.strictEqual(fake.connects[0]?.request.timeout, 10_000)
    }))
})
