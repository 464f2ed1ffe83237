/**
 * Who may do what with a node.
 *
 * @see {@link https://zookeeper.apache.org/doc/r3.9.3/zookeeperProgrammers.html#sc_ZooKeeperAccessControl | ZooKeeper access control using ACLs}
 * @stability unstable
 * @since 0.1.0
 */
import * as Redacted from "effect/Redacted"
import { createHash } from "node:crypto"

/**
 * One entry of an access control list: the permissions of one identity.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export interface Acl {
  /** A sum of {@link Perms}. */
  readonly perms: number
  /** How identities are proven: `world`, `auth`, `digest`, `ip`, `x509`, `sasl` or one that the server adds. */
  readonly scheme: string
  /** The identity, in the form that the scheme defines. */
  readonly id: string
}

/**
 * Permissions, to be added up.
 *
 * @stability unstable
 * @category constants
 * @since 0.1.0
 */
export const Perms = {
  /** Read the data and list the children. */
  read: 1,
  /** Set the data. */
  write: 2,
  /** Create children. */
  create: 4,
  /** Delete children. */
  delete: 8,
  /** Set the ACL. */
  admin: 16,
  /** Everything. */
  all: 31
} as const

/**
 * Everybody may do everything: the default for new nodes.
 *
 * @stability unstable
 * @category constants
 * @since 0.1.0
 */
export const openAcl: ReadonlyArray<Acl> = [{ perms: Perms.all, scheme: "world", id: "anyone" }]

/**
 * Everybody may read, nobody may change.
 *
 * @stability unstable
 * @category constants
 * @since 0.1.0
 */
export const readAcl: ReadonlyArray<Acl> = [{ perms: Perms.read, scheme: "world", id: "anyone" }]

/**
 * The identities of the session that creates the node may do everything. The server answers `InvalidAcl` where the
 * session has none: give it credentials first.
 *
 * @stability unstable
 * @category constants
 * @since 0.1.0
 */
export const creatorAcl: ReadonlyArray<Acl> = [{ perms: Perms.all, scheme: "auth", id: "" }]

/**
 * The id under which a digest user stands in ACLs: `user:base64(sha1(user:password))`. The password cannot be read
 * from it, but weak ones can be guessed.
 *
 * **Example** (Giving a user all rights)
 *
 * ```ts
 * import { Redacted } from "effect"
 * import { ZkAcl } from "effect-zookeeper"
 *
 * const acl = [ZkAcl.digest("reports", Redacted.make("secret"), ZkAcl.Perms.all)]
 * ```
 *
 * @stability unstable
 * @category constructors
 * @since 0.1.0
 */
export const digest = (user: string, password: Redacted.Redacted, perms: number = Perms.all): Acl => ({
  perms,
  scheme: "digest",
  id: digestId(user, password)
})

/**
 * See {@link digest}.
 *
 * @stability unstable
 * @category constructors
 * @since 0.1.0
 */
export const digestId = (user: string, password: Redacted.Redacted): string =>
  `${user}:${createHash("sha1").update(`${user}:${Redacted.value(password)}`, "utf8").digest("base64")}`

const letters: ReadonlyArray<readonly [number, string]> = [
  [Perms.read, "READ"],
  [Perms.write, "WRITE"],
  [Perms.create, "CREATE"],
  [Perms.delete, "DELETE"],
  [Perms.admin, "ADMIN"]
]

/**
 * Permissions in words, such as `READ|WRITE`.
 *
 * @stability unstable
 * @category formatting
 * @since 0.1.0
 */
export const formatPerms = (perms: number): string =>
  perms === Perms.all
    ? "ALL"
    : letters.filter(([bit]) => (perms & bit) !== 0).map(([, name]) => name).join("|") || "NONE"
