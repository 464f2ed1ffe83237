/**
 * A session across connections: its identity, its requests, watches and credentials, and the time that it has.
 *
 * All of it runs in callbacks of the socket and of one alarm; the only fiber is the one that makes connections
 * (reconnect.ts). Whatever ends a connection or the session goes through `onDeath`, `expire`, `fail` or `finish`.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as DateTime from "effect/DateTime"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Random from "effect/Random"
import type * as tls from "node:tls"
import * as ZkError from "../../ZkError.ts"
import type { SessionState } from "../../ZkState.ts"
import type { Engine, EngineStats, ExecuteOptions } from "../engine.ts"
import type { NodeAnswer } from "../errorCodes.ts"
import { internalOperation } from "../operation.ts"
import type { Operation } from "../operation.ts"
import { Code, EventType, Op } from "../protocol/constants.ts"
import { emptyPassword } from "../protocol/handshake.ts"
import type { ConnectResponse, WatcherEvent } from "../protocol/handshake.ts"
import { AddWatch, CloseSession, Exists, RemoveWatches, SetWatches, Sync } from "../protocol/requests.ts"
import type { Request } from "../protocol/requests.ts"
import { Writer } from "../protocol/writer.ts"
import type { ServerAddress } from "../transport.ts"
import { Transport } from "../transport.ts"
import { Alarm, BootTime, SessionClock } from "./clock.ts"
import type { Connection, Death } from "./connection.ts"
import { Credentials } from "./credentials.ts"
import type { Auth } from "./credentials.ts"
import {
  authFailed,
  connectionLoss,
  operationTimeout,
  outcomeOf,
  Pending,
  RequestQueue,
  sessionClosed,
  sessionExpired
} from "./pending.ts"
import type { Failure, PendingOptions } from "./pending.ts"
import type { Chance } from "./servers.ts"
import { ServerList, shuffle } from "./servers.ts"
import { StateHub } from "./stateHub.ts"
import { unimplemented, UnknownOps } from "./unknownOps.ts"
import type { Watcher, WatchKind } from "./watchTable.ts"
import { WatchTable } from "./watchTable.ts"
import { Zxid } from "./zxid.ts"

/** Milliseconds and bytes throughout; `Infinity` where there is no bound. */
export interface SessionOptions {
  readonly servers: ReadonlyArray<ServerAddress>
  readonly shuffle: boolean
  readonly sessionTimeout: number
  readonly requestTimeout: number
  readonly closeTimeout: number
  readonly maxInFlight: number
  readonly maxRequestSize: number
  readonly maxResponseSize: number
  readonly tls: tls.ConnectionOptions | undefined
  readonly auth: ReadonlyArray<Auth>
  readonly onExpiry: "renew" | "end"
  readonly firstXid: number
}

/** The identity of a session at the servers. */
export interface Identity {
  readonly id: bigint
  readonly password: Uint8Array
  /** The negotiated timeout. */
  readonly timeout: number
}

export class Session implements Engine {
  readonly options: SessionOptions
  readonly context: Context.Context<never>
  readonly clock: SessionClock
  readonly chance: Chance
  readonly transport: Transport
  readonly servers: ServerList
  readonly zxid = new Zxid()
  readonly states = new StateHub()
  readonly credentials: Credentials
  readonly watches: WatchTable
  private readonly alarm: Alarm
  private readonly queue = new RequestQueue()
  /** Requests of the session's own making, for the connection at hand. */
  private readonly own = new RequestQueue()
  /** The session, once a server has made it. */
  identity: Identity | undefined
  /** One that ended by our own clock, and that servers may still know. */
  zombie: Identity | undefined
  /** Until when it is asked for, counted from when a server first left open what it knows of it. */
  private zombieUntil = Infinity
  connection: Connection | undefined
  /** Credentials and watches have been taken by the connection: requests may follow. */
  private live = false
  /** The session was announced: requests that wait belong to it. */
  private announced = false
  /** When a server that knew the session was last heard. */
  private lastHeard = 0
  private connectedAt = 0
  /** From when on answered writes prove that the leader knows the session, on connections that are gone. */
  private lastCommitted = -Infinity
  /** A write was not answered: reads that follow must not overtake it on another server. */
  private syncFirst = false
  /** The request for a new session is with a server. */
  handshaking = false
  private closing = false
  private over: Failure | undefined
  private readonly closed = Deferred.makeUnsafe<void>()
  private driver: Fiber.Fiber<void> | undefined
  private readonly jobs = new Set<Fiber.Fiber<void>>()
  private turn: number | undefined
  private reconnects = -1
  private pings = 0
  /** What last kept a connection from coming about. */
  lastTrouble: Error | undefined
  /** The server of the connection, or of the one before while there is none. */
  private lastServer: string | undefined
  private readonly unknownOps = new UnknownOps()

