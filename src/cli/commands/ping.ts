/** `zk ping`: how long a server takes to answer. */
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { ZkClient } from "../../ZkClient.ts"
import type { NoAuth, SessionError } from "../../ZkError.ts"
import { isConnected } from "../../ZkState.ts"
import { durationFlag } from "../duration.ts"
import { CommandFailed } from "../failure.ts"
import { bucketsOf, drawBuckets, quantile } from "../histogram.ts"
import { note, Output, report } from "../output.ts"
import { printable } from "../printable.ts"
import { plural } from "../stat.ts"

/** What has been seen until now. */
class Tally {
  /** Milliseconds. */
  readonly times: Array<number> = []
  readonly servers = new Set<string>()
  lost = 0

  get sent(): number {
    return this.times.length + this.lost
  }
}

const rounded = (millis: number): number => Number(millis.toFixed(3))

const shown = (millis: number): string =>
  millis < 10 ? millis.toFixed(2) : millis < 100 ? millis.toFixed(1) : millis.toFixed(0)

const statistics = (times: ReadonlyArray<number>) => {
  const sorted = [...times].sort((a, b) => a - b)
  return ([["min", 0], ["median", 0.5], ["p95", 0.95], ["p99", 0.99], ["max", 1]] as const)
    .map(([name, part]) => [name, quantile(sorted, part)] as const)
}

const summary = (tally: Tally) =>
  Effect.gen(function*() {
    const { lost, sent, servers, times } = tally
    const output = yield* Output
    const width = (yield* output.columns) ?? 80
    const values = statistics(times)
    const buckets = bucketsOf(times)
    yield* report({
      json: () => ({
        servers: [...servers],
        sent,
        received: times.length,
        lost,
        ...Object.fromEntries(values.map(([name, value]) => [name, value === undefined ? null : rounded(value)])),
        histogram: buckets
      }),
      text: ({ style }) => {
        const losses = lost === 0 ? "none lost" : `${lost} lost (${Math.round(lost / sent * 100)} %)`
        const head = `${[...servers].map(printable).join(", ") || "no server"}: ${plural(sent, "request")}, ${
          plural(times.length, "answer")
        }, ${lost === 0 ? losses : style.bad(losses)}`
        if (times.length === 0) return [head]
        const line = values.map(([name, value]) => `${style.faint(name)} ${shown(value!)}`).join("  ")
        return [head, `${line} ms`, "", ...drawBuckets(buckets, { unit: "ms", width })]
      }
    })
  })

/** After these there are no more answers. */
const isLast = ({ _tag }: NoAuth | SessionError): boolean => _tag === "SessionClosed" || _tag === "AuthFailed"

/** A read that each server answers by itself. */
const once = (tally: Tally) =>
  Effect.gen(function*() {
    const zk = yield* ZkClient
    const { noteStyle } = yield* Output
    const before = yield* Clock.currentTimeNanos
    const result = yield* Effect.result(zk.exists("/"))
    const millis = Number((yield* Clock.currentTimeNanos) - before) / 1e6
    // A server that refuses has answered, too.
    if (Result.isFailure(result) && result.failure._tag !== "NoAuth") {
      if (isLast(result.failure)) return yield* Effect.fail(result.failure)
      tally.lost++
      yield* clearLine
      yield* note(noteStyle.warning(`no answer to request ${tally.sent}: ${printable(result.failure.message)}`))
    } else tally.times.push(millis)
    const state = yield* zk.state
    if (isConnected(state)) tally.servers.add(state.server)
    return millis
  })

const clearLine = Output.use(({ canAnimate, remark }) => canAnimate ? remark("\r\u001b[2K") : Effect.void)

const showProgress = ({ lost, times }: Tally) =>
  Output.use(({ canAnimate, noteStyle, remark }) => {
    if (!canAnimate) return Effect.void
    const last = times.at(-1)
    const latest = last === undefined ? "" : `, the last in ${shown(last)} ms`
    const losses = lost === 0 ? "" : `, ${lost} lost`
    return remark(`\r\u001b[2K${noteStyle.faint(`${plural(times.length, "answer")}${latest}${losses}`)}`)
  })

const repeat = (tally: Tally, count: number, interval: number) =>
  Effect.gen(function*() {
    while (true) {
      const millis = yield* once(tally)
      yield* showProgress(tally)
      if (tally.sent === count) return
      yield* Effect.sleep(Math.max(0, interval - millis))
    }
  })

export const ping = Command.make("ping", {
  count: Flag.Int("count").pipe(
    Flag.withAlias("c"),
    Flag.filter((count) => count >= 0, () => "a number from 0 on"),
    Flag.withDefault(10),
    Flag.withDescription("How many requests; 0: until it is interrupted. Default: 10")
  ),
  interval: durationFlag("interval").pipe(
    Flag.withAlias("i"),
    Flag.withDefault(200),
    Flag.withDescription("From one request to the next, at least. Default: 200ms")
  )
}, ({ count, interval }) =>
  Effect.gen(function*() {
    const tally = new Tally()
    const tell = Effect.andThen(clearLine, summary(tally))
    // An output that is closed by then has nobody to tell.
    yield* repeat(tally, count, interval).pipe(Effect.onInterrupt(() => Effect.ignore(tell)))
    yield* tell
    if (tally.times.length === 0) {
      return yield* new CommandFailed({ reason: "unreachable", message: "no request was answered" })
    }
  })).pipe(
    Command.withDescription(
      "Asks the server that it is connected to, again and again, and shows how long the answers took: from the request to the answer, as a program sees it. A request is lost when no answer comes within --timeout, or the connection is lost. Ctrl-C ends it, with what has been seen until then."
    ),
    Command.withShortDescription("Show how fast a server answers"),
    Command.withExamples([
      { command: "zk ping", description: "Ten requests" },
      { command: "zk ping --count 0 --interval 1s", description: "Until Ctrl-C" },
      {
        command: "zk ping -s zk2:2181 --count 1000 --interval 1ms --json | jq .p99",
        description: "Of one server, for a script"
      }
    ])
  )
