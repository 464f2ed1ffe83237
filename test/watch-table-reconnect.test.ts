/** The table of watches alone: old servers, lost connections, ends, and what a new connection has to set. */
import { assert, describe, it } from "@effect/vitest"
import { watchBatches } from "../src/internal/session/reconnect.ts"
import { SessionClosed, SessionExpired } from "../src/ZkError.ts"
import { makeTable, nothingToSet, p } from "./support/watchTableRig.ts"

const outcome = { operation: "watch", path: "", maybeApplied: false }
const expired = new SessionExpired({ ...outcome, sessionId: 1n })
const closed = new SessionClosed(outcome)

describe("a server that cannot take back a persistent watch alone", () => {
  it("is asked for everything on the path once nobody is left [E11]", () => {
    const { answer, arm, commands, table } = makeTable()
    table.remove(arm("persistent"))
    answer()
    assert.deepStrictEqual(commands(), [`remove any ${p}`])
    // Known from now on, until the next connection.
    const [persistent, data] = [arm("persistent", "/q"), arm("data", "/q")]
    table.remove(persistent)
    assert.deepStrictEqual(commands(), [])
    table.remove(data)
    assert.deepStrictEqual(commands(), ["remove any /q"])
    table.onDisconnect()
    table.remove(arm("recursive"))
    assert.deepStrictEqual(commands(), [`remove persistentRecursive ${p}`])
  })

  it("keeps its watch for a subscriber that came back meanwhile [E13]", () => {
    const { answer, arm, commands, table } = makeTable()
    table.remove(arm("persistent"))
    const again = arm("persistent")
    answer()
    assert.deepStrictEqual(commands(), [])
    table.remove(again)
    assert.deepStrictEqual(commands(), [`remove any ${p}`])
  })

  it("is told again what the path has when a one-shot watch was set meanwhile [E11] [E13]", () => {
    const { answer, arm, commands, event, table } = makeTable()
    table.remove(arm("persistent"))
    const data = arm("data")
    // The refusal: the persistent watch was there all the time, and the one-shot watch has made it one-shot.
    answer()
    assert.deepStrictEqual(commands(), [`add persistent ${p}`])
    assert.isFalse(table.arming("child", p), "the path has a persistent watch again")
    table.answered("child", p, false, undefined, false)
    event("dataChanged")
    assert.strictEqual(data.heard.length, 1)
    assert.deepStrictEqual(commands(), [`remove any ${p}`])
  })

  it("goes by the recursive watch while the path has one of either mode", () => {
    const { answer, arm, commands, table } = makeTable()
    const [recursive, persistent] = [arm("recursive"), arm("persistent")]
    table.remove(persistent)
    answer()
    assert.deepStrictEqual(commands(), [], "the recursive one is what the server has")
    table.remove(arm("persistent"))
    assert.deepStrictEqual(commands(), [])
    table.remove(recursive)
    assert.deepStrictEqual(commands(), [`remove any ${p}`])
  })

  it("needs no more than the plain watch set when the recursive one goes first", () => {
    const { answer, arm, commands, table } = makeTable()
    const [recursive, persistent] = [arm("recursive"), arm("persistent")]
    table.remove(recursive)
    answer()
    answer()
    assert.isFalse(table.isArmed("recursive", p))
    assert.deepStrictEqual(commands(), [])
    table.remove(persistent)
    assert.deepStrictEqual(commands(), [`remove any ${p}`])
  })
})

describe("a late answer", () => {
  it("of an old connection means nothing to a new one [E13]", () => {
    const { answer, arm, commands, reconnect, table } = makeTable()
    table.remove(arm("persistent"))
    table.onDisconnect()
    const again = arm("persistent")
    answer()
    reconnect()
    assert.deepStrictEqual(commands(), [])
    table.remove(again)
    assert.deepStrictEqual(commands(), [`remove persistent ${p}`], "nothing is known of the new server")
  })
})

