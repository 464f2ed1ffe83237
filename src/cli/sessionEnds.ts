/** Whether the session ends with the command, and its ephemeral nodes with it: so it is but in a shell. */
import * as Context from "effect/Context"

export const SessionEnds = Context.Reference("effect-zookeeper/cli/SessionEnds", { defaultValue: () => true })
