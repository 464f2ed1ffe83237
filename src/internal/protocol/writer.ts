/** Writes jute (see reader.ts) into buffers that go to the socket as they are. */

const chunkSize = 64 * 1024
/** Above this length a native UTF-8 encoder beats a loop over character codes. */
const longestLoop = 64

/**
 * Collects frames until they are taken. Bytes that were taken are never written again, so that a socket may hold them
 * for as long as it likes; what is left of a buffer serves the next frames.
 */
export class Writer {
  private bytes: Buffer = Buffer.allocUnsafe(chunkSize)
  private taken = 0
  private position = 0
  private frame = 0

  /** The bytes not yet taken. */
  size(): number {
    return this.position - this.taken
  }

  take(): Buffer {
    const bytes = this.bytes.subarray(this.taken, this.position)
    this.taken = this.position
    return bytes
  }

  private reserve(length: number): number {
    const position = this.position
    if (position + length > this.bytes.length) this.grow(length)
    return this.position
  }

  private grow(length: number): void {
    const kept = this.position - this.taken
    const bytes = Buffer.allocUnsafe(Math.max(chunkSize, (kept + length) * 2))
    this.bytes.copy(bytes, 0, this.taken, this.position)
    this.bytes = bytes
    this.frame -= this.taken
    this.position = kept
    this.taken = 0
  }

  /** Starts a frame: its length is filled in by {@link endFrame}. */
  beginFrame(): void {
    const at = this.reserve(4)
    this.frame = at
    this.position = at + 4
  }

  endFrame(): void {
    this.bytes.writeInt32BE(this.position - this.frame - 4, this.frame)
  }

  /** Forgets the frame begun last, and says how long it had become. */
  dropFrame(): number {
    const length = this.position - this.frame - 4
    this.position = this.frame
    return length
  }

  int(value: number): void {
    const at = this.reserve(4)
    const bytes = this.bytes
    bytes[at] = value >>> 24
    bytes[at + 1] = value >>> 16
    bytes[at + 2] = value >>> 8
    bytes[at + 3] = value
    this.position = at + 4
  }

  long(value: bigint): void {
    const at = this.reserve(8)
    this.bytes.writeBigInt64BE(BigInt.asIntN(64, value), at)
    this.position = at + 8
  }

  boolean(value: boolean): void {
    const at = this.reserve(1)
    this.bytes[at] = value ? 1 : 0
    this.position = at + 1
  }

  string(value: string | null): void {
    if (value === null) return this.int(-1)
    const length = value.length
    const at = this.reserve(4 + length * 3)
    const bytes = this.bytes
    let position = at + 4
    if (length <= longestLoop) {
      let i = 0
      for (; i < length; i++) {
        const code = value.charCodeAt(i)
        if (code > 0x7f) break
        bytes[position++] = code
      }
      if (i < length) position = at + 4 + bytes.write(value, at + 4, "utf8")
    } else {
      position += bytes.write(value, position, "utf8")
    }
    bytes.writeInt32BE(position - at - 4, at)
    this.position = position
  }

  buffer(value: Uint8Array | null): void {
    if (value === null) return this.int(-1)
    const length = value.length
    this.int(length)
    const at = this.reserve(length)
    this.bytes.set(value, at)
    this.position = at + length
  }

  vector<A>(values: ReadonlyArray<A>, element: (writer: Writer, value: A) => void): void {
    this.int(values.length)
    for (let i = 0; i < values.length; i++) element(this, values[i]!)
  }
}

/** Encodes one frame on its own. */
export const encodeFrame = (encode: (writer: Writer) => void): Buffer => {
  const writer = new Writer()
  writer.beginFrame()
  encode(writer)
  writer.endFrame()
  return writer.take()
}
