/** The table of watches alone: who is counted, and who hears what. */
import { assert, describe, it } from "@effect/vitest"
import { makeTable, nothingToSet, p } from "./support/watchTableRig.ts"

describe("counting", () => {
  it("takes the server's watch back with the last subscriber only [E12] [E14]", () => {
    const { arm, commands, table } = makeTable()
    for (const [kind, type] of [["data", "data"], ["child", "children"], ["persistent", "persistent"]] as const) {
      const [one, two] = [arm(kind), arm(kind)]
      table.remove(one)
      table.remove(one)
      assert.deepStrictEqual(commands(), [])
      table.remove(two)
      assert.deepStrictEqual(commands(), [`remove ${type} ${p}`])
    }
    const recursive = arm("recursive")
    table.remove(recursive)
    assert.deepStrictEqual(commands(), [`remove persistentRecursive ${p}`])
    assert.strictEqual(table.size, 0)
  })

  it("waits for requests under way before it takes a watch back", () => {
    const { arm, commands, table } = makeTable()
    const first = arm("data")
    table.arming("data", p)
    table.remove(first)
    assert.deepStrictEqual(commands(), [])
    // Nobody wants the second any more by the time it is answered.
    table.answered("data", p, true, undefined, false)
    assert.deepStrictEqual(commands(), [`remove data ${p}`])
  })

  it("registers nobody for a read that left no watch [E7]", () => {
    const { commands, event, table } = makeTable()
    assert.isTrue(table.arming("data", p))
    table.answered("data", p, false, undefined, false)
    event("created")
    assert.strictEqual(table.size, 0)
    assert.deepStrictEqual(commands(), [])
    assert.deepStrictEqual(table.rearming(), nothingToSet)
  })

  it("fires a one-shot watch once, and asks nothing of the server for it", () => {
    const { arm, commands, event, table } = makeTable()
    const [one, two] = [arm("data"), arm("data")]
    event("dataChanged")
    event("dataChanged")
    assert.deepStrictEqual([one.heard, two.heard], [[`dataChanged ${p}`], [`dataChanged ${p}`]])
    table.remove(one)
    assert.deepStrictEqual(commands(), [])
  })

  it("lets a deletion fire data and child watches, each once [E9]", () => {
    const { arm, event } = makeTable()
    const all = [arm("data"), arm("data", p, true), arm("child"), arm("child", "/p/below")]
    event("deleted")
    assert.deepStrictEqual(all.map(({ heard }) => heard), [[`deleted ${p}`], [`deleted ${p}`], [`deleted ${p}`], []])
  })

  it("keeps kinds apart: children do not fire data watches, data does not fire child watches", () => {
    const { arm, event } = makeTable()
    const [data, child] = [arm("data"), arm("child")]
    event("childrenChanged")
    assert.deepStrictEqual([data.heard, child.heard], [[], [`childrenChanged ${p}`]])
    const again = arm("child")
    event("dataChanged")
    assert.deepStrictEqual([data.heard, again.heard], [[`dataChanged ${p}`], []])
  })

  it("forgets an event for a path that nobody watches [E21]", () => {
    const { commands, event, table } = makeTable()
    for (const type of ["created", "deleted", "dataChanged", "childrenChanged"] as const) event(type, "/nobody")
    assert.deepStrictEqual([commands(), table.size], [[], 0])
  })
})

describe("a persistent watch", () => {
  it("serves one-shot watches of its path, which the server is not asked for [E11]", () => {
    const { arm, commands, event, table } = makeTable()
    const persistent = arm("persistent")
    assert.isFalse(table.arming("data", p))
    table.answered("data", p, false, undefined, false)
    const [data, child] = [arm("data"), arm("child")]
    event("dataChanged")
    event("childrenChanged")
    assert.deepStrictEqual(data.heard, [`dataChanged ${p}`])
    assert.deepStrictEqual(child.heard, [`childrenChanged ${p}`])
    assert.deepStrictEqual(persistent.heard, [`dataChanged ${p}`, `childrenChanged ${p}`])
    assert.deepStrictEqual(commands(), [])
  })

  it("is relied on from the moment it is written, and after it is gone no more [E11]", () => {
    const { arm, table } = makeTable()
    table.arming("persistent", p)
    assert.isFalse(table.arming("data", p))
    assert.isTrue(table.isCovered(p))
    table.answered("persistent", p, false, undefined, false)
    // The read's answer finds nobody to serve it: it has to be set by itself.
    assert.isFalse(table.isCovered(p))
    table.answered("data", p, false, arm("child"), false)
  })

  it("stays for the one-shot subscribers of its path, and goes with the last [E11]", () => {
    const { arm, commands, event, table } = makeTable()
    const persistent = arm("persistent")
    const [data, child] = [arm("data"), arm("child")]
    table.remove(persistent)
    assert.deepStrictEqual(commands(), [])
    event("dataChanged")
    assert.deepStrictEqual([data.heard, commands()], [[`dataChanged ${p}`], []])
    table.remove(child)
    assert.deepStrictEqual(commands(), [`remove persistent ${p}`])
  })

  it("stays in front of a one-shot watch that was there before it [E11]", () => {
    const { arm, commands, table } = makeTable()
    const data = arm("data")
    const persistent = arm("persistent")
    table.remove(data)
    assert.deepStrictEqual(commands(), [], "taking back the one would hit the other")
    table.remove(persistent)
    assert.deepStrictEqual(commands().sort(), [`remove data ${p}`, `remove persistent ${p}`])
  })

  it("hears of the node and its children, not of what is below", () => {
    const { arm, event } = makeTable()
    const persistent = arm("persistent")
    event("created")
    event("created", "/p/below")
    event("childrenChanged")
    event("deleted")
    assert.deepStrictEqual(persistent.heard, [`created ${p}`, `childrenChanged ${p}`, `deleted ${p}`])
  })
})

