/** What can go wrong with permits, besides what can go wrong with locks. */
import * as Schema from "effect/Schema"

const id = (tag: string): string => `effect-zookeeper/ZkSemaphore/${tag}`

/**
 * More permits were asked for than there are: waiting for them would never end.
 *
 * @stability unstable
 * @category errors
 * @since 0.1.0
 */
export class PermitsExceeded extends Schema.TaggedError<PermitsExceeded>(id("PermitsExceeded"))("PermitsExceeded", {
  path: Schema.String,
  permits: Schema.Number,
  max: Schema.Number
}) {
  override get message(): string {
    return `${this.path}: ${this.permits} permits were asked for, there are ${this.max} in all`
  }
}

/**
 * Others use the semaphore with another number of permits. Use theirs, or change it for all with `resize`.
 *
 * @stability unstable
 * @category errors
 * @since 0.1.0
 */
export class SemaphoreMismatch
  extends Schema.TaggedError<SemaphoreMismatch>(id("SemaphoreMismatch"))("SemaphoreMismatch", {
    path: Schema.String,
    /** The number that is stored. */
    stored: Schema.Number,
    /** The number that this semaphore was made with. */
    expected: Schema.Number
  })
{
  override get message(): string {
    return `${this.path}: made with ${this.expected} permits, but others use it with ${this.stored}`
  }
}
