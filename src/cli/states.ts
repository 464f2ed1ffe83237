/** What becomes of the connection while a command runs for long, told to whoever waits in front of it. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { ZkClient } from "../ZkClient.ts"
import type { SessionState } from "../ZkState.ts"
import { note, Output } from "./output.ts"
import { Shell } from "./shell/state.ts"
import type { Style } from "./style.ts"

interface Seen {
  /** What was told last; at the beginning nothing, for that there is a connection is as it should be. */
  readonly trouble: "none" | "lost" | "expired"
}

const tell = (seen: Seen, { _tag }: SessionState, style: Style): readonly [Seen, ReadonlyArray<string>] => {
  switch (_tag) {
    case "Suspended":
      if (seen.trouble !== "none") return [seen, []]
      return [{ trouble: "lost" }, [style.warning("connection lost: waiting for it to come back")]]
    case "Expired":
      if (seen.trouble === "expired") return [seen, []]
      return [{ trouble: "expired" }, [style.warning("the session has expired: waiting for a new one")]]
    case "Connected":
      if (seen.trouble === "none") return [seen, []]
      return [
        { trouble: "none" },
        [style.good(seen.trouble === "lost" ? "connected again" : "connected again, in a new session")]
      ]
    default:
      return [seen, []]
  }
}

/** Says on standard error when the connection is lost and back, and when the session expired, until the scope ends. */
export const tellStates = (
  say: (text: string) => Effect.Effect<void, never, Output> = note
): Effect.Effect<void, never, ZkClient | Output | Scope.Scope> =>
  Effect.gen(function*() {
    const zk = yield* ZkClient
    // It tells of it itself.
    if ((yield* Shell).client === zk) return
    const { noteStyle } = yield* Output
    yield* zk.stateChanges.pipe(
      Stream.mapAccum((): Seen => ({ trouble: "none" }), (seen, state) => tell(seen, state, noteStyle)),
      Stream.runForEach(say),
      Effect.forkScoped({ startImmediately: true })
    )
  })
