/**
 * A live copy of a node and of what is below it, on one watch.
 *
 * Events say that something happened, never what: each makes its node be read, and only what was read is believed. The
 * watch is set before the first read, so that nothing falls between. Whatever may have been missed (with a new
 * connection, in a new session, by an overflow) is found by reading everything again: a walk. What was read of a node that
 * is new to the copy need not be walked: what comes below it from then on has events of its own.
 *
 * The copy is a tree at any time: what is found without its parent waits until the parent has been read.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Children, NodeData, Observed, ZkClient } from "../../ZkClient.ts"
import type { NoAuth, SessionError } from "../../ZkError.ts"
import { ResponseTooLarge } from "../../ZkError.ts"
import type { NodeEvent } from "../../ZkEvent.ts"
import type { TreeChange } from "../../ZkMirror.ts"
import * as ZkPath from "../../ZkPath.ts"
import type { Listener } from "./changes.ts"
import { Groups } from "./groups.ts"
import type { Task } from "./reads.ts"
import { Reads, Unusable } from "./reads.ts"
import type { Cache } from "./upkeep.ts"

export interface TreeCacheOptions {
  readonly client: ZkClient
  readonly root: string
  /** How many levels below the root are kept; `Infinity` for all. */
  readonly depth: number
  /** Nodes for which it is false are left out, with all that is below. */
  readonly filter: ((path: string) => boolean) | undefined
}

/** What there is in the answer to a read besides the data: header, length, and metadata. */
const besidesData = 88

export class TreeCache implements Cache {
  readonly reads: Reads<string>
  private readonly options: TreeCacheOptions
  private readonly groups: Groups
  private readonly entries = new Map<string, NodeData>()
  /** Nodes that are there and cannot be read. What is below them cannot be listed, and is no part of the copy. */
  private readonly refused = new Map<string, NoAuth | ResponseTooLarge>()
  /**
   * The largest answer, once there was a larger one: that costs the client its connection, and may not happen each time
   * that everything is read again. From then on nodes are looked at before they are read.
   */
  private largest = Infinity
  /** How many children a node may have, where the answer with all of them was too large: about as many as fit. */
  private readonly most = new Map<string, number>()
  /** The names of the children of each node that has any in the copy. */
  private readonly names = new Map<string, Set<string>>()
  private readonly listeners = new Set<Listener<NodeData>>()
  /** The newest transaction that an answer has shown. */
  private newest = -1n

  constructor(options: TreeCacheOptions, run: (effect: Effect.Effect<void>) => void) {
    this.options = options
    this.groups = new Groups(options.client, run, ({ limit }) => {
      this.largest = limit
      return (path) => this.observeData(path)
    })
    this.reads = new Reads((path, task) => this.read(path, task), run)
    this.reads.onEnd((cause) => {
      for (const listener of this.listeners) listener.onEnd(cause)
    })
  }

  // -- what it knows --------------------------------------------------------------------------------------------------

  get(path: string): NodeData | undefined {
    return this.entries.get(path)
  }

  /** Why a node that is there cannot be read. */
  refusal(path: string): NoAuth | ResponseTooLarge | undefined {
    return this.refused.get(path)
  }

  unreadable(): ReadonlyArray<string> {
    return [...this.refused.keys()]
  }

  childrenOf(path: string): ReadonlyArray<string> | undefined {
    if (!this.entries.has(path)) return undefined
    return [...this.names.get(path) ?? []]
  }

  get size(): number {
    return this.entries.size + this.refused.size
  }

  /** Those that may be read, parents before children. */
  *nodes(): Generator<readonly [path: string, node: NodeData]> {
    for (const path of this.paths(this.options.root)) {
      const node = this.entries.get(path)
      if (node !== undefined) yield [path, node]
    }
  }

  /** Parents before children. */
  private *paths(from: string): Generator<string> {
    const left = [from]
    for (let path = left.pop(); path !== undefined; path = left.pop()) {
      yield path
      for (const name of this.names.get(path) ?? []) left.push(ZkPath.join(path, name))
    }
  }

