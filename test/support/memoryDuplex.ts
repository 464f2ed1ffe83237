import { Duplex } from "node:stream"

/**
 * One end of a connection in memory. It behaves like a connected net.Socket: what one end writes the other reads, ending
 * gives the other end 'end', destroying closes both ('close' on each), `resetAndDestroy` gives the other ECONNRESET.
 */
export class MemoryEnd extends Duplex {
  // What a client may ask of a socket.
  readonly remoteAddress = "127.0.0.1"
  readonly remotePort = 2181
  readonly connecting = false
  readonly pending = false
  #peer: MemoryEnd | undefined
  #unread: (() => void) | undefined

  constructor() {
    super({ allowHalfOpen: false, emitClose: true })
  }

  static pair(): [MemoryEnd, MemoryEnd] {
    const a = new MemoryEnd()
    const b = new MemoryEnd()
    a.#peer = b
    b.#peer = a
    return [a, b]
  }

  override _read(): void {
    const go = this.#unread
    this.#unread = undefined
    go?.()
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: (error?: Error | null) => void): void {
    const peer = this.#peer
    if (peer === undefined || peer.destroyed) {
      return callback(Object.assign(new Error("write EPIPE"), { code: "EPIPE" }))
    }
    // A copy: the writer may use its buffer again, as with a socket.
    if (peer.push(Buffer.from(chunk))) callback()
    else peer.#unread = () => callback()
  }

  override _final(callback: (error?: Error | null) => void): void {
    if (this.#peer?.destroyed === false) this.#peer.push(null)
    callback()
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    const peer = this.#peer
    this.#peer = undefined
    callback(error)
    // A writer that waits for this end to read would wait forever.
    this._read()
    if (peer === undefined || peer.destroyed) return
    // Not at once: nobody hears of the other end's end while still inside the call that ended it.
    process.nextTick(() => {
      if (!peer.destroyed && !peer.readableEnded) peer.push(null)
    })
  }

  destroySoon(): void {
    if (this.writableFinished) this.destroy()
    else this.end(() => this.destroy())
  }

  resetAndDestroy(): this {
    const peer = this.#peer
    this.destroy()
    process.nextTick(() => peer?.destroy(Object.assign(new Error("read ECONNRESET"), { code: "ECONNRESET" })))
    return this
  }

  setNoDelay(): this {
    return this
  }

  setKeepAlive(): this {
    return this
  }

  setTimeout(): this {
    return this
  }

  ref(): this {
    return this
  }

  unref(): this {
    return this
  }
}
