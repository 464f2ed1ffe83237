/** `zookeeper:` URLs: what they mean, what is refused, and what no reason may repeat. */
import { assert, describe, it } from "@effect/vitest"
import * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { inspect } from "node:util"
import * as ZkConfig from "../src/ZkConfig.ts"

const server = (host: string, port = 2181) => ({ host, port })

const whole = (servers: ReadonlyArray<ZkConfig.Server> | undefined, path?: string, tls = false): ZkConfig.Url => ({
  tls,
  servers,
  path,
  relative: false
})

const relative = (path: string, tls = false): ZkConfig.Url => ({ tls, servers: undefined, path, relative: true })

describe("URLs", () => {
  const good: ReadonlyArray<readonly [text: string, url: ZkConfig.Url, normal: string]> = [
    [
      "zookeeper://h1:2181,h2,[::1]:2183/etc/configs/file1",
      whole([server("h1"), server("h2"), server("::1", 2183)], "/etc/configs/file1"),
      "zookeeper://h1:2181,h2:2181,[::1]:2183/etc/configs/file1"
    ],
    ["zookeeper:///etc/configs/file1", whole(undefined, "/etc/configs/file1"), "zookeeper:///etc/configs/file1"],
    ["zookeepers:///etc/configs", whole(undefined, "/etc/configs", true), "zookeepers:///etc/configs"],
    ["zookeeper:./etc/configs/file1", relative("/etc/configs/file1"), "zookeeper:./etc/configs/file1"],
    ["zookeepers:./x", relative("/x", true), "zookeepers:./x"],
    ["zookeeper:./", relative("/"), "zookeeper:./"],
    ["zookeeper:.", relative("/"), "zookeeper:./"],
    ["zookeeper://h1", whole([server("h1")]), "zookeeper://h1:2181"],
    ["zookeepers://h1,h2", whole([server("h1"), server("h2")], undefined, true), "zookeepers://h1:2181,h2:2181"],
    ["zookeeper://h:1/", whole([server("h", 1)], "/"), "zookeeper://h:1/"],
    ["zookeeper:///", whole(undefined, "/"), "zookeeper:///"],
    ["zookeeper://h//a///b//", whole([server("h")], "/a/b"), "zookeeper://h:2181/a/b"],
    ["zookeeper:.//a//b/", relative("/a/b"), "zookeeper:./a/b"],
    [" ZooKeeper://h, h2,,h/a ", whole([server("h"), server("h2")], "/a"), "zookeeper://h:2181,h2:2181/a"],
    ["zookeeper://h/a%20b%3F%23%25", whole([server("h")], "/a b?#%"), "zookeeper://h:2181/a%20b%3F%23%25"],
    ["zookeeper://h/a b/größe/x@y:z", whole([server("h")], "/a b/größe/x@y:z"), "zookeeper://h:2181/a%20b/größe/x@y:z"],
    ["zookeeper://h/gr%C3%B6%C3%9Fe", whole([server("h")], "/größe"), "zookeeper://h:2181/größe"],
    ["zookeeper://[fe80::1%25eth0]:1/c", whole([server("fe80::1%eth0", 1)], "/c"), "zookeeper://[fe80::1%25eth0]:1/c"],
    [
      "zookeeper://[a::%25x]:1,[b::%25y]/",
      whole([server("a::%x", 1), server("b::%y")], "/"),
      "zookeeper://[a::%25x]:1,[b::%25y]:2181/"
    ],
    ["zookeeper://[fe80::1%eth0]/c", whole([server("fe80::1%eth0")], "/c"), "zookeeper://[fe80::1%25eth0]:2181/c"]
  ]

  it.each(good)("%s [ASAB-A9] [ASAB-A10] [ASAB-A11] [A12] [A14] [URL-02]", (text, url, normal) => {
    assert.deepStrictEqual(Result.getOrThrow(ZkConfig.parseUrl(text)), url)
    assert.strictEqual(ZkConfig.formatUrl(url), normal)
    assert.deepStrictEqual(Result.getOrThrow(ZkConfig.parseUrl(normal)), url)
    assert.deepStrictEqual(Schema.decodeUnknownSync(ZkConfig.Url)(text), url)
    assert.strictEqual(Schema.encodeSync(ZkConfig.Url)(url), normal)
  })

  const bad: ReadonlyArray<readonly [text: string, reason: string]> = [
    ["", "does not begin"],
    ["http://x/y", "the scheme is http:"],
    ["zk://h/p", "the scheme is zk:"],
    ["zk://./library", "the scheme is zk:"],
    ["zookeeper+tls://h/p", "the scheme is zookeeper+tls:"],
    ["h1:2181/p", "does not begin"],
    ["h1", "does not begin"],
    ["/just/path", "does not begin"],
    ["./path", "does not begin"],
    ["zookeeper", "does not begin"],
    ["zookeeper:", "neither // nor ./"],
    ["zookeeper:path", "neither // nor ./"],
    ["zookeeper:h1:2181/p", "neither // nor ./"],
    ["zookeeper:/etc", "three slashes"],
    ["zookeeper://", "neither servers nor a path"],
    ["zookeeper://,/p", "no server is named"],
    ["zookeeper://./library", "no host"],
    ["zookeeper://../library", "no host"],
    ["zookeeper://h:0/p", "no port"],
    ["zookeeper://h:65536/p", "no port"],
    ["zookeeper://h:port/p", "no port"],
    ["zookeeper://:2181/p", "no host"],
    ["zookeeper://::1/p", "brackets"],
    ["zookeeper://[::1/p", "brackets"],
    ["zookeeper://h 1/p", "no host name"],
    ["zookeeper://h;h2/p", "no host name"],
    ["zookeeper://h%31/p", "without %"],
    ["zookeeper://h%25,[::1]/p", "without %"],
    ["zookeeper://h/p?x=1", "query"],
    ["zookeeper:///p?", "query"],
    ["zookeeper://h?x", "query"],
    ["zookeeper:./p?x=1", "query"],
    ["zookeeper://h/p#f", "fragment"],
    ["zookeeper:./p#f", "fragment"],
    ["zookeeper:../p", "cannot leave"],
    ["zookeeper:./../p", "relative name"],
    ["zookeeper:./a/../../p", "relative name"],
    ["zookeeper:./%2e%2E/p", "relative name"],
    ["zookeeper:..", "neither // nor ./"],
    ["zookeeper://h/a/./b", "relative name"],
    ["zookeeper://h/a/../b", "relative name"],
    ["zookeeper://h/a%2Fb", "%2F"],
    ["zookeeper://h/100%", "%25"],
    ["zookeeper://h/%ff", "%25"],
    ["zookeeper://h/%00", "U+0"],
    ["zookeeper://h/a\nb", "U+000A"],
    ["zookeeper://user:secret@h/p", "credentials"],
    ["zookeeper://secret@h", "credentials"]
  ]

  it.effect.each(bad)("not %j: %s [ASAB-A10] [A13] [URL-01]", ([text, reason]) =>
    Effect.gen(function*() {
      const result = ZkConfig.parseUrl(text)
      assert.isTrue(Result.isFailure(result))
      const said = Result.isFailure(result) ? result.failure : ""
      assert.include(said, reason)
      const decoded = yield* Effect.flip(Schema.decodeUnknownEffect(ZkConfig.Url)(text))
      assert.strictEqual(decoded.message, said)
      const error = yield* Effect.flip(ZkConfig.options({ url: text }).parse(ConfigProvider.fromUnknown({})))
      assert.include(error.message, `the URL: ${said}`)
    }))

  it("are read in time that grows with their length and no faster, whatever they are made of [URL-04]", () => {
    for (const part of ["%25", "[", "[%25", "h,", ":", "/", " "]) {
      const since = performance.now()
      ZkConfig.parseUrl(`zookeeper://${part.repeat(100_000)}`)
      // In square time it would be ten seconds and more.
      assert.isBelow(performance.now() - since, 2_000, part)
    }
  })

  // Whatever is wrong with an address that has a password in it, and wherever that has characters that mean something.
  const secrets = [
    "s3cr",
    "s3cr:s3cr",
    "s3cr/s3cr",
    "s3cr?s3cr",
    "s3cr#s3cr",
    "s3cr@s3cr",
    "s3cr[",
    "s3cr s3cr",
    "s3cr,s3cr"
  ]
  const around: ReadonlyArray<readonly [string, string]> = [
    ["zookeeper://u:", "@h:2181/p"],
    ["zookeeper://u:", "@h:port/p"],
    ["zookeeper://u:", "@h/a/../b"],
    ["zookeepers://u:", "@h?x"],
    ["zookeeper:u:", "@h"],
    ["zookeeper:./u:", "@h/.."],
    ["http://u:", "@h/p"],
    ["u:", "@h:2181/p"]
  ]

  it.effect("with credentials are refused, and no error has any of them [A13] [URL-03]", () =>
    Effect.gen(function*() {
      for (const secret of secrets) {
        for (const [before, behind] of around) {
          const text = before + secret + behind
          assert.isTrue(Result.isFailure(ZkConfig.parseUrl(text)), text)
          const provider = ConfigProvider.fromUnknown({ url: text, zookeeper: { servers: text } })
          const errors: ReadonlyArray<unknown> = [
            ZkConfig.parseUrl(text),
            yield* Effect.flip(Schema.decodeUnknownEffect(ZkConfig.Url)(text)),
            yield* Effect.flip(Config.schema(ZkConfig.Url, "url").parse(provider)),
            yield* Effect.flip(ZkConfig.options({ url: text }).parse(provider)),
            yield* Effect.flip(ZkConfig.options().parse(provider))
          ]
          for (const error of errors) assert.notInclude(String(error) + inspect(error, { depth: 9 }), "s3cr", text)
        }
        for (const text of [`u:${secret}@h`, `u:${secret}@h:2181/p`, `h1,u:${secret}@h2//`]) {
          const result = ZkConfig.parseConnectionString(text)
          assert.isTrue(Result.isFailure(result), text)
          const refused = yield* Effect.flip(Effect.scoped(ZkConfig.resolve({ hosts: text })))
          assert.notInclude(inspect([result, refused, String(refused)], { depth: 9 }), "s3cr", text)
        }
      }
    }))
})

describe("connection strings as a schema", () => {
  it.effect("have the parser's reasons, and a normal form [URL-01] [URL-02]", () =>
    Effect.gen(function*() {
      const parts = { servers: [server("h1"), server("::1", 2)], chroot: "/a" }
      assert.deepStrictEqual(Schema.decodeUnknownSync(ZkConfig.ConnectionString)("h1,[::1]:2/a"), parts)
      assert.strictEqual(Schema.encodeSync(ZkConfig.ConnectionString)(parts), "h1:2181,[::1]:2/a")
      const wrong = ["", "h:0", "h/a/", "h/a//b", "h//"]
      for (const text of wrong) {
        const error = yield* Effect.flip(Schema.decodeUnknownEffect(ZkConfig.ConnectionString)(text))
        const result = ZkConfig.parseConnectionString(text)
        assert.strictEqual(error.message, Result.isFailure(result) ? result.failure : "")
      }
      const bad = ConfigProvider.fromUnknown({ ZK: "h:0" })
      const error = yield* Effect.flip(Config.schema(ZkConfig.ConnectionString, "ZK").parse(bad))
      assert.include(error.message, `"0" is no port`)
      assert.include(error.message, "ZK")
    }))
})
