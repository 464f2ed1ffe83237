/**
 * A ZooKeeper session as a service.
 *
 * A client connects when its layer is built, survives lost connections and expired sessions, and ends its session,
 * with all ephemeral nodes, when the layer's scope is closed.
 *
 * **Details**
 *
 * - Requests are written in the order in which they are run, and answered in that order. Any number may be under way.
 * - Reads that were not answered are sent again on the next connection. Writes never are: a write whose answer was
 *   lost fails with `ConnectionLoss{maybeApplied: true}`, since nobody can know. The `idempotent` forms resolve that
 *   where it can be resolved.
 * - A request belongs to the session that is current when it is run. When that expires it fails with `SessionExpired`
 *   and never moves to the next one.
 * - Nothing waits without bound: see `requestTimeout`, `connectTimeout` and `closeTimeout` in `ZkConfig.Options`.
 * - Interrupting an operation before it was written means that it is never sent. After that the server may apply it.
 * - Values read are as new as anything this client has seen, not necessarily the newest that exist: `sync` before a
 *   read makes it at least as new as the moment of the `sync`. That is not linearizable across a change of leader.
 *
 * **Example** (A first program)
 *
 * ```ts
 * import { NodeRuntime } from "@effect/platform-node"
 * import { Console, Effect } from "effect"
 * import { ZkClient } from "effect-zookeeper"
 *
 * const program = Effect.gen(function*() {
 *   const zk = yield* ZkClient.ZkClient
 *   yield* zk.create("/greeting", "hello", { mode: "ephemeral" })
 *   const { text, stat } = yield* zk.getData("/greeting")
 *   yield* Console.log(text, stat.version)
 * })
 *
 * NodeRuntime.runMain(Effect.provide(program, ZkClient.layer({ hosts: "127.0.0.1:2181" })))
 * ```
 *
 * @see {@link https://zookeeper.apache.org/doc/r3.9.3/zookeeperProgrammers.html | the ZooKeeper programmer's guide}
 * @stability unstable
 * @since 0.1.0
 */
import * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Option from "effect/Option"
import type * as Queue from "effect/Queue"
import type * as Result from "effect/Result"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import * as internal from "./internal/client/make.ts"
import type {
  Children,
  CreateError,
  CreateOptions,
  FollowOptions,
  Identity,
  NodeData,
  Observed,
  ReconfigOptions,
  SubscribeOptions,
  VersionOptions,
  Watched,
  WatchKind
} from "./internal/client/models.ts"
import type { Acl } from "./ZkAcl.ts"
import * as ZkConfig from "./ZkConfig.ts"
import type {
  AuthFailed,
  BadVersion,
  ConnectError,
  InvalidAcl,
  InvalidConfig,
  InvalidPath,
  MultiFailed,
  NewConfigNoQuorum,
  NoAuth,
  NoNode,
  NotEmpty,
  QuotaExceeded,
  ReconfigDisabled,
  ReconfigInProgress,
  ServerError,
  SessionError,
  StreamError
} from "./ZkError.ts"
import { isRetryable } from "./ZkError.ts"
import type { WatchedEvent } from "./ZkEvent.ts"
import type { ZkSession } from "./ZkSession.ts"
import type { Stat } from "./ZkStat.ts"
import type { SessionState } from "./ZkState.ts"
import type { Created, Data, GetDataOp, ReadOp, WriteOp, WriteResults } from "./ZkTransaction.ts"

/**
 * The runtime type identifier of {@link ZkClient}.
 *
 * @stability unstable
 * @category type IDs
 * @since 0.1.0
 */
export const TypeId: TypeId = "~effect-zookeeper/ZkClient"

/**
 * The type-level identifier of {@link ZkClient}.
 *
 * @stability unstable
 * @category type IDs
 * @since 0.1.0
 */
export type TypeId = "~effect-zookeeper/ZkClient"

export type * from "./internal/client/models.ts"

/**
 * A ZooKeeper client: one session, seen from one node as root.
 *
 * @stability unstable
 * @category services
 * @since 0.1.0
 */
export interface ZkClient {
  readonly [TypeId]: TypeId

