/** Taking values out while connections are cut, sessions end and callers give up, at every event of the network. */
import { assert, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { PopInDoubt } from "../src/ZkDict.ts"
import { atEachEvent, dictOf, json, type Outcome, untilChildless } from "./support/dicting.ts"
import { ZkServer } from "./support/server.ts"

/** What the receiver of an outcome has in hand, for sure or in doubt. */
const inHand = ({ exit }: Outcome<unknown, unknown>) => {
  if (Exit.isSuccess(exit)) {
    return { sure: Option.getOrUndefined(exit.value as Option.Option<string>), doubt: undefined }
  }
  const failure = exit.cause.reasons.find((reason) => reason._tag === "Fail")?.error
  return { sure: undefined, doubt: failure instanceof PopInDoubt ? Redacted.value(failure.value) as string : undefined }
}

layer(ZkServer.layer(), { excludeTestServices: true, timeout: "120 seconds" })(
  "pop, disturbed at every event",
  (it) => {
    it.effect("gives its value once, or says that it is in doubt [M20] [X1] [DICT-POP-02]", () =>
      Effect.gen(function*() {
        const server = yield* ZkServer
        const outcomes = yield* atEachEvent("pop", server, ({ ours, rival, root }) =>
          Effect.gen(function*() {
            const dict = yield* dictOf(ours, root)
            yield* dict.set("k", "v")
            return {
              ours: dict.popOption("k"),
              check: (outcome, fault) =>
                Effect.gen(function*() {
                  yield* untilChildless(rival, `${root}/k`)
                  yield* untilChildless(rival, root, "k")
                  const left = yield* rival.getDataOption(`${root}/k`)
                  const { doubt, sure } = inHand(outcome)
                  if (Option.isSome(left)) {
                    assert.strictEqual(left.value.text, json("v"))
                    assert.isUndefined(sure)
                  } else if (outcome.said !== "interrupted") {
                    assert.strictEqual(sure ?? doubt, "v")
                  }
                  // A session that goes on tells what became of the transaction.
                  if (fault?.startsWith("cut") === true && fault !== "cut and expiry") assert.strictEqual(sure, "v")
                  // The key is there: that leaves no doubt.
                  if (Option.isSome(left)) assert.isUndefined(doubt)
                  assert.include(["done", "PopInDoubt?", "interrupted"], outcome.said)
                })
            }
          }))
        assert.isAbove(outcomes["done"] ?? 0, 20)
        assert.isAbove(outcomes["PopInDoubt?"] ?? 0, 0)
      }))

    it.effect("of two who pop one key one gets the value [M20] [DICT-POP-02]", () =>
      Effect.gen(function*() {
        const server = yield* ZkServer
        yield* atEachEvent("pop, and a rival's pop", server, ({ ours, rival, root }) =>
          Effect.gen(function*() {
            const dict = yield* dictOf(ours, root)
            const theirs = yield* dictOf(rival, root)
            yield* dict.set("k", "v")
            yield* theirs.sync
            let got: Option.Option<string> = Option.none()
            return {
              ours: dict.popOption("k"),
              theirs: Effect.map(theirs.popOption("k"), (value) => (got = value)),
              check: (outcome) =>
                Effect.gen(function*() {
                  yield* untilChildless(rival, `${root}/k`)
                  yield* untilChildless(rival, root, "k")
                  const { doubt, sure } = inHand(outcome)
                  const left = yield* rival.exists(`${root}/k`)
                  const owners = [sure, Option.getOrUndefined(got), Option.isSome(left) ? "v" : undefined]
                  const sureOwners = owners.filter((value) => value === "v").length
                  assert.isAtMost(sureOwners, 1)
                  if (sureOwners === 0 && outcome.said !== "interrupted") assert.strictEqual(doubt, "v")
                  assert.include(["done", "PopInDoubt?", "interrupted"], outcome.said)
                })
            }
          }))
      }))
  }
)
