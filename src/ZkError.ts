/**
 * The typed errors of every operation.
 *
 * Each error is a class of its own with a flat tag, so that `Effect.catchTag("NoNode", ...)` works and the error channel
 * of an operation lists exactly what can happen to it.
 *
 * **Details**
 *
 * Three groups: answers of the server about the node at hand (`NoNode`, `BadVersion`, ...), which are listed by the
 * operations that can get them; {@link SessionError}, which any operation can meet; and `InvalidConfig` and
 * `ConnectError`, which only building a client can meet.
 *
 * Where a reply was lost, nobody can tell whether a write was applied. Such errors carry `maybeApplied: true`, and are
 * never reported as a definite failure. See {@link maybeApplied} and {@link isRetryable}.
 *
 * **Example** (Handling errors by tag)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { ZkClient } from "effect-zookeeper"
 *
 * const port = Effect.gen(function*() {
 *   const zk = yield* ZkClient.ZkClient
 *   const { text } = yield* zk.getData("/app/port")
 *   return Number(text)
 * }).pipe(Effect.catchTag("NoNode", () => Effect.succeed(8080)))
 * ```
 *
 * @see {@link https://zookeeper.apache.org/doc/r3.9.3/apidocs/zookeeper-server/org/apache/zookeeper/KeeperException.Code.html | ZooKeeper's error codes}
 * @stability unstable
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { answer, at, id, ServerError, SessionMoved, ThrottledOp } from "./internal/serverFaults.ts"

const outcome = {
  operation: Schema.String,
  path: Schema.String,
  /**
   * `true`: a write was sent and its answer never came; it may have been applied or not. `false`: it was certainly not
   * applied.
   */
  maybeApplied: Schema.Boolean
}

const verdict = (error: { readonly maybeApplied: boolean }): string =>
  error.maybeApplied ? "it may or may not have been applied: read before trying again" : "it was not applied"

// -- answers about a node -----------------------------------------------------------------------------------------

/**
 * The node, or the parent of a node to be created, does not exist.
 *
 * @stability unstable
 * @category errors
 * @since 0.1.0
 */
export class NoNode extends Schema.TaggedError<NoNode>(id("NoNode"))("NoNode", answer) {
  override get message(): string {
    return `${at(this)}: no ${this.operation.startsWith("create") ? "parent to create it under" : "such node"}`
  }
}

/**
 * A node with this path exists already.
 *
 * From a sequential create it means that the parent's counter has passed 2147483647: no more sequential nodes can be
 * made below it.
 *
 * @stability unstable
 * @category errors
 * @since 0.1.0
 */
export class NodeExists extends Schema.TaggedError<NodeExists>(id("NodeExists"))("NodeExists", answer) {
  override get message(): string {
    return `${at(this)}: the node exists already`
  }
}

/**
 * The node's version is not the expected one: somebody else changed it. Nothing was changed.
 *
 * @stability unstable
 * @category errors
 * @since 0.1.0
 */
export class BadVersion
  extends Schema.TaggedError<BadVersion>(id("BadVersion"))("BadVersion", { ...answer, expected: Schema.Number })
{
  override get message(): string {
    return `${at(this)}: the version is not ${this.expected}; read the node again`
  }
}

/**
 * A node with children cannot be deleted. See `deleteRecursive`.
 *
 * @stability unstable
 * @category errors
 * @since 0.1.0
 */
export class NotEmpty extends Schema.TaggedError<NotEmpty>(id("NotEmpty"))("NotEmpty", answer) {
  override get message(): string {
    return `${at(this)}: the node has children`
  }
}

/**
 * The node's ACL does not allow this to any identity of the session.
 *
 * @stability unstable
 * @category errors
 * @since 0.1.0
 */
export class NoAuth extends Schema.TaggedError<NoAuth>(id("NoAuth"))("NoAuth", answer) {
  override get message(): string {
    return `${at(this)}: the ACL does not allow it to this session`
  }
}

/**
 * Ephemeral nodes cannot have children.
 *
 * @stability unstable
 * @category errors
 * @since 0.1.0
 */
export class NoChildrenForEphemerals
  extends Schema.TaggedError<NoChildrenForEphemerals>(id("NoChildrenForEphemerals"))("NoChildrenForEphemerals", answer)
{
  override get message(): string {
    return `${at(this)}: the parent is ephemeral and cannot have children`
  }
}

