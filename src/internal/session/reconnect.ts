/** Making connections: one attempt, and the loop that goes on trying for as long as the client lives. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { internalOperation } from "../operation.ts"
import type { ConnectResponse } from "../protocol/handshake.ts"
import { CloseSession, SetWatches } from "../protocol/requests.ts"
import type { WatchedPaths } from "../protocol/requests.ts"
import type { ServerAddress } from "../transport.ts"
import { formatServer } from "../transport.ts"
import { Connection } from "./connection.ts"
import type { ConnectionEvents, Death } from "./connection.ts"
import { Pending, RequestQueue } from "./pending.ts"
import { attemptTimeout, backOff, longestOfSession } from "./servers.ts"
import type { Identity, Session } from "./session.ts"
import { newIdentity } from "./session.ts"

type Outcome =
  | { readonly _tag: "Live"; readonly died: Effect.Effect<void> }
  /** The server does not know the session that it was asked for. */
  | { readonly _tag: "Expired" }
  /** Closed without a word: no quorum, too many connections, or the client has seen more than the server has. */
  | { readonly _tag: "Refused"; readonly cause: Error }
  | { readonly _tag: "Unreachable"; readonly cause: Error; readonly silent: boolean }
  /** A session that had ended by our own clock is ended at the servers too, or not known there any more. */
  | { readonly _tag: "Buried" }

/** What can be heard of a connection before it carries requests. */
type Greeting =
  | { readonly _tag: "Response"; readonly response: ConnectResponse }
  | { readonly _tag: "Death"; readonly death: Death }

/** A connection whose events can be waited for while it is made, and go to the session afterwards. */
class Candidate {
  readonly connection: Connection
  private listener: ((greeting: Greeting) => void) | undefined
  private deathListener: (() => void) | undefined
  private greeting: Greeting | undefined
  isAdopted = false
  isLive = false

  constructor(session: Session, options: { socket: Parameters<typeof makeConnection>[1]; server: string }) {
    this.connection = makeConnection(session, options.socket, options.server, {
      onConnectResponse: (response) => this.greet({ _tag: "Response", response }),
      onWatcherEvent: (event, zxid) => session.onWatcherEvent(event, zxid),
      onPong: () => session.onPong(),
      onRoom: () => session.onRoom(),
      onUnknownOp: (op) => session.onUnknownOp(op, options.server),
      onDeath: (death, unanswered) => {
        if (this.isAdopted) session.onDeath(this.connection, death, unanswered)
        this.greet({ _tag: "Death", death })
        this.deathListener?.()
      }
    })
  }

  private greet(greeting: Greeting): void {
    // Adoption happens in the same turn, so that no event of the new connection passes unnoticed.
    this.greeting ??= greeting
    const listener = this.listener
    this.listener = undefined
    listener?.(greeting)
  }

  readonly greeted: Effect.Effect<Greeting> = Effect.callback((resume) => {
    if (this.greeting !== undefined) return resume(Effect.succeed(this.greeting))
    this.listener = (greeting) => resume(Effect.succeed(greeting))
  })

  readonly died: Effect.Effect<void> = Effect.callback((resume) => {
    if (this.connection.death !== undefined) return resume(Effect.void)
    this.deathListener = () => resume(Effect.void)
  })

  drop(): void {
    this.connection.die({ reason: "dropped", message: "the connection did not come about" })
  }
}

const makeConnection = (
  session: Session,
  socket: ConstructorParameters<typeof Connection>[0]["socket"],
  server: string,
  events: ConnectionEvents
): Connection =>
  new Connection({
    socket,
    server,
    clock: session.clock,
    zxid: session.zxid,
    maxInFlight: session.options.maxInFlight,
    maxResponseSize: session.options.maxResponseSize,
    firstXid: session.options.firstXid,
    events
  })

/** ZooKeeper's own client sends watches in such batches: a server reads no frame of more than a megabyte. */
const batchBytes = 128 * 1024

