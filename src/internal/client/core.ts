/** What all operations of a client share: the engine, the view of the tree, and how one operation is run. */
import * as Effect from "effect/Effect"
import type { SessionError } from "../../ZkError.ts"
import type { Engine, ExecuteOptions } from "../engine.ts"
import type { NodeAnswer } from "../errorCodes.ts"
import type { Operation } from "../operation.ts"
import type { Request } from "../protocol/requests.ts"
import type { Chroot } from "./chroot.ts"
import type { Refused } from "./input.ts"

export interface Core {
  readonly engine: Engine
  readonly chroot: Chroot
  /** The same session without a chroot. */
  readonly root: Core | undefined
}

/**
 * A span around an effect, if there is anybody to see it: making one costs more than the operation, and without a
 * tracer installed Effect would make it all the same.
 */
export const traced = <A, E, R>(name: string, path: string, effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.withFiber((fiber) =>
    fiber.cache.tracerEnabled && fiber.cache.tracer !== undefined
      ? Effect.withSpan(effect, `ZkClient.${name}`, {
        kind: "client",
        captureStackTrace: false,
        attributes: { "db.system.name": "zookeeper", "db.operation.name": name, "zookeeper.path": path }
      })
      : effect
  )

type Run = {
  <A, E extends NodeAnswer>(
    core: Core,
    operation: Operation<E>,
    request: Request<A>,
    path: string,
    options?: ExecuteOptions
  ): Effect.Effect<A, E | SessionError>
  <A, E extends NodeAnswer, Invalid extends Refused>(
    core: Core,
    operation: Operation<E>,
    request: Request<A> | Invalid,
    path: string,
    options?: ExecuteOptions
  ): Effect.Effect<A, E | SessionError | Invalid>
}

/** Runs one request, or fails with what was found wrong with its input. `path` is the one that the user gave. */
export const run: Run = <A, E extends NodeAnswer, Invalid extends Refused>(
  core: Core,
  operation: Operation<E>,
  request: Request<A> | Invalid,
  path: string,
  options?: ExecuteOptions
): Effect.Effect<A, E | SessionError | Invalid> =>
  request instanceof Error
    ? Effect.fail(request)
    : traced(operation.name, path, core.engine.execute(operation, request, { ...options, path }))
