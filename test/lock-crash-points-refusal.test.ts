/** Locks and semaphores whose reads are refused, one after the other. */
import { layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { atEveryPoint, makeBench } from "./support/crashPoints.ts"
import { lockScenarios } from "./support/lockScenarios.ts"
import { ZkServer } from "./support/server.ts"
import { readWriteScenarios, semaphoreScenarios } from "./support/sharedScenarios.ts"

// Whoever may not read its own node does not hear of requests to give way.
const { isAsked: _, ...others } = lockScenarios

const scenarios = [others, readWriteScenarios, semaphoreScenarios].flatMap((all) => Object.values(all))

layer(ZkServer.layer(), { excludeTestServices: true, timeout: "60 seconds" })(
  "a read that is refused",
  (it) => {
    it.effect("leaves no candidate behind, whichever it is [LOCK-12] [K37]", () =>
      Effect.gen(function*() {
        const total = yield* atEveryPoint(yield* makeBench("10 seconds"), scenarios, ["refusal"])
        console.log(`refusal: ${total} points`)
      }), 90_000)
  }
)
