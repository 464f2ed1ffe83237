import { randomUUID } from "node:crypto"
import { existsSync } from "node:fs"
import { mkdir, rename, rm, stat } from "node:fs/promises"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { pollUntil } from "./wait.ts"

const root = join(dirname(fileURLToPath(import.meta.url)), "../../node_modules/.cache/effect-zookeeper-test")

const staleAfter = 5 * 60_000

/**
 * A folder of the cache, filled once by `fill`. Several processes may ask at the same time: one fills a folder of its
 * own and renames it into place (so nobody ever sees half of it), the others wait.
 */
export const cached = async (name: string, fill: (folder: string) => Promise<void>): Promise<string> => {
  const wanted = join(root, name)
  const lock = `${wanted}.lock`
  await mkdir(root, { recursive: true })
  const locked = await pollUntil(`another process has filled ${name}`, async () => {
    if (existsSync(wanted)) return false
    try {
      await mkdir(lock)
      return true
    } catch {
      // Held by somebody: who died with it must not stop everybody after.
      const since = await stat(lock).then((s) => s.mtimeMs, () => Date.now())
      if (Date.now() - since > staleAfter) await rm(lock, { recursive: true, force: true })
      return undefined
    }
  }, { within: staleAfter + 10_000, every: 200 })
  if (!locked) return wanted
  const draft = `${wanted}.${randomUUID()}`
  try {
    if (existsSync(wanted)) return wanted
    await mkdir(draft)
    await fill(draft)
    await rename(draft, wanted)
    return wanted
  } finally {
    await rm(draft, { recursive: true, force: true })
    await rm(lock, { recursive: true, force: true })
  }
}
