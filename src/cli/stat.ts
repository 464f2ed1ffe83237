/** What ZooKeeper knows of a node, for people and for programs. */
import * as DateTime from "effect/DateTime"
import type { Stat } from "../ZkStat.ts"
import * as ZkStat from "../ZkStat.ts"

/** The fields of ZooKeeper; times in ISO 8601, and the ids as they are written everywhere. */
export const statJson = (stat: Stat) => ({
  version: stat.version,
  dataLength: stat.dataLength,
  numChildren: stat.numChildren,
  created: DateTime.formatIso(ZkStat.created(stat)),
  modified: DateTime.formatIso(ZkStat.modified(stat)),
  ephemeralOwner: stat.ephemeralOwner === BigInt(0) ? null : stat.ephemeralOwner,
  cversion: stat.cversion,
  aversion: stat.aversion,
  czxid: stat.czxid,
  mzxid: stat.mzxid,
  pzxid: stat.pzxid
})

/** Of one field of a table. */
export const time = (at: DateTime.Utc): string => DateTime.formatIso(at).replace("T", " ").replace(/\.\d+Z$/, "Z")

export const plural = (count: number, one: string, many = `${one}s`): string => `${count} ${count === 1 ? one : many}`

export const bytes = (count: number): string => {
  if (count < 10_000) return `${count} B`
  const [size, unit] = count < 10_000_000 ? [count / 1_000, "kB"] : [count / 1_000_000, "MB"]
  return `${size < 100 ? size.toFixed(1) : Math.round(size)} ${unit}`
}

export const owner = (stat: Stat): string => stat.ephemeralOwner === BigInt(0) ? "" : ZkStat.toHex(stat.ephemeralOwner)

/** Name and value of each line. */
export const statLines = (stat: Stat): ReadonlyArray<readonly [string, string]> => [
  ["version", `${stat.version}`],
  ["data", stat.dataLength === 1 ? "1 byte" : `${stat.dataLength} bytes`],
  ["children", `${stat.numChildren}`],
  ["created", `${time(ZkStat.created(stat))}  czxid ${ZkStat.toHex(stat.czxid)}`],
  ["modified", `${time(ZkStat.modified(stat))}  mzxid ${ZkStat.toHex(stat.mzxid)}`],
  ["children changed", `${stat.cversion}  pzxid ${ZkStat.toHex(stat.pzxid)}`],
  ["acl version", `${stat.aversion}`],
  ["ephemeral owner", owner(stat) || "none: persistent"]
]
