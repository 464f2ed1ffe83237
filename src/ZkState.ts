/**
 * The state of a session, and what it means for an application.
 *
 * ```text
 * Connecting -> Connected <-> Suspended -> Expired -> Connected (a new session) ...
 *      any -> AuthFailed          any -> Closed
 * ```
 *
 * Of these kazoo and asab have three: `CONNECTED`, `SUSPENDED` and `LOST`. They are here for those who know them, or who
 * port programs: see {@link connectionState}, {@link connectionChanges} and {@link publish}.
 *
 * @see {@link https://zookeeper.apache.org/doc/r3.9.3/zookeeperProgrammers.html#ch_zkSessions | ZooKeeper sessions}
 * @stability unstable
 * @since 0.1.0
 */
import type * as DateTime from "effect/DateTime"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as PubSub from "effect/PubSub"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { ZkClient } from "./ZkClient.ts"
import type { AuthFailed as AuthFailedError } from "./ZkError.ts"

/**
 * There has been no session yet.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export interface Connecting {
  readonly _tag: "Connecting"
}

/**
 * There is a session, and a server answers for it.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export interface Connected {
  readonly _tag: "Connected"
  readonly sessionId: bigint
  /** The session timeout that client and server agreed on. */
  readonly timeout: Duration.Duration
  /** The server, as `host:port`. */
  readonly server: string
  /** Whether the server has no quorum and serves reads only. */
  readonly readOnly: boolean
}

/**
 * The connection is lost. The session, its ephemeral nodes and its locks may live, and come back with the next
 * connection.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export interface Suspended {
  readonly _tag: "Suspended"
  readonly sessionId: bigint
  readonly since: DateTime.Utc
}

/**
 * The session is over, by a server's word or because nobody answered for too long; its ephemeral nodes are gone, or
 * will be soon. A new session follows, unless the client was told to end.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export interface Expired {
  readonly _tag: "Expired"
  readonly sessionId: bigint
}

/**
 * A server refused the client's credentials. The client does not connect again.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export interface AuthFailed {
  readonly _tag: "AuthFailed"
  readonly error: AuthFailedError
}

/**
 * The client is closed.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export interface Closed {
  readonly _tag: "Closed"
}

/**
 * The states of a session.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export type SessionState = Connecting | Connected | Suspended | Expired | AuthFailed | Closed

/**
 * @stability unstable
 * @category guards
 * @since 0.1.0
 */
export const isConnected = (state: SessionState): state is Connected => state._tag === "Connected"

// -- for applications -------------------------------------------------------------------------------------------------

/**
 * The state of a connection, as kazoo and asab have it.
 *
 * - `CONNECTED`: requests are answered.
 * - `SUSPENDED`: there is no connection, or its server has no quorum. Requests wait; the session, its ephemeral nodes and
 *   its locks may live.
 * - `LOST`: there is no session, not yet or not any more. What belonged to it is gone.
 *
 * @see {@link https://kazoo.readthedocs.io/en/latest/basic_usage.html#understanding-kazoo-states | kazoo's states}
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export type ConnectionState = "CONNECTED" | "SUSPENDED" | "LOST"

/**
 * What a state of the session means for an application.
 *
 * **Example** (Whether there is any use in asking)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { ZkClient, ZkState } from "effect-zookeeper"
 *
 * const isUp = Effect.gen(function*() {
 *   const zk = yield* ZkClient.ZkClient
 *   return ZkState.connectionState(yield* zk.state) === "CONNECTED"
 * })
 * ```
 *
 * @stability unstable
 * @category accessors
 * @since 0.1.0
 */
export const connectionState = (state: SessionState): ConnectionState => {
  switch (state._tag) {
    case "Connected":
      return "CONNECTED"
    case "Suspended":
      return "SUSPENDED"
    default:
      return "LOST"
  }
}

interface Told {
  readonly state: ConnectionState
  readonly sessionId: bigint | undefined
}

