import { afterAll, assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { bundled } from "./support/cli.ts"
import { attempt } from "./support/rigError.ts"
import { freshRoot, shared } from "./support/shared.ts"
import type { Outcome } from "./support/snippetRunner.ts"
import {
  claimsOf,
  compile,
  isRun,
  modules,
  pages,
  planPage,
  removeSnippets,
  root,
  runPages,
  runShell,
  type Snippet,
  snippetsOf,
  writeSnippets
} from "./support/snippets.ts"

const read = (file: string): string => readFileSync(new URL(file, root), "utf8")

const inPages = pages.flatMap((file) => snippetsOf(file, "ts"))
const inModules = modules.flatMap((file) => snippetsOf(file, "ts"))
const snippets = [...inPages, ...inModules]

writeSnippets(snippets)
afterAll(removeSnippets)

/** An address with a node of its own as root. */
const freshHosts = Effect.map(Effect.all([shared, freshRoot]), ([{ host, port }, path]) => `${host}:${port}${path}`)

const byFile = (list: ReadonlyArray<Snippet>) => Object.entries(Object.groupBy(list, ({ file }) => file))

/** Made up: what a page would look like that is wrong. */
const wrong = (name: string, code: string): Snippet => ({
  file: "wrong",
  where: `wrong:${name}`,
  info: [],
  code: `import { Console, Effect } from "effect"\n${code}`
})

/** What is made up here to be found wrong, each in its way. */
const wrongs = [
  wrong("fails", `const bad = Effect.fail("no")`),
  wrong("stays", `const bad = Effect.never`),
  wrong("prints", `// prints: one\nconst bad = Console.log("two")`),
  wrong("throws", `throw new Error("at once")`),
  wrong("claims", `1 + 1 // => 3`),
  wrong("ends", `process.exitCode = 3\nconst runMain = () => {}\nrunMain()`)
]
const right = wrong(
  "right",
  `const one = "two"\nconst part = Effect.succeed(one)\n// prints: two\nconst good = Effect.flatMap(part, Console.log)`
)

const run = inPages.filter(isRun)
const claiming = inModules.filter((snippet) => claimsOf(snippet).length > 0)

/** What became of all of them, in one go. */
const outcomes = Effect.runSync(Effect.cached(Effect.gen(function*() {
  const plans = [
    ...byFile(run).map(([, list = []]) => ({ list, options: {} })),
    { list: claiming, options: { onlyClaims: true } },
    { list: [...wrongs, right], options: { timeout: 1000 } }
  ]
  const planned = yield* Effect.forEach(
    plans,
    ({ list, options }) => Effect.map(freshHosts, (hosts) => planPage(hosts, list, options))
  )
  return yield* attempt("snippets", () => runPages(planned))
})))

const outcomesOf = (list: ReadonlyArray<Snippet>) => {
  const places = list.map(({ where }) => where)
  return Effect.map(outcomes, (all) => {
    const found = all.filter(({ where }) => places.includes(where))
    assert.sameMembers(found.map(({ where }) => where), places)
    return found
  })
}

const complaints = (list: ReadonlyArray<Outcome>) =>
  list.flatMap(({ problems, where }) => problems.map((problem) => `${where}: ${problem}`))

describe("snippets", () => {
  it("in pages and in documentation comments compile [EX-02] [A42]", () => {
    assert.isAtLeast(inPages.length, 40)
    assert.isAtLeast(inModules.length, 20)
    assert.strictEqual(compile(snippets), "")
  })

  it.live("say what pure functions give [EX-03]", () =>
    Effect.gen(function*() {
      assert.isAtLeast(claiming.length, 5)
      assert.deepStrictEqual(complaints(yield* outcomesOf(claiming)), [])
    }), 60_000)

  it.live("of pages run against a server and print what they say [EX-05]", () =>
    Effect.gen(function*() {
      const found = yield* outcomesOf(run)
      assert.deepStrictEqual(complaints(found), [])
      // Each does something, or claims something.
      const idle = found.filter(({ ran }) => ran.length === 0).map(({ where }) => where)
      assert.deepStrictEqual(run.filter((it) => idle.includes(it.where) && claimsOf(it).length === 0), [])
      assert.isAtMost(inPages.length - run.length, 2)
    }), 60_000)

  it.live("that fail, never end or print something else are found [EX-06]", () =>
    Effect.gen(function*() {
      const found = yield* outcomesOf([...wrongs, right])
      assert.deepStrictEqual(found.map(({ ran, problems }) => [...ran, problems.length]), [
        ["bad", 1],
        ["bad", 1],
        ["bad", 1],
        [1],
        [1],
        ["program", 1],
        ["good", 0]
      ])
    }), 60_000)

  /** What goes otherwise than the shell blocks of a page say. */
  const inShell = (list: ReadonlyArray<Snippet>) =>
    Effect.gen(function*() {
      const [zk, hosts] = yield* Effect.all([bundled, freshHosts])
      return yield* attempt("shell", () => runShell(zk, hosts, list))
    })

  it.live("in the shell print what they say [EX-07]", () =>
    Effect.gen(function*() {
      const blocks = byFile(pages.flatMap((file) => snippetsOf(file, "console")))
      const problems = yield* Effect.forEach(blocks, ([, list = []]) => inShell(list), { concurrency: 2 })
      assert.deepStrictEqual(problems.flat(), [])
    }), 60_000)

  it.live("in the shell that print something else are found [EX-06]", () =>
    Effect.gen(function*() {
      const code = [
        "$ zk create /a one",
        "…/a…",
        "$ printf '%s-%s' \\",
        "  1 2",
        "1-2",
        "$ zk get /a",
        "two",
        "$ zk get /missing",
        "$ true"
      ].join("\n")
      const problems = yield* inShell([{ file: "wrong", where: "wrong", info: [], code }])
      assert.deepStrictEqual(problems.map((problem) => problem.split("\n")[0]), [
        "wrong: zk get /a",
        "wrong: zk get /missing"
      ])
    }), 60_000)
})

describe("pages", () => {
  const withoutCode = (text: string) => text.replaceAll(/^```.*?^```/gms, "")
  const links = (file: string): ReadonlyArray<string> =>
    [...withoutCode(read(file)).matchAll(/\]\(([^)\s]+)\)/g)].map(([, link = ""]) => link)

  it("are there for every public module and in the index, and the README lists all examples [EX-08]", () => {
    const index = links("docs/README.md")
    for (const file of modules) {
      const page = file.replace(/^src\/(\w+)\.ts$/, "$1.md")
      assert.include(index, page)
      assert.isTrue(existsSync(new URL(`docs/${page}`, root)), page)
    }
    for (const page of pages) {
      if (page.startsWith("docs/") && page !== "docs/README.md") assert.include(index, page.slice("docs/".length))
    }
    assert.include(links("README.md"), "docs/README.md")
    for (const example of readdirSync(new URL("examples/", root))) {
      if (example !== "demo.ts") assert.include(read("README.md"), `\n| \`${example}\``)
    }
  })

  /** As GitHub makes them. */
  const anchors = (file: string): ReadonlyArray<string> =>
    [...withoutCode(read(file)).matchAll(/^#+ (.+)$/gm)].map(([, title = ""]) =>
      title.toLowerCase().replaceAll(/[^\w\- ]/g, "").replaceAll(" ", "-")
    )

  it("link to what is there, and name scripts and files that exist [EX-09]", () => {
    const scripts: Record<string, string> = JSON.parse(read("package.json")).scripts
    for (const page of pages) {
      for (const link of links(page)) {
        if (/^https?:/.test(link)) continue
        const [path = "", anchor] = link.split("#")
        const target = new URL(path === "" ? page : path, path === "" ? root : new URL(page, root))
        assert.isTrue(existsSync(target), `${page}: ${link}`)
        if (anchor !== undefined) assert.include(anchors(target.href.slice(root.href.length)), anchor, page)
      }
      for (const [, script = ""] of read(page).matchAll(/npm run ([\w:-]+)/g)) assert.property(scripts, script, page)
      for (const [file] of read(page).matchAll(/\bexamples\/[\w-]+\.ts/g)) {
        assert.isTrue(existsSync(new URL(file, root)), `${page}: ${file}`)
      }
    }
  })
})
