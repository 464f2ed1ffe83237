/** `zk session`: the session that commands run in, and whom the servers take it for. */
import * as Command from "effect/cli/Command"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Identity } from "../../ZkClient.ts"
import { ZkClient } from "../../ZkClient.ts"
import type { Unimplemented } from "../../ZkError.ts"
import * as ZkStat from "../../ZkStat.ts"
import { isConnected } from "../../ZkState.ts"
import { formatMillis } from "../duration.ts"
import { renderFields } from "../fields.ts"
import { report } from "../output.ts"
import { printable } from "../printable.ts"
import { byName } from "../subtree.ts"

/** None where the server is too old for it. */
const ifKnown = <A, E extends { readonly _tag: string }, R>(effect: Effect.Effect<A, E | Unimplemented, R>) =>
  Effect.catchIf(
    Effect.asSome(effect),
    ({ _tag }) => _tag === "Unimplemented",
    () => Effect.succeedNone
  )

const byIdentity = (a: Identity, b: Identity) => byName(a.scheme, b.scheme) || byName(a.user, b.user)

export const session = Command.make("session", {}, () =>
  Effect.gen(function*() {
    const zk = yield* ZkClient
    const current = yield* zk.session
    // The servers have no order for them.
    const identities = Option.map(yield* ifKnown(zk.whoAmI), (known) => [...known].sort(byIdentity))
    const ephemerals = yield* ifKnown(zk.getEphemerals())
    const state = yield* zk.state
    const server = isConnected(state) ? state.server : null
    const readOnly = isConnected(state) && state.readOnly
    const timeout = Duration.toMillis(current.timeoutUnsafe())
    const root = current.absolutePath("/")
    const lastZxid = yield* zk.lastZxid
    const nodes = Option.map(ephemerals, (paths) => [...paths].sort(byName))
    const list = (values: ReadonlyArray<string>) => values.map(printable).join(", ") || "none"
    yield* report({
      json: () => ({
        sessionId: current.sessionId,
        timeout,
        server,
        readOnly,
        root,
        lastZxid,
        ...(Option.isSome(identities) && { identities: identities.value }),
        ...(Option.isSome(nodes) && { ephemerals: nodes.value })
      }),
      text: ({ style }) =>
        renderFields([
          ["session", ZkStat.toHex(current.sessionId)],
          ["timeout", formatMillis(timeout)],
          ["server", server === null ? "not connected" : `${server}${readOnly ? ", read-only" : ""}`],
          ["root", printable(root)],
          ["last zxid", ZkStat.toHex(lastZxid)],
          ...Option.match(identities, {
            onNone: () => [],
            onSome: (known) => [["identities", list(known.map(({ scheme, user }) => `${scheme}:${user}`))] as const]
          }),
          ...Option.match(nodes, {
            onNone: () => [],
            onSome: (paths) => [["ephemerals", list(paths)] as const]
          })
        ], style)
    })
  })).pipe(
    Command.withDescription(
      "Shows the session that was made for this command (or the shell's): the timeout that the servers agreed to, the server, which node of the servers is its root, whom they take it for (servers from 3.7 on), and its ephemeral nodes (from 3.6 on)."
    ),
    Command.withShortDescription("Show the session, and whom the servers take it for"),
    Command.withExamples([
      { command: "zk session --user ann", description: "Whether the password is right" },
      { command: "zk session --json | jq -r .server", description: "The server that answers" }
    ])
  )
