import type { NodeSpec } from "./zooCfg.ts"

/**
 * One server of one provider, as the rig drives it. Nothing here waits for ZooKeeper to serve, only for the process to
 * do what was asked.
 */
export interface NodeProcess {
  readonly spec: NodeSpec
  /** Starts the process (again) on the same ports and data. */
  start(): Promise<void>
  /** Asks it to end (SIGTERM) and waits until it has. */
  stop(): Promise<void>
  /** kill -9 */
  kill(): Promise<void>
  /** SIGSTOP or a container's pause: connections stay up, nobody answers. */
  freeze(): Promise<void>
  resume(): Promise<void>
  /** Empties the data folder of a server that doesn't run. */
  wipe(): Promise<void>
  isRunning(): boolean
  log(): Promise<string>
  /** Kills it if need be and removes what it left on disk. */
  dispose(): Promise<void>
}

export type ProviderKind = "servers" | "docker" | "local" | "debian"

export interface Provider {
  readonly kind: ProviderKind
  /** For people: which servers these are. */
  readonly description: string
  /** Makes a server that is not started yet. Absent where the servers are somebody else's. */
  readonly makeNode?: ((spec: NodeSpec) => Promise<NodeProcess>) | undefined
  /** Where the servers are somebody else's: how to reach them. */
  readonly connectString?: string | undefined
}
