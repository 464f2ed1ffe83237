import * as Effect from "effect/Effect"
import {
  askServer,
  type Dump,
  type Mode,
  parseCons,
  parseDump,
  parseSrvr,
  parseWchc,
  parseWchp,
  parseWchs,
  type Srvr
} from "./fourLetter.ts"
import type { NodeProcess } from "./nodeProcess.ts"
import { attempt, messageOf, type RigError, rigError } from "./rigError.ts"
import { pollUntil } from "./wait.ts"

type Ask<A> = Effect.Effect<A, RigError>

/** A running server, whoever runs it, as tests see it. */
export interface ServerHandle {
  readonly id: number
  readonly host: string
  readonly port: number
  /** `host:port` of this server alone. */
  readonly connectString: string
  /** For instance "3.8.0"; "" until the server served for the first time. */
  readonly version: string
  /** Asks the server to end (SIGTERM) and waits for that. Sessions are not closed by it. */
  readonly stop: Ask<void>
  /** kill -9 */
  readonly kill: Ask<void>
  /** SIGSTOP: TCP stays up, nobody answers, time stands still for the server. */
  readonly freeze: Ask<void>
  readonly resume: Ask<void>
  /** Starts it again, same ports and data. A standalone server serves when this is done; a member just runs. */
  readonly start: Ask<void>
  /** Ends it, empties its data and starts it again. */
  readonly wipe: Ask<void>
  /** Waits until the server serves requests (for a member of an ensemble: until it is in a quorum). */
  readonly waitReady: Ask<Srvr>
  readonly fourLetterWord: (word: string) => Ask<string>
  /** `undefined` while it doesn't serve. */
  readonly srvr: Ask<Srvr | undefined>
  /** What it does now, or `undefined` when it doesn't serve, has ended, or says nothing for 300 ms. Never fails. */
  readonly mode: Effect.Effect<Mode | undefined>
  /** All watches of this server, of all sessions. */
  readonly watchCount: Ask<number>
  /** Sessions by watched path. */
  readonly watchesByPath: Ask<Map<string, Array<bigint>>>
  /** Watched paths of one session. */
  readonly watchesOf: (sessionId: bigint) => Ask<ReadonlyArray<string>>
  readonly dump: Ask<Dump>
  /** Sessions that the server tracks. A follower knows only those connected to it: ask the leader. */
  readonly sessions: Ask<ReadonlyArray<bigint>>
  readonly ephemerals: (sessionId: bigint) => Ask<ReadonlyArray<string>>
  /** Sessions with an open connection to this server. */
  readonly connectedSessions: Ask<ReadonlyArray<bigint>>
  /**
   * Polls the server until `probe` says true: for what a server does in its own time, such as closing sessions.
   */
  readonly waitUntil: (what: string, probe: (server: ServerHandle) => Ask<boolean>) => Ask<void>
  readonly log: Ask<string>
}

const notOurs = attempt<never>(
  "ZK_TEST_SERVERS",
  () => Promise.reject(rigError("this server was not started by the rig"))
)

/** `node` is absent for servers that somebody else runs. */
export const makeHandle = (options: {
  readonly id: number
  readonly host: string
  readonly port: number
  readonly node?: NodeProcess | undefined
  readonly standalone: boolean
}): ServerHandle => {
  const { host, node, port } = options
  let version = ""

  const ask = (word: string, within?: number) =>
    askServer(port, word, { host, ...(within !== undefined && { within }) })
  const word = <A>(name: string, parse: (text: string) => A): Ask<A> =>
    attempt(`${name} to ${host}:${port}`, async () => parse(await ask(name)))

  const srvr = async (within?: number) => {
    const said = parseSrvr(await ask("srvr", within))
    if (said !== undefined) version = said.version
    return said
  }

  const waitReady = attempt("waitReady", async (signal) => {
    let last = "it did not answer"
    try {
      return await pollUntil(
        () => `the server on port ${port} serves (${last})`,
        () =>
          // A connection that comes while the server begins is sometimes never answered.
          srvr(300).catch((cause: unknown) => {
            last = messageOf(cause)
            if (node !== undefined && !node.isRunning()) throw rigError("the server ended by itself")
            return undefined
          }),
        { signal, within: 60_000 }
      )
    } catch (cause) {
      const log = (await node?.log().catch(() => ""))?.split("\n").slice(-15).join("\n") ?? ""
      throw rigError(`${messageOf(cause)}\n${log}`, cause)
    }
  })

  const own = (what: string, run: (node: NodeProcess) => Promise<void>): Ask<void> =>
    node === undefined ? notOurs : attempt(what, () => run(node))

  const begin = own("start", (node) => node.start())
  const start = options.standalone ? Effect.andThen(begin, Effect.asVoid(waitReady)) : begin
  const kill = own("kill", (node) => node.kill())
  const dump = word("dump", parseDump)

  const handle: ServerHandle = {
    id: options.id,
    host,
    port,
    connectString: `${host}:${port}`,
    get version() {
      return version
    },
    stop: own("stop", (node) => node.stop()),
    kill,
    freeze: own("freeze", (node) => node.freeze()),
    resume: own("resume", (node) => node.resume()),
    start,
    wipe: Effect.andThen(kill, Effect.andThen(own("wipe", (node) => node.wipe()), start)),
    waitReady,
    fourLetterWord: (name) => word(name, (text) => text),
    srvr: attempt("srvr", () => srvr()),
    mode: Effect.promise(() => srvr(300).then((said) => said?.mode, () => undefined)),
    watchCount: Effect.map(word("wchs", parseWchs), (watches) => watches.total),
    watchesByPath: word("wchp", parseWchp),
    watchesOf: (sessionId) => word("wchc", (text) => parseWchc(text).get(BigInt.asIntN(64, sessionId)) ?? []),
    dump,
    sessions: Effect.map(dump, (dump) => dump.sessions),
    ephemerals: (sessionId) => Effect.map(dump, (dump) => dump.ephemerals.get(BigInt.asIntN(64, sessionId)) ?? []),
    connectedSessions: word("cons", (text) => parseCons(text).map((connection) => connection.sessionId)),
    waitUntil: (what, probe) =>
      attempt(
        what,
        (signal) =>
          pollUntil(what, async () => await Effect.runPromise(probe(handle)) ? true as const : undefined, { signal })
      ).pipe(
        Effect.asVoid
      ),
    log: attempt("log", async () => await node?.log() ?? "")
  }
  return handle
}
