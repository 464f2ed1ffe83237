import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { createServer, type Socket } from "node:net"
import type { Duplex } from "node:stream"
import {
  type Answer,
  type ConnectAnswer,
  type ConnectHandler,
  defaultBody,
  type FakeConnect,
  type FakeRequest,
  isWrite,
  type RequestHandler
} from "./fakeScript.ts"
import { frame, FrameSplitter, JuteReader, JuteWriter } from "./jute.ts"
import { MemoryEnd } from "./memoryDuplex.ts"
import {
  decodeConnectRequest,
  describeRequest,
  encodeConnectResponse,
  encodeEvent,
  encodeReply,
  Op,
  type OpName,
  opName
} from "./records.ts"
import { attempt, type RigError, rigError } from "./rigError.ts"
import { listenAnywhere } from "./tcpLink.ts"
import { patience } from "./wait.ts"

export type { Answer, ConnectAnswer, ConnectHandler, FakeConnect, FakeRequest, RequestHandler } from "./fakeScript.ts"
export { err, ok } from "./fakeScript.ts"

/** One connection, seen from the server. */
export interface FakeConnection {
  /** Counted from 1. */
  readonly id: number
  /** Undefined until the client has sent its connect request. */
  readonly connect: FakeConnect | undefined
  readonly requests: ReadonlyArray<FakeRequest>
  readonly isOpen: boolean
  /** A notification; types: 1 created, 2 deleted, 3 data changed, 4 children changed. */
  readonly event: (type: number, path: string, zxid?: bigint) => Effect.Effect<void>
  /** Bytes as they are. */
  readonly send: (bytes: Uint8Array) => Effect.Effect<void>
  /** From now on everything goes out one byte at a time. */
  readonly singleBytes: Effect.Effect<void>
  readonly close: Effect.Effect<void>
  readonly reset: Effect.Effect<void>
}

export interface FakeServer {
  /** A fresh client-side end of a connection in memory: for the library's transport. */
  readonly openDuplex: () => Duplex
  /** Listens on 127.0.0.1 too, while the scope is open. */
  readonly listen: Effect.Effect<{ readonly port: number; readonly connectString: string }, RigError, Scope.Scope>
  /** Replaces how connect requests are answered. */
  readonly onConnect: (handler: ConnectHandler) => Effect.Effect<void>
  /** Replaces how requests of this operation ("any": of all without a handler of their own) are answered. */
  readonly on: (op: OpName | "any", handler: RequestHandler) => Effect.Effect<void>
  /** Answers only the next request of this operation so. */
  readonly once: (op: OpName | "any", handler: RequestHandler) => Effect.Effect<void>
  /** Forgets all handlers. */
  readonly defaults: Effect.Effect<void>
  readonly connections: ReadonlyArray<FakeConnection>
  /** The newest one; fails when there is none. */
  readonly current: Effect.Effect<FakeConnection, RigError>
  readonly connects: ReadonlyArray<FakeConnect>
  /** All requests of all connections, in order of arrival. */
  readonly requests: ReadonlyArray<FakeRequest>
  /** The first request that matches (past ones included, from `since` on); waits for it 10 s of real time. */
  readonly awaitRequest: (
    which: OpName | ((request: FakeRequest) => boolean),
    options?: { readonly since?: number; readonly within?: number }
  ) => Effect.Effect<FakeRequest, RigError>
  /** The n-th connect request (from 1). */
  readonly awaitConnect: (n?: number) => Effect.Effect<FakeConnect, RigError>
  /** Waits until all connections are closed. */
  readonly awaitClosed: Effect.Effect<void, RigError>
  /** The zxid of the last answer to a write; tests may move it. */
  zxid: bigint
}

const zeros = Buffer.alloc(16)
const firstSession = BigInt("0x100000001")

class Core {
  zxid = BigInt(1)
  counter = 0
  sessions = 0
  readonly connections: Array<Connection> = []
  readonly connects: Array<FakeConnect> = []
  readonly requests: Array<FakeRequest> = []
  readonly watchers = new Set<() => void>()
  readonly handlers = new Map<OpName | "any", RequestHandler>()
  readonly onces: Array<{ readonly op: OpName | "any"; readonly handler: RequestHandler }> = []
  connectHandler: ConnectHandler | undefined
  readonly fork: (effect: Effect.Effect<void>) => void

  constructor(fork: (effect: Effect.Effect<void>) => void) {
    this.fork = fork
  }

  changed() {
    for (const look of [...this.watchers]) look()
  }

  attach(stream: Duplex) {
    this.connections.push(new Connection(this, this.connections.length + 1, stream))
  }

  handlerOf(name: OpName | `op${number}`): RequestHandler | undefined {
    const at = this.onces.findIndex(({ op }) => op === name || op === "any")
    if (at >= 0) return this.onces.splice(at, 1)[0]?.handler
    return this.handlers.get(name as OpName) ?? this.handlers.get("any")
  }

