/** A process, or a machine, that stood still for longer than a lease takes no further step under the lock. */
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import * as ZkLock from "../src/ZkLock.ts"
import { failsWith } from "./support/failsWith.ts"
import { settle } from "./support/fakeClient.ts"
import { leaseRig } from "./support/leasing.ts"
import { on } from "./support/locking.ts"
import { attempt } from "./support/rigError.ts"
import { freshPath, sharedHandle } from "./support/shared.ts"
import { pollUntil } from "./support/wait.ts"

/** Time that can jump: nothing else notices, as after a process was stopped. Timers run as they would have. */
const jumpingClock = Effect.map(Clock.Clock, (live) => {
  let offset = 0n
  const clock: Clock.Clock = {
    ...live,
    currentTimeMillis: live.currentTimeMillis,
    currentTimeMillisUnsafe: () => live.currentTimeMillisUnsafe(),
    currentTimeNanosUnsafe: () => live.currentTimeNanosUnsafe(),
    monotonicTimeNanosUnsafe: () => live.monotonicTimeNanosUnsafe() + offset,
    sleep: (duration) => live.sleep(duration)
  }
  return { clock, jump: (seconds: number) => void (offset += BigInt(seconds) * 1_000_000_000n) }
})

/** A lock of a client for which time can jump. The machine's own clock goes along. */
const rig = Effect.gen(function*() {
  const { clock, jump } = yield* jumpingClock
  const base = yield* Effect.provideService(leaseRig, Clock.Clock, clock)
  const lock = yield* base.withClient(ZkLock.make("a"))
  const freeze = Effect.sync(() => jump(5))
  return { ...base, clock, freeze, lock }
})

/** Work under the lock: counts steps, freezes after some, and must not get any further. */
const loop = (freeze: Effect.Effect<void>, count: (steps: number) => void, between: Effect.Effect<void>) =>
  Effect.gen(function*() {
    for (let steps = 1; steps <= 20; steps++) {
      if (steps === 10) yield* freeze
      yield* between
      yield* Effect.sync(() => count(steps))
    }
  })

