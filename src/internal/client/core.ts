/** What all operations of a client share: the engine, the view of the tree, and how one operation is run. */
import * as Effect from "effect/Effect"
import type { SessionError } from "../../ZkError.ts"
import { toHex } from "../../ZkStat.ts"
import type { Engine, ExecuteOptions } from "../engine.ts"
import type { NodeAnswer } from "../errorCodes.ts"
import type { Operation } from "../operation.ts"
import type { Request } from "../protocol/requests.ts"
import * as tracing from "../tracing.ts"
import type { Chroot } from "./chroot.ts"
import type { Refused } from "./input.ts"

export interface Core {
  readonly engine: Engine
  readonly chroot: Chroot
  /** The same session without a chroot. */
  readonly root: Core | undefined
  /** The session that requests are bound to, in a view that does not outlive it. */
  readonly session: bigint | undefined
}

export const traced = <A, E, R>(name: string, path: string, effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  tracing.traced("ZkClient", name, path, effect)

/** One request; its span, if there is one, tells the transaction that the answer came with. */
const execute = <A, E extends NodeAnswer>(
  engine: Engine,
  operation: Operation<E>,
  request: Request<A>,
  options: ExecuteOptions & { readonly path: string }
): Effect.Effect<A, E | SessionError> => {
  const plain = engine.execute(operation, request, options)
  return Effect.withFiber((fiber) =>
    tracing.isTraced(fiber)
      ? Effect.useSpan(`ZkClient.${operation.name}`, tracing.spanOptions(operation.name, options.path), (span) => {
        const onZxid = (zxid: bigint) => {
          span.attribute("zookeeper.zxid", toHex(zxid))
          options.onZxid?.(zxid)
        }
        return engine.execute(operation, request, { ...options, onZxid })
      })
      : plain
  )
}

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
    : execute(core.engine, operation, request, { ...options, path, session: options?.session ?? core.session })
