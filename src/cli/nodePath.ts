/** Paths as people type them. */
import * as Argument from "effect/cli/Argument"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { InvalidPath } from "../ZkError.ts"
import * as ZkPath from "../ZkPath.ts"

/** Where paths without a slash in front begin: the root, but for a shell that has moved. */
export const WorkingNode = Context.Reference("effect-zookeeper/cli/WorkingNode", { defaultValue: () => "/" })

/** Slashes at the end and double ones are forgiven, `.` and `..` are followed. */
export const normalize = (text: string, from: string): string => {
  const names: Array<string> = []
  for (const name of (text.startsWith("/") ? text : `${from}/${text}`).split("/")) {
    if (name === "..") names.pop()
    else if (name !== "" && name !== ".") names.push(name)
  }
  return `/${names.join("/")}`
}

const check = (path: string) => {
  const reason = ZkPath.problem(path)
  return reason === undefined ? Effect.succeed(path) : Effect.fail(new InvalidPath({ path, reason }))
}

export const resolvePath = (text: string): Effect.Effect<string, InvalidPath> =>
  Effect.flatMap(WorkingNode, (from) => check(normalize(text, from)))

/** Of nodes with a number: the name that the number follows may be empty. */
export const resolvePrefix = (text: string): Effect.Effect<string, InvalidPath> =>
  Effect.flatMap(WorkingNode, (from) => {
    const path = normalize(text, from)
    if (!text.endsWith("/")) return Effect.succeed(path)
    return Effect.succeed(path === "/" ? path : `${path}/`)
  })

/** Of an absolute path, as the servers have it: another root may well have a node of that name. */
export const isServers = (path: string): boolean => path === "/zookeeper" || path.startsWith("/zookeeper/")

export const pathArgument = Argument.String("path").pipe(Argument.withDescription("The node, /app/config for example"))

/** Where no path means the root, or the shell's node. */
export const optionalPathArgument = pathArgument.pipe(Argument.withDefault("."))
