import { assert, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as ZkAcl from "../../src/ZkAcl.ts"
import type * as ZkClient from "../../src/ZkClient.ts"
import type { BadVersion, MultiFailed, NotEmpty } from "../../src/ZkError.ts"
import * as ZkPath from "../../src/ZkPath.ts"
import * as ZkState from "../../src/ZkState.ts"
import * as ZkTransaction from "../../src/ZkTransaction.ts"
import { failsWith } from "../support/failsWith.ts"
import { makeRoot, statOf } from "./roots.ts"

type AnyError = ZkClient.CreateError | BadVersion | NotEmpty | MultiFailed

const sessionId = Effect.fnUntraced(function*(zk: ZkClient.ZkClient) {
  const state = yield* zk.state
  assert.isTrue(ZkState.isConnected(state))
  return ZkState.isConnected(state) ? state.sessionId : 0n
})

/** What every engine has to do with single nodes, whatever the node that is `/` to the client. */
export const suite = (name: string, client: Layer.Layer<ZkClient.ZkClient, unknown>): void =>
  layer(client, { excludeTestServices: true })(name, (it) => {
    // -- create, read, write, delete ----------------------------------------------------------------------------------

    it.effect("creates nodes, and says of missing ones that they are missing [CRUD-01] [K20]", () =>
      Effect.gen(function*() {
        const { root, zk } = yield* makeRoot
        const { path, stat } = yield* zk.create(`${root}/x`)
        assert.strictEqual(path, `${root}/x`)
        assert.deepStrictEqual(yield* zk.exists(`${root}/x`), Option.some(stat))
        assert.deepStrictEqual(yield* zk.exists(`${root}/y`), Option.none())
        assert.deepStrictEqual(yield* zk.exists(`${root}/y/z`), Option.none())
        assert.deepStrictEqual(yield* zk.getDataOption(`${root}/y`), Option.none())
      }))

    it.effect("names the very path that is missing [CRUD-02] [K17] [K21]", () =>
      Effect.gen(function*() {
        const { root, zk } = yield* makeRoot
        const missing = `${root}/foo/car`
        const operations: Record<string, Effect.Effect<unknown, AnyError>> = {
          create: zk.create(missing),
          getData: zk.getData(missing),
          getChildren: zk.getChildren(missing),
          setData: zk.setData(missing, "x"),
          getAcl: zk.getAcl(missing),
          setAcl: zk.setAcl(missing, ZkAcl.openAcl),
          getAllChildrenNumber: zk.getAllChildrenNumber(missing)
        }
        for (const [operation, effect] of Object.entries(operations)) {
          const error = yield* failsWith(effect, "NoNode")
          assert.deepStrictEqual({ operation: error.operation, path: error.path }, { operation, path: missing })
        }
        assert.strictEqual((yield* failsWith(zk.delete(missing), "NoNode")).path, missing)
        assert.strictEqual((yield* failsWith(Effect.scoped(zk.getDataWatch(missing)), "NoNode")).path, missing)
        assert.strictEqual((yield* failsWith(Effect.scoped(zk.getChildrenWatch(missing)), "NoNode")).path, missing)
        assert.strictEqual((yield* failsWith(Stream.runDrain(zk.walk(missing)), "NoNode")).path, missing)
      }))

    it.effect("creates a node only once [CRUD-03] [K17]", () =>
      Effect.gen(function*() {
        const { root, zk } = yield* makeRoot
        yield* zk.create(`${root}/x`, "first")
        const before = yield* zk.getData(`${root}/x`)
        const error = yield* failsWith(zk.create(`${root}/x`, "second"), "NodeExists")
        assert.deepStrictEqual([error.operation, error.path], ["create", `${root}/x`])
        const after = yield* zk.getData(`${root}/x`)
        assert.deepStrictEqual([after.text, after.stat], ["first", before.stat])
      }))

    it.effect("keeps data byte for byte, and tells no data from empty data [CRUD-05] [A5] [K21]", () =>
      Effect.gen(function*() {
        const { root, zk } = yield* makeRoot
        const bytes = Uint8Array.from({ length: 512 }, (_, i) => i & 0xff)
        yield* zk.create(`${root}/bytes`, bytes)
        assert.deepStrictEqual((yield* zk.getData(`${root}/bytes`)).data, Uint8Array.from(bytes))
        for (const [name, data] of [["null", null], ["empty", new Uint8Array(0)], ["none", undefined]] as const) {
          yield* zk.create(`${root}/${name}`, data)
          const read = yield* zk.getData(`${root}/${name}`)
          assert.deepStrictEqual(read.data, data ?? null)
          assert.deepStrictEqual([read.text, read.stat.dataLength], ["", 0])
        }
        yield* zk.setData(`${root}/null`, "")
        assert.deepStrictEqual((yield* zk.getData(`${root}/null`)).data, new Uint8Array(0))
        yield* zk.setData(`${root}/null`, null)
        assert.isNull((yield* zk.getData(`${root}/null`)).data)
        const [made] = yield* zk.multi([ZkTransaction.create(`${root}/m`), ZkTransaction.setData(`${root}/m`, "")])
        assert.deepStrictEqual((yield* zk.getData(made.path)).data, new Uint8Array(0))
      }))

    it.effect("gives text back as it was, and bytes that are the caller's own [K19]", () =>
      Effect.gen(function*() {
        const { root, zk } = yield* makeRoot
        const text = "žluťoučký 🦓 kůň\u0000"
        yield* zk.create(`${root}/x`, text)
        const read = yield* zk.getData(`${root}/x`)
        assert.strictEqual(read.text, text)
        read.data?.fill(0)
        assert.strictEqual((yield* zk.getData(`${root}/x`)).text, text)
      }))

    it.effect("deletes nodes without children only [CRUD-06] [K17]", () =>
      Effect.gen(function*() {
        const { root, zk } = yield* makeRoot
        yield* zk.create(`${root}/x`)
        yield* zk.create(`${root}/x/y`)
        assert.strictEqual((yield* failsWith(zk.delete(`${root}/x`), "NotEmpty")).path, `${root}/x`)
        yield* zk.delete(`${root}/x/y`)
        yield* zk.delete(`${root}/x`)
        assert.strictEqual((yield* failsWith(zk.delete(`${root}/x`), "NoNode")).path, `${root}/x`)
        yield* zk.ensureAbsent(`${root}/x`)
      }))

    it.effect("gives ephemeral nodes no children [CRUD-07] [K17]", () =>
      Effect.gen(function*() {
        const { root, zk } = yield* makeRoot
        yield* zk.create(`${root}/e`, null, { mode: "ephemeral" })
        for (const mode of ["persistent", "ephemeral", "persistentSequential"] as const) {
          const error = yield* failsWith(zk.create(`${root}/e/x`, null, { mode }), "NoChildrenForEphemerals")
          assert.strictEqual(error.path, `${root}/e/x`)
        }
      }))

    it.effect("makes nodes of every mode [K16] [VER-04]", () =>
      Effect.gen(function*() {
        const { root, zk } = yield* makeRoot
        const id = yield* sessionId(zk)
        const modes: ReadonlyArray<readonly [ZkTransaction.CreateMode, owner: bigint, number: string]> = [
          ["persistent", 0n, ""],
          ["ephemeral", id, ""],
          ["container", 0n, ""],
          [{ ttl: "1 hour" }, 0n, ""],
          ["persistentSequential", 0n, "0000000004"],
          ["ephemeralSequential", id, "0000000005"],
          [{ ttl: "1 hour", sequential: true }, 0n, "0000000006"]
        ]
        for (const [index, [mode, owner, number]] of modes.entries()) {
          const name = `${root}/node-${index}-`
          const { path, stat } = yield* zk.create(name, "x", { mode })
          assert.strictEqual(path, name + number)
          // All 64 bits of it: session ids use the highest ones.
          assert.strictEqual(stat?.ephemeralOwner, owner)
          assert.deepStrictEqual(yield* zk.exists(path), Option.some(stat))
        }
      }))

    it.effect("numbers sequential nodes without a gap, in the order of the calls [CRUD-09]", () =>
      Effect.gen(function*() {
        const { root, zk } = yield* makeRoot
        const calls = Array.from({ length: 105 }, (_, i) => i)
        const nodes = yield* Effect.forEach(
          calls,
          (i) => zk.create(`${root}/n-`, String(i), { mode: "persistentSequential" }),
          { concurrency: "unbounded" }
        )
        assert.deepStrictEqual(nodes.map((node) => ZkPath.sequence(node.path)), calls)
        const read = yield* Effect.forEach(nodes, (node) => zk.getData(node.path), { concurrency: "unbounded" })
        assert.deepStrictEqual(read.map((node) => Number(node.text)), calls)
        assert.strictEqual(
          (yield* zk.create(`${root}/`, null, { mode: "persistentSequential" })).path,
          `${root}/0000000105`
        )
      }))

    it.effect("uses up no number for a transaction that is refused [CRUD-10]", () =>
      Effect.gen(function*() {
        const { root, zk } = yield* makeRoot
        const sequential = { mode: "persistentSequential" } as const
        const first = yield* zk.create(`${root}/n-`, null, sequential)
        const error = yield* failsWith(
          zk.multi([ZkTransaction.create(`${root}/n-`, null, sequential), ZkTransaction.check(`${root}/missing`)]),
          "MultiFailed"
        )
        assert.deepStrictEqual([error.index, error.cause._tag], [1, "NoNode"])
        const second = yield* zk.create(`${root}/n-`, null, sequential)
        assert.strictEqual(ZkPath.sequence(second.path), ZkPath.sequence(first.path)! + 1)
      }))

    it.effect("answers hundreds of operations in the order in which they were run [CRUD-21]", () =>
      Effect.gen(function*() {
        const { root, zk } = yield* makeRoot
        const done: Array<number> = []
        yield* Effect.forEach(
          Array.from({ length: 400 }, (_, i) => i),
          (i) => {
            const path = `${root}/${i >> 2}`
            const steps: ReadonlyArray<Effect.Effect<unknown, AnyError>> = [
              zk.create(path),
              zk.sync(path),
              zk.getChildren(path),
              zk.delete(path)
            ]
            return Effect.tap(steps[i & 3]!, () => Effect.sync(() => done.push(i)))
          },
          { concurrency: "unbounded", discard: true }
        )
        assert.deepStrictEqual(done, done.map((_, i) => i))
        assert.strictEqual(done.length, 400)
      }))

    it.effect("syncs any path, also one that does not exist [CRUD-20]", () =>
      Effect.gen(function*() {
        const { root, zk } = yield* makeRoot
        yield* zk.sync()
        yield* zk.sync("/")
        yield* zk.sync(root)
        yield* zk.sync(`${root}/missing`)
      }))

    it.effect("lists names, not paths, with the node's metadata [CRUD-24] [K23]", () =>
      Effect.gen(function*() {
        const { root, zk } = yield* makeRoot
        assert.deepStrictEqual((yield* zk.getChildren(root)).children, [])
        for (const name of ["a", "b", "c", "d"]) yield* zk.create(`${root}/${name}`)
        const { children, stat } = yield* zk.getChildren(root)
        assert.sameMembers([...children], ["a", "b", "c", "d"])
        assert.strictEqual(stat.numChildren, 4)
        assert.deepStrictEqual(stat, (yield* zk.getData(root)).stat)
      }))

    it.effect("lists its own ephemeral nodes below a path, by names and not by letters [CRUD-25] [G7]", () =>
      Effect.gen(function*() {
        const { root, zk } = yield* makeRoot
        yield* zk.create(`${root}/b`)
        yield* zk.create(`${root}/b/e`, null, { mode: "ephemeral" })
        yield* zk.create(`${root}/bc`, null, { mode: "ephemeral" })
        assert.deepStrictEqual(yield* zk.getEphemerals(`${root}/b`), [`${root}/b/e`])
        assert.deepStrictEqual(yield* zk.getEphemerals(`${root}/bc`), [`${root}/bc`])
        assert.sameMembers([...(yield* zk.getEphemerals(root))], [`${root}/b/e`, `${root}/bc`])
        assert.includeMembers([...(yield* zk.getEphemerals())], [`${root}/b/e`, `${root}/bc`])
        assert.deepStrictEqual(yield* zk.getEphemerals(`${root}/missing`), [])
        yield* failsWith(zk.getEphemerals("relative"), "InvalidPath")
      }))

    it.effect("counts what is below, on all levels [CRUD-26]", () =>
      Effect.gen(function*() {
        const { root, zk } = yield* makeRoot
        assert.strictEqual(yield* zk.getAllChildrenNumber(root), 0)
        yield* zk.ensurePath(`${root}/a/b/c`)
        yield* zk.create(`${root}/d`)
        assert.strictEqual(yield* zk.getAllChildrenNumber(root), 4)
      }))

    it.effect("creates or sets, also when two do so at once [CRUD-28]", () =>
      Effect.gen(function*() {
        const { root, zk } = yield* makeRoot
        assert.strictEqual((yield* zk.createOrSet(`${root}/x`, "0")).version, 0)
        assert.strictEqual((yield* zk.createOrSet(`${root}/x`, "1")).version, 1)
        const both = Effect.all([zk.createOrSet(`${root}/a/b/c`, "1"), zk.createOrSet(`${root}/a/b/c`, "2")], {
          concurrency: "unbounded"
        })
        assert.sameMembers((yield* both).map((stat) => stat.version), [0, 1])
        assert.strictEqual((yield* statOf(zk, `${root}/a/b/c`)).version, 1)
      }))

    // -- versions and metadata ----------------------------------------------------------------------------------------

    it.effect("tells the metadata of a fresh node [VER-01] [VER-05] [K22]", () =>
      Effect.gen(function*() {
        const { root, zk } = yield* makeRoot
        const { path, stat } = yield* zk.create(`${root}/x`, "12345")
        assert.deepStrictEqual(yield* zk.exists(path), Option.some(stat))
        assert.isDefined(stat)
        const { ctime, czxid, mtime, mzxid, pzxid, ...rest } = stat!
        assert.deepStrictEqual(rest, {
          version: 0,
          cversion: 0,
          aversion: 0,
          ephemeralOwner: 0n,
          dataLength: 5,
          numChildren: 0
        })
        assert.isTrue(czxid > 0n && czxid === mzxid && czxid === pzxid)
        assert.strictEqual(ctime, mtime)
        assert.isBelow(Math.abs(Number(ctime) - Date.now()), 3_600_000)
        assert.isTrue((yield* zk.lastZxid) >= czxid)
      }))

    it.effect("tells of children in the metadata of their parent [VER-02]", () =>
      Effect.gen(function*() {
        const { root, zk } = yield* makeRoot
        const before = yield* statOf(zk, root)
        for (let n = 1; n <= 3; n++) {
          const child = yield* zk.create(`${root}/${n}`)
          const stat = yield* statOf(zk, root)
          assert.deepStrictEqual(stat, { ...before, cversion: n, numChildren: n, pzxid: child.stat!.czxid })
        }
      }))

    it.effect("tells of new data in the metadata [VER-03] [K24]", () =>
      Effect.gen(function*() {
        const { root, zk } = yield* makeRoot
        const before = yield* statOf(zk, root)
        const stat = yield* zk.setData(root, "1234")
        const read = yield* zk.getData(root)
        assert.deepStrictEqual(stat, read.stat)
        const { mtime, mzxid, ...rest } = stat
        assert.isTrue(mzxid > before.mzxid && mtime >= before.mtime)
        assert.deepStrictEqual({ ...before, ...rest }, { ...before, version: 1, dataLength: 4 })
        assert.strictEqual((yield* zk.setData(root, "12")).dataLength, 2)
      }))

    it.effect("changes only the version that was given, 0 included [VER-06] [D20] [K24]", () =>
      Effect.gen(function*() {
        const { root, zk } = yield* makeRoot
        const path = `${root}/x`
        yield* zk.create(path, "v0")
        const set = yield* failsWith(zk.setData(path, "no", { version: 57 }), "BadVersion")
        assert.deepStrictEqual([set.operation, set.path, set.expected], ["setData", path, 57])
        yield* failsWith(zk.delete(path, { version: 57 }), "BadVersion")
        yield* failsWith(zk.ensureAbsent(path, { version: 57 }), "BadVersion")
        const acl = yield* failsWith(zk.setAcl(path, ZkAcl.openAcl, { version: 57 }), "BadVersion")
        assert.deepStrictEqual([acl.operation, acl.expected], ["setAcl", 57])
        assert.deepStrictEqual([(yield* zk.getData(path)).text, (yield* statOf(zk, path)).version], ["v0", 0])
        assert.strictEqual((yield* zk.setData(path, "v1", { version: 0 })).version, 1)
        yield* failsWith(zk.setData(path, "no", { version: 0 }), "BadVersion")
        yield* failsWith(zk.delete(path, { version: 0 }), "BadVersion")
        assert.strictEqual((yield* zk.setData(path, "v2")).version, 2)
        assert.strictEqual((yield* zk.setAcl(path, ZkAcl.openAcl, { version: 0 })).aversion, 1)
        yield* failsWith(zk.setAcl(path, ZkAcl.openAcl, { version: 0 }), "BadVersion")
        yield* zk.delete(path, { version: 2 })
      }))

    it.effect("refuses versions that no node can have, and goes on [K28]", () =>
      Effect.gen(function*() {
        const { root, zk } = yield* makeRoot
        const id = yield* sessionId(zk)
        for (const version of [2 ** 31, -(2 ** 31) - 1, -1, 0.5, NaN, Infinity]) {
          const error = yield* failsWith(zk.setData(root, "no", { version }), "InvalidInput")
          assert.deepStrictEqual([error.operation, error.path], ["setData", root])
          yield* failsWith(zk.delete(root, { version }), "InvalidInput")
          yield* failsWith(zk.setAcl(root, ZkAcl.openAcl, { version }), "InvalidInput")
          yield* failsWith(zk.multi([ZkTransaction.check(root, { version })]), "InvalidInput")
        }
        yield* failsWith(zk.setData(root, "no", { version: 2 ** 31 - 1 }), "BadVersion")
        yield* failsWith(zk.setData(root, "no", { version: -(2 ** 31) }), "BadVersion")
        assert.strictEqual((yield* statOf(zk, root)).version, 0)
        assert.strictEqual(yield* sessionId(zk), id)
      }))

    it.effect("tells of a new ACL in the metadata, and gives both together [VER-08] [AUTH-16] [K56]", () =>
      Effect.gen(function*() {
        const { root, zk } = yield* makeRoot
        const before = yield* statOf(zk, root)
        assert.deepStrictEqual(yield* zk.getAcl(root), { acl: ZkAcl.openAcl, stat: before })
        const acl = [
          { perms: ZkAcl.Perms.read + ZkAcl.Perms.write, scheme: "ip", id: "127.0.0.1" },
          { perms: ZkAcl.Perms.all, scheme: "world", id: "anyone" }
        ]
        const stat = yield* zk.setAcl(root, acl)
        assert.deepStrictEqual(stat, { ...before, aversion: 1 })
        const read = yield* zk.getAcl(root)
        assert.sameDeepMembers([...read.acl], acl)
        assert.deepStrictEqual(read.stat, stat)
      }))

    // -- paths --------------------------------------------------------------------------------------------------------

    it.effect("takes unusual names as they are [PATH-06]", () =>
      Effect.gen(function*() {
        const { root, zk } = yield* makeRoot
        // The first two look alike.
        const names = ["\u00e4hm", "a\u0308hm", "this is", "路径", ".foo", "..f..", "f.", "good@path", "~", "\uffef"]
        for (const name of names) {
          const watch = yield* zk.existsWatch(`${root}/${name}`)
          assert.strictEqual((yield* zk.create(`${root}/${name}`)).path, `${root}/${name}`)
          const event = yield* watch.fired
          assert.deepStrictEqual([event._tag, event.path], ["NodeCreated", `${root}/${name}`])
        }
        assert.sameMembers([...(yield* zk.getChildren(root)).children], names)
      }).pipe(Effect.scoped))

    it.effect("refuses bad paths in every operation [PATH-02] [G1]", () =>
      Effect.gen(function*() {
        const { root, zk } = yield* makeRoot
        const bad = `${root}//x`
        const operations: Record<string, Effect.Effect<unknown, AnyError>> = {
          create: zk.create(bad),
          createProtected: zk.createProtected(bad),
          createOrSet: zk.createOrSet(bad, "x"),
          ensurePath: zk.ensurePath(bad),
          delete: zk.delete(bad),
          ensureAbsent: zk.ensureAbsent(bad),
          deleteRecursive: zk.deleteRecursive(bad),
          exists: zk.exists(bad),
          getData: zk.getData(bad),
          getDataOption: zk.getDataOption(bad),
          setData: zk.setData(bad, "x"),
          getChildren: zk.getChildren(bad),
          walk: Stream.runDrain(zk.walk(bad)),
          getAcl: zk.getAcl(bad),
          setAcl: zk.setAcl(bad, ZkAcl.openAcl),
          sync: zk.sync(bad),
          multi: zk.multi([ZkTransaction.check(root), ZkTransaction.create(bad)]),
          multiRead: zk.multiRead([ZkTransaction.getData(bad)]),
          getEphemerals: zk.getEphemerals(bad),
          getAllChildrenNumber: zk.getAllChildrenNumber(bad),
          getDataWatch: Effect.scoped(zk.getDataWatch(bad)),
          existsWatch: Effect.scoped(zk.existsWatch(bad)),
          getChildrenWatch: Effect.scoped(zk.getChildrenWatch(bad)),
          changes: Stream.runDrain(zk.changes(bad)),
          childrenChanges: Stream.runDrain(zk.childrenChanges(bad)),
          watch: Stream.runDrain(zk.watch(bad, "persistent")),
          subscribe: Effect.scoped(zk.subscribe(bad, "recursive")),
          chroot: zk.chroot(bad)
        }
        for (const [name, effect] of Object.entries(operations)) {
          const error = yield* failsWith(effect, "InvalidPath")
          assert.include(error.message, `${bad}`, name)
          assert.include(error.message, `index ${root.length + 1}`, name)
        }
      }))

    it.effect("lets the number complete the path of a sequential node [PATH-04]", () =>
      Effect.gen(function*() {
        const { root, zk } = yield* makeRoot
        const options = { mode: "persistentSequential" } as const
        for (const ending of ["/", "/.", "/.."]) {
          const { path } = yield* zk.create(`${root}${ending}`, null, options)
          assert.match(path, /\/\.{0,2}\d{10}$/)
          yield* failsWith(zk.create(`${root}${ending}`), "InvalidPath")
        }
        for (const ending of ["//", "/./", "/../"]) {
          yield* failsWith(zk.create(`${root}${ending}`, null, options), "InvalidPath")
        }
      }))

    // -- input that is no good ----------------------------------------------------------------------------------------

    it.effect("refuses arguments of the wrong form before anything is sent [AUTH-04] [AUTH-13]", () =>
      Effect.gen(function*() {
        const { root, zk } = yield* makeRoot
        assert.strictEqual(
          (yield* failsWith(zk.create(`${root}/x`, null, { acl: [] }), "InvalidAcl")).path,
          `${root}/x`
        )
        assert.strictEqual((yield* failsWith(zk.setAcl(root, []), "InvalidAcl")).operation, "setAcl")
        yield* failsWith(zk.setAcl(root, [{ perms: 31, scheme: "", id: "anyone" }]), "InvalidAcl")
        yield* failsWith(zk.setAcl(root, [{ perms: 31, scheme: "nobody-knows", id: "x" }]), "InvalidAcl")
        yield* failsWith(zk.setAcl(root, [{ perms: 31, scheme: "ip", id: "127.0.0.1/33" }]), "InvalidAcl")
        for (const perms of [32, -1, 0.5, NaN]) {
          yield* failsWith(zk.setAcl(root, [{ perms, scheme: "world", id: "anyone" }]), "InvalidInput")
        }
        for (const ttl of [0, -1, "1000000 hours", NaN] as const) {
          yield* failsWith(zk.create(`${root}/x`, null, { mode: { ttl } }), "InvalidInput")
        }
        assert.strictEqual((yield* statOf(zk, root)).aversion, 0)
        assert.deepStrictEqual((yield* zk.getChildren(root)).children, [])
      }))

    it.effect("refuses what is larger than the servers read, and goes on [A4] [K29]", () =>
      Effect.gen(function*() {
        const { root, zk } = yield* makeRoot
        const id = yield* sessionId(zk)
        const error = yield* failsWith(zk.setData(root, new Uint8Array(2 ** 20)), "RequestTooLarge")
        assert.deepStrictEqual([error.operation, error.path, error.limit], ["setData", root, 2 ** 20 - 1])
        assert.isAbove(error.size, 2 ** 20)
        yield* zk.setData(root, new Uint8Array(1_000_000))
        assert.strictEqual((yield* zk.getData(root)).data?.length, 1_000_000)
        assert.strictEqual(yield* sessionId(zk), id)
      }))
  })
