/**
 * What is to be said of a run of `npm run convergence`: from what was written, what the server has in the end, and what
 * everybody who followed was told on the way. Values are texts, each of which is written once at most.
 */

/** Which of a node's lives, and which of its states. */
export interface Version {
  readonly czxid: bigint
  readonly mzxid: bigint
}

export interface Held {
  readonly value: string
  /** What else there is to compare; of dictionaries nothing. */
  readonly stat?: Readonly<Record<string, string>> | undefined
}

/** One change, as a follower was told. */
export interface Told {
  readonly tag: "Added" | "Changed" | "Removed" | "Present" | "Missing"
  readonly key: string
  /** What it is now. */
  readonly value?: string | undefined
  readonly version?: Version | undefined
  /** What it was before, so the follower was told. `undefined` where that is not told, `null` for nothing. */
  readonly previous?: string | null | undefined
}

export interface Follower {
  readonly what: string
  readonly told: ReadonlyArray<Told>
  /** What it showed in the end, to whoever asked. */
  readonly shown: ReadonlyMap<string, Held>
  /** Keys that it has nothing to do with. */
  readonly ignores: (key: string) => boolean
  /** Whether it told of all keys that it showed. */
  readonly tellsAll: boolean
  /** Whether it knows nothing of keys but that they are there. */
  readonly namesOnly?: boolean | undefined
}

/** A write by our own dictionary. Nobody else writes to these keys, but the root is deleted with them now and then. */
export interface OwnWrite {
  readonly key: string
  readonly what: "set" | "update" | "pop" | "remove"
  readonly outcome: "done" | "absent" | "unknown" | "refused"
  /** What it found: `pop` and `update`, if done. */
  readonly found?: string | undefined
  /** What it wrote, if it was to write anything. */
  readonly wrote?: string | undefined
  /** What a read showed right behind it; nothing is looked for unless it was done or absent. */
  readonly showed?: string | undefined
  /** How often the deletion of the root had begun or ended, before and after: even while nobody deletes. */
  readonly from: number
  readonly to: number
}

export interface Evidence {
  /** Of each key, what was ever written to it, or may have been. */
  readonly written: ReadonlyMap<string, ReadonlySet<string>>
  /** What the server has in the end; the root is the empty key. */
  readonly truth: ReadonlyMap<string, Held>
  readonly followers: ReadonlyArray<Follower>
  /** Numbers that may not fall. */
  readonly revisions: ReadonlyMap<string, ReadonlyArray<bigint>>
  readonly own: ReadonlyArray<OwnWrite>
  /** How often the deletion of the root has begun or ended in all. */
  readonly epoch: number
  /** What the manual dictionary showed after each `sync`, before the next one, and after that. */
  readonly manual: ReadonlyArray<{
    readonly before: ReadonlyMap<string, Held>
    readonly after: ReadonlyMap<string, Held>
    readonly synced: ReadonlyMap<string, Held>
  }>
  /** How long it took at most until everything was shown, and how long it may. In milliseconds. */
  readonly converged: number
  readonly limit: number
}

const show = (value: string | null | undefined): string => value === undefined || value === null ? "nothing" : value

const showHeld = (held: Held | undefined): string =>
  held === undefined
    ? "nothing"
    : [held.value, ...Object.entries(held.stat ?? {}).map(([k, v]) => `${k} ${v}`)].join(" ")

/** What is known of both is the same. */
export const isSame = (shown: Held | undefined, truth: Held | undefined): boolean => {
  if (shown === undefined || truth === undefined) return shown === truth
  if (shown.value !== truth.value) return false
  return Object.entries(shown.stat ?? {}).every(([name, value]) => truth.stat?.[name] === value)
}

/** The keys of two views that are not the same. */
const differ = (
  shown: ReadonlyMap<string, Held>,
  truth: ReadonlyMap<string, Held>,
  ignores: (key: string) => boolean
): ReadonlyArray<string> =>
  [...new Set([...shown.keys(), ...truth.keys()])].filter((key) =>
    !ignores(key) && !isSame(shown.get(key), truth.get(key))
  )

/** What a key is to whoever knows names only. */
export const aChild = "a child"

/** The keys of which it shows something else than there is. */
export const differences = (
  { ignores, namesOnly }: Pick<Follower, "ignores" | "namesOnly">,
  shown: ReadonlyMap<string, Held>,
  truth: ReadonlyMap<string, Held>
): ReadonlyArray<string> => {
  const names = new Map([...truth.keys()].map((key) => [key, { value: aChild }]))
  return differ(shown, namesOnly === true ? names : truth, ignores)
}

const isNewer = (a: Version, b: Version): boolean => a.czxid > b.czxid || (a.czxid === b.czxid && a.mzxid > b.mzxid)

class Judge {
  readonly violations: Array<string> = []
  /** The one version that each value has. */
  private readonly versions = new Map<string, { readonly version: Version; readonly what: string }>()
  /** Values of a key were written in the order in which they stand in its journal. */
  private readonly places: ReadonlyMap<string, ReadonlyMap<string, number>>
  private readonly evidence: Evidence

  constructor(evidence: Evidence) {
    this.evidence = evidence
    this.places = new Map(
      [...evidence.written].map(([key, values]) => [key, new Map([...values].map((value, i) => [value, i]))])
    )
  }

  private say(what: string): void {
    this.violations.push(what)
  }

  private wasWritten(where: string, key: string, value: string): void {
    if (this.evidence.written.get(key)?.has(value) !== true) this.say(`${where}: ${value} was never written`)
  }

