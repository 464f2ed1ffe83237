/** Cutting a connection's bytes into frames. */
import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect } from "effect"
import { FrameLengthError, FrameParser } from "../src/internal/protocol/frames.ts"
import { JuteError } from "../src/internal/protocol/reader.ts"
import * as Any from "./fixtures/arbitraries.ts"
import { Sink } from "./fixtures/jute.ts"

const unlimited = 0x7fffffff

/** Data that differs from its neighbours at every place. */
const payload = (size: number, seed: number): Uint8Array => Uint8Array.from({ length: size }, (_, i) => i * 31 + seed)

/** A frame with one buffer in it; with nothing in it for null. */
const frame = (data: Uint8Array | null): Buffer =>
  data === null
    ? new Sink().int(0).buffer()
    : Buffer.concat([new Sink().int(4 + data.length).int(data.length).buffer(), data])

const collect = (limit = unlimited) => {
  const frames: Array<Uint8Array | null> = []
  const parser = new FrameParser(limit, (reader) => {
    const size = reader.remaining()
    frames.push(size === 0 ? null : reader.buffer())
    assert.strictEqual(reader.remaining(), 0)
    assert.throws(() => reader.boolean(), JuteError)
  })
  return { frames, parser }
}

/** Cuts bytes into chunks of the given sizes, over and over. */
const chunksOf = (bytes: Buffer, sizes: ReadonlyArray<number>): ReadonlyArray<Buffer> => {
  const chunks: Array<Buffer> = []
  let at = 0
  for (let i = 0; at < bytes.length; i++) {
    const size = sizes[i % sizes.length]!
    // A copy, so that reading beyond the chunk cannot find what comes next.
    chunks.push(Buffer.from(Uint8Array.prototype.slice.call(bytes, at, at + size).buffer))
    at += size
  }
  return chunks
}

/** Counts the bytes that buffers copy and allocate while `body` runs; `body` must not wait. */
const work = (body: () => void): { readonly copied: number; readonly allocated: number } => {
  const { copy } = Buffer.prototype
  const { alloc, allocUnsafe } = Buffer
  let copied = 0
  let allocated = 0
  Buffer.prototype.copy = function(this: Buffer, ...args: Parameters<typeof copy>) {
    const count = copy.apply(this, args)
    copied += count
    return count
  }
  Buffer.alloc = ((size: number, ...rest: ReadonlyArray<never>) => {
    allocated += size
    return alloc.call(Buffer, size, ...rest)
  }) as typeof alloc
  Buffer.allocUnsafe = ((size: number) => {
    allocated += size
    return allocUnsafe.call(Buffer, size)
  }) as typeof allocUnsafe
  try {
    body()
  } finally {
    Buffer.prototype.copy = copy
    Buffer.alloc = alloc
    Buffer.allocUnsafe = allocUnsafe
  }
  return { copied, allocated }
}

const stream = (count: number, size: number): Buffer =>
  Buffer.concat(Array.from({ length: count }, (_, i) => frame(payload(size, i))))

