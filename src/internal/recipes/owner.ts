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
const encode = Schema.encodeEffect(OwnerText)
const decode = Schema.decodeUnknownOption(OwnerText)

const host = os.hostname()

export interface Request {
  readonly custom: { readonly [key: string]: Schema.Json } | undefined
  readonly revoke: "request" | "immediate" | undefined
  /** Milliseconds for which the owner is going to wait. */
  readonly patience: number | undefined
}

/** The text for a new candidate. The wall clock is for people to read; nothing is decided by it. */
export const describe = ({ custom, patience = Infinity, revoke }: Request): Effect.Effect<string> =>
  Effect.flatMap(Clock.currentTimeMillis, (now) => {
    // There is no date for a wait without an end, nor for one of very many years.
    const deadline = Option.getOrUndefined(DateTime.make(now + patience))
    return Effect.orDie(encode({
      host,
      pid: process.pid,
      since: DateTime.makeUnsafe(now),
      ...(custom === undefined ? undefined : { custom }),
      ...(revoke === undefined ? undefined : { revoke }),
      ...(deadline === undefined ? undefined : { deadline })
    }))
  })

/** None for nodes of clients that write something else, and for those whose data was replaced by a message. */
export const read = (text: string): Option.Option<Owner> => text === "" ? Option.none() : decode(text)