/** Splits the watches of a connection into requests, all relative to the same transaction. */
export const watchBatches = (paths: WatchedPaths, relativeZxid: bigint): ReadonlyArray<SetWatches> => {
  const batches: Array<SetWatches> = []
  const empty = () => ({ data: [], exist: [], child: [], persistent: [], recursive: [] })
  let batch: { [List in keyof WatchedPaths]: Array<string> } = empty()
  let size = 0
  const close = () => {
    if (size > 0) batches.push(new SetWatches(relativeZxid, batch))
    batch = empty()
    size = 0
  }
  for (const list of ["data", "exist", "child", "persistent", "recursive"] as const) {
    for (const path of paths[list]) {
      const bytes = Buffer.byteLength(path) + 4
      if (size + bytes > batchBytes) close()
      batch[list].push(path)
      size += bytes
    }
  }
  close()
  return batches
}

/** Tells a new connection who the session is, then what it watches. Fails to complete when the connection dies. */
const prime = (session: Session, connection: Connection, reason: "reconnected" | "newSession"): Effect.Effect<void> =>
  Effect.callback((resume) => {
    const setWatches = () => {
      const batches = watchBatches(session.watches.rearming(), session.zxid.value())
      let left = batches.length
      if (left === 0) return resume(Effect.void)
      const onAnswer = (code: number) => {
        if (code !== 0) {
          connection.die({ reason: "protocol", message: `${connection.server} refused to set watches (${code})` })
        } else if (--left === 0) {
          session.watches.rearmed(reason)
          resume(Effect.void)
        }
      }
      for (const batch of batches) session.submitOwn(batch, onAnswer)
    }
    session.credentials.replay(connection, setWatches, (scheme) => session.fail(scheme))
  })

/** Ends at the servers what had ended by our own clock: its ephemeral nodes would stand in the next session's way. */
const bury = (session: Session, candidate: Candidate): Effect.Effect<Outcome> =>
  Effect.callback((resume) => {
    const { connection } = candidate
    const onAnswer = () => {
      session.zombie = undefined
      resume(Effect.succeed({ _tag: "Buried" }))
    }
    const onEnd = () => {
      // Whether it was ended is asked for again on the next connection.
      session.zombieInDoubt()
      const cause = new Error(connection.death?.message ?? `${connection.server} did not end a former session`)
      resume(Effect.succeed({ _tag: "Unreachable", cause, silent: false }))
    }
    const queue = new RequestQueue()
    queue.push(new Pending(new CloseSession(), internalOperation, { onAnswer }, Infinity, onEnd))
    connection.pump(queue)
  })

const afterGreeting = Effect.fnUntraced(function*(
  session: Session,
  candidate: Candidate,
  asked: Identity,
  greeting: Greeting
): Effect.fn.Return<Outcome> {
  if (greeting._tag === "Death") {
    const cause = new Error(greeting.death.message)
    if (greeting.death.reason === "protocol") return { _tag: "Unreachable", cause, silent: false }
    return { _tag: "Refused", cause }
  }
  const { response } = greeting
  const isZombie = asked === session.zombie
  if (response.timeout <= 0 || response.sessionId === 0n) {
    if (isZombie) {
      session.zombie = undefined
      return { _tag: "Buried" }
    }
    if (asked === newIdentity) {
      return { _tag: "Refused", cause: new Error(`${candidate.connection.server} gave no session`) }
    }
    return { _tag: "Expired" }
  }
  if (isZombie && response.sessionId === asked.id) return yield* bury(session, candidate)
  if (isZombie) session.zombie = undefined
  const { connection } = candidate
  candidate.isAdopted = true
  const reason = session.adopt(connection, response)
  if (session.isOver) return { _tag: "Expired" }
  yield* Effect.raceFirst(prime(session, connection, reason), candidate.died)
  if (connection.death !== undefined) {
    return { _tag: "Unreachable", cause: new Error(connection.death.message), silent: false }
  }
  candidate.isLive = true
  session.goLive(connection, response.readOnly)
  return { _tag: "Live", died: candidate.died }
})

