/**
 * Writes whose lost answer is resolved, where the truth can be known.
 *
 * After a reconnect, `sync` makes a server catch up with everything that the old connection can have brought about: the
 * servers refuse what a session left under way on a server that it has moved away from. So what is not to be seen
 * behind a `sync` was not applied, and never will be.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type { CreateError, CreateOptions, ZkClient } from "../../ZkClient.ts"
import type { BadVersion, ConnectionLoss, NoAuth, NoNode, QuotaExceeded, SessionError } from "../../ZkError.ts"
import {
  BadVersion as BadVersionError,
  InvalidInput,
  maybeApplied,
  NodeExists,
  SessionClosed,
  SessionExpired
} from "../../ZkError.ts"
import * as ZkPath from "../../ZkPath.ts"
import type { Stat } from "../../ZkStat.ts"
import type { Created, Data } from "../../ZkTransaction.ts"
import { isSameBytes } from "../bytes.ts"
import type { ExecuteOptions } from "../engine.ts"
import { pause } from "../passing.ts"
import { Exists, GetChildren, GetData, Sync } from "../protocol/requests.ts"
import { makeUuid } from "../uuid.ts"
import type { Core } from "./core.ts"
import { run } from "./core.ts"
import { isEphemeral, isSequential, toData, toDelete, toServerPath, toSetData } from "./input.ts"
import { createNode, operations } from "./operations.ts"

/** How often an answer may be lost before its loss is passed on. */
const maxTries = 5

export type Lost = ConnectionLoss | SessionExpired

/**
 * What was lost with a session or a connection can be looked for. A closed client cannot look, and an operation whose
 * time is up must not begin anew.
 */
export const isLost = (error: { readonly _tag: string }): error is Lost =>
  maybeApplied(error) && (error._tag === "ConnectionLoss" || error._tag === "SessionExpired")

/**
 * The error of a write whose answer was lost, and which a later request failed to find out about: that one's error would
 * say that nothing had been applied.
 */
export const leftOpen = (lost: Lost, later: { readonly _tag: string }): Lost | SessionClosed => {
  const outcome = { operation: lost.operation, path: lost.path, maybeApplied: true }
  if (later instanceof SessionExpired) return new SessionExpired({ ...outcome, sessionId: later.sessionId })
  return later instanceof SessionClosed ? new SessionClosed(outcome) : lost
}

/**
 * Reads again when their session ends before they are answered: the next one tells as much. Of a client that is bound to
 * a session that fails at once.
 */
