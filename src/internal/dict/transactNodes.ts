/**
 * Several nodes changed as one, if everything that was read is still so.
 *
 * Of what was read and is there the version is checked; of what was read and is missing, that it can be created. Nothing
 * else can be asked of a server, so that a node which was deleted and made anew in between, and set as often as the one
 * before, passes for the same.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import type { NodeData } from "../../ZkClient.ts"
import type { MultiCause, NoAuth, ServerError, SessionError } from "../../ZkError.ts"
import { WriteConflict } from "../../ZkError.ts"
import * as ZkPath from "../../ZkPath.ts"
import type { Stat } from "../../ZkStat.ts"
import * as ZkTransaction from "../../ZkTransaction.ts"
import { isSameBytes } from "../bytes.ts"
import { inTheNext, isLost, leftOpen } from "../client/resolve.ts"
import type { Lost } from "../client/resolve.ts"
import { backOff, maxTries } from "../contention.ts"
import { awaitClaims } from "./claim.ts"
import type { NodeStoreOptions } from "./root.ts"
import { makeRoot } from "./root.ts"
import type { StoreTransactError, StoreWriteError, Transaction } from "./store.ts"

class Attempt implements Transaction {
  readonly seen = new Map<string, NodeData | undefined>()
  readonly written = new Map<string, Uint8Array | undefined>()
  private readonly options: NodeStoreOptions

  constructor(options: NodeStoreOptions) {
    this.options = options
  }

  pathOf(name: string): string {
    return ZkPath.join(this.options.root, name)
  }

  read(name: string): Effect.Effect<NodeData | undefined, NoAuth | SessionError> {
    return Effect.suspend(() => {
      if (this.seen.has(name)) return Effect.succeed(this.seen.get(name))
      return Effect.map(this.options.client.getDataOption(this.pathOf(name)), (found) => {
        // Of two reads at the same time the first counts.
        if (!this.seen.has(name)) this.seen.set(name, Option.getOrUndefined(found))
        return this.seen.get(name)
      })
    })
  }

  write(name: string, data: Uint8Array | undefined): void {
    this.written.set(name, data)
  }

  /** Whether a node is there decides on how to write it. */
  readonly readWritten: Effect.Effect<void, NoAuth | SessionError> = Effect.suspend(() =>
    Effect.forEach([...this.written.keys()], (name) => this.read(name), { concurrency: "unbounded", discard: true })
  )

  ops(): ReadonlyArray<ZkTransaction.WriteOp> {
    const { acl } = this.options
    return [...this.seen].flatMap(([name, node]): ReadonlyArray<ZkTransaction.WriteOp> => {
      const path = this.pathOf(name)
      const data = this.written.get(name)
      if (node === undefined) {
        // That nothing is there cannot be checked otherwise.
        return data === undefined
          ? [ZkTransaction.create(path), ZkTransaction.delete(path)]
          : [ZkTransaction.create(path, data, { acl })]
      }
      const { version } = node.stat
      if (!this.written.has(name)) return [ZkTransaction.check(path, { version })]
      return [
        data === undefined ? ZkTransaction.delete(path, { version }) : ZkTransaction.setData(path, data, { version })
      ]
    })
  }

  /**
   * Whether what is there now shows that the transaction was not applied, nor will be. `sameNames`: no node has come or
   * gone since before.
   */
  isUndone(now: ReadonlyMap<string, NodeData | undefined>, sameNames: boolean): boolean {
    return [...this.written].some(([name, data]) => {
      const before = this.seen.get(name)
      const after = now.get(name)
      const comesOrGoes = (before === undefined) !== (data === undefined)
      if (comesOrGoes && sameNames) return true
      if (before === undefined || after === undefined) return false
      if (before.stat.czxid !== after.stat.czxid) return false
      if (before.stat.version === after.stat.version || data === undefined) return true
      // Exactly one write has followed, and it was another.
      return after.stat.version === ((before.stat.version + 1) | 0) &&
        !isSameBytes(after.data, data)
    })
  }
}

/** Gives whether it was applied; if not, somebody else was faster. */
const onRefused = (
  options: NodeStoreOptions,
  path: string,
  cause: MultiCause
): Effect.Effect<boolean, StoreTransactError> => {
  switch (cause._tag) {
    case "NodeExists":
    case "BadVersion":
      return Effect.succeed(false)
    case "NoNode":
      // The node, or the root.
      return options.createRoot ? Effect.as(makeRoot(options), false) : Effect.flatMap(
        options.client.exists(options.root),
        (root) => Option.isSome(root) ? Effect.succeed(false) : Effect.fail(cause)
      )
    case "NotEmpty":
      return Effect.flatMap(
        awaitClaims(options.client, path, "transact"),
        (isGone) => isGone ? Effect.succeed(false) : Effect.fail(cause)
      )
    case "EphemeralOnLocalSession":
      return Effect.die(cause)
    default:
      return Effect.fail(cause)
  }
}

