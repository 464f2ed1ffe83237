import { assert } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as ZkLock from "../../src/ZkLock.ts"
import * as ZkTransaction from "../../src/ZkTransaction.ts"
import { inLine, isWatched, type Play, type Rig, type Scenario, someWork } from "./crashPoints.ts"
import { on } from "./locking.ts"

// What is done with exclusive locks, in scenarios for crash points.

const parents = (path: string) => [path]

const locks = Effect.fnUntraced(function*({ ours, path, rival }: Rig) {
  return { ours: yield* on(ours)(ZkLock.make(path)), rivals: yield* on(rival)(ZkLock.make(path)) }
})

/** Takes the lock, is inside for a moment, and gives it back. */
const rivalsTurn = (rig: Rig, acquire: ReturnType<ZkLock.ZkLock["acquireTimeout"]>, who: string) =>
  Effect.scoped(Effect.gen(function*() {
    const handle = yield* acquire
    const entry = yield* rig.book.granted(who, rig.rival, handle, "exclusive")
    yield* rig.book.inside(entry, Effect.yieldNow)
  }))

// One who takes locks away does not spare those who wait.
const takeAll: Scenario["takeAll"] = (rig, within) =>
  Effect.flatMap(
    on(rig.rival)(ZkLock.make(rig.path, { onCandidateLost: "requeue" })),
    (lock) => rivalsTurn(rig, lock.acquireTimeout(within), "the next")
  )

const common = { parents, takeAll, undisturbed: "done" } as const

const ourTurn = (rig: Rig, acquire: ReturnType<ZkLock.ZkLock["acquireTimeout"]>) =>
  Effect.scoped(Effect.gen(function*() {
    const handle = yield* acquire
    const entry = yield* rig.book.granted("we", rig.ours, handle, "exclusive")
    yield* handle.use(rig.book.inside(entry, someWork(rig)))
  }))

const rivalHolds = Effect.fnUntraced(function*(rig: Rig, lock: ZkLock.ZkLock) {
  const handle = yield* lock.acquire()
  const entry = yield* rig.book.granted("the rival", rig.rival, handle, "exclusive")
  return { entry, handle }
})

const weHold = Effect.fnUntraced(function*(rig: Rig, lock: ZkLock.ZkLock) {
  const handle = yield* Scope.provide(lock.acquire(), rig.oursScope)
  const entry = yield* rig.book.granted("we", rig.ours, handle, "exclusive")
  return { entry, handle }
})

const takingAway = Effect.fnUntraced(function*(
  rig: Rig,
  acquire: (
    lock: ZkLock.ZkLock,
    options: ZkLock.AcquireOptions & { readonly revoke: "immediate" }
  ) => Effect.Effect<ZkLock.ExclusiveHandle, ZkLock.LockNotAcquired | ZkLock.LockTimeout, Scope.Scope>
) {
  const { ours, rivals } = yield* locks(rig)
  const { entry, handle } = yield* rivalHolds(rig, rivals)
  let wasGranted = false
  const onStatus = Effect.fnUntraced(function*(status: ZkLock.LockStatus) {
    if (status._tag !== "Held") return
    wasGranted = true
    // Without a node there is nothing to be held, whatever its owner has heard by now.
    entry.isTaken = true
    entry.isTaken = Option.isNone(yield* Effect.orDie(rig.rival.exists(handle.path)))
  })
  const play: Play = {
    ours: ourTurn(rig, acquire(ours, { revoke: "immediate", onStatus })),
    check: (_, fault) => {
      // Nobody loses a lock to one who does not get it. Only what nobody can make up for brings that about: the end of the
      // session, or of the right to look at the line, after the one transaction in which the others go.
      if (wasGranted || fault === "expiry" || fault === "isolation" || fault === "refusal") {
        entry.isTaken = true
        return Effect.void
      }
      return handle.guard([])
    }
  }
  return play
})

