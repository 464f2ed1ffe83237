/** What belongs to what happened up to a moment, and when all of it is done. */
import type * as Cause from "effect/Cause"
import * as Exit from "effect/Exit"

interface Waiter<E> {
  readonly wave: number
  readonly onDone: (exit: Exit.Exit<void, E>) => void
}

export class Waves<E> {
  private last = 0
  /** How much of each wave is to be done. Oldest first: what follows from a wave is entered while it is open. */
  private readonly open = new Map<number, number>()
  /** Oldest first. */
  private waiting = new Set<Waiter<E>>()

  /** A new wave. What happened at one moment is entered into it at once, what follows from that when it is known. */
  begin(): number {
    return ++this.last
  }

  enter(wave: number): void {
    this.open.set(wave, (this.open.get(wave) ?? 0) + 1)
  }

  /** What follows from a part of a wave has to be entered before the part leaves. */
  leave(wave: number): void {
    const left = (this.open.get(wave) ?? 0) - 1
    if (left > 0) {
      this.open.set(wave, left)
      return
    }
    this.open.delete(wave)
    this.settle()
  }

  /** Calls back when all waves that have begun by now are done. Gives a way to call it off. */
  whenDone(onDone: Waiter<E>["onDone"]): () => void {
    const waiter = { wave: this.last, onDone }
    this.waiting.add(waiter)
    this.settle()
    return () => this.waiting.delete(waiter)
  }

  /** Those who wait hear that they wait in vain, or for too long. */
  fail(cause: Cause.Cause<E>): void {
    const { waiting } = this
    this.waiting = new Set()
    for (const { onDone } of waiting) onDone(Exit.failCause(cause))
  }

  private settle(): void {
    if (this.waiting.size === 0) return
    const oldest = this.open.keys().next().value ?? Infinity
    const done: Array<Waiter<E>> = []
    for (const waiter of this.waiting) {
      if (waiter.wave >= oldest) break
      done.push(waiter)
    }
    // Whoever is called may begin waves, and wait for them, before this comes back.
    for (const waiter of done) this.waiting.delete(waiter)
    for (const waiter of done) waiter.onDone(Exit.void)
  }
}
