/**
 * The reads that keep a copy up to date. Reads of one thing follow each other, so that the last one began after everything
 * that was heard of the thing; what passes by itself is tried again. Knows when all that is known to have happened has
 * been read.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { OperationTimeout, SessionError, StreamError } from "../../ZkError.ts"
import { isPassing, pause } from "../passing.ts"
import { Waves } from "./waves.ts"

/** Reads under way at a time: enough to keep a server busy, and few enough for others to get their turn. */
const concurrency = 64

/**
 * An answer that cannot be used: from before what is known already (servers do not give such, and nobody is to see one), or
 * of a node whose parent is still being read.
 */
export class Unusable {
  readonly _tag = "Unusable"
}

/** What may take too long is waited for as long as a request may take, and tried again nevertheless. */
export type CatchUpError = StreamError | OperationTimeout

/** What is to be read. If `walk`, what is below it as well. */
export interface Task {
  readonly walk: boolean
  readonly wave: number
}

/** `SessionExpired`: of a session that no other follows hears the watch as well, which ends everything. */
const passes = (
  error: SessionError | Unusable
): error is Exclude<SessionError, StreamError> | Unusable | Extract<SessionError, { _tag: "SessionExpired" }> =>
  isPassing(error) || error._tag === "SessionExpired" || error._tag === "Unusable"

export class Reads<Key> {
  private readonly read: (key: Key, task: Task) => Effect.Effect<void, SessionError | Unusable>
  private readonly run: (effect: Effect.Effect<void>) => void
  private readonly dirty = new Map<Key, Task>()
  /** Goes on where it stopped: a Map keeps the places of what is gone for a while, and a large one many of them. */
  private unread = this.dirty.entries()
  private readonly reading = new Set<Key>()
  private readonly waves = new Waves<CatchUpError>()
  private readonly listeners: Array<(cause: Cause.Cause<StreamError>) => void> = []
  /** Why nothing is read any more. */
  over: Cause.Cause<StreamError> | undefined

  constructor(
    read: (key: Key, task: Task) => Effect.Effect<void, SessionError | Unusable>,
    run: (effect: Effect.Effect<void>) => void
  ) {
    this.read = read
    this.run = run
  }

  /** See {@link Waves.begin}. */
  begin(): number {
    return this.waves.begin()
  }

  /** A wave that is not over until it is released. */
  hold(): { readonly wave: number; readonly release: () => void } {
    const wave = this.waves.begin()
    this.waves.enter(wave)
    return { wave, release: () => this.waves.leave(wave) }
  }

  mark(key: Key, wave: number, walk = false): void {
    if (this.over !== undefined) return
    const before = this.dirty.get(key)
    if (before === undefined) {
      this.dirty.set(key, { walk, wave })
      this.waves.enter(wave)
      return
    }
    // Of two waves the older counts: who waits for the newer waits for it as well.
    const isOlder = wave < before.wave
    if (isOlder || (walk && !before.walk)) {
      this.dirty.set(key, { walk: walk || before.walk, wave: isOlder ? wave : before.wave })
    }
    if (isOlder) {
      this.waves.enter(wave)
      this.waves.leave(before.wave)
    }
  }

  isReading(key: Key): boolean {
    return this.reading.has(key)
  }

  /** Begins to read what is marked. */
  pump(): void {
    while (this.reading.size < concurrency) {
      const { done, value } = this.unread.next()
      if (done === true) {
        this.unread = this.dirty.entries()
        return
      }
      const [key, task] = value
      if (this.reading.has(key)) continue
      this.dirty.delete(key)
      this.reading.add(key)
      this.run(this.attempt(key, task))
    }
  }

  private attempt(key: Key, task: Task): Effect.Effect<void> {
    return Effect.matchEffect(this.read(key, task), {
      onSuccess: () => Effect.sync(() => this.done(key, task)),
      onFailure: (error) => {
        if (!passes(error)) return Effect.sync(() => this.end(Cause.fail(error)))
        if (error._tag === "OperationTimeout") this.overdue(error)
        return Effect.map(Effect.sleep(pause), () => {
          this.mark(key, task.wave, task.walk)
          this.done(key, task)
        })
      }
    }).pipe(Effect.catchDefect((defect) => Effect.sync(() => this.end(Cause.die(defect)))))
  }

  private done(key: Key, task: Task): void {
    this.reading.delete(key)
    // Marked meanwhile, it was passed over; its turn comes again.
    const again = this.dirty.get(key)
    if (again !== undefined) {
      this.dirty.delete(key)
      this.dirty.set(key, again)
    }
    this.waves.leave(task.wave)
    // Half of them at a time: requests that are written together cost both sides less.
    if (this.reading.size <= concurrency / 2) this.pump()
  }

  /** Calls back when all that is known to have happened by now has been read. Gives a way to call it off. */
  whenDone(onDone: (exit: Exit.Exit<void, CatchUpError>) => void): () => void {
    if (this.over === undefined) return this.waves.whenDone(onDone)
    onDone(Exit.failCause(this.over))
    return () => {}
  }

  /** Whoever waits has waited for as long as a request may take. */
  overdue(error: OperationTimeout): void {
    this.waves.fail(Cause.fail(error))
  }

  onEnd(listener: (cause: Cause.Cause<StreamError>) => void): void {
    this.listeners.push(listener)
  }

  /** Nothing is read any more. */
  end(cause: Cause.Cause<StreamError>): void {
    if (this.over !== undefined) return
    this.over = cause
    this.dirty.clear()
    this.waves.fail(cause)
    for (const listener of this.listeners) listener(cause)
  }
}