describe("protocol: frames", () => {
  const sizes = Any.oneOf(Any.between(0, 60), Any.constants(4090, 65_532, 65_536, 150_000))
  const datas = Arbitrary.array(
    Arbitrary.map(
      Arbitrary.all([Any.bool, sizes, Any.between(0, 255)]),
      ([some, size, seed]) => some ? payload(size, seed) : null
    ),
    { maxLength: 12 }
  )
  const cuts = Arbitrary.array(
    Any.oneOf(Any.between(1, 9), Any.between(1, 100), Any.constants(1000, 65_536, 100_000)),
    { minLength: 1, maxLength: 30 }
  )

  it.effect.prop(
    "any cutting into chunks gives the same frames [A1]",
    [datas, cuts],
    ([datas, cuts]) =>
      Effect.sync(() => {
        const { frames, parser } = collect()
        for (const chunk of chunksOf(Buffer.concat(datas.map(frame)), cuts)) parser.push(chunk)
        assert.deepStrictEqual(frames, datas)
      })
  )

  it("one byte at a time [A1]", () => {
    const datas = [payload(10, 1), null, payload(0, 0), payload(70_000, 2), null, payload(1, 3)]
    const { frames, parser } = collect()
    for (const chunk of chunksOf(Buffer.concat(datas.map(frame)), [1])) parser.push(chunk)
    assert.deepStrictEqual(frames, datas)
  })

  it("500 frames in one chunk [A1]", () => {
    const datas = Array.from({ length: 500 }, (_, i) => (i % 50 === 0 ? null : payload(i % 90, i)))
    const { frames, parser } = collect()
    parser.push(Buffer.concat(datas.map(frame)))
    assert.deepStrictEqual(frames, datas)
  })

  it("100 000 frames in one chunk: no recursion, and none is copied [A1]", () => {
    let count = 0
    const parser = new FrameParser(unlimited, () => count++)
    const chunk = Buffer.alloc(400_000)
    assert.deepStrictEqual(work(() => parser.push(chunk)), { copied: 0, allocated: 0 })
    assert.strictEqual(count, 100_000)
  })

  it("an empty chunk changes nothing [A1]", () => {
    const { frames, parser } = collect()
    const whole = frame(payload(5, 1))
    for (let at = 0; at < whole.length; at++) {
      parser.push(whole.subarray(at, at + 1))
      parser.push(Buffer.alloc(0))
    }
    assert.deepStrictEqual(frames, [payload(5, 1)])
  })

  for (
    const [name, cut] of [["single bytes", 1], ["chunks of 7", 7], ["packets", 1448], ["socket reads", 65_536]] as const
  ) {
    it(`in ${name} no byte is copied more than twice, however long the stream [A1]`, () => {
      const measure = (count: number) => {
        const bytes = stream(count, 100)
        const chunks = chunksOf(bytes, [cut])
        const parser = new FrameParser(unlimited, () => {})
        const { copied } = work(() => chunks.forEach((chunk) => parser.push(chunk)))
        return copied / bytes.length
      }
      assert.isAtMost(measure(100), 2)
      assert.isAtMost(measure(2000), 2)
    })
  }

  it("a large frame in small pieces is copied in linear work [A1]", () => {
    const measure = (size: number) => {
      const bytes = frame(new Uint8Array(size))
      const chunks = chunksOf(bytes, [1000])
      const parser = new FrameParser(unlimited, () => {})
      const { allocated, copied } = work(() => chunks.forEach((chunk) => parser.push(chunk)))
      return (copied + allocated) / bytes.length
    }
    // A buffer that doubles copies each byte less than twice and allocates less than three times the frame.
    for (const size of [100_000, 1_000_000, 8_000_000]) assert.isAtMost(measure(size), 5, `${size}`)
  })

  const lengthError = (body: () => void): FrameLengthError => {
    try {
      body()
    } catch (error) {
      if (error instanceof FrameLengthError) return error
      throw error
    }
    throw new Error("no FrameLengthError")
  }

  it.effect.prop(
    "a length that is negative or beyond the limit is an error that names both; nothing is allocated for it [A2]",
    [Any.oneOf(Any.constants(-1, -0x80000000, 1001, 0x7fffffff, 0x48545450), Any.between(-0x80000000, -1)), Any.bool],
    ([length, inPieces]) =>
      Effect.sync(() => {
        const { frames, parser } = collect(1000)
        const bad = new Sink().int(length).raw(new Uint8Array(50)).buffer()
        const bytes = Buffer.concat([frame(payload(3, 0)), bad, frame(payload(3, 1))])
        const chunks = chunksOf(bytes, [inPieces ? 3 : bytes.length])
        let error: FrameLengthError | undefined
        const { allocated } = work(() => {
          error = lengthError(() => chunks.forEach((chunk) => parser.push(chunk)))
        })
        assert.strictEqual(error!.length, length)
        assert.strictEqual(error!.limit, 1000)
        assert.include(error!.message, String(length))
        assert.include(error!.message, "1000")
        assert.isAtMost(allocated, 100)
        for (const chunk of chunks) parser.push(chunk)
        assert.deepStrictEqual(frames, [payload(3, 0)], "nothing comes after the error")
      })
  )

  it("a frame of exactly the limit is accepted, also in pieces [A2]", () => {
    for (const cut of [1, 1004]) {
      const { frames, parser } = collect(1000)
      for (const chunk of chunksOf(frame(payload(996, 0)), [cut])) parser.push(chunk)
      assert.deepStrictEqual(frames, [payload(996, 0)])
    }
  })

  it("an HTTP server's answer is not a frame [A2]", () => {
    const error = lengthError(() => collect(0xfffff).parser.push(Buffer.from("HTTP/1.1 400 Bad Request\r\n\r\n")))
    assert.strictEqual(error.length, 0x48545450)
  })

  it("a huge length within the limit reserves memory as bytes arrive, not as announced [A2]", () => {
    const { parser } = collect()
    const chunk = new Sink().int(0x7fffffff).raw(new Uint8Array(100)).buffer()
    const { allocated } = work(() => parser.push(chunk))
    assert.isAtMost(allocated, 64 * 1024)
  })

  it("frames after stop() are dropped, those of the same chunk too [CODEC-03]", () => {
    let count = 0
    const parser = new FrameParser(unlimited, () => {
      count++
      parser.stop()
    })
    parser.push(stream(10, 5))
    parser.push(stream(10, 5))
    assert.strictEqual(count, 1)
  })

  it("frames that have begun to arrive when stop() is called are dropped, at whatever byte [CODEC-03]", () => {
    const bytes = stream(2, 5)
    for (let at = 0; at < bytes.length; at++) {
      const { frames, parser } = collect()
      parser.push(bytes.subarray(0, at))
      const before = frames.length
      parser.stop()
      parser.push(bytes.subarray(at))
      parser.push(stream(1, 5))
      assert.strictEqual(frames.length, before, `${at}`)
    }
  })

  it("stop() before a length that is not possible: no error any more [CODEC-03]", () => {
    const { parser } = collect(10)
    parser.push(Buffer.from([0xff, 0xff]))
    parser.stop()
    parser.push(Buffer.from([0xff, 0xff, 0, 0]))
  })

  it("a frame that its receiver fails on is the last one, and the failure comes out of push() [CODEC-03]", () => {
    for (const cut of [1, 3, 1000]) {
      let count = 0
      const parser = new FrameParser(unlimited, (reader) => {
        count++
        reader.window(0, 0).int()
      })
      const chunks = chunksOf(stream(3, 5), [cut])
      assert.throws(() => chunks.forEach((chunk) => parser.push(chunk)), JuteError)
      for (const chunk of chunks) parser.push(chunk)
      assert.strictEqual(count, 1, `${cut}`)
    }
  })
})
