/**
 * Taking a value out, so that nobody else gets it.
 *
 * A delete with a version does not do: a node that was deleted and made anew in between has the same version again, and
 * what is deleted then is not what was read. A node with children cannot be deleted, though, not by anybody. So whoever
 * takes a value out first puts a claim below the node: an ephemeral, numbered child. While it is there the node stays the
 * same one, and its version tells whether its data does. Of several claims that with the lowest number goes first, the
 * others step back. One transaction then deletes the claims and the node, if its data is still what was read.
 *
 * The transaction also creates a mark, which nobody else has a name for, and which is deleted at once: when the answer is
 * lost, whether it is there tells what became of the transaction, as long as the session lives.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import type { NodeData, ZkClient } from "../../ZkClient.ts"
import type { ValueDecodeError } from "../../ZkCodec.ts"
import type { MultiFailed, NoAuth, NodeExists, NoNode, SessionError } from "../../ZkError.ts"
import {
  ConnectionLoss,
  isSessionError,
  maybeApplied,
  NotEmpty,
  OperationTimeout,
  SessionClosed,
  SessionExpired,
  WriteConflict
} from "../../ZkError.ts"
import * as ZkPath from "../../ZkPath.ts"
import type { EphemeralNode, ZkSession } from "../../ZkSession.ts"
import * as ZkTransaction from "../../ZkTransaction.ts"
import { backOff, maxTries } from "../contention.ts"
import { makeUuid } from "../uuid.ts"
import { PopInDoubt } from "./dictErrors.ts"
import type { StorePopError } from "./store.ts"

/** How long to wait for somebody else's claim: its owner takes no time, unless it is cut off and its session has to end. */
const patience = "15 seconds"

const isClaim = (name: string): boolean => /^_c_.*-pop-\d{10}$/.test(name)

/** Waits until a node is gone; gives whether it is. */
const awaitGone = (client: ZkClient, path: string): Effect.Effect<boolean, NoAuth | SessionError> => {
  const gone = Effect.scoped(Effect.flatMap(
    client.existsWatch(path),
    ({ fired, result }) => Option.isNone(result) ? Effect.void : Effect.asVoid(fired)
  ))
  return Effect.map(Effect.timeoutOption(gone, patience), Option.isSome)
}

const markOf = (uuid: string): string => `_c_${uuid}-popped`

/** Names that are for a moment beside what is popped. */
export const isMark = (name: string): boolean => /^_c_[0-9a-f-]{36}-popped$/.test(name)

const lowest = (names: ReadonlyArray<string>): string | undefined => {
  const numberOf = (name: string) => ZkPath.sequence(name) ?? Infinity
  return names.reduce<string | undefined>(
    (first, name) => first === undefined || numberOf(name) < numberOf(first) ? name : first,
    undefined
  )
}

/**
 * What to do about a node that cannot be deleted for its children: when they are claims they go by themselves. Gives
 * whether to try again.
 */
export const awaitClaims = (
  client: ZkClient,
  path: string,
  operation: string
): Effect.Effect<boolean, NoAuth | WriteConflict | SessionError> =>
  client.getChildren(path).pipe(
    Effect.flatMap(({ children }) => {
      if (!children.every(isClaim)) return Effect.succeed(false)
      const first = lowest(children)
      if (first === undefined) return Effect.succeed(true)
      return Effect.flatMap(
        awaitGone(client, ZkPath.join(path, first)),
        (isGone) => isGone ? Effect.succeed(true) : Effect.fail(new WriteConflict({ operation, path, tries: 1 }))
      )
    }),
    Effect.catchTag("NoNode", () => Effect.succeed(true))
  )

/** `again`: nothing was changed, and somebody else was in the way. `moved`: not for good, the claim stands. */
type Attempt<A> = "again" | "moved" | Option.Option<A>

