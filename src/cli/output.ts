/** Where results and remarks go: standard output and standard error, a terminal or a pipe, as text or as JSON. */
import * as TerminalCapabilities from "effect/cli/TerminalCapabilities"
import * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Runtime from "effect/Runtime"
import * as Schema from "effect/Schema"
import * as Stdio from "effect/Stdio"
import * as Terminal from "effect/Terminal"
import { toHex } from "../ZkStat.ts"
import { CommandFailed } from "./failure.ts"
import type { Style } from "./style.ts"
import { colored, plain } from "./style.ts"

/** Nobody reads the results any more, as when `zk ls -R / | head` has seen enough. Ends the program without a word. */
export class OutputClosed extends Schema.TaggedError<OutputClosed>()("OutputClosed", {}) {
  /** As a program that is ended by SIGPIPE. */
  override readonly [Runtime.errorExitCode]: number = 141
}

export interface OutputShape {
  /** Whether each line of the results is a JSON value. */
  readonly isJson: boolean
  /** The width of the terminal that results go to; `undefined` where they go elsewhere. */
  readonly columns: Effect.Effect<number | undefined>
  /** Of results. */
  readonly style: Style
  /** Of remarks. */
  readonly noteStyle: Style
  /** Whether remarks go to a terminal, where a line can be overwritten. */
  readonly canAnimate: boolean
  /** Whether there is somebody to ask. */
  readonly canPrompt: boolean
  /** Results, as they are. Waits until they are written. */
  readonly write: (text: string | Uint8Array) => Effect.Effect<void, WriteError>
  /** Remarks, as they are: on standard error, so that they never mix with results. */
  readonly remark: (text: string) => Effect.Effect<void>
}

export class Output extends Context.Service<Output, OutputShape>()("effect-zookeeper/cli/Output") {}

/** Why results were not taken: nobody reads them, or a disk is full. */
export type WriteError = OutputClosed | CommandFailed

export const isWriteError = (error: unknown): error is WriteError =>
  error instanceof OutputClosed || error instanceof CommandFailed

const left: ReadonlyArray<string | undefined> = ["EPIPE", "ERR_STREAM_DESTROYED"]

const writeError = (error: NodeJS.ErrnoException): WriteError =>
  left.includes(error.code)
    ? new OutputClosed()
    : new CommandFailed({ reason: "failed", message: `standard output: ${error.message}` })

export const writeTo = (
  stream: NodeJS.WritableStream,
  text: string | Uint8Array
): Effect.Effect<void, WriteError> =>
  Effect.callback((resume) => {
    stream.write(text, (error) => resume(error ? Effect.fail(writeError(error)) : Effect.void))
  })

export const layer = (
  options: { readonly isJson: boolean }
): Layer.Layer<Output, never, Terminal.Terminal | Stdio.Stdio> =>
  Layer.effect(
    Output,
    Effect.gen(function*() {
      const terminal = yield* Terminal.Terminal
      const stdio = yield* Stdio.Stdio
      const capabilities = yield* TerminalCapabilities.TerminalCapabilities
      const isTerminal = yield* stdio.stdoutIsTerminal
      const isNoteTerminal = yield* stdio.stderrIsTerminal
      // A variable of the environment is a text, or is not there.
      const term = yield* Effect.orDie(Config.option(Config.String("TERM")))
      return {
        isJson: options.isJson,
        columns: isTerminal ? Effect.map(terminal.columns, (columns) => columns || undefined) : Effect.undefined,
        style: capabilities.canColor && !options.isJson ? colored : plain,
        noteStyle: capabilities.canColor && isNoteTerminal ? colored : plain,
        // What the capabilities say of animation is about standard output.
        canAnimate: isNoteTerminal && !Option.contains(term, "dumb"),
        canPrompt: capabilities.canPrompt,
        write: (text) => writeTo(process.stdout, text),
        // Where remarks cannot be written nobody can be told that, and the results are as good without them.
        remark: (text) => Effect.ignore(writeTo(process.stderr, text))
      }
    })
  )

/** Lines of results. */
export const print = (lines: ReadonlyArray<string>): Effect.Effect<void, WriteError, Output> =>
  lines.length === 0 ? Effect.void : Output.use(({ write }) => write(`${lines.join("\n")}\n`))

/** Large numbers are ids, which ZooKeeper writes as hexadecimal. */
const replacer = (_: string, value: unknown) => typeof value === "bigint" ? toHex(value) : value

/** What JSON allows in texts as it is, and terminals should not get. */
const unsafe = /[\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g

export const toJson = (value: unknown): string =>
  JSON.stringify(value, replacer).replaceAll(
    unsafe,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`
  )

/** A result as one line of JSON. */
export const printJson = (value: unknown): Effect.Effect<void, WriteError, Output> => print([toJson(value)])

/** A result in the form that was asked for. */
export const report = (
  forms: { readonly json: () => unknown; readonly text: (output: OutputShape) => ReadonlyArray<string> }
): Effect.Effect<void, WriteError, Output> =>
  Output.use((output) => output.isJson ? printJson(forms.json()) : print(forms.text(output)))

/** A remark on a line of its own. */
export const note = (text: string): Effect.Effect<void, never, Output> =>
  Output.use(({ remark }) => remark(`${text}\n`))
