/** `zk acl get`: who may do what with a node. */
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import { ZkClient } from "../../ZkClient.ts"
import { aclJson, formatAcl } from "../acl.ts"
import { pathArgument, resolvePath } from "../nodePath.ts"
import { note, Output, report } from "../output.ts"
import { printable } from "../printable.ts"

export const aclGet = Command.make("get", { path: pathArgument }, ({ path }) =>
  Effect.gen(function*() {
    const zk = yield* ZkClient
    const { isJson, noteStyle } = yield* Output
    const at = yield* resolvePath(path)
    const { acl, stat } = yield* zk.getAcl(at)
    yield* report({
      json: () => ({ path: at, acl: acl.map(aclJson), aversion: stat.aversion }),
      text: () => acl.map((entry) => printable(formatAcl(entry)))
    })
    if (!isJson) yield* note(noteStyle.faint(`version ${stat.aversion} of the ACL`))
  })).pipe(
    Command.withDescription(
      "Prints the ACL of a node, an entry a line. Hashes of passwords are shown as x to who may not change the ACL."
    ),
    Command.withShortDescription("Print the ACL of a node"),
    Command.withExamples([
      { command: "zk acl get /app", description: "For people, and for zk acl set" },
      {
        command: "zk acl get /app --json | jq -r '.acl[] | select(.scheme == \"world\").perms'",
        description: "What everybody may do"
      }
    ])
  )
