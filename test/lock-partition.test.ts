/** Two processes, or machines, and one lock, when the one that holds it is cut off or stands still. */
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as ZkClient from "../src/ZkClient.ts"
import * as ZkLock from "../src/ZkLock.ts"
import * as ZkTransaction from "../src/ZkTransaction.ts"
import { judge, parseClaim } from "./soak/exclusionJudge.ts"
import { claimsPath, counterPath, lockPath, makeWorkers, type Worker } from "./soak/exclusionWorkers.ts"
import { makeEnsemble } from "./support/ensemble.ts"
import { awaitCandidates, on, queueUp } from "./support/locking.ts"
import { makeProxy } from "./support/proxy.ts"
import { attempt } from "./support/rigError.ts"
import { freshRoot, shared } from "./support/shared.ts"
import { pollUntil } from "./support/wait.ts"

const now = () => Number(process.hrtime.bigint()) / 1e6

const until = (what: string, probe: () => boolean) =>
  Effect.asVoid(attempt(what, (signal) => pollUntil(what, async () => probe() || undefined, { signal, every: 5 })))

/** The process holds the lock, writes nothing and will not let go of it by itself. */
const staying = (worker: Worker) =>
  Effect.suspend(() => {
    worker.say("stay")
    return until(`process ${worker.id} stays`, () => worker.isStaying)
  })

const evidence = (zk: ZkClient.ZkClient, workers: ReadonlyArray<Worker>) =>
  Effect.gen(function*() {
    yield* zk.sync()
    return {
      logs: new Map(workers.map((worker) => [worker.id, worker.entries()])),
      claims: (yield* zk.getChildren(claimsPath)).children.map(parseClaim),
      counter: Number((yield* zk.getData(counterPath)).text)
    }
  })

const prepare = (zk: ZkClient.ZkClient) =>
  Effect.andThen(zk.create(counterPath, "0", { parents: true }), zk.create(claimsPath))

describe.concurrent("a holder whose server is cut from its leader", () => {
  it.live(
    "loses the lock, still connected, before another gets it; who believes in connections holds on to it " +
      "[T25] [K12] [I5] [T20] [EX5]",
    () =>
      Effect.gen(function*() {
        const tickTime = 500
        const sessionTimeout = 3_000
        // For seven seconds a follower does not notice that it hears no leader, and answers pings and reads.
        const ensemble = yield* makeEnsemble({ tickTime, quorumProxies: true, extraConfig: { syncLimit: "14" } })
        const leader = yield* ensemble.leader
        const [follower] = yield* ensemble.followers
        assert.isDefined(follower)
        const a = yield* ZkClient.make({ hosts: follower.connectString, sessionTimeout })
        const b = yield* ZkClient.make({ hosts: leader.connectString, sessionTimeout })
        yield* prepare(b)
        yield* b.create("/stock", "0")
        yield* b.create("/marked", "0")
        const path = "/locks/real"
        const held = yield* Effect.flatMap(on(a)(ZkLock.make(path)), (lock) => lock.acquire())

        // What runs under the lock, step by step, and cleans up behind itself.
        const begun = yield* Deferred.make<void>()
        const steps: Array<number> = []
        let cleanedUpAt: number | undefined
        const step = Effect.andThen(Effect.sync(() => steps.push(now())), Deferred.succeed(begun, undefined))
        const body = yield* held.use(Effect.forever(Effect.andThen(step, Effect.sleep(2)))).pipe(
          Effect.ensuring(Effect.sync(() => {
            cleanedUpAt = now()
          })),
          Effect.forkScoped
        )
        yield* Deferred.await(begun)
        const losing = yield* held.lost.pipe(
          Effect.flip,
          Effect.flatMap((lost) => Effect.map(a.state, (state) => ({ lost, state: state._tag, at: now() }))),
          Effect.forkScoped
        )
        const theirs = yield* on(b)(ZkLock.make(path))
        const getting = yield* queueUp(b, path, 2, Effect.map(theirs.acquire(), (handle) => ({ handle, at: now() })))

        // The same with a library whose lease is the connection, in two processes.
        const [believer, heir] = yield* makeWorkers(
          [follower, leader].map((server, i) => ({
            worker: i + 1,
            hosts: server.connectString,
            sessionTimeout,
            seed: i
          })),
          { mutant: "lease" }
        )
        assert.isTrue(believer !== undefined && heir !== undefined)
        yield* staying(believer)
        heir.say("stay")
        yield* awaitCandidates(b, lockPath, 2)

        yield* ensemble.partition(follower)
        const cutAt = now()
        // Written within the lease, and on its way when the lock is another's.
        const writing = yield* Effect.forkScoped(
          Effect.exit(held.guard([ZkTransaction.setData("/stock", "from the past")])),
          { startImmediately: true }
        )

        const { at: lostAt, lost, state } = yield* Fiber.join(losing)
        assert.strictEqual(lost.reason, "lease")
        // The connection had nothing to do with it.
        assert.strictEqual(state, "Connected")
        assert.isBelow(lostAt - cutAt, sessionTimeout)
        const exit = yield* Fiber.await(body)
        assert.isTrue(Exit.isFailure(exit) && Cause.squash(exit.cause) instanceof ZkLock.LockLost)
        assert.isFalse(yield* held.isHeld)
        const refused = yield* Effect.flip(held.guard([ZkTransaction.setData("/stock", "from the past")]))
        assert.strictEqual(refused._tag, "LockLost")

        const { at: gotAt, handle } = yield* Fiber.join(getting)
        // It is the servers that gave the lock away, for the first was heard of no more.
        assert.isAbove(gotAt - cutAt, sessionTimeout - sessionTimeout / 6 - tickTime)
        assert.isBelow(lostAt, gotAt)
        assert.isBelow(steps.at(-1)!, gotAt)
        assert.isBelow(cleanedUpAt!, gotAt)
        assert.isTrue(handle.fencingToken > held.fencingToken)
        yield* handle.guard([ZkTransaction.setData("/stock", "1")])

        // Those who trust the connection: two of them at once.
        yield* until(
          "the heir and the believer take steps at the same time",
          () =>
            judge({ logs: new Map([believer, heir].map((it) => [it.id, it.entries()])), claims: [], counter: 0 })
              .violations.some((violation) => violation.startsWith("two holders"))
        )

        yield* ensemble.heal
        believer.say("go")
        heir.say("go")
        const write = yield* Fiber.join(writing)
        assert.isTrue(Exit.isFailure(write), "a write of the past was acknowledged")
        // A connection that works again, behind everything that was under way.
        yield* ensemble.waitForQuorum(3)
        yield* Effect.retry(a.setData("/marked", "1"), ZkClient.retrySchedule)
        yield* b.sync()
        assert.strictEqual((yield* b.getData("/stock")).text, "1")
        // Even for those two no write was lost: `guard` asks the servers.
        for (const worker of [believer, heir]) worker.say("stop")
        yield* Effect.promise(() => Promise.all([believer.ended, heir.ended]))
        const { violations, writes } = judge(yield* evidence(b, [believer, heir]))
        assert.deepStrictEqual(violations.filter((violation) => !violation.startsWith("two holders")), [])
        assert.isAbove(writes.acknowledged, 0)
      }),
    60_000
  )
})

