/**
 * The numbers of the wire protocol, as in ZooKeeper's `ZooDefs.java`, `KeeperException.java` and `Watcher.java`.
 */

/** Operation codes (`ZooDefs.OpCode`). */
export const Op = {
  create: 1,
  delete: 2,
  exists: 3,
  getData: 4,
  setData: 5,
  getAcl: 6,
  setAcl: 7,
  getChildren: 8,
  sync: 9,
  ping: 11,
  getChildren2: 12,
  check: 13,
  multi: 14,
  create2: 15,
  reconfig: 16,
  checkWatches: 17,
  removeWatches: 18,
  createContainer: 19,
  createTtl: 21,
  multiRead: 22,
  auth: 100,
  setWatches: 101,
  sasl: 102,
  getEphemerals: 103,
  getAllChildrenNumber: 104,
  setWatches2: 105,
  addWatch: 106,
  whoAmI: 107,
  closeSession: -11,
  /** The type of a failed item in the answer to a multi, and of the item that ends one. */
  error: -1
} as const

/** Reserved transaction ids of requests that are not answered in order, or not by number. */
export const Xid = {
  notification: -1,
  ping: -2,
  auth: -4,
  setWatches: -8,
  /** The largest number before the counter starts again at 1. */
  max: 0x7fffffff
} as const

/** `CreateMode` flags. They are an enumeration, not bits. */
export const CreateFlag = {
  persistent: 0,
  ephemeral: 1,
  persistentSequential: 2,
  ephemeralSequential: 3,
  container: 4,
  persistentTtl: 5,
  persistentSequentialTtl: 6
} as const

/** Event types of a `WatcherEvent`. */
export const EventType = {
  created: 1,
  deleted: 2,
  dataChanged: 3,
  childrenChanged: 4
} as const

/** Modes of `addWatch`. */
export const AddWatchMode = {
  persistent: 0,
  persistentRecursive: 1
} as const

/** Watch types that `removeWatches` takes; the last two are known to servers from 3.9.0 on. */
export const WatcherType = {
  children: 1,
  data: 2,
  any: 3,
  persistent: 4,
  persistentRecursive: 5
} as const

/** Error codes of a `ReplyHeader` (`KeeperException.Code`). */
export const Code = {
  ok: 0,
  systemError: -1,
  runtimeInconsistency: -2,
  dataInconsistency: -3,
  connectionLoss: -4,
  marshallingError: -5,
  unimplemented: -6,
  operationTimeout: -7,
  badArguments: -8,
  unknownSession: -12,
  newConfigNoQuorum: -13,
  reconfigInProgress: -14,
  apiError: -100,
  noNode: -101,
  noAuth: -102,
  badVersion: -103,
  noChildrenForEphemerals: -108,
  nodeExists: -110,
  notEmpty: -111,
  sessionExpired: -112,
  invalidCallback: -113,
  invalidAcl: -114,
  authFailed: -115,
  sessionMoved: -118,
  notReadOnly: -119,
  ephemeralOnLocalSession: -120,
  noWatcher: -121,
  requestTimeout: -122,
  reconfigDisabled: -123,
  sessionClosedRequireSaslAuth: -124,
  quotaExceeded: -125,
  throttledOp: -127
} as const

/** The largest frame that a server with the default `jute.maxbuffer` reads. */
export const defaultMaxRequestSize = 0xfffff

/** Where the dynamic configuration lives, whatever the chroot. */
export const configPath = "/zookeeper/config"
