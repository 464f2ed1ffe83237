/**
 * Candidates: ephemeral sequential nodes that wait in line below one node, for locks and every other queue.
 *
 * A candidate goes with its scope, whatever interrupts or disconnects its owner. It is recognized by the mark in its
 * name, so that a lost answer makes neither two of it nor one that nobody knows of.
 */
import * as Deferred from "effect/Deferred"

import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import type { Acl } from "../../ZkAcl.ts"
import type { CreateError, NodeData, ZkClient } from "../../ZkClient.ts"
import type { NoAuth, NoNode, SessionError } from "../../ZkError.ts"
import * as ZkPath from "../../ZkPath.ts"
import type { EphemeralNode, ZkSession } from "../../ZkSession.ts"
import { isPassing, pause } from "../passing.ts"
import { SequenceExhausted } from "./lockErrors.ts"
import { readNumber } from "./queue.ts"
import { within } from "./within.ts"

/** How often parents that vanish again, as empty containers do, are made anew. */
const maxRounds = 16

/** Why a candidate is no more, against its owner's will. */
export type Gone = "removed" | "expired" | "closed"

export interface Entry {
  readonly session: ZkSession
  /** The node below which candidates wait. */
  readonly parent: string
  /** The name without mark and number. */
  readonly name: string
  readonly mark: (uuid: string) => string
  readonly data: string
  readonly acl: ReadonlyArray<Acl> | undefined
}

export class Candidate {
  readonly session: ZkSession
  readonly parent: string
  readonly node: Pick<EphemeralNode, "path" | "remove">
  readonly name: string
  readonly gone = Deferred.makeUnsafe<Gone>()
  /** Whatever is read of the node's data, now and after each change. */
  onData: (node: NodeData) => void = () => {}
  onGone: (reason: Gone) => void = () => {}

  constructor(session: ZkSession, parent: string, node: Pick<EphemeralNode, "path" | "remove">) {
    this.session = session
    this.parent = parent
    this.node = node
    this.name = ZkPath.name(node.path)
  }

  isGone(reason: Gone): void {
    // A session that is ending deletes its nodes, and one hears of that first.
    const why = this.session.endUnsafe() ?? reason
    if (Deferred.doneUnsafe(this.gone, Effect.succeed(why))) this.onGone(why)
  }
}

/**
 * Reads, and what may be done twice, on and on while they fail for what passes by itself. An error that says what became of
 * the candidate, or that nothing will change by itself, ends the patience.
 */
