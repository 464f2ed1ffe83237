/** An ephemeral node that is there as long as a scope: through deletions, lost sessions and other people's nodes. */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as Stream from "effect/Stream"
import type { Acl } from "../../ZkAcl.ts"
import type { CreateError, NodeData, ZkClient } from "../../ZkClient.ts"
import type { BadVersion } from "../../ZkError.ts"
import { NodeExists } from "../../ZkError.ts"
import type { MirrorNode } from "../../ZkMirror.ts"
import type { ZkSession } from "../../ZkSession.ts"
import type { Stat } from "../../ZkStat.ts"
import * as ZkTransaction from "../../ZkTransaction.ts"
import { backOff, maxTries } from "../contention.ts"
import { isPassing } from "../passing.ts"

export interface Keeper {
  /** Writes the data; the node, if it was gone, is there again with it. */
  readonly set: (data: Uint8Array) => Effect.Effect<Stat, CreateError>
  /** Makes the node anew if it is gone, without waiting for the copy to tell. */
  readonly restore: Effect.Effect<void, CreateError>
  /**
   * A write that demands the version that was read. A node that is made anew begins with version 0 again: so it is not
   * made anew meanwhile, and if it has been since then nothing is written, and this gives `false`.
   */
  readonly unlessNewer: <E>(read: Stat, write: Effect.Effect<boolean, E>) => Effect.Effect<boolean, E>
  readonly isOwn: (stat: Stat) => boolean
  /** What was read, or written by other ways, is what the node is to hold. */
  readonly onSeen: (node: Pick<NodeData, "data" | "stat">) => void
}

/** How long to wait before what has failed is tried again. */
const again = Schedule.min([Schedule.exponential("250 millis"), Schedule.spaced("15 seconds")]).pipe(Schedule.jittered)

/** How often others may write to a node that is about to be replaced. */
const maxReplacements = 8

class Kept {
  private session: ZkSession | undefined
  /** All of this client's that the node may have been made in. */
  private readonly sessions = new Set<bigint>()
  /** What the node is to hold, and the transaction that it is known from. */
  private data: Uint8Array | null
  private mzxid = -1n
  private readonly client: ZkClient
  private readonly path: string
  private readonly acl: ReadonlyArray<Acl> | undefined

  constructor(client: ZkClient, path: string, data: Uint8Array, acl: ReadonlyArray<Acl> | undefined) {
    this.client = client
    this.path = path
    this.data = data
    this.acl = acl
  }

  isOwn(stat: Stat): boolean {
    return stat.ephemeralOwner !== BigInt(0) && stat.ephemeralOwner === this.session?.sessionId
  }

  knowsNewer({ mzxid }: Stat): boolean {
    return this.mzxid > mzxid
  }

  /** Others may write to it as well. What is told late, and was replaced since, does not count. */
  onSeen({ data, stat }: Pick<NodeData, "data" | "stat">): void {
    if (!this.isOwn(stat) || stat.mzxid <= this.mzxid) return
    this.data = data
    this.mzxid = stat.mzxid
  }

  private enter(session: ZkSession): void {
    this.session = session
    this.sessions.add(session.sessionId)
  }

  private onMade(data: Uint8Array | null, stat: Stat): Stat {
    // Servers that have lost everything begin anew.
    this.mzxid = -1n
    this.onSeen({ data, stat })
    return stat
  }

  /** Gives the node as it was made, or nothing if there is one already. By default with what it is to hold. */
  readonly create = (data?: Uint8Array): Effect.Effect<Stat | undefined, CreateError> =>
    Effect.flatMap(this.client.session, (session) => {
      this.enter(session)
      const initial = data ?? this.data
      const options = { mode: "ephemeral", acl: this.acl, parents: true, idempotent: true } as const
      return session.client.create(this.path, initial, options).pipe(
        Effect.map(({ stat }) => this.onMade(initial, stat!)),
        Effect.catchTag("NodeExists", () => this.replace(session, initial, 1))
      )
    })

