/**
 * Breaks the library in the process that is started with `--import` of this file, by editing what is loaded: the proof
 * that a test of several processes can fail. Which break is in `ZK_MUTANT`.
 */
import { registerHooks } from "node:module"
import { mutate, type Mutation } from "../support/mutant.ts"

interface Mutant {
  readonly what: string
  readonly mutations: ReadonlyArray<Mutation>
}

export const mutants: Readonly<Record<string, Mutant>> = {
  lease: {
    what: "a lock counts as held as long as the session is connected, and nothing keeps up a lease",
    mutations: [
      {
        file: "internal/recipes/lease.ts",
        from: "return this.session.committedAtUnsafe() + timeout - margin",
        to: `return Effect.runSync(this.session.client.state)._tag === "Connected" ? Infinity : -Infinity * margin`
      },
      {
        file: "internal/recipes/lease.ts",
        from: "const checks = this.nextChecks()",
        to: "const checks = this.nextChecks().slice(0, 0)"
      }
    ]
  }
}

const name = process.env["ZK_MUTANT"]
if (name !== undefined) {
  const mutant = mutants[name]
  if (mutant === undefined) throw new Error(`no mutant ${name}; there are: ${Object.keys(mutants).join(", ")}`)
  const folder = new URL("../../src/", import.meta.url).href
  registerHooks({
    load: (url, context, nextLoad) => {
      const loaded = nextLoad(url, context)
      const mutations = mutant.mutations.filter(({ file }) => url === folder + file)
      if (mutations.length === 0) return loaded
      return { ...loaded, source: mutations.reduce(mutate, String(loaded.source)) }
    }
  })
}
