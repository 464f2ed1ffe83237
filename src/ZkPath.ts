/**
 * Paths of nodes: what ZooKeeper accepts, and how to take them apart.
 *
 * @see {@link https://zookeeper.apache.org/doc/r3.9.3/zookeeperProgrammers.html#ch_zkDataModel | the ZooKeeper data model}
 * @stability unstable
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"

const isForbidden = (code: number): boolean =>
  code <= 0x1f || (code >= 0x7f && code <= 0x9f) || (code >= 0xd800 && code <= 0xf8ff) || code >= 0xfff0

const describe = (code: number): string => `U+${code.toString(16).toUpperCase().padStart(4, "0")}`

/**
 * Why a path is not a valid one, or `undefined`. The rules are those of ZooKeeper's `PathUtils`: it starts with `/`,
 * does not end with one, has no empty segment and none that is `.` or `..`, and no control characters, surrogates or
 * private-use characters.
 *
 * The path of a sequential node may end with anything that its number completes to a name: `/queue/` is one.
 *
 * **Example** (Checking a path)
 *
 * ```ts
 * import { ZkPath } from "effect-zookeeper"
 *
 * ZkPath.problem("/a//b") // => "an empty name at index 3"
 * ZkPath.problem("/a/b") // => undefined
 * ```
 *
 * @stability unstable
 * @category validation
 * @since 0.1.0
 */
export const problem = (path: string, options?: { readonly sequential?: boolean | undefined }): string | undefined => {
  if (typeof path !== "string") return "it is not a string"
  if (path === "") return "it is empty"
  if (path.charCodeAt(0) !== 0x2f) return "it does not start with /"
  const length = path.length
  const isSequential = options?.sequential === true
  if (length === 1) return undefined
  let start = 1
  for (let i = 1; i <= length; i++) {
    const code = i < length ? path.charCodeAt(i) : 0x2f
    if (code === 0x2f) {
      const isLast = i === length
      if (!(isLast && isSequential)) {
        const size = i - start
        if (size === 0) return isLast ? "it ends with /" : `an empty name at index ${i}`
        if (size <= 2 && path.charCodeAt(start) === 0x2e && (size === 1 || path.charCodeAt(start + 1) === 0x2e)) {
          return `a relative name at index ${start}`
        }
      }
      start = i + 1
    } else if (isForbidden(code)) {
      return `the character ${describe(code)} at index ${i}`
    }
  }
  return undefined
}

/**
 * A valid path.
 *
 * @stability unstable
 * @category schemas
 * @since 0.1.0
 */
export const ZkPath = Schema.String.pipe(
  Schema.check(Schema.makeFilter((path: string) => {
    const reason = problem(path)
    return reason === undefined ? undefined : `${JSON.stringify(path)} is not a path: ${reason}`
  })),
  Schema.brand("effect-zookeeper/ZkPath")
)

/**
 * See {@link ZkPath}.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export type ZkPath = typeof ZkPath.Type

/**
 * The path of the parent, or `undefined` for `/`.
 *
 * **Example** (Going up)
 *
 * ```ts
 * import { ZkPath } from "effect-zookeeper"
 *
 * ZkPath.parent("/a/b") // => "/a"
 * ZkPath.parent("/a") // => "/"
 * ```
 *
 * @stability unstable
 * @category getters
 * @since 0.1.0
 */
export const parent = (path: string): string | undefined => {
  if (path === "/") return undefined
  const slash = path.lastIndexOf("/")
  return slash <= 0 ? "/" : path.slice(0, slash)
}

/**
 * The last name of a path; empty for `/`.
 *
 * @stability unstable
 * @category getters
 * @since 0.1.0
 */
export const name = (path: string): string => path.slice(path.lastIndexOf("/") + 1)

/**
 * Puts names below a path.
 *
 * **Example** (Joining)
 *
 * ```ts
 * import { ZkPath } from "effect-zookeeper"
 *
 * ZkPath.join("/a", "b", "/c") // => "/a/b/c"
 * ZkPath.join("/", "a") // => "/a"
 * ```
 *
 * @stability unstable
 * @category combinators
 * @since 0.1.0
 */
export const join = (path: string, ...names: ReadonlyArray<string>): string => {
  let joined = path === "/" ? "" : path
  for (const part of names) {
    if (part === "" || part === "/") continue
    joined += part.startsWith("/") ? part : `/${part}`
  }
  return joined === "" ? "/" : joined
}

const largestNumber = 0x7fffffff

/**
 * The number that ZooKeeper has put at the end of a sequential node's name, or `undefined`. Counters run to 2147483647
 * and then on from -2147483648.
 *
 * A number has ten digits, or nine behind a minus sign. Where the last character of the name that was asked for could
 * be that sign, as in `lock-1234567890`, it is taken for a part of the name.
 *
 * **Example** (Numbers of names)
 *
 * ```ts
 * import { ZkPath } from "effect-zookeeper"
 *
 * ZkPath.sequence("lock-0000000007") // => 7
 * ZkPath.sequence("lock--2147483648") // => -2147483648
 * ZkPath.sequence("lock") // => undefined
 * ```
 *
 * @stability unstable
 * @category getters
 * @since 0.1.0
 */
export const sequence = (nameOrPath: string): number | undefined => {
  const match = /(-{0,2})(\d{9,10})$/.exec(nameOrPath)
  if (match === null) return undefined
  const [, minus = "", digits = ""] = match
  const number = Number(digits)
  const isPositive = digits.length === 10 && number <= largestNumber
  // Numbers are filled up with zeros to ten characters, the sign included.
  const hasRightLength = (digits.length === 10) === (number >= 1_000_000_000)
  const isNegative = minus !== "" && hasRightLength && number >= 1 && number <= largestNumber + 1
  if (isNegative && !(isPositive && minus === "-")) return -number
  return isPositive ? number : undefined
}
