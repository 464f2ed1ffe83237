import { createServer } from "node:net"
import { rigError } from "./rigError.ts"

// Ports are taken from below the range the kernel gives to outgoing connections (32768 and up on Linux): a server that
// is stopped and started again must find its port free, and a client's own socket could be sitting on it otherwise.
const lowest = 15_000
const highest = 32_000

export const isFree = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const server = createServer()
    server.once("error", () => resolve(false))
    server.listen({ port, host: "127.0.0.1", exclusive: true }, () => server.close(() => resolve(true)))
  })

// Several test processes look at the same time. Each begins in a corner of its own, so that no two of them take the
// same port between looking and binding.
const corner = 100
const ownCorner = lowest + (process.pid % Math.floor((highest - lowest) / corner)) * corner

const handedOut = new Set<number>()

/** A port of 127.0.0.1 on which nobody listens. Another process may still take it first: retry on conflict. */
export const freePort = async (): Promise<number> => {
  for (let i = 0; i < 500; i++) {
    const port = i < 100
      ? ownCorner + Math.floor(Math.random() * corner)
      : lowest + Math.floor(Math.random() * (highest - lowest))
    if (handedOut.has(port)) continue
    if (await isFree(port)) {
      handedOut.add(port)
      return port
    }
  }
  throw rigError("no free port found on 127.0.0.1")
}
