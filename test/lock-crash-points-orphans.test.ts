/** What would be left behind: lost answers to the creation of candidates, and nodes of sessions that are over. */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Redacted from "effect/Redacted"
import { MinimumLogLevel } from "effect/References"
import * as ZkAcl from "../src/ZkAcl.ts"
import * as RealZkClient from "../src/ZkClient.ts"
import * as RealZkLock from "../src/ZkLock.ts"
import * as ZkSemaphore from "../src/ZkSemaphore.ts"
import { expireSession } from "./support/expire.ts"
import { failsWith } from "./support/failsWith.ts"
import { awaitCandidates, lockClient, on } from "./support/locking.ts"
import { importMutant, makeMutant, type MutantModules } from "./support/mutant.ts"
import { makeProxy } from "./support/proxy.ts"
import { freshPath, shared } from "./support/shared.ts"
import { pollUntil } from "./support/wait.ts"

const library: MutantModules = { ZkClient: RealZkClient, ZkLock: RealZkLock }

/** A library that does not look for its mark: what was lost is created again, and nothing is cleaned up. */
const forgetful = Effect.promise(async () =>
  importMutant(
    await makeMutant("forgetful", [{
      file: "internal/client/resolve.ts",
      from: "listed.filter((child) => child.startsWith(marked.mark))",
      to: "[] as ReadonlyArray<string>"
    }])
  )
)

const childrenOf = (zk: RealZkClient.ZkClient, path: string) =>
  Effect.map(zk.getChildren(path), ({ children }) => children)

/** A client of this library behind a proxy, its lock, whose node is there already, and somebody who looks on. */
const setting = Effect.fnUntraced(function*({ ZkClient, ZkLock }: MutantModules) {
  const { port } = yield* shared
  const proxy = yield* makeProxy(port)
  const observer = yield* lockClient()
  const path = yield* freshPath
  yield* observer.create(path)
  const zk = yield* ZkClient.make({ hosts: proxy.connectString, sessionTimeout: "10 seconds" })
  yield* zk.sync()
  const lock = yield* Effect.provideService(ZkLock.make(path), ZkClient.ZkClient, zk)
  return { lock, observer, path, proxy, zk }
})

/** The answer to the candidate's creation is lost with its connection, and the lock is waited for. Gives who is in line. */
const loseTheAnswer = (modules: MutantModules) =>
  Effect.gen(function*() {
    const { lock, observer, path, proxy, zk } = yield* setting(modules)
    const rule = yield* proxy.swallowReply({ op: "create" })
    const held = lock.acquireTimeout("700 millis")
    const outcome = yield* Effect.scoped(Effect.result(Effect.andThen(held, childrenOf(observer, path))))
    assert.strictEqual(yield* rule.count, 1)
    yield* zk.sync()
    return { outcome, left: yield* childrenOf(observer, path) }
  }).pipe(Effect.scoped, Effect.provideService(MinimumLogLevel, "None"))

/** Whoever waits is interrupted when the candidate is there and nobody knows yet. */
const interruptAhead = (modules: MutantModules) =>
  Effect.gen(function*() {
    const { lock, observer, path, proxy, zk } = yield* setting(modules)
    const waiting = yield* Effect.forkChild(Effect.scoped(lock.acquire()))
    const rule = yield* proxy.rule({ op: "create", kind: "reply" }, {
      before: Effect.sync(() => waiting.interruptUnsafe())
    })
    yield* rule.fired
    yield* Fiber.await(waiting)
    yield* zk.sync()
    const gone = pollUntil(
      "the candidate is gone",
      () => Effect.runPromise(Effect.map(childrenOf(observer, path), (names) => names.length === 0 || undefined)),
      { within: 1_000 }
    )
    return yield* Effect.promise(() => gone.then(() => [], () => Effect.runPromise(childrenOf(observer, path))))
  }).pipe(Effect.scoped, Effect.provideService(MinimumLogLevel, "None"))

