import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as ZkClient from "../../src/ZkClient.ts"
import type { ValueDecodeError } from "../../src/ZkCodec.ts"
import * as ZkNode from "../../src/ZkNode.ts"
import { patience } from "./wait.ts"

// What tests of typed nodes have in common.

/** A typed node by way of this client. */
export const typedNode = <A, I, RD = never, RE = never>(
  client: ZkClient.ZkClient,
  path: string,
  options: ZkNode.ValueOptions<A, I, RD, RE> & (ZkNode.PersistentOptions<A> | ZkNode.EphemeralOptions<A>)
): Effect.Effect<ZkNode.ZkNode<A>, ZkNode.MakeError, Scope.Scope | RD | RE> =>
  Effect.provideService(
    ZkNode.make(path, options),
    ZkClient.ZkClient,
    client
  ) as Effect.Effect<ZkNode.ZkNode<A>, ZkNode.MakeError, Scope.Scope | RD | RE>

/** A number that is kept as long as the scope is open. */
export const keptNumber = (client: ZkClient.ZkClient, path: string, value = 1) =>
  typedNode(client, path, { value: Schema.Number, mode: "ephemeral", default: value })

/** A state in short: the value, `missing`, or `invalid`. */
export const showState = <A>(state: ZkNode.NodeState<A>): A | "missing" | "invalid" =>
  state._tag === "Present" ? state.value : state._tag === "Missing" ? "missing" : "invalid"

/** Waits until a node is like this; 10 s at most. */
export const stateBecomes = <A>(
  node: ZkNode.ZkNode<A>,
  isIt: (state: ZkNode.NodeState<A>) => boolean
) =>
  node.changes.pipe(
    Stream.filter(({ current }) => isIt(current)),
    Stream.runHead,
    Effect.timeout(10_000 * patience)
  )

export const valueBecomes = <A>(node: ZkNode.ZkNode<A>, value: A) =>
  stateBecomes(node, (state) => state._tag === "Present" && state.value === value)

export const isDecodeError = (error: { readonly _tag: string }): error is ValueDecodeError =>
  error._tag === "ValueDecodeError"

/** Keeps what is logged as a warning or worse. */
export const warnings = () => {
  const lines: Array<string> = []
  const logger = Logger.make<unknown, void>(({ logLevel, message }) => {
    if (logLevel === "Warn" || logLevel === "Error" || logLevel === "Fatal") lines.push(String(message))
  })
  return { lines, layer: Logger.layer([logger]) }
}

/** For a proxy: the server is too busy for this request. */
export const throttled = {
  replace: (payload: Buffer) => {
    const answer = Buffer.from(payload.subarray(0, 16))
    answer.writeInt32BE(-127, 12)
    return answer
  }
}