  // -- nodes ----------------------------------------------------------------------------------------------------------

  /**
   * Creates a node. Its parent has to exist, unless `parents` asks for it to be made.
   *
   * - `parents`: create missing parents, as persistent nodes with an open ACL, or as `"container"`s that go with their
   *   last child. Only as many ancestors are looked at as needed.
   * - `idempotent`: when the answer is lost, find out. An ephemeral node that is there afterwards and belongs to this
   *   session counts as created. For other nodes nobody can tell who made them: the error says `maybeApplied`. Not for
   *   sequential nodes, which `createProtected` is for.
   *
   * Fails with `NodeExists`, also from sequential modes when the parent's counter has run out; with `NoNode` when the
   * parent is missing; with `NoChildrenForEphemerals` when it is ephemeral; with `InvalidAcl` for an empty ACL, or for
   * the scheme `auth` without credentials; with `Unimplemented` for a TTL on servers that have it switched off.
   */
  readonly create: (
    path: string,
    data?: Data,
    options?: CreateOptions & {
      readonly parents?: boolean | "container" | undefined
      readonly idempotent?: boolean | undefined
    }
  ) => Effect.Effect<Created, CreateError>

  /**
   * Creates a node whose name carries a mark, `_c_<uuid>-`, by which it is recognized when the answer is lost: there is
   * never a second one, nor an orphan that nobody knows of. The mark comes before the last name of `path`.
   *
   * An ephemeral node is found again only if it belongs to the session that asked for it. Fails with `SessionExpired`
   * when that is over. When interrupted, or failing with an unknown outcome, a node that may have been made is deleted
   * in the background.
   *
   * @see {@link https://curator.apache.org/docs/tech-note-14 | protection in Curator}
   */
  readonly createProtected: (path: string, data?: Data, options?: CreateOptions) => Effect.Effect<Created, CreateError>

  /** Creates the node if it is missing, otherwise sets its data, whatever its version. Missing parents are created. */
  readonly createOrSet: (
    path: string,
    data: Data,
    options?: CreateOptions
  ) => Effect.Effect<Stat, CreateError>

  /**
   * Creates the node and its parents where they are missing, without data. Nodes that exist are left alone, and not
   * looked at: rights on upper levels are not needed.
   */
  readonly ensurePath: (
    path: string,
    options?: { readonly mode?: "persistent" | "container" | undefined; readonly acl?: ReadonlyArray<Acl> | undefined }
  ) => Effect.Effect<void, CreateError>

  /**
   * Deletes a node without children. Fails with `NotEmpty` when it has some, with `BadVersion` when it has another
   * version than the one that was given.
   */
  readonly delete: (
    path: string,
    options?: VersionOptions
  ) => Effect.Effect<void, NoNode | NoAuth | BadVersion | NotEmpty | SessionError>

  /**
   * Makes sure that a node is not there. Promises that it is gone, not that it was us who deleted it: a lost answer is
   * tried again, and a node that is missing is fine.
   */
  readonly ensureAbsent: (
    path: string,
    options?: VersionOptions
  ) => Effect.Effect<void, NoAuth | BadVersion | NotEmpty | SessionError>

  /**
   * Deletes a node and everything below it. With `version`, only if the node itself has that version, which is checked
   * before anything is deleted and again in the transaction that deletes the node. Others may create children
   * meanwhile: that is retried a bounded number of times, then fails with `NotEmpty`. A missing node is `NoNode`; nodes
   * below that vanish meanwhile are not missed. Not atomic: on a failure part of the tree may be gone.
   */
  readonly deleteRecursive: (
    path: string,
    options?: VersionOptions
  ) => Effect.Effect<void, NoNode | NoAuth | BadVersion | NotEmpty | SessionError>

  /** The metadata of a node, if it exists. Servers before 3.8.4 and 3.9.2 tell it without any right. */
  readonly exists: (path: string) => Effect.Effect<Option.Option<Stat>, NoAuth | SessionError>

  /** The data of a node. */
  readonly getData: (path: string) => Effect.Effect<NodeData, NoNode | NoAuth | SessionError>

  /** The data of a node, if it exists. */
  readonly getDataOption: (path: string) => Effect.Effect<Option.Option<NodeData>, NoAuth | SessionError>

