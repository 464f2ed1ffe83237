import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import { randomUUID } from "node:crypto"
import type { TestProject } from "vitest/node"
import { provider } from "./provision.ts"
import { connectRaw, type RawClient } from "./rawClient.ts"
import { messageOf, type RigError } from "./rigError.ts"
import { anyServer } from "./server.ts"
import type { SharedServer } from "./sharedServer.ts"

const deleteTree = (client: RawClient, path: string): Effect.Effect<void, RigError> =>
  Effect.flatMap(client.getChildren(path), (children) =>
    Effect.andThen(
      Effect.forEach(children, (child) => deleteTree(client, `${path}/${child}`), { discard: true }),
      client.delete(path)
    ))

/** A server that is not ours lives on: it shall look as before. */
const cleanUp = ({ host, port, runId }: SharedServer): Effect.Effect<void, RigError> =>
  Effect.scoped(Effect.gen(function*() {
    const client = yield* connectRaw({ host, port })
    const roots = (yield* client.getChildren("/")).filter((name) => name.startsWith(`t-${runId}-`))
    yield* Effect.forEach(roots, (name) => deleteTree(client, `/${name}`), { discard: true })
    yield* client.closeSession
  }))

/** One standalone server for all test files of a run. */
const setup = async (project: TestProject): Promise<(() => Promise<void>) | undefined> => {
  const scope = Scope.makeUnsafe()
  try {
    const { kind } = await provider()
    const server = await Effect.runPromise(Scope.provide(anyServer(), scope))
    const shared: SharedServer = {
      connectString: kind === "servers" ? process.env["ZK_TEST_SERVERS"] ?? "" : server.connectString,
      host: server.host,
      port: server.port,
      version: server.version,
      kind,
      runId: randomUUID().slice(0, 8)
    }
    // Workers that start servers of their own take the same kind without looking for it again.
    process.env["ZK_TEST_PROVIDER"] = kind
    process.env["ZK_TEST_QUIET"] = "1"
    process.stderr.write(`zookeeper for tests: version ${server.version} at ${shared.connectString}\n`)
    project.provide("zookeeper", shared)
    return async () => {
      if (kind === "servers") await Effect.runPromise(Effect.ignore(cleanUp(shared)))
      await Effect.runPromise(Scope.close(scope, Exit.void))
    }
  } catch (cause) {
    await Effect.runPromise(Scope.close(scope, Exit.void))
    process.stderr.write(`${messageOf(cause)}\n`)
    project.provide("zookeeper", { error: messageOf(cause) })
    return undefined
  }
}

export default setup
