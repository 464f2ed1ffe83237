/** What real servers said (fixtures/golden.ts), read by the codec, and what it says to them. */
import { assert, describe, it } from "@effect/vitest"
import * as Constants from "../src/internal/protocol/constants.ts"
import { FrameParser } from "../src/internal/protocol/frames.ts"
import {
  decodeConnectResponse,
  decodeReplyHeader,
  decodeWatcherEvent,
  emptyPassword,
  encodeConnectRequest
} from "../src/internal/protocol/handshake.ts"
import { JuteError, Reader } from "../src/internal/protocol/reader.ts"
import type { Stat } from "../src/ZkStat.ts"
import { golden } from "./fixtures/golden.ts"
import { failedAuth, type Golden, type Step, steps, unknownSession } from "./fixtures/goldenSteps.ts"

/** Transactions are counted from the first one of the new server's first epoch on, which made the session. */
const z = (count: number): bigint => 0x100000000n + BigInt(count)

/** The clocks of the servers are not part of the expectation, except that they are clocks. */
const time = 1_700_000_000_000n
const withoutTimes = (stat: Stat): Stat => {
  for (const at of [stat.ctime, stat.mtime]) assert.isTrue(at > time && at < 4n * time, `${at}`)
  assert.isTrue(stat.mzxid === stat.czxid ? stat.mtime === stat.ctime : stat.mtime > stat.ctime)
  return { ...stat, ctime: time, mtime: time }
}
const isStat = (value: unknown): value is Stat => typeof value === "object" && value !== null && "czxid" in value
const deepWithoutTimes = (value: unknown): unknown => {
  if (isStat(value)) return withoutTimes(value)
  if (Array.isArray(value)) return value.map(deepWithoutTimes)
  if (typeof value !== "object" || value === null || value instanceof Uint8Array) return value
  return Object.fromEntries(Object.entries(value).map(([key, value]) => [key, deepWithoutTimes(value)]))
}

const stat = (czxid: bigint, more: Partial<Stat> = {}): Stat => ({
  czxid,
  mzxid: czxid,
  ctime: time,
  mtime: time,
  version: 0,
  cversion: 0,
  aversion: 0,
  ephemeralOwner: 0n,
  dataLength: 0,
  numChildren: 0,
  pzxid: czxid,
  ...more
})
const root = { dataLength: 4 }
const text = (value: string): Uint8Array => Uint8Array.from(Buffer.from(value))
const anyone = { perms: 31, scheme: "world", id: "anyone" }
const children = ["container", "private", "seq-0000000004", "null", "ephemeral", "später", "ttl"]

interface Facts {
  readonly sessionId: bigint
  /** 3.8.0 answers creates in a multi without Stat, and its events have no zxid. */
  readonly is38: boolean
}

interface Expected {
  readonly zxid: bigint
  readonly code?: number
  readonly value?: (facts: Facts) => unknown
}

const ok = (zxid: number, value?: (facts: Facts) => unknown): Expected => ({
  zxid: z(zxid),
  ...(value === undefined ? {} : { value })
})
const failed = (zxid: number, code: number): Expected => ({ zxid: z(zxid), code })
const created = (path: string, zxid: number, more: Partial<Stat> = {}) => ({ path, stat: stat(z(zxid), more) })

