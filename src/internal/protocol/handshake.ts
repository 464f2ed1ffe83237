/** Records outside the request and answer scheme: the handshake, headers, pings, credentials, watch events. */
import { Op, Xid } from "./constants.ts"
import { JuteError } from "./reader.ts"
import type { Reader } from "./reader.ts"
import type { Request } from "./requests.ts"
import { encodeFrame } from "./writer.ts"
import type { Writer } from "./writer.ts"

export interface ConnectRequest {
  readonly lastZxid: bigint
  /** Milliseconds. */
  readonly timeout: number
  /** 0 asks for a new session. */
  readonly sessionId: bigint
  readonly password: Uint8Array
  readonly readOnly: boolean
}

const protocolVersion = 0

/** The password of a session that does not exist yet. */
export const emptyPassword: Uint8Array = new Uint8Array(16)

export const encodeConnectRequest = (request: ConnectRequest): Buffer =>
  encodeFrame((writer) => {
    writer.int(protocolVersion)
    writer.long(request.lastZxid)
    writer.int(request.timeout)
    writer.long(request.sessionId)
    writer.buffer(request.password)
    // Not optional: servers 3.9.0 to 3.9.2 fail on requests without it.
    writer.boolean(request.readOnly)
  })

export interface ConnectResponse {
  /** The negotiated session timeout in milliseconds; 0 where the session is expired. */
  readonly timeout: number
  readonly sessionId: bigint
  readonly password: Uint8Array
  readonly readOnly: boolean
}

/** A response without the last byte, from servers before 3.4, is 36 bytes long. */
const shortestConnectResponse = 36

export const decodeConnectResponse = (reader: Reader): ConnectResponse => {
  if (reader.remaining() < shortestConnectResponse) {
    // A server in read-only mode without local sessions answers with a bare reply header.
    throw new JuteError(`a frame of ${reader.remaining()} bytes in place of a ConnectResponse`)
  }
  reader.int()
  const timeout = reader.int()
  const sessionId = reader.long()
  // In memory of its own: what `buffer` gives shares its memory with the data of nodes.
  const password = Uint8Array.from(reader.buffer() ?? emptyPassword)
  const readOnly = reader.remaining() > 0 && reader.boolean()
  return { timeout, sessionId, password, readOnly }
}

export const encodeRequest = (writer: Writer, xid: number, request: Request): void => {
  writer.beginFrame()
  writer.int(xid)
  writer.int(request.op)
  request.encode(writer)
  writer.endFrame()
}

export const pingFrame: Buffer = encodeFrame((writer) => {
  writer.int(Xid.ping)
  writer.int(Op.ping)
})

export const encodeAuth = (scheme: string, credential: Uint8Array): Buffer =>
  encodeFrame((writer) => {
    writer.int(Xid.auth)
    writer.int(Op.auth)
    writer.int(0)
    writer.string(scheme)
    writer.buffer(credential)
  })

export interface ReplyHeader {
  readonly xid: number
  readonly zxid: bigint
  readonly code: number
}

export const decodeReplyHeader = (reader: Reader): ReplyHeader => ({
  xid: reader.int(),
  zxid: reader.long(),
  code: reader.int()
})

export interface WatcherEvent {
  readonly type: number
  readonly path: string
}

export const decodeWatcherEvent = (reader: Reader): WatcherEvent => {
  const type = reader.int()
  reader.int()
  return { type, path: reader.string() }
}
