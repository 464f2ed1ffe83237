/** Read/write locks and semaphores: each step of them, with a fault at every event of the network. */
import { layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { atEveryPoint, makeBench } from "./support/crashPoints.ts"
import { ZkServer } from "./support/server.ts"
import { readWriteScenarios, semaphoreScenarios } from "./support/sharedScenarios.ts"

const scenarios = { ...readWriteScenarios, ...semaphoreScenarios }

const ids: Readonly<Record<keyof typeof scenarios, string>> = {
  writer: "[LF6]",
  readers: "[LF6]",
  downgrade: "[LF7]",
  free: "[LF10] [J5]",
  waiting: "[LF10] [J5]",
  timeout: "[LF10] [J5]",
  tryTaken: "[LF10] [J5]",
  release: "[LF10]"
}

layer(ZkServer.layer(), { excludeTestServices: true, timeout: "60 seconds" })(
  "a fault at every event",
  (it) => {
    let total = 0
    for (const [key, scenario] of Object.entries(scenarios)) {
      it.effect(`${scenario.name} ${ids[key as keyof typeof scenarios]}`, () =>
        Effect.gen(function*() {
          total += yield* atEveryPoint(yield* makeBench("10 seconds"), [scenario])
          console.log(`read/write locks and semaphores: ${total} points so far`)
        }), 60_000)
    }
  }
)
