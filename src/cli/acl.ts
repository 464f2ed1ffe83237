/** ACLs as zkCli writes them: `world:anyone:cdrwa,digest:user:hash=:rw`. */
import * as Flag from "effect/cli/Flag"
import * as Result from "effect/Result"
import type { Acl } from "../ZkAcl.ts"
import * as ZkAcl from "../ZkAcl.ts"

const letters: ReadonlyArray<readonly [string, number]> = [
  ["c", ZkAcl.Perms.create],
  ["d", ZkAcl.Perms.delete],
  ["r", ZkAcl.Perms.read],
  ["w", ZkAcl.Perms.write],
  ["a", ZkAcl.Perms.admin]
]

export const formatPerms = (perms: number): string =>
  letters.filter(([, bit]) => (perms & bit) !== 0).map(([letter]) => letter).join("")

export const formatAcl = ({ id, perms, scheme }: Acl): string => `${scheme}:${id}:${formatPerms(perms)}`

export const aclJson = ({ id, perms, scheme }: Acl) => ({ scheme, id, perms: formatPerms(perms) })

/** Fails with a reason. */
export const parsePerms = (text: string): Result.Result<number, string> => {
  let perms = 0
  for (const letter of text) {
    const bit = letters.find(([known]) => known === letter)?.[1]
    if (bit === undefined) return Result.fail(`${JSON.stringify(letter)} is no permission: c, d, r, w and a are`)
    perms |= bit
  }
  return Result.succeed(perms)
}

const parseEntry = (text: string): Result.Result<Acl, string> => {
  const first = text.indexOf(":")
  const last = text.lastIndexOf(":")
  if (first <= 0 || last === first) return Result.fail(`${JSON.stringify(text)} is not scheme:id:permissions`)
  const perms = parsePerms(text.slice(last + 1))
  if (Result.isFailure(perms)) return Result.fail(perms.failure)
  if (perms.success === 0) return Result.fail(`${JSON.stringify(text)} permits nothing`)
  return Result.succeed({ scheme: text.slice(0, first), id: text.slice(first + 1, last), perms: perms.success })
}

/** Fails with a reason. */
export const parseAcl = (text: string): Result.Result<ReadonlyArray<Acl>, string> => {
  const list: Array<Acl> = []
  // Names of certificates have commas as well, but an equals sign before the next colon.
  for (const part of text.split(/,(?=\s*[\w.-]+:)/)) {
    const entry = parseEntry(part.trim())
    if (Result.isFailure(entry)) return Result.fail(entry.failure)
    list.push(entry.success)
  }
  return Result.succeed(list)
}

/** What is wrong with a list, of whose entries there may be many. */
export const aclProblem = (text: string): string =>
  Result.match(parseAcl(text), {
    onFailure: (reason) => reason.includes(text) ? reason : `${JSON.stringify(text)}: ${reason}`,
    onSuccess: () => ""
  })

export const aclFlag = Flag.String("acl").pipe(
  Flag.withMetavar("list"),
  Flag.filterMap(
    (text) => Result.getSuccess(parseAcl(text)),
    aclProblem
  ),
  Flag.optional,
  Flag.withDescription("Who may do what: world:anyone:r,digest:user:hash=:cdrwa. Default: everybody everything")
)