  /**
   * Replaces the data of a node.
   *
   * `idempotent` (with `version` only): when the answer is lost, look. If the version is still the expected one the
   * write was not applied, and is tried again. If anything else is found, another client may have written the same:
   * with other data it was not us who came through (`BadVersion`); with this data nobody can tell (`maybeApplied`).
   */
  readonly setData: (
    path: string,
    data: Data,
    options?: VersionOptions & { readonly idempotent?: boolean | undefined }
  ) => Effect.Effect<Stat, NoNode | NoAuth | BadVersion | QuotaExceeded | SessionError>

  /** The names of a node's children, in no particular order. */
  readonly getChildren: (path: string) => Effect.Effect<Children, NoNode | NoAuth | SessionError>

  /** The nodes at and below a path, parents before children, breadth first. Nodes that vanish meanwhile are left out. */
  readonly walk: (path: string) => Stream.Stream<string, NoNode | NoAuth | SessionError>

  /** The data of a node with the moment at which it was so: for whoever keeps a copy. */
  readonly observeData: (path: string) => Effect.Effect<Observed<NodeData>, NoAuth | SessionError>

  /** The data of several nodes with the moment at which all of it was so, in one request. Servers from 3.6 on. */
  readonly observeEach: (
    paths: ReadonlyArray<string>
  ) => Effect.Effect<ReadonlyArray<Result.Result<Observed<NodeData>, NoAuth | ServerError>>, SessionError>

  /** The children of a node with the moment at which they were so. */
  readonly observeChildren: (path: string) => Effect.Effect<Observed<Children>, NoAuth | SessionError>

  /** The ACL of a node. Passwords' digests are shown as `x` to sessions without the right `admin`. */
  readonly getAcl: (
    path: string
  ) => Effect.Effect<{ readonly acl: ReadonlyArray<Acl>; readonly stat: Stat }, NoNode | NoAuth | SessionError>

  /** Replaces the ACL of a node. The version is that of the ACL (`Stat.aversion`). */
  readonly setAcl: (
    path: string,
    acl: ReadonlyArray<Acl>,
    options?: VersionOptions
  ) => Effect.Effect<Stat, NoNode | NoAuth | BadVersion | InvalidAcl | SessionError>

  /**
   * Waits until the server that answers has caught up with the leader. A read that is run after it sees at least what
   * had been written when `sync` was run. The path only routes the request and need not exist. Default: `/`.
   */
  readonly sync: (path?: string) => Effect.Effect<void, SessionError>

  /**
   * All of these operations, or none. The results have the shape of the operations. Fails with `MultiFailed`, which
   * names the operation that stood in the way. No operations are no request.
   */
  readonly multi: <const Ops extends ReadonlyArray<WriteOp>>(
    ops: Ops
  ) => Effect.Effect<WriteResults<Ops>, MultiFailed | InvalidAcl | SessionError>

  /** Several reads in one request, each with a result of its own. Servers from 3.6 on. */
  readonly multiRead: <const Ops extends ReadonlyArray<ReadOp>>(
    ops: Ops
  ) => Effect.Effect<
    {
      readonly [K in keyof Ops]: Result.Result<
        Ops[K] extends GetDataOp ? NodeData : ReadonlyArray<string>,
        NoNode | NoAuth | ServerError
      >
    },
    SessionError
  >

  /** The ephemeral nodes of this session at and below a path. Servers from 3.6 on. Default: all. */
  readonly getEphemerals: (path?: string) => Effect.Effect<ReadonlyArray<string>, SessionError>

  /** How many nodes there are below a path, on all levels. Servers from 3.6 on. */
  readonly getAllChildrenNumber: (path: string) => Effect.Effect<number, NoNode | NoAuth | SessionError>

  // -- watches --------------------------------------------------------------------------------------------------------

  /** Reads data, and hears of the first change or the deletion. The watch ends with the scope. */
  readonly getDataWatch: (
    path: string
  ) => Effect.Effect<Watched<NodeData>, NoNode | NoAuth | SessionError, Scope.Scope>

