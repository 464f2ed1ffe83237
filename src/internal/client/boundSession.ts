/** One session as recipes see it: a client that does not outlive it, its time, and nodes that go with a scope. */
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import * as Scope from "effect/Scope"
import type { CreateError, ZkClient } from "../../ZkClient.ts"
import type { MultiFailed, SessionError } from "../../ZkError.ts"
import { AuthFailed, SessionClosed, SessionExpired } from "../../ZkError.ts"
import type { EphemeralNode, EphemeralOptions, Removal, ZkSession } from "../../ZkSession.ts"
import type { Data } from "../../ZkTransaction.ts"
import * as ZkTransaction from "../../ZkTransaction.ts"
import type { ExecuteOptions } from "../engine.ts"
import { pause } from "../passing.ts"
import { Exists, Sync } from "../protocol/requests.ts"
import type { Core } from "./core.ts"
import { run, traced } from "./core.ts"
import { toDelete, toServerPath } from "./input.ts"
import { operations } from "./operations.ts"
import { protectedCreate } from "./resolve.ts"
import { runMulti } from "./transactions.ts"

/** A third of the session's time: a server that has been silent for that long is not worth waiting for. */
const patience = (core: Core): Duration.Duration => Duration.millis(core.engine.timeout() / 3)

type Execute = Pick<ExecuteOptions, "sameConnection">

const deleteOnce = (core: Core, path: string, execute: Execute, version: number | undefined) => {
  const request = toDelete(core.chroot, path, version)
  return run(core, operations.delete, request, path, { ...execute, expected: version, whileClosing: true }).pipe(
    Effect.as<Removal>("removed"),
    Effect.catchTag("NoNode", () => Effect.succeed<Removal>("missing"))
  )
}

/** Leaves alone what others have made by the same name. */
const deleteOwnOnce = (core: Core, path: string, execute: Execute): ReturnType<typeof deleteOnce> => {
  const options: ExecuteOptions = { ...execute, whileClosing: true }
  const serverPath = toServerPath(core.chroot, path)
  if (serverPath instanceof Error) return Effect.fail(serverPath)
  const look = run(core, operations.exists, new Exists(serverPath, false), path, options).pipe(
    Effect.catchTag("NoNode", () => Effect.succeed(undefined))
  )
  // On the connection on which it was asked for, a node that is still being made is seen; another server may be behind.
  const isBehind = execute.sameConnection !== true
  const synced = isBehind ? Effect.andThen(run(core, operations.sync, new Sync(serverPath), path, options), look) : look
  return Effect.flatMap(synced, (stat) => {
    if (stat === undefined || stat.ephemeralOwner !== core.session) return Effect.succeed<Removal>("missing")
    return Effect.catchTag(
      deleteOnce(core, path, execute, stat.version),
      "BadVersion",
      () => deleteOwnOnce(core, path, execute)
    )
  })
}

const removeOnce = (core: Core, path: string, onlyOwn: boolean, execute: Execute) =>
  onlyOwn ? deleteOwnOnce(core, path, execute) : deleteOnce(core, path, execute, undefined)

/** Goes on until it is known that the node is gone, which it is with its session at the latest. */
const removeAtLast = (core: Core, path: string, onlyOwn: boolean): Effect.Effect<void> =>
  Effect.catch(Effect.asVoid(removeOnce(core, path, onlyOwn, {})), (error) => {
    switch (error._tag) {
      case "SessionExpired":
      case "SessionClosed":
      case "AuthFailed":
        return Effect.void
      case "NoAuth":
      case "InvalidPath":
      case "InvalidInput":
        return Effect.logWarning(`${path} stays until its session ends: ${error.message}`)
      default:
        return Effect.andThen(Effect.sleep(pause), removeAtLast(core, path, onlyOwn))
    }
  })

/** The removal runs in a fiber of its own, so that nothing that happens to the caller stops it. */
const makeRemove = (core: Core, path: string, onlyOwn = false): Effect.Effect<Removal> => {
  const outcome = Deferred.makeUnsafe<Removal>()
  let begun = false
  const settle = (removal: Removal) => Deferred.doneUnsafe(outcome, Effect.succeed(removal))
  const later = Effect.suspend(() => {
    settle("pending")
    return removeAtLast(core, path, onlyOwn)
  })
  const now = removeOnce(core, path, onlyOwn, { sameConnection: true }).pipe(
    Effect.matchEffect({ onSuccess: (removal) => Effect.sync(() => settle(removal)), onFailure: () => later }),
    Effect.ensuring(Effect.sync(() => settle("pending")))
  )
  const impatient = Effect.andThen(Effect.sleep(patience(core)), Effect.sync(() => settle("pending")))
  return Effect.uninterruptible(Effect.suspend(() => {
    if (begun) return Deferred.await(outcome)
    begun = true
    if (core.engine.states.current._tag !== "Connected") {
      core.engine.background(later)
      return Deferred.await(outcome)
    }
    core.engine.background(now)
    return Effect.flatMap(
      Effect.forkDetach(impatient),
      (timer) => Effect.tap(Deferred.await(outcome), () => Effect.sync(() => timer.interruptUnsafe()))
    )
  }))
}

