/** Options from configuration: what wins, what is absent, and what an error tells. */
import { assert, describe, it } from "@effect/vitest"
import * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { inspect } from "node:util"
import * as ZkConfig from "../src/ZkConfig.ts"
import { makeCertificate, makeFolder } from "./support/certificates.ts"

const { fromUnknown } = ConfigProvider

const find = (lookup: ZkConfig.Lookup, configuration: unknown) =>
  ZkConfig.options(lookup).parse(fromUnknown(configuration))

const refused = (lookup: ZkConfig.Lookup, configuration: unknown) => Effect.flip(find(lookup, configuration))

const credentials = (options: ZkConfig.Options) =>
  options.auth?.map(({ credential, scheme }) => `${scheme} ${Redacted.value(credential)}`)

/** All ways in which some of the places have a value, the winner first. */
const combinations = <A extends string>(places: ReadonlyArray<A>): ReadonlyArray<ReadonlyArray<A>> =>
  Array.from({ length: 2 ** places.length }, (_, bits) => places.filter((_, at) => (bits & (1 << at)) !== 0))

const serverPlaces = ["url", "hosts", "section", "zookeeper", "ASAB_ZOOKEEPER_SERVERS", "ZK_SERVERS"] as const
const pathPlaces = ["url", "hosts", "chroot", "section", "zookeeper"] as const

type Places = ReadonlyArray<(typeof serverPlaces)[number] | (typeof pathPlaces)[number]>

/** Every place says its own name, or nothing. */
const world = (servers: Places, paths: Places) => {
  const section = (name: "section" | "zookeeper") => ({
    servers: servers.includes(name) ? `${name}:1` : undefined,
    path: paths.includes(name) ? `/${name}` : undefined
  })
  const authority = servers.includes("url") ? "url:1" : ""
  const path = paths.includes("url") ? "/url" : ""
  const lookup: ZkConfig.Lookup = {
    section: "my:zk",
    url: authority + path === "" ? undefined : `zookeeper://${authority}${path}`,
    hosts: servers.includes("hosts") ? `hosts:1${paths.includes("hosts") ? "/hosts" : ""}` : undefined,
    chroot: paths.includes("chroot") ? "/chroot" : undefined
  }
  const variable = (name: "ASAB_ZOOKEEPER_SERVERS" | "ZK_SERVERS") => servers.includes(name) ? `${name}:1` : undefined
  const configuration = {
    "my:zk": section("section"),
    zookeeper: section("zookeeper"),
    ASAB_ZOOKEEPER_SERVERS: variable("ASAB_ZOOKEEPER_SERVERS"),
    ZK_SERVERS: variable("ZK_SERVERS")
  }
  return { lookup, configuration }
}

const expectedPath = (paths: Places): string => {
  if (paths.includes("url")) return "/url"
  const own = `${paths.includes("hosts") ? "/hosts" : ""}${paths.includes("chroot") ? "/chroot" : ""}`
  if (own !== "") return own
  return paths.includes("section") ? "/section" : paths.includes("zookeeper") ? "/zookeeper" : "/asab"
}

