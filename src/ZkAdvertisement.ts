/**
 * Tells others that this program is there, and something about it: an ephemeral node with typed data.
 *
 * **Details**
 *
 * - The node is there as long as the scope: it is made anew when somebody deletes it, and in each session, under the same
 *   name. It is deleted with the scope.
 * - Its data follows a value: `set`, or a stream. Only the latest counts. What cannot be written now, because there is no
 *   connection, is written later; of values that follow each other fast some are left out, the last never is.
 * - What an earlier session of this client has left behind is replaced at once. A node that is somebody else's is left
 *   alone until it goes.
 *
 * **When to use**
 *
 * For instances of services, presence, addresses. A value that others may change as well is a `ZkNode`, in the mode
 * `ephemeral`; a node without anything about it, in one session, is `ZkSession.createEphemeral`.
 *
 * **Example** (An instance of a service)
 *
 * ```ts
 * import { Effect, Schema } from "effect"
 * import { ZkAdvertisement } from "effect-zookeeper"
 *
 * const Instance = Schema.Struct({ host: Schema.String, port: Schema.Int })
 *
 * const program = Effect.gen(function*() {
 *   const instance = yield* ZkAdvertisement.make("/run/billing.", {
 *     value: Instance,
 *     data: { host: "10.0.0.7", port: 8080 },
 *     sequential: true
 *   })
 *   // Pending, Advertised{path: "/run/billing.<uuid>-0000000042", ...}
 *   yield* Effect.log(yield* instance.state)
 * }).pipe(Effect.scoped)
 * ```
 *
 * @stability unstable
 * @since 0.1.0
 */
import type * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import type * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import * as internal from "./internal/advertise/advertise.ts"
import type { Acl } from "./ZkAcl.ts"
import type { CreateError, ZkClient } from "./ZkClient.ts"
import type { ValueEncodeError, ZkCodec } from "./ZkCodec.ts"

/**
 * What there is of an advertisement.
 *
 * - `Advertised`: the node is there, as far as this client knows, and belongs to this session. While there is no connection
 *   nothing is known, and the last state stands until the session is over. `upToDate`: the latest value has been written.
 * - `Pending`: it is not there, and is being made. `error`: why that has not succeeded; `NodeExists` while the name is taken
 *   by somebody else.
 * - `Ended`: the scope is closed, or the client.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export type AdvertisementState =
  | { readonly _tag: "Advertised"; readonly path: string; readonly sessionId: bigint; readonly upToDate: boolean }
  | { readonly _tag: "Pending"; readonly error: Option.Option<CreateError> }
  | { readonly _tag: "Ended" }

/**
 * An advertisement.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export interface ZkAdvertisement<in A> {
  /** The path that was asked for. With `sequential` that of the node is longer: see `state`. */
  readonly path: string
  /** What there is of it. Asks nobody. */
  readonly state: Effect.Effect<AdvertisementState>
  /** The present state, then each change; a slow reader gets the last 16. Ends with the advertisement. */
  readonly changes: Stream.Stream<AdvertisementState>
  /**
   * Replaces the value. Does not wait until it is written: that is told by `upToDate`. A value without an encoding is
   * `ValueEncodeError`, and the one before stays. Interrupts its caller when the scope is closed.
   */
  readonly set: (value: A) => Effect.Effect<void, ValueEncodeError>
}

/**
 * What is advertised, and how.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export interface Options<A, I, RD = never, RE = never, R = never> {
  readonly value: Schema.Codec<A, I, RD, RE>
  /** What is kept of a value. Default: `ZkCodec.json`. */
  readonly codec?: ((value: Schema.Codec<A, I, RD, RE>) => ZkCodec<A, RD, RE>) | undefined
  /** The value with which the node is made. */
  readonly data: NoInfer<A>
  /**
   * The values that follow it, `SubscriptionRef.changes` of something for one. One without an encoding is left out, with a
   * warning. The last one stays when the stream ends. Default: none.
   */
  readonly follow?: Stream.Stream<NoInfer<A>, never, R> | undefined
  /**
   * The name is only the beginning of the node's: a random UUID and the next number follow, so that any number of programs
   * may use the same path. The name stays the same in later sessions. Default: `false`.
   */
  readonly sequential?: boolean | undefined
  /**
   * Of the node, which this client has to be able to read and to write. Default: everybody may do everything
   * (`ZkAcl.openAcl`).
   */
  readonly acl?: ReadonlyArray<Acl> | undefined
}

/**
 * Why nothing is advertised.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export type MakeError = ValueEncodeError | CreateError

/**
 * Advertises a value until the scope is closed. Complete when the node is there, or when its name is found to be taken by
 * somebody else's ephemeral node, which is then waited for in the background.
 *
 * Missing parents are made, as persistent nodes. Fails with `ValueEncodeError` before anything is asked for; with
 * `NodeExists` when a persistent node has the name, and with `sequential` when the parent's counter has run out; otherwise
 * as `ZkClient.create`, also with the errors of a session without servers. From then on nothing is an error any more: what
 * cannot be done is logged as a warning, is to be seen in `state`, and is tried again, with pauses that grow to 15 seconds.
 *
 * Closing the scope, and interrupting the making of it, removes the node as `ZkSession.remove` does: at once, and without
 * a connection in the background until it is confirmed or the session is over. A path should have one advertisement of a
 * client only: a second one replaces the data of the first, and takes the node with it.
 *
 * **Example** (A value that changes)
 *
 * ```ts
 * import { Effect, Schema, SubscriptionRef } from "effect"
 * import { ZkAdvertisement } from "effect-zookeeper"
 *
 * const program = Effect.gen(function*() {
 *   const load = yield* SubscriptionRef.make(0)
 *   yield* ZkAdvertisement.make("/run/load", {
 *     value: Schema.Number,
 *     data: yield* SubscriptionRef.get(load),
 *     follow: SubscriptionRef.changes(load)
 *   })
 *   yield* SubscriptionRef.set(load, 0.7)
 * }).pipe(Effect.scoped)
 * ```
 *
 * @stability unstable
 * @category constructors
 * @since 0.1.0
 */
export const make: <A, I, RD = never, RE = never, R = never>(
  path: string,
  options: Options<A, I, RD, RE, R>
) => Effect.Effect<ZkAdvertisement<A>, MakeError, ZkClient | Scope.Scope | RE | R> = internal.make
