/** Scripts for shells of the system: what effect/cli makes of the commands, and the paths of nodes, which it asks for. */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Completions from "effect/cli/Completions"
import * as GlobalFlag from "effect/cli/GlobalFlag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { placeOf } from "./commandLine.ts"
import { print, writeTo } from "./output.ts"
import { isNode, nodes } from "./shell/complete.ts"
import { scan } from "./shell/words.ts"

/** How the scripts ask for nodes: with the words behind `zk`, the one that is being typed last, quotes and all. */
export const asking = "__complete"

/** Prints the nodes that a word may become, a line each. */
export const completeNodes = Command.make(
  asking,
  { typed: Argument.String("typed") },
  ({ typed }) => Effect.flatMap(nodes(typed, "/"), (found) => print(found.map(({ text }) => text)))
).pipe(Command.unlisted)

/** From the words of a script to those that the program runs with; `undefined` where no node is wanted. */
export const askedFor = (
  root: Completions.CommandDescriptor,
  raw: ReadonlyArray<string>
): ReadonlyArray<string> | undefined => {
  const words = raw.map((word) => scan(word).words[0]?.text ?? "")
  const typed = words.at(-1) ?? ""
  const place = placeOf(root, words.slice(0, -1), { isShell: false })
  if (!isNode(place, typed) || (typed.startsWith("-") && !place.isPastFlags)) return undefined
  return [...place.shared, ...(place.used.has("timeout") ? [] : ["--timeout", "2s"]), asking, "--", typed]
}

const bash = `
_zk_or_nodes()
{
  _zk "$@"
  (( \${#COMPREPLY[@]} )) && return
  local cur prev words cword _node _nodes=()
  _init_completion -n "$COMP_WORDBREAKS" || return
  while IFS= read -r _node; do
    _nodes+=("$_node")
  done < <("\${words[0]}" ${asking} "\${words[@]:1:cword}" 2>/dev/null </dev/null)
  (( \${#_nodes[@]} )) || return
  _zk--choices "$cur" "$2" "\${_nodes[@]}"
  [[ \${#_nodes[@]} -eq 1 && "\${_nodes[0]}" == */ ]] && compopt -o nospace
}
complete -F _zk_or_nodes zk
`

const zsh = `
_zk_or_nodes() {
  # The function of the commands changes the words, and that what it offers is put in: it says what the argument is as well.
  local before=$compstate[nmatches] insert=$compstate[insert] list=$compstate[list] program=$words[1]
  local -a typed=("\${(@)words[2,CURRENT-1]}")
  _zk "$@"
  compstate[insert]=$insert compstate[list]=$list
  (( compstate[nmatches] > before )) && return 0
  local -a found
  found=(\${(f)"$("$program" ${asking} "\${(@)typed}" "$PREFIX" 2>/dev/null </dev/null)"})
  (( $#found )) || return 1
  if [[ $#found -eq 1 && $found[1] == */ ]]; then compadd -S '' -- $found; else compadd -- $found; fi
}
`

const fish = `
complete -c zk -n 'not __fish_use_subcommand' -f -a '(zk ${asking} (commandline -opc)[2..-1] (commandline -ct) 2>/dev/null </dev/null)'
`

const generate = (shell: Completions.Shell, command: Command.Command.Any): string => {
  const script = Completions.generate("zk", shell, Completions.fromCommand(command))
  switch (shell) {
    case "bash":
      return script + bash
    case "zsh": {
      const tail = script.lastIndexOf("# Handle both direct")
      return tail < 0
        ? script
        : script.slice(0, tail) + zsh.trimStart() + script.slice(tail).replace(`_zk "$@"`, `_zk_or_nodes "$@"`)
          .replace("compdef _zk zk", "compdef _zk_or_nodes zk")
    }
    case "fish":
      return script + fish
    case "powershell":
      return script
  }
}

/** In place of effect/cli's. */
export const completionsFlag = GlobalFlag.Action({
  flag: GlobalFlag.Completions.flag,
  // Such an action cannot fail: the program tells this defect from others, as with help.
  run: (shell, { command }) =>
    Option.isNone(shell) ? Effect.void : Effect.orDie(writeTo(process.stdout, `${generate(shell.value, command)}\n`))
})
