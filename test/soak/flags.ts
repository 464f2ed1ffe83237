/** The flags of the long runs, and their chance. */

/** `--name 7` on the command line. */
export const numberFlag = (name: string, otherwise: number): number => {
  const index = process.argv.indexOf(`--${name}`)
  if (index < 0) return otherwise
  const value = Number(process.argv[index + 1])
  if (!Number.isFinite(value)) throw new Error(`--${name} takes a number`)
  return value
}

/** `--name text` on the command line. */
export const textFlag = (name: string): string | undefined => {
  const index = process.argv.indexOf(`--${name}`)
  if (index < 0) return undefined
  const value = process.argv[index + 1]
  if (value === undefined || value.startsWith("--")) throw new Error(`--${name} takes a value`)
  return value
}

/** Numbers from 0 to 1 that the seed decides (mulberry32). */
export const random = (seed: number): () => number => {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}
