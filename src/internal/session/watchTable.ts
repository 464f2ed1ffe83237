/**
 * Which watches there are, here and at the server.
 *
 * A server keeps one watch per connection, path and kind, however many subscribers there are here. The table therefore
 * counts: subscribers, requests under way that will leave a watch, and what the server is known to have. From that
 * follow what a new connection has to set again, and when a watch may be taken back.
 *
 * Servers before 3.9 confuse a one-shot watch with a persistent one on the same path: the persistent one dies with the
 * first event. So there is never both: while a path has a persistent watch, one-shot subscribers of that path are
 * served from its events.
 */
import type { SessionError } from "../../ZkError.ts"
import { EventType, WatcherType } from "../protocol/constants.ts"
import type { WatchedPaths } from "../protocol/requests.ts"

export type WatchKind = "data" | "child" | "persistent" | "recursive"

/** What happened, by the numbers of the protocol. */
export interface TableEvent {
  readonly type: number
  readonly path: string
  /** `undefined` where the server does not tell. */
  readonly zxid: bigint | undefined
}

export interface Watcher {
  readonly kind: WatchKind
  readonly path: string
  /** One-shot watchers hear one event and are forgotten. */
  readonly onEvent: (event: TableEvent) => void
  /** Persistent watchers only: events may have been missed. */
  readonly onReset: (reason: "reconnected" | "newSession") => void
  /** No event will come any more. */
  readonly onEnd: (error: SessionError) => void
  /** Whether the watcher ends with its session; one-shot watchers always do. */
  readonly endsWithSession: boolean
}

interface OneShots {
  readonly watchers: Set<Watcher>
  /** Those of a node that did not exist, which a new connection has to set in another way. */
  readonly absent: Set<Watcher>
}

/** One path and kind. */
interface Entry extends OneShots {
  readonly kind: WatchKind
  readonly path: string
  /** Requests under way that may leave a watch at the server. */
  pending: number
  /** The server has a watch, as far as this connection knows. */
  armed: boolean
  /** A new connection has asked for it, and no event has used it up since. */
  rearming: boolean
  /** Recursive ones: being taken back while a persistent one stays on the path. */
  narrowing: boolean
}

export interface WatchCommands {
  readonly removeWatches: (
    path: string,
    type: (typeof WatcherType)[keyof typeof WatcherType],
    onUnknownType: () => void
  ) => void
  /** Sets a persistent watch, in place of one of the other mode where a server knows only one. */
  readonly addWatch: (path: string, recursive: boolean, onDone: () => void) => void
}

const parentOf = (path: string): string | undefined => {
  if (path === "/") return undefined
  const slash = path.lastIndexOf("/")
  return slash === 0 ? "/" : path.slice(0, slash)
}

const isOneShot = (kind: WatchKind): boolean => kind === "data" || kind === "child"

export class WatchTable {
  private readonly entries: { readonly [Kind in WatchKind]: Map<string, Entry> } = {
    data: new Map(),
    child: new Map(),
    persistent: new Map(),
    recursive: new Map()
  }
  private readonly commands: WatchCommands
  /** The server does not know how to take back a persistent watch alone. */
  private legacyRemoval = false
  /** Changes with each connection, so that what an old one set in motion is recognized. */
  private generation = 0

  constructor(commands: WatchCommands) {
    this.commands = commands
  }

  /** Subscribers of all kinds. */
  get size(): number {
    let size = 0
    for (const map of Object.values(this.entries)) for (const entry of map.values()) size += entry.watchers.size
    return size
  }

  private entry(kind: WatchKind, path: string): Entry {
    const map = this.entries[kind]
    let entry = map.get(path)
    if (entry === undefined) {
      entry = {
        kind,
        path,
        watchers: new Set(),
        absent: new Set(),
        pending: 0,
        armed: false,
        rearming: false,
        narrowing: false
      }
      map.set(path, entry)
    }
    return entry
  }

  private find(kind: WatchKind, path: string): Entry | undefined {
    return this.entries[kind].get(path)
  }

  private isUsed(entry: Entry | undefined): boolean {
    return entry !== undefined && (entry.watchers.size > 0 || entry.pending > 0)
  }

  private hasOneShots(path: string): boolean {
    return this.isUsed(this.find("data", path)) || this.isUsed(this.find("child", path))
  }

  private isAtServer(entry: Entry | undefined): boolean {
    return entry !== undefined && (entry.armed || entry.pending > 0)
  }

  // -- requests that leave a watch ------------------------------------------------------------------------------------

  /**
   * A request that arms a watch is about to be written. Says whether it really has to: not a one-shot watch on a path
   * with a persistent one.
   */
  arming(kind: WatchKind, path: string): boolean {
    const entry = this.entry(kind, path)
    entry.pending++
    return !(isOneShot(kind) && this.hasPersistent(path))
  }

  private hasPersistent(path: string): boolean {
    return this.isAtServer(this.find("persistent", path)) || this.isAtServer(this.find("recursive", path))
  }

