/** Durations as people write them into configuration files. */
import * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import { longest } from "./resolve.ts"

const day = 86_400_000

const units: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: day,
  w: 7 * day,
  M: 31 * day,
  y: 365 * day
}

/** `10`, `10s`, `1.5 m`: seconds where there is no unit. */
const short = (text: string): Option.Option<Duration.Duration> => {
  const parts = /^(\d+(?:\.\d+)?|\.\d+)\s*(ms|[smhdwMy])?$/.exec(text)
  return parts === null
    ? Option.none()
    : Option.some(Duration.millis(Number(parts[1]) * units[parts[2] ?? "s"]!))
}

const long = (text: string): Option.Option<Duration.Duration> =>
  /^\d+(?:\.\d+)? [a-z]+$/.test(text) ? Duration.fromInput(text as Duration.Input) : Option.none()

/** In asab's way, or in Effect's (`500 millis`). */
export const parseTimeout = (text: string): Result.Result<Duration.Duration, string> => {
  const duration = Option.orElse(short(text.trim()), () => long(text.trim()))
  if (Option.isNone(duration)) {
    return Result.fail(`${JSON.stringify(text)} is no duration: 10, 10s, 1.5m, 500ms and "500 millis" are`)
  }
  const millis = Math.round(Duration.toMillis(duration.value))
  return millis >= 1 && millis <= longest
    ? Result.succeed(Duration.millis(millis))
    : Result.fail(`${JSON.stringify(text)} is not between 1 ms and ${longest} ms`)
}
