/**
 * Permits, in Curator's layout: who wants some waits in line for the lock `<path>/locks`; its holder alone looks at
 * `<path>/leases`, and puts a node there for each permit, all of them in one transaction.
 */
import * as Cause from "effect/Cause"

import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import type { CreateError, NodeData, ZkClient } from "../../ZkClient.ts"
import type { BadVersion, MultiFailed, NoAuth, QuotaExceeded, SessionError } from "../../ZkError.ts"
import { InvalidInput, InvalidPath, SessionClosed, SessionExpired } from "../../ZkError.ts"
import * as ZkPath from "../../ZkPath.ts"
import type * as ZkSemaphore from "../../ZkSemaphore.ts"
import type { ZkSession } from "../../ZkSession.ts"
import * as ZkStat from "../../ZkStat.ts"
import * as ZkTransaction from "../../ZkTransaction.ts"
import { traced } from "../tracing.ts"
import { makeUuid } from "../uuid.ts"
import type { Acquired, Attempt, LockSpec } from "./acquire.ts"
import { acquire } from "./acquire.ts"
import { Held, Hold, makeHeldNode, unguarded } from "./hold.ts"
import { layouts } from "./layout.ts"
import { leaseOf } from "./lease.ts"
import { CandidateRemoved, LockLost, LockNotAcquired, LockTimeout } from "./lockErrors.ts"
import type { LossReason, NotAcquiredCause } from "./lockErrors.ts"
import * as metrics from "./lockMetrics.ts"
import { halfOf, pathOf, toMillis } from "./options.ts"
import * as owner from "./owner.ts"
import { PermitsExceeded, SemaphoreMismatch } from "./semaphoreErrors.ts"
import { Candidate, follow, hasNextSession, patiently } from "./sequence.ts"
import { leftOf, stopwatch, within } from "./within.ts"

const TypeId = "~effect-zookeeper/ZkSemaphore"
const defaultRoot = "/semaphores"

interface Spec {
  readonly client: ZkClient
  readonly path: string
  readonly leases: string
  readonly permits: number
  readonly inner: LockSpec
}

type Failure =
  | CreateError
  | MultiFailed
  | BadVersion
  | LockNotAcquired
  | LockLost
  | PermitsExceeded
  | SemaphoreMismatch

const toPermits = (text: string): number | undefined => /^[1-9]\d{0,8}$/.test(text) ? Number(text) : undefined

/** One semaphore: what it knows of the number of permits that all share. */
class Semaphore {
  readonly spec: Spec
  private isAgreed = false
  private isWarned = false

  constructor(spec: Spec) {
    this.spec = spec
  }

  /** The number of permits in the node's data; made with ours if there is none. */
  stored(client: ZkClient): Effect.Effect<number, CreateError | BadVersion | SemaphoreMismatch> {
    const { path, permits } = this.spec
    return Effect.flatMap(client.getDataOption(path), (found) => {
      if (Option.isSome(found)) return this.read(client, found.value)
      return Effect.matchEffect(client.create(path, String(permits), { acl: this.spec.inner.acl, parents: true }), {
        onSuccess: () => this.agree(permits),
        onFailure: (error) => error._tag === "NodeExists" ? this.stored(client) : Effect.fail(error)
      })
    })
  }

  /** The number in this data; ours, which is put there, if there is none. */
  read(
    client: ZkClient,
    { stat, text }: NodeData
  ): Effect.Effect<number, CreateError | BadVersion | SemaphoreMismatch> {
    const { path, permits } = this.spec
    if (text === "") {
      return Effect.matchEffect(client.setData(path, String(permits), { version: stat.version }), {
        onSuccess: () => this.agree(permits),
        onFailure: (error) =>
          error._tag === "BadVersion" || error._tag === "NoNode" ? this.stored(client) : Effect.fail(error)
      })
    }
    const number = toPermits(text)
    return number === undefined ? this.tolerate(text) : this.agree(number)
  }

  /** What somebody else keeps there is none of ours to change. */
  private tolerate(text: string): Effect.Effect<number> {
    const { path, permits } = this.spec
    if (this.isWarned) return Effect.succeed(permits)
    this.isWarned = true
    return Effect.as(
      Effect.logWarning(`${path}: "${text.slice(0, 40)}" is no number of permits; ${permits} are assumed`),
      permits
    )
  }

