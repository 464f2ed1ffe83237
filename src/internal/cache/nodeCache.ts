/**
 * A live copy of one node: its data, and the names of its children, each with the transaction that it was seen at. The two
 * come from two requests, and may be of different moments.
 */
import type * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Pull from "effect/Pull"
import type { Children, NodeData, Observed, ZkClient } from "../../ZkClient.ts"
import type { NoAuth, SessionError, StreamError } from "../../ZkError.ts"
import type { NodeEvent } from "../../ZkEvent.ts"
import { isSameChildren, isSameData } from "../client/watch.ts"
import { Reads, Unusable } from "./reads.ts"
import type { Cache } from "./upkeep.ts"

interface Follower {
  isNews: boolean
  wake: Deferred.Deferred<void> | undefined
}

/** One of the two things that are to be known of a node. */
export class Facet<A> {
  /** Undefined until it was seen for the first time. */
  state: Observed<A> | undefined
  /** It may not be read at present. */
  refusal: NoAuth | undefined
  private over: Cause.Cause<StreamError> | undefined
  private floor = -1n
  private readonly observe: Effect.Effect<Observed<A>, NoAuth | SessionError>
  private readonly isSame: (a: A, b: A) => boolean
  private readonly followers = new Set<Follower>()
  private readonly listeners: Array<() => void> = []

  constructor(observe: Effect.Effect<Observed<A>, NoAuth | SessionError>, isSame: (a: A, b: A) => boolean) {
    this.observe = observe
    this.isSame = isSame
  }

  /** Looks at the server. */
  read(): Effect.Effect<void, SessionError | Unusable> {
    return Effect.flatMap(this.observe, (observed) => {
      if (observed.zxid < this.floor) return Effect.fail(new Unusable())
      this.onObserved(observed)
      return Effect.void
    }).pipe(
      Effect.catchTag("NoAuth", (error) => {
        this.refusal = error
        this.ring()
        return Effect.void
      })
    )
  }

  private onObserved(observed: Observed<A>): void {
    const before = this.state?.node
    const now = observed.node
    const isNews = before === undefined || before._tag !== now._tag || this.refusal !== undefined ||
      (Option.isSome(before) && Option.isSome(now) && !this.isSame(before.value, now.value))
    this.refusal = undefined
    this.floor = observed.zxid
    this.state = observed
    if (isNews) this.ring()
  }

  /** Servers may begin anew, if everything was lost and no session lived on. */
  forgetTime(): void {
    this.floor = -1n
  }

  end(cause: Cause.Cause<StreamError>): void {
    this.over = cause
    this.ring()
  }

  /** Calls back at each change, before anybody else hears of it. */
  onNews(listener: () => void): void {
    this.listeners.push(listener)
  }

  private ring(): void {
    for (const listener of this.listeners) listener()
    for (const follower of this.followers) {
      const { wake } = follower
      follower.isNews = true
      // Whoever is woken may be asleep again when this comes back.
      follower.wake = undefined
      if (wake !== undefined) Deferred.doneUnsafe(wake, Effect.void)
    }
  }

  /** The present state, once there is one, then the latest after each change. */
  follow(): { readonly pull: Pull.Pull<readonly [Option.Option<A>], NoAuth | StreamError>; readonly stop: () => void } {
    // What was refused may be allowed by now: whoever begins to follow has it read again.
    const follower: Follower = { isNews: this.state !== undefined && this.refusal === undefined, wake: undefined }
    this.followers.add(follower)
    const pull: Pull.Pull<readonly [Option.Option<A>], NoAuth | StreamError> = Effect.suspend(() => {
      if (this.over !== undefined) return Effect.failCause(this.over)
      if (follower.isNews) {
        follower.isNews = false
        if (this.refusal !== undefined) return Effect.fail(this.refusal)
        if (this.state !== undefined) return Effect.succeed([this.state.node] as const)
      }
      follower.wake ??= Deferred.makeUnsafe<void>()
      return Effect.andThen(Deferred.await(follower.wake), pull)
    })
    return { pull, stop: () => this.followers.delete(follower) }
  }
}

export class NodeCache implements Cache {
  readonly value: Facet<NodeData>
  readonly names: Facet<Children>
  readonly reads: Reads<Facet<NodeData> | Facet<Children>>
  /** Whether anybody has asked for the names of the children, which may be many. */
  private wantsNames: boolean

  constructor(client: ZkClient, path: string, wantsNames: boolean, run: (effect: Effect.Effect<void>) => void) {
    this.wantsNames = wantsNames
    this.value = new Facet(client.observeData(path), isSameData)
    this.names = new Facet(client.observeChildren(path), isSameChildren)
    this.reads = new Reads((facet) => facet.read(), run)
    this.reads.onEnd((cause) => {
      this.value.end(cause)
      this.names.end(cause)
    })
  }

  private mark(facets: ReadonlyArray<Facet<NodeData> | Facet<Children>>, wave = this.reads.begin()): void {
    for (const facet of facets) if (facet === this.value || this.wantsNames) this.reads.mark(facet, wave)
    this.reads.pump()
  }

  /** From now on the names of the children are read as well. */
  wantNames(): void {
    if (this.wantsNames) return
    this.wantsNames = true
    this.mark([this.names])
  }

  readAll(isNewSession: boolean, wave?: number): void {
    if (isNewSession) {
      this.value.forgetTime()
      this.names.forgetTime()
    }
    this.mark([this.value, this.names], wave)
  }

  onEvent(event: NodeEvent): void {
    switch (event._tag) {
      case "NodeDataChanged":
        return this.mark([this.value])
      case "NodeChildrenChanged":
        return this.mark([this.names])
      case "NodeCreated":
      case "NodeDeleted":
        return this.mark([this.value, this.names])
    }
  }

  readRefused(): void {
    this.mark([this.value, this.names].filter((facet) => facet.refusal !== undefined))
  }
}
