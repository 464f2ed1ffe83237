/**
 * What is to be said of a run of `npm run exclusion`: from the logs of all processes and from what the servers have in
 * the end. Times are nanoseconds of the one monotonic clock that all processes of a machine share.
 */

/** One line of a process's log. */
export type Entry =
  /** A step of a body; the first is its first operator. `until`: the end of the lease then, `null` for none. */
  | {
    readonly kind: "step"
    readonly hold: number
    readonly token: string
    readonly at: number
    readonly until: number | null
  }
  | { readonly kind: "try"; readonly hold: number; readonly attempt: number; readonly value: number }
  /** What became of an attempt; `unknown` as when there is no such line. */
  | { readonly kind: "wrote" | "refused" | "unknown"; readonly hold: number; readonly attempt: number }
  | { readonly kind: "end"; readonly hold: number; readonly how: string; readonly at: number }
  /** An acquisition that came to nothing. */
  | { readonly kind: "none"; readonly how: string }
  /** For people. */
  | { readonly kind: "note"; readonly text: string; readonly at: number }

/** A write that was applied. The name is made of these, and so they went in with the write or not at all. */
export interface Claim {
  readonly worker: number
  readonly hold: number
  readonly attempt: number
  readonly value: number
  readonly token: bigint
  /** Rises with every write that is applied. */
  readonly sequence: number
}

export interface Evidence {
  /** By process. */
  readonly logs: ReadonlyMap<number, ReadonlyArray<Entry>>
  readonly claims: ReadonlyArray<Claim>
  /** What the counter is in the end. */
  readonly counter: number
}

export interface Interval {
  readonly worker: number
  readonly hold: number
  readonly token: bigint
  readonly from: number
  readonly to: number
}

export interface Verdict {
  readonly violations: ReadonlyArray<string>
  readonly acquisitions: number
  /** From one process to another. */
  readonly handOvers: number
  readonly writes: Readonly<Record<"acknowledged" | "refused" | "unknownApplied" | "unknownNotApplied", number>>
  /** Bodies by how they ended. */
  readonly ends: Readonly<Record<string, number>>
  /** Acquisitions that came to nothing, by cause. */
  readonly none: Readonly<Record<string, number>>
  readonly steps: number
  /** The longest time without a holder. */
  readonly longestPause: Pick<Interval, "from" | "to">
}

export const claimName = (claim: Omit<Claim, "sequence">): string =>
  `c.${claim.value}.${claim.worker}.${claim.hold}.${claim.attempt}.${claim.token}.`

export const parseClaim = (name: string): Claim => {
  const [, value, worker, hold, attempt, token, sequence] = name.split(".")
  return {
    value: Number(value),
    worker: Number(worker),
    hold: Number(hold),
    attempt: Number(attempt),
    token: BigInt(token ?? ""),
    sequence: Number(sequence)
  }
}

const ms = (nanos: number): string => `${(nanos / 1e6).toFixed(1)} ms`

const count = (record: Record<string, number>, key: string): void => {
  record[key] = (record[key] ?? 0) + 1
}

interface Body {
  readonly worker: number
  readonly hold: number
  readonly token: bigint
  readonly from: number
  last: number
  /** The latest end of the lease that was seen. */
  until: number
}

const bodiesOf = (logs: Evidence["logs"], violations: Array<string>): ReadonlyArray<Body> => {
  const bodies: Array<Body> = []
  for (const [worker, entries] of logs) {
    const own = new Map<number, Body>()
    for (const entry of entries) {
      if (entry.kind !== "step") continue
      const until = entry.until ?? Infinity
      let body = own.get(entry.hold)
      if (body === undefined) {
        body = { worker, hold: entry.hold, token: BigInt(entry.token), from: entry.at, last: entry.at, until }
        own.set(entry.hold, body)
        bodies.push(body)
      }
      body.last = entry.at
      body.until = Math.max(body.until, until)
      if (entry.at > until) {
        violations.push(`process ${worker}, hold ${entry.hold}: a step ${ms(entry.at - until)} after its lease`)
      }
    }
  }
  return bodies.toSorted((a, b) => a.from - b.from)
}

/** A step that came after the lease does not make its interval longer: it has been found above. */
const toInterval = ({ from, hold, last, token, until, worker }: Body): Interval => ({
  worker,
  hold,
  token,
  from,
  to: Math.max(from, Math.min(last, until))
})

