import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as ZkClient from "../../src/ZkClient.ts"
import type * as ZkLock from "../../src/ZkLock.ts"
import { queueUp } from "../support/locking.ts"
import { checkBoard, exclusiveTurn, openBoard, sharedTurn } from "./board.ts"

/** One of ours that takes turns: acquires, works on the board, releases, and gets in line again. */
export const worker = (
  zk: ZkClient.ZkClient,
  lock: ZkLock.ZkLock<ZkLock.LockHandle>,
  board: string,
  rounds: number
) =>
  Effect.repeat(
    lock.withLock((handle) => (lock.kind === "shared" ? sharedTurn : exclusiveTurn)(zk, board, handle.path)),
    { times: rounds - 1 }
  )

/**
 * Lines up workers of both sides behind a holder, one by one in the order given, and lets them go: from then on the line
 * is never empty, and goes round. Gives how often the lock went from one side to the other.
 */
export const handOver = Effect.fnUntraced(function*(options: {
  readonly zk: ZkClient.ZkClient
  /** Excludes all others, and is only the gate. */
  readonly gate: ZkLock.ZkLock<ZkLock.LockHandle>
  readonly board: string
  readonly rounds: number
  readonly workers: ReadonlyArray<Effect.Effect<unknown, unknown>>
}) {
  const { board, gate, rounds, workers, zk } = options
  yield* openBoard(zk, board)
  const held = yield* gate.acquire()
  const fibers: Array<Fiber.Fiber<unknown, unknown>> = []
  for (const [index, run] of workers.entries()) {
    // The gate is the first in line.
    fibers.push(yield* queueUp(zk, gate.path, index + 2, run))
  }
  yield* held.release
  for (const fiber of fibers) yield* Fiber.join(fiber)
  assert.isFalse(yield* gate.isLocked)
  return yield* checkBoard(zk, board, rounds * workers.length)
})
