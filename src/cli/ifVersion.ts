/** `--if-version 3`: only if nobody else has changed it. */
import * as Flag from "effect/cli/Flag"

export const ifVersionFlag = Flag.Int("if-version").pipe(
  Flag.optional,
  Flag.withMetavar("number"),
  Flag.withDescription("Only if the node has this version")
)
