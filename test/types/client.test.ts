/** What the compiler lets pass and what not. The proof is `npm run check`: here nothing is run. */
import { describe, it } from "@effect/vitest"
import type * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import type * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import * as ZkAcl from "../../src/ZkAcl.ts"
import * as ZkClient from "../../src/ZkClient.ts"
import type * as ZkError from "../../src/ZkError.ts"
import type { Stat } from "../../src/ZkStat.ts"
import * as ZkTransaction from "../../src/ZkTransaction.ts"

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends (<T>() => T extends B ? 1 : 2) ? true : false

/** Compiles only for types that are the same. */
const same = <A, B>(_same: Same<A, B>): void => {}

type Client = ZkClient.ZkClient
type ErrorOf<F extends (...args: never) => unknown> = Effect.Error<ReturnType<F>>
type SuccessOf<F extends (...args: never) => unknown> = Effect.Success<ReturnType<F>>

/** For the compiler only. */
const unrun = (_: (zk: Client) => unknown): void => {}

describe("types of the client", () => {
  it("each operation has the errors that can happen to it, and no others [S-TYPES-ERRORS]", () => {
    type Session = ZkError.SessionError
    same<ErrorOf<Client["create"]>, ZkClient.CreateError>(true)
    same<
      ZkClient.CreateError,
      | ZkError.NodeExists
      | ZkError.NoNode
      | ZkError.NoAuth
      | ZkError.NoChildrenForEphemerals
      | ZkError.InvalidAcl
      | ZkError.EphemeralOnLocalSession
      | ZkError.QuotaExceeded
      | Session
    >(true)
    same<ErrorOf<Client["createProtected"]>, ZkClient.CreateError>(true)
    same<ErrorOf<Client["createOrSet"]>, ZkClient.CreateError>(true)
    same<ErrorOf<Client["ensurePath"]>, ZkClient.CreateError>(true)
    type Read = ZkError.NoNode | ZkError.NoAuth | Session
    same<ErrorOf<Client["getData"]>, Read>(true)
    same<ErrorOf<Client["getChildren"]>, Read>(true)
    same<ErrorOf<Client["getAcl"]>, Read>(true)
    same<ErrorOf<Client["getAllChildrenNumber"]>, Read>(true)
    same<ErrorOf<Client["getDataWatch"]>, Read>(true)
    same<ErrorOf<Client["getChildrenWatch"]>, Read>(true)
    same<ErrorOf<Client["exists"]>, ZkError.NoAuth | Session>(true)
    same<ErrorOf<Client["existsWatch"]>, ZkError.NoAuth | Session>(true)
    same<ErrorOf<Client["getDataOption"]>, ZkError.NoAuth | Session>(true)
    same<ErrorOf<Client["setData"]>, Read | ZkError.BadVersion | ZkError.QuotaExceeded>(true)
    same<ErrorOf<Client["setAcl"]>, Read | ZkError.BadVersion | ZkError.InvalidAcl>(true)
    same<ErrorOf<Client["delete"]>, Read | ZkError.BadVersion | ZkError.NotEmpty>(true)
    same<ErrorOf<Client["deleteRecursive"]>, Read | ZkError.BadVersion | ZkError.NotEmpty>(true)
    same<ErrorOf<Client["ensureAbsent"]>, ZkError.NoAuth | ZkError.BadVersion | ZkError.NotEmpty | Session>(true)
    same<ErrorOf<Client["sync"]>, Session>(true)
    same<ErrorOf<Client["getEphemerals"]>, Session>(true)
    same<ErrorOf<Client["addAuth"]>, Session>(true)
    same<Effect.Error<Client["whoAmI"]>, Session>(true)
    same<ErrorOf<Client["multi"]>, ZkError.MultiFailed | ZkError.InvalidAcl | Session>(true)
    same<ErrorOf<Client["chroot"]>, ZkError.InvalidPath>(true)
    same<Effect.Error<Client["state"]>, never>(true)
    same<Stream.Error<ReturnType<Client["changes"]>>, ZkError.NoAuth | ZkError.StreamError>(true)
    same<Stream.Error<ReturnType<Client["walk"]>>, Read>(true)
    same<
      ZkError.StreamError["_tag"],
      Exclude<ZkError.SessionError["_tag"], "ConnectionLoss" | "OperationTimeout" | "ThrottledOp">
    >(true)
    same<
      Effect.Error<ReturnType<typeof ZkClient.make>>,
      ZkError.ConnectError | ZkError.AuthFailed | ZkError.InvalidConfig
    >(
      true
    )
  })

  it("handling an error takes it out of the type, and one that cannot happen is not handled [S-TYPES-ERRORS]", () => {
    unrun((zk) => {
      const handled = Effect.catchTag(zk.getData("/a"), "NoNode", () => Effect.succeed(undefined))
      same<Effect.Error<typeof handled>, ZkError.NoAuth | ZkError.SessionError>(true)
      // @ts-expect-error: a read cannot find that a node exists already
      return Effect.catchTag(zk.getData("/a"), "NodeExists", () => Effect.succeed(undefined))
    })
  })

  it("operations give what they find [S-TYPES-RESULTS]", () => {
    same<SuccessOf<Client["exists"]>, Option.Option<Stat>>(true)
    same<SuccessOf<Client["getDataOption"]>, Option.Option<ZkClient.NodeData>>(true)
    same<SuccessOf<Client["delete"]>, void>(true)
    same<SuccessOf<Client["setData"]>, Stat>(true)
    same<Effect.Services<ReturnType<Client["getData"]>>, never>(true)
    same<Effect.Services<ReturnType<Client["getDataWatch"]>>, Scope.Scope>(true)
    same<ZkClient.NodeData["data"], Uint8Array | null>(true)
    same<Stat["czxid"], bigint>(true)
  })

  it("the results of a transaction have the shape of its operations [S-TYPES-MULTI]", () => {
    unrun((zk) => {
      const tuple = zk.multi([
        ZkTransaction.create("/a"),
        ZkTransaction.setData("/b", "x"),
        ZkTransaction.delete("/c", { version: 1 }),
        ZkTransaction.check("/d")
      ])
      same<Effect.Success<typeof tuple>, readonly [ZkTransaction.Created, Stat, void, void]>(true)
      const list = zk.multi(["/a", "/b"].map((path) => ZkTransaction.create(path)))
      same<Effect.Success<typeof list>, ReadonlyArray<ZkTransaction.Created>>(true)
      const ops: ReadonlyArray<ZkTransaction.WriteOp> = []
      const mixed = zk.multi(ops)
      same<Effect.Success<typeof mixed>, ReadonlyArray<ZkTransaction.Created | Stat | void>>(true)
      const read = zk.multiRead([ZkTransaction.getData("/a"), ZkTransaction.getChildren("/b")])
      same<Effect.Error<typeof read>, ZkError.SessionError>(true)
      type Failure = ZkError.NoNode | ZkError.NoAuth | ZkError.ServerError
      same<
        Effect.Success<typeof read>,
        readonly [Result.Result<ZkClient.NodeData, Failure>, Result.Result<ReadonlyArray<string>, Failure>]
      >(true)
    })
  })

  it("what servers take amiss cannot be said [S-TYPES-MISUSE]", () => {
    unrun((zk) => {
      // @ts-expect-error: a check outside a transaction brings old servers down
      zk.check("/a")
      // @ts-expect-error: nor is it one of the reads
      zk.multiRead([ZkTransaction.check("/a")])
      // @ts-expect-error: reads are no part of a transaction
      zk.multi([ZkTransaction.getData("/a")])
      // @ts-expect-error: writes are no part of a multi-read
      zk.multiRead([ZkTransaction.create("/a")])
      // @ts-expect-error: there is no such mode
      zk.create("/a", "x", { mode: "sequential" })
      // @ts-expect-error: modes are not numbers
      zk.create("/a", "x", { mode: 3 })
      // @ts-expect-error: nor a heap of flags
      zk.create("/a", "x", { ephemeral: true })
      // @ts-expect-error: a time to live is a mode of its own
      zk.create("/a", "x", { mode: "persistent", ttl: "1 minute" })
      // @ts-expect-error: an ephemeral node has no time to live
      zk.create("/a", "x", { mode: { ephemeral: true, ttl: "1 minute" } })
      // @ts-expect-error: a mode with a time to live names it
      zk.create("/a", "x", { mode: { sequential: true } })
      // @ts-expect-error: data is bytes or text
      zk.create("/a", { some: "object" })
      // @ts-expect-error: data is bytes or text
      zk.setData("/a", 5)
      // @ts-expect-error: nothing is written as null
      zk.setData("/a")
      // @ts-expect-error: versions are numbers
      zk.delete("/a", { version: "1" })
      // @ts-expect-error: versions go by name
      zk.delete("/a", 1)
      // @ts-expect-error: an ACL is a list
      zk.setAcl("/a", ZkAcl.openAcl[0])
      // @ts-expect-error: secrets are redacted
      zk.addAuth({ scheme: "digest", credential: "ann:secret" })
      // @ts-expect-error: secrets are redacted
      ZkClient.layer({ auth: [{ scheme: "digest", credential: "ann:secret" }] })
      // @ts-expect-error: secrets are redacted
      ZkAcl.digest("ann", "secret")
      // @ts-expect-error: there is no such option
      ZkClient.layer({ host: "zk" })
      // @ts-expect-error: a watch is persistent or recursive
      zk.watch("/a", "data")
      // @ts-expect-error: the whole membership, or what changes in it
      zk.reconfig({ members: ["a"], joining: ["b"] })
      // @ts-expect-error: paths are text
      zk.getData(5)
      return zk.addAuth({ scheme: "digest", credential: Redacted.make("ann:secret") })
    })
  })

  it("several clients are told apart [S-TYPES-SERVICES]", () => {
    class Billing extends ZkClient.Service<Billing>()("test/Billing") {}
    class Search extends ZkClient.Service<Search>()("test/Search") {}
    same<Layer.Success<ReturnType<typeof Billing.layer>>, Billing>(true)
    same<Layer.Success<ReturnType<typeof Search.layer>>, Search>(true)
    same<Layer.Success<ReturnType<typeof ZkClient.layer>>, ZkClient.ZkClient>(true)
    same<Layer.Services<ReturnType<typeof ZkClient.layerChroot>>, ZkClient.ZkClient>(true)
    same<Layer.Error<ReturnType<typeof Billing.layerConfig>>, ZkClient.MakeError | Config.ConfigError>(true)
    const recipe = Effect.flatMap(ZkClient.ZkClient, (zk) => zk.getData("/a"))
    same<Effect.Services<typeof recipe>, ZkClient.ZkClient>(true)
    const billing = Billing.provide(recipe)
    same<Effect.Services<typeof billing>, Billing>(true)
    same<Effect.Error<typeof billing>, Effect.Error<typeof recipe>>(true)
    const both = Effect.all([Billing, Search])
    same<Effect.Services<typeof both>, Billing | Search>(true)
    const client = Effect.map(Billing, (zk) => zk)
    same<Effect.Success<typeof client>, ZkClient.ZkClient>(true)
    // @ts-expect-error: another client is not the one that was asked for
    const _wrong: Layer.Layer<Search, ZkClient.MakeError> = Billing.layer()
  })
})
