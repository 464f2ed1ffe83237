import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as ZkClient from "../../src/ZkClient.ts"
import * as ZkPath from "../../src/ZkPath.ts"

/**
 * A board is where holders of a lock, in whatever language, work so that two at once cannot go unnoticed. All of it is
 * in ZooKeeper, for there is no clock that the processes share:
 *
 * - `inside`: an ephemeral node that an exclusive holder makes and deletes. It must not be there already.
 * - `readers/`: an ephemeral node of each shared holder. An exclusive one must find none, and they no `inside`.
 * - `counter`: read, and written one higher a request later, without looking at the version.
 * - `log/`: a node for each turn, in the order in which they came: `kind number who`.
 *
 * The turns below are written once more in lock_board.py and CuratorBridge.java.
 */
export const openBoard = Effect.fnUntraced(function*(zk: ZkClient.ZkClient, path: string) {
  yield* zk.create(path, "", { parents: true })
  yield* Effect.all([
    zk.create(`${path}/readers`),
    zk.create(`${path}/log`),
    zk.create(`${path}/counter`, "0")
  ])
})

const note = (zk: ZkClient.ZkClient, board: string, kind: string, node: string) =>
  zk.create(`${board}/log/t-`, `${kind} ${ZkPath.sequence(node)} ours`, { mode: "persistentSequential" })

/** What an exclusive holder does; its node gives the number. */
export const exclusiveTurn = Effect.fnUntraced(function*(zk: ZkClient.ZkClient, board: string, node: string) {
  yield* zk.create(`${board}/inside`, node, { mode: "ephemeral" })
  assert.deepStrictEqual((yield* zk.getChildren(`${board}/readers`)).children, [])
  const { text } = yield* zk.getData(`${board}/counter`)
  yield* note(zk, board, "exclusive", node)
  yield* zk.setData(`${board}/counter`, String(Number(text) + 1))
  yield* zk.delete(`${board}/inside`)
}, Effect.orDie)

/** What a shared holder does. */
export const sharedTurn = Effect.fnUntraced(function*(zk: ZkClient.ZkClient, board: string, node: string) {
  const reader = yield* zk.create(`${board}/readers/r-`, node, { mode: "ephemeralSequential" })
  yield* note(zk, board, "shared", node)
  assert.strictEqual((yield* zk.exists(`${board}/inside`))._tag, "None")
  yield* zk.delete(reader.path)
}, Effect.orDie)

/**
 * What a holder of a permit does: notes how many there are, itself among them. It stays for several times the requests
 * that getting a permit takes, so that permits get scarce.
 */
export const limitedTurn = Effect.fnUntraced(function*(zk: ZkClient.ZkClient, board: string, most: number) {
  const reader = yield* zk.create(`${board}/readers/r-`, "", { mode: "ephemeralSequential" })
  const together = (yield* zk.getChildren(`${board}/readers`)).children.length
  yield* zk.create(`${board}/log/t-`, `shared ${together} ours`, { mode: "persistentSequential" })
  assert.isAtMost(together, most)
  for (let i = 0; i < 20; i++) yield* zk.getData(reader.path)
  yield* zk.delete(reader.path)
}, Effect.orDie)

export interface Turn {
  readonly kind: "exclusive" | "shared"
  readonly sequence: number
  readonly who: string
}

/** All turns, first come first. */
export const readLog = Effect.fnUntraced(function*(zk: ZkClient.ZkClient, board: string) {
  const { children } = yield* zk.getChildren(`${board}/log`)
  return yield* Effect.forEach(
    children.toSorted(),
    (name) =>
      Effect.map(zk.getData(`${board}/log/${name}`), ({ text }): Turn => {
        const [kind, sequence, who = ""] = text.split(" ")
        return { kind: kind === "shared" ? "shared" : "exclusive", sequence: Number(sequence), who }
      }),
    { concurrency: 32 }
  )
})

/**
 * No turn is missing, none was lost on the counter, and they came in the order of their numbers; of shared ones between
 * two exclusive ones the order is free. Gives how often the lock went from one side to the other.
 */
export const checkBoard = Effect.fnUntraced(function*(zk: ZkClient.ZkClient, board: string, expected: number) {
  const turns = yield* readLog(zk, board)
  assert.strictEqual(turns.length, expected)
  assert.strictEqual(new Set(turns.map(({ sequence }) => sequence)).size, expected)
  const exclusive = turns.filter(({ kind }) => kind === "exclusive").length
  assert.strictEqual((yield* zk.getData(`${board}/counter`)).text, String(exclusive))
  let newest = -1
  let newestExclusive = -1
  for (const { kind, sequence } of turns) {
    assert.isAbove(sequence, kind === "exclusive" ? newest : newestExclusive)
    newest = Math.max(newest, sequence)
    if (kind === "exclusive") newestExclusive = sequence
  }
  return turns.filter(({ who }, index) => index > 0 && who !== turns[index - 1]?.who).length
})
