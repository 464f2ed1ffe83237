/** `zk shell`: many commands in one session, typed or from a pipe. */
import * as Cause from "effect/Cause"
import * as Command from "effect/cli/Command"
import * as Completions from "effect/cli/Completions"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import { ZkClient } from "../../ZkClient.ts"
import { Told } from "../failure.ts"
import { Interrupts } from "../interrupts.ts"
import { note, Output } from "../output.ts"
import { printable } from "../printable.ts"
import { complete } from "../shell/complete.ts"
import { promptOf, tellOf, type Told as StateTold } from "../shell/connection.ts"
import { makeEditor } from "../shell/editor.ts"
import { isNothing, makeExecute } from "../shell/execute.ts"
import { type History, isKept, openHistory } from "../shell/history.ts"
import { makeShellState, Shell } from "../shell/state.ts"

const noHistory: History = { lines: [], add: () => Effect.void }

/** Says what becomes of the connection, and what else is to be done then. */
const followStates = (say: (text: string) => Effect.Effect<void>, refresh: Effect.Effect<void>) =>
  Effect.gen(function*() {
    const zk = yield* ZkClient
    const { noteStyle } = yield* Output
    let told: StateTold = { trouble: "none" }
    yield* zk.stateChanges.pipe(
      Stream.runForEach((state) => {
        const [next, text] = tellOf(told, state, noteStyle)
        told = next
        return text === undefined ? refresh : say(text)
      }),
      Effect.forkScoped({ startImmediately: true })
    )
  })

/** Typed on a terminal: a command that fails or is interrupted ends nothing. */
const interactive = <Input, ContextInput, E, R>(root: Command.Command<"zk", Input, ContextInput, E, R>) =>
  Effect.gen(function*() {
    const zk = yield* ZkClient
    const { columns, noteStyle, style } = yield* Output
    const interrupts = yield* Interrupts
    const shell = yield* Shell
    const descriptor = Completions.fromCommand(root)
    const execute = makeExecute(root)
    const history = yield* Effect.catch(
      openHistory,
      (error) => Effect.as(note(noteStyle.warning(`no history is kept: ${printable(error.message)}`)), noHistory)
    )
    shell.lines.push(...history.lines)
    const editor = yield* makeEditor({
      prompt: Effect.gen(function*() {
        return promptOf(yield* zk.state, shell.node, style, (yield* columns) ?? 80)
      }),
      complete: (line) => complete(descriptor, line, shell.node)
    })
    let running: Fiber.Fiber<unknown, unknown> | undefined
    yield* interrupts.take(() => {
      if (running === undefined) editor.giveUnsafe({ _tag: "Interrupted" })
      else running.interruptUnsafe()
    })
    // The terminal is gone: its session is not left to expire.
    const hangUp = () => {
      shell.isEnding = true
      editor.giveUnsafe({ _tag: "End" })
      running?.interruptUnsafe()
    }
    yield* Effect.acquireRelease(
      Effect.sync(() => {
        process.on("SIGHUP", hangUp)
        process.stdin.on("error", hangUp)
      }),
      () =>
        Effect.sync(() => {
          process.off("SIGHUP", hangUp)
          process.stdin.off("error", hangUp)
        })
    )
    yield* note(noteStyle.faint("help lists the commands, Tab completes, Ctrl-D ends"))
    yield* followStates(editor.say, editor.refresh)
    while (!shell.isEnding) {
      const read = yield* editor.read(shell.lines)
      if (read._tag === "End") {
        yield* note("")
        break
      }
      if (read._tag === "Interrupted" || isNothing(read.line)) continue
      if (isKept(read.line)) {
        if (shell.lines.at(-1) !== read.line) shell.lines.push(read.line)
        yield* history.add(read.line)
      }
      running = yield* Effect.forkChild(execute(read.line))
      const exit = yield* Fiber.await(running)
      running = undefined
      if (Exit.isSuccess(exit)) continue
      if (Cause.hasInterruptsOnly(exit.cause)) yield* note("")
      else if (Cause.hasDies(exit.cause)) yield* note(`zk: ${printable(String(Cause.squash(exit.cause)))}`)
      else return yield* Effect.failCause(exit.cause)
    }
  })

/** Line by line from a pipe, to the first that fails. */
const scripted = <Input, ContextInput, E, R>(
  root: Command.Command<"zk", Input, ContextInput, E, R>,
  keepGoing: boolean
) =>
  Effect.gen(function*() {
    const { stdin } = yield* Stdio.Stdio
    const { remark } = yield* Output
    const shell = yield* Shell
    const execute = makeExecute(root)
    let number = 0
    let exitCode = 0
    yield* followStates((text) => remark(`${text}\n`), Effect.void)
    yield* stdin.pipe(
      Stream.decodeText(),
      Stream.splitLines,
      Stream.mapEffect((line) => {
        number++
        if (isNothing(line)) return Effect.void
        return Effect.map(execute(line, number), (code) => {
          if (exitCode === 0) exitCode = code
        })
      }),
      Stream.takeUntil(() => shell.isEnding || (exitCode !== 0 && !keepGoing)),
      Stream.runDrain
    )
    if (exitCode !== 0) return yield* new Told({ exitCode })
  })

/** `root` has the commands of a shell. */
export const makeShell = <Input, ContextInput, E, R>(root: Command.Command<"zk", Input, ContextInput, E, R>) =>
  Command.make("shell", {
    keepGoing: Flag.Boolean("keep-going").pipe(
      Flag.withAlias("k"),
      Flag.withDefault(false),
      Flag.withDescription("From a pipe: go on behind a line that failed; its exit code comes at the end")
    )
  }, ({ keepGoing }) =>
    Effect.gen(function*() {
      const { canPrompt } = yield* Output
      const state = makeShellState(yield* ZkClient)
      yield* Effect.provideService(canPrompt ? interactive(root) : scripted(root, keepGoing), Shell, state)
    }).pipe(Effect.scoped)).pipe(
      Command.withDescription(
        "Runs commands in one session: typed, or from a pipe, a line each, to the first that fails. Ephemeral nodes that they create live as long as the shell. What was typed is kept in $XDG_STATE_HOME/effect-zookeeper/history, but for lines that begin with a blank or that seem to hold a secret."
      ),
      Command.withShortDescription("Run many commands in one session"),
      Command.withExamples([
        { command: "zk shell", description: "Type commands, as cd /app, ls, help" },
        { command: "zk shell < commands.txt", description: "Run those of a file" }
      ])
    )
