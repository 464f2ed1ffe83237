/** What a candidate's node tells of its owner. */
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as os from "node:os"

export const Owner = Schema.Struct({
  host: Schema.String,
  pid: Schema.Number,
  since: Schema.DateTimeUtcFromString,
  custom: Schema.optionalKey(Schema.Record(Schema.String, Schema.Json)),
  revoke: Schema.optionalKey(Schema.Literals(["request", "immediate"])),
  deadline: Schema.optionalKey(Schema.DateTimeUtcFromString)
})

export type Owner = typeof Owner.Type

const OwnerText = Schema.fromJsonString(Owner)
const decode = Schema.decodeUnknownOption(OwnerText)

const host = os.hostname()

export interface Request {
  readonly custom: { readonly [key: string]: Schema.Json } | undefined
  readonly revoke: "request" | "immediate" | undefined
  /** Milliseconds for which the owner is going to wait. */
  readonly patience: number | undefined
}

const toText = (time: number): string | undefined =>
  Option.getOrUndefined(Option.map(DateTime.make(time), DateTime.formatIso))

let second = NaN
let textOfSecond = ""

/** The present time as text: made anew once a second, since that takes as long as all the rest. */
const nowToText = (now: number): string => {
  const millis = now % 1000
  if (second !== now - millis) {
    second = now - millis
    textOfSecond = DateTime.formatIso(DateTime.makeUnsafe(second)).slice(0, -4)
  }
  return `${textOfSecond}${String(millis).padStart(3, "0")}Z`
}

/**
 * The text for a new candidate, as `Owner` reads it; without the schema, since every acquisition writes it. The wall
 * clock is for people to read; nothing is decided by it.
 */
export const describe = ({ custom, patience = Infinity, revoke }: Request): Effect.Effect<string> =>
  Effect.map(Clock.currentTimeMillis, (now) =>
    JSON.stringify({
      host,
      pid: process.pid,
      since: nowToText(now),
      custom,
      revoke,
      // There is no date for a wait without an end, nor for one of very many years.
      deadline: patience === Infinity ? undefined : toText(now + patience)
    }))

/** None for nodes of clients that write something else, and for those whose data was replaced by a message. */
export const read = (text: string): Option.Option<Owner> => text === "" ? Option.none() : decode(text)
