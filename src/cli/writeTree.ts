/**
 * Writes a tree of nodes, parents before children, and keeps account: however it ends, what was written and what may
 * have been is known.
 */
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Result from "effect/Result"
import { isSameBytes } from "../internal/bytes.ts"
import { openAcl } from "../ZkAcl.ts"
import type { CreateError, ZkClient } from "../ZkClient.ts"
import type { BadVersion, SessionError } from "../ZkError.ts"
import { isRetryable, maybeApplied, NodeExists, RequestTooLarge } from "../ZkError.ts"
import { CommandFailed, reasonOf, usage } from "./failure.ts"
import { isServers } from "./nodePath.ts"
import { printable } from "./printable.ts"
import type { Progress } from "./progress.ts"
import { plural } from "./stat.ts"
import type { TreeNode } from "./treeNode.ts"
import { isSameAcl, within } from "./treeNode.ts"

/** What to do about nodes that are there already. */
export type Existing = "refuse" | "skip" | "overwrite"

export const existingFlags = {
  skip: Flag.Boolean("skip").pipe(
    Flag.withDefault(false),
    Flag.withDescription("Leave nodes alone that are there already")
  ),
  overwrite: Flag.Boolean("overwrite").pipe(
    Flag.withDefault(false),
    Flag.withDescription("Set nodes that are there already")
  )
}

export const existingOf = (input: { readonly skip: boolean; readonly overwrite: boolean }) => {
  if (input.skip && input.overwrite) {
    return Effect.fail(usage("--skip and --overwrite exclude each other"))
  }
  return Effect.succeed<Existing>(input.skip ? "skip" : input.overwrite ? "overwrite" : "refuse")
}

export interface Step {
  readonly node: TreeNode
  readonly at: string
  readonly action: "create" | "overwrite" | "skip"
}

const concurrency = 64

/** Those of one level are independent of each other. */
const levels = <A>(items: ReadonlyArray<A>, path: (item: A) => string): ReadonlyArray<ReadonlyArray<A>> => {
  const found: Array<Array<A>> = []
  for (const item of items) {
    const name = path(item)
    const depth = name === "/" ? 0 : name.split("/").length - 1
    const level = found[depth] ??= []
    level.push(item)
  }
  return found.filter((level) => level !== undefined)
}

/** What servers read at most, as the client has it by default. */
const largestRequest = 1_048_575

const sizeOf = (at: string, { acl = openAcl, data }: TreeNode): number =>
  acl.reduce((sum, { id, scheme }) => sum + 12 + Buffer.byteLength(scheme) + Buffer.byteLength(id), 0) +
  Buffer.byteLength(at) + (data?.length ?? 0) + 24

/** What is to be done with each node. Writes nothing, and fails where something certainly cannot be done. */
export const planTree = (
  zk: ZkClient,
  root: string,
  nodes: ReadonlyArray<TreeNode>,
  existing: Existing
): Effect.Effect<ReadonlyArray<Step>, CommandFailed | SessionError> =>
  Effect.gen(function*() {
    const session = yield* zk.session
    for (const node of nodes) {
      const path = within(root, node.path)
      if (isServers(session.absolutePath(path))) {
        return yield* usage(`${printable(path)} belongs to the servers`)
      }
      const size = sizeOf(path, node)
      if (size > largestRequest) {
        return yield* new RequestTooLarge({ operation: "create", path, size, limit: largestRequest })
      }
    }
    const exists = (at: string): Effect.Effect<boolean, SessionError> =>
      zk.exists(at).pipe(Effect.map(Option.isSome), Effect.catchTag("NoAuth", () => Effect.succeed(true)))
    const missing = new Set<string>()
    const parentOf = (path: string) => path.slice(0, path.lastIndexOf("/")) || "/"
    const look = (node: TreeNode) =>
      Effect.gen(function*() {
        const at = within(root, node.path)
        const hasParent = node.path === "/" || !missing.has(parentOf(node.path))
        const isThere = hasParent && (yield* exists(at))
        if (!isThere) missing.add(node.path)
        const step: Step = {
          node,
          at,
          action: !isThere ? "create" : existing === "overwrite" && at !== "/" ? "overwrite" : "skip"
        }
        return step
      })
    const steps: Array<Step> = []
    for (const level of levels(nodes, ({ path }) => path)) {
      for (const step of yield* Effect.forEach(level, look, { concurrency })) steps.push(step)
    }
    // The root of everything is always there, and nobody means it, or its ACL, by writing below it.
    const there = steps.filter(({ action, at }) => action === "skip" && at !== "/")
    if (existing === "refuse" && there.length > 0) {
      const rest = there.length === 1 ? " is" : ` and ${plural(there.length - 1, "other")} are`
      const message = `${printable(there[0]!.at)}${rest} there already, and nothing was written: ` +
        "give --skip to leave such nodes alone, or --overwrite to set them"
      return yield* new CommandFailed({ reason: "conflict", message })
    }
    return steps
  })

