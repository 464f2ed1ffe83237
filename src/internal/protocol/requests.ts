/**
 * The requests of a client: how each is written, and how its answer is read. A request is a plain value that knows its
 * own encoding, so that a session can hold it until there is a connection and write it again on the next one.
 */
import type { Acl } from "../../ZkAcl.ts"
import type { Stat } from "../../ZkStat.ts"
import { AddWatchMode, Op, type WatcherType as WatcherTypes } from "./constants.ts"
import { NodeData } from "./nodeData.ts"
import { JuteError } from "./reader.ts"
import type { Reader } from "./reader.ts"
import type { Writer } from "./writer.ts"

/** Type-level only: what the answer to a request decodes to. */
declare const Answer: unique symbol

export interface Request<A = unknown> {
  readonly [Answer]?: A
  readonly op: number
  /** The path that errors name; empty for requests without one. */
  readonly path: string
  /** Reads change nothing and may be sent again when their answer was lost. */
  readonly isRead: boolean
  encode(writer: Writer): void
  /** Reads the body of a successful answer. */
  decode(reader: Reader): A
  /** An upper bound of the encoded length in bytes, cheap to compute. */
  sizeBound(): number
}

export const decodeStat = (reader: Reader): Stat => ({
  czxid: reader.long(),
  mzxid: reader.long(),
  ctime: reader.long(),
  mtime: reader.long(),
  version: reader.int(),
  cversion: reader.int(),
  aversion: reader.int(),
  ephemeralOwner: reader.long(),
  dataLength: reader.int(),
  numChildren: reader.int(),
  pzxid: reader.long()
})

const encodeAcl = (writer: Writer, acl: Acl): void => {
  writer.int(acl.perms)
  writer.string(acl.scheme)
  writer.string(acl.id)
}

const decodeAcl = (reader: Reader): Acl => ({ perms: reader.int(), scheme: reader.string(), id: reader.string() })

const aclSizeBound = (acl: ReadonlyArray<Acl>): number => {
  let size = 4
  for (const entry of acl) size += 12 + (entry.scheme.length + entry.id.length) * 3
  return size
}

const decodeString = (reader: Reader): string => reader.string()
const encodeString = (writer: Writer, value: string): void => writer.string(value)
const dataSize = (data: Uint8Array | null): number => (data === null ? 4 : 4 + data.length)
/** Header, length of the path and the small fields of any request. */
const overhead = 64

abstract class PathRequest<A> implements Request<A> {
  abstract readonly op: number
  abstract readonly isRead: boolean
  readonly path: string

  constructor(path: string) {
    this.path = path
  }

  encode(writer: Writer): void {
    writer.string(this.path)
  }

  abstract decode(reader: Reader): A

  sizeBound(): number {
    return overhead + this.path.length * 3
  }
}

/** A read that can leave a one-shot watch behind. */
abstract class WatchableRead<A> extends PathRequest<A> {
  readonly isRead = true
  /** Decided each time the request is written: what the server has to watch depends on the connection. */
  watch: boolean

  constructor(path: string, watch: boolean) {
    super(path)
    this.watch = watch
  }

  override encode(writer: Writer): void {
    writer.string(this.path)
    writer.boolean(this.watch)
  }
}

const decodeNodeData = (reader: Reader): NodeData => new NodeData(reader.buffer(), decodeStat(reader))

export class GetData extends WatchableRead<NodeData> {
  readonly op = Op.getData

  override decode(reader: Reader): NodeData {
    return decodeNodeData(reader)
  }
}

export class Exists extends WatchableRead<Stat> {
  readonly op = Op.exists

  override decode(reader: Reader): Stat {
    return decodeStat(reader)
  }
}

export interface Children {
  readonly children: ReadonlyArray<string>
  readonly stat: Stat
}

export class GetChildren extends WatchableRead<Children> {
  readonly op = Op.getChildren2

  override decode(reader: Reader): Children {
    return { children: reader.vector(decodeString), stat: decodeStat(reader) }
  }
}

/** The older form, without Stat: the one that multiRead takes. */
export class GetChildrenNames extends WatchableRead<ReadonlyArray<string>> {
  readonly op = Op.getChildren

  override decode(reader: Reader): ReadonlyArray<string> {
    return reader.vector(decodeString)
  }
}

export interface AclAndStat {
  readonly acl: ReadonlyArray<Acl>
  readonly stat: Stat
}