describe("precedence", () => {
  it.effect("of servers: all combinations of who names some, with and without paths [ASAB-A3]", () =>
    Effect.gen(function*() {
      let seen = 0
      for (const servers of combinations(serverPlaces)) {
        for (const paths of [[], ["url"], ["zookeeper"]] satisfies ReadonlyArray<Places>) {
          const { configuration, lookup } = world(servers, paths)
          const [winner] = servers
          if (winner === undefined) {
            assert.include((yield* refused(lookup, configuration)).message, "no ZooKeeper servers")
          } else {
            const options = yield* find(lookup, configuration)
            assert.deepStrictEqual(options.hosts, [`${winner}:1`], servers.join())
            assert.strictEqual(options.chroot, expectedPath(paths), servers.join())
          }
          seen++
        }
      }
      assert.strictEqual(seen, 64 * 3)
    }))

  it.effect("of the path: all combinations of who names one, wherever servers come from [ASAB-A3] [A15]", () =>
    Effect.gen(function*() {
      let seen = 0
      for (const paths of combinations(pathPlaces)) {
        for (const place of serverPlaces) {
          // A path in `hosts` needs servers in front of it.
          const servers: Places = paths.includes("hosts") ? [place, "hosts"] : [place]
          const { configuration, lookup } = world(servers, paths)
          const options = yield* find(lookup, configuration)
          assert.strictEqual(options.chroot, expectedPath(paths), `${place}: ${paths.join()}`)
          const winner = serverPlaces.find((each) => servers.includes(each))
          assert.deepStrictEqual(options.hosts, [`${winner}:1`])
          seen++
        }
      }
      assert.strictEqual(seen, 32 * 6)
    }))

  it.effect("of the environment: its path belongs to its servers, and comes after those of sections [CONF-06]", () =>
    Effect.gen(function*() {
      const env = { ZK_SERVERS: "h1,h2/base" }
      assert.strictEqual((yield* find({}, env)).chroot, "/base")
      assert.strictEqual((yield* find({ url: "zookeeper:./a" }, env)).chroot, "/base/a")
      assert.strictEqual((yield* find({ url: "zookeeper:///a" }, env)).chroot, "/a")
      assert.strictEqual((yield* find({ url: "zookeeper://h1,h2" }, env)).chroot, "/base")
      assert.strictEqual((yield* find({ url: "zookeeper://h3" }, env)).chroot, "/asab")
      assert.strictEqual((yield* find({ hosts: "h3" }, env)).chroot, "/asab")
      assert.strictEqual((yield* find({ chroot: "/own" }, env)).chroot, "/own")
      assert.strictEqual((yield* find({}, { ...env, zookeeper: { path: "/section" } })).chroot, "/section")
      assert.strictEqual((yield* find({}, { ...env, zookeeper: { servers: "h3" } })).chroot, "/asab")
      // The first variable that is set counts, with all that it says.
      assert.strictEqual((yield* find({}, { ...env, ASAB_ZOOKEEPER_SERVERS: "h1,h2" })).chroot, "/asab")
      const { auth } = yield* find({}, { ...env, ZK_AUTH: "ann:x" })
      assert.strictEqual(auth?.length, 1)
    }))

  it.effect("of a section of any name, with a path alone: servers of the default one [ASAB-A4]", () =>
    Effect.gen(function*() {
      const configuration = { "my:zk": { path: "/library" }, zookeeper: { servers: "h1,h2", path: "/other" } }
      const options = yield* find({ section: "my:zk" }, configuration)
      assert.deepStrictEqual(options.hosts, ["h1:2181", "h2:2181"])
      assert.strictEqual(options.chroot, "/library")
      assert.strictEqual((yield* find({}, configuration)).chroot, "/other")
      assert.strictEqual((yield* find({ section: "not there" }, configuration)).chroot, "/other")
    }))

  it.effect("of the program's own options: they win over the section, each alone [ASAB-A5]", () =>
    Effect.gen(function*() {
      const configuration = { zookeeper: { servers: "h1", path: "/p", timeout: "7s", auth: "ann:x", tls: "yes" } }
      const all = yield* find(
        {
          hosts: ["own:1"],
          chroot: "mine//",
          sessionTimeout: "3 seconds",
          auth: [],
          tls: false,
          name: "n",
          createChroot: false
        },
        configuration
      )
      assert.deepStrictEqual(all, {
        hosts: ["own:1"],
        chroot: "/mine",
        sessionTimeout: "3 seconds",
        auth: [],
        tls: false,
        name: "n",
        createChroot: false
      })
      const one = yield* find({ chroot: "/mine" }, configuration)
      assert.deepStrictEqual(one.hosts, ["h1:2181"])
      assert.strictEqual(one.chroot, "/mine")
      assert.deepStrictEqual(one.sessionTimeout, Duration.seconds(7))
      assert.deepStrictEqual(credentials(one), ["digest ann:x"])
      assert.isTrue(one.tls)
      assert.isTrue(one.createChroot)
      assert.isFalse((yield* find({ lazy: true }, configuration)).createChroot)
      assert.include((yield* refused({ hosts: "h:0" }, configuration)).message, "the option hosts")
      assert.include((yield* refused({ chroot: "/a/../b" }, configuration)).message, "the option chroot")
    }))
})