describe("a recursive watch", () => {
  it("hears of everything below, and never of children [E10]", () => {
    const { arm, event } = makeTable()
    const root = arm("recursive", "/")
    const recursive = arm("recursive")
    event("dataChanged")
    event("created", "/p/a/b")
    event("childrenChanged", "/p/a")
    event("deleted", "/pp")
    assert.deepStrictEqual(recursive.heard, [`dataChanged ${p}`, "created /p/a/b"])
    assert.deepStrictEqual(root.heard, [...recursive.heard, "deleted /pp"])
  })

  it("makes the ChildrenChanged that others on its path would have got [E10]", () => {
    const { arm, event } = makeTable()
    const [recursive, persistent, child] = [arm("recursive"), arm("persistent"), arm("child")]
    event("created", "/p/a")
    assert.deepStrictEqual([child.heard, persistent.heard], [[`childrenChanged ${p}`], [`childrenChanged ${p}`]])
    // A server from 3.9 on sends it too.
    event("childrenChanged")
    assert.deepStrictEqual(persistent.heard, [`childrenChanged ${p}`])
    event("dataChanged", "/p/a")
    event("created", "/p/a/b")
    event("deleted", "/p/a")
    assert.deepStrictEqual(persistent.heard, [`childrenChanged ${p}`, `childrenChanged ${p}`])
    assert.deepStrictEqual(recursive.heard.length, 4)
  })

  it("is what a persistent subscriber on its path asks for too [PW-15]", () => {
    const { arm, table } = makeTable()
    assert.isFalse(table.needsRecursive(p))
    table.arming("recursive", p)
    assert.isTrue(table.needsRecursive(p), "from the moment it is written")
    table.answered("recursive", p, true, undefined, false)
    assert.isFalse(table.needsRecursive(p), "nobody wanted it any more")
    const recursive = arm("recursive")
    assert.isTrue(table.needsRecursive(p))
    table.remove(recursive)
    assert.isFalse(table.needsRecursive(p))
  })

  it("becomes a persistent one when only those are left [PW-15]", () => {
    const { answer, arm, commands, event, table } = makeTable()
    const [recursive, persistent] = [arm("recursive"), arm("persistent")]
    table.remove(recursive)
    assert.isFalse(table.needsRecursive(p), "a persistent one that follows must not undo it")
    assert.isFalse(table.isArmed("recursive", p))
    event("created", "/p/a")
    assert.deepStrictEqual(persistent.heard, [`childrenChanged ${p}`])
    answer()
    assert.deepStrictEqual(commands(), [`remove persistentRecursive ${p}`])
    event("childrenChanged")
    assert.deepStrictEqual(persistent.heard, [`childrenChanged ${p}`, `childrenChanged ${p}`])
    table.remove(persistent)
    assert.deepStrictEqual(commands(), [`remove persistent ${p}`])
  })

  it("comes back while it is becoming a persistent one", () => {
    const { answer, arm, commands, table, watcher } = makeTable()
    const [recursive, persistent] = [arm("recursive"), arm("persistent")]
    table.remove(recursive)
    table.arming("recursive", p)
    assert.isTrue(table.needsRecursive(p))
    answer()
    // Between the two a server with one mode only watched in the other way.
    assert.deepStrictEqual(persistent.heard, ["reconnected"])
    const again = watcher("recursive")
    table.answered("recursive", p, true, again, false)
    assert.isTrue(table.isArmed("recursive", p))
    assert.deepStrictEqual(commands(), [])
  })

  it("goes from an old server too when the persistent one ends while it is becoming that [E12]", () => {
    const { answer, arm, commands, table } = makeTable()
    // What an old server answers to the first removal teaches the table that it is one.
    table.remove(arm("persistent", "/other"))
    answer()
    assert.deepStrictEqual(commands(), ["remove any /other"])
    const persistent = arm("persistent")
    const recursive = arm("recursive")
    table.remove(recursive)
    table.remove(persistent)
    // The answer to the request for a plain one, which nobody wants any more.
    answer()
    assert.deepStrictEqual(commands(), [`remove any ${p}`])
  })

  it("goes without a trace when the connection is lost while it becomes a persistent one", () => {
    const { answer, arm, reconnect, table } = makeTable()
    const recursive = arm("recursive")
    arm("persistent")
    table.remove(recursive)
    assert.deepStrictEqual(reconnect(), { ...nothingToSet, persistent: [p] })
    answer()
    assert.isTrue(table.isArmed("persistent", p))
    assert.isFalse(table.isArmed("recursive", p))
  })
})
