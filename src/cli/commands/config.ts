/** `zk config`: which servers the ensemble consists of. */
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import { ZkClient } from "../../ZkClient.ts"
import type { Member } from "../ensemble.ts"
import { parseEnsemble } from "../ensemble.ts"
import { note, Output, print, printJson } from "../output.ts"
import { printable } from "../printable.ts"
import { plural } from "../stat.ts"
import type { Column } from "../table.ts"
import { printTable } from "../table.ts"

const columns: ReadonlyArray<Column<Member>> = [
  { heading: "SERVER", cell: ({ id }) => printable(id), align: "right" },
  { heading: "ROLE", cell: ({ role }) => role },
  { heading: "FOR CLIENTS", cell: ({ client = "" }) => printable(client), shrink: "end" },
  { heading: "FOR SERVERS", cell: ({ addresses }) => printable(addresses.join(" ")), shrink: "end" }
]

export const config = Command.make("config", {}, () =>
  Effect.gen(function*() {
    const zk = yield* ZkClient
    const { isJson, noteStyle } = yield* Output
    const { text } = yield* zk.getConfig
    const { members, settings, version } = parseEnsemble(text)
    if (isJson) {
      return yield* printJson({
        version: version ?? null,
        servers: members.map(({ client = null, ...member }) => ({ ...member, client })),
        settings: Object.fromEntries(settings)
      })
    }
    if (members.length === 0) return yield* note(noteStyle.faint("the server tells of no ensemble: it is alone"))
    yield* printTable(columns, members)
    if (settings.length > 0) yield* print(["", ...settings.map(([name, value]) => printable(`${name}=${value}`))])
    yield* note(noteStyle.faint(`${plural(members.length, "server")}, version ${printable(version ?? "unknown")}`))
  })).pipe(
    Command.withDescription(
      "Shows the configuration of the ensemble: its servers, their roles, the addresses for clients and those for each other, and its version. A server that runs alone need not have any."
    ),
    Command.withShortDescription("Show the servers of the ensemble"),
    Command.withExamples([
      { command: "zk config", description: "For people" },
      { command: "zk config --json | jq -r '.servers[].client'", description: "Where clients can connect" }
    ])
  )
