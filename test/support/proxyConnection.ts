import * as Effect from "effect/Effect"
import type { Socket } from "node:net"
import { frame as framed, FrameSplitter } from "./jute.ts"
import { type Described, type Direction, makeFrameReader } from "./proxyEvents.ts"
import type { Action } from "./proxyRules.ts"
import { sleep } from "./wait.ts"

/** What the proxy decides for the connection. */
export interface ConnectionHooks {
  /** A frame arrived: what to do with it. Called once per frame, in order. */
  readonly onFrame: (direction: Direction, described: Described, size: number, nth: number) => Action
  /** How many bytes may still go this way on this connection before it is cut; asked when bytes are about to go. */
  readonly byteLimit: (direction: Direction) => number | undefined
  readonly onByteLimit: (direction: Direction) => void
  readonly onClose: () => void
}

type End = "close" | "reset"

const tick = () => new Promise<void>((resolve) => setImmediate(resolve))

/**
 * One client's connection and its counterpart to the server. Whole frames are passed on, in order; what is not a frame
 * (a four-letter word, TLS) is passed on as it comes.
 */
export class ProxyConnection {
  readonly id: number
  readonly #near: Socket
  #far: Socket | undefined
  readonly #hooks: ConnectionHooks
  readonly #reader = makeFrameReader()
  #frozen = false
  #thaw: Array<() => void> = []
  #closed = false

