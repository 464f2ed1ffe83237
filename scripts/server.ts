/**
 * A ZooKeeper server to try things with, until Ctrl-C: `npm run server`, on another port `npm run server -- 2182`. It
 * comes from where those of the tests come from, and leaves nothing behind.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Console, Effect } from "effect"
import { isFree } from "../test/support/ports.ts"
import { announcements } from "../test/support/provision.ts"
import { attempt, rigError } from "../test/support/rigError.ts"
import { makeNode } from "../test/support/server.ts"
import { makeHandle } from "../test/support/serverHandle.ts"

announcements.print = (line) => void process.stdout.write(`${line}\n`)

const clientPort = Number(process.argv[2] ?? 2181)

const serve = Effect.gen(function*() {
  // Whoever has the port would be taken for the server that was started.
  if (!(yield* attempt("looking at the port", () => isFree(clientPort)))) {
    return yield* Effect.fail(rigError(`port ${clientPort} is taken; for another: npm run server -- 2182`))
  }
  const node = yield* Effect.acquireRelease(
    attempt("making a server", () => makeNode({ id: 1, clientPort, peers: [] })),
    (node) => Effect.promise(() => node.dispose())
  )
  const server = makeHandle({ id: 1, host: "127.0.0.1", port: clientPort, node, standalone: true })
  yield* server.start
  yield* Console.log(`ZooKeeper ${server.version} on ${server.connectString}; Ctrl-C ends it`)
  return yield* Effect.never
})

NodeRuntime.runMain(
  Effect.tapError(Effect.scoped(serve), (error) => Console.error(error.message)),
  { disableErrorReporting: true }
)
