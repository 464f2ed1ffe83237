import { assert, describe, it, layer } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { createServer } from "node:net"
import type { Duplex } from "node:stream"
import * as tls from "node:tls"
import { Transport } from "../src/internal/transport.ts"
import * as ZkAcl from "../src/ZkAcl.ts"
import * as ZkClient from "../src/ZkClient.ts"
import type * as ZkConfig from "../src/ZkConfig.ts"
import * as ZkError from "../src/ZkError.ts"
import * as ZkState from "../src/ZkState.ts"
import { makeCertificate, makeFolder } from "./support/certificates.ts"
import { failsWith } from "./support/failsWith.ts"
import { freePort } from "./support/ports.ts"
import { attempt, type RigError } from "./support/rigError.ts"
import { makeServer, type ServerHandle } from "./support/server.ts"
import { listenAnywhere } from "./support/tcpLink.ts"
import { patience } from "./support/wait.ts"

const authority = makeCertificate("an authority")
const otherAuthority = makeCertificate("another authority")
/** Good for names, and for no address. */
const ofServer = makeCertificate("zk.test", { hosts: ["zk.test", "localhost"], issuer: authority })
const ofClient = makeCertificate("client-7", { issuer: authority })
const ofStranger = makeCertificate("client-8", { issuer: otherAuthority })

const trusting = { ca: authority.cert }

interface TlsServer {
  readonly plain: ServerHandle
  readonly port: number
}

const makeTlsServer = (clientAuth: "none" | "need"): Effect.Effect<TlsServer, RigError, Scope.Scope> =>
  Effect.gen(function*() {
    const folder = yield* makeFolder({
      "server.pem": ofServer.key + ofServer.cert,
      "authority.pem": authority.cert
    })
    const port = yield* attempt("a port", freePort)
    const plain = yield* makeServer({
      folder,
      jvmFlags: ["-Dzookeeper.serverCnxnFactory=org.apache.zookeeper.server.NettyServerCnxnFactory"],
      extraConfig: {
        secureClientPort: String(port),
        secureClientPortAddress: "127.0.0.1",
        "ssl.keyStore.location": `${folder}/server.pem`,
        "ssl.keyStore.type": "PEM",
        "ssl.trustStore.location": `${folder}/authority.pem`,
        "ssl.trustStore.type": "PEM",
        "ssl.clientAuth": clientAuth
      }
    })
    return { plain, port }
  })

class Open extends Context.Service<Open, TlsServer>()("test/Open") {
  static readonly layer = Layer.effect(this, makeTlsServer("none"))
}

class Mutual extends Context.Service<Mutual, TlsServer>()("test/Mutual") {
  static readonly layer = Layer.effect(this, makeTlsServer("need"))
}

const connect = (port: number, options: ZkConfig.Options) => ZkClient.make({ hosts: `localhost:${port}`, ...options })

/** No session comes about, which is told in time, as an error that is worth another try. Gives its message. */
const isRefused = Effect.fnUntraced(function*(port: number, options: ZkConfig.Options) {
  const before = performance.now()
  const error = yield* failsWith(
    Effect.scoped(connect(port, { connectTimeout: "700 millis", ...options })),
    "ConnectError"
  )
  assert.isBelow(performance.now() - before, 5_000 * patience)
  assert.isTrue(ZkError.isRetryable(error))
  assert.include(error.message, `:${port}`)
  return error.message
})

/** Node's own transport, whose streams the test can get hold of. */
const observed = Effect.gen(function*() {
  const { connect } = yield* Transport
  const streams: Array<Duplex> = []
  const transport: Transport = {
    connect: (server, options) =>
      Effect.tap(connect(server, options), (stream) => Effect.sync(() => streams.push(stream)))
  }
  return { streams, transport }
})

