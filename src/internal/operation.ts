/** What an operation is called, and which answers of a server belong to it. */
import type { NoAuth, NoNode } from "../ZkError.ts"
import type { NodeAnswer } from "./errorCodes.ts"
import { Code } from "./protocol/constants.ts"

declare const Failure: unique symbol

export interface Operation<out E extends NodeAnswer = NodeAnswer> {
  readonly [Failure]?: E
  readonly name: string
  /** Codes besides those that any operation can be answered with. */
  readonly codes: ReadonlySet<number>
}

const codeOf: { readonly [Tag in NodeAnswer["_tag"]]: number } = {
  NoNode: Code.noNode,
  NodeExists: Code.nodeExists,
  BadVersion: Code.badVersion,
  NotEmpty: Code.notEmpty,
  NoAuth: Code.noAuth,
  NoChildrenForEphemerals: Code.noChildrenForEphemerals,
  InvalidAcl: Code.invalidAcl,
  EphemeralOnLocalSession: Code.ephemeralOnLocalSession,
  QuotaExceeded: Code.quotaExceeded,
  NoWatcher: Code.noWatcher,
  ReconfigDisabled: Code.reconfigDisabled,
  ReconfigInProgress: Code.reconfigInProgress,
  NewConfigNoQuorum: Code.newConfigNoQuorum
}

/** The error classes of the given tags, and no others, are the operation's. */
export const operation = <const Tags extends ReadonlyArray<NodeAnswer["_tag"]>>(
  name: string,
  ...tags: Tags
): Operation<Extract<NodeAnswer, { readonly _tag: Tags[number] }>> => ({
  name,
  codes: new Set(tags.map((tag) => codeOf[tag]))
})

/** Requests that a session makes for itself. */
export const internalOperation: Operation<NoNode | NoAuth> = operation("internal", "NoNode", "NoAuth")