  constructor(options: SessionOptions, context: Context.Context<never>) {
    this.options = options
    this.context = context
    const random = Context.get(context, Random.Random)
    this.chance = () => random.nextDoubleUnsafe()
    this.transport = Context.get(context, Transport)
    this.clock = new SessionClock(Context.get(context, Clock.Clock), Context.get(context, BootTime))
    this.alarm = new Alarm(this.clock, this.fork, () => this.onAlarm())
    this.servers = new ServerList(options.shuffle ? shuffle(options.servers, this.chance) : options.servers)
    this.credentials = new Credentials(options.auth)
    this.watches = new WatchTable({
      removeWatches: (path, type, onUnknownType) =>
        this.submitOwn(new RemoveWatches(path, type), (code) => {
          if (code === Code.marshallingError) onUnknownType()
        }),
      addWatch: (path, recursive, onDone) =>
        this.submitOwn(new AddWatch(path, recursive), (code) => this.onWatchesSet(code, onDone))
    })
  }

  readonly fork = <A>(effect: Effect.Effect<A>): Fiber.Fiber<A> => Effect.runForkWith(this.context)(effect)

  start(drive: Effect.Effect<void>): void {
    this.driver = this.fork(drive)
  }

  // -- requests -------------------------------------------------------------------------------------------------------

  execute<A, E extends NodeAnswer>(
    operation: Operation<E>,
    request: Request<A>,
    options: ExecuteOptions
  ): Effect.Effect<A, E | ZkError.SessionError> {
    return Effect.callback<A, E | ZkError.SessionError>((resume) => {
      // `fromCode` and the request's decoder make sure that the exit is what the types say.
      const settle = resume as (exit: Exit.Exit<unknown, NodeAnswer | ZkError.SessionError>) => void
      const pending = new Pending(request, operation, this.pendingOptions(request, options), this.turnTime(), settle)
      this.submit(pending)
      return Effect.sync(() => {
        pending.abandon()
        if (options.watcher !== undefined) this.removeWatcher(options.watcher)
      })
    })
  }

  private pendingOptions(request: Request, options: ExecuteOptions): PendingOptions {
    const { onZxid, watcher } = options
    if (watcher !== undefined) return this.arming(request, options, watcher)
    // The fields that the two have in common mean the same.
    return onZxid === undefined ? options : { ...options, onAnswer: (_code, zxid) => onZxid(zxid) }
  }

  /** Ties a read to the watch that it leaves. */
  private arming(request: Request, options: ExecuteOptions, watcher: Watcher): PendingOptions {
    const { kind, path } = watcher
    let asked = false
    return {
      ...options,
      onWrite: () => {
        options.onWrite?.()
        asked = this.watches.arming(kind, path)
        if ("watch" in request) request.watch = asked
      },
      onAnswer: (code, zxid) => {
        options.onZxid?.(zxid)
        const absent = code === Code.noNode && request instanceof Exists
        const leaves = code === Code.ok || absent
        const wanted = leaves && this.wants(watcher)
        this.watches.answered(kind, path, asked && leaves, wanted ? watcher : undefined, absent)
        if (wanted && !asked && !this.watches.isCovered(path)) this.setAlone(kind, path, absent, zxid)
      }
    }
  }

  /** The persistent watch that a read relied on was refused: sets a watch on what comes after the read. */
  private setAlone(kind: WatchKind, path: string, absent: boolean, zxid: bigint): void {
    const list = kind === "child" ? "child" : absent ? "exist" : "data"
    const paths = { data: [], exist: [], child: [], persistent: [], recursive: [], [list]: [path] }
    this.watches.arming(kind, path)
    this.submitOwn(
      new SetWatches(zxid, paths),
      (code) => this.onWatchesSet(code, () => this.watches.answered(kind, path, true, undefined, false))
    )
  }

  /** Watchers that were removed while their request was under way. */
  private readonly unwanted = new WeakSet<Watcher>()

  private wants(watcher: Watcher): boolean {
    return !this.unwanted.has(watcher)
  }

