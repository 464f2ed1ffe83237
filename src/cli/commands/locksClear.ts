/** `zk locks clear`: removes locks that nobody uses and, if told to, one that is in use. */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { ZkClient } from "../../ZkClient.ts"
import * as ZkLock from "../../ZkLock.ts"
import * as ZkPath from "../../ZkPath.ts"
import { confirm, yesFlag } from "../ask.ts"
import { CommandFailed, halfWay, usage } from "../failure.ts"
import { resolveLock, resolveRoot, rootFlag } from "../lockRoot.ts"
import type { FoundLock } from "../locks.ts"
import { findLocks, isLocked, layoutNames, lockAt, whoIsThere } from "../locks.ts"
import { note, Output, print, report, toJson } from "../output.ts"
import { printable } from "../printable.ts"
import { plural } from "../stat.ts"

const conflict = (message: string) => new CommandFailed({ reason: "conflict", message })

/** Whether it was there. */
const remove = (path: string) =>
  ZkClient.use((zk) => Effect.as(zk.delete(path), true).pipe(Effect.catchTag("NoNode", () => Effect.succeed(false))))

/** The nodes of a lock that nobody is in line for, in the order in which they can go. */
const nodesOf = ({ path, type }: FoundLock): ReadonlyArray<string> =>
  type === "semaphore" ? [ZkPath.join(path, "leases"), ZkPath.join(path, "locks"), path] : [path]

const removeLock = (lock: FoundLock) => Effect.forEach(nodesOf(lock), remove)

/** Everybody out of the line, from its end on; gives how many there were. */
const clearLine = (lock: FoundLock) =>
  Effect.gen(function*() {
    const zk = yield* ZkClient
    if (lock.type === "lock") {
      // Candidates of all layouts: the line is empty then, for everybody.
      const counts = yield* Effect.forEach(layoutNames, (layout) =>
        Effect.flatMap(ZkLock.make(lock.path, { layout }), ({ clear }) => clear))
      return counts.reduce((sum, count) =>
        sum + count, 0)
    }
    const line = yield* ZkLock.make(ZkPath.join(lock.path, "locks"))
    const waiters = yield* line.clear
    const leases = ZkPath.join(lock.path, "leases")
    const { children } = yield* zk.getChildren(leases)
    const gone = yield* Effect.forEach(children, (name) => remove(ZkPath.join(leases, name)), { concurrency: 16 })
    return waiters + gone.filter(Boolean).length
  })

const clearOne = Effect.fnUntraced(function*(
  at: string,
  { dryRun, force, yes }: { readonly dryRun: boolean; readonly force: boolean; readonly yes: boolean }
) {
  const found = yield* Effect.catchTag(
    lockAt(at),
    "NoNode",
    () => Effect.fail(new CommandFailed({ reason: "missing", message: `there is no lock ${at}` }))
  )
  if (found === undefined) {
    const message = `${at} is no lock: it has data or children that no lock has`
    return yield* new CommandFailed({ reason: "missing", message })
  }
  const isUsed = isLocked(found)
  if (isUsed && !force) {
    return yield* conflict(`${at} is in use: ${whoIsThere(found)}. --force takes it away from them`)
  }
  if (dryRun) {
    return yield* report({
      json: () => ({ path: at, holders: found.holders, waiters: found.waiters }),
      text: () => [`${printable(at)}${isUsed ? `  ${whoIsThere(found)}` : ""}`]
    })
  }
  if (isUsed) yield* confirm(`Take ${printable(at)} away from those who use it (${whoIsThere(found)})?`, yes)
  const steps = Effect.gen(function*() {
    const taken = isUsed ? yield* clearLine(found) : 0
    yield* Effect.catchTag(removeLock(found), "NotEmpty", () =>
      Effect.fail(
        isUsed
          ? conflict(`${plural(taken, "candidate")} removed from ${at}, but there are others in it, or something else`)
          : conflict(`${at} is not empty any more`)
      ))
    return taken
  })
  const isOneStep = !isUsed && found.type === "lock"
  const said = "a part of what is below the lock may be gone"
  const taken = yield* isOneStep ? steps : steps.pipe(
    Effect.mapError((error) => error._tag === "CommandFailed" ? error : halfWay(error, said)),
    Effect.onInterrupt(() => note(`interrupted: ${said}`))
  )
  yield* report({
    json: () => ({ path: at, removed: true, candidates: taken }),
    text: () => [`removed ${printable(at)}${taken === 0 ? "" : `, with ${plural(taken, "candidate")}`}`]
  })
})

