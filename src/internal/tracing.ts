/** Spans, where there is anybody to see them: making one costs more than a request. */
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"

/** Without a tracer installed Effect would make the span all the same. */
export const isTraced = (fiber: Fiber.Fiber<unknown, unknown>): boolean =>
  fiber.cache.tracerEnabled && fiber.cache.tracer !== undefined

export const spanOptions = (operation: string, path: string) => ({
  kind: "client" as const,
  captureStackTrace: false,
  attributes: { "db.system.name": "zookeeper", "db.operation.name": operation, "zookeeper.path": path }
})

/** A span `<module>.<operation>` around an effect of several requests. */
export const traced = <A, E, R>(
  module: string,
  operation: string,
  path: string,
  effect: Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> =>
  Effect.withFiber((fiber) =>
    isTraced(fiber) ? Effect.withSpan(effect, `${module}.${operation}`, spanOptions(operation, path)) : effect
  )
