/** `zk locks`: what is seen of locks from outside, and what can be done about them. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { agesAt } from "../src/cli/commands/locksShow.ts"
import * as ZkLock from "../src/ZkLock.ts"
import * as ZkSemaphore from "../src/ZkSemaphore.ts"
import { makeZk, matchesSnapshot, type Zk } from "./support/cli.ts"
import { failsWith } from "./support/failsWith.ts"
import { lockClient, on, queueUp } from "./support/locking.ts"
import { makeProxy } from "./support/proxy.ts"
import { shared } from "./support/shared.ts"

const owner = (host: string, rest: object = {}) =>
  JSON.stringify({ host, pid: 4711, since: "2026-01-31T08:00:00.000Z", ...rest })

/** Locks of all layouts, and things that are none. The uuids are in no order. */
const furnish = ({ client }: Zk) =>
  Effect.gen(function*() {
    const inLine = (path: string, data = "") =>
      client.create(path, data, { mode: "ephemeralSequential", parents: true })
    yield* inLine("/locks/nightly/_c_f0-lock-", owner("worker-7", { custom: { job: "nightly report" } }))
    yield* inLine("/locks/nightly/_c_a1-lock-", owner("worker-12", { deadline: "2026-01-31T09:00:00.000Z" }))
    yield* inLine("/locks/nightly/_c_c2-lock-", owner("worker-3", { revoke: "request" }))
    yield* inLine("/locks/deeper/down/catalogue/_c_f0-__READ__", owner("reader-1"))
    yield* inLine("/locks/deeper/down/catalogue/_c_b1-__READ__", "__REVOKE__")
    yield* inLine("/locks/deeper/down/catalogue/_c_a2-__WRIT__", "written by something else \u001b[31m\n")
    yield* inLine("/locks/deeper/down/catalogue/_c_02-__READ__")
    yield* inLine("/locks/a lock with a name that is too long for eighty columns/0a1b__lock__", "a kazoo client")
    yield* inLine("/locks/a lock with a name that is too long for eighty columns/00ff__rlock__", "a reader")
    // It was used once.
    const used = yield* inLine("/locks/unused/_c_a0-lock-")
    yield* client.delete(used.path)
    yield* client.create("/locks/permits/locks", "", { parents: true })
    yield* client.setData("/locks/permits", "5")
    yield* inLine("/locks/permits/leases/_c_b0-lease-", owner("worker-7"))
    yield* inLine("/locks/permits/leases/_c_c1-lease-", owner("worker-8"))
    yield* inLine("/locks/permits/locks/_c_b2-lock-", owner("worker-9"))
    yield* inLine("/locks/mixed/0a1b__lock__", "one")
    yield* inLine("/locks/mixed/0a0b__lock__", "two")
    yield* inLine("/locks/mixed/_c_a0-lock-", "of Curator")
    // None of these is a lock.
    yield* client.create("/locks/deeper/config", "", { parents: true })
    yield* client.create("/locks/deeper/lock-notes", "x")
    yield* inLine("/ZktoolsLocks/import/0f1e-write--")
    yield* inLine("/ZktoolsLocks/import/0a1e-read--", "unlock")
    yield* client.create("/ZktoolsLocks/export", "lock")
  })

/** Ages, which are about none. */
const aged = (text: string) =>
  text.replaceAll(/ +AGE/g, "  AGE").replaceAll(/ +\d+ s\b/g, "  0 s").replaceAll(/"age":\d+/g, `"age":0`)

const commands = [
  ["locks", "list"],
  ["locks", "list", "/ZktoolsLocks"],
  ["locks", "show", "nightly"],
  ["locks", "show", "/locks/deeper/down/catalogue"],
  ["locks", "show", "permits"],
  ["locks", "show", "unused"],
  ["locks", "show", "import", "--layout", "zktools"],
  ["locks", "show", "mixed"],
  ["locks", "show", "mixed", "--layout", "curator"],
  ["locks", "clear", "--dry-run"],
  ["locks", "clear", "export", "--root", "/ZktoolsLocks", "--dry-run"]
]

/** A client of the program's, with locks of its own below the program's root. */
const withLocks = Effect.gen(function*() {
  const zk = yield* makeZk()
  const client = yield* lockClient({ hosts: zk.hosts })
  return { zk, client }
})