describe("a candidate whose creation is not heard of", () => {
  it.live("is found by its mark: there is one, it gets the lock, and none is left [T5] [I1]", () =>
    Effect.gen(function*() {
      const { left, outcome } = yield* loseTheAnswer(library)
      assert.strictEqual(outcome._tag === "Success" ? outcome.success.length : outcome.failure, 1)
      assert.deepStrictEqual(left, [])
      assert.deepStrictEqual(yield* interruptAhead(library), [])
    }))

  it.live("would stay for as long as the session if it were not looked for [LF13]", () =>
    Effect.gen(function*() {
      const mutant = yield* forgetful
      const { left, outcome } = yield* loseTheAnswer(mutant)
      assert.strictEqual(outcome._tag === "Failure" ? outcome.failure._tag : "", "LockTimeout")
      assert.strictEqual(left.length, 1)
      assert.strictEqual((yield* interruptAhead(mutant)).length, 1)
    }))

  it.live("is not taken for one's own when its session is over and it is still to be seen [I2]", () =>
    Effect.gen(function*() {
      const { observer, path, proxy, zk } = yield* setting(library)
      const lock = yield* on(zk)(RealZkLock.make(path, { onCandidateLost: "requeue" }))
      const { port } = yield* shared
      const connected = proxy.events.find((event) => event.type === "frame" && event.session !== undefined)
      const session = connected?.type === "frame" ? connected.session : undefined
      if (session === undefined) return assert.fail("no session")
      const rule = yield* proxy.swallowReply({ op: "create" })
      const queued = yield* Deferred.make<RealZkLock.LockStatus>()
      const onStatus = (status: RealZkLock.LockStatus) => Effect.asVoid(Deferred.succeed(queued, status))
      const acquiring = yield* Effect.forkScoped(lock.acquire({ onStatus }), { startImmediately: true })
      yield* rule.fired
      yield* proxy.setAccept("close")
      const [name = "?"] = yield* childrenOf(observer, path)
      yield* expireSession(port, session)
      assert.deepStrictEqual(yield* childrenOf(observer, path), [])
      // As a server has it that is late: the same name, and the owner is not the new session.
      yield* observer.create(`${path}/${name}`, null, { mode: "ephemeral" })
      yield* proxy.setAccept("accept")
      const status = yield* Deferred.await(queued)
      assert.strictEqual(status._tag === "Queued" ? status.ahead : status._tag, 1)
      assert.notStrictEqual(status.path, `${path}/${name}`)
      assert.strictEqual((yield* childrenOf(observer, path)).length, 2)
      yield* observer.delete(`${path}/${name}`)
      const handle = yield* Fiber.join(acquiring)
      assert.strictEqual(handle.path, status.path)
      assert.isTrue(yield* handle.isHeld)
      yield* handle.guard([])
    }).pipe(Effect.provideService(MinimumLogLevel, "None")))

  it.live("goes when the line may not be looked at [LOCK-12] [K37]", () =>
    Effect.gen(function*() {
      const secret = Redacted.make("secret")
      const observer = yield* lockClient({ auth: [{ scheme: "digest", credential: Redacted.make("ann:secret") }] })
      const path = yield* freshPath
      // To create, delete and look at candidates, not to list them.
      const acl = [{ perms: 4 | 8, scheme: "world", id: "anyone" }, ZkAcl.digest("ann", secret)]
      yield* observer.create(path, null, { acl })
      const lock = yield* on(yield* lockClient())(RealZkLock.make(path))
      const attempts = [
        Effect.scoped(Effect.asVoid(lock.acquire())),
        Effect.scoped(Effect.asVoid(lock.acquireTimeout("5 seconds"))),
        Effect.scoped(Effect.asVoid(lock.tryAcquire()))
      ]
      for (const attempt of attempts) {
        const error = yield* failsWith(attempt, "LockNotAcquired")
        assert.strictEqual(error.cause._tag, "NoAuth")
        const { numChildren, cversion } = yield* Effect.flatten(Effect.map(observer.exists(path), Effect.fromOption))
        assert.strictEqual(numChildren, 0)
        assert.isAbove(cversion, 1)
      }
    }))
})

describe("permits whose place in line is deleted by somebody else", () => {
  it.live("are asked for again in a new place, had, and leave nothing [SEM-05]", () =>
    Effect.gen(function*() {
      const path = yield* freshPath
      const rival = yield* lockClient()
      const options = { permits: 1, onCandidateLost: "requeue" } as const
      const ours = yield* on(yield* lockClient())(ZkSemaphore.make(path, options))
      const theirs = yield* on(rival)(ZkSemaphore.make(path, options))
      const held = yield* theirs.acquire()
      // The first is being served, the second waits behind it.
      const got: Array<string> = []
      const turn = (who: string) => ours.withPermits(1, Effect.sync(() => got.push(who)))
      const fibers = []
      for (const who of ["first", "second"]) {
        fibers.push(yield* Effect.forkScoped(turn(who), { startImmediately: true }))
        yield* awaitCandidates(rival, `${path}/locks`, fibers.length)
      }
      const before = yield* childrenOf(rival, `${path}/locks`)
      for (const name of before) yield* rival.delete(`${path}/locks/${name}`)
      yield* awaitCandidates(rival, `${path}/locks`, 2)
      const after = yield* childrenOf(rival, `${path}/locks`)
      assert.deepStrictEqual(after.filter((name) => before.includes(name)), [])
      assert.isTrue(yield* held.release)
      for (const fiber of fibers) yield* Fiber.join(fiber)
      assert.strictEqual(got.length, 2)
      assert.deepStrictEqual(yield* childrenOf(rival, `${path}/locks`), [])
      assert.deepStrictEqual(yield* childrenOf(rival, `${path}/leases`), [])
    }).pipe(Effect.provideService(MinimumLogLevel, "None")))
})
