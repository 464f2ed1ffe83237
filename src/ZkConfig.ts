/**
 * Where and how to connect: options, connection strings, `zookeeper:` URLs, and options from configuration.
 *
 * @stability unstable
 * @since 0.1.0
 */
import type * as Config from "effect/Config"
import type * as Duration from "effect/Duration"
import type * as Redacted from "effect/Redacted"
import type * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type { ConnectionOptions } from "node:tls"
import * as connectionString from "./internal/config/connectionString.ts"
import * as lookup from "./internal/config/lookup.ts"
import * as schemas from "./internal/config/schemas.ts"
import * as url from "./internal/config/url.ts"

/** @internal What the client is made of. */
export { resolve, type Resolved } from "./internal/config/resolve.ts"

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
 * A server, by name or address.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export interface Server {
  /** A name, or an address; an IPv6 address without brackets. */
  readonly host: string
  readonly port: number
}

/**
 * A connection string taken apart.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export interface ConnectionString {
  readonly servers: ReadonlyArray<Server>
  /** `undefined` where there is none, which `/` counts as. */
  readonly chroot: string | undefined
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
export const parseConnectionString: (text: string) => Result.Result<ConnectionString, string> =
  connectionString.parseConnectionString

/**
 * The connection string of servers and a chroot, with the port of each server: `zk1:2181,[::1]:2183/app`.
 *
 * @stability unstable
 * @category parsing
 * @since 0.1.0
 */
export const formatConnectionString: (parts: ConnectionString) => string = connectionString.formatConnectionString

/**
 * A connection string as a schema: decoded it is taken apart. Decoding fails with the reason that
 * {@link parseConnectionString} gives; neither has anything in it that could be a password.
 *
 * **Example** (In a file of settings)
 *
 * ```ts
 * import { Schema } from "effect"
 * import { ZkConfig } from "effect-zookeeper"
 *
 * const Settings = Schema.Struct({ zookeeper: ZkConfig.ConnectionString })
 *
 * Schema.decodeUnknownSync(Settings)({ zookeeper: "zk1/app" }).zookeeper.chroot // => "/app"
 * ```
 *
 * @stability unstable
 * @category schemas
 * @since 0.1.0
 */
export const ConnectionString: Schema.Codec<ConnectionString, string> = schemas.fromText<ConnectionString>({
  to: Schema.Struct({ servers: schemas.Servers, chroot: Schema.UndefinedOr(Schema.String) }),
  parse: connectionString.parseConnectionString,
  format: connectionString.formatConnectionString
})

/**
 * A `zookeeper:` URL taken apart. What it leaves out comes from configuration: see {@link parseUrl}.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export interface Url {
  /** Whether it is a `zookeepers:` URL, which demands TLS. */
  readonly tls: boolean
  /** `undefined` where it names none. */
  readonly servers: ReadonlyArray<Server> | undefined
  /** Decoded and normalised: `/a/b`. `undefined` where there is none; `/` is a path. */
  readonly path: string | undefined
  /** Whether the path begins at the configured one. */
  readonly relative: boolean
}

/**
 * Takes a `zookeeper:` URL apart. Fails with a reason.
 *
 * | URL                                | servers            | path                        |
 * | ---------------------------------- | ------------------ | --------------------------- |
 * | `zookeeper://h1:2181,h2,[::1]/a/b` | these              | `/a/b`                      |
 * | `zookeeper://h1`                   | this one           | from configuration          |
 * | `zookeeper://h1/`                  | this one           | the root                    |
 * | `zookeeper:///a/b`                 | from configuration | `/a/b`                      |
 * | `zookeeper:./a/b`                  | from configuration | `/a/b` below the configured |
 *
 * `zookeepers:` is the same with TLS; `zookeeper:` leaves TLS to the options. The port is 2181 where none is given.
 * Slashes at the end and double ones count for nothing. Names in the path are percent-decoded, each by itself: `%3F` is
 * a question mark, `%25` a percent sign. Blanks and letters of all languages may stand as they are.
 *
 * Everything else is refused: other schemes, credentials, queries, fragments, `.` and `..`, `%2F`. A reason never
 * repeats what could be a password.
 *
 * **Example** (Parsing)
 *
 * ```ts
 * import { Result } from "effect"
 * import { ZkConfig } from "effect-zookeeper"
 *
 * Result.getOrThrow(ZkConfig.parseUrl("zookeepers://zk1,zk2:2182/etc//configs/"))
 * // => { tls: true, servers: [{ host: "zk1", port: 2181 }, { host: "zk2", port: 2182 }], path: "/etc/configs", relative: false }
 *
 * Result.getOrThrow(ZkConfig.parseUrl("zookeeper:./etc/configs"))
 * // => { tls: false, servers: undefined, path: "/etc/configs", relative: true }
 * ```
 *
 * @stability unstable
 * @category parsing
 * @since 0.1.0
 */
