/** Which server to try next, and for how long. */
import { formatServer } from "../transport.ts"
import type { ServerAddress } from "../transport.ts"

/** A random number from 0 (inclusive) to 1 (exclusive). */
export type Chance = () => number

export const shuffle = <A>(items: ReadonlyArray<A>, chance: Chance): Array<A> => {
  const shuffled = [...items]
  for (let i = shuffled.length - 1; i > 0; i--) {
    const j = Math.floor(chance() * (i + 1))
    const item = shuffled[i]!
    shuffled[i] = shuffled[j]!
    shuffled[j] = item
  }
  return shuffled
}

/** Goes round the servers of an ensemble. */
export class ServerList {
  private order: Array<ServerAddress>
  /** Attempts made so far, and those since a connection last proved good. */
  attempts = 0
  failures = 0

  constructor(servers: ReadonlyArray<ServerAddress>) {
    this.order = [...servers]
  }

  get size(): number {
    return this.order.length
  }

  next(): ServerAddress {
    const server = this.order.shift()!
    this.order.push(server)
    this.attempts++
    return server
  }

  /** How often all servers have failed in a row. */
  get rounds(): number {
    return Math.floor(this.failures / this.order.length)
  }

  /** Whether the next attempt begins a round. */
  get atRoundStart(): boolean {
    return this.failures % this.order.length === 0
  }

  failed(): void {
    this.failures++
  }

  succeeded(): void {
    this.failures = 0
  }

  /** A server that went silent may accept connections all the same: it is tried last. */
  putLast(server: string): void {
    const index = this.order.findIndex((candidate) => formatServer(candidate) === server)
    if (index >= 0) this.order.push(...this.order.splice(index, 1))
  }
}

const firstBackOff = 100
const longestBackOff = 2000
/** A session that waits is to be connected within a second of when a server can be reached again. */
export const longestOfSession = 900

/**
 * The pause before an attempt. The first reconnect of a session is immediate but for a little jitter, so that a
 * thousand clients do not arrive in the same millisecond; after each round that brought nothing the pause doubles.
 */
export const backOff = (list: ServerList, timeout: number, chance: Chance, bound = longestBackOff): number => {
  if (!list.atRoundStart) return 0
  if (list.rounds === 0) return chance() * Math.min(bound, timeout / 20)
  const longest = Math.min(bound, firstBackOff * 2 ** Math.min(list.rounds - 1, 16), timeout / 4)
  return longest * (0.5 + chance() / 2)
}

const shortestAttempt = 50

/**
 * How long one attempt may take, name look-up and handshakes included. While a session waits, a whole round has to fit
 * into half of what the session has left.
 */
export const attemptTimeout = (servers: number, timeout: number, left: number): number =>
  Math.max(shortestAttempt, Math.min(timeout / 3, left / 2 / servers))
