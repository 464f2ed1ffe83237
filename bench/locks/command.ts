/**
 * What each of the measured clients is told, and answers, in lines over its standard input and output: `ready`, then for
 * each `uncontended 1500` or `contended 1280` a line of JSON.
 */

export type Scenario =
  /** One after the other, nobody else wants the lock. Once means: acquired and released. */
  | "uncontended"
  /** 64 that want one lock through one client, each again as soon as it has released it. Once means: handed over. */
  | "contended"

export const contenders = 64

export interface Measurement {
  /** How often in a second. */
  readonly rate: number
  /** CPU microseconds of the client's process for each time: user and system, of all threads. */
  readonly cpu: number
}