describe.concurrent("a body whose process was stopped for longer than its lease", () => {
  it.live.each(
    [
      ["in a tight loop", Effect.void],
      ["between yields", Effect.yieldNow],
      ["in sleep", Effect.sleep(1)],
      ["in asynchronous work", Effect.promise(() => Promise.resolve())]
    ] as const
  )("takes no further step: %s [USE-10]", ([, between]) =>
    Effect.gen(function*() {
      const { clock, freeze, lock } = yield* rig
      let last = 0
      const finalized: Array<string> = []
      const body = loop(freeze, (steps) => (last = steps), between).pipe(
        Effect.ensuring(Effect.sync(() => void finalized.push("finalizer")))
      )
      const error = yield* failsWith(Effect.provideService(lock.withLock(body), Clock.Clock, clock), "LockLost")
      assert.strictEqual(error.reason, "lease")
      // Without waiting for anything it is looked at now and then only.
      assert.isAtMost(last, between === Effect.void ? 15 : 9)
      assert.deepStrictEqual(finalized, ["finalizer"])
    }))

  it.live("is stopped with the fibers that end with it, whichever wakes up first [USE-10] [USE-13]", () =>
    Effect.forEach([0, 1, 2, 3], (first) =>
      Effect.scoped(Effect.gen(function*() {
        const { freeze, lock } = yield* rig
        const steps = [0, 0, 0, 0]
        const gates = [0, 1, 2, 3].map(() => Deferred.makeUnsafe<void>())
        const scope = yield* Effect.scope
        const fiber = (i: number) =>
          Effect.andThen(Deferred.await(gates[i]!), Effect.sync(() => void (steps[i] = (steps[i] ?? 0) + 1)))
        const started = { startImmediately: true }
        const ready = yield* Deferred.make<void>()
        const body = Effect.gen(function*() {
          yield* Effect.forkChild(fiber(0), started)
          yield* Effect.forkChild(Effect.andThen(Effect.forkChild(fiber(1), started), Effect.never), started)
          yield* Effect.forkDetach(fiber(2), started)
          yield* Effect.forkIn(fiber(3), scope, started)
          yield* Deferred.succeed(ready, undefined)
          yield* Effect.never
        })
        const working = yield* Effect.forkChild(failsWith(lock.withLock(body), "LockLost"), started)
        yield* Deferred.await(ready)
        // All of them wait now: nothing here runs in the midst of one.
        yield* settle
        yield* freeze
        // Opened by somebody who does not stand under the lock.
        const order = [first, ...[0, 1, 2, 3].filter((i) => i !== first)]
        for (const i of order) yield* Deferred.succeed(gates[i]!, undefined)
        yield* Fiber.join(working)
        yield* settle
        // Those that live on are left alone.
        assert.deepStrictEqual(steps, [0, 0, 1, 1], `first: ${first}`)
      })), { discard: true }))

  it.live("is stopped before it has waited for anything [USE-10]", () =>
    Effect.gen(function*() {
      const { freeze, lock } = yield* rig
      let steps = 0
      const body = Effect.andThen(
        freeze,
        Effect.gen(function*() {
          while (true) yield* Effect.sync(() => steps++)
        })
      )
      yield* failsWith(lock.withLock(body), "LockLost")
      assert.isAtMost(steps, 20)
    }))

  it.live("runs its finalizers to the end, and regions that cannot be interrupted [USE-11]", () =>
    Effect.gen(function*() {
      const { freeze, lock } = yield* rig
      const seen: Array<string> = []
      const note = (what: string) => Effect.sync(() => void seen.push(what))
      const body = Effect.gen(function*() {
        yield* Effect.uninterruptible(Effect.gen(function*() {
          yield* freeze
          for (let i = 0; i < 3; i++) yield* Effect.andThen(Effect.yieldNow, note(`region ${i}`))
        }))
        yield* note("behind")
      }).pipe(
        Effect.ensuring(Effect.gen(function*() {
          for (let i = 0; i < 3; i++) yield* Effect.andThen(Effect.sleep(1), note(`finalizer ${i}`))
        }))
      )
      yield* failsWith(lock.withLock(body), "LockLost")
      assert.deepStrictEqual(seen, ["region 0", "region 1", "region 2", "finalizer 0", "finalizer 1", "finalizer 2"])
    }))

  it.live("is known by isHeld, guard and use as well, and nothing is sent [USE-12]", () =>
    Effect.gen(function*() {
      const { fake, freeze, lock } = yield* rig
      const handle = yield* lock.acquire()
      yield* settle
      assert.isTrue(yield* handle.isHeld)
      const since = fake.requests.length
      yield* freeze
      assert.isFalse(yield* handle.isHeld)
      assert.strictEqual((yield* failsWith(handle.guard([]), "LockLost")).reason, "lease")
      let steps = 0
      yield* failsWith(handle.use(Effect.sync(() => void steps++)), "LockLost")
      assert.strictEqual(steps, 0)
      assert.deepStrictEqual(fake.requests.slice(since), [])
    }))
})

describe.concurrent("what is left alone when a lock is lost", () => {
  it.live("fibers that outlive the body, when the lock was released before [USE-13]", () =>
    Effect.gen(function*() {
      const { freeze, lock } = yield* rig
      const gate = yield* Deferred.make<void>()
      const outliving = yield* lock.withLock(
        Effect.forkDetach(Effect.andThen(Deferred.await(gate), Effect.as(Effect.yieldNow, "went on")), {
          startImmediately: true
        })
      )
      yield* freeze
      yield* Deferred.succeed(gate, undefined)
      assert.strictEqual(yield* Fiber.join(outliving), "went on")
    }))

  it.live("the fibers that see to another lock, which was acquired under it [USE-14]", () =>
    Effect.gen(function*() {
      const { freeze, lock, nodes, wire } = yield* rig
      // A client of its own, with the real time: what it holds is not concerned by the freeze of the other.
      const other = yield* wire.client()
      const inner = yield* on(other)(ZkLock.make("b"))
      const scope = yield* Effect.acquireRelease(Scope.make(), (scope) => Scope.close(scope, Exit.void))
      const statuses: Array<string> = []
      let held: ZkLock.ExclusiveHandle | undefined
      const body = Effect.gen(function*() {
        held = yield* Scope.provide(
          inner.acquire({ onStatus: ({ _tag }) => Effect.sync(() => void statuses.push(_tag)) }),
          scope
        )
        yield* freeze
        yield* Effect.yieldNow
      })
      yield* failsWith(lock.withLock(body), "LockLost")
      assert.isDefined(held)
      // What was held is removed in the background, by nobody who stands under it.
      const { path } = held
      yield* attempt("the removal", () =>
        pollUntil("only the other is there", async () => nodes.paths().join() === path || undefined))
      assert.isTrue(yield* held.isHeld)
      const session = yield* other.session
      const before = session.committedAtUnsafe()
      // The lease of the other is kept up: a sixth of its timeout later there is a write.
      yield* attempt("a heartbeat", () =>
        pollUntil("a heartbeat", async () =>
          session.committedAtUnsafe() > before || undefined))
      assert.isTrue(yield* held.isHeld)
      // And somebody hears of the end of its node.
      yield* nodes.remove(held.path)
      yield* settle
      assert.strictEqual((yield* Effect.flip(held.lost)).reason, "removed")
      assert.deepStrictEqual(statuses, ["Held", "Lost"])
    }))
})

