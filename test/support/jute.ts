/**
 * The rig's own jute codec. It shares nothing with the library's, so that each checks the other.
 */
export class JuteWriter {
  #buffer = Buffer.alloc(256)
  #size = 0

  #room(n: number): number {
    const at = this.#size
    if (at + n > this.#buffer.length) {
      const grown = Buffer.alloc(Math.max(this.#buffer.length * 2, at + n))
      this.#buffer.copy(grown, 0, 0, at)
      this.#buffer = grown
    }
    this.#size = at + n
    return at
  }

  int(n: number): this {
    const at = this.#room(4)
    this.#buffer.writeInt32BE(n, at)
    return this
  }

  long(n: bigint): this {
    const at = this.#room(8)
    this.#buffer.writeBigInt64BE(BigInt.asIntN(64, n), at)
    return this
  }

  bool(b: boolean): this {
    const at = this.#room(1)
    this.#buffer[at] = b ? 1 : 0
    return this
  }

  /** Bytes as they are, without a length before them. */
  raw(bytes: Uint8Array): this {
    const at = this.#room(bytes.length)
    this.#buffer.set(bytes, at)
    return this
  }

  buffer(bytes: Uint8Array | null): this {
    return bytes === null ? this.int(-1) : this.int(bytes.length).raw(bytes)
  }

  ustring(text: string | null): this {
    return this.buffer(text === null ? null : Buffer.from(text, "utf8"))
  }

  vector<A>(items: ReadonlyArray<A> | null, write: (writer: this, item: A) => void): this {
    if (items === null) return this.int(-1)
    this.int(items.length)
    for (const item of items) write(this, item)
    return this
  }

  bytes(): Buffer {
    return Buffer.from(this.#buffer.subarray(0, this.#size))
  }
}

export class JuteReader {
  readonly #bytes: Buffer
  #at: number

  constructor(bytes: Uint8Array, at = 0) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.#at = at
  }

  get remaining(): number {
    return this.#bytes.length - this.#at
  }

  #take(n: number): number {
    if (n > this.remaining) throw new RangeError(`jute: ${n} bytes wanted, ${this.remaining} left`)
    const at = this.#at
    this.#at += n
    return at
  }

  int(): number {
    return this.#bytes.readInt32BE(this.#take(4))
  }

  long(): bigint {
    return this.#bytes.readBigInt64BE(this.#take(8))
  }

  bool(): boolean {
    return this.#bytes[this.#take(1)] !== 0
  }

  buffer(): Buffer | null {
    const length = this.int()
    if (length < 0) return null
    const at = this.#take(length)
    return Buffer.from(this.#bytes.subarray(at, at + length))
  }

  ustring(): string | null {
    return this.buffer()?.toString("utf8") ?? null
  }

  vector<A>(read: (reader: this) => A): Array<A> | null {
    const length = this.int()
    if (length < 0) return null
    return Array.from({ length }, () => read(this))
  }

  rest(): Buffer {
    return Buffer.from(this.#bytes.subarray(this.#take(this.remaining)))
  }
}

/** Length, then payload. */
export const frame = (payload: Uint8Array): Buffer => new JuteWriter().buffer(payload).bytes()

/** Cuts a byte stream into frames (payloads without the length). */
export class FrameSplitter {
  #rest: Buffer = Buffer.alloc(0)

  /** Bytes of a frame that is not complete yet. */
  get pending(): Buffer {
    return this.#rest
  }

  push(chunk: Uint8Array): Array<Buffer> {
    this.#rest = this.#rest.length === 0 ? Buffer.from(chunk) : Buffer.concat([this.#rest, chunk])
    const frames: Array<Buffer> = []
    let at = 0
    while (this.#rest.length - at >= 4) {
      const length = this.#rest.readInt32BE(at)
      if (length < 0 || length > 64 * 1024 * 1024) throw new RangeError(`a frame of ${length} bytes`)
      if (this.#rest.length - at - 4 < length) break
      frames.push(Buffer.from(this.#rest.subarray(at + 4, at + 4 + length)))
      at += 4 + length
    }
    this.#rest = this.#rest.subarray(at)
    return frames
  }
}
