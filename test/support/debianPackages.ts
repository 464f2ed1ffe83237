import { existsSync, readdirSync } from "node:fs"
import { mkdtemp, readdir, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { exec, tail } from "./exec.ts"
import { messageOf, rigError } from "./rigError.ts"

export const isDebian = (): boolean => existsSync("/etc/debian_version") && existsSync("/usr/bin/apt-get")

const listsAreEmpty = (): boolean => {
  try {
    return !readdirSync("/var/lib/apt/lists").some((file) => file.includes("_Packages"))
  } catch {
    return true
  }
}

const isRoot = (): boolean => process.getuid?.() === 0

const update = async (): Promise<void> => {
  if (!isRoot()) throw rigError("apt's package lists are empty or old, and only root can run apt-get update")
  const ran = await exec("apt-get", ["update", "-qq"], { timeout: 300_000 })
  if (ran.code !== 0) throw rigError(`apt-get update: ${tail(ran.stderr)}`)
}

/** Downloads packages and unpacks them below `folder`. Nothing is installed, so no root is needed. */
export const unpackPackages = async (packages: ReadonlyArray<string>, folder: string): Promise<void> => {
  const downloads = await mkdtemp(join(tmpdir(), "zk-test-deb-"))
  try {
    const get = () => exec("apt-get", ["download", "-qq", ...packages], { cwd: downloads, timeout: 300_000 })
    let updateFailed = ""
    if (listsAreEmpty()) await update().catch((cause: unknown) => void (updateFailed = messageOf(cause)))
    let ran = await get()
    if (ran.code !== 0 && updateFailed === "") {
      await update().catch((cause: unknown) => void (updateFailed = messageOf(cause)))
      ran = await get()
    }
    if (ran.code !== 0) {
      throw rigError(
        `apt-get download ${packages.join(" ")}: ${tail(ran.stderr)}${updateFailed && ` (${updateFailed})`}`
      )
    }
    for (const file of await readdir(downloads)) {
      if (!file.endsWith(".deb")) continue
      const unpacked = await exec("dpkg", ["-x", join(downloads, file), folder])
      if (unpacked.code !== 0) throw rigError(`dpkg -x ${file}: ${tail(unpacked.stderr)}`)
    }
  } finally {
    await rm(downloads, { recursive: true, force: true })
  }
}

/** Installs packages (root only). */
export const installPackages = async (packages: ReadonlyArray<string>): Promise<void> => {
  if (!isRoot()) throw rigError(`${packages.join(" ")} would have to be installed, and this process is not root`)
  const install = () =>
    exec("apt-get", ["install", "-y", "-qq", "--no-install-recommends", ...packages], { timeout: 600_000 })
  if (listsAreEmpty()) await update()
  let ran = await install()
  if (ran.code !== 0) {
    await update()
    ran = await install()
  }
  if (ran.code !== 0) throw rigError(`apt-get install ${packages.join(" ")}: ${tail(ran.stderr)}`)
}