  /** Whoever has agreed once follows the others in what they change. */
  private agree(stored: number): Effect.Effect<number, SemaphoreMismatch> {
    const { path, permits } = this.spec
    if (!this.isAgreed && stored !== permits) {
      return Effect.fail(new SemaphoreMismatch({ path, stored, expected: permits }))
    }
    this.isAgreed = true
    return Effect.succeed(stored)
  }

  /** Somebody has changed the number, and has agreed to it in that. */
  resized(): void {
    this.isAgreed = true
  }
}

const namesOf = (client: ZkClient, path: string): Effect.Effect<ReadonlyArray<string>, NoAuth | SessionError> =>
  client.getChildren(path).pipe(
    Effect.map(({ children }) => children),
    Effect.catchTag("NoNode", () => Effect.succeed([]))
  )

/** What is to be had by whoever is served: by the holder of the inner lock. */
class Serving {
  private readonly semaphore: Semaphore
  private readonly spec: Spec
  private readonly lock: Acquired
  private readonly client: ZkClient
  private readonly permits: number

  constructor(semaphore: Semaphore, lock: Acquired, permits: number) {
    this.semaphore = semaphore
    this.spec = semaphore.spec
    this.lock = lock
    this.client = lock.hold.session.client
    this.permits = permits
  }

  private suffices(max: number, taken: number): Effect.Effect<boolean, PermitsExceeded> {
    const { permits, spec: { path } } = this
    return permits > max
      ? Effect.fail(new PermitsExceeded({ path, permits, max }))
      : Effect.succeed(taken + permits <= max)
  }

  readonly isFree: Effect.Effect<boolean, Failure> = Effect.suspend(() =>
    Effect.flatMap(
      Effect.all([this.semaphore.stored(this.client), namesOf(this.client, this.spec.leases)], {
        concurrency: "unbounded"
      }),
      ([max, leases]) => this.suffices(max, leases.length)
    )
  )

  /** Whether there are enough by now; otherwise waits until something changes among the permits, or in their number. */
  private readonly isFreeOrChanges: Effect.Effect<boolean, Failure> = Effect.scoped(
    Effect.gen({ self: this }, function*() {
      const [leases, stored] = yield* Effect.all([
        this.client.getChildrenWatch(this.spec.leases),
        this.client.getDataWatch(this.spec.path)
      ], { concurrency: "unbounded" })
      const max = yield* this.semaphore.read(this.client, stored.result)
      if (yield* this.suffices(max, leases.result.children.length)) return true
      yield* Effect.raceAllFirst([leases.fired, stored.fired, this.lock.hold.awaitLoss])
      return false
    })
  ).pipe(
    Effect.catchTag("NoNode", () =>
      Effect.as(
        Effect.andThen(this.semaphore.stored(this.client), this.client.ensurePath(this.spec.leases, this.parents)),
        false
      ))
  )

  private get parents() {
    return { mode: "container" as const, acl: this.spec.inner.acl }
  }

  /** Waits for enough permits. They are watched only while they do not suffice. */
  readonly awaitFree: Effect.Effect<void, Failure> = Effect.gen({ self: this }, function*() {
    while (!(yield* patiently(this.isFree))) {
      if (yield* patiently(this.isFreeOrChanges)) return
    }
  })

  /**
   * Makes a node for each permit, if the inner lock is still held. Their names are ours to choose, and tell after a lost
   * answer whether they were made: all of them or none.
   */
  take(data: string): Effect.Effect<Hold, Failure, Scope.Scope> {
    return Effect.uninterruptibleMask((restore) =>
      Effect.gen({ self: this }, function*() {
        const { leases } = this.spec
        const { hold, place } = this.lock
        const { session } = hold
        const paths: Array<string> = []
        for (let i = 0; i < this.permits; i++) {
          const number = String(place.sequence).padStart(10, "0")
          paths.push(ZkPath.join(leases, `_c_${yield* makeUuid}-lease-${number}`))
        }
        const nodes = yield* Effect.forEach(paths, (path) => makeHeldNode(session, path))
        const ops = paths.map((path) =>
          ZkTransaction.create(path, data, { mode: "ephemeral", acl: this.spec.inner.acl })
        )
        yield* Effect.addFinalizer(() => Effect.forEach(nodes, (node) => node.remove, { concurrency: "unbounded" }))
        // Whatever is made here is removed if this is interrupted.
        while (!(yield* restore(patiently(this.isMade(ops))))) {
          // Once more, below the parent.
        }
        yield* restore(this.proveUntilLeased(paths))
        const context = yield* Effect.context<never>()
        const permits = new Hold({
          session,
          path: this.spec.path,
          kind: "shared",
          nodes,
          halfTick: this.spec.inner.halfTick,
          context: Context.add(context, Held, [])
        })
        yield* unguarded(permits.start)
        yield* Effect.addFinalizer(() => permits.release)
        for (const node of nodes) {
          const candidate = new Candidate(session, leases, node)
          candidate.onGone = (reason) => permits.lose(reason)
          yield* unguarded(Effect.forkScoped(follow(candidate), { startImmediately: true }))
        }
        return permits
      })
    )
  }

