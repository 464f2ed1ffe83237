/** `zookeeper:` URLs, in the three forms that they have. */
import * as Result from "effect/Result"
import type { Url } from "../../ZkConfig.ts"
import { formatServer } from "../transport.ts"
import { normalizePath } from "./paths.ts"
import { credentialsProblem, parseServers } from "./servers.ts"

const forms = "zookeeper://host:port,.../path, zookeeper:///path and zookeeper:./path are URLs"

/** Names are decoded one by one, so that an escaped slash cannot make two of one. */
const decodePath = (text: string): Result.Result<string, string> => {
  const names: Array<string> = []
  for (const name of text.split("/")) {
    let decoded: string
    try {
      decoded = decodeURIComponent(name)
    } catch {
      return Result.fail("a % that is not followed by the code of a character; the sign itself is written %25")
    }
    if (decoded.includes("/")) return Result.fail("%2F: a name cannot have a slash")
    names.push(decoded)
  }
  return normalizePath(names.join("/"))
}

/** RFC 6874 has the zone of an address behind `%25`. */
const decodeAuthority = (text: string): Result.Result<string, string> => {
  // Time grows with the length and no faster, whatever there is of brackets and percent signs.
  const bracketed = /\[[^[\]]*\]/g
  return text.replace(bracketed, "").includes("%")
    ? Result.fail("hosts are written without %")
    : Result.succeed(text.replace(bracketed, (address) => address.replace(/%25(?!\])/g, "%")))
}

const parseRest = (rest: string): Result.Result<Omit<Url, "tls">, string> => {
  // A password is shown by nobody, whichever of its characters makes the address a wrong one.
  const mayShow = !rest.includes("@")
  const hidden = (reason: string) => Result.fail(mayShow ? reason : credentialsProblem)
  const inPath = (reason: string) => Result.fail(`the path: ${reason}`)
  const mark = rest.search(/[?#]/)
  if (mark >= 0) {
    return hidden(
      rest[mark] === "?"
        ? "it has a query (?...), which means nothing here; in a name write %3F"
        : "it has a fragment (#...), which means nothing here; in a name write %23"
    )
  }
  if (rest.startsWith("//")) {
    const slash = rest.indexOf("/", 2)
    const authority = (slash < 0 ? rest.slice(2) : rest.slice(2, slash)).trim()
    const path = slash < 0 ? undefined : decodePath(rest.slice(slash))
    if (authority === "" && path === undefined) {
      return Result.fail("it names neither servers nor a path; zookeeper:./ is what is configured")
    }
    let servers: Url["servers"]
    if (authority !== "") {
      if (/^\.+$/.test(authority)) {
        return Result.fail(`${JSON.stringify(authority)} is no host; a relative path is written zookeeper:./path`)
      }
      const parsed = Result.flatMap(decodeAuthority(authority), parseServers)
      if (Result.isFailure(parsed)) return hidden(parsed.failure)
      servers = parsed.success
    }
    if (path !== undefined && Result.isFailure(path)) return inPath(path.failure)
    return Result.succeed({ servers, path: path?.success, relative: false })
  }
  if (rest === "." || rest.startsWith("./")) {
    const path = decodePath(rest.slice(1))
    if (Result.isFailure(path)) return inPath(path.failure)
    return Result.succeed({ servers: undefined, path: path.success, relative: true })
  }
  if (rest.startsWith("/")) return hidden("a path from the root is written with three slashes: zookeeper:///path")
  if (rest.startsWith("../")) return hidden("a relative path cannot leave what it is relative to")
  return hidden("it has neither // nor ./ behind the scheme: zookeeper://host/path or zookeeper:./path")
}

export const parseUrl = (text: string): Result.Result<Url, string> => {
  const trimmed = text.trim()
  const scheme = /^([a-z][a-z\d+.-]*):(.*)$/is.exec(trimmed)
  const rest = scheme?.[2] ?? ""
  switch (scheme?.[1]?.toLowerCase()) {
    case "zookeeper":
      return Result.map(parseRest(rest), (url) => ({ tls: false, ...url }))
    case "zookeepers":
      return Result.map(parseRest(rest), (url) => ({ tls: true, ...url }))
  }
  if (trimmed.includes("@")) {
    return Result.fail(`the scheme is not zookeeper: or zookeepers:; and ${credentialsProblem}`)
  }
  if (scheme !== null && rest.startsWith("//")) {
    return Result.fail(`the scheme is ${scheme[1]}:, not zookeeper: or zookeepers:`)
  }
  return Result.fail(`it does not begin with zookeeper: or zookeepers:; ${forms}`)
}

/** Only what would be taken for something else, or not survive a log, is escaped. */
const encodePath = (path: string): string => path.replace(/[%?#\s]/g, (char) => encodeURIComponent(char))

const encodeServer = (server: { readonly host: string; readonly port: number }): string =>
  formatServer(server).replace("%", "%25")

export const formatUrl = ({ path, relative, servers, tls }: Url): string => {
  const scheme = tls ? "zookeepers:" : "zookeeper:"
  if (relative) return `${scheme}.${encodePath(path ?? "/")}`
  return `${scheme}//${(servers ?? []).map(encodeServer).join(",")}${path === undefined ? "" : encodePath(path)}`
}