export const parseUrl: (text: string) => Result.Result<Url, string> = url.parseUrl

/**
 * The one way to write a URL: `zookeeper://zk1:2181,zk2:2181/etc/configs`.
 *
 * @stability unstable
 * @category parsing
 * @since 0.1.0
 */
export const formatUrl: (url: Url) => string = url.formatUrl

/**
 * A `zookeeper:` URL as a schema: decoded it is taken apart, encoded it is in its normal form. Decoding fails with the
 * reason that {@link parseUrl} gives.
 *
 * **Example** (The normal form)
 *
 * ```ts
 * import { Schema } from "effect"
 * import { ZkConfig } from "effect-zookeeper"
 *
 * const url = Schema.decodeUnknownSync(ZkConfig.Url)("zookeeper://zk1//app/")
 *
 * Schema.encodeSync(ZkConfig.Url)(url) // => "zookeeper://zk1:2181/app"
 * ```
 *
 * @stability unstable
 * @category schemas
 * @since 0.1.0
 */
export const Url: Schema.Codec<Url, string> = schemas.fromText<Url>({
  to: Schema.Struct({
    tls: Schema.Boolean,
    servers: Schema.UndefinedOr(schemas.Servers),
    path: Schema.UndefinedOr(Schema.String),
    relative: Schema.Boolean
  }),
  parse: url.parseUrl,
  format: url.formatUrl
})

/**
 * Where options are looked for. Options that are given here win over configuration; only the URL wins over them.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export interface Lookup extends Options {
  /** A `zookeeper:` URL: see {@link parseUrl}. */
  readonly url?: string | undefined
  /** The section of the configuration to look at ahead of `zookeeper`. Any name will do (`my:zk`). Default: none. */
  readonly section?: string | undefined
  /** The path where there is none anywhere. Default: `/asab`. */
  readonly defaultPath?: string | undefined
}

/**
 * Options from configuration, as applications of asab have it: read when it is run, from any `ConfigProvider`.
 *
 * | what              | from, in this order                                                                                           |
 * | ----------------- | ------------------------------------------------------------------------------------------------------------- |
 * | servers           | URL, `hosts`, `servers` of the section, of `[zookeeper]`, `ASAB_ZOOKEEPER_SERVERS`, `ZK_SERVERS`              |
 * | path (the chroot) | URL, `chroot` or the one in `hosts`, `path` of the section, of `[zookeeper]`, the one in the variable, `defaultPath`: `/asab` |
 * | session timeout   | `sessionTimeout`, `timeout` of the section, of `[zookeeper]`                                                  |
 * | credentials       | `auth`, `auth` of the section, of `[zookeeper]`, `ZK_AUTH`; each written `user:password`                      |
 * | TLS               | `tls`, then `tls`, `tls_ca`, `tls_cert`, `tls_key` of the section, of `[zookeeper]`                           |
 *
 * **Details**
 *
 * - Each row falls back by itself: a section with a path alone gets its servers from elsewhere.
 * - What is empty, or blank, is not there. A list of servers may have blanks and a comma at its end; or it is a list,
 *   where the source of the configuration knows lists. Paths may have slashes too many or too few.
 * - A timeout is a number of seconds, or has one of the units `ms s m h d w M y` (a month has 31 days), or is a duration
 *   of Effect such as `500 millis`.
 * - Credentials and TLS settings of a place that names servers go to no other servers.
 * - `tls` is `true` or `false`; the other three name PEM files, and switch TLS on unless `tls` is `false`. They are taken
 *   from one section together. `zookeepers:` demands TLS, whatever the options say; `zookeeper:` leaves it to them.
 * - `createChroot` is on unless `lazy` is, so that the path exists when the client is there. It is made once: who deletes
 *   it afterwards has it deleted.
 *
 * Fails with a `ConfigError` that says where the wrong value was written, or, where there are no servers, where they
 * were looked for; for `Config.withDefault` and `Config.option` that is an absence. No other place than the first that
 * has a value is checked. Secrets are in no error.
 *
 * **Example** (A section of its own)
 *
 * ```ts
 * import { ConfigProvider, Effect, Layer } from "effect"
 * import { ZkClient, ZkConfig } from "effect-zookeeper"
 *
 * const provider = ConfigProvider.fromUnknown({
 *   zookeeper: { servers: "zk1,zk2,zk3" },
 *   "my:zk": { path: "/library", timeout: "10s" }
 * })
 *
 * const Library = ZkClient.layerConfig(ZkConfig.options({ section: "my:zk" })).pipe(
 *   Layer.provide(ConfigProvider.layer(provider))
 * )
 *
 * const options = Effect.runSync(ZkConfig.options({ section: "my:zk" }).parse(provider))
 * console.log(options.hosts, options.chroot)
 * ```
 *
 * @stability unstable
 * @category config
 * @since 0.1.0
 */
export const options: (lookup?: Lookup) => Config.Config<Options> = lookup.options
