/** Connection strings, as all clients of ZooKeeper have them. */
import * as Result from "effect/Result"
import type { ConnectionString } from "../../ZkConfig.ts"
import * as ZkPath from "../../ZkPath.ts"
import { formatServer } from "../transport.ts"
import { credentialsProblem, parseServers } from "./servers.ts"

export const parseConnectionString = (input: string): Result.Result<ConnectionString, string> => {
  const text = input.trimEnd()
  const slash = text.indexOf("/")
  const hosts = slash < 0 ? text : text.slice(0, slash)
  const chroot = slash < 0 || slash === text.length - 1 ? undefined : text.slice(slash)
  const servers = parseServers(hosts)
  if (Result.isFailure(servers)) return Result.fail(text.includes("@") ? credentialsProblem : servers.failure)
  if (chroot !== undefined) {
    const shown = chroot.includes("@") ? "" : ` ${JSON.stringify(chroot)}`
    if (chroot.includes(",")) return Result.fail(`the chroot${shown} comes last, after all hosts`)
    const reason = ZkPath.problem(chroot)
    if (reason !== undefined) return Result.fail(`the chroot${shown}: ${reason}`)
  }
  return Result.succeed({ servers: servers.success, chroot })
}

export const formatConnectionString = ({ chroot, servers }: ConnectionString): string =>
  servers.map(formatServer).join(",") + (chroot ?? "")
