/** What to do when somebody else was faster: the same again, after a while, and not for ever. */
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"

/** How often somebody else may be faster. */
export const maxTries = 100

/** So that those who collide do not collide again: a random while, longer each time. */
export const backOff = (tries: number): Effect.Effect<void> =>
  Effect.flatMap(Random.next, (chance) => Effect.sleep(chance * Math.min(2 ** tries, 32)))
