import { JuteReader, JuteWriter } from "./jute.ts"

/** Operation codes (ZooDefs.OpCode of 3.9). */
export const Op = {
  notification: 0,
  create: 1,
  delete: 2,
  exists: 3,
  getData: 4,
  setData: 5,
  getACL: 6,
  setACL: 7,
  getChildren: 8,
  sync: 9,
  ping: 11,
  getChildren2: 12,
  check: 13,
  multi: 14,
  create2: 15,
  reconfig: 16,
  checkWatches: 17,
  removeWatches: 18,
  createContainer: 19,
  deleteContainer: 20,
  createTTL: 21,
  multiRead: 22,
  auth: 100,
  setWatches: 101,
  sasl: 102,
  getEphemerals: 103,
  getAllChildrenNumber: 104,
  setWatches2: 105,
  addWatch: 106,
  whoAmI: 107,
  closeSession: -11
} as const

export type OpName = keyof typeof Op

const names = new Map<number, OpName>(Object.entries(Op).map(([name, op]) => [op, name as OpName]))

export const opName = (op: number): OpName | `op${number}` => names.get(op) ?? `op${op}`

/** Every operation that makes a node. */
export const createOps: ReadonlyArray<number> = [Op.create, Op.create2, Op.createContainer, Op.createTTL]

export interface ConnectRequest {
  readonly protocolVersion: number
  readonly lastZxidSeen: bigint
  readonly timeout: number
  readonly sessionId: bigint
  readonly password: Uint8Array
  /** `undefined`: the 44-byte form of clients before 3.4. */
  readonly readOnly: boolean | undefined
}

export interface ConnectResponse {
  readonly protocolVersion: number
  readonly timeout: number
  readonly sessionId: bigint
  readonly password: Uint8Array
  readonly readOnly: boolean | undefined
}

export const encodeConnectRequest = (r: ConnectRequest): Buffer => {
  const w = new JuteWriter().int(r.protocolVersion).long(r.lastZxidSeen).int(r.timeout).long(r.sessionId)
    .buffer(r.password)
  return (r.readOnly === undefined ? w : w.bool(r.readOnly)).bytes()
}

export const decodeConnectRequest = (bytes: Uint8Array): ConnectRequest => {
  const r = new JuteReader(bytes)
  return {
    protocolVersion: r.int(),
    lastZxidSeen: r.long(),
    timeout: r.int(),
    sessionId: r.long(),
    password: r.buffer() ?? Buffer.alloc(0),
    readOnly: r.remaining > 0 ? r.bool() : undefined
  }
}

export const encodeConnectResponse = (r: ConnectResponse): Buffer => {
  const w = new JuteWriter().int(r.protocolVersion).int(r.timeout).long(r.sessionId).buffer(r.password)
  return (r.readOnly === undefined ? w : w.bool(r.readOnly)).bytes()
}

export const decodeConnectResponse = (bytes: Uint8Array): ConnectResponse => {
  const r = new JuteReader(bytes)
  return {
    protocolVersion: r.int(),
    timeout: r.int(),
    sessionId: r.long(),
    password: r.buffer() ?? Buffer.alloc(0),
    readOnly: r.remaining > 0 ? r.bool() : undefined
  }
}

export interface Stat {
  readonly czxid: bigint
  readonly mzxid: bigint
  readonly ctime: bigint
  readonly mtime: bigint
  readonly version: number
  readonly cversion: number
  readonly aversion: number
  readonly ephemeralOwner: bigint
  readonly dataLength: number
  readonly numChildren: number
  readonly pzxid: bigint
}

export const makeStat = (fields: Partial<Stat> = {}): Stat => ({
  czxid: BigInt(1),
  mzxid: BigInt(1),
  ctime: BigInt(0),
  mtime: BigInt(0),
  version: 0,
  cversion: 0,
  aversion: 0,
  ephemeralOwner: BigInt(0),
  dataLength: 0,
  numChildren: 0,
  pzxid: BigInt(1),
  ...fields
})

export const writeStat = (w: JuteWriter, s: Stat): JuteWriter =>
  w.long(s.czxid).long(s.mzxid).long(s.ctime).long(s.mtime).int(s.version).int(s.cversion).int(s.aversion)
    .long(s.ephemeralOwner).int(s.dataLength).int(s.numChildren).long(s.pzxid)

export const readStat = (r: JuteReader): Stat => ({
  czxid: r.long(),
  mzxid: r.long(),
  ctime: r.long(),
  mtime: r.long(),
  version: r.int(),
  cversion: r.int(),
  aversion: r.int(),
  ephemeralOwner: r.long(),
  dataLength: r.int(),
  numChildren: r.int(),
  pzxid: r.long()
})

export interface Acl {
  readonly perms: number
  readonly scheme: string
  readonly id: string
}

export const openAcl: ReadonlyArray<Acl> = [{ perms: 31, scheme: "world", id: "anyone" }]

