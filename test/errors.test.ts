import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { readdirSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { fromCode } from "../src/internal/errorCodes.ts"
import { operation } from "../src/internal/operation.ts"
import { Code } from "../src/internal/protocol/constants.ts"
import * as ZkCodec from "../src/ZkCodec.ts"
import * as ZkDict from "../src/ZkDict.ts"
import * as ZkError from "../src/ZkError.ts"
import * as ZkLock from "../src/ZkLock.ts"
import * as ZkSemaphore from "../src/ZkSemaphore.ts"
import { failsWith } from "./support/failsWith.ts"
import { makeWire } from "./support/fakeClient.ts"
import { makeFakeServer } from "./support/fakeServer.ts"

const known = new ZkError.NoNode({ operation: "delete", path: "/a/b" })

/** A value for every field that an error can have. */
const samples: Record<string, unknown> = {
  operation: "getData",
  path: "/a/b",
  maybeApplied: true,
  expected: 3,
  reason: "the reason",
  timeout: 30_000,
  sessionId: -(2n ** 62n),
  scheme: "digest",
  size: 2_000_000,
  limit: 1_048_575,
  code: -99,
  index: 1,
  results: ["ok", "failed", "skipped"],
  option: "hosts",
  hosts: ["zk1:2181", "zk2:2181"],
  tries: 32
}

interface ErrorClass {
  new(fields: Record<string, unknown>): Error & { readonly _tag: string; readonly path?: string }
  readonly fields: Record<string, unknown>
}

const isErrorClass = (value: unknown): value is ErrorClass =>
  typeof value === "function" && value.prototype instanceof Error

const classesOf = (module: Record<string, unknown>): ReadonlyArray<readonly [tag: string, ErrorClass]> =>
  Object.entries<unknown>(module).flatMap(([tag, value]) => isErrorClass(value) ? [[tag, value] as const] : [])

const classes = classesOf(ZkError)

const build = ([tag, Class]: readonly [string, ErrorClass], more?: Record<string, unknown>) => {
  const names = Object.keys(Class.fields).filter((name) => name !== "_tag" && name !== "cause")
  const fields = Object.fromEntries(names.map((name) => [name, samples[name]]))
  assert.isFalse(Object.values(fields).includes(undefined), `a field of ${tag} has no sample`)
  if ("cause" in Class.fields) fields["cause"] = tag === "MultiFailed" ? known : new Error("certificate has expired")
  return new Class({ ...fields, ...more })
}

/** Which class a server's code belongs to. Those that servers have no business to send are missing. */
const classOfCode: Record<number, string> = {
  [-1]: "SystemError",
  [-2]: "RuntimeInconsistency",
  [-3]: "DataInconsistency",
  [-5]: "MarshallingError",
  [-6]: "Unimplemented",
  [-8]: "BadArguments",
  [-12]: "UnknownSession",
  [-13]: "NewConfigNoQuorum",
  [-14]: "ReconfigInProgress",
  [-100]: "ApiError",
  [-101]: "NoNode",
  [-102]: "NoAuth",
  [-103]: "BadVersion",
  [-108]: "NoChildrenForEphemerals",
  [-110]: "NodeExists",
  [-111]: "NotEmpty",
  [-113]: "InvalidCallback",
  [-114]: "InvalidAcl",
  [-118]: "SessionMoved",
  [-119]: "NotReadOnly",
  [-120]: "EphemeralOnLocalSession",
  [-121]: "NoWatcher",
  [-122]: "ServerTimeout",
  [-123]: "ReconfigDisabled",
  [-124]: "AuthRequired",
  [-125]: "QuotaExceeded",
  [-127]: "ThrottledOp"
}

/** One that every answer about a node belongs to. */
const anyAnswer = operation(
  "anything",
  "NoNode",
  "NodeExists",
  "BadVersion",
  "NotEmpty",
  "NoAuth",
  "NoChildrenForEphemerals",
  "InvalidAcl",
  "EphemeralOnLocalSession",
  "QuotaExceeded",
  "NoWatcher",
  "ReconfigDisabled",
  "ReconfigInProgress",
  "NewConfigNoQuorum"
)

describe("codes of servers", () => {
  it("have a class each [K58] [Z49]", () => {
    const ofTheSession: ReadonlyArray<number> = [
      Code.ok,
      Code.connectionLoss,
      Code.operationTimeout,
      Code.sessionExpired,
      Code.authFailed
    ]
    for (const code of Object.values(Code)) {
      if (ofTheSession.includes(code)) continue
      const error = fromCode(code, anyAnswer, "/a/b", 7)
      assert.strictEqual(error._tag, classOfCode[code])
      assert.deepStrictEqual([error.operation, error.path], ["anything", "/a/b"])
      if (error._tag === "BadVersion") assert.strictEqual(error.expected, 7)
    }
    assert.sameMembers(
      Object.keys(classOfCode).map(Number),
      Object.values(Code).filter((c) => !ofTheSession.includes(c))
    )
  })

  it("that nobody knows, or that an operation cannot have, are passed on as they are [K58] [A7]", () => {
    const get = operation("getData", "NoNode", "NoAuth")
    for (const code of [-126, -128, -99, 1, 77, -(2 ** 31), 2 ** 31 - 1, Code.nodeExists, Code.badVersion]) {
      const error = fromCode(code, get, "/a/b", undefined)
      assert.strictEqual(error._tag, "UnknownCode")
      assert.deepInclude(error, { operation: "getData", path: "/a/b", code })
      assert.include(error.message, String(code))
    }
  })

  it.effect("harm only the request that they answer [A7] [K58]", () =>
    Effect.gen(function*() {
      const fake = yield* makeFakeServer
      const zk = yield* makeWire(fake).client()
      yield* fake.once("setData", () => ({ type: "reply", err: -126 }))
      yield* fake.once("exists", () => ({ type: "reply", err: 4711 }))
      const [write, read, other] = yield* Effect.all([
        failsWith(zk.setData("/a", "x"), "UnknownCode"),
        failsWith(zk.exists("/b"), "UnknownCode"),
        zk.getData("/c")
      ], { concurrency: "unbounded" })
      assert.deepInclude(write, { operation: "setData", path: "/a", code: -126 })
      assert.deepInclude(read, { operation: "exists", path: "/b", code: 4711 })
      assert.strictEqual(other.stat.version, 0)
      assert.strictEqual((yield* zk.state)._tag, "Connected")
      assert.strictEqual(fake.connects.length, 1)
    }))

  it.effect("that leave the outcome of a write open are errors that say so [K58]", () =>
    Effect.gen(function*() {
      const fake = yield* makeFakeServer
      const zk = yield* makeWire(fake).client()
      for (const err of [Code.connectionLoss, Code.operationTimeout]) {
        yield* fake.on("any", () => ({ type: "reply", err }))
        const write = yield* failsWith(zk.setData("/a", "x"), "ConnectionLoss")
        assert.deepInclude(write, { operation: "setData", path: "/a", maybeApplied: true })
        const read = yield* failsWith(zk.getData("/a"), "ConnectionLoss")
        assert.deepInclude(read, { operation: "getData", path: "/a", maybeApplied: false })
        yield* fake.defaults
      }
    }))
})

/** The tags of an error class, however it has come by one: on the prototype, in its schema, or in its constructor. */
const tagsOf = (Class: object): ReadonlyArray<string> => {
  const literal: unknown = Reflect.get(Class, "fields")?._tag?.schema?.literal
  let own: unknown
  try {
    own = Reflect.construct(Class as new() => object, [{}])._tag
  } catch {
    // Its schema says it.
  }
  return [Reflect.get(Class, "prototype")?._tag, literal, own].filter((tag) => typeof tag === "string")
}

describe("error classes", () => {
  it("are all there", () => {
    assert.includeMembers(classes.map(([tag]) => tag), [
      ...Object.values(classOfCode),
      "ConnectionLoss",
      "ConnectError"
    ])
  })

  it.each(classes)(
    "%s has its own tag and a message that says what happened to what [K58] [S-MESSAGES]",
    (tag, Class) => {
      const error = build([tag, Class])
      assert.strictEqual(error._tag, tag)
      const { message } = error
      assert.notStrictEqual(message.trim(), "")
      if ("path" in Class.fields) assert.include(message, "/a/b")
      if ("operation" in Class.fields) assert.isTrue(message.startsWith("getData /a/b: "), message)
      for (const name of ["expected", "reason", "scheme", "size", "limit", "code", "option", "timeout"] as const) {
        if (name in Class.fields) assert.include(message, String(samples[name]))
      }
      if ("operation" in Class.fields) {
        const withoutPath = build([tag, Class], { path: "" }).message
        assert.isTrue(withoutPath.startsWith("getData: "), withoutPath)
      }
      if ("maybeApplied" in Class.fields && tag !== "AuthFailed") {
        assert.include(message, "may or may not have been applied")
        assert.include(build([tag, Class], { maybeApplied: false }).message, "it was not applied")
      }
      assert.strictEqual(String(error), `${error.name}: ${message}`)
    }
  )

  it("name what a transaction, a session and a connection failed of [S-MESSAGES]", () => {
    const message = (tag: string) => build(classes.find(([name]) => name === tag)!).message
    assert.include(message("MultiFailed"), "operation 1")
    assert.include(message("MultiFailed"), "delete /a/b: no such node")
    assert.include(message("SessionExpired"), "0xc000000000000000")
    assert.include(message("ConnectError"), "zk1:2181, zk2:2181: certificate has expired")
  })

  it.effect.each(classes)(
    "%s survives encoding and decoding, also as JSON [S-ENCODING]",
    ([tag, Class]) =>
      Effect.gen(function*() {
        const error = build([tag, Class])
        const schema = Class as unknown as Schema.Codec<Error & { readonly _tag: string }, unknown>
        for (const codec of [schema, Schema.fromJsonString(Schema.toCodecJson(schema))]) {
          const decoded = yield* Schema.decodeUnknownEffect(codec)(yield* Schema.encodeEffect(codec)(error))
          assert.instanceOf(decoded, Class)
          assert.strictEqual(decoded.message, error.message)
          for (const name of Object.keys(Class.fields).filter((name) => name !== "cause")) {
            assert.deepStrictEqual(Reflect.get(decoded, name), Reflect.get(error, name), name)
          }
        }
      })
  )

  it("of expected answers are built without looking at the stack [S-CHEAP]", () => {
    for (const code of [Code.noNode, Code.nodeExists, Code.badVersion, Code.notEmpty]) {
      const { stack = "" } = fromCode(code, anyAnswer, "/a", 0)
      assert.notInclude(stack, "\n    at ")
    }
    assert.include(new Error().stack ?? "", "\n    at ")
  })

  it("have no tag that effect's own errors have [K58]", async () => {
    const root = new URL("./", import.meta.resolve("effect/Effect"))
    const files = readdirSync(fileURLToPath(root), { recursive: true, encoding: "utf8" })
    const taken = new Map<string, string>()
    for (const file of files) {
      if (!file.endsWith(".js") || file.includes("internal")) continue
      const module: Record<string, unknown> = await import(new URL(file, root).href)
      for (const [name, value] of Object.entries(module)) {
        if (isErrorClass(value) || (name.endsWith("Error") && typeof value === "function")) {
          for (const tag of tagsOf(value)) taken.set(tag, `${file} ${name}`)
        }
      }
    }
    // That the search finds anything, of each kind.
    assert.containsAllKeys(taken, ["TimeoutError", "NoSuchElementError", "SocketError", "SchemaError", "ConfigError"])
    const ours = [ZkError, ZkLock, ZkSemaphore, ZkCodec, ZkDict].flatMap(classesOf).map(([tag]) => tag)
    assert.includeMembers(ours, ["LockTimeout", "PermitsExceeded", "ValueDecodeError", "KeyNotFound", "PopInDoubt"])
    const collisions = ours.flatMap((tag) => taken.has(tag) ? [`${tag} is in ${taken.get(tag)}`] : [])
    assert.deepStrictEqual(collisions, [])
    // Nor one of each other's.
    assert.strictEqual(new Set(ours).size, ours.length)
  })
})

describe("error classes of locks and permits", () => {
  const lockSamples: Record<string, unknown> = {
    ...samples,
    held: "shared",
    wanted: "exclusive",
    permits: 5,
    max: 3,
    stored: 4,
    timeout: 2_500,
    cause: known
  }
  const fieldsOf = ([tag, Class]: readonly [string, ErrorClass], more?: Record<string, unknown>) => {
    const names = Object.keys(Class.fields).filter((name) => name !== "_tag")
    const own = { ...lockSamples, ...(tag === "LockLost" && { reason: "lease" }), expected: 3, ...more }
    const fields = Object.fromEntries(names.map((name) => [name, Reflect.get(own, name)]))
    assert.isFalse(Object.values(fields).includes(undefined), `a field of ${tag} has no sample`)
    return fields
  }
  const all = [...classesOf(ZkLock), ...classesOf(ZkSemaphore)]

  it.each(all)("%s has its own tag and a message that says what happened to what [S-MESSAGES]", (tag, Class) => {
    const error = new Class(fieldsOf([tag, Class]))
    assert.strictEqual(error._tag, tag)
    assert.isTrue(error.message.startsWith("/a/b: "), error.message)
    for (const name of ["permits", "max", "stored", "expected", "timeout"] as const) {
      if (name in Class.fields) assert.include(error.message, String(lockSamples[name]))
    }
    assert.isFalse(ZkError.isSessionError(error))
    assert.isFalse(ZkError.isRetryable(error))
    if (tag === "LockNotAcquired") assert.include(error.message, known.message)
  })

  it("each reason of a loss has a sentence of its own [S-MESSAGES]", () => {
    const messages = ZkLock.LossReason.literals.map((reason) => new ZkLock.LockLost({ path: "/a/b", reason }).message)
    assert.strictEqual(new Set(messages).size, messages.length)
    assert.isTrue(messages.every((message) => message.startsWith("/a/b: lost: ")))
  })

  it.effect.each(all)(
    "%s survives encoding and decoding, also as JSON [S-ENCODING]",
    ([tag, Class]) =>
      Effect.gen(function*() {
        const error = new Class(fieldsOf([tag, Class]))
        const schema = Class as unknown as Schema.Codec<Error & { readonly _tag: string }, unknown>
        for (const codec of [schema, Schema.fromJsonString(Schema.toCodecJson(schema))]) {
          const decoded = yield* Schema.decodeUnknownEffect(codec)(yield* Schema.encodeEffect(codec)(error))
          assert.instanceOf(decoded, Class)
          assert.strictEqual(decoded.message, error.message)
        }
      })
  )
})

describe("classification", () => {
  const retryable: Record<string, boolean> = {
    ThrottledOp: true,
    SessionMoved: true,
    ReconfigInProgress: true,
    ConnectError: true
  }
  const retryableUnlessApplied = ["ConnectionLoss", "OperationTimeout"]

  it.each(classes)("says whether %s may be tried again [S-RETRYABLE] [Z49]", (tag, Class) => {
    const hasOutcome = "maybeApplied" in Class.fields
    for (const maybeApplied of [true, false]) {
      const error = build([tag, Class], hasOutcome ? { maybeApplied } : {})
      assert.strictEqual(ZkError.maybeApplied(error), hasOutcome && maybeApplied)
      const expected = retryable[tag] ?? (retryableUnlessApplied.includes(tag) && !maybeApplied)
      assert.strictEqual(ZkError.isRetryable(error), expected)
    }
  })

  it("takes only errors of sessions for such [S-RETRYABLE]", () => {
    const notOfSessions = [
      "NoNode",
      "NodeExists",
      "BadVersion",
      "NotEmpty",
      "NoAuth",
      "NoChildrenForEphemerals",
      "InvalidAcl",
      "EphemeralOnLocalSession",
      "QuotaExceeded",
      "NoWatcher",
      "ReconfigDisabled",
      "ReconfigInProgress",
      "NewConfigNoQuorum",
      "MultiFailed",
      "WriteConflict",
      "InvalidConfig",
      "ConnectError"
    ]
    for (const entry of classes) {
      assert.strictEqual(ZkError.isSessionError(build(entry)), !notOfSessions.includes(entry[0]), entry[0])
    }
    for (const value of [undefined, null, "ConnectionLoss", { _tag: "ConnectionLoss" }, new Error("x")]) {
      assert.isFalse(ZkError.isSessionError(value))
      assert.isFalse(ZkError.isRetryable(value))
      assert.isFalse(ZkError.maybeApplied(value))
    }
    // What another copy of the library has made, or what came over a wire, is known by what it says.
    assert.isTrue(ZkError.maybeApplied({ maybeApplied: true }))
  })
})
