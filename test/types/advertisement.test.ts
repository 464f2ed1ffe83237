import { describe, it } from "@effect/vitest"
import type * as Effect from "effect/Effect"
import type * as PubSub from "effect/PubSub"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import * as ZkAdvertisement from "../../src/ZkAdvertisement.ts"
import type { CreateError, ZkClient } from "../../src/ZkClient.ts"
import * as ZkCodec from "../../src/ZkCodec.ts"
import * as ZkState from "../../src/ZkState.ts"
import { type Reader, same, unrun, type Writer } from "../support/types.ts"

describe("types of advertisements", () => {
  it("values are those of the schema; services are those of the encoding and of the stream [S-TYPES-AD]", () => {
    unrun(() => {
      const numbers = {} as Stream.Stream<number, never, Reader>
      const broken = {} as Stream.Stream<number, "error">
      const made = ZkAdvertisement.make("/a", { value: Schema.Number, data: 1 })
      same<
        typeof made,
        Effect.Effect<
          ZkAdvertisement.ZkAdvertisement<number>,
          ZkCodec.ValueEncodeError | CreateError,
          ZkClient | Scope.Scope
        >
      >(true)
      const served = ZkAdvertisement.make("/a", {
        value: {} as Schema.Codec<number, number, never, Writer>,
        data: 1,
        follow: numbers
      })
      same<Effect.Services<typeof served>, ZkClient | Scope.Scope | Reader | Writer>(true)
      return [
        ZkAdvertisement.make("/a", { value: ZkCodec.lax, codec: (lax) => lax, data: "text" }),
        // @ts-expect-error of another type
        ZkAdvertisement.make("/a", { value: Schema.Number, data: "1" }),
        // @ts-expect-error nothing to begin with
        ZkAdvertisement.make("/a", { value: Schema.Number, follow: numbers }),
        // @ts-expect-error nobody would hear of the error
        ZkAdvertisement.make("/a", { value: Schema.Number, data: 1, follow: broken })
      ]
    })
  })

  it("messages have three names, and the client that they were published for [S-TYPES-AD]", () => {
    unrun(() => {
      same<
        ZkState.StateMessage["type"],
        | "ZooKeeperContainer.state/CONNECTED!"
        | "ZooKeeperContainer.state/SUSPENDED!"
        | "ZooKeeperContainer.state/LOST!"
      >(true)
      same<ReturnType<typeof ZkState.publish<ZkClient>>, Effect.Effect<void, never, Scope.Scope>>(true)
      const messages = {} as PubSub.PubSub<ZkState.StateMessage>
      return [
        ZkState.publish({} as ZkClient, messages),
        // @ts-expect-error names of another kind
        ZkState.publish({} as ZkClient, {} as PubSub.PubSub<string>)
      ]
    })
  })
})
