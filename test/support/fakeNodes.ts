import * as Effect from "effect/Effect"
import { type Answer, err, type FakeRequest, ok } from "./fakeScript.ts"
import type { FakeServer } from "./fakeServer.ts"
import { JuteWriter } from "./jute.ts"
import { createOps, decodeCreate, makeStat, Op, writeStat } from "./records.ts"

// Nodes for the scripted server: as many of ZooKeeper's rules as a lock needs.

const noNode = -101
const nodeExists = -110

export interface FakeNodes {
  /** What there is, in the order in which it was made. */
  readonly paths: () => ReadonlyArray<string>
  /** The handler of requests, for scripts that answer only some of them themselves. */
  readonly answer: (request: FakeRequest) => Answer
  /** Somebody else makes a node, or deletes one; who watches it is told. */
  readonly add: (path: string) => Effect.Effect<void>
  readonly remove: (path: string) => Effect.Effect<void>
  /** The same, and nobody is told. */
  readonly removeSilently: (path: string) => Effect.Effect<void>
  /** Checks of these nodes are refused for want of rights. */
  readonly unreadable: Set<string>
}

const parentOf = (path: string): string => path.slice(0, path.lastIndexOf("/")) || "/"

/** Answers requests for nodes from here on; everything else as before. */
export const keepNodes = (fake: FakeServer): Effect.Effect<FakeNodes> =>
  Effect.gen(function*() {
    const nodes = new Map<string, bigint>()
    const watches = new Map<string, Set<number>>()
    const unreadable = new Set<string>()
    // 0 is for somebody who was there before.
    let counter = 1
    let zxid = 100n

    const make = (path: string, flags: number | undefined): string => {
      const isSequential = flags === 2 || flags === 3 || flags === 6
      const made = isSequential ? `${path}${String(counter++).padStart(10, "0")}` : path
      nodes.set(made, ++zxid)
      return made
    }
    const tell = (path: string): Effect.Effect<void> => {
      const connections = watches.get(path) ?? []
      watches.delete(path)
      return Effect.forEach(
        connections,
        (id) => fake.connections[id - 1]?.event(2, path) ?? Effect.void,
        { discard: true }
      )
    }
    const stat = (path: string) => makeStat({ czxid: nodes.get(path) ?? 0n })
    const watch = (request: FakeRequest) => {
      if (request.payload.at(-1) !== 1 || request.path === undefined) return
      watches.set(request.path, (watches.get(request.path) ?? new Set()).add(request.connection))
    }
    const failed = err(noNode)

    const multi = (request: FakeRequest): Answer => {
      const codes = request.ops.map(({ op, path }) =>
        createOps.includes(op)
          ? nodes.has(path) ? nodeExists : 0
          : !nodes.has(path)
          ? noNode
          : op === Op.check && unreadable.has(path)
          ? -102
          : 0
      )
      const culprit = codes.findIndex((code) => code !== 0)
      if (culprit >= 0) {
        const w = new JuteWriter()
        codes.forEach((code, i) => {
          const given = i < culprit ? 0 : i === culprit ? code : -2
          w.int(-1).bool(false).int(given).int(given)
        })
        // As servers do: the transaction was answered, each of its operations has an error.
        return ok(w.int(-1).bool(true).int(-1).bytes())
      }
      for (const { flags, op, path } of request.ops) {
        if (createOps.includes(op)) make(path, flags)
        else if (op === Op.delete) nodes.delete(path)
      }
      return { type: "default" }
    }

    const answer = (request: FakeRequest): Answer => {
      const path = request.path ?? ""
      switch (request.op) {
        case Op.create:
        case Op.create2:
        case Op.createContainer:
        case Op.createTTL: {
          const made = make(path, decodeCreate(request.payload).flags)
          const w = new JuteWriter().ustring(made)
          return ok((request.op === Op.create ? w : writeStat(w, stat(made))).bytes())
        }
        case Op.delete: {
          if (!nodes.delete(path)) return failed
          // Whoever watches it hears of it first.
          Effect.runSync(tell(path))
          return ok()
        }
        case Op.exists:
          watch(request)
          return nodes.has(path) ? ok(writeStat(new JuteWriter(), stat(path)).bytes()) : failed
        case Op.getData: {
          if (!nodes.has(path)) return failed
          watch(request)
          return ok(writeStat(new JuteWriter().buffer(Buffer.alloc(0)), stat(path)).bytes())
        }
        case Op.getChildren2: {
          const names = [...nodes.keys()].filter((node) => parentOf(node) === path)
            .map((node) => node.slice(node.lastIndexOf("/") + 1))
          const w = new JuteWriter().vector(names, (w, name) => w.ustring(name))
          return ok(writeStat(w, makeStat()).bytes())
        }
        case Op.multi:
          return multi(request)
        default:
          return { type: "default" }
      }
    }
    yield* fake.on("any", answer)
    return {
      paths: () => [...nodes.keys()],
      answer,
      add: (path) => Effect.sync(() => void make(path, undefined)),
      remove: (path) => Effect.andThen(Effect.sync(() => nodes.delete(path)), tell(path)),
      removeSilently: (path) => Effect.sync(() => void nodes.delete(path)),
      unreadable
    }
  })
