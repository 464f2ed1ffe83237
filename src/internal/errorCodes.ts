/** From the codes of a server to the typed errors. */
import * as ZkError from "../ZkError.ts"
import type { Operation } from "./operation.ts"
import { Code } from "./protocol/constants.ts"

/** Expected outcomes are values more than accidents: capturing a stack would cost more than the request. */
export const withoutStack = <A>(build: () => A): A => {
  const limit = Error.stackTraceLimit
  Error.stackTraceLimit = 0
  try {
    return build()
  } finally {
    Error.stackTraceLimit = limit
  }
}

export type NodeAnswer =
  | ZkError.NoNode
  | ZkError.NodeExists
  | ZkError.BadVersion
  | ZkError.NotEmpty
  | ZkError.NoAuth
  | ZkError.NoChildrenForEphemerals
  | ZkError.InvalidAcl
  | ZkError.EphemeralOnLocalSession
  | ZkError.QuotaExceeded
  | ZkError.NoWatcher
  | ZkError.ReconfigDisabled
  | ZkError.ReconfigInProgress
  | ZkError.NewConfigNoQuorum

type AnswerClass = new(
  fields: { readonly operation: string; readonly path: string }
) => NodeAnswer | ZkError.ServerError

const answers = new Map<number, AnswerClass>([
  [Code.noNode, ZkError.NoNode],
  [Code.nodeExists, ZkError.NodeExists],
  [Code.notEmpty, ZkError.NotEmpty],
  [Code.noAuth, ZkError.NoAuth],
  [Code.noChildrenForEphemerals, ZkError.NoChildrenForEphemerals],
  [Code.invalidAcl, ZkError.InvalidAcl],
  [Code.ephemeralOnLocalSession, ZkError.EphemeralOnLocalSession],
  [Code.quotaExceeded, ZkError.QuotaExceeded],
  [Code.noWatcher, ZkError.NoWatcher],
  [Code.badArguments, ZkError.BadArguments],
  [Code.reconfigDisabled, ZkError.ReconfigDisabled],
  [Code.reconfigInProgress, ZkError.ReconfigInProgress],
  [Code.newConfigNoQuorum, ZkError.NewConfigNoQuorum],
  [Code.unimplemented, ZkError.Unimplemented],
  [Code.notReadOnly, ZkError.NotReadOnly],
  [Code.throttledOp, ZkError.ThrottledOp],
  [Code.sessionMoved, ZkError.SessionMoved],
  [Code.sessionClosedRequireSaslAuth, ZkError.AuthRequired],
  [Code.systemError, ZkError.SystemError],
  [Code.runtimeInconsistency, ZkError.RuntimeInconsistency],
  [Code.dataInconsistency, ZkError.DataInconsistency],
  [Code.marshallingError, ZkError.MarshallingError],
  [Code.apiError, ZkError.ApiError],
  [Code.unknownSession, ZkError.UnknownSession],
  [Code.invalidCallback, ZkError.InvalidCallback],
  [Code.requestTimeout, ZkError.ServerTimeout]
])

const anyOperation = new Set<number>([
  Code.badArguments,
  Code.unimplemented,
  Code.notReadOnly,
  Code.throttledOp,
  Code.sessionMoved,
  Code.sessionClosedRequireSaslAuth,
  Code.systemError,
  Code.runtimeInconsistency,
  Code.dataInconsistency,
  Code.marshallingError,
  Code.apiError,
  Code.unknownSession,
  Code.invalidCallback,
  Code.requestTimeout
])

/**
 * The error of a server's code. One that the operation cannot have according to its type becomes `UnknownCode`, so that
 * the type holds whatever a server says.
 */
export const fromCode = <E extends NodeAnswer>(
  code: number,
  operation: Operation<E>,
  path: string,
  expected: number | undefined
): E | ZkError.ServerError =>
  withoutStack(() => {
    const fields = { operation: operation.name, path }
    const known = operation.codes.has(code) || anyOperation.has(code)
    if (!known) return new ZkError.UnknownCode({ ...fields, code })
    // The set of codes is made from the tags of E.
    if (code === Code.badVersion) {
      return new ZkError.BadVersion({ ...fields, expected: expected ?? -1 }) as NodeAnswer as E
    }
    return new (answers.get(code)!)(fields) as E | ZkError.ServerError
  })
