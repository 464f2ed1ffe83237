/** What a member of an ensemble knows of a server (itself or another): where to reach it. */
export interface PeerAddress {
  readonly id: number
  readonly quorumPort: number
  readonly electionPort: number
  readonly clientPort: number
}

export interface ServerOptions {
  /** Milliseconds; the shortest session is two ticks. Default 500, so that tests can expire sessions in a second. */
  readonly tickTime?: number | undefined
  /** More lines of zoo.cfg, e.g. `{ secureClientPort: "2281" }`. They replace the rig's own. */
  readonly extraConfig?: Readonly<Record<string, string>> | undefined
  /** More flags of the JVM, e.g. `-Dzookeeper.serverCnxnFactory=...`. */
  readonly jvmFlags?: ReadonlyArray<string> | undefined
  /** A folder of this machine whose files the server finds under the same path. */
  readonly folder?: string | undefined
}

/** One server process to run. `peers` is empty for a standalone server. */
export interface NodeSpec extends ServerOptions {
  readonly id: number
  readonly clientPort: number
  readonly peers: ReadonlyArray<PeerAddress>
}

const ownKeys = { initLimit: "10", syncLimit: "5" }

export const defaultTickTime = 500

/** The settings of zoo.cfg except data folder and servers. */
export const settings = (spec: NodeSpec): Record<string, string> => ({
  tickTime: String(spec.tickTime ?? defaultTickTime),
  ...ownKeys,
  clientPort: String(spec.clientPort),
  clientPortAddress: "127.0.0.1",
  maxClientCnxns: "0",
  "4lw.commands.whitelist": "*",
  "admin.enableServer": "false",
  extendedTypesEnabled: "true",
  ...spec.extraConfig
})

export const serverLines = (spec: NodeSpec): Array<[key: string, value: string]> =>
  spec.peers.map((peer) => [
    `server.${peer.id}`,
    `127.0.0.1:${peer.quorumPort}:${peer.electionPort};127.0.0.1:${peer.clientPort}`
  ])

/** Small and quick to start; no fsync, because no test pulls the plug of the machine. */
export const jvmFlags = (spec: NodeSpec): Array<string> => [
  "-Xmx192m",
  "-XX:+UseSerialGC",
  "-XX:TieredStopAtLevel=1",
  "-XX:-UsePerfData",
  "-Djava.net.preferIPv4Stack=true",
  // Servers read credentials in their platform's encoding, which in a container may be ASCII.
  "-Dfile.encoding=UTF-8",
  "-Dzookeeper.forceSync=no",
  "-Dzookeeper.extendedTypesEnabled=true",
  // How long an election waits for a member that accepts and says nothing (a frozen one); 5 s by default.
  "-Dzookeeper.cnxTimeout=500",
  "-Dorg.slf4j.simpleLogger.defaultLogLevel=info",
  "-Dorg.slf4j.simpleLogger.showDateTime=true",
  "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS",
  // For images whose class path lacks something.
  ...(process.env["ZK_TEST_JVMFLAGS"] ?? "").split(" ").filter((flag) => flag !== ""),
  ...(spec.jvmFlags ?? [])
]