describe("URLs and configuration", () => {
  const configuration = { zookeeper: { servers: "c1,c2:2", path: "myfolder" } }

  it.effect("a relative path begins at the configured one [ASAB-A11]", () =>
    Effect.gen(function*() {
      const url = "zookeeper:./etc/configs/file1"
      const options = yield* find({ url }, configuration)
      assert.deepStrictEqual(options.hosts, ["c1:2181", "c2:2"])
      assert.strictEqual(options.chroot, "/myfolder/etc/configs/file1")
      assert.strictEqual((yield* find({ url, chroot: "/own" }, configuration)).chroot, "/own/etc/configs/file1")
      assert.strictEqual((yield* find({ url }, { ZK_SERVERS: "h" })).chroot, "/asab/etc/configs/file1")
      assert.strictEqual((yield* find({ url, defaultPath: "/" }, { ZK_SERVERS: "h" })).chroot, "/etc/configs/file1")
      assert.strictEqual((yield* find({ url: "zookeeper:./" }, configuration)).chroot, "/myfolder")
    }))

  it.effect("what a URL does not name is configured; a slash alone is the root [ASAB-A10] [A12]", () =>
    Effect.gen(function*() {
      const of = (url: string) => Effect.map(find({ url }, configuration), ({ chroot, hosts }) => ({ chroot, hosts }))
      const configured = ["c1:2181", "c2:2"]
      assert.deepStrictEqual(yield* of("zookeeper:///p"), { chroot: "/p", hosts: configured })
      assert.deepStrictEqual(yield* of("zookeepers:///p"), { chroot: "/p", hosts: configured })
      assert.deepStrictEqual(yield* of("zookeeper://h:1"), { chroot: "/myfolder", hosts: ["h:1"] })
      assert.deepStrictEqual(yield* of("zookeeper://h:1/"), { chroot: "/", hosts: ["h:1"] })
      assert.deepStrictEqual(yield* of("zookeeper:///"), { chroot: "/", hosts: configured })
    }))

  it.effect("zookeepers: demands TLS, in the way of the options [ASAB-A10]", () =>
    Effect.gen(function*() {
      const of = (url: string, tls?: ZkConfig.Options["tls"]) =>
        Effect.map(find({ url, tls }, configuration), (options) => options.tls)
      assert.isTrue(yield* of("zookeepers:./"))
      assert.isTrue(yield* of("zookeepers:./", false))
      assert.deepStrictEqual(yield* of("zookeepers:./", { servername: "x" }), { servername: "x" })
      assert.isUndefined(yield* of("zookeeper:./"))
      assert.isTrue(yield* of("zookeeper:./", true))
    }))
})

