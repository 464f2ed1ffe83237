/** Finds locks and semaphores, of whatever client, by the names below them. */
import * as Effect from "effect/Effect"
import type { LayoutName } from "../internal/recipes/layout.ts"
import { layouts } from "../internal/recipes/layout.ts"
import { holdersOf, readQueue } from "../internal/recipes/queue.ts"
import * as ZkClient from "../ZkClient.ts"
import type { NoAuth, NoNode, SessionError } from "../ZkError.ts"
import * as ZkPath from "../ZkPath.ts"
import type { Stat } from "../ZkStat.ts"
import { isServers } from "./nodePath.ts"
import { plural } from "./stat.ts"
import { byName } from "./subtree.ts"

export const layoutNames = ["curator", "kazoo", "zktools"] as const

export interface FoundLock {
  readonly path: string
  readonly type: "lock" | "semaphore"
  /** Unknown where nobody is in line. */
  readonly layout: LayoutName | undefined
  readonly holders: number
  readonly waiters: number
  /** How many there are, if the semaphore says so. */
  readonly permits: number | undefined
  /** Candidates of layouts that this one does not heed. */
  readonly strangers: number
}

/** Names tell whose they are, but for the prefix that Curator's and the others' have in common. */
export const layoutOf = (name: string): LayoutName | undefined => {
  if (layouts.kazoo.parse(name) !== undefined) return "kazoo"
  if (!name.startsWith("_c_") && layouts.zktools.parse(name) !== undefined) return "zktools"
  return layouts.curator.parse(name) === undefined ? undefined : "curator"
}

/** Whose layout most of the names have. */
const commonLayout = (names: ReadonlyArray<LayoutName>): LayoutName | undefined => {
  const count = (layout: LayoutName) => names.filter((name) => name === layout).length
  const found = layoutNames.filter((layout) => count(layout) > 0)
  return found.sort((a, b) => count(b) - count(a))[0]
}

/** What the names below a node say of a lock; `undefined` if none of them is a candidate's. */
const readLine = (
  path: string,
  names: ReadonlyArray<string>,
  wanted?: LayoutName
): FoundLock | undefined => {
  const known = names.map(layoutOf)
  const all = known.flatMap((layout) => layout === undefined ? [] : [layout])
  const layout = wanted ?? commonLayout(all)
  if (layout === undefined) return undefined
  const own = wanted === undefined ? names.filter((_, index) => known[index] === layout) : names
  const queue = readQueue(own, layouts[layout].parse)
  if (queue.length === 0) return undefined
  const holders = holdersOf(queue).length
  return {
    path,
    type: "lock",
    layout,
    holders,
    waiters: queue.length - holders,
    permits: undefined,
    strangers: Math.max(0, all.length - queue.length)
  }
}

const isLease = (name: string): boolean => /^_c_.*-lease-/.test(name)

/** `undefined` if it is none: a node `locks` beside a node `leases` alone proves little. */
const readSemaphore = (path: string, names: ReadonlyArray<string>) =>
  Effect.gen(function*() {
    if (!names.includes("locks") || !names.includes("leases")) return undefined
    const zk = yield* ZkClient.ZkClient
    const [line, leases, { text }] = yield* Effect.all([
      zk.getChildren(ZkPath.join(path, "locks")),
      zk.getChildren(ZkPath.join(path, "leases")),
      zk.getData(path)
    ], { concurrency: "unbounded" })
    if (!leases.children.every(isLease) || !line.children.every((name) => layoutOf(name) === "curator")) {
      return undefined
    }
    const found: FoundLock = {
      path,
      type: "semaphore",
      layout: "curator",
      holders: leases.children.length,
      waiters: line.children.length,
      permits: /^[1-9]\d{0,8}$/.test(text) ? Number(text) : undefined,
      strangers: 0
    }
    return found
  })

const free = (path: string): FoundLock => ({
  path,
  type: "lock",
  layout: undefined,
  holders: 0,
  waiters: 0,
  permits: undefined,
  strangers: 0
})

