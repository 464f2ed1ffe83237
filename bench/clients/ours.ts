import { Effect, Exit, Scope } from "effect"
import { ZkClient } from "effect-zookeeper"
import { type BenchClient, payload, sessionTimeout, type Target } from "../client.ts"

/** This library, used as a program uses it: fibers that run one operation after the other. */
export const connectOurs = async ({ host, path, port }: Target): Promise<BenchClient> => {
  const scope = Scope.makeUnsafe()
  const zk = await Effect.runPromise(
    Scope.provide(ZkClient.make({ hosts: `${host}:${port}`, sessionTimeout }), scope)
  )
  return {
    run: (operation, inFlight, count) => {
      let left = count
      const one = (): Effect.Effect<unknown, unknown> =>
        operation === "getData" ? zk.getData(path) : zk.setData(path, payload)
      const worker = Effect.whileLoop({ while: () => left-- > 0, body: one, step: () => {} })
      return Effect.runPromise(
        Effect.forEach(Array.from({ length: inFlight }), () => worker, { concurrency: "unbounded", discard: true })
      )
    },
    close: () => Effect.runPromise(Scope.close(scope, Exit.void))
  }
}
