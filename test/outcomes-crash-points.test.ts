/** Writes that resolve their lost answers, cut once more at every event of the network while they do. */
import { assert, describe, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as ZkClient from "../src/ZkClient.ts"
import { maybeApplied } from "../src/ZkError.ts"
import { type FramePattern, makeProxy } from "./support/proxy.ts"
import { ZkServer } from "./support/server.ts"
import { sessionOf } from "./support/watching.ts"

interface Scenario {
  readonly op: FramePattern["op"]
  readonly run: (zk: ZkClient.ZkClient, root: string) => Effect.Effect<unknown, unknown>
  /** Only a write that is the same whoever makes it may stay open. */
  readonly mayStayOpen: boolean
  readonly check: (other: ZkClient.ZkClient, root: string, session: bigint) => Effect.Effect<void, unknown>
}

const scenarios: Record<string, Scenario> = {
  "create of an ephemeral node": {
    op: "create",
    run: (zk, root) => zk.create(`${root}/e`, "x", { mode: "ephemeral", idempotent: true }),
    mayStayOpen: false,
    check: (other, root, session) =>
      Effect.map(
        other.exists(`${root}/e`),
        (stat) => assert.strictEqual(Option.getOrUndefined(stat)?.ephemeralOwner, session)
      )
  },
  "create of a lasting node": {
    op: "create",
    run: (zk, root) => zk.create(`${root}/p`, "x", { idempotent: true }),
    mayStayOpen: true,
    check: (other, root) => Effect.map(other.exists(`${root}/p`), (stat) => assert.isTrue(Option.isSome(stat)))
  },
  "setData of a version": {
    op: "setData",
    run: (zk, root) => zk.setData(`${root}/tree`, "x", { version: 0, idempotent: true }),
    mayStayOpen: true,
    check: (other, root) =>
      Effect.map(
        other.getData(`${root}/tree`),
        ({ stat, text }) => assert.deepStrictEqual([text, stat.version], ["x", 1])
      )
  },
  "ensureAbsent": {
    op: "delete",
    run: (zk, root) => zk.ensureAbsent(`${root}/tree/a/b`, { version: 0 }),
    mayStayOpen: false,
    check: (other, root) => Effect.map(other.exists(`${root}/tree/a/b`), (stat) => assert.isTrue(Option.isNone(stat)))
  },
  "deleteRecursive": {
    op: "delete",
    run: (zk, root) => zk.deleteRecursive(`${root}/tree`, { version: 0 }),
    mayStayOpen: false,
    check: (other, root) => Effect.map(other.exists(`${root}/tree`), (stat) => assert.isTrue(Option.isNone(stat)))
  },
  "ensurePath": {
    op: "create",
    run: (zk, root) => zk.ensurePath(`${root}/x/y/z`),
    mayStayOpen: false,
    check: (other, root) => Effect.map(other.exists(`${root}/x/y/z`), (stat) => assert.isTrue(Option.isSome(stat)))
  }
}

let counter = 0

describe.concurrent("with a server of its own", () => {
  layer(ZkServer.layer(), { excludeTestServices: true, timeout: "60 seconds" })(
    "a lost answer, and one more cut",
    (it) => {
      for (const [name, { check, mayStayOpen, op, run }] of Object.entries(scenarios)) {
        it.effect(`${name} comes to its end all the same [X1] [K35]`, () => {
          const scenario = (lost: "request" | "reply", second: number) =>
            Effect.gen(function*() {
              const server = yield* ZkServer
              const proxy = yield* makeProxy(server.port)
              const other = yield* ZkClient.make({ hosts: server.connectString })
              const zk = yield* ZkClient.make({ hosts: proxy.connectString, sessionTimeout: "3 seconds" })
              const root = `/root-${counter++}`
              yield* other.ensurePath(`${root}/tree/a/b`)
              yield* zk.getData(`${root}/tree`)
              const session = yield* sessionOf(zk)
              yield* proxy.forget
              const rule = yield* proxy.rule({ op, kind: lost }, "cut")
              yield* proxy.cutAt(second)
              const outcome = yield* Effect.result(run(zk, root))
              const point = `${name}, ${lost} lost, cut at ${second}`
              // The one cut may have come before the other, at the very same frame.
              assert.isAtLeast((yield* proxy.stats()).connections, 1, point)
              if (second > 11) assert.strictEqual(yield* rule.count, 1, point)
              if (outcome._tag === "Failure") assert.isTrue(mayStayOpen && maybeApplied(outcome.failure), point)
              yield* zk.sync()
              // Open, and lost on its way: not applied.
              if (outcome._tag === "Failure" && lost === "request") return
              yield* check(other, root, session)
            }).pipe(Effect.scoped)
          const points = Array.from({ length: 14 }, (_, second) => second)
          return Effect.forEach(
            points.flatMap((second) => [scenario("request", second), scenario("reply", second)]),
            (effect) => effect,
            { concurrency: 6, discard: true }
          )
        })
      }
    }
  )
})
