/** Keys of dictionaries as names of nodes. */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaGetter from "effect/SchemaGetter"
import * as SchemaParser from "effect/SchemaParser"
import * as ZkPath from "../../ZkPath.ts"
import { reasonOf } from "../codec/reason.ts"
import { isMark } from "./claim.ts"
import { InvalidDictKey } from "./dictErrors.ts"

/** Why something cannot be the name of a node. */
const problemOf = (name: string): string | undefined => {
  if (typeof name !== "string") return "it is not a string"
  const slash = name.indexOf("/")
  if (slash !== -1) return `the character / at index ${slash}`
  if (name === "") return "it is empty"
  if (name === "." || name === "..") return "names of nodes cannot be relative"
  return ZkPath.problem(`/${name}`) === undefined ? undefined : "it has a character that names of nodes cannot have"
}

export interface Names<K> {
  readonly toName: (key: K) => Result.Result<string, InvalidDictKey>
  /** None: what has this name is no key. */
  readonly toKey: (name: string) => K | undefined
}

const namesOf = <K extends string | number>(
  path: string,
  schema: Schema.Codec<K, string>,
  problem: (name: string) => string | undefined
): Names<K> => {
  const encode = SchemaParser.encodeResult(schema)
  const decode = SchemaParser.decodeUnknownResult(schema)
  const invalid = (key: unknown, reason: string) => Result.fail(new InvalidDictKey({ path, key: String(key), reason }))
  return {
    toName: (key) => {
      const encoded = encode(key)
      if (Result.isFailure(encoded)) return invalid(key, reasonOf(encoded.failure))
      const reason = problem(encoded.success)
      return reason === undefined ? Result.succeed(encoded.success) : invalid(key, reason)
    },
    toKey: (name) => {
      if (problem(name) !== undefined) return undefined
      const key = Result.getOrUndefined(decode(name))
      // Of several names that stand for the same key only the one that it is written to is a key: `1`, and not `01`.
      return key !== undefined && Result.getOrUndefined(encode(key)) === name ? key : undefined
    }
  }
}

/** Keys as names of nodes below a root. */
export const nodeNames = <K extends string | number>(root: string, schema: Schema.Codec<K, string>): Names<K> =>
  namesOf(root, schema, (name) => {
    if (root === "/" && name === "zookeeper") return "it belongs to the servers"
    return isMark(name) ? "it is what marks look like" : problemOf(name)
  })

/** Keys as names that can be anything. */
export const anyNames = <K extends string | number>(path: string, schema: Schema.Codec<K, string>): Names<K> =>
  namesOf(path, schema, () => undefined)

// -- any text as a name -----------------------------------------------------------------------------------------------

const isPlain = (character: string): boolean => character !== "%" && problemOf(`-${character}`) === undefined

/** As `encodeURIComponent` writes it; halves of surrogate pairs, which UTF-8 does not have, as `%u` and four digits. */
const escapeCharacter = (character: string): string => {
  const code = character.charCodeAt(0)
  const isHalf = character.length === 1 && code >= 0xd800 && code <= 0xdfff
  if (isHalf) return `%u${code.toString(16).toUpperCase()}`
  const bytes = new TextEncoder().encode(character)
  return [...bytes].map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, "0")}`).join("")
}

/** What stands for the empty text. Alone it stands for nothing else. */
const empty = "%"

const escape = (text: string): string => {
  if (text === "") return empty
  if (text === "." || text === "..") return text.replaceAll(".", "%2E")
  return Array.from(text, (character) => isPlain(character) ? character : escapeCharacter(character)).join("")
}

const unescape = (name: string): string | undefined => {
  if (name === empty) return ""
  try {
    // Halves are put back last, so that they do not come together with what stands beside them before it is decoded.
    return name.replaceAll(/((?:%[0-9A-F]{2})+)|%u(D[89A-F][0-9A-F]{2})|%/g, (_, bytes, half) => {
      if (bytes !== undefined) return decodeURIComponent(bytes)
      if (half !== undefined) return String.fromCharCode(Number.parseInt(half, 16))
      throw new URIError("a lone %")
    })
  } catch {
    return undefined
  }
}

const isEscaped = Schema.makeFilter((name: string) => {
  const text = unescape(name)
  // Each text has one name, and each name that is not the one of its text is nobody's.
  return text !== undefined && escape(text) === name ? undefined : "a name that stands for a text"
})

export const escapedKey: Schema.Codec<string, string> = Schema.String.pipe(
  Schema.check(isEscaped),
  Schema.decodeTo(Schema.String, {
    decode: SchemaGetter.transform((name: string) => unescape(name) ?? name),
    encode: SchemaGetter.transform(escape)
  })
)
