/**
 * Breaks the library in the process that is started with `--import` of this file, by editing what is loaded: the proof
 * that a test can fail. Which break is in `ZK_MUTANT`.
 */
import { registerHooks } from "node:module"

interface Mutant {
  readonly what: string
  /** The end of the file's address. */
  readonly file: string
  readonly edits: ReadonlyArray<readonly [from: string, to: string]>
}

export const mutants: Readonly<Record<string, Mutant>> = {
  lease: {
    what: "a lock counts as held as long as the session is connected, and nothing keeps up a lease",
    file: "/src/internal/recipes/lease.ts",
    edits: [
      [
        "return this.session.committedAtUnsafe() + timeout - margin",
        `return Effect.runSync(this.session.client.state)._tag === "Connected" ? Infinity : -Infinity * margin`
      ],
      ["const checks = this.nextChecks()", "const checks = this.nextChecks().slice(0, 0)"]
    ]
  }
}

const name = process.env["ZK_MUTANT"]
if (name !== undefined) {
  const mutant = mutants[name]
  if (mutant === undefined) throw new Error(`no mutant ${name}; there are: ${Object.keys(mutants).join(", ")}`)
  registerHooks({
    load: (url, context, nextLoad) => {
      const loaded = nextLoad(url, context)
      if (!url.endsWith(mutant.file)) return loaded
      let source = String(loaded.source)
      for (const [from, to] of mutant.edits) {
        // A mutant that has fallen behind the source would be no mutant.
        if (source.split(from).length !== 2) throw new Error(`mutant ${name}: not once in ${url}: ${from}`)
        source = source.replace(from, () => to)
      }
      return { ...loaded, source }
    }
  })
}
