import { execFile } from "node:child_process"

export interface Ran {
  readonly code: number | string
  readonly stdout: string
  readonly stderr: string
}

/** Runs a program to its end. Never rejects: a missing program is code "ENOENT". */
export const exec = (
  file: string,
  args: ReadonlyArray<string>,
  options?: { readonly cwd?: string; readonly timeout?: number; readonly env?: Record<string, string> }
): Promise<Ran> =>
  new Promise((resolve) => {
    execFile(file, [...args], {
      ...(options?.cwd === undefined ? {} : { cwd: options.cwd }),
      env: { ...process.env, LC_ALL: "C", DEBIAN_FRONTEND: "noninteractive", ...options?.env },
      timeout: options?.timeout ?? 120_000,
      maxBuffer: 16 * 1024 * 1024
    }, (error, stdout, stderr) => {
      resolve({
        code: error === null ? 0 : error.code ?? error.signal ?? error.message,
        stdout,
        stderr
      })
    })
  })

/** The last lines of what a program said, for an error message. */
export const tail = (text: string, lines = 4): string => text.trim().split("\n").slice(-lines).join(" | ")
