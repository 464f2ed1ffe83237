#!/usr/bin/env node
/** The `zk` program. */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Effect from "effect/Effect"
import { main } from "./cli/main.ts"

NodeRuntime.runMain(
  Effect.provide(Effect.suspend(() => main(process.argv.slice(2))), NodeServices.layer),
  { disableErrorReporting: true }
)
