/** Effect's KeyValueStore: the contract that its own stores keep, and what is special of ours. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { KeyValueStore } from "effect/persistence"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as ZkAcl from "../src/ZkAcl.ts"
import * as ZkClient from "../src/ZkClient.ts"
import * as ZkKeyValueStore from "../src/ZkKeyValueStore.ts"
import { on } from "./support/dictionaries.ts"
import { failsWith } from "./support/failsWith.ts"
import { pair } from "./support/mirroring.ts"
import { shared } from "./support/shared.ts"

const bytes = (text: string) => new TextEncoder().encode(text)

/** A store on the shared server, by way of its layer, and another client that looks on. */
const rig = Effect.gen(function*() {
  const { connectString } = yield* shared
  const { other, root } = yield* pair
  const live = ZkKeyValueStore.layer(`${root}/store`).pipe(Layer.provide(ZkClient.layer({ hosts: connectString })))
  const context = yield* Layer.build(live)
  const store = yield* Effect.provideContext(KeyValueStore.KeyValueStore, context)
  return { other, root: `${root}/store`, store, context }
})

describe("a KeyValueStore", () => {
  it.live("sets, gets, removes and clears [KVS-CONTRACT] [M1]", () =>
    Effect.gen(function*() {
      const { store } = yield* rig
      assert.strictEqual(yield* store.get("foo"), undefined)
      assert.strictEqual(yield* store.getUint8Array("foo"), undefined)
      assert.isTrue(yield* store.isEmpty)
      assert.isFalse(yield* store.has("foo"))
      yield* store.set("foo", "bar")
      assert.strictEqual(yield* store.get("foo"), "bar")
      assert.deepStrictEqual(yield* store.getUint8Array("foo"), bytes("bar"))
      assert.isTrue(yield* store.has("foo"))
      assert.isFalse(yield* store.isEmpty)
      assert.strictEqual(yield* store.size, 1)
      yield* store.set("foo", "")
      assert.strictEqual(yield* store.get("foo"), "")
      yield* store.set("bytes", Uint8Array.of(0, 255))
      assert.deepStrictEqual(yield* store.getUint8Array("bytes"), Uint8Array.of(0, 255))
      assert.sameMembers([...(yield* store.keys)], ["foo", "bytes"])
      yield* store.remove("foo")
      yield* store.remove("foo")
      assert.isFalse(yield* store.has("foo"))
      yield* store.clear
      assert.strictEqual(yield* store.size, 0)
      assert.deepStrictEqual(yield* store.keys, [])
    }))

  it.live("modifies what is there [KVS-CONTRACT]", () =>
    Effect.gen(function*() {
      const { store } = yield* rig
      let calls = 0
      assert.strictEqual(yield* store.modify("foo", () => `${++calls}`), undefined)
      assert.strictEqual(yield* store.modifyUint8Array("foo", () => Uint8Array.of(++calls)), undefined)
      assert.strictEqual(calls, 0)
      assert.isTrue(yield* store.isEmpty)
      yield* store.set("foo", "bar")
      assert.strictEqual(yield* store.modify("foo", (value) => `${value}!`), "bar!")
      assert.strictEqual(yield* store.get("foo"), "bar!")
      assert.deepStrictEqual(yield* store.modifyUint8Array("foo", (value) => value.slice(1)), bytes("ar!"))
      assert.strictEqual(yield* store.get("foo"), "ar!")
    }))

  it.live("takes any texts as keys and values, and gives them back [KVS-TEXTS]", () =>
    Effect.gen(function*() {
      const { other, root, store } = yield* rig
      const texts = ["", "/", "a/b/../c", ".", "%2F", "😀 š☃", "\u0000", "\ufeffmarked", "__proto__"]
      for (const text of texts) yield* store.set(text, text)
      yield* store.set("\ud800", "half a key")
      for (const text of texts) {
        assert.strictEqual(yield* store.get(text), text)
        assert.strictEqual(yield* store.modify(text, (value) => value), text)
        assert.deepStrictEqual(yield* store.getUint8Array(text), bytes(text))
      }
      assert.sameMembers([...(yield* store.keys)], [...texts, "\ud800"])
      // As they are, so that others can read them.
      assert.strictEqual((yield* other.getData(`${root}/a%2Fb%2F..%2Fc`)).text, "a/b/../c")
    }))

  it.live("has views with a prefix, and schemas [KVS-CONTRACT]", () =>
    Effect.gen(function*() {
      const { context, store } = yield* rig
      const users = KeyValueStore.prefix(store, "users/")
      const people = KeyValueStore.toSchemaStore(users, Schema.Struct({ name: Schema.String, age: Schema.Number }))
      yield* store.set("other", "1")
      yield* people.set("100", { name: "foo", age: 1 })
      assert.strictEqual(yield* users.get("100"), `{"name":"foo","age":1}`)
      assert.deepStrictEqual(yield* users.keys, ["100"])
      assert.strictEqual(yield* users.size, 1)
      yield* users.clear
      assert.deepStrictEqual(yield* store.keys, ["other"])
      const program = KeyValueStore.KeyValueStore.use((service) => service.get("other"))
      assert.strictEqual(yield* Effect.provideContext(program, context), "1")
    }))

  it.live("gives bytes of which each are one's own [KVS-TEXTS] [M49]", () =>
    Effect.gen(function*() {
      const { store } = yield* rig
      yield* store.set("a", Uint8Array.of(1))
      const got = yield* store.getUint8Array("a")
      got![0] = 2
      assert.deepStrictEqual(yield* store.getUint8Array("a"), Uint8Array.of(1))
    }))

  it.live("loses nothing of what several modify at once [KVS-MODIFY]", () =>
    Effect.gen(function*() {
      const { root, store } = yield* rig
      const { other } = yield* pair
      const theirs = yield* on(other)(ZkKeyValueStore.make(root))
      yield* store.set("n", "0")
      const count = (value: string) => `${Number(value) + 1}`
      yield* Effect.forEach(
        Array.from({ length: 40 }, (_, i) => i % 2 === 0 ? store : theirs),
        (each) => each.modify("n", count),
        { concurrency: 4, discard: true }
      )
      yield* store.modify("n", (value) => value)
      assert.strictEqual(yield* store.get("n"), "40")
    }))

  it.live("fails with the errors of stores, with ours as their cause [KVS-ERRORS]", () =>
    Effect.gen(function*() {
      const { other, root, zk } = yield* pair
      yield* other.addAuth({ scheme: "digest", credential: Redacted.make("a:b") })
      const acl = [ZkAcl.digest("a", Redacted.make("b"))]
      yield* other.create(`${root}/secret`, "x", { acl })
      const store = yield* on(zk)(ZkKeyValueStore.make(root))
      const uses: ReadonlyArray<readonly [string, Effect.Effect<unknown, KeyValueStore.KeyValueStoreError>]> = [
        ["get", store.get("secret")],
        ["getUint8Array", store.getUint8Array("secret")],
        ["set", store.set("secret", "y")],
        ["modify", store.modify("secret", (value) => value)],
        ["modifyUint8Array", store.modifyUint8Array("secret", (value) => value)]
      ]
      for (const [method, use] of uses) {
        const error = yield* failsWith(use, "KeyValueStoreError")
        assert.deepStrictEqual([error.method, error.key], [method, "secret"])
        const cause = error.cause as { readonly _tag: string; readonly message: string }
        assert.deepStrictEqual([cause._tag, error.message], ["NoAuth", cause.message])
      }
      // Who may not write the root's children may not remove them.
      yield* other.setAcl(root, [...acl, ...ZkAcl.readAcl])
      assert.strictEqual((yield* failsWith(store.remove("secret"), "KeyValueStoreError")).method, "remove")
      const cleared = yield* failsWith(store.clear, "KeyValueStoreError")
      assert.deepStrictEqual([cleared.method, cleared.key], ["clear", undefined])
      yield* failsWith(on(zk)(ZkKeyValueStore.make(`${root}/secret/x`, { createRoot: true })), "NoAuth")
    }))
})
