/** Where in a command line one is: which command it names, and what its next word would be. */
import type * as Completions from "effect/cli/Completions"

/** As they come with every command. */
const builtIns = (isShell: boolean): ReadonlyArray<Completions.FlagDescriptor> => [
  { name: "help", aliases: ["h"], description: undefined, type: { _tag: "Boolean" }, negation: false },
  ...(isShell ? [] : [
    { name: "version", aliases: ["v"], description: undefined, type: { _tag: "Boolean" }, negation: false } as const,
    { name: "completions", aliases: [], description: undefined, type: { _tag: "String" } } as const,
    { name: "log-level", aliases: [], description: undefined, type: { _tag: "String" } } as const
  ])
]

export interface Place {
  readonly command: Completions.CommandDescriptor
  readonly flags: ReadonlyArray<Completions.FlagDescriptor>
  /** Given already. */
  readonly used: ReadonlySet<string>
  /** How many arguments of the command have been given. */
  readonly position: number
  /** Whose value the next word is. */
  readonly valueOf: Completions.FlagDescriptor | undefined
  /** Behind `--` nothing is a flag. */
  readonly isPastFlags: boolean
  /** Flags of every command, as they were given, with their values. */
  readonly shared: ReadonlyArray<string>
  /** Whether all flags are known. */
  readonly isKnown: boolean
}

const namesOf = (flag: Completions.FlagDescriptor): ReadonlyArray<string> => [
  `--${flag.name}`,
  ...flag.aliases.map((alias) => alias.length === 1 ? `-${alias}` : `--${alias}`)
]

const takesValue = (flag: Completions.FlagDescriptor): boolean =>
  flag.type._tag !== "Boolean" && flag.optionalValue !== true

export const placeOf = (
  root: Completions.CommandDescriptor,
  words: ReadonlyArray<string>,
  options: { readonly isShell: boolean }
): Place => {
  const flagsOf = (command: Completions.CommandDescriptor) => [...command.flags, ...builtIns(options.isShell)]
  let command = root
  let flags = flagsOf(root)
  let position = 0
  let valueOf: Completions.FlagDescriptor | undefined
  let isPastFlags = false
  let isKnown = true
  const used = new Set<string>()
  const shared: Array<string> = []
  const isShared = (flag: Completions.FlagDescriptor) => root.flags.some(({ name }) => name === flag.name)
  for (const word of words) {
    if (valueOf !== undefined) {
      if (isShared(valueOf)) shared.push(word)
      valueOf = undefined
    } else if (isPastFlags || !word.startsWith("-") || word === "-") {
      const subcommand = position === 0 && !isPastFlags
        ? command.subcommands.find(({ name }) => name === word)
        : undefined
      if (subcommand === undefined) position++
      else {
        command = subcommand
        flags = flagsOf(command)
      }
    } else if (word === "--") {
      isPastFlags = true
    } else {
      const [name] = word.split("=", 1)
      const flag = flags.find((each) => namesOf(each).includes(name!))
      if (flag === undefined) isKnown = isKnown && flags.some((each) => `--no-${each.name}` === name)
      else {
        used.add(flag.name)
        if (isShared(flag)) shared.push(word)
        if (takesValue(flag) && !word.includes("=")) valueOf = flag
      }
    }
  }
  return { command, flags, used, position, valueOf, isPastFlags, shared, isKnown }
}

/** Whether it ends at a group of commands, and names none of them: there is nothing to run. */
export const isIncomplete = (root: Completions.CommandDescriptor, words: ReadonlyArray<string>): boolean => {
  const { command, isKnown, position, used, valueOf } = placeOf(root, words, { isShell: false })
  return isKnown && valueOf === undefined && position === 0 && command.subcommands.length > 0 &&
    !["help", "version", "completions"].some((name) => used.has(name))
}