const expected: Record<string, Expected> = {
  "create": ok(2, () => ({ path: "/golden", stat: undefined })),
  "create2 with null data": ok(3, () => created("/golden/null", 3)),
  "createContainer": ok(4, () => created("/golden/container", 4, { dataLength: 4 })),
  "createTtl": ok(5, () => created("/golden/ttl", 5)),
  "create2 ephemeral": ok(
    6,
    ({ sessionId }) => created("/golden/ephemeral", 6, { dataLength: 1, ephemeralOwner: sessionId })
  ),
  "create2 sequential": ok(7, () => created("/golden/seq-0000000004", 7, { dataLength: 1 })),
  "create2 with an ACL": ok(8, () => created("/golden/private", 8, { dataLength: 1 })),
  "create2: NodeExists": failed(9, -110),
  "create2: InvalidAcl": failed(10, -114),
  "getData": ok(10, () => ({
    data: text("root"),
    stat: stat(z(2), { ...root, cversion: 6, numChildren: 6, pzxid: z(8) })
  })),
  "getData of null, watched": ok(10, () => ({ data: null, stat: stat(z(3)) })),
  "getData of nothing": ok(10, () => ({ data: new Uint8Array(0), stat: stat(z(5)) })),
  "getData: NoNode": failed(10, -101),
  "getData: NoAuth": failed(10, -102),
  "exists": ok(10, ({ sessionId }) => stat(z(6), { dataLength: 1, ephemeralOwner: sessionId })),
  "exists: NoNode, watched": failed(10, -101),
  "setData": ok(11, () => stat(z(3), { mzxid: z(11), version: 1, dataLength: 4 })),
  "setData to null": ok(12, () => stat(z(3), { mzxid: z(12), version: 2 })),
  "setData: BadVersion": failed(13, -103),
  "create of a watched path": ok(14, () => ({ path: "/golden/später", stat: undefined })),
  "getChildren2, watched": ok(14, () => ({
    children,
    stat: stat(z(2), { ...root, cversion: 7, numChildren: 7, pzxid: z(14) })
  })),
  "getChildren": ok(14, () => children),
  "getAcl": ok(14, () => ({
    acl: [anyone],
    stat: stat(z(2), { ...root, cversion: 7, numChildren: 7, pzxid: z(14) })
  })),
  "setAcl": ok(15, () => stat(z(14), { dataLength: 2, aversion: 1 })),
  "getAcl with surrogates": ok(15, () => ({
    acl: [{ perms: 31, scheme: "digest", id: "🐘:x" }, { ...anyone, perms: 1 }],
    stat: stat(z(14), { dataLength: 2, aversion: 1 })
  })),
  "delete of a child of a watched path": ok(16),
  "delete: NotEmpty": failed(17, -111),
  "sync": ok(17, () => "/golden"),
  "multi: NoNode in the middle": ok(19, () => [0, -101, -2].map((code) => ({ _tag: "Error", code }))),
  "multi of nothing": ok(20, () => []),
  "multiRead": ok(20, () => [
    {
      _tag: "Data",
      node: { data: text("root"), stat: stat(z(2), { ...root, cversion: 9, numChildren: 7, pzxid: z(18) }) }
    },
    { _tag: "Children", children: [] },
    { _tag: "Error", code: -101 },
    { _tag: "Error", code: -102 }
  ]),
  "addWatch": ok(20),
  "addWatch recursive": ok(20),
  "create below a recursive watch": ok(21, () => created("/golden/container/child", 21)),
  "checkWatches": ok(21),
  "checkWatches: NoWatcher": failed(21, -121),
  "removeWatches": ok(21),
  "removeWatches: NoWatcher": failed(21, -121),
  "setWatches": ok(21),
  "setWatches2": ok(21),
  "getEphemerals": ok(21, () => ["/golden/ephemeral", "/golden/multi/seq-0000000001"]),
  "getAllChildrenNumber": ok(21, () => 11),
  "whoAmI": ok(21, () => [{ scheme: "ip", user: "127.0.0.1" }]),
  "ping": ok(21),
  "auth": { zxid: 0n },
  "auth as super": { zxid: 0n },
  "whoAmI with users": ok(21, () => [
    { scheme: "super", user: "" },
    { scheme: "digest", user: "super" },
    { scheme: "digest", user: "user" },
    { scheme: "ip", user: "127.0.0.1" }
  ]),
  "reconfig: BadVersion": failed(22, -103),
  "closeSession": ok(24)
}

/** The events before the answers, with the transaction that a server from 3.9 on names. */
const events: Record<string, ReadonlyArray<readonly [type: number, path: string, zxid: bigint]>> = {
  "setData": [[3, "/golden/null", z(11)]],
  "create of a watched path": [[1, "/golden/später", z(14)]],
  "delete of a child of a watched path": [[4, "/golden", z(16)]],
  "create below a recursive watch": [[1, "/golden/container/child", z(21)]],
  // Events that setWatches makes up for have no transaction, on any server.
  "setWatches": [[3, "/golden/null", -1n], [1, "/golden/ttl", -1n]],
  "setWatches2": [[2, "/golden/gone", -1n]],
  "closeSession": [[2, "/golden/ephemeral", z(24)]]
}

const fromHex = (hex: string): Buffer => Buffer.from(hex, "hex")

/** What comes out of the parser: the frame as a reader. */
const payload = (record: Golden): Reader => {
  const frame = fromHex(record.reply)
  return new Reader(frame).window(4, frame.length)
}

const servers = [...new Set(golden.map((record) => record.server))]
const stepOf = (name: string): Step => {
  const step = steps.find((step) => step.name === name)
  assert.isDefined(step, name)
  return step!
}

