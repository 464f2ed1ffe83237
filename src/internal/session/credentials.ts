/** Who the session is: credentials, which every connection has to be told anew. */
import * as Redacted from "effect/Redacted"
import type { SessionError } from "../../ZkError.ts"
import { Code } from "../protocol/constants.ts"
import type { Connection } from "./connection.ts"
import { authFailed, outcomeOf } from "./pending.ts"
import type { Failure } from "./pending.ts"

export interface Auth {
  /** `digest`, or another scheme that takes its credentials in an auth packet. */
  readonly scheme: string
  /** For `digest`: `user:password`. */
  readonly credential: Redacted.Redacted<string | Uint8Array>
}

type Waiter = (error: SessionError | undefined) => void

interface Entry {
  readonly auth: Auth
  /** A server has taken it, or it was given with the configuration: a refusal is then the end. */
  established: boolean
  /** Some server has been told. */
  sent: boolean
  /** Who waits to hear whether it was taken. */
  readonly waiters: Set<Waiter>
}

const bytesOf = (auth: Auth): Uint8Array => {
  const credential = Redacted.value(auth.credential)
  return typeof credential === "string" ? Buffer.from(credential, "utf8") : credential
}

const isSame = (a: Auth, b: Auth): boolean => a.scheme === b.scheme && Buffer.compare(bytesOf(a), bytesOf(b)) === 0

export class Credentials {
  private readonly entries: Array<Entry> = []

  constructor(configured: ReadonlyArray<Auth>) {
    for (const auth of configured) this.entries.push({ auth, established: true, sent: false, waiters: new Set() })
  }

  /** Adds credentials; `waiter` is called once a server has looked at them. Gives a function that stops waiting. */
  add(auth: Auth, waiter: Waiter): { entry: Entry; forget: () => void } {
    // Those that are known already are shown again, but not told to each server twice from now on.
    const known = this.entries.find((entry) => isSame(entry.auth, auth))
    const entry: Entry = known ?? { auth, established: false, sent: false, waiters: new Set() }
    entry.waiters.add(waiter)
    if (known === undefined) this.entries.push(entry)
    const forget = () => {
      entry.waiters.delete(waiter)
      if (!entry.sent && !entry.established && entry.waiters.size === 0) this.remove(entry)
    }
    return { entry, forget }
  }

  private remove(entry: Entry): void {
    const index = this.entries.indexOf(entry)
    if (index >= 0) this.entries.splice(index, 1)
  }

  /** Sends one entry. `onRefused` is called when credentials that once were good are no longer. */
  send(entry: Entry, connection: Connection, onAnswer: () => void, onRefused: (scheme: string) => void): void {
    entry.sent = true
    connection.authenticate(entry.auth.scheme, bytesOf(entry.auth), (code) => {
      const waiters = [...entry.waiters]
      entry.waiters.clear()
      if (code === Code.ok) {
        entry.established = true
        for (const waiter of waiters) waiter(undefined)
        onAnswer()
        return
      }
      const { scheme } = entry.auth
      const error = authFailed(scheme)(outcomeOf("addAuth"))
      const wasGood = entry.established
      // A refused credential is not tried again: each try would cost the connection.
      this.remove(entry)
      for (const waiter of waiters) waiter(error)
      if (wasGood) onRefused(scheme)
      else connection.die({ reason: "auth", message: error.message })
    })
  }

  /** Sends everything on a new connection; `onDone` is called when all of it was taken. */
  replay(connection: Connection, onDone: () => void, onRefused: (scheme: string) => void): void {
    let left = this.entries.length
    if (left === 0) return onDone()
    for (const entry of [...this.entries]) {
      this.send(entry, connection, () => {
        if (--left === 0) onDone()
      }, onRefused)
    }
  }

  /** No server will be asked any more. */
  abandon(failure: Failure): void {
    for (const entry of this.entries) {
      for (const waiter of entry.waiters) waiter(failure(outcomeOf("addAuth")))
      entry.waiters.clear()
    }
  }
}
