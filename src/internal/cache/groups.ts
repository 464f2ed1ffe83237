/**
 * Reads of many nodes in few requests: a server takes some dozens of microseconds for a request, and next to nothing more
 * for each node that is read by it. What is asked for at one moment goes together. A few go by themselves, so that their
 * answers do not wait for each other.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { NodeData, Observed, ZkClient } from "../../ZkClient.ts"
import type { NoAuth, ResponseTooLarge, SessionError } from "../../ZkError.ts"

type Read = Effect.Effect<Observed<NodeData>, NoAuth | SessionError>

interface Waiting {
  readonly path: string
  readonly resume: (read: Read) => void
}

/** Fewer are not worth it. */
const few = 8

/** More do not make a difference. */
const many = 32

/** How many bytes of data an answer may have, as far as can be told: others wait for it. */
const maxSize = 1 << 20

/** What there is of a node besides its data. */
const besidesData = 100

export class Groups {
  private readonly client: ZkClient
  private readonly run: (effect: Effect.Effect<void>) => void
  private readonly onTooLarge: (error: ResponseTooLarge) => (path: string) => Read
  private waiting: Array<Waiting> = []
  /** The largest data that was read. */
  private largest = 0

  /** `onTooLarge`: an answer was, which costs the connection. Gives how to read from then on. */
  constructor(
    client: ZkClient,
    run: (effect: Effect.Effect<void>) => void,
    onTooLarge: (error: ResponseTooLarge) => (path: string) => Read
  ) {
    this.client = client
    this.run = run
    this.onTooLarge = onTooLarge
  }

  observeData(path: string): Read {
    return Effect.map(
      Effect.callback<Observed<NodeData>, NoAuth | SessionError>((resume) => {
        if (this.waiting.length === 0) queueMicrotask(() => this.send())
        this.waiting.push({ path, resume })
      }),
      (observed) => {
        if (Option.isSome(observed.node)) this.largest = Math.max(this.largest, observed.node.value.stat.dataLength)
        return observed
      }
    )
  }

  private send(): void {
    const { waiting } = this
    this.waiting = []
    const size = Math.min(many, Math.floor(maxSize / (this.largest + besidesData)))
    if (waiting.length < few || size < few) {
      for (const { path, resume } of waiting) resume(this.client.observeData(path))
      return
    }
    for (let from = 0; from < waiting.length; from += size) {
      this.run(this.together(waiting.slice(from, from + size)))
    }
  }

  private together(group: ReadonlyArray<Waiting>): Effect.Effect<void> {
    return Effect.matchCause(this.client.observeEach(group.map(({ path }) => path)), {
      onSuccess: (results) => {
        for (const [i, { resume }] of group.entries()) resume(Effect.fromResult(results[i]!))
      },
      onFailure: (cause) => {
        const error = Option.getOrUndefined(Cause.findErrorOption(cause))
        // It may be one of them, or all together.
        const read = error?._tag === "ResponseTooLarge" ? this.onTooLarge(error) : () => Effect.failCause(cause)
        for (const { path, resume } of group) resume(read(path))
      }
    })
  }
}
