/**
 * The border between the endpoint and the application's own code: what a listener throws must end where node puts it
 * (uncaughtException), not in the endpoint that happened to call.
 */
export function shielded<T>(call: () => T, otherwise: T): T;
export function shielded(call: () => void): void;
export function shielded(call: () => unknown, otherwise?: unknown): unknown {
  try {
    return call();
  } catch (error) {
    process.nextTick(() => {
      throw error;
    });
    return otherwise;
  }
}
