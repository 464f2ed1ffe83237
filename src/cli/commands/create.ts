/** `zk create`: creates a node, of any mode. */
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Acl } from "../../ZkAcl.ts"
import { ZkClient } from "../../ZkClient.ts"
import type { CreateMode } from "../../ZkTransaction.ts"
import { aclFlag } from "../acl.ts"
import { dataArgument, dataFlags, readData } from "../data.ts"
import { durationFlag } from "../duration.ts"
import { CommandFailed, usage } from "../failure.ts"
import { pathArgument, resolvePath, resolvePrefix } from "../nodePath.ts"
import { note, Output, report } from "../output.ts"
import { printable } from "../printable.ts"
import { SessionEnds } from "../sessionEnds.ts"

const flag = (name: string, alias: string, description: string) =>
  Flag.Boolean(name).pipe(Flag.withAlias(alias), Flag.withDefault(false), Flag.withDescription(description))

interface ModeInput {
  readonly ephemeral: boolean
  readonly sequential: boolean
  readonly container: boolean
  readonly ttl: Option.Option<number>
}

const modeOf = ({ container, ephemeral, sequential, ttl }: ModeInput): CreateMode | CommandFailed => {
  const kinds = [ephemeral, container, Option.isSome(ttl)].filter(Boolean).length
  if (kinds > 1) {
    return usage("--ephemeral, --container and --ttl exclude each other")
  }
  if (container) {
    return sequential
      ? usage("a container has no number: --container excludes --sequential")
      : "container"
  }
  if (Option.isSome(ttl)) return { ttl: ttl.value, sequential }
  if (ephemeral) return sequential ? "ephemeralSequential" : "ephemeral"
  return sequential ? "persistentSequential" : "persistent"
}

export const create = Command.make("create", {
  path: pathArgument,
  data: dataArgument,
  ...dataFlags,
  ephemeral: flag("ephemeral", "e", "A node that goes with the session: this waits until it is interrupted"),
  sequential: flag("sequential", "q", "Put a number behind the name, higher than all before"),
  container: flag("container", "c", "A node that the servers remove once its last child has gone"),
  ttl: durationFlag("ttl").pipe(
    Flag.optional,
    Flag.withDescription("A node that the servers remove when it was not set for so long and has no children")
  ),
  parents: flag("parents", "p", "Create missing parents, too"),
  acl: aclFlag
}, ({ acl, parents, path, ...input }) =>
  Effect.gen(function*() {
    const zk = yield* ZkClient
    const { noteStyle } = yield* Output
    const mode = modeOf(input)
    if (mode instanceof CommandFailed) return yield* mode
    const at = yield* (input.sequential ? resolvePrefix(path) : resolvePath(path))
    const data = Option.getOrElse(yield* readData(input), () => "")
    const list: ReadonlyArray<Acl> | undefined = Option.getOrUndefined(acl)
    const created = yield* zk.create(at, data, { mode, parents, acl: list })
    yield* report({
      json: () => ({ path: created.path }),
      text: () => [printable(created.path)]
    })
    if (!input.ephemeral || !(yield* SessionEnds)) return
    yield* note(noteStyle.faint("there until this is interrupted (Ctrl-C)"))
    const session = yield* zk.session
    // The node was created: its end is no failure of that.
    const message = `${created.path} is gone: its session has ended`
    return yield* Effect.mapError(session.ended, () => new CommandFailed({ reason: "failed", message }))
  })).pipe(
    Command.withDescription("Creates a node, and prints its path."),
    Command.withShortDescription("Create a node"),
    Command.withExamples([
      { command: "zk create /app/config '{}' --parents", description: "With the nodes above it" },
      { command: "zk create /jobs/job- --sequential --file job.json", description: "With a number behind its name" },
      { command: "zk create /members/me --ephemeral", description: "For as long as the command runs" },
      { command: "zk create /cache/a x --ttl 10m", description: "For ten minutes after it was last set" }
    ])
  )
