/** What Tab offers: commands, flags, values of flags, and the nodes that are there. */
import type * as Completions from "effect/cli/Completions"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { ZkClient } from "../../ZkClient.ts"
import * as ZkPath from "../../ZkPath.ts"
import * as ZkState from "../../ZkState.ts"
import { type Place, placeOf } from "../commandLine.ts"
import { normalize } from "../nodePath.ts"
import { printable } from "../printable.ts"
import { byName } from "../subtree.ts"
import { quote, scan } from "./words.ts"

/** Nobody waits for longer before he goes on typing. */
const patience = "700 millis"
const mostShown = 200

export interface Completed {
  readonly candidates: ReadonlyArray<string>
  /** The end of the line that they take the place of. */
  readonly replaced: string
}

export interface Candidate {
  readonly text: string
  /** Whether the word is complete with it. */
  readonly isWhole: boolean
}

const whole = (texts: ReadonlyArray<string>, typed: string): ReadonlyArray<Candidate> =>
  texts.filter((text) => text.startsWith(typed)).map((text) => ({ text, isWhole: true }))

/** Nothing while there is no connection: requests would wait for it. */
export const nodes = (typed: string, from: string) =>
  Effect.gen(function*() {
    const zk = yield* ZkClient
    if (!ZkState.isConnected(yield* zk.state)) return []
    const cut = typed.lastIndexOf("/") + 1
    const [head, tail] = [typed.slice(0, cut), typed.slice(cut)]
    const parent = normalize(head === "" ? "." : head, from)
    const { children } = yield* zk.getChildren(parent)
    // What cannot be shown as it is cannot be typed either.
    const names = children.filter((name) => name.startsWith(tail) && printable(name) === name).sort(byName)
    const [only] = names
    if (names.length !== 1 || only === undefined) {
      return names.map((name): Candidate => ({ text: head + name, isWhole: false }))
    }
    const stat = yield* zk.exists(ZkPath.join(parent, only))
    const hasChildren = Option.isSome(stat) && stat.value.numChildren > 0
    return [{ text: hasChildren ? `${head}${only}/` : head + only, isWhole: !hasChildren }]
  }).pipe(
    Effect.timeoutOption(patience),
    Effect.map(Option.getOrElse((): ReadonlyArray<Candidate> => [])),
    // Whoever types is not told why nothing is offered: the command itself will say it.
    Effect.catch(() => Effect.succeed<ReadonlyArray<Candidate>>([]))
  )

const argumentOf = (command: Completions.CommandDescriptor, position: number) => {
  const last = command.arguments.at(-1)
  return command.arguments[position] ?? (last?.variadic === true ? last : undefined)
}

const find = (root: Completions.CommandDescriptor, words: ReadonlyArray<string>, typed: string, from: string) => {
  const isHelp = words[0] === "help"
  const place = placeOf(root, isHelp ? words.slice(1) : words, { isShell: true })
  const { command, flags, isPastFlags, position, used, valueOf } = place
  if (valueOf !== undefined) {
    return Effect.succeed(valueOf.type._tag === "Choice" ? whole(valueOf.type.values, typed) : [])
  }
  if (position === 0 && command.subcommands.length > 0) {
    if (!typed.startsWith("-")) return Effect.succeed(whole(command.subcommands.map(({ name }) => name), typed))
  } else if (isHelp) return Effect.succeed([])
  if (typed.startsWith("-") && !isPastFlags) {
    return Effect.succeed(whole(flags.filter(({ name }) => !used.has(name)).map(({ name }) => `--${name}`), typed))
  }
  const argument = argumentOf(command, position)
  if (argument?.type._tag === "Choice") return Effect.succeed(whole(argument.type.values, typed))
  return isNode(place, typed) ? nodes(typed, from) : Effect.succeed([])
}

/** Data may be the path of another node, but seldom is. */
export const isNode = ({ command, position, valueOf }: Place, typed: string): boolean => {
  const argument = argumentOf(command, position)
  return valueOf === undefined && argument?.type._tag === "String" &&
    (argument.name !== "data" || typed.startsWith("/"))
}

export const complete = (
  root: Completions.CommandDescriptor,
  line: string,
  from: string
): Effect.Effect<Completed, never, ZkClient> =>
  Effect.gen(function*() {
    const { isInWord, open, words } = scan(line)
    const nothing: Completed = { candidates: [], replaced: line }
    if (open === "\\") return nothing
    const word = isInWord ? words.at(-1) : undefined
    const before = (word === undefined ? words : words.slice(0, -1)).map(({ text }) => text)
    const replaced = word === undefined ? "" : line.slice(word.start)
    // Quotes that were opened within a word go on; those that were closed again are forgotten.
    const candidates = yield* find(root, before, word?.text ?? "", from)
    const texts = candidates.flatMap(({ isWhole, text }) => {
      const quoted = quote(text, open)
      if (quoted === undefined) return []
      return [isWhole && candidates.length === 1 ? `${quoted}${open ?? ""} ` : quoted]
    })
    const more = texts.length - mostShown
    return { candidates: more > 0 ? [...texts.slice(0, mostShown), `… ${more} more`] : texts, replaced }
  })
