import { assert } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as ZkLock from "../../src/ZkLock.ts"
import * as ZkSemaphore from "../../src/ZkSemaphore.ts"
import { inLine, isWatched, type Rig, type Scenario, someWork } from "./crashPoints.ts"
import { on } from "./locking.ts"

// What is done with read/write locks and with semaphores, in scenarios for crash points.

type Acquire<Handle> = Effect.Effect<Handle, unknown, Scope.Scope>

// -- readers and writers ----------------------------------------------------------------------------------------------

const locks = Effect.fnUntraced(function*({ ours, path, rival }: Rig) {
  return { ours: yield* on(ours)(ZkLock.makeReadWrite(path)), rivals: yield* on(rival)(ZkLock.makeReadWrite(path)) }
})

const turn = (rig: Rig, who: "we" | "the rival", share: 1 | "exclusive", acquire: Acquire<ZkLock.LockHandle>) =>
  Effect.scoped(Effect.gen(function*() {
    const handle = yield* acquire
    const entry = yield* rig.book.granted(who, who === "we" ? rig.ours : rig.rival, handle, share)
    yield* handle.use(rig.book.inside(entry, who === "we" ? someWork(rig) : Effect.yieldNow))
  }))

const readWrite = {
  undisturbed: "done",
  parents: (path: string) => [path],
  takeAll: (rig: Rig, within: number) =>
    Effect.flatMap(locks(rig), ({ rivals }) => turn(rig, "the rival", "exclusive", rivals.write.acquireTimeout(within)))
} as const

export const readWriteScenarios = {
  writer: {
    name: "a writer between two readers",
    ...readWrite,
    prepare: Effect.fnUntraced(function*(rig) {
      const { ours, rivals } = yield* locks(rig)
      const first = yield* rivals.read.acquire()
      yield* rig.book.granted("the rival", rig.rival, first, 1)
      return {
        ours: turn(rig, "we", "exclusive", ours.write.acquire()),
        rivals: Effect.scoped(Effect.gen(function*() {
          yield* rig.seen(isWatched(first.path))
          const second = yield* inLine((options) => turn(rig, "the rival", 1, rivals.read.acquire(options)))
          yield* first.release
          yield* Fiber.join(second)
        }))
      }
    })
  },

  readers: {
    name: "two readers around a writer",
    ...readWrite,
    prepare: Effect.fnUntraced(function*(rig) {
      const { ours, rivals } = yield* locks(rig)
      const isRead = yield* Deferred.make<void>()
      const isWanted = yield* Deferred.make<void>()
      return {
        ours: Effect.scoped(Effect.gen(function*() {
          const first = yield* ours.read.acquire()
          yield* rig.book.granted("we", rig.ours, first, 1)
          yield* Deferred.succeed(isRead, undefined)
          yield* Deferred.await(isWanted)
          const second = yield* inLine((options) => turn(rig, "we", 1, ours.read.acquire(options)))
          yield* first.release
          yield* Fiber.join(second)
        })),
        rivals: Effect.scoped(Effect.gen(function*() {
          yield* Effect.raceFirst(Deferred.await(isRead), rig.oursEnded)
          const writer = yield* inLine((options) => turn(rig, "the rival", "exclusive", rivals.write.acquire(options)))
          yield* Deferred.succeed(isWanted, undefined)
          yield* Fiber.join(writer)
        }))
      }
    })
  },

  downgrade: {
    name: "downgrade ahead of a reader and a writer",
    ...readWrite,
    prepare: Effect.fnUntraced(function*(rig) {
      const { ours, rivals } = yield* locks(rig)
      const written = yield* Scope.provide(ours.write.acquire(), rig.oursScope)
      const entry = yield* rig.book.granted("we", rig.ours, written, "exclusive")
      const reader = yield* inLine((options) => turn(rig, "the rival", 1, rivals.read.acquire(options)))
      const writer = yield* inLine((options) => turn(rig, "the rival", "exclusive", rivals.write.acquire(options)))
      return {
        ours: Effect.gen(function*() {
          // Whoever asks for it lets readers in, from whatever moment on.
          entry.share = 1
          const shared = yield* written.downgrade
          yield* rig.book.granted("we", rig.ours, shared, 1)
          yield* shared.release
        }),
        rivals: Effect.all([Fiber.join(reader), Fiber.join(writer)])
      }
    })
  }
} satisfies Record<string, Scenario>

