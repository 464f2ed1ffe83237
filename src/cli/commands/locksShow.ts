/** `zk locks show`: who holds a lock, and who waits for it. */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Contender, Owner } from "../../ZkLock.ts"
import * as ZkLock from "../../ZkLock.ts"
import * as ZkPath from "../../ZkPath.ts"
import * as ZkSemaphore from "../../ZkSemaphore.ts"
import * as ZkStat from "../../ZkStat.ts"
import { CommandFailed } from "../failure.ts"
import { resolveLock, rootFlag } from "../lockRoot.ts"
import type { FoundLock } from "../locks.ts"
import { isLocked, layoutNames, lockAt, remarkOn, whoIsThere } from "../locks.ts"
import { note, Output, print, printJson } from "../output.ts"
import { printable, truncate } from "../printable.ts"
import { time } from "../stat.ts"
import { byName } from "../subtree.ts"
import type { Column } from "../table.ts"
import { printTable } from "../table.ts"

/** Somebody in line, or somebody with a permit. */
interface Place extends Omit<Contender, "kind" | "sequence"> {
  readonly kind: Contender["kind"] | "permit"
  readonly sequence: number | undefined
  /** Seconds. */
  readonly age: number
}

/** Those with permits, in the order in which they got them, before those who wait. */
const ofSemaphore = (path: string) =>
  Effect.gen(function*() {
    const semaphore = yield* ZkSemaphore.make(path, { permits: 1 })
    const line = yield* ZkLock.make(ZkPath.join(path, "locks"))
    const [holders, waiters] = yield* Effect.all([semaphore.holders, line.contenders], { concurrency: "unbounded" })
    const permits = [...holders].sort((a, b) =>
      DateTime.toEpochMillis(a.created) - DateTime.toEpochMillis(b.created) || byName(a.path, b.path)
    )
    return [
      ...permits.map((holder) => ({
        ...holder,
        kind: "permit" as const,
        sequence: undefined,
        isHolder: true,
        revoking: false
      })),
      // Whoever is first in this line is being served: it holds nothing yet.
      ...waiters.map((waiter) => ({ ...waiter, kind: "permit" as const, isHolder: false }))
    ]
  })

/**
 * In seconds, by this machine's clock. Where that is behind the servers', it is the newest of their times at least, so
 * that nobody's age is negative.
 */
export const agesAt = (now: number, times: ReadonlyArray<number>): ReadonlyArray<number> => {
  const latest = times.reduce((a, b) => Math.max(a, b), now)
  return times.map((time) => Math.floor((latest - time) / 1000))
}

const read = (lock: FoundLock) =>
  Effect.gen(function*() {
    const found = lock.type === "semaphore"
      ? yield* ofSemaphore(lock.path)
      : yield* Effect.flatMap(ZkLock.make(lock.path, { layout: lock.layout }), ({ contenders }) => contenders)
    const times = found.map(({ created }) => DateTime.toEpochMillis(created))
    const ages = agesAt(yield* Clock.currentTimeMillis, times)
    return found.map((place, index): Place => ({ ...place, age: ages[index]! }))
  })

const ownerText = ({ custom, deadline, host, pid, revoke }: Owner): string =>
  [
    `${host} pid ${pid}`,
    ...(custom === undefined ? [] : [JSON.stringify(custom)]),
    ...(revoke === undefined ? [] : [revoke === "request" ? "asks the others to give way" : "takes it away"]),
    ...(deadline === undefined ? [] : [`until ${time(deadline)}`])
  ].join(", ")

const asked: Column<Place> = {
  heading: "GIVE WAY",
  cell: ({ revoking }) => revoking ? "asked" : "",
  paint: (style) => style.warning
}

