/** Random UUIDs (version 4), from the fiber's own source of chance. */
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"

const below = (limit: number) => Random.nextIntBetween(0, limit, { halfOpen: true })

const randomHex = (digits: number) => Effect.map(below(16 ** digits), (n) => n.toString(16).padStart(digits, "0"))

export const makeUuid = Effect.map(
  Effect.all([
    randomHex(8),
    randomHex(4),
    randomHex(3),
    below(4),
    randomHex(3),
    randomHex(6),
    randomHex(6)
  ]),
  ([a, b, c, variant, d, e, f]) => `${a}-${b}-4${c}-${(8 + variant).toString(16)}${d}-${e}${f}`
)