export class GetAcl extends PathRequest<AclAndStat> {
  readonly op = Op.getAcl
  readonly isRead = true

  override decode(reader: Reader): AclAndStat {
    return { acl: reader.vector(decodeAcl), stat: decodeStat(reader) }
  }
}

export class Sync extends PathRequest<string> {
  readonly op = Op.sync
  readonly isRead = true

  override decode(reader: Reader): string {
    return reader.string()
  }
}

export class GetEphemerals extends PathRequest<ReadonlyArray<string>> {
  readonly op = Op.getEphemerals
  readonly isRead = true

  override decode(reader: Reader): ReadonlyArray<string> {
    return reader.vector(decodeString)
  }
}

export class GetAllChildrenNumber extends PathRequest<number> {
  readonly op = Op.getAllChildrenNumber
  readonly isRead = true

  override decode(reader: Reader): number {
    return reader.int()
  }
}

export interface Identity {
  readonly scheme: string
  readonly user: string
}

export class WhoAmI implements Request<ReadonlyArray<Identity>> {
  readonly op = Op.whoAmI
  readonly path = ""
  readonly isRead = true

  encode(): void {}

  decode(reader: Reader): ReadonlyArray<Identity> {
    return reader.vector((entry) => ({ scheme: entry.string(), user: entry.string() }))
  }

  sizeBound(): number {
    return overhead
  }
}

export interface Created {
  readonly path: string
  /** Missing from what some servers answer inside a multi. */
  readonly stat: Stat | undefined
}

export class Create extends PathRequest<Created> {
  readonly op: typeof Op.create | typeof Op.create2 | typeof Op.createContainer | typeof Op.createTtl
  readonly isRead = false
  readonly data: Uint8Array | null
  readonly acl: ReadonlyArray<Acl>
  readonly flags: number
  readonly ttl: bigint

  constructor(
    op: Create["op"],
    path: string,
    data: Uint8Array | null,
    acl: ReadonlyArray<Acl>,
    flags: number,
    ttl: bigint
  ) {
    super(path)
    this.op = op
    this.data = data
    this.acl = acl
    this.flags = flags
    this.ttl = ttl
  }

  override encode(writer: Writer): void {
    writer.string(this.path)
    writer.buffer(this.data)
    writer.vector(this.acl, encodeAcl)
    writer.int(this.flags)
    if (this.op === Op.createTtl) writer.long(this.ttl)
  }

  override decode(reader: Reader): Created {
    const path = reader.string()
    return { path, stat: this.op === Op.create ? undefined : decodeStat(reader) }
  }

  override sizeBound(): number {
    return super.sizeBound() + dataSize(this.data) + aclSizeBound(this.acl)
  }
}

export class Delete extends PathRequest<void> {
  readonly op = Op.delete
  readonly isRead = false
  readonly version: number

  constructor(path: string, version: number) {
    super(path)
    this.version = version
  }

  override encode(writer: Writer): void {
    writer.string(this.path)
    writer.int(this.version)
  }

  override decode(): void {}
}

export class SetData extends PathRequest<Stat> {
  readonly op = Op.setData
  readonly isRead = false
  readonly data: Uint8Array | null
  readonly version: number

  constructor(path: string, data: Uint8Array | null, version: number) {
    super(path)
    this.data = data
    this.version = version
  }

  override encode(writer: Writer): void {
    writer.string(this.path)
    writer.buffer(this.data)
    writer.int(this.version)
  }

  override decode(reader: Reader): Stat {
    return decodeStat(reader)
  }

  override sizeBound(): number {
    return super.sizeBound() + dataSize(this.data)
  }
}

export class SetAcl extends PathRequest<Stat> {
  readonly op = Op.setAcl
  readonly isRead = false
  readonly acl: ReadonlyArray<Acl>
  readonly version: number

  constructor(path: string, acl: ReadonlyArray<Acl>, version: number) {
    super(path)
    this.acl = acl
    this.version = version
  }

  override encode(writer: Writer): void {
    writer.string(this.path)
    writer.vector(this.acl, encodeAcl)
    writer.int(this.version)
  }

  override decode(reader: Reader): Stat {
    return decodeStat(reader)
  }

  override sizeBound(): number {
    return super.sizeBound() + aclSizeBound(this.acl)
  }
}