describe.concurrent("zk locks", () => {
  it.live("lists locks and shows who is in line, to people and to programs [T53] [T54]", ({ expect }) =>
    Effect.gen(function*() {
      const zk = yield* makeZk()
      yield* furnish(zk)
      const ran = yield* Effect.forEach(
        commands.flatMap((args) => [args, [...args, "--json"]]),
        (args) => Effect.map(zk.run(args), (ran) => ({ ...ran, args })),
        { concurrency: 4 }
      )
      for (const { code, stderr } of ran) assert.strictEqual(code, 0, stderr)
      const outputs = ran.map(({ args, stderr, stdout }) => `$ zk ${args.join(" ")}\n${stdout}${stderr}`)
      yield* matchesSnapshot(expect, "locks", aged(outputs.join("\n")))
    }))

  it.live("fits what it shows of locks to the terminal [T53] [T54]", ({ expect }) =>
    Effect.gen(function*() {
      const zk = yield* makeZk()
      yield* furnish(zk)
      const shown = yield* Effect.forEach(
        [80, 200].flatMap((columns) => commands.slice(0, 5).map((args) => ({ args, columns }))),
        ({ args, columns }) => Effect.map(zk.show(args, { columns }), (screen) => ({ args, columns, screen })),
        { concurrency: 4 }
      )
      const outputs = shown.map(({ args, columns, screen }) => {
        for (const line of screen.split("\n")) assert.isAtMost(line.length, columns, line)
        return `$ zk ${args.join(" ")}   (${columns} columns)\n${screen}`
      })
      yield* matchesSnapshot(expect, "locks-terminal", aged(outputs.join("\n")))
    }))

  it("gives nobody a negative age, whatever the clock says [T54]", () => {
    assert.deepStrictEqual(agesAt(100_000, [40_000, 99_500, 100_000]), [60, 0, 0])
    // An hour behind the servers.
    assert.deepStrictEqual(agesAt(100_000, [3_640_000, 3_690_000, 3_700_999]), [60, 10, 0])
    assert.deepStrictEqual(agesAt(0, []), [])
  })

  it.live("says what is missing or no lock, and how it is used [T53] [T55] [T56]", ({ expect }) =>
    Effect.gen(function*() {
      const zk = yield* makeZk()
      const outputs: Array<string> = []
      const fails = (exit: number, ...args: ReadonlyArray<string>) =>
        Effect.map(zk.run(["locks", ...args]), ({ code, stderr, stdout }) => {
          assert.strictEqual(code, exit, stderr)
          outputs.push(`$ zk locks ${args.join(" ")}   (exit ${code})\n${stdout}${stderr}`)
        })
      yield* fails(3, "list")
      yield* fails(3, "show", "nobody")
      yield* fails(3, "clear", "nobody")
      yield* fails(3, "clear")
      yield* zk.client.create("/locks/config", "on", { parents: true })
      yield* zk.client.create("/locks/deep/er", "", { parents: true })
      yield* fails(0, "list")
      yield* fails(0, "clear")
      yield* fails(3, "show", "config")
      yield* fails(3, "clear", "config")
      yield* fails(3, "clear", "deep")
      yield* fails(2, "clear", "--force")
      yield* fails(2, "clear", "--root", "/", "--yes")
      yield* fails(2, "sho")
      yield* fails(3, "show", "config", "--json")
      assert.strictEqual((yield* zk.client.getData("/locks/config")).text, "on")
      assert.isTrue(Option.isSome(yield* zk.client.exists("/locks/deep/er")))
      yield* matchesSnapshot(expect, "locks-failures", outputs.join("\n"))
    }))

  it.live("removes what nobody uses, and leaves alone what somebody does [T55]", () =>
    Effect.gen(function*() {
      const { client, zk } = yield* withLocks
      const held = yield* on(client)(ZkLock.make("held"))
      yield* held.acquire()
      // The servers remove empty containers, whenever they think of it: these are none.
      for (const name of ["one", "two", "three"]) {
        yield* client.create(`/locks/${name}`)
        yield* Effect.flatMap(on(client)(ZkLock.make(name)), (lock) => lock.withLock(Effect.void))
      }
      yield* client.create("/locks/permits", "2")
      yield* client.create("/locks/permits/locks")
      yield* client.create("/locks/permits/leases")
      const permits = yield* on(client)(ZkSemaphore.make("permits", { permits: 2, root: "/locks" }))
      yield* permits.withPermits(1, Effect.void)
      const refused = yield* zk.run(["locks", "clear", "held"])
      assert.strictEqual(refused.code, 4)
      assert.strictEqual(
        refused.stderr,
        "zk: /locks/held is in use: 1 holder, 0 waiters. --force takes it away from them\n"
      )
      assert.strictEqual((yield* zk.run(["locks", "clear", "one"])).stdout, "removed /locks/one\n")
      // Nobody is there to be asked.
      assert.strictEqual((yield* zk.run(["locks", "clear"])).code, 2)
      const dry = yield* zk.run(["locks", "clear", "--dry-run"])
      assert.strictEqual(dry.stdout, "/locks/three\n/locks/two\n")
      assert.strictEqual((yield* client.getChildren("/locks")).children.length, 4)
      const cleared = yield* zk.run(["locks", "clear", "--yes", "--json"])
      assert.strictEqual(
        cleared.stdout,
        ["three", "two"].map((name) => `{"path":"/locks/${name}","removed":true,"candidates":0}\n`).join("")
      )
      assert.sameMembers([...(yield* client.getChildren("/locks")).children], ["held", "permits"])
      // By its name a semaphore goes too.
      assert.strictEqual((yield* zk.run(["locks", "clear", "permits"])).code, 0)
      assert.deepStrictEqual((yield* client.getChildren("/locks")).children, ["held"])
      assert.isTrue(yield* held.isLocked)
    }))

  it.live("takes a lock away after having asked, and not without [T55]", () =>
    Effect.gen(function*() {
      const { client, zk } = yield* withLocks
      const lock = yield* on(client)(ZkLock.make("held", { layout: "kazoo" }))
      const handle = yield* lock.acquire()
      const other = yield* lockClient({ hosts: zk.hosts })
      const theirs = yield* on(other)(ZkLock.make("held", { layout: "kazoo" }))
      yield* queueUp(client, "/locks/held", 2, Effect.exit(theirs.acquire()))
      // Not asked, not done.
      const unasked = yield* zk.run(["locks", "clear", "held", "--force"])
      assert.strictEqual(unasked.code, 2, unasked.stderr)
      assert.isTrue(yield* handle.isHeld)
      const question = "Take /locks/held away from those who use it (1 holder, 1 waiter)?"
      for (const [answer, code] of [["n", 1], ["y", 0]] as const) {
        const terminal = yield* zk.open(["locks", "clear", "held", "--force"], { columns: 120 })
        yield* terminal.awaitText(question)
        assert.isTrue(yield* handle.isHeld)
        yield* terminal.send(answer)
        const ended = yield* terminal.ended
        assert.strictEqual(ended.code, code, ended.stdout)
      }
      assert.strictEqual((yield* failsWith(handle.lost, "LockLost")).reason, "removed")
      assert.isTrue(Option.isNone(yield* client.exists("/locks/held")))
      const semaphore = yield* on(client)(ZkSemaphore.make("permits", { permits: 2, root: "/locks" }))
      const permits = yield* semaphore.acquire(2)
      const forced = yield* zk.run(["locks", "clear", "permits", "--force", "--yes"])
      assert.strictEqual(forced.stdout, "removed /locks/permits, with 2 candidates\n")
      assert.strictEqual((yield* failsWith(permits.lost, "LockLost")).reason, "removed")
    }))

  it.live("does not say that nothing was done when the servers go half way [CLI-N12]", () =>
    Effect.gen(function*() {
      const { client, zk } = yield* withLocks
      for (const name of ["one", "two"]) {
        yield* Effect.flatMap(on(client)(ZkLock.make(name)), (lock) => lock.withLock(Effect.void))
      }
      const proxy = yield* makeProxy((yield* shared).port)
      yield* proxy.rule({ direction: "toServer", op: "delete" }, { before: Effect.orDie(proxy.setAccept("refuse")) })
      const cut = yield* proxy.rule({ direction: "toClient", kind: "reply", op: "delete" }, "passThenCut")
      const env = { ZK_SERVERS: zk.hosts.replace(/^[^/]*/, proxy.connectString) }
      const { code, stderr, stdout } = yield* zk.run(["locks", "clear", "--yes", "--timeout", "500ms"], { env })
      assert.strictEqual(yield* cut.count, 1)
      assert.strictEqual(stdout, "removed /locks/one\n")
      assert.strictEqual(code, 7, stderr)
      assert.match(stderr, /; 1 lock removed before\n$/)
    }))
})
