/** The lines that were typed, in a file. */
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"

/** Of lines: half of what the file may have before it is cut. */
export const kept = 1_000

const longest = 2_000

const secret = /pass(word|wd|phrase)|secret|token|credential|api[-_]?key|private[-_]?key|digest:|:\/\/[^/\s]*@/i

/** What begins with a blank is not to be kept, as in other shells; and what looks like a secret is not asked about. */
export const isKept = (line: string): boolean =>
  line.trim() !== "" && !/^\s/.test(line) && line.length <= longest && !secret.test(line)

export interface History {
  /** The oldest first. */
  readonly lines: ReadonlyArray<string>
  /** Nothing is said when it does not work: that can be seen at the beginning. */
  readonly add: (line: string) => Effect.Effect<void>
}

const folderOf = Effect.gen(function*() {
  const path = yield* Path.Path
  const home = yield* Config.String("HOME").pipe(Config.orElse(() => Config.String("USERPROFILE")))
  const state = yield* Config.String("XDG_STATE_HOME").pipe(Config.withDefault(path.join(home, ".local", "state")))
  return path.join(state, "effect-zookeeper")
})

/** For nobody else to read: paths and data can be seen in it. Fails where there can be no such file. */
export const openHistory = Effect.gen(function*() {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const folder = yield* folderOf
  const file = path.join(folder, "history")
  yield* fs.makeDirectory(folder, { recursive: true, mode: 0o700 })
  // Opening it makes it; one that was there already may have another mode.
  yield* fs.writeFileString(file, "", { flag: "a", mode: 0o600 })
  yield* fs.chmod(file, 0o600)
  const all = (yield* fs.readFileString(file)).split("\n").filter((line) => line !== "")
  const lines = all.slice(-kept)
  if (all.length > 2 * kept) {
    const whole = `${file}.${process.pid}`
    yield* fs.writeFileString(whole, lines.map((line) => `${line}\n`).join(""), { mode: 0o600 })
    yield* fs.rename(whole, file)
  }
  const history: History = {
    lines,
    // Several shells may write at the same time: whole lines, at the end. A full disk is no reason to end a shell.
    add: (line) => Effect.ignore(fs.writeFileString(file, `${line}\n`, { flag: "a", mode: 0o600 }))
  }
  return history
})
