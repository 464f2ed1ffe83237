/** Time for sessions: monotonic, and aware of a machine that slept. */
import type * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as os from "node:os"

/** Seconds since the machine was booted, including those that it slept. */
export const BootTime = Context.Reference<() => number>("effect-zookeeper/internal/BootTime", {
  defaultValue: () => os.uptime
})

/** Below this the two clocks differ by their resolution. */
const toleranceMillis = 1000

/** How seldom the clock that counts sleep is asked, since it costs a system call. */
const lookMillis = 100

/**
 * Milliseconds from an arbitrary origin, never going back. A monotonic clock stands still while a laptop is suspended,
 * but servers do not: {@link resync} adds what it missed. The wall clock, which people set, is never asked.
 */
export class SessionClock {
  private readonly clock: Clock.Clock
  private readonly bootTime: () => number
  private slept = 0
  private lastMonotonic: number
  private lastBoot: number

  constructor(clock: Clock.Clock, bootTime: () => number) {
    this.clock = clock
    this.bootTime = bootTime
    this.lastMonotonic = this.monotonic()
    this.lastBoot = bootTime() * 1000
  }

  private monotonic(): number {
    return Number(this.clock.monotonicTimeNanosUnsafe()) / 1e6
  }

  now(): number {
    return this.monotonic() + this.slept
  }

  /** The time, also after the machine slept, which may be noticed so many milliseconds late. */
  nowAfterSleep(late = lookMillis): number {
    const monotonic = this.monotonic()
    return monotonic - this.lastMonotonic >= late ? this.resync() : monotonic + this.slept
  }

  resync(): number {
    const monotonic = this.monotonic()
    const boot = this.bootTime() * 1000
    const missed = boot - this.lastBoot - (monotonic - this.lastMonotonic)
    if (missed > toleranceMillis) this.slept += missed
    this.lastMonotonic = monotonic
    this.lastBoot = boot
    return monotonic + this.slept
  }

  /** For whole milliseconds, rounded up: who wakes a rounding error too early would go on sleeping for no time at all. */
  sleep(millis: number): Effect.Effect<void> {
    return this.clock.sleep(Duration.millis(Math.max(0, Math.ceil(millis))))
  }
}

/** One timer that can be moved. */
export class Alarm {
  private readonly clock: SessionClock
  private readonly fork: (effect: Effect.Effect<void>) => Fiber.Fiber<void>
  private readonly onTime: () => void
  private fiber: Fiber.Fiber<void> | undefined
  private time = Infinity

  constructor(clock: SessionClock, fork: (effect: Effect.Effect<void>) => Fiber.Fiber<void>, onTime: () => void) {
    this.clock = clock
    this.fork = fork
    this.onTime = onTime
  }

  /** Makes sure that the alarm goes off at `time` or before. Going off early is the caller's to notice. */
  noLaterThan(time: number): void {
    if (time >= this.time) return
    this.cancel()
    this.time = time
    const ring = Effect.sync(() => {
      this.time = Infinity
      this.fiber = undefined
      this.onTime()
    })
    this.fiber = this.fork(Effect.andThen(this.clock.sleep(time - this.clock.now()), ring))
  }

  cancel(): void {
    this.time = Infinity
    this.fiber?.interruptUnsafe()
    this.fiber = undefined
  }
}
