import * as Effect from "effect/Effect"
import type { ZkClient } from "../../src/ZkClient.ts"
import type { Proxy } from "./proxy.ts"
import { encodeConnectResponse } from "./records.ts"
import { rigError } from "./rigError.ts"
import { newSession } from "./watching.ts"

/**
 * The client is told that its session is over, which it is not: the server has just resumed it. Gives it, for somebody to
 * end it, once there is the next.
 */
export const leaveSession = ({ proxy, zk }: { readonly proxy: Proxy; readonly zk: ZkClient }, old: bigint) =>
  Effect.gen(function*() {
    const made = proxy.events.find((event) => event.type === "frame" && event.session?.sessionId === old)
    const left = made?.type === "frame" ? made.session : undefined
    if (left === undefined) return yield* Effect.fail(rigError("no such session was made through the proxy"))
    const over = { protocolVersion: 0, timeout: 0, sessionId: 0n, password: Buffer.alloc(16), readOnly: false }
    const lie = yield* proxy.rule({ kind: "connected" }, { replace: () => encodeConnectResponse(over) })
    yield* proxy.cutAll
    yield* lie.fired
    return { left, session: yield* newSession(zk, old) }
  })
