/** A view of bytes by name that is replaced as a whole. */
import * as Cause from "effect/Cause"
import type * as Stream from "effect/Stream"
import type { StreamError } from "../../ZkError.ts"
import { isSameBytes } from "../bytes.ts"
import type { Change, Listener, Source } from "../cache/changes.ts"
import { changesOf, changesOfOne } from "../cache/changes.ts"
import type { Entry, StoreChange } from "./store.ts"

export type Entries = ReadonlyMap<string, Uint8Array>

export class MapView {
  revision = BigInt(0)
  private current: Map<string, Entry> = new Map()
  private over: Cause.Cause<StreamError> | undefined
  private readonly listeners = new Set<Listener<Entry>>()

  private readonly source: Source<Entry> = {
    present: () => this.current,
    subscribe: (listener) => {
      this.listeners.add(listener)
      if (this.over !== undefined) listener.onEnd(this.over)
      return () => this.listeners.delete(listener)
    }
  }

  readonly changes: Stream.Stream<StoreChange, StreamError> = changesOf(this.source)

  follow(name: string): Stream.Stream<Entry | undefined, StreamError> {
    return changesOfOne(this.source, name, () => this.current.get(name))
  }

  get(name: string): Entry | undefined {
    return this.current.get(name)
  }

  names(): ReadonlyArray<string> {
    return [...this.current.keys()]
  }

  replace(next: Entries): void {
    const before = this.current
    this.current = new Map()
    const changes: Array<StoreChange> = []
    for (const [path, data] of next) {
      const previous = before.get(path)
      const isSame = previous !== undefined && isSameBytes(previous.data, data)
      const node = isSame ? previous : { data }
      this.current.set(path, node)
      if (previous === undefined) changes.push({ _tag: "Added", path, node })
      else if (!isSame) changes.push({ _tag: "Changed", path, node, previous })
    }
    for (const [path, previous] of before) {
      if (!next.has(path)) changes.push({ _tag: "Removed", path, previous })
    }
    for (const change of changes) this.tell(change)
  }

  end(cause: Cause.Cause<StreamError> = Cause.interrupt()): void {
    if (this.over !== undefined) return
    this.over = cause
    for (const listener of this.listeners) listener.onEnd(cause)
  }

  private tell(change: Change<Entry>): void {
    this.revision++
    for (const listener of this.listeners) listener.onChange(change)
  }
}
