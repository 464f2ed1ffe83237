/** Names and addresses: with a resolver of the test's own under Node's `dns.lookup`, and servers that really listen. */
import { afterEach, assert, beforeEach, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import dns from "node:dns"
import { syncBuiltinESMExports } from "node:module"
import { createServer, isIP, type Socket } from "node:net"
import * as ZkClient from "../src/ZkClient.ts"
import { failsWith } from "./support/failsWith.ts"
import { makeFakeServer } from "./support/fakeServer.ts"
import { makeProxy } from "./support/proxy.ts"
import { attempt } from "./support/rigError.ts"
import { shared } from "./support/shared.ts"
import { recordStates } from "./support/states.ts"
import { pollUntil } from "./support/wait.ts"

type Answer = ReadonlyArray<string> | "unknown" | "never"

/** What names stand for, and every look-up of one of them. */
const names = new Map<string, Answer | (() => Answer)>()
let lookups: Array<string> = []
/** Look-ups that were not answered; whoever calls them does so too late. */
let waiting: Array<(addresses: ReadonlyArray<string>) => void> = []

const real = dns.lookup

type LookupCallback = (error: Error | null, addresses: ReadonlyArray<dns.LookupAddress>) => void

const lookup = (name: string, options: dns.LookupAllOptions, callback: LookupCallback): void => {
  // Servers of the rig listen at addresses, which Node asks for, too.
  if (isIP(name) !== 0) return real(name, options, callback)
  lookups.push(name)
  const known = names.get(name) ?? "unknown"
  const answer = typeof known === "function" ? known() : known
  const give = (addresses: ReadonlyArray<string>) =>
    callback(null, addresses.map((address) => ({ address, family: 4 })))
  if (answer === "never") waiting.push(give)
  else if (answer === "unknown") {
    const error = Object.assign(new Error(`getaddrinfo ENOTFOUND ${name}`), { code: "ENOTFOUND" })
    setImmediate(() => callback(error, []))
  } else setImmediate(() => give(answer))
}

beforeEach(() => {
  names.clear()
  lookups = []
  waiting = []
  dns.lookup = lookup as unknown as typeof dns.lookup
  syncBuiltinESMExports()
})

afterEach(() => {
  dns.lookup = real
  syncBuiltinESMExports()
})

/** Nobody listens there. */
const deadAddresses = ["127.0.0.77", "127.0.0.78"]

/** Accepts connections and says nothing; gives how many there were. */
const listenSilently = (host: string, port: number) =>
  Effect.gen(function*() {
    let count = 0
    const open = new Set<Socket>()
    const server = createServer((socket) => {
      count++
      open.add(socket.on("error", () => {}))
    })
    yield* Effect.acquireRelease(
      attempt(`listening at ${host}`, () =>
        new Promise<void>((resolve, reject) => {
          server.once("error", reject).listen(port, host, resolve)
        })),
      () =>
        Effect.sync(() => {
          server.close()
          for (const socket of open) socket.destroy()
        })
    )
    return () => count
  })

describe("names of servers", () => {
  it.live("are looked up anew at every attempt: all addresses may change [C1] [CONN-07]", () =>
    Effect.gen(function*() {
      const { port } = yield* shared
      const proxy = yield* makeProxy(port)
      let alive = true
      names.set("zk.test", () => alive ? ["127.0.0.1"] : deadAddresses)
      const zk = yield* ZkClient.make({ hosts: `zk.test:${proxy.port}`, sessionTimeout: "4 seconds" })
      const states = yield* recordStates(zk)
      const first = yield* states.await("Connected")
      assert.deepStrictEqual(lookups, ["zk.test"])
      alive = false
      yield* proxy.cutAll
      yield* Effect.promise(() => pollUntil("attempts", async () => lookups.length >= 3 ? true : undefined))
      // As when Kubernetes starts everything again: the same name, other addresses.
      alive = true
      const again = yield* states.await("Connected", { since: 1 })
      assert.strictEqual(again.sessionId, first.sessionId)
      assert.deepStrictEqual(states.tags(), ["Connected", "Suspended", "Connected"])
    }))

  it.live("may stand for several machines, dead ones too: each has its turn at being the first [C2] [K8]", () =>
    Effect.gen(function*() {
      const { port } = yield* shared
      // Worse than dead: two of them take the connection, and say nothing.
      const proxy = yield* makeProxy(port)
      const silent = ["127.0.0.2", "127.0.0.3"]
      const connections = yield* Effect.forEach(silent, (host) => listenSilently(host, proxy.port))
      names.set("zk.test", [...silent, "127.0.0.1"])
      const zk = yield* ZkClient.make({ hosts: `zk.test:${proxy.port}`, sessionTimeout: "2 seconds" })
      yield* zk.exists("/")
      assert.isAtMost(Math.max(...connections.map((count) => count())), 1)
      assert.strictEqual((yield* proxy.stats()).connections, 1)
    }))

  it.live("that are unknown stop neither the others nor the client [CONN-08] [C1] [K8] [Z4]", () =>
    Effect.gen(function*() {
      const { port } = yield* shared
      names.set("zk.test", ["127.0.0.1"])
      for (let i = 0; i < 5; i++) {
        const started = performance.now()
        yield* Effect.scoped(Effect.gen(function*() {
          const zk = yield* ZkClient.make({ hosts: `jimmy:5555,zk.test:${port},no.such.host`, shuffle: i > 0 })
          yield* zk.exists("/")
        }))
        assert.isBelow(performance.now() - started, 5_000)
      }
      assert.include(lookups, "jimmy")
    }))

  it.live("that are all unknown are asked for again until connectTimeout, which tells of it [CONN-08] [C1] [K2] [Z4]", () =>
    Effect.gen(function*() {
      const error = yield* failsWith(
        Effect.scoped(ZkClient.make({ hosts: "jimmy:1,johnny:2", connectTimeout: "700 millis" })),
        "ConnectError"
      )
      assert.deepStrictEqual(error.hosts, ["jimmy:1", "johnny:2"])
      assert.match(error.message, /ENOTFOUND (jimmy|johnny)/)
      assert.isAbove(lookups.length, 3)
    }))

  it.live("that nobody answers for hold up neither other servers nor the end [CONN-10] [B1]", () =>
    Effect.gen(function*() {
      const { port } = yield* shared
      names.set("slow.test", "never")
      names.set("zk.test", ["127.0.0.1"])
      yield* Effect.scoped(Effect.gen(function*() {
        const zk = yield* ZkClient.make({
          hosts: `slow.test:1,zk.test:${port}`,
          shuffle: false,
          sessionTimeout: "2 seconds"
        })
        yield* zk.exists("/")
        assert.deepStrictEqual(lookups, ["slow.test", "zk.test"])
      }))
    }))

  it.live("that are answered after the client was closed lead to no connection [N7]", () =>
    Effect.gen(function*() {
      const fake = yield* makeFakeServer
      const { port } = yield* fake.listen
      names.set("slow.test", "never")
      const making = yield* Effect.forkChild(Effect.scoped(ZkClient.make({ hosts: `slow.test:${port}` })), {
        startImmediately: true
      })
      yield* Effect.promise(() => pollUntil("a look-up", async () => waiting.length > 0 ? true : undefined))
      yield* Fiber.interrupt(making)
      for (const answer of waiting) answer(["127.0.0.1"])
      // A client that really connects comes behind one that did so by mistake.
      names.set("slow.test", ["127.0.0.1"])
      yield* ZkClient.make({ hosts: `slow.test:${port}` })
      assert.strictEqual(fake.connections.length, 1)
    }))

  it.live("are not looked up where an address was given [C1]", () =>
    Effect.gen(function*() {
      const { port } = yield* shared
      yield* ZkClient.make({ hosts: `127.0.0.1:${port}` })
      assert.deepStrictEqual(lookups, [])
    }))
})

describe("connections", () => {
  it.live("that come about after the client was closed are destroyed [N7]", () =>
    Effect.gen(function*() {
      const { port } = yield* shared
      const proxy = yield* makeProxy(port)
      yield* proxy.setAccept("silent")
      const making = yield* Effect.forkChild(
        Effect.scoped(ZkClient.make({ hosts: proxy.connectString, closeTimeout: "100 millis" })),
        { startImmediately: true }
      )
      yield* proxy.awaitOpen(1)
      yield* Fiber.interrupt(making)
      // While it ignores a connection the proxy does not hear of its end either.
      yield* proxy.heal
      yield* proxy.awaitOpen(0)
    }))
})