  constructor(id: number, near: Socket, hooks: ConnectionHooks) {
    this.id = id
    this.#near = near
    this.#hooks = hooks
    near.on("error", () => {})
    near.on("close", (failed) => {
      if (this.#far === undefined) this.#gone()
      else this.#endLater("toServer", failed ? "reset" : "close")
    })
  }

  /** Begins to relay to `far`, a socket that is connected or connecting. */
  relay(far: Socket): void {
    this.#far = far
    far.on("error", () => {})
    far.on("close", (failed) => this.#endLater("toClient", failed ? "reset" : "close"))
    this.#pipe("toServer", this.#near, far)
    this.#pipe("toClient", far, this.#near)
    if (this.#frozen) this.#pause()
    else this.#near.resume()
  }

  readonly #tails: Record<Direction, Promise<void>> = { toServer: Promise.resolve(), toClient: Promise.resolve() }
  readonly #waiting: Record<Direction, number> = { toServer: 0, toClient: 0 }
  readonly #sent: Record<Direction, number> = { toServer: 0, toClient: 0 }

  get frozen(): boolean {
    return this.#frozen
  }

  freeze(): void {
    if (this.#frozen || this.#closed) return
    this.#frozen = true
    this.#pause()
  }

  heal(): void {
    if (!this.#frozen) return
    this.#frozen = false
    const thaw = this.#thaw
    this.#thaw = []
    for (const go of thaw) go()
    this.#near.resume()
    this.#far?.resume()
  }

  end(how: End): void {
    if (this.#closed) return
    this.#frozen = false
    for (const socket of [this.#near, this.#far]) {
      if (how === "reset") socket?.resetAndDestroy()
      else if (socket !== undefined && socket.writableLength > 0) socket.destroySoon()
      else socket?.destroy()
    }
    this.#gone()
    for (const go of this.#thaw.splice(0)) go()
  }

  #pause() {
    this.#near.pause()
    this.#far?.pause()
  }

  #gone() {
    if (this.#closed) return
    this.#closed = true
    this.#hooks.onClose()
  }

  /** The other side hears of the end after everything that was sent before it; while frozen, not at all. */
  #endLater(direction: Direction, how: End) {
    this.#enqueue(direction, async () => {
      const sink = direction === "toServer" ? this.#far : this.#near
      if (how === "reset") sink?.resetAndDestroy()
      else sink?.destroySoon()
      this.#gone()
    })
  }

  #enqueue(direction: Direction, job: () => Promise<void>) {
    this.#waiting[direction]++
    this.#tails[direction] = this.#tails[direction].then(async () => {
      if (this.#frozen) await new Promise<void>((go) => this.#thaw.push(go))
      await job()
    }).catch(() => this.end("close")).finally(() => {
      this.#waiting[direction]--
    })
  }

  #pipe(direction: Direction, source: Socket, sink: Socket) {
    const splitter = new FrameSplitter()
    let plain = false
    let nth = 0
    source.on("data", (chunk) => {
      if (plain) return this.#send(direction, sink, chunk)
      let frames: Array<Buffer>
      const before = splitter.pending
      try {
        frames = splitter.push(chunk)
      } catch {
        // Not the protocol: from here on bytes are bytes.
        plain = true
        return this.#send(direction, sink, Buffer.concat([before, chunk]))
      }
      for (const payload of frames) {
        if (this.#closed) return
        nth++
        const described = this.#reader[direction](payload)
        this.#act(direction, sink, payload, this.#hooks.onFrame(direction, described, payload.length, nth))
      }
    })
    // What remains of a frame that never became whole goes too: the receiver shall see it as it was.
    source.on("end", () => {
      if (!plain && splitter.pending.length > 0) this.#send(direction, sink, splitter.pending)
    })
  }

  #act(direction: Direction, sink: Socket, payload: Buffer, action: Action): void {
    const bytes = framed(payload)
    if (typeof action === "object") {
      if ("delay" in action) {
        this.#enqueue(direction, () => sleep(action.delay))
        return this.#send(direction, sink, bytes)
      }
      if ("before" in action) {
        this.#enqueue(direction, () => Effect.runPromise(Effect.asVoid(action.before)))
        return this.#send(direction, sink, bytes)
      }
      if ("replace" in action) return this.#send(direction, sink, framed(action.replace(payload)))
      this.#send(direction, sink, bytes.subarray(0, action.firstBytes))
      return this.#afterwards(direction, sink, action.then ?? "cut")
    }
    switch (action) {
      case "pass":
        return this.#send(direction, sink, bytes)
      case "drop":
        return
      case "cut":
        return this.end("close")
      case "reset":
        return this.end("reset")
      case "passThenCut":
        this.#send(direction, sink, bytes)
        return this.#afterwards(direction, sink, "cut")
      case "freeze":
        this.freeze()
        return this.#send(direction, sink, bytes)
      case "bytes":
        return this.#sendBytes(direction, sink, bytes)
      case "twice":
        return this.#send(direction, sink, Buffer.concat([bytes, bytes]))
    }
  }

  /** Once everything before has left this process. */
  #afterwards(direction: Direction, sink: Socket, then: "cut" | "freeze") {
    this.#enqueue(direction, async () => {
      while (sink.writableLength > 0 && !sink.destroyed) await tick()
      if (then === "cut") this.end("close")
      else this.freeze()
    })
  }

  #send(direction: Direction, sink: Socket, bytes: Buffer): void {
    if (this.#waiting[direction] === 0 && !this.#frozen) return this.#write(direction, sink, bytes)
    this.#enqueue(direction, async () => this.#write(direction, sink, bytes))
  }

  #sendBytes(direction: Direction, sink: Socket, bytes: Buffer): void {
    this.#enqueue(direction, async () => {
      for (let i = 0; i < bytes.length && !sink.destroyed; i++) {
        if (this.#frozen) await new Promise<void>((go) => this.#thaw.push(go))
        this.#write(direction, sink, bytes.subarray(i, i + 1))
        await tick()
      }
    })
  }

  #write(direction: Direction, sink: Socket, bytes: Buffer): void {
    if (sink.destroyed || this.#closed) return
    const limit = this.#hooks.byteLimit(direction)
    const sent = this.#sent[direction]
    this.#sent[direction] += bytes.length
    if (limit === undefined || sent + bytes.length < limit) return void sink.write(bytes)
    this.#hooks.onByteLimit(direction)
    sink.write(bytes.subarray(0, Math.max(0, limit - sent)), () => this.end("close"))
  }
}
