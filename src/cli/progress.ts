/** How far a command has come: one line on standard error, where that is a terminal, and nothing anywhere else. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { Output } from "./output.ts"
import { plural } from "./stat.ts"

export interface Progress {
  /** So many are done, of so many if that is known. Costs nothing most of the time: the line is redrawn now and then. */
  readonly show: (done: number, total?: number) => Effect.Effect<void>
  /** A remark that does not mix with the line. */
  readonly note: (text: string) => Effect.Effect<void>
}

/** In milliseconds: what people can follow. */
const interval = 100

const clear = "\r\u001b[K"

export const renderProgress = (verb: string, done: number, total: number | undefined, millis: number): string => {
  const of = total === undefined ? plural(done, "node") : `${done} of ${plural(total, "node")}`
  // A rate of the first moments says nothing.
  const rate = millis < 500 ? "" : `, ${Math.round(done / (millis / 1_000))}/s`
  return `${verb}: ${of}${rate}`
}

/** The line goes when the scope ends. With `isQuiet` there is none, as where results go to the same terminal. */
export const makeProgress = (
  verb: string,
  options?: { readonly isQuiet?: boolean | undefined }
): Effect.Effect<Progress, never, Output | Scope.Scope> =>
  Effect.gen(function*() {
    const { canAnimate, noteStyle, remark } = yield* Output
    if (!canAnimate || options?.isQuiet === true) {
      return { show: () => Effect.void, note: (text) => remark(`${text}\n`) }
    }
    const clock = yield* Clock.Clock
    const begun = clock.currentTimeMillisUnsafe()
    let drawnAt = begun
    let line = ""
    yield* Effect.addFinalizer(() => line === "" ? Effect.void : remark(clear))
    return {
      show: (done, total) =>
        Effect.suspend(() => {
          const now = clock.currentTimeMillisUnsafe()
          if (now - drawnAt < interval) return Effect.void
          drawnAt = now
          line = noteStyle.faint(renderProgress(verb, done, total, now - begun))
          return remark(`${clear}${line}`)
        }),
      note: (text) => remark(line === "" ? `${text}\n` : `${clear}${text}\n${line}`)
    }
  })