describe("values", () => {
  it.effect("that are empty are absent, wherever they stand [ASAB-A6]", () =>
    Effect.gen(function*() {
      const empty = { servers: " , ", path: " ", timeout: "", auth: "", tls: "", tls_ca: " " }
      const configuration = {
        "my:zk": empty,
        zookeeper: { ...empty, servers: [] },
        ASAB_ZOOKEEPER_SERVERS: "  ",
        ZK_SERVERS: " h1 , [::1]:2 ,, h2,h1, ",
        ZK_AUTH: ""
      }
      for (const preserveEmptyStrings of [false, true]) {
        const provider = fromUnknown(configuration, { preserveEmptyStrings })
        const options = yield* ZkConfig.options({ section: "my:zk", hosts: " ", chroot: "" }).parse(provider)
        assert.deepStrictEqual(options, {
          hosts: ["h1:2181", "[::1]:2", "h2:2181"],
          chroot: "/asab",
          sessionTimeout: undefined,
          auth: undefined,
          tls: undefined,
          createChroot: true
        })
      }
    }))

  const broken: ReadonlyArray<readonly [source: string, configuration: unknown]> = [
    ["[my:zk] servers", { "my:zk": { servers: "h:0" }, ZK_SERVERS: "h" }],
    ["[zookeeper] servers", { zookeeper: { servers: ["h", "h:port"] }, ZK_SERVERS: "h" }],
    ["ASAB_ZOOKEEPER_SERVERS", { ASAB_ZOOKEEPER_SERVERS: "h:65536", ZK_SERVERS: "h" }],
    ["ZK_SERVERS", { ZK_SERVERS: "h:-1" }],
    ["ZK_SERVERS", { ZK_SERVERS: "h/with//a/path" }],
    ["[my:zk] path", { "my:zk": { path: "/a/../b" }, ZK_SERVERS: "h" }],
    ["[zookeeper] path", { zookeeper: { path: "./a" }, ZK_SERVERS: "h" }],
    ["[my:zk] timeout", { "my:zk": { timeout: "5 bananas" }, ZK_SERVERS: "h" }],
    ["[zookeeper] timeout", { zookeeper: { timeout: "0" }, ZK_SERVERS: "h" }],
    ["[zookeeper] timeout", { zookeeper: { timeout: "-5s" }, ZK_SERVERS: "h" }],
    ["[zookeeper] timeout", { zookeeper: { timeout: "1y" }, ZK_SERVERS: "h" }],
    ["[zookeeper] timeout", { zookeeper: { timeout: "Infinity" }, ZK_SERVERS: "h" }],
    ["[zookeeper] tls", { zookeeper: { tls: "maybe" }, ZK_SERVERS: "h" }],
    ["[zookeeper] tls_ca", { zookeeper: { tls_ca: "/no/such/file" }, ZK_SERVERS: "h" }],
    ["[zookeeper] tls_cert, tls_key", { zookeeper: { tls_key: "/no/such/file" }, ZK_SERVERS: "h" }],
    ["[my:zk] auth", { "my:zk": { auth: "s3cr3t" }, ZK_SERVERS: "h" }],
    ["ZK_AUTH", { ZK_AUTH: ":s3cr3t", ZK_SERVERS: "h" }],
    ["[zookeeper] auth", { zookeeper: { auth: { user: "ann", password: "s3cr3t" } }, ZK_SERVERS: "h" }],
    ["[zookeeper] auth", { zookeeper: { auth: ["ann:s3cr3t"] }, ZK_SERVERS: "h" }],
    ["[my:zk] tls", { "my:zk": { tls: { ca: "/ca.pem" } }, ZK_SERVERS: "h" }]
  ]

  it.effect.each(broken)(
    "that are wrong are an error that names %s: %j [ASAB-A6] [CONF-01]",
    ([source, configuration]) =>
      Effect.gen(function*() {
        const error = yield* refused({ section: "my:zk" }, configuration)
        assert.strictEqual(error._tag, "ConfigError")
        assert.include(error.message, `${source}: `)
        assert.notInclude(inspect(error, { depth: 9 }), "s3cr3t")
      })
  )

  it.effect("that lose are not looked at [CONF-01]", () =>
    Effect.gen(function*() {
      const configuration = { zookeeper: { servers: "h:0", path: "/..", timeout: "x", tls: "x" }, ZK_SERVERS: "h:0" }
      const own: ZkConfig.Lookup = { chroot: "/own", sessionTimeout: 1000, tls: false, auth: [] }
      assert.deepStrictEqual((yield* find({ ...own, url: "zookeeper://h" }, configuration)).hosts, ["h:2181"])
    }))

  const durations: ReadonlyArray<readonly [string | number, number]> = [
    ["10s", 10_000],
    ["10", 10_000],
    [10, 10_000],
    ["1.5", 1500],
    ["500ms", 500],
    ["2m", 120_000],
    ["1h", 3_600_000],
    ["1d", 86_400_000],
    ["1w", 604_800_000],
    ["0.5M", 1_339_200_000],
    ["0.01y", 315_360_000],
    [" 3 s ", 3000],
    ["500 millis", 500],
    ["10 seconds", 10_000],
    ["1 minute", 60_000]
  ]

  it.effect.each(durations)("timeout %j is %d ms [A16]", ([timeout, millis]) =>
    Effect.gen(function*() {
      const { sessionTimeout } = yield* find({}, { zookeeper: { timeout }, ZK_SERVERS: "h" })
      assert.deepStrictEqual(sessionTimeout, Duration.millis(millis))
    }))

  it.effect("without a timeout it is the client's own: 10 seconds; and the path has a default [A15] [A16]", () =>
    Effect.gen(function*() {
      const options = yield* find({}, { ZK_SERVERS: "h" })
      assert.strictEqual((yield* ZkConfig.resolve(options)).session.sessionTimeout, 10_000)
      assert.strictEqual((yield* ZkConfig.resolve(options)).chroot, "/asab")
      assert.strictEqual((yield* find({ defaultPath: "app//" }, { ZK_SERVERS: "h" })).chroot, "/app")
      assert.strictEqual((yield* find({ defaultPath: "/" }, { ZK_SERVERS: "h" })).chroot, "/")
      assert.include((yield* refused({ defaultPath: "/.." }, { ZK_SERVERS: "h" })).message, "defaultPath")
    }))

  const slashes: ReadonlyArray<readonly [string, string]> = [
    ["asab", "/asab"],
    ["/asab/", "/asab"],
    ["//a//b//", "/a/b"],
    ["/", "/"],
    ["///", "/"]
  ]

  it.effect.each(slashes)("path %j is %s [A14]", ([path, chroot]) =>
    Effect.gen(function*() {
      assert.strictEqual((yield* find({}, { zookeeper: { path }, ZK_SERVERS: "h" })).chroot, chroot)
    }))
})

