/**
 * One connection to one server: it carries requests, and dies once. What outlives it (the session, its watches and
 * credentials, requests that were not answered) is the session's affair.
 */
import type { Duplex } from "node:stream"
import * as ZkError from "../../ZkError.ts"
import { internalOperation } from "../operation.ts"
import { Code, Op, Xid } from "../protocol/constants.ts"
import { FrameLengthError, FrameParser } from "../protocol/frames.ts"
import {
  decodeConnectResponse,
  decodeWatcherEvent,
  encodeAuth,
  encodeConnectRequest,
  encodeRequest,
  pingFrame
} from "../protocol/handshake.ts"
import type { ConnectRequest, ConnectResponse, WatcherEvent } from "../protocol/handshake.ts"
import { JuteError } from "../protocol/reader.ts"
import type { Reader } from "../protocol/reader.ts"
import { Writer } from "../protocol/writer.ts"
import type { SessionClock } from "./clock.ts"
import { connectionLoss, operationTimeout, RequestQueue, sessionExpired } from "./pending.ts"
import type { Failure, Pending } from "./pending.ts"
import type { Zxid } from "./zxid.ts"

/** Why a connection died. */
export interface Death {
  readonly reason:
    | "closed" // by the server, or by what lies between
    | "silent" // nothing heard for two thirds of the session timeout
    | "protocol" // the server said something that makes no sense
    | "auth" // credentials were refused
    | "dropped" // by ourselves
  readonly message: string
}

export interface ConnectionEvents {
  readonly onConnectResponse: (response: ConnectResponse) => void
  readonly onWatcherEvent: (event: WatcherEvent, zxid: bigint) => void
  /** A ping has been answered: the next may be sent. */
  readonly onPong: () => void
  /** There is room for more requests. */
  readonly onRoom: () => void
  /** The server does not know an operation. */
  readonly onUnknownOp: (op: number) => void
  /** Called once, when everything that this connection still owed has been handed to `unanswered`. */
  readonly onDeath: (death: Death, unanswered: Array<Pending>) => void
}

export interface ConnectionOptions {
  readonly socket: Duplex
  readonly server: string
  readonly clock: SessionClock
  readonly zxid: Zxid
  readonly maxInFlight: number
  readonly maxResponseSize: number
  readonly firstXid: number
  readonly events: ConnectionEvents
}

/** Many small frames make one write, but large ones are not gathered without end. */
const largestWrite = 256 * 1024

export class Connection {
  readonly server: string
  private readonly options: ConnectionOptions
  private readonly socket: Duplex
  private readonly clock: SessionClock
  private readonly parser: FrameParser
  private readonly writer = new Writer()
  private readonly inFlight = new RequestQueue()
  private readonly authWaiters: Array<(code: number) => void> = []
  private xid: number
  private handshaken = false
  private blocked = false
  private pingSent = false
  private sessionId = 0n
  private readTimeout = Infinity
  death: Death | undefined
  /** When the server was last heard, and when something was last written to it. */
  lastHeard: number
  lastSent: number
  /** From when on the newest write that was answered proves that the leader knows the session. */
  committedAt = -Infinity
  /** The longest of our silences that were too long, and when the last of them ended. */
  private silence = 0
  private silenceAt = -Infinity
  pings = 0

  constructor(options: ConnectionOptions) {
    this.options = options
    this.server = options.server
    this.socket = options.socket
    this.clock = options.clock
    this.xid = options.firstXid
    this.lastHeard = this.clock.now()
    this.lastSent = this.lastHeard
    this.parser = new FrameParser(options.maxResponseSize, this.onFrame)
    const socket = this.socket
    socket.on("data", this.onData)
    socket.on("error", this.onError)
    socket.on("end", this.onEnd)
    socket.on("close", this.onEnd)
    socket.on("drain", this.onDrain)
    if (socket.destroyed) this.onEnd()
  }

  get inFlightCount(): number {
    return this.inFlight.size
  }

  /** When the server will have been silent for too long, should it stay so. */
  silentAt(): number {
    return this.lastHeard + this.readTimeout
  }

  get isPingDue(): boolean {
    return !this.pingSent
  }