  /** Looks whether a node exists, and hears of its creation, first change or deletion. The watch ends with the scope. */
  readonly existsWatch: (
    path: string
  ) => Effect.Effect<Watched<Option.Option<Stat>>, NoAuth | SessionError, Scope.Scope>

  /**
   * Lists children, and hears of the first that comes or goes, or of the node's deletion. The watch ends with the
   * scope.
   */
  readonly getChildrenWatch: (
    path: string
  ) => Effect.Effect<Watched<Children>, NoNode | NoAuth | SessionError, Scope.Scope>

  /**
   * Follows a node: its present data, then every newer state, `None` while it does not exist.
   *
   * Always ends up with the latest state, but a reader that is slow, or changes that come fast, do not see each one in
   * between. Survives lost connections and, by default, expired sessions. Ending the stream takes the watch back.
   */
  readonly changes: (
    path: string,
    options?: FollowOptions
  ) => Stream.Stream<Option.Option<NodeData>, NoAuth | StreamError>

  /** Follows the children of a node, in the same way as `changes`; `None` while the node does not exist. */
  readonly childrenChanges: (
    path: string,
    options?: FollowOptions
  ) => Stream.Stream<Option.Option<Children>, NoAuth | StreamError>

  /**
   * The raw events of a persistent watch (servers from 3.6 on). A `Reset` tells that events may have been missed. Most
   * programs want `changes` or a mirror in its place.
   */
  readonly watch: (
    path: string,
    kind: WatchKind,
    options?: SubscribeOptions
  ) => Stream.Stream<WatchedEvent, SessionError>

  /** Like `watch`, but set when the effect returns: events from then on come to the queue, until the scope is closed. */
  readonly subscribe: (
    path: string,
    kind: WatchKind,
    options?: SubscribeOptions
  ) => Effect.Effect<Queue.Dequeue<WatchedEvent, SessionError>, SessionError, Scope.Scope>

  // -- session --------------------------------------------------------------------------------------------------------

  /** The state of the session. */
  readonly state: Effect.Effect<SessionState>

  /** The state of the session, then every change of it, in order. Ends when the client is closed. */
  readonly stateChanges: Stream.Stream<SessionState>

  /** The current session; waits for the next one, as a request does, while there is none. See `ZkSession`. */
  readonly session: Effect.Effect<ZkSession, SessionError>

  /** The newest transaction that this client has seen the effects of. */
  readonly lastZxid: Effect.Effect<bigint>

  /** Who the servers take the session for. Servers from 3.7 on. */
  readonly whoAmI: Effect.Effect<ReadonlyArray<Identity>, SessionError>

  /**
   * Gives the session another identity, for good: it is told to every server from now on. Identities are the session's:
   * clients with other chroots on the same session have them too.
   *
   * Fails with `AuthFailed` when a server refuses the credentials, which are then forgotten; the session goes on, on a
   * new connection.
   */
  readonly addAuth: (auth: ZkConfig.Auth) => Effect.Effect<void, SessionError>

  // -- ensemble -------------------------------------------------------------------------------------------------------

  /** The configuration of the ensemble: the text of `/zookeeper/config`, whatever the chroot. */
  readonly getConfig: Effect.Effect<NodeData, NoNode | NoAuth | SessionError>

  /** Follows the configuration of the ensemble. See `changes`. */
  readonly configChanges: Stream.Stream<Option.Option<NodeData>, NoAuth | StreamError>

  /** Changes the membership of the ensemble, and gives the new configuration. Needs rights on `/zookeeper/config`. */
  readonly reconfig: (
    options: ReconfigOptions
  ) => Effect.Effect<
    NodeData,
    NoAuth | BadVersion | ReconfigDisabled | ReconfigInProgress | NewConfigNoQuorum | SessionError
  >

  // -- views ----------------------------------------------------------------------------------------------------------

  /**
   * A client of the same session to which the given node is `/`: it takes and gives paths below that only, in results,
   * events and errors. The node need not exist; `create("/")` makes it.
   */
  readonly chroot: (path: string) => Effect.Effect<ZkClient, InvalidPath>
}

/**
 * The service key of {@link ZkClient}. For several clients in one program see {@link Service}.
 *
 * @stability unstable
 * @category services
 * @since 0.1.0
 */
