/** `zk acl set`: sets the ACL of a node, or of a node and everything below it. */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import type { Acl } from "../../ZkAcl.ts"
import { ZkClient } from "../../ZkClient.ts"
import { aclJson, aclProblem, formatAcl, parseAcl } from "../acl.ts"
import { confirm, yesFlag } from "../ask.ts"
import { CommandFailed, reasonOf, usage } from "../failure.ts"
import { ifVersionFlag } from "../ifVersion.ts"
import { isServers, pathArgument, resolvePath } from "../nodePath.ts"
import { note, Output, report } from "../output.ts"
import { printable } from "../printable.ts"
import { plural } from "../stat.ts"
import { flatten, noteClosed, readSubtree } from "../subtree.ts"

const listOf = (acl: ReadonlyArray<Acl>) => printable(acl.map(formatAcl).join(","))

const setOne = Effect.fnUntraced(function*(at: string, acl: ReadonlyArray<Acl>, ifVersion: Option.Option<number>) {
  const zk = yield* ZkClient
  const stat = yield* zk.setAcl(at, acl, { version: Option.getOrUndefined(ifVersion) })
  yield* report({
    json: () => ({ path: at, acl: acl.map(aclJson), aversion: stat.aversion }),
    text: () => [`${printable(at)}: ${listOf(acl)}, version ${stat.aversion} of the ACL`]
  })
})

const concurrency = 16

/** What keeps one node only from being set. */
const isOfNode = (error: { readonly _tag: string }): boolean => error._tag === "NoAuth"

const setAll = Effect.fnUntraced(function*(at: string, acl: ReadonlyArray<Acl>, yes: boolean) {
  const zk = yield* ZkClient
  const { isJson, noteStyle } = yield* Output
  const session = yield* zk.session
  const isTheirs = (path: string) => isServers(session.absolutePath(path))
  // What the servers keep is theirs, unless somebody says it by its name.
  const nodes = [...flatten(yield* readSubtree(at))].filter(({ path }) => isTheirs(at) || !isTheirs(path))
  yield* noteClosed(nodes, ", and stays")
  const below = nodes.length === 1 ? "" : ` and ${plural(nodes.length - 1, "node")} below it`
  yield* confirm(`Set the ACL of ${printable(at)}${below}?`, yes)
  const refused: Array<string> = []
  let [set, vanished, unsure] = [0, 0, 0]
  let failure: { readonly _tag: string; readonly message: string } | undefined
  yield* Effect.forEach(nodes, ({ path }) =>
    Effect.gen(function*() {
      // Nothing is begun after a failure that the other nodes would meet as well.
      if (failure !== undefined) return
      const result = yield* Effect.result(zk.setAcl(path, acl))
      if (Result.isSuccess(result)) set++
      else if (result.failure._tag === "NoNode") vanished++
      else if (isOfNode(result.failure)) refused.push(path)
      else {
        if (reasonOf(result.failure) === "unknown") unsure++
        failure ??= result.failure
      }
    }), { concurrency, discard: true }).pipe(
      Effect.onInterrupt(() =>
        note(`interrupted: the ACL was set on ${set} of ${plural(nodes.length, "node")}, or a few more`)
      )
    )
  const left = nodes.length - set - vanished - unsure
  yield* report({
    json: () => ({ path: at, acl: acl.map(aclJson), set, vanished, refused, left, unsure }),
    text: () => [
      `${plural(set, "node")} set to ${listOf(acl)}` + (vanished === 0 ? "" : `, ${vanished} had gone meanwhile`)
    ]
  })
  if (!isJson) {
    for (const path of refused) yield* note(noteStyle.warning(`${printable(path)}: not allowed, not set`))
  }
  if (left + unsure === 0) return
  const counts = [
    `set on ${set} of ${plural(nodes.length, "node")}`,
    ...(left === 0 ? [] : [`not on ${left}`]),
    ...(unsure === 0 ? [] : [`nobody knows of ${unsure}`])
  ].join(", ")
  const why = failure?.message ?? `${refused[0]!}: the ACL does not allow it to this session`
  const reason = failure === undefined ? "forbidden" : unsure > 0 ? "unknown" : reasonOf(failure)
  const isPart = set > 0 && reason === "unreachable"
  return yield* new CommandFailed({ reason: isPart ? "unknown" : reason, message: `the ACL was ${counts}: ${why}` })
})

export const aclSet = Command.make("set", {
  path: pathArgument,
  acl: Argument.String("acl").pipe(
    Argument.filterMap(
      (text) => Result.getSuccess(parseAcl(text)),
      aclProblem
    ),
    Argument.withDescription("Who may do what: world:anyone:r,digest:user:hash=:cdrwa")
  ),
  recursive: Flag.Boolean("recursive").pipe(
    Flag.withAlias("r"),
    Flag.withDefault(false),
    Flag.withDescription("And of everything below it. Asks first")
  ),
  ifVersion: ifVersionFlag.pipe(Flag.withDescription("Only if the ACL has this version (zk acl get tells it)")),
  yes: yesFlag
}, ({ acl, ifVersion, path, recursive, yes }) =>
  Effect.gen(function*() {
    const at = yield* resolvePath(path)
    if (!recursive) return yield* setOne(at, acl, ifVersion)
    if (Option.isSome(ifVersion)) return yield* usage("--recursive and --if-version exclude each other")
    return yield* setAll(at, acl, yes)
  })).pipe(
    Command.withDescription(
      "Sets the ACL of a node or, with --recursive, of a node and everything below it. That is not done at once: nodes that may not be changed are left out and counted, and when the connection fails it is said how far it came. Permissions are c(reate), d(elete), r(ead), w(rite) and a(dmin)."
    ),
    Command.withShortDescription("Set the ACL of a node, or of a whole subtree"),
    Command.withExamples([
      { command: "zk acl set /app world:anyone:r,auth::cdrwa -u ann", description: "Everybody may read, ann do all" },
      { command: "zk acl set /app world:anyone:r --if-version 2", description: "If nobody has changed the ACL" },
      { command: "zk acl set /app world:anyone:cdrwa --recursive --yes", description: "And below it, in a script" }
    ])
  )
