/** Watches: one event, raw events, and the present state of a node with all that follows. */
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import type { Children, FollowOptions, NodeData, SubscribeOptions, ZkClient } from "../../ZkClient.ts"
import type { InvalidPath, NoAuth, NoNode, SessionError, StreamError } from "../../ZkError.ts"
import { InvalidInput } from "../../ZkError.ts"
import type { NodeEvent, WatchedEvent } from "../../ZkEvent.ts"
import type { Stat } from "../../ZkStat.ts"
import type { ExecuteOptions } from "../engine.ts"
import type { NodeAnswer } from "../errorCodes.ts"
import type { Operation } from "../operation.ts"
import { isPassing, pause } from "../passing.ts"
import { configPath, EventType } from "../protocol/constants.ts"
import type { Request } from "../protocol/requests.ts"
import { Exists, GetChildren, GetData } from "../protocol/requests.ts"
import type { TableEvent, Watcher, WatchKind } from "../session/watchTable.ts"
import type { Core } from "./core.ts"
import { run } from "./core.ts"
import { toServerPath } from "./input.ts"
import { operations } from "./operations.ts"

const tags: { readonly [type: number]: NodeEvent["_tag"] } = {
  [EventType.created]: "NodeCreated",
  [EventType.deleted]: "NodeDeleted",
  [EventType.dataChanged]: "NodeDataChanged",
  [EventType.childrenChanged]: "NodeChildrenChanged"
}

const toNodeEvent = (core: Core, event: TableEvent): NodeEvent => ({
  _tag: tags[event.type]!,
  path: core.chroot.toClient(event.path) ?? event.path,
  zxid: event.zxid
})

const nothing = () => {}

// -- one event --------------------------------------------------------------------------------------------------------

/** `read` is the request that leaves the watch; it may turn errors that leave one too into results. */
const watchOnce = <A, E>(
  core: Core,
  kind: WatchKind,
  path: string,
  read: (serverPath: string, options: ExecuteOptions) => Effect.Effect<A, E | SessionError>
) =>
  Effect.suspend(() => {
    const serverPath = toServerPath(core.chroot, path)
    if (serverPath instanceof Error) return Effect.fail(serverPath)
    const fired = Deferred.makeUnsafe<NodeEvent, SessionError>()
    const watcher: Watcher = {
      kind,
      path: serverPath,
      endsWithSession: true,
      onEvent: (event) => Deferred.doneUnsafe(fired, Effect.succeed(toNodeEvent(core, event))),
      onReset: nothing,
      onEnd: (error) => Deferred.doneUnsafe(fired, Effect.fail(error))
    }
    const release = Effect.sync(() => {
      core.engine.removeWatcher(watcher)
      // Whoever still waits does so for something that cannot come any more.
      Deferred.doneUnsafe(fired, Effect.interrupt)
    })
    // A read that fails here may still be answered.
    const acquire = Effect.onError(read(serverPath, { watcher }), () => release)
    return Effect.acquireRelease(acquire, () => release, { interruptible: true }).pipe(
      Effect.map((result) => ({ result, fired: Deferred.await(fired) }))
    )
  })

const existsAt = (core: Core, path: string, serverPath: string, options: ExecuteOptions) =>
  run(core, operations.exists, new Exists(serverPath, false), path, options).pipe(
    Effect.map(Option.some),
    Effect.catchTag("NoNode", () => Effect.succeed(Option.none<Stat>()))
  )

// -- raw events -------------------------------------------------------------------------------------------------------

const defaultBuffer = 1024

const offer = (queue: Queue.Queue<WatchedEvent, SessionError>, limit: number, event: WatchedEvent): void => {
  if (Queue.sizeUnsafe(queue) < limit) {
    Queue.offerUnsafe(queue, event)
    return
  }
  // Neither without end nor silently fewer: the reader is told to look for itself.
  while (Queue.sizeUnsafe(queue) > 0) Queue.takeUnsafe(queue)
  Queue.offerUnsafe(queue, { _tag: "Reset", reason: "overflow" })
}

