/** How a command that failed tells so: one line for people, an exit code for programs. */
import * as Config from "effect/Config"
import * as PlatformError from "effect/PlatformError"
import * as Runtime from "effect/Runtime"
import * as Schema from "effect/Schema"
import * as ZkError from "../ZkError.ts"

/**
 * What exit codes mean. 130 is an interruption, by Ctrl-C for example, and 141 an output that was closed early.
 */
export const exitCodes = {
  /** It was not done, for a reason that has no code of its own. */
  failed: 1,
  /** Arguments, flags or settings are wrong; nothing was sent. */
  usage: 2,
  /** There is no such node. */
  missing: 3,
  /** The node is there already, has another version, or has children. */
  conflict: 4,
  /** The client may not do that. */
  forbidden: 5,
  /** There was no connection; nothing was done. */
  unreachable: 6,
  /** The connection was lost half way, or before the answer came: nobody knows whether all of it was done. */
  unknown: 7
} as const

/** A command's own complaint. */
export class CommandFailed extends Schema.TaggedError<CommandFailed>()("CommandFailed", {
  reason: Schema.Literals(["failed", "usage", "missing", "conflict", "forbidden", "unreachable", "unknown"]),
  message: Schema.String
}) {
  override get [Runtime.errorExitCode](): number {
    return exitCodes[this.reason]
  }
}

export const usage = (message: string): CommandFailed => new CommandFailed({ reason: "usage", message })

const reasons: Readonly<Record<string, keyof typeof exitCodes>> = {
  NoNode: "missing",
  NodeExists: "conflict",
  BadVersion: "conflict",
  NotEmpty: "conflict",
  NoChildrenForEphemerals: "conflict",
  WriteConflict: "conflict",
  NoAuth: "forbidden",
  AuthFailed: "forbidden",
  InvalidAcl: "usage",
  InvalidPath: "usage",
  InvalidInput: "usage",
  InvalidConfig: "usage",
  ConfigError: "usage",
  RequestTooLarge: "usage",
  ConnectError: "unreachable",
  ConnectionLoss: "unreachable",
  OperationTimeout: "unreachable",
  SessionExpired: "unreachable",
  SessionClosed: "unreachable"
}

const tagOf = (error: unknown): string => {
  if (typeof error !== "object" || error === null || !("_tag" in error)) return "Error"
  return error instanceof ZkError.MultiFailed ? tagOf(error.cause) : String(error._tag)
}

export interface Failure {
  readonly error: string
  readonly message: string
  readonly exitCode: number
}

const messageOf = (error: unknown): string => {
  // Its own message names the schema's error, which says nothing to people.
  if (error instanceof Config.ConfigError) return error.cause.message
  // The system's own words are better known.
  if (error instanceof PlatformError.PlatformError && error.cause instanceof Error) return error.cause.message
  const isTold = typeof error === "object" && error !== null && "message" in error && error.message !== ""
  return isTold ? String(error.message) : String(error)
}

export const failureOf = (error: unknown): Failure => {
  const message = messageOf(error)
  if (error instanceof CommandFailed) return { error: error.reason, message, exitCode: exitCodes[error.reason] }
  const tag = tagOf(error)
  if (ZkError.maybeApplied(error)) return { error: tag, message, exitCode: exitCodes.unknown }
  const code = typeof error === "object" && error !== null ? Runtime.getErrorExitCode(error) : exitCodes.failed
  return { error: tag, message, exitCode: reasons[tag] === undefined ? code : exitCodes[reasons[tag]] }
}

/** Of another error, for a complaint of the command's own. */
export const reasonOf = (error: unknown): CommandFailed["reason"] => {
  const { exitCode } = failureOf(error)
  return CommandFailed.fields.reason.literals.find((reason) => exitCodes[reason] === exitCode) ?? "failed"
}

/** Of what is done step by step, and was ended half way: that nothing was done cannot be said of it. */
export const halfWay = (error: unknown, said: string): CommandFailed => {
  const reason = reasonOf(error)
  return new CommandFailed({
    reason: reason === "unreachable" ? "unknown" : reason,
    message: `${messageOf(error)}; ${said}`
  })
}

/** What ends the program with the code of a failure that has been told. */
export class Told extends Schema.TaggedError<Told>()("Told", { exitCode: Schema.Number }) {
  override get [Runtime.errorExitCode](): number {
    return this.exitCode
  }
}
