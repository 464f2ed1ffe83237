/** ZooKeeper's own operations, one request each. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type {
  CreateError,
  CreateOptions,
  NodeData,
  Observed,
  ReconfigOptions,
  VersionOptions,
  ZkClient
} from "../../ZkClient.ts"
import type { NoAuth, NoNode, SessionError } from "../../ZkError.ts"
import { InvalidInput, SessionExpired } from "../../ZkError.ts"
import type { Stat } from "../../ZkStat.ts"
import type { Created, Data } from "../../ZkTransaction.ts"
import type { ExecuteOptions } from "../engine.ts"
import type { Operation } from "../operation.ts"
import { operation } from "../operation.ts"
import { configPath } from "../protocol/constants.ts"
import {
  Exists,
  GetAcl,
  GetAllChildrenNumber,
  GetChildren,
  GetData,
  GetEphemerals,
  Reconfig,
  Sync,
  WhoAmI
} from "../protocol/requests.ts"
import type { Request } from "../protocol/requests.ts"
import type { Core } from "./core.ts"
import { run, traced } from "./core.ts"
import type { Rejection } from "./input.ts"
import { toCreate, toDelete, toServerPath, toSetAcl, toSetData } from "./input.ts"

export const operations = {
  create: operation(
    "create",
    "NodeExists",
    "NoNode",
    "NoAuth",
    "NoChildrenForEphemerals",
    "InvalidAcl",
    "EphemeralOnLocalSession",
    "QuotaExceeded"
  ),
  delete: operation("delete", "NoNode", "NoAuth", "BadVersion", "NotEmpty"),
  exists: operation("exists", "NoNode", "NoAuth"),
  getData: operation("getData", "NoNode", "NoAuth"),
  setData: operation("setData", "NoNode", "NoAuth", "BadVersion", "QuotaExceeded"),
  getChildren: operation("getChildren", "NoNode", "NoAuth"),
  getAcl: operation("getAcl", "NoNode", "NoAuth"),
  setAcl: operation("setAcl", "NoNode", "NoAuth", "BadVersion", "InvalidAcl"),
  sync: operation("sync"),
  getEphemerals: operation("getEphemerals"),
  getAllChildrenNumber: operation("getAllChildrenNumber", "NoNode", "NoAuth"),
  whoAmI: operation("whoAmI"),
  getConfig: operation("getConfig", "NoNode", "NoAuth"),
  reconfig: operation(
    "reconfig",
    "NoAuth",
    "BadVersion",
    "ReconfigDisabled",
    "ReconfigInProgress",
    "NewConfigNoQuorum"
  )
}

type Basics = Pick<
  ZkClient,
  | "delete"
  | "exists"
  | "getData"
  | "getDataOption"
  | "observeData"
  | "observeChildren"
  | "setData"
  | "getChildren"
  | "getAcl"
  | "setAcl"
  | "sync"
  | "getEphemerals"
  | "getAllChildrenNumber"
  | "whoAmI"
  | "getConfig"
  | "reconfig"
  | "addAuth"
>

/** Creates one node, whose parents have to be there. */
export const createNode = (
  core: Core,
  path: string,
  data: Data | undefined,
  options: CreateOptions | undefined,
  execute?: ExecuteOptions
): Effect.Effect<Created, CreateError> => {
  const created = run(core, operations.create, toCreate(core.chroot, path, data, options), path, execute)
  return core.chroot.prefix === "" ? created : Effect.map(created, (node) => fromServer(core, node))
}

const fromServer = (core: Core, node: Created): Created => ({
  path: core.chroot.toClient(node.path) ?? node.path,
  stat: node.stat
})

