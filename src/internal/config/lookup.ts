/**
 * Options from configuration: where each of them is looked for, and what wins.
 *
 * Places are asked in order, each for what it has: the URL, the program's own options, the named section, the section
 * `zookeeper`, the environment. What nobody has has a default, except for servers.
 */
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type { Auth, Lookup, Options, Url } from "../../ZkConfig.ts"
import type { ServerAddress } from "../transport.ts"
import { formatServer } from "../transport.ts"
import { parseConnectionString } from "./connectionString.ts"
import { parseTimeout } from "./durations.ts"
import { below, normalizePath } from "./paths.ts"
import { canonicalServer, parseServers } from "./servers.ts"
import { readTls } from "./tlsFiles.ts"
import { parseUrl } from "./url.ts"
import { check, filled, first, flat, list, none, parsed, text, wrong } from "./values.ts"

const defaultSection = "zookeeper"
const defaultPath = "/asab"

type Servers = ReadonlyArray<ServerAddress>

/** One place of the configuration. Nothing of it is read before it is asked. */
interface Place {
  readonly name: string
  readonly servers: Config.Config<Option.Option<Servers>>
  readonly path: Config.Config<Option.Option<string>>
  readonly timeout: Config.Config<Option.Option<Options["sessionTimeout"]>>
  readonly auth: Config.Config<Option.Option<ReadonlyArray<Auth>>>
  readonly tls: Config.Config<Option.Option<Options["tls"]>>
}

const parseHostList = (text: string): Result.Result<Servers, string> =>
  text.includes("/") && !text.includes("@")
    ? Result.fail("servers have no path here: that is the key path of a section, or the URL's")
    : parseServers(text)

const howCredentials = "credentials are written user:password"

/** The value is a secret: no reason may repeat any of it. */
const auth = (source: string, path: ReadonlyArray<string>): Place["auth"] =>
  Config.flatMap(flat(source, path, [0, "user", "username", "password"], howCredentials), () =>
    Config.mapEffect(
      Config.option(Config.schema(Schema.Redacted(Schema.String), path)),
      (found) => {
        const credential = Option.map(found, Redacted.value)
        if (Option.isNone(credential) || credential.value.trim() === "") return Effect.succeed(Option.none())
        return credential.value.indexOf(":") > 0
          ? Effect.succeed(Option.some([{ scheme: "digest", credential: Redacted.make(credential.value) }]))
          : Effect.fail(wrong(source, howCredentials))
      }
    ))

// -- places -----------------------------------------------------------------------------------------------------------

const section = (name: string): Place => {
  const at = (key: string) => `[${name}] ${key}`
  return {
    name: at("servers"),
    servers: parsed(at("servers"), list([name, "servers"]), parseHostList),
    path: parsed(at("path"), text([name, "path"]), normalizePath),
    timeout: parsed(at("timeout"), text([name, "timeout"]), parseTimeout),
    auth: auth(at("auth"), [name, "auth"]),
    tls: readTls(name)
  }
}

const variables = ["ASAB_ZOOKEEPER_SERVERS", "ZK_SERVERS"]

/** Of these a whole connection string may be there: its path belongs to its servers. */
const address = first(variables.map((name) => parsed(name, list([name]), parseConnectionString)))

const environment: Place = {
  name: variables.join(", "),
  servers: Config.map(address, Option.map(({ servers }) => servers)),
  path: Config.map(address, Option.flatMap(({ chroot }) => Option.fromUndefinedOr(chroot))),
  timeout: none,
  auth: auth("ZK_AUTH", ["ZK_AUTH"]),
  tls: none
}

/** What the program says itself, apart from the URL. */
const program = (lookup: Lookup): Config.Config<{ servers: Option.Option<Servers>; path: Option.Option<string> }> => {
  const hosts = filled(Option.fromUndefinedOr(typeof lookup.hosts === "object" ? lookup.hosts.join(",") : lookup.hosts))
  const chroot = filled(Option.fromUndefinedOr(lookup.chroot))
  return Config.flatMap(
    parsed("the option hosts", Config.succeed(hosts), parseConnectionString),
    (hosts) =>
      Config.map(parsed("the option chroot", Config.succeed(chroot), normalizePath), (chroot) => {
        const base = Option.flatMap(hosts, (hosts) => Option.fromUndefinedOr(hosts.chroot))
        return {
          servers: Option.map(hosts, (hosts) => hosts.servers),
          path: Option.isSome(base) ? Option.some(below(base.value, Option.getOrElse(chroot, () => "/"))) : chroot
        }
      })
  )
}

