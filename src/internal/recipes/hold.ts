/** A lock, or permits, while they are held: when they are lost, and what is done under them. */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scheduler from "effect/Scheduler"
import * as Semaphore from "effect/Semaphore"
import type { InvalidAcl, NoAuth, SessionError } from "../../ZkError.ts"
import { MultiFailed } from "../../ZkError.ts"
import type { Removal, ZkSession } from "../../ZkSession.ts"
import * as ZkTransaction from "../../ZkTransaction.ts"
import type { Lease, LossReason as LeaseLoss, Member } from "./lease.ts"
import { leaseOf, soon } from "./lease.ts"
import { LockLost } from "./lockErrors.ts"
import type { LossReason } from "./lockErrors.ts"
import * as metrics from "./lockMetrics.ts"
import type { Kind } from "./queue.ts"

/** What is held by whoever runs: for finding that a lock is asked for under itself. */
export const Held = Context.Reference<ReadonlyArray<Hold>>("effect-zookeeper/internal/Held", { defaultValue: () => [] })

/** One node that stands for what is held. */
export interface HeldNode {
  readonly path: string
  readonly remove: Effect.Effect<Removal>
}

/** A node that is removed once, however often that is asked for. */
export const makeHeldNode = (session: ZkSession, path: string): Effect.Effect<HeldNode> =>
  Effect.map(Effect.cached(session.remove(path)), (remove) => ({ path, remove }))

export interface HoldOptions {
  readonly session: ZkSession
  /** The lock's own node. */
  readonly path: string
  readonly kind: Kind
  readonly nodes: ReadonlyArray<HeldNode>
  readonly halfTick: number | undefined
  /** Whether it is lost when nobody confirms the session for too long. Default: `true`. */
  readonly isLeased?: boolean | undefined
  readonly context: Context.Context<never>
  readonly onEnd?: ((reason: LossReason) => void) | undefined
}

export class Hold implements Member {
  readonly session: ZkSession
  readonly path: string
  readonly key: string
  readonly halfTick: number | undefined
  private readonly lost = Deferred.makeUnsafe<never, LockLost>()
  private readonly options: HoldOptions
  private readonly lease: Lease
  private readonly isLeased: boolean
  private readonly since: number
  private readonly bodies = new Set<Fiber.Fiber<unknown, unknown>>()
  private nodes: ReadonlyArray<HeldNode>
  kind: Kind
  private isMoving = false
  private readonly moves = Semaphore.makeUnsafe(1)
  /** How often it is held: more than once if it is re-entrant. */
  private count = 1
  private end: LossReason | undefined

  constructor(options: HoldOptions) {
    this.options = options
    this.session = options.session
    this.path = options.path
    this.key = options.session.absolutePath(options.path)
    this.halfTick = options.halfTick
    this.kind = options.kind
    this.nodes = options.nodes
    this.lease = leaseOf(options.session)
    this.isLeased = options.isLeased ?? true
    this.since = options.session.nowUnsafe(soon)
  }

  /** The nodes that stand for it; none while they are being replaced by others. */
  get paths(): ReadonlyArray<string> {
    return this.isMoving ? [] : this.nodes.map((node) => node.path)
  }

