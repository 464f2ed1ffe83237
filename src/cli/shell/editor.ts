/** Lines typed on a terminal: Node's line editor, open while a line is typed and closed while a command runs. */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as readline from "node:readline"
import type { Completed } from "./complete.ts"
import { kept } from "./history.ts"

export type Read =
  | { readonly _tag: "Line"; readonly line: string }
  /** By Ctrl-C: the line is given up. */
  | { readonly _tag: "Interrupted" }
  /** By Ctrl-D, or because there is no terminal any more. */
  | { readonly _tag: "End" }

export interface Editor {
  /** Gives the terminal back when it is done, or interrupted. The oldest line of the history comes first. */
  readonly read: (history: ReadonlyArray<string>) => Effect.Effect<Read>
  /** Writes a line above the one that is being typed, if one is, and shows that with a prompt as it is now. */
  readonly say: (text: string) => Effect.Effect<void>
  /** Shows the prompt as it is now. */
  readonly refresh: Effect.Effect<void>
  /** Ends what is being read. */
  readonly giveUnsafe: (read: Read) => void
}

interface Typing {
  readonly reader: readline.Interface
  readonly completing: Set<Fiber.Fiber<unknown>>
  readonly give: (read: Read) => void
  readonly given: () => Read | undefined
}

/** Behind all that the reader does at once and in microtasks, with what it was given or was waiting for. */
const settled = Effect.sleep(1)

export const makeEditor = <R>(options: {
  readonly prompt: Effect.Effect<string>
  /** Takes a while, at most. */
  readonly complete: (line: string) => Effect.Effect<Completed, never, R>
}) =>
  Effect.map(Effect.context<R>(), (context): Editor => {
    // Of what was pasted the reader takes all that comes at once: more lines than one, and the beginning of another.
    const ahead: Array<string> = []
    let begun = ""
    let typing: Typing | undefined

    const open = (prompt: string, history: ReadonlyArray<string>, done: Deferred.Deferred<Read>): Typing => {
      let given: Read | undefined
      const completing = new Set<Fiber.Fiber<unknown>>()
      const reader = readline.createInterface({
        input: process.stdin,
        output: process.stdout,
        terminal: true,
        history: history.toReversed(),
        historySize: kept,
        removeHistoryDuplicates: true,
        escapeCodeTimeout: 50,
        prompt,
        completer: (line: string, answer: (error: null, result: readline.CompleterResult) => void) => {
          let found: readline.CompleterResult = [[], line]
          const fiber = Effect.runForkWith(context)(
            options.complete(line).pipe(
              Effect.map(({ candidates, replaced }) => {
                found = [[...candidates], replaced]
              }),
              // However it ends: nothing can be typed before.
              Effect.ensuring(Effect.sync(() => answer(null, found)))
            )
          )
          completing.add(fiber)
          fiber.addObserver(() => void completing.delete(fiber))
        }
      })
      const give = (read: Read) => {
        if (given === undefined) Deferred.doneUnsafe(done, Effect.succeed(read))
        else if (read._tag === "Line") ahead.push(read.line)
        given ??= read
      }
      reader.on("line", (line) => give({ _tag: "Line", line }))
      reader.on("SIGINT", () => {
        if (given !== undefined) ahead.length = 0
        else process.stdout.write("^C\n")
        give({ _tag: "Interrupted" })
      })
      reader.on("close", () => give({ _tag: "End" }))
      // The terminal is gone. The reader would throw it where nobody can catch it.
      reader.on("error", () => give({ _tag: "End" }))
      reader.prompt()
      if (begun !== "") reader.write(begun)
      begun = ""
      return { reader, completing, give, given: () => given }
    }

    const type = (history: ReadonlyArray<string>) =>
      Effect.gen(function*() {
        const done = yield* Deferred.make<Read>()
        const prompt = yield* options.prompt
        return yield* Effect.acquireUseRelease(
          Effect.sync(() => typing = open(prompt, history, done)),
          () => Effect.tap(Deferred.await(done), () => settled),
          ({ completing, given, reader }) =>
            Effect.gen(function*() {
              typing = undefined
              yield* Fiber.interruptAll([...completing])
              yield* settled
              const read = given()
              if (read?._tag === "Line") {
                begun = reader.line
                if (begun !== "") process.stdout.write("\n")
              }
              if (read === undefined) process.stdout.write("\n")
              reader.close()
            })
        )
      })

    const draw = (above: string | undefined) =>
      Effect.map(options.prompt, (prompt) => {
        if (typing === undefined || typing.given() !== undefined) {
          if (above !== undefined) process.stderr.write(`${above}\n`)
          return
        }
        const { reader } = typing
        if (above !== undefined) {
          const { rows } = reader.getCursorPos()
          readline.moveCursor(process.stdout, 0, -rows)
          readline.cursorTo(process.stdout, 0)
          readline.clearScreenDown(process.stdout)
          // The reader goes up as many rows as its line has above the cursor, and draws from there.
          process.stderr.write(`${above}\n${"\n".repeat(rows)}`)
        }
        reader.setPrompt(prompt)
        reader.prompt(true)
      })

    return {
      read: (history) =>
        Effect.suspend(() => {
          const next = ahead.shift()
          if (next === undefined) return type(history)
          return Effect.map(options.prompt, (prompt): Read => {
            process.stdout.write(`${prompt}${next}\n`)
            return { _tag: "Line", line: next }
          })
        }),
      say: (text) => draw(text),
      refresh: draw(undefined),
      giveUnsafe: (read) => {
        ahead.length = 0
        typing?.give(read)
      }
    }
  })