describe.concurrent("a holder that had nothing to do before it got the lock", () => {
  it.live(
    "has been heard of often enough: cut off at once, it loses the lock before another gets it [EX8]",
    () =>
      Effect.gen(function*() {
        const tickTime = 500
        const ensemble = yield* makeEnsemble({ tickTime, quorumProxies: true, extraConfig: { syncLimit: "14" } })
        const leader = yield* ensemble.leader
        const [follower] = yield* ensemble.followers
        assert.isDefined(follower)
        const proxy = yield* makeProxy(follower.port)
        const a = yield* ZkClient.make({ hosts: proxy.connectString, sessionTimeout: 3_000 })
        const b = yield* ZkClient.make({ hosts: leader.connectString, sessionTimeout: 3_000 })
        const path = "/locks/idle"
        // The longest lease that there is: it leaves no room but for half a tick, and for pings that come in time.
        const ours = yield* on(a)(ZkLock.make(path, { tickTime }))
        const theirs = yield* on(b)(ZkLock.make(path))
        const first = yield* theirs.acquire()
        const getting = yield* queueUp(b, path, 2, ours.acquire())
        const next = yield* queueUp(b, path, 3, Effect.map(theirs.acquire(), (handle) => ({ handle, at: now() })))
        // All that the servers hear of the one who waits is its pings. Were every other of them left out, as they once
        // were, then this is the time at which they would have heard of it least lately.
        const pings: Array<number> = []
        yield* proxy.onEvent((event) => {
          if (event.type === "frame" && event.kind === "ping") pings.push(now())
        })
        yield* until("it pings in time", () => pings.length > 3 && pings.at(-1)! - pings.at(-2)! < 700)
        yield* Effect.sleep(1_300)
        yield* first.release
        const held = yield* Fiber.join(getting)
        yield* ensemble.partition(follower)
        const lost = yield* Effect.flip(held.lost)
        const lostAt = now()
        assert.strictEqual(lost.reason, "lease")
        const { at: gotAt, handle } = yield* Fiber.join(next)
        assert.isBelow(lostAt, gotAt)
        assert.isTrue(handle.fencingToken > held.fencingToken)
      }),
    60_000
  )
})

describe.concurrent("a process that is frozen while it holds a lock", () => {
  it.live("takes no step and writes nothing when it wakes up after another got the lock [I6] [EX6]", () =>
    Effect.gen(function*() {
      const { connectString } = yield* shared
      const hosts = `${connectString}${yield* freshRoot}`
      const zk = yield* ZkClient.make({ hosts })
      yield* prepare(zk)
      const workers = yield* makeWorkers(
        [1, 2].map((worker) => ({ worker, hosts, sessionTimeout: 2_000, seed: worker }))
      )
      const [first, second] = workers
      assert.isTrue(first !== undefined && second !== undefined)
      yield* staying(first)
      second.say("stay")
      yield* awaitCandidates(zk, lockPath, 2)
      const frozenAt = first.entries().length
      first.freeze()
      yield* until("the other one has the lock", () => second.isStaying)
      first.resume()
      yield* until("the one that was frozen has lost it", () => first.holds === undefined)
      const woken = first.entries().slice(frozenAt)
      assert.include(woken.flatMap((entry) => entry.kind === "end" ? [entry.how] : []), "lost: lease")
      for (const worker of workers) worker.say("stop")
      assert.deepStrictEqual(yield* Effect.promise(() => Promise.all(workers.map(({ ended }) => ended))), [0, 0])
      assert.deepStrictEqual(judge(yield* evidence(zk, workers)).violations, [])
    }))
})
