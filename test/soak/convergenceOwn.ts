/** What our own dictionary writes during `npm run convergence`, each key by one fiber of its own. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as ZkError from "../../src/ZkError.ts"
import { sleep } from "../support/wait.ts"
import type { Churn } from "./convergenceChurn.ts"
import { type Dict, showValue, type Value } from "./convergenceFollowers.ts"
import type { OwnWrite } from "./convergenceJudge.ts"

/** What may become of a write while connections break. */
const expected: ReadonlySet<string> = new Set([
  "ConnectionLoss",
  "OperationTimeout",
  "SessionExpired",
  "WriteConflict",
  "PopInDoubt"
])

export interface Own {
  readonly writes: Array<OwnWrite>
  /** How many of what kind came to what. */
  readonly outcomes: Record<string, number>
  /** Errors that there should not be. */
  readonly surprises: Array<string>
}

const isUnknown = (error: { readonly _tag: string }): boolean =>
  error._tag === "PopInDoubt" || ZkError.maybeApplied(error)

/** One write; to be run again and again. */
export const writeOwn = (
  dict: Dict,
  key: string,
  churn: Churn,
  chance: () => number,
  own: Own
): Effect.Effect<void> => {
  const next = (): Value => {
    const text = churn.next(key)
    churn.note(key, text)
    return JSON.parse(text) as Value
  }
  return Effect.gen(function*() {
    const dice = chance()
    const what = dice < 0.4 ? "set" : dice < 0.7 ? "update" : dice < 0.9 ? "pop" : "remove"
    const from = churn.epoch
    let found: string | undefined
    let wrote: string | undefined
    /** What was to be written before somebody else was faster. */
    const strike = () => {
      if (wrote !== undefined) churn.strike(key, wrote)
      wrote = undefined
    }
    const write = (value: Value): Value => {
      strike()
      wrote = showValue(value)
      return value
    }
    const effect: Effect.Effect<OwnWrite["outcome"], { readonly _tag: string; readonly message: string }> =
      what === "set"
        ? Effect.as(Effect.suspend(() => dict.set(key, write(next()))), "done")
        : what === "update"
        ? dict.update(key, (value) => {
          found = showValue(value)
          return write(next())
        }).pipe(Effect.as("done" as const), Effect.catchTag("KeyNotFound", () => Effect.succeed("absent" as const)))
        : what === "pop"
        ? Effect.map(dict.popOption(key), (value) => {
          found = Option.getOrUndefined(Option.map(value, showValue))
          return Option.isSome(value) ? "done" : "absent"
        })
        : Effect.as(dict.remove(key), "done")
    const outcome = yield* Effect.catch(effect, (error) =>
      Effect.sync((): OwnWrite["outcome"] => {
        const outcome = isUnknown(error) ? "unknown" : "refused"
        own.outcomes[`${what}: ${error._tag}, ${outcome}`] = (own.outcomes[`${what}: ${error._tag}, ${outcome}`] ?? 0) +
          1
        if (!expected.has(error._tag)) own.surprises.push(`own ${what} of ${key}: ${error.message}`)
        return outcome
      }))
    const isKnown = outcome === "done" || outcome === "absent"
    if (isKnown) own.outcomes[`${what}: ${outcome}`] = (own.outcomes[`${what}: ${outcome}`] ?? 0) + 1
    const showed = isKnown
      ? Option.getOrUndefined(Option.map(yield* Effect.orDie(dict.getOption(key)), showValue))
      : undefined
    if (outcome === "refused" || outcome === "absent") strike()
    own.writes.push({ key, what, outcome, found, wrote, showed, from, to: churn.epoch })
    // Those that fail at once would fail all the time that there is no connection.
    yield* Effect.promise(() => sleep(isKnown ? chance() * 40 : 20))
  })
}