/**
 * An item of a multi, deliberately no {@link Request}: sent on its own, a server before 3.8.5 never answers it and
 * never starts again from the log that it then has.
 */
export class Check {
  readonly op = Op.check
  readonly path: string
  readonly version: number

  constructor(path: string, version: number) {
    this.path = path
    this.version = version
  }

  encode(writer: Writer): void {
    writer.string(this.path)
    writer.int(this.version)
  }

  sizeBound(): number {
    return overhead + this.path.length * 3
  }
}

const encodeMultiHeader = (writer: Writer, type: number, done: boolean): void => {
  writer.int(type)
  writer.boolean(done)
  writer.int(-1)
}

const encodeItems = (
  writer: Writer,
  items: ReadonlyArray<{ readonly op: number; encode(writer: Writer): void }>
): void => {
  for (const item of items) {
    encodeMultiHeader(writer, item.op, false)
    item.encode(writer)
  }
  encodeMultiHeader(writer, Op.error, true)
}

const itemsSizeBound = (items: ReadonlyArray<{ sizeBound(): number }>): number => {
  let size = overhead
  for (const item of items) size += item.sizeBound()
  return size
}

/** Reads the items of a multi's answer up to the one that ends it. */
const decodeItems = <A>(reader: Reader, decodeItem: (type: number) => A): ReadonlyArray<A> => {
  const items: Array<A> = []
  while (true) {
    const type = reader.int()
    const done = reader.boolean()
    reader.int()
    if (done) return items
    items.push(decodeItem(type))
  }
}

export type WriteOp = Create | Delete | SetData | Check

/** What one item of a multi was answered with; `error` is the server's code. */
export type WriteResult =
  | { readonly _tag: "Created"; readonly path: string; readonly stat: Stat | undefined }
  | { readonly _tag: "Stat"; readonly stat: Stat }
  | { readonly _tag: "Done" }
  | { readonly _tag: "Error"; readonly code: number }

export class Multi implements Request<ReadonlyArray<WriteResult>> {
  readonly op = Op.multi
  readonly path = ""
  readonly isRead = false
  readonly ops: ReadonlyArray<WriteOp>

  constructor(ops: ReadonlyArray<WriteOp>) {
    this.ops = ops
  }

  encode(writer: Writer): void {
    encodeItems(writer, this.ops)
  }

  decode(reader: Reader): ReadonlyArray<WriteResult> {
    // By the type of the answer: older servers answer a create2 item as a create, without Stat.
    return decodeItems(reader, (type): WriteResult => {
      switch (type) {
        case Op.create:
          return { _tag: "Created", path: reader.string(), stat: undefined }
        case Op.create2:
          return { _tag: "Created", path: reader.string(), stat: decodeStat(reader) }
        case Op.setData:
          return { _tag: "Stat", stat: decodeStat(reader) }
        case Op.delete:
        case Op.check:
          return { _tag: "Done" }
        case Op.error:
          return { _tag: "Error", code: reader.int() }
        default:
          throw new JuteError(`an item of the unknown type ${type} in the answer to a multi`)
      }
    })
  }

  sizeBound(): number {
    return itemsSizeBound(this.ops)
  }
}

export type ReadOp = GetData | GetChildrenNames

export type ReadResult =
  | { readonly _tag: "Data"; readonly node: NodeData }
  | { readonly _tag: "Children"; readonly children: ReadonlyArray<string> }
  | { readonly _tag: "Error"; readonly code: number }

export class MultiRead implements Request<ReadonlyArray<ReadResult>> {
  readonly op = Op.multiRead
  readonly path = ""
  readonly isRead = true
  readonly ops: ReadonlyArray<ReadOp>

  constructor(ops: ReadonlyArray<ReadOp>) {
    this.ops = ops
  }

  encode(writer: Writer): void {
    encodeItems(writer, this.ops)
  }

  decode(reader: Reader): ReadonlyArray<ReadResult> {
    return decodeItems(reader, (type): ReadResult => {
      switch (type) {
        case Op.getData:
          return { _tag: "Data", node: decodeNodeData(reader) }
        case Op.getChildren:
          return { _tag: "Children", children: reader.vector(decodeString) }
        case Op.error:
          return { _tag: "Error", code: reader.int() }
        default:
          throw new JuteError(`an item of the unknown type ${type} in the answer to a multiRead`)
      }
    })
  }

  sizeBound(): number {
    return itemsSizeBound(this.ops)
  }
}

