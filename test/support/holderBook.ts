import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { ZkClient } from "../../src/ZkClient.ts"

interface Handle {
  readonly isHeld: Effect.Effect<boolean>
  /** The nodes that stand for it: `path` of a lock, `paths` of permits. */
  readonly path?: string
  readonly paths?: ReadonlyArray<string>
}

export interface Entry {
  readonly who: string
  /** Whoever asks for less may have it before the answer comes. */
  share: number | "exclusive"
  readonly session: bigint
  readonly handle: Handle
  /** In the midst of a body that runs under it. */
  isInside: boolean
  /** It has been taken away by force: whoever holds it hears of that later. */
  isTaken: boolean
}

/** Who believes to hold what, over all clients of a run. */
export class HolderBook {
  readonly problems: Array<string> = []
  readonly entries: Array<Entry> = []
  private readonly observer: ZkClient
  private readonly permits: number
  /** Sessions that were ended from outside: no client can know of that before it hears. */
  private readonly expired = new Set<bigint>()

  constructor(observer: ZkClient, permits: number | undefined) {
    this.observer = observer
    this.permits = permits ?? Infinity
  }

  expire(session: bigint): void {
    this.expired.add(session)
  }

  private believes(entry: Entry): boolean {
    if (entry.isTaken || this.expired.has(entry.session)) return false
    return entry.isInside || Effect.runSync(entry.handle.isHeld)
  }

  private look(when: string): void {
    const holders = this.entries.filter((entry) => this.believes(entry))
    const sum = holders.reduce((sum, { share }) => sum + (share === "exclusive" ? 1 : share), 0)
    const isMixed = holders.length > 1 && holders.some(({ share }) => share === "exclusive")
    if (isMixed || sum > this.permits) {
      this.problems.push(`${when}: ${holders.map(({ share, who }) => `${who} (${share})`).join(" and ")}`)
    }
  }

  /**
   * Somebody has got something: a lock, shared (1) or exclusive, or so many permits. Whoever believes that must be right:
   * there are the nodes.
   */
  granted(who: string, client: ZkClient, handle: Handle, share: Entry["share"]): Effect.Effect<Entry> {
    return Effect.orDie(Effect.gen({ self: this }, function*() {
      const { sessionId } = yield* client.session
      const entry: Entry = { who, share, session: sessionId, handle, isInside: false, isTaken: false }
      this.entries.push(entry)
      this.look(`when ${who} got it`)
      for (const path of handle.paths ?? [handle.path ?? ""]) {
        const found = yield* this.observer.exists(path)
        if (Option.isNone(found) && this.believes(entry)) this.problems.push(`${who} got it, and ${path} is not there`)
      }
      return entry
    }))
  }

  /** What runs under it: nobody else may be inside meanwhile. */
  inside<A, E, R>(entry: Entry, body: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    return Effect.acquireUseRelease(
      Effect.sync(() => {
        entry.isInside = true
        this.look(`when ${entry.who} began`)
      }),
      () => body,
      () =>
        Effect.sync(() => {
          this.look(`when ${entry.who} ended`)
          entry.isInside = false
        })
    )
  }

  /** Nobody holds anything any more. */
  allOver(): void {
    for (const { handle, isInside, who } of this.entries) {
      if (isInside || Effect.runSync(handle.isHeld)) this.problems.push(`${who} still believes to hold it`)
    }
  }
}
