/** What `zk locks` sees of the locks that programs of other languages hold. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as ZkLock from "../../src/ZkLock.ts"
import * as ZkSemaphore from "../../src/ZkSemaphore.ts"
import { makeZk, type Zk } from "../support/cli.ts"
import { curatorAvailable, makeCurator } from "../support/curator.ts"
import { kazooAvailable, makeKazoo } from "../support/kazoo.ts"
import { lockClient, on, queueUp } from "../support/locking.ts"

const file = new URL("kazoo_locks.py", import.meta.url)
const zktools = new URL("zktools_locks.py", import.meta.url)

interface Shown {
  readonly layout: string | null
  readonly status: string
  readonly line: ReadonlyArray<{
    readonly isHolder: boolean
    readonly kind: string
    readonly age: number
    readonly data: string
    readonly revoking: boolean
    readonly sessionId: string
    readonly owner: { readonly custom?: unknown } | null
  }>
}

const ask = ({ run }: Zk, ...args: ReadonlyArray<string>) =>
  Effect.map(run(["locks", ...args, "--json"]), ({ code, stderr, stdout }) => {
    assert.strictEqual(code, 0, stderr)
    return stdout
  })

const show = (zk: Zk, path: string) =>
  Effect.map(ask(zk, "show", path), (text): Shown => {
    const shown = JSON.parse(text) as Shown
    for (const { age } of shown.line) assert.isAtLeast(age, 0)
    return shown
  })

/** As `path layout holders/waiters`. */
const list = (zk: Zk, root: string) =>
  Effect.map(ask(zk, "list", root), (text) =>
    text.trimEnd().split("\n").map((line) => {
      const { holders, layout, path, waiters } = JSON.parse(line) as Record<string, string | number>
      return `${path} ${layout} ${holders}/${waiters}`
    }))

/** Who holds and waits, in the order of the line. */
const line = ({ line }: Shown) => line.map(({ isHolder, kind }) => `${isHolder ? "holds" : "waits"} ${kind}`)

const sessions = ({ line }: Shown) => line.map(({ sessionId }) => sessionId)

const hex = (id: bigint) => `0x${BigInt.asUintN(64, id).toString(16)}`

const connected = Effect.gen(function*() {
  const zk = yield* makeZk()
  const client = yield* lockClient({ hosts: zk.hosts })
  const { sessionId } = yield* client.session
  return { zk, client, own: hex(sessionId) }
})

describe.skipIf(!kazooAvailable)("zk locks, with Python's", () => {
  it.live("lists and shows those of kazoo and zktools, beside ours [T53] [T54]", () =>
    Effect.gen(function*() {
      const { client, own, zk } = yield* connected
      const kazoo = yield* (yield* makeKazoo).connect(zk.hosts)
      const theirs = hex(kazoo.sessionId)
      const ours = yield* on(client)(ZkLock.makeReadWrite("plain", { layout: "kazoo", owner: { job: "night" } }))
      yield* kazoo.call(file, "acquire", { name: "python", kind: "lock", path: "/locks/plain" })
      yield* queueUp(client, "/locks/plain", 2, ours.write.acquire())
      yield* queueUp(client, "/locks/plain", 3, ours.read.acquire())
      const shown = yield* show(zk, "plain")
      assert.deepStrictEqual(line(shown), ["holds exclusive", "waits exclusive", "waits shared"])
      assert.deepStrictEqual(sessions(shown), [theirs, own, own])
      assert.deepStrictEqual([shown.layout, shown.status], ["kazoo", "locked"])
      assert.deepStrictEqual([shown.line[0]?.data, shown.line[0]?.owner], ["python", null])
      assert.deepStrictEqual(shown.line[1]?.owner?.custom, { job: "night" })
      yield* kazoo.call(file, "acquire", { name: "left", kind: "lock", path: "/locks/left" })
      yield* kazoo.call(file, "release", { name: "left" })
      assert.deepStrictEqual(yield* list(zk, "/locks"), ["/locks/left null 0/0", "/locks/plain kazoo 1/2"])

      yield* kazoo.call(zktools, "acquire", { name: "r", kind: "read", path: "/ZktoolsLocks/import" })
      yield* kazoo.call(zktools, "acquire", { name: "l", kind: "lock", path: "/ZktoolsLocks/export" })
      const { read, write } = yield* on(client)(ZkLock.makeReadWrite("import", { layout: "zktools" }))
      yield* read.acquire()
      yield* queueUp(client, "/ZktoolsLocks/import", 3, write.acquire({ revoke: "request" }))
      yield* kazoo.call(zktools, "await_revocation", { name: "r" })
      const imported = yield* show(zk, "/ZktoolsLocks/import")
      assert.deepStrictEqual(line(imported), ["holds shared", "holds shared", "waits exclusive"])
      assert.deepStrictEqual(sessions(imported), [theirs, own, own])
      assert.deepStrictEqual(imported.line.map(({ revoking }) => revoking), [true, true, false])
      assert.deepStrictEqual(yield* list(zk, "/ZktoolsLocks"), [
        "/ZktoolsLocks/export zktools 1/0",
        "/ZktoolsLocks/import zktools 2/1"
      ])
    }))
})

describe.skipIf(!curatorAvailable)("zk locks, with Curator's", () => {
  it.live("lists and shows its mutexes, read/write locks and semaphores, beside ours [T53] [T54]", () =>
    Effect.gen(function*() {
      const { client, own, zk } = yield* connected
      const curator = yield* (yield* makeCurator).connect(zk.hosts)
      const theirs = hex(curator.sessionId)
      const [mutex, catalogue] = ["/locks/mutex", "/locks/deep/catalogue"]
      yield* curator.ask("hold", "m", "mutex", mutex)
      const ours = yield* on(client)(ZkLock.make("mutex"))
      yield* queueUp(client, mutex, 2, ours.acquire())
      const shown = yield* show(zk, "mutex")
      assert.deepStrictEqual(line(shown), ["holds exclusive", "waits exclusive"])
      assert.deepStrictEqual(sessions(shown), [theirs, own])
      assert.strictEqual(shown.line[0]?.owner, null)

      const { read, write } = yield* on(client)(ZkLock.makeReadWrite("deep/catalogue"))
      yield* curator.ask("hold", "r", "read", catalogue)
      yield* read.acquire()
      yield* queueUp(client, catalogue, 3, write.acquire())
      const shared = yield* show(zk, catalogue)
      assert.deepStrictEqual(line(shared), ["holds shared", "holds shared", "waits exclusive"])
      assert.deepStrictEqual(sessions(shared), [theirs, own, own])

      yield* curator.ask("permits", "p", "/locks/permits", 3, 2)
      const semaphore = yield* on(client)(ZkSemaphore.make("permits", { permits: 3, root: "/locks" }))
      yield* queueUp(client, "/locks/permits/locks", 1, semaphore.acquire(2))
      const permits = yield* show(zk, "permits")
      assert.deepStrictEqual(line(permits), ["holds permit", "holds permit", "waits permit"])
      assert.deepStrictEqual(sessions(permits), [theirs, theirs, own])
      assert.deepStrictEqual(yield* list(zk, "/locks"), [
        "/locks/deep/catalogue curator 2/1",
        "/locks/mutex curator 1/1",
        "/locks/permits curator 2/1"
      ])
    }))
})