export const inTheNext = <A, E extends { readonly _tag: string }, R>(
  reads: Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> => Effect.retry(reads, { times: maxTries, while: ({ _tag }) => _tag === "SessionExpired" })

const syncAt = (core: Core, serverPath: string, path: string, options: ExecuteOptions) =>
  run(core, operations.sync, new Sync(serverPath), path, options)

// -- names that carry a mark ------------------------------------------------------------------------------------------

const defaultMark = (uuid: string): string => `_c_${uuid}-`

interface Marked {
  readonly core: Core
  readonly parent: string
  readonly serverParent: string
  readonly mark: string
}

/** The node that carries a mark, as a server that has caught up knows it. */
const findMarked = Effect.fnUntraced(function*(
  marked: Marked,
  options: ExecuteOptions
): Effect.fn.Return<Option.Option<Created>, NoAuth | SessionError> {
  const { core, parent, serverParent } = marked
  yield* syncAt(core, serverParent, parent, options)
  const listed = yield* run(core, operations.getChildren, new GetChildren(serverParent, false), parent, options).pipe(
    Effect.map((node) => node.children),
    Effect.catchTag("NoNode", () => Effect.succeed([]))
  )
  // A mark is as unique as chance makes it, which it does not for processes that were cloned: there may be others' nodes.
  for (const name of listed.filter((child) => child.startsWith(marked.mark))) {
    const path = ZkPath.join(parent, name)
    const request = new Exists(ZkPath.join(serverParent, name), false)
    const stat = yield* run(core, operations.exists, request, path, options).pipe(
      Effect.catchTag("NoNode", () => Effect.succeed(undefined))
    )
    if (stat !== undefined && isOwn(stat, options.session)) return Option.some<Created>({ path, stat })
  }
  return Option.none<Created>()
})

/** For nodes that are bound to a session. */
const isOwn = (stat: Stat, session: bigint | undefined): boolean =>
  session === undefined || stat.ephemeralOwner === session

const removeNode = (core: Core, path: string, options: ExecuteOptions) =>
  Effect.catchTag(
    run(core, operations.delete, toDelete(core.chroot, path, undefined), path, options),
    "NoNode",
    () => Effect.void
  )

/** Deletes what may have been made for somebody who does not want it any more. Goes on until it knows. */
const removeMarked = (marked: Marked, options: ExecuteOptions): Effect.Effect<void> =>
  findMarked(marked, options).pipe(
    Effect.flatMap((found) => Option.isNone(found) ? Effect.void : removeNode(marked.core, found.value.path, options)),
    Effect.catch((error) => {
      switch (error._tag) {
        // An ephemeral node goes with its session; the end of the client leaves nothing to be done.
        case "SessionClosed":
          return Effect.void
        case "SessionExpired":
          return options.session === undefined ? later(removeMarked(marked, options)) : Effect.void
        case "NoAuth":
        case "AuthFailed":
        case "InvalidPath":
        case "InvalidInput":
          return Effect.logWarning(
            `a node ${marked.mark} below ${marked.parent} may have been left behind: ${error.message}`
          )
        default:
          return later(removeMarked(marked, options))
      }
    })
  )

const later = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.andThen(Effect.sleep(pause), effect)

/**
 * For regions that cannot be interrupted besides what `restore` lets be: whatever happens, either the caller has the
 * node in hand when this ends, or the node is seen to.
 */
export const protectedCreate = (
  core: Core,
  path: string,
  data: Data | undefined,
  options: CreateOptions | undefined,
  makeMark: ((uuid: string) => string) | undefined,
  restore: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
): Effect.Effect<Created, CreateError> =>
  Effect.flatMap(makeUuid, (uuid) => {
    const slash = path.lastIndexOf("/")
    const mark = (makeMark ?? defaultMark)(uuid)
    const markedPath = `${path.slice(0, slash + 1)}${mark}${path.slice(slash + 1)}`
    const reason = ZkPath.problem(markedPath, { sequential: isSequential(options?.mode) })
    if (reason !== undefined) return createNode(core, path, data, options)
    const parent = slash <= 0 ? "/" : path.slice(0, slash)
    const marked: Marked = { core, parent, serverParent: core.chroot.toServer(parent), mark }
    const bound = isEphemeral(options?.mode)
    let written = false
    let session = core.session
    const onWrite = () => {
      written = true
      session ??= core.engine.sessionId()
    }
    const execute = (): ExecuteOptions => ({ onWrite, session: bound ? session : undefined })
    const attempt = (tries: number): Effect.Effect<Created, CreateError> =>
      Effect.catch(createNode(core, markedPath, data, options, execute()), (error) => {
        const isGone = bound && error._tag === "SessionExpired"
        if (!isLost(error) || isGone || tries === maxTries) return Effect.fail(error)
        const look = findMarked(marked, { session: bound ? session : undefined })
        return Effect.flatMap(
          Effect.mapError(look, (later) => leftOpen(error, later)),
          (found) => Option.isSome(found) ? Effect.succeed(found.value) : attempt(tries + 1)
        )
      })
    return Effect.flatMap(Effect.exit(restore(attempt(1))), (exit) => {
      const isUnknown = Exit.isFailure(exit) && written &&
        (Cause.hasInterrupts(exit.cause) ||
          exit.cause.reasons.some((r) => r._tag === "Fail" && maybeApplied(r.error)))
      const isOver = bound && session !== core.engine.sessionId()
      if (isUnknown && !isOver) {
        core.engine.background(removeMarked(marked, { session: bound ? session : undefined, whileClosing: true }))
      }
      return exit
    })
  })

export const createProtected = (
  core: Core,
  path: string,
  data: Data | undefined,
  options: CreateOptions | undefined
): Effect.Effect<Created, CreateError> =>
  Effect.uninterruptibleMask((restore) => protectedCreate(core, path, data, options, undefined, restore))

// -- one node ---------------------------------------------------------------------------------------------------------

const statAt = (core: Core, path: string, serverPath: string, options: ExecuteOptions) =>
  Effect.andThen(
    syncAt(core, serverPath, path, options),
    run(core, operations.exists, new Exists(serverPath, false), path, options).pipe(
      Effect.map(Option.some),
      Effect.catchTag("NoNode", () => Effect.succeed(Option.none<Stat>()))
    )
  )

export const createIdempotent = (
  core: Core,
  path: string,
  data: Data | undefined,
  options: CreateOptions | undefined
): Effect.Effect<Created, CreateError> =>
  Effect.suspend(() => {
    if (isSequential(options?.mode)) {
      const reason = "a sequential node has no name to find it by: use createProtected"
      return Effect.fail(new InvalidInput({ operation: "create", path, reason }))
    }
    const before = core.engine.lastZxid()
    const bound = isEphemeral(options?.mode)
    let session: bigint | undefined
    const onWrite = () => {
      session ??= core.engine.sessionId()
    }
    const attempt = (tries: number): Effect.Effect<Created, CreateError> => {
      const execute: ExecuteOptions = { onWrite, session: bound ? session : undefined }
      return Effect.catch(createNode(core, path, data, options, execute), (error) => {
        const isGone = bound && error._tag === "SessionExpired"
        if (!isLost(error) || isGone || tries === maxTries) return Effect.fail(error)
        const look = statAt(core, path, core.chroot.toServer(path), { session: bound ? session : undefined })
        return Effect.flatMap(Effect.mapError(look, (later) => leftOpen(error, later)), (found) => {
          if (Option.isNone(found)) return attempt(tries + 1)
          const stat = found.value
          if (bound && stat.ephemeralOwner === session) return Effect.succeed<Created>({ path, stat })
          // Older than the request, or somebody's ephemeral: not made by it.
          const isOthers = stat.czxid <= before || bound || stat.ephemeralOwner !== 0n
          return Effect.fail(isOthers ? new NodeExists({ operation: "create", path }) : error)
        })
      })
    }
    return attempt(1)
  })

type SetError = NoNode | NoAuth | BadVersion | QuotaExceeded | SessionError

export const setDataIdempotent = (
  core: Core,
  path: string,
  data: Data,
  version: number
): Effect.Effect<Stat, SetError> =>
  Effect.suspend(() => {
    const before = core.engine.lastZxid()
    const request = toSetData(core.chroot, path, data, version)
    const bytes = toData(data, "setData", path)
    const serverPath = toServerPath(core.chroot, path)
    const attempt = (tries: number): Effect.Effect<Stat, SetError> =>
      Effect.catch(run(core, operations.setData, request, path, { expected: version }), (error) => {
        if (!isLost(error) || tries === maxTries || serverPath instanceof Error || bytes instanceof Error) {
          return Effect.fail(error)
        }
        const look = Effect.andThen(
          Effect.mapError(syncAt(core, serverPath, path, {}), (later) => leftOpen(error, later)),
          Effect.result(run(core, operations.getData, new GetData(serverPath, false), path))
        )
        return Effect.flatMap(look, (found): Effect.Effect<Stat, SetError> => {
          // Deleted, or deleted and made again: what had become of it before, nobody can tell.
          if (found._tag === "Failure" || found.success.stat.czxid > before) return Effect.fail(error)
          const { data: present, stat } = found.success
          if (stat.version === version) return attempt(tries + 1)
          // Exactly one write has followed, and it was another: ours found the version gone.
          const isOthers = stat.version === ((version + 1) | 0) && !isSameBytes(present, bytes)
          return Effect.fail(isOthers ? new BadVersionError({ operation: "setData", path, expected: version }) : error)
        })
      })
    return attempt(1)
  })

export const ensureAbsent = (
  client: ZkClient,
  path: string,
  options: { readonly version?: number | undefined } | undefined
): ReturnType<ZkClient["ensureAbsent"]> => {
  const attempt = (tries: number, lost?: Lost): ReturnType<ZkClient["ensureAbsent"]> =>
    client.delete(path, options).pipe(
      Effect.catchTag("NoNode", () => Effect.void),
      Effect.catch((error) => {
        if (isLost(error) && tries < maxTries) return attempt(tries + 1, error)
        return Effect.fail(lost !== undefined && "maybeApplied" in error ? leftOpen(lost, error) : error)
      })
    )
  return attempt(1)
}
