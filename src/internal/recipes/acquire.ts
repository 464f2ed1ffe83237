/** From an empty hand to a lock that is held, or to nothing at all. */
import * as Cause from "effect/Cause"

import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { identity } from "effect/Function"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Acl } from "../../ZkAcl.ts"
import type { CreateError, ZkClient } from "../../ZkClient.ts"
import type { BadVersion, MultiFailed, NoAuth, QuotaExceeded, SessionError } from "../../ZkError.ts"
import { SessionClosed, SessionExpired } from "../../ZkError.ts"
import * as ZkPath from "../../ZkPath.ts"
import type { ZkSession } from "../../ZkSession.ts"
import * as ZkTransaction from "../../ZkTransaction.ts"
import { isTraced } from "../tracing.ts"
import { Held, Hold, unguarded } from "./hold.ts"
import type { Layout } from "./layout.ts"
import type { Lease } from "./lease.ts"
import { leaseOf, soon } from "./lease.ts"
import { CandidateRemoved, LockAlreadyHeld, LockNotAcquired, LockTimeout } from "./lockErrors.ts"
import type { LossReason, NotAcquiredCause, SequenceExhausted } from "./lockErrors.ts"
import * as metrics from "./lockMetrics.ts"
import * as owner from "./owner.ts"
import type { Kind, Place } from "./queue.ts"
import { blockersOf, readQueue } from "./queue.ts"
import type { Candidate, Gone } from "./sequence.ts"
import { awaitDeletion, enter, follow, hasNextSession, list, patiently } from "./sequence.ts"
import { forAMoment, leftOf, seeThrough, stopwatch, within } from "./within.ts"

/** What is being waited for, and where it has got to. */
export type Status =
  | { readonly _tag: "Queued"; readonly path: string; readonly ahead: number }
  | { readonly _tag: "Held"; readonly path: string }
  | { readonly _tag: "Lost"; readonly path: string; readonly reason: LossReason }
  | { readonly _tag: "Released"; readonly path: string }

/** What all acquisitions of a lock have in common. */
export interface LockSpec {
  readonly client: ZkClient
  readonly path: string
  readonly kind: Kind
  readonly isReadWrite: boolean
  readonly layout: Layout
  readonly acl: ReadonlyArray<Acl> | undefined
  readonly owner: owner.Request["custom"]
  readonly reentrant: boolean
  /** `removal`: for whoever does nothing but what checks the candidate's node. */
  readonly lostOn: "lease" | "suspended" | "removal"
  readonly onCandidateLost: "fail" | "requeue"
  readonly halfTick: number | undefined
}

export interface Attempt {
  /** Whether to wait for others. */
  readonly waits: boolean
  /** Milliseconds; none for as long as it takes. */
  readonly timeout: number | undefined
  readonly revoke: "request" | "immediate" | undefined
  readonly onStatus: ((status: Status) => Effect.Effect<void>) | undefined
}

/** A lock in hand, with what there is to know of the node behind it. */
export interface Acquired {
  readonly hold: Hold
  readonly token: bigint
  readonly place: Place
  /** Done when somebody has asked for the lock to be given back. */
  readonly revoked: Deferred.Deferred<void>
  /** The scope that goes with the last hold of it, for what is added later. */
  readonly scope: Scope.Scope
  /** Gives it back, or one hold of several. Only the first time; others are told that it was not held. */
  readonly release: Effect.Effect<boolean>
}

type Failure = CreateError | BadVersion | MultiFailed | SequenceExhausted | CandidateGone | LockAlreadyHeld

/** The candidate is no more. A signal between the steps below. */
class CandidateGone {
  readonly _tag = "CandidateGone"
  readonly reason: Gone
  readonly session: ZkSession
  readonly path: string

  constructor(reason: Gone, candidate: Candidate) {
    this.reason = reason
    this.session = candidate.session
    this.path = candidate.node.path
  }

  toCause(): NotAcquiredCause {
    const outcome = { operation: "acquire", path: this.path, maybeApplied: false }
    switch (this.reason) {
      case "removed":
        return new CandidateRemoved({ path: this.path })
      case "expired":
        return new SessionExpired({ ...outcome, sessionId: this.session.sessionId })
      case "closed":
        return new SessionClosed(outcome)
    }
  }
}

