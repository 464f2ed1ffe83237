import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { ZkClient } from "../../src/ZkClient.ts"
import type { SessionState } from "../../src/ZkState.ts"
import { type RigError, rigError } from "./rigError.ts"
import { patience } from "./wait.ts"

export type StateOf<Tag extends SessionState["_tag"]> = Extract<SessionState, { readonly _tag: Tag }>

/** What a client said of its session, from the moment of asking on. */
export interface States {
  readonly all: ReadonlyArray<SessionState>
  readonly tags: () => ReadonlyArray<SessionState["_tag"]>
  /**
   * The first state of this kind, past ones included (from position `since` on); waits for it, in real time whatever
   * the test's Clock.
   */
  readonly await: <Tag extends SessionState["_tag"]>(
    tag: Tag,
    options?: { readonly since?: number; readonly within?: number }
  ) => Effect.Effect<StateOf<Tag>, RigError>
}

export const recordStates = (client: ZkClient): Effect.Effect<States, never, Scope.Scope> =>
  Effect.gen(function*() {
    const all: Array<SessionState> = []
    const watchers = new Set<() => void>()
    yield* client.stateChanges.pipe(
      Stream.runForEach((state) =>
        Effect.sync(() => {
          all.push(state)
          for (const look of [...watchers]) look()
        })
      ),
      Effect.forkScoped({ startImmediately: true })
    )
    const tags = () => all.map((state) => state._tag)
    return {
      all,
      tags,
      await: <Tag extends SessionState["_tag"]>(
        tag: Tag,
        options?: { readonly since?: number; readonly within?: number }
      ) =>
        Effect.callback<StateOf<Tag>, RigError>((resume) => {
          const find = () => all.slice(options?.since ?? 0).find((state): state is StateOf<Tag> => state._tag === tag)
          const found = find()
          if (found !== undefined) return resume(Effect.succeed(found))
          const within = (options?.within ?? 10_000) * patience
          const stop = () => {
            clearTimeout(timer)
            watchers.delete(look)
          }
          const timer = setTimeout(() => {
            stop()
            resume(Effect.fail(rigError(`not ${tag} within ${within} ms, but ${tags().join(", ") || "nothing"}`)))
          }, within)
          const look = () => {
            const found = find()
            if (found === undefined) return
            stop()
            resume(Effect.succeed(found))
          }
          watchers.add(look)
          return Effect.sync(stop)
        })
    }
  })
