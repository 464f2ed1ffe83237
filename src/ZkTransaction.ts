/**
 * Several operations as one: the operations of `ZkClient.multi`, of which all are applied or none, and those of
 * `ZkClient.multiRead`.
 *
 * **Example** (Moving a value, if nobody changed it)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { ZkClient, ZkTransaction } from "effect-zookeeper"
 *
 * const move = Effect.gen(function*() {
 *   const zk = yield* ZkClient.ZkClient
 *   const { data, stat } = yield* zk.getData("/from")
 *   const [, created] = yield* zk.multi([
 *     ZkTransaction.delete("/from", { version: stat.version }),
 *     ZkTransaction.create("/to", data)
 *   ])
 *   return created.path
 * }).pipe(
 *   Effect.catchTag("MultiFailed", (error) => Effect.logWarning(`operation ${error.index}: ${error.cause.message}`))
 * )
 * ```
 *
 * @see {@link https://zookeeper.apache.org/doc/r3.9.3/zookeeperProgrammers.html#ch_zkMulti | transactions}
 * @stability unstable
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import type { Acl } from "./ZkAcl.ts"
import type { Stat } from "./ZkStat.ts"

/**
 * What a node can hold. Text is written as UTF-8. `null`, no data at all, differs from empty data. Bytes must not be
 * changed before the operation has ended.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export type Data = Uint8Array | string | null

/**
 * What kind of node to create.
 *
 * - `persistent`: stays until it is deleted.
 * - `ephemeral`: deleted by the servers when the session is over; cannot have children.
 * - `persistentSequential`, `ephemeralSequential`: a number of ten digits is put behind the name, larger than those of
 *   all children before (see `ZkPath.sequence`).
 * - `container`: deleted by the servers some time after its last child was.
 * - `{ ttl }`: deleted by the servers when it has no children and its data was not set for that long, from 1 ms to
 *   about 34 years. Servers have this switched off by default (`extendedTypesEnabled`), and look about once a minute.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export type CreateMode =
  | "persistent"
  | "ephemeral"
  | "persistentSequential"
  | "ephemeralSequential"
  | "container"
  | { readonly ttl: Duration.Input; readonly sequential?: boolean | undefined }

/**
 * The node that a create made.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export interface Created {
  /** The path, with the number of a sequential node. */
  readonly path: string
  /** Missing from transactions on servers before 3.7.2, 3.8.2 and 3.9.0. */
  readonly stat: Stat | undefined
}

/**
 * Creates a node. See `ZkClient.create`.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export interface CreateOp {
  readonly _tag: "Create"
  readonly path: string
  readonly data: Data
  readonly mode: CreateMode
  readonly acl: ReadonlyArray<Acl> | undefined
}

/**
 * Sets the data of a node.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export interface SetDataOp {
  readonly _tag: "SetData"
  readonly path: string
  readonly data: Data
  readonly version: number | undefined
}

/**
 * Deletes a node.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export interface DeleteOp {
  readonly _tag: "Delete"
  readonly path: string
  readonly version: number | undefined
}

/**
 * Changes nothing, but lets the transaction fail unless the node is there, with the version that is given.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export interface CheckOp {
  readonly _tag: "Check"
  readonly path: string
  readonly version: number | undefined
}

/**
 * The operations of a transaction.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export type WriteOp = CreateOp | SetDataOp | DeleteOp | CheckOp

/**
 * What an operation of a transaction gives.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export type WriteResult<O extends WriteOp> = O extends CreateOp ? Created : O extends SetDataOp ? Stat : void

/**
 * The results of a transaction, in the order of its operations.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export type WriteResults<Ops extends ReadonlyArray<WriteOp>> = { readonly [K in keyof Ops]: WriteResult<Ops[K]> }

/**
 * @stability unstable
 * @category constructors
 * @since 0.1.0
 */
export const create = (
  path: string,
  data: Data = null,
  options?: { readonly mode?: CreateMode | undefined; readonly acl?: ReadonlyArray<Acl> | undefined }
): CreateOp => ({ _tag: "Create", path, data, mode: options?.mode ?? "persistent", acl: options?.acl })

/**
 * @stability unstable
 * @category constructors
 * @since 0.1.0
 */
export const setData = (path: string, data: Data, options?: { readonly version?: number | undefined }): SetDataOp => ({
  _tag: "SetData",
  path,
  data,
  version: options?.version
})

const delete_ = (path: string, options?: { readonly version?: number | undefined }): DeleteOp => ({
  _tag: "Delete",
  path,
  version: options?.version
})

export {
  /**
   * @stability unstable
   * @category constructors
   * @since 0.1.0
   */
  delete_ as delete
}

/**
 * @stability unstable
 * @category constructors
 * @since 0.1.0
 */
export const check = (path: string, options?: { readonly version?: number | undefined }): CheckOp => ({
  _tag: "Check",
  path,
  version: options?.version
})

/**
 * Reads data in a `multiRead`.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export interface GetDataOp {
  readonly _tag: "GetData"
  readonly path: string
}

/**
 * Lists children in a `multiRead`.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export interface GetChildrenOp {
  readonly _tag: "GetChildren"
  readonly path: string
}

/**
 * The operations of a `multiRead`.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export type ReadOp = GetDataOp | GetChildrenOp

/**
 * @stability unstable
 * @category constructors
 * @since 0.1.0
 */
export const getData = (path: string): GetDataOp => ({ _tag: "GetData", path })

/**
 * @stability unstable
 * @category constructors
 * @since 0.1.0
 */
export const getChildren = (path: string): GetChildrenOp => ({ _tag: "GetChildren", path })
