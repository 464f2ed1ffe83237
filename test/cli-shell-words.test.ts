/** How `zk shell` reads a line. */
import { assert, describe, it } from "@effect/vitest"
import { isKept } from "../src/cli/shell/history.ts"
import { quote, scan } from "../src/cli/shell/words.ts"

const words = (line: string) => scan(line).words.map(({ text }) => text)

describe("lines of zk shell", () => {
  it("are words, with quotes and backslashes [CLI-S9]", () => {
    assert.deepStrictEqual(words("  ls   /a\t-l "), ["ls", "/a", "-l"])
    assert.deepStrictEqual(words(`set x 'a "b" \\c' "d \\"e\\" \\f 'g'" h\\ i`), [
      "set",
      "x",
      `a "b" \\c`,
      `d "e" \\f 'g'`,
      "h i"
    ])
    assert.deepStrictEqual(words(`a'b'"c"\\d ''`), ["abcd", ""])
    for (const [line, open] of [["a 'b", "'"], ["a \"b'", "\""], ["a\\", "\\"], ["a 'b'", undefined]] as const) {
      assert.strictEqual(scan(line).open, open)
    }
  })

  it("are completed with words that are read back as they are [CLI-S2]", () => {
    for (const name of ["plain", "a name", `it's`, `"`, "\\", "grüße, 世界", "a\u00a0b"]) {
      assert.deepStrictEqual(words(quote(name, undefined)!), [name])
      assert.deepStrictEqual(words(`${quote(name, "\"")}"`), [name])
      const single = quote(name, "'")
      assert.deepStrictEqual(single === undefined ? [name] : words(`${single}'`), [name])
    }
  })

  it("are not kept when they may hold a secret [CLI-S4]", () => {
    for (const line of ["ls /", "get /app/config"]) assert.isTrue(isKept(line))
    const secrets = [
      " ls",
      "\tls",
      "",
      "set /db/passwd x",
      "create /api_key x",
      "acl set / digest:a:b:r",
      "cp -r /app /app --to zookeeper://bob:pw@h1",
      "x".repeat(2_001)
    ]
    for (const line of secrets) assert.isFalse(isKept(line), line)
  })
})
