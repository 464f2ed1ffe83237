/** What the names below a lock's node mean, so that clients of other languages and ours exclude each other. */
import type { Kind, Place } from "./queue.ts"
import { readNumber } from "./queue.ts"

export type LayoutName = "curator" | "kazoo" | "zktools"

export interface Layout {
  readonly name: LayoutName
  /** Where locks are, unless they say something else. */
  readonly root: string
  /** What comes before a candidate's name: it has the UUID in it. */
  readonly mark: (uuid: string) => string
  /** The name of a candidate, between mark and number. */
  readonly candidate: (kind: Kind, isReadWrite: boolean) => string
  /** Reads a name; `undefined` for one that is no candidate. */
  readonly parse: (name: string) => Place | undefined
  /** Whether a name belongs to an exclusive lock that heeds no shared ones, or the other way round, in other clients. */
  readonly isReadWrite: (name: string) => boolean | undefined
  /** What is written into a candidate to ask its owner to give way. */
  readonly revocation: string
}

const parser = (patterns: ReadonlyArray<readonly [pattern: string, kind: Kind]>) => (name: string) => {
  for (const [pattern, kind] of patterns) {
    const at = name.lastIndexOf(pattern)
    if (at < 0) continue
    const sequence = readNumber(name.slice(at + pattern.length))
    if (sequence !== undefined) return { name, kind, sequence }
  }
  return undefined
}

const compact = (uuid: string): string => uuid.replaceAll("-", "")

const curator: Layout = {
  name: "curator",
  root: "/locks",
  mark: (uuid) => `_c_${uuid}-`,
  candidate: (kind, isReadWrite) => !isReadWrite ? "lock-" : kind === "shared" ? "__READ__" : "__WRIT__",
  parse: parser([["lock-", "exclusive"], ["__WRIT__", "exclusive"], ["__READ__", "shared"]]),
  isReadWrite: (name) => name.includes("__WRIT__") || name.includes("__READ__"),
  revocation: "__REVOKE__"
}

const kazoo: Layout = {
  name: "kazoo",
  root: "/locks",
  mark: compact,
  candidate: (kind) => kind === "shared" ? "__rlock__" : "__lock__",
  parse: parser([["__lock__", "exclusive"], ["__rlock__", "shared"]]),
  isReadWrite: () => undefined,
  revocation: "__REVOKE__"
}

const zktools: Layout = {
  name: "zktools",
  root: "/ZktoolsLocks",
  mark: (uuid) => `${compact(uuid)}-`,
  candidate: (kind, isReadWrite) => !isReadWrite ? "lock--" : kind === "shared" ? "read--" : "write--",
  // The asynchronous lock of zktools has one dash only.
  parse: parser([
    ["-lock--", "exclusive"],
    ["-write--", "exclusive"],
    ["-read--", "shared"],
    ["-lock-", "exclusive"]
  ]),
  isReadWrite: (name) => !name.includes("-lock-"),
  revocation: "unlock"
}

export const layouts: { readonly [Name in LayoutName]: Layout } = { curator, kazoo, zktools }