  /** Runs a handler: at once if it gives a plain answer, so that answers keep the order of requests. */
  settle<A extends object>(answer: A | undefined | Effect.Effect<A | undefined>, use: (answer: A | undefined) => void) {
    if (Effect.isEffect(answer)) {
      this.fork(Effect.flatMap(answer as Effect.Effect<A | undefined>, (answer) => Effect.sync(() => use(answer))))
    } else use(answer)
  }
}

class Connection implements FakeConnection {
  readonly id: number
  connect: FakeConnect | undefined
  readonly requests: Array<FakeRequest> = []
  isOpen = true
  readonly #core: Core
  readonly #stream: Duplex
  readonly #splitter = new FrameSplitter()
  #singleBytes = false
  #line: Promise<void> | undefined

  constructor(core: Core, id: number, stream: Duplex) {
    this.id = id
    this.#core = core
    this.#stream = stream
    stream.on("data", (chunk: Buffer) => {
      let frames: Array<Buffer> = []
      try {
        frames = this.#splitter.push(chunk)
      } catch {
        // A length that no server takes: it closes without a word.
        this.#end()
      }
      for (const payload of frames) this.#receive(payload)
    })
    stream.on("error", () => {})
    stream.on("close", () => {
      this.isOpen = false
      core.changed()
    })
  }

  readonly send = (bytes: Uint8Array) => Effect.sync(() => this.#write(bytes))
  readonly event = (type: number, path: string, zxid?: bigint) =>
    Effect.sync(() => this.#write(frame(encodeEvent({ type, state: 3, path }, zxid))))
  readonly singleBytes = Effect.sync(() => {
    this.#singleBytes = true
  })
  readonly close = Effect.sync(() => this.#end())
  readonly reset = Effect.sync(() => this.#reset())

  #write(bytes: Uint8Array) {
    if (!this.#singleBytes && this.#line === undefined) {
      if (this.#stream.writable) this.#stream.write(bytes)
      return
    }
    const parts = this.#singleBytes ? Array.from(bytes, (byte) => Buffer.of(byte)) : [bytes]
    this.#line = (this.#line ?? Promise.resolve()).then(async () => {
      for (const part of parts) {
        if (!this.#stream.writable) return
        this.#stream.write(part)
        await new Promise<void>((resolve) => setImmediate(resolve))
      }
    })
  }

  #end() {
    if (this.#line === undefined) this.#stream.end()
    else void this.#line.then(() => this.#stream.end())
  }

  #reset() {
    if ("resetAndDestroy" in this.#stream) (this.#stream as Socket).resetAndDestroy()
    else this.#stream.destroy()
  }

  #receive(payload: Buffer) {
    if (this.connect === undefined) {
      const connect = this.connect = { connection: this.id, request: decodeConnectRequest(payload) }
      this.#core.connects.push(connect)
      this.#core.settle(this.#core.connectHandler?.(connect), (answer) => this.#answerConnect(connect, answer))
      return this.#core.changed()
    }
    const r = new JuteReader(payload)
    const xid = r.int()
    const op = r.int()
    const body = r.rest()
    const request: FakeRequest = {
      index: this.#core.requests.length,
      connection: this.id,
      xid,
      op,
      name: opName(op),
      ...describeRequest(op, body),
      payload: body,
      reply: (answer) => Effect.sync(() => this.#answer(request, answer))
    }
    this.#core.requests.push(request)
    this.requests.push(request)
    this.#core.settle(this.#core.handlerOf(request.name)?.(request), (answer) => this.#answer(request, answer))
    this.#core.changed()
  }

  #answerConnect({ request }: FakeConnect, answer: ConnectAnswer = { type: "accept" }) {
    const accepting = (answer: Extract<ConnectAnswer, { type: "accept" }>) =>
      frame(encodeConnectResponse({
        protocolVersion: 0,
        timeout: answer.timeout ?? request.timeout,
        sessionId: answer.sessionId ??
          (request.sessionId === BigInt(0) ? firstSession + BigInt(this.#core.sessions++) : request.sessionId),
        password: answer.password ??
          (request.sessionId === BigInt(0) ? Buffer.from("fake-session-pwd") : request.password),
        readOnly: answer.short === true ? undefined : answer.readOnly ?? false
      }))
    switch (answer.type) {
      case "accept":
        return this.#write(accepting(answer))
      case "expired":
        this.#write(frame(encodeConnectResponse({
          protocolVersion: 0,
          timeout: 0,
          sessionId: BigInt(0),
          password: zeros,
          readOnly: false
        })))
        return this.#end()
      case "refuse":
        return this.#end()
      case "reset":
        return this.#reset()
      case "silence":
        return
      case "partial":
        this.#write(accepting({ type: "accept" }).subarray(0, answer.bytes))
        if (answer.end === true) this.#end()
        return
      case "bogus":
        return this.#write(frame(encodeReply({ xid: 0, zxid: this.#core.zxid, err: answer.err ?? -119 })))
      case "raw":
        return this.#write(answer.bytes)
    }
  }