  /** `false` if a parent was missing, which is there now. */
  private isMade(ops: ReadonlyArray<ZkTransaction.CreateOp>): Effect.Effect<boolean, Failure> {
    return Effect.matchEffect(this.lock.hold.guard(ops), {
      onSuccess: () => Effect.succeed(true),
      onFailure: (error): Effect.Effect<boolean, Failure> => {
        const { _tag } = error._tag === "MultiFailed" ? error.cause : error
        // Their names are taken: an earlier try was applied, and its answer was lost.
        if (_tag === "NodeExists") return Effect.succeed(true)
        if (_tag !== "NoNode") return Effect.fail(error)
        return Effect.as(this.client.ensurePath(this.spec.leases, this.parents), false)
      }
    })
  }

  /** An answer that came late proves nothing of the session. */
  private proveUntilLeased(paths: ReadonlyArray<string>): Effect.Effect<void, Failure> {
    const { inner, path } = this.spec
    const lease = leaseOf(this.lock.hold.session)
    return Effect.gen(function*() {
      while (lease.remaining(inner.halfTick) <= 0) yield* patiently(lease.prove(paths))
    }).pipe(
      Effect.catchTag(
        "MultiFailed",
        (failed): Effect.Effect<never, Failure> =>
          Effect.fail(failed.cause._tag === "NoNode" ? new LockLost({ path, reason: "removed" }) : failed)
      )
    )
  }
}

interface Wanted {
  readonly permits: number
  readonly waits: boolean
  readonly timeout: number | undefined
}

/** Gets in line, is served, and leaves the line. */
const serve = (
  semaphore: Semaphore,
  wanted: Wanted,
  scope: Scope.Scope
): Effect.Effect<Hold | undefined, Exclude<Failure, LockLost> | LockTimeout> =>
  Effect.scoped(Effect.gen(function*() {
    const { spec } = semaphore
    // Ahead of waiting: what can never be had need not be waited for.
    const stored = semaphore.stored(spec.client)
    const max = yield* wanted.waits ? patiently(stored) : stored
    if (wanted.permits > max) {
      return yield* new PermitsExceeded({ path: spec.path, permits: wanted.permits, max })
    }
    const attempt: Attempt = { waits: wanted.waits, timeout: undefined, revoke: undefined, onStatus: undefined }
    const lock = yield* acquire(spec.inner, attempt)
    if (lock === undefined) return undefined
    const serving = new Serving(semaphore, lock, wanted.permits)
    const data = yield* owner.describe({ custom: spec.inner.owner, revoke: undefined, patience: undefined })
    const served = Effect.gen(function*() {
      if (wanted.waits) yield* serving.awaitFree
      else if (!(yield* serving.isFree)) return undefined
      return yield* Scope.provide(serving.take(data), scope)
    })
    return yield* Effect.catchTag(served, "LockLost", (lost) =>
      Effect.fail(new LockNotAcquired({ path: spec.path, cause: toCause(lost, lock.hold.session) })))
  }))

/** Why whoever was being served is served no more. */
const toCause = ({ path, reason }: LockLost, session: ZkSession): NotAcquiredCause => {
  const outcome = { operation: "acquire", path, maybeApplied: false }
  if (reason === "closed") return new SessionClosed(outcome)
  if (reason === "removed") return new CandidateRemoved({ path })
  return new SessionExpired({ ...outcome, sessionId: session.sessionId })
}

type TakeError = LockNotAcquired | LockTimeout | PermitsExceeded | SemaphoreMismatch

interface Taken {
  readonly hold: Hold
  readonly release: Effect.Effect<boolean>
}