  /** The time of this turn of the event loop: one look at the clock for all requests that it makes. */
  private turnTime(): number {
    if (this.turn === undefined) {
      this.turn = this.clock.now()
      queueMicrotask(this.pump)
    }
    return this.turn
  }

  private refusal(): Failure | undefined {
    return this.over ?? (this.closing ? sessionClosed : undefined)
  }

  private submit(pending: Pending): void {
    const refusal = pending.options.whileClosing === true ? this.over : this.refusal()
    if (refusal !== undefined) return pending.failWith(refusal)
    const { session } = pending.options
    if (session !== undefined && session !== this.sessionId()) return pending.failWith(sessionExpired(session))
    if (this.unknownOps.has(pending.request.op, this.lastServer, pending.since)) return pending.failWith(unimplemented)
    if (this.isTooLarge(pending)) return
    if (pending.options.overtakes === true) this.queue.unshift(pending)
    else this.queue.push(pending)
    if (this.options.requestTimeout !== Infinity) this.alarm.noLaterThan(pending.since + this.options.requestTimeout)
  }

  private isTooLarge(pending: Pending): boolean {
    const limit = this.options.maxRequestSize
    if (pending.request.sizeBound() <= limit) return false
    const writer = new Writer()
    pending.request.encode(writer)
    // The header's two numbers come on top.
    const size = writer.size() + 8
    if (size <= limit) return false
    pending.failWith(({ operation, path }) => new ZkError.RequestTooLarge({ operation, path, size, limit }))
    return true
  }

  /**
   * A request of the session's own making, for the connection at hand only. It overtakes requests that wait: what the
   * watch table has decided must reach the server ahead of what it has not yet taken into account.
   */
  submitOwn(request: Request, onAnswer: (code: number) => void): void {
    if (this.connection === undefined) return
    this.own.push(new Pending(request, internalOperation, { onAnswer }, this.turnTime(), () => {}))
  }

  /** Without its watches a connection is of no use: the next one sets all of them. */
  private onWatchesSet(code: number, onDone: () => void): void {
    if (code === Code.ok) return onDone()
    const { connection } = this
    connection?.die({ reason: "protocol", message: `${connection.server} refused to set a watch (${code})` })
  }

  private readonly pump = (): void => {
    this.turn = undefined
    this.write()
  }

  private write(): void {
    this.connection?.pump(this.own)
    if (this.live) this.connection?.pump(this.queue)
  }

  // -- watches and credentials ----------------------------------------------------------------------------------------

  addWatch(watcher: Watcher, path: string, session?: bigint): Effect.Effect<void, ZkError.SessionError> {
    const { kind } = watcher
    return Effect.callback<void, ZkError.SessionError>((resume) => {
      const isCurrent = session === undefined || session === this.sessionId()
      if (isCurrent && this.refusal() === undefined && this.watches.isArmed(kind, watcher.path)) {
        this.watches.join(watcher)
        resume(Effect.void)
        return
      }
      const request = new AddWatch(watcher.path, kind === "recursive")
      const options: PendingOptions = {
        path,
        session,
        onWrite: () => {
          this.watches.arming(kind, watcher.path)
          request.recursive = this.watches.needsRecursive(watcher.path)
        },
        onAnswer: (code) => {
          const isArmed = code === Code.ok
          this.watches.answered(
            kind,
            watcher.path,
            isArmed,
            isArmed && this.wants(watcher) ? watcher : undefined,
            false
          )
        }
      }
      const settle = resume as (exit: Exit.Exit<unknown, NodeAnswer | ZkError.SessionError>) => void
      const pending = new Pending(request, addWatchOperation, options, this.turnTime(), settle)
      this.submit(pending)
      return Effect.sync(() => {
        pending.abandon()
        this.removeWatcher(watcher)
      })
    })
  }

  removeWatcher(watcher: Watcher): void {
    this.unwanted.add(watcher)
    this.watches.remove(watcher)
  }

  addAuth(auth: Auth): Effect.Effect<void, ZkError.SessionError> {
    const wait = Effect.callback<void, ZkError.SessionError>((resume) => {
      const refusal = this.refusal()
      if (refusal !== undefined) return resume(Effect.fail(refusal(outcomeOf("addAuth"))))
      const { entry, forget } = this.credentials.add(auth, (error) => {
        resume(error === undefined ? Effect.void : Effect.fail(error))
      })
      // Also while the connection is being set up: what is replayed there was listed before.
      if (this.connection !== undefined) {
        this.credentials.send(entry, this.connection, () => {}, (scheme) => this.fail(scheme))
      }
      return Effect.sync(forget)
    })
    const { requestTimeout } = this.options
    if (requestTimeout === Infinity) return wait
    return Effect.timeoutOrElse(wait, {
      duration: Duration.millis(requestTimeout),
      orElse: () =>
        Effect.fail(
          new ZkError.OperationTimeout({ operation: "addAuth", path: "", maybeApplied: true, timeout: requestTimeout })
        )
    })
  }

