/** What the compiler lets pass of connecting by URL and configuration. The proof is `npm run check`: nothing is run. */
import { describe, it } from "@effect/vitest"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import type * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import * as ZkClient from "../../src/ZkClient.ts"
import * as ZkClients from "../../src/ZkClients.ts"
import * as ZkConfig from "../../src/ZkConfig.ts"
import { same, unrun } from "../support/types.ts"

class Library extends ZkClient.Service<Library>()("types/Library") {}

type Client = ZkClient.ZkClient
type Failure = ZkClient.MakeError | Config.ConfigError

describe("types of connecting", () => {
  it("layers say how they fail, and need nothing [S-TYPES-CONFIG]", () => {
    unrun(() => {
      same<ReturnType<typeof ZkClient.layerUrl>, Layer.Layer<Client, Failure>>(true)
      same<ReturnType<typeof ZkClient.layerConfig>, Layer.Layer<Client, Failure>>(true)
      same<ReturnType<typeof Library.layerUrl>, Layer.Layer<Library, Failure>>(true)
      same<ReturnType<typeof Library.layerConfig>, Layer.Layer<Library, Failure>>(true)
      const byUrl = ZkClients.get("zookeeper://h/p")
      same<typeof byUrl, Layer.Layer<Client, Failure, ZkClients.ZkClients>>(true)
      const made = ZkClients.make()
      same<typeof made, Effect.Effect<ZkClients.ZkClients, never, Scope.Scope>>(true)
      const options = ZkConfig.options({ section: "my:zk" })
      same<typeof options, Config.Config<ZkConfig.Options>>(true)
      const parsed = ZkConfig.parseUrl("zookeeper:./p")
      same<typeof parsed, Result.Result<ZkConfig.Url, string>>(true)
      same<(typeof ZkConfig.Url)["Type"], ZkConfig.Url>(true)
      same<(typeof ZkConfig.ConnectionString)["Encoded"], string>(true)
    })
  })

  it("what is no such option does not compile [S-TYPES-CONFIG]", () => {
    unrun(() => {
      // @ts-expect-error: two URLs
      ZkClient.layerUrl("zookeeper://h/p", { url: "zookeeper://h2/p" })
      // @ts-expect-error: without a URL
      ZkClient.layerUrl()
      // @ts-expect-error: no such option
      ZkClient.layerUrl("zookeeper://h/p", { servers: "h" })
      // @ts-expect-error: no such option
      ZkConfig.options({ path: "/p" })
      // @ts-expect-error: a key of configuration, not an option
      ZkConfig.options({ timeout: "10s" })
      // @ts-expect-error: credentials that are no secret
      ZkConfig.options({ auth: [{ scheme: "digest", credential: "ann:secret" }] })
      ZkConfig.options({ auth: [{ scheme: "digest", credential: Redacted.make("ann:secret") }] })
      // @ts-expect-error: options that are no Config
      ZkClient.layerConfig({ hosts: "h" })
      ZkClient.layerConfig({ hosts: Config.String("HOSTS") })
      // @ts-expect-error: one URL a client
      ZkClients.layer({ url: "zookeeper://h/p" })
      // @ts-expect-error: a client by URL needs ZkClients
      return Effect.runPromise(Effect.provide(ZkClient.ZkClient, ZkClients.get("zookeeper://h/p")))
    })
  })
})
