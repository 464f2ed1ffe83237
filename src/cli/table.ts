/** Rows under headings, as wide as the terminal and no wider. */
import * as CliOutput from "effect/cli/CliOutput"
import * as Effect from "effect/Effect"
import type { WriteError } from "./output.ts"
import { Output, print } from "./output.ts"
import { padEnd, padStart, truncate } from "./printable.ts"
import type { Style } from "./style.ts"

export interface Column<Row> {
  readonly heading: string
  /** Without line breaks and escape sequences; see `printable`. */
  readonly cell: (row: Row) => string
  /** Default: to the left. */
  readonly align?: "right" | undefined
  /** Where to leave something out when the table is too wide. Default: nowhere. */
  readonly shrink?: "end" | "middle" | undefined
  readonly paint?: ((style: Style, row: Row) => (text: string) => string) | undefined
}

const gap = "  "
const narrowest = 8

/** The widest column that may shrink gives way first. */
const fit = (natural: ReadonlyArray<number>, shrinks: ReadonlyArray<boolean>, room: number): ReadonlyArray<number> => {
  const widths = [...natural]
  let excess = widths.reduce((sum, width) => sum + width, 0) + gap.length * (widths.length - 1) - room
  while (excess > 0) {
    let widest = -1
    for (const [index, width] of widths.entries()) {
      if (shrinks[index] === true && width > narrowest && width > (widths[widest] ?? 0)) widest = index
    }
    if (widest < 0) break
    widths[widest]!--
    excess--
  }
  return widths
}

export const renderTable = <Row>(
  columns: ReadonlyArray<Column<Row>>,
  rows: ReadonlyArray<Row>,
  options: { readonly width: number | undefined; readonly style: Style }
): ReadonlyArray<string> => {
  const cells = rows.map((row) => columns.map(({ cell }) => cell(row)))
  const natural = columns.map(({ heading }, index) =>
    cells.reduce((most, row) => Math.max(most, CliOutput.displayWidth(row[index]!)), heading.length)
  )
  const widths = options.width === undefined
    ? natural
    : fit(natural, columns.map(({ shrink }) => shrink !== undefined), options.width)
  const line = (texts: ReadonlyArray<string>, row: Row | undefined) => {
    let left = options.width ?? Infinity
    const parts = columns.map(({ align, paint, shrink }, index) => {
      const width = Math.max(0, Math.min(widths[index]!, left))
      left -= width + gap.length
      const text = truncate(texts[index]!, width, shrink)
      const isLast = index === columns.length - 1
      const padded = align === "right" ? padStart(text, width) : isLast ? text : padEnd(text, width)
      if (row === undefined) return options.style.faint(padded)
      return paint === undefined ? padded : paint(options.style, row)(padded)
    })
    return parts.filter((part) => part !== "").join(gap).trimEnd()
  }
  return [line(columns.map(({ heading }) => heading), undefined), ...rows.map((row, index) => line(cells[index]!, row))]
}

export const printTable = <Row>(
  columns: ReadonlyArray<Column<Row>>,
  rows: ReadonlyArray<Row>
): Effect.Effect<void, WriteError, Output> =>
  Effect.gen(function*() {
    const output = yield* Output
    yield* print(renderTable(columns, rows, { width: yield* output.columns, style: output.style }))
  })