export const makeBasics = (core: Core): Basics => {
  const { chroot } = core
  const read = <A extends object>(
    path: string,
    make: (serverPath: string) => A
  ): A | Exclude<ReturnType<typeof toServerPath>, string> => {
    const serverPath = toServerPath(chroot, path)
    return serverPath instanceof Error ? serverPath : make(serverPath)
  }
  const getData: ZkClient["getData"] = (path) =>
    run(core, operations.getData, read(path, (at) => new GetData(at, false)), path)
  return {
    delete: (path, options) =>
      run(core, operations.delete, toDelete(chroot, path, options?.version), path, expecting(options)),
    exists: (path) =>
      run(core, operations.exists, read(path, (at) => new Exists(at, false)), path).pipe(
        Effect.map(Option.some),
        Effect.catchTag("NoNode", () => Effect.succeed(Option.none<Stat>()))
      ),
    getData,
    getDataOption: (path) =>
      getData(path).pipe(
        Effect.map(Option.some),
        Effect.catchTag("NoNode", () => Effect.succeed(Option.none<NodeData>()))
      ),
    setData: (path, data, options) =>
      run(core, operations.setData, toSetData(chroot, path, data, options?.version), path, expecting(options)),
    getChildren: (path) => run(core, operations.getChildren, read(path, (at) => new GetChildren(at, false)), path),
    observeData: (path) => observe(core, operations.getData, read(path, (at) => new GetData(at, false)), path),
    observeChildren: (path) =>
      observe(core, operations.getChildren, read(path, (at) => new GetChildren(at, false)), path),

    getAcl: (path) => run(core, operations.getAcl, read(path, (at) => new GetAcl(at)), path),
    setAcl: (path, acl, options) =>
      run(core, operations.setAcl, toSetAcl(chroot, path, acl, options?.version), path, expecting(options)),
    sync: (path = "/") => Effect.asVoid(run(core, operations.sync, read(path, (at) => new Sync(at)), path)),
    getEphemerals: (path = "/") =>
      Effect.map(
        run(core, operations.getEphemerals, read(path, (at) => new GetEphemerals(at)), path),
        (paths) => belowPath(core, path, paths)
      ),
    getAllChildrenNumber: (path) =>
      run(core, operations.getAllChildrenNumber, read(path, (at) => new GetAllChildrenNumber(at)), path),
    whoAmI: run(core, operations.whoAmI, new WhoAmI(), ""),
    getConfig: run(core, operations.getConfig, new GetData(configPath, false), configPath),
    reconfig: (options) => run(core, operations.reconfig, toReconfig(options), configPath),
    addAuth: (auth) => traced("addAuth", "", Effect.andThen(whileCurrent(core, "addAuth"), core.engine.addAuth(auth)))
  }
}

/** The answer that there is no such node tells the moment too. */
const observe = <A>(
  core: Core,
  operation: Operation<NoNode | NoAuth>,
  request: Request<A> | Rejection,
  path: string
): Effect.Effect<Observed<A>, NoAuth | SessionError> =>
  Effect.suspend(() => {
    let zxid = -1n
    const onZxid = (answered: bigint) => {
      zxid = answered
    }
    return run(core, operation, request, path, { onZxid }).pipe(
      Effect.map((node): Observed<A> => ({ zxid, node: Option.some(node) })),
      Effect.catchTag("NoNode", () => Effect.succeed<Observed<A>>({ zxid, node: Option.none() }))
    )
  })

/** For what is no request that could be bound to a session. */
const whileCurrent = (core: Core, operation: string): Effect.Effect<void, SessionExpired> =>
  Effect.suspend(() => {
    const { engine, session: sessionId } = core
    if (sessionId === undefined || sessionId === engine.sessionId()) return Effect.void
    return Effect.fail(new SessionExpired({ operation, path: "", maybeApplied: false, sessionId }))
  })

const expecting = (options: VersionOptions | undefined) =>
  options?.version === undefined ? undefined : { expected: options.version }

/** The server takes its argument as a plain prefix of texts and knows no chroot. */
const belowPath = (core: Core, path: string, serverPaths: ReadonlyArray<string>): ReadonlyArray<string> => {
  const paths: Array<string> = []
  for (const serverPath of serverPaths) {
    const found = core.chroot.toClient(serverPath)
    if (found !== undefined && (path === "/" || found === path || found.startsWith(`${path}/`))) paths.push(found)
  }
  return paths
}

const toReconfig = (options: ReconfigOptions): Reconfig | InvalidInput => {
  const invalid = (reason: string) => new InvalidInput({ operation: "reconfig", path: configPath, reason })
  const text = (members: ReadonlyArray<string> | undefined) => (members === undefined ? null : members.join(","))
  const joining = text("joining" in options ? options.joining : undefined)
  const leaving = text("leaving" in options ? options.leaving : undefined)
  const members = text("members" in options ? options.members : undefined)
  if (members !== null && (joining !== null || leaving !== null)) {
    return invalid("either the whole membership or what changes in it")
  }
  if (members === null && joining === null && leaving === null) return invalid("nothing is to change")
  const { fromConfig = -1n } = options
  return new Reconfig(joining, leaving, members, fromConfig)
}