/** Pairs that overlap, each with the one of those before it that ends last. */
const overlaps = (sorted: ReadonlyArray<Interval>): ReadonlyArray<readonly [Interval, Interval]> => {
  const found: Array<readonly [Interval, Interval]> = []
  let last: Interval | undefined
  for (const next of sorted) {
    if (last !== undefined && next.from <= last.to) found.push([last, next])
    if (last === undefined || next.to > last.to) last = next
  }
  return found
}

const longestPauseOf = (sorted: ReadonlyArray<Interval>): Pick<Interval, "from" | "to"> => {
  let longest = { from: 0, to: 0 }
  let end: number | undefined
  for (const { from, to } of sorted) {
    if (end !== undefined && from - end > longest.to - longest.from) longest = { from: end, to: from }
    end = Math.max(end ?? 0, to)
  }
  return longest
}

const judgeWrites = ({ claims, counter, logs }: Evidence, violations: Array<string>): Verdict["writes"] => {
  const writes = { acknowledged: 0, refused: 0, unknownApplied: 0, unknownNotApplied: 0 }
  const key = (worker: number, hold: number, attempt: number) => `process ${worker}, hold ${hold}, write ${attempt}`
  const sorted = claims.toSorted((a, b) => a.sequence - b.sequence)
  const applied = new Map<string, Claim>()
  let highest = -1n
  for (const [index, claim] of sorted.entries()) {
    const name = key(claim.worker, claim.hold, claim.attempt)
    if (applied.has(name)) violations.push(`${name}: applied twice`)
    applied.set(name, claim)
    // Each counts one further than the one before: neither a gap nor a value that two have written.
    if (claim.value !== index + 1) violations.push(`${name}: lost update: as number ${index + 1} wrote ${claim.value}`)
    if (claim.token < highest) violations.push(`${name}: the token fell from ${highest} to ${claim.token}`)
    if (claim.token > highest) highest = claim.token
  }
  if (counter !== claims.length) violations.push(`the counter is ${counter} after ${claims.length} writes`)

  const tried = new Set<string>()
  for (const [worker, entries] of logs) {
    const outcomes = new Map<string, string>()
    for (const entry of entries) {
      if (entry.kind === "wrote" || entry.kind === "refused" || entry.kind === "unknown") {
        outcomes.set(key(worker, entry.hold, entry.attempt), entry.kind)
      }
    }
    for (const entry of entries) {
      if (entry.kind !== "try") continue
      const name = key(worker, entry.hold, entry.attempt)
      tried.add(name)
      const claim = applied.get(name)
      const outcome = outcomes.get(name) ?? "unknown"
      if (claim !== undefined && claim.value !== entry.value) violations.push(`${name}: wrote ${claim.value}`)
      if (outcome === "wrote") {
        writes.acknowledged++
        if (claim === undefined) violations.push(`${name}: acknowledged, and not there`)
      } else if (outcome === "refused") {
        writes.refused++
        if (claim !== undefined) violations.push(`${name}: refused, and there`)
      } else if (claim === undefined) writes.unknownNotApplied++
      else writes.unknownApplied++
    }
  }
  for (const name of applied.keys()) if (!tried.has(name)) violations.push(`${name}: nobody tried that`)
  return writes
}

export const judge = (evidence: Evidence): Verdict => {
  const violations: Array<string> = []
  const intervals = bodiesOf(evidence.logs, violations).map(toInterval)
  for (const [a, b] of overlaps(intervals)) {
    violations.push(
      `two holders for ${ms(Math.min(a.to, b.to) - b.from)}: process ${a.worker}, hold ${a.hold}, ` +
        `and process ${b.worker}, hold ${b.hold}`
    )
  }
  let handOvers = 0
  for (const [index, next] of intervals.entries()) {
    const before = intervals[index - 1]
    if (before === undefined) continue
    if (before.worker !== next.worker) handOvers++
    if (next.token <= before.token) {
      violations.push(`process ${next.worker}, hold ${next.hold}: token ${next.token} after ${before.token}`)
    }
  }
  const ends: Record<string, number> = {}
  const none: Record<string, number> = {}
  let steps = 0
  for (const entries of evidence.logs.values()) {
    for (const entry of entries) {
      if (entry.kind === "step") steps++
      else if (entry.kind === "end") count(ends, entry.how)
      else if (entry.kind === "none") count(none, entry.how)
    }
  }
  return {
    violations,
    acquisitions: intervals.length,
    handOvers,
    writes: judgeWrites(evidence, violations),
    ends,
    none,
    steps,
    longestPause: longestPauseOf(intervals)
  }
}

const step = (hold: number, token: number, at: number, until: number | null): Entry => ({
  kind: "step",
  hold,
  token: String(token),
  at,
  until
})