describe("sources", () => {
  it.effect("may be the environment, dotenv, JSON, or any other [CONF-02]", () =>
    Effect.gen(function*() {
      const env = { zookeeper_servers: "h1,h2", zookeeper_path: "/p", zookeeper_timeout: "5s", "my:zk_path": "/mine" }
      const providers = [
        ConfigProvider.fromEnv({ env }),
        ConfigProvider.fromEnv({ env: { ZOOKEEPER_SERVERS: "h1,h2", ZOOKEEPER_PATH: "/p", ZOOKEEPER_TIMEOUT: "5" } })
          .pipe(ConfigProvider.constantCase),
        ConfigProvider.fromDotEnvContents(
          "zookeeper_servers=h1,h2\nzookeeper_path=/p # the path\nzookeeper_timeout=5s"
        ),
        fromUnknown(JSON.parse(`{"zookeeper":{"servers":["h1","h2:2181"],"path":"/p","timeout":5}}`)),
        fromUnknown({ app: { zookeeper: { servers: "h1,h2", path: "p", timeout: "5" } } })
          .pipe(ConfigProvider.nested("app")),
        ConfigProvider.orElse(
          fromUnknown({ zookeeper: { path: "/p", timeout: "5" } }),
          fromUnknown({ ZK_SERVERS: "h1,h2" })
        )
      ]
      for (const provider of providers) {
        const { chroot, hosts, sessionTimeout } = yield* ZkConfig.options().parse(provider)
        assert.deepStrictEqual({ chroot, hosts, sessionTimeout }, {
          chroot: "/p",
          hosts: ["h1:2181", "h2:2181"],
          sessionTimeout: Duration.seconds(5)
        })
      }
      const mine = yield* ZkConfig.options({ section: "my:zk" }).parse(ConfigProvider.fromEnv({ env }))
      assert.strictEqual(mine.chroot, "/mine")
      const nested = Config.nested(ZkConfig.options(), "app")
      assert.strictEqual(
        (yield* nested.parse(fromUnknown({ app: { zookeeper: { servers: "h", path: "x" } } }))).chroot,
        "/x"
      )
    }))

  it.effect("are read when the options are asked for, and each time [ASAB-A7]", () =>
    Effect.gen(function*() {
      const configuration = { zookeeper: { servers: "h1" } }
      const provider = fromUnknown(configuration)
      const options = ZkConfig.options()
      configuration.zookeeper.servers = "h2"
      assert.deepStrictEqual((yield* options.parse(provider)).hosts, ["h2:2181"])
      configuration.zookeeper.servers = "h3"
      assert.deepStrictEqual((yield* options.parse(provider)).hosts, ["h3:2181"])
    }))

  it.effect("without servers: the error says where they were looked for; for defaults it is an absence [ASAB-A8]", () =>
    Effect.gen(function*() {
      const error = yield* refused({ section: "my:zk", url: "zookeeper:./x" }, { zookeeper: { path: "/p" } })
      assert.strictEqual(error._tag, "ConfigError")
      for (
        const place of [
          "URL",
          "hosts",
          "[my:zk] servers",
          "[zookeeper] servers",
          "ASAB_ZOOKEEPER_SERVERS",
          "ZK_SERVERS"
        ]
      ) {
        assert.include(error.message, place)
      }
      assert.strictEqual((yield* refused({}, {})).message.split("[zookeeper] servers").length, 2)
      assert.isTrue(Option.isNone(yield* Config.option(ZkConfig.options()).parse(fromUnknown({}))))
      const local: ZkConfig.Options = { hosts: "127.0.0.1" }
      assert.strictEqual(yield* Config.withDefault(ZkConfig.options(), local).parse(fromUnknown({})), local)
    }))
})

