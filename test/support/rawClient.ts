import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { connect, type Socket } from "node:net"
import { frame, FrameSplitter, JuteReader, JuteWriter } from "./jute.ts"
import {
  type ConnectResponse,
  decodeConnectResponse,
  decodeEvent,
  decodeReply,
  encodeConnectRequest,
  encodeCreate,
  Op,
  readStat,
  type Stat,
  type WatcherEvent
} from "./records.ts"
import { attempt, type RigError, rigError } from "./rigError.ts"
import { patience } from "./wait.ts"

// The least client there can be, with the rig's own codec: to prove the rig without the library, and to look at a
// server from outside in the library's tests. One connection, which dies once.

export interface RawOptions {
  readonly host?: string | undefined
  readonly port: number
  /** Milliseconds; default 10 000. */
  readonly timeout?: number | undefined
  readonly sessionId?: bigint | undefined
  readonly password?: Uint8Array | undefined
  readonly lastZxid?: bigint | undefined
  readonly readOnly?: boolean | undefined
}

export interface RawReply {
  readonly xid: number
  readonly zxid: bigint
  readonly err: number
  readonly body: Buffer
}

export interface RawClient {
  readonly sessionId: bigint
  readonly password: Uint8Array
  /** Negotiated. */
  readonly timeout: number
  readonly handshake: ConnectResponse
  /** Notifications so far. */
  readonly watchEvents: ReadonlyArray<WatcherEvent>
  /** Fails when the connection ends before the answer, and after 10 s. Error codes of the server are no failures. */
  readonly request: (op: number, body?: Uint8Array) => Effect.Effect<RawReply, RigError>
  /** Gives the path made; fails on an error code. */
  readonly create: (path: string, data?: string | Uint8Array | null, flags?: number) => Effect.Effect<string, RigError>
  readonly getData: (path: string, watch?: boolean) => Effect.Effect<{ data: Buffer | null; stat: Stat }, RigError>
  readonly exists: (path: string, watch?: boolean) => Effect.Effect<Stat | undefined, RigError>
  readonly getChildren: (path: string) => Effect.Effect<ReadonlyArray<string>, RigError>
  readonly setData: (path: string, data: string) => Effect.Effect<void, RigError>
  readonly delete: (path: string) => Effect.Effect<void, RigError>
  /** Ends the session: its ephemeral nodes go. */
  readonly closeSession: Effect.Effect<void, RigError>
  /** Ends the connection and leaves the session. */
  readonly disconnect: Effect.Effect<void>
  /** Waits until the connection is over, whoever ended it. */
  readonly closed: Effect.Effect<void>
  /** Bytes as they are. */
  readonly write: (bytes: Uint8Array) => Effect.Effect<void>
}

interface Waiting {
  readonly resolve: (reply: RawReply) => void
  readonly reject: (cause: RigError) => void
}

class RawConnection {
  readonly socket: Socket
  readonly watchEvents: Array<WatcherEvent> = []
  readonly closed: Promise<void>
  readonly #splitter = new FrameSplitter()
  readonly #waiting = new Map<number, Waiting>()
  #handshake: { resolve: (bytes: Buffer) => void; reject: (cause: RigError) => void } | undefined
  #xid = 0

  constructor(socket: Socket) {
    this.socket = socket
    socket.on("data", (chunk) => {
      for (const payload of this.#splitter.push(chunk)) this.#receive(payload)
    })
    socket.on("error", () => {})
    this.closed = new Promise((resolve) =>
      socket.on("close", () => {
        const over = rigError("the connection ended before the answer")
        this.#handshake?.reject(over)
        for (const waiting of this.#waiting.values()) waiting.reject(over)
        resolve()
      })
    )
  }

  #receive(payload: Buffer) {
    const handshake = this.#handshake
    if (handshake !== undefined) {
      this.#handshake = undefined
      return handshake.resolve(payload)
    }
    const reply = decodeReply(payload)
    if (reply.xid === -1) return void this.watchEvents.push(decodeEvent(reply.body))
    this.#waiting.get(reply.xid)?.resolve(reply)
    this.#waiting.delete(reply.xid)
  }

  shakeHands(options: RawOptions): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      this.#handshake = { resolve, reject }
      this.socket.write(frame(encodeConnectRequest({
        protocolVersion: 0,
        lastZxidSeen: options.lastZxid ?? BigInt(0),
        timeout: options.timeout ?? 10_000,
        sessionId: options.sessionId ?? BigInt(0),
        password: options.password ?? Buffer.alloc(16),
        readOnly: options.readOnly ?? false
      })))
    })
  }

  request(op: number, body: Uint8Array = Buffer.alloc(0)): Promise<RawReply> {
    const xid = op === Op.ping ? -2 : op === Op.auth ? -4 : ++this.#xid
    return new Promise((resolve, reject) => {
      if (this.socket.destroyed) return reject(rigError("the connection is over"))
      this.#waiting.set(xid, { resolve, reject })
      this.socket.write(frame(new JuteWriter().int(xid).int(op).raw(body).bytes()))
    })
  }
}

