import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as ZkPath from "../src/ZkPath.ts"

describe("which paths are valid", () => {
  const valid = [
    "/",
    "/this is / a valid/path",
    "/good@path",
    "/.foo",
    "/.f.",
    "/..f",
    "/..f..",
    "/f.c",
    "/f/.f",
    "/f/f.",
    "/f/..f",
    "/f/f..",
    "/...",
    "/a/...",
    "/name/with.period.",
    "/\u00e4hm",
    "/abc/路径/efg",
    "/ ",
    "/~",
    "/\u00a0",
    "/\ud7ff",
    "/\uf900",
    "/\uffef"
  ]
  it.each(valid)("%j [PATH-01]", (path) => {
    assert.isUndefined(ZkPath.problem(path))
  })

  const invalid: ReadonlyArray<readonly [path: string, reason: string]> = [
    ["", "it is empty"],
    ["foo", "it does not start with /"],
    ["a", "it does not start with /"],
    ["not/valid", "it does not start with /"],
    ["//", "an empty name at index 1"],
    ["///", "an empty name at index 1"],
    ["/.", "a relative name at index 1"],
    ["/..", "a relative name at index 1"],
    ["/./", "a relative name at index 1"],
    ["/../", "a relative name at index 1"],
    ["/./.", "a relative name at index 1"],
    ["/../..", "a relative name at index 1"],
    ["/foo/.", "a relative name at index 5"],
    ["/foo/..", "a relative name at index 5"],
    ["/foo/./", "a relative name at index 5"],
    ["/foo/../", "a relative name at index 5"],
    ["/foo/./a", "a relative name at index 5"],
    ["/foo/bar/", "it ends with /"],
    ["/foo//bar", "an empty name at index 5"],
    ["/foo/bar//", "an empty name at index 9"],
    ["/\u0000", "the character U+0000 at index 1"],
    ["/a\u0001", "the character U+0001 at index 2"],
    ["/\u001e", "the character U+001E at index 1"],
    ["/\u001f", "the character U+001F at index 1"],
    ["/\u007f", "the character U+007F at index 1"],
    ["/\u009f", "the character U+009F at index 1"],
    ["/\ud800", "the character U+D800 at index 1"],
    ["/a/b🦓", "the character U+D83E at index 4"],
    ["/\ue000", "the character U+E000 at index 1"],
    ["/\uf8ff", "the character U+F8FF at index 1"],
    ["/\ufff0", "the character U+FFF0 at index 1"],
    ["/\uffff", "the character U+FFFF at index 1"]
  ]
  it.each(invalid)("not %j: %s [PATH-02] [G1]", (path, reason) => {
    assert.strictEqual(ZkPath.problem(path), reason)
  })

  it("nothing but a string [PATH-02] [G1]", () => {
    for (const path of [null, undefined, 1, {}, ["/a"]]) {
      assert.strictEqual(ZkPath.problem(path as unknown as string), "it is not a string")
    }
  })

  it.each(["/", "/p/", "/p/.", "/p/..", "/.", "/..", "/p"])("a prefix for a number: %j [PATH-04]", (path) => {
    assert.isUndefined(ZkPath.problem(path, { sequential: true }))
  })

  it.each(["", "p/", "//", "/p//", "/p/./", "/p/../", "/./a", "/p\u0000/"])("no prefix: %j [PATH-04]", (path) => {
    assert.isDefined(ZkPath.problem(path, { sequential: true }))
  })

  it("a brand carries the same rules", () => {
    const decode = Schema.decodeUnknownResult(ZkPath.ZkPath)
    assert.isTrue(Result.isSuccess(decode("/a/b")))
    const failure = decode("/a//b")
    assert.isTrue(Result.isFailure(failure))
    if (Result.isFailure(failure)) assert.include(String(failure.failure), "an empty name at index 3")
  })
})

const forbidden = [[0x00, 0x1f], [0x7f, 0x9f], [0xd800, 0xf8ff], [0xfff0, 0xffff]] as const

/** The rules of ZooKeeper's own client, said in another way. */
const isValidByTheBook = (path: string): boolean => {
  const codes = path.split("").map((unit) => unit.charCodeAt(0))
  if (codes.some((code) => forbidden.some(([from, to]) => code >= from && code <= to))) return false
  const [first, ...names] = path.split("/")
  return path === "/" ||
    first === "" && names.length > 0 && names.every((name) => name !== "" && name !== "." && name !== "..")
}

