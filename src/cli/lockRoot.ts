/** Names of locks as people type them: absolute ones, or such as programs use, below the root of locks. */
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { LayoutName } from "../internal/recipes/layout.ts"
import { layouts } from "../internal/recipes/layout.ts"
import { resolvePath, WorkingNode } from "./nodePath.ts"

export const rootFlag = Flag.String("root").pipe(
  Flag.withMetavar("path"),
  Flag.optional,
  Flag.withDescription("Where locks with relative names are. Default: /locks; in a shell that has moved, where it is")
)

/** Where locks are if nothing else is said. */
export const resolveRoot = (root: Option.Option<string>, layout: LayoutName = "curator") =>
  Effect.flatMap(WorkingNode, (at) =>
    Option.match(root, {
      onNone: () => Effect.succeed(at === "/" ? layouts[layout].root : at),
      onSome: resolvePath
    }))

export const resolveLock = (name: string, root: Option.Option<string>, layout?: LayoutName) =>
  name.startsWith("/")
    ? resolvePath(name)
    : Effect.flatMap(resolveRoot(root, layout), (path) => resolvePath(`${path}/${name}`))
