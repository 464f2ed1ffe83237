/** What is measured of a client: operations on one node, so many of them under way at any time. */

export type OperationName = "getData" | "setData"

export interface BenchClient {
  /** Runs `count` operations, `inFlight` of them at a time, and is done when all are answered. */
  readonly run: (operation: OperationName, inFlight: number, count: number) => Promise<void>
  readonly close: () => Promise<void>
}

export interface Target {
  readonly host: string
  readonly port: number
  /** A node that exists, for this client alone. */
  readonly path: string
}

/** The data that is written, and that reads find. */
export const payload: Buffer = Buffer.alloc(100, "x")

/** Milliseconds: longer than a client ever waits for its turn. */
export const sessionTimeout = 30_000

/**
 * Keeps `inFlight` operations under way for clients that call back. `start` starts one and calls `done` with what it
 * gave; a result that is no result ends the measurement.
 */
export const pipeline = (
  inFlight: number,
  count: number,
  start: (done: (error: unknown) => void) => void
): Promise<void> =>
  new Promise((resolve, reject) => {
    let left = count
    let answered = 0
    const done = (error: unknown): void => {
      if (error !== undefined && error !== null) return reject(error)
      answered++
      if (left > 0) {
        left--
        start(done)
      } else if (answered === count) {
        resolve()
      }
    }
    for (let i = Math.min(inFlight, count); i > 0; i--) {
      left--
      start(done)
    }
  })
