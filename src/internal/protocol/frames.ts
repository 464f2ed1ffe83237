/** Cuts the bytes of a connection into frames. */
import { Reader } from "./reader.ts"

/** A frame announces a length that is negative or beyond the limit: no ZooKeeper, or an answer that is not wanted. */
export class FrameLengthError extends Error {
  override readonly name = "FrameLengthError"
  readonly length: number
  readonly limit: number

  constructor(length: number, limit: number) {
    super(`a frame announces ${length} bytes, at most ${limit} are accepted`)
    this.length = length
    this.limit = limit
  }
}

const firstAllocation = 64 * 1024

/**
 * An incremental parser, linear in the bytes it is given whatever the size of the chunks: whole frames are read where
 * they lie, and only a frame that spans chunks is copied, once.
 */
export class FrameParser {
  private readonly limit: number
  private readonly onFrame: (frame: Reader) => void
  /** The bytes of a length that was cut in two. */
  private readonly header = Buffer.alloc(4)
  private headerSize = 0
  /** A frame that spans chunks. */
  private partial: Buffer | undefined
  private partialSize = 0
  private partialLength = 0
  private stopped = false

  /** `onFrame` is given a reader that is valid during the call only. */
  constructor(limit: number, onFrame: (frame: Reader) => void) {
    this.limit = limit
    this.onFrame = onFrame
  }

  /** Frames after this call, also those of the chunk at hand, are dropped. */
  stop(): void {
    this.stopped = true
    this.partial = undefined
  }

  private checkLength(length: number): number {
    if (length < 0 || length > this.limit) throw new FrameLengthError(length, this.limit)
    return length
  }

  /** Throws a {@link FrameLengthError}, or what `onFrame` throws. After that the parser takes nothing more. */
  push(chunk: Buffer): void {
    if (this.stopped) return
    try {
      this.parse(chunk)
    } catch (error) {
      // The rest of the chunk is lost: what comes next would be cut at the wrong places.
      this.stop()
      throw error
    }
  }

  private parse(chunk: Buffer): void {
    let at = 0
    if (this.partial !== undefined || this.headerSize > 0) at = this.resume(chunk)
    if (at >= chunk.length || this.stopped) return
    const reader = new Reader(chunk)
    while (!this.stopped) {
      const left = chunk.length - at
      if (left < 4) {
        chunk.copy(this.header, 0, at)
        this.headerSize = left
        return
      }
      const length = this.checkLength(chunk.readInt32BE(at))
      at += 4
      if (chunk.length - at < length) {
        this.begin(length)
        this.fill(chunk, at)
        return
      }
      this.onFrame(reader.window(at, at + length))
      at += length
    }
  }

  /** Goes on with what earlier chunks left, and says how much of this one it took. */
  private resume(chunk: Buffer): number {
    let at = 0
    if (this.partial === undefined) {
      while (this.headerSize < 4 && at < chunk.length) this.header[this.headerSize++] = chunk[at++]!
      if (this.headerSize < 4) return at
      this.headerSize = 0
      this.begin(this.checkLength(this.header.readInt32BE(0)))
    }
    at = this.fill(chunk, at)
    if (this.partial !== undefined && this.partialSize === this.partialLength) {
      const frame = this.partial
      this.partial = undefined
      this.onFrame(new Reader(frame).window(0, this.partialLength))
    }
    return at
  }

  private begin(length: number): void {
    // Not the announced length at once: it may be a lie.
    this.partial = Buffer.allocUnsafe(Math.min(length, firstAllocation))
    this.partialSize = 0
    this.partialLength = length
  }

  private fill(chunk: Buffer, at: number): number {
    const count = Math.min(chunk.length - at, this.partialLength - this.partialSize)
    const needed = this.partialSize + count
    let partial = this.partial!
    if (needed > partial.length) {
      const grown = Buffer.allocUnsafe(Math.min(this.partialLength, Math.max(needed, partial.length * 2)))
      partial.copy(grown, 0, 0, this.partialSize)
      partial = grown
      this.partial = partial
    }
    chunk.copy(partial, this.partialSize, at, at + count)
    this.partialSize = needed
    return at + count
  }
}
