import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { connect, createServer, type Server, type Socket } from "node:net"
import { ProxyConnection } from "./proxyConnection.ts"
import { type Described, type Direction, type Frame, isPing, type NetworkEvent, showEvent } from "./proxyEvents.ts"
import { type Action, type FramePattern, matches, type Rule } from "./proxyRules.ts"
import { attempt, type RigError, rigError } from "./rigError.ts"
import { makeServer, type ServerHandle, type ServerOptions } from "./server.ts"
import { listen, listenAnywhere } from "./tcpLink.ts"
import { patience } from "./wait.ts"

export type { Direction, Frame, NetworkEvent } from "./proxyEvents.ts"
export { showEvent } from "./proxyEvents.ts"
export type { Action, FramePattern, Rule } from "./proxyRules.ts"

/** What happens to all frames of a direction that no rule speaks of. */
export type Mode = "pass" | "drop" | "bytes" | { readonly delay: number }

/**
 * What happens to new connections: `refuse` = nobody listens (ECONNREFUSED); `silent` = accepted, then nothing;
 * `close` and `reset` = accepted and ended at once.
 */
export type Accept = "accept" | "refuse" | "silent" | "close" | "reset"

export interface RuleHandle {
  /** The first frame that the rule is applied to; waits for it. */
  readonly fired: Effect.Effect<Frame, RigError>
  readonly count: Effect.Effect<number>
  readonly remove: Effect.Effect<void>
}

export interface ProxyStats {
  /** Accepted so far. */
  readonly connections: number
  /** Open now. */
  readonly open: number
  readonly frames: Readonly<Record<Direction, number>>
  /** Requests by operation (pings included). */
  readonly ops: Readonly<Record<string, number>>
  /** Requests that are no pings. */
  readonly requests: number
}

export interface Proxy {
  readonly port: number
  readonly connectString: string
  /** Everything that happened, in order. */
  readonly events: ReadonlyArray<NetworkEvent>
  /** How many events there are: pass it as `since` to look only at what comes after. */
  readonly position: Effect.Effect<number>
  /** The number that the next counted event gets: after a scenario, how many points it can be cut at. */
  readonly nextIndex: Effect.Effect<number>
  readonly stats: (since?: number) => Effect.Effect<ProxyStats>
  /** Frames that match, in order. */
  readonly frames: (pattern: FramePattern, since?: number) => Effect.Effect<ReadonlyArray<Frame>>
  /** The first frame that matches, past ones included (from `since` on); waits for it, 10 s at most. */
  readonly awaitFrame: (pattern: FramePattern, options?: AwaitOptions) => Effect.Effect<Frame, RigError>
  readonly awaitEvent: (
    where: (event: NetworkEvent) => boolean,
    options?: AwaitOptions
  ) => Effect.Effect<NetworkEvent, RigError>
  /** Waits until so many connections are open. */
  readonly awaitOpen: (count: number) => Effect.Effect<void, RigError>
  /** Called at every event, before it takes effect. */
  readonly onEvent: (listener: (event: NetworkEvent) => void) => Effect.Effect<void, never, Scope.Scope>
  readonly rule: (
    pattern: FramePattern,
    action: Action,
    options?: { readonly times?: number }
  ) => Effect.Effect<RuleHandle>
  /** Lets the request pass, drops its answer, and (unless "keep") ends the connection. */
  readonly swallowReply: (
    pattern: FramePattern,
    then?: "cut" | "reset" | "keep" | "freeze"
  ) => Effect.Effect<RuleHandle>
  /** Cuts a connection when its n-th frame (from 1) of this direction was delivered. */
  readonly cutAfterFrame: (direction: Direction, n: number) => Effect.Effect<RuleHandle>
  /** Cuts the next connection that has had n bytes delivered in this direction, exactly there. Once. */
  readonly cutAtByte: (direction: Direction, n: number) => Effect.Effect<void>
  /** The counted event with this index does not happen; its connection ends instead. */
  readonly cutAt: (index: number, how?: "cut" | "reset" | "passThenCut") => Effect.Effect<void>
  /** Runs an Effect when this event is about to happen; a frame waits for its end. */
  readonly runAt: (index: number, effect: Effect.Effect<unknown>) => Effect.Effect<void>
  readonly setMode: (direction: Direction, mode: Mode) => Effect.Effect<void>
  readonly setAccept: (accept: Accept) => Effect.Effect<void, RigError>
  /** Half-open: all connections stay up and nothing moves, new ones are accepted and silent. */
  readonly freeze: Effect.Effect<void>
  readonly cutAll: Effect.Effect<void>
  readonly resetAll: Effect.Effect<void>
  /** Frozen connections go on, silent ones are served, modes and rules are forgotten, new connections are accepted. */
  readonly heal: Effect.Effect<void, RigError>
  /** Where new connections go. */
  readonly retarget: (port: number) => Effect.Effect<void>
  /** Forgets events and counts from 0 again (rules stay). */
  readonly forget: Effect.Effect<void>
}

