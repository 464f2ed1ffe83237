/** What locks and semaphores count. */
import type * as Context from "effect/Context"
import * as Metric from "effect/Metric"

const millis = Metric.exponentialBoundaries({ start: 1, factor: 4, count: 12 })

const wait = Metric.histogram("zookeeper_lock_wait_millis", {
  description: "Time from asking for a lock to its grant",
  boundaries: millis
})

const hold = Metric.histogram("zookeeper_lock_hold_millis", {
  description: "Time from the grant of a lock to its release or loss",
  boundaries: millis
})

const ahead = Metric.histogram("zookeeper_lock_contenders", {
  description: "Candidates in the way of a new one",
  boundaries: Metric.exponentialBoundaries({ start: 1, factor: 2, count: 11 })
})

const lost = Metric.counter("zookeeper_locks_lost", { description: "Locks that were lost", incremental: true })

type Ambient = Context.Context<never>

export const waited = (time: number, context: Ambient): void => wait.updateUnsafe(time, context)
export const held = (time: number, context: Ambient): void => hold.updateUnsafe(time, context)
export const queued = (contenders: number, context: Ambient): void => ahead.updateUnsafe(contenders, context)
export const lose = (context: Ambient): void => lost.updateUnsafe(1, context)
