import { EventType, WatcherType } from "../../src/internal/protocol/constants.ts"
import type { Watcher, WatchKind } from "../../src/internal/session/watchTable.ts"
import { WatchTable } from "../../src/internal/session/watchTable.ts"

// A table of watches against a server that is nothing but a list of commands.

/** The path that is watched unless a test says otherwise. */
export const p = "/p"
const typeNames = Object.fromEntries(Object.entries(WatcherType).map(([name, type]) => [type, name]))
const eventNames = Object.fromEntries(Object.entries(EventType).map(([name, type]) => [type, name]))

export interface Heard extends Watcher {
  readonly heard: Array<string>
}

export const makeTable = () => {
  /** What the table asked the server for, and how the server's answer reaches it. */
  const asked: Array<{ readonly command: string; readonly answer: () => void }> = []
  const table = new WatchTable({
    removeWatches: (path, type, onUnknownType) =>
      asked.push({ command: `remove ${typeNames[type]} ${path}`, answer: onUnknownType }),
    addWatch: (path, recursive, onDone) =>
      asked.push({ command: `add ${recursive ? "recursive" : "persistent"} ${path}`, answer: onDone })
  })
  const watcher = (kind: WatchKind, path = p, endsWithSession = kind === "data" || kind === "child"): Heard => {
    const heard: Array<string> = []
    return {
      heard,
      kind,
      path,
      endsWithSession,
      onEvent: (event) => heard.push(`${eventNames[event.type]} ${event.path}`),
      onReset: (reason) => heard.push(reason),
      onEnd: (error) => heard.push(error._tag)
    }
  }
  return {
    table,
    watcher,
    /** A request that arms a watch, written and answered. */
    arm: (kind: WatchKind, path = p, absent = false): Heard => {
      const made = watcher(kind, path)
      const isAsked = table.arming(kind, path)
      table.answered(kind, path, isAsked, made, absent)
      return made
    },
    event: (type: keyof typeof EventType, path = p) => table.onEvent({ type: EventType[type], path, zxid: undefined }),
    /** The commands since the last look. */
    commands: () => asked.splice(0).map(({ command }) => command),
    /** Lets the server answer the oldest command that it has not answered. */
    answer: () => asked.shift()?.answer(),
    reconnect: () => {
      table.onDisconnect()
      const paths = table.rearming()
      table.rearmed("reconnected")
      return paths
    }
  }
}

export const nothingToSet = { data: [], exist: [], child: [], persistent: [], recursive: [] }