const clearAll = Effect.fnUntraced(function*(
  root: string,
  { dryRun, yes }: { readonly dryRun: boolean; readonly yes: boolean }
) {
  const { isJson, noteStyle } = yield* Output
  const { closed, locks } = yield* Effect.catchTag(
    findLocks(root),
    "NoNode",
    () => Effect.fail(new CommandFailed({ reason: "missing", message: `there are no locks: ${root} does not exist` }))
  )
  // What a semaphore's node says of permits is worth keeping.
  const unused = locks.filter((lock) => lock.type === "lock" && !isLocked(lock))
  const say = ({ path }: FoundLock) => isJson ? toJson({ path }) : printable(path)
  for (const path of closed) yield* note(noteStyle.warning(`${printable(path)} may not be read`))
  if (unused.length === 0) return yield* note(noteStyle.faint(`no unused locks below ${printable(root)}`))
  if (dryRun) return yield* print(unused.map(say))
  // Nothing but its being empty tells an unused lock: whoever is asked should see what it is about.
  const names = unused.slice(0, 3).map(({ path }) => printable(path)).join(", ") + (unused.length > 3 ? ", …" : "")
  yield* confirm(`Remove ${plural(unused.length, "unused lock")} below ${printable(root)} (${names})?`, yes)
  let [removed, refused] = [0, 0]
  for (const lock of unused) {
    const wasThere = yield* removeLock(lock).pipe(
      Effect.map((nodes) => nodes.some(Boolean)),
      Effect.catchTag(
        "NotEmpty",
        () => Effect.as(note(noteStyle.faint(`${printable(lock.path)} is in use by now`)), false)
      ),
      Effect.catchTag("NoAuth", () => {
        refused++
        return Effect.as(note(noteStyle.warning(`${printable(lock.path)} may not be deleted`)), false)
      }),
      Effect.mapError((error) => removed === 0 ? error : halfWay(error, `${plural(removed, "lock")} removed before`))
    )
    if (wasThere) {
      removed++
      yield* report({
        json: () => ({ path: lock.path, removed: true, candidates: 0 }),
        text: () => [`removed ${printable(lock.path)}`]
      })
    }
  }
  if (refused > 0) {
    const message = `${refused} of ${plural(unused.length, "unused lock")} may not be deleted`
    return yield* new CommandFailed({ reason: "forbidden", message })
  }
})

export const locksClear = Command.make("clear", {
  lock: Argument.String("lock").pipe(
    Argument.optional,
    Argument.withDescription("Its name below the root, or its path. Default: all that nobody uses")
  ),
  root: rootFlag,
  dryRun: Flag.Boolean("dry-run").pipe(
    Flag.withAlias("n"),
    Flag.withDefault(false),
    Flag.withDescription("Only say what would be removed")
  ),
  force: Flag.Boolean("force").pipe(
    Flag.withDefault(false),
    Flag.withDescription("Take a lock away from those who hold it and wait for it. Asks first")
  ),
  yes: yesFlag
}, ({ lock, root, ...input }) =>
  Effect.gen(function*() {
    if (Option.isSome(lock)) return yield* clearOne(yield* resolveLock(lock.value, root), input)
    if (input.force) {
      return yield* usage("--force takes one lock away: say which")
    }
    const below = yield* resolveRoot(root)
    // Nothing but its being empty tells an unused lock, and that is what many a node is.
    if (below === "/") return yield* usage("below / are not only locks: say which lock, or a --root of locks")
    return yield* clearAll(below, input)
  })).pipe(
    Command.withDescription(
      "Removes a lock that nobody holds or waits for or, without a name, all such locks below the root (but no semaphores). Programs make them again. With --force a lock that is in use goes as well: those who hold it are told that it is lost, but are not stopped."
    ),
    Command.withShortDescription("Remove unused locks, or take one away"),
    Command.withExamples([
      { command: "zk locks clear --dry-run", description: "See which nobody uses" },
      { command: "zk locks clear nightly-report", description: "If nobody uses it" },
      { command: "zk locks clear nightly-report --force", description: "Whoever holds it" }
    ])
  )