const createEphemeral = (
  core: Core,
  path: string,
  data: Data | undefined,
  options: EphemeralOptions = {}
): Effect.Effect<EphemeralNode, CreateError, Scope.Scope> => {
  const mode = options.sequential === true ? "ephemeralSequential" : "ephemeral"
  return Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(Effect.scope, (scope) =>
      Effect.flatMap(
        protectedCreate(core, path, data, { mode, acl: options.acl }, options.mark, restore),
        (created) => {
          const { path } = created
          // Only transactions on old servers come without it.
          const node: EphemeralNode = { path, stat: created.stat!, remove: makeRemove(core, path) }
          return Effect.as(Scope.addFinalizer(scope, node.remove), node)
        }
      ))
  )
}

const commit = (
  core: Core,
  paths: ReadonlyArray<string>,
  overtakes: boolean
): Effect.Effect<void, MultiFailed | SessionError> =>
  Effect.asVoid(runMulti(core, paths.map((path) => ZkTransaction.check(path)), { overtakes })).pipe(
    // Checks bring no ACL.
    Effect.catchTag("InvalidAcl", Effect.die)
  )

const endOf = (core: Core, sessionId: bigint): "expired" | "closed" | undefined =>
  core.engine.isClosing ? "closed" : core.engine.sessionId() === sessionId ? undefined : "expired"

const awaitEnd = (core: Core, sessionId: bigint): ZkSession["ended"] =>
  Effect.scoped(Effect.gen(function*() {
    const outcome = { operation: "session", path: "", maybeApplied: false }
    const states = yield* core.engine.states.subscribe
    while (true) {
      const state = yield* Effect.catch(Queue.take(states), () => Effect.fail(new SessionClosed(outcome)))
      if (state._tag === "Closed") return yield* new SessionClosed(outcome)
      if (state._tag === "AuthFailed") return yield* new AuthFailed({ ...outcome, scheme: state.error.scheme })
      const isOver = core.engine.sessionId() !== sessionId
      if (isOver) return yield* new SessionExpired({ ...outcome, sessionId })
    }
  }))

const makeSession = (core: Core, sessionId: bigint, makeClient: (core: Core) => ZkClient): ZkSession => {
  const { engine } = core
  const bound: Core = { ...core, session: sessionId }
  // Another session's time is none of this one's.
  let committedAt = -Infinity
  return {
    sessionId,
    client: makeClient(bound),
    timeoutUnsafe: () => Duration.millis(engine.timeout()),
    nowUnsafe: (late = 0) => engine.now(late),
    committedAtUnsafe: () => {
      if (engine.sessionId() === sessionId) committedAt = engine.committedAt()
      return committedAt
    },
    absolutePath: (path) => core.chroot.toServer(path),
    endUnsafe: () => endOf(core, sessionId),
    commit: (paths, options) => commit(bound, paths, options?.urgent === true),
    ended: awaitEnd(core, sessionId),
    remove: (path, options) => Effect.suspend(() => makeRemove(bound, path, options?.onlyOwn)),
    createEphemeral: (path, data, options) =>
      traced("createEphemeral", path, createEphemeral(bound, path, data, options))
  }
}

/** The session that is current; the next one while there is none. One object for each. */
export const sessionOf = (
  core: Core,
  makeClient: (core: Core) => ZkClient,
  sync: Effect.Effect<void, SessionError>
): Effect.Effect<ZkSession, SessionError> => {
  let made: ZkSession | undefined
  const current = (): ZkSession | undefined => {
    const id = core.session ?? core.engine.sessionId()
    if (id === undefined) return undefined
    return made?.sessionId === id ? made : (made = makeSession(core, id, makeClient))
  }
  const get: Effect.Effect<ZkSession, SessionError> = Effect.suspend(() => {
    const session = core.engine.isClosing ? undefined : current()
    // Any request waits for the next session, with all that can happen meanwhile; of a closed client it fails.
    return session === undefined ? Effect.andThen(sync, get) : Effect.succeed(session)
  })
  return get
}
