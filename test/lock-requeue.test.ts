/** `onCandidateLost: "requeue"` where there is no next session to queue up in: it ends, in place of trying for ever. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import type { ZkClient } from "../src/ZkClient.ts"
import type { InvalidInput, InvalidPath } from "../src/ZkError.ts"
import * as ZkLock from "../src/ZkLock.ts"
import * as ZkSemaphore from "../src/ZkSemaphore.ts"
import { failsWith } from "./support/failsWith.ts"
import { pass, settle } from "./support/fakeClient.ts"
import { leaseRig } from "./support/leasing.ts"
import { on } from "./support/locking.ts"

const requeue = { onCandidateLost: "requeue" } as const

interface Wait {
  readonly name: string
  /** The nodes of those that it waits for. */
  readonly others: ReadonlyArray<string>
  /** What its own candidates begin with. */
  readonly candidates: string
  readonly acquire: (client: ZkClient) => Effect.Effect<
    unknown,
    ZkSemaphore.AcquireError | ZkLock.LockTimeout | InvalidPath | InvalidInput,
    Scope.Scope
  >
}

const lock = (client: ZkClient) => on(client)(ZkLock.make("/l", requeue))
const semaphore = (client: ZkClient) => on(client)(ZkSemaphore.make("/s", { permits: 1, ...requeue }))

const waits: ReadonlyArray<Wait> = [
  {
    name: "for a lock",
    others: ["/l/_c_other-lock-0000000000"],
    candidates: "/l/",
    acquire: (client) => Effect.flatMap(lock(client), (lock) => lock.acquire())
  },
  {
    name: "for a lock, for a time",
    others: ["/l/_c_other-lock-0000000000"],
    candidates: "/l/",
    acquire: (client) => Effect.flatMap(lock(client), (lock) => lock.acquireTimeout("1 hour"))
  },
  {
    name: "for permits, in line",
    others: ["/s", "/s/locks/_c_other-lock-0000000000"],
    candidates: "/s/locks/",
    acquire: (client) => Effect.flatMap(semaphore(client), (semaphore) => semaphore.acquire())
  },
  {
    name: "for permits, at the head of the line",
    others: ["/s", "/s/leases/_c_other-lease-0000000000"],
    candidates: "/s/locks/",
    acquire: (client) => Effect.flatMap(semaphore(client), (semaphore) => semaphore.acquireTimeout("1 hour"))
  }
]

const limited: ReadonlyArray<Pick<Wait, "name" | "acquire">> = [
  {
    name: "a lock",
    acquire: (client) => Effect.flatMap(lock(client), (lock) => lock.acquireTimeout("12 seconds"))
  },
  {
    name: "permits",
    acquire: (client) => Effect.flatMap(semaphore(client), (semaphore) => semaphore.acquireTimeout("12 seconds"))
  }
]

describe("whoever is to queue up anew", () => {
  for (const bound of [false, true]) {
    const client = bound ? "a session's client" : "a client that ends with its session"
    it.effect.each(waits)(
      `fails when there will be no next session: ${client}, $name [LOCK-REQUEUE1]`,
      (wait) =>
        Effect.gen(function*() {
          const { fake, nodes, wire } = yield* leaseRig
          const zk = yield* wire.client({ onExpiry: bound ? "renew" : "end" })
          const session = yield* zk.session
          for (const other of wait.others) yield* nodes.add(other)
          const acquiring = yield* Effect.forkChild(
            failsWith(
              Effect.scoped(wait.acquire(bound ? session.client : zk)),
              "LockNotAcquired"
            ),
            { startImmediately: true }
          )
          yield* settle
          const made = () =>
            fake.requests.filter(({ name, path = "" }) => name === "create2" && path.startsWith(wait.candidates)).length
          assert.strictEqual(made(), 1)
          assert.isUndefined(acquiring.pollUnsafe())
          yield* fake.onConnect(({ request }) => request.sessionId === 0n ? { type: "accept" } : { type: "expired" })
          for (const connection of fake.connections) if (connection.isOpen) yield* connection.close
          yield* pass(2_000)
          assert.isDefined(acquiring.pollUnsafe())
          const { cause } = yield* Fiber.join(acquiring)
          assert.strictEqual(cause._tag, "SessionExpired")
          assert.strictEqual(made(), 1)
        })
    )
  }

  it.effect("queues up in the next session where there is one, once [LOCK-REQUEUE1]", () =>
    Effect.gen(function*() {
      const { fake, nodes, withClient } = yield* leaseRig
      yield* nodes.add("/l/_c_other-lock-0000000000")
      const lock = yield* withClient(ZkLock.make("/l", requeue))
      const acquiring = yield* Effect.forkChild(Effect.scoped(lock.acquire()), { startImmediately: true })
      yield* settle
      yield* fake.onConnect(({ request }) => request.sessionId === 0n ? { type: "accept" } : { type: "expired" })
      yield* (yield* fake.current).close
      yield* pass(2_000)
      assert.lengthOf(fake.requests.filter(({ name }) => name === "create2"), 2)
      assert.isUndefined(acquiring.pollUnsafe())
      yield* Fiber.interrupt(acquiring)
    }))

  it.effect.each(limited)(
    "keeps to one limit of time in all, with the wait for the next session: $name [LOCK-REQUEUE2]",
    ({ acquire }) =>
      Effect.gen(function*() {
        const { fake, nodes, states, zk } = yield* leaseRig
        for (const other of ["/l/_c_other-lock-0000000000", "/s", "/s/locks/_c_other-lock-0000000000"]) {
          yield* nodes.add(other)
        }
        const acquiring = yield* Effect.forkChild(failsWith(Effect.scoped(acquire(zk)), "LockTimeout"), {
          startImmediately: true
        })
        yield* pass(1_000)
        // Nobody answers any more: the session is over by the client's own clock, and no other follows.
        yield* fake.onConnect(() => ({ type: "refuse" }))
        yield* (yield* fake.current).close
        yield* pass(9_000)
        yield* states.await("Expired")
        assert.isUndefined(acquiring.pollUnsafe())
        yield* pass(2_500)
        yield* Fiber.join(acquiring)
      })
  )
})
