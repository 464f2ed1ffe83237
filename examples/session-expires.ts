/**
 * A session that expires: its ephemeral nodes are gone, its requests fail, and the client goes on with another one.
 *
 * Here a worker announces itself with an ephemeral node, in every session anew. To see a session end, one ends it: with
 * `kill -STOP` for longer than the session timeout, or by cutting the network.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Config, Console, Effect, Stream } from "effect"
import { ZkClient } from "effect-zookeeper"

const me = "/examples/workers/worker-1"

/** Keeps an ephemeral node, whichever session there is. */
const announce = Effect.gen(function*() {
  const zk = yield* ZkClient.ZkClient
  yield* zk.stateChanges.pipe(
    Stream.filter((state) => state._tag === "Connected"),
    // A reconnect within one session changes nothing: the node is still there.
    Stream.changesWith((a, b) => a.sessionId === b.sessionId),
    Stream.runForEach(() =>
      zk.create(me, "ready", { mode: "ephemeral", parents: true, idempotent: true }).pipe(
        Effect.andThen(Console.log("announced")),
        // This session is over too; the next one comes with its own state.
        Effect.catchTag("SessionExpired", () => Effect.void)
      )
    )
  )
})

const program = Effect.scoped(Effect.gen(function*() {
  const zk = yield* ZkClient.ZkClient
  yield* Effect.forkScoped(announce)
  yield* zk.stateChanges.pipe(
    Stream.map((state) => state._tag),
    Stream.tap((tag) => Console.log(`session: ${tag}`)),
    // For as long as the example is worth watching: until it has been through an expiry, or this is told to stop.
    Stream.takeUntil((tag) => tag === "Expired"),
    Stream.runDrain
  )
  // Requests of the old session never slip into the new one; what is asked from here on belongs to the new one.
  yield* zk.changes(me).pipe(
    Stream.filter((node) => node._tag === "Some"),
    Stream.take(1),
    Stream.runForEach(() => Console.log("the node is back"))
  )
}))

const ZkLive = ZkClient.layerConfig({
  hosts: Config.String("ZK_SERVERS").pipe(Config.withDefault("127.0.0.1:2181")),
  sessionTimeout: Config.Duration("ZK_SESSION_TIMEOUT").pipe(Config.withDefault("10 seconds"))
})

NodeRuntime.runMain(Effect.provide(program, ZkLive))
