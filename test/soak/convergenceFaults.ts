/** What breaks during `npm run convergence`. Each fault is over when it has really happened, and the client is back. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { ZkClient } from "../../src/ZkClient.ts"
import { expireSession } from "../support/expire.ts"
import type { FramePattern, NetworkEvent, ProxiedServerHandle, RuleHandle } from "../support/proxy.ts"
import { type RigError, rigError } from "../support/rigError.ts"
import { sleep } from "../support/wait.ts"

type Fault = (chance: () => number) => Effect.Effect<unknown, RigError>

export interface Faults {
  /** So many of them: each kind once, in any order, then as it comes. */
  readonly plan: (count: number) => ReadonlyArray<string>
  /** Goes on after a while, or at once. */
  readonly strike: (kind: string, pauses: boolean) => Effect.Effect<void, RigError>
  readonly connections: () => number
  readonly sessions: () => number
  readonly frames: () => number
}

const writes = ["create", "setData", "multi", "delete"] as const

/** Longer than any fault takes: what is waited for is the next request of a kind. */
const within = 30_000

export const makeFaults = (
  { proxy, server }: ProxiedServerHandle,
  zk: ZkClient,
  chance: () => number,
  sessionTimeout: number
): Effect.Effect<Faults, never, Scope.Scope> =>
  Effect.gen(function*() {
    let session: { readonly sessionId: bigint; readonly password: Uint8Array } | undefined
    const sessions = new Set<bigint>()
    let connections = 0
    let frames = 0
    const onEvent = (event: NetworkEvent): void => {
      if (event.type === "open") connections++
      if (event.type !== "frame") return
      frames++
      if (event.session === undefined || event.session.timeout <= 0) return
      session = event.session
      sessions.add(event.session.sessionId)
    }
    for (const event of proxy.events) onEvent(event)
    yield* proxy.onEvent(onEvent)

    const isBack = zk.stateChanges.pipe(Stream.filter((state) => state._tag === "Connected"), Stream.runHead)
    /** A connection that was made after this began, and is in use. */
    const reconnected = (breaks: Effect.Effect<unknown, RigError>) =>
      Effect.gen(function*() {
        const since = yield* proxy.position
        yield* breaks
        yield* proxy.awaitEvent(
          (event) => event.type === "frame" && event.session !== undefined && event.session.timeout > 0,
          { since, within }
        )
        yield* isBack
      })
    const fired = (rule: Effect.Effect<RuleHandle>) => reconnected(Effect.flatMap(rule, ({ fired }) => fired))
    const swallow = (pattern: FramePattern) => fired(proxy.swallowReply(pattern))

    const kinds: Readonly<Record<string, readonly [weight: number, fault: Fault]>> = {
      cut: [25, () => reconnected(proxy.cutAll)],
      reset: [10, () => reconnected(proxy.resetAll)],
      "cut before an event": [12, () => fired(proxy.rule({ kind: "event" }, "cut"))],
      "cut after an event": [8, () => fired(proxy.rule({ kind: "event" }, "passThenCut"))],
      "cut inside an answer": [8, (chance) =>
        fired(
          proxy.rule({ kind: "reply", op: "getData" }, { firstBytes: 1 + Math.floor(chance() * 60) })
        )],
      "data swallowed": [8, () => swallow({ op: "getData" })],
      "names swallowed": [8, () => swallow({ op: "getChildren2" })],
      "watches swallowed": [5, () =>
        reconnected(Effect.gen(function*() {
          const rule = yield* proxy.swallowReply({ op: ["setWatches", "setWatches2"] })
          yield* proxy.cutAll
          yield* rule.fired
        }))],
      "write swallowed": [12, () => swallow({ op: writes })],
      // The next answer shows that one is missing.
      "answer left out": [5, () => fired(proxy.swallowReply({ op: "getData" }, "keep"))],
      freeze: [12, (chance) =>
        Effect.gen(function*() {
          yield* proxy.freeze
          yield* Effect.promise(() => sleep(20 + chance() * sessionTimeout * 1.2))
          yield* proxy.heal
          yield* isBack
        })],
      expiry: [15, () =>
        reconnected(Effect.suspend(() =>
          session === undefined ? Effect.fail(rigError("there was no session")) : expireSession(server, session)
        ))]
    }
    const names = Object.keys(kinds)
    const total = names.reduce((sum, name) =>
      sum + kinds[name]![0], 0)
    const pick = (): string => {
      let at = chance() * total
      return names.find((name) =>
        (at -= kinds[name]![0]) < 0
      ) ?? names[0]!
    }
    return {
      plan: (count) => {
        const order = names.map((name) => [chance(), name] as const).sort(([a], [b]) => a - b).map(([, name]) => name)
        return [...order, ...Array.from({ length: Math.max(0, count - order.length) }, pick)].slice(0, count)
      },
      strike: (kind, pauses) =>
        Effect.gen(function*() {
          // What was seen so far is of no use, and fills the memory.
          yield* proxy.forget
          yield* kinds[kind]![1](chance)
          // Time for most, not for all of what a new connection brings.
          if (pauses) yield* Effect.promise(() => sleep(chance() < 0.7 ? 150 + chance() * 350 : chance() * 80))
        }),
      connections: () => connections,
      sessions: () => sessions.size,
      frames: () => frames
    }
  })
