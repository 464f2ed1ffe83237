/** Dictionaries on an ensemble whose members are not all as new, and do not all live. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as ZkClient from "../src/ZkClient.ts"
import { dictOf, documentOf, type Texts } from "./support/dicting.ts"
import { makeEnsemble } from "./support/ensemble.ts"
import { failsWith } from "./support/failsWith.ts"
import { makeProxy } from "./support/proxy.ts"
import { record } from "./support/watching.ts"

describe("dictionaries on an ensemble", () => {
  it.live(
    "show behind a sync what was written by way of any member, however far theirs is behind [M10] [M38] [M39]",
    () =>
      Effect.gen(function*() {
        const ensemble = yield* makeEnsemble({ tickTime: 500, quorumProxies: true })
        const leader = yield* ensemble.leader
        const [near, far] = yield* ensemble.followers
        const writer = yield* ZkClient.make({ hosts: far!.connectString })
        const reader = yield* ZkClient.make({ hosts: near!.connectString })
        const theirs: ReadonlyArray<Texts> = [yield* dictOf(writer, "/n"), yield* documentOf(writer, "/d")]
        const ours: ReadonlyArray<Texts> = [yield* dictOf(reader, "/n"), yield* documentOf(reader, "/d")]
        let behind = 0
        for (let i = 0; i < 60; i++) {
          const which = i % 2
          yield* theirs[which]!.set("k", `v${i}`)
          // Not told yet, in some rounds.
          if ((yield* ours[which]!.getOrElse("k", () => "")) !== `v${i}`) behind++
          yield* ours[which]!.sync
          assert.strictEqual(yield* ours[which]!.get("k"), `v${i}`)
        }
        assert.isAbove(behind, 0)

        // A member that hears nothing from the others shows what it knew, and cannot pretend that it is all.
        yield* ensemble.partition(near!)
        yield* theirs[0]!.set("k", "newer")
        assert.strictEqual(yield* ours[0]!.get("k"), "v58")
        const sync = yield* Effect.forkChild(ours[0]!.sync, { startImmediately: true })
        assert.strictEqual(yield* ours[0]!.get("k"), "v58")
        assert.isUndefined(sync.pollUnsafe())
        yield* ensemble.heal
        yield* ensemble.waitForQuorum(3)
        yield* Effect.ignore(Fiber.join(sync))
        yield* Effect.retry(ours[0]!.sync, { times: 5 })
        assert.strictEqual(yield* ours[0]!.get("k"), "newer")

        // Moved to and fro between members, some of which are behind, a client sees nothing that is older.
        const proxy = yield* makeProxy(near!.port)
        const nomad = yield* ZkClient.make({ hosts: proxy.connectString, sessionTimeout: "10 seconds" })
        const wandering: Texts = yield* dictOf(nomad, "/n")
        const seen = yield* record(wandering.changes)
        const stats: Array<bigint> = []
        let written = 0
        const writing = Effect.forever(Effect.suspend(() => theirs[0]!.set("k", `w${written++}`)))
        const moving = Effect.gen(function*() {
          for (let i = 0; i < 6; i++) {
            yield* proxy.retarget([near!, far!, leader][i % 3]!.port)
            const { connections } = yield* proxy.stats()
            yield* proxy.cutAll
            yield* proxy.awaitEvent((event) => event.type === "open" && event.connection > connections)
            for (let n = 0; n < 20; n++) stats.push((yield* nomad.getData("/n/k")).stat.mzxid)
            yield* wandering.get("k")
          }
        })
        yield* Effect.raceFirst(moving, writing)
        assert.deepStrictEqual(stats, stats.toSorted((a, b) => a < b ? -1 : a > b ? 1 : 0))
        yield* Effect.retry(wandering.sync, { times: 5 })
        const numbers = seen.values.flatMap((change) =>
          change._tag === "Changed" && change.value._tag === "Success" && change.value.success.startsWith("w")
            ? [Number(change.value.success.slice(1))]
            : []
        )
        assert.deepStrictEqual(numbers, numbers.toSorted((a, b) => a - b))
        assert.isAbove(numbers.length, 10)

        // What was acknowledged outlives the leader.
        const everywhere = yield* ZkClient.make({ hosts: ensemble.connectString, sessionTimeout: "20 seconds" })
        const dict: Texts = yield* dictOf(everywhere, "/acknowledged")
        const acknowledged = new Map<string, string>()
        const storing = Effect.gen(function*() {
          for (let i = 0;; i++) {
            const key = `k${i % 50}`
            const outcome = yield* Effect.result(dict.set(key, `v${i}`))
            if (outcome._tag === "Success") acknowledged.set(key, `v${i}`)
            else acknowledged.delete(key)
          }
        })
        const storer = yield* Effect.forkChild(storing, { startImmediately: true })
        yield* Effect.repeat(dict.set("marker", "1"), { times: 60 })
        yield* leader.kill
        yield* ensemble.waitForQuorum(2)
        yield* Effect.retry(dict.set("marker", "2"), { times: 10 })
        yield* Fiber.interrupt(storer)
        const survivors = yield* ZkClient.make({ hosts: `${near!.connectString},${far!.connectString}` })
        const found: Texts = yield* dictOf(survivors, "/acknowledged")
        yield* found.sync
        assert.isAbove(acknowledged.size, 10)
        let others = 0
        for (const [key, value] of acknowledged) {
          // The last one may have been on its way.
          if ((yield* found.getOrElse(key, () => "")) !== value) others++
        }
        assert.isAtMost(others, 1)
        yield* failsWith(found.get("missing"), "KeyNotFound")
      }),
    120_000
  )
})
