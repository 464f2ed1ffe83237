/** Where locks are: names, the nodes above candidates, who may do what with them, and what else may be found there. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as ZkAcl from "../src/ZkAcl.ts"
import * as ZkClient from "../src/ZkClient.ts"
import * as ZkLock from "../src/ZkLock.ts"
import * as ZkPath from "../src/ZkPath.ts"
import { failsWith } from "./support/failsWith.ts"
import { awaitCandidates, lockClient, on, queueUp, twoClients } from "./support/locking.ts"
import { makeProxy } from "./support/proxy.ts"
import { connectRaw } from "./support/rawClient.ts"
import { makeServer } from "./support/server.ts"
import { freshPath, shared } from "./support/shared.ts"

describe("the name of a lock", () => {
  it.live("is below the root, which depends on the layout and can be another [T2]", () =>
    Effect.gen(function*() {
      const zk = yield* lockClient()
      const paths = yield* Effect.forEach(
        [
          undefined,
          { layout: "curator" },
          { layout: "kazoo" },
          { layout: "zktools" },
          { root: "/app/locks" },
          { root: "/" },
          { layout: "zktools", root: "/elsewhere" }
        ] satisfies ReadonlyArray<ZkLock.Options | undefined>,
        (options) => Effect.map(on(zk)(ZkLock.make("jobs/nightly", options)), ({ path }) => path)
      )
      assert.deepStrictEqual(paths, [
        "/locks/jobs/nightly",
        "/locks/jobs/nightly",
        "/locks/jobs/nightly",
        "/ZktoolsLocks/jobs/nightly",
        "/app/locks/jobs/nightly",
        "/jobs/nightly",
        "/elsewhere/jobs/nightly"
      ])
    }))

  it.live("is itself when it is absolute, so that it is another lock than the relative one [T3]", () =>
    Effect.gen(function*() {
      const { a, b, name: root } = yield* twoClients
      const relative = yield* on(a)(ZkLock.make("Mylocks/resourceB", { root }))
      const absolute = yield* on(b)(ZkLock.make(`${root}/Mylocks/resourceB`))
      const other = yield* on(b)(ZkLock.make(`${root}-Mylocks/resourceB`, { root }))
      assert.strictEqual(relative.path, absolute.path)
      assert.strictEqual(other.path, `${root}-Mylocks/resourceB`)
      yield* relative.withLock(Effect.gen(function*() {
        assert.isTrue(Option.isNone(yield* absolute.tryAcquire()))
        assert.isTrue(Option.isSome(yield* other.tryAcquire()))
      }))
      for (const name of ["/Mylocks/resourceB", "Mylocks/resourceB"]) {
        const lock = yield* on(a)(ZkLock.make(name))
        assert.strictEqual(lock.path, name.startsWith("/") ? name : `/locks/${name}`)
      }
    }))

  it.live("is refused before anything is sent when it cannot be one [T3]", () =>
    Effect.gen(function*() {
      const zk = yield* lockClient()
      for (const name of ["", "/", "a//b", "//a", "a/", "../b", "a/./b", "a\u0000b"]) {
        const error = yield* failsWith(on(zk)(ZkLock.make(name)), "InvalidPath")
        assert.include(error.message, error.reason)
      }
      yield* failsWith(on(zk)(ZkLock.make("a", { root: "locks" })), "InvalidPath")
      yield* failsWith(on(zk)(ZkLock.make("a", { root: "/locks/" })), "InvalidPath")
      yield* failsWith(on(zk)(ZkLock.make("a", { layout: "curatr" as "curator" })), "InvalidInput")
    }))

  it.live("is that of the client's view [T2]", () =>
    Effect.gen(function*() {
      const { a, b, name } = yield* twoClients
      const view = yield* b.chroot(name)
      const below = yield* on(view)(ZkLock.make("/jobs"))
      const above = yield* on(a)(ZkLock.make(`${name}/jobs`))
      assert.strictEqual(below.path, "/jobs")
      yield* below.withLock((handle) =>
        Effect.gen(function*() {
          assert.strictEqual((yield* above.contenders)[0]?.path, `${name}${handle.path}`)
          assert.isTrue(Option.isNone(yield* above.tryAcquire()))
        })
      )
    }))
})

describe("the nodes above candidates", () => {
  it.live("are made when they are missing, as many as it takes [LOCK-16] [I18]", () =>
    Effect.gen(function*() {
      const { port } = yield* shared
      const proxy = yield* makeProxy(port)
      const [a, b] = [yield* lockClient(), yield* lockClient({ hosts: proxy.connectString })]
      const name = yield* freshPath
      const path = `${name}/one/two/three`
      const ours = yield* on(a)(ZkLock.make(path))
      const theirs = yield* on(b)(ZkLock.make(path))
      // Looking does not make them.
      assert.isFalse(yield* ours.isLocked)
      assert.deepStrictEqual(yield* ours.contenders, [])
      assert.strictEqual(yield* ours.clear, 0)
      assert.strictEqual(yield* ours.revokeAll, 0)
      assert.isTrue(Option.isNone(yield* a.exists(name)))
      yield* theirs.withLock(Effect.void)
      const made = yield* proxy.frames({ direction: "toClient", op: "createContainer", where: ({ err }) => err === 0 })
      const paths = [name, `${name}/one`, `${name}/one/two`, path]
      assert.deepStrictEqual(made.map(({ path }) => path), paths)
      yield* a.deleteRecursive(name)
      // Two who make them at the same time do not get into each other's way.
      const both = yield* Effect.all([
        Effect.exit(ours.withLock(Effect.succeed(1))),
        Effect.exit(theirs.withLock(Effect.succeed(2)))
      ], { concurrency: 2 })
      assert.deepStrictEqual(both, [Exit.succeed(1), Exit.succeed(2)])
    }))

  it.live("are left as they are when they are there [I18]", () =>
    Effect.gen(function*() {
      const { a, name } = yield* twoClients
      yield* a.create(name, "mine")
      const lock = yield* on(a)(ZkLock.make(name))
      yield* lock.withLock(Effect.void)
      const { stat, text } = yield* a.getData(name)
      assert.deepStrictEqual([text, stat.ephemeralOwner, stat.version], ["mine", 0n, 0])
    }))

  it.live("are made again when somebody deletes them meanwhile, more than once [LOCK-16]", () =>
    Effect.gen(function*() {
      const { port } = yield* shared
      const proxy = yield* makeProxy(port)
      const a = yield* lockClient()
      const b = yield* lockClient({ hosts: proxy.connectString })
      const name = yield* freshPath
      const lock = yield* on(b)(ZkLock.make(name))
      yield* a.create(name)
      const rule = yield* proxy.rule(
        { direction: "toServer", op: "create2" },
        { before: Effect.orDie(a.delete(name)) },
        { times: 3 }
      )
      const handle = yield* lock.acquire()
      assert.strictEqual(yield* rule.count, 3)
      assert.isTrue(yield* handle.isHeld)
      const refused = yield* proxy.frames({ direction: "toClient", op: "create2" })
      assert.deepStrictEqual(refused.map(({ err }) => err), [-101, -101, -101, 0])
    }))

  it.live(
    "go some time after the last candidate, and may do so while a lock is being taken [LOCK-21] [I18]",
    () =>
      Effect.gen(function*() {
        // By default servers look once a minute.
        const server = yield* makeServer({ jvmFlags: ["-Dznode.container.checkIntervalMs=20"] })
        const proxy = yield* makeProxy(server.port)
        const hosts = { sessionTimeout: "10 seconds" } as const
        const a = yield* ZkClient.make({ ...hosts, hosts: server.connectString })
        const b = yield* ZkClient.make({ ...hosts, hosts: proxy.connectString })
        const gone = Effect.orDie(Stream.runHead(Stream.filter(a.changes("/locks"), Option.isNone)))
        const name = "jobs/nightly"
        const ours = yield* on(a)(ZkLock.make(name))
        const theirs = yield* on(b)(ZkLock.make(name))
        yield* ours.withLock(Effect.void)
        yield* gone
        yield* ours.withLock(Effect.void)
        // Its node is still there when the candidate is to be made, and is reaped just before that.
        const rule = yield* proxy.rule({ direction: "toServer", op: "create2" }, { before: gone })
        const handle = yield* theirs.acquire()
        assert.strictEqual(yield* rule.count, 1)
        const [first] = yield* proxy.frames({ direction: "toClient", op: "create2" })
        assert.strictEqual(first?.err, -101)
        // While somebody is in line it stays.
        const waiting = yield* queueUp(a, ours.path, 2, ours.acquire())
        yield* handle.release
        yield* (yield* Fiber.join(waiting)).release
        yield* gone
        // And at no moment is anybody refused for it.
        yield* Effect.forEach([ours, theirs], (lock) => Effect.repeat(lock.withLock(Effect.void), { times: 100 }), {
          concurrency: 2
        })
        yield* gone
      }),
    60_000
  )
})

const auth = (user: string) => ({ scheme: "digest", credential: Redacted.make(`${user}:secret`) })

describe("the ACL of a lock", () => {
  it.live("is that of its candidates and of the nodes above them that were missing [LOCK-22]", () =>
    Effect.gen(function*() {
      const name = yield* freshPath
      const a = yield* lockClient({ auth: [auth("ann")] })
      const acl = [ZkAcl.digest("ann", Redacted.make("secret")), ...ZkAcl.readAcl]
      yield* a.create(name)
      const lock = yield* on(a)(ZkLock.make(`${name}/one/two`, { acl }))
      const handle = yield* lock.acquire()
      for (const path of [handle.path, `${name}/one/two`, `${name}/one`]) {
        assert.deepStrictEqual((yield* a.getAcl(path)).acl, acl, path)
      }
      assert.deepStrictEqual((yield* a.getAcl(name)).acl, ZkAcl.openAcl)
      assert.isTrue(yield* handle.release)
    }))

  it.live("that lets nobody in fails, with the reason, and leaves nothing [T47]", () =>
    Effect.gen(function*() {
      const name = yield* freshPath
      const a = yield* lockClient({ auth: [auth("ann")] })
      const b = yield* lockClient()
      yield* a.create(name, "", { acl: ZkAcl.creatorAcl })
      const lock = yield* on(b)(ZkLock.make(name))
      for (
        const attempt of [
          Effect.asVoid(Effect.scoped(lock.acquire())),
          Effect.catchTag(Effect.asVoid(Effect.scoped(lock.acquireTimeout("10 seconds"))), "LockTimeout", Effect.die),
          Effect.asVoid(Effect.scoped(lock.tryAcquire())),
          lock.withLock(Effect.die("not to be run"))
        ]
      ) {
        const { cause, path } = yield* failsWith(Effect.asVoid(attempt), "LockNotAcquired")
        assert.strictEqual(path, name)
        assert.strictEqual(cause._tag, "NoAuth")
      }
      // Whoever may make candidates, but not see who else is there, is not let in either.
      const writeOnly = { perms: ZkAcl.Perms.create | ZkAcl.Perms.delete, scheme: "world", id: "anyone" }
      yield* a.setAcl(name, [...ZkAcl.creatorAcl, writeOnly])
      const { cause } = yield* failsWith(lock.acquire(), "LockNotAcquired")
      assert.strictEqual(cause._tag, "NoAuth")
      assert.deepStrictEqual((yield* a.getChildren(name)).children, [])
      yield* failsWith(lock.contenders, "NoAuth")
      yield* failsWith(lock.isLocked, "NoAuth")
      // Neither is it a mistake of the client that an ACL is refused.
      const nonsense = yield* on(a)(ZkLock.make(name, { acl: [{ perms: 31, scheme: "nonsense", id: "x" }] }))
      const invalid = yield* failsWith(nonsense.acquire(), "LockNotAcquired")
      assert.strictEqual(invalid.cause._tag, "InvalidAcl")
    }))

  it.live("may hide a candidate from who waits for it: its end is heard of all the same [LOCK-22]", () =>
    Effect.gen(function*() {
      const name = yield* freshPath
      const a = yield* lockClient({ auth: [auth("ann")] })
      const b = yield* lockClient()
      yield* b.ensurePath(name)
      const ours = yield* on(a)(ZkLock.make(name, { acl: ZkAcl.creatorAcl }))
      const theirs = yield* on(b)(ZkLock.make(name))
      const held = yield* ours.acquire()
      const waiting = yield* queueUp(b, name, 2, theirs.acquire())
      yield* failsWith(b.getData(held.path), "NoAuth")
      // What is written into it is no reason to go on.
      yield* a.setData(held.path, "x")
      yield* b.sync()
      assert.isUndefined(waiting.pollUnsafe())
      yield* held.release
      const handle = yield* Fiber.join(waiting)
      assert.isTrue(yield* handle.isHeld)
      // The other way round, and with somebody who gives up in between.
      const hidden = yield* queueUp(b, name, 2, ours.acquire())
      const third = yield* queueUp(b, name, 3, theirs.acquire())
      yield* Fiber.interrupt(hidden)
      yield* awaitCandidates(b, name, 2)
      assert.isUndefined(third.pollUnsafe())
      yield* handle.release
      assert.isTrue(yield* (yield* Fiber.join(third)).isHeld)
    }))
})

describe("what else is below a lock's node", () => {
  it.live("does not matter, if it is no candidate [I12] [I17]", () =>
    Effect.gen(function*() {
      const { a, name } = yield* twoClients
      yield* a.create(name)
      for (const other of ["config", "0000000000", "lock-", "lock-x0000000000", "a-lock-000000000"]) {
        yield* a.create(ZkPath.join(name, other))
      }
      yield* a.create(`${name}/config/lock-0000000000`)
      const lock = yield* on(a)(ZkLock.make(name))
      const handle = Option.getOrThrow(yield* lock.tryAcquire())
      assert.deepStrictEqual((yield* lock.contenders).map(({ path }) => path), [handle.path])
      assert.strictEqual(yield* lock.clear, 1)
      assert.lengthOf((yield* a.getChildren(name)).children, 5)
    }))

  it.live("may be candidates of others with any data, or none [I17]", () =>
    Effect.gen(function*() {
      const { a, name } = yield* twoClients
      const { host, port } = yield* shared
      const raw = yield* connectRaw({ host, port })
      yield* a.create(name)
      const scope = yield* Effect.scope
      yield* Scope.addFinalizer(scope, Effect.orDie(raw.closeSession))
      const texts = [null, "", "test", "{", "null", "[1]", "{\"host\":1}", Buffer.from([0xff, 0xfe, 0])]
      const made = yield* Effect.forEach(texts, (data, i) => raw.create(`${name}/_c_${i}-lock-`, data, 3))
      const lock = yield* on(a)(ZkLock.make(name))
      const waiting = yield* queueUp(a, name, texts.length + 1, lock.acquire())
      const all = yield* lock.contenders
      assert.deepStrictEqual(all.slice(0, -1).map(({ path }) => path), made)
      assert.isTrue(all.slice(0, -1).every(({ owner }) => Option.isNone(owner)))
      assert.deepStrictEqual(all.map(({ text }) => text).slice(0, 4), ["", "", "test", "{"])
      assert.isTrue(Option.isSome(all.at(-1)!.owner))
      assert.deepStrictEqual(all.map(({ isHolder }) => isHolder), [true, ...texts.map(() => false)])
      yield* Effect.forEach([...made].reverse(), (path) => raw.delete(path))
      assert.isTrue(yield* (yield* Fiber.join(waiting)).isHeld)
    }))

  it.live("may go while it is being looked at [I17]", () =>
    Effect.gen(function*() {
      const { port } = yield* shared
      const proxy = yield* makeProxy(port)
      const a = yield* lockClient()
      const b = yield* lockClient({ hosts: proxy.connectString })
      const name = yield* freshPath
      const ours = yield* on(a)(ZkLock.make(name))
      const theirs = yield* on(b)(ZkLock.make(name))
      const held = yield* ours.acquire()
      const waiting = yield* queueUp(a, name, 2, ours.acquire())
      const rule = yield* proxy.rule({ direction: "toServer", op: "getData", path: held.path }, {
        before: Effect.andThen(held.release, Fiber.await(waiting))
      })
      const all = yield* theirs.contenders
      assert.strictEqual(yield* rule.count, 1)
      assert.lengthOf(all, 1)
      assert.strictEqual(all[0]!.path, (yield* Fiber.join(waiting)).path)
    }))
})
