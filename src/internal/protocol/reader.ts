/**
 * Reads jute, ZooKeeper's serialization: big-endian numbers, length-prefixed strings, buffers and vectors, where the
 * length -1 stands for null.
 */

/** A record ends before its last field, or a length is not possible. */
export class JuteError extends Error {
  override readonly name = "JuteError"
}

const short = (what: string, need: number, have: number): JuteError =>
  new JuteError(`${what} needs ${need} bytes, ${have} are left`)

const slabSize = 16 * 1024
const largestPooled = 2 * 1024
let slab = new ArrayBuffer(slabSize)
let slabUsed = 0

/**
 * Copies bytes out of a socket's chunk. Values that are kept would otherwise hold 64 KiB chunks for some bytes each;
 * small copies share slabs, since an ArrayBuffer of its own costs more than the copy.
 */
const copyOut = (source: Uint8Array, start: number, end: number): Uint8Array => {
  const length = end - start
  let target: Uint8Array
  if (length > largestPooled) {
    target = new Uint8Array(length)
  } else {
    if (slabUsed + length > slabSize) {
      slab = new ArrayBuffer(slabSize)
      slabUsed = 0
    }
    target = new Uint8Array(slab, slabUsed, length)
    slabUsed += length
  }
  if (length < 32) {
    for (let i = 0; i < length; i++) target[i] = source[start + i]!
  } else {
    target.set(source.subarray(start, end))
  }
  return target
}

/**
 * Decodes UTF-8 without ever failing. Java servers encode a character beyond the BMP as two surrogates of three bytes
 * each (CESU-8); those are joined again, anything else that is malformed becomes U+FFFD.
 */
export const decodeUtf8 = (bytes: Buffer, start: number, end: number): string => {
  const text = bytes.toString("utf8", start, end)
  return text.includes("\ufffd") ? decodeCesu8(bytes, start, end) : text
}

const decodeCesu8 = (bytes: Buffer, start: number, end: number): string => {
  let text = ""
  let from = start
  for (let i = start; i + 2 < end; i++) {
    if (bytes[i] === 0xed && bytes[i + 1]! >= 0xa0 && bytes[i + 1]! <= 0xbf && (bytes[i + 2]! & 0xc0) === 0x80) {
      text += bytes.toString("utf8", from, i)
      text += String.fromCharCode(0xd000 | ((bytes[i + 1]! & 0x3f) << 6) | (bytes[i + 2]! & 0x3f))
      i += 2
      from = i + 1
    }
  }
  return (text + bytes.toString("utf8", from, end)).toWellFormed()
}

/** A cursor over the bytes of one frame. Reading beyond the end throws a {@link JuteError}. */
export class Reader {
  private bytes: Buffer
  private view: DataView
  position: number
  end: number

  constructor(bytes: Buffer) {
    this.bytes = bytes
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.position = 0
    this.end = bytes.length
  }

  /** Narrows the reader to one frame of its bytes. */
  window(start: number, end: number): this {
    this.position = start
    this.end = end
    return this
  }

  remaining(): number {
    return this.end - this.position
  }

  private advance(length: number, what: string): number {
    const position = this.position
    if (position + length > this.end) throw short(what, length, this.end - position)
    this.position = position + length
    return position
  }

  int(): number {
    return this.view.getInt32(this.advance(4, "int"))
  }

  long(): bigint {
    return this.view.getBigInt64(this.advance(8, "long"))
  }

  boolean(): boolean {
    return this.bytes[this.advance(1, "boolean")] !== 0
  }

  private length(what: string): number {
    const length = this.int()
    if (length < -1) throw new JuteError(`${what} with the length ${length}`)
    return length
  }

  /** A string; null counts as empty, which no field of a reply tells apart. */
  string(): string {
    const length = this.length("string")
    if (length <= 0) return ""
    const start = this.advance(length, "string")
    return decodeUtf8(this.bytes, start, start + length)
  }

  /** A copy of the bytes of a buffer. */
  buffer(): Uint8Array | null {
    const length = this.length("buffer")
    if (length === -1) return null
    const start = this.advance(length, "buffer")
    return copyOut(this.bytes, start, start + length)
  }

  /** A vector; null counts as empty. */
  vector<A>(element: (reader: Reader) => A): Array<A> {
    const count = this.length("vector")
    // Every element takes at least a byte, so a count beyond that is garbage and must not size an array.
    if (count > this.remaining()) throw short(`vector of ${count}`, count, this.remaining())
    const elements: Array<A> = []
    for (let i = 0; i < count; i++) elements.push(element(this))
    return elements
  }
}
