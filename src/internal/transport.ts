/** How bytes get to a server: TCP, or TLS over it. The seam at which tests put their own wire. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as dns from "node:dns"
import * as net from "node:net"
import type { Duplex } from "node:stream"
import * as tls from "node:tls"

export interface ServerAddress {
  readonly host: string
  readonly port: number
}

export const formatServer = (server: ServerAddress): string =>
  server.host.includes(":") ? `[${server.host}]:${server.port}` : `${server.host}:${server.port}`

export interface TransportOptions {
  /** TLS, with Node's options for it; `undefined` for plain TCP. */
  readonly tls: tls.ConnectionOptions | undefined
  /** Counts attempts, so that a name with several addresses is not always asked for the same one first. */
  readonly attempt: number
}

export interface Transport {
  /** A connected stream, TLS handshake included. Interruption destroys what was begun. */
  readonly connect: (server: ServerAddress, options: TransportOptions) => Effect.Effect<Duplex, Error>
}

/** Resolves anew at every attempt: behind a name there may be other machines than a minute ago. */
const rotatingLookup = (attempt: number): net.LookupFunction => (hostname, options, callback) => {
  dns.lookup(hostname, { ...options, all: true }, (error, addresses) => {
    if (error !== null) return callback(error, [])
    const first = addresses.length === 0 ? 0 : attempt % addresses.length
    const rotated = [...addresses.slice(first), ...addresses.slice(0, first)]
    if (options.all === true) return callback(null, rotated)
    const [address] = rotated
    if (address === undefined) return callback(new Error(`${hostname} has no address`), "")
    callback(null, address.address, address.family)
  })
}

const openSocket = (server: ServerAddress, options: TransportOptions): net.Socket => {
  const target = { host: server.host, port: server.port, lookup: rotatingLookup(options.attempt) }
  if (options.tls === undefined) return net.connect(target)
  const servername = net.isIP(server.host) === 0 ? { servername: server.host } : {}
  return tls.connect({ ...servername, ...options.tls, ...target })
}

const connectSocket = (server: ServerAddress, options: TransportOptions): Effect.Effect<Duplex, Error> =>
  Effect.callback((resume) => {
    let socket: net.Socket
    try {
      socket = openSocket(server, options)
    } catch (error) {
      // Options of TLS that Node does not take are thrown.
      return resume(Effect.fail(error instanceof Error ? error : new Error(String(error))))
    }
    const ready = options.tls === undefined ? "connect" : "secureConnect"
    const onReady = () => {
      socket.off("error", onError)
      socket.off("close", onClose)
      // The connection attaches its own listener, but in a later turn.
      socket.on("error", ignore)
      resume(Effect.succeed(socket))
    }
    const onError = (error: Error) => {
      socket.destroy()
      resume(Effect.fail(error))
    }
    const onClose = () => resume(Effect.fail(new Error("the connection was closed while it was made")))
    socket.setNoDelay(true)
    socket.once(ready, onReady)
    socket.once("error", onError)
    socket.once("close", onClose)
    return Effect.sync(() => {
      socket.off(ready, onReady)
      socket.off("error", onError)
      socket.off("close", onClose)
      // What a dying attempt has to say interests nobody, but must not be thrown.
      socket.on("error", ignore)
      socket.destroy()
    })
  })

const ignore = (): void => {}

export const Transport = Context.Reference<Transport>("effect-zookeeper/internal/Transport", {
  defaultValue: () => ({ connect: connectSocket })
})
