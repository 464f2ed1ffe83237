/** Whoever judges a run of `npm run exclusion` has to find what is wrong in it. */
import { assert, describe, it } from "@effect/vitest"
import { claimName, examine, forgeries, judge, parseClaim, soundEvidence } from "./soak/exclusionJudge.ts"

describe("the judge of mutual exclusion", () => {
  it("has nothing to say of a run in which all is well, and counts [EX1]", () => {
    const { violations, ...report } = judge(soundEvidence)
    assert.deepStrictEqual(violations, [])
    assert.deepStrictEqual(report, {
      acquisitions: 3,
      handOvers: 2,
      writes: { acknowledged: 2, refused: 1, unknownApplied: 1, unknownNotApplied: 0 },
      ends: { done: 2, "lost: lease": 1 },
      none: {},
      steps: 5,
      longestPause: { from: 400, to: 700 }
    })
  })

  it("does not mistake an open write that was not applied for a lost one [EX1]", () => {
    const { violations, writes } = judge({ ...soundEvidence, claims: soundEvidence.claims.slice(0, 2), counter: 2 })
    assert.deepStrictEqual(violations, [])
    assert.strictEqual(writes.unknownNotApplied, 1)
  })

  for (const { evidence, finds, what } of forgeries) {
    it(`finds ${what} [EX1]`, () => {
      const { violations } = judge(evidence)
      assert.isTrue(violations.some((violation) => finds.test(violation)), violations.join("\n"))
    })
  }

  it("is itself examined: one that finds nothing, and one that always finds something, do not pass [EX1]", () => {
    assert.deepStrictEqual(examine(judge), [])
    const blind = examine((evidence) => ({ ...judge(evidence), violations: [] }))
    assert.strictEqual(blind.length, forgeries.length)
    const grim = examine((evidence) => ({ ...judge(evidence), violations: ["all is lost"] }))
    assert.strictEqual(grim[0], "of a sound run it says: all is lost")
  })

  it("reads what a write is named [EX1]", () => {
    const claim = { value: 12, worker: 3, hold: 4, attempt: 5, token: 0x1_0000_0007n }
    assert.deepStrictEqual(parseClaim(`${claimName(claim)}0000000042`), { ...claim, sequence: 42 })
  })
})
