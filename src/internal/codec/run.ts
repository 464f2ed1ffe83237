/** Codecs at work: values of nodes, and errors that name the node. */
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type * as Schema from "effect/Schema"
import type * as SchemaIssue from "effect/SchemaIssue"
import * as SchemaParser from "effect/SchemaParser"
import { ValueDecodeError, ValueEncodeError } from "../../ZkCodec.ts"
import { reasonOf } from "./reason.ts"

const none = new Uint8Array(0)

/** Codecs of bytes give what they are given: what is done to a value afterwards is to change nothing but that value. */
const copyOf = (data: Uint8Array): Uint8Array => new Uint8Array(data)

const tooDeep = "Expected a value that is not nested so deeply"

/**
 * What schemas throw is a defect, and stays one. Data that nests too deeply for a recursive schema is none: anybody who
 * may write to the node could bring it about.
 */
const guarded = <A, R, E>(
  parse: () => Effect.Effect<A, SchemaIssue.Issue, R>,
  failure: (reason: string) => E
): Effect.Effect<A, E, R> =>
  Effect.suspend(parse).pipe(
    Effect.mapError((issue) => failure(reasonOf(issue))),
    Effect.catchDefect((defect) =>
      defect instanceof RangeError && defect.message === "Maximum call stack size exceeded"
        ? Effect.fail(failure(tooDeep))
        : Effect.die(defect)
    )
  )

/** Reads the values of nodes. Call it once for a codec: the function it returns keeps the parser. */
export const decodeWith = <A, RD>(
  codec: Schema.Codec<A, Uint8Array, RD, unknown>
): (path: string, data: Uint8Array | null) => Effect.Effect<A, ValueDecodeError, RD> => {
  const parse = SchemaParser.decodeEffect(codec)
  return (path, data) => {
    const bytes = data === null ? none : copyOf(data)
    return guarded(
      () => parse(bytes),
      (reason) => new ValueDecodeError({ path, reason, data: Redacted.make(bytes, { label: "data" }) })
    )
  }
}

/** Makes the data of nodes. Call it once for a codec: the function it returns keeps the parser. */
export const encodeWith = <A, RE>(
  codec: Schema.Codec<A, Uint8Array, unknown, RE>
): (path: string, value: A) => Effect.Effect<Uint8Array, ValueEncodeError, RE> => {
  const parse = SchemaParser.encodeEffect(codec)
  return (path, value) =>
    Effect.map(guarded(() => parse(value), (reason) => new ValueEncodeError({ path, reason })), copyOf)
}
