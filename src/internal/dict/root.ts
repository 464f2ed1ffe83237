/** The node whose children are the names of a dictionary. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Acl } from "../../ZkAcl.ts"
import type { ZkClient } from "../../ZkClient.ts"
import type { StoreWriteError } from "./store.ts"

export interface NodeStoreOptions {
  readonly client: ZkClient
  readonly root: string
  readonly acl: ReadonlyArray<Acl> | undefined
  /** Whether to create the root, also when it has vanished. */
  readonly createRoot: boolean
  /** Which names count: others are left alone, and not even read. */
  readonly isName: (name: string) => boolean
}

export const makeRoot = ({ acl, client, root }: NodeStoreOptions): Effect.Effect<void, StoreWriteError> =>
  Effect.catchTags(client.ensurePath(root, { acl }), {
    // Servers look at rights first: who may not create a root may well use one that is there.
    NoAuth: (error) =>
      Effect.flatMap(client.exists(root), (found) => Option.isSome(found) ? Effect.void : Effect.fail(error)),
    // A node that is there is fine, and persistent ones can be created in any session.
    NodeExists: Effect.die,
    EphemeralOnLocalSession: Effect.die
  })