const subscribe = (
  core: Core,
  path: string,
  kind: "persistent" | "recursive",
  options?: SubscribeOptions
): ReturnType<ZkClient["subscribe"]> =>
  Effect.suspend(() => {
    const serverPath = toServerPath(core.chroot, path)
    if (serverPath instanceof Error) return Effect.fail(serverPath)
    if (kind !== "persistent" && kind !== "recursive") {
      return Effect.fail(
        new InvalidInput({ operation: "addWatch", path, reason: `${String(kind)} is no kind of watch` })
      )
    }
    const limit = options?.bufferSize ?? defaultBuffer
    if (!Number.isInteger(limit) || limit < 1) {
      return Effect.fail(new InvalidInput({ operation: "addWatch", path, reason: `a buffer of ${limit} events` }))
    }
    return Effect.flatMap(Queue.unbounded<WatchedEvent, SessionError>(), (queue) => {
      const watcher: Watcher = {
        kind,
        path: serverPath,
        endsWithSession: core.session !== undefined || options?.onSessionLoss === "end",
        onEvent: (event) => offer(queue, limit, toNodeEvent(core, event)),
        onReset: (reason) => offer(queue, limit, { _tag: "Reset", reason }),
        onEnd: (error) => Queue.failCauseUnsafe(queue, Cause.fail(error))
      }
      const release = Effect.suspend(() => {
        core.engine.removeWatcher(watcher)
        return Queue.shutdown(queue)
      })
      // A session that ends before it has taken the watch is not the subscriber's concern.
      const add = Effect.retry(core.engine.addWatch(watcher, path, core.session), {
        while: (error) => error._tag === "SessionExpired" && !watcher.endsWithSession && core.engine.isRenewing()
      })
      // A request that fails here may still be answered.
      return Effect.acquireRelease(Effect.onError(add, () => release), () => release, { interruptible: true }).pipe(
        Effect.as(Queue.asDequeue(queue))
      )
    })
  })

// -- following --------------------------------------------------------------------------------------------------------

interface Followed<A, E extends NodeAnswer> {
  readonly core: Core
  readonly path: string
  readonly serverPath: string
  readonly kind: "data" | "child"
  readonly operation: Operation<E>
  readonly request: (serverPath: string) => Request<A>
  /** Whether two states are the same. */
  readonly isSame: (a: A, b: A) => boolean
  readonly options: FollowOptions | undefined
}

/**
 * Reads and arms in one request, and reads again after each event: events say that, not what. What a slow reader does
 * not wait for is not read either, so that it always gets the latest.
 */
class Follower<A, E extends NodeAnswer> {
  private readonly spec: Followed<A, E>
  private readonly ends: boolean
  private watcher: Watcher | undefined
  private fired: Deferred.Deferred<void, SessionError> | undefined
  private session: bigint | undefined
  private last: Option.Option<A> | undefined

  constructor(spec: Followed<A, E>) {
    this.spec = spec
    this.ends = spec.core.session !== undefined || spec.options?.onSessionLoss === "end"
    this.session = spec.core.session
  }

  private arm(kind: "data" | "child"): Watcher {
    this.release()
    const fired = Deferred.makeUnsafe<void, SessionError>()
    this.fired = fired
    const watcher: Watcher = {
      kind,
      path: this.spec.serverPath,
      endsWithSession: true,
      onEvent: () => Deferred.doneUnsafe(fired, Exit.void),
      onReset: nothing,
      onEnd: (error) => {
        const goesOn = error._tag === "SessionExpired" && !this.ends && this.spec.core.engine.isRenewing()
        Deferred.doneUnsafe(fired, goesOn ? Exit.void : Exit.fail(error))
      }
    }
    this.watcher = watcher
    return watcher
  }

  release(): void {
    if (this.watcher !== undefined) this.spec.core.engine.removeWatcher(this.watcher)
    this.watcher = undefined
    this.fired = undefined
  }

  private execute<B>(request: Request<B>, operation: Operation<NodeAnswer>, kind: "data" | "child") {
    const { core, path } = this.spec
    const options: ExecuteOptions = { path, watcher: this.arm(kind), session: this.session }
    return core.engine.execute(operation, request, options)
  }

  /** The present state, with a watch on what comes after it. */
  private readonly read: Effect.Effect<Option.Option<A>, NodeAnswer | SessionError> = Effect.suspend(() => {
    const { kind, operation, request, serverPath } = this.spec
    return this.execute(request(serverPath), operation, kind).pipe(
      Effect.map(Option.some),
      Effect.catchIf((error) => error._tag === "NoNode", () => this.awaitable)
    )
  })

  /** Of a missing node only `exists` tells when it comes; it may have come already. */
  private readonly awaitable: Effect.Effect<Option.Option<A>, NodeAnswer | SessionError> = Effect.suspend(() =>
    this.execute(new Exists(this.spec.serverPath, false), operations.exists, "data").pipe(
      Effect.flatMap(() => this.read),
      Effect.catchIf((error) => error._tag === "NoNode", () => Effect.succeed(Option.none<A>()))
    )
  )

