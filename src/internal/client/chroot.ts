/** A client's view of the tree: everything below one node. */

export class Chroot {
  /** Empty for the whole tree, otherwise without a slash at the end. */
  readonly prefix: string

  constructor(prefix: string) {
    this.prefix = prefix
  }

  toServer(path: string): string {
    if (this.prefix === "") return path
    return path === "/" ? this.prefix : this.prefix + path
  }

  /** `undefined` for a path that is not below; a name that only starts alike is not. */
  toClient(path: string): string | undefined {
    const { prefix } = this
    if (prefix === "") return path
    if (!path.startsWith(prefix)) return undefined
    if (path.length === prefix.length) return "/"
    return path.charCodeAt(prefix.length) === 0x2f ? path.slice(prefix.length) : undefined
  }

  below(path: string): Chroot {
    return path === "/" ? this : new Chroot(this.prefix + path)
  }
}
