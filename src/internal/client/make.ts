/** Puts a client together: options, session, operations. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { CreateError, MakeError, ZkClient } from "../../ZkClient.ts"
import type { Options, Resolved } from "../../ZkConfig.ts"
import { resolve } from "../../ZkConfig.ts"
import { ConnectError, InvalidInput, InvalidPath } from "../../ZkError.ts"
import * as ZkPath from "../../ZkPath.ts"
import type { Engine } from "../engine.ts"
import { registerMetrics } from "../metrics.ts"
import { drive } from "../session/reconnect.ts"
import { Session } from "../session/session.ts"
import { formatServer } from "../transport.ts"
import { sessionOf } from "./boundSession.ts"
import { Chroot } from "./chroot.ts"
import type { Core } from "./core.ts"
import { traced } from "./core.ts"
import { createNode, makeBasics } from "./operations.ts"
import { createIdempotent, createProtected, ensureAbsent, setDataIdempotent } from "./resolve.ts"
import { makeTransactions } from "./transactions.ts"
import { createWithParents, makeTree, rootOf } from "./tree.ts"
import { makeWatches } from "./watch.ts"

const TypeId = "~effect-zookeeper/ZkClient"

const makeClient = (core: Core): ZkClient => {
  const { engine } = core
  const basics = makeBasics(core)
  const client: ZkClient = {
    [TypeId]: TypeId,
    ...basics,
    ...makeTransactions(core),
    ...makeWatches(core),
    ...makeTree(core, () => client),
    create: (path, data, options) => {
      const { idempotent = false, parents = false } = options ?? {}
      const create = idempotent ? createIdempotent(core, path, data, options) : createNode(core, path, data, options)
      return parents === false ? create : createWithParents(core, path, parents, create)
    },
    createProtected: (path, data, options) =>
      traced("createProtected", path, createProtected(core, path, data, options)),
    setData: (path, data, options) => {
      if (options?.idempotent !== true) return basics.setData(path, data, options)
      if (options.version === undefined) {
        const reason = "without a version nobody can tell whether a lost write was applied"
        return Effect.fail(new InvalidInput({ operation: "setData", path, reason }))
      }
      return setDataIdempotent(core, path, data, options.version)
    },
    ensureAbsent: (path, options) => traced("ensureAbsent", path, ensureAbsent(client, path, options)),
    state: Effect.sync(() => engine.states.current),
    stateChanges: Stream.unwrap(Effect.map(engine.states.subscribe, Stream.fromQueue)),
    lastZxid: Effect.sync(() => engine.lastZxid()),
    session: sessionOf(core, makeClient, basics.sync()),
    chroot: (path) => {
      const reason = ZkPath.problem(path)
      if (reason !== undefined) return Effect.fail(new InvalidPath({ path: String(path), reason }))
      return Effect.sync(() => makeClient({ ...core, chroot: core.chroot.below(path), root: rootOf(core) }))
    }
  }
  return client
}

/** Waits for the first session, or for what makes it impossible. */
const awaitSession = (session: Session, resolved: Resolved): Effect.Effect<void, MakeError> => {
  const settled = Effect.scoped(Effect.gen(function*() {
    const states = yield* session.states.subscribe
    while (true) {
      // The states end with the client, which does not end before its scope, and so not while it is made.
      const state = yield* Effect.orDie(Queue.take(states))
      if (state._tag === "Connected") return
      if (state._tag === "AuthFailed") return yield* state.error
    }
  }))
  return Effect.timeoutOrElse(settled, {
    duration: Duration.millis(resolved.connectTimeout),
    orElse: () =>
      Effect.fail(
        new ConnectError({
          hosts: resolved.session.servers.map(formatServer),
          cause: session.lastTrouble ?? new Error("no server answered in time")
        })
      )
  })
}

const makeEngine = Effect.fnUntraced(function*(
  resolved: Resolved
): Effect.fn.Return<Engine, MakeError, Scope.Scope> {
  const context = yield* Effect.context<never>()
  const session = yield* Effect.acquireRelease(
    Effect.sync(() => {
      const made = new Session(resolved.session, context)
      made.start(drive(made))
      return made
    }),
    (made) => made.close
  )
  yield* registerMetrics(session, resolved.name)
  if (!resolved.lazy) yield* awaitSession(session, resolved)
  return session
})

/** Servers check the rights on the parent first: who may create nothing there may well find what he needs. */
const ensureChroot = (client: ZkClient, path: string): Effect.Effect<void, CreateError> =>
  Effect.catchTag(
    client.ensurePath(path),
    "NoAuth",
    (error) => Effect.flatMap(client.exists(path), (found) => Option.isSome(found) ? Effect.void : Effect.fail(error))
  )

export const make = Effect.fnUntraced(function*(
  options: Options = {}
): Effect.fn.Return<ZkClient, MakeError, Scope.Scope> {
  const resolved = yield* resolve(options)
  const engine = yield* makeEngine(resolved)
  const client = makeClient({ engine, chroot: new Chroot(""), root: undefined, session: undefined })
  if (resolved.chroot === "") return client
  if (resolved.createChroot) {
    yield* Effect.catch(
      ensureChroot(client, resolved.chroot),
      (cause) => new ConnectError({ hosts: resolved.session.servers.map(formatServer), cause })
    )
  }
  // The path was checked with the options.
  return yield* Effect.orDie(client.chroot(resolved.chroot))
})
