/** Changes on their way to somebody who may be slow: of each node only what it has come to. */
import type * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type * as Pull from "effect/Pull"
import type { StreamError } from "../../ZkError.ts"
import type { TreeChange } from "../../ZkMirror.ts"
import type { Listener } from "./treeCache.ts"

/** Two changes of one node as one; none if the second undoes the first. */
const merge = (first: TreeChange, second: TreeChange): TreeChange | undefined => {
  const { path } = second
  if (first._tag === "Added") {
    return second._tag === "Removed" ? undefined : { _tag: "Added", path, node: second.node }
  }
  const { previous } = first
  return second._tag === "Removed"
    ? { _tag: "Removed", path, previous }
    : { _tag: "Changed", path, node: second.node, previous }
}

export class PendingChanges implements Listener {
  private readonly pending = new Map<string, TreeChange>()
  private over: Cause.Cause<StreamError> | undefined
  private wake: Deferred.Deferred<void> | undefined

  onChange(change: TreeChange): void {
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
    if (this.wake !== undefined) Deferred.doneUnsafe(this.wake, Effect.void)
    this.wake = undefined
  }

  /** All that has changed since it was last asked for; waits until something has. */
  readonly next: Pull.Pull<readonly [TreeChange, ...Array<TreeChange>], StreamError> = Effect.suspend(() => {
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
