/** Where to connect and as whom, from flags and the environment. */
import * as Flag from "effect/cli/Flag"
import * as Prompt from "effect/cli/Prompt"
import * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as ZkClient from "../ZkClient.ts"
import * as ZkConfig from "../ZkConfig.ts"
import { answerTo } from "./ask.ts"
import { durationFlag } from "./duration.ts"
import { usage } from "./failure.ts"
import { Output } from "./output.ts"

const file = (name: string, description: string) =>
  Flag.File(name, { mustExist: true }).pipe(Flag.optional, Flag.withDescription(description))

export const connectionFlags = {
  servers: Flag.String("servers").pipe(
    Flag.withAlias("s"),
    Flag.withMetavar("hosts"),
    Flag.optional,
    Flag.withDescription("host:port,host:port/root, or a zookeeper: URL. Default: $ZK_SERVERS, then 127.0.0.1:2181")
  ),
  user: Flag.String("user").pipe(
    Flag.withAlias("u"),
    Flag.optional,
    Flag.withDescription("Whom to be (digest). The password comes from $ZK_PASSWORD, --password-file or a prompt")
  ),
  passwordFile: file("password-file", "A file with nothing but the password of --user"),
  tls: Flag.Boolean("tls").pipe(Flag.withDefault(false), Flag.withDescription("Connect by TLS, as zookeepers: does")),
  tlsCa: file("tls-ca", "Certificates to trust (PEM)"),
  tlsCert: file("tls-cert", "The client's certificate (PEM)"),
  tlsKey: file("tls-key", "The key of the client's certificate (PEM)"),
  timeout: durationFlag("timeout").pipe(
    Flag.withDefault(15_000),
    Flag.withDescription("How long connecting and each request may take: 10s, 500ms. Default: 15s")
  ),
  sessionTimeout: durationFlag("session-timeout").pipe(
    Flag.withDefault(10_000),
    Flag.withDescription("How long the session outlives a lost connection. Default: 10s")
  )
}

export interface ConnectionInput {
  readonly servers: Option.Option<string>
  readonly user: Option.Option<string>
  readonly passwordFile: Option.Option<string>
  readonly tls: boolean
  readonly tlsCa: Option.Option<string>
  readonly tlsCert: Option.Option<string>
  readonly tlsKey: Option.Option<string>
  readonly timeout: number
  readonly sessionTimeout: number
}

/** Never from an argument: those of all processes can be read by everybody on the machine. */
const passwordOf = Effect.fnUntraced(function*(user: string, passwordFile: Option.Option<string>) {
  const fs = yield* FileSystem.FileSystem
  if (Option.isSome(passwordFile)) {
    const text = yield* fs.readFileString(passwordFile.value)
    return Redacted.make(text.replace(/\r?\n$/, ""))
  }
  const known = yield* Config.option(Config.Redacted("ZK_PASSWORD"))
  if (Option.isSome(known)) return known.value
  const { canPrompt } = yield* Output
  if (!canPrompt) {
    const message = `the password of ${user} is missing: set ZK_PASSWORD or give --password-file`
    return yield* usage(message)
  }
  return yield* answerTo(Prompt.Password({ message: `Password of ${user}` }))
})

const authOf = Effect.fnUntraced(function*({ passwordFile, user }: ConnectionInput) {
  if (Option.isNone(user)) {
    if (Option.isNone(passwordFile)) return undefined
    return yield* usage("--password-file needs --user")
  }
  const password = yield* passwordOf(user.value, passwordFile)
  const credential = Redacted.make(`${user.value}:${Redacted.value(password)}`)
  return [{ scheme: "digest", credential }]
})

const tlsOf = Effect.fnUntraced(function*({ tls, tlsCa, tlsCert, tlsKey }: ConnectionInput) {
  const fs = yield* FileSystem.FileSystem
  const read = (path: Option.Option<string>) =>
    Option.match(path, { onNone: () => Effect.undefined, onSome: (name) => fs.readFileString(name) })
  if (!tls && [tlsCa, tlsCert, tlsKey].every(Option.isNone)) return undefined
  const [ca, cert, key] = [yield* read(tlsCa), yield* read(tlsCert), yield* read(tlsKey)]
  return { ...(ca !== undefined && { ca }), ...(cert !== undefined && { cert }), ...(key !== undefined && { key }) }
})

const serversOf = Effect.fnUntraced(function*(servers: Option.Option<string>) {
  if (Option.isSome(servers)) {
    if (servers.value.trim() !== "") return servers.value
    // An unset variable of a script must not mean other servers.
    return yield* usage("--servers is empty")
  }
  for (const variable of ["ZK_SERVERS", "ASAB_ZOOKEEPER_SERVERS"]) {
    const text = yield* Config.withDefault(Config.String(variable), "")
    if (text.trim() !== "") return text
  }
  return "127.0.0.1:2181"
})

/**
 * As the library reads them, so that `$ZK_AUTH` counts as well; without a path the root is meant. Nothing is created by
 * looking at it.
 */
const optionsOf = Effect.fnUntraced(function*(input: ConnectionInput, servers: string) {
  const isUrl = /^(zookeepers?:|[a-z]+:\/\/)/i.test(servers)
  return yield* ZkConfig.options({
    ...(isUrl ? { url: servers, defaultPath: "/" } : { hosts: servers, chroot: "/" }),
    createChroot: false,
    auth: yield* authOf(input),
    tls: yield* tlsOf(input),
    connectTimeout: input.timeout,
    requestTimeout: input.timeout,
    // Whoever ends a program does not wait for servers that do not answer.
    closeTimeout: 1_000,
    sessionTimeout: input.sessionTimeout
  })
})

const makeClient = (input: ConnectionInput, servers: string) => Effect.flatMap(optionsOf(input, servers), ZkClient.make)

/** For what concerns two ensembles: a client of another one, as the same user and with the same settings. */
export class Elsewhere extends Context.Service<Elsewhere, {
  readonly connect: (
    servers: string
  ) => Effect.Effect<
    ZkClient.ZkClient,
    Effect.Error<ReturnType<typeof makeClient>>,
    Effect.Services<ReturnType<typeof makeClient>>
  >
}>()("effect-zookeeper/cli/Elsewhere") {}

export const clientLayer = (input: ConnectionInput) =>
  Layer.merge(
    Layer.effect(ZkClient.ZkClient, Effect.flatMap(serversOf(input.servers), (servers) => makeClient(input, servers))),
    Layer.succeed(Elsewhere, { connect: (servers) => makeClient(input, servers) })
  )