const take = (semaphore: Semaphore, asked: Wanted): Effect.Effect<Taken | undefined, TakeError, Scope.Scope> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.gen(function*() {
      const { inner, path } = semaphore.spec
      // With no time at all it is as good as a try.
      const isTry = asked.timeout !== undefined && !(asked.timeout > 0)
      const wanted: Wanted = isTry ? { ...asked, waits: false, timeout: undefined } : asked
      if (!Number.isInteger(wanted.permits) || wanted.permits < 1) {
        const reason = `${wanted.permits} is no number of permits`
        const cause = new InvalidInput({ operation: "ZkSemaphore.acquire", path, reason })
        return yield* new LockNotAcquired({ path, cause })
      }
      const passed = yield* stopwatch
      const outer = yield* Effect.scope
      while (true) {
        const scope = yield* Scope.fork(outer)
        const left = () => leftOf(wanted.timeout, passed())
        const exit = yield* Effect.exit(restore(within(serve(semaphore, wanted, scope), left())))
        if (Exit.isSuccess(exit) && exit.value !== undefined) {
          metrics.waited(passed(), yield* Effect.context<never>())
          const hold = exit.value
          // Whoever gives back early, in a scope that lives long, leaves nothing in it.
          const release = Effect.tap(hold.release, () => Scope.close(scope, Exit.void))
          return { hold, release: Effect.uninterruptible(release) }
        }
        yield* Scope.close(scope, exit)
        if (Exit.isSuccess(exit)) return isTry ? yield* new LockTimeout({ path, timeout: 0 }) : undefined
        const found = Cause.findError(exit.cause)
        // Interrupted, or a defect.
        if (Result.isFailure(found)) return yield* Effect.failCause(found.failure)
        const error = found.success
        if (error._tag === "TimedOut") return yield* new LockTimeout({ path, timeout: wanted.timeout ?? 0 })
        if (wanted.waits && inner.onCandidateLost === "requeue") {
          const { cause } = error._tag === "LockNotAcquired" ? error : { cause: error }
          if (cause._tag === "CandidateRemoved") continue
          const isOver = cause._tag === "SessionExpired"
          if (isOver && (yield* restore(hasNextSession(semaphore.spec.client, cause.sessionId, left())))) continue
        }
        switch (error._tag) {
          case "LockTimeout":
          case "PermitsExceeded":
          case "SemaphoreMismatch":
            return yield* error
          case "LockNotAcquired":
          case "MultiFailed":
            return yield* new LockNotAcquired({ path, cause: error.cause })
          default:
            return yield* new LockNotAcquired({ path, cause: error })
        }
      }
    })
  )

const makeHandle = (path: string, permits: number, { hold, release }: Taken): ZkSemaphore.Permits => {
  let isReleased = false
  const whyNot = (): LossReason | undefined => isReleased ? "released" : hold.whyNot()
  const whileHeld = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E | LockLost, R> =>
    Effect.suspend((): Effect.Effect<A, E | LockLost, R> => {
      const reason = whyNot()
      return reason === undefined ? effect : Effect.fail(new LockLost({ path, reason }))
    })
  return {
    permits,
    paths: hold.paths,
    isHeld: Effect.sync(() => whyNot() === undefined),
    lost: hold.awaitLoss,
    guard: (ops) => whileHeld(hold.guard(ops)),
    use: (body) => whileHeld(traced("ZkSemaphore", "use", path, hold.use(body))),
    release: Effect.uninterruptible(Effect.suspend(() => {
      if (isReleased) return Effect.succeed(false)
      isReleased = true
      return release
    }))
  }
}

const holders = (spec: Spec): Effect.Effect<ReadonlyArray<ZkSemaphore.PermitHolder>, NoAuth | SessionError> =>
  Effect.gen(function*() {
    const names = yield* namesOf(spec.client, spec.leases)
    const read = yield* Effect.forEach(names, (name) => {
      const path = ZkPath.join(spec.leases, name)
      return Effect.map(
        spec.client.getDataOption(path),
        Option.map(({ stat, text }): ZkSemaphore.PermitHolder => ({
          path,
          sessionId: stat.ephemeralOwner,
          created: ZkStat.created(stat),
          owner: owner.read(text),
          text
        }))
      )
    }, { concurrency: 16 })
    return read.flatMap(Option.toArray)
  })

const resize = (semaphore: Semaphore, permits: number): Effect.Effect<void, CreateError | QuotaExceeded> =>
  Effect.suspend(() => {
    const { client, inner, path } = semaphore.spec
    const invalid = problem(permits)
    if (invalid !== undefined) {
      return Effect.fail(new InvalidInput({ operation: "ZkSemaphore.resize", path, reason: invalid }))
    }
    return Effect.map(client.createOrSet(path, String(permits), { acl: inner.acl }), () => semaphore.resized())
  })