  /**
   * Fails requests that were asked for at `before` or earlier; their places are kept for the answers. Gives the time at
   * which the oldest of the others was asked for.
   */
  failOverdue(before: number, timeout: number): number | undefined {
    for (const pending of this.inFlight) {
      // The session's own overtake others and are younger; they have no time of their own.
      if (pending.settled || pending.operation === internalOperation) continue
      if (pending.since > before) return pending.since
      pending.failWith(operationTimeout(timeout))
    }
    return undefined
  }

  failAll(failure: Failure): void {
    for (const pending of this.inFlight) pending.failWith(failure)
  }

  /** The session that it is for, and how long the server may be silent from now on, in milliseconds. */
  carry(sessionId: bigint, readTimeout: number): void {
    this.sessionId = sessionId
    this.readTimeout = readTimeout
  }

  // -- writing --------------------------------------------------------------------------------------------------------

  connect(request: ConnectRequest): void {
    this.writeNow(encodeConnectRequest(request))
  }

  /** Sends credentials, overtaking requests that wait. They are answered apart from these, in their own order. */
  authenticate(scheme: string, credential: Uint8Array, onAnswer: (code: number) => void): void {
    this.authWaiters.push(onAnswer)
    this.writeNow(encodeAuth(scheme, credential))
  }

  /** At most one ping is under way; the read timeout is what notices that it is not answered. */
  ping(): void {
    if (this.pingSent || this.death !== undefined) return
    this.pingSent = true
    this.pings++
    this.writeNow(pingFrame)
  }

  /**
   * By how much we have lately been silent for longer than a sixth of the session timeout, as when a ping is not answered
   * for long. A follower tells its leader only now and then whom it has heard: what a write proves, it proves from as much
   * earlier on.
   */
  private excessSilence(now: number): number {
    const sixth = this.readTimeout / 4
    const silence = now - this.lastSent
    // A quarter of the session timeout: half a tick at the most.
    if (now - this.silenceAt > sixth * 1.5) this.silence = 0
    if (silence > sixth) {
      this.silence = Math.max(this.silence, silence)
      this.silenceAt = now
    }
    return Math.max(0, this.silence - sixth)
  }

  /** Takes requests out of a queue and writes them, as many as there is room for. */
  pump(queue: RequestQueue): void {
    if (this.death !== undefined || queue.size === 0) return
    // Before anything counts as written: after a standstill, requests that waited have to wait on.
    const now = this.checkSilence()
    if (now === undefined) return
    const countsFrom = now - this.excessSilence(now)
    while (this.death === undefined && !this.blocked && this.inFlight.size < this.options.maxInFlight) {
      const pending = queue.shift()
      if (pending === undefined) break
      this.encode(pending, countsFrom)
      if (this.writer.size() > largestWrite) this.flush()
    }
    this.flush()
  }

  private encode(pending: Pending, countsFrom: number): void {
    pending.options.onWrite?.()
    pending.written = true
    pending.countsFrom = countsFrom
    const { op } = pending.request
    pending.xid = op === Op.setWatches || op === Op.setWatches2 ? Xid.setWatches : this.nextXid()
    this.inFlight.push(pending)
    encodeRequest(this.writer, pending.xid, pending.request)
  }

  private nextXid(): number {
    const xid = this.xid
    this.xid = xid === Xid.max ? 1 : xid + 1
    return xid
  }

  private flush(): void {
    if (this.writer.size() > 0) this.writeNow(this.writer.take())
  }

  private writeNow(bytes: Buffer): void {
    if (this.death !== undefined) return
    const now = this.checkSilence()
    if (now === undefined) return
    this.excessSilence(now)
    this.lastSent = now
    if (!this.socket.write(bytes)) this.blocked = true
  }

  private readonly onDrain = (): void => {
    this.blocked = false
    if (this.death === undefined) this.options.events.onRoom()
  }

  // -- time -----------------------------------------------------------------------------------------------------------

  /**
   * Declares the connection dead when the server has been silent for too long, also when that is found out late, after
   * the process or the machine stood still: nothing is then written to a session that others take for dead, nor are
   * bytes believed that had been waiting all the time. Gives the time otherwise.
   */
  checkSilence(): number | undefined {
    const now = this.clock.nowAfterSleep()
    if (now - this.lastHeard <= this.readTimeout) return now
    this.die({ reason: "silent", message: `${this.server} was silent for ${Math.round(now - this.lastHeard)} ms` })
    return undefined
  }

  // -- reading --------------------------------------------------------------------------------------------------------

