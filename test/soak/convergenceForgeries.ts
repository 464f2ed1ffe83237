/** What the judge of `npm run convergence` has to find: a judge that finds nothing in these is none. */
import { aChild, type Evidence, type Follower, type Held, type OwnWrite, type Told } from "./convergenceJudge.ts"

const stat = (czxid: number, mzxid: number) => ({ czxid: String(czxid), mzxid: String(mzxid) })
const version = (czxid: number, mzxid: number) => ({ czxid: BigInt(czxid), mzxid: BigInt(mzxid) })

/** `a` is set, then deleted and made anew; `b` comes and goes. */
const treeTold: ReadonlyArray<Told> = [
  { tag: "Added", key: "", value: "", version: version(1, 1), previous: null },
  { tag: "Added", key: "a", value: "a1", version: version(2, 2), previous: null },
  { tag: "Changed", key: "a", value: "a2", version: version(2, 3), previous: "a1" },
  { tag: "Added", key: "b", value: "b1", version: version(4, 4), previous: null },
  { tag: "Removed", key: "b", previous: "b1" },
  { tag: "Changed", key: "a", value: "a3", version: version(6, 6), previous: "a2" }
]

const dictTold: ReadonlyArray<Told> = [
  { tag: "Added", key: "a", value: "a1", previous: null },
  { tag: "Changed", key: "a", value: "a3", previous: "a1" }
]

const nodeTold: ReadonlyArray<Told> = [
  { tag: "Present", key: "a", value: "a1", version: version(2, 2) },
  // Of what comes fast some is left out.
  { tag: "Missing", key: "a" },
  { tag: "Missing", key: "a" },
  { tag: "Present", key: "a", value: "a3", version: version(6, 6) }
]

const truth: ReadonlyMap<string, Held> = new Map([
  ["", { value: "", stat: stat(1, 1) }],
  ["a", { value: "a3", stat: stat(6, 6) }],
  ["own", { value: "o4", stat: stat(9, 9) }]
])

const ignoresOwn = (key: string) => key === "own"

const tree: Follower = {
  what: "a tree",
  told: treeTold,
  shown: new Map([...truth].filter(([key]) => key !== "own")),
  ignores: ignoresOwn,
  tellsAll: true
}

const dict: Follower = {
  what: "a dictionary",
  told: dictTold,
  shown: new Map([["a", { value: "a3" }]]),
  ignores: (key) => key === "" || ignoresOwn(key),
  tellsAll: true
}

const node: Follower = {
  what: "a node",
  told: nodeTold,
  shown: new Map([["a", { value: "a3", stat: stat(6, 6) }]]),
  ignores: (key) => key !== "a",
  tellsAll: true
}

const names: Follower = {
  what: "names",
  told: [],
  shown: new Map([["a", { value: aChild }], ["own", { value: aChild }]]),
  ignores: (key) => key === "",
  tellsAll: false,
  namesOnly: true
}

const write = (
  what: OwnWrite["what"],
  outcome: OwnWrite["outcome"],
  more: Partial<OwnWrite> = {}
): OwnWrite => ({ key: "own", what, outcome, from: 0, to: 0, ...more })

const own: ReadonlyArray<OwnWrite> = [
  write("set", "done", { wrote: "o1", showed: "o1" }),
  write("set", "refused"),
  write("update", "done", { found: "o1", wrote: "o2", showed: "o2" }),
  write("set", "unknown", { wrote: "o3" }),
  // It was applied after all.
  write("pop", "done", { found: "o3" }),
  write("pop", "absent"),
  write("set", "done", { wrote: "o4", showed: "o4" })
]

const manual = {
  before: new Map([["a", { value: "a1" }]]),
  after: new Map([["a", { value: "a1" }]]),
  synced: new Map([["a", { value: "a3" }]])
}

