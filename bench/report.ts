/** What all measurements print, and compute of what they have measured. */

export const print = (line = ""): void => void process.stdout.write(`${line}\n`)

/** For whoever watches: the next line takes its place. */
export const printProgress = (line: string): void => {
  if (process.stdout.isTTY) process.stdout.write(`\r\x1b[K${line}`)
}

export const median = (values: ReadonlyArray<number>): number => {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = Math.floor(sorted.length / 2)
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

export const percentile = (values: ReadonlyArray<number>, share: number): number =>
  values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * share))]!

/** The first columns, as many as `texts`, are texts, the others figures. */
export const printTable = (
  head: ReadonlyArray<string>,
  body: ReadonlyArray<ReadonlyArray<string>>,
  texts: number
): void => {
  const widths = head.map((title, i) => Math.max(title.length, ...body.map((line) => line[i]!.length)))
  const format = (line: ReadonlyArray<string>): string =>
    line.map((cell, i) => i < texts ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!)).join("  ")
  print(format(head))
  print(widths.map((width) => "-".repeat(width)).join("  "))
  for (const line of body) print(format(line))
}

export const met = (is: boolean): string => is ? "(met)" : "(NOT met)"
