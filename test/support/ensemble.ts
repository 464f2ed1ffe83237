import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type { NodeProcess } from "./nodeProcess.ts"
import { freePort } from "./ports.ts"
import { makeQuorumLinks, type QuorumLinks } from "./quorumLinks.ts"
import { attempt, type RigError, rigError } from "./rigError.ts"
import { isPortConflict, makeNode, type ServerHandle, type ServerOptions } from "./server.ts"
import { makeHandle } from "./serverHandle.ts"
import { pollUntil } from "./wait.ts"
import type { PeerAddress } from "./zooCfg.ts"

export interface EnsembleOptions extends ServerOptions {
  /** How many members; default 3. */
  readonly size?: number | undefined
  /** Relays between the members, needed for `partition` and `separate`. Off by default. */
  readonly quorumProxies?: boolean | undefined
  /** Lines of zoo.cfg for one member only. */
  readonly extraConfigOf?: ((id: number) => Readonly<Record<string, string>>) | undefined
}

export interface EnsembleHandle {
  /** By id: member 1 first. */
  readonly servers: ReadonlyArray<ServerHandle>
  readonly connectString: string
  /** The member that leads now; waits for one. */
  readonly leader: Effect.Effect<ServerHandle, RigError>
  readonly followers: Effect.Effect<ReadonlyArray<ServerHandle>, RigError>
  /** Waits until there is a leader and `members` (default: all that run) serve with it. */
  readonly waitForQuorum: (members?: number) => Effect.Effect<void, RigError>
  /** Silence between one member and all others (or the two given). Needs `quorumProxies`. */
  readonly partition: (server: ServerHandle, from?: ServerHandle) => Effect.Effect<void, RigError>
  /** Like `partition`, but connections are reset: the members notice at once. */
  readonly separate: (server: ServerHandle, from?: ServerHandle) => Effect.Effect<void, RigError>
  /** Ends all partitions; what was held back arrives late, as TCP does it. */
  readonly heal: Effect.Effect<void, RigError>
}

const startOnce = (options: EnsembleOptions): Effect.Effect<EnsembleHandle, RigError, Scope.Scope> =>
  Effect.gen(function*() {
    const members = yield* attempt("ports", async () => {
      const members: Array<PeerAddress> = []
      for (let id = 1; id <= (options.size ?? 3); id++) {
        members.push({
          id,
          clientPort: await freePort(),
          quorumPort: await freePort(),
          electionPort: await freePort()
        })
      }
      return members
    })

    const links: QuorumLinks | undefined = options.quorumProxies === true
      ? yield* Effect.acquireRelease(
        attempt("relays between members", () => makeQuorumLinks(members)),
        (links) => Effect.promise(() => links.close())
      )
      : undefined

    const nodes = yield* Effect.acquireRelease(
      attempt("making an ensemble", async () => {
        const nodes: Array<NodeProcess> = []
        for (const { clientPort, id } of members) {
          nodes.push(
            await makeNode({
              ...options,
              extraConfig: { ...options.extraConfig, ...options.extraConfigOf?.(id) },
              id,
              clientPort,
              peers: links?.seenBy(id) ?? members
            })
          )
        }
        return nodes
      }),
      (nodes) => Effect.promise(() => Promise.all(nodes.map((node) => node.dispose())))
    )
    const servers = nodes.map((node) =>
      makeHandle({ id: node.spec.id, host: "127.0.0.1", port: node.spec.clientPort, node, standalone: false })
    )
    yield* attempt("starting an ensemble", () => Promise.all(nodes.map((node) => node.start())))

    const running = () => servers.filter((_, i) => nodes[i]?.isRunning() === true)

    const modes = (signal: AbortSignal) =>
      Promise.all(running().map(async (server) => ({ server, mode: await Effect.runPromise(server.mode, { signal }) })))

    const waitForQuorum = (wanted?: number) =>
      attempt("waitForQuorum", async (signal) => {
        const expected = wanted ?? running().length
        await pollUntil(`${expected} members serve`, async () => {
          const serving = (await modes(signal)).filter(({ mode }) => mode !== undefined && mode !== "read-only")
          const led = serving.some(({ mode }) => mode === "leader")
          return led && serving.length >= expected ? true : undefined
        }, { signal, within: 60_000, every: 50 })
      })

    const leader = attempt(
      "leader",
      (signal) =>
        pollUntil("a member leads", async () => (await modes(signal)).find(({ mode }) => mode === "leader")?.server, {
          signal,
          within: 60_000,
          every: 50
        })
    )

    const between = (state: "frozen" | "cut") => (server: ServerHandle, from?: ServerHandle) =>
      links === undefined
        ? Effect.fail(rigError("the ensemble was made without quorumProxies"))
        : Effect.sync(() => links.set(state, (a, b) => a === server.id && (from === undefined || b === from.id)))

    const died = attempt(
      "starting an ensemble",
      (signal) =>
        pollUntil("a member ends", async () => servers.find((_, i) => nodes[i]?.isRunning() === false), {
          signal,
          within: 120_000
        })
    )
    yield* Effect.raceFirst(
      waitForQuorum(),
      Effect.flatMap(
        died,
        (server) =>
          Effect.flatMap(server.log, (log) => Effect.fail(rigError(`member ${server.id} ended by itself:\n${log}`)))
      )
    )

    return {
      servers,
      connectString: servers.map((server) => server.connectString).join(","),
      leader,
      followers: attempt(
        "followers",
        async (signal) => (await modes(signal)).flatMap(({ mode, server }) => mode === "follower" ? [server] : [])
      ),
      waitForQuorum,
      partition: between("frozen"),
      separate: between("cut"),
      heal: Effect.sync(() => links?.set("open", () => true))
    }
  })

/** Three members (or `size`) that form a quorum when this is done; killed and removed when the scope is closed. */
export const makeEnsemble = (options: EnsembleOptions = {}): Effect.Effect<EnsembleHandle, RigError, Scope.Scope> =>
  Effect.retry(startOnce(options), { times: 2, while: isPortConflict })

/** `Layer`: `ZkEnsemble.layer()`; then `yield* ZkEnsemble`. */
export class ZkEnsemble extends Context.Service<ZkEnsemble, EnsembleHandle>()("test/ZkEnsemble") {
  static readonly layer = (options: EnsembleOptions = {}): Layer.Layer<ZkEnsemble, RigError> =>
    Layer.effect(this, makeEnsemble(options))
}
