/** One session on three servers: frozen, killed, started again one by one, without a quorum. */
import { assert, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { formatServer, Transport } from "../src/internal/transport.ts"
import * as ZkClient from "../src/ZkClient.ts"
import type { Options } from "../src/ZkConfig.ts"
import { ZkEnsemble } from "./support/ensemble.ts"
import { rigError } from "./support/rigError.ts"
import type { ServerHandle } from "./support/server.ts"
import { freshPath } from "./support/shared.ts"
import { recordStates } from "./support/states.ts"

const ephemeral = { mode: "ephemeral" } as const

/** A client whose attempts are noted. */
const watchedClient = (options: Options) =>
  Effect.gen(function*() {
    const real = yield* Transport
    const attempts: Array<string> = []
    const zk = yield* ZkClient.make({ sessionTimeout: "4 seconds", ...options }).pipe(
      Effect.provideService(Transport, {
        connect: (server, options) => {
          attempts.push(formatServer(server))
          return real.connect(server, options)
        }
      })
    )
    const states = yield* recordStates(zk)
    const first = yield* states.await("Connected")
    return { attempts, first, states, zk }
  })

const patient = { within: 30_000 }

layer(ZkEnsemble.layer({ tickTime: 500 }), { excludeTestServices: true, timeout: "2 minutes" })("an ensemble", (it) => {
  const ready = Effect.gen(function*() {
    const ensemble = yield* ZkEnsemble
    yield* ensemble.waitForQuorum(3)
    const [follower, ...others] = yield* ensemble.followers
    if (follower === undefined) return yield* rigError("no followers")
    return { ensemble, follower, others, leader: yield* ensemble.leader }
  })

  const hostsOf = (...servers: ReadonlyArray<ServerHandle>) => servers.map((server) => server.connectString)

  it.effect(
    "loses to a freeze the server that a client is on: the session goes on with another [C10] [B2] [ENS-01]",
    () =>
      Effect.gen(function*() {
        const { follower, leader, others } = yield* ready
        const path = yield* freshPath
        const hosts = hostsOf(follower, leader, ...others)
        const { attempts, first, states, zk } = yield* watchedClient({ hosts, shuffle: false })
        yield* zk.create(path, "x", ephemeral)
        const watch = yield* zk.getDataWatch(path)
        yield* follower.freeze
        yield* states.await("Suspended", patient)
        const again = yield* states.await("Connected", { since: 1, ...patient })
        assert.strictEqual(again.sessionId, first.sessionId)
        assert.strictEqual(again.server, leader.connectString)
        assert.strictEqual((yield* zk.getData(path)).stat.ephemeralOwner, first.sessionId)
        // The watch has moved along.
        yield* zk.setData(path, "y")
        assert.strictEqual((yield* watch.fired)._tag, "NodeDataChanged")
        // And the one that is frozen, which takes connections all the same, is the last to be asked.
        assert.deepStrictEqual(attempts, [follower.connectString, leader.connectString])
        assert.deepStrictEqual(states.tags(), ["Connected", "Suspended", "Connected"])
        yield* follower.resume
      }),
    60_000
  )

  it.effect(
    "loses servers one after another, and the session stays [ENS-01] [ENS-03] [SES-20]",
    () =>
      Effect.gen(function*() {
        const { ensemble } = yield* ready
        const path = yield* freshPath
        const { first, states, zk } = yield* watchedClient({
          hosts: ensemble.connectString,
          sessionTimeout: "10 seconds"
        })
        yield* zk.create(path, "x", ephemeral)
        for (const server of ensemble.servers) {
          yield* server.kill
          yield* ensemble.waitForQuorum(2)
          // Whatever it was that went, reads are answered and the node is there.
          const { stat } = yield* zk.getData(path)
          assert.strictEqual(stat.ephemeralOwner, first.sessionId)
          yield* server.start
          yield* ensemble.waitForQuorum(3)
        }
        yield* zk.setData(path, "y").pipe(ZkClient.retry())
        assert.isAtLeast(states.all.length, 3)
        assert.notInclude(states.tags(), "Expired")
      }),
    120_000
  )

  it.effect(
    "without a quorum serves nobody: a session is suspended, then over, though its server lives [ENS-04] [C4] [A20]",
    () =>
      Effect.gen(function*() {
        const { ensemble, follower, leader, others } = yield* ready
        const { attempts, first, states, zk } = yield* watchedClient({ hosts: hostsOf(follower) })
        for (const server of [leader, ...others]) yield* server.kill
        yield* states.await("Suspended", patient)
        const expired = yield* states.await("Expired", patient)
        assert.strictEqual(expired.sessionId, first.sessionId)
        // It takes connections and closes them: nothing to hurry for.
        assert.isBelow(attempts.length, 40)
        for (const server of [leader, ...others]) yield* server.start
        yield* ensemble.waitForQuorum(3)
        yield* states.await("Connected", { since: 1, ...patient })
        yield* zk.sync()
        assert.deepStrictEqual(states.tags().slice(0, 4), ["Connected", "Suspended", "Expired", "Connected"])
      }),
    120_000
  )
})
