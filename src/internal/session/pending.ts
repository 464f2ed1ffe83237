/** Requests on their way, and the queues in which they wait. */
import * as Exit from "effect/Exit"
import type { SessionError } from "../../ZkError.ts"
import * as ZkError from "../../ZkError.ts"
import { fromCode, withoutStack } from "../errorCodes.ts"
import type { NodeAnswer } from "../errorCodes.ts"
import type { Operation } from "../operation.ts"
import { Code } from "../protocol/constants.ts"
import type { Reader } from "../protocol/reader.ts"
import type { Request } from "../protocol/requests.ts"

export interface PendingOptions {
  /** The path for errors, where it is not the request's: a client below a chroot sees it shorter. */
  readonly path?: string | undefined
  /** The version that the request demands, for the error that says it was another. */
  readonly expected?: number | undefined
  /** Fail with the connection in place of being sent again on the next one. */
  readonly sameConnection?: boolean | undefined
  /** Goes on while the client is being closed. */
  readonly whileClosing?: boolean | undefined
  /** Goes ahead of what waits to be written. */
  readonly overtakes?: boolean | undefined
  /** The session without which the request is pointless. */
  readonly session?: bigint | undefined
  /** Called each time before the request is written. */
  readonly onWrite?: (() => void) | undefined
  /** Called with the answer, before anything that the server sent after it is looked at. */
  readonly onAnswer?: ((code: number, zxid: bigint) => void) | undefined
}

/** What every error of a request can tell. */
export interface Outcome {
  readonly operation: string
  readonly path: string
  readonly maybeApplied: boolean
}

export type Failure = (outcome: Outcome) => SessionError

export const connectionLoss = (reason: string): Failure => (outcome) =>
  new ZkError.ConnectionLoss({ ...outcome, reason })

export const sessionExpired = (sessionId: bigint): Failure => (outcome) =>
  new ZkError.SessionExpired({ ...outcome, sessionId })

export const sessionClosed: Failure = (outcome) => new ZkError.SessionClosed(outcome)

export const authFailed = (scheme: string): Failure => (outcome) => new ZkError.AuthFailed({ ...outcome, scheme })

export const operationTimeout = (timeout: number): Failure => (outcome) =>
  new ZkError.OperationTimeout({ ...outcome, timeout })

/** For whoever waits without a request: watchers, and those who gave credentials. */
export const outcomeOf = (operation: string): Outcome => ({ operation, path: "", maybeApplied: false })

/** One run of a request, from the moment it is asked for until it is settled. */
export class Pending {
  readonly request: Request
  readonly operation: Operation
  readonly options: PendingOptions
  private readonly resume: (exit: Exit.Exit<unknown, NodeAnswer | SessionError>) => void
  /** When it was asked for, by the session's clock. */
  readonly since: number
  xid = 0
  /** Written to a connection that has not answered. */
  written = false
  /** From when on its answer proves that the leader knows the session: about when it was written. */
  countsFrom = -Infinity
  settled = false
  previous: Pending | undefined
  next: Pending | undefined
  queue: RequestQueue | undefined

  constructor(
    request: Request,
    operation: Operation,
    options: PendingOptions,
    since: number,
    resume: (exit: Exit.Exit<unknown, NodeAnswer | SessionError>) => void
  ) {
    this.request = request
    this.operation = operation
    this.options = options
    this.since = since
    this.resume = resume
  }

  get path(): string {
    return this.options.path ?? this.request.path
  }

  /** Whether the servers may have done something that nobody told us of. */
  get maybeApplied(): boolean {
    return this.written && !this.request.isRead
  }

  private settle(exit: Exit.Exit<unknown, NodeAnswer | SessionError>): void {
    if (this.settled) return
    this.settled = true
    this.resume(exit)
  }

  /** Decodes the body of a successful answer. Throws what the reader throws. */
  answer(reader: Reader): void {
    const value = this.request.decode(reader)
    this.settle(Exit.succeed(value))
  }

  answerCode(code: number): void {
    if (this.settled) return
    // ZooKeeper's own servers do not say this. To those that do, a write is as uncertain as when its answer is lost.
    if (code === Code.connectionLoss) return this.failWith(connectionLoss("between servers"))
    if (code === Code.operationTimeout) return this.failWith(connectionLoss("servers waited for each other too long"))
    this.settle(Exit.fail(fromCode(code, this.operation, this.path, this.options.expected)))
  }

  /** Fails the request with an error that knows whether it may have been applied. */
  failWith(failure: Failure): void {
    if (this.settled) return
    const outcome = { operation: this.operation.name, path: this.path, maybeApplied: this.maybeApplied }
    this.settle(Exit.fail(withoutStack(() => failure(outcome))))
  }

  /** Nobody waits any more. Not written it will never be; written, its place is kept for the answer. */
  abandon(): void {
    this.settled = true
    if (!this.written) this.queue?.remove(this)
  }
}

/** First in, first out, and out of the middle at the same cost. */
export class RequestQueue {
  private head: Pending | undefined
  private tail: Pending | undefined
  size = 0

  peek(): Pending | undefined {
    return this.head
  }

  push(pending: Pending): void {
    pending.queue = this
    pending.previous = this.tail
    if (this.tail === undefined) this.head = pending
    else this.tail.next = pending
    this.tail = pending
    this.size++
  }

  unshift(pending: Pending): void {
    pending.queue = this
    pending.next = this.head
    if (this.head === undefined) this.tail = pending
    else this.head.previous = pending
    this.head = pending
    this.size++
  }

  remove(pending: Pending): void {
    if (pending.queue !== this) return
    if (pending.previous === undefined) this.head = pending.next
    else pending.previous.next = pending.next
    if (pending.next === undefined) this.tail = pending.previous
    else pending.next.previous = pending.previous
    pending.previous = undefined
    pending.next = undefined
    pending.queue = undefined
    this.size--
  }

  shift(): Pending | undefined {
    const pending = this.head
    if (pending !== undefined) this.remove(pending)
    return pending
  }

  /** Takes everything out, in order. */
  drain(): Array<Pending> {
    const all: Array<Pending> = []
    for (let pending = this.shift(); pending !== undefined; pending = this.shift()) all.push(pending)
    return all
  }

  *[Symbol.iterator](): Generator<Pending> {
    for (let pending = this.head; pending !== undefined; pending = pending.next) yield pending
  }
}
