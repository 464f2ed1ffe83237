/** `zk acl`: who may do what with nodes. */
import * as Command from "effect/cli/Command"
import { aclGet } from "./aclGet.ts"
import { aclSet } from "./aclSet.ts"

export const acl = Command.make("acl").pipe(
  Command.withDescription("Looks at the ACLs of nodes, and sets them."),
  Command.withShortDescription("Print and set ACLs"),
  Command.withSubcommands([aclGet, aclSet])
)