const bounded = <A>(what: string, run: () => Promise<A>): Effect.Effect<A, RigError> =>
  attempt(what, (signal) =>
    new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(rigError(`${what}: no answer within 10 s`)), 10_000 * patience)
      signal.addEventListener("abort", () => clearTimeout(timer))
      run().then(resolve, reject).finally(() => clearTimeout(timer))
    }))

const pathAnd = (path: string) => new JuteWriter().ustring(path)

/** Connects and shakes hands. An expired session is a failure. The connection ends with the scope; the session doesn't. */
export const connectRaw = (options: RawOptions): Effect.Effect<RawClient, RigError, Scope.Scope> =>
  Effect.gen(function*() {
    const connection = yield* Effect.acquireRelease(
      Effect.sync(() =>
        new RawConnection(connect({ port: options.port, host: options.host ?? "127.0.0.1", noDelay: true }))
      ),
      (connection) => Effect.sync(() => connection.socket.destroy())
    )
    const handshake = decodeConnectResponse(yield* bounded("handshake", () => connection.shakeHands(options)))
    if (handshake.timeout <= 0) return yield* rigError("the session has expired")

    const request = (op: number, body?: Uint8Array) => bounded(`op ${op}`, () => connection.request(op, body))
    const succeed = (what: string, op: number, body?: Uint8Array) =>
      Effect.flatMap(
        request(op, body),
        (reply) =>
          reply.err === 0 ? Effect.succeed(new JuteReader(reply.body)) : Effect.fail(rigError(`${what}: ${reply.err}`))
      )

    const client: RawClient = {
      sessionId: handshake.sessionId,
      password: handshake.password,
      timeout: handshake.timeout,
      handshake,
      watchEvents: connection.watchEvents,
      request,
      create: (path, data = null, flags = 0) =>
        Effect.map(succeed(`create ${path}`, Op.create, encodeCreate(path, data, flags)), (r) => r.ustring() ?? ""),
      getData: (path, watch = false) =>
        Effect.map(succeed(`getData ${path}`, Op.getData, pathAnd(path).bool(watch).bytes()), (r) => ({
          data: r.buffer(),
          stat: readStat(r)
        })),
      exists: (path, watch = false) =>
        Effect.flatMap(request(Op.exists, pathAnd(path).bool(watch).bytes()), ({ body, err }) =>
          err === 0
            ? Effect.succeed(readStat(new JuteReader(body)))
            : err === -101
            ? Effect.succeed(undefined)
            : Effect.fail(rigError(`exists ${path}: ${err}`))),
      getChildren: (path) =>
        Effect.map(
          succeed(`getChildren ${path}`, Op.getChildren, pathAnd(path).bool(false).bytes()),
          (r) => r.vector((r) => r.ustring() ?? "") ?? []
        ),
      setData: (path, data) =>
        Effect.asVoid(succeed(`setData ${path}`, Op.setData, pathAnd(path).buffer(Buffer.from(data)).int(-1).bytes())),
      delete: (path) => Effect.asVoid(succeed(`delete ${path}`, Op.delete, pathAnd(path).int(-1).bytes())),
      closeSession: Effect.andThen(
        request(Op.closeSession),
        Effect.sync(() => void connection.socket.destroy())
      ),
      disconnect: Effect.sync(() => void connection.socket.destroy()),
      closed: Effect.promise(() => connection.closed),
      write: (bytes) => Effect.sync(() => void connection.socket.write(bytes))
    }
    return client
  })
