/** Asking before something is done that cannot be undone. */
import * as Flag from "effect/cli/Flag"
import * as Prompt from "effect/cli/Prompt"
import * as Effect from "effect/Effect"
import { CommandFailed, usage } from "./failure.ts"
import { note, Output } from "./output.ts"

export const yesFlag = Flag.Boolean("yes").pipe(
  Flag.withAlias("y"),
  Flag.withDefault(false),
  Flag.withDescription("Do not ask")
)

/** What is written next is not to stand behind a question that nobody answered. */
export const answerTo = <A>(prompt: Prompt.Prompt<A>) => Effect.tapError(Prompt.run(prompt), () => note(""))

/** Fails where the answer is no, and where there is nobody to ask. */
export const confirm = (message: string, yes: boolean) =>
  Effect.gen(function*() {
    if (yes) return
    const { canPrompt } = yield* Output
    if (!canPrompt) {
      return yield* usage(`nobody is there to ask "${message}": give --yes`)
    }
    if (yield* answerTo(Prompt.Confirm({ message }))) return
    return yield* new CommandFailed({ reason: "failed", message: "not done" })
  })