type WriteError = CreateError | BadVersion

/** How often a node is tried in all. Waiting for a connection is bounded by itself. */
const maxTries = 10

const pause = "250 millis"

const isInDoubt = (error: WriteError): boolean =>
  maybeApplied(error) && (error._tag === "ConnectionLoss" || error._tag === "SessionExpired")

/** Certainly not applied, and worth another try. */
const isPassing = (error: WriteError): boolean =>
  !maybeApplied(error) && (error._tag === "SessionExpired" || error._tag === "ConnectionLoss" ||
    (error._tag !== "OperationTimeout" && isRetryable(error)))

/** What there is in place of a node, as a server that has caught up knows it. */
const compare = (zk: ZkClient, { at, node }: Step, withAcl: boolean) =>
  Effect.gen(function*() {
    yield* zk.sync(at)
    const found = yield* zk.getDataOption(at)
    if (Option.isNone(found)) return "missing"
    const isSame = found.value.stat.ephemeralOwner === BigInt(0) && isSameBytes(found.value.data, node.data) &&
      (!withAcl || isSameAcl((yield* zk.getAcl(at)).acl, node.acl ?? openAcl))
    return isSame ? "same" : "other"
  }).pipe(
    Effect.catchTag("NoNode", () => Effect.succeed("missing" as const)),
    Effect.retry({ times: 5, while: ({ _tag }) => _tag === "SessionExpired" }),
    // As good as not having looked.
    Effect.catch(() => Effect.succeed("unknown" as const))
  )

/** What is as it should be is not written: nobody is told of a change that is none, and no rights are needed for it. */
const overwrite = Effect.fnUntraced(function*(zk: ZkClient, { at, node }: Step, withAcl: boolean) {
  const wanted = node.acl ?? openAcl
  const isSameDatum = yield* zk.getData(at).pipe(
    Effect.map(({ data }) => isSameBytes(data, node.data)),
    Effect.catchTag("NoAuth", () => Effect.succeed(false))
  )
  if (!isSameDatum) yield* zk.setData(at, node.data)
  const isAsWanted = !withAcl || isSameAcl((yield* zk.getAcl(at)).acl, wanted)
  if (!isAsWanted) yield* zk.setAcl(at, wanted)
  return isSameDatum && isAsWanted ? "unchanged" : "overwritten"
})

export interface WriteOptions {
  readonly existing: Existing
  /** Whether nodes that are overwritten get the ACL as well. */
  readonly acl: boolean
}

export interface Tally {
  readonly created: number
  readonly overwritten: number
  /** Were there already, just like that. */
  readonly unchanged: number
  /** Were there already, and were left alone. */
  readonly skipped: number
}

type Written = keyof Tally

const writeNode = Effect.fnUntraced(function*(
  zk: ZkClient,
  step: Step,
  { acl: withAcl, existing }: WriteOptions
): Effect.fn.Return<Written, WriteError> {
  const { at, node } = step
  const conflict = new NodeExists({ operation: "create", path: at })
  const isTop = node.path === "/"
  let { action } = step
  let lost: WriteError | undefined
  for (let round = 1;; round++) {
    if (action === "skip") return "skipped"
    const attempt: Result.Result<Written, WriteError> = yield* Effect.result<Written, WriteError, never>(
      action === "create"
        ? Effect.as(zk.create(at, node.data, { acl: node.acl, parents: isTop, idempotent: true }), "created")
        : overwrite(zk, step, withAcl)
    )
    if (attempt._tag === "Success") {
      // An earlier try may have been what has made it so.
      return attempt.success === "unchanged" && lost !== undefined ? "overwritten" : attempt.success
    }
    const error = attempt.failure
    if (round === maxTries) return yield* (lost ?? error)
    if (isInDoubt(error)) {
      lost = error
      if (action === "overwrite") continue
      const found = yield* compare(zk, step, withAcl)
      if (found === "same") return "created"
      if (found === "unknown") return yield* error
      if (found === "missing") lost = undefined
      else if (existing === "refuse") return yield* conflict
      else action = existing
    } else if (isPassing(error)) yield* Effect.sleep(pause)
    else if (error._tag === "NodeExists" && existing !== "refuse") action = existing
    else if (error._tag === "NoNode" && action === "overwrite") action = "create"
    // What was lost may be what forbids it now, or it waits still.
    else return yield* (lost ?? error)
  }
})

