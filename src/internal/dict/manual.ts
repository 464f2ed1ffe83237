/** A store whose view shows what was known at the last `sync` or own write. */
import * as Effect from "effect/Effect"
import type { Entry, Store, Unreadable, View } from "./store.ts"

const copyOf = <P>(view: View<P>): View<P> => {
  const problem = view.problem()
  const names = view.names()
  const entries = new Map<string, Entry | Unreadable>()
  for (const name of names) {
    const entry = view.get(name)
    if (entry !== undefined) entries.set(name, entry)
  }
  return { problem: () => problem, names: () => names, get: (name) => entries.get(name) }
}

export const manually = <W, P extends W>(store: Store<W, P>): Store<W, P> => {
  let shown = copyOf(store.view)
  const update = Effect.sync(() => {
    shown = copyOf(store.view)
  })
  const then = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> => Effect.tap(effect, update)
  return {
    ...store,
    view: {
      problem: () => shown.problem(),
      names: () => shown.names(),
      get: (name) => shown.get(name)
    },
    sync: then(store.sync),
    set: (name, data) => then(store.set(name, data)),
    setAll: (all) => then(store.setAll(all)),
    remove: (name) => then(store.remove(name)),
    clear: then(store.clear),
    pop: (name, decode) => then(store.pop(name, decode)),
    update: (body) => then(store.update(body)),
    transact: (body) => then(store.transact(body))
  }
}
