import * as Effect from "effect/Effect"
import type * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as ZkClient from "../../src/ZkClient.ts"
import type { ValueDecodeError } from "../../src/ZkCodec.ts"
import * as ZkDict from "../../src/ZkDict.ts"
import type { QuotaExceeded } from "../../src/ZkError.ts"
import { pair } from "./mirroring.ts"

// What tests of dictionaries have in common.

/** For dictionaries that are made by way of this client. */
export const on = (client: ZkClient.ZkClient) => Effect.provideService(ZkClient.ZkClient, client)

/** Any dictionary, whatever it is kept in. */
export type AnyDict<V> = ZkDict.ZkDict<string, V, ValueDecodeError, ValueDecodeError | QuotaExceeded>

type Making<V> = Effect.Effect<AnyDict<V>, unknown, Scope.Scope>

export interface Place {
  /** A dictionary by way of our client. */
  readonly mine: <V, I>(value: Schema.Codec<V, I>) => Making<V>
  /** One of the same keys by way of another client, where there can be one. Its reads are live. */
  readonly theirs: <V, I>(value: Schema.Codec<V, I>) => Making<V>
}

/** What a dictionary can be kept in. */
export interface Kind {
  readonly name: string
  readonly isManual: boolean
  /** Whether others can have it as well. */
  readonly isShared: boolean
  readonly place: Effect.Effect<Place, unknown, Scope.Scope>
}

type Mode = "live" | "manual"

interface Options {
  readonly mode: Mode
  readonly key?: typeof ZkDict.escapedKey
}

type Make = <V, I>(root: string, value: Schema.Codec<V, I>, options: Options) => Effect.Effect<
  AnyDict<V>,
  unknown,
  ZkClient.ZkClient | Scope.Scope
>

const nodes: Make = (root, value, options) => ZkDict.make(root, { value, ...options })
const inDocument: Make = (path, value, options) => ZkDict.document(path, { value, ...options })

const withOthers = (
  name: string,
  make: Make,
  options: Options = { mode: "live" },
  view: (client: ZkClient.ZkClient, root: string) => Effect.Effect<readonly [ZkClient.ZkClient, string], unknown> = (
    client,
    root
  ) => Effect.succeed([client, `${root}/a/dict`])
): Kind => ({
  name,
  isManual: options.mode === "manual",
  isShared: true,
  place: Effect.gen(function*() {
    const { other, root, zk } = yield* pair
    const by = (client: ZkClient.ZkClient, options: Options) => <V, I>(value: Schema.Codec<V, I>) =>
      Effect.flatMap(view(client, root), ([seen, path]) => on(seen)(make(path, value, options)))
    return { mine: by(zk, options), theirs: by(other, { ...options, mode: "live" }) }
  })
})

const inMemory = (mode: Mode): Kind => ({
  name: `memory, ${mode}`,
  isManual: mode === "manual",
  isShared: false,
  place: Effect.succeed({
    mine: (value) => ZkDict.makeMemory({ value, mode }),
    theirs: () => Effect.die("nobody else sees it")
  })
})

const below = (client: ZkClient.ZkClient, root: string, path: string) =>
  Effect.map(client.chroot(`${root}/view`), (view) => [view, path] as const)

const { escapedKey } = ZkDict

export const kinds: ReadonlyArray<Kind> = [
  withOthers("nodes, live", nodes),
  withOthers("nodes, manual", nodes, { mode: "manual" }),
  withOthers("nodes, escaped keys", nodes, { mode: "live", key: escapedKey }),
  withOthers("nodes, in a view", nodes, { mode: "live" }, (client, root) => below(client, root, "/a/dict")),
  withOthers("nodes, the whole of a view", nodes, { mode: "live" }, (client, root) => below(client, root, "/")),
  withOthers("document, live", inDocument),
  withOthers("document, manual", inDocument, { mode: "manual" }),
  withOthers("document, escaped keys", inDocument, { mode: "live", key: escapedKey }),
  withOthers("document, the node of a view", inDocument, { mode: "live" }, (client, root) => below(client, root, "/")),
  inMemory("live"),
  inMemory("manual")
]
