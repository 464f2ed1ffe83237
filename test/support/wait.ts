import { setTimeout as delay } from "node:timers/promises"
import { rigError } from "./rigError.ts"

// The rig waits in real time, not on Effect's Clock: servers are other processes, and a test under TestClock that
// talks to one would wait forever otherwise.

/** Slow machines set ZK_TEST_PATIENCE=3 (a factor); every bound of the rig scales with it. */
export const patience = Math.max(1, Number(process.env["ZK_TEST_PATIENCE"] ?? "1") || 1)

export const sleep = (ms: number, signal?: AbortSignal): Promise<void> =>
  delay(ms, undefined, signal === undefined ? {} : { signal })

/**
 * Asks `probe` until it answers with something else than `undefined`. Only for conditions of other processes, which
 * announce nothing.
 */
export const pollUntil = async <A>(
  what: string | (() => string),
  probe: () => Promise<A | undefined>,
  options?: { readonly within?: number; readonly every?: number; readonly signal?: AbortSignal }
): Promise<A> => {
  const within = (options?.within ?? 20_000) * patience
  const end = performance.now() + within
  for (;;) {
    options?.signal?.throwIfAborted()
    const answer = await probe()
    if (answer !== undefined) return answer
    if (performance.now() > end) {
      throw rigError(`gave up after ${within} ms waiting until ${typeof what === "string" ? what : what()}`)
    }
    await sleep(options?.every ?? 25, options?.signal)
  }
}
