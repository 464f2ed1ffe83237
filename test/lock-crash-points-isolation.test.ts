/** Locks and semaphores of a client that is cut off at any event, until its session is over. */
import { layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { atEveryPoint, makeBench } from "./support/crashPoints.ts"
import { lockScenarios } from "./support/lockScenarios.ts"
import { ZkServer } from "./support/server.ts"
import { readWriteScenarios, semaphoreScenarios } from "./support/sharedScenarios.ts"

// Of those that do the same one after the other, one.
const { tryFree: _, tryTakesAway: __, tryTaken: ___, ...others } = lockScenarios
const { tryTaken: ____, ...permits } = semaphoreScenarios

const scenarios = [others, readWriteScenarios, permits].flatMap((all) => Object.values(all))

layer(ZkServer.layer({ tickTime: 200 }), { excludeTestServices: true, timeout: "60 seconds" })(
  "a client that is cut off",
  (it) => {
    it.effect(
      "believes to hold nothing any more when the next one gets it, whatever it was doing [LF12]",
      () =>
        Effect.gen(function*() {
          const total = yield* atEveryPoint(yield* makeBench("2 seconds"), scenarios, ["isolation"])
          console.log(`isolation: ${total} points`)
        }),
      240_000
    )
  }
)
