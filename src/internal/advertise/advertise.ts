/** A node that tells others something for as long as a scope is open: one fiber makes it so, and keeps it so. */
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Option from "effect/Option"
import * as PubSub from "effect/PubSub"
import * as Random from "effect/Random"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Acl } from "../../ZkAcl.ts"
import type * as ZkAdvertisement from "../../ZkAdvertisement.ts"
import type { CreateError } from "../../ZkClient.ts"
import { ZkClient } from "../../ZkClient.ts"
import type { ValueEncodeError } from "../../ZkCodec.ts"
import * as ZkCodec from "../../ZkCodec.ts"
import { InvalidPath, NodeExists } from "../../ZkError.ts"
import * as ZkPath from "../../ZkPath.ts"
import type { ZkSession } from "../../ZkSession.ts"
import type { Stat } from "../../ZkStat.ts"
import * as ZkTransaction from "../../ZkTransaction.ts"
import { isSameBytes } from "../bytes.ts"
import { encodeWith } from "../codec/run.ts"
import { backOff, maxTries } from "../contention.ts"
import { isPassing, pause } from "../passing.ts"

type State = ZkAdvertisement.AdvertisementState

/** How many sessions may end while the node is made for the first time. */
const maxSessions = 4
/** How often parents that vanish again, as empty containers do, are made anew. */
const maxRounds = 16
const longestPause = 15_000
/** How many writes in a row may end with the connection before that is taken for what they do to it. */
const maxLosses = 3
/** Of states that are not read. The latest is always there. */
const backlog = 16

interface Plan {
  readonly path: string
  readonly sequential: boolean
  readonly acl: ReadonlyArray<Acl> | undefined
}

class Advertiser {
  /** What the node is to hold. */
  data: Uint8Array
  readonly changed = Latch.makeUnsafe(false)
  /** What it is known to hold: the same bytes, not equal ones. */
  private written: Uint8Array | undefined
  private version = -1
  /** Where it is to be. One with a number has no place before it was made. */
  private place: string | undefined
  private session: ZkSession | undefined
  /** Earlier sessions of this client. What they have left at our place is ours. */
  private readonly former = new Set<bigint>()
  /** The last session in which a node may have been made at a place that was known before. */
  private claimed: ZkSession | undefined
  /** Closing it removes the node that was given a number. */
  private readonly numbered = Scope.makeUnsafe()

  readonly ready = Deferred.makeUnsafe<void, CreateError>()
  failures = 0
  losses = 0
  state: State = { _tag: "Pending", error: Option.none() }
  private warnedOfOthers = false

  private readonly plan: Plan
  private readonly states: PubSub.PubSub<State>

  constructor(plan: Plan, data: Uint8Array, states: PubSub.PubSub<State>) {
    this.plan = plan
    this.data = data
    this.states = states
    this.place = plan.sequential ? undefined : plan.path
  }

  set(data: Uint8Array): void {
    if (isSameBytes(data, this.data)) return
    this.data = data
    // Whoever looks right after it is not to take the last value for this one.
    if (this.state._tag === "Advertised") this.announce({ ...this.state, upToDate: false })
    this.changed.openUnsafe()
  }

  announce(state: State): void {
    const { state: last } = this
    const isSame = last._tag === "Advertised"
      ? state._tag === "Advertised" && state.path === last.path && state.sessionId === last.sessionId &&
        state.upToDate === last.upToDate
      : last._tag === state._tag && !("error" in state && Option.isSome(state.error))
    if (isSame) return
    this.state = state
    PubSub.publishUnsafe(this.states, state)
  }

  // -- making it ------------------------------------------------------------------------------------------------------