/** What zktools writes into its locks. */
const isMarked = (path: string, stat: Stat) =>
  stat.dataLength !== 4
    ? Effect.succeed(false)
    : ZkClient.ZkClient.use((zk) => Effect.map(zk.getData(path), ({ text }) => text === "lock"))

/**
 * Whether a node could be a lock that nobody is in line for: it is empty. Only of one that has had children is that
 * likely, unless somebody says so (`isNamed`).
 */
const isFree = (path: string, children: ReadonlyArray<string>, stat: Stat, isNamed: boolean) => {
  if (children.length > 0 || stat.ephemeralOwner !== BigInt(0)) return Effect.succeed(false)
  if (stat.dataLength === 0) return Effect.succeed(isNamed || stat.cversion > 0)
  return isMarked(path, stat)
}

/** The lock or the semaphore at a path; `undefined` if there is a node, but not of that kind. */
export const lockAt = (
  path: string,
  layout?: LayoutName
): Effect.Effect<FoundLock | undefined, NoNode | NoAuth | SessionError, ZkClient.ZkClient> =>
  Effect.gen(function*() {
    const zk = yield* ZkClient.ZkClient
    const { children, stat } = yield* zk.getChildren(path)
    const line = readLine(path, children, layout)
    if (line !== undefined) return line
    const semaphore = layout === undefined ? yield* readSemaphore(path, children) : undefined
    if (semaphore !== undefined) return semaphore
    return (yield* isFree(path, children, stat, true)) ? free(path) : undefined
  })

export interface Search {
  /** By path. */
  readonly locks: ReadonlyArray<FoundLock>
  /** What may not be read. */
  readonly closed: ReadonlyArray<string>
}

const concurrency = 32

/** Every lock at and below a path. Nodes that go meanwhile are left out, candidates are not looked into. */
export const findLocks = (
  root: string
): Effect.Effect<Search, NoNode | NoAuth | SessionError, ZkClient.ZkClient> =>
  Effect.gen(function*() {
    const zk = yield* ZkClient.ZkClient
    const session = yield* zk.session
    const locks: Array<FoundLock> = []
    const closed: Array<string> = []
    const below = (at: string, names: ReadonlyArray<string>) =>
      Effect.forEach(names, (name) => {
        const path = ZkPath.join(at, name)
        return Effect.catch(visit(path), (error) => {
          if (error._tag === "NoNode") return Effect.void
          if (error._tag !== "NoAuth") return Effect.fail(error)
          closed.push(path)
          return Effect.void
        })
      }, { concurrency, discard: true })
    const visit = (
      at: string
    ): Effect.Effect<void, NoNode | NoAuth | SessionError, ZkClient.ZkClient> =>
      Effect.gen(function*() {
        const { children, stat } = yield* zk.getChildren(at)
        const line = readLine(at, children)
        const semaphore = line === undefined ? yield* readSemaphore(at, children) : undefined
        const own = semaphore === undefined ? [] : ["locks", "leases"]
        const found = line ?? semaphore
        if (found !== undefined) locks.push(found)
        else if (at !== root && (yield* isFree(at, children, stat, false))) locks.push(free(at))
        const rest = children.filter((name) => layoutOf(name) === undefined && !own.includes(name))
        // What the servers keep there is theirs.
        yield* below(at, rest.filter((name) => !isServers(session.absolutePath(ZkPath.join(at, name)))))
      })
    yield* visit(root)
    return { locks: locks.sort((a, b) => byName(a.path, b.path)), closed: closed.sort(byName) }
  })

export const isLocked = ({ holders, waiters }: FoundLock): boolean => holders + waiters > 0

export const whoIsThere = ({ holders, permits, type, waiters }: FoundLock): string => {
  const inUse = permits === undefined ? plural(holders, "permit") : `${holders} of ${plural(permits, "permit")}`
  const held = type === "lock" ? plural(holders, "holder") : `${inUse} in use`
  return `${held}, ${plural(waiters, "waiter")}`
}

/** What is to be known of a lock beyond its line. */
export const remarkOn = ({ layout, path, strangers }: FoundLock): string | undefined =>
  strangers === 0
    ? undefined
    : `${path}: ${plural(strangers, "candidate")} of another layout, not in line with those of ${layout}`
