import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import * as ZkAcl from "../../src/ZkAcl.ts"
import type { ZkClient } from "../../src/ZkClient.ts"
import * as ZkTransaction from "../../src/ZkTransaction.ts"

type AnyOperation = Effect.Effect<unknown, { readonly _tag: string; readonly message: string }>

/** The first element of a stream, in a stream of `changes` the present state. */
const first = <A, E>(stream: Stream.Stream<A, E>) => Stream.runHead(stream)

/**
 * Every operation of a client that talks to a server, once. `root` is a node with a child `child`, which has data and no
 * children itself; what is made is below it, in the order of the list.
 */
export const everyOperation = (zk: ZkClient, root: string) => {
  const child = `${root}/child`
  const made = `${root}/made`
  return {
    create: zk.create(made, "x"),
    createIdempotent: zk.create(`${made}/ephemeral`, "x", { mode: "ephemeral", idempotent: true }),
    createWithParents: zk.create(`${made}/a/b`, "x", { parents: true, mode: "persistentSequential" }),
    createProtected: zk.createProtected(`${made}/p-`, "x", { mode: "ephemeralSequential" }),
    createContainer: zk.create(`${made}/container`, "x", { mode: "container" }),
    createTtl: zk.create(`${made}/ttl`, "x", { mode: { ttl: "1 hour" } }),
    createOrSet: zk.createOrSet(`${made}/set`, "x"),
    ensurePath: zk.ensurePath(`${made}/path/deep`),
    ensureAbsent: zk.ensureAbsent(`${made}/path/deep`),
    delete: zk.delete(`${made}/path`),
    exists: zk.exists(child),
    getData: zk.getData(child),
    observeData: zk.observeData(child),
    observeEach: zk.observeEach([child, root]),
    observeChildren: zk.observeChildren(root),
    getDataOption: zk.getDataOption(child),
    setData: zk.setData(child, "x"),
    setDataIdempotent: zk.setData(`${made}/set`, "y", { version: 0, idempotent: true }),
    getChildren: zk.getChildren(root),
    walk: Stream.runDrain(zk.walk(root)),
    getAcl: zk.getAcl(child),
    setAcl: zk.setAcl(child, ZkAcl.openAcl),
    sync: zk.sync(root),
    multi: zk.multi([
      ZkTransaction.check(root),
      ZkTransaction.create(`${made}/multi`),
      ZkTransaction.setData(child, "z")
    ]),
    multiRead: zk.multiRead([ZkTransaction.getData(child), ZkTransaction.getChildren(root)]),
    getEphemerals: zk.getEphemerals(root),
    getAllChildrenNumber: zk.getAllChildrenNumber(root),
    getDataWatch: Effect.scoped(zk.getDataWatch(child)),
    existsWatch: Effect.scoped(zk.existsWatch(`${root}/missing`)),
    getChildrenWatch: Effect.scoped(zk.getChildrenWatch(child)),
    changes: first(zk.changes(child)),
    childrenChanges: first(zk.childrenChanges(root)),
    watch: first(Stream.merge(zk.watch(child, "persistent"), Stream.fromEffect(zk.sync()))),
    subscribe: Effect.scoped(zk.subscribe(child, "recursive")),
    whoAmI: zk.whoAmI,
    addAuth: zk.addAuth({ scheme: "digest", credential: Redacted.make("ann:secret") }),
    getConfig: zk.getConfig,
    configChanges: first(zk.configChanges),
    deleteRecursive: zk.deleteRecursive(made)
  } satisfies Record<string, AnyOperation>
}

export type OperationName = keyof ReturnType<typeof everyOperation>