const handshake = Effect.fnUntraced(function*(
  session: Session,
  server: ServerAddress,
  onCandidate: (candidate: Candidate) => void
): Effect.fn.Return<Outcome, Error, Scope.Scope> {
  const { options, transport } = session
  const name = formatServer(server)
  let candidate: Candidate | undefined
  const socket = yield* Effect.acquireRelease(
    transport.connect(server, { tls: options.tls, attempt: session.servers.attempts }),
    (stream) =>
      Effect.sync(() => {
        session.handshaking = false
        if (candidate === undefined) stream.destroy()
        else if (!candidate.isLive) candidate.drop()
      }),
    { interruptible: true }
  )
  candidate = new Candidate(session, { socket, server: name })
  onCandidate(candidate)
  const asked = session.zombie ?? session.identity ?? newIdentity
  session.handshaking = true
  candidate.connection.connect({
    lastZxid: session.zxid.value(),
    timeout: options.sessionTimeout,
    sessionId: asked.id,
    password: asked.password,
    readOnly: false
  })
  const greeting = yield* candidate.greeted
  return yield* afterGreeting(session, candidate, asked, greeting)
})

/** No session is at stake yet, and it may have been asked for with a very short timeout. */
const shortestFirstAttempt = 1000

/** One attempt with one server, bounded as a whole: name look-up, TCP, TLS, handshake, credentials, watches. */
const attempt = (session: Session, server: ServerAddress): Effect.Effect<Outcome> => {
  const timeout = session.identity?.timeout ?? session.options.sessionTimeout
  const left = Math.max(0, Math.min(timeout, session.expiresAt() - session.clock.now()))
  const shortest = session.identity === undefined ? shortestFirstAttempt : 0
  const bound = Math.max(shortest, attemptTimeout(session.servers.size, timeout, left))
  let candidate: Candidate | undefined
  const onCandidate = (made: Candidate) => {
    candidate = made
  }
  return handshake(session, server, onCandidate).pipe(
    Effect.catch((cause) => Effect.succeed<Outcome>({ _tag: "Unreachable", cause, silent: false })),
    Effect.timeoutOrElse({
      duration: Duration.millis(bound),
      orElse: () =>
        Effect.sync((): Outcome => {
          // It went live in the very turn in which its time was up.
          if (candidate?.isLive === true) return { _tag: "Live", died: candidate.died }
          if (candidate !== undefined) session.zombieInDoubt()
          const cause = new Error(`${formatServer(server)} did not answer within ${Math.round(bound)} ms`)
          return { _tag: "Unreachable", cause, silent: true }
        })
    }),
    Effect.scoped
  )
}

/** Connects, waits for the end of the connection, and connects again, until the client is over. */
export const drive = Effect.fnUntraced(function*(session: Session): Effect.fn.Return<void> {
  const { clock, servers } = session
  /** Since when servers have answered with nothing but a closed connection, one of them at least in each round. */
  let refusedSince: number | undefined
  let refusedRound = 0
  /** A server was there, and had nothing to say but that a session is over: the next one need not wait. */
  let answered = true
  while (!session.isOver) {
    const timeout = session.identity?.timeout ?? session.options.sessionTimeout
    const bound = session.identity === undefined ? undefined : longestOfSession
    const wait = answered ? 0 : backOff(servers, timeout, session.chance, bound)
    const pause = Math.min(wait, session.expiresAt() - clock.now())
    if (pause > 0) yield* clock.sleep(pause)
    if (clock.resync() >= session.expiresAt()) {
      session.expire(true)
      continue
    }
    const server = servers.next()
    const outcome = yield* attempt(session, server)
    answered = outcome._tag === "Expired" || outcome._tag === "Buried"
    switch (outcome._tag) {
      case "Live":
        refusedSince = undefined
        yield* outcome.died
        break
      case "Expired":
        refusedSince = undefined
        session.expire(false)
        break
      case "Buried":
        refusedSince = undefined
        break
      case "Refused":
      case "Unreachable": {
        servers.failed()
        session.onTrouble(outcome.cause)
        if (outcome._tag === "Unreachable") {
          if (outcome.silent) servers.putLast(formatServer(server))
          if (servers.rounds > refusedRound + 1) refusedSince = undefined
          break
        }
        refusedSince ??= clock.now()
        refusedRound = servers.rounds
        // No server that can be reached but has less than the client has seen: the ensemble was set back. A session that
        // may still live is not given up for it; its own time will tell.
        if (session.identity === undefined && clock.now() - refusedSince > timeout && servers.rounds > 0) {
          session.zxid.reset()
          refusedSince = undefined
        }
        break
      }
    }
    if (session.isClosing && session.identity === undefined) session.finish()
  }
})
