import type * as Effect from "effect/Effect"
import type { Frame } from "./proxyEvents.ts"
import type { OpName } from "./records.ts"

/** What a rule looks for: every field given must match. `op: "create"` means all operations that make nodes. */
export interface FramePattern {
  readonly direction?: Frame["direction"] | undefined
  readonly kind?: Frame["kind"] | undefined
  readonly op?: OpName | ReadonlyArray<OpName> | undefined
  readonly path?: string | RegExp | undefined
  readonly xid?: number | undefined
  readonly connection?: number | undefined
  readonly where?: ((frame: Frame) => boolean) | undefined
}

const createNames: ReadonlyArray<Frame["op"]> = ["create", "create2", "createContainer", "createTTL"]

const matchesOp = (wanted: OpName, op: Frame["op"]): boolean =>
  wanted === "create" ? createNames.includes(op) : wanted === op

const matchesPath = (wanted: string | RegExp, path: string): boolean =>
  typeof wanted === "string" ? wanted === path : wanted.test(path)

export const matches = (pattern: FramePattern, frame: Frame): boolean => {
  const { connection, direction, kind, op, path, where, xid } = pattern
  if (direction !== undefined && direction !== frame.direction) return false
  if (kind !== undefined && kind !== frame.kind) return false
  if (xid !== undefined && xid !== frame.xid) return false
  if (connection !== undefined && connection !== frame.connection) return false
  if (op !== undefined) {
    const wanted = typeof op === "string" ? [op] : op
    if (!wanted.some((name) => matchesOp(name, frame.op))) return false
  }
  if (path !== undefined) {
    const paths = [...(frame.path === undefined ? [] : [frame.path]), ...frame.ops.map((sub) => sub.path)]
    if (!paths.some((candidate) => matchesPath(path, candidate))) return false
  }
  return where === undefined || where(frame)
}

/**
 * What happens to a frame.
 * - `pass`, `drop`
 * - `cut`: the frame is not delivered and its connection is closed, both ways; `reset` the same with a RST
 * - `passThenCut`: it is delivered, then its connection is closed
 * - `freeze`: it and all that follows on its connection stays here until `heal`; TCP stays up
 * - `bytes`: delivered one byte at a time
 * - `twice`: delivered two times
 * - `{ delay }`: it and what follows in its direction comes so many milliseconds later
 * - `{ before }`: the Effect is run first (say, one that expires the session), while the frame waits
 * - `{ replace }`: other bytes in its place (a payload; the length is put before it)
 * - `{ firstBytes, then }`: only so many bytes of it (the length's four included), then the connection is closed or
 *   silent
 */
export type Action =
  | "pass"
  | "drop"
  | "cut"
  | "reset"
  | "passThenCut"
  | "freeze"
  | "bytes"
  | "twice"
  | { readonly delay: number }
  | { readonly before: Effect.Effect<unknown> }
  | { readonly replace: (payload: Buffer) => Uint8Array }
  | { readonly firstBytes: number; readonly then?: "cut" | "freeze" | undefined }

export interface Rule {
  readonly pattern: FramePattern
  readonly action: Action
  /** How often it applies before it is spent; default 1. */
  readonly times?: number | undefined
}
