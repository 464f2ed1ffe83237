/** What a client needs of a session. The wire protocol in session/ is one such engine; others may stand in for it. */
import type * as Effect from "effect/Effect"
import type { SessionError } from "../ZkError.ts"
import type { NodeAnswer } from "./errorCodes.ts"
import type { Operation } from "./operation.ts"
import type { Request } from "./protocol/requests.ts"
import type { Auth } from "./session/credentials.ts"
import type { StateHub } from "./session/stateHub.ts"
import type { Watcher } from "./session/watchTable.ts"

export interface ExecuteOptions {
  /** The path that errors name; the request's by default. */
  readonly path?: string | undefined
  /** The version that the request demands. */
  readonly expected?: number | undefined
  /** Fail when the connection is lost in place of being sent again on the next one. */
  readonly sameConnection?: boolean | undefined
  /** For reads: leave a one-shot watch that this watcher hears of. */
  readonly watcher?: Watcher | undefined
  /** Fail with `SessionExpired` unless this session is the current one. */
  readonly session?: bigint | undefined
  /** Goes on while the client is being closed: for whoever cleans up behind an operation. */
  readonly whileClosing?: boolean | undefined
  /** Goes ahead of what waits to be written. */
  readonly overtakes?: boolean | undefined
  /** Called each time the request is written. */
  readonly onWrite?: (() => void) | undefined
  /** Called with the zxid of the answer, also of one that is an error, before the operation completes. */
  readonly onZxid?: ((zxid: bigint) => void) | undefined
}

/** What a running session can be asked at any time. */
export interface EngineStats {
  readonly inFlight: number
  readonly queued: number
  readonly watchers: number
  /** Connections made after the first. */
  readonly reconnects: number
  readonly pings: number
}

export interface Engine {
  readonly execute: <A, E extends NodeAnswer>(
    operation: Operation<E>,
    request: Request<A>,
    options: ExecuteOptions
  ) => Effect.Effect<A, E | SessionError>
  /** Sets a persistent watch; the watcher hears events from then on. Fails unless `session`, if given, is current. */
  readonly addWatch: (watcher: Watcher, path: string, session?: bigint) => Effect.Effect<void, SessionError>
  /** The watcher hears nothing any more; the server's watch goes when it was the last. */
  readonly removeWatcher: (watcher: Watcher) => void
  readonly addAuth: (auth: Auth) => Effect.Effect<void, SessionError>
  readonly states: StateHub
  /** The current session; none before the first, and between two. */
  readonly sessionId: () => bigint | undefined
  /** Whether no other request is taken: the client is over, or is being closed. */
  readonly isClosing: boolean
  /** The session's timeout as negotiated last, in milliseconds. */
  readonly timeout: () => number
  /**
   * Milliseconds from an arbitrary origin; never goes back, and counts time for which the machine slept, which may be
   * noticed so many milliseconds late.
   */
  readonly now: (late: number) => number
  /**
   * When the newest write of the current session that was answered had been written, less what we had been silent too long
   * for before; `-Infinity` before the first.
   */
  readonly committedAt: () => number
  /** Whether another session will follow one that has expired. */
  readonly isRenewing: () => boolean
  /** Runs an effect in the background. Closing waits for it, but not beyond its own time. */
  readonly background: (effect: Effect.Effect<void>) => void
  readonly lastZxid: () => bigint
  readonly stats: () => EngineStats
  /** Ends the session: bounded, and idempotent. */
  readonly close: Effect.Effect<void>
}
