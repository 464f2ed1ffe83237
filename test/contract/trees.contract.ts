import { assert, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import type * as ZkClient from "../../src/ZkClient.ts"
import { failsWith } from "../support/failsWith.ts"
import { makeRoot, statOf } from "./roots.ts"

/** What every engine has to do with subtrees, whatever the node that is `/` to the client. */
export const suite = (name: string, client: Layer.Layer<ZkClient.ZkClient, unknown>): void =>
  layer(client, { excludeTestServices: true })(name, (it) => {
    it.effect("makes missing parents, as often as it is asked to [CRUD-11] [K15]", () =>
      Effect.gen(function*() {
        const { root, zk } = yield* makeRoot
        const deep = `${root}/a/b/c/d`
        yield* Effect.forEach(Array.from({ length: 20 }), () => zk.ensurePath(deep), { concurrency: "unbounded" })
        yield* zk.ensurePath(deep)
        assert.strictEqual(yield* zk.getAllChildrenNumber(root), 4)
        assert.strictEqual((yield* statOf(zk, deep)).version, 0)
        yield* failsWith(zk.create(deep, null, { parents: true }), "NodeExists")
        const made = yield* zk.create(`${root}/e/f/n-`, "x", { parents: true, mode: "ephemeralSequential" })
        assert.strictEqual(made.path, `${root}/e/f/n-0000000000`)
        assert.strictEqual((yield* statOf(zk, `${root}/e/f`)).ephemeralOwner, 0n)
        yield* failsWith(zk.ensurePath("relative"), "InvalidPath")
        yield* failsWith(zk.create("relative", null, { parents: true }), "InvalidPath")
      }))

    it.effect("makes missing parents again while somebody deletes them [G5] [K18]", () =>
      Effect.gen(function*() {
        const { root, zk } = yield* makeRoot
        let deleted = 0
        const vandal = Effect.gen(function*() {
          while (deleted < 10) {
            const { fired, result } = yield* zk.existsWatch(`${root}/p`)
            if (Option.isNone(result)) yield* fired
            // Too late when the child has been made by then.
            const outcome = yield* Effect.result(zk.delete(`${root}/p`))
            if (Result.isSuccess(outcome)) deleted++
            else if (outcome.failure._tag === "NotEmpty") return
          }
        })
        const fiber = yield* Effect.forkChild(Effect.scoped(vandal), { startImmediately: true })
        yield* zk.create(`${root}/p/x`, null, { parents: true })
        yield* Fiber.join(fiber)
        assert.isAbove(deleted, 0)
        assert.deepStrictEqual(yield* Stream.runCollect(zk.walk(root)), [root, `${root}/p`, `${root}/p/x`])
      }))

    it.effect("deletes a subtree and nothing beside it [CRUD-15] [K25]", () =>
      Effect.gen(function*() {
        const { root, zk } = yield* makeRoot
        yield* zk.ensurePath(`${root}/a/b/c/d`)
        yield* zk.ensurePath(`${root}/a/bb`)
        yield* zk.deleteRecursive(`${root}/a/b`)
        assert.deepStrictEqual(yield* Stream.runCollect(zk.walk(root)), [root, `${root}/a`, `${root}/a/bb`])
        assert.strictEqual((yield* failsWith(zk.deleteRecursive(`${root}/a/b`), "NoNode")).path, `${root}/a/b`)
        yield* failsWith(zk.deleteRecursive("/"), "InvalidInput")
      }))

    it.effect("deletes a subtree only if its root has the version that was given [K26]", () =>
      Effect.gen(function*() {
        const { root, zk } = yield* makeRoot
        yield* zk.ensurePath(`${root}/a/b/c`)
        yield* zk.setData(`${root}/a`, "x")
        const error = yield* failsWith(zk.deleteRecursive(`${root}/a`, { version: 0 }), "BadVersion")
        assert.deepStrictEqual([error.path, error.expected], [`${root}/a`, 0])
        assert.strictEqual(yield* zk.getAllChildrenNumber(root), 3)
        yield* zk.deleteRecursive(`${root}/a`, { version: 1 })
        assert.strictEqual(yield* zk.getAllChildrenNumber(root), 0)
        yield* failsWith(zk.deleteRecursive(`${root}/a`, { version: 0 }), "NoNode")
      }))

    it.effect("deletes a subtree that others put children into, or says that it is not empty [G6] [K27]", () =>
      Effect.gen(function*() {
        const { root, zk } = yield* makeRoot
        let created = 0
        const others = zk.create(`${root}/a/x-`, null, { mode: "persistentSequential" }).pipe(
          Effect.tap(() => Effect.sync(() => created++)),
          Effect.ignore,
          Effect.forever
        )
        const deleting = Effect.gen(function*() {
          for (let i = 0; i < 20; i++) {
            yield* zk.ensurePath(`${root}/a/b`)
            const outcome = yield* Effect.result(zk.deleteRecursive(`${root}/a`))
            if (Result.isFailure(outcome)) assert.strictEqual(outcome.failure._tag, "NotEmpty")
          }
        })
        yield* Effect.raceFirst(deleting, others)
        assert.isAbove(created, 0)
        yield* zk.ensurePath(`${root}/a`)
        yield* zk.deleteRecursive(`${root}/a`)
        assert.strictEqual(yield* zk.getAllChildrenNumber(root), 0)
      }))

    it.effect("walks a tree level by level, the root first [CRUD-18]", () =>
      Effect.gen(function*() {
        const { root, zk } = yield* makeRoot
        yield* zk.ensurePath(`${root}/a/b/c`)
        yield* zk.ensurePath(`${root}/d/e`)
        const paths = yield* Stream.runCollect(zk.walk(root))
        const depths = paths.map((path) => path.split("/").length)
        assert.strictEqual(paths[0], root)
        assert.deepStrictEqual(depths, [...depths].sort((a, b) => a - b))
        assert.sameMembers(
          [...paths],
          [root, `${root}/a`, `${root}/d`, `${root}/a/b`, `${root}/d/e`, `${root}/a/b/c`]
        )
        assert.deepStrictEqual(yield* Stream.runCollect(Stream.take(zk.walk(root), 1)), [root])
      }))
  })
