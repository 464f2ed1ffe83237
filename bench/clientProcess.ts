/** A measured client in a process of its own. It is told, and answers, in lines over its standard input and output. */
import { type ChildProcess, spawn } from "node:child_process"
import { createInterface } from "node:readline"

export class ClientProcess<Name extends string = string> {
  readonly name: Name
  private readonly child: ChildProcess
  private readonly lines: AsyncIterator<string>

  constructor(name: Name, [command, args]: readonly [command: string, args: ReadonlyArray<string>], env = {}) {
    this.name = name
    this.child = spawn(command, args, { stdio: ["pipe", "pipe", "inherit"], env: { ...process.env, ...env } })
    this.lines = createInterface({ input: this.child.stdout! })[Symbol.asyncIterator]()
  }

  async hear(): Promise<string> {
    const { done, value } = await this.lines.next()
    if (done === true) throw new Error(`the process of ${this.name} ended`)
    return value
  }

  ask(command: string): Promise<string> {
    this.child.stdin!.write(`${command}\n`)
    return this.hear()
  }

  async close(): Promise<void> {
    if (this.child.exitCode !== null) return
    const ended = new Promise((resolve) => this.child.once("exit", resolve))
    this.child.stdin!.end()
    const stubborn = setTimeout(() => this.child.kill("SIGKILL"), 5_000)
    await ended
    clearTimeout(stubborn)
  }
}