/** After the first failure nothing more is begun, and what has been begun is waited for: so that the account is right. */
export const writeTree = (
  zk: ZkClient,
  steps: ReadonlyArray<Step>,
  options: WriteOptions,
  progress: Progress
): Effect.Effect<Tally, CommandFailed> =>
  Effect.suspend(() => {
    const tally = { created: 0, overwritten: 0, unchanged: 0, skipped: 0 }
    const total = steps.filter(({ action }) => action !== "skip").length
    const underWay = new Set<Step>()
    const doubtful: Array<Step> = []
    let failure: { readonly error: WriteError; readonly step: Step } | undefined
    const written = () => tally.created + tally.overwritten + tally.unchanged
    const write = (step: Step) =>
      Effect.suspend(() => {
        if (failure !== undefined) return Effect.void
        underWay.add(step)
        return Effect.matchEffect(writeNode(zk, step, options), {
          onSuccess: (what) => {
            underWay.delete(step)
            tally[what]++
            return step.action === "skip" ? Effect.void : progress.show(written(), total)
          },
          onFailure: (error) =>
            Effect.sync(() => {
              underWay.delete(step)
              if (maybeApplied(error)) doubtful.push(step)
              // That something may have been done is what matters most.
              if (failure === undefined || (maybeApplied(error) && !maybeApplied(failure.error))) {
                failure = { error, step }
              }
            })
        })
      })
    const account = () => `${written()} of ${plural(total, "node")} written`
    const again = "; the same with --skip or --overwrite does the rest"
    const failed = ({ error, step }: NonNullable<typeof failure>) => {
      const more = doubtful.length > 3 ? ` and ${doubtful.length - 3} more` : ""
      const names = doubtful.slice(0, 3).map(({ at }) => printable(at)).join(", ")
      const doubt = doubtful.length === 0 ? "" : `, and nobody knows about ${names}${more}`
      const hint = error._tag === "NoAuth" && step.action === "create"
        ? " (the ACL of its parent, which may have come with it, does not allow it: --user, or --no-acl)"
        : ""
      const reason = reasonOf(error)
      const mayGoOn = reason === "unreachable" || reason === "unknown"
      const message = `${printable(error.message)}${hint}; ${account()}${doubt}${mayGoOn ? again : ""}`
      const isPart = reason === "unreachable" && (written() > 0 || step.action === "overwrite")
      return new CommandFailed({ reason: isPart ? "unknown" : reason, message })
    }
    const interrupted = Effect.suspend(() => {
      const doubt = underWay.size === 0 ? "" : `, and up to ${underWay.size} more that were under way`
      return progress.note(`interrupted: ${account()}${doubt}${again}`)
    })
    return Effect.gen(function*() {
      for (const level of levels(steps, ({ node }) => node.path)) {
        yield* Effect.forEach(level, write, { concurrency, discard: true })
      }
      if (failure !== undefined) return yield* failed(failure)
      return tally
    }).pipe(Effect.onInterrupt(() => interrupted))
  })

/** In words: `12 new nodes` or `3 new nodes, 2 overwritten, 1 left alone`. */
export const tallyText = ({ created, overwritten, skipped, unchanged }: Tally): string =>
  [
    plural(created, "new node"),
    ...(overwritten === 0 ? [] : [`${overwritten} overwritten`]),
    ...(unchanged === 0 ? [] : [`${unchanged} as wanted already`]),
    ...(skipped === 0 ? [] : [`${skipped} left alone`])
  ].join(", ")