describe("secrets", () => {
  it.effect("are redacted, and go to no servers but those that they stand beside [CONF-03]", () =>
    Effect.gen(function*() {
      const of = (lookup: ZkConfig.Lookup, configuration: unknown) =>
        Effect.map(find({ section: "my:zk", ...lookup }, configuration), (options) => {
          assert.notInclude(inspect(options, { depth: 9 }) + JSON.stringify(options), "pw")
          return credentials(options)
        })
      const beside = { servers: "h1,h2", auth: "ann:pw" }
      assert.deepStrictEqual(yield* of({}, { "my:zk": beside, ZK_AUTH: "z:pw" }), ["digest ann:pw"])
      assert.deepStrictEqual(yield* of({}, { "my:zk": { path: "/x" }, zookeeper: beside }), ["digest ann:pw"])
      assert.deepStrictEqual(yield* of({}, { "my:zk": { auth: "own:pw:" }, zookeeper: beside }), ["digest own:pw:"])
      assert.deepStrictEqual(yield* of({}, { ZK_SERVERS: "h", ZK_AUTH: "z:pw" }), ["digest z:pw"])
      // Credentials that name no servers are for all.
      assert.deepStrictEqual(yield* of({ url: "zookeeper://h" }, { ZK_AUTH: "z:pw" }), ["digest z:pw"])
      assert.deepStrictEqual(yield* of({}, { "my:zk": { servers: "h" }, ZK_AUTH: "z:pw" }), ["digest z:pw"])
      // The others are for theirs, whoever names these.
      const elsewhere = { zookeeper: beside, ZK_SERVERS: "h3", ZK_AUTH: "z:pw" }
      assert.deepStrictEqual(yield* of({ url: "zookeeper://h2/x" }, elsewhere), ["digest ann:pw"])
      assert.deepStrictEqual(yield* of({ url: "zookeeper://H2" }, elsewhere), ["digest ann:pw"])
      assert.isUndefined(yield* of({ url: "zookeeper://evil" }, elsewhere))
      assert.isUndefined(yield* of({ url: "zookeeper://h1,evil" }, elsewhere))
      assert.isUndefined(yield* of({ hosts: "evil" }, elsewhere))
      assert.isUndefined(yield* of({}, { "my:zk": { servers: "evil" }, ...elsewhere }))
      const unread = { zookeeper: { servers: "h:0", auth: "ann:pw" } }
      assert.isUndefined(yield* of({ url: "zookeeper://evil" }, unread))
    }))

  it.live("of TLS come from files, of one section, and no error has them [CONF-04]", () =>
    Effect.gen(function*() {
      const authority = makeCertificate("an authority")
      const client = makeCertificate("client", { issuer: authority })
      const folder = yield* makeFolder({
        "ca.pem": authority.cert,
        "cert.pem": client.cert,
        "key.pem": client.key,
        "broken.pem": `-----BEGIN PRIVATE KEY-----\ns3cr3t\n-----END PRIVATE KEY-----\n`
      })
      const files = {
        tls_ca: `${folder}/ca.pem`,
        tls_cert: `${folder}/cert.pem`,
        tls_key: `${folder}/key.pem`
      }
      const { tls } = yield* find({}, { zookeeper: { servers: "h", ...files } })
      assert.isTrue(typeof tls === "object" && String(tls.ca) === authority.cert && String(tls.key) === client.key)
      assert.isFalse((yield* find({}, { zookeeper: { servers: "h", ...files, tls: "no" } })).tls)
      const two = { "my:zk": { tls: "yes" }, zookeeper: { servers: "h", ...files } }
      assert.isTrue((yield* find({ section: "my:zk" }, two)).tls)
      assert.isUndefined((yield* find({ url: "zookeeper://other" }, two)).tls)
      const broken = { zookeeper: { servers: "h", ...files, tls_key: `${folder}/broken.pem` } }
      const error = yield* refused({}, broken)
      assert.include(error.message, "tls_key")
      assert.notInclude(inspect(error, { depth: 9 }), "s3cr3t")
    }))
})