const write = (hold: number, attempt: number, value: number): ReadonlyArray<Entry> => [
  { kind: "try", hold, attempt, value },
  { kind: "wrote", hold, attempt }
]

/** A run in which all is well: two processes, three holds, three writes. */
export const soundEvidence: Evidence = {
  logs: new Map([
    [1, [
      step(1, 10, 100, 500),
      ...write(1, 1, 1),
      step(1, 10, 200, 600),
      { kind: "end", hold: 1, how: "done", at: 210 },
      step(2, 30, 700, 900),
      { kind: "try", hold: 2, attempt: 1, value: 3 },
      { kind: "end", hold: 2, how: "lost: lease", at: 950 }
    ]],
    [2, [
      step(1, 20, 300, 800),
      ...write(1, 1, 2),
      step(1, 20, 400, 800),
      { kind: "try", hold: 1, attempt: 2, value: 3 },
      { kind: "refused", hold: 1, attempt: 2 },
      { kind: "end", hold: 1, how: "done", at: 410 }
    ]]
  ]),
  claims: [
    { worker: 1, hold: 1, attempt: 1, value: 1, token: 10n, sequence: 0 },
    { worker: 2, hold: 1, attempt: 1, value: 2, token: 20n, sequence: 1 },
    { worker: 1, hold: 2, attempt: 1, value: 3, token: 30n, sequence: 2 }
  ],
  counter: 3
}

const withEntries = (worker: number, ...more: ReadonlyArray<Entry>): Evidence => ({
  ...soundEvidence,
  logs: new Map([...soundEvidence.logs].map(([id, entries]) => [id, id === worker ? [...entries, ...more] : entries]))
})

const withClaim = (index: number, change: Partial<Claim>): Evidence => ({
  ...soundEvidence,
  claims: soundEvidence.claims.map((claim, i) => i === index ? { ...claim, ...change } : claim)
})

/** Runs in which something is wrong, with what has to be said of them: a judge that finds nothing in them is none. */
export const forgeries: ReadonlyArray<
  { readonly what: string; readonly evidence: Evidence; readonly finds: RegExp }
> = [
  {
    what: "an overlap",
    // It begins before its predecessor has taken its last step.
    evidence: withEntries(1, step(3, 25, 350, 900), step(3, 25, 360, 900)),
    finds: /^two holders for .*process 2, hold 1, and process 1, hold 3$/
  },
  {
    what: "an overlap with a holder that has no lease",
    evidence: withEntries(2, step(3, 40, 800, null), step(3, 40, 2_000, null), step(4, 50, 1_500, null)),
    finds: /^two holders for .*process 2, hold 3, and process 2, hold 4$/
  },
  {
    what: "a step after the lease",
    evidence: withEntries(1, step(2, 30, 901, 900)),
    finds: /^process 1, hold 2: a step .* after its lease$/
  },
  {
    what: "a lost update",
    evidence: withClaim(2, { value: 2 }),
    finds: /lost update: as number 3 wrote 2$/
  },
  {
    what: "a gap",
    evidence: withClaim(2, { value: 4 }),
    finds: /lost update: as number 3 wrote 4$/
  },
  {
    what: "an acknowledged write that is not there",
    evidence: { ...soundEvidence, claims: soundEvidence.claims.slice(1) },
    finds: /^process 1, hold 1, write 1: acknowledged, and not there$/
  },
  {
    what: "a refused write that is there",
    evidence: withClaim(2, { worker: 2, hold: 1, attempt: 2 }),
    finds: /^process 2, hold 1, write 2: refused, and there$/
  },
  {
    what: "a write that nobody made",
    evidence: withClaim(2, { attempt: 9 }),
    finds: /nobody tried that$/
  },
  {
    what: "a counter that went back",
    evidence: { ...soundEvidence, counter: 2 },
    finds: /^the counter is 2 after 3 writes$/
  },
  {
    what: "a falling token in the order of writes",
    evidence: withClaim(2, { token: 15n }),
    finds: /the token fell from 20 to 15$/
  },
  {
    what: "a falling token in the order of holds",
    evidence: withEntries(1, step(3, 29, 960, 1_000)),
    finds: /^process 1, hold 3: token 29 after 30$/
  }
]

/** Those forgeries that the judge did not find; and whatever it says of a run in which all is well. */
export const examine = (judge: (evidence: Evidence) => Verdict): ReadonlyArray<string> => [
  ...judge(soundEvidence).violations.map((violation) => `of a sound run it says: ${violation}`),
  ...forgeries.filter(({ evidence, finds }) => !judge(evidence).violations.some((violation) => finds.test(violation)))
    .map(({ what }) => `it does not find ${what}`)
]