describe("a new connection", () => {
  it("sets what is watched, absent nodes by themselves, and nothing that is over [E2] [E6]", () => {
    const { arm, event, table } = makeTable()
    arm("data", "/data")
    arm("data", "/absent", true)
    arm("child", "/child")
    arm("persistent", "/persistent")
    arm("recursive", "/recursive")
    table.remove(arm("data", "/removed"))
    arm("data", "/fired")
    event("dataChanged", "/fired")
    table.arming("data", "/under-way")
    table.onDisconnect()
    assert.deepStrictEqual(table.rearming(), {
      data: ["/data"],
      exist: ["/absent"],
      child: ["/child"],
      persistent: ["/persistent"],
      recursive: ["/recursive"]
    })
  })

  it("tells persistent watchers alone that they may have missed something [E3] [E17]", () => {
    const { arm, event, reconnect } = makeTable()
    const [data, persistent, recursive] = [arm("data"), arm("persistent"), arm("recursive", "/r")]
    reconnect()
    assert.deepStrictEqual([data.heard, persistent.heard, recursive.heard], [[], ["reconnected"], ["reconnected"]])
    event("dataChanged")
    assert.deepStrictEqual(data.heard, [`dataChanged ${p}`])
  })

  it("does not double anything, however often it comes [RE-12]", () => {
    const { arm, event, reconnect } = makeTable()
    const [child, recursive] = [arm("child"), arm("recursive")]
    for (let i = 0; i < 5; i++) {
      assert.deepStrictEqual(reconnect(), { ...nothingToSet, child: [p], recursive: [p] })
    }
    recursive.heard.length = 0
    event("created", "/p/a")
    assert.deepStrictEqual([child.heard, recursive.heard], [[`childrenChanged ${p}`], ["created /p/a"]])
  })

  it("brings missed events before it is done, which use up what they fire", () => {
    const { arm, commands, event, table } = makeTable()
    const data = arm("data")
    table.onDisconnect()
    table.rearming()
    event("dataChanged")
    assert.deepStrictEqual(data.heard, [`dataChanged ${p}`])
    table.rearmed("reconnected")
    table.remove(data)
    assert.deepStrictEqual(commands(), [], "the server has none any more")
  })

  it("makes ChildrenChanged out of events that come before it is done [E10]", () => {
    const { arm, event, table } = makeTable()
    arm("recursive")
    const child = arm("child")
    table.onDisconnect()
    table.rearming()
    event("created", "/p/a")
    assert.deepStrictEqual(child.heard, [`childrenChanged ${p}`])
  })

  it("has taken back what was given up while it was made [E12]", () => {
    const { arm, commands, table } = makeTable()
    const [data, kept, recursive] = [arm("data"), arm("data", "/kept"), arm("recursive", "/r")]
    table.onDisconnect()
    table.rearming()
    table.remove(data)
    table.remove(recursive)
    assert.deepStrictEqual(commands(), [], "nobody knows yet what the server has")
    table.rearmed("reconnected")
    assert.deepStrictEqual(commands(), [`remove data ${p}`, "remove persistentRecursive /r"])
    assert.deepStrictEqual(kept.heard, [])
  })

  it("does not hit the persistent watch of a path with what it takes back [E11]", () => {
    const { arm, commands, table } = makeTable()
    const [persistent, data] = [arm("persistent"), arm("data")]
    table.onDisconnect()
    table.rearming()
    table.remove(data)
    table.rearmed("reconnected")
    assert.deepStrictEqual(commands(), [])
    assert.deepStrictEqual(persistent.heard, ["reconnected"])
  })

  it("does not ask for what was given up while there was none [E12]", () => {
    const { arm, commands, table } = makeTable()
    const data = arm("data")
    table.onDisconnect()
    table.remove(data)
    assert.deepStrictEqual([commands(), table.rearming()], [[], nothingToSet])
  })
})

describe("the end", () => {
  it("of a session ends one-shot watchers, and persistent ones only if they said so [E16] [RE-11]", () => {
    const { arm, table, watcher } = makeTable()
    const [data, child, persistent] = [arm("data"), arm("child"), arm("persistent")]
    const bound = watcher("persistent", "/bound", true)
    table.arming("persistent", "/bound")
    table.answered("persistent", "/bound", true, bound, false)
    table.onDisconnect()
    table.onExpired(expired)
    assert.deepStrictEqual(table.rearming(), { ...nothingToSet, persistent: [p] })
    table.rearmed("newSession")
    table.onExpired(expired)
    for (const { heard } of [data, child, bound]) assert.deepStrictEqual(heard, ["SessionExpired"])
    assert.deepStrictEqual(persistent.heard, ["newSession"])
  })

  it("of a client ends everybody, once [E16]", () => {
    const { arm, table } = makeTable()
    const all = [arm("data"), arm("child"), arm("persistent"), arm("recursive")]
    table.onDisconnect()
    table.onClosed(closed)
    table.onClosed(closed)
    for (const { heard } of all) assert.deepStrictEqual(heard, ["SessionClosed"])
    assert.strictEqual(table.size, 0)
  })
})

describe("batches", () => {
  const paths = (count: number, length: number, mark: string) =>
    Array.from({ length: count }, (_, i) => `/${mark}${String(i).padStart(length - 2, "0")}`)

  it("hold 128 KiB each, all of them relative to the same transaction [E5] [RE-07]", () => {
    const watched = {
      data: paths(4000, 100, "d"),
      exist: paths(1000, 100, "e"),
      child: paths(10, 50, "c"),
      persistent: paths(2, 30, "p"),
      recursive: paths(2, 30, "r")
    }
    const batches = watchBatches(watched, 77n)
    assert.strictEqual(batches.length, 4)
    const all = { ...nothingToSet } as { [list: string]: Array<string> }
    for (const batch of batches) {
      assert.strictEqual(batch.relativeZxid, 77n)
      let size = 0
      for (const [list, part] of Object.entries(batch.paths)) {
        all[list] = [...all[list]!, ...part]
        for (const path of part) size += 4 + path.length
      }
      assert.isAtMost(size, 128 * 1024)
    }
    assert.deepStrictEqual(all, watched)
  })

  it("count bytes, not characters, and let a path that is too long for one travel alone", () => {
    const umlauts = `/${"ä".repeat(40_000)}`
    const huge = `/${"x".repeat(200_000)}`
    assert.strictEqual(watchBatches({ ...nothingToSet, data: [umlauts, umlauts] }, 1n).length, 2)
    assert.strictEqual(watchBatches({ ...nothingToSet, data: ["/a", huge, "/b"] }, 1n).length, 3)
    assert.deepStrictEqual(watchBatches(nothingToSet, 1n), [])
  })

  it("set persistent watches after one-shot ones of the same path, which would end them", () => {
    const data = paths(2000, 100, "d")
    const batches = watchBatches({ ...nothingToSet, data: [...data, p], recursive: [p] }, 1n)
    assert.isAbove(batches.length, 1)
    assert.deepStrictEqual(batches.at(-1)?.paths.recursive, [p])
    assert.isTrue(batches.slice(0, -1).every(({ paths }) => paths.recursive.length === 0))
  })
})
