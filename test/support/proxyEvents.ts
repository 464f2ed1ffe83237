import {
  type ConnectResponse,
  decodeConnectResponse,
  decodeEvent,
  decodeReply,
  describeRequest,
  Op,
  type OpName,
  opName,
  type SubOp
} from "./records.ts"

export type Direction = "toServer" | "toClient"

/** What kind of frame it is: by its place on the connection, and by its xid. */
export type FrameKind = "connect" | "request" | "ping" | "connected" | "reply" | "pong" | "event"

/** One frame that reached the proxy. `op` and `path` of a reply are those of its request. */
export interface Frame {
  readonly type: "frame"
  /** Position among all network events that count (see `NetworkEvent`); -1 for pings, which come when they like. */
  readonly index: number
  /** Which connection, counted from 1. */
  readonly connection: number
  readonly direction: Direction
  /** Which frame of its connection and direction, counted from 1. */
  readonly nth: number
  readonly kind: FrameKind
  readonly xid: number | undefined
  readonly op: OpName | `op${number}` | undefined
  readonly path: string | undefined
  /** The operations of a multi. */
  readonly ops: ReadonlyArray<SubOp>
  /** Error code of a reply. */
  readonly err: number | undefined
  /** What a connected frame says of the session. */
  readonly session?: ConnectResponse | undefined
  readonly size: number
}

/** A connection was accepted, or is gone. */
export interface ConnectionEvent {
  readonly type: "open" | "close"
  readonly index: number
  readonly connection: number
}

/**
 * What happens on the network, in order. Opened connections and frames other than pings are counted from 0, so that a
 * scenario that is run again meets the same numbers; closed connections and pings have -1.
 */
export type NetworkEvent = Frame | ConnectionEvent

export interface Described {
  readonly kind: FrameKind
  readonly xid: number | undefined
  readonly op: Frame["op"]
  readonly path: string | undefined
  readonly ops: ReadonlyArray<SubOp>
  readonly err: number | undefined
  readonly session?: ConnectResponse | undefined
}

const nothing = { xid: undefined, op: undefined, path: undefined, ops: [], err: undefined } as const

/** Understands the frames of one connection; remembers requests to know what replies answer. */
export interface FrameReader {
  toServer(payload: Buffer): Described
  toClient(payload: Buffer): Described
}

/** Nothing for what is no answer to a connect request. */
const readSession = (payload: Buffer): ConnectResponse | undefined => {
  try {
    return decodeConnectResponse(payload)
  } catch {
    return undefined
  }
}

export const makeFrameReader = (): FrameReader => {
  let seenRequest = false
  let seenReply = false
  const pending: Array<Described> = []
  return {
    toServer: (payload) => {
      if (!seenRequest) {
        seenRequest = true
        return { ...nothing, kind: "connect" }
      }
      if (payload.length < 8) return { ...nothing, kind: "request" }
      const xid = payload.readInt32BE(0)
      const op = payload.readInt32BE(4)
      const described: Described = {
        ...nothing,
        kind: op === Op.ping ? "ping" : "request",
        xid,
        op: opName(op),
        ...describeRequest(op, payload.subarray(8))
      }
      pending.push(described)
      return described
    },
    toClient: (payload) => {
      if (!seenReply) {
        seenReply = true
        return { ...nothing, kind: "connected", session: readSession(payload) }
      }
      if (payload.length < 16) return { ...nothing, kind: "reply" }
      const { body, err, xid } = decodeReply(payload)
      if (xid === -1) return { ...nothing, kind: "event", xid, path: decodeEvent(body).path }
      // Answers to auth overtake others, so the first pending request is not always the one.
      const at = pending.findIndex((request) => request.xid === xid)
      const request = at < 0 ? undefined : pending.splice(at, 1)[0]
      return {
        kind: request?.kind === "ping" || xid === -2 ? "pong" : "reply",
        xid,
        op: request?.op,
        path: request?.path,
        ops: request?.ops ?? [],
        err
      }
    }
  }
}

export const isPing = (kind: FrameKind): boolean => kind === "ping" || kind === "pong"

export const showEvent = (event: NetworkEvent): string =>
  event.type !== "frame"
    ? `#${event.index} connection ${event.connection} ${event.type}`
    : [
      `#${event.index} connection ${event.connection} ${event.direction} ${event.nth}: ${event.kind}`,
      event.op,
      event.path ??
        (event.ops.length > 0 ? event.ops.map((sub) => `${opName(sub.op)} ${sub.path}`).join(", ") : undefined),
      event.xid === undefined ? undefined : `xid ${event.xid}`,
      event.err ? `err ${event.err}` : undefined
    ].filter((part) => part !== undefined).join(" ")
