// @barrel: Auto-generated exports. Do not edit manually.

/**
 * @stability unstable
 * @since 0.1.0
 */
export * as ZkAcl from "./ZkAcl.ts"

/**
 * @stability unstable
 * @since 0.1.0
 */
export * as ZkAdvertisement from "./ZkAdvertisement.ts"

/**
 * @stability unstable
 * @since 0.1.0
 */
export * as ZkClient from "./ZkClient.ts"

/**
 * @stability unstable
 * @since 0.1.0
 */
export * as ZkClients from "./ZkClients.ts"

/**
 * @stability unstable
 * @since 0.1.0
 */
export * as ZkCodec from "./ZkCodec.ts"

/**
 * @stability unstable
 * @since 0.1.0
 */
export * as ZkConfig from "./ZkConfig.ts"

/**
 * @stability unstable
 * @since 0.1.0
 */
export * as ZkDict from "./ZkDict.ts"

/**
 * @stability unstable
 * @since 0.1.0
 */
export * as ZkError from "./ZkError.ts"

/**
 * @stability unstable
 * @since 0.1.0
 */
export * as ZkEvent from "./ZkEvent.ts"

/**
 * @stability unstable
 * @since 0.1.0
 */
export * as ZkLock from "./ZkLock.ts"

/**
 * @stability unstable
 * @since 0.1.0
 */
export * as ZkMirror from "./ZkMirror.ts"

/**
 * @stability unstable
 * @since 0.1.0
 */
export * as ZkNode from "./ZkNode.ts"

/**
 * @stability unstable
 * @since 0.1.0
 */
export * as ZkPath from "./ZkPath.ts"

/**
 * @stability unstable
 * @since 0.1.0
 */
export * as ZkSemaphore from "./ZkSemaphore.ts"

/**
 * @stability unstable
 * @since 0.1.0
 */
export * as ZkSession from "./ZkSession.ts"

/**
 * @stability unstable
 * @since 0.1.0
 */
export * as ZkStat from "./ZkStat.ts"

/**
 * @stability unstable
 * @since 0.1.0
 */
export * as ZkState from "./ZkState.ts"

/**
 * @stability unstable
 * @since 0.1.0
 */
export * as ZkTransaction from "./ZkTransaction.ts"