/**
 * The ACL is empty or malformed, or uses the scheme `auth` while the session has no identity.
 * An empty one is refused before anything is sent.
 *
 * @stability unstable
 * @category errors
 * @since 0.1.0
 */
export class InvalidAcl extends Schema.TaggedError<InvalidAcl>(id("InvalidAcl"))("InvalidAcl", answer) {
  override get message(): string {
    return `${at(this)}: the ACL is empty or malformed, or the session has no identity to put into it`
  }
}

/**
 * The session is a local one of its server, which does not allow it ephemeral nodes.
 *
 * @stability unstable
 * @category errors
 * @since 0.1.0
 */
export class EphemeralOnLocalSession
  extends Schema.TaggedError<EphemeralOnLocalSession>(id("EphemeralOnLocalSession"))("EphemeralOnLocalSession", answer)
{
  override get message(): string {
    return `${at(this)}: a local session cannot have ephemeral nodes`
  }
}

/**
 * A hard quota on the node or on one above it would be exceeded.
 *
 * @stability unstable
 * @category errors
 * @since 0.1.0
 */
export class QuotaExceeded extends Schema.TaggedError<QuotaExceeded>(id("QuotaExceeded"))("QuotaExceeded", answer) {
  override get message(): string {
    return `${at(this)}: a quota would be exceeded`
  }
}

/**
 * There is no watch of this kind on the node.
 *
 * @stability unstable
 * @category errors
 * @since 0.1.0
 */
export class NoWatcher extends Schema.TaggedError<NoWatcher>(id("NoWatcher"))("NoWatcher", answer) {
  override get message(): string {
    return `${at(this)}: there is no such watch`
  }
}

/**
 * The ensemble does not allow reconfiguration (`reconfigEnabled=false`).
 *
 * @stability unstable
 * @category errors
 * @since 0.1.0
 */
export class ReconfigDisabled
  extends Schema.TaggedError<ReconfigDisabled>(id("ReconfigDisabled"))("ReconfigDisabled", answer)
{
  override get message(): string {
    return `${at(this)}: the ensemble has reconfiguration switched off`
  }
}

/**
 * Another reconfiguration is under way.
 *
 * @stability unstable
 * @category errors
 * @since 0.1.0
 */
export class ReconfigInProgress
  extends Schema.TaggedError<ReconfigInProgress>(id("ReconfigInProgress"))("ReconfigInProgress", answer)
{
  override get message(): string {
    return `${at(this)}: another reconfiguration is under way`
  }
}

/**
 * The new configuration would not have a quorum that is up to date.
 *
 * @stability unstable
 * @category errors
 * @since 0.1.0
 */
export class NewConfigNoQuorum
  extends Schema.TaggedError<NewConfigNoQuorum>(id("NewConfigNoQuorum"))("NewConfigNoQuorum", answer)
{
  override get message(): string {
    return `${at(this)}: the new configuration has no quorum in sync`
  }
}

// -- faults of servers ---------------------------------------------------------------------------------------------

export {
  ApiError,
  AuthRequired,
  BadArguments,
  DataInconsistency,
  InvalidCallback,
  MarshallingError,
  NotReadOnly,
  RuntimeInconsistency,
  ServerError,
  ServerTimeout,
  SessionMoved,
  SystemError,
  ThrottledOp,
  Unimplemented,
  UnknownCode,
  UnknownSession
} from "./internal/serverFaults.ts"

// -- what can happen to any operation ------------------------------------------------------------------------------

/**
 * The connection was lost before the answer came.
 *
 * @stability unstable
 * @category errors
 * @since 0.1.0
 */
export class ConnectionLoss extends Schema.TaggedError<ConnectionLoss>(id("ConnectionLoss"))("ConnectionLoss", {
  ...outcome,
  reason: Schema.String
}) {
  override get message(): string {
    return `${at(this)}: the connection was lost (${this.reason}); ${verdict(this)}`
  }
}

/**
 * No answer came within `requestTimeout`. The session goes on.
 *
 * @stability unstable
 * @category errors
 * @since 0.1.0
 */
