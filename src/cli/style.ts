/** Colours, on a terminal that can show them. */
import { styleText } from "node:util"

type Paint = (text: string) => string

export interface Style {
  readonly strong: Paint
  readonly faint: Paint
  readonly good: Paint
  readonly warning: Paint
  readonly bad: Paint
  readonly mark: Paint
}

const paint = (format: Parameters<typeof styleText>[0]): Paint => (text) =>
  text === "" ? text : styleText(format, text, { validateStream: false })

export const colored: Style = {
  strong: paint("bold"),
  faint: paint("dim"),
  good: paint("green"),
  warning: paint("yellow"),
  bad: paint("red"),
  mark: paint("cyan")
}

const asIs: Paint = (text) => text

export const plain: Style = { strong: asIs, faint: asIs, good: asIs, warning: asIs, bad: asIs, mark: asIs }
