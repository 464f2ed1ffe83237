/** Options as the client takes them: checked, with all defaults. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { ConnectionOptions } from "node:tls"
import { createSecureContext } from "node:tls"
import type { Options } from "../../ZkConfig.ts"
import { InvalidConfig } from "../../ZkError.ts"
import * as ZkPath from "../../ZkPath.ts"
import { defaultMaxRequestSize } from "../protocol/constants.ts"
import type { SessionOptions } from "../session/session.ts"
import { parseConnectionString } from "./connectionString.ts"
import { defaultPort } from "./servers.ts"

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
export const longest = 0x7fffffff

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

/** Checks the options and fills in the defaults. */
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
