/** The reader and the writer of single values. */
import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect } from "effect"
import { decodeUtf8, JuteError, Reader } from "../src/internal/protocol/reader.ts"
import { encodeFrame, Writer } from "../src/internal/protocol/writer.ts"
import * as Any from "./fixtures/arbitraries.ts"
import { javaUtf8, Sink, Source } from "./fixtures/jute.ts"

const utf8 = (text: string): ReadonlyArray<number> => [...new TextEncoder().encode(text)]
const decode = (bytes: Iterable<number>): string => {
  const frame = Buffer.from([...bytes])
  return decodeUtf8(frame, 0, frame.length)
}

describe("protocol: reader", () => {
  it.effect.prop("64-bit numbers are exact [LIM-08]", [Any.int64], ([value]) =>
    Effect.sync(() => {
      assert.strictEqual(new Reader(new Sink().long(value).buffer()).long(), value)
      const frame = encodeFrame((writer) => writer.long(value))
      assert.strictEqual(new Source(frame.subarray(4)).long(), value)
    }))

  it("64-bit numbers at their ends and beyond 2^53 are exact [LIM-08]", () => {
    for (const value of [Any.maxLong, Any.minLong, 2n ** 53n + 1n, -(2n ** 53n) - 1n, -1n, 0n]) {
      const frame = encodeFrame((writer) => writer.long(value))
      assert.strictEqual(new Source(frame.subarray(4)).long(), value)
      assert.strictEqual(new Reader(frame).window(4, 12).long(), value)
    }
  })

  it.effect.prop("32-bit numbers [BIG-06]", [Any.int32], ([value]) =>
    Effect.sync(() => {
      const frame = encodeFrame((writer) => writer.int(value))
      assert.strictEqual(new Source(frame.subarray(4)).int(), value)
      assert.strictEqual(new Reader(frame).window(4, 8).int(), value)
    }))

  it.effect.prop(
    "UTF-8 of any string [A6]",
    [Any.anyText],
    ([text]) => Effect.sync(() => assert.strictEqual(decode(utf8(text)), text.toWellFormed()))
  )

  it.effect.prop(
    "UTF-8 as Java writes it: pairs of encoded surrogates are joined, lone ones become U+FFFD [A6]",
    [Any.anyText],
    ([text]) => Effect.sync(() => assert.strictEqual(decode(javaUtf8(text)), text.toWellFormed()))
  )

  it.effect.prop(
    "both forms mixed in one string, with lone surrogates between them [A6]",
    [Arbitrary.array(Arbitrary.all([Any.text, Any.bool]), { maxLength: 6 })],
    ([parts]) =>
      Effect.sync(() => {
        const bytes = parts.flatMap(([text, java]) => [...(java ? javaUtf8(text) : utf8(text)), ...javaUtf8("\udc00")])
        assert.strictEqual(decode(bytes), parts.map(([text]) => `${text}\ufffd`).join(""))
      })
  )

  const isEncodedSurrogate = (bytes: ReadonlyArray<number>): boolean =>
    bytes.some((byte, i) => byte === 0xed && (bytes[i + 1] ?? 0) >= 0xa0 && ((bytes[i + 2] ?? 0) & 0xc0) === 0x80)
  const hostile = Any.oneOf(
    Any.constants(0xed, 0xa0, 0xb0, 0x80, 0xf0, 0x9f, 0xe4, 0xc0, 0xff, 0x41),
    Any.between(0, 255)
  )

  it.effect.prop(
    "any bytes decode to a well-formed string, and as the platform does where no surrogate is encoded [A6]",
    [Arbitrary.array(hostile, { maxLength: 40 })],
    ([bytes]) =>
      Effect.sync(() => {
        const text = decode(bytes)
        assert.isTrue(text.isWellFormed())
        if (!isEncodedSurrogate(bytes)) {
          assert.strictEqual(text, new TextDecoder("utf-8", { ignoreBOM: true }).decode(Uint8Array.from(bytes)))
        }
        const reader = new Reader(Buffer.from([...new Sink().int(bytes.length).raw(bytes).bytes, 0xa0, 0x80, 0x80]))
        assert.strictEqual(reader.string(), text)
        assert.strictEqual(reader.remaining(), 3)
      }),
    { arbitrary: { runs: 1000 } }
  )

  it("malformed bytes by example [A6]", () => {
    assert.strictEqual(decode([0xed, 0xa0, 0xbd, 0xed, 0xb8, 0x80]), "😀")
    assert.strictEqual(decode([0xed, 0xa0, 0xbd]), "\ufffd")
    assert.strictEqual(decode([0xed, 0xb8, 0x80, 0xed, 0xa0, 0xbd]), "\ufffd\ufffd")
    assert.strictEqual(decode([0x61, 0xff, 0x62]), "a\ufffdb")
    assert.strictEqual(decode([0xf0, 0x9f, 0xed, 0xa0, 0xbd, 0xed, 0xb8, 0x80]), "\ufffd😀")
    assert.strictEqual(decode([0xef, 0xbf, 0xbd, 0xef, 0xbb, 0xbf]), "\ufffd\ufeff")
  })

  it("a string stops at its end, also where the next bytes would continue a character [A6]", () => {
    const reader = new Reader(Buffer.from([0, 0, 0, 2, 0xed, 0xa0, 0xbd, 0xed, 0xb8, 0x80]))
    assert.notInclude(reader.string(), "😀")
    assert.strictEqual(reader.remaining(), 4)
  })

  it("null strings, buffers and vectors [A5]", () => {
    const bytes = () => new Reader(new Sink().int(-1).buffer())
    assert.strictEqual(bytes().string(), "")
    assert.isNull(bytes().buffer())
    assert.deepStrictEqual(bytes().vector((reader) => reader.int()), [])
  })

  it("lengths below -1, and beyond the end, are a JuteError [CODEC-04]", () => {
    for (const length of [-2, -0x80000000, 5, 0x10000, 0x7fffffff]) {
      const reader = () => new Reader(new Sink().int(length).raw([1, 2, 3, 4]).buffer())
      assert.throws(() => reader().string(), JuteError, `${length}`)
      assert.throws(() => reader().buffer(), JuteError, `${length}`)
      assert.throws(() => reader().vector((reader) => reader.int()), JuteError, `${length}`)
    }
  })

  it("a vector that announces more elements than there are bytes reads none of them [CODEC-04]", () => {
    let read = 0
    const reader = new Reader(new Sink().int(0x7fffffff).raw(new Uint8Array(1000)).buffer())
    assert.throws(() => reader.vector(() => read++), JuteError)
    assert.strictEqual(read, 0)
  })

  it("a vector that announces more elements than fit stops at the end [CODEC-04]", () => {
    let read = 0
    const reader = new Reader(new Sink().int(1000).raw(new Uint8Array(1000)).buffer())
    assert.throws(() =>
      reader.vector((reader) => {
        reader.int()
        return read++
      }), JuteError)
    assert.strictEqual(read, 250)
  })

  it.effect.prop(
    "data is a copy: neither the chunk nor another value changes with it [CODEC-05]",
    [Arbitrary.array(Any.bytes, { maxLength: 30 })],
    ([values]) =>
      Effect.sync(() => {
        const chunk = values.reduce((sink, value) => sink.data(value), new Sink()).buffer()
        const reader = new Reader(chunk)
        const decoded = values.map(() => reader.buffer()!)
        chunk.fill(0)
        assert.deepStrictEqual(decoded, values)
        decoded.forEach((value, i) => value.fill(i))
        decoded.forEach((value, i) => assert.isTrue(value.every((byte) => byte === i)))
      })
  )
})

