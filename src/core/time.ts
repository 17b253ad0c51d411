/**
 * Time as the protocol cores see it: a number handed in, never a clock read.
 */

/** Monotonic milliseconds. Only differences mean anything. */
export type Instant = number;

/** The earlier of two deadlines, where `undefined` is "never". */
export function earliest(a: Instant | undefined, b: Instant | undefined): Instant | undefined {
  if (a === undefined) return b;
  if (b === undefined) return a;
  return a < b ? a : b;
}