  /**
   * Whether a persistent watch that is about to be set has to be a recursive one. Servers before 3.9 keep the mode that
   * was set last: next to a recursive watch a plain one would end it. It lacks nothing but ChildrenChanged, which is
   * made here.
   */
  needsRecursive(path: string): boolean {
    const entry = this.find("recursive", path)
    if (entry === undefined) return false
    return entry.narrowing ? entry.pending > 1 : this.isAtServer(entry)
  }

  /** Whether a one-shot watch that was not asked for is served by a persistent one. */
  isCovered(path: string): boolean {
    return this.hasPersistent(path)
  }

  /**
   * The request was answered: `armed` tells whether the server has a watch now, `watcher` who is to hear of it, if
   * anybody still wants to.
   */
  answered(kind: WatchKind, path: string, armed: boolean, watcher: Watcher | undefined, absent: boolean): void {
    const entry = this.entry(kind, path)
    entry.pending--
    if (armed) entry.armed = true
    if (watcher !== undefined) {
      entry.watchers.add(watcher)
      if (absent) entry.absent.add(watcher)
    }
    this.cleanUp(entry)
  }

  /** Whether a persistent watch is confirmed, so that another subscriber may simply join. */
  isArmed(kind: WatchKind, path: string): boolean {
    const entry = this.find(kind, path)
    return entry !== undefined && entry.armed && !entry.narrowing
  }

  join(watcher: Watcher): void {
    this.entry(watcher.kind, watcher.path).watchers.add(watcher)
  }

  // -- taking back ----------------------------------------------------------------------------------------------------

  remove(watcher: Watcher): void {
    const entry = this.find(watcher.kind, watcher.path)
    if (entry === undefined || !entry.watchers.delete(watcher)) return
    entry.absent.delete(watcher)
    this.cleanUp(entry)
  }

  /** Takes the server's watch back when nobody needs it, and forgets entries that say nothing. */
  private cleanUp(entry: Entry): void {
    if (this.isUsed(entry) || entry.rearming) return
    if (entry.armed) this.takeBack(entry)
    if (!entry.armed) this.entries[entry.kind].delete(entry.path)
    // A persistent watch also stays for one-shot subscribers; they may have been the last.
    if (isOneShot(entry.kind)) {
      for (const kind of ["persistent", "recursive"] as const) {
        const persistent = this.find(kind, entry.path)
        if (persistent !== undefined && !this.isUsed(persistent)) this.cleanUp(persistent)
      }
    }
  }

  private takeBack(entry: Entry): void {
    const { kind, path } = entry
    if (isOneShot(kind)) {
      // The server might remove, or confuse, the persistent watch with it.
      if (this.hasPersistent(path)) return
      entry.armed = false
      this.commands.removeWatches(path, kind === "data" ? WatcherType.data : WatcherType.children, () => {})
      return
    }
    if (this.hasOneShots(path)) return
    const other = this.find(kind === "persistent" ? "recursive" : "persistent", path)
    if (kind === "recursive" && this.isUsed(other)) return this.narrow(entry)
    if (kind === "persistent" && this.isUsed(other)) {
      // The recursive watch is what the server goes by; an old server has only that one.
      if (this.legacyRemoval) entry.armed = false
      else this.removePersistent(entry)
      return
    }
    if (this.legacyRemoval) this.removeAll(path)
    else this.removePersistent(entry)
  }

  /** The recursive watch goes, the persistent one on the same path stays. */
  private narrow(entry: Entry): void {
    const { path } = entry
    const generation = this.generation
    entry.pending++
    entry.narrowing = true
    this.commands.addWatch(path, false, () => {
      if (generation !== this.generation) return
      entry.pending--
      entry.narrowing = false
      if (this.isUsed(entry)) {
        // Somebody asked for the recursive one again. Between the two an old server watched in the other way.
        for (const watcher of this.find("persistent", path)?.watchers ?? []) watcher.onReset("reconnected")
        return
      }
      // Unless the persistent one is gone too by now: then this is what is left of both.
      if (this.isUsed(this.find("persistent", path))) {
        if (this.legacyRemoval) entry.armed = false
        else this.removePersistent(entry)
      }
      this.cleanUp(entry)
    })
  }

  private removePersistent(entry: Entry): void {
    const { kind, path } = entry
    const generation = this.generation
    entry.armed = false
    const type = kind === "persistent" ? WatcherType.persistent : WatcherType.persistentRecursive
    this.commands.removeWatches(path, type, () => {
      if (generation !== this.generation) return
      this.legacyRemoval = true
      const again = this.entry(kind, path)
      // The watch is still there, unless the path has one of the other kind now, which took its place.
      const other = this.find(kind === "persistent" ? "recursive" : "persistent", path)
      if (!this.isUsed(other)) {
        again.armed = true
        // A one-shot watch that was set meanwhile has made it one-shot too.
        if (this.hasOneShots(path)) this.commands.addWatch(path, kind === "recursive", () => {})
      }
      this.cleanUp(again)
    })
    // What was left armed while the persistent watch was in the way.
    for (const oneShot of ["data", "child"] as const) {
      const left = this.find(oneShot, path)
      if (left !== undefined && !this.isUsed(left)) this.cleanUp(left)
    }
  }

