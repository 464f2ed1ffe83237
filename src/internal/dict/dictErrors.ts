/** What only operations of dictionaries can fail with. See ZkDict.ts. */
import * as Data from "effect/Data"
import * as DateTime from "effect/DateTime"
import type * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { id } from "../serverFaults.ts"

/**
 * There is no such key.
 *
 * @stability unstable
 * @category errors
 * @since 0.1.0
 */
export class KeyNotFound extends Schema.TaggedError<KeyNotFound>(id("KeyNotFound"))("KeyNotFound", {
  /** Of the dictionary. */
  path: Schema.String,
  key: Schema.String
}) {
  override get message(): string {
    return `${this.path}: there is no key ${JSON.stringify(this.key)}`
  }
}

/**
 * This cannot be a key of the dictionary. Nothing was sent.
 *
 * @stability unstable
 * @category errors
 * @since 0.1.0
 */
export class InvalidDictKey extends Schema.TaggedError<InvalidDictKey>(id("InvalidDictKey"))("InvalidDictKey", {
  path: Schema.String,
  key: Schema.String,
  reason: Schema.String
}) {
  override get message(): string {
    return `${this.path}: ${JSON.stringify(this.key)} cannot be a key: ${this.reason}`
  }
}

/**
 * What is known was too old to be given: it has not followed the servers for longer than `maxStaleness`.
 *
 * @stability unstable
 * @category errors
 * @since 0.1.0
 */
export class TooStale extends Data.TaggedError("TooStale")<{
  readonly path: string
  readonly since: DateTime.Utc
}> {
  override get message(): string {
    return `${this.path}: nothing was heard of it since ${DateTime.formatIso(this.since)}`
  }
}

/**
 * The answer to a `pop` was lost, and whether it has removed the key cannot be found out any more; or it has, which was
 * not seen in time. If it has, nobody but the receiver of this error has the value: `Redacted.value(error.value)`.
 *
 * @stability unstable
 * @category errors
 * @since 0.1.0
 */
export class PopInDoubt<out V> extends Data.TaggedError("PopInDoubt")<{
  readonly path: string
  readonly value: Redacted.Redacted<V>
  /** What became of the request, and then of the attempts to find out. */
  readonly reason: string
}> {
  /** Whether the key was removed is not known. */
  readonly maybeApplied = true

  override get message(): string {
    return `pop ${this.path}: ${this.reason}; the key may or may not have been removed`
  }
}
