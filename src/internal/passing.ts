/** Failures that pass by themselves: whoever only reads, or may do it twice, tries again after a pause. */
import * as Duration from "effect/Duration"
import type { ConnectionLoss, OperationTimeout, ThrottledOp } from "../ZkError.ts"

export const pause = Duration.millis(250)

type Passing = ConnectionLoss | OperationTimeout | ThrottledOp

export const isPassing = <E extends { readonly _tag: string }>(error: E): error is Extract<E, Passing> =>
  error._tag === "ConnectionLoss" || error._tag === "OperationTimeout" || error._tag === "ThrottledOp"