/** What to tell of a state, after what was told last. */
const toTell = (
  told: Told | undefined,
  next: SessionState
): readonly [state: Told | undefined, values: ReadonlyArray<ConnectionState>] => {
  const state = connectionState(next)
  const sessionId = "sessionId" in next ? next.sessionId : undefined
  const isOther = told !== undefined && sessionId !== undefined && told.sessionId !== sessionId
  // Of a slow reader the end of the old session may have been kept.
  const missed: ReadonlyArray<ConnectionState> = isOther && told.state !== "LOST" ? ["LOST"] : []
  const last = missed.length > 0 ? "LOST" : told?.state
  return [{ state, sessionId }, last === state ? missed : [...missed, state]]
}

/**
 * The state of a client's connection as it is now, then every change of it, in order. Ends with the client, `LOST`.
 *
 * No state comes twice in a row, and between two sessions there always is a `LOST`. Who subscribes late gets the present
 * state first, who subscribes to a lazy client before its first connection a `LOST`. A reader that is slower than 256
 * changes loses the oldest of them.
 *
 * **Example** (Waiting for one state, with a limit)
 *
 * ```ts
 * import { Effect, Stream } from "effect"
 * import { ZkClient, ZkState } from "effect-zookeeper"
 *
 * const program = Effect.gen(function*() {
 *   const zk = yield* ZkClient.ZkClient
 *   yield* ZkState.connectionChanges(zk).pipe(
 *     Stream.filter((state) => state === "CONNECTED"),
 *     Stream.runHead,
 *     Effect.timeout("30 seconds")
 *   )
 * })
 * ```
 *
 * @stability unstable
 * @category streams
 * @since 0.1.0
 */
export const connectionChanges = (client: Pick<ZkClient, "stateChanges">): Stream.Stream<ConnectionState> =>
  Stream.mapAccum(client.stateChanges, (): Told | undefined => undefined, toTell)

/**
 * A message of asab's: what has become of a connection, and of whose.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export interface StateMessage<out Client = ZkClient> {
  readonly type: `ZooKeeperContainer.state/${ConnectionState}!`
  /** The client that was given to {@link publish}: messages of others may come by the same way. */
  readonly client: Client
}

/**
 * Publishes the states of a client's connection as asab's messages, until the scope is closed or the client ends. That a
 * client is not connected yet is no message; that it is connected already is the first.
 *
 * With `PubSub.unbounded({ replay: 1 })` a late subscriber gets the last message; one `PubSub` for each client, then. A
 * `PubSub` that is full is waited for, and one that has ended or was shut down gets nothing any more.
 *
 * **Example** (Two clients, one place to listen)
 *
 * ```ts
 * import { Effect, PubSub } from "effect"
 * import { ZkClient, ZkState } from "effect-zookeeper"
 *
 * class Billing extends ZkClient.Service<Billing>()("app/Billing") {}
 * class Search extends ZkClient.Service<Search>()("app/Search") {}
 *
 * const program = Effect.gen(function*() {
 *   const billing = yield* Billing
 *   const search = yield* Search
 *   const messages = yield* PubSub.unbounded<ZkState.StateMessage>()
 *   const subscription = yield* PubSub.subscribe(messages)
 *   yield* ZkState.publish(billing, messages)
 *   yield* ZkState.publish(search, messages)
 *   while (true) {
 *     const { client, type } = yield* PubSub.take(subscription)
 *     if (client === billing && type === "ZooKeeperContainer.state/LOST!") yield* Effect.log("start again")
 *   }
 * }).pipe(Effect.scoped)
 * ```
 *
 * @stability unstable
 * @category messages
 * @since 0.1.0
 */
export const publish = <Client extends Pick<ZkClient, "stateChanges">>(
  client: Client,
  messages: PubSub.PubSub<StateMessage<Client>>
): Effect.Effect<void, never, Scope.Scope> =>
  client.stateChanges.pipe(
    Stream.dropWhile((state) => state._tag === "Connecting"),
    (stateChanges) => connectionChanges({ stateChanges }),
    Stream.runForEach((state) => {
      const message: StateMessage<Client> = { type: `ZooKeeperContainer.state/${state}!`, client }
      return PubSub.publish(messages, message)
    }),
    Effect.forkScoped({ startImmediately: true }),
    Effect.asVoid
  )
