/** Exclusive locks: each step of them, with a fault at every event of the network. */
import { layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { atEveryPoint, makeBench, quickFaults } from "./support/crashPoints.ts"
import { lockScenarios } from "./support/lockScenarios.ts"
import { ZkServer } from "./support/server.ts"

const ids: Readonly<Record<keyof typeof lockScenarios, string>> = {
  uncontended: "[LF1] [T13] [T46]",
  contended: "[LF2] [T48] [I3]",
  release: "[LF3]",
  tryFree: "[LF4]",
  tryTaken: "[LF4] [K38]",
  timeout: "[LF5] [I3]",
  asks: "[LF8]",
  isAsked: "[LF8]",
  takesAway: "[LF9]",
  tryTakesAway: "[LF9]",
  isTaken: "[LF9]",
  guarded: "[LF11]"
}

layer(ZkServer.layer(), { excludeTestServices: true, timeout: "60 seconds" })(
  "a fault at every event",
  (it) => {
    let total = 0
    for (const [key, scenario] of Object.entries(lockScenarios)) {
      it.effect(`${scenario.name} ${ids[key as keyof typeof lockScenarios]}`, () =>
        Effect.gen(function*() {
          total += yield* atEveryPoint(yield* makeBench("10 seconds"), [scenario], quickFaults, true)
          console.log(`exclusive locks: ${total} points so far`)
        }), 60_000)
    }
  }
)