layer(Open.layer, { excludeTestServices: true })("a server with a certificate", (it) => {
  it.effect("is trusted when an authority vouches for its name [F7] [AUTH-20]", () =>
    Effect.gen(function*() {
      const { streams, transport } = yield* observed
      const { port } = yield* Open
      const zk = yield* connect(port, { tls: trusting }).pipe(Effect.provideService(Transport, transport))
      assert.strictEqual((yield* zk.create("/trusted", "x")).path, "/trusted")
      assert.strictEqual((yield* zk.getData("/trusted")).text, "x")
      assert.strictEqual(streams.length, 1)
      const [stream] = streams
      assert.isTrue(stream instanceof tls.TLSSocket && stream.authorized)
    }))

  it.effect("is refused when nobody vouches for it [F7] [AUTH-20]", () =>
    Effect.gen(function*() {
      const { port } = yield* Open
      assert.match(yield* isRefused(port, { tls: true }), /verify|self-signed|issuer/)
      assert.match(yield* isRefused(port, { tls: { ca: otherAuthority.cert } }), /verify|self-signed|issuer/)
    }))

  it.effect("is not even asked when certificates or keys of the client cannot be read [F7] [S-TLS-OPTIONS]", () =>
    Effect.gen(function*() {
      const { port } = yield* Open
      const { cert } = ofClient
      for (
        const tls of [{ cert: "nonsense" }, { cert, key: "nonsense" }, { cert, key: ofStranger.key }, { pfx: "x" }]
      ) {
        const error = yield* failsWith(connect(port, { tls }), "InvalidConfig")
        assert.strictEqual(error.option, "tls")
        assert.notStrictEqual(error.reason, "")
      }
      // What only the attempt finds out.
      assert.include(yield* isRefused(port, { tls: { ...trusting, minDHSize: -1 } }), "minDHSize")
    }))

  it.effect("is refused under another name, unless that is asked for [F7] [AUTH-20]", () =>
    Effect.gen(function*() {
      const { port } = yield* Open
      const hosts = `127.0.0.1:${port}`
      assert.match(yield* isRefused(port, { hosts, tls: trusting }), /does not match .*127\.0\.0\.1/)
      assert.match(
        yield* isRefused(port, { tls: { ...trusting, servername: "zk.other" } }),
        /does not match .*zk\.other/
      )
      yield* connect(port, { hosts, tls: { ...trusting, servername: "zk.test" } })
      yield* connect(port, { hosts, tls: { ...trusting, checkServerIdentity: () => undefined } })
    }))

  it.effect("is taken as it is when nothing shall be checked [F7] [AUTH-20]", () =>
    Effect.gen(function*() {
      const { port } = yield* Open
      const zk = yield* connect(port, { hosts: `127.0.0.1:${port}`, tls: { rejectUnauthorized: false } })
      assert.deepStrictEqual((yield* zk.whoAmI).map(({ scheme }) => scheme), ["ip"])
    }))

  it.effect("wants TLS, and gets a client without it [F7] [AUTH-22]", () =>
    Effect.gen(function*() {
      const { plain, port } = yield* Open
      assert.include(yield* isRefused(port, {}), "closed the connection")
      // Another server of the list serves.
      const zk = yield* connect(port, { hosts: `127.0.0.1:${port},${plain.connectString}`, shuffle: false })
      assert.deepInclude(yield* zk.state, { _tag: "Connected", server: plain.connectString })
    }))

  it.effect("wants no TLS, and gets a client with it [F7] [AUTH-22]", () =>
    Effect.gen(function*() {
      const { plain, port } = yield* Open
      assert.match(yield* isRefused(plain.port, { tls: trusting }), /closed|disconnected|reset|wrong version/i)
      const hosts = `localhost:${plain.port},localhost:${port}`
      const zk = yield* connect(port, { hosts, tls: trusting, shuffle: false })
      assert.deepInclude(yield* zk.state, { _tag: "Connected", server: `localhost:${port}` })
    }))

  it.effect("carries frames that are larger than records, in both directions [A11]", () =>
    Effect.gen(function*() {
      const { port } = yield* Open
      const zk = yield* connect(port, { tls: trusting })
      yield* zk.create("/large")
      const payload = (seed: number) =>
        Uint8Array.from({ length: 900_000 }, (_, i) => (i * 31 + (i >> 8) + seed) & 0xff)
      const seeds = [1, 2, 3, 4, 5, 6, 7, 8]
      yield* Effect.forEach(seeds, (seed) => zk.create(`/large/${seed}`, payload(seed)), { concurrency: "unbounded" })
      const read = yield* Effect.forEach(seeds, (seed) => zk.getData(`/large/${seed}`), { concurrency: "unbounded" })
      for (const [index, { data }] of read.entries()) {
        assert.isTrue(data !== null && Buffer.compare(data, payload(seeds[index]!)) === 0)
      }
      // Many small ones share a record.
      const paths = Array.from({ length: 2_000 }, (_, i) => `/large/small-${i}`)
      yield* Effect.forEach(paths, (path) => zk.create(path, path), { concurrency: "unbounded", discard: true })
      const texts = yield* Effect.forEach(paths, (path) => zk.getData(path), { concurrency: "unbounded" })
      assert.deepStrictEqual(texts.map(({ text }) => text), paths)
    }))

  it.effect("keeps the session over a cut connection [F7] [S-TLS-RECONNECT]", () =>
    Effect.gen(function*() {
      const { plain, port } = yield* Open
      const { streams, transport } = yield* observed
      const zk = yield* connect(port, { tls: trusting }).pipe(Effect.provideService(Transport, transport))
      yield* zk.create("/mine", null, { mode: "ephemeral" })
      const before = yield* zk.state
      const states = yield* Effect.forkChild(
        zk.stateChanges.pipe(Stream.drop(1), Stream.take(2), Stream.runCollect),
        { startImmediately: true }
      )
      streams[0]!.destroy()
      const [suspended, after] = yield* Fiber.join(states)
      assert.strictEqual(suspended?._tag, "Suspended")
      assert.deepStrictEqual(after, before)
      assert.strictEqual(streams.length, 2)
      assert.isTrue(ZkState.isConnected(before))
      if (ZkState.isConnected(before)) {
        assert.deepStrictEqual(yield* plain.ephemerals(before.sessionId), ["/mine"])
      }
      assert.isDefined((yield* zk.getData("/mine")).stat)
    }))
})