export const writeAcl = (w: JuteWriter, acl: ReadonlyArray<Acl>): JuteWriter =>
  w.vector(acl, (w, a) => w.int(a.perms).ustring(a.scheme).ustring(a.id))

export const readAcl = (r: JuteReader): Array<Acl> =>
  r.vector((r) => ({ perms: r.int(), scheme: r.ustring() ?? "", id: r.ustring() ?? "" })) ?? []

export interface ReplyHeader {
  readonly xid: number
  readonly zxid: bigint
  readonly err: number
}

export const encodeReply = (header: ReplyHeader, body?: Uint8Array): Buffer => {
  const w = new JuteWriter().int(header.xid).long(header.zxid).int(header.err)
  return (body === undefined ? w : w.raw(body)).bytes()
}

export const decodeReply = (bytes: Uint8Array): ReplyHeader & { readonly body: Buffer } => {
  const r = new JuteReader(bytes)
  return { xid: r.int(), zxid: r.long(), err: r.int(), body: r.rest() }
}

export interface WatcherEvent {
  /** 1 created, 2 deleted, 3 data changed, 4 children changed, -1 session. */
  readonly type: number
  readonly state: number
  readonly path: string
}

export const encodeEvent = (event: WatcherEvent, zxid = BigInt(-1)): Buffer =>
  encodeReply(
    { xid: -1, zxid, err: 0 },
    new JuteWriter().int(event.type).int(event.state).ustring(event.path).bytes()
  )

export const decodeEvent = (body: Uint8Array): WatcherEvent => {
  const r = new JuteReader(body)
  return { type: r.int(), state: r.int(), path: r.ustring() ?? "" }
}

export interface CreateRecord {
  readonly path: string
  readonly data: Buffer | null
  readonly acl: ReadonlyArray<Acl>
  readonly flags: number
}

/** The body of create, create2 and createContainer (createTTL has one long more). */
export const encodeCreate = (
  path: string,
  data: Uint8Array | string | null = null,
  flags = 0,
  acl: ReadonlyArray<Acl> = openAcl
): Buffer => {
  const w = new JuteWriter().ustring(path).buffer(typeof data === "string" ? Buffer.from(data) : data)
  writeAcl(w, acl)
  return w.int(flags).bytes()
}

const readCreate = (r: JuteReader): CreateRecord => ({
  path: r.ustring() ?? "",
  data: r.buffer(),
  acl: readAcl(r),
  flags: r.int()
})

export const decodeCreate = (body: Uint8Array): CreateRecord => readCreate(new JuteReader(body))

export interface SubOp {
  readonly op: number
  readonly path: string
  readonly flags?: number
}

const readSubOp = (r: JuteReader, op: number): SubOp => {
  switch (op) {
    case Op.create:
    case Op.create2:
    case Op.createContainer:
    case Op.createTTL: {
      const { path, flags } = readCreate(r)
      if (op === Op.createTTL) r.long()
      return { op, path, flags }
    }
    case Op.delete:
    case Op.check: {
      const path = r.ustring() ?? ""
      r.int()
      return { op, path }
    }
    case Op.setData: {
      const path = r.ustring() ?? ""
      r.buffer()
      r.int()
      return { op, path }
    }
    case Op.getData:
    case Op.getChildren:
    case Op.getChildren2:
    case Op.exists: {
      const path = r.ustring() ?? ""
      r.bool()
      return { op, path }
    }
    default:
      throw new RangeError(`operation ${op} inside a multi`)
  }
}

/** The operations of a multi or multiRead request. */
export const decodeMulti = (body: Uint8Array): Array<SubOp> => {
  const r = new JuteReader(body)
  const ops: Array<SubOp> = []
  for (;;) {
    const op = r.int()
    const done = r.bool()
    r.int()
    if (done) return ops
    ops.push(readSubOp(r, op))
  }
}

const withPath = new Set<number>([
  ...createOps,
  Op.delete,
  Op.exists,
  Op.getData,
  Op.setData,
  Op.getACL,
  Op.setACL,
  Op.getChildren,
  Op.sync,
  Op.getChildren2,
  Op.check,
  Op.checkWatches,
  Op.removeWatches,
  Op.getEphemerals,
  Op.getAllChildrenNumber,
  Op.addWatch
])

/** What a request is about: its path, or the operations of a multi. Undecodable bodies give nothing. */
export const describeRequest = (
  op: number,
  body: Uint8Array
): { readonly path: string | undefined; readonly ops: ReadonlyArray<SubOp> } => {
  try {
    if (op === Op.multi || op === Op.multiRead) return { path: undefined, ops: decodeMulti(body) }
    if (withPath.has(op)) return { path: new JuteReader(body).ustring() ?? undefined, ops: [] }
  } catch {
    // The client sent nonsense: it is the server's business to refuse it.
  }
  return { path: undefined, ops: [] }
}