export class Reconfig implements Request<NodeData> {
  readonly op = Op.reconfig
  readonly path = "/zookeeper/config"
  readonly isRead = false
  readonly joining: string | null
  readonly leaving: string | null
  readonly members: string | null
  readonly fromConfig: bigint

  constructor(joining: string | null, leaving: string | null, members: string | null, fromConfig: bigint) {
    this.joining = joining
    this.leaving = leaving
    this.members = members
    this.fromConfig = fromConfig
  }

  encode(writer: Writer): void {
    writer.string(this.joining)
    writer.string(this.leaving)
    writer.string(this.members)
    writer.long(this.fromConfig)
  }

  decode(reader: Reader): NodeData {
    return decodeNodeData(reader)
  }

  sizeBound(): number {
    const length = (text: string | null): number => (text === null ? 0 : text.length * 3)
    return overhead + length(this.joining) + length(this.leaving) + length(this.members)
  }
}

export class AddWatch extends PathRequest<void> {
  readonly op = Op.addWatch
  readonly isRead = true
  /** May be decided as late as the request is written. */
  recursive: boolean

  constructor(path: string, recursive: boolean) {
    super(path)
    this.recursive = recursive
  }

  override encode(writer: Writer): void {
    writer.string(this.path)
    writer.int(this.recursive ? AddWatchMode.persistentRecursive : AddWatchMode.persistent)
  }

  /** The body is an error code that repeats the header's. */
  override decode(): void {}
}

type WatcherType = (typeof WatcherTypes)[keyof typeof WatcherTypes]

/** Names the server's watches of one kind on one path. */
abstract class WatchesRequest extends PathRequest<void> {
  readonly isRead = true
  readonly type: WatcherType

  constructor(path: string, type: WatcherType) {
    super(path)
    this.type = type
  }

  override encode(writer: Writer): void {
    writer.string(this.path)
    writer.int(this.type)
  }

  override decode(): void {}
}

export class RemoveWatches extends WatchesRequest {
  readonly op = Op.removeWatches
}

export class CheckWatches extends WatchesRequest {
  readonly op = Op.checkWatches
}

export class CloseSession implements Request<void> {
  readonly op = Op.closeSession
  readonly path = ""
  readonly isRead = false

  encode(): void {}

  decode(): void {}

  sizeBound(): number {
    return overhead
  }
}

/** The paths to watch again on a new connection. */
export interface WatchedPaths {
  readonly data: ReadonlyArray<string>
  readonly exist: ReadonlyArray<string>
  readonly child: ReadonlyArray<string>
  readonly persistent: ReadonlyArray<string>
  readonly recursive: ReadonlyArray<string>
}

export class SetWatches implements Request<void> {
  readonly op: typeof Op.setWatches | typeof Op.setWatches2
  readonly path = ""
  readonly isRead = true
  readonly relativeZxid: bigint
  readonly paths: WatchedPaths

  constructor(relativeZxid: bigint, paths: WatchedPaths) {
    // The older form where it does, for servers before 3.6.
    this.op = paths.persistent.length + paths.recursive.length === 0 ? Op.setWatches : Op.setWatches2
    this.relativeZxid = relativeZxid
    this.paths = paths
  }

  encode(writer: Writer): void {
    writer.long(this.relativeZxid)
    writer.vector(this.paths.data, encodeString)
    writer.vector(this.paths.exist, encodeString)
    writer.vector(this.paths.child, encodeString)
    if (this.op === Op.setWatches2) {
      writer.vector(this.paths.persistent, encodeString)
      writer.vector(this.paths.recursive, encodeString)
    }
  }

  decode(): void {}

  sizeBound(): number {
    let size = overhead
    for (const list of Object.values(this.paths) as ReadonlyArray<ReadonlyArray<string>>) {
      for (const path of list) size += 4 + path.length * 3
    }
    return size
  }
}

export class Sasl implements Request<Uint8Array | null> {
  readonly op = Op.sasl
  readonly path = ""
  readonly isRead = false
  readonly token: Uint8Array | null

  constructor(token: Uint8Array | null) {
    this.token = token
  }

  encode(writer: Writer): void {
    writer.buffer(this.token)
  }

  decode(reader: Reader): Uint8Array | null {
    return reader.buffer()
  }

  sizeBound(): number {
    return overhead + dataSize(this.token)
  }
}
