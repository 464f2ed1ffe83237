/** One typed value in one node, as users have it. */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { CreateError, NodeData, VersionOptions } from "../../ZkClient.ts"
import { ZkClient } from "../../ZkClient.ts"
import type { ValueDecodeError, ValueEncodeError } from "../../ZkCodec.ts"
import * as ZkCodec from "../../ZkCodec.ts"
import type { BadVersion, NoAuth, SessionError } from "../../ZkError.ts"
import { InvalidPath, NodeExists, NoNode, WriteConflict } from "../../ZkError.ts"
import type * as ZkNode from "../../ZkNode.ts"
import * as ZkPath from "../../ZkPath.ts"
import type { Stat } from "../../ZkStat.ts"
import * as ZkStat from "../../ZkStat.ts"
import { makeLiveNode } from "../cache/liveNode.ts"
import { makeNode } from "../cache/mirror.ts"
import { seen } from "../cache/upkeep.ts"
import type { Lost } from "../client/resolve.ts"
import { isLost, leftOpen } from "../client/resolve.ts"
import { decodeWith, encodeWith } from "../codec/run.ts"
import { backOff, Courtesy, maxTries } from "../contention.ts"
import { keep } from "./keeper.ts"

/** How often an answer may be lost before its loss is passed on. */
const maxLosses = 4

type Options<A, I, RD, RE> =
  & ZkNode.ValueOptions<A, I, RD, RE>
  & (ZkNode.PersistentOptions<A> | ZkNode.EphemeralOptions<A>)

/** What was begun ends at once if nothing comes of it. */
const orNothing = <A, E, R>(effect: Effect.Effect<A, E, R | Scope.Scope>) =>
  Effect.flatMap(
    Effect.acquireRelease(Scope.make(), (inner, exit) => Scope.close(inner, exit)),
    (inner) => Effect.onError(Scope.provide(effect, inner), (cause) => Scope.close(inner, Exit.failCause(cause)))
  )