export class OperationTimeout extends Schema.TaggedError<OperationTimeout>(id("OperationTimeout"))("OperationTimeout", {
  ...outcome,
  timeout: Schema.Number
}) {
  override get message(): string {
    return `${at(this)}: no answer within ${this.timeout} ms; ${verdict(this)}`
  }
}

/**
 * The session that the operation belonged to is over, and with it its ephemeral nodes. Operations never move to the
 * next session by themselves.
 *
 * @stability unstable
 * @category errors
 * @since 0.1.0
 */
export class SessionExpired extends Schema.TaggedError<SessionExpired>(id("SessionExpired"))("SessionExpired", {
  ...outcome,
  sessionId: Schema.BigInt
}) {
  override get message(): string {
    return `${at(this)}: the session 0x${BigInt.asUintN(64, this.sessionId).toString(16)} has expired; ${verdict(this)}`
  }
}

/**
 * The client is closed, or is being closed.
 *
 * @stability unstable
 * @category errors
 * @since 0.1.0
 */
export class SessionClosed extends Schema.TaggedError<SessionClosed>(id("SessionClosed"))("SessionClosed", outcome) {
  override get message(): string {
    return `${at(this)}: the client is closed; ${verdict(this)}`
  }
}

/**
 * A server refused the credentials. When they are those that the client was made with, the client is over: it does not
 * connect again.
 *
 * @stability unstable
 * @category errors
 * @since 0.1.0
 */
export class AuthFailed
  extends Schema.TaggedError<AuthFailed>(id("AuthFailed"))("AuthFailed", { ...outcome, scheme: Schema.String })
{
  override get message(): string {
    return `${at(this)}: the server refused the ${this.scheme} credentials`
  }
}

/**
 * The path is against ZooKeeper's rules. Nothing was sent.
 *
 * See {@link https://zookeeper.apache.org/doc/r3.9.3/zookeeperProgrammers.html#ch_zkDataModel | the data model}.
 *
 * @stability unstable
 * @category errors
 * @since 0.1.0
 */
export class InvalidPath extends Schema.TaggedError<InvalidPath>(id("InvalidPath"))("InvalidPath", {
  path: Schema.String,
  reason: Schema.String
}) {
  override get message(): string {
    return `invalid path ${JSON.stringify(this.path)}: ${this.reason}`
  }
}

/**
 * An argument other than a path is out of range or of the wrong form. Nothing was sent.
 *
 * @stability unstable
 * @category errors
 * @since 0.1.0
 */
export class InvalidInput
  extends Schema.TaggedError<InvalidInput>(id("InvalidInput"))("InvalidInput", { ...answer, reason: Schema.String })
{
  override get message(): string {
    return `${at(this)}: ${this.reason}`
  }
}

/**
 * The request is larger than the servers read (`jute.maxbuffer`). Nothing was sent: a server would answer by closing the
 * connection.
 *
 * @stability unstable
 * @category errors
 * @since 0.1.0
 */
export class RequestTooLarge extends Schema.TaggedError<RequestTooLarge>(id("RequestTooLarge"))("RequestTooLarge", {
  ...answer,
  size: Schema.Number,
  limit: Schema.Number
}) {
  override get message(): string {
    return `${at(this)}: the request has ${this.size} bytes, servers read ${this.limit} at most`
  }
}

/**
 * The answer is larger than `maxResponseSize`. Trying again will not help.
 *
 * @stability unstable
 * @category errors
 * @since 0.1.0
 */
export class ResponseTooLarge extends Schema.TaggedError<ResponseTooLarge>(id("ResponseTooLarge"))("ResponseTooLarge", {
  ...answer,
  size: Schema.Number,
  limit: Schema.Number
}) {
  override get message(): string {
    return `${at(this)}: the answer has ${this.size} bytes, ${this.limit} are accepted (option maxResponseSize)`
  }
}

