/** The help of a command: in 80 columns, or in as many as the terminal has if it has fewer. */
import * as CliOutput from "effect/cli/CliOutput"
import type * as HelpDoc from "effect/cli/HelpDoc"
import * as Option from "effect/Option"
import { padEnd } from "./printable.ts"
import type { Style } from "./style.ts"

const widest = 80
const indent = "  "
/** Of the names of flags, arguments and commands; what is longer has its description below it. */
const column = 26

const wrap = (text: string, width: number): ReadonlyArray<string> => {
  const lines: Array<string> = []
  for (const word of text.split(" ")) {
    const last = lines.at(-1)
    if (last !== undefined && CliOutput.displayWidth(last) + 1 + CliOutput.displayWidth(word) <= width) {
      lines[lines.length - 1] = `${last} ${word}`
    } else lines.push(word)
  }
  return lines
}

interface Row {
  readonly name: string
  readonly text: string
}

const flagRows = (flags: ReadonlyArray<HelpDoc.FlagDoc>): ReadonlyArray<Row> => {
  const gap = flags.some(({ aliases }) => aliases.some((alias) => !alias.startsWith("--"))) ? "    " : ""
  return flags.map((flag) => flagRow(flag, gap))
}

const flagRow = (flag: HelpDoc.FlagDoc, gap: string): Row => {
  const short = flag.aliases.filter((alias) => !alias.startsWith("--"))
  const long = [`--${flag.name}`, ...flag.aliases.filter((alias) => alias.startsWith("--"))]
  // A choice has its values as its type: its description repeats them.
  const isChoice = flag.type.startsWith("<")
  const type = flag.type === "boolean" ? "" : isChoice ? " <name>" : ` <${flag.type}>`
  return {
    name: `${short.length === 0 ? gap : `${short.join(", ")}, `}${long.join(", ")}${type}`,
    text: Option.getOrElse(flag.description, () => "")
  }
}

const argumentRow = (argument: HelpDoc.ArgDoc): Row => ({
  name: `<${argument.name}>${argument.variadic ? "..." : ""}`,
  text: Option.getOrElse(argument.description, () => "")
})

const commandRow = (command: HelpDoc.SubcommandDoc): Row => ({
  name: command.alias === undefined ? command.name : `${command.name}, ${command.alias}`,
  text: command.shortDescription ?? command.description
})

export interface HelpOptions {
  /** How the program is called: commands of a shell stand for themselves. */
  readonly rename: (text: string) => string
  /** Of the terminal, if it is one. */
  readonly columns: number | undefined
  readonly style: Style
}

/** Lines without a line break at their ends. */
export const helpLines = (doc: HelpDoc.HelpDoc, options: HelpOptions): ReadonlyArray<string> => {
  const { rename, style } = options
  const width = Math.max(40, Math.min(options.columns ?? widest, widest))
  const lines: Array<string> = [...wrap(doc.description, width)]
  const rows = (title: string, list: ReadonlyArray<Row>) => {
    if (list.length === 0) return
    const longest = Math.max(...list.map(({ name }) => CliOutput.displayWidth(name)).filter((each) => each <= column))
    const room = Math.min(column, Math.max(8, longest)) + 2
    lines.push("", style.strong(title))
    for (const { name, text } of list) {
      const [first, ...rest] = wrap(text, width - indent.length - room)
      if (CliOutput.displayWidth(name) > room - 2) {
        lines.push(`${indent}${style.mark(name)}`)
        if (first !== undefined) rest.unshift(first)
      } else lines.push(`${indent}${style.mark(padEnd(name, room))}${first ?? ""}`.trimEnd())
      for (const line of rest) lines.push(`${indent}${" ".repeat(room)}${line}`)
    }
  }
  lines.push("", style.strong("Usage"), `${indent}${rename(doc.usage)}`)
  rows("Arguments", doc.args?.map(argumentRow) ?? [])
  for (const { commands, group } of doc.subcommands ?? []) rows(group ?? "Commands", commands.map(commandRow))
  rows("Flags", flagRows(doc.flags))
  const path = doc.commandPath ?? []
  if (path.length <= 1) rows("Flags of every command", flagRows(doc.globalFlags ?? []))
  if (doc.examples !== undefined && doc.examples.length > 0) {
    lines.push("", style.strong("Examples"))
    for (const { command, description } of doc.examples) {
      if (description !== undefined) lines.push(`${indent}${style.faint(`# ${description}`)}`)
      lines.push(`${indent}${rename(command)}`)
    }
  }
  const others = [...(doc.inheritedFlags ?? []), ...(doc.globalFlags ?? [])].map(({ name }) => `--${name}`)
  if (path.length > 1 && others.length > 0) {
    lines.push("", ...wrap(`As with every command: ${others.join(", ")}`, width).map(style.faint))
    const see = rename(`${path[0]} --help`)
    if (!see.startsWith("-")) lines.push(style.faint(`See ${see}`))
  }
  return lines
}
