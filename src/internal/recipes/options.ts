/** What the options of recipes have in common. */
import * as Duration from "effect/Duration"

export const toMillis = (duration: Duration.Input): number => Duration.toMillis(Duration.fromInputUnsafe(duration))

/** Half a tick in milliseconds, if the tick is known. */
export const halfOf = (tickTime: Duration.Input | undefined): number | undefined =>
  tickTime === undefined ? undefined : toMillis(tickTime) / 2

/** A relative name is below the root, an absolute one is itself. Whether it can be a path is another question. */
export const pathOf = (name: string, root: string): string =>
  name.startsWith("/") ? name : root === "/" ? `/${name}` : `${root}/${name}`
