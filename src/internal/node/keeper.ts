/** An ephemeral node that is there as long as a scope: through deletions, lost sessions and other people's nodes. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as Stream from "effect/Stream"
import type { Acl } from "../../ZkAcl.ts"
import type { CreateError, ZkClient } from "../../ZkClient.ts"
import { NodeExists } from "../../ZkError.ts"
import type { MirrorNode } from "../../ZkMirror.ts"
import type { ZkSession } from "../../ZkSession.ts"
import type { Stat } from "../../ZkStat.ts"
import { maxTries } from "../contention.ts"

export interface Keeper {
  /** Writes the data; the node, if it was gone, is there again with it. */
  readonly set: (data: Uint8Array) => Effect.Effect<Stat, CreateError>
}

/** How long to wait before what has failed is tried again. */
const again = Schedule.min([Schedule.exponential("250 millis"), Schedule.spaced("15 seconds")]).pipe(Schedule.jittered)

class Kept {
  /** What the node is to hold. */
  data: Uint8Array | null
  session: ZkSession | undefined
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

  /** Gives the node as it was made, or nothing if there is one already. */
  readonly create: Effect.Effect<Stat | undefined, CreateError> = Effect.suspend(() => {
    const { acl, data, path } = this
    return Effect.flatMap(this.client.session, (session) => {
      this.session = session
      return session.client.create(path, data, { mode: "ephemeral", acl, parents: true, idempotent: true }).pipe(
        Effect.map(({ stat }) => stat),
        Effect.catchTag("NodeExists", () => Effect.succeed(undefined))
      )
    })
  })
}

/** Nothing more can be done with the client. */
const isOver = (error: { readonly _tag: string }): boolean =>
  error._tag === "SessionClosed" || error._tag === "AuthFailed"

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
    yield* Effect.addFinalizer(() =>
      Effect.flatMap(node.state, (state) => {
        // What was made and not seen yet is our own.
        const isOthers = state._tag === "Present" && !kept.isOwn(state.node.stat)
        return kept.session === undefined || isOthers ? Effect.void : kept.session.remove(path)
      })
    )

    if ((yield* kept.create) === undefined) {
      const found = yield* client.exists(path)
      if (Option.isSome(found) && found.value.ephemeralOwner === BigInt(0)) {
        return yield* new NodeExists({ operation: "make", path })
      }
    }

    const makeAnew = turn.withPermit(kept.create).pipe(
      Effect.tapError((error) =>
        isOver(error) ? Effect.void : Effect.logWarning(`${path} cannot be made anew: ${error.message}`)
      ),
      Effect.retry({ schedule: again, while: (error) => !isOver(error) })
    )
    yield* node.changes.pipe(
      Stream.runForEach((state) =>
        Option.isNone(state) ? Effect.asVoid(makeAnew) : Effect.sync(() => {
          // Others may have written to it.
          if (kept.isOwn(state.value.stat)) kept.data = state.value.data
        })
      ),
      Effect.catch((error) =>
        isOver(error) ? Effect.void : Effect.logWarning(`${path} is not followed any more: ${error.message}`)
      ),
      // Ahead of the finalizer above, so that nothing is made after the end.
      Effect.forkScoped({ startImmediately: true })
    )

    const attempt = (tries: number): Effect.Effect<Stat, CreateError> =>
      Effect.gen(function*() {
        const state = yield* node.state
        if (state._tag === "Present" && kept.isOwn(state.node.stat)) {
          const set = yield* Effect.result(kept.session!.client.setData(path, kept.data))
          if (set._tag === "Success") return set.success
          if (set.failure._tag === "BadVersion") return yield* Effect.die(set.failure)
          if (set.failure._tag !== "NoNode" || tries === maxTries) return yield* set.failure
        }
        const created = yield* kept.create
        if (created !== undefined) return created
        yield* node.sync
        const found = yield* node.state
        const isOwn = found._tag === "Present" && kept.isOwn(found.node.stat)
        if (!isOwn || tries === maxTries) return yield* new NodeExists({ operation: "set", path })
        return yield* attempt(tries + 1)
      })

    return {
      set: (next) =>
        turn.withPermit(Effect.suspend(() => {
          kept.data = next
          return attempt(1)
        }))
    }
  })
