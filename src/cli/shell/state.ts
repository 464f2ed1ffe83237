/** What a shell knows between two lines. */
import * as Context from "effect/Context"
import type { ZkClient } from "../../ZkClient.ts"

export interface ShellState {
  /** Where paths without a slash in front begin. */
  node: string
  /** Where it was before. */
  previous: string
  /** The oldest first. */
  lines: Array<string>
  isEnding: boolean
  /** Of whose connection the shell tells: its commands need not. Outside of a shell, none. */
  readonly client: ZkClient | undefined
}

export const makeShellState = (client: ZkClient | undefined): ShellState => ({
  node: "/",
  previous: "/",
  lines: [],
  isEnding: false,
  client
})

/** Of the shell that a command runs in. */
export const Shell = Context.Reference<ShellState>("effect-zookeeper/cli/Shell", {
  defaultValue: () => makeShellState(undefined)
})