describe.concurrent("who closes a scope", () => {
  it.live("is not stopped by finalizers that were added under a lock that was lost then [USE-14]", () =>
    Effect.gen(function*() {
      const { freeze, lock } = yield* rig
      const closed: Array<string> = []
      const note = (what: string) => Effect.sync(() => void closed.push(what))
      const add = (what: string) => Effect.addFinalizer(() => Effect.andThen(Effect.yieldNow, note(what)))
      const closing = Effect.gen(function*() {
        yield* Effect.scoped(Effect.gen(function*() {
          const scope = yield* Effect.scope
          const handle = yield* lock.acquire()
          const body = Effect.gen(function*() {
            yield* Scope.provide(add("first"), scope)
            yield* Scope.provide(add("second"), scope)
            yield* freeze
            yield* Effect.yieldNow
          })
          yield* failsWith(handle.use(body), "LockLost")
        }))
        yield* note("behind")
      })
      yield* closing
      assert.deepStrictEqual(closed, ["second", "first", "behind"])
    }))

  it.live("nor by those of an inner lock, while the outer one is held [USE-14]", () =>
    Effect.gen(function*() {
      const { freeze, lock, wire } = yield* rig
      const other = yield* wire.client()
      const outer = yield* on(other)(ZkLock.make("outer"))
      const closed: Array<string> = []
      const note = (what: string) => Effect.sync(() => void closed.push(what))
      yield* outer.withLock(Effect.gen(function*() {
        yield* Effect.scoped(Effect.gen(function*() {
          const scope = yield* Effect.scope
          const body = Effect.gen(function*() {
            yield* Scope.addFinalizer(scope, note("plain"))
            yield* Scope.provide(Effect.addFinalizer(() => Effect.andThen(Effect.yieldNow, note("inner"))), scope)
            yield* freeze
            yield* Effect.yieldNow
          })
          yield* failsWith(lock.withLock(body), "LockLost")
        }))
        yield* note("behind")
      }))
      assert.deepStrictEqual(closed, ["inner", "plain", "behind"])
    }))
})

const program = fileURLToPath(new URL("fixtures/lockProcess.ts", import.meta.url))

describe.concurrent("a process that is stopped while it works under a lock", () => {
  it.live.each(["sleeping", "busy", "forked"])(
    "takes no step more when it goes on after the lease, before any timer has told it: %s [USE-15] [I6]",
    (how) =>
      Effect.gen(function*() {
        const server = yield* sharedHandle
        const path = yield* freshPath
        const child = yield* Effect.acquireRelease(
          Effect.sync(() =>
            spawn(process.execPath, [program, server.connectString, path, how], { stdio: ["pipe", "pipe", "inherit"] })
          ),
          (child) => Effect.sync(() => void child.kill("SIGKILL"))
        )
        const lines: Array<string> = []
        createInterface({ input: child.stdout }).on("line", (line) => {
          if (line.startsWith("> ")) lines.push(line.slice(2))
        })
        const ended = once(child, "close")
        const awaitLine = (find: (line: string, index: number) => boolean) =>
          attempt(how, () => pollUntil(() => `${how}: ${lines.join(", ")}`, async () => lines.find(find)))
        const session = BigInt((yield* awaitLine((line) => line.startsWith("session"))).split(" ")[1] ?? "0")
        yield* awaitLine((line) => line === "step 5")
        child.kill("SIGSTOP")
        yield* server.waitUntil(
          "the session expires",
          (server) => Effect.map(server.sessions, (sessions) => !sessions.includes(session))
        )
        // By now whatever had been written before has been read.
        const before = lines.filter((line) => line.startsWith("step")).length
        assert.notInclude(lines, "stopped")
        child.kill("SIGCONT")
        yield* attempt("the end", () => ended)
        assert.deepStrictEqual(lines.slice(-3), ["stopped", "lost lease", "done"])
        const steps = lines.filter((line) => line.startsWith("step")).length
        // Some follow each other without a wait.
        assert.isAtMost(steps - before, how === "busy" ? 16 : 0)
      }),
    60_000
  )
})