  private passes(error: NodeAnswer | SessionError): boolean {
    const goesOn = error._tag === "SessionExpired" && !this.ends && this.spec.core.engine.isRenewing()
    return goesOn || isPassing(error)
  }

  private readonly readPatiently: Effect.Effect<Option.Option<A>, NodeAnswer | SessionError> = Effect.suspend(() =>
    Effect.catchIf(
      this.read,
      (error) => this.passes(error),
      () => Effect.andThen(Effect.sleep(pause), this.readPatiently)
    )
  )

  private isNews(state: Option.Option<A>): boolean {
    const { last } = this
    if (last === undefined || last._tag !== state._tag) return true
    return Option.isSome(last) && Option.isSome(state) && !this.spec.isSame(last.value, state.value)
  }

  /** The next state that differs from the one before. */
  readonly next: Effect.Effect<Option.Option<A>, NodeAnswer | SessionError> = Effect.suspend(() => {
    const wait = this.fired === undefined ? Effect.void : Deferred.await(this.fired)
    return Effect.flatMap(Effect.andThen(wait, this.readPatiently), (state) => {
      if (this.ends) this.session ??= this.spec.core.engine.sessionId()
      if (!this.isNews(state)) return this.next
      this.last = state
      return Effect.succeed(state)
    })
  })
}

const follow = <A>(
  spec: Omit<Followed<A, NoNode | NoAuth>, "serverPath">,
  serverPath: string | InvalidPath
): Stream.Stream<Option.Option<A>, NoAuth | StreamError> => {
  if (serverPath instanceof Error) return Stream.fail(serverPath)
  const acquire = Effect.acquireRelease(
    Effect.sync(() => new Follower({ ...spec, serverPath })),
    (follower) => Effect.sync(() => follower.release())
  )
  return Stream.unwrap(
    Effect.map(acquire, (follower) => {
      // NoNode was turned into a state, and what passes by itself is waited for: these are left.
      const next = follower.next as Effect.Effect<Option.Option<A>, NoAuth | StreamError>
      return Stream.fromPull(Effect.succeed(Effect.map(next, (state) => [state] as const)))
    })
  )
}

export const isSameData = (a: NodeData, b: NodeData): boolean =>
  a.stat.mzxid === b.stat.mzxid && a.stat.czxid === b.stat.czxid

/** Besides pzxid, which stops moving when a parent has run out of sequence numbers. */
export const isSameChildren = (a: Children, b: Children): boolean =>
  a.stat.pzxid === b.stat.pzxid && a.stat.czxid === b.stat.czxid && a.stat.cversion === b.stat.cversion &&
  a.stat.numChildren === b.stat.numChildren

const followData = (core: Core, path: string, serverPath: string | InvalidPath, options?: FollowOptions) =>
  follow<NodeData>({
    core,
    path,
    kind: "data",
    operation: operations.getData,
    request: (at) => new GetData(at, false),
    isSame: isSameData,
    options
  }, serverPath)

type Watches = Pick<
  ZkClient,
  | "getDataWatch"
  | "existsWatch"
  | "getChildrenWatch"
  | "changes"
  | "childrenChanges"
  | "watch"
  | "subscribe"
  | "configChanges"
>

export const makeWatches = (core: Core): Watches => ({
  getDataWatch: (path) =>
    watchOnce(
      core,
      "data",
      path,
      (serverPath, options) => run(core, operations.getData, new GetData(serverPath, false), path, options)
    ),
  existsWatch: (path) =>
    watchOnce(core, "data", path, (serverPath, options) => existsAt(core, path, serverPath, options)),
  getChildrenWatch: (path) =>
    watchOnce(
      core,
      "child",
      path,
      (serverPath, options) => run(core, operations.getChildren, new GetChildren(serverPath, false), path, options)
    ),
  changes: (path, options) => followData(core, path, toServerPath(core.chroot, path), options),
  childrenChanges: (path, options) =>
    follow<Children>({
      core,
      path,
      kind: "child",
      operation: operations.getChildren,
      request: (at) => new GetChildren(at, false),
      isSame: isSameChildren,
      options
    }, toServerPath(core.chroot, path)),
  subscribe: (path, kind, options) => subscribe(core, path, kind, options),
  watch: (path, kind, options) => Stream.unwrap(Effect.map(subscribe(core, path, kind, options), Stream.fromQueue)),
  configChanges: followData(core, configPath, configPath)
})