  /**
   * What an earlier session has left stays for as long as servers know that session, though for us it is over, and goes
   * without a word. Replaced in one transaction, so that there is no moment without a node. Gives it if that was done.
   */
  private replace(
    session: ZkSession,
    data: Uint8Array | null,
    tries: number
  ): Effect.Effect<Stat | undefined, CreateError> {
    const { client, sessionId } = session
    // Nearly always this is the first.
    if (this.sessions.size < 2) return Effect.succeed(undefined)
    return Effect.flatMap(client.exists(this.path), (found) => {
      if (Option.isNone(found)) return Effect.succeed(undefined)
      const { ephemeralOwner, version } = found.value
      if (ephemeralOwner === sessionId || !this.sessions.has(ephemeralOwner)) return Effect.succeed(undefined)
      return client.multi([
        ZkTransaction.delete(this.path, { version }),
        ZkTransaction.create(this.path, data, { mode: "ephemeral", acl: this.acl })
      ]).pipe(
        Effect.andThen(client.exists(this.path)),
        Effect.map((made) => Option.isSome(made) && this.isOwn(made.value) ? this.onMade(data, made.value) : undefined),
        Effect.catchTag("MultiFailed", ({ cause: { _tag } }) => {
          const isWrittenTo = _tag === "BadVersion" && tries < maxReplacements
          return isWrittenTo ? this.replace(session, data, tries + 1) : Effect.succeed(undefined)
        })
      )
    })
  }

  readonly replaceLeft = Effect.flatMap(Effect.suspend(() => this.client.session), (session) => {
    this.enter(session)
    return this.replace(session, this.data, 1)
  })

  readonly write = (data: Uint8Array) =>
    Effect.suspend(() =>
      Effect.tap(
        this.session!.client.setData(this.path, data),
        (stat) => Effect.sync(() => this.onSeen({ data, stat }))
      )
    )

  readonly remove = Effect.suspend(() =>
    this.session === undefined ? Effect.void : Effect.asVoid(this.session.remove(this.path, { onlyOwn: true }))
  )

  /** Nothing more can be done with the client, which may be that of one session only. */
  readonly isOver = (error: { readonly _tag: string }): Effect.Effect<boolean> => {
    if (error._tag !== "SessionExpired") {
      return Effect.succeed(error._tag === "SessionClosed" || error._tag === "AuthFailed")
    }
    return Effect.match(this.client.session, {
      onSuccess: (session) => session.endUnsafe() !== undefined,
      onFailure: (error) => !isPassing(error)
    })
  }
}