  subscribe(listener: Listener<NodeData>): () => void {
    this.listeners.add(listener)
    if (this.reads.over !== undefined) listener.onEnd(this.reads.over)
    return () => this.listeners.delete(listener)
  }

  // -- what happens ---------------------------------------------------------------------------------------------------

  readAll(isNewSession: boolean, wave = this.reads.begin()): void {
    // Servers may begin anew, if everything was lost and no session lived on.
    if (isNewSession) this.newest = -1n
    this.reads.mark(this.options.root, wave, true)
    this.reads.pump()
  }

  readRefused(): void {
    const wave = this.reads.begin()
    for (const path of this.refused.keys()) this.reads.mark(path, wave, true)
    this.reads.pump()
  }

  onEvent(event: NodeEvent): void {
    // A recursive watch tells of the children themselves.
    if (event._tag === "NodeChildrenChanged" || !this.isKept(event.path)) return
    this.reads.mark(event.path, this.reads.begin())
    this.reads.pump()
  }

  private isKept(path: string): boolean {
    const { depth, filter, root } = this.options
    if (path === root) return true
    if (depth !== Infinity && this.depthOf(path) > depth) return false
    if (filter === undefined) return true
    const start = root === "/" ? 1 : root.length + 1
    for (let end = path.indexOf("/", start); end !== -1; end = path.indexOf("/", end + 1)) {
      if (!filter(path.slice(0, end))) return false
    }
    return filter(path)
  }

  private depthOf(path: string): number {
    const { root } = this.options
    return path === root ? 0 : (root === "/" ? path : path.slice(root.length)).split("/").length - 1
  }

  // -- reading --------------------------------------------------------------------------------------------------------

  private read(path: string, task: Task): Effect.Effect<void, SessionError | Unusable> {
    return this.observeData(path).pipe(
      Effect.flatMap((observed) => {
        if (this.isOutdated(observed)) return Effect.fail(new Unusable())
        if (Option.isNone(observed.node)) {
          this.remove(path)
          return Effect.void
        }
        if (!this.hasParent(path)) return this.askParent(path, task)
        const node = observed.node.value
        const refusal = this.refused.get(path)
        const isTooMuch = refusal?._tag === "ResponseTooLarge" &&
          node.stat.numChildren > (this.most.get(path) ?? Infinity)
        if (isTooMuch) return Effect.fail(refusal)
        return this.onData(path, task, node) ? this.list(path, task, node) : Effect.void
      }),
      Effect.catchTag(["NoAuth", "ResponseTooLarge"], (error): Effect.Effect<void, Unusable> => {
        if (error._tag === "ResponseTooLarge") this.largest = error.limit
        if (!this.hasParent(path)) return this.askParent(path, task)
        this.onRefused(path, error)
        return Effect.void
      })
    )
  }

  private observeData(path: string): ReturnType<ZkClient["observeData"]> {
    const { client } = this.options
    const limit = this.largest
    if (limit === Infinity) return this.groups.observeData(path)
    return Effect.flatMap(client.exists(path), (stat) => {
      const size = Option.isSome(stat) ? stat.value.dataLength + besidesData : 0
      if (size <= limit) return client.observeData(path)
      return Effect.fail(new ResponseTooLarge({ operation: "getData", path, size, limit }))
    })
  }

  private list(path: string, task: Task, { stat }: NodeData): Effect.Effect<void, NoAuth | SessionError | Unusable> {
    return this.options.client.observeChildren(path).pipe(
      Effect.tapErrorTag(
        "ResponseTooLarge",
        ({ limit, size }) => Effect.sync(() => this.most.set(path, Math.floor(stat.numChildren * limit / size)))
      ),
      Effect.flatMap((observed) => {
        if (this.isOutdated(observed)) return Effect.fail(new Unusable())
        this.onNames(path, task, observed.node)
        return Effect.void
      })
    )
  }

  private isOutdated({ zxid }: Observed<unknown>): boolean {
    if (zxid < this.newest) return true
    this.newest = zxid
    return false
  }

