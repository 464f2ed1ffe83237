/**
 * Breaks the library in the process that is started with `--import` of this file, by editing what is loaded: the proof
 * that a test of several processes can fail. Which break is in `ZK_MUTANT`.
 */
import { registerHooks } from "node:module"
import { mutate, type Mutation } from "../support/mutant.ts"

interface Mutant {
  /** Which script has to find it. */
  readonly script: "exclusion" | "convergence"
  readonly what: string
  readonly mutations: ReadonlyArray<Mutation>
}

export const mutants: Readonly<Record<string, Mutant>> = {
  lease: {
    script: "exclusion",
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
  },
  event: {
    script: "convergence",
    what: "a tree passes over one event in two hundred",
    mutations: [{
      file: "internal/cache/treeCache.ts",
      from: `if (event._tag === "NodeChildrenChanged" || !this.isKept(event.path)) return`,
      to: `if (event._tag === "NodeChildrenChanged" || !this.isKept(event.path) || Math.random() < 0.005) return`
    }]
  },
  reset: {
    script: "convergence",
    what: "nothing is read again after a new connection of the same session",
    mutations: [{
      file: "internal/cache/upkeep.ts",
      from: `cache.readAll(event.reason === "newSession")`,
      to: `if (event.reason === "newSession") cache.readAll(true)`
    }]
  },
  older: {
    script: "convergence",
    what: "what was read is now and then something older",
    mutations: [{
      file: "internal/cache/treeCache.ts",
      from: "const before = this.entries.get(path)\n",
      to: `const before = this.entries.get(path)
    const older = (globalThis as any).older ??= new Map<string, NodeData>()
    if (older.has(path) && Math.random() < 0.01) node = older.get(path)
    else older.set(path, node)\n`
    }]
  },
  version: {
    script: "convergence",
    what: "a node is the same as long as its version is",
    mutations: [{
      file: "internal/cache/treeCache.ts",
      from: "const isSame = previous.stat.czxid === node.stat.czxid && previous.stat.mzxid === node.stat.mzxid",
      to: "const isSame = previous.stat.version === node.stat.version"
    }]
  },
  merge: {
    script: "convergence",
    what: "of two changes at a time the first is forgotten",
    mutations: [{
      file: "internal/cache/changes.ts",
      from: "before === undefined ? change : merge(before, change)",
      to: "before === undefined || merge === undefined ? change : change"
    }]
  },
  unseen: {
    script: "convergence",
    what: "a write is complete when it was answered",
    mutations: [{
      file: "internal/cache/upkeep.ts",
      from: "Effect.mapError(catchUp, (error) => {",
      to: "Effect.mapError(Effect.void as typeof catchUp, (error) => {"
    }]
  }
}

export const mutantsOf = (script: Mutant["script"]): ReadonlyArray<string> =>
  Object.keys(mutants).filter((name) => mutants[name]?.script === script)

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
