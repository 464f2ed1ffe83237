/**
 * What watches tell.
 *
 * @see {@link https://zookeeper.apache.org/doc/r3.9.3/zookeeperProgrammers.html#ch_zkWatches | ZooKeeper watches}
 * @stability unstable
 * @since 0.1.0
 */

/**
 * A node was created, deleted, had its data set, or had a child created or deleted.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export interface NodeEvent {
  readonly _tag: "NodeCreated" | "NodeDeleted" | "NodeDataChanged" | "NodeChildrenChanged"
  /** The node, as seen by the client that watches (below its chroot). */
  readonly path: string
  /** The transaction behind the event; servers before 3.9 do not tell. */
  readonly zxid: bigint | undefined
}

/**
 * Events may have been missed: read again what you need to know.
 *
 * A server replays nothing of what a persistent watch missed while the connection was lost, so this comes after every
 * reconnect, with a new session, and when a subscriber was too slow for its buffer.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export interface Reset {
  readonly _tag: "Reset"
  readonly reason: "reconnected" | "newSession" | "overflow"
}

/**
 * What the streams of `watch` and `subscribe` carry.
 *
 * @stability unstable
 * @category models
 * @since 0.1.0
 */
export type WatchedEvent = NodeEvent | Reset

/**
 * Whether an event says that something happened to a node, as opposed to {@link Reset}.
 *
 * @stability unstable
 * @category guards
 * @since 0.1.0
 */
export const isNodeEvent = (event: WatchedEvent): event is NodeEvent => event._tag !== "Reset"