const fromCause = ({ cause }: MultiFailed) => {
  switch (cause._tag) {
    // Others have written, come or gone: to be looked at again.
    case "NoNode":
    case "BadVersion":
    case "NotEmpty":
      return Effect.succeed("moved" as const)
    // Processes that were cloned have the same chance.
    case "NodeExists":
      return Effect.succeed("again" as const)
    // Only the mark has an ACL, an open one.
    case "InvalidAcl":
      return Effect.die(cause)
    default:
      return Effect.fail(cause)
  }
}

/** What became of the transaction, its answer having been lost. `undefined`: that cannot be known. */
const findOut = (
  client: ZkClient,
  session: ZkSession,
  claim: EphemeralNode,
  mark: string,
  path: string,
  node: NodeData,
  error: SessionError
): Effect.Effect<"done" | "undone" | undefined, NoAuth | SessionError> => {
  if (error._tag === "ConnectionLoss") {
    return Effect.andThen(
      session.client.sync(path),
      Effect.map(session.client.exists(mark), (found) => Option.isSome(found) ? "done" : "undone")
    ).pipe(
      Effect.catchTag("SessionExpired", (expired) => findOut(client, session, claim, mark, path, node, expired))
    )
  }
  // Where the claim is gone and the node is still the same one, the transaction was not applied, nor can it be. Servers
  // may still know a session that ended by our own clock.
  if (error._tag === "SessionExpired") {
    return Effect.gen(function*() {
      yield* client.sync(path)
      if (!(yield* awaitGone(client, claim.path))) return undefined
      const found = yield* client.exists(path)
      return Option.isSome(found) && found.value.czxid === node.stat.czxid ? "undone" : undefined
    })
  }
  return Effect.succeed(undefined)
}

/** What became of a claim says nothing of the key: that is as it was. */
const unapplied = <E>(path: string, error: E): E | SessionError => {
  const outcome = { operation: "pop", path, maybeApplied: false }
  if (error instanceof ConnectionLoss) return new ConnectionLoss({ ...outcome, reason: error.reason })
  if (error instanceof OperationTimeout) return new OperationTimeout({ ...outcome, timeout: error.timeout })
  if (error instanceof SessionExpired) return new SessionExpired({ ...outcome, sessionId: error.sessionId })
  return error instanceof SessionClosed ? new SessionClosed(outcome) : error
}

/** Takes the value out if the claim is the one that goes first. */
const takeFirst = Effect.fnUntraced(function*<A>(
  client: ZkClient,
  session: ZkSession,
  path: string,
  claim: EphemeralNode,
  mark: string,
  decode: (node: NodeData) => Effect.Effect<A, ValueDecodeError>
): Effect.fn.Return<Attempt<A>, StorePopError<A> | NoNode> {
  const [node, { children }] = yield* Effect.all([session.client.getData(path), session.client.getChildren(path)], {
    concurrency: 2
  })
  if (!children.every(isClaim)) return yield* new NotEmpty({ operation: "pop", path })
  const first = lowest(children)
  if (first !== ZkPath.name(claim.path)) {
    yield* claim.remove
    if (first === undefined || (yield* awaitGone(session.client, ZkPath.join(path, first)))) return "again"
    return yield* new WriteConflict({ operation: "pop", path, tries: 1 })
  }
  const value = yield* decode(node)
  const ops = [
    ...children.map((child) => ZkTransaction.delete(ZkPath.join(path, child))),
    ZkTransaction.delete(path, { version: node.stat.version }),
    ZkTransaction.create(mark, null, { mode: "ephemeral" })
  ]
  const inDoubt = (reason: string) => new PopInDoubt({ path, value: Redacted.make(value), reason })
  return yield* session.client.multi(ops).pipe(
    Effect.as(Option.some(value)),
    Effect.catchTags({
      MultiFailed: fromCause,
      // Of the mark, which has an open one.
      InvalidAcl: Effect.die
    }),
    Effect.catch((error): Effect.Effect<Attempt<A>, StorePopError<A>> => {
      if (!maybeApplied(error) || !isSessionError(error)) return Effect.fail(error)
      return Effect.matchEffect(findOut(client, session, claim, mark, path, node, error), {
        onSuccess: (outcome) => {
          if (outcome === undefined) return Effect.fail(inDoubt(error.message))
          return Effect.succeed(outcome === "done" ? Option.some(value) : "again")
        },
        onFailure: (later) => Effect.fail(inDoubt(`${error.message}, then ${later.message}`))
      })
    })
  )
})