describe("protocol: writer", () => {
  /** What a program does with a writer. */
  const step = Any.oneOf<{ readonly kind: "frame" | "dropped"; readonly size: number } | { readonly kind: "take" }>(
    Arbitrary.map(
      Arbitrary.all([
        Any.constants("frame" as const, "frame" as const, "dropped" as const),
        Any.oneOf(Any.between(0, 200), Any.constants(20_000, 65_531, 65_532, 65_533, 70_000, 200_000))
      ]),
      ([kind, size]) => ({ kind, size })
    ),
    Any.constants({ kind: "take" as const })
  )

  it.effect.prop(
    "taken bytes never change and make up the frames in order, whatever their size; dropped frames leave no trace" +
      " [CODEC-06]",
    [Arbitrary.array(step, { maxLength: 40 })],
    ([steps]) =>
      Effect.sync(() => {
        const writer = new Writer()
        const taken: Array<{ readonly bytes: Buffer; readonly before: Buffer }> = []
        const expected: Array<Buffer> = []
        const take = () => {
          const size = writer.size()
          const bytes = writer.take()
          assert.strictEqual(bytes.length, size)
          assert.strictEqual(writer.size(), 0)
          taken.push({ bytes, before: Buffer.from(bytes) })
        }
        steps.forEach((step, i) => {
          if (step.kind === "take") return take()
          const data = Buffer.alloc(step.size, i + 1)
          writer.beginFrame()
          writer.int(i)
          writer.long(BigInt(i))
          writer.boolean(i % 2 === 0)
          writer.string("é".repeat(i))
          writer.buffer(data)
          const sink = new Sink().int(i).long(BigInt(i)).bool(i % 2 === 0).text("é".repeat(i))
          const length = sink.bytes.length + 4 + data.length
          if (step.kind === "dropped") {
            assert.strictEqual(writer.dropFrame(), length)
          } else {
            writer.endFrame()
            const head = new Sink().int(length).raw(sink.bytes).int(data.length).buffer()
            expected.push(head, data)
          }
        })
        take()
        for (const { before, bytes } of taken) assert.isTrue(bytes.equals(before))
        assert.isTrue(Buffer.concat(taken.map(({ bytes }) => bytes)).equals(Buffer.concat(expected)))
      })
  )

  it.effect.prop("strings, short and long, ASCII and not [A6]", [Any.anyText], ([text]) =>
    Effect.sync(() => {
      const source = new Source(encodeFrame((writer) => writer.string(text)))
      source.int()
      assert.strictEqual(source.text(), text.toWellFormed())
      assert.isTrue(source.atEnd)
    }))

  it("null and empty strings differ [A5]", () => {
    assert.deepStrictEqual([...encodeFrame((writer) => writer.string(null))], [0, 0, 0, 4, 255, 255, 255, 255])
    assert.deepStrictEqual([...encodeFrame((writer) => writer.string(""))], [0, 0, 0, 4, 0, 0, 0, 0])
  })

  it("the caller's data may change after it was written [CODEC-06]", () => {
    const writer = new Writer()
    const data = Buffer.from("before")
    writer.buffer(data)
    data.write("after!")
    assert.strictEqual(writer.take().toString("latin1", 4), "before")
  })

  it("a string at the end of a buffer is whole, whatever its characters take [CODEC-06]", () => {
    for (const text of ["漢".repeat(5), "漢".repeat(100), "é", "😀".repeat(40), "a".repeat(64), "a".repeat(65)]) {
      const size = Buffer.byteLength(text)
      for (let left = 0; left <= size + 8; left++) {
        const writer = new Writer()
        // The writer's first buffer has 64 KiB.
        writer.buffer(Buffer.alloc(65_536 - 4 - left))
        writer.take()
        writer.string(text)
        const source = new Source(writer.take())
        assert.strictEqual(source.text(), text, `${left} bytes left`)
        assert.isTrue(source.atEnd)
      }
    }
  })
})
