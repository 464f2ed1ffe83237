/** A file that is there when all has been written into it, and not before. */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import type * as PlatformError from "effect/PlatformError"
import { usage } from "./failure.ts"

/**
 * Beside the file, so that it can take its place in one step. What was there before stays until then, and stays if the
 * writing fails or is interrupted.
 */
export const wholeFile = <A, E, R>(
  name: string,
  fill: (write: (text: string) => Effect.Effect<void, PlatformError.PlatformError>) => Effect.Effect<A, E, R>
) =>
  Effect.scoped(Effect.gen(function*() {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const isThere = yield* fs.exists(name)
    if (isThere && (yield* fs.stat(name)).type !== "File") {
      return yield* usage(`${name} is there, and is no file`)
    }
    // Of a link it is what it leads to that is replaced.
    const at = isThere ? yield* fs.realPath(name) : name
    const partial = path.join(path.dirname(at), `.${path.basename(at)}.${process.pid}.part`)
    // After a success it has another name by now; what cannot be removed is not taken for the file.
    yield* Effect.addFinalizer(() => Effect.ignore(fs.remove(partial)))
    const file = yield* fs.open(partial, { flag: "wx" })
    const filled = yield* fill((text) => file.writeAll(Buffer.from(text)))
    yield* file.sync
    yield* fs.rename(partial, at)
    return filled
  }))
