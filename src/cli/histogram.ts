/** How long things took: quantiles, and how many took how long. */

export interface Bucket {
  /** The first value in it. */
  readonly from: number
  /** The first value beyond it. */
  readonly to: number
  readonly count: number
}

const ladder = [1, 2, 5] as const

/** The largest of ..., 0.5, 1, 2, 5, 10, ... that is not above. */
const roundDown = (value: number): number => {
  const exponent = Math.floor(Math.log10(value))
  // A decade lower, in case that the logarithm was rounded up.
  const steps = [exponent - 1, exponent].flatMap((at) => ladder.map((digit) => Number(`${digit}e${at}`)))
  return steps.findLast((step) => step <= value) ?? value
}

const next = (step: number): number => {
  const [digits = "1", exponent = "0"] = step.toExponential().split("e")
  return digits === "1"
    ? Number(`2e${exponent}`)
    : digits === "2"
    ? Number(`5e${exponent}`)
    : Number(`1e${exponent}`) * 10
}

const smallest = 0.001
const wide = 20
const rows = 8

/** Of equal width; where the largest value is many times the smallest, each about twice as wide as the one before. */
export const bucketsOf = (values: ReadonlyArray<number>): ReadonlyArray<Bucket> => {
  if (values.length === 0) return []
  const kept = values.map((value) => Math.max(smallest, value))
  const low = kept.reduce((a, b) => Math.min(a, b))
  const high = kept.reduce((a, b) => Math.max(a, b))
  const edges: Array<number> = []
  if (high / low > wide) {
    for (let edge = roundDown(low); edges.length < 2 || edges.at(-1)! <= high; edge = next(edge)) edges.push(edge)
  } else {
    const step = Math.max(smallest * 10, next(roundDown(Math.max(smallest, (high - low) / rows))))
    const at = (index: number) => Number((index * step).toPrecision(12))
    for (let index = Math.floor(low / step); edges.length < 2 || edges.at(-1)! <= high; index++) edges.push(at(index))
  }
  return edges.slice(1).map((to, index) => {
    const from = edges[index]!
    return { from, to, count: kept.filter((value) => value >= from && value < to).length }
  })
}

/** The smallest value that is not below so much of all. */
export const quantile = (sorted: ReadonlyArray<number>, part: number): number | undefined =>
  sorted[Math.max(0, Math.ceil(part * sorted.length) - 1)]

/** As text, no wider than `width`. */
export const drawBuckets = (
  buckets: ReadonlyArray<Bucket>,
  { unit, width }: { readonly unit: string; readonly width: number }
): ReadonlyArray<string> => {
  const [from, to, counts] = [
    buckets.map((bucket) => `${bucket.from}`),
    buckets.map((bucket) => `${bucket.to}`),
    buckets.map((bucket) => `${bucket.count}`)
  ]
  const longest = (texts: ReadonlyArray<string>) => Math.max(...texts.map((text) => text.length))
  const labels = from.map((text, index) =>
    `${text.padStart(longest(from))} – ${to[index]!.padStart(longest(to))} ${unit}  `
  )
  const most = Math.max(...buckets.map(({ count }) => count))
  const room = Math.max(1, Math.min(width, 100) - longest(labels) - longest(counts) - 2)
  return buckets.map(({ count }, index) => {
    const bar = count === 0 ? "" : "█".repeat(Math.round((count / most) * room)) || "▏"
    return `${labels[index]!}${counts[index]!.padStart(longest(counts))}  ${bar}`.trimEnd()
  })
}