/** One candidate on its way to the lock. */
class Acquisition {
  private readonly spec: LockSpec
  private readonly attempt: Attempt
  private readonly candidate: Candidate
  private readonly place: Place
  /** Rises with every node that is created anywhere. */
  private readonly czxid: bigint
  private readonly lease: Lease
  private readonly granted: (acquired: Acquired) => void
  private readonly revoked = Deferred.makeUnsafe<void>()
  private readonly asked = new Set<string>()
  private following = false
  private ahead: number | undefined

  constructor(
    spec: LockSpec,
    attempt: Attempt,
    candidate: Candidate,
    place: Place,
    czxid: bigint,
    granted: (acquired: Acquired) => void
  ) {
    this.granted = granted
    this.spec = spec
    this.attempt = attempt
    this.candidate = candidate
    this.place = place
    this.czxid = czxid
    this.lease = leaseOf(candidate.session)
    candidate.onData = ({ text }) => {
      if (text === spec.layout.revocation) Deferred.doneUnsafe(this.revoked, Exit.void)
    }
  }

  private gone(reason: Gone): Effect.Effect<never, CandidateGone> {
    return Effect.fail(new CandidateGone(reason, this.candidate))
  }

  private readonly follow: Effect.Effect<void, never, Scope.Scope> = Effect.suspend(() => {
    if (this.following) return Effect.void
    this.following = true
    return Effect.asVoid(unguarded(Effect.forkScoped(follow(this.candidate), { startImmediately: true })))
  })

  /** The queue as it is now; of a candidate that has not written lately with a new lease, at the cost of no time. */
  private readonly blockers = (
    known?: ReadonlyArray<string>
  ): Effect.Effect<ReadonlyArray<Place>, NoAuth | MultiFailed | SessionError | CandidateGone> => {
    const read = list(this.candidate, known)
    const both = this.lease.isStale(this.spec.halfTick)
      ? Effect.map(Effect.all([read, this.prove], { concurrency: "unbounded" }), ([names]) => names)
      : read
    return Effect.flatMap(both, (names) => {
      if (names === undefined) return this.gone("removed")
      return Effect.succeed(blockersOf(readQueue(names, this.spec.layout.parse), this.place))
    })
  }

  private readonly prove: Effect.Effect<void, MultiFailed | SessionError | CandidateGone> = Effect.suspend(() =>
    this.lease.prove([this.candidate.node.path]).pipe(
      Effect.catchTag(
        "MultiFailed",
        (failed): Effect.Effect<never, MultiFailed | CandidateGone> =>
          failed.cause._tag === "NoNode" ? this.gone("removed") : Effect.fail(failed)
      )
    )
  )

  /** Nobody waits for what is done about it. */
  private readonly status = (status: Status): Effect.Effect<void> =>
    this.attempt.onStatus === undefined
      ? Effect.void
      : Effect.map(Effect.context<never>(), (context) => this.tell(context, status))

  private tell(context: Context.Context<never>, status: Status): void {
    const { onStatus } = this.attempt
    if (onStatus === undefined) return
    Effect.runForkWith(Context.add(context, Held, []))(Effect.suspend(() => onStatus(status)))
  }

  /** Of those in the way, asks each once to give way. */
  private ask(blockers: ReadonlyArray<Place>): Effect.Effect<void, NoAuth | BadVersion | QuotaExceeded | SessionError> {
    const { parent, session } = this.candidate
    const fresh = blockers.filter(({ name }) => !this.asked.has(name))
    return Effect.forEach(fresh, ({ name }) => {
      const message = session.client.setData(ZkPath.join(parent, name), this.spec.layout.revocation)
      return Effect.map(Effect.catchTag(message, "NoNode", () => Effect.void), () => {
        this.asked.add(name)
      })
    }, { concurrency: 16, discard: true })
  }

