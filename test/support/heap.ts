import * as Effect from "effect/Effect"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"

setFlagsFromString("--expose-gc")
const collect: () => void = runInNewContext("gc")

/** Bytes that are in use, once all that is not has been collected. */
export const heapUsed: Effect.Effect<number> = Effect.sync(() => {
  collect()
  return process.memoryUsage().heapUsed
})
