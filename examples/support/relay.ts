/**
 * What programs normally do not have: a relay between the client and a server that can be told to fail, so that an
 * example has something to show. Nothing in here is about ZooKeeper.
 */
import { Effect, type Scope } from "effect"
import { connect, createServer, type Socket } from "node:net"

export interface Relay {
  /** Where clients connect to: a connection string with the chroot of the original. */
  readonly hosts: string
  /** The next bytes to the server are lost, and the connection with them. */
  readonly loseRequest: Effect.Effect<void>
  /** The next bytes to the server arrive; what it answers is lost, and the connection with it. */
  readonly loseAnswer: Effect.Effect<void>
  /** Cuts all connections, and refuses new ones until `restore`. */
  readonly cut: Effect.Effect<void>
  readonly restore: Effect.Effect<void>
}

/** A relay to the first of `servers` (a connection string). It goes with the scope. */
export const makeRelay = (servers: string): Effect.Effect<Relay, never, Scope.Scope> =>
  Effect.gen(function*() {
    const [, host = "127.0.0.1", port = "2181", chroot = ""] = /^([^:,/]+)(?::(\d+))?[^/]*(\/.*)?$/.exec(servers) ?? []
    const open = new Set<Socket>()
    let next: "request" | "answer" | undefined
    let isCut = false

    const onConnection = (near: Socket): void => {
      if (isCut) return void near.destroy()
      const far = connect({ host, port: Number(port), noDelay: true })
      const end = (): void => {
        near.destroy()
        far.destroy()
        open.delete(near)
      }
      let losing = false
      open.add(near)
      for (const socket of [near, far]) socket.on("error", end).on("close", end)
      near.on("data", (bytes) => {
        if (next === "request") {
          next = undefined
          return end()
        }
        if (next === "answer") {
          next = undefined
          losing = true
        }
        far.write(bytes)
      })
      far.on("data", (bytes) => losing ? end() : near.write(bytes))
    }

    const server = createServer({ noDelay: true }, onConnection)
    const cutAll = (): void => {
      for (const socket of open) socket.destroy()
    }
    yield* Effect.acquireRelease(
      Effect.callback<void>((resume) => {
        server.listen(0, "127.0.0.1", () => resume(Effect.void))
      }),
      () =>
        Effect.sync(() => {
          server.close()
          cutAll()
        })
    )
    const address = server.address()
    return {
      hosts: `127.0.0.1:${typeof address === "object" ? address?.port : 0}${chroot}`,
      loseRequest: Effect.sync(() => {
        next = "request"
      }),
      loseAnswer: Effect.sync(() => {
        next = "answer"
      }),
      cut: Effect.sync(() => {
        isCut = true
        cutAll()
      }),
      restore: Effect.sync(() => {
        isCut = false
      })
    }
  })
