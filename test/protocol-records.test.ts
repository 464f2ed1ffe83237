/** Every record, both ways, against the second implementation of jute in fixtures/jute.ts. */
import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect } from "effect"
import {
  type ConnectRequest,
  decodeConnectResponse,
  decodeReplyHeader,
  decodeWatcherEvent,
  encodeAuth,
  encodeConnectRequest,
  encodeRequest,
  pingFrame
} from "../src/internal/protocol/handshake.ts"
import { NodeData } from "../src/internal/protocol/nodeData.ts"
import { JuteError, Reader } from "../src/internal/protocol/reader.ts"
import * as Requests from "../src/internal/protocol/requests.ts"
import { Writer } from "../src/internal/protocol/writer.ts"
import * as Any from "./fixtures/arbitraries.ts"
import { Sink, Source } from "./fixtures/jute.ts"

const all = Arbitrary.all

// Op codes are repeated here on purpose: constants.ts is under test too.

describe("protocol: requests", () => {
  interface Case {
    readonly name: string
    readonly any: Arbitrary.Arbitrary<{
      readonly request: Requests.Request
      readonly op: number
      /** What a server must read. */
      readonly fields: unknown
    }>
    readonly read: (source: Source) => unknown
  }

  const requestCase = <A>(
    name: string,
    args: Arbitrary.Arbitrary<A>,
    make: (args: A) => Requests.Request,
    op: number | ((args: A) => number),
    fields: (args: A) => unknown,
    read: (source: Source) => unknown
  ): Case => ({
    name,
    any: Arbitrary.map(args, (args) => ({
      request: make(args),
      op: typeof op === "number" ? op : op(args),
      fields: fields(args)
    })),
    read
  })

  type WatchableConstructor = new(path: string, watch: boolean) => Requests.Request
  const watchable = (name: string, make: WatchableConstructor, op: number): Case =>
    requestCase(
      name,
      all([Any.text, Any.bool]),
      ([path, watch]) => new make(path, watch),
      op,
      (args) => args,
      (source) => [source.text(), source.bool()]
    )

  const onlyPath = (name: string, make: new(path: string) => Requests.Request, op: number): Case =>
    requestCase(name, Any.text, (path) => new make(path), op, (path) => path, (source) => source.text())

  const createArgs = all({
    path: Any.text,
    data: Any.data,
    acl: Any.acl,
    flags: Any.int32,
    ttl: Any.int64
  })
  type CreateOp = Requests.Create["op"]
  const create = (name: string, op: CreateOp): Case =>
    requestCase(
      name,
      createArgs,
      (args) => new Requests.Create(op, args.path, args.data, args.acl, args.flags, args.ttl),
      op,
      ({ ttl, ...args }) => (op === 21 ? { ...args, ttl } : args),
      (source) => readCreate(source, op)
    )
  const readCreate = (source: Source, op: number) => ({
    path: source.text(),
    data: source.data(),
    acl: source.acl(),
    flags: source.int(),
    ...(op === 21 ? { ttl: source.long() } : {})
  })

  const watcherTypes = Any.constants(1 as const, 2 as const, 3 as const, 4 as const, 5 as const)
  const byType = (
    name: string,
    make: new(path: string, type: 1 | 2 | 3 | 4 | 5) => Requests.Request,
    op: number
  ): Case =>
    requestCase(
      name,
      all([Any.text, watcherTypes]),
      ([path, type]) => new make(path, type),
      op,
      (args) => args,
      (source) => [source.text(), source.int()]
    )

  const readItems = (source: Source, readItem: (type: number) => unknown): ReadonlyArray<unknown> => {
    const items: Array<unknown> = []
    while (true) {
      const [type, done, code] = [source.int(), source.bool(), source.int()]
      assert.strictEqual(code, -1)
      assert.strictEqual(done, type === -1)
      if (done) return items
      items.push([type, readItem(type)])
    }
  }

  interface Item<Op> {
    readonly request: Op
    readonly fields: unknown
  }

  const createItem: Arbitrary.Arbitrary<Item<Requests.WriteOp>> = Arbitrary.map(
    all([Any.constants<CreateOp>(1, 15, 19, 21), createArgs]),
    ([op, args]) => {
      const { ttl, ...rest } = args
      return {
        request: new Requests.Create(op, args.path, args.data, args.acl, args.flags, args.ttl),
        fields: [op, op === 21 ? { ...rest, ttl } : rest]
      }
    }
  )
  const writeItem = Any.oneOf<Item<Requests.WriteOp>>(
    createItem,
    Arbitrary.map(all([Any.text, Any.int32]), ([path, version]) => ({
      request: new Requests.Delete(path, version),
      fields: [2, [path, version]]
    })),
    Arbitrary.map(all([Any.text, Any.int32]), ([path, version]) => ({
      request: new Requests.Check(path, version),
      fields: [13, [path, version]]
    })),
    Arbitrary.map(all([Any.text, Any.data, Any.int32]), ([path, data, version]) => ({
      request: new Requests.SetData(path, data, version),
      fields: [5, [path, data, version]]
    }))
  )
  const readItem = Any.oneOf<Item<Requests.ReadOp>>(
    Arbitrary.map(all([Any.text, Any.bool]), ([path, watch]) => ({
      request: new Requests.GetData(path, watch),
      fields: [4, [path, watch]]
    })),
    Arbitrary.map(all([Any.text, Any.bool]), ([path, watch]) => ({
      request: new Requests.GetChildrenNames(path, watch),
      fields: [8, [path, watch]]
    }))
  )

  const watchedPaths = all({
    data: Any.texts,
    exist: Any.texts,
    child: Any.texts,
    persistent: Any.oneOf(Any.constants<Array<string>>([]), Any.texts),
    recursive: Any.oneOf(Any.constants<Array<string>>([]), Any.texts)
  })

  const cases: ReadonlyArray<Case> = [
    create("create", 1),
    create("create2", 15),
    create("createContainer", 19),
    create("createTtl", 21),
    requestCase(
      "delete",
      all([Any.text, Any.int32]),
      ([path, version]) => new Requests.Delete(path, version),
      2,
      (args) => args,
      (source) => [source.text(), source.int()]
    ),
    watchable("exists", Requests.Exists, 3),
    watchable("getData", Requests.GetData, 4),
    requestCase(
      "setData",
      all([Any.text, Any.data, Any.int32]),
      ([path, data, version]) => new Requests.SetData(path, data, version),
      5,
      (args) => args,
      (source) => [source.text(), source.data(), source.int()]
    ),
    onlyPath("getAcl", Requests.GetAcl, 6),
    requestCase(
      "setAcl",
      all([Any.text, Any.acl, Any.int32]),
      ([path, acl, version]) => new Requests.SetAcl(path, acl, version),
      7,
      (args) => args,
      (source) => [source.text(), source.acl(), source.int()]
    ),
    watchable("getChildren", Requests.GetChildrenNames, 8),
    onlyPath("sync", Requests.Sync, 9),
    watchable("getChildren2", Requests.GetChildren, 12),
    requestCase(
      "multi",
      Arbitrary.array(writeItem, { maxLength: 5 }),
      (items) => new Requests.Multi(items.map((item) => item.request)),
      14,
      (items) => items.map((item) => item.fields),
      (source) =>
        readItems(source, (type) => {
          if (type === 5) return [source.text(), source.data(), source.int()]
          if (type === 2 || type === 13) return [source.text(), source.int()]
          return readCreate(source, type)
        })
    ),
    requestCase(
      "reconfig",
      all([Any.textOrNull, Any.textOrNull, Any.textOrNull, Any.int64]),
      (args) => new Requests.Reconfig(...args),
      16,
      (args) => args,
      (source) => [source.text(), source.text(), source.text(), source.long()]
    ),
    byType("checkWatches", Requests.CheckWatches, 17),
    byType("removeWatches", Requests.RemoveWatches, 18),
    requestCase(
      "multiRead",
      Arbitrary.array(readItem, { maxLength: 5 }),
      (items) => new Requests.MultiRead(items.map((item) => item.request)),
      22,
      (items) => items.map((item) => item.fields),
      (source) => readItems(source, () => [source.text(), source.bool()])
    ),
    requestCase(
      "setWatches and setWatches2",
      all([Any.int64, watchedPaths]),
      ([zxid, paths]) => new Requests.SetWatches(zxid, paths),
      // Only the old form is known to servers before 3.6, so it must do where nothing needs the new one.
      ([, paths]) => (paths.persistent.length + paths.recursive.length === 0 ? 101 : 105),
      ([zxid, { child, data, exist, persistent, recursive }]) =>
        persistent.length + recursive.length === 0
          ? [zxid, data, exist, child]
          : [zxid, data, exist, child, persistent, recursive],
      (source) => {
        const fields: Array<unknown> = [source.long()]
        while (!source.atEnd) fields.push(source.texts())
        return fields
      }
    ),
    requestCase(
      "sasl",
      Any.data,
      (token) => new Requests.Sasl(token),
      102,
      (token) => token,
      (source) => source.data()
    ),
    onlyPath("getEphemerals", Requests.GetEphemerals, 103),
    onlyPath("getAllChildrenNumber", Requests.GetAllChildrenNumber, 104),
    requestCase(
      "addWatch",
      all([Any.text, Any.bool]),
      ([path, recursive]) => new Requests.AddWatch(path, recursive),
      106,
      ([path, recursive]) => [path, recursive ? 1 : 0],
      (source) => [source.text(), source.int()]
    ),
    requestCase("whoAmI", Any.bool, () => new Requests.WhoAmI(), 107, () => null, () => null),
    requestCase("closeSession", Any.bool, () => new Requests.CloseSession(), -11, () => null, () => null)
  ]

  for (const { any, name, read } of cases) {
    it.effect.prop(
      `${name}: a server reads what was meant, and the size was not underestimated [BIG-06] [CODEC-01]`,
      [any, Any.int32],
      ([{ fields, op, request }, xid]) =>
        Effect.sync(() => {
          const writer = new Writer()
          encodeRequest(writer, xid, request)
          const frame = writer.take()
          const source = new Source(frame)
          assert.strictEqual(source.int(), frame.length - 4)
          assert.strictEqual(source.int(), xid)
          assert.strictEqual(source.int(), op)
          assert.deepStrictEqual(read(source), fields)
          assert.isTrue(source.atEnd)
          assert.isAtLeast(request.sizeBound(), frame.length - 4)
        })
    )
  }

  it.effect.prop(
    "strings that UTF-8 cannot express are sent as U+FFFD, within the estimated size [CODEC-01] [A6]",
    [Any.anyText, Any.anyText],
    ([path, id]) =>
      Effect.sync(() => {
        const request = new Requests.SetAcl(path, [{ perms: 31, scheme: id, id }], 0)
        const writer = new Writer()
        encodeRequest(writer, 1, request)
        const frame = writer.take()
        const source = new Source(frame)
        source.raw(12)
        assert.strictEqual(source.text(), path.toWellFormed())
        assert.deepStrictEqual(source.acl(), [{ perms: 31, scheme: id.toWellFormed(), id: id.toWellFormed() }])
        assert.isAtLeast(request.sizeBound(), frame.length - 4)
      })
  )

  it.effect.prop(
    "connect: 45 bytes, the readOnly byte always among them [BIG-06] [CODEC-02]",
    [all({ lastZxid: Any.int64, timeout: Any.int32, sessionId: Any.int64, readOnly: Any.bool }), Any.bytes],
    ([fields, some]) =>
      Effect.sync(() => {
        const password = new Uint8Array(16)
        password.set(some.subarray(0, 16))
        const request: ConnectRequest = { ...fields, password }
        const frame = encodeConnectRequest(request)
        assert.strictEqual(frame.length, 4 + 45)
        const source = new Source(frame)
        assert.strictEqual(source.int(), 45)
        assert.strictEqual(source.int(), 0)
        const read = {
          lastZxid: source.long(),
          timeout: source.int(),
          sessionId: source.long(),
          password: source.data(),
          readOnly: source.bool()
        }
        assert.deepEqual(read, request)
        assert.isTrue(source.atEnd)
      })
  )

  it.effect.prop("auth [BIG-06]", [Any.text, Any.bytes], ([scheme, credential]) =>
    Effect.sync(() => {
      const frame = encodeAuth(scheme, credential)
      const source = new Source(frame)
      assert.deepStrictEqual(
        [source.int(), source.int(), source.int(), source.int(), source.text(), source.data()],
        [frame.length - 4, -4, 100, 0, scheme, credential]
      )
      assert.isTrue(source.atEnd)
    }))

  it("ping is a header and nothing else [BIG-06]", () => {
    const source = new Source(pingFrame)
    assert.deepStrictEqual([source.int(), source.int(), source.int(), source.atEnd], [8, -2, 11, true])
  })
})

