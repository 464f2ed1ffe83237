/** Whoever judges a run of `npm run convergence` has to find what is wrong in it. */
import { assert, describe, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import { examine, forgeries, soundEvidence } from "./soak/convergenceForgeries.ts"
import { judge, type OwnWrite } from "./soak/convergenceJudge.ts"
import { mutants, mutantsOf } from "./soak/mutant.ts"
import { mutate } from "./support/mutant.ts"

describe("the judge of convergence", () => {
  it("has nothing to say of a run in which all is well [CONV-08]", () => {
    assert.deepStrictEqual(judge(soundEvidence), [])
  })

  it("does not mistake what went with the root for a lost write [CONV-08]", () => {
    const gone = { key: "own", what: "pop", outcome: "absent", from: 2, to: 2 } satisfies OwnWrite
    const overtaken = { key: "own", what: "set", outcome: "done", wrote: "o4", from: 2, to: 3 } satisfies OwnWrite
    const own = [...soundEvidence.own, gone, overtaken]
    const truth = new Map([...soundEvidence.truth].filter(([key]) => key !== "own"))
    const followers = soundEvidence.followers.filter(({ ignores }) => ignores("own"))
    assert.deepStrictEqual(judge({ ...soundEvidence, followers, own, truth, epoch: 4 }), [])
  })

  for (const { evidence, finds, what } of forgeries) {
    it(`finds ${what} [CONV-08]`, () => {
      const violations = judge(evidence)
      assert.isTrue(violations.some((violation) => finds.test(violation)), violations.join("\n"))
    })
  }

  it("is itself examined: one that finds nothing, and one that always finds something, do not pass [CONV-08]", () => {
    assert.deepStrictEqual(examine(judge), [])
    assert.strictEqual(examine(() => []).length, forgeries.length)
    assert.strictEqual(examine(() => ["all is lost"])[0], "of a sound run it says: all is lost")
  })

  for (const name of mutantsOf("convergence")) {
    it(`has libraries that are broken on purpose to be proven with, which can still be made: ${name} [CONV-08]`, () => {
      for (const mutation of mutants[name]!.mutations) {
        const text = readFileSync(new URL(`../src/${mutation.file}`, import.meta.url), "utf8")
        assert.notStrictEqual(mutate(text, mutation), text)
      }
    })
  }
})
