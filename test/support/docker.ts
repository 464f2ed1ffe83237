import { request } from "node:http"
import type { StartedTestContainer } from "testcontainers"
import type { NodeProcess, Provider } from "./nodeProcess.ts"
import { freePort } from "./ports.ts"
import { messageOf, rigError } from "./rigError.ts"
import { jvmFlags, type NodeSpec, serverLines, settings } from "./zooCfg.ts"

/** Where Docker would be, without asking anybody. */
const engineAddress = (): { socketPath: string } | { host: string; port: number } => {
  const host = process.env["DOCKER_HOST"]
  if (host === undefined || host === "") return { socketPath: "/var/run/docker.sock" }
  if (host.startsWith("unix://")) return { socketPath: host.slice("unix://".length) }
  const url = new URL(host)
  return { host: url.hostname, port: Number(url.port) || 2375 }
}

/** Whether a Docker engine answers at once. testcontainers itself takes long to find out that there is none. */
const pingEngine = (): Promise<void> =>
  new Promise((resolve, reject) => {
    const ping = request({ ...engineAddress(), path: "/_ping", timeout: 2_000 }, (response) => {
      response.resume()
      if (response.statusCode === 200) resolve()
      else reject(rigError(`the Docker engine answered with status ${response.statusCode}`))
    })
    ping.once("timeout", () => ping.destroy(new Error("no answer within 2 s")))
    ping.once("error", (cause) => reject(rigError(`no Docker engine answers: ${messageOf(cause)}`, cause)))
    ping.end()
  })

// On Linux containers share the network of the machine: ports are the same inside and outside, everything listens on
// 127.0.0.1 only, and proxies can stand between members of an ensemble. Docker Desktop cannot do that; there the client
// port is mapped, and only standalone servers are to be had.
const hostNetwork = (): boolean =>
  process.platform === "linux" && process.env["ZK_TEST_DOCKER_NETWORK"] !== "mapped" && "socketPath" in engineAddress()

const environment = async (spec: NodeSpec, mapped: boolean): Promise<Record<string, string>> => {
  const config = settings(mapped ? { ...spec, clientPort: 2181 } : spec)
  if (mapped) config["clientPortAddress"] = "0.0.0.0"
  const clientAddress = `${config["clientPortAddress"]}:${config["clientPort"]}`
  // The official image adds a server of its own, on the wrong client port, when it is told of none.
  const servers = spec.peers.length > 0
    ? serverLines(spec)
    : [["server.1", `127.0.0.1:${await freePort()}:${await freePort()};${clientAddress}`]]
  return {
    ZOO_MY_ID: String(spec.peers.length > 0 ? spec.id : 1),
    ZOO_TICK_TIME: config["tickTime"] ?? "",
    ZOO_4LW_COMMANDS_WHITELIST: "*",
    ZOO_ADMINSERVER_ENABLED: "false",
    ZOO_MAX_CLIENT_CNXNS: "0",
    ZOO_SERVERS: servers.map(([key, value]) => `${key}=${value}`).join(" "),
    ZOO_CFG_EXTRA: Object.entries(config).map(([key, value]) => `${key}=${value}`).join(" "),
    JVMFLAGS: jvmFlags(spec).join(" ")
  }
}

const launch = async (image: string, spec: NodeSpec): Promise<StartedTestContainer> => {
  const { GenericContainer, Wait } = await import("testcontainers")

  /** Mapped ports are bound to 127.0.0.1; testcontainers would open them to the network. */
  class LocalContainer extends GenericContainer {
    protected override async beforeContainerCreated(): Promise<void> {
      const bindings = (this.hostConfig.PortBindings ?? {}) as Record<string, Array<{ HostIp?: string }>>
      for (const ports of Object.values(bindings)) for (const port of ports) port.HostIp = "127.0.0.1"
    }
  }

  const mapped = !hostNetwork()
  if (mapped && spec.peers.length > 0) throw rigError("an ensemble in Docker needs the host's network (Linux)")
  const container = new LocalContainer(image)
    .withEnvironment(await environment(spec, mapped))
    .withCopyDirectoriesToContainer(spec.folder === undefined ? [] : [{ source: spec.folder, target: spec.folder }])
    // The rig asks the server itself whether it serves.
    .withWaitStrategy(Wait.forAll([]))
    .withAutoRemove(false)
  return (mapped
    ? container.withExposedPorts({ container: 2181, host: spec.clientPort })
    : container.withNetworkMode("host")).start()
}

const makeDockerNode = async (image: string, spec: NodeSpec): Promise<NodeProcess> => {
  const { getContainerRuntimeClient } = await import("testcontainers")
  const engine = (await getContainerRuntimeClient()).container
  let started: StartedTestContainer | undefined
  let running = false
  let frozen = false

  const container = () => {
    if (started === undefined) throw rigError("the server's container was never started")
    return engine.getById(started.getId())
  }

  const resume = async () => {
    if (!frozen) return
    await container().unpause()
    frozen = false
  }

  const end = async (how: () => Promise<unknown>) => {
    if (!running) return
    await resume()
    // Docker answers 304 when the container has ended by itself.
    await how().catch((cause: unknown) => {
      if (!/304|not running/.test(messageOf(cause))) throw cause
    })
    await container().wait()
    running = false
  }

  const remove = async () => {
    if (started === undefined) return
    await container().remove({ force: true, v: true })
    started = undefined
    running = false
    frozen = false
  }

  return {
    spec,
    start: async () => {
      if (running) return
      if (started === undefined) started = await launch(image, spec)
      else await container().start()
      running = true
    },
    stop: () => end(() => container().stop({ t: 5 })),
    kill: () => end(() => container().kill({ signal: "SIGKILL" })),
    freeze: async () => {
      await container().pause()
      frozen = true
    },
    resume,
    wipe: async () => {
      if (running) throw rigError("cannot wipe a server that runs")
      await remove()
    },
    // Asked of the engine by nobody: a container that ended by itself shows in the rig's readiness checks.
    isRunning: () => running,
    log: async () => {
      if (started === undefined) return ""
      const stream = await engine.logs(container(), { tail: 200, follow: false })
      const chunks: Array<Buffer> = []
      for await (const chunk of stream) chunks.push(Buffer.from(chunk))
      return Buffer.concat(chunks).toString()
    },
    dispose: remove
  }
}

export const provideDocker = async (say: (line: string) => void): Promise<Provider> => {
  const image = process.env["ZK_TEST_IMAGE"] ?? "zookeeper:3.9"
  await pingEngine()
  const { getContainerRuntimeClient, ImageName } = await import("testcontainers")
  const images = (await getContainerRuntimeClient()).image
  const name = ImageName.fromString(image)
  if (!await images.exists(name)) {
    say(`pulling the Docker image ${image}`)
    await images.pull(name).catch((cause: unknown) => {
      throw rigError(`a Docker engine answers, but the image ${image} cannot be pulled: ${messageOf(cause)}`, cause)
    })
  }
  say(`starting ZooKeeper servers in Docker containers of the image ${image}`)
  return {
    kind: "docker",
    description: `the Docker image ${image}`,
    makeNode: (spec) => makeDockerNode(image, spec)
  }
}