  /** Gives whether the children are to be listed. */
  private onData(path: string, task: Task, node: NodeData): boolean {
    const before = this.entries.get(path)
    const wasRefused = this.refused.delete(path)
    this.most.delete(path)
    this.set(path, node, before)
    // Made anew, its children are others too.
    const isOther = before !== undefined && before.stat.czxid !== node.stat.czxid
    const isToList = task.walk || isOther || wasRefused
    return isToList && (node.stat.numChildren > 0 || this.names.has(path)) && this.depthOf(path) < this.options.depth
  }

  /** Those that are gone are read as well, and thereby found to be gone. */
  private onNames(path: string, task: Task, found: Option.Option<Children>): void {
    const names = new Set(this.names.get(path))
    if (Option.isSome(found)) { for (const name of found.value.children) names.add(name) }
    for (const name of names) {
      const child = ZkPath.join(path, name)
      if (this.isKept(child)) this.reads.mark(child, task.wave, true)
    }
  }

  private onRefused(path: string, error: NoAuth | ResponseTooLarge): void {
    const most = this.most.get(path)
    const changes = this.drop(path)
    if (most !== undefined) this.most.set(path, most)
    this.link(path)
    this.refused.set(path, error)
    for (const change of changes) this.tell(change)
  }

  private hasParent(path: string): boolean {
    return path === this.options.root || this.entries.has(ZkPath.parent(path)!)
  }

  /** It came ahead of its parent, or its parent has gone: which of the two, the parent tells. */
  private askParent(path: string, task: Task): Effect.Effect<void, Unusable> {
    if (this.isBelowRefused(path)) return Effect.void
    const parent = ZkPath.parent(path)!
    // Answers come in order: a parent whose own is not there by now has to be asked again, after a pause.
    if (this.reads.isReading(parent)) return Effect.fail(new Unusable())
    this.reads.mark(parent, task.wave)
    this.reads.mark(path, task.wave, task.walk)
    return Effect.void
  }

  private isBelowRefused(path: string): boolean {
    if (this.refused.size === 0) return false
    for (let above = path; above !== this.options.root;) {
      above = ZkPath.parent(above)!
      if (this.refused.has(above)) return true
    }
    return false
  }

  // -- the copy -------------------------------------------------------------------------------------------------------

  private set(path: string, node: NodeData, previous: NodeData | undefined): void {
    this.link(path)
    this.entries.set(path, node)
    if (previous === undefined) return this.tell({ _tag: "Added", path, node })
    const isSame = previous.stat.czxid === node.stat.czxid && previous.stat.mzxid === node.stat.mzxid
    // Counters of children are kept up to date, but are no news.
    if (!isSame) this.tell({ _tag: "Changed", path, node, previous })
  }

  private link(path: string): void {
    if (path === this.options.root) return
    const parent = ZkPath.parent(path)!
    const names = this.names.get(parent)
    if (names === undefined) this.names.set(parent, new Set([ZkPath.name(path)]))
    else names.add(ZkPath.name(path))
  }

  private unlink(path: string): void {
    if (path === this.options.root) return
    const parent = ZkPath.parent(path)!
    const names = this.names.get(parent)
    names?.delete(ZkPath.name(path))
    if (names?.size === 0) this.names.delete(parent)
  }

  private remove(path: string): void {
    for (const change of this.drop(path)) this.tell(change)
  }

  /** With everything below it, children before parents. Whoever is told of it looks at once: so that is for later. */
  private drop(path: string): ReadonlyArray<TreeChange> {
    const changes: Array<TreeChange> = []
    if (!this.entries.has(path) && !this.refused.has(path)) return changes
    for (const gone of [...this.paths(path)].reverse()) {
      const previous = this.entries.get(gone)
      this.names.delete(gone)
      this.entries.delete(gone)
      this.refused.delete(gone)
      this.most.delete(gone)
      if (previous !== undefined) changes.push({ _tag: "Removed", path: gone, previous })
    }
    this.unlink(path)
    return changes
  }

  private tell(change: TreeChange): void {
    for (const listener of this.listeners) listener.onChange(change)
  }
}
