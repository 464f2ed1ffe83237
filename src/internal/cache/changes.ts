/** Changes on their way to somebody who may be slow: of each node only what it has come to. */
import type * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type * as Pull from "effect/Pull"
import * as Stream from "effect/Stream"
import type { StreamError } from "../../ZkError.ts"

/** What has become of what is known by a path. */
export type Change<A> =
  | { readonly _tag: "Added"; readonly path: string; readonly node: A }
  | { readonly _tag: "Changed"; readonly path: string; readonly node: A; readonly previous: A }
  | { readonly _tag: "Removed"; readonly path: string; readonly previous: A }

export interface Listener<A> {
  readonly onChange: (change: Change<A>) => void
  readonly onEnd: (cause: Cause.Cause<StreamError>) => void
}

/** Two changes of one thing as one; none if the second undoes the first. */
const merge = <A>(first: Change<A>, second: Change<A>): Change<A> | undefined => {
  const { path } = second
  if (first._tag === "Added") {
    return second._tag === "Removed" ? undefined : { _tag: "Added", path, node: second.node }
  }
  const { previous } = first
  return second._tag === "Removed"
    ? { _tag: "Removed", path, previous }
    : { _tag: "Changed", path, node: second.node, previous }
}

export class PendingChanges<A> implements Listener<A> {
  private readonly pending = new Map<string, Change<A>>()
  private over: Cause.Cause<StreamError> | undefined
  private wake: Deferred.Deferred<void> | undefined

  onChange(change: Change<A>): void {
    const { path } = change
    const before = this.pending.get(path)
    const merged = before === undefined ? change : merge(before, change)
    // What is added keeps its place, ahead of what is below it; what is removed goes behind what was below it.
    if (merged?._tag !== "Added") this.pending.delete(path)
    if (merged !== undefined) this.pending.set(path, merged)
    this.ring()
  }

  onEnd(cause: Cause.Cause<StreamError>): void {
    this.over = cause
    this.ring()
  }

  private ring(): void {
    const { wake } = this
    // Whoever is woken may be asleep again when this comes back.
    this.wake = undefined
    if (wake !== undefined) Deferred.doneUnsafe(wake, Effect.void)
  }

  /** All that has changed since it was last asked for; waits until something has. */
  readonly next: Pull.Pull<readonly [Change<A>, ...Array<Change<A>>], StreamError> = Effect.suspend(() => {
    const [first, ...more] = this.pending.values()
    if (first !== undefined) {
      this.pending.clear()
      return Effect.succeed([first, ...more] as const)
    }
    if (this.over !== undefined) return Effect.failCause(this.over)
    this.wake ??= Deferred.makeUnsafe<void>()
    return Effect.andThen(Deferred.await(this.wake), this.next)
  })
}

/** Anything that tells its changes. */
export interface Source<A> {
  /** What there is now. */
  readonly present: () => Iterable<readonly [path: string, node: A]>
  /** Gives a way to stop. */
  readonly subscribe: (listener: Listener<A>) => () => void
}

const follow = <A, B>(
  source: Source<A>,
  begin: (pending: PendingChanges<A | B>) => Listener<A>
): Stream.Stream<Change<A | B>, StreamError> =>
  Stream.unwrap(Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => {
        const pending = new PendingChanges<A | B>()
        return [pending, source.subscribe(begin(pending))] as const
      }),
      ([, stop]) => Effect.sync(stop)
    ),
    ([pending]) => Stream.fromPull(Effect.succeed(pending.next))
  ))

/** What there is now as additions, then all changes. */
export const changesOf = <A>(source: Source<A>): Stream.Stream<Change<A>, StreamError> =>
  follow<A, never>(source, (pending) => {
    for (const [path, node] of source.present()) pending.onChange({ _tag: "Added", path, node })
    return pending
  })

/** What there is now of one thing, be it nothing, then what it comes to. */
export const changesOfOne = <A>(
  source: Source<A>,
  path: string,
  present: () => A | undefined
): Stream.Stream<A | undefined, StreamError> =>
  Stream.map(
    follow<A, undefined>(source, (pending) => {
      const node = present()
      pending.onChange(
        node === undefined ? { _tag: "Removed", path, previous: undefined } : { _tag: "Added", path, node }
      )
      return {
        onChange: (change) => {
          if (change.path === path) pending.onChange(change)
        },
        onEnd: (cause) => pending.onEnd(cause)
      }
    }),
    (change) => change._tag === "Removed" ? undefined : change.node
  )