/**
 * What an operation can be refused for before anything is sent.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export const RequestError = Schema.Union([InvalidPath, InvalidInput, RequestTooLarge])

/**
 * See {@link RequestError}.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export type RequestError = typeof RequestError.Type

/**
 * What can happen to any operation: the session or its connection, a refusal before sending, or a fault of the server.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export const SessionError = Schema.Union([
  ConnectionLoss,
  OperationTimeout,
  SessionExpired,
  SessionClosed,
  AuthFailed,
  ResponseTooLarge,
  RequestError,
  ServerError
])

/**
 * See {@link SessionError}.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export type SessionError = typeof SessionError.Type

/**
 * What can end a stream that follows a node: everything but what passes by itself, which the stream waits for.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export type StreamError = Exclude<SessionError, ConnectionLoss | OperationTimeout | ThrottledOp>

// -- transactions --------------------------------------------------------------------------------------------------

/**
 * Why a transaction was refused: the error of one of its operations, which none of them was applied because of.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export const MultiCause = Schema.Union([
  NoNode,
  NodeExists,
  BadVersion,
  NotEmpty,
  NoAuth,
  NoChildrenForEphemerals,
  InvalidAcl,
  EphemeralOnLocalSession,
  QuotaExceeded,
  ServerError
])

/**
 * See {@link MultiCause}.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export type MultiCause = typeof MultiCause.Type

/**
 * A transaction was refused as a whole: nothing of it was applied.
 *
 * @stability unstable
 * @category errors
 * @since 0.1.0
 */
export class MultiFailed extends Schema.TaggedError<MultiFailed>(id("MultiFailed"))("MultiFailed", {
  /** Which operation, from 0, made it fail. */
  index: Schema.Number,
  /** The error of that operation. */
  cause: MultiCause,
  /** One word an operation: `"ok"` before the one at `index`, `"failed"` for it, `"skipped"` after it. */
  results: Schema.Array(Schema.Literals(["ok", "failed", "skipped"]))
}) {
  override get message(): string {
    return `operation ${this.index} of the transaction failed, nothing was applied: ${this.cause.message}`
  }
}

// -- writes that depend on what was read -----------------------------------------------------------------------------

/**
 * Others were faster, each time that it was tried. Nothing was changed.
 *
 * @stability unstable
 * @category errors
 * @since 0.1.0
 */
export class WriteConflict extends Schema.TaggedError<WriteConflict>(id("WriteConflict"))("WriteConflict", {
  ...answer,
  tries: Schema.Number
}) {
  override get message(): string {
    return `${at(this)}: others were faster ${this.tries} times; nothing was changed`
  }
}

// -- building a client ---------------------------------------------------------------------------------------------

/**
 * A connection string or an option is wrong. Nothing was connected.
 *
 * @stability unstable
 * @category errors
 * @since 0.1.0
 */
export class InvalidConfig extends Schema.TaggedError<InvalidConfig>(id("InvalidConfig"))("InvalidConfig", {
  option: Schema.String,
  reason: Schema.String
}) {
  override get message(): string {
    return `${this.option}: ${this.reason}`
  }
}

/**
 * No session came about within `connectTimeout`.
 *
 * @stability unstable
 * @category errors
 * @since 0.1.0
 */
export class ConnectError extends Schema.TaggedError<ConnectError>(id("ConnectError"))("ConnectError", {
  hosts: Schema.Array(Schema.String),
  /** What went wrong last. */
  cause: Schema.Defect()
}) {
  override get message(): string {
    return `no session with ${this.hosts.join(", ")}: ${
      this.cause instanceof Error ? this.cause.message : String(this.cause)
    }`
  }
}

// -- classification ------------------------------------------------------------------------------------------------

/**
 * Whether an operation may have been applied although it failed: `true` only for lost answers of writes.
 *
 * @stability unstable
 * @category guards
 * @since 0.1.0
 */
export const maybeApplied = (error: unknown): boolean =>
  typeof error === "object" && error !== null && "maybeApplied" in error && error.maybeApplied === true

/**
 * Whether another try is safe and may succeed: the operation was certainly not applied, and the reason passes. A lost
 * session does not count, since what belonged to it is gone. A `ConnectError` does: servers come back, and certificates
 * are replaced.
 *
 * @stability unstable
 * @category guards
 * @since 0.1.0
 */
export const isRetryable = (error: unknown): boolean => {
  if (error instanceof ConnectionLoss || error instanceof OperationTimeout) return !error.maybeApplied
  return error instanceof ThrottledOp || error instanceof SessionMoved || error instanceof ReconfigInProgress ||
    error instanceof ConnectError
}

const isSchema = Schema.is(SessionError)

/**
 * Whether a value is one of {@link SessionError}.
 *
 * @stability unstable
 * @category guards
 * @since 0.1.0
 */
export const isSessionError = (error: unknown): error is SessionError => isSchema(error)
