/** What a server does not know: each time it is asked for it, it closes the connection, and others' writes with it. */
import * as ZkError from "../../ZkError.ts"
import type { Failure } from "./pending.ts"

/** Servers are upgraded, and options of theirs switched on. */
const rememberedMillis = 60_000

export const unimplemented: Failure = ({ operation, path }) => new ZkError.Unimplemented({ operation, path })

export class UnknownOps {
  private readonly known = new Map<number, { readonly server: string; readonly until: number }>()

  remember(op: number, server: string, now: number): void {
    this.known.set(op, { server, until: now + rememberedMillis })
  }

  /** Whether this server has lately refused the operation. Another one may know it. */
  has(op: number, server: string | undefined, now: number): boolean {
    const entry = this.known.get(op)
    if (entry === undefined || entry.server !== server) return false
    if (now < entry.until) return true
    this.known.delete(op)
    return false
  }
}
