/**
 * The state of a session.
 *
 * ```text
 * Connecting -> Connected <-> Suspended -> Expired -> Connected (a new session) ...
 *      any -> AuthFailed          any -> Closed
 * ```
 *
 * @see {@link https://zookeeper.apache.org/doc/r3.9.3/zookeeperProgrammers.html#ch_zkSessions | ZooKeeper sessions}
 * @stability unstable
 * @since 0.1.0
 */
import type * as DateTime from "effect/DateTime"
import type * as Duration from "effect/Duration"
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