  /** With a number that the server chooses. The name tells whose it is, should the answer be lost. */
  private makeNumbered(session: ZkSession, round: number): Effect.Effect<void, CreateError> {
    const { acl, path } = this.plan
    const slash = path.lastIndexOf("/")
    const { data } = this
    const mark = (uuid: string) => `${path.slice(slash + 1)}${uuid}-`
    return session.createEphemeral(path.slice(0, slash + 1), data, { sequential: true, acl, mark }).pipe(
      Scope.provide(this.numbered),
      Effect.map((node) => {
        this.place = node.path
        this.written = data
      }),
      Effect.catchTag("NoNode", (error) => {
        if (round === maxRounds) return Effect.fail(error)
        const again = Effect.suspend(() => this.makeNumbered(session, round + 1))
        // The root may be missing as well, below a chroot.
        return Effect.andThen(session.client.ensurePath(path.slice(0, slash) || "/"), again)
      })
    )
  }

  /** Whether the node of this session is at the place now; if not, somebody else's is. */
  private readonly make = (
    session: ZkSession,
    place: string,
    tries = 1
  ): Effect.Effect<boolean, CreateError> =>
    Effect.suspend(() => {
      const { data, plan: { acl } } = this
      const { client, sessionId } = session
      this.claimed = session
      const made = () => {
        this.written = data
        return true
      }
      const again = Effect.suspend(() =>
        tries === maxTries
          ? Effect.fail(new NodeExists({ operation: "advertise", path: place }))
          : Effect.andThen(backOff(tries), this.make(session, place, tries + 1))
      )
      /** In one transaction: there is no moment without a node, and nobody else comes in between. */
      const replace = ({ version }: Stat) =>
        client.multi([
          ZkTransaction.delete(place, { version }),
          ZkTransaction.create(place, data, { mode: "ephemeral", acl })
        ]).pipe(
          Effect.map(made),
          Effect.catchTag("MultiFailed", ({ cause: { _tag } }) => {
            const isOutdated = _tag === "NoNode" || _tag === "BadVersion" || _tag === "NodeExists"
            return isOutdated ? again : Effect.succeed(false)
          })
        )
      const find = Effect.flatMap(client.exists(place), (found): Effect.Effect<boolean, CreateError> => {
        if (Option.isNone(found)) return again
        const { ephemeralOwner } = found.value
        if (ephemeralOwner === sessionId) {
          this.written = undefined
          return Effect.succeed(true)
        }
        return this.former.has(ephemeralOwner) ? replace(found.value) : Effect.succeed(false)
      })
      return client.create(place, data, { mode: "ephemeral", acl, parents: true, idempotent: true }).pipe(
        Effect.map(made),
        Effect.catchTag("NodeExists", () => find)
      )
    })

  // -- keeping it -----------------------------------------------------------------------------------------------------

  /** Gives whether there is a node of ours, about which to go on. */
  private readonly follow = (session: ZkSession, path: string): Effect.Effect<boolean, CreateError, Scope.Scope> =>
    Effect.gen({ self: this }, function*() {
      const { client, sessionId } = session
      const { fired, result } = yield* client.existsWatch(path)
      if (Option.isNone(result) || result.value.ephemeralOwner !== sessionId) return false
      this.version = result.value.version
      while (true) {
        this.changed.closeUnsafe()
        const upToDate = this.written === this.data
        this.announce({ _tag: "Advertised", path, sessionId, upToDate })
        Deferred.doneUnsafe(this.ready, Effect.void)
        if (upToDate) {
          this.failures = 0
          this.losses = 0
          const isFired = yield* Effect.raceFirst(Effect.as(fired, true), Effect.as(this.changed.await, false))
          if (isFired) return true
        } else {
          const { data, version } = this
          const stat = yield* client.setData(path, data, { version }).pipe(
            Effect.catchTags({ NoNode: () => Effect.undefined, BadVersion: () => Effect.succeed("newer" as const) })
          )
          if (stat === "newer") return true
          if (stat?.ephemeralOwner !== sessionId) return false
          this.version = stat.version
          this.written = data
          this.losses = 0
        }
      }
    })