  /**
   * Deletes who is in the way, if the own node is there. Nobody may lose the lock to one who then gives up: so what
   * became of it is found out, and what follows up to the grant belongs to it; for the time of a session at most, and
   * not before a server has answered.
   */
  private takeOver(blockers: ReadonlyArray<Place>): Effect.Effect<Acquired | undefined, Failure, Scope.Scope> {
    const { node, parent, session } = this.candidate
    const ops = [
      ZkTransaction.check(node.path),
      ...blockers.map(({ name }) => ZkTransaction.delete(ZkPath.join(parent, name)))
    ]
    const taking = Effect.gen({ self: this }, function*() {
      const done = yield* Effect.result(session.client.multi(ops))
      if (Result.isFailure(done)) {
        const { failure } = done
        if (failure._tag === "MultiFailed") {
          if (failure.cause._tag !== "NoNode") return yield* failure
          // One of them has gone meanwhile: the others are still there.
          return failure.index === 0 ? yield* this.gone("removed") : undefined
        }
        if (failure._tag !== "ConnectionLoss" && failure._tag !== "OperationTimeout") return yield* failure
        // Behind this all of them are gone, or none: then it was not applied, and never will be.
        yield* patiently(session.client.sync(parent))
      }
      if ((yield* patiently(this.blockers())).length > 0) return undefined
      while (!this.isProven) yield* patiently(this.prove)
      return yield* Effect.uninterruptible(this.grant)
    })
    return Effect.andThen(session.client.sync(parent), seeThrough(taking, session.timeoutUnsafe()))
  }

  private get isProven(): boolean {
    return this.spec.lostOn === "removal" || this.lease.remaining(this.spec.halfTick, soon) > 0
  }

  private readonly grant: Effect.Effect<Acquired, Failure, Scope.Scope> = Effect.gen(
    { self: this },
    () => this.granting()
  )

  private *granting(): Effect.fn.Return<Acquired, Failure, Scope.Scope> {
    const { candidate, place, spec } = this
    const gone = candidate.gone
    if (Deferred.isDoneUnsafe(gone)) return yield* this.gone(yield* Deferred.await(gone))
    const context = yield* Effect.context<never>()
    const scope = yield* Effect.scope
    const { path } = candidate.node

    const hold: Hold = new Hold({
      session: candidate.session,
      path: spec.path,
      kind: place.kind,
      nodes: [candidate.node],
      halfTick: spec.halfTick,
      isLeased: spec.lostOn !== "removal",
      context: Context.add(context, Held, []),
      onEnd: (reason) =>
        this.tell(context, reason === "released" ? { _tag: "Released", path } : { _tag: "Lost", path, reason })
    })
    candidate.onGone = (reason) => {
      if (hold.paths.includes(path) || reason !== "removed") hold.lose(reason)
    }
    yield* unguarded(hold.start)
    yield* this.follow
    if (spec.lostOn === "suspended") yield* unguarded(Effect.forkScoped(loseOnSuspension(hold)))
    const release = onlyOnce(hold.release)
    yield* Effect.addFinalizer(() => Effect.asVoid(release))
    yield* this.status({ _tag: "Held", path })
    const acquired: Acquired = {
      hold,
      token: this.czxid,
      place,
      revoked: this.revoked,
      scope,
      release
    }
    origins.set(hold, acquired)
    this.granted(acquired)
    return acquired
  }

  run(known: ReadonlyArray<string> | undefined): Effect.Effect<Acquired | undefined, Failure, Scope.Scope> {
    return Effect.gen({ self: this }, () => this.steps(known))
  }

  private *steps(
    known: ReadonlyArray<string> | undefined
  ): Effect.fn.Return<Acquired | undefined, Failure, Scope.Scope> {
    const { attempt, candidate } = this
    const steadily = <A, E extends { readonly _tag: string }, R>(effect: Effect.Effect<A, E, R>) =>
      attempt.waits ? patiently(effect) : effect
    let names = known
    let isFirst = true
    while (true) {
      const blockers = yield* steadily(this.blockers(names))
      names = undefined
      if (isFirst) {
        isFirst = false
        metrics.queued(blockers.length, yield* Effect.context<never>())
        yield* annotate(blockers.length)
      }
      const last = blockers.at(-1)
      if (last === undefined) {
        while (!this.isProven) yield* steadily(this.prove)
        return yield* Effect.uninterruptible(this.grant)
      }
      if (attempt.revoke === "immediate") {
        const taken = yield* steadily(this.takeOver(blockers))
        if (taken !== undefined) return taken
        continue
      }
      if (!attempt.waits) return undefined
      yield* this.follow
      if (attempt.revoke === "request") yield* steadily(this.ask(blockers))
      if (this.ahead !== blockers.length) {
        this.ahead = blockers.length
        yield* this.status({ _tag: "Queued", path: candidate.node.path, ahead: blockers.length })
      }
      const gone = yield* Effect.raceFirst(
        Effect.as(awaitDeletion(candidate, last.name), undefined),
        Deferred.await(candidate.gone)
      )
      if (gone !== undefined) return yield* this.gone(gone)
    }
  }
}