export const ZkClient: Context.Service<ZkClient, ZkClient> = Context.Service<ZkClient>("effect-zookeeper/ZkClient")

/**
 * Why no client could be made.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export type MakeError = ConnectError | AuthFailed | InvalidConfig

/**
 * Makes a client whose session ends with the scope. Waits for the session, unless `lazy`.
 *
 * Fails with `InvalidConfig` before anything is connected, with `ConnectError` after `connectTimeout`, and with
 * `AuthFailed` when a server refuses the credentials. Interruption leaves nothing behind.
 *
 * @stability unstable
 * @category constructors
 * @since 0.1.0
 */
export const make: (options?: ZkConfig.Options) => Effect.Effect<ZkClient, MakeError, Scope.Scope> = internal.make

/**
 * A layer with a client. See {@link make}.
 *
 * @stability unstable
 * @category layers
 * @since 0.1.0
 */
export const layer = (options?: ZkConfig.Options): Layer.Layer<ZkClient, MakeError> =>
  Layer.effect(ZkClient, make(options))

/**
 * A layer with a client whose options come from configuration, which is read when the layer is built. Without an
 * argument they are what `ZkConfig.options` finds: servers and path of the section `zookeeper`, or `ZK_SERVERS`.
 *
 * Without servers anywhere that fails with a `ConfigError`; only {@link layer} goes to the local server then.
 *
 * **Example** (Hosts from the environment)
 *
 * ```ts
 * import { Config } from "effect"
 * import { ZkClient } from "effect-zookeeper"
 *
 * const ZkLive = ZkClient.layerConfig({
 *   hosts: Config.String("ZK_SERVERS"),
 *   sessionTimeout: Config.Duration("ZK_SESSION_TIMEOUT").pipe(Config.withDefault("10 seconds"))
 * })
 * ```
 *
 * @stability unstable
 * @category layers
 * @since 0.1.0
 */
export const layerConfig = (
  config: Config.Wrap<ZkConfig.Options> = ZkConfig.options()
): Layer.Layer<ZkClient, MakeError | Config.ConfigError> =>
  Layer.effect(ZkClient, Effect.flatMap(Config.unwrap(config), make))

/**
 * A layer with a client for a `zookeeper:` URL. What the URL leaves out comes from configuration, as
 * `ZkConfig.options` has it, when the layer is built.
 *
 * The URL's path is `/` to the client, and exists when the layer is ready, so that no operation on it fails with
 * `NoNode` unless somebody deletes it. (With `lazy` it is not made; see `createChroot`.) A URL that is wrong, servers
 * that are nowhere, and whatever else of the configuration cannot be used are a `ConfigError`, before anything is
 * connected.
 *
 * **Example** (The three forms)
 *
 * ```ts
 * import { ZkClient } from "effect-zookeeper"
 *
 * const everything = ZkClient.layerUrl("zookeeper://zk1:2181,zk2:2181/etc/configs")
 * const configuredServers = ZkClient.layerUrl("zookeeper:///etc/configs", { section: "my:zk" })
 * const belowConfiguredPath = ZkClient.layerUrl("zookeeper:./configs", { sessionTimeout: "6 seconds" })
 * ```
 *
 * @see {@link ZkConfig.parseUrl} for what URLs mean
 * @stability unstable
 * @category layers
 * @since 0.1.0
 */
export const layerUrl = (
  url: string,
  options?: Omit<ZkConfig.Lookup, "url">
): Layer.Layer<ZkClient, MakeError | Config.ConfigError> => layerConfig(ZkConfig.options({ ...options, url }))

/**
 * Replaces the client by one that sees only what is below a node. See `ZkClient.chroot`.
 *
 * @stability unstable
 * @category layers
 * @since 0.1.0
 */
export const layerChroot = (path: string): Layer.Layer<ZkClient, InvalidPath, ZkClient> =>
  Layer.effect(ZkClient, Effect.flatMap(ZkClient, (client) => client.chroot(path)))

