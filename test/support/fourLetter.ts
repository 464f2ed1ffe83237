import { connect } from "node:net"
import { rigError } from "./rigError.ts"
import { patience } from "./wait.ts"

/** Sends a four-letter word and gives the whole answer ("" when the server closes without one). */
export const askServer = (port: number, word: string, options?: {
  readonly host?: string
  readonly within?: number
}): Promise<string> =>
  new Promise((resolve, reject) => {
    const socket = connect({ port, host: options?.host ?? "127.0.0.1" })
    const chunks: Array<Buffer> = []
    const within = (options?.within ?? 3_000) * patience
    socket.setTimeout(within, () => socket.destroy(rigError(`no answer to ${word} within ${within} ms`)))
    socket.on("connect", () => socket.write(word))
    socket.on("data", (chunk) => chunks.push(chunk))
    socket.on("error", reject)
    socket.on("close", () => resolve(Buffer.concat(chunks).toString("utf8")))
  })

export type Mode = "standalone" | "leader" | "follower" | "observer" | "read-only"

export interface Srvr {
  /** For instance "3.8.0". */
  readonly version: string
  readonly mode: Mode
  readonly zxid: bigint
  readonly connections: number
  readonly nodeCount: number
}

/** What `srvr` says, or `undefined` of a server that doesn't serve (yet). */
export const parseSrvr = (text: string): Srvr | undefined => {
  const field = (name: string) => new RegExp(`^${name}: (.*)$`, "m").exec(text)?.[1]?.trim()
  const mode = field("Mode")
  const version = /version: (\d+\.\d+\.\d+)/.exec(text)?.[1]
  if (mode === undefined || version === undefined) return undefined
  return {
    version,
    mode: mode as Mode,
    zxid: BigInt(field("Zxid") ?? "0"),
    connections: Number(field("Connections") ?? 0),
    nodeCount: Number(field("Node count") ?? 0)
  }
}

/** Session ids are signed in the protocol and unsigned in the server's words. */
export const sessionIdFromHex = (hex: string): bigint =>
  BigInt.asIntN(64, BigInt(hex.startsWith("0x") ? hex : `0x${hex}`))

/** `wchs`: numbers only, the cheapest look at watches. */
export const parseWchs = (
  text: string
): { readonly connections: number; readonly paths: number; readonly total: number } => {
  const first = /(\d+) connections watching (\d+) paths/.exec(text)
  return {
    connections: Number(first?.[1] ?? 0),
    paths: Number(first?.[2] ?? 0),
    total: Number(/Total watches:(\d+)/.exec(text)?.[1] ?? 0)
  }
}

const grouped = (text: string): Map<string, Array<string>> => {
  const groups = new Map<string, Array<string>>()
  let current: Array<string> | undefined
  for (const line of text.split("\n")) {
    if (line.trim() === "") continue
    if (/^\s/.test(line)) {
      current?.push(line.trim())
    } else {
      current = []
      groups.set(line.trim(), current)
    }
  }
  return groups
}

/** `wchp`: sessions by path. */
export const parseWchp = (text: string): Map<string, Array<bigint>> =>
  new Map([...grouped(text)].map(([path, sessions]) => [path, sessions.map(sessionIdFromHex)]))

/** `wchc`: paths by session. */
export const parseWchc = (text: string): Map<bigint, Array<string>> =>
  new Map([...grouped(text)].map(([session, paths]) => [sessionIdFromHex(session), paths]))

export interface Dump {
  /** Sessions that the leader (or the standalone server) tracks. */
  readonly sessions: ReadonlyArray<bigint>
  readonly ephemerals: ReadonlyMap<bigint, ReadonlyArray<string>>
}

/** `dump`: sessions and their ephemeral nodes. */
export const parseDump = (text: string): Dump => {
  const [before = "", after = ""] = text.split(/^Sessions with Ephemerals.*$/m)
  // Connections follow in some versions, under a heading of their own.
  const owners = after.split(/^Connections dump/m)[0] ?? ""
  const ephemerals = new Map<bigint, Array<string>>()
  let current: Array<string> | undefined
  for (const line of owners.split("\n")) {
    const owner = /^\s*(0x[0-9a-f]+):\s*$/.exec(line)
    if (owner?.[1] !== undefined) {
      current = []
      ephemerals.set(sessionIdFromHex(owner[1]), current)
    } else if (/^\s+\//.test(line)) {
      current?.push(line.trim())
    }
  }
  const sessions = new Set(
    [...before.matchAll(/^\s+(0x[0-9a-f]+)\b/gm)].map((match) => sessionIdFromHex(match[1] ?? "0"))
  )
  return { sessions: [...sessions], ephemerals }
}

/** `cons`: the connections of one server; those without a session (such as the question itself) are left out. */
export const parseCons = (text: string): Array<{ readonly sessionId: bigint; readonly line: string }> =>
  text.split("\n").flatMap((line) => {
    const id = /sid=(0x[0-9a-f]+)/.exec(line)?.[1]
    return id === undefined ? [] : [{ sessionId: sessionIdFromHex(id), line: line.trim() }]
  })
