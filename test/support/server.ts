import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type { NodeProcess } from "./nodeProcess.ts"
import { freePort } from "./ports.ts"
import { provider, startingProvider } from "./provision.ts"
import { attempt, messageOf, type RigError, rigError } from "./rigError.ts"
import { makeHandle, type ServerHandle } from "./serverHandle.ts"
import type { ServerOptions } from "./zooCfg.ts"

export type { ServerHandle } from "./serverHandle.ts"
export type { ServerOptions } from "./zooCfg.ts"

/** First of `host:port,host:port/chroot`. */
export const firstServer = (connectString: string): { readonly host: string; readonly port: number } => {
  const [first = ""] = connectString.split("/")[0]?.split(",") ?? []
  const match = /^\[?(.*?)\]?(?::(\d+))?$/.exec(first.trim())
  return { host: match?.[1] || "127.0.0.1", port: Number(match?.[2] ?? 2181) }
}

/** Somebody took a port between looking and binding: worth another try with other ports. */
export const isPortConflict = (cause: unknown): boolean =>
  /Address already in use|BindException|port is already allocated/i.test(messageOf(cause))

export const makeNode = async (spec: NodeProcess["spec"]): Promise<NodeProcess> => {
  const { makeNode } = await startingProvider()
  if (makeNode === undefined) throw rigError("these servers can be used, but neither started nor stopped")
  return makeNode(spec)
}

const startOnce = (options: ServerOptions): Effect.Effect<ServerHandle, RigError, Scope.Scope> =>
  Effect.gen(function*() {
    const node = yield* Effect.acquireRelease(
      attempt(
        "making a server",
        async () => makeNode({ ...options, id: 1, clientPort: await freePort(), peers: [] })
      ),
      (node) => Effect.promise(() => node.dispose())
    )
    const handle = makeHandle({ id: 1, host: "127.0.0.1", port: node.spec.clientPort, node, standalone: true })
    yield* handle.start
    return handle
  })

/** A standalone server of one's own: killed and its data removed when the scope is closed. */
export const makeServer = (options: ServerOptions = {}): Effect.Effect<ServerHandle, RigError, Scope.Scope> =>
  Effect.retry(startOnce(options), { times: 3, while: isPortConflict })

/** Any server to talk to, which a test neither stops nor expects to be alone on: ZK_TEST_SERVERS or one of one's own. */
export const anyServer = (options: ServerOptions = {}): Effect.Effect<ServerHandle, RigError, Scope.Scope> =>
  Effect.flatMap(attempt("looking for a server", () => provider()), ({ connectString }) => {
    if (connectString === undefined) return makeServer(options)
    const handle = makeHandle({ id: 1, ...firstServer(connectString), standalone: true })
    return Effect.as(handle.waitReady, handle)
  })

/** `Layer`: `ZkServer.layer()`; then `yield* ZkServer`. */
export class ZkServer extends Context.Service<ZkServer, ServerHandle>()("test/ZkServer") {
  static readonly layer = (options: ServerOptions = {}): Layer.Layer<ZkServer, RigError> =>
    Layer.effect(this, makeServer(options))
}
