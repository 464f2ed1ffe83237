import { connect, type Socket } from "node:net"
import { type BenchClient, type OperationName, payload, pipeline, sessionTimeout, type Target } from "../client.ts"

// The floor: what it costs in Node to write these frames and to read their answers in full, and nothing else. No
// session, no errors, no watches, no time limits. Written apart from the library's codec on purpose: a codec that
// becomes slow must not hide by making the floor rise with it.

const opCodes = { getData: 4, setData: 5 }
const writeSize = 64 * 1024

interface Waiter {
  readonly xid: number
  readonly operation: OperationName
  readonly done: (error: unknown) => void
}

const connectRequest = (): Buffer => {
  const frame = Buffer.alloc(4 + 45)
  frame.writeInt32BE(45, 0)
  frame.writeInt32BE(sessionTimeout, 4 + 12)
  frame.writeInt32BE(16, 4 + 24)
  return frame
}

const ping = Buffer.from("00000008fffffffe0000000b", "hex")

const readStat = (bytes: Buffer, at: number): object => ({
  czxid: bytes.readBigInt64BE(at),
  mzxid: bytes.readBigInt64BE(at + 8),
  ctime: bytes.readBigInt64BE(at + 16),
  mtime: bytes.readBigInt64BE(at + 24),
  version: bytes.readInt32BE(at + 32),
  cversion: bytes.readInt32BE(at + 36),
  aversion: bytes.readInt32BE(at + 40),
  ephemeralOwner: bytes.readBigInt64BE(at + 44),
  dataLength: bytes.readInt32BE(at + 52),
  numChildren: bytes.readInt32BE(at + 56),
  pzxid: bytes.readBigInt64BE(at + 60)
})

class BareLoop {
  private readonly socket: Socket
  private readonly path: string
  private waiters: Array<Waiter> = []
  private answered = 0
  private xid = 0
  private out = Buffer.allocUnsafe(writeSize)
  private begin = 0
  private end = 0
  private flushing = false
  private rest: Buffer | undefined
  /** The last answer, so that reading it is not for nothing. */
  result: object | undefined

  constructor(socket: Socket, path: string) {
    this.socket = socket
    this.path = path
    socket.on("data", (chunk) => this.onData(chunk))
  }

  private readonly flush = (): void => {
    this.flushing = false
    this.socket.write(this.out.subarray(this.begin, this.end))
    this.begin = this.end
  }

  readonly start = (operation: OperationName, done: (error: unknown) => void): void => {
    const xid = ++this.xid
    this.waiters.push({ xid, operation, done })
    this.encode(xid, operation)
    if (this.flushing) return
    this.flushing = true
    queueMicrotask(this.flush)
  }

  private encode(xid: number, operation: OperationName): void {
    const most = 64 + this.path.length * 3 + payload.length
    if (this.end + most > this.out.length) {
      if (this.end > this.begin) this.socket.write(this.out.subarray(this.begin, this.end))
      this.out = Buffer.allocUnsafe(writeSize)
      this.begin = 0
      this.end = 0
    }
    const out = this.out
    const frame = this.end
    out.writeInt32BE(xid, frame + 4)
    out.writeInt32BE(opCodes[operation], frame + 8)
    const length = out.write(this.path, frame + 16)
    out.writeInt32BE(length, frame + 12)
    let at = frame + 16 + length
    if (operation === "getData") {
      out[at++] = 0
    } else {
      out.writeInt32BE(payload.length, at)
      payload.copy(out, at + 4)
      out.writeInt32BE(-1, at + 4 + payload.length)
      at += 8 + payload.length
    }
    out.writeInt32BE(at - frame - 4, frame)
    this.end = at
  }

  private onData(chunk: Buffer): void {
    const bytes = this.rest === undefined ? chunk : Buffer.concat([this.rest, chunk])
    let at = 0
    while (bytes.length - at >= 4) {
      const end = at + 4 + bytes.readInt32BE(at)
      if (end > bytes.length) break
      this.onFrame(bytes, at + 4)
      at = end
    }
    this.rest = at === bytes.length ? undefined : bytes.subarray(at)
  }

  private onFrame(bytes: Buffer, at: number): void {
    const xid = bytes.readInt32BE(at)
    if (xid < 0) return
    const waiter = this.waiters[this.answered++]
    if (this.answered === this.waiters.length) {
      this.waiters = []
      this.answered = 0
    } else if (this.answered === 4096) {
      this.waiters = this.waiters.slice(this.answered)
      this.answered = 0
    }
    if (waiter === undefined || waiter.xid !== xid) throw new Error(`an answer to ${xid} that nobody waits for`)
    const code = bytes.readInt32BE(at + 12)
    if (code !== 0) return waiter.done(new Error(`code ${code}`))
    if (waiter.operation === "getData") {
      const length = bytes.readInt32BE(at + 16)
      const data = Uint8Array.prototype.slice.call(bytes, at + 20, at + 20 + length)
      this.result = { data, stat: readStat(bytes, at + 20 + length) }
    } else {
      this.result = readStat(bytes, at + 16)
    }
    waiter.done(undefined)
  }
}

export const connectBareLoop = async ({ host, path, port }: Target): Promise<BenchClient> => {
  const socket = connect({ host, port, noDelay: true })
  socket.write(connectRequest())
  await new Promise((resolve, reject) => socket.once("data", resolve).once("error", reject))
  const loop = new BareLoop(socket, path)
  const pinging = setInterval(() => socket.write(ping), sessionTimeout / 3)
  return {
    run: (operation, inFlight, count) => pipeline(inFlight, count, (done) => loop.start(operation, done)),
    close: async () => {
      clearInterval(pinging)
      socket.destroy()
    }
  }
}
