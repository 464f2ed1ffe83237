// What tests of types have in common. Nothing of it is run.

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends (<T>() => T extends B ? 1 : 2) ? true : false

/** Compiles only for types that are the same. */
export const same = <A, B>(_same: Same<A, B>): void => {}

/** For the compiler only. */
export const unrun = (_: () => unknown): void => {}

/** Services, for what needs some. */
export interface Reader {
  readonly reader: unique symbol
}
export interface Writer {
  readonly writer: unique symbol
}