/** A run in which all is well. */
export const soundEvidence: Evidence = {
  written: new Map([
    ["", new Set([""])],
    ["a", new Set(["a1", "a2", "a3"])],
    ["b", new Set(["b1"])],
    ["own", new Set(["o1", "o2", "o3", "o4"])]
  ]),
  truth,
  followers: [tree, dict, node, names],
  revisions: new Map([["a dictionary", [1n, 1n, 3n]]]),
  own,
  epoch: 0,
  manual: [manual],
  converged: 100,
  limit: 1_000
}

const withFollower = (follower: Follower, change: Partial<Follower>): Evidence => ({
  ...soundEvidence,
  followers: soundEvidence.followers.map((other) => other === follower ? { ...follower, ...change } : other)
})

const without = <A>(all: ReadonlyArray<A>, index: number): ReadonlyArray<A> => all.filter((_, i) => i !== index)
const replaced = <A>(all: ReadonlyArray<A>, index: number, change: Partial<A>): ReadonlyArray<A> =>
  all.map((one, i) => i === index ? { ...one, ...change } : one)

const told = (follower: Follower, ...more: ReadonlyArray<Told>): Evidence =>
  withFollower(follower, { told: [...follower.told, ...more] })

const withOwn = (own: ReadonlyArray<OwnWrite>): Evidence => ({ ...soundEvidence, own })

export const forgeries: ReadonlyArray<
  { readonly what: string; readonly evidence: Evidence; readonly finds: RegExp }