const findOut = (
  options: NodeStoreOptions,
  attempt: Attempt,
  before: bigint,
  lost: Lost
): Effect.Effect<boolean, NoAuth | SessionError> => {
  const look = Effect.gen(function*() {
    const now = new Attempt(options)
    for (const [name, data] of attempt.written) now.write(name, data)
    yield* options.client.sync(options.root)
    yield* now.readWritten
    const root = yield* options.client.exists(options.root)
    return attempt.isUndone(now.seen, Option.isSome(root) && root.value.pzxid <= before)
  })
  return Effect.flatMap(
    Effect.mapError(inTheNext(look), (later) => leftOpen(lost, later)),
    (isUndone) => isUndone ? Effect.succeed(false) : Effect.fail(lost)
  )
}

const isSameNode = (a: Stat | undefined, b: Stat | undefined): boolean => a?.czxid === b?.czxid && a?.mzxid === b?.mzxid

/** As much as is read again in one answer. */
const maxSize = 1 << 20

/**
 * Asks without the data. When the root is looked at first, everything was as it was read: what is there is the same before
 * and after that, and what is missing has not been there meanwhile if no child has come or gone.
 */
const wasSoEach = (
  { client, root }: NodeStoreOptions,
  attempt: Attempt
): Effect.Effect<boolean, NoAuth | SessionError> =>
  Effect.gen(function*() {
    const lastChild = Effect.map(client.exists(root), (found) => Option.getOrUndefined(found)?.pzxid)
    const before = yield* lastChild
    const areSame = yield* Effect.forEach(
      attempt.seen,
      ([name, node]) =>
        Effect.map(
          client.exists(attempt.pathOf(name)),
          (found) => isSameNode(Option.getOrUndefined(found), node?.stat)
        ),
      { concurrency: "unbounded" }
    )
    const after = yield* lastChild
    const areThere = [...attempt.seen.values()].every((node) => node !== undefined)
    return areSame.every(Boolean) && (areThere || before === after)
  })

/** Whether all that was read was so at one moment. */
const wasSo = (
  options: NodeStoreOptions,
  attempt: Attempt
): Effect.Effect<boolean, NoAuth | ServerError | SessionError> => {
  const { seen } = attempt
  // One thing was as it is at the moment that it was read.
  if (seen.size <= 1) return Effect.succeed(true)
  const nodes = [...seen.values()]
  const size = nodes.reduce((sum, node) => sum + (node?.stat.dataLength ?? 0), 0)
  if (size > maxSize) return wasSoEach(options, attempt)
  return options.client.observeEach([...seen.keys()].map((name) => attempt.pathOf(name))).pipe(
    Effect.flatMap((results) => {
      const failure = results.find(Result.isFailure)
      if (failure !== undefined) return Effect.fail(failure.failure)
      return Effect.succeed(results.every((result, i) => {
        const now = Result.isSuccess(result) ? Option.getOrUndefined(result.success.node)?.stat : undefined
        return isSameNode(now, nodes[i]?.stat)
      }))
    }),
    // The client accepts even less, of which each was small enough.
    Effect.catchTag("ResponseTooLarge", () => wasSoEach(options, attempt))
  )
}

type Commit<E> = (options: NodeStoreOptions, attempt: Attempt) => Effect.Effect<boolean, E>

const commit: Commit<StoreTransactError> = (options, attempt) =>
  Effect.suspend(() => {
    if (attempt.written.size === 0) return wasSo(options, attempt)
    const ops = attempt.ops()
    return Effect.flatMap(options.client.lastZxid, (before) =>
      options.client.multi(ops).pipe(
        Effect.as(true),
        Effect.catch((error) => {
          if (error._tag === "MultiFailed") return onRefused(options, ops[error.index]!.path, error.cause)
          return isLost(error) ? findOut(options, attempt, before, error) : Effect.fail(error)
        })
      ))
  })

/** Of a transaction that removes nothing. */
const commitWrites: Commit<StoreWriteError | WriteConflict> = (options, attempt) =>
  Effect.catchTag(commit(options, attempt), "NotEmpty", Effect.die)

const run = <A, E, R, CommitError>(
  operation: string,
  options: NodeStoreOptions,
  body: (transaction: Transaction) => Effect.Effect<A, E, R>,
  commit: Commit<CommitError>
): Effect.Effect<A, E | CommitError | WriteConflict | NoAuth | SessionError, R> => {
  const attempt = (tries: number): Effect.Effect<A, E | CommitError | WriteConflict | NoAuth | SessionError, R> =>
    Effect.gen(function*() {
      const transaction = new Attempt(options)
      const result = yield* body(transaction)
      yield* transaction.readWritten
      if (yield* commit(options, transaction)) return result
      if (tries === maxTries) return yield* new WriteConflict({ operation, path: options.root, tries })
      yield* backOff(tries)
      // A server that is behind would show the same again.
      yield* options.client.sync(options.root)
      return yield* attempt(tries + 1)
    })
  return attempt(1)
}

export const transactNodes = <A, E, R>(
  options: NodeStoreOptions,
  body: (transaction: Transaction) => Effect.Effect<A, E, R>
): Effect.Effect<A, E | StoreTransactError, R> => run("transact", options, body, commit)

export const updateNodes = <A, E, R>(
  options: NodeStoreOptions,
  body: (transaction: Transaction) => Effect.Effect<A, E, R>
): Effect.Effect<A, E | StoreWriteError | WriteConflict, R> => run("update", options, body, commitWrites)
