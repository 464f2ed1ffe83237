/** Who comes before whom: pure functions over the names below a lock's node. */

/** Exclusive candidates tolerate nobody beside them, shared ones each other. */
export type Kind = "exclusive" | "shared"

/** A candidate's place in the queue. */
export interface Place {
  readonly name: string
  readonly kind: Kind
  /** The number that the server gave it: 32 bits with a sign. */
  readonly sequence: number
}

/**
 * The number that stands behind the name of a candidate, and nothing but that: a minus sign in front is one. In a whole
 * name it could be the name's last character (see `ZkPath.sequence`). Servers write at least ten characters, noughts in
 * front: with the sign eleven only where there is no nought, so that `-lock--0000000001` has no number behind `lock-`.
 */
export const readNumber = (text: string): number | undefined => {
  if (!/^(\d{10}|-\d{9}|-[1-9]\d{9})$/.test(text)) return undefined
  const number = Number(text)
  return (number | 0) === number ? number : undefined
}

/** Numbers go round from 2147483647 to -2147483648; of two, the one that is less than half way behind is the later. */
export const compare = (a: Place, b: Place): number => {
  const distance = (a.sequence - b.sequence) | 0
  if (distance !== 0) return distance
  // Curator gives a reader that was a writer its writer's number.
  if (a.kind !== b.kind) return a.kind === "exclusive" ? -1 : 1
  return a.name < b.name ? -1 : a.name > b.name ? 1 : 0
}

/** The candidates among the names, first come first. */
export const readQueue = (
  names: ReadonlyArray<string>,
  parse: (name: string) => Place | undefined
): ReadonlyArray<Place> => {
  const places: Array<Place> = []
  for (const name of names) {
    const place = parse(name)
    if (place !== undefined) places.push(place)
  }
  return places.sort(compare)
}

const excludes = (a: Kind, b: Kind): boolean => a === "exclusive" || b === "exclusive"

/** Whether somebody's place is behind another, and the two cannot hold the lock together. */
export const isBlockedBy = (own: Omit<Place, "name">, other: Omit<Place, "name">): boolean =>
  ((own.sequence - other.sequence) | 0) > 0 && excludes(own.kind, other.kind)

/** Who must go before `own` is granted, in the order of the queue: the last one is the one to wait for. */
export const blockersOf = (queue: ReadonlyArray<Place>, own: Place): ReadonlyArray<Place> =>
  queue.filter((other) => isBlockedBy(own, other))

/** Who holds the lock: all that nobody blocks. */
export const holdersOf = (queue: ReadonlyArray<Place>): ReadonlyArray<Place> => {
  const [first] = queue
  if (first === undefined || first.kind === "exclusive") return queue.slice(0, 1)
  const end = queue.findIndex((place) => place.kind === "exclusive")
  return end < 0 ? queue : queue.slice(0, end)
}
