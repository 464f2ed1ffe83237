/**
 * Locks and semaphores whose connection is lost once more on the way back. Here a sample of all pairs of events;
 * `npm run crash-points` takes all of them.
 */
import { layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { atEveryPoint, makeBench } from "./support/crashPoints.ts"
import { lockScenarios } from "./support/lockScenarios.ts"
import { ZkServer } from "./support/server.ts"
import { readWriteScenarios, semaphoreScenarios } from "./support/sharedScenarios.ts"

const scenarios = [lockScenarios, readWriteScenarios, semaphoreScenarios].flatMap((all) => Object.values(all))

layer(ZkServer.layer(), { excludeTestServices: true, timeout: "60 seconds" })(
  "a connection that is lost twice",
  (it) => {
    it.effect("does no more harm than one that is lost once [LF14]", () =>
      Effect.gen(function*() {
        const total = yield* atEveryPoint(yield* makeBench("10 seconds"), scenarios, ["cut twice"])
        console.log(`two cuts: ${total} points`)
      }), 600_000)
  }
)
