/**
 * Where and how to connect.
 *
 * @stability unstable
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import type { ConnectionOptions } from "node:tls"
import { createSecureContext } from "node:tls"
import { defaultMaxRequestSize } from "./internal/protocol/constants.ts"
import type { SessionOptions } from "./internal/session/session.ts"
import type { ServerAddress } from "./internal/transport.ts"
import { InvalidConfig } from "./ZkError.ts"
import * as ZkPath from "./ZkPath.ts"

/**
 * Credentials of one identity.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export interface Auth {
  /** `digest`, or another scheme that takes its credentials in an auth packet. */
  readonly scheme: string
  /** For `digest`: `user:password`. */
  readonly credential: Redacted.Redacted<string | Uint8Array>
}

/**
 * The settings of a client. Everything has a default.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /**
   * The servers, as a connection string (`h1:2181,h2,[::1]:2183/chroot`) or a list. The port is 2181 where none is
   * given. Default: `127.0.0.1:2181`.
   */
  readonly hosts?: string | ReadonlyArray<string> | undefined
  /** The node that is `/` to the client; comes after one in `hosts`. Default: none. */
  readonly chroot?: string | undefined
  /** Create the chroot's nodes when the client is made. Not with `lazy`. Default: no. */
  readonly createChroot?: boolean | undefined
  /** How long the session outlives a lost connection. Servers may agree to another: see `state`. Default: 10 seconds. */
  readonly sessionTimeout?: Duration.Input | undefined
  /** How long making a client may wait for its session. Default: 15 seconds. */
  readonly connectTimeout?: Duration.Input | undefined
  /**
   * How long a request may take, waiting for a connection included, before it fails with `OperationTimeout`. Operations
   * that make several requests in turn (`ensurePath`, `deleteRecursive`, the `idempotent` forms, ...) may take several
   * times as long. Default: 30 seconds.
   */
  readonly requestTimeout?: Duration.Input | "none" | undefined
  /** How long closing may wait for the servers to end the session. Default: 2 seconds. */
  readonly closeTimeout?: Duration.Input | undefined
  /** Requests sent and not answered; more wait. Default: 2048. */
  readonly maxInFlight?: number | undefined
  /**
   * The largest request that the servers read, in bytes: their `jute.maxbuffer`. Larger ones fail with
   * `RequestTooLarge` and are not sent. Default: 1048575.
   */
  readonly maxRequestSize?: number | undefined
  /** The largest answer to accept, in bytes. Servers have no such limit. Default: 64 MiB. */
  readonly maxResponseSize?: number | undefined
  /** Credentials, given to every server that the client connects to. */
  readonly auth?: ReadonlyArray<Auth> | undefined
  /**
   * TLS: `true`, or Node's options for it (`ca`, `cert`, `key`, `servername`, ...). The server's certificate is checked
   * against the host's name unless `rejectUnauthorized` is `false`. Default: no TLS.
   */
  readonly tls?: boolean | ConnectionOptions | undefined
  /** After a session has expired: make a new one, or end, so that every operation fails. Default: `"renew"`. */
  readonly onExpiry?: "renew" | "end" | undefined
  /** Make the client without waiting for a session. Operations wait for it. Default: no. */
  readonly lazy?: boolean | undefined
  /** Start with a random server. Default: yes. */
  readonly shuffle?: boolean | undefined
  /** How metrics call the client. Default: its hosts. */
  readonly name?: string | undefined
}

/**
 * A connection string taken apart.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export interface ConnectionString {
  readonly servers: ReadonlyArray<{ readonly host: string; readonly port: number }>
  /** `undefined` where there is none, which `/` counts as. */
  readonly chroot: string | undefined
}

const defaultPort = 2181

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

/**
 * Takes a connection string apart: `host[:port],host[:port],...[/chroot]`, with IPv6 addresses in brackets. Blanks
 * around hosts and empty entries are ignored, as is a server that is named twice. Fails with a reason.
 *
 * **Example** (Parsing)
 *
 * ```ts
 * import { Result } from "effect"
 * import { ZkConfig } from "effect-zookeeper"
 *
 * Result.getOrThrow(ZkConfig.parseConnectionString("zk1, [::1]:2183/app"))
 * // => { servers: [{ host: "zk1", port: 2181 }, { host: "::1", port: 2183 }], chroot: "/app" }
 * ```
 *
 * @see {@link https://zookeeper.apache.org/doc/r3.9.3/zookeeperProgrammers.html#ch_zkSessions | connection strings}
 * @stability unstable
 * @category parsing
 * @since 0.1.0
 */