const cells: ReadonlyArray<Column<Place>> = [
  {
    heading: "STATE",
    cell: ({ isHolder }) => isHolder ? "holds" : "waits",
    paint: (style, { isHolder }) => isHolder ? style.mark : style.faint
  },
  { heading: "KIND", cell: ({ kind }) => kind },
  { heading: "NUMBER", cell: ({ sequence }) => sequence === undefined ? "" : `${sequence}`, align: "right" },
  { heading: "SESSION", cell: ({ sessionId }) => sessionId === BigInt(0) ? "none" : ZkStat.toHex(sessionId) },
  { heading: "AGE", cell: ({ age }) => `${age} s`, align: "right" },
  asked,
  {
    heading: "DATA",
    cell: ({ owner, text }) => printable(Option.match(owner, { onNone: () => text, onSome: ownerText })),
    shrink: "end"
  }
]

const ownerJson = ({ deadline, since, ...owner }: Owner) => ({
  ...owner,
  since: DateTime.formatIso(since),
  ...(deadline !== undefined && { deadline: DateTime.formatIso(deadline) })
})

const placeJson = ({ age, created, isHolder, kind, owner, path, revoking, sequence, sessionId, text }: Place) => ({
  path,
  isHolder,
  kind,
  sequence: sequence ?? null,
  sessionId,
  created: DateTime.formatIso(created),
  age,
  revoking,
  data: text,
  owner: Option.getOrNull(Option.map(owner, ownerJson))
})

export const locksShow = Command.make("show", {
  lock: Argument.String("lock").pipe(Argument.withDescription("Its name below the root, or its path")),
  root: rootFlag,
  layout: Flag.Literals("layout", layoutNames).pipe(
    Flag.optional,
    Flag.withDescription("Whose names to look for. Default: those that most have")
  )
}, ({ layout, lock, root }) =>
  Effect.gen(function*() {
    const { columns, isJson, noteStyle, style } = yield* Output
    const wanted = Option.getOrUndefined(layout)
    const at = yield* resolveLock(lock, root, wanted)
    const found = yield* Effect.catchTag(lockAt(at, wanted), "NoNode", () =>
      Effect.fail(new CommandFailed({ reason: "missing", message: `there is no lock ${at}` })))
    if (found === undefined) {
      const message = `${at} is no lock: nothing below it has the name of a candidate`
      return yield* new CommandFailed({ reason: "missing", message })
    }
    const places = yield* read(found)
    const holders = places.filter(({ isHolder }) =>
      isHolder
    ).length
    // As they were when they were read.
    const now: FoundLock = { ...found, holders, waiters: places.length - holders }
    if (isJson) {
      yield* printJson({
        path: at,
        type: found.type,
        status: isLocked(now) ? "locked" : "free",
        layout: found.layout ?? null,
        permits: found.permits ?? null,
        line: places.map(placeJson)
      })
    } else {
      const [status, paint] = isLocked(now) ? ["Locked", style.warning] : ["Free", style.good]
      const layout = found.layout === undefined ? "" : `  ${found.layout} ${found.type}`
      const said = `: ${whoIsThere(now)}`
      const room = ((yield* columns) ?? Infinity) - `  ${status}${said}${layout}`.length
      const name = truncate(printable(at), Math.max(8, room), "middle")
      yield* print([`${style.strong(name)}  ${paint(status)}${said}${style.faint(layout)}`])
      if (places.length > 0) {
        const isAsked = places.some(({ revoking }) => revoking)
        yield* printTable(isAsked ? cells : cells.filter((column) => column !== asked), places)
      }
    }
    const remark = remarkOn(found)
    if (remark !== undefined) yield* note(noteStyle.warning(printable(remark)))
  })).pipe(
    Command.withDescription(
      "Shows who holds a lock or a semaphore's permits, and who waits, in the order in which they will have it. Ages are the servers' times seen from this machine's clock, and never negative. What a node tells of its owner is replaced when that is asked to give way."
    ),
    Command.withShortDescription("Show who holds a lock, and who waits for it"),
    Command.withExamples([
      { command: "zk locks show nightly-report", description: "/locks/nightly-report" },
      { command: "zk locks show /ZktoolsLocks/import", description: "By its path" },
      {
        command: "zk locks show import --json | jq -r '.line[] | select(.isHolder).owner.host'",
        description: "Where its holder runs"
      }
    ])
  )
