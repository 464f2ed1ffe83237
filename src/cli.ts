#!/usr/bin/env node
/** The `zk` program. */
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Effect from "effect/Effect"
import * as Runtime from "effect/Runtime"
import { Interrupts, makeInterrupts } from "./cli/interrupts.ts"
import { main } from "./cli/main.ts"

const interrupts = makeInterrupts()

// The callbacks of writes hear of errors; without a listener the stream would end the process as well.
for (const stream of [process.stdout, process.stderr]) stream.on("error", () => {})

/** As `NodeRuntime.runMain`, but that a shell gets SIGINT, which interrupts the command that runs in it. */
const runMain = Runtime.makeRunMain(({ fiber, teardown }) => {
  let isSignalled = false
  const end = () => {
    isSignalled = true
    fiber.interruptUnsafe(fiber.id)
  }
  const onInterrupt = () => {
    if (!interrupts.interruptUnsafe()) end()
  }
  process.on("SIGINT", onInterrupt)
  process.on("SIGTERM", end)
  fiber.addObserver((exit) => {
    process.off("SIGINT", onInterrupt)
    process.off("SIGTERM", end)
    teardown(exit, (code) => {
      if (isSignalled || code !== 0) process.exit(code)
    })
  })
})

runMain(
  Effect.suspend(() => main(process.argv.slice(2))).pipe(
    Effect.provideService(Interrupts, interrupts),
    Effect.provide(NodeServices.layer)
  ),
  { disableErrorReporting: true }
)
