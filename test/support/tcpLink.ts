import { connect, createServer, type Server, type Socket } from "node:net"
import { freePort } from "./ports.ts"
import { rigError } from "./rigError.ts"

/**
 * A plain TCP relay on 127.0.0.1, blind to what it carries: stands between members of an ensemble, where the protocol
 * is another one.
 */
export interface TcpLink {
  readonly port: number
  /** "frozen": nothing moves, connections stay up, new ones are accepted and silent. "cut": none, new ones are reset. */
  set(state: "open" | "frozen" | "cut"): void
  close(): Promise<void>
}

export const listen = (server: Server, port: number): Promise<void> =>
  new Promise((resolve, reject) => {
    server.once("error", reject)
    server.listen({ port, host: "127.0.0.1" }, () => {
      server.off("error", reject)
      resolve()
    })
  })

/** Listens on a free port, trying others when somebody was faster. */
export const listenAnywhere = async (server: Server): Promise<number> => {
  for (let i = 0; i < 10; i++) {
    const port = await freePort()
    try {
      await listen(server, port)
      return port
    } catch (cause) {
      if (i === 9) throw cause
    }
  }
  throw rigError("no port to listen on")
}

export const makeTcpLink = async (target: () => number): Promise<TcpLink> => {
  let state: "open" | "frozen" | "cut" = "open"
  const pairs = new Set<{ readonly near: Socket; far: Socket | undefined }>()

  const relay = (from: Socket, to: Socket) => {
    from.on("data", (chunk) => {
      if (!to.write(chunk)) {
        from.pause()
        to.once("drain", () => {
          if (state === "open") from.resume()
        })
      }
    })
    from.on("error", () => {})
    from.on("close", () => to.destroy())
  }

  const open = (pair: { readonly near: Socket; far: Socket | undefined }) => {
    const far = pair.far = connect({ port: target(), host: "127.0.0.1", noDelay: true })
    relay(pair.near, far)
    relay(far, pair.near)
  }

  const server = createServer({ noDelay: true, pauseOnConnect: true }, (near) => {
    if (state === "cut") return void near.resetAndDestroy()
    const pair = { near, far: undefined }
    pairs.add(pair)
    near.on("close", () => pairs.delete(pair))
    near.on("error", () => {})
    if (state === "open") {
      open(pair)
      near.resume()
    }
  })
  const port = await listenAnywhere(server)

  return {
    port,
    set: (next) => {
      state = next
      for (const pair of [...pairs]) {
        if (next === "cut") {
          pair.near.resetAndDestroy()
          pair.far?.resetAndDestroy()
        } else if (next === "frozen") {
          pair.near.pause()
          pair.far?.pause()
        } else {
          if (pair.far === undefined) open(pair)
          pair.near.resume()
          pair.far?.resume()
        }
      }
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        for (const { far, near } of [...pairs]) {
          near.destroy()
          far?.destroy()
        }
      })
  }
}