  private removeAll(path: string): void {
    for (const map of Object.values(this.entries)) {
      const entry = map.get(path)
      if (entry !== undefined) entry.armed = false
      if (entry !== undefined && !this.isUsed(entry)) map.delete(path)
    }
    this.commands.removeWatches(path, WatcherType.any, () => {})
  }

  // -- events ---------------------------------------------------------------------------------------------------------

  onEvent(event: TableEvent): void {
    const { path, type } = event
    const isChange = type !== EventType.childrenChanged
    const isAppearance = type === EventType.created || type === EventType.deleted
    if (isChange) this.fire("data", event)
    if (!isChange || type === EventType.deleted) this.fire("child", event)
    const recursiveHere = this.find("recursive", path)
    if (isChange || recursiveHere?.armed !== true) this.tell("persistent", path, event)
    if (!isChange) return
    for (let above: string | undefined = path; above !== undefined; above = parentOf(above)) {
      this.tell("recursive", above, event)
    }
    // A recursive watch brings no ChildrenChanged: whoever else is on the parent's path gets it made from the child's.
    const parent = isAppearance ? parentOf(path) : undefined
    const recursiveAbove = parent === undefined ? undefined : this.find("recursive", parent)
    if (parent !== undefined && (recursiveAbove?.armed === true || recursiveAbove?.rearming === true)) {
      const changed: TableEvent = { type: EventType.childrenChanged, path: parent, zxid: event.zxid }
      this.fire("child", changed)
      this.tell("persistent", parent, changed)
    }
  }

  private fire(kind: "data" | "child", event: TableEvent): void {
    const entry = this.find(kind, event.path)
    if (entry === undefined) return
    entry.armed = false
    entry.rearming = false
    const watchers = [...entry.watchers]
    entry.watchers.clear()
    entry.absent.clear()
    this.cleanUp(entry)
    for (const watcher of watchers) watcher.onEvent(event)
  }

  private tell(kind: "persistent" | "recursive", path: string, event: TableEvent): void {
    const entry = this.find(kind, path)
    if (entry === undefined) return
    for (const watcher of [...entry.watchers]) watcher.onEvent(event)
  }

  // -- connections and sessions ---------------------------------------------------------------------------------------

  /** The connection is gone, and with it all that its server had. */
  onDisconnect(): void {
    this.generation++
    this.legacyRemoval = false
    for (const map of Object.values(this.entries)) {
      for (const entry of map.values()) {
        entry.armed = false
        entry.rearming = false
        entry.narrowing = false
        entry.pending = 0
        if (entry.watchers.size === 0) map.delete(entry.path)
      }
    }
  }

  /** What a new connection has to set. Until {@link rearmed}, events may use up what it asked for. */
  rearming(): WatchedPaths {
    const paths = { data: [], exist: [], child: [], persistent: [], recursive: [] } as {
      [List in keyof WatchedPaths]: Array<string>
    }
    for (const map of Object.values(this.entries)) {
      for (const entry of map.values()) {
        entry.rearming = true
        if (entry.kind !== "data") paths[entry.kind].push(entry.path)
        else {
          if (entry.absent.size > 0) paths.exist.push(entry.path)
          if (entry.absent.size < entry.watchers.size) paths.data.push(entry.path)
        }
      }
    }
    return paths
  }

  /** The server has set what it was asked for. */
  rearmed(reason: "reconnected" | "newSession"): void {
    const rearmed: Array<Entry> = []
    const reset: Array<Watcher> = []
    for (const map of Object.values(this.entries)) {
      for (const entry of map.values()) {
        if (!entry.rearming) continue
        entry.rearming = false
        entry.armed = true
        rearmed.push(entry)
        if (!isOneShot(entry.kind)) reset.push(...entry.watchers)
      }
    }
    // What may be taken back depends on what else there is on the path.
    for (const entry of rearmed) this.cleanUp(entry)
    for (const watcher of reset) watcher.onReset(reason)
  }

  /** The session is over: one-shot watchers end, and those persistent ones that are bound to it. */
  onExpired(error: SessionError): void {
    this.end((watcher) => watcher.endsWithSession, error)
  }

  /** The client is over. */
  onClosed(error: SessionError): void {
    this.end(() => true, error)
  }

  private end(ends: (watcher: Watcher) => boolean, error: SessionError): void {
    const ending: Array<Watcher> = []
    for (const map of Object.values(this.entries)) {
      for (const entry of [...map.values()]) {
        for (const watcher of [...entry.watchers]) {
          if (!ends(watcher)) continue
          ending.push(watcher)
          entry.watchers.delete(watcher)
          entry.absent.delete(watcher)
        }
        if (entry.watchers.size === 0 && entry.pending === 0) map.delete(entry.path)
      }
    }
    for (const watcher of ending) watcher.onEnd(error)
  }
}