export const lockScenarios = {
  uncontended: {
    name: "acquire and release, uncontended",
    ...common,
    prepare: Effect.fnUntraced(function*(rig) {
      const { ours } = yield* locks(rig)
      return { ours: ourTurn(rig, ours.acquire()) }
    })
  },

  contended: {
    name: "acquire behind another",
    ...common,
    prepare: Effect.fnUntraced(function*(rig) {
      const { ours, rivals } = yield* locks(rig)
      const { handle } = yield* rivalHolds(rig, rivals)
      return {
        ours: ourTurn(rig, ours.acquire()),
        rivals: Effect.andThen(rig.seen(isWatched(handle.path)), handle.release)
      }
    })
  },

  release: {
    name: "release ahead of a waiter",
    ...common,
    prepare: Effect.fnUntraced(function*(rig) {
      const { ours, rivals } = yield* locks(rig)
      const { handle } = yield* weHold(rig, ours)
      const waiter = yield* inLine((options) =>
        rivalsTurn(rig, rivals.acquireTimeout("30 seconds", options), "the waiter")
      )
      return { ours: handle.release, rivals: Effect.andThen(rig.oursEnded, Fiber.join(waiter)) }
    })
  },

  tryFree: {
    name: "tryAcquire of a free lock",
    ...common,
    prepare: Effect.fnUntraced(function*(rig) {
      const { ours } = yield* locks(rig)
      return {
        // Free, and so to be had: with nobody else in line there is no other outcome but errors.
        ours: ourTurn(rig, Effect.flatMap(ours.tryAcquire(), (got) => Effect.orDie(Effect.fromOption(got))))
      }
    })
  },

  tryTaken: {
    name: "tryAcquire of a lock that is taken",
    ...common,
    prepare: Effect.fnUntraced(function*(rig) {
      const { ours, rivals } = yield* locks(rig)
      const { handle } = yield* rivalHolds(rig, rivals)
      return {
        ours: Effect.scoped(ours.tryAcquire()),
        check: (exit) =>
          Effect.gen(function*() {
            if (Exit.isSuccess(exit)) assert.isTrue(Option.isNone(exit.value as Option.Option<unknown>))
            yield* handle.guard([])
          })
      }
    })
  },

  timeout: {
    name: "acquireTimeout that comes to nothing",
    ...common,
    undisturbed: "LockTimeout",
    prepare: Effect.fnUntraced(function*(rig) {
      const { ours, rivals } = yield* locks(rig)
      const { handle } = yield* rivalHolds(rig, rivals)
      return {
        ours: Effect.scoped(ours.acquireTimeout("100 millis")),
        check: (exit) => {
          assert.isTrue(Exit.isFailure(exit))
          return handle.guard([])
        }
      }
    })
  },

  asks: {
    name: "acquire that asks to give way",
    ...common,
    prepare: Effect.fnUntraced(function*(rig) {
      const { ours, rivals } = yield* locks(rig)
      const { handle } = yield* rivalHolds(rig, rivals)
      return {
        ours: ourTurn(rig, ours.acquire({ revoke: "request" })),
        // It may be that nobody has got so far as to ask.
        rivals: Effect.andThen(
          Effect.raceFirst(Effect.asVoid(handle.revocationRequested), rig.oursEnded),
          handle.release
        )
      }
    })
  },

  isAsked: {
    name: "withLock that is asked to give way",
    ...common,
    prepare: Effect.fnUntraced(function*(rig) {
      const { ours, rivals } = yield* locks(rig)
      const held = yield* Deferred.make<void>()
      const body = (handle: ZkLock.LockHandle) =>
        Effect.flatMap(rig.book.granted("we", rig.ours, handle, "exclusive"), (entry) =>
          rig.book.inside(
            entry,
            Effect.andThen(Deferred.succeed(held, undefined), handle.revocationRequested)
          ))
      return {
        ours: ours.withLock(body),
        rivals: Effect.andThen(
          Effect.raceFirst(Deferred.await(held), rig.oursEnded),
          rivalsTurn(rig, rivals.acquireTimeout("30 seconds", { revoke: "request" }), "the asker")
        )
      }
    })
  },

  takesAway: {
    name: "acquire that takes the lock away",
    ...common,
    prepare: (rig) => takingAway(rig, (lock, options) => lock.acquire(options))
  },

  tryTakesAway: {
    name: "tryAcquire that takes the lock away",
    ...common,
    prepare: (rig) =>
      takingAway(
        rig,
        (lock, options) => Effect.flatMap(lock.tryAcquire(options), (got) => Effect.orDie(Effect.fromOption(got)))
      )
  },

  isTaken: {
    name: "withLock that is taken away",
    ...common,
    undisturbed: "LockLost",
    prepare: Effect.fnUntraced(function*(rig) {
      const { ours, rivals } = yield* locks(rig)
      const held = yield* Deferred.make<void>()
      const body = (handle: ZkLock.LockHandle) =>
        Effect.flatMap(rig.book.granted("we", rig.ours, handle, "exclusive"), (entry) => {
          // From now on somebody may.
          entry.isTaken = true
          return rig.book.inside(entry, Effect.andThen(Deferred.succeed(held, undefined), Effect.never))
        })
      return {
        ours: ours.withLock(body),
        rivals: Effect.andThen(
          Effect.raceFirst(Deferred.await(held), rig.oursEnded),
          rivalsTurn(rig, rivals.acquireTimeout("30 seconds", { revoke: "immediate" }), "the robber")
        )
      }
    })
  },

  guarded: {
    name: "withLock that guards a write",
    ...common,
    prepare: Effect.fnUntraced(function*(rig) {
      const { ours } = yield* locks(rig)
      const target = yield* rig.rival.create(`/target-of${rig.path.replaceAll("/", "-")}`)
      let guarded: Exit.Exit<unknown, { readonly _tag: string; readonly maybeApplied?: boolean }> | undefined
      const body = (handle: ZkLock.LockHandle) =>
        Effect.flatMap(rig.book.granted("we", rig.ours, handle, "exclusive"), (entry) =>
          rig.book.inside(
            entry,
            Effect.onExit(handle.guard([ZkTransaction.setData(target.path, "x")]), (exit) =>
              Effect.sync(() => {
                guarded = exit
              }))
          ))
      return {
        ours: ours.withLock(body),
        check: () =>
          Effect.gen(function*() {
            const { stat } = yield* rig.rival.getData(target.path)
            assert.isAtMost(stat.version, 1)
            if (guarded === undefined) assert.strictEqual(stat.version, 0)
            else if (Exit.isSuccess(guarded)) assert.strictEqual(stat.version, 1)
            else {
              const failure = Option.getOrUndefined(Exit.findErrorOption(guarded))
              // Interrupted, or open: nobody knows.
              if (failure !== undefined && failure.maybeApplied !== true) assert.strictEqual(stat.version, 0)
            }
          })
      }
    })
  }
} satisfies Record<string, Scenario>