  // -- connections ----------------------------------------------------------------------------------------------------

  lastZxid(): bigint {
    return this.zxid.value()
  }

  sessionId(): bigint | undefined {
    return this.announced ? this.identity?.id : undefined
  }

  timeout(): number {
    return this.identity?.timeout ?? this.options.sessionTimeout
  }

  now(late: number): number {
    return this.clock.nowAfterSleep(late)
  }

  committedAt(): number {
    return Math.max(this.lastCommitted, this.connection?.committedAt ?? -Infinity)
  }

  isRenewing(): boolean {
    return this.over === undefined && this.options.onExpiry === "renew"
  }

  background(effect: Effect.Effect<void>): void {
    const fiber = this.fork(effect)
    this.jobs.add(fiber)
    fiber.addObserver(() => this.jobs.delete(fiber))
  }

  stats(): EngineStats {
    return {
      inFlight: this.connection?.inFlightCount ?? 0,
      queued: this.queue.size,
      watchers: this.watches.size,
      reconnects: Math.max(0, this.reconnects),
      pings: this.pings + (this.connection?.pings ?? 0)
    }
  }

  /** When the session ends by our own clock; `Infinity` while there is none, or somebody answers for it. */
  expiresAt(): number {
    if (this.identity === undefined || this.connection !== undefined) return Infinity
    return this.lastHeard + (this.identity.timeout * 4) / 3
  }

  get isOver(): boolean {
    return this.over !== undefined
  }

  get isClosing(): boolean {
    return this.closing
  }

  /** A server has answered for the session, or made a new one. */
  adopt(connection: Connection, response: ConnectResponse): "reconnected" | "newSession" {
    const known = this.identity !== undefined && this.identity.id === response.sessionId
    if (this.identity !== undefined && !known) this.expire(false)
    this.connectedAt = Infinity
    this.identity = { id: response.sessionId, password: response.password, timeout: response.timeout }
    this.connection = connection
    this.lastServer = connection.server
    connection.carry(response.sessionId, (response.timeout * 2) / 3)
    this.alarm.noLaterThan(this.clock.now() + this.pingInterval())
    return known ? "reconnected" : "newSession"
  }

  onTrouble(cause: Error): void {
    this.lastTrouble = cause
    this.log("Debug", cause.message)
  }

  /** The connection has taken credentials and watches: requests may follow. */
  goLive(connection: Connection, readOnly: boolean): void {
    const identity = this.identity!
    this.live = true
    this.connectedAt = this.clock.now()
    this.reconnects++
    if (this.syncFirst) this.sync(connection)
    if (!this.closing) {
      this.announced = true
      this.setState({
        _tag: "Connected",
        sessionId: identity.id,
        timeout: Duration.millis(identity.timeout),
        server: connection.server,
        readOnly
      })
    }
    this.pump()
  }

  /**
   * Reads that were asked for behind a write whose answer was lost must not be answered by a server that has yet to see
   * the write. Behind a sync they cannot be.
   */
  private sync(connection: Connection): void {
    this.submitOwn(new Sync("/"), (code) => {
      if (code === Code.ok) this.syncFirst = false
      else connection.die({ reason: "protocol", message: `${connection.server} refused to sync (${code})` })
    })
  }

  onWatcherEvent(event: WatcherEvent, zxid: bigint): void {
    if (event.type < EventType.created || event.type > EventType.childrenChanged) {
      this.log("Debug", `event of the unknown type ${event.type} for ${event.path}`)
      return
    }
    this.watches.onEvent({ type: event.type, path: event.path, zxid: zxid > 0n ? zxid : undefined })
  }

  onUnknownOp(op: number, server: string): void {
    // A transaction may have been refused for one of its operations; the next need not have that.
    if (op !== Op.multi) this.unknownOps.remember(op, server, this.clock.now())
  }

  onRoom(): void {
    if (this.own.size > 0 || this.queue.size > 0) this.write()
  }

