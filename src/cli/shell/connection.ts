/** What a shell says of its connection: in front of each line, and when it changes. */
import { toHex } from "../../ZkStat.ts"
import type { SessionState } from "../../ZkState.ts"
import { printable, truncate } from "../printable.ts"
import type { Style } from "../style.ts"

const word = (state: SessionState, style: Style): string => {
  switch (state._tag) {
    case "Connected":
      return state.readOnly ? style.warning("read-only") : style.good("connected")
    case "Connecting":
      return style.warning("connecting")
    case "Suspended":
      return style.warning("suspended")
    case "Expired":
      return style.bad("expired")
    case "AuthFailed":
      return style.bad("refused")
    case "Closed":
      return style.bad("closed")
  }
}

/** Of a long path its end, and no more than half of a row. */
export const promptOf = (state: SessionState, node: string, style: Style, columns: number): string =>
  `zk ${word(state, style)} ${style.strong(truncate(printable(node), Math.max(16, columns / 2), "middle"))}> `

export interface Told {
  /** Of the last state that counts. */
  readonly trouble: "none" | "lost" | "expired"
}

/** What is to be said of a state, once. */
export const tellOf = (told: Told, state: SessionState, style: Style): readonly [Told, string | undefined] => {
  switch (state._tag) {
    case "Suspended":
      if (told.trouble !== "none") return [told, undefined]
      return [{ trouble: "lost" }, style.warning("connection lost: commands wait for it to come back")]
    case "Expired":
      if (told.trouble === "expired") return [told, undefined]
      return [
        { trouble: "expired" },
        style.bad(`session ${toHex(state.sessionId)} has expired: its ephemeral nodes are gone`)
      ]
    case "Connected": {
      if (told.trouble === "none") return [told, undefined]
      const session = told.trouble === "lost" ? "" : `, in the new session ${toHex(state.sessionId)}`
      return [{ trouble: "none" }, style.good(`connected again, to ${state.server}${session}`)]
    }
    case "AuthFailed":
      return [told, style.bad(printable(state.error.message))]
    default:
      return [told, undefined]
  }
}
