/** What the compiler lets pass of typed nodes, and what not. The proof is `npm run check`: here nothing is run. */
import { describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import type { CreateError, ZkClient } from "../../src/ZkClient.ts"
import * as ZkCodec from "../../src/ZkCodec.ts"
import type {
  BadVersion,
  NoAuth,
  NoNode,
  QuotaExceeded,
  SessionError,
  StreamError,
  WriteConflict
} from "../../src/ZkError.ts"
import * as ZkNode from "../../src/ZkNode.ts"
import { type Reader, same, unrun, type Writer } from "../support/types.ts"

describe("types of typed nodes", () => {
  it("a node has the type of its schema, and says how each call may fail [S-TYPES-NODES]", () => {
    unrun(() => {
      const made = ZkNode.make("/a", { value: Schema.Number, default: 1 })
      same<typeof made, Effect.Effect<ZkNode.ZkNode<number>, ZkNode.MakeError, ZkClient | Scope.Scope>>(true)
      same<ZkNode.MakeError, ZkCodec.ValueEncodeError | CreateError | QuotaExceeded>(true)
      return Effect.map(made, (node) => {
        same<typeof node.get, Effect.Effect<number, NoNode | NoAuth | ZkCodec.ValueDecodeError | SessionError>>(true)
        same<
          typeof node.getOption,
          Effect.Effect<Option.Option<number>, NoAuth | ZkCodec.ValueDecodeError | SessionError>
        >(true)
        same<Effect.Error<ReturnType<typeof node.set>>, ZkCodec.ValueEncodeError | BadVersion | CreateError>(true)
        same<typeof node.changes, Stream.Stream<ZkNode.NodeChange<number>, NoAuth | StreamError>>(true)
        const updated = node.update((n) => n + 1)
        same<
          typeof updated,
          Effect.Effect<number, ZkCodec.ValueDecodeError | ZkCodec.ValueEncodeError | WriteConflict | CreateError>
        >(true)
        // errors and services of the function come on top
        const effectful = node.update((n) => Effect.as(Effect.fail("mine" as const), n + 1))
        same<
          typeof effectful,
          Effect.Effect<
            number,
            "mine" | ZkCodec.ValueDecodeError | ZkCodec.ValueEncodeError | WriteConflict | CreateError
          >
        >(true)
        // @ts-expect-error a text is no number
        node.set("1")
        // @ts-expect-error a text is no number
        node.update(() => "1")
      })
    })
  })

  it("options belong together: an ephemeral node needs a value, which has the type of the schema [S-TYPES-NODES]", () => {
    unrun(() => [
      ZkNode.make("/a", { value: Schema.Number }),
      ZkNode.make("/a", { value: Schema.Number, mode: "persistent" }),
      ZkNode.make("/a", { value: Schema.Number, mode: "ephemeral", default: 1 }),
      // @ts-expect-error without a value
      ZkNode.make("/a", { value: Schema.Number, mode: "ephemeral" }),
      // @ts-expect-error of another type
      ZkNode.make("/a", { value: Schema.Number, default: "1" }),
      // @ts-expect-error numbered nodes have no name to be kept by
      ZkNode.make("/a", { value: Schema.Number, mode: "ephemeralSequential", default: 1 }),
      // @ts-expect-error null is no data, but a value, if the schema has it
      ZkNode.make("/a", { value: Schema.Number, default: null }),
      ZkNode.make("/a", { value: ZkCodec.lax, codec: (lax) => lax, default: "text" })
    ])
  })

  it("services of the schema are those of make, and of nothing else [S-TYPES-NODES]", () => {
    unrun(() => {
      const made = ZkNode.make("/a", { value: {} as Schema.Codec<string, string, Reader, Writer> })
      same<Effect.Services<typeof made>, ZkClient | Scope.Scope | Reader | Writer>(true)
      return Effect.map(made, (node) => same<Effect.Services<typeof node.get>, never>(true))
    })
  })
})