  /** A connection is gone that the session had been adopted by. */
  onDeath(connection: Connection, death: Death, unanswered: ReadonlyArray<Pending>): void {
    this.connection = undefined
    this.live = false
    this.handshaking = false
    this.lastHeard = connection.lastHeard
    this.lastCommitted = Math.max(this.lastCommitted, connection.committedAt)
    this.pings += connection.pings
    this.lastTrouble = new Error(death.message)
    if (death.reason === "silent") this.servers.putLast(connection.server)
    const { identity } = this
    if (this.connectedAt !== Infinity && identity !== undefined) {
      // A connection that lasts no time proves nothing: without a pause somebody would be asked in a tight loop.
      const isProven = this.clock.now() - this.connectedAt > Math.min(1000, identity.timeout / 3)
      if (isProven) this.servers.succeeded()
      else this.servers.failed()
    }
    this.own.drain()
    this.watches.onDisconnect()
    // Ahead of the failures: whoever gets one and looks at the state finds what it comes from.
    if (this.over === undefined && this.states.current._tag === "Connected" && identity !== undefined) {
      const since = DateTime.makeUnsafe(Context.get(this.context, Clock.Clock).currentTimeMillisUnsafe())
      this.setState({ _tag: "Suspended", sessionId: identity.id, since })
    }
    this.requeue(unanswered, death)
    if (this.clock.now() >= this.expiresAt()) this.expire(true)
  }

  /** Reads wait for the next connection, in front; of writes nobody knows. */
  private requeue(unanswered: ReadonlyArray<Pending>, death: Death): void {
    const lost = connectionLoss(death.message)
    const bound = [...this.queue].filter((pending) => pending.options.sameConnection === true)
    for (const pending of bound) this.queue.remove(pending)
    for (let i = unanswered.length - 1; i >= 0; i--) {
      const pending = unanswered[i]!
      if (!pending.request.isRead) {
        this.syncFirst = true
        continue
      }
      if (pending.settled || pending.options.sameConnection === true || pending.operation === internalOperation) {
        continue
      }
      pending.written = false
      this.queue.unshift(pending)
    }
    // Only now, since whoever is told may ask for more at once.
    for (const pending of unanswered) if (pending.written) pending.failWith(lost)
    for (const pending of bound) pending.failWith(lost)
  }

  // -- time -----------------------------------------------------------------------------------------------------------

  private pingInterval(): number {
    return this.identity!.timeout / 6
  }

  private onAlarm(): void {
    const now = this.clock.resync()
    const { connection } = this
    if (connection !== undefined && connection.checkSilence() !== undefined) {
      const pingAt = () => connection.isPingDue ? connection.lastSent + this.pingInterval() : Infinity
      if (now >= pingAt()) connection.ping()
      // A little late, so that the limit has then been passed.
      this.alarm.noLaterThan(Math.min(pingAt(), connection.silentAt() + 1))
    }
    this.expireRequests(now)
  }

  /** The alarm waits for silence while a ping is under way, which is far later than when the next is due. */
  onPong(): void {
    if (this.connection !== undefined) this.alarm.noLaterThan(this.connection.lastSent + this.pingInterval())
  }

  private expireRequests(now: number): void {
    const { requestTimeout } = this.options
    if (requestTimeout === Infinity) return
    const oldest = this.connection?.failOverdue(now - requestTimeout, requestTimeout)
    if (oldest !== undefined) this.alarm.noLaterThan(oldest + requestTimeout)
    for (const pending of [...this.overdue(now - requestTimeout)]) {
      this.queue.remove(pending)
      pending.failWith(operationTimeout(requestTimeout))
    }
  }

  /** Those that wait and were asked for at `before` or earlier; the alarm is set for the next. */
  private *overdue(before: number): Generator<Pending> {
    for (const pending of this.queue) {
      if (pending.since <= before) {
        yield pending
        continue
      }
      this.alarm.noLaterThan(pending.since + this.options.requestTimeout)
      // Besides those that have overtaken them, the others are younger.
      if (pending.options.overtakes !== true) return
    }
  }

  // -- endings --------------------------------------------------------------------------------------------------------

  private setState(state: SessionState): void {
    this.states.set(state)
    switch (state._tag) {
      case "Connected":
        return this.log("Debug", `connected to ${state.server}`)
      case "Suspended":
        return this.log("Debug", `connection lost: ${this.lastTrouble?.message}`)
      case "Expired":
        return this.log(
          "Warning",
          `session expired: ${this.lastTrouble?.message ?? "by the server's word"}`,
          state.sessionId
        )
      case "AuthFailed":
        return this.log("Warning", state.error.message)
    }
  }