const take = Effect.fnUntraced(function*<A>(
  client: ZkClient,
  session: ZkSession,
  path: string,
  mark: string,
  decode: (node: NodeData) => Effect.Effect<A, ValueDecodeError>
): Effect.fn.Return<"again" | Option.Option<A>, StorePopError<A> | NodeExists | NoNode, Scope.Scope> {
  const claim = yield* session.createEphemeral(ZkPath.join(path, "pop-"), null, { sequential: true }).pipe(
    Effect.catchTags({
      NoNode: () => Effect.succeed(undefined),
      // It is an open one.
      InvalidAcl: Effect.die
    }),
    Effect.mapError((error) => unapplied(path, error))
  )
  if (claim === undefined) return Option.none<A>()
  // Claims come and go while the first one is at it. If it gave way to them all would go on giving way to each other.
  for (let tries = 1; tries <= maxTries; tries++) {
    const outcome = yield* takeFirst(client, session, path, claim, mark, decode)
    if (outcome !== "moved") return outcome
    yield* backOff(tries)
  }
  return yield* new WriteConflict({ operation: "pop", path, tries: maxTries })
})

/**
 * Takes a value out by way of a claim and a mark. What is left of them is deleted in the background: where a server is
 * silent nobody has to wait for that.
 */
const takeWithin = <A>(
  client: ZkClient,
  session: ZkSession,
  path: string,
  decode: (node: NodeData) => Effect.Effect<A, ValueDecodeError>
) =>
  Effect.flatMap(makeUuid, (uuid) => {
    const mark = ZkPath.join(ZkPath.parent(path)!, markOf(uuid))
    return Effect.acquireUseRelease(
      Scope.make(),
      (scope) => Effect.provideService(take(client, session, path, mark, decode), Scope.Scope, scope),
      (scope, exit) => {
        const outcome = Exit.isSuccess(exit) ? exit.value : "again"
        const unmark = Effect.asVoid(session.remove(mark))
        if (outcome === "again") {
          return Effect.forkDetach(Effect.andThen(Scope.close(scope, exit), unmark), { startImmediately: true })
        }
        // With the node the claim has gone, too; where there was no node there is nothing.
        return Option.isNone(outcome) ? Effect.void : Effect.forkDetach(unmark, { startImmediately: true })
      }
    )
  })

/** Deletes a node, and gives what it held to nobody but the caller; none if there is no such node. */
export const popNode = <A>(
  client: ZkClient,
  path: string,
  decode: (node: NodeData) => Effect.Effect<A, ValueDecodeError>
): Effect.Effect<Option.Option<A>, StorePopError<A>> => {
  const attempt = (tries: number): Effect.Effect<Option.Option<A>, StorePopError<A>> =>
    Effect.flatMap(client.session, (session) => takeWithin(client, session, path, decode)).pipe(
      Effect.catchTags({
        // The node has gone while its claim was looked for: with the claim's session, or by way of a lower claim.
        NoNode: () => Effect.succeed("again" as const),
        // The numbers of claims have run out.
        NodeExists: () => Effect.fail(new WriteConflict({ operation: "pop", path, tries })),
        // A client that is bound to a session has no other.
        SessionExpired: (error) =>
          Effect.flatMap(
            Effect.result(client.session),
            (next) =>
              next._tag === "Success" && next.success.endUnsafe() === undefined
                ? Effect.succeed("again" as const)
                : Effect.fail(error)
          )
      }),
      Effect.flatMap((outcome) => {
        if (outcome !== "again") return Effect.succeed(outcome)
        if (tries === maxTries) return Effect.fail(new WriteConflict({ operation: "pop", path, tries }))
        return Effect.andThen(backOff(tries), attempt(tries + 1))
      })
    )
  return attempt(1)
}