const pieces = Schema.Literals(["/", "/", ".", "..", "a", "bc", " ", "ä", "路", "\u0000", "\ud83e", "\ufff0", "-1"])
const texts = Schema.Array(pieces)
const names = Schema.NonEmptyArray(Schema.Literals(["a", "b-c", "..d", ".e", "f.", "0000000001", "žluť", " "]))

describe("properties of paths", () => {
  it.prop("valid is what ZooKeeper's rules say [PATH-01] [PATH-02]", [texts], ([parts]) => {
    for (const path of [parts.join(""), `/${parts.join("")}`]) {
      assert.strictEqual(ZkPath.problem(path) === undefined, isValidByTheBook(path), JSON.stringify(path))
    }
  }, { arbitrary: { runs: 1000 } })

  it.prop("a prefix is valid when its number makes it so [PATH-04]", [texts], ([parts]) => {
    const path = `/${parts.join("")}`
    const completed = isValidByTheBook(`${path}0000000000`)
    assert.strictEqual(ZkPath.problem(path, { sequential: true }) === undefined, completed, JSON.stringify(path))
  }, { arbitrary: { runs: 1000 } })

  it.prop("parent and name take apart what join puts together [PATH-07]", [names], ([parts]) => {
    const path = ZkPath.join("/", ...parts)
    assert.strictEqual(path, `/${parts.join("/")}`)
    assert.isUndefined(ZkPath.problem(path))
    assert.strictEqual(ZkPath.join(ZkPath.parent(path)!, ZkPath.name(path)), path)
  })
})

describe("taking paths apart and putting them together", () => {
  it.each(
    [
      ["/a/b", "/a", "b"],
      ["/a", "/", "a"],
      ["/", undefined, ""],
      ["/a/b/c d", "/a/b", "c d"]
    ] as const
  )("%j is in %j and called %j [PATH-07]", (path, parent, name) => {
    assert.strictEqual(ZkPath.parent(path), parent)
    assert.strictEqual(ZkPath.name(path), name)
  })

  it.each(
    [
      [["/foo", "bar"], "/foo/bar"],
      [["/foo", "/bar"], "/foo/bar"],
      [["/", "foo"], "/foo"],
      [["/", "/"], "/"],
      [["/foo", "/"], "/foo"],
      [["/foo", ""], "/foo"],
      [["/foo", "bar/baz", "/qux"], "/foo/bar/baz/qux"],
      [["/"], "/"]
    ] as ReadonlyArray<readonly [readonly [string, ...Array<string>], string]>
  )("join %j is %j [PATH-07]", ([path, ...names], joined) => {
    assert.strictEqual(ZkPath.join(path, ...names), joined)
  })

  it.each(
    [
      ["_c_53345f98-9423-4e0c-a7b5-9f819e3ec2e1-lock-0000000000", 0],
      ["/locks/x/lock--2147483648", -2147483648],
      ["lock--1000000000", -1000000000],
      ["lock--000000001", -1],
      ["lock-000000001", -1],
      ["lock-0000000001", 1],
      ["lock-2147483647", 2147483647],
      ["lock-2147483648", -2147483648],
      ["lock-1234567890", 1234567890],
      ["lock2147483647", 2147483647],
      ["lock--0000000005", 5],
      ["a71b__lock__0000000003", 3],
      ["/queue/0000000012", 12],
      ["n10000000005", 5],
      ["lock", undefined],
      ["", undefined],
      ["lock-", undefined],
      ["lock-12345678", undefined],
      ["lock-000000000", undefined],
      ["lock123456789", undefined],
      ["lock9999999999", undefined],
      ["lock-9999999999", undefined],
      ["0000000001-lock", undefined]
    ] as const
  )("the number of %j is %j [PATH-08]", (name, number) => {
    assert.strictEqual(ZkPath.sequence(name), number)
  })

  it.prop(
    "a number is read as the server wrote it [PATH-08]",
    [Schema.Int, Schema.Literals(["n-", "/a/lock-", "__lock__", "x", "7"])],
    ([any, prefix]) => {
      const number = any | 0
      const isAmbiguous = number <= -1_000_000_000 && number > -2147483648 && !prefix.endsWith("-")
      if (isAmbiguous) return
      const text = number < 0 ? `-${String(-number).padStart(9, "0")}` : String(number).padStart(10, "0")
      assert.isTrue(ZkPath.sequence(prefix + text) === number, prefix + text)
    }
  )
})
