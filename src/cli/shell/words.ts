/** A line as words: '..' takes everything as it is, "..." all but \" and \\, a backslash the next character. */

/** Inside of which quotes a word goes on; a backslash is one that has nothing behind it. */
export type Quote = "'" | "\"" | "\\"

export interface Word {
  readonly text: string
  /** Where it begins in the line. */
  readonly start: number
}

export interface Scanned {
  readonly words: ReadonlyArray<Word>
  /** That is still to be closed. */
  readonly open: Quote | undefined
  /** Whether the line ends in its last word, and not behind it. */
  readonly isInWord: boolean
}

export const scan = (line: string): Scanned => {
  const words: Array<Word> = []
  let text: string | undefined
  let start = 0
  let open: Quote | undefined
  const add = (character: string) => {
    text = (text ?? "") + character
  }
  for (let at = 0; at < line.length; at++) {
    const character = line[at]!
    if (text === undefined) start = at
    if (open === "\\") {
      add(character)
      open = undefined
    } else if (open === "'") {
      if (character === "'") open = undefined
      else add(character)
    } else if (open === "\"") {
      const next = line[at + 1]
      if (character === "\"") open = undefined
      else if (character === "\\" && (next === "\"" || next === "\\")) {
        add(next)
        at++
      } else add(character)
    } else if (character === "'" || character === "\"" || character === "\\") {
      add("")
      open = character
    } else if (/\s/.test(character)) {
      if (text !== undefined) words.push({ text, start })
      text = undefined
    } else add(character)
  }
  const isInWord = text !== undefined
  if (text !== undefined) words.push({ text, start })
  return { words, open, isInWord }
}

/** So that it is read as one word again. `within` are the quotes that are open; `undefined` where it cannot be. */
export const quote = (text: string, within: Quote | undefined): string | undefined => {
  switch (within) {
    case "'":
      return text.includes("'") ? undefined : `'${text}`
    case "\"":
      return `"${text.replaceAll(/["\\]/g, "\\$&")}`
    default:
      return text.replaceAll(/[\s'"\\]/g, "\\$&")
  }
}