  /** Waits for the end of somebody else's node, or of an old one of ours that may not be deleted. */
  private readonly giveWay = (session: ZkSession, path: string): Effect.Effect<void, CreateError, Scope.Scope> =>
    Effect.gen({ self: this }, function*() {
      const { fired, result } = yield* session.client.existsWatch(path)
      if (Option.isNone(result)) return
      const { ephemeralOwner } = result.value
      if (ephemeralOwner === session.sessionId) return
      const error = new NodeExists({ operation: "advertise", path })
      // One that goes with its session is worth waiting for.
      if (ephemeralOwner === 0n && !Deferred.isDoneUnsafe(this.ready)) return yield* error
      this.announce({ _tag: "Pending", error: Option.some(error) })
      Deferred.doneUnsafe(this.ready, Effect.void)
      if (!this.warnedOfOthers) {
        this.warnedOfOthers = true
        yield* Effect.logWarning(`${path} cannot be advertised while it is somebody else's`)
      }
      yield* fired
    })

  /** Makes the node of a session and keeps it, until that fails. */
  readonly keep = (session: ZkSession): Effect.Effect<never, CreateError> =>
    Effect.gen({ self: this }, function*() {
      if (this.session !== undefined && this.session.sessionId !== session.sessionId) {
        this.former.add(this.session.sessionId)
      }
      this.session = session
      while (true) {
        if (this.place === undefined) yield* this.makeNumbered(session, 1)
        // Without a number again, which it keeps.
        else if (!(yield* this.make(session, this.place))) {
          if (this.plan.sequential) this.place = undefined
          else yield* Effect.scoped(this.giveWay(session, this.place))
          continue
        }
        while (yield* Effect.scoped(this.follow(session, this.place!)));
        this.written = undefined
        this.announce({ _tag: "Pending", error: Option.none() })
      }
    })

  // -- the end --------------------------------------------------------------------------------------------------------

  /** When nothing is being made any more. */
  readonly remove: Effect.Effect<void> = Effect.suspend(() => {
    const { claimed, place } = this
    const named = claimed === undefined || place === undefined
      ? Effect.void
      : claimed.remove(place, { onlyOwn: true })
    return Effect.all([Scope.close(this.numbered, Exit.void), named], { concurrency: 2, discard: true })
  })
}

/** Nothing more can be done with the client, which may be that of one session only. */
const isOver = (client: ZkClient, error: { readonly _tag: string }): Effect.Effect<boolean> => {
  if (error._tag !== "SessionExpired") {
    return Effect.succeed(error._tag === "SessionClosed" || error._tag === "AuthFailed")
  }
  return Effect.match(client.session, {
    onSuccess: (session) => session.endUnsafe() !== undefined,
    onFailure: (error) => !isPassing(error)
  })
}

/** Goes on for as long as there is a client: whatever fails is tried again. */
const run = Effect.fnUntraced(function*(client: ZkClient, advertiser: Advertiser): Effect.fn.Return<void> {
  let sessions = 0
  while (true) {
    const error = yield* Effect.flip(Effect.flatMap(client.session, advertiser.keep))
    const isReady = Deferred.isDoneUnsafe(advertiser.ready)
    const isExpired = error._tag === "SessionExpired"
    if (isExpired && isReady) advertiser.announce({ _tag: "Pending", error: Option.none() })
    const mayGoOn = isReady || (isExpired && ++sessions < maxSessions)
    if (!mayGoOn || (yield* isOver(client, error))) {
      advertiser.announce({ _tag: "Ended" })
      Deferred.doneUnsafe(advertiser.ready, Effect.fail(error))
      return
    }
    // A server that ends the connection because of what it is sent would do so for ever, to all who use it.
    const isRefused = error._tag === "ConnectionLoss" && error.maybeApplied && ++advertiser.losses > maxLosses
    // The next request waits for what there is to wait for.
    if (isExpired || (error._tag === "ConnectionLoss" && !isRefused)) continue
    if (isPassing(error) && !isRefused) {
      yield* Effect.sleep(pause)
      continue
    }
    // A node that is there and cannot be written says so by not being up to date.
    if (advertiser.state._tag !== "Advertised") advertiser.announce({ _tag: "Pending", error: Option.some(error) })
    yield* Effect.logWarning(`cannot be advertised: ${error.message}`)
    const longest = Math.min(250 * 2 ** advertiser.failures++, longestPause)
    const wait = Effect.flatMap(Random.next, (chance) => Effect.sleep(longest * (0.5 + chance / 2)))
    // Another value may fare better.
    advertiser.changed.closeUnsafe()
    yield* Effect.raceFirst(wait, Effect.andThen(advertiser.changed.await, Effect.sleep(pause)))
  }
})