  /** While it runs nobody concludes from the end of a node that the hold is lost. One after the other. */
  moving<A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    const move = Effect.suspend(() => {
      this.isMoving = true
      return effect
    })
    const end = Effect.sync(() => {
      this.isMoving = false
    })
    return this.moves.withPermit(Effect.ensuring(move, end))
  }

  become(kind: Kind, nodes: ReadonlyArray<HeldNode>): void {
    this.kind = kind
    this.nodes = nodes
  }

  readonly awaitLoss: Effect.Effect<never, LockLost> = Deferred.await(this.lost)

  readonly start: Effect.Effect<void> = Effect.map(Effect.context<never>(), (context) => {
    if (this.isLeased && this.end === undefined) this.lease.join(this, context)
  })

  /** Why it is not held; `undefined` while it is. Looks at the clock: timers may have been stopped with the process. */
  whyNot(late = 0): LossReason | undefined {
    if (this.end !== undefined) return this.end
    const over = this.session.endUnsafe()
    if (over !== undefined) this.lose(over)
    else if (this.isLeased && this.lease.remaining(this.halfTick, late) <= 0) this.lose("lease")
    return this.end
  }

  lose(reason: LeaseLoss): void {
    if (this.end !== undefined) return
    this.finish(reason)
    metrics.lose(this.options.context)
    Deferred.doneUnsafe(this.lost, Effect.fail(this.lossOf(reason)))
    for (const body of this.bodies) body.interruptUnsafe()
    const id = BigInt.asUintN(64, this.session.sessionId).toString(16)
    Effect.runForkWith(this.options.context)(
      Effect.annotateLogs(Effect.logWarning(this.lossOf(reason).message), { "zookeeper.session": `0x${id}` })
    )
    this.options.onEnd?.(reason)
  }

  lossOf(reason: LossReason): LockLost {
    return new LockLost({ path: this.path, reason })
  }

  private finish(reason: LossReason): void {
    this.end = reason
    this.lease.leave(this)
    metrics.held(this.session.nowUnsafe(soon) - this.since, this.options.context)
  }

  /** Holds it once more. */
  again(): void {
    this.count++
  }

  get isGivenBack(): boolean {
    return this.count <= 0
  }

  /**
   * Gives it back, or one hold of several. The nodes go in any case, also those of a lock that was lost: the session may
   * live. Tells whether it was held until now.
   */
  readonly release: Effect.Effect<boolean> = Effect.uninterruptible(Effect.suspend(() => {
    const wasHeld = this.whyNot(soon) === undefined
    if (--this.count > 0) return Effect.succeed(wasHeld)
    if (wasHeld) {
      this.finish("released")
      this.options.onEnd?.("released")
    }
    const [first, ...more] = this.nodes
    if (first !== undefined && more.length === 0) {
      return Effect.map(first.remove, (removal) => wasHeld && removal !== "missing")
    }
    return Effect.map(
      Effect.forEach(this.nodes, (node) => node.remove, { concurrency: "unbounded" }),
      (removals) => wasHeld && !removals.includes("missing")
    )
  }))

  // -- under it -------------------------------------------------------------------------------------------------------

  /** Looks whether it is lost. If that comes out only now, those who run under it have been interrupted. */
  isLostNow(): boolean {
    return this.end === undefined && this.whyNot(soon) !== undefined
  }

  /** Runs an effect as long as the lock is held. One that has succeeded by then has succeeded. */
  use<A, E, R>(body: Effect.Effect<A, E, R>): Effect.Effect<A, E | LockLost, R> {
    return Effect.uninterruptibleMask((restore) =>
      Effect.withFiber((parent) => {
        // By itself: the lock may be found to be lost before it waits for the first time, which is when we go on.
        const registered = Effect.withFiber<A, E, R>((fiber) => {
          this.bodies.add(fiber)
          return restore(body)
        })
        // Around the fork, so that the fiber is under the lock from its first step.
        const forked = Effect.forkChild(registered, { startImmediately: true, uninterruptible: "inherit" }).pipe(
          Effect.provideService(Held, [...parent.getRef(Held), this]),
          Effect.provideService(Scheduler.Scheduler, guardingScheduler(parent.getRef(Scheduler.Scheduler)))
        )
        return Effect.flatMap(
          forked,
          (fiber) => {
            let heldToTheEnd = false
            fiber.addObserver(() => {
              this.bodies.delete(fiber)
              heldToTheEnd = this.whyNot(soon) === undefined
            })
            return Effect.flatMap(
              Effect.onInterrupt(restore(Fiber.await(fiber)), () => Fiber.interrupt(fiber)),
              (exit) => this.verdict(exit, heldToTheEnd)
            )
          }
        )
      })
    )
  }

  private verdict<A, E>(exit: Exit.Exit<A, E>, heldToTheEnd: boolean): Effect.Effect<A, E | LockLost> {
    if (heldToTheEnd) return exit
    const reason = this.whyNot()
    const isOurs = reason !== undefined && reason !== "released"
    const isStopped = exit._tag === "Success" || Cause.hasInterruptsOnly(exit.cause)
    return isOurs && isStopped ? Effect.fail(this.lossOf(reason)) : exit
  }

  /** All of these operations while the nodes are there, or none. */
  guard<const Ops extends ReadonlyArray<ZkTransaction.WriteOp>>(
    ops: Ops
  ): Effect.Effect<ZkTransaction.WriteResults<Ops>, LockLost | MultiFailed | NoAuth | InvalidAcl | SessionError> {
    return Effect.suspend(() => {
      const reason = this.whyNot()
      if (reason !== undefined) return Effect.fail(this.lossOf(reason))
      const { nodes } = this
      const checks = nodes.map(({ path }) => ZkTransaction.check(path))
      return this.session.client.multi([...checks, ...ops]).pipe(
        // The results stand in the order of the operations, behind those of the checks.
        Effect.map((results) => results.slice(checks.length) as unknown as ZkTransaction.WriteResults<Ops>),
        Effect.catchTag("MultiFailed", (failed) => Effect.fail(this.guardFailure(failed, nodes)))
      )
    })
  }

  private guardFailure(failed: MultiFailed, nodes: ReadonlyArray<HeldNode>): MultiFailed | LockLost | NoAuth {
    const { cause, results } = failed
    const index = failed.index - nodes.length
    if (index >= 0) return new MultiFailed({ index, cause, results: results.slice(nodes.length) })
    if (cause._tag === "NoAuth") return cause
    // Others may stand for it by now.
    if (this.isMoving || this.nodes !== nodes) return this.lossOf(this.whyNot() ?? "downgraded")
    this.lose("removed")
    return this.lossOf(this.whyNot() ?? "removed")
  }
}