export interface AwaitOptions {
  readonly since?: number | undefined
  /** Milliseconds, 10 000 if not given. */
  readonly within?: number | undefined
}

interface LiveRule extends Rule {
  left: number
  count: number
}

class ProxyState {
  target: number
  accept: Accept = "accept"
  freezing = false
  events: Array<NetworkEvent> = []
  nextIndex = 0
  accepted = 0
  rules: Array<LiveRule> = []
  modes: Record<Direction, Mode> = { toServer: "pass", toClient: "pass" }
  byteLimits: Record<Direction, number | undefined> = { toServer: undefined, toClient: undefined }
  cut: { readonly index: number; readonly how: "cut" | "reset" | "passThenCut" } | undefined
  readonly runs = new Map<number, Effect.Effect<unknown>>()
  readonly open = new Map<number, ProxyConnection>()
  readonly unserved = new Set<ProxyConnection>()
  readonly listeners = new Set<(event: NetworkEvent) => void>()
  /** Those who look again after something has happened. */
  readonly watchers = new Set<() => void>()

  constructor(target: number) {
    this.target = target
  }

  changed() {
    for (const look of [...this.watchers]) look()
  }

  record(event: NetworkEvent) {
    this.events.push(event)
    for (const listener of this.listeners) listener(event)
    // Whoever waits for this frame goes on after it was acted upon.
    queueMicrotask(() => this.changed())
  }

  decide(frame: Frame): Action {
    if (this.cut?.index === frame.index) return this.cut.how
    const run = this.runs.get(frame.index)
    if (run !== undefined) return { before: run }
    const rule = this.rules.find((rule) => matches(rule.pattern, frame))
    if (rule === undefined) return this.modes[frame.direction]
    rule.count++
    rule.left--
    if (rule.left <= 0) this.rules = this.rules.filter((other) => other !== rule)
    return rule.action
  }

  onFrame(connection: number, direction: Direction, described: Described, size: number, nth: number): Action {
    const index = isPing(described.kind) ? -1 : this.nextIndex++
    const frame: Frame = { type: "frame", index, connection, direction, nth, size, ...described }
    const action = this.decide(frame)
    this.record(frame)
    return action
  }

  onConnection(near: Socket) {
    if (this.accept === "reset") return void near.resetAndDestroy()
    if (this.accept === "close") return void near.destroy()
    const id = ++this.accepted
    const connection = new ProxyConnection(id, near, {
      onFrame: (direction, described, size, nth) => this.onFrame(id, direction, described, size, nth),
      byteLimit: (direction) => this.byteLimits[direction],
      onByteLimit: (direction) => void (this.byteLimits[direction] = undefined),
      onClose: () => {
        this.open.delete(id)
        this.unserved.delete(connection)
        this.record({ type: "close", index: -1, connection: id })
      }
    })
    this.open.set(id, connection)
    const index = this.nextIndex++
    this.record({ type: "open", index, connection: id })
    if (this.cut?.index === index) return connection.end(this.cut.how === "reset" ? "reset" : "close")
    const run = this.runs.get(index)
    if (run !== undefined) Effect.runFork(Effect.andThen(run, Effect.sync(() => this.serve(connection))))
    else if (this.freezing || this.accept === "silent") this.unserved.add(connection)
    else this.serve(connection)
  }