export const make = <A, I, RD, RE, R>(
  path: string,
  options: ZkAdvertisement.Options<A, I, RD, RE, R>
): Effect.Effect<
  ZkAdvertisement.ZkAdvertisement<A>,
  ZkAdvertisement.MakeError,
  ZkClient | Scope.Scope | RE | R
> =>
  Effect.gen(function*() {
    const client = yield* ZkClient
    const context = yield* Effect.context<RE>()
    const { acl, follow, sequential = false } = options
    const reason = ZkPath.problem(path, { sequential })
    if (reason !== undefined) return yield* new InvalidPath({ path, reason })
    const encodeValue = encodeWith(
      options.codec === undefined ? ZkCodec.json(options.value) : options.codec(options.value)
    )
    const encode = (value: A): Effect.Effect<Uint8Array, ValueEncodeError> =>
      Effect.provideContext(encodeValue(path, value), context)

    const states = yield* PubSub.sliding<State>({ capacity: backlog, replay: 1 })
    const advertiser = new Advertiser({ path, sequential, acl }, yield* encode(options.data), states)
    PubSub.publishUnsafe(states, advertiser.state)

    let stopped = false
    const set = (value: A): Effect.Effect<void, ValueEncodeError> =>
      Effect.flatMap(encode(value), (data) => stopped ? Effect.interrupt : Effect.sync(() => advertiser.set(data)))
    const fibers: Array<Fiber.Fiber<void>> = []
    const ended = Deferred.makeUnsafe<void>()
    /** Who closes the scope may be the stream that is followed, which cannot wait for its own end. */
    const interruptAll = Effect.withFiber((self) => {
      const others = fibers.filter((fiber) => fiber !== self)
      if (others.length < fibers.length) self.interruptUnsafe()
      return Fiber.interruptAll(others)
    })
    const stop = Effect.suspend(() => {
      if (stopped) return Deferred.await(ended)
      stopped = true
      Deferred.doneUnsafe(advertiser.ready, Effect.interrupt)
      return interruptAll.pipe(
        Effect.andThen(advertiser.remove),
        Effect.andThen(Effect.sync(() => advertiser.announce({ _tag: "Ended" }))),
        Effect.ensuring(Deferred.succeed(ended, undefined))
      )
    })
    yield* Effect.addFinalizer(() => stop)
    /** What it does in the background ends with it, and is not begun after its end. */
    const fork = <R>(effect: Effect.Effect<void, never, R>): Effect.Effect<void, never, R> =>
      Effect.uninterruptible(Effect.suspend(() =>
        stopped
          ? Effect.interrupt
          : Effect.map(
            Effect.forkDetach(Effect.interruptible(effect), { startImmediately: true }),
            (fiber) => void fibers.push(fiber)
          )
      ))
    yield* fork(
      run(client, advertiser).pipe(
        Effect.tapCauseIf(Cause.hasDies, (cause) => {
          Deferred.doneUnsafe(advertiser.ready, Effect.failCause(cause))
          advertiser.announce({ _tag: "Ended" })
          return Effect.logError(`${path} is not advertised any more`, cause)
        }),
        Effect.withTracerEnabled(false)
      )
    )
    yield* Effect.onError(Deferred.await(advertiser.ready), () => stop)
    if (follow !== undefined) {
      yield* fork(follow.pipe(
        Stream.runForEach((value) =>
          Effect.catch(set(value), (error) => Effect.logWarning(`not advertised: ${error.message}`))
        ),
        Effect.tapCauseIf(
          Cause.hasDies,
          (cause) => Effect.logWarning(`${path} is not kept up to date any more`, cause)
        )
      ))
    }
    return {
      path,
      state: Effect.sync(() => advertiser.state),
      changes: Stream.takeUntil(Stream.fromPubSub(states), (state) => state._tag === "Ended"),
      set
    }
  })