  private isOnly(where: string, value: string, version: Version): void {
    const before = this.versions.get(value)
    if (before === undefined) this.versions.set(value, { version, what: where })
    else if (before.version.czxid !== version.czxid || before.version.mzxid !== version.mzxid) {
      this.say(`${where}: ${value} is of two moments`)
    }
  }

  /** Told one after the other, everything is possible; gives what is left. */
  private fold({ told, what }: Follower): ReadonlyMap<string, Held> {
    const now = new Map<string, Held>()
    const newest = new Map<string, Version>()
    const latest = new Map<string, number>()
    for (const [index, change] of told.entries()) {
      const { key, previous, tag, value, version } = change
      const where = `${what}: ${tag} ${key} (${index})`
      const before = now.get(key)
      if (tag === "Added" && before !== undefined) this.say(`${where}: it was there`)
      if ((tag === "Changed" || tag === "Removed") && before === undefined) this.say(`${where}: it was not there`)
      if (previous !== undefined && previous !== (before?.value ?? null)) {
        this.say(`${where}: previous is ${show(previous)}, told was ${show(before?.value)}`)
      }
      if (tag === "Removed" || tag === "Missing") {
        now.delete(key)
        continue
      }
      if (value === undefined) {
        this.say(`${where}: without a value`)
        continue
      }
      this.wasWritten(where, key, value)
      // The root may be made without a value by anybody, as often as it is gone.
      const place = value === "" ? undefined : this.places.get(key)?.get(value)
      if (place !== undefined) {
        if (place <= (latest.get(key) ?? -1)) this.say(`${where}: ${value} comes again, or too late`)
        latest.set(key, place)
      }
      if (version !== undefined) {
        const last = newest.get(key)
        if (last !== undefined && version.mzxid < last.mzxid) this.say(`${where}: its mzxid went back`)
        if (last !== undefined && !isNewer(version, last)) this.say(`${where}: it is not newer`)
        newest.set(key, version)
        if (value !== "") this.isOnly(where, value, version)
      }
      now.set(key, {
        value,
        ...version === undefined ? {} : { stat: { czxid: String(version.czxid), mzxid: String(version.mzxid) } }
      })
    }
    return now
  }

  followers(): void {
    const { followers, truth } = this.evidence
    for (const follower of followers) {
      const { shown, tellsAll, what } = follower
      for (const key of differences(follower, shown, truth)) {
        this.say(
          `${what}: in the end shows of ${key} ${showHeld(shown.get(key))}, there is ${showHeld(truth.get(key))}`
        )
      }
      const told = this.fold(follower)
      if (!tellsAll) continue
      for (const key of differ(told, shown, () => false)) {
        this.say(`${what}: in the end has told of ${key} ${showHeld(told.get(key))}, shows ${showHeld(shown.get(key))}`)
      }
    }
  }

  revisions(): void {
    for (const [what, revisions] of this.evidence.revisions) {
      for (const [i, revision] of revisions.entries()) {
        const before = revisions[i - 1]
        if (before !== undefined && revision < before) this.say(`${what}: revision fell from ${before} to ${revision}`)
      }
      const told = this.evidence.followers.find((follower) => follower.what === what)?.told.length ?? 0
      if (BigInt(told) > (revisions.at(-1) ?? 0n)) {
        this.say(`${what}: revision ${revisions.at(-1)} after ${told} changes`)
      }
    }
  }

  manual(): void {
    for (const { after, before } of this.evidence.manual) {
      for (const key of differ(after, before, () => false)) {
        this.say(`the manual dictionary: ${key} has changed without a sync`)
      }
    }
  }

  own(): void {
    /** What each key may hold. */
    const possible = new Map<string, Set<string | undefined>>()
    const epochs = new Map<string, number>()
    const { epoch, own, truth } = this.evidence
    for (const [index, write] of own.entries()) {
      const { found, from, key, outcome, showed, to, what, wrote } = write
      const where = `own ${what} of ${key} (${index})`
      const before = possible.get(key) ?? new Set([undefined])
      // The root was deleted meanwhile.
      const isAlone = from === to && from % 2 === 0
      if (!isAlone || epochs.get(key) !== from) before.add(undefined)
      epochs.set(key, to)
      let after = new Set(before)
      const sees = (expected: string | undefined) => {
        if (showed === expected || (!isAlone && showed === undefined)) return
        this.say(`${where}: right behind it a read shows ${show(showed)}, not ${show(expected)}`)
      }
      if (outcome === "done") {
        if (what === "pop" || what === "update") {
          if (!before.has(found)) this.say(`${where}: found ${show(found)}, not ${[...before].map(show).join(" or ")}`)
        }
        sees(wrote)
        after = new Set([wrote])
      } else if (outcome === "absent") {
        if (!before.has(undefined)) this.say(`${where}: found nothing, not ${[...before].map(show).join(" or ")}`)
        // An update that finds nothing has failed, and waits for nothing to be shown.
        if (what !== "update") sees(undefined)
        after = new Set([undefined])
      } else if (outcome === "unknown") after.add(wrote)
      if (!isAlone) after.add(undefined)
      possible.set(key, after)
    }
    for (const [key, values] of possible) {
      if (epochs.get(key) !== epoch) values.add(undefined)
      const value = truth.get(key)?.value
      if (!values.has(value)) this.say(`own ${key} in the end is ${show(value)}`)
    }
  }

  convergence(): void {
    const { converged, limit } = this.evidence
    if (converged > limit) this.say(`it took ${converged.toFixed(0)} ms until all was shown, not ${limit}`)
  }
}

export const judge = (evidence: Evidence): ReadonlyArray<string> => {
  const judge = new Judge(evidence)
  judge.followers()
  judge.revisions()
  judge.manual()
  judge.own()
  judge.convergence()
  return judge.violations
}