> = [
  {
    what: "an event that was dropped",
    // It never heard of the last change.
    evidence: withFollower(tree, {
      told: treeTold.slice(0, -1),
      shown: new Map([["", { value: "", stat: stat(1, 1) }], ["a", { value: "a2", stat: stat(2, 3) }]])
    }),
    finds: /^a tree: in the end shows of a a2 .*, there is a3/
  },
  {
    what: "a node made anew that passes for the one before",
    evidence: withFollower(tree, {
      told: treeTold.slice(0, -1),
      shown: new Map([["", { value: "", stat: stat(1, 1) }], ["a", { value: "a3", stat: stat(2, 3) }]])
    }),
    finds: /^a tree: in the end shows of a a3 czxid 2 mzxid 3, there is a3 czxid 6/
  },
  {
    what: "a deletion that was missed",
    evidence: withFollower(dict, { shown: new Map([...dict.shown, ["b", { value: "b1" }]]) }),
    finds: /^a dictionary: in the end shows of b b1, there is nothing$/
  },
  {
    what: "an addition that was missed",
    evidence: withFollower(node, { shown: new Map() }),
    finds: /^a node: in the end shows of a nothing, there is a3/
  },
  {
    what: "a name that is not listed",
    evidence: withFollower(names, { shown: new Map([["a", { value: aChild }]]) }),
    finds: /^names: in the end shows of own nothing, there is o4 /
  },
  {
    what: "a change that is shown and was not told",
    evidence: withFollower(dict, { told: dictTold.slice(0, 1) }),
    finds: /^a dictionary: in the end has told of a a1, shows a3$/
  },
  {
    what: "an older state of the same node",
    evidence: told(node, { tag: "Present", key: "a", value: "a2", version: version(2, 3) }),
    finds: /^a node: Present a .*: its mzxid went back$/
  },
  {
    what: "an older value, where nothing but values are told",
    evidence: told(dict, { tag: "Changed", key: "a", value: "a2", previous: "a3" }),
    finds: /^a dictionary: Changed a .*: a2 comes again, or too late$/
  },
  {
    what: "a state that is told twice",
    evidence: told(node, nodeTold.at(-1)!),
    finds: /^a node: Present a .*: it is not newer$/
  },
  {
    what: "data of one moment with the metadata of another",
    evidence: withFollower(node, { told: replaced(nodeTold, 0, { version: version(2, 3) }) }),
    finds: /^a node: Present a .*: a1 is of two moments$/
  },
  {
    what: "a value that was never written",
    evidence: withFollower(tree, { told: replaced(treeTold, 2, { value: "a9" }) }),
    finds: /^a tree: Changed a .*: a9 was never written$/
  },
  {
    what: "a value of another key",
    evidence: withFollower(tree, { told: replaced(treeTold, 2, { value: "b1" }) }),
    finds: /^a tree: Changed a .*: b1 was never written$/
  },
  {
    what: "an addition of what was there",
    evidence: withFollower(dict, { told: replaced(dictTold, 1, { tag: "Added", previous: null }) }),
    finds: /^a dictionary: Added a .*: it was there$/
  },
  {
    what: "a removal of what was not there",
    evidence: withFollower(tree, { told: without(treeTold, 3) }),
    finds: /^a tree: Removed b .*: it was not there$/
  },
  {
    what: "a change of what was not there",
    evidence: withFollower(dict, { told: without(dictTold, 0) }),
    finds: /^a dictionary: Changed a .*: it was not there$/
  },
  {
    what: "a change whose predecessor was never told",
    evidence: withFollower(dict, { told: replaced(dictTold, 1, { previous: "a2" }) }),
    finds: /^a dictionary: Changed a .*: previous is a2, told was a1$/
  },
  {
    what: "a revision that falls",
    evidence: { ...soundEvidence, revisions: new Map([["a dictionary", [1n, 3n, 2n]]]) },
    finds: /^a dictionary: revision fell from 3 to 2$/
  },
  {
    what: "a revision that has not counted all",
    evidence: { ...soundEvidence, revisions: new Map([["a dictionary", [1n]]]) },
    finds: /^a dictionary: revision 1 after 2 changes$/
  },
  {
    what: "a manual dictionary that goes with the time",
    evidence: { ...soundEvidence, manual: [{ ...manual, after: manual.synced }] },
    finds: /^the manual dictionary: a has changed without a sync$/
  },
  {
    what: "an own write that is not to be seen",
    evidence: withOwn(replaced(own, 0, { showed: undefined })),
    finds: /^own set of own \(0\): right behind it a read shows nothing, not o1$/
  },
  {
    what: "a value that two have popped",
    evidence: withOwn([...own.slice(0, 5), write("pop", "done", { found: "o3" }), ...own.slice(5)]),
    finds: /^own pop of own \(5\): found o3, not nothing$/
  },
  {
    what: "a key that is still there behind its pop",
    evidence: withOwn(replaced(own, 4, { showed: "o3" })),
    finds: /^own pop of own \(4\): right behind it a read shows o3, not nothing$/
  },
  {
    what: "an update of something older",
    evidence: withOwn([
      ...own.slice(0, 2),
      own[2]!,
      write("update", "done", { found: "o1", wrote: "o3", showed: "o3" })
    ]),
    finds: /^own update of own \(3\): found o1, not o2$/
  },
  {
    what: "an own write that is lost",
    evidence: withOwn([...own, write("pop", "absent")]),
    finds: /^own pop of own \(7\): found nothing, not o4$/
  },
  {
    what: "an own write that is lost in the end",
    evidence: { ...soundEvidence, truth: new Map([...truth].filter(([key]) => key !== "own")) },
    finds: /^own own in the end is nothing$/
  },
  {
    what: "a convergence that takes too long",
    evidence: { ...soundEvidence, converged: 1_001 },
    finds: /^it took 1001 ms until all was shown, not 1000$/
  }
]

/** Those forgeries that the judge did not find; and whatever it says of a run in which all is well. */
export const examine = (judge: (evidence: Evidence) => ReadonlyArray<string>): ReadonlyArray<string> => [
  ...judge(soundEvidence).map((violation) => `of a sound run it says: ${violation}`),
  ...forgeries.filter(({ evidence, finds }) => !judge(evidence).some((violation) => finds.test(violation)))
    .map(({ what }) => `it does not find ${what}`)
]
