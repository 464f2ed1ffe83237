import type * as Effect from "effect/Effect"
import { JuteReader, JuteWriter } from "./jute.ts"
import {
  type ConnectRequest,
  createOps,
  decodeCreate,
  decodeMulti,
  makeStat,
  Op,
  openAcl,
  type OpName,
  type SubOp,
  writeAcl,
  writeStat
} from "./records.ts"

/** How a connect request is answered. */
export type ConnectAnswer =
  | {
    readonly type: "accept"
    readonly sessionId?: bigint
    readonly password?: Uint8Array
    /** Negotiated session timeout; default what was asked for. */
    readonly timeout?: number
    readonly readOnly?: boolean
    /** Leaves the readOnly byte out, as servers before 3.4. */
    readonly short?: boolean
  }
  /** Timeout 0, session 0, 16 zero bytes, then the end. */
  | { readonly type: "expired" }
  /** The end, without a frame: an electing server, one that is behind, a read-only one. */
  | { readonly type: "refuse" }
  | { readonly type: "reset" }
  | { readonly type: "silence" }
  /** The first bytes of an accepting frame, then silence or the end. */
  | { readonly type: "partial"; readonly bytes: number; readonly end?: boolean }
  /** The 16-byte frame {xid 0, zxid, err -119} in place of a connect response. */
  | { readonly type: "bogus"; readonly err?: number }
  /** Bytes as they are. */
  | { readonly type: "raw"; readonly bytes: Uint8Array }

/** How a request is answered. */
export type Answer =
  | {
    readonly type: "reply"
    readonly err?: number
    readonly body?: Uint8Array
    /** Default: the next zxid for writes, the last one for reads. */
    readonly zxid?: bigint
    /** A wrong one; default the request's. */
    readonly xid?: number
  }
  /** What the fake answers when nobody tells it otherwise. */
  | { readonly type: "default" }
  /** No answer, now or ever (or by hand, with `request.reply`). */
  | { readonly type: "silence" }
  /** A notification, before or after a reply. */
  | { readonly type: "event"; readonly event: number; readonly path: string; readonly zxid?: bigint }
  | { readonly type: "close" }
  | { readonly type: "reset" }
  /** A frame length and nothing behind it. */
  | { readonly type: "length"; readonly length: number }
  | { readonly type: "raw"; readonly bytes: Uint8Array }

/** A request as it came. */
export interface FakeRequest {
  /** Position among all requests of the fake server, from 0. */
  readonly index: number
  /** Which connection, counted from 1. */
  readonly connection: number
  readonly xid: number
  readonly op: number
  readonly name: OpName | `op${number}`
  readonly path: string | undefined
  /** The operations of a multi. */
  readonly ops: ReadonlyArray<SubOp>
  /** The body, after xid and op. */
  readonly payload: Buffer
  /** Answers it by hand. */
  readonly reply: (answer: Answer | ReadonlyArray<Answer>) => Effect.Effect<void>
}

export interface FakeConnect {
  /** Which connection, counted from 1. */
  readonly connection: number
  readonly request: ConnectRequest
}

type Answers = Answer | ReadonlyArray<Answer>

/** `undefined` means the default. An Effect answers when it is done, on the Clock that the fake was made with. */
export type RequestHandler = (request: FakeRequest) => Answers | undefined | Effect.Effect<Answers | undefined>
export type ConnectHandler = (
  connect: FakeConnect
) => ConnectAnswer | undefined | Effect.Effect<ConnectAnswer | undefined>

/** A reply without error. */
export const ok = (body?: Uint8Array): Answer => body === undefined ? { type: "reply" } : { type: "reply", body }

/** A reply with an error code. */
export const err = (code: number): Answer => ({ type: "reply", err: code })

const unimplemented = -6

const stat = () => writeStat(new JuteWriter(), makeStat())

const multiResults = (ops: ReadonlyArray<SubOp>): Buffer => {
  const w = new JuteWriter()
  for (const { op, path } of ops) {
    w.int(op).bool(false).int(0)
    if (createOps.includes(op)) w.ustring(path)
    if (op === Op.getData) w.buffer(Buffer.alloc(0))
    if (op === Op.getChildren) w.vector<string>([], (w, name) => w.ustring(name))
    if (createOps.includes(op) && op !== Op.create || op === Op.setData || op === Op.getData) writeStat(w, makeStat())
  }
  return w.int(-1).bool(true).int(-1).bytes()
}

/** Canned answers, enough for a client to live on: nodes exist, are empty, and have no children. */
export const defaultBody = (op: number, body: Uint8Array, counter: number): Buffer | number | undefined => {
  switch (op) {
    case Op.create:
    case Op.create2:
    case Op.createContainer:
    case Op.createTTL: {
      const { flags, path } = decodeCreate(body)
      const sequential = flags === 2 || flags === 3 || flags === 6
      const made = sequential ? `${path}${String(counter).padStart(10, "0")}` : path
      const w = new JuteWriter().ustring(made)
      return (op === Op.create ? w : writeStat(w, makeStat())).bytes()
    }
    case Op.exists:
    case Op.setData:
    case Op.setACL:
      return stat().bytes()
    case Op.getData:
      return writeStat(new JuteWriter().buffer(Buffer.alloc(0)), makeStat()).bytes()
    case Op.getACL: {
      const w = new JuteWriter()
      writeAcl(w, openAcl)
      return writeStat(w, makeStat()).bytes()
    }
    case Op.getChildren:
    case Op.getEphemerals:
      return new JuteWriter().int(0).bytes()
    case Op.getChildren2:
      return writeStat(new JuteWriter().int(0), makeStat()).bytes()
    case Op.getAllChildrenNumber:
      return new JuteWriter().int(0).bytes()
    case Op.whoAmI:
      return new JuteWriter().vector(["ip"], (w, scheme) => w.ustring(scheme).ustring("127.0.0.1")).bytes()
    case Op.sync:
      return new JuteWriter().ustring(new JuteReader(body).ustring()).bytes()
    case Op.multi:
    case Op.multiRead:
      return multiResults(decodeMulti(body))
    case Op.delete:
    case Op.check:
    case Op.ping:
    case Op.auth:
    case Op.setWatches:
    case Op.setWatches2:
    case Op.addWatch:
    case Op.removeWatches:
    case Op.checkWatches:
    case Op.closeSession:
      return undefined
    default:
      return unimplemented
  }
}

export const isWrite = (op: number): boolean =>
  createOps.includes(op) || op === Op.delete || op === Op.setData || op === Op.setACL || op === Op.multi ||
  op === Op.closeSession || op === Op.reconfig
