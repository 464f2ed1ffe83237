/**
 * How long a session is known to be alive.
 *
 * Neither an open connection nor answered pings and reads prove anything: a follower that is cut off from its leader
 * goes on answering them for a while, and the leader ends the session meanwhile. An answered write went through the
 * leader. So what is held is held until the session timeout after the newest of these was *sent*, less a margin.
 */
import type * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { MultiFailed, SessionError } from "../../ZkError.ts"
import type { ZkSession } from "../../ZkSession.ts"
import { pause } from "../passing.ts"

/** Why something held is held no more. */
export type LossReason = "lease" | "removed" | "expired" | "suspended" | "closed"

/** Something that is held as long as the session lives and its nodes are there. */
export interface Member {
  readonly paths: ReadonlyArray<string>
  /** Half a tick of the servers in milliseconds, if known. */
  readonly halfTick: number | undefined
  readonly lose: (reason: LossReason) => void
}

/** Nodes that one transaction checks; of more, the next ones come next time. */
const checksAtOnce = 1000

/** In milliseconds. */
const longestSleep = 200

/** Milliseconds by which a machine's sleep may be noticed late, where nobody asks for the time to act on it. */
export const soon = 5

const leases = new WeakMap<ZkSession, Lease>()

/** The lease of a session: one for everything that is held in it. */
export const leaseOf = (session: ZkSession): Lease => {
  const known = leases.get(session)
  if (known !== undefined) return known
  const made = new Lease(session)
  leases.set(session, made)
  return made
}

export class Lease {
  private readonly session: ZkSession
  private readonly members = new Set<Member>()
  private isKeptUp = false
  private isWatched = false
  private checkedUpTo = 0

  constructor(session: ZkSession) {
    this.session = session
  }

  private timeout(): number {
    return Duration.toMillis(this.session.timeoutUnsafe())
  }

  /** When it ends, in the session's time. */
  endsAt(halfTick: number | undefined): number {
    const timeout = this.timeout()
    // Our own longest silence; what a follower keeps to itself, which is half a tick, and two ticks are the least
    // session timeout there is; and clocks that do not run alike.
    const margin = timeout / 6 + Math.min(halfTick ?? Infinity, timeout / 4) + timeout / 100
    return this.session.committedAtUnsafe() + timeout - margin
  }

  /** A machine's sleep may be noticed so many milliseconds late. */
  remaining(halfTick: number | undefined, late = 0): number {
    return this.endsAt(halfTick) - this.session.nowUnsafe(late)
  }

  /** More than half of it is over: what is about to be granted should have a new one. */
  isStale(halfTick: number | undefined): boolean {
    return this.remaining(halfTick, soon) < this.timeout() / 4
  }

  /** Renews it, by a write that changes nothing: it fails unless these nodes are there. */
  prove(paths: ReadonlyArray<string>): Effect.Effect<void, MultiFailed | SessionError> {
    return this.session.commit(paths)
  }

  /**
   * Keeps the lease up and tells the member when it is over, until it leaves. The fibers for that end at their next look
   * after the last one has left: locks that are held for a moment, one after the other, need not start them each time.
   */
  join(member: Member, context: Context.Context<never>): void {
    this.members.add(member)
    const fork = Effect.runForkWith(context)
    if (!this.isKeptUp) {
      this.isKeptUp = true
      fork(this.keepUp)
    }
    if (!this.isWatched) {
      this.isWatched = true
      fork(this.expire)
    }
  }

  leave(member: Member): void {
    this.members.delete(member)
  }

  private loseAll(reason: LossReason): void {
    for (const member of [...this.members]) member.lose(reason)
  }

  /** Not for long at a time: a new connection may have brought a shorter session timeout. */
  private sleepUntil(time: number): Effect.Effect<void> {
    // A little late, so that the time has then come.
    const millis = Math.max(0, Math.ceil(time - this.session.nowUnsafe(soon)))
    return Effect.sleep(Duration.millis(Math.min(millis, longestSleep)))
  }

  private nextChecks(): ReadonlyArray<readonly [path: string, member: Member]> {
    const all = [...this.members].flatMap((member) => member.paths.map((path) => [path, member] as const))
    if (all.length <= checksAtOnce) return all
    if (this.checkedUpTo >= all.length) this.checkedUpTo = 0
    const next = all.slice(this.checkedUpTo, this.checkedUpTo + checksAtOnce)
    this.checkedUpTo += checksAtOnce
    return next
  }

  // Whoever joins starts what does not run: so it is told in one step with the last look that it does not.

  /** A write every sixth of the timeout, which looks after the nodes as well. */
  private readonly keepUp: Effect.Effect<void> = Effect.gen({ self: this }, function*() {
    let last = this.session.committedAtUnsafe()
    while (this.members.size > 0) {
      const next = last + this.timeout() / 6
      const now = this.session.nowUnsafe(soon)
      if (now < next) {
        yield* this.sleepUntil(next)
        continue
      }

      const checks = this.nextChecks()
      if (checks.length === 0) {
        yield* Effect.sleep(pause)
        continue
      }
      const failure = yield* this.session.commit(checks.map(([path]) => path), { urgent: true }).pipe(
        Effect.as(undefined),
        Effect.catch(Effect.succeed),
        Effect.withTracerEnabled(false)
      )
      if (failure === undefined) {
        last = now
        continue
      }
      switch (failure._tag) {
        case "MultiFailed": {
          // Not to be seen here for want of rights: it says nothing, but that the session is known.
          if (failure.cause._tag === "NoNode") checks[failure.index]?.[1].lose("removed")
          else last = now
          break
        }
        case "SessionExpired":
          this.isKeptUp = false
          return this.loseAll("expired")
        case "SessionClosed":
        case "AuthFailed":
          this.isKeptUp = false
          return this.loseAll("closed")
        default:
          yield* Effect.sleep(pause)
      }
    }
    this.isKeptUp = false
  })

  private readonly expire: Effect.Effect<void> = Effect.gen({ self: this }, function*() {
    while (this.members.size > 0) {
      // Whoever joins meanwhile has no earlier end than this, unless it is over.
      const earliest = this.endsAt(undefined)
      let first = earliest > this.session.nowUnsafe(soon) ? earliest : Infinity
      for (const member of [...this.members]) {
        const end = this.endsAt(member.halfTick)
        if (this.session.nowUnsafe(soon) >= end) member.lose("lease")
        else first = Math.min(first, end)
      }
      yield* this.sleepUntil(first)
    }
    this.isWatched = false
  })
}