  serve(connection: ProxyConnection) {
    this.unserved.delete(connection)
    if (!this.open.has(connection.id)) return
    connection.relay(connect({ port: this.target, host: "127.0.0.1", noDelay: true }))
  }

  stats(since: number): ProxyStats {
    const frames = { toServer: 0, toClient: 0 }
    const ops: Record<string, number> = {}
    let connections = 0
    let requests = 0
    for (const event of this.events.slice(since)) {
      if (event.type === "open") connections++
      if (event.type !== "frame") continue
      frames[event.direction]++
      if (event.direction === "toClient" || event.op === undefined) continue
      ops[event.op] = (ops[event.op] ?? 0) + 1
      if (event.kind === "request") requests++
    }
    return { connections, open: this.open.size, frames, ops, requests }
  }
}

/** Asks `look` now and after every event. In real time, whatever the test's Clock. */
const awaitThat = <A>(
  state: ProxyState,
  what: string,
  look: () => A | undefined,
  within = 10_000
): Effect.Effect<A, RigError> =>
  Effect.callback<A, RigError>((resume) => {
    const found = look()
    if (found !== undefined) return resume(Effect.succeed(found))
    const done = (answer: Effect.Effect<A, RigError>) => {
      clearTimeout(timer)
      state.watchers.delete(watcher)
      resume(answer)
    }
    const timer = setTimeout(() => {
      const last = state.events.slice(-12).map(showEvent).join("\n  ")
      done(
        Effect.fail(
          rigError(`the proxy did not see ${what} within ${within * patience} ms. The last events:\n  ${last}`)
        )
      )
    }, within * patience)
    const watcher = () => {
      const found = look()
      if (found !== undefined) done(Effect.succeed(found))
    }
    state.watchers.add(watcher)
    return Effect.sync(() => {
      clearTimeout(timer)
      state.watchers.delete(watcher)
    })
  })

const addRule = (state: ProxyState, pattern: FramePattern, action: Action, times = 1): RuleHandle => {
  let first: Frame | undefined
  const where = (frame: Frame) => {
    const hit = pattern.where === undefined || pattern.where(frame)
    if (hit) first ??= frame
    return hit
  }
  const rule: LiveRule = { pattern: { ...pattern, where }, action, left: times, count: 0 }
  state.rules.push(rule)
  return {
    fired: awaitThat(state, `a frame for the rule ${JSON.stringify(pattern)}`, () => first),
    count: Effect.sync(() => rule.count),
    remove: Effect.sync(() => {
      state.rules = state.rules.filter((other) => other !== rule)
    })
  }
}

/** Closing it also ends the connections through it. */
const closeListener = (server: Server, state: ProxyState): void => {
  server.close()
  for (const connection of [...state.open.values()]) connection.end("close")
}

