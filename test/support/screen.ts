/** What a terminal shows after a program has written to it: as much of a terminal as line editors and progress need. */

const escape = "\u001b"
const escapes = new RegExp(`${escape}\\[([?\\d;]*)([A-Za-z])|${escape}[()][A-Za-z0-9]|${escape}[=>78]`, "y")

/** The lines that can be seen, blanks at their ends left out. Colours are gone. */
export const screenOf = (raw: string): string => {
  const lines: Array<Array<string>> = [[]]
  let row = 0
  let column = 0
  const line = (): Array<string> => {
    while (lines.length <= row) lines.push([])
    return lines[row]!
  }
  const control = (parameters: string, command: string): void => {
    const count = Number(parameters.split(";")[0]) || 0
    switch (command) {
      case "A":
        row = Math.max(0, row - Math.max(1, count))
        break
      case "B":
        row += Math.max(1, count)
        break
      case "C":
        column += Math.max(1, count)
        break
      case "D":
        column = Math.max(0, column - Math.max(1, count))
        break
      case "G":
        column = Math.max(0, count - 1)
        break
      case "J":
        line().length = Math.min(line().length, column)
        lines.length = row + 1
        break
      case "K":
        if (count === 2) line().length = 0
        else line().length = Math.min(line().length, column)
        break
    }
  }
  for (let at = 0; at < raw.length;) {
    escapes.lastIndex = at
    const sequence = escapes.exec(raw)
    if (sequence !== null) {
      if (sequence[2] !== undefined) control(sequence[1] ?? "", sequence[2])
      at = escapes.lastIndex
      continue
    }
    const character = String.fromCodePoint(raw.codePointAt(at)!)
    at += character.length
    if (character === "\n") {
      row++
      line()
    } else if (character === "\r") {
      column = 0
    } else if (character === "\b") {
      column = Math.max(0, column - 1)
    } else if (character >= " ") {
      const cells = line()
      while (cells.length < column) cells.push(" ")
      cells[column++] = character
    }
  }
  return lines.map((cells) => cells.join("").trimEnd()).join("\n")
}