/** Ends with the scope, and the node with it. */
export const keep = (
  client: ZkClient,
  node: MirrorNode,
  data: Uint8Array,
  acl: ReadonlyArray<Acl> | undefined
): Effect.Effect<Keeper, CreateError, Scope.Scope> =>
  Effect.gen(function*() {
    const { path } = node
    const kept = new Kept(client, path, data, acl)
    const turn = yield* Semaphore.make(1)
    const ended = yield* Deferred.make<never>()
    /** One at a time, and none after the end. */
    const inTurn = <A, E>(effect: Effect.Effect<A, E>): Effect.Effect<A, E> =>
      turn.withPermit(Effect.raceFirst(Deferred.await(ended), effect))
    yield* Effect.addFinalizer(() => Effect.andThen(Deferred.interrupt(ended), turn.withPermit(kept.remove)))

    if ((yield* kept.create()) === undefined) {
      const found = yield* client.exists(path)
      if (Option.isSome(found) && found.value.ephemeralOwner === BigInt(0)) {
        return yield* new NodeExists({ operation: "make", path })
      }
    }

    const warn = (error: { readonly _tag: string; readonly message: string }, what: string) =>
      Effect.flatMap(
        kept.isOver(error),
        (isOver) => isOver ? Effect.void : Effect.logWarning(`${what}: ${error.message}`)
      )
    /** A node that goes before the copy has seen it: to the copy nothing has happened, so that nobody is told. */
    const createAndSee = (tries: number): Effect.Effect<void, CreateError> =>
      Effect.gen(function*() {
        const created = yield* inTurn(kept.create())
        yield* node.sync
        if ((yield* node.state)._tag !== "Missing") return
        // Others' node, which has gone, or may not be read.
        if (created === undefined) return yield* new NodeExists({ operation: "make", path })
        yield* backOff(tries)
        return yield* createAndSee(tries + 1)
      })
    const makeAnew = createAndSee(1).pipe(
      Effect.tapError((error) =>
        error._tag === "NodeExists" ? Effect.void : warn(error, `${path} cannot be made anew`)
      ),
      Effect.retry({ schedule: again, while: (error) => Effect.map(kept.isOver(error), (isOver) => !isOver) })
    )
    yield* node.changes.pipe(
      Stream.runForEach((state) => Option.isNone(state) ? makeAnew : Effect.sync(() => kept.onSeen(state.value))),
      // One that may not be read now may be missing later.
      Effect.tapError((error) => warn(error, `${path} cannot be followed`)),
      Effect.retry({ schedule: again, while: ({ _tag }) => _tag === "NoAuth" }),
      // Why it has ended was logged, unless that is the end of the client, of which its users hear by other ways.
      Effect.ignore,
      // Ahead of the finalizer above, so that nothing is made after the end.
      Effect.forkScoped({ startImmediately: true })
    )

    // Nothing has happened to such a node, so that the copy does not tell of it.
    yield* client.stateChanges.pipe(
      Stream.filter((state) => state._tag === "Connected"),
      Stream.changesWith((a, b) => a.sessionId === b.sessionId),
      Stream.runForEach(() =>
        inTurn(kept.replaceLeft).pipe(
          Effect.retry({ schedule: again, while: isPassing }),
          // Without it, or in a session after this one, the node is made when the old one has gone.
          Effect.ignore
        )
      ),
      Effect.forkScoped({ startImmediately: true })
    )

    /** The copy knows, unless it has been cut off: then anything may have happened to the node. */
    const isOwnNow = Effect.gen(function*() {
      if ((yield* node.freshness)._tag === "Live") {
        const state = yield* node.state
        return state._tag === "Present" && kept.isOwn(state.node.stat)
      }
      yield* client.sync(path)
      return Option.exists(yield* client.exists(path), (stat) => kept.isOwn(stat))
    }).pipe(
      // So is the node.
      Effect.catchTag("SessionExpired", () => Effect.succeed(false))
    )
    const attempt = (data: Uint8Array, isOwn: boolean, tries: number): Effect.Effect<Stat, CreateError> =>
      Effect.gen(function*() {
        const write: Effect.Effect<Stat | undefined, BadVersion | CreateError> = isOwn
          ? kept.write(data)
          : kept.create(data)
        const written = yield* Effect.result(write)
        if (written._tag === "Success" && written.success !== undefined) return written.success
        if (written._tag === "Failure") {
          const { failure } = written
          if (failure._tag === "BadVersion") return yield* Effect.die(failure)
          // What was written in a session that is over has gone with it.
          const isGone = failure._tag === "NoNode" || failure._tag === "SessionExpired"
          if (!isGone || tries === maxTries) return yield* failure
          return yield* attempt(data, false, tries + 1)
        }
        const found = yield* client.exists(path)
        const isOthers = Option.isSome(found) && !kept.isOwn(found.value)
        if (isOthers || tries === maxTries) return yield* new NodeExists({ operation: "set", path })
        if (Option.isNone(found)) yield* backOff(tries)
        return yield* attempt(data, Option.isSome(found), tries + 1)
      })

    return {
      set: (next) => inTurn(Effect.flatMap(isOwnNow, (isOwn) => attempt(next, isOwn, 1))),
      unlessNewer: (read, write) => inTurn(Effect.suspend(() => kept.knowsNewer(read) ? Effect.succeed(false) : write)),
      restore: inTurn(Effect.asVoid(kept.create())),
      isOwn: (stat) => kept.isOwn(stat),
      onSeen: (found) => kept.onSeen(found)
    }
  })
