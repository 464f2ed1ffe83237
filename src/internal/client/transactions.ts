/** Several operations in one request. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import type { NodeData, Observed, ZkClient } from "../../ZkClient.ts"
import type { InvalidAcl, NoAuth, ServerError, SessionError } from "../../ZkError.ts"
import { MultiFailed } from "../../ZkError.ts"
import type * as ZkTransaction from "../../ZkTransaction.ts"
import type { ExecuteOptions } from "../engine.ts"
import { fromCode, withoutStack } from "../errorCodes.ts"
import { operation } from "../operation.ts"
import { Code } from "../protocol/constants.ts"
import type { ReadOp, ReadResult, WriteOp, WriteResult } from "../protocol/requests.ts"
import { GetChildrenNames, GetData, Multi, MultiRead } from "../protocol/requests.ts"
import type { Core } from "./core.ts"
import { run } from "./core.ts"
import type { Refused, Rejection } from "./input.ts"
import { toCheck, toCreate, toDelete, toServerPath, toSetData } from "./input.ts"
import { operations } from "./operations.ts"

const multiOperation = operation("multi")
const multiReadOperation = operation("multiRead")

/** Any operation of a transaction can be the one that fails it. */
const itemCauses = [
  "NoNode",
  "NodeExists",
  "BadVersion",
  "NotEmpty",
  "NoAuth",
  "NoChildrenForEphemerals",
  "InvalidAcl",
  "EphemeralOnLocalSession",
  "QuotaExceeded"
] as const

const itemOperations = {
  Create: operation("create", ...itemCauses),
  SetData: operation("setData", ...itemCauses),
  Delete: operation("delete", ...itemCauses),
  Check: operation("check", ...itemCauses)
}

const toWriteOp = (core: Core, op: ZkTransaction.WriteOp): WriteOp | Refused => {
  switch (op._tag) {
    case "Create":
      return toCreate(core.chroot, op.path, op.data, op)
    case "SetData":
      return toSetData(core.chroot, op.path, op.data, op.version)
    case "Delete":
      return toDelete(core.chroot, op.path, op.version)
    case "Check":
      return toCheck(core.chroot, op.path, op.version)
  }
}

/** All of them, or what is wrong with the first that is. */
const all = <A, B extends object, E extends Refused>(
  items: ReadonlyArray<A>,
  f: (item: A) => B | E
): ReadonlyArray<B> | E => {
  const made: Array<B> = []
  for (const item of items) {
    const one = f(item)
    if (one instanceof Error) return one
    made.push(one)
  }
  return made
}

const toFailure = (ops: ReadonlyArray<ZkTransaction.WriteOp>, index: number, code: number): MultiFailed => {
  const op = ops[index]!
  const expected = op._tag === "Create" ? undefined : op.version
  const cause = fromCode(code, itemOperations[op._tag], op.path, expected)
  const results = ops.map((_, i) => (i < index ? "ok" : i === index ? "failed" : "skipped"))
  return withoutStack(() => new MultiFailed({ index, cause, results }))
}

const toResult = (core: Core, item: WriteResult): ZkTransaction.WriteResult<ZkTransaction.WriteOp> => {
  switch (item._tag) {
    case "Created":
      return { path: core.chroot.toClient(item.path) ?? item.path, stat: item.stat }
    case "Stat":
      return item.stat
    default:
      return undefined
  }
}

export const runMulti = <const Ops extends ReadonlyArray<ZkTransaction.WriteOp>>(
  core: Core,
  ops: Ops,
  options?: ExecuteOptions
): Effect.Effect<ZkTransaction.WriteResults<Ops>, MultiFailed | InvalidAcl | SessionError> => {
  type Results = ZkTransaction.WriteResults<Ops>
  // The results stand in the order of the operations, each of the kind that its operation gives.
  const toResults = (items: ReadonlyArray<WriteResult>) =>
    items.map((item) => toResult(core, item)) as unknown as Results
  if (ops.length === 0) return Effect.succeed(toResults([]))
  const made = all<ZkTransaction.WriteOp, WriteOp, Refused>(ops, (op) => toWriteOp(core, op))
  return Effect.flatMap(
    run(core, multiOperation, made instanceof Error ? made : new Multi(made), "", options),
    (items): Effect.Effect<Results, MultiFailed> => {
      // In a refused transaction the operations before the culprit are answered with the code 0.
      const index = items.findIndex((item) => item._tag === "Error" && item.code !== Code.ok)
      const culprit = items[index]
      if (culprit?._tag === "Error") return Effect.fail(toFailure(ops, index, culprit.code))
      return Effect.succeed(toResults(items))
    }
  )
}

const observeEach = (core: Core, paths: ReadonlyArray<string>): ReturnType<ZkClient["observeEach"]> =>
  Effect.suspend(() => {
    if (paths.length === 0) return Effect.succeed([])
    let zxid = -1n
    const onZxid = (answered: bigint) => {
      zxid = answered
    }
    const made = all<string, ReadOp, Rejection>(paths, (path) => {
      const serverPath = toServerPath(core.chroot, path)
      return serverPath instanceof Error ? serverPath : new GetData(serverPath, false)
    })
    const request = made instanceof Error ? made : new MultiRead(made)
    return Effect.map(
      run(core, multiReadOperation, request, "", { onZxid }),
      (items) =>
        items.map((item, index): EachObserved => {
          if (item._tag === "Data") return Result.succeed({ zxid, node: Option.some(item.node) })
          // The answer that there is no such node tells the moment too.
          if (item._tag === "Error" && item.code === Code.noNode) return Result.succeed({ zxid, node: Option.none() })
          const code = item._tag === "Error" ? item.code : Code.unimplemented
          return Result.fail(fromCode(code, getDataThatIsThere, paths[index]!, undefined))
        })
    )
  })

type EachObserved = Result.Result<Observed<NodeData>, NoAuth | ServerError>

/** That it is missing is an answer. */
const getDataThatIsThere = operation("getData", "NoAuth")

export const makeTransactions = (core: Core): Pick<ZkClient, "multi" | "multiRead" | "observeEach"> => ({
  multi: (ops) => runMulti(core, ops),
  observeEach: (paths) => observeEach(core, paths),
  multiRead: (ops) => {
    if (ops.length === 0) return Effect.succeed([] as never)
    const made = all<ZkTransaction.ReadOp, ReadOp, Rejection>(ops, (op) => {
      const path = toServerPath(core.chroot, op.path)
      if (path instanceof Error) return path
      return op._tag === "GetData" ? new GetData(path, false) : new GetChildrenNames(path, false)
    })
    const request = made instanceof Error ? made : new MultiRead(made)
    // As above: one result an operation, in their order.
    return Effect.map(
      run(core, multiReadOperation, request, ""),
      (items) => items.map((item, index) => toReadResult(ops[index]!, item)) as never
    )
  }
})

const toReadResult = (op: ZkTransaction.ReadOp, item: ReadResult) => {
  switch (item._tag) {
    case "Data":
      return Result.succeed(item.node)
    case "Children":
      return Result.succeed(item.children)
    case "Error": {
      const read = op._tag === "GetData" ? operations.getData : operations.getChildren
      return Result.fail(fromCode(item.code, read, op.path, undefined))
    }
  }
}
