/** Writes of dictionaries while connections are cut, sessions end and callers give up, at every event of the network. */
import { assert, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type * as ZkClient from "../src/ZkClient.ts"
import { atEveryEvent, dictOf, documentOf, type Fault, type Rig, type Texts } from "./support/dicting.ts"
import { ZkServer } from "./support/server.ts"

interface Scenario {
  readonly before: Readonly<Record<string, string>>
  readonly run: (dict: Texts) => Effect.Effect<unknown, unknown>
  readonly after: Readonly<Record<string, string>>
  /** Several writes: each for itself is done or not. */
  readonly inParts?: boolean
  /** With nobody else about, a lost answer to it leaves no doubt. */
  readonly isKnown: { readonly nodes: boolean; readonly document: boolean }
}

const always = { nodes: true, document: true }
const never = { nodes: false, document: false }

const scenarios: Record<string, Scenario> = {
  "set of a new key": {
    before: { x: "x" },
    run: (dict) => dict.set("k", "v"),
    after: { x: "x", k: "v" },
    isKnown: always
  },
  "set of a key": { before: { k: "u" }, run: (dict) => dict.set("k", "v"), after: { k: "v" }, isKnown: always },
  "remove": { before: { k: "u", x: "x" }, run: (dict) => dict.remove("k"), after: { x: "x" }, isKnown: always },
  "getOrSet": {
    before: { x: "x" },
    run: (dict) => Effect.map(dict.getOrSet("k", "v"), (value) => assert.strictEqual(value, "v")),
    after: { x: "x", k: "v" },
    isKnown: always
  },
  "update": {
    before: { k: "1" },
    run: (dict) => Effect.map(dict.update("k", (n) => `${Number(n) + 1}`), (value) => assert.strictEqual(value, "2")),
    after: { k: "2" },
    // Somebody else may have counted.
    isKnown: never
  },
  "transact": {
    before: { a: "v", c: "c" },
    run: (dict) =>
      dict.transact((all) =>
        Effect.gen(function*() {
          const value = Option.getOrThrow(yield* all.get("a"))
          yield* all.remove("a")
          yield* all.set("b", value)
          yield* all.set("c", value)
        })
      ),
    after: { b: "v", c: "v" },
    isKnown: never
  },
  "setAll": {
    before: { a: "u" },
    run: (dict) => dict.setAll([["a", "v"], ["b", "v"], ["c", "v"], ["d", "v"]]),
    after: { a: "v", b: "v", c: "v", d: "v" },
    inParts: true,
    isKnown: never
  },
  "clear": {
    before: { a: "u", b: "u", c: "u" },
    run: (dict) => dict.clear,
    after: {},
    inParts: true,
    isKnown: always
  }
}

const kept = {
  nodes: {
    make: (zk: ZkClient.ZkClient, root: string): Effect.Effect<Texts, unknown, Scope.Scope> => dictOf(zk, root),
    read: (zk: ZkClient.ZkClient, root: string) =>
      Effect.gen(function*() {
        const { children } = yield* zk.getChildren(root)
        const nodes = yield* Effect.forEach(children, (name) =>
          Effect.map(zk.getData(`${root}/${name}`), ({ text }) => [name, JSON.parse(text)] as const))
        return Object.fromEntries(nodes)
      })
  },
  document: {
    make: documentOf,
    read: (zk: ZkClient.ZkClient, root: string) =>
      Effect.map(zk.getDataOption(root), (node) => Option.isNone(node) ? {} : JSON.parse(node.value.text))
  }
} as const

const prepare = (kind: keyof typeof kept, { after, before, inParts, isKnown, run }: Scenario) => (rig: Rig) =>
  Effect.gen(function*() {
    const { make, read } = kept[kind]
    const dict = yield* make(rig.ours, rig.root)
    yield* dict.setAll(Object.entries(before))
    return {
      ours: run(dict),
      check: ({ said }: { readonly said: string }, fault: Fault | undefined) =>
        Effect.gen(function*() {
          const found = sorted(yield* read(rig.rival, rig.root))
          if (said === "done") return assert.deepStrictEqual(found, sorted(after))
          const isExpiry = fault === "expiry" || fault === "cut and expiry"
          if (said === "interrupted") {
            assert.strictEqual(fault, "interruption")
          } else if (isExpiry) {
            // Of a version that was lost with its session a document cannot say more.
            const isNoDoubt = isKnown[kind] && kind === "nodes"
            assert.match(said, isNoDoubt ? /^SessionExpired$/ : /^(SessionExpired\??|ConnectionLoss\?)$/)
          } else {
            assert.strictEqual(isKnown[kind] ? "done" : "ConnectionLoss?", said)
          }
          if (inParts === true && kind === "nodes") {
            const left = Object.fromEntries(found)
            for (const key of Object.keys({ ...before, ...after, ...left })) {
              assert.include([before[key], after[key]], left[key], key)
            }
            return
          }
          // What is said to be not done is not.
          const wholes = said.endsWith("?") || said === "interrupted" ? [before, after] : [before]
          const isWhole = wholes.some((whole) => JSON.stringify(sorted(whole)) === JSON.stringify(found))
          assert.isTrue(isWhole, JSON.stringify(found))
        })
    }
  })

const sorted = (all: Readonly<Record<string, string>>) => Object.entries(all).sort(([a], [b]) => a < b ? -1 : 1)

layer(ZkServer.layer(), { excludeTestServices: true, timeout: "120 seconds" })(
  "writes, disturbed at every event",
  (it) => {
    for (const kind of ["nodes", "document"] as const) {
      for (const [name, scenario] of Object.entries(scenarios)) {
        const ids = name === "getOrSet" ? "[M22] [M37] [M39] [X1]" : "[M37] [M39] [X1]"
        it.effect(`${kind}: ${name} is done, or not, or says that nobody knows ${ids}`, () =>
          Effect.gen(function*() {
            const server = yield* ZkServer
            const outcomes = yield* atEveryEvent(`${kind}: ${name}`, server, prepare(kind, scenario))
            assert.isAbove(outcomes["done"] ?? 0, 4)
          }))
      }
    }

    for (const kind of ["nodes", "document"] as const) {
      it.effect(`${kind}: while a rival counts, nothing is counted twice or not at all [M14] [X1] [DICT-RIVAL]`, () =>
        Effect.gen(function*() {
          const server = yield* ZkServer
          yield* atEveryEvent(`${kind}: count`, server, (rig) =>
            Effect.gen(function*() {
              const { make, read } = kept[kind]
              const [dict, theirs] = [yield* make(rig.ours, rig.root), yield* make(rig.rival, rig.root)]
              const count = (dict: Texts) => dict.update("n", (n) => String(Number(n) + 1))
              yield* dict.set("n", "0")
              return {
                ours: count(dict),
                theirs: Effect.andThen(count(theirs), count(theirs)),
                check: ({ said }) =>
                  Effect.gen(function*() {
                    const { n } = yield* read(rig.rival, rig.root)
                    const isOpen = said === "interrupted" || said.endsWith("?")
                    assert.include(said === "done" ? ["3"] : isOpen ? ["2", "3"] : ["2"], n)
                  })
              }
            }))
        }))

      it.effect(`${kind}: while a rival asks for a default, both get the same [M21] [M22] [X1] [DICT-RIVAL]`, () =>
        Effect.gen(function*() {
          const server = yield* ZkServer
          const outcomes = yield* atEveryEvent(`${kind}: default`, server, (rig) =>
            Effect.gen(function*() {
              const { make, read } = kept[kind]
              const [dict, theirs] = [yield* make(rig.ours, rig.root), yield* make(rig.rival, rig.root)]
              yield* dict.set("x", "x")
              let given = ""
              return {
                ours: dict.getOrSet("k", "ours"),
                theirs: Effect.map(theirs.getOrSet("k", "theirs"), (value) => (given = value)),
                check: ({ exit }) =>
                  Effect.gen(function*() {
                    const { k } = yield* read(rig.rival, rig.root)
                    assert.strictEqual(k, given)
                    if (Exit.isSuccess(exit)) assert.strictEqual(exit.value, given)
                  })
              }
            }))
          // Whatever there is now is the answer.
          assert.isUndefined(outcomes["ConnectionLoss?"])
        }))

      it.effect(`${kind}: while a rival sets and removes, done is done [M13] [X1] [DICT-RIVAL]`, () =>
        Effect.gen(function*() {
          const server = yield* ZkServer
          yield* atEveryEvent(`${kind}: set and remove`, server, (rig) =>
            Effect.gen(function*() {
              const { make, read } = kept[kind]
              const [dict, theirs] = [yield* make(rig.ours, rig.root), yield* make(rig.rival, rig.root)]
              yield* dict.set("k", "before")
              return {
                ours: dict.set("k", "ours"),
                theirs: Effect.andThen(theirs.remove("k"), theirs.set("l", "theirs")),
                check: ({ said }) =>
                  Effect.gen(function*() {
                    const { k, l } = yield* read(rig.rival, rig.root)
                    assert.strictEqual(l, "theirs")
                    // The removal has come behind it, or ahead of it.
                    assert.include([undefined, "ours"], k)
                    if (said !== "done" && said !== "interrupted" && !said.endsWith("?")) assert.isUndefined(k)
                  })
              }
            }))
        }))
    }
  }
)
