/** What people pass to operations, checked and brought into the form of the protocol before anything is sent. */
import * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import type { Acl } from "../../ZkAcl.ts"
import { openAcl } from "../../ZkAcl.ts"
import { InvalidAcl, InvalidInput, InvalidPath } from "../../ZkError.ts"
import * as ZkPath from "../../ZkPath.ts"
import type { CreateMode, Data } from "../../ZkTransaction.ts"
import { CreateFlag, Op } from "../protocol/constants.ts"
import { Check, Create, Delete, SetAcl, SetData } from "../protocol/requests.ts"
import type { Chroot } from "./chroot.ts"

const encoder = new TextEncoder()

const smallest = -0x80000000
const largest = 0x7fffffff
/** The wire's word for "whatever version": no node ever has it. */
const anyVersion = -1

export type Rejection = InvalidPath | InvalidInput

/** Anything that an operation can be refused for before there is a request. */
export type Refused = Rejection | InvalidAcl

export const toVersion = (version: number | undefined, operation: string, path: string): number | InvalidInput => {
  if (version === undefined) return anyVersion
  if (Number.isInteger(version) && version >= smallest && version <= largest && version !== anyVersion) return version
  return new InvalidInput({
    operation,
    path,
    reason: `${String(version)} is no version of a node (to take any, leave it out)`
  })
}

export const toData = (data: Data | undefined, operation: string, path: string): Uint8Array | null | InvalidInput => {
  if (data === undefined || data === null) return null
  if (typeof data === "string") return encoder.encode(data)
  if (data instanceof Uint8Array) return data
  return new InvalidInput({ operation, path, reason: "data is bytes, text or null" })
}

const permsMask = 31

export const toAcl = (
  acl: ReadonlyArray<Acl> | undefined,
  operation: string,
  path: string
): ReadonlyArray<Acl> | InvalidAcl | InvalidInput => {
  if (acl === undefined) return openAcl
  if (acl.length === 0) return new InvalidAcl({ operation, path })
  for (const { id, perms, scheme } of acl) {
    if (typeof scheme !== "string" || typeof id !== "string" || scheme === "") {
      return new InvalidAcl({ operation, path })
    }
    if (!Number.isInteger(perms) || perms < 0 || perms > permsMask) {
      return new InvalidInput({ operation, path, reason: `${String(perms)} is no sum of permissions` })
    }
  }
  return acl
}

/** Servers keep the time to live in 40 bits. */
const longestTtl = 2 ** 40 - 1

interface Mode {
  readonly op: Create["op"]
  readonly flags: number
  readonly ttl: bigint
}

const simpleModes: { readonly [Name in Extract<CreateMode, string>]: Mode } = {
  persistent: { op: Op.create2, flags: CreateFlag.persistent, ttl: 0n },
  ephemeral: { op: Op.create2, flags: CreateFlag.ephemeral, ttl: 0n },
  persistentSequential: { op: Op.create2, flags: CreateFlag.persistentSequential, ttl: 0n },
  ephemeralSequential: { op: Op.create2, flags: CreateFlag.ephemeralSequential, ttl: 0n },
  container: { op: Op.createContainer, flags: CreateFlag.container, ttl: 0n }
}

/**
 * The operation code and the flags, both from one mode. A server accepts other combinations: some make a node of
 * another kind, and one kills the server and every restart of it.
 */
const toMode = (mode: CreateMode, path: string): Mode | InvalidInput => {
  const invalid = (reason: string) => new InvalidInput({ operation: "create", path, reason })
  if (typeof mode === "string") {
    return Object.hasOwn(simpleModes, mode) ? simpleModes[mode] : invalid(`${mode} is no create mode`)
  }
  const ttl = Option.getOrUndefined(Option.map(Duration.fromInput(mode.ttl), Duration.toMillis))
  if (ttl === undefined || !(ttl >= 1 && ttl <= longestTtl)) {
    return invalid(`the time to live ${ttl ?? String(mode.ttl)} is not between 1 ms and ${longestTtl} ms`)
  }
  const flags = mode.sequential === true ? CreateFlag.persistentSequentialTtl : CreateFlag.persistentTtl
  return { op: Op.createTtl, flags, ttl: BigInt(Math.floor(ttl)) }
}

export const isSequential = (mode: CreateMode | undefined): boolean =>
  typeof mode === "object"
    ? mode.sequential === true
    : mode === "persistentSequential" || mode === "ephemeralSequential"

export const isEphemeral = (mode: CreateMode | undefined): boolean =>
  mode === "ephemeral" || mode === "ephemeralSequential"

export const toServerPath = (chroot: Chroot, path: string): string | InvalidPath => {
  const reason = ZkPath.problem(path)
  return reason === undefined ? chroot.toServer(path) : new InvalidPath({ path: String(path), reason })
}

export const toCreate = (
  chroot: Chroot,
  path: string,
  data: Data | undefined,
  options: { readonly mode?: CreateMode | undefined; readonly acl?: ReadonlyArray<Acl> | undefined } | undefined
): Create | Rejection | InvalidAcl => {
  const sequential = isSequential(options?.mode)
  const reason = ZkPath.problem(path, { sequential })
  if (reason !== undefined) return new InvalidPath({ path: String(path), reason })
  const mode = toMode(options?.mode ?? "persistent", path)
  if (mode instanceof Error) return mode
  const bytes = toData(data, "create", path)
  if (bytes instanceof Error) return bytes
  const acl = toAcl(options?.acl, "create", path)
  if (acl instanceof Error) return acl
  // Below a chroot, "/" is the node of the chroot itself, but a prefix for numbers stands below it.
  const serverPath = sequential ? chroot.prefix + path : chroot.toServer(path)
  return new Create(mode.op, serverPath, bytes, acl, mode.flags, mode.ttl)
}

export const toSetData = (
  chroot: Chroot,
  path: string,
  data: Data,
  version: number | undefined
): SetData | Rejection => {
  const serverPath = toServerPath(chroot, path)
  if (serverPath instanceof Error) return serverPath
  const bytes = toData(data, "setData", path)
  if (bytes instanceof Error) return bytes
  const expected = toVersion(version, "setData", path)
  if (expected instanceof Error) return expected
  return new SetData(serverPath, bytes, expected)
}

export const toDelete = (chroot: Chroot, path: string, version: number | undefined): Delete | Rejection => {
  const serverPath = toServerPath(chroot, path)
  if (serverPath instanceof Error) return serverPath
  const expected = toVersion(version, "delete", path)
  return expected instanceof Error ? expected : new Delete(serverPath, expected)
}

export const toCheck = (chroot: Chroot, path: string, version: number | undefined): Check | Rejection => {
  const serverPath = toServerPath(chroot, path)
  if (serverPath instanceof Error) return serverPath
  const expected = toVersion(version, "check", path)
  return expected instanceof Error ? expected : new Check(serverPath, expected)
}

export const toSetAcl = (
  chroot: Chroot,
  path: string,
  acl: ReadonlyArray<Acl>,
  version: number | undefined
): SetAcl | Rejection | InvalidAcl => {
  const serverPath = toServerPath(chroot, path)
  if (serverPath instanceof Error) return serverPath
  const checked = toAcl(acl, "setAcl", path)
  if (checked instanceof Error) return checked
  const expected = toVersion(version, "setAcl", path)
  return expected instanceof Error ? expected : new SetAcl(serverPath, checked, expected)
}