const problem = (permits: number): string | undefined =>
  toPermits(String(permits)) === undefined ? `${String(permits)} is no number of permits` : undefined

export const make = (
  client: ZkClient,
  name: string,
  options: ZkSemaphore.Options
): Effect.Effect<ZkSemaphore.ZkSemaphore, InvalidPath | InvalidInput> =>
  Effect.suspend((): Effect.Effect<ZkSemaphore.ZkSemaphore, InvalidPath | InvalidInput> => {
    const { root = defaultRoot } = options
    const path = pathOf(name, root)
    const reason = path === "/" ? "permits need a node of their own" : ZkPath.problem(path)
    if (reason !== undefined) return Effect.fail(new InvalidPath({ path, reason }))
    const halfTick = halfOf(options.tickTime)
    const invalid = halfTick !== undefined && !(halfTick > 0) ? "a tick takes time" : problem(options.permits)
    if (invalid !== undefined) {
      return Effect.fail(new InvalidInput({ operation: "ZkSemaphore.make", path, reason: invalid }))
    }
    const inner: LockSpec = {
      client,
      path: ZkPath.join(path, "locks"),
      kind: "exclusive",
      isReadWrite: false,
      layout: layouts.curator,
      acl: options.acl,
      owner: options.owner,
      reentrant: false,
      // Permits are taken in a transaction that checks its node: whoever is served may be without a connection for long.
      lostOn: "removal",
      onCandidateLost: options.onCandidateLost ?? "fail",
      halfTick
    }
    const spec: Spec = { client, path, leases: ZkPath.join(path, "leases"), permits: options.permits, inner }
    return Effect.succeed(assemble(new Semaphore(spec)))
  })

const assemble = (semaphore: Semaphore): ZkSemaphore.ZkSemaphore => {
  const { spec } = semaphore
  const run = (wanted: Wanted) =>
    traced(
      "ZkSemaphore",
      "acquire",
      spec.path,
      Effect.map(
        take(semaphore, wanted),
        (taken) => taken === undefined ? undefined : makeHandle(spec.path, wanted.permits, taken)
      )
    )
  // Without a limit there is no LockTimeout, and whoever waits has something in the end.
  type Waited = Effect.Effect<ZkSemaphore.Permits, ZkSemaphore.AcquireError, Scope.Scope>
  const waitFor = (permits = 1) => run({ permits, waits: true, timeout: undefined }) as Waited
  const waitUpTo = (duration: Duration.Input, permits = 1) =>
    run({ permits, waits: true, timeout: toMillis(duration) }) as Effect.Effect<
      ZkSemaphore.Permits,
      ZkSemaphore.AcquireError | LockTimeout,
      Scope.Scope
    >
  const withPermits = (
    permits: number,
    body:
      | Effect.Effect<unknown, unknown, unknown>
      | ((permits: ZkSemaphore.Permits) => Effect.Effect<unknown, unknown, unknown>),
    options?: { readonly timeout?: Duration.Input | undefined }
  ) =>
    // The body's scope is the caller's.
    Effect.scopedWith((scope) =>
      Effect.flatMap(
        Scope.provide(options?.timeout === undefined ? waitFor(permits) : waitUpTo(options.timeout, permits), scope),
        (handle) => handle.use(typeof body === "function" ? body(handle) : body)
      )
    )
  const max = semaphore.stored(spec.client)
  return {
    [TypeId]: TypeId,
    path: spec.path,
    withPermits: withPermits as ZkSemaphore.ZkSemaphore["withPermits"],
    acquire: waitFor,
    acquireTimeout: waitUpTo,
    tryAcquire: (permits = 1) =>
      Effect.map(
        run({ permits, waits: false, timeout: undefined }) as Effect.Effect<
          ZkSemaphore.Permits | undefined,
          ZkSemaphore.AcquireError,
          Scope.Scope
        >,
        Option.fromUndefinedOr
      ),
    max,
    available: Effect.map(
      Effect.all([max, namesOf(spec.client, spec.leases)]),
      ([all, leases]) => Math.max(0, all - leases.length)
    ),
    holders: holders(spec),
    resize: (permits) => resize(semaphore, permits)
  }
}
