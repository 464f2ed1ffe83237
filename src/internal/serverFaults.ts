/** What a server can answer to any operation: the part of ZkError.ts that says nothing about a node. */
import * as Schema from "effect/Schema"

export const id = (tag: string): string => `effect-zookeeper/ZkError/${tag}`

export const answer = {
  /** The operation that was answered so, such as `getData`. */
  operation: Schema.String,
  /** The path that the operation was given; empty for operations without one. */
  path: Schema.String
}

export const at = (error: { readonly operation: string; readonly path: string }): string =>
  error.path === "" ? error.operation : `${error.operation} ${error.path}`

/**
 * The server refuses the arguments, for instance to delete `/`, or a malformed member list of a reconfiguration.
 *
 * @stability unstable
 * @category errors
 * @since 0.1.0
 */
export class BadArguments extends Schema.TaggedError<BadArguments>(id("BadArguments"))("BadArguments", answer) {
  override get message(): string {
    return `${at(this)}: the server refuses the arguments`
  }
}

/**
 * The server, or the engine in place of the wire protocol, does not know the operation, or has it switched off (TTL
 * nodes need `extendedTypesEnabled`). Servers close the connection with this answer; the session goes on. For a minute
 * the same server is not asked again: the operation then fails at once.
 *
 * @stability unstable
 * @category errors
 * @since 0.1.0
 */
export class Unimplemented extends Schema.TaggedError<Unimplemented>(id("Unimplemented"))("Unimplemented", answer) {
  override get message(): string {
    return `${at(this)}: not known to the server, or switched off there`
  }
}

/**
 * The server has lost its quorum and serves reads only.
 *
 * @stability unstable
 * @category errors
 * @since 0.1.0
 */
export class NotReadOnly extends Schema.TaggedError<NotReadOnly>(id("NotReadOnly"))("NotReadOnly", answer) {
  override get message(): string {
    return `${at(this)}: the server is in read-only mode`
  }
}

/**
 * The server has too much to do and dropped the request. Nothing was applied; try again later.
 *
 * @stability unstable
 * @category errors
 * @since 0.1.0
 */
export class ThrottledOp extends Schema.TaggedError<ThrottledOp>(id("ThrottledOp"))("ThrottledOp", answer) {
  override get message(): string {
    return `${at(this)}: the server is overloaded and dropped the request`
  }
}

/**
 * Somebody else has taken the session over to another server.
 *
 * @stability unstable
 * @category errors
 * @since 0.1.0
 */
export class SessionMoved extends Schema.TaggedError<SessionMoved>(id("SessionMoved"))("SessionMoved", answer) {
  override get message(): string {
    return `${at(this)}: the session was moved to another server`
  }
}

/**
 * The server wants credentials of a scheme that the client has not given (`enforce.auth.schemes`, `SessionClosedRequireSaslAuth`).
 *
 * @stability unstable
 * @category errors
 * @since 0.1.0
 */
export class AuthRequired extends Schema.TaggedError<AuthRequired>(id("AuthRequired"))("AuthRequired", answer) {
  override get message(): string {
    return `${at(this)}: the server requires authentication`
  }
}

/**
 * The server failed (`SystemError`).
 *
 * @stability unstable
 * @category errors
 * @since 0.1.0
 */
export class SystemError extends Schema.TaggedError<SystemError>(id("SystemError"))("SystemError", answer) {
  override get message(): string {
    return `${at(this)}: the server failed`
  }
}

/**
 * The server found itself in an inconsistent state.
 *
 * @stability unstable
 * @category errors
 * @since 0.1.0
 */
export class RuntimeInconsistency
  extends Schema.TaggedError<RuntimeInconsistency>(id("RuntimeInconsistency"))("RuntimeInconsistency", answer)
{
  override get message(): string {
    return `${at(this)}: the server reports a runtime inconsistency`
  }
}

/**
 * The server found its data inconsistent.
 *
 * @stability unstable
 * @category errors
 * @since 0.1.0
 */
export class DataInconsistency
  extends Schema.TaggedError<DataInconsistency>(id("DataInconsistency"))("DataInconsistency", answer)
{
  override get message(): string {
    return `${at(this)}: the server reports a data inconsistency`
  }
}

/**
 * The server could not read the request, or the client could not read the answer.
 *
 * @stability unstable
 * @category errors
 * @since 0.1.0
 */
export class MarshallingError
  extends Schema.TaggedError<MarshallingError>(id("MarshallingError"))("MarshallingError", answer)
{
  override get message(): string {
    return `${at(this)}: the request or its answer could not be read`
  }
}

/**
 * The server reports a general API error.
 *
 * @stability unstable
 * @category errors
 * @since 0.1.0
 */
export class ApiError extends Schema.TaggedError<ApiError>(id("ApiError"))("ApiError", answer) {
  override get message(): string {
    return `${at(this)}: the server reports an API error`
  }
}

/**
 * The server does not know the session that the request speaks for.
 *
 * @stability unstable
 * @category errors
 * @since 0.1.0
 */
export class UnknownSession extends Schema.TaggedError<UnknownSession>(id("UnknownSession"))("UnknownSession", answer) {
  override get message(): string {
    return `${at(this)}: the server does not know the session`
  }
}

/**
 * The server reports an invalid callback.
 *
 * @stability unstable
 * @category errors
 * @since 0.1.0
 */
export class InvalidCallback
  extends Schema.TaggedError<InvalidCallback>(id("InvalidCallback"))("InvalidCallback", answer)
{
  override get message(): string {
    return `${at(this)}: the server reports an invalid callback`
  }
}

/**
 * The server reports that the request timed out (`RequestTimeout`).
 *
 * @stability unstable
 * @category errors
 * @since 0.1.0
 */
export class ServerTimeout extends Schema.TaggedError<ServerTimeout>(id("ServerTimeout"))("ServerTimeout", answer) {
  override get message(): string {
    return `${at(this)}: the server reports a timeout`
  }
}

/**
 * A code that this version does not know, or that the operation at hand cannot have.
 *
 * @stability unstable
 * @category errors
 * @since 0.1.0
 */
export class UnknownCode
  extends Schema.TaggedError<UnknownCode>(id("UnknownCode"))("UnknownCode", { ...answer, code: Schema.Number })
{
  override get message(): string {
    return `${at(this)}: the server answered with the unexpected code ${this.code}`
  }
}

/**
 * What a server can answer to any operation.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export const ServerError = Schema.Union([
  BadArguments,
  Unimplemented,
  NotReadOnly,
  ThrottledOp,
  SessionMoved,
  AuthRequired,
  SystemError,
  RuntimeInconsistency,
  DataInconsistency,
  MarshallingError,
  ApiError,
  UnknownSession,
  InvalidCallback,
  ServerTimeout,
  UnknownCode
])

/**
 * See {@link ServerError}.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export type ServerError = typeof ServerError.Type
