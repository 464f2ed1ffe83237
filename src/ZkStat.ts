/**
 * What ZooKeeper knows about a node besides its data.
 *
 * @see {@link https://zookeeper.apache.org/doc/r3.9.3/zookeeperProgrammers.html#sc_zkStatStructure | ZooKeeper's Stat structure}
 * @stability unstable
 * @since 0.1.0
 */
import * as DateTime from "effect/DateTime"

/**
 * The metadata of a node. Transaction ids (zxids), session ids and times are 64 bits wide and therefore `bigint`.
 *
 * **Gotchas**
 *
 * - Compare `czxid` with `mzxid` to see changes of a node, and `pzxid` for changes among its children. `version` alone
 *   cannot tell a node from one that was deleted and created again.
 * - `cversion` is what servers make of it: twice the number of children ever created, less those that live. It neither
 *   counts changes nor predicts sequence numbers.
 * - `ephemeralOwner` is `0n` for container and TTL nodes too: a client cannot tell them from persistent ones.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export interface Stat {
  /** The transaction that created the node. */
  readonly czxid: bigint
  /** The transaction that last set its data. */
  readonly mzxid: bigint
  /** When it was created, by the server's clock, in milliseconds since 1970. See {@link created}. */
  readonly ctime: bigint
  /** When its data was last set, by the server's clock, in milliseconds since 1970. See {@link modified}. */
  readonly mtime: bigint
  /** How often the data was set; the number that `setData` and `delete` compare. */
  readonly version: number
  /** See the gotchas of {@link Stat}. */
  readonly cversion: number
  /** How often the ACL was set; the number that `setAcl` compares. */
  readonly aversion: number
  /** The session that an ephemeral node belongs to, otherwise `0n`. */
  readonly ephemeralOwner: bigint
  /** Bytes of data. */
  readonly dataLength: number
  /** Number of children. */
  readonly numChildren: number
  /** The transaction that last created or deleted a child. */
  readonly pzxid: bigint
}

/**
 * When the node was created, by the server's clock.
 *
 * @stability unstable
 * @category getters
 * @since 0.1.0
 */
export const created = (stat: Stat): DateTime.Utc => DateTime.makeUnsafe(Number(stat.ctime))

/**
 * When the data was last set, by the server's clock.
 *
 * @stability unstable
 * @category getters
 * @since 0.1.0
 */
export const modified = (stat: Stat): DateTime.Utc => DateTime.makeUnsafe(Number(stat.mtime))

/**
 * Whether the node is an ephemeral of the given session. That a path exists proves nothing about who made it.
 *
 * @stability unstable
 * @category predicates
 * @since 0.1.0
 */
export const isOwnedBy = (stat: Stat, sessionId: bigint): boolean =>
  stat.ephemeralOwner === sessionId && sessionId !== BigInt(0)

/**
 * A zxid or session id as ZooKeeper's own tools write it: unsigned and hexadecimal.
 *
 * @stability unstable
 * @category formatting
 * @since 0.1.0
 */
export const toHex = (id: bigint): string => `0x${BigInt.asUintN(64, id).toString(16)}`
