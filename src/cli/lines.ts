/** Bytes as lines of text, each with its number: only a line at a time is held. */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"

export interface Line {
  /** From 1. */
  readonly number: number
  readonly bytes: Uint8Array
}

const newline = 10

/** What is behind the last line break is a line as well, unless there is nothing. */
export const lines = <E, R>(bytes: Stream.Stream<Uint8Array, E, R>): Stream.Stream<Line, E, R> =>
  Stream.suspend(() => {
    let parts: Array<Uint8Array> = []
    let number = 0
    const end = (last: Uint8Array): Line => {
      const line = { number: ++number, bytes: parts.length === 0 ? last : Buffer.concat([...parts, last]) }
      parts = []
      return line
    }
    const split = (chunk: Uint8Array): ReadonlyArray<Line> => {
      const found: Array<Line> = []
      let from = 0
      for (let at = chunk.indexOf(newline); at !== -1; at = chunk.indexOf(newline, from)) {
        found.push(end(chunk.subarray(from, at)))
        from = at + 1
      }
      if (from < chunk.length) parts.push(chunk.subarray(from))
      return found
    }
    const rest = Stream.fromIterableEffect(Effect.sync(() => parts.length === 0 ? [] : [end(new Uint8Array())]))
    return Stream.concat(Stream.flattenIterable(Stream.map(bytes, split)), rest)
  })