export const parseConnectionString = (text: string): Result.Result<ConnectionString, string> => {
  const slash = text.indexOf("/")
  const hosts = slash < 0 ? text : text.slice(0, slash)
  const chroot = slash < 0 || slash === text.length - 1 ? undefined : text.slice(slash).trimEnd()
  const servers = new Map<string, ServerAddress>()
  for (const part of hosts.split(",")) {
    const entry = part.trim()
    if (entry === "") continue
    const server = parseServer(entry)
    if (Result.isFailure(server)) return Result.fail(server.failure)
    servers.set(`${server.success.host}:${server.success.port}`, server.success)
  }
  if (servers.size === 0) return Result.fail("no server is named")
  if (chroot !== undefined) {
    const comma = chroot.indexOf(",")
    if (comma >= 0) return Result.fail(`the chroot ${JSON.stringify(chroot)} comes last, after all hosts`)
    const reason = ZkPath.problem(chroot)
    if (reason !== undefined) return Result.fail(`the chroot ${JSON.stringify(chroot)}: ${reason}`)
  }
  return Result.succeed({ servers: [...servers.values()], chroot })
}

/** @internal */
export interface Resolved {
  readonly session: SessionOptions
  readonly chroot: string
  readonly createChroot: boolean
  readonly connectTimeout: number
  readonly lazy: boolean
  readonly name: string
}

const invalid = (option: string, reason: string) => new InvalidConfig({ option, reason })

/** A timeout goes over the wire as a signed 32-bit number of milliseconds. */
const longest = 0x7fffffff

const millis = (option: string, input: Duration.Input): Effect.Effect<number, InvalidConfig> =>
  Effect.suspend(() => {
    const duration = Duration.fromInput(input)
    if (duration._tag === "None") return Effect.fail(invalid(option, `${String(input)} is no duration`))
    const value = Math.round(Duration.toMillis(duration.value))
    return value >= 1 && value <= longest
      ? Effect.succeed(value)
      : Effect.fail(invalid(option, `${Duration.format(duration.value)} is not between 1 ms and ${longest} ms`))
  })

const count = (option: string, value: number): Effect.Effect<number, InvalidConfig> =>
  Number.isInteger(value) && value >= 1 && value <= longest
    ? Effect.succeed(value)
    : Effect.fail(invalid(option, `${value} is no whole number from 1 to ${longest}`))

/** Certificates and keys that cannot be read are found out now, and not at every attempt to connect. */
const tlsOptions = (input: Options["tls"]): Effect.Effect<ConnectionOptions | undefined, InvalidConfig> => {
  if (input === undefined || input === false) return Effect.succeed(undefined)
  if (input === true) return Effect.succeed({})
  return Effect.try({
    try: () => {
      if (input.secureContext === undefined) createSecureContext(input)
      return input
    },
    catch: (error) => invalid("tls", error instanceof Error ? error.message : String(error))
  })
}

/** @internal Checks the options and fills in the defaults. */
export const resolve = Effect.fnUntraced(function*(options: Options): Effect.fn.Return<Resolved, InvalidConfig> {
  const hosts = options.hosts ?? `127.0.0.1:${defaultPort}`
  const text = typeof hosts === "string" ? hosts : hosts.join(",")
  const parsed = parseConnectionString(text)
  if (Result.isFailure(parsed)) return yield* invalid("hosts", parsed.failure)
  let chroot = parsed.success.chroot ?? ""
  if (options.chroot !== undefined && options.chroot !== "/") {
    const reason = ZkPath.problem(options.chroot)
    if (reason !== undefined) return yield* invalid("chroot", `${JSON.stringify(options.chroot)}: ${reason}`)
    chroot += options.chroot
  }
  const lazy = options.lazy === true
  const createChroot = options.createChroot === true
  if (lazy && createChroot) return yield* invalid("createChroot", "a lazy client has nothing to create it with")
  for (const { credential, scheme } of options.auth ?? []) {
    if (scheme === "" || credential === undefined) return yield* invalid("auth", "scheme and credential are needed")
  }
  const { onExpiry = "renew" } = options
  if (onExpiry !== "renew" && onExpiry !== "end") return yield* invalid("onExpiry", `${String(onExpiry)} is unknown`)
  return {
    session: {
      servers: parsed.success.servers,
      shuffle: options.shuffle ?? true,
      sessionTimeout: yield* millis("sessionTimeout", options.sessionTimeout ?? "10 seconds"),
      requestTimeout: options.requestTimeout === "none"
        ? Infinity
        : yield* millis("requestTimeout", options.requestTimeout ?? "30 seconds"),
      closeTimeout: yield* millis("closeTimeout", options.closeTimeout ?? "2 seconds"),
      maxInFlight: yield* count("maxInFlight", options.maxInFlight ?? 2048),
      maxRequestSize: yield* count("maxRequestSize", options.maxRequestSize ?? defaultMaxRequestSize),
      maxResponseSize: yield* count("maxResponseSize", options.maxResponseSize ?? 64 * 1024 * 1024),
      tls: yield* tlsOptions(options.tls),
      auth: options.auth ?? [],
      onExpiry,
      firstXid: 1
    },
    chroot,
    createChroot,
    connectTimeout: yield* millis("connectTimeout", options.connectTimeout ?? "15 seconds"),
    lazy,
    name: options.name ?? text
  }
})