describe("protocol: golden bytes", () => {
  it("there are a server that names transactions in events, and one that does not [CODEC-07]", () => {
    assert.deepStrictEqual(servers.map((version) => version.slice(0, 3)), ["3.8", "3.9"])
  })

  it("every operation of a client is among them [CODEC-07]", () => {
    const recorded = new Set(golden.filter((it) => it.request !== "").map((it) => fromHex(it.request).readInt32BE(8)))
    // A check is sent as an item of a multi only, and -1 ends one.
    const inMulti: ReadonlyArray<number> = [Constants.Op.check, Constants.Op.error]
    const missing = Object.entries(Constants.Op).filter(([, op]) => !recorded.has(op) && !inMulti.includes(op))
    assert.deepStrictEqual(missing, [])
  })

  for (const server of servers) {
    const records = golden.filter((record) => record.server === server)
    const recordOf = (name: string): Golden => {
      const found = records.filter((record) => record.name === name)
      assert.strictEqual(found.length, 1, name)
      return found[0]!
    }
    const session = () => decodeConnectResponse(payload(recordOf("connect")))
    const facts = (): Facts => ({ sessionId: session().sessionId, is38: server.startsWith("3.8") })
    const answer = (name: string) => {
      const reader = payload(recordOf(name))
      return { header: decodeReplyHeader(reader), reader }
    }

    it(`${server}: requests are the bytes that the server understood [CODEC-07]`, () => {
      for (const { frame, name } of steps) assert.strictEqual(frame.toString("hex"), recordOf(name).request, name)
      const hello = { lastZxid: 0n, timeout: 10_000, sessionId: 0n, password: emptyPassword, readOnly: false }
      assert.strictEqual(encodeConnectRequest(hello).toString("hex"), recordOf("connect").request)
      assert.strictEqual(
        encodeConnectRequest({ ...hello, sessionId: unknownSession }).toString("hex"),
        recordOf("connect: expired").request
      )
      assert.strictEqual(failedAuth.toString("hex"), recordOf("auth: AuthFailed").request)
    })

    for (const [name, { code = 0, value, zxid }] of Object.entries(expected)) {
      it(`${server}: ${name} [CODEC-07]${code === 0 ? "" : " [A8]"}`, () => {
        const { header, reader } = answer(name)
        const { request, xid } = stepOf(name)
        assert.deepStrictEqual(header, { xid, zxid, code })
        if (code !== 0) return assert.strictEqual(reader.remaining(), 0, "an error has no body")
        if (request === undefined) return assert.strictEqual(reader.remaining(), 0)
        const decoded = request.decode(reader)
        assert.deepStrictEqual(deepWithoutTimes(decoded), value?.(facts()))
        // addWatch alone has a body that is not read: the code of the header once more.
        assert.strictEqual(reader.remaining(), name.startsWith("addWatch") ? 4 : 0)
      })
    }

    it(`${server}: multi: real names of sequential nodes, and Stats where the server sends them [MULTI-07]`, () => {
      const { header, reader } = answer("multi")
      assert.deepStrictEqual(header, { xid: stepOf("multi").xid, zxid: z(18), code: 0 })
      const { is38, sessionId } = facts()
      const withStat = (path: string, more: Partial<Stat> = {}) => ({
        _tag: "Created",
        path,
        stat: stat(z(18), more)
      })
      const create2 = (path: string, more: Partial<Stat> = {}) =>
        is38 ? { _tag: "Created", path, stat: undefined } : withStat(path, more)
      assert.deepStrictEqual(deepWithoutTimes(stepOf("multi").request!.decode(reader)), [
        { _tag: "Done" },
        { _tag: "Created", path: "/golden/multi", stat: undefined },
        create2("/golden/multi/two", { dataLength: 1 }),
        create2("/golden/multi/seq-0000000001", { ephemeralOwner: sessionId }),
        withStat("/golden/multi/container"),
        withStat("/golden/multi/ttl-0000000003"),
        { _tag: "Stat", stat: stat(z(18), { version: 1, dataLength: 1 }) },
        { _tag: "Done" }
      ])
      assert.strictEqual(reader.remaining(), 0)
    })

    it(`${server}: reconfig answers with the new configuration, whose version is the transaction [CODEC-07]`, () => {
      const { header, reader } = answer("reconfig")
      assert.deepStrictEqual(header, { xid: stepOf("reconfig").xid, zxid: z(23), code: 0 })
      const decoded = stepOf("reconfig").request!.decode(reader) as { readonly data: Uint8Array; readonly stat: Stat }
      const lines = Buffer.from(decoded.data).toString().split("\n")
      assert.strictEqual(lines[1], "server.2=127.0.0.1:2:3:observer;127.0.0.1:4")
      assert.strictEqual(lines[2], `version=${z(23).toString(16)}`)
      assert.strictEqual(decoded.stat.mzxid, z(23))
      assert.strictEqual(decoded.stat.dataLength, decoded.data.length)
      assert.strictEqual(reader.remaining(), 0)
    })

    it(`${server}: sasl answers with a challenge [CODEC-07]`, () => {
      const { header, reader } = answer("sasl")
      assert.deepStrictEqual(header, { xid: stepOf("sasl").xid, zxid: 0n, code: 0 })
      const token = stepOf("sasl").request!.decode(reader) as Uint8Array
      assert.match(Buffer.from(token).toString(), /^realm="zk-sasl-md5",nonce="/)
      assert.strictEqual(reader.remaining(), 0)
    })

    it(`${server}: watch events, with their transactions from 3.9 on [CODEC-07]`, () => {
      for (const [name, list] of Object.entries(events)) {
        const found = records.filter((record) => record.name === `${name}: event`).map((record) => {
          const reader = payload(record)
          return { header: decodeReplyHeader(reader), ...decodeWatcherEvent(reader), left: reader.remaining() }
        })
        const { is38 } = facts()
        assert.deepStrictEqual(
          found,
          list.map(([type, path, zxid]) => ({
            header: { xid: Constants.Xid.notification, zxid: is38 ? -1n : zxid, code: 0 },
            type,
            path,
            left: 0
          })),
          name
        )
      }
    })

    it(`${server}: nothing was recorded that no test expects [CODEC-07]`, () => {
      const known = new Set([
        ...Object.keys(expected),
        ...Object.keys(events).map((name) => `${name}: event`),
        ...["multi", "reconfig", "sasl", "auth: AuthFailed"],
        ...["connect", "connect: expired", "connect without readOnly", "connect for auth"]
      ])
      assert.deepStrictEqual(records.map((record) => record.name).filter((name) => !known.has(name)), [])
    })

    it(`${server}: a refused credential [CODEC-07]`, () => {
      const { header, reader } = answer("auth: AuthFailed")
      assert.deepStrictEqual(header, { xid: Constants.Xid.auth, zxid: 0n, code: Constants.Code.authFailed })
      assert.strictEqual(reader.remaining(), 0)
    })

    it(`${server}: a new session, with and without the readOnly byte; an expired one [CODEC-02]`, () => {
      for (
        const [name, size] of [["connect", 37], ["connect for auth", 37], ["connect without readOnly", 36]] as const
      ) {
        const reader = payload(recordOf(name))
        assert.strictEqual(reader.remaining(), size)
        const { password, readOnly, sessionId, timeout } = decodeConnectResponse(reader)
        assert.strictEqual(reader.remaining(), 0)
        assert.deepStrictEqual([timeout, readOnly, password.length], [10_000, false, 16])
        assert.notDeepEqual(password, emptyPassword)
        // The id of the server is the highest byte.
        assert.strictEqual(sessionId >> 56n, 1n)
      }
      assert.deepStrictEqual(decodeConnectResponse(payload(recordOf("connect: expired"))), {
        timeout: 0,
        sessionId: 0n,
        password: emptyPassword,
        readOnly: false
      })
    })

    it(`${server}: the whole conversation, in any chunks, is the same frames [A1]`, () => {
      const stream = Buffer.concat(records.map((record) => fromHex(record.reply)))
      for (const size of [1, 2, 3, 5, 17, 100, 1448, stream.length]) {
        const lengths: Array<number> = []
        const first: Array<number> = []
        const parser = new FrameParser(0xfffff, (reader) => {
          lengths.push(reader.remaining())
          first.push(reader.int())
        })
        for (let at = 0; at < stream.length; at += size) parser.push(stream.subarray(at, at + size))
        assert.deepStrictEqual(lengths, records.map((record) => record.reply.length / 2 - 4))
        assert.deepStrictEqual(first, records.map((record) => fromHex(record.reply).readInt32BE(4)))
      }
    })

    it(`${server}: cut short at any byte, every answer with a body is a JuteError [BIG-06]`, () => {
      for (const { name, request } of steps) {
        const record = recordOf(name)
        const whole = payload(record)
        if (request === undefined || decodeReplyHeader(whole).code !== 0) continue
        request.decode(whole)
        const { position } = whole
        const frame = fromHex(record.reply)
        for (let end = 4; end < position; end++) {
          const reader = new Reader(frame).window(4, end)
          assert.throws(
            () => {
              decodeReplyHeader(reader)
              request.decode(reader)
            },
            JuteError,
            undefined,
            `${name} at ${end}`
          )
        }
      }
    })
  }
})