// -- permits ----------------------------------------------------------------------------------------------------------

const semaphores = Effect.fnUntraced(function*({ ours, path, rival }: Rig) {
  const options = { permits: 3 }
  return {
    ours: yield* on(ours)(ZkSemaphore.make(path, options)),
    rivals: yield* on(rival)(ZkSemaphore.make(path, options))
  }
})

const permitsTurn = (
  rig: Rig,
  who: "we" | "the rival",
  permits: number,
  acquire: Acquire<ZkSemaphore.Permits>
) =>
  Effect.scoped(Effect.gen(function*() {
    const handle = yield* acquire
    const entry = yield* rig.book.granted(who, who === "we" ? rig.ours : rig.rival, handle, permits)
    yield* handle.use(rig.book.inside(entry, who === "we" ? someWork(rig) : Effect.yieldNow))
  }))

const semaphore = {
  undisturbed: "done",
  permits: 3,
  parents: (path: string) => [`${path}/locks`, `${path}/leases`],
  takeAll: (rig: Rig, within: number) =>
    Effect.flatMap(semaphores(rig), ({ rivals }) => permitsTurn(rig, "the rival", 3, rivals.acquireTimeout(within, 3)))
} as const

/** We have looked at the permits, and have set a watch of them. */
const isWaiting = ({ path, proxy }: Rig) => (): boolean =>
  proxy.events.filter((event) =>
    event.type === "frame" && event.kind === "reply" && event.path === `${path}/leases` &&
    event.op?.startsWith("getChildren") === true
  ).length >= 2

const rivalHolds = Effect.fnUntraced(function*(rig: Rig, acquire: Acquire<ZkSemaphore.Permits>, permits: number) {
  const handle = yield* acquire
  yield* rig.book.granted("the rival", rig.rival, handle, permits)
  return handle
})

export const semaphoreScenarios = {
  free: {
    name: "two of three permits",
    ...semaphore,
    prepare: Effect.fnUntraced(function*(rig) {
      const { ours } = yield* semaphores(rig)
      return { ours: permitsTurn(rig, "we", 2, ours.acquire(2)) }
    })
  },

  waiting: {
    name: "two of three permits, one too few",
    ...semaphore,
    prepare: Effect.fnUntraced(function*(rig) {
      const { ours, rivals } = yield* semaphores(rig)
      yield* rivalHolds(rig, rivals.acquire(), 1)
      const second = yield* rivalHolds(rig, rivals.acquire(), 1)
      return {
        ours: permitsTurn(rig, "we", 2, ours.acquire(2)),
        rivals: Effect.andThen(rig.seen(isWaiting(rig)), second.release)
      }
    })
  },

  timeout: {
    name: "permits that are not to be had in time",
    ...semaphore,
    undisturbed: "LockTimeout",
    prepare: Effect.fnUntraced(function*(rig) {
      const { ours, rivals } = yield* semaphores(rig)
      const held = yield* rivalHolds(rig, rivals.acquire(2), 2)
      return {
        ours: Effect.scoped(ours.acquireTimeout("150 millis", 2)),
        check: () => held.guard([])
      }
    })
  },

  tryTaken: {
    name: "tryAcquire of permits that are taken",
    ...semaphore,
    prepare: Effect.fnUntraced(function*(rig) {
      const { ours, rivals } = yield* semaphores(rig)
      const held = yield* rivalHolds(rig, rivals.acquire(2), 2)
      return {
        ours: Effect.scoped(ours.tryAcquire(2)),
        check: (exit) => {
          if (Exit.isSuccess(exit)) assert.isTrue(Option.isNone(exit.value as Option.Option<unknown>))
          return held.guard([])
        }
      }
    })
  },

  release: {
    name: "permits given back ahead of a waiter",
    ...semaphore,
    prepare: Effect.fnUntraced(function*(rig) {
      const { ours, rivals } = yield* semaphores(rig)
      const held = yield* Scope.provide(ours.acquire(2), rig.oursScope)
      yield* rig.book.granted("we", rig.ours, held, 2)
      const waiter = yield* Effect.forkScoped(permitsTurn(rig, "the rival", 2, rivals.acquire(2)), {
        startImmediately: true
      })
      return { ours: held.release, rivals: Fiber.join(waiter) }
    })
  }
} satisfies Record<string, Scenario>