  #answer(request: FakeRequest, answers: Answer | ReadonlyArray<Answer> | undefined): void {
    const list: ReadonlyArray<Answer> = answers === undefined
      ? [{ type: "default" }]
      : "type" in answers
      ? [answers]
      : answers
    for (const answer of list) this.#answerOne(request, answer)
  }

  #answerOne(request: FakeRequest, answer: Answer): void {
    const core = this.#core
    switch (answer.type) {
      case "reply": {
        if (isWrite(request.op)) core.zxid += BigInt(1)
        const header = { xid: answer.xid ?? request.xid, zxid: answer.zxid ?? core.zxid, err: answer.err ?? 0 }
        return this.#write(frame(encodeReply(header, answer.body)))
      }
      case "default": {
        const body = defaultBody(request.op, request.payload, core.counter)
        if (request.name.startsWith("create")) core.counter++
        this.#answerOne(
          request,
          typeof body === "number" ? { type: "reply", err: body } : { type: "reply", ...(body && { body }) }
        )
        if (request.op === Op.closeSession) this.#end()
        return
      }
      case "silence":
        return
      case "event":
        return this.#write(frame(encodeEvent({ type: answer.event, state: 3, path: answer.path }, answer.zxid)))
      case "close":
        return this.#end()
      case "reset":
        return this.#reset()
      case "length":
        return this.#write(new JuteWriter().int(answer.length).bytes())
      case "raw":
        return this.#write(answer.bytes)
    }
  }

  destroy() {
    this.#stream.destroy()
  }
}

/** In real time: under TestClock nobody would move the time on while the test waits here. */
const awaitThat = <A>(
  core: Core,
  what: string,
  look: () => A | undefined,
  within = 10_000
): Effect.Effect<A, RigError> =>
  Effect.callback<A, RigError>((resume) => {
    const found = look()
    if (found !== undefined) return resume(Effect.succeed(found))
    const stop = () => {
      clearTimeout(timer)
      core.watchers.delete(watcher)
    }
    const timer = setTimeout(() => {
      stop()
      const seen = core.requests.slice(-12).map((request) => `${request.name} ${request.path ?? ""}`.trim())
      resume(Effect.fail(rigError(
        `the fake server did not see ${what} within ${within * patience} ms; ` +
          `${core.connects.length} connects, last requests: ${seen.join(", ") || "none"}`
      )))
    }, within * patience)
    const watcher = () => {
      const found = look()
      if (found === undefined) return
      stop()
      resume(Effect.succeed(found))
    }
    core.watchers.add(watcher)
    return Effect.sync(stop)
  })

/** A scripted server. What it gives for answers and for how long it waits is the test's; it knows no tree. */
export const makeFakeServer: Effect.Effect<FakeServer, never, Scope.Scope> = Effect.gen(function*() {
  const context = yield* Effect.context<never>()
  const core = new Core((effect) => void Effect.runForkWith(context)(effect))
  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      for (const connection of core.connections) connection.destroy()
    })
  )

  const server: FakeServer = {
    openDuplex: () => {
      const [near, far] = MemoryEnd.pair()
      core.attach(far)
      return near
    },
    listen: Effect.map(
      Effect.acquireRelease(
        attempt("fake server", async () => {
          const server = createServer({ noDelay: true }, (socket) => core.attach(socket))
          return { server, port: await listenAnywhere(server) }
        }),
        ({ server }) => Effect.sync(() => void server.close())
      ),
      ({ port }) => ({ port, connectString: `127.0.0.1:${port}` })
    ),
    onConnect: (handler) => Effect.sync(() => void (core.connectHandler = handler)),
    on: (op, handler) => Effect.sync(() => void core.handlers.set(op, handler)),
    once: (op, handler) => Effect.sync(() => void core.onces.push({ op, handler })),
    defaults: Effect.sync(() => {
      core.connectHandler = undefined
      core.handlers.clear()
      core.onces.length = 0
    }),
    connections: core.connections,
    current: Effect.suspend(() => {
      const last = core.connections.at(-1)
      return last === undefined ? Effect.fail(rigError("no client has connected")) : Effect.succeed(last)
    }),
    connects: core.connects,
    requests: core.requests,
    awaitRequest: (which, options) => {
      const hit = typeof which === "string" ? (request: FakeRequest) => request.name === which : which
      const what = typeof which === "string" ? `a ${which}` : "the request"
      return awaitThat(core, what, () => core.requests.slice(options?.since ?? 0).find(hit), options?.within)
    },
    awaitConnect: (n = 1) => awaitThat(core, `connect request ${n}`, () => core.connects[n - 1]),
    awaitClosed: Effect.asVoid(awaitThat(
      core,
      "the end of all connections",
      () => core.connections.every((connection) => !connection.isOpen) ? true : undefined
    )),
    get zxid() {
      return core.zxid
    },
    set zxid(zxid) {
      core.zxid = zxid
    }
  }
  return server
})

/** `Layer`: `Fake.layer`; then `yield* Fake`. */
export class Fake extends Context.Service<Fake, FakeServer>()("test/Fake") {
  static readonly layer = Layer.effect(this, makeFakeServer)
}