layer(Mutual.layer, { excludeTestServices: true })("a server that wants certificates of clients", (it) => {
  it.effect("is reached by a zookeepers: URL, with files that a section names [ASAB-A10] [CONF-04]", () =>
    Effect.gen(function*() {
      const { port } = yield* Mutual
      const folder = yield* makeFolder({ "ca.pem": authority.cert, "cert.pem": ofClient.cert, "key.pem": ofClient.key })
      const section = {
        tls_ca: `${folder}/ca.pem`,
        tls_cert: `${folder}/cert.pem`,
        tls_key: `${folder}/key.pem`
      }
      const created = yield* Effect.flatMap(ZkClient.ZkClient, (zk) => zk.create("/x")).pipe(
        Effect.provide(ZkClient.layerUrl(`zookeepers://localhost:${port}/by/url`, { section: "tls:zk" })),
        Effect.provide(ConfigProvider.layer(ConfigProvider.fromUnknown({ "tls:zk": section })))
      )
      assert.strictEqual(created.path, "/x")
    }))

  it.effect("takes one that its authority has signed, and knows the client by it [F7] [AUTH-20]", () =>
    Effect.gen(function*() {
      const { port } = yield* Mutual
      const zk = yield* connect(port, { tls: { ...trusting, cert: ofClient.cert, key: ofClient.key } })
      assert.deepInclude(yield* zk.whoAmI, { scheme: "x509", user: "CN=client-7" })
      yield* zk.create("/by-certificate", "x", { acl: ZkAcl.creatorAcl })
      const { acl } = yield* zk.getAcl("/by-certificate")
      assert.deepStrictEqual(acl, [{ perms: ZkAcl.Perms.all, scheme: "x509", id: "CN=client-7" }])
    }))

  it.effect("refuses clients without one, or with one that a stranger has signed [F7] [AUTH-20]", () =>
    Effect.gen(function*() {
      const { port } = yield* Mutual
      yield* isRefused(port, { tls: trusting })
      yield* isRefused(port, { tls: { ...trusting, cert: ofStranger.cert, key: ofStranger.key } })
    }))
})

describe("the name that is asked for", () => {
  const asked = (options: (port: number) => ZkConfig.Options) =>
    Effect.gen(function*() {
      const found = yield* Deferred.make<string | false>()
      const server = tls.createServer({ key: ofServer.key, cert: ofServer.cert }, (socket) => {
        Deferred.doneUnsafe(found, Effect.succeed(socket.servername ?? false))
        socket.destroy()
      })
      server.on("tlsClientError", () => {})
      yield* Effect.addFinalizer(() => Effect.sync(() => server.close()))
      const port = yield* attempt("a TLS server", () => listenAnywhere(server))
      yield* Effect.forkChild(Effect.result(connect(port, options(port))), { startImmediately: true })
      return yield* Deferred.await(found)
    })

  it.live("is the host's, or the one of the options; an address is no name [F7]", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* asked(() => ({ tls: trusting })), "localhost")
      assert.strictEqual(yield* asked(() => ({ tls: { ...trusting, servername: "zk.test" } })), "zk.test")
      const address = (port: number) => ({ hosts: `127.0.0.1:${port}`, tls: { rejectUnauthorized: false } })
      assert.strictEqual(yield* asked(address), false)
    }))
})

describe("a server that says nothing", () => {
  it.live("does not hold up a client that wants TLS [F7] [B1]", () =>
    Effect.gen(function*() {
      const server = createServer(() => {})
      yield* Effect.addFinalizer(() => Effect.sync(() => server.close()))
      const port = yield* attempt("a silent server", () => listenAnywhere(server))
      const refused = yield* Effect.result(isRefused(port, { tls: trusting }))
      assert.isTrue(Result.isSuccess(refused))
    }))
})