describe("protocol: replies", () => {
  interface Reply {
    readonly request: Pick<Requests.Request, "decode">
    /** What it must decode to. */
    readonly value: unknown
    readonly body: Sink
  }

  interface Case {
    readonly name: string
    readonly any: Arbitrary.Arbitrary<Reply>
  }

  const replyCase = <A>(
    name: string,
    request: Pick<Requests.Request<A>, "decode">,
    value: Arbitrary.Arbitrary<A>,
    write: (sink: Sink, value: A) => void
  ): Case => ({
    name,
    any: Arbitrary.map(value, (value) => {
      const body = new Sink()
      write(body, value)
      return { request, value, body }
    })
  })

  const created = all({ path: Any.text, stat: Any.stat })
  const data = Arbitrary.map(all({ data: Any.data, stat: Any.stat }), ({ data, stat }) => new NodeData(data, stat))
  const writeCreated = (sink: Sink, value: Requests.Created) => sink.text(value.path).stat(value.stat!)
  const writeData = (sink: Sink, value: NodeData) => sink.data(value.data).stat(value.stat)
  const writeTexts = (sink: Sink, value: ReadonlyArray<string>) => sink.texts(value)
  const createOf = (op: Requests.Create["op"]) => new Requests.Create(op, "/a", null, [], 0, 0n)

  interface Item<A> {
    readonly value: A
    readonly write: (sink: Sink) => void
  }
  const item = <A, B>(
    any: Arbitrary.Arbitrary<A>,
    value: (value: A) => B,
    write: (sink: Sink, value: A) => void
  ): Arbitrary.Arbitrary<Item<B>> => Arbitrary.map(any, (a) => ({ value: value(a), write: (sink) => write(sink, a) }))

  const writeResult = Any.oneOf<Item<Requests.WriteResult>>(
    // What servers before 3.7.2 and 3.8.2 answer a create2 with, too.
    item(
      Any.text,
      (path) => ({ _tag: "Created", path, stat: undefined }),
      (sink, path) => sink.item(1, false, 0).text(path)
    ),
    item(
      created,
      (value) => ({ _tag: "Created", ...value }),
      (sink, value) => writeCreated(sink.item(15, false, 0), value)
    ),
    item(Any.stat, (stat) => ({ _tag: "Stat", stat }), (sink, stat) => sink.item(5, false, 0).stat(stat)),
    item(Any.constants(2, 13), () => ({ _tag: "Done" }), (sink, type) => sink.item(type, false, 0)),
    item(Any.int32, (code) => ({ _tag: "Error", code }), (sink, code) => sink.item(-1, false, code).int(code))
  )
  const readResult = Any.oneOf<Item<Requests.ReadResult>>(
    item(data, (node) => ({ _tag: "Data", node }), (sink, node) => writeData(sink.item(4, false, 0), node)),
    item(
      Any.texts,
      (children) => ({ _tag: "Children", children }),
      (sink, children) => sink.item(8, false, 0).texts(children)
    ),
    item(Any.int32, (code) => ({ _tag: "Error", code }), (sink, code) => sink.item(-1, false, code).int(code))
  )
  const itemsCase = <A>(
    name: string,
    request: Pick<Requests.Request<ReadonlyArray<A>>, "decode">,
    any: Arbitrary.Arbitrary<Item<A>>
  ): Case => ({
    name,
    any: Arbitrary.map(Arbitrary.array(any, { maxLength: 4 }), (items) => {
      const body = new Sink()
      for (const item of items) item.write(body)
      body.item(-1, true, -1)
      return { request, value: items.map((item) => item.value), body }
    })
  })

  const withBody: ReadonlyArray<Case> = [
    {
      name: "create",
      any: Arbitrary.map(Any.text, (path) => ({
        request: createOf(1),
        value: { path, stat: undefined },
        body: new Sink().text(path)
      }))
    },
    replyCase("create2", createOf(15), created, writeCreated),
    replyCase("createContainer", createOf(19), created, writeCreated),
    replyCase("createTtl", createOf(21), created, writeCreated),
    replyCase("exists", new Requests.Exists("/a", true), Any.stat, (sink, stat) => sink.stat(stat)),
    replyCase("getData", new Requests.GetData("/a", true), data, writeData),
    replyCase("setData", new Requests.SetData("/a", null, 0), Any.stat, (sink, stat) => sink.stat(stat)),
    replyCase(
      "getAcl",
      new Requests.GetAcl("/a"),
      all({ acl: Any.acl, stat: Any.stat }),
      (sink, value) => sink.acl(value.acl).stat(value.stat)
    ),
    replyCase("setAcl", new Requests.SetAcl("/a", [], 0), Any.stat, (sink, stat) => sink.stat(stat)),
    replyCase("getChildren", new Requests.GetChildrenNames("/a", true), Any.texts, writeTexts),
    replyCase(
      "getChildren2",
      new Requests.GetChildren("/a", true),
      all({ children: Any.texts, stat: Any.stat }),
      (sink, value) => sink.texts(value.children).stat(value.stat)
    ),
    replyCase("sync", new Requests.Sync("/a"), Any.text, (sink, path) => sink.text(path)),
    itemsCase("multi", new Requests.Multi([]), writeResult),
    itemsCase("multiRead", new Requests.MultiRead([]), readResult),
    replyCase("reconfig", new Requests.Reconfig(null, null, null, -1n), data, writeData),
    replyCase("getEphemerals", new Requests.GetEphemerals("/a"), Any.texts, writeTexts),
    replyCase(
      "getAllChildrenNumber",
      new Requests.GetAllChildrenNumber("/a"),
      Any.int32,
      (sink, value) => sink.int(value)
    ),
    replyCase(
      "whoAmI",
      new Requests.WhoAmI(),
      Arbitrary.array(all({ scheme: Any.text, user: Any.text }), { maxLength: 3 }),
      (sink, value) => sink.list(value, (entry) => sink.text(entry.scheme).text(entry.user))
    ),
    replyCase("sasl", new Requests.Sasl(null), Any.data, (sink, token) => sink.data(token)),
    {
      name: "watch event",
      any: Arbitrary.map(all({ type: Any.int32, path: Any.text }), (value) => ({
        request: { decode: decodeWatcherEvent },
        value,
        body: new Sink().int(value.type).int(3).text(value.path)
      }))
    }
  ]

  const header = all({ xid: Any.int32, zxid: Any.int64, code: Any.int32 })

  /** The frame as it lies in a chunk: other bytes before it, and after it. */
  const inChunk = (frame: ReadonlyArray<number>, before: number) => {
    const chunk = Buffer.concat([Buffer.alloc(before, 0x11), Buffer.from(frame), Buffer.alloc(512)])
    return (length: number) => new Reader(chunk).window(before, before + length)
  }

  const decodeWhole = (reader: Reader, request: Reply["request"]) => ({
    header: decodeReplyHeader(reader),
    value: request.decode(reader)
  })

  for (const { any, name } of withBody) {
    it.effect.prop(
      `${name}: decodes to what the server wrote [BIG-06] [LIM-08]`,
      [any, header, Any.between(0, 9)],
      ([reply, header, before]) =>
        Effect.sync(() => {
          const frame = [...new Sink().header(header.xid, header.zxid, header.code).bytes, ...reply.body.bytes]
          const reader = inChunk(frame, before)(frame.length)
          assert.deepStrictEqual(decodeWhole(reader, reply.request), { header, value: reply.value })
          assert.strictEqual(reader.remaining(), 0)
        })
    )

    it.effect.prop(
      `${name}: cut short at any byte it is a JuteError, though the bytes after the cut are there to be read [BIG-06]`,
      [any, header],
      ([reply, header]) =>
        Effect.sync(() => {
          const frame = [...new Sink().header(header.xid, header.zxid, header.code).bytes, ...reply.body.bytes]
          const cut = inChunk(frame, 3)
          // A long run of data has no structure: some places stand for all of it.
          const step = frame.length > 600 ? 7 : 1
          for (let length = 0; length < frame.length; length += step) {
            const reader = cut(length)
            assert.throws(() => decodeWhole(reader, reply.request), JuteError)
            assert.isAtLeast(reader.remaining(), 0)
          }
        }),
      { arbitrary: { runs: 40 } }
    )
  }

  it("null data and empty data differ [A5]", () => {
    const stat = {
      czxid: 1n,
      mzxid: 1n,
      ctime: 1n,
      mtime: 1n,
      version: 0,
      cversion: 0,
      aversion: 0,
      ephemeralOwner: 0n,
      dataLength: 0,
      numChildren: 0,
      pzxid: 1n
    }
    const decode = (data: Uint8Array | null) =>
      new Requests.GetData("/a", false).decode(new Reader(new Sink().data(data).stat(stat).buffer())).data
    assert.isNull(decode(null))
    assert.deepStrictEqual(decode(new Uint8Array(0)), new Uint8Array(0))
    const encode = (data: Uint8Array | null) => {
      const writer = new Writer()
      encodeRequest(writer, 1, new Requests.SetData("", data, 0))
      return writer.take().subarray(16, 20).readInt32BE()
    }
    assert.strictEqual(encode(null), -1)
    assert.strictEqual(encode(new Uint8Array(0)), 0)
  })

  it("answers without a body need none, and one that is there is ignored [A8]", () => {
    const requests: ReadonlyArray<Requests.Request> = [
      new Requests.Delete("/a", 0),
      new Requests.AddWatch("/a", true),
      new Requests.RemoveWatches("/a", 1),
      new Requests.CheckWatches("/a", 1),
      new Requests.CloseSession(),
      new Requests.SetWatches(0n, { data: [], exist: [], child: [], persistent: [], recursive: [] })
    ]
    for (const request of requests) {
      assert.isUndefined(request.decode(new Reader(Buffer.alloc(0))))
      assert.isUndefined(request.decode(new Reader(Buffer.alloc(4))))
    }
  })

  it("bytes after an answer are ignored, so that later servers may add fields [A8]", () => {
    const body = new Sink().text("/a").raw([1, 2, 3]).buffer()
    assert.strictEqual(new Requests.Sync("/a").decode(new Reader(body)), "/a")
  })

  it("an item of an unknown type in the answer to a multi is a JuteError [BIG-06]", () => {
    for (const type of [0, 3, 19, 21, -2, 0x7fffffff]) {
      const body = () => new Reader(new Sink().item(type, false, 0).item(-1, true, -1).buffer())
      assert.throws(() => new Requests.Multi([]).decode(body()), JuteError, `${type}`)
      assert.throws(() => new Requests.MultiRead([]).decode(body()), JuteError, `${type}`)
    }
  })

  const connectResponse = all({
    timeout: Any.int32,
    sessionId: Any.int64,
    readOnly: Any.bool
  })
  const response = (
    value: { readonly timeout: number; readonly sessionId: bigint; readonly readOnly: boolean },
    password: Uint8Array,
    withReadOnly: boolean
  ) => {
    const sink = new Sink().int(0).int(value.timeout).long(value.sessionId).data(password)
    return withReadOnly ? sink.bool(value.readOnly).bytes : sink.bytes
  }
  const password = Uint8Array.from({ length: 16 }, (_, i) => 255 - i)

  it.effect.prop(
    "connect: with the readOnly byte, and without it as from old servers [CODEC-02] [BIG-06] [LIM-08]",
    [connectResponse, Any.bool],
    ([value, withReadOnly]) =>
      Effect.sync(() => {
        const frame = response(value, password, withReadOnly)
        assert.strictEqual(frame.length, withReadOnly ? 37 : 36)
        const decoded = decodeConnectResponse(inChunk(frame, 4)(frame.length))
        assert.deepStrictEqual(decoded, { ...value, password, readOnly: withReadOnly && value.readOnly })
      })
  )

  it("connect: anything shorter than 36 bytes, a bare reply header too, is a JuteError [CODEC-02]", () => {
    const frame = response({ timeout: 4000, sessionId: 1n, readOnly: true }, password, true)
    const cut = inChunk(frame, 0)
    for (let length = 0; length < 36; length++) {
      assert.throws(() => decodeConnectResponse(cut(length)), JuteError, `${length}`)
    }
    assert.throws(
      () => decodeConnectResponse(new Reader(new Sink().header(0, -1n, -4).buffer())),
      JuteError,
      "16 bytes"
    )
  })

  it("connect: a password that claims to be longer than the frame is a JuteError [CODEC-02]", () => {
    const frame = new Sink().int(0).int(4000).long(1n).int(17).raw(new Uint8Array(16)).buffer()
    assert.throws(() => decodeConnectResponse(new Reader(frame)), JuteError)
  })
})
