/** Servers as text: `host`, `host:port`, IPv6 addresses in brackets. */
import * as Result from "effect/Result"
import type { ServerAddress } from "../transport.ts"

export const defaultPort = 2181

/**
 * For whatever has an `@` in front of its path. None of it is repeated: it may well be a password, the whole of it or,
 * where that has a slash or a colon, a part.
 */
export const credentialsProblem =
  "it looks like credentials (there is an @), which are never part of an address: see the option auth"

const parseServer = (text: string): Result.Result<ServerAddress, string> => {
  const bracketed = /^\[([^\]]*)\](?::(.*))?$/.exec(text)
  let host: string
  let port: string | undefined
  if (bracketed !== null) {
    host = bracketed[1]!
    port = bracketed[2]
    if (!host.includes(":")) return Result.fail(`${JSON.stringify(text)} has brackets around what is no IPv6 address`)
  } else {
    const parts = text.split(":")
    if (parts.length > 2) return Result.fail(`${JSON.stringify(text)}: an IPv6 address needs brackets`)
    host = parts[0]!
    port = parts[1]
  }
  if (host === "") return Result.fail(`${JSON.stringify(text)} has no host`)
  if (!/^[\w.:%-]+$/.test(host)) return Result.fail(`${JSON.stringify(host)} is no host name`)
  if (port === undefined || port === "") return Result.succeed({ host, port: defaultPort })
  const number = /^\d{1,5}$/.test(port) ? Number(port) : 0
  if (number < 1 || number > 65535) return Result.fail(`${JSON.stringify(port)} is no port`)
  return Result.succeed({ host, port: number })
}

/** The same for all spellings. The case of a name is nothing; that of an address's zone, which a system names, is. */
export const canonicalServer = ({ host, port }: ServerAddress): ServerAddress => {
  const zone = host.indexOf("%")
  const name = zone < 0 ? host : host.slice(0, zone)
  return { host: name.toLowerCase() + host.slice(name.length), port }
}

/** `h1,h2:2182`: blanks and empty entries are passed by, and who is named twice counts once. */
export const parseServers = (text: string): Result.Result<ReadonlyArray<ServerAddress>, string> => {
  if (text.includes("@")) return Result.fail(credentialsProblem)
  const servers = new Map<string, ServerAddress>()
  for (const part of text.split(",")) {
    const entry = part.trim()
    if (entry === "") continue
    const server = parseServer(entry)
    if (Result.isFailure(server)) return Result.fail(server.failure)
    servers.set(`${server.success.host}:${server.success.port}`, server.success)
  }
  return servers.size === 0 ? Result.fail("no server is named") : Result.succeed([...servers.values()])
}
