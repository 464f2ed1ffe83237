/** The completions that `zk` has for bash, in a bash. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { execFile } from "node:child_process"
import { promisify } from "node:util"
import { bundled, makeZk } from "./support/cli.ts"

/** As bash calls them when Tab is hit behind a line; prints what it would offer. */
const tries = `
try() {
  COMP_LINE="$1" COMP_POINT=\${#1}
  read -ra COMP_WORDS <<< "$1"
  [[ "$1" == *" " ]] && COMP_WORDS+=("")
  COMP_CWORD=$((\${#COMP_WORDS[@]} - 1))
  COMPREPLY=()
  _zk_or_nodes zk "\${COMP_WORDS[COMP_CWORD]}" "\${COMP_WORDS[COMP_CWORD - 1]}" 2>/dev/null
  printf '%s ->' "$1"
  (( \${#COMPREPLY[@]} )) && printf ' [%s]' "\${COMPREPLY[@]}"
  echo
}
`

describe("completions of zk", () => {
  it.live("offer commands, flags, and the nodes that are there [CLI-U5]", () =>
    Effect.gen(function*() {
      const zk = yield* makeZk()
      const file = yield* bundled
      yield* zk.client.create("/app/a name", "", { parents: true })
      yield* zk.client.create("/app/config", "")
      const { stdout: completions } = yield* zk.run(["--completions", "bash"])
      const nowhere = "--servers 127.0.0.1:1 --timeout 200ms"
      const lines = [
        "zk l",
        "zk ls --rec",
        "zk locks ",
        "zk ls /a",
        "zk get /app/",
        "zk create /x a",
        `zk ${nowhere} ls /a`
      ]
      const script = [
        completions,
        `zk() { '${process.execPath}' '${file}' "$@"; }`,
        tries,
        ...lines.map((line) => `try '${line}'`)
      ].join("\n")
      const { stdout } = yield* Effect.promise(() =>
        promisify(execFile)("bash", ["--noprofile", "--norc", "-c", script], {
          env: { ...process.env, ZK_SERVERS: zk.hosts }
        })
      )
      assert.deepStrictEqual(stdout.trimEnd().split("\n"), [
        "zk l -> [ls] [locks]",
        "zk ls --rec -> [--recursive]",
        "zk locks  -> [list] [show] [clear]",
        "zk ls /a -> [/app/]",
        "zk get /app/ -> [/app/a\\ name] [/app/config]",
        // Data.
        "zk create /x a ->",
        `zk ${nowhere} ls /a ->`
      ])
    }))
})
