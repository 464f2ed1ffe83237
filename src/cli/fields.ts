/** Names and values, a line each. */
import type { Style } from "./style.ts"

export const renderFields = (
  fields: ReadonlyArray<readonly [name: string, value: string]>,
  style: Style
): ReadonlyArray<string> => {
  const width = Math.max(...fields.map(([name]) => name.length))
  return fields.map(([name, value]) => `${style.faint(name.padEnd(width))}  ${value}`.trimEnd())
}