  private readonly onData = (chunk: Buffer): void => {
    if (this.death !== undefined) return
    const now = this.checkSilence()
    if (now === undefined) return
    this.lastHeard = now
    try {
      this.parser.push(chunk)
    } catch (error) {
      this.onGarbage(error)
    }
    if (this.death === undefined && this.handshaken) this.options.events.onRoom()
  }

  private onGarbage(error: unknown): void {
    if (error instanceof FrameLengthError) {
      // A server announces such a length in the answer to the oldest request, which must not be asked for again.
      if (error.length > 0 && this.handshaken) {
        const { length: size, limit } = error
        this.inFlight.peek()?.failWith(({ operation, path }) =>
          new ZkError.ResponseTooLarge({ operation, path, size, limit })
        )
      }
      this.die({ reason: "protocol", message: `${this.server}: ${error.message}` })
    } else if (error instanceof JuteError) {
      this.die({ reason: "protocol", message: `${this.server} sent a frame that cannot be read: ${error.message}` })
    } else {
      throw error
    }
  }

  private readonly onFrame = (frame: Reader): void => {
    if (!this.handshaken) {
      const response = decodeConnectResponse(frame)
      this.handshaken = true
      this.options.events.onConnectResponse(response)
      return
    }
    const xid = frame.int()
    const zxidAt = frame.position
    const high = frame.int()
    const low = frame.int()
    const code = frame.int()
    switch (xid) {
      case Xid.notification: {
        const zxid = (BigInt(high) << 32n) | BigInt(low >>> 0)
        this.options.events.onWatcherEvent(decodeWatcherEvent(frame), zxid)
        return
      }
      case Xid.ping: {
        this.pingSent = false
        this.options.events.onPong()
        return
      }
      case Xid.auth: {
        this.authWaiters.shift()?.(code)
        return
      }
    }
    const pending = this.inFlight.peek()
    if (pending === undefined || pending.xid !== xid) {
      const expected = pending === undefined ? "none" : String(pending.xid)
      this.die({ reason: "protocol", message: `${this.server} answered request ${xid}, expected was ${expected}` })
      return
    }
    this.inFlight.shift()
    // Not from notifications, pings, and answers made before a transaction was looked at.
    if (xid > 0) this.options.zxid.observe(high, low)
    const { onAnswer } = pending.options
    if (onAnswer !== undefined) {
      const body = frame.position
      frame.position = zxidAt
      const zxid = frame.long()
      frame.position = body
      onAnswer(code, zxid)
    }
    if (code === Code.sessionExpired) {
      // The leader's word, ahead of the connection's end: the request was refused.
      pending.written = false
      pending.failWith(sessionExpired(this.sessionId))
      return
    }
    if (code !== Code.ok) {
      if (code === Code.unimplemented) this.options.events.onUnknownOp(pending.request.op)
      pending.answerCode(code)
      return
    }
    const isCommitted = !pending.request.isRead && pending.operation !== internalOperation
    if (isCommitted && pending.countsFrom > this.committedAt) this.committedAt = pending.countsFrom
    if (pending.settled) return
    try {
      pending.answer(frame)
    } catch (error) {
      if (!(error instanceof JuteError)) throw error
      // A write that was answered was applied; what it gave is lost, as it is when the answer is.
      if (!pending.request.isRead) pending.failWith(connectionLoss(`an answer that cannot be read: ${error.message}`))
      else pending.failWith(({ operation, path }) => new ZkError.MarshallingError({ operation, path }))
      throw error
    }
  }

  private readonly onError = (error: Error): void => {
    this.die({ reason: "closed", message: `${this.server}: ${error.message}` })
  }

  private readonly onEnd = (): void => {
    this.die({ reason: "closed", message: `${this.server} closed the connection` })
  }

  // -- death ----------------------------------------------------------------------------------------------------------

  die(death: Death): void {
    if (this.death !== undefined) return
    this.death = death
    this.parser.stop()
    const socket = this.socket
    socket.off("data", this.onData)
    socket.off("end", this.onEnd)
    socket.off("close", this.onEnd)
    socket.off("drain", this.onDrain)
    // The listener for errors stays: an error after the end must not bring the process down.
    socket.destroy()
    this.authWaiters.length = 0
    this.options.events.onDeath(death, this.inFlight.drain())
  }
}
