import { provideDocker } from "./docker.ts"
import { provideDebian, provideLocal } from "./java.ts"
import type { Provider, ProviderKind } from "./nodeProcess.ts"
import { messageOf, rigError } from "./rigError.ts"

// Where real ZooKeeper servers come from. The first that works is taken:
//   servers  ZK_TEST_SERVERS names running ones (they are used, never stopped)
//   docker   an engine answers; image ZK_TEST_IMAGE, or the official one
//   local    Java and ZK_TEST_CLASSPATH, ZOOKEEPER_HOME or the installed Debian package
//   debian   Debian's packages, unpacked below node_modules/.cache
// ZK_TEST_PROVIDER picks one of them; ZK_TEST_IMAGE and ZK_TEST_CLASSPATH, when set, say what is wanted too: then there
// is no falling through to something else, which would test another server than the one that was asked for.

const kinds: ReadonlyArray<ProviderKind> = ["servers", "docker", "local", "debian"]

const provideServers = async (say: (line: string) => void): Promise<Provider> => {
  const connectString = process.env["ZK_TEST_SERVERS"]
  if (connectString === undefined || connectString === "") throw rigError("ZK_TEST_SERVERS is not set")
  say(`using the servers in ZK_TEST_SERVERS (${connectString})`)
  return { kind: "servers", description: `ZK_TEST_SERVERS (${connectString})`, connectString }
}

const makers: Record<ProviderKind, (say: (line: string) => void) => Promise<Provider>> = {
  servers: provideServers,
  docker: provideDocker,
  local: provideLocal,
  debian: provideDebian
}

const wanted = (): ReadonlyArray<ProviderKind> => {
  const forced = process.env["ZK_TEST_PROVIDER"]
  if (forced !== undefined && forced !== "") {
    const kind = kinds.find((kind) => kind === forced)
    if (kind === undefined) throw rigError(`ZK_TEST_PROVIDER is "${forced}"; it can be ${kinds.join(", ")}`)
    return [kind]
  }
  if (process.env["ZK_TEST_SERVERS"]) return ["servers"]
  if (process.env["ZK_TEST_IMAGE"]) return ["docker"]
  if (process.env["ZK_TEST_CLASSPATH"]) return ["local"]
  return ["docker", "local", "debian"]
}

// Vitest's workers inherit the choice of the global setup, which has said it already.
const say = (line: string): void => {
  if (process.env["ZK_TEST_QUIET"] !== "1") announcements.print(line)
}

/** Where it is said what is going to be done; the demo has its own way of printing. */
export const announcements = {
  print: (line: string): void => void process.stderr.write(`zookeeper for tests: ${line}\n`)
}

const find = async (among: ReadonlyArray<ProviderKind>): Promise<Provider> => {
  const failures: Array<string> = []
  for (const kind of among) {
    try {
      return await makers[kind](say)
    } catch (cause) {
      failures.push(`  ${kind}: ${messageOf(cause)}`)
    }
  }
  throw rigError(
    `no ZooKeeper server to test against. Tried:\n${failures.join("\n")}\n` +
      "Start Docker, or set ZK_TEST_SERVERS (host:port of a running server), ZK_TEST_IMAGE, ZOOKEEPER_HOME or " +
      "ZK_TEST_CLASSPATH."
  )
}

let found: Promise<Provider> | undefined

/** The provider of this process; looked for once. */
export const provider = (): Promise<Provider> => found ??= Promise.resolve().then(() => find(wanted()))

let foundStarting: Promise<Provider> | undefined

/**
 * The provider of servers that a test may stop. Beside ZK_TEST_SERVERS, which nobody here stops, they come from
 * elsewhere.
 */
export const startingProvider = (): Promise<Provider> =>
  foundStarting ??= provider().then((found) =>
    found.makeNode === undefined ? find(["docker", "local", "debian"]) : found
  )
