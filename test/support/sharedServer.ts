import type { ProviderKind } from "./nodeProcess.ts"

/** What the global setup tells the test files of the one server that they all share. */
export interface SharedServer {
  readonly connectString: string
  readonly host: string
  readonly port: number
  /** For instance "3.8.0". */
  readonly version: string
  readonly kind: ProviderKind
  /** Part of every path that this run makes. */
  readonly runId: string
}

declare module "vitest" {
  interface ProvidedContext {
    /** An error text when there is no server: tests that need none still run. */
    readonly zookeeper: SharedServer | { readonly error: string }
  }
}