/** A proxy on 127.0.0.1 in front of `target` (a port), understanding ZooKeeper's frames. */
export const makeProxy = (target: number): Effect.Effect<Proxy, RigError, Scope.Scope> =>
  Effect.gen(function*() {
    const state = new ProxyState(target)
    const server = createServer({ noDelay: true, pauseOnConnect: true }, (near) => state.onConnection(near))
    const port = yield* Effect.acquireRelease(
      attempt("proxy", () => listenAnywhere(server)),
      () => Effect.sync(() => closeListener(server, state))
    )

    const setAccept = (accept: Accept) =>
      attempt("proxy", async () => {
        state.accept = accept
        if (accept === "refuse" && server.listening) {
          // Open connections live on; the callback of close() waits for them, so nobody waits for it here.
          server.close()
        } else if (accept !== "refuse" && !server.listening) {
          await listen(server, port)
        }
        if (accept === "accept" && !state.freezing) {
          for (const connection of [...state.unserved]) state.serve(connection)
        }
      })

    const rule: Proxy["rule"] = (pattern, action, options) =>
      Effect.sync(() => addRule(state, pattern, action, options?.times))

    const endAll = (how: "close" | "reset") =>
      Effect.sync(() => {
        for (const connection of [...state.open.values()]) connection.end(how)
      })

    const awaitEvent: Proxy["awaitEvent"] = (where, options) =>
      awaitThat(state, "an event", () => state.events.slice(options?.since ?? 0).find(where), options?.within)

    return {
      port,
      connectString: `127.0.0.1:${port}`,
      get events() {
        return state.events
      },
      position: Effect.sync(() => state.events.length),
      nextIndex: Effect.sync(() => state.nextIndex),
      stats: (since = 0) => Effect.sync(() => state.stats(since)),
      frames: (pattern, since = 0) =>
        Effect.sync(() =>
          state.events.slice(since).filter((event) => event.type === "frame").filter((frame) => matches(pattern, frame))
        ),
      awaitFrame: (pattern, options) =>
        awaitThat(
          state,
          `a frame like ${JSON.stringify(pattern)}`,
          () =>
            state.events.slice(options?.since ?? 0).find((event) =>
              event.type === "frame" && matches(pattern, event)
            ) as
              | Frame
              | undefined,
          options?.within
        ),
      awaitEvent,
      awaitOpen: (count) =>
        Effect.asVoid(
          awaitThat(state, `${count} open connections`, () => state.open.size === count ? true : undefined)
        ),
      onEvent: (listener) =>
        Effect.asVoid(Effect.acquireRelease(
          Effect.sync(() => state.listeners.add(listener)),
          () => Effect.sync(() => state.listeners.delete(listener))
        )),
      rule,
      swallowReply: (pattern, then = "cut") =>
        rule({ ...pattern, direction: "toClient", kind: "reply" }, then === "keep" ? "drop" : then),
      cutAfterFrame: (direction, n) => rule({ direction, where: (frame) => frame.nth === n }, "passThenCut"),
      cutAtByte: (direction, n) => Effect.sync(() => void (state.byteLimits[direction] = n)),
      cutAt: (index, how = "cut") => Effect.sync(() => void (state.cut = { index, how })),
      runAt: (index, effect) => Effect.sync(() => void state.runs.set(index, effect)),
      setMode: (direction, mode) => Effect.sync(() => void (state.modes[direction] = mode)),
      setAccept,
      freeze: Effect.sync(() => {
        state.freezing = true
        for (const connection of state.open.values()) connection.freeze()
      }),
      cutAll: endAll("close"),
      resetAll: endAll("reset"),
      heal: Effect.suspend(() => {
        state.freezing = false
        state.rules = []
        state.modes = { toServer: "pass", toClient: "pass" }
        state.byteLimits = { toServer: undefined, toClient: undefined }
        state.cut = undefined
        state.runs.clear()
        for (const connection of state.open.values()) connection.heal()
        return setAccept("accept")
      }),
      retarget: (port) => Effect.sync(() => void (state.target = port)),
      forget: Effect.sync(() => {
        state.events = []
        state.nextIndex = 0
        if (state.open.size === 0) state.accepted = 0
      })
    }
  })

/** A server of one's own behind a proxy: clients connect to `connectString`, which is the proxy's. */
export interface ProxiedServerHandle {
  readonly server: ServerHandle
  readonly proxy: Proxy
  readonly connectString: string
}

export const makeProxiedServer = (
  options: ServerOptions = {}
): Effect.Effect<ProxiedServerHandle, RigError, Scope.Scope> =>
  Effect.gen(function*() {
    const server = yield* makeServer(options)
    const proxy = yield* makeProxy(server.port)
    return { server, proxy, connectString: proxy.connectString }
  })

/** `Layer`: `ProxiedServer.layer()`; then `const { proxy, server } = yield* ProxiedServer`. */
export class ProxiedServer extends Context.Service<ProxiedServer, ProxiedServerHandle>()("test/ProxiedServer") {
  static readonly layer = (options: ServerOptions = {}): Layer.Layer<ProxiedServer, RigError> =>
    Layer.effect(this, makeProxiedServer(options))
}
