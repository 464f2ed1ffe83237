/** What a client counts, without a cost to any operation: the figures are read when somebody looks. */
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import type * as Scope from "effect/Scope"
import type { Engine, EngineStats } from "./engine.ts"

const gauge = (name: string, description: string) => Metric.gauge(`zookeeper_client_${name}`, { description })

const gauges: ReadonlyArray<readonly [Metric.Gauge<number>, keyof EngineStats]> = [
  [gauge("in_flight", "Requests that were sent and not answered"), "inFlight"],
  [gauge("queued", "Requests that wait to be sent"), "queued"],
  [gauge("watchers", "Subscribers of watches"), "watchers"],
  [gauge("reconnects", "Connections made after the first"), "reconnects"],
  [gauge("pings", "Pings sent"), "pings"]
]

const nothing = () => {}

export const registerMetrics = (engine: Engine, name: string): Effect.Effect<void, never, Scope.Scope> =>
  Effect.asVoid(Effect.acquireRelease(
    Effect.map(
      Effect.context<never>(),
      (context) =>
        gauges.map(([metric, figure]) =>
          Metric.registerUnsafe(Metric.withAttributes(metric, { client: name }), context, {
            get: () => ({ value: engine.stats()[figure] }),
            update: nothing,
            modify: nothing
          })
        )
    ),
    (registrations) => Effect.sync(() => registrations.forEach((registration) => registration.remove()))
  ))
