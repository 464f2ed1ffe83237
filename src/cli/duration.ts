/** Durations as people type them: `10s`, `1500 ms`, `2 hours`, or a number of seconds. */
import * as Flag from "effect/cli/Flag"
import * as Duration from "effect/Duration"
import * as Option from "effect/Option"

const units: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000
}

const names: ReadonlyArray<readonly [RegExp, string]> = [
  [/^(millis|milliseconds?)$/, "ms"],
  [/^(sec|seconds?)$/, "s"],
  [/^(min|minutes?)$/, "m"],
  [/^hours?$/, "h"],
  [/^days?$/, "d"],
  [/^weeks?$/, "w"]
]

/** In milliseconds. */
export const parseDuration = (text: string): Option.Option<number> => {
  const match = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/.exec(text.trim())
  if (match === null) return Option.none()
  const unit = names.find(([pattern]) => pattern.test(match[2]!))?.[1] ?? (match[2] === "" ? "s" : match[2]!)
  const factor = units[unit]
  return factor === undefined ? Option.none() : Option.some(Math.round(Number(match[1]) * factor))
}

/** In milliseconds. */
export const durationFlag = (name: string): Flag.Flag<number> =>
  Flag.String(name).pipe(
    Flag.withMetavar("duration"),
    Flag.filterMap(
      (text) => Option.filter(parseDuration(text), (millis) => millis > 0),
      (text) => `${JSON.stringify(text)} is no duration: 10s, 1500ms, 5m or 2h, for example`
    )
  )

export const formatMillis = (millis: number): string => Duration.format(Duration.millis(millis))