/** Steps of a fiber that does not wait for anything between two looks at the clock. */
const stepsAtMost = 16

/**
 * Looks at the locks that a fiber runs under ahead of its first step after each wait, and now and then in between: a
 * process that was frozen for longer than its session lives must not go on under a lock, and timers come too late for
 * that. A lock that is found to be lost interrupts its bodies, and these what they have forked, before this fiber goes on.
 */
class GuardingScheduler implements Scheduler.Scheduler {
  readonly executionMode: "sync" | "async"
  private readonly inner: Scheduler.Scheduler
  private steps = 0

  constructor(inner: Scheduler.Scheduler) {
    this.inner = inner
    this.executionMode = inner.executionMode
  }

  shouldYield(fiber: Fiber.Fiber<unknown, unknown>): boolean {
    if (fiber.currentOpCount === 1 || ++this.steps >= stepsAtMost) {
      this.steps = 0
      let isLost = false
      for (const hold of fiber.getRef(Held)) if (hold.isLostNow()) isLost = true
      if (isLost) return true
    }
    return this.inner.shouldYield(fiber)
  }

  makeDispatcher(): Scheduler.SchedulerDispatcher {
    return this.inner.makeDispatcher()
  }
}

const guarding = new WeakMap<Scheduler.Scheduler, GuardingScheduler>()

const guardingScheduler = (inner: Scheduler.Scheduler): Scheduler.Scheduler => {
  if (inner instanceof GuardingScheduler) return inner
  let made = guarding.get(inner)
  if (made === undefined) guarding.set(inner, made = new GuardingScheduler(inner))
  return made
}

/** Around what starts fibers that see to locks: they do not run under any. */
export const unguarded = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.provideService(effect, Held, [])
