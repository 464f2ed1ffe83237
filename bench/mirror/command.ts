/**
 * What each of the measured clients is told, and answers, in lines over its standard input and output: `ready`, then
 *
 * - `load /path`: reads a copy of the tree until it is complete, then drops it; answered by a {@link Load} as JSON.
 * - `weigh /path`: the same with a look at the memory; answered by a {@link Weight} as JSON.
 * - `follow /path`: reads a copy and keeps it, then says `following`. From then on, each time the text of a node comes to
 *   be an integer, a line of that integer and the moment on the clock.
 * - `drop`: drops the copy that it keeps, then says `dropped`.
 * - `clock`: answered by the moment on the clock.
 *
 * The clock is the machine's monotonic one, in nanoseconds: the same for Node, Java and Python.
 */

export interface Load {
  /** Milliseconds until the copy was complete. */
  readonly wall: number
  /** CPU milliseconds of the client's process until then: user and system, of all threads. */
  readonly cpu: number
  /** What the copy then had. */
  readonly nodes: number
}

export interface Weight {
  /** Bytes that the process kept more than before, once all that nobody needs was freed. */
  readonly bytes: number
  readonly nodes: number
}
