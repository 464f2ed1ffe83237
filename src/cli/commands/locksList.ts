/** `zk locks list`: the locks below a node. */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import { CommandFailed } from "../failure.ts"
import { resolveRoot } from "../lockRoot.ts"
import type { FoundLock } from "../locks.ts"
import { findLocks, isLocked, remarkOn } from "../locks.ts"
import { note, Output, print, toJson } from "../output.ts"
import { printable } from "../printable.ts"
import type { Column } from "../table.ts"
import { printTable } from "../table.ts"

const columns: ReadonlyArray<Column<FoundLock>> = [
  { heading: "LOCK", cell: ({ path }) => printable(path), shrink: "middle" },
  {
    heading: "STATUS",
    cell: (lock) => isLocked(lock) ? "Locked" : "Free",
    paint: (style, lock) => isLocked(lock) ? style.warning : style.good
  },
  {
    heading: "HOLDERS",
    cell: ({ holders, permits }) => permits === undefined ? `${holders}` : `${holders} of ${permits}`,
    align: "right"
  },
  { heading: "WAITERS", cell: ({ waiters }) => `${waiters}`, align: "right" },
  {
    heading: "LAYOUT",
    cell: ({ layout = "", type }) => type === "semaphore" ? `${layout} semaphore` : layout
  }
]

export const locksList = Command.make("list", {
  root: Argument.String("root").pipe(
    Argument.optional,
    Argument.withDescription("Where to look, at all depths. Default: /locks; in a shell that has moved, where it is")
  )
}, ({ root }) =>
  Effect.gen(function*() {
    const { isJson, noteStyle } = yield* Output
    const at = yield* resolveRoot(root)
    const { closed, locks } = yield* Effect.catchTag(findLocks(at), "NoNode", () =>
      Effect.fail(new CommandFailed({ reason: "missing", message: `there are no locks: ${at} does not exist` })))
    if (isJson) {
      yield* print(locks.map((lock) =>
        toJson({
          path: lock.path,
          type: lock.type,
          status: isLocked(lock) ? "locked" : "free",
          holders: lock.holders,
          waiters: lock.waiters,
          permits: lock.permits ?? null,
          layout: lock.layout ?? null,
          strangers: lock.strangers
        })
      ))
    } else if (locks.length > 0) {
      yield* printTable(columns, locks)
    } else yield* note(noteStyle.faint(`no locks below ${printable(at)}`))
    for (const lock of locks) {
      const remark = remarkOn(lock)
      if (remark !== undefined) {
        yield* note(noteStyle.warning(printable(remark)))
      }
    }
    for (const path of closed) {
      yield* note(noteStyle.warning(`${printable(path)} may not be read`))
    }
  })).pipe(
    Command.withDescription(
      "Lists locks and semaphores, of our programs and of those with Curator, kazoo or zktools. Locked is what somebody holds or waits for. Free is a node with nothing in it, that has had children: nothing else tells an unused lock."
    ),
    Command.withShortDescription("List locks, and whether they are held"),
    Command.withExamples([
      { command: "zk locks list", description: "All below /locks" },
      { command: "zk locks list /ZktoolsLocks", description: "Those of zktools" },
      { command: "zk locks list --json | jq -r 'select(.waiters > 0).path'", description: "Where somebody waits" }
    ])
  )
