/** Paths in URLs and in configuration, where people write slashes too many. */
import * as Result from "effect/Result"
import * as ZkPath from "../../ZkPath.ts"

/**
 * `app//x/` and `/app/x` are the same; nothing at all, and slashes alone, are `/`. What is no path after that is
 * refused with a reason that does not repeat it.
 */
export const normalizePath = (text: string): Result.Result<string, string> => {
  const path = `/${text.split("/").filter((name) => name !== "").join("/")}`
  const reason = ZkPath.problem(path)
  return reason === undefined ? Result.succeed(path) : Result.fail(reason)
}

/** One path below another; `/` on either side is nothing. */
export const below = (base: string, path: string): string => base === "/" ? path : path === "/" ? base : base + path