/** Tells the span of the acquisition how many were ahead, if there is one. */
const annotate = (ahead: number): Effect.Effect<void> =>
  Effect.withFiber((fiber) => isTraced(fiber) ? Effect.annotateCurrentSpan("zookeeper.lock.ahead", ahead) : Effect.void)

const loseOnSuspension = (hold: Hold): Effect.Effect<void> =>
  hold.session.client.stateChanges.pipe(
    Stream.filter((state) => state._tag !== "Connected"),
    Stream.runHead,
    Effect.andThen(Effect.sync(() => hold.lose("suspended")))
  )

const warnedOf = new WeakMap<ZkClient, Set<string>>()

/** Curator's plain lock and its read/write lock do not see each other: with Java among the contenders nobody is safe. */
const warnOfMix = (spec: LockSpec, names: ReadonlyArray<string>): Effect.Effect<void> => {
  const { isReadWrite, parse } = spec.layout
  const isOther = (name: string) => isReadWrite(name) === !spec.isReadWrite && parse(name) !== undefined
  if (!names.some(isOther)) return Effect.void
  const warned = warnedOf.get(spec.client) ?? new Set()
  if (warned.has(spec.path)) return Effect.void
  warnedOf.set(spec.client, warned.add(spec.path))
  return Effect.logWarning(
    `${spec.path}: used as a plain lock and as a read/write lock; clients of other languages do not heed both`
  )
}

const isOwnUpgrade = (held: Kind, wanted: Kind): boolean => held === "exclusive" || wanted === "shared"

const onlyOnce = (release: Effect.Effect<boolean>): Effect.Effect<boolean> => {
  let isDone = false
  return Effect.suspend(() => {
    if (isDone) return Effect.succeed(false)
    isDone = true
    return release
  })
}

/** What a hold came from, for those who hold it once more. */
export const origins = new WeakMap<Hold, Acquired>()

/** Holds once more what surrounds the caller, if that is asked for. */
const reenter = (spec: LockSpec, hold: Hold): Effect.Effect<Acquired | undefined, LockAlreadyHeld, Scope.Scope> =>
  Effect.suspend(() => {
    if (!spec.reentrant || !isOwnUpgrade(hold.kind, spec.kind)) {
      return Effect.fail(new LockAlreadyHeld({ path: spec.path, held: hold.kind, wanted: spec.kind }))
    }
    const origin = origins.get(hold)
    if (origin === undefined) return Effect.succeed(undefined)
    return Effect.uninterruptible(Effect.suspend(() => {
      hold.again()
      const release = onlyOnce(hold.release)
      return Effect.as(Effect.addFinalizer(() => Effect.asVoid(release)), { ...origin, release })
    }))
  })

/** Tells `granted` of a lock that was granted, whatever becomes of this effect behind that. */
const once = Effect.fnUntraced(function*(
  spec: LockSpec,
  attempt: Attempt,
  granted: (acquired: Acquired) => void
): Effect.fn.Return<Acquired | undefined, Failure, Scope.Scope> {
  // There may be no server for longer than a request waits for one.
  const steadily = attempt.waits ? patiently : identity
  const session = yield* steadily(spec.client.session)
  const key = session.absolutePath(spec.path)
  const surrounding = (yield* Held).find((hold) =>
    hold.key === key && hold.session.sessionId === session.sessionId && hold.whyNot() === undefined
  )
  if (surrounding !== undefined) return yield* reenter(spec, surrounding)
  const data = yield* owner.describe({
    custom: spec.owner,
    revoke: attempt.revoke,
    patience: attempt.timeout
  })
  const { candidate, czxid, names } = yield* steadily(enter({
    session,
    parent: spec.path,
    name: spec.layout.candidate(spec.kind, spec.isReadWrite),
    mark: spec.layout.mark,
    data,
    acl: spec.acl
  }))
  if (names !== undefined) yield* warnOfMix(spec, names)
  // A name that we gave can be read.
  const place = spec.layout.parse(candidate.name)!
  return yield* new Acquisition(spec, attempt, candidate, place, czxid, granted).run(names)
})

