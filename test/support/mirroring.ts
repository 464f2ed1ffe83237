import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as ZkClient from "../../src/ZkClient.ts"
import type { Options } from "../../src/ZkConfig.ts"
import * as ZkMirror from "../../src/ZkMirror.ts"
import { makeProxy } from "./proxy.ts"
import { freshRoot, shared } from "./shared.ts"
import { patience } from "./wait.ts"

// What tests of live copies have in common.

/** Copies by way of this client. */
export const mirrorOf = (client: ZkClient.ZkClient) => Effect.provideService(ZkMirror.make, ZkClient.ZkClient, client)

/** Our client, another one, and a node that nobody else uses, on the shared server. */
export const pair = Effect.gen(function*() {
  const { connectString } = yield* shared
  const zk = yield* ZkClient.make({ hosts: connectString })
  const other = yield* ZkClient.make({ hosts: connectString })
  const root = yield* freshRoot
  return { zk, other, root, mirror: yield* mirrorOf(zk) }
})

/** The same; ours goes through a proxy. */
export const proxiedPair = (options?: Options) =>
  Effect.gen(function*() {
    const { connectString, port } = yield* shared
    const proxy = yield* makeProxy(port)
    const zk = yield* ZkClient.make({ hosts: proxy.connectString, ...options })
    const other = yield* ZkClient.make({ hosts: connectString })
    const root = yield* freshRoot
    return { zk, other, proxy, port, root, mirror: yield* mirrorOf(zk) }
  })

export const textOf = (node: Option.Option<ZkClient.NodeData>): string | undefined => Option.getOrUndefined(node)?.text

/** `Added /a`: of the path only what follows `root`. */
export const showChange = (root: string) => (change: ZkMirror.TreeChange): string =>
  `${change._tag} ${change.path.slice(root.length)}`

/** Waits until a copy is as fresh as this; 10 s at most. */
export const becomes = (copy: ZkMirror.Mirrored, tag: ZkMirror.Freshness["_tag"]) =>
  copy.freshnessChanges.pipe(
    Stream.filter((freshness) => freshness._tag === tag),
    Stream.runHead,
    Effect.timeout(10_000 * patience)
  )

/** What a copy shows: texts by path. */
export const shown = (tree: ZkMirror.MirrorTree) =>
  Effect.map(tree.entries, (entries) => new Map([...entries].map(([path, node]) => [path, node.text])))

/** What a server has: texts by path. */
export const present = (client: ZkClient.ZkClient, root: string) =>
  Effect.gen(function*() {
    const found = new Map<string, string>()
    yield* client.sync(root)
    const visit = (path: string): Effect.Effect<void, unknown> =>
      Effect.gen(function*() {
        const node = yield* client.getDataOption(path)
        if (Option.isNone(node)) return
        found.set(path, node.value.text)
        const { children } = yield* client.getChildren(path)
        yield* Effect.forEach(children, (name) => visit(`${path}/${name}`), { concurrency: 16, discard: true })
      })
    yield* visit(root)
    return found
  })

export const byPath = (nodes: ReadonlyMap<string, string>) => [...nodes].sort(([a], [b]) => a < b ? -1 : 1)

/**
 * Waits until watches that were taken back have gone. Servers before 3.9 do not know the first request for it, and the
 * next one is only behind the answer to that.
 */
export const takenBack = (client: ZkClient.ZkClient) => Effect.andThen(client.sync(), client.sync())
