/** Bytes that are compressed, and how large they may become again. */
import * as Effect from "effect/Effect"
import * as SchemaIssue from "effect/SchemaIssue"
import * as SchemaTransformation from "effect/SchemaTransformation"
import { constants } from "node:buffer"
import { gunzipSync, gzipSync } from "node:zlib"

/** Not a `Buffer`, which is compared and printed in ways of its own. */
const plain = ({ buffer, byteLength, byteOffset }: Uint8Array): Uint8Array =>
  new Uint8Array(buffer, byteOffset, byteLength)

/** Where the header names the system that compressed, and the code for an unknown one. */
const system = { offset: 9, unknown: 255 }

/**
 * Node leaves the time of the header at 0. With the system left out as well, nothing but the value and the release of
 * zlib decides on the bytes.
 */
const compress = (bytes: Uint8Array): Uint8Array => {
  const compressed = gzipSync(bytes)
  compressed[system.offset] = system.unknown
  return plain(compressed)
}

export const compressed = (maxSize: number) => {
  if (!(maxSize >= 1)) throw new RangeError("maxSize must be at least 1 byte")
  const maxOutputLength = Math.min(Math.floor(maxSize), constants.MAX_LENGTH)
  return SchemaTransformation.transformEffect<Uint8Array, Uint8Array>({
    decode: (bytes, options) =>
      Effect.try({
        try: () => plain(gunzipSync(bytes, { maxOutputLength })),
        catch: (cause) =>
          new SchemaIssue.InvalidValue(
            {
              expected: (cause as NodeJS.ErrnoException).code === "ERR_BUFFER_TOO_LARGE"
                ? `no more than ${maxOutputLength} bytes when decompressed`
                : "gzip"
            },
            bytes,
            options
          )
      }),
    // what could not be read again is not written
    encode: (bytes, options) =>
      bytes.length > maxOutputLength
        ? Effect.fail(
          new SchemaIssue.InvalidValue({ expected: `no more than ${maxOutputLength} bytes` }, bytes, options)
        )
        : Effect.sync(() => compress(bytes))
  })
}