export const make = <A, I, RD, RE>(
  path: string,
  options: Options<A, I, RD, RE>
): Effect.Effect<ZkNode.ZkNode<A>, ZkNode.MakeError, ZkClient | Scope.Scope | RD | RE> =>
  orNothing(Effect.gen(function*() {
    const client = yield* ZkClient
    const context = yield* Effect.context<RD | RE>()
    const reason = ZkPath.problem(path)
    if (reason !== undefined) return yield* new InvalidPath({ path, reason })
    const { acl } = options
    const codec = options.codec === undefined ? ZkCodec.json(options.value) : options.codec(options.value)
    const decodeData = decodeWith(codec)
    const encodeValue = encodeWith(codec)
    const decode = ({ data }: NodeData): Effect.Effect<A, ValueDecodeError> =>
      Effect.provideContext(decodeData(path, data), context)
    const encode = (value: A): Effect.Effect<Uint8Array, ValueEncodeError> =>
      Effect.provideContext(encodeValue(path, value), context)

    const live = yield* makeLiveNode(client, path, false)
    const node = makeNode(client, path, live)
    const shown = <B, E, R>(operation: string, write: Effect.Effect<B, E, R>) => seen(live, operation, path, write)

    // -- what it begins with ------------------------------------------------------------------------------------------

    // For a node that is kept there is a value, be it undefined.
    const hasDefault = options.mode === "ephemeral" || options.default !== undefined
    const first = hasDefault ? yield* encode(options.default as A) : undefined
    const keeper = options.mode === "ephemeral" && first !== undefined
      ? yield* keep(client, node, first, acl)
      : undefined
    if (keeper === undefined && first !== undefined) {
      /** Doing it twice does no harm: the second time it exists. */
      const create = (losses: number, lost?: Lost): Effect.Effect<void, CreateError> =>
        client.create(path, first, { acl, parents: true }).pipe(
          Effect.asVoid,
          Effect.catchTag("NodeExists", () => Effect.void),
          Effect.catch((error) => {
            if (isLost(error) && losses < maxLosses) return create(losses + 1, error)
            // What was lost before may have been applied, though the last one was not.
            return Effect.fail(lost !== undefined && "maybeApplied" in error ? leftOpen(lost, error) : error)
          })
        )
      yield* create(0)
    }
    yield* live.catchUp

    // -- writes -------------------------------------------------------------------------------------------------------

    /** A node that is kept gives way to others', and leaves them alone. */
    const unlessOthers = (operation: string): Effect.Effect<void, NodeExists | NoAuth | SessionError> =>
      keeper === undefined ?
        Effect.void :
        Effect.flatMap(client.exists(path), (found) =>
          Option.isSome(found) && !keeper.isOwn(found.value)
            ? Effect.fail(new NodeExists({ operation, path }))
            : Effect.void)
    /** What is written by other ways than the keeper's is to be kept as well, though the session ends at once. */
    const told = (data: Uint8Array) => (stat: Stat) => Effect.sync(() => keeper?.onSeen({ data, stat }))
    const write = (data: Uint8Array, version: number | undefined): Effect.Effect<Stat, BadVersion | CreateError> => {
      if (version !== undefined) {
        return Effect.andThen(unlessOthers("set"), Effect.tap(client.setData(path, data, { version }), told(data)))
      }
      if (keeper !== undefined) return keeper.set(data)
      const createOrSet = client.createOrSet(path, data, { acl })
      return Effect.flatMap(
        node.state,
        (state) =>
          state._tag === "Present"
            ? Effect.catchTag(client.setData(path, data), "NoNode", () => createOrSet)
            : createOrSet
      )
    }
    const set = (value: A, versionOptions?: VersionOptions) =>
      shown("set", Effect.flatMap(encode(value), (data) => write(data, versionOptions?.version)))

    const updates = new Courtesy()
    const update = <E = never, R = never>(f: (value: A) => A | Effect.Effect<A, E, R>) => {
      type Failure = E | ValueDecodeError | ValueEncodeError | WriteConflict | CreateError
      /** Gives whether it was written; if not, somebody else was faster. */
      const replace = (found: Option.Option<NodeData>, data: Uint8Array): Effect.Effect<boolean, CreateError> => {
        if (Option.isSome(found)) {
          const { stat } = found.value
          const written = client.setData(path, data, { version: stat.version, idempotent: true }).pipe(
            Effect.tap(told(data)),
            Effect.as(true),
            Effect.catchTags({
              BadVersion: () => Effect.succeed(false),
              NoNode: () => Effect.succeed(false)
            })
          )
          return keeper === undefined ? written : keeper.unlessNewer(stat, written)
        }
        const create = client.create(path, data, { acl, parents: true })
        return Effect.catchTag(Effect.as(create, true), "NodeExists", () => Effect.succeed(false))
      }
      const attempt = (tries: number): Effect.Effect<A, Failure, R> =>
        Effect.gen(function*() {
          const found = yield* client.getDataOption(path)
          if (Option.isNone(found) && keeper !== undefined) {
            // It is about to be there again, with its last value, which others may change as soon as it is.
            yield* keeper.restore
          } else {
            if (Option.isNone(found) && !hasDefault) return yield* new NoNode({ operation: "update", path })
            if (Option.isSome(found) && keeper?.isOwn(found.value.stat) === false) {
              return yield* new NodeExists({ operation: "update", path })
            }
            // A value that is undefined is one, if it was read.
            const made = f(Option.isSome(found) ? yield* decode(found.value) : options.default as A)
            const value = Effect.isEffect(made) ? yield* made : made
            if (yield* replace(found, yield* encode(value))) return value
          }
          if (tries === maxTries) return yield* new WriteConflict({ operation: "update", path, tries })
          yield* backOff(tries)
          // A server that is behind would show the same again.
          yield* client.sync(path)
          return yield* attempt(tries + 1)
        })
      return updates.inTurn(path, shown("update", attempt(1)))
    }

    // -- reads --------------------------------------------------------------------------------------------------------

    const get = Effect.flatMap(node.value, decode)
    const stat = Effect.map(node.value, (found) => found.stat)
    const toState = (found: Option.Option<NodeData>): Effect.Effect<ZkNode.NodeState<A>> => {
      if (Option.isNone(found)) return Effect.succeed({ _tag: "Missing" })
      const { stat } = found.value
      return Effect.match(decode(found.value), {
        onSuccess: (value) => ({ _tag: "Present", value, stat }),
        onFailure: (error) => ({ _tag: "Invalid", error, stat })
      })
    }
    return {
      path,
      freshness: live.freshness,
      freshnessChanges: live.freshnessChanges,
      sync: live.sync,
      awaitZxid: live.awaitZxid,
      get,
      getOption: Effect.catchTag(Effect.asSome(get), "NoNode", () => Effect.succeedNone),
      stat,
      lastModified: Effect.map(stat, ZkStat.modified),
      changes: node.changes.pipe(
        Stream.mapEffect(toState),
        Stream.zipWithPrevious,
        Stream.map(([previous, current]) => ({ current, previous }))
      ),
      children: node.children,
      childrenChanges: node.childrenChanges,
      set,
      update,
      delete: (versionOptions) =>
        unlessOthers("delete").pipe(
          Effect.catchTag("NodeExists", () => Effect.fail(new NoNode({ operation: "delete", path }))),
          Effect.andThen(node.delete(versionOptions))
        )
    }
  }))