/**
 * What {@link Service} makes: a service key with layers of its own.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export interface ServiceClass<Self, Key extends string> extends Context.ServiceClass<Self, Key, ZkClient> {
  /** See `ZkClient.layer`. */
  readonly layer: (options?: ZkConfig.Options) => Layer.Layer<Self, MakeError>
  /** See `ZkClient.layerConfig`. */
  readonly layerConfig: (config?: Config.Wrap<ZkConfig.Options>) => Layer.Layer<Self, MakeError | Config.ConfigError>
  /** See `ZkClient.layerUrl`. */
  readonly layerUrl: (
    url: string,
    options?: Omit<ZkConfig.Lookup, "url">
  ) => Layer.Layer<Self, MakeError | Config.ConfigError>
  /** Gives an effect that wants a {@link ZkClient} this one. */
  readonly provide: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, Exclude<R, ZkClient> | Self>
}

/**
 * A client under a name of its own, for programs with several: one session each, to the same ensemble or others.
 *
 * **Example** (Two ensembles)
 *
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { ZkClient } from "effect-zookeeper"
 *
 * class Billing extends ZkClient.Service<Billing>()("app/Billing") {}
 * class Search extends ZkClient.Service<Search>()("app/Search") {}
 *
 * const program = Effect.gen(function*() {
 *   const billing = yield* Billing
 *   const search = yield* Search
 *   const { data } = yield* billing.getData("/limits")
 *   yield* search.createOrSet("/limits", data)
 * })
 *
 * const Live = Layer.mergeAll(Billing.layer({ hosts: "zk-billing" }), Search.layer({ hosts: "zk-search" }))
 * const main = Effect.provide(program, Live)
 * ```
 *
 * @stability unstable
 * @category services
 * @since 0.1.0
 */
export const Service = <Self>() => <const Key extends string>(key: Key): ServiceClass<Self, Key> => {
  const Base = Context.Service<Self, ZkClient>()(key)
  const layerConfig = (config: Config.Wrap<ZkConfig.Options> = ZkConfig.options()) =>
    Layer.effect(Base, Effect.flatMap(Config.unwrap(config), make))
  return Object.assign(Base, {
    layer: (options?: ZkConfig.Options) => Layer.effect(Base, make(options)),
    layerConfig,
    layerUrl: (url: string, options?: Omit<ZkConfig.Lookup, "url">) =>
      layerConfig(ZkConfig.options({ ...options, url })),
    provide: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.provideServiceEffect(effect, ZkClient, Base)
  })
}

/**
 * When to try again what certainly was not applied: after 100 ms, then at doubling intervals of up to 5 seconds, with
 * jitter, for half a minute.
 *
 * @stability unstable
 * @category retrying
 * @since 0.1.0
 */
export const retrySchedule: Schedule.Schedule<unknown> = Schedule.min([
  Schedule.exponential(Duration.millis(100)),
  Schedule.spaced(Duration.seconds(5))
]).pipe(Schedule.jittered, Schedule.upTo({ duration: Duration.seconds(30) }))

/**
 * Runs an effect again as long as it fails with an error that `ZkError.isRetryable` takes for passing: it was not
 * applied, and may succeed next time. Errors with `maybeApplied: true` pass through, as do those of a session that is
 * over. The effect may consist of several operations; it is run again as a whole.
 *
 * **Example** (Retrying a read-modify-write)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { ZkClient } from "effect-zookeeper"
 *
 * const increment = Effect.gen(function*() {
 *   const zk = yield* ZkClient.ZkClient
 *   const { stat, text } = yield* zk.getData("/counter")
 *   yield* zk.setData("/counter", String(Number(text) + 1), { version: stat.version })
 * }).pipe(ZkClient.retry())
 * ```
 *
 * @stability unstable
 * @category retrying
 * @since 0.1.0
 */
export const retry = (options?: {
  /** Default: {@link retrySchedule}. */
  readonly schedule?: Schedule.Schedule<unknown, unknown> | undefined
  /** Which errors to try again. Default: `ZkError.isRetryable`. */
  readonly while?: ((error: unknown) => boolean) | undefined
}) =>
<A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.retry(effect, { schedule: options?.schedule ?? retrySchedule, while: options?.while ?? isRetryable })