export const patiently = <A, E extends { readonly _tag: string }, R>(
  effect: Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> =>
  Effect.catchIf(effect, isPassing, () => Effect.andThen(Effect.sleep(pause), Effect.suspend(() => patiently(effect))))

/** Waits for the session after one that is over, for a time; `false` if there will be none. */
export const hasNextSession = (client: ZkClient, over: bigint, millis: number | undefined): Effect.Effect<boolean> =>
  Effect.match(within(patiently(client.session), millis), {
    onSuccess: ({ sessionId }) => sessionId !== over,
    // Whoever goes on is told at once that the time is up.
    onFailure: ({ _tag }) => _tag === "TimedOut"
  })

/** What the end of a session means for its candidates. */
export const goneBy = (error: { readonly _tag: string }): Gone | undefined =>
  error._tag === "SessionExpired"
    ? "expired"
    : error._tag === "SessionClosed" || error._tag === "AuthFailed"
    ? "closed"
    : undefined

/** Both at once, the first ahead of the second; both have ended when this does. */
const together = <A, B, R1, R2>(
  first: Effect.Effect<A, never, R1>,
  second: Effect.Effect<B, never, R2>
): Effect.Effect<readonly [A, B], never, R1 | R2> =>
  Effect.flatMap(
    Effect.forkChild(first, { startImmediately: true, uninterruptible: "inherit" }),
    (fiber) =>
      Effect.onInterrupt(
        Effect.flatMap(second, (b) => Effect.map(Fiber.join(fiber), (a) => [a, b] as const)),
        () => Fiber.interrupt(fiber)
      )
  )

/**
 * Puts a candidate into the line, and lists it: both requests go out together. The list may be missing, or be older than
 * the candidate, when a connection was lost meanwhile.
 */
export const enter = Effect.fnUntraced(function*(
  entry: Entry
): Effect.fn.Return<
  {
    readonly candidate: Candidate
    /** The transaction that made it. */
    readonly czxid: bigint
    readonly names: ReadonlyArray<string> | undefined
  },
  CreateError | SequenceExhausted,
  Scope.Scope
> {
  const { acl, data, mark, parent, session } = entry
  const path = ZkPath.join(parent, entry.name)
  for (let round = 1;; round++) {
    const [created, listed] = yield* together(
      Effect.result(session.createEphemeral(path, data, { sequential: true, acl, mark })),
      Effect.result(session.client.getChildren(parent))
    )
    if (Result.isSuccess(created)) {
      const candidate = new Candidate(session, parent, created.success)
      // Numbers that have gone round come before those they should follow.
      const at = candidate.name.lastIndexOf(entry.name) + entry.name.length
      const sequence = readNumber(candidate.name.slice(at))
      if (sequence !== undefined && sequence >= 0) {
        const { czxid } = created.success.stat
        return { candidate, czxid, names: Result.isSuccess(listed) ? listed.success.children : undefined }
      }
      yield* candidate.node.remove
      return yield* new SequenceExhausted({ path: parent })
    }
    const { failure } = created
    if (failure._tag === "NodeExists") return yield* new SequenceExhausted({ path: parent })
    if (failure._tag !== "NoNode" || round === maxRounds) return yield* failure
    yield* session.client.ensurePath(parent, { mode: "container", acl })
  }
})

/**
 * The names in the line, the candidate's own among them; `undefined` when the candidate is gone. A list without it may
 * be older than it, but not behind a `sync`.
 */
export const list = Effect.fnUntraced(function*(
  candidate: Candidate,
  known?: ReadonlyArray<string>
): Effect.fn.Return<ReadonlyArray<string> | undefined, NoAuth | SessionError> {
  const { client } = candidate.session
  if (known?.includes(candidate.name)) return known
  const read = client.getChildren(candidate.parent).pipe(
    Effect.map(({ children }) => children),
    Effect.catchTag("NoNode", () => Effect.succeed<ReadonlyArray<string>>([]))
  )
  const names = yield* read
  if (names.includes(candidate.name)) return names
  yield* client.sync(candidate.parent)
  const again = yield* read
  if (again.includes(candidate.name)) return again
  candidate.isGone("removed")
  return undefined
})

/** Watches the candidate's own node: hears of messages that are written into it, and of its end. */
export const follow = (candidate: Candidate): Effect.Effect<void> => {
  const { client } = candidate.session
  const once = Effect.scoped(
    Effect.flatMap(client.getDataWatch(candidate.node.path), ({ fired, result }) => {
      candidate.onData(result)
      return fired
    })
  )
  return Effect.gen(function*() {
    while (true) {
      const event = yield* patiently(once)
      if (event._tag === "NodeDeleted") return candidate.isGone("removed")
    }
  }).pipe(
    Effect.catch((error) => {
      if (error._tag === "NoNode") return Effect.sync(() => candidate.isGone("removed"))
      const gone = goneBy(error)
      return gone !== undefined
        ? Effect.sync(() => candidate.isGone(gone))
        : Effect.logDebug(`${candidate.node.path} cannot be watched: ${error.message}`)
    }),
    Effect.withTracerEnabled(false)
  )
}

/** Waits until another candidate is no more. Its data may change meanwhile. */
export const awaitDeletion = (
  candidate: Candidate,
  name: string
): Effect.Effect<void, NoAuth | SessionError> => {
  const { client } = candidate.session
  const path = ZkPath.join(candidate.parent, name)
  const readable = Effect.map(client.getDataWatch(path), ({ fired }) => fired)
  // Since CVE-2024-23944 servers tell nobody of the end of a node that he may not read. The list that it is in does.
  const unreadable = Effect.map(
    client.getChildrenWatch(candidate.parent),
    ({ fired, result }) => result.children.includes(name) ? fired : Effect.succeed(undefined)
  )
  const once: Effect.Effect<boolean, NoAuth | NoNode | SessionError> = Effect.scoped(
    Effect.flatten(Effect.catchTag(readable, "NoAuth", () => unreadable))
  ).pipe(Effect.map((event) => event === undefined || event._tag === "NodeDeleted"))
  const loop: Effect.Effect<void, NoAuth | SessionError> = Effect.flatMap(
    Effect.catchTag(patiently(once), "NoNode", () => Effect.succeed(true)),
    (deleted) => deleted ? Effect.void : loop
  )
  return loop
}
