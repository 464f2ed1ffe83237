/** A write lock becomes a read lock without anybody coming in between. */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import type { DowngradeError } from "../../ZkLock.ts"
import * as ZkPath from "../../ZkPath.ts"
import * as ZkTransaction from "../../ZkTransaction.ts"
import { makeUuid } from "../uuid.ts"
import type { Acquired, LockSpec } from "./acquire.ts"
import { origins } from "./acquire.ts"
import { makeHeldNode, unguarded } from "./hold.ts"
import * as owner from "./owner.ts"
import { Candidate, follow, goneBy, patiently } from "./sequence.ts"

/**
 * One transaction puts a shared candidate in the writer's place, under the same number, and takes the writer's away: who
 * waited behind the writer waits behind the reader now. The name is ours to choose, and tells after a lost answer what
 * became of it.
 */
export const downgrade = (spec: LockSpec, acquired: Acquired): Effect.Effect<Acquired, DowngradeError> =>
  Effect.uninterruptible(Effect.gen(function*() {
    const { hold, place, scope } = acquired
    const { session } = hold
    const { client } = session
    const number = String(place.sequence).padStart(10, "0")
    const name = `${spec.layout.mark(yield* makeUuid)}${spec.layout.candidate("shared", true)}${number}`
    const path = ZkPath.join(spec.path, name)
    const node = yield* makeHeldNode(session, path)
    const data = yield* owner.describe({ custom: spec.owner, revoke: undefined, patience: undefined })
    const ops = [
      ZkTransaction.create(path, data, { mode: "ephemeral", acl: spec.acl }),
      ZkTransaction.delete(ZkPath.join(spec.path, place.name))
    ]

    const resolved = yield* Effect.exit(hold.moving(Effect.gen(function*() {
      const lost = hold.kind === "shared" ? "downgraded" : hold.whyNot()
      if (lost !== undefined) return yield* hold.lossOf(lost)
      yield* Scope.addFinalizer(scope, node.remove)
      const done = yield* Effect.result(patiently(client.multi(ops)))
      if (Result.isFailure(done)) {
        const { failure } = done
        if (failure._tag !== "MultiFailed") return yield* failure
        const { cause, index } = failure
        if (cause._tag === "NoNode") {
          hold.lose("removed")
          return yield* hold.lossOf(hold.whyNot() ?? "removed")
        }
        // Its own name is taken: an earlier try was applied, and its answer was lost.
        if (cause._tag !== "NodeExists" || index !== 0) return yield* failure
      }
      hold.become("shared", [node])
    })))
    if (Exit.isFailure(resolved)) {
      const error = Exit.findErrorOption(resolved)
      const gone = Option.isSome(error) ? goneBy(error.value) : undefined
      if (gone !== undefined) hold.lose(gone)
      return yield* Effect.failCause(resolved.cause)
    }
    const lost = hold.whyNot()
    if (lost !== undefined) return yield* hold.lossOf(lost)
    const revoked = Deferred.makeUnsafe<void>()
    const candidate = new Candidate(session, spec.path, node)
    candidate.onData = ({ text }) => {
      if (text === spec.layout.revocation) Deferred.doneUnsafe(revoked, Exit.void)
    }
    candidate.onGone = (reason) => hold.lose(reason)
    yield* Scope.provide(unguarded(Effect.forkScoped(follow(candidate), { startImmediately: true })), scope)
    const shared: Acquired = { ...acquired, place: { ...place, kind: "shared", name }, revoked }
    // Whoever holds it once more from now on holds this.
    origins.set(hold, shared)
    return shared
  }))