// -- together ---------------------------------------------------------------------------------------------------------

/** Absent for `Config.option` and `Config.withDefault`, otherwise an error that tells where servers were looked for. */
const noServers = (section: string, places: ReadonlyArray<Place>): Config.Config<never> => {
  const message = `no ZooKeeper servers: neither the URL nor the option hosts names any, and there is nothing at ${
    places.map(({ name }) => name).join(", ")
  }`
  return Config.schema(Schema.Never.annotate({ message }), [section, "servers"])
}

/** What goes with servers, from the first place that has it and names no servers, or these. */
const beside = <A>(
  servers: Servers,
  places: ReadonlyArray<Place>,
  what: (place: Place) => Config.Config<Option.Option<A>>
): Config.Config<Option.Option<A>> =>
  first(places.map((place) => {
    const nameOf = (server: ServerAddress) => formatServer(canonicalServer(server))
    // Servers that cannot be read are other servers; they are not in use, so nobody needs to hear of them.
    const others = Config.orElse(place.servers, () => Config.succeed(Option.some<Servers>([])))
    return Config.flatMap(others, (theirs) => {
      const known = new Set(Option.getOrElse(theirs, (): Servers => servers).map(nameOf))
      return servers.every((server) => known.has(nameOf(server))) ? what(place) : none
    })
  }))

const given = <A>(value: A | undefined, otherwise: Config.Config<Option.Option<A>>): Config.Config<A | undefined> =>
  value === undefined ? Config.map(otherwise, Option.getOrUndefined) : Config.succeed(value)

const url = (lookup: Lookup): Config.Config<Url | undefined> =>
  lookup.url === undefined ? Config.succeed(undefined) : check("the URL", parseUrl(lookup.url))

export const options = (lookup: Lookup = {}): Config.Config<Options> => {
  const { defaultPath: lastPath = defaultPath, section: named = defaultSection, url: _, ...rest } = lookup
  const sections = [...new Set([named, defaultSection])].map(section)
  const places = [...sections, environment]

  const put = (url: Url | undefined, own: { servers: Option.Option<Servers>; path: Option.Option<string> }) => {
    const servers: Config.Config<Servers> = Config.flatMap(
      first([
        Config.succeed(Option.fromUndefinedOr(url?.servers)),
        Config.succeed(own.servers),
        ...places.map((place) => place.servers)
      ]),
      (found) => Option.isSome(found) ? Config.succeed(found.value) : noServers(named, places)
    )
    const configured = (servers: Servers): Config.Config<string> =>
      Config.flatMap(
        first([
          Config.succeed(own.path),
          ...sections.map((place) => place.path),
          beside(servers, [environment], (place) => place.path)
        ]),
        (found) => Option.isSome(found) ? Config.succeed(found.value) : check("defaultPath", normalizePath(lastPath))
      )
    const chroot = (servers: Servers): Config.Config<string> => {
      const path = url?.path
      if (path === undefined) return configured(servers)
      return url?.relative === true
        ? Config.map(configured(servers), (base) => below(base, path))
        : Config.succeed(path)
    }

    return Config.flatMap(servers, (servers): Config.Config<Options> =>
      Config.map(
        Config.all({
          chroot: chroot(servers),
          sessionTimeout: given(rest.sessionTimeout, first(places.map((place) => place.timeout))),
          auth: given(rest.auth, beside(servers, places, (place) => place.auth)),
          tls: given(rest.tls, beside(servers, places, (place) => place.tls))
        }),
        (found) => ({
          ...rest,
          ...found,
          createChroot: rest.createChroot ?? rest.lazy !== true,
          hosts: servers.map(formatServer),
          // The URL demands TLS; how is for the options to say.
          tls: url?.tls === true && (found.tls === undefined || found.tls === false) ? true : found.tls
        })
      ))
  }

  return Config.flatMap(url(lookup), (url) => Config.flatMap(program(lookup), (own) => put(url, own)))
}
