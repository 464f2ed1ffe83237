import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import { TestClock } from "effect/testing"
import type { Duplex } from "node:stream"
import { BootTime } from "../../src/internal/session/clock.ts"
import { formatServer, Transport } from "../../src/internal/transport.ts"
import * as ZkClient from "../../src/ZkClient.ts"
import type { Options } from "../../src/ZkConfig.ts"
import type { FakeServer } from "./fakeServer.ts"

/** One attempt to reach a server: its name, when by the test's Clock, and the client's end of the connection. */
export interface Attempt {
  readonly server: string
  readonly at: number
  readonly stream: Duplex
}

/** A network on which every server, whatever its name, is the same fake one, and no time passes but the test's. */
export interface Wire {
  readonly attempts: ReadonlyArray<Attempt>
  readonly provide: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /** A client with a session timeout of 6 seconds: pings after 1, silence after 4, expiry by its own clock after 8. */
  readonly client: (options?: Options) => Effect.Effect<ZkClient.ZkClient, ZkClient.MakeError, Scope.Scope>
  /** Servers that nobody listens at. */
  readonly dead: Set<string>
}

/** `bootTime` is in seconds. It stands still by default: a test that takes real time is no nap of the machine. */
export const makeWire = (fake: FakeServer, bootTime: () => number = () => 0): Wire => {
  const attempts: Array<Attempt> = []
  const dead = new Set<string>()
  const provide: Wire["provide"] = (effect) =>
    effect.pipe(
      Effect.provideService(Transport, {
        connect: (address) =>
          Effect.flatMap(Clock.currentTimeMillis, (at) => {
            const server = formatServer(address)
            const stream = fake.openDuplex()
            attempts.push({ server, at, stream })
            if (!dead.has(server)) return Effect.succeed(stream)
            stream.destroy()
            return Effect.fail(new Error(`connect ECONNREFUSED ${server}`))
          })
      }),
      Effect.provideService(BootTime, bootTime)
    )
  return {
    attempts,
    dead,
    provide,
    client: (options) =>
      provide(closingInTime(
        ZkClient.make({ hosts: "zk", sessionTimeout: "6 seconds", shuffle: false, ...options })
      ))
  }
}

/** Closing may wait for time to pass, which under a TestClock nobody else makes pass once the test is done. */
const closingInTime = <A, E>(make: Effect.Effect<A, E, Scope.Scope>): Effect.Effect<A, E, Scope.Scope> =>
  Effect.gen(function*() {
    const isTest = "adjust" in (yield* Clock.Clock)
    const scope = yield* Effect.acquireRelease(Scope.make(), (scope, exit) => {
      const close = Scope.close(scope, exit)
      return isTest ? Effect.raceFirst(close, Effect.forever(pass(100))) : close
    })
    return yield* Scope.provide(make, scope)
  })

/** For a test that asks for nothing special. */
export const onFake = <A, E, R>(fake: FakeServer, effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  makeWire(fake).provide(effect)

/** Lets everything happen that is due without time passing: what lies in memory between client and fake server. */
export const settle: Effect.Effect<void> = Effect.promise(async () => {
  for (let turn = 0; turn < 12; turn++) await new Promise<void>((resolve) => setImmediate(resolve))
})

/** Moves the TestClock on in steps, so that answers arrive at about the time at which they would. */
export const pass = (millis: number, step = 50): Effect.Effect<void> =>
  Effect.gen(function*() {
    yield* settle
    for (let left = millis; left > 0; left -= step) {
      yield* TestClock.adjust(Math.min(step, left))
      yield* settle
    }
  })

/** A client of the fake server, for a test that asks for nothing special. See {@link Wire.client}. */
export const fakeClient = (
  fake: FakeServer,
  options?: Options
): Effect.Effect<ZkClient.ZkClient, ZkClient.MakeError, Scope.Scope> => makeWire(fake).client(options)
