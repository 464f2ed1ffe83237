/** Text from nodes, made fit for a terminal. */
import * as CliOutput from "effect/cli/CliOutput"

const isControl = /[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu

const escape = (character: string): string => {
  const known = { "\n": "\\n", "\r": "\\r", "\t": "\\t" }[character]
  if (known !== undefined) return known
  const code = character.codePointAt(0) ?? 0
  return code < 256 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u${code.toString(16).padStart(4, "0")}`
}

/** With what would move a terminal's cursor, or do worse, written out. */
export const printable = (text: string): string => text.replaceAll(isControl, escape)

/** The same, for text of several lines. */
export const printableLines = (text: string): string => text.split("\n").map(printable).join("\n")

const segmenter = new Intl.Segmenter()

/** As much of a text as fits into so many cells, with a mark where something was left out. */
export const truncate = (text: string, width: number, from: "end" | "middle" = "end"): string => {
  if (CliOutput.displayWidth(text) <= width) return text
  if (width <= 1) return "…".slice(0, Math.max(0, width))
  const graphemes = [...segmenter.segment(text)].map(({ segment }) => segment)
  const take = (parts: ReadonlyArray<string>, room: number) => {
    const taken: Array<string> = []
    for (const part of parts) {
      room -= CliOutput.displayWidth(part)
      if (room < 0) break
      taken.push(part)
    }
    return taken
  }
  if (from === "end") return `${take(graphemes, width - 1).join("")}…`
  const tail = take(graphemes.toReversed(), Math.floor((width - 1) / 2)).toReversed()
  const head = take(graphemes, width - 1 - CliOutput.displayWidth(tail.join("")))
  return `${head.join("")}…${tail.join("")}`
}

export const padEnd = (text: string, width: number): string =>
  text + " ".repeat(Math.max(0, width - CliOutput.displayWidth(text)))

export const padStart = (text: string, width: number): string =>
  " ".repeat(Math.max(0, width - CliOutput.displayWidth(text))) + text