  log(level: "Debug" | "Warning", message: string, sessionId = this.identity?.id): void {
    const id = sessionId === undefined ? "none" : `0x${BigInt.asUintN(64, sessionId).toString(16)}`
    const effect = level === "Debug" ? Effect.logDebug(message) : Effect.logWarning(message)
    const server = this.lastServer ?? "none"
    this.fork(Effect.annotateLogs(effect, { "zookeeper.session": id, "zookeeper.server": server }))
  }

  /** The session is over; `byOurClock` when no server has said so. */
  expire(byOurClock: boolean): void {
    const { identity } = this
    if (identity === undefined) return
    if (byOurClock) {
      this.zombie = identity
      this.zombieUntil = Infinity
    }
    const { id } = identity
    this.identity = undefined
    this.lastCommitted = -Infinity
    this.syncFirst = false
    const failure = sessionExpired(id)
    if (this.announced) {
      this.announced = false
      // Requests that are asked for from here on belong to the next session.
      const waiting = this.queue.drain()
      // Of a client that is being closed it is the end that was asked for.
      if (!this.closing) this.setState({ _tag: "Expired", sessionId: id })
      for (const pending of waiting) pending.failWith(failure)
    }
    this.watches.onExpired(failure(outcomeOf("watch")))
    if (this.closing) this.finish()
    else if (this.options.onExpiry === "end") this.end(failure)
  }

  /**
   * A server that could be reached did not say what has become of the zombie. Another, or the same when it has started
   * up, may still know it: so it is asked for again, but not for longer than servers keep a session that nobody uses.
   */
  zombieInDoubt(): void {
    if (this.zombie === undefined) return
    const now = this.clock.now()
    this.zombieUntil = Math.min(this.zombieUntil, now + this.zombie.timeout)
    if (now >= this.zombieUntil) this.zombie = undefined
  }

  /** Credentials were refused: there is no use in connecting again. */
  fail(scheme: string): void {
    if (this.over !== undefined) return
    this.setState({ _tag: "AuthFailed", error: new ZkError.AuthFailed({ ...outcomeOf("connect"), scheme }) })
    this.end(authFailed(scheme))
  }

  /** No connection follows; everybody who waits hears why. */
  private end(failure: Failure): void {
    this.over = failure
    this.live = false
    this.alarm.cancel()
    const waiting = this.queue.drain()
    // Settled before the connection dies, which would report a lost connection.
    this.connection?.failAll(failure)
    this.connection?.die({ reason: "dropped", message: "the session is over" })
    for (const pending of waiting) pending.failWith(failure)
    this.watches.onClosed(failure(outcomeOf("watch")))
    this.credentials.abandon(failure)
    this.driver?.interruptUnsafe()
  }

  /** Ends a client that is being closed, now that nothing is left to wait for. */
  finish(): void {
    if (this.states.current._tag === "Closed") return
    if (this.over === undefined) this.end(sessionClosed)
    this.over = sessionClosed
    this.setState({ _tag: "Closed" })
    this.states.end()
    for (const job of this.jobs) job.interruptUnsafe()
    Deferred.doneUnsafe(this.closed, Effect.void)
  }

  readonly close: Effect.Effect<void> = Effect.suspend(() => {
    if (!this.closing) this.beginClose()
    return Deferred.await(this.closed)
  })

  private beginClose(): void {
    this.closing = true
    const nothingToEnd = this.identity === undefined && !this.handshaking
    if (this.over !== undefined || nothingToEnd) return this.finish()
    const jobs = [...this.jobs]
    this.background(Effect.andThen(this.clock.sleep(this.options.closeTimeout), Effect.sync(() => this.finish())))
    if (jobs.length === 0) this.queueClose()
    else this.background(Effect.andThen(Fiber.awaitAll(jobs), Effect.sync(() => this.queueClose())))
  }

  /** Behind everything that was asked for before. */
  private queueClose(): void {
    const pending = new Pending(new CloseSession(), internalOperation, {}, Infinity, (exit) => {
      // A lost answer leaves it open whether the session is over: ask again on the next connection.
      if (exit._tag === "Failure" && this.over === undefined && this.identity !== undefined) this.queueClose()
      else this.finish()
    })
    this.queue.push(pending)
    this.pump()
  }
}

const addWatchOperation: Operation<never> = { name: "addWatch", codes: new Set() }
export const newIdentity: Identity = { id: 0n, password: emptyPassword, timeout: 0 }