/** The session that an acquisition has ended with. */
const sessionOf = (error: Failure): bigint | undefined => {
  if (error._tag === "SessionExpired") return error.sessionId
  return error._tag === "CandidateGone" && error.reason === "expired" ? error.session.sessionId : undefined
}

const isTimedOut = <A, E extends { readonly _tag: string }>(exit: Exit.Exit<A, E>): boolean =>
  Option.match(Exit.findErrorOption(exit), { onNone: () => false, onSome: ({ _tag }) => _tag === "TimedOut" })

const toCause = (failure: Failure): NotAcquiredCause => {
  if (failure._tag === "CandidateGone") return failure.toCause()
  return failure._tag === "MultiFailed" ? failure.cause : failure
}

/**
 * Acquires a lock for as long as the scope is open; none if it does not wait and others are in the way. Whatever
 * happens, either the lock is in hand or nothing is left of the attempt.
 */
export const acquire = (
  spec: LockSpec,
  wanted: Attempt
): Effect.Effect<Acquired | undefined, LockNotAcquired | LockTimeout, Scope.Scope> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.gen(function*() {
      const passed = yield* stopwatch
      const outer = yield* Effect.scope
      // With no time at all it is as good as a try.
      const isTry = wanted.timeout !== undefined && !(wanted.timeout > 0)
      const attempt: Attempt = isTry ? { ...wanted, waits: false, timeout: undefined } : wanted
      while (true) {
        const own = yield* Scope.fork(outer)
        // What stands for the lock goes with the last hold of it, which may be one that is taken under this.
        const scope = yield* Scope.make()
        let giveBack: Effect.Effect<unknown> = Scope.close(scope, Exit.void)
        yield* Scope.addFinalizer(own, Effect.suspend(() => giveBack))
        const left = () => leftOf(attempt.timeout, passed())
        let granted: Acquired | undefined
        const attempted = once(spec, attempt, (acquired) => {
          granted = acquired
        })
        const exit = yield* Effect.exit(restore(within(Scope.provide(attempted, scope), left())))
        // What was granted when the time was up is not given back: others may have lost it for that.
        const acquired = Exit.isSuccess(exit) ? exit.value : isTimedOut(exit) ? granted : undefined
        if (acquired !== undefined) {
          metrics.waited(passed(), yield* Effect.context<never>())
          const { hold, scope } = acquired
          const release = Effect.tap(
            acquired.release,
            // Like all of these scopes it was made here.
            () => hold.isGivenBack ? Scope.close(scope as Scope.Closeable, Exit.void) : Effect.void
          )
          giveBack = release
          // Whoever gives back early, in a scope that lives long, leaves nothing in it.
          return {
            ...acquired,
            release: Effect.uninterruptible(Effect.tap(release, () => Scope.close(own, Exit.void)))
          }
        }
        const close = Scope.close(own, exit)
        // Whoever has no time left does not wait for a server that has fallen silent: the rest is done without it.
        yield* isTimedOut(exit) ? forAMoment(close) : close
        if (Exit.isSuccess(exit)) return isTry ? yield* new LockTimeout({ path: spec.path, timeout: 0 }) : undefined
        const found = Cause.findError(exit.cause)
        // Interrupted, or a defect.
        if (Result.isFailure(found)) return yield* Effect.failCause(found.failure)
        const error = found.success
        if (error._tag === "TimedOut") {
          return yield* new LockTimeout({ path: spec.path, timeout: attempt.timeout ?? 0 })
        }
        const isAgain = attempt.waits && spec.onCandidateLost === "requeue"
        if (isAgain && error._tag === "CandidateGone" && error.reason === "removed") continue
        const over = sessionOf(error)
        if (isAgain && over !== undefined && (yield* restore(hasNextSession(spec.client, over, left())))) continue

        return yield* new LockNotAcquired({ path: spec.path, cause: toCause(error) })
      }
    })
  )
