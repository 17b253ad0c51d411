/** Errors of system calls, as node gives them to applications. */
import { getSystemErrorName } from 'node:util';

export interface SystemError extends Error {
  /** The negative errno. */
  readonly errno: number;
  /** Its name: ECONNRESET ... */
  readonly code: string;
  readonly syscall: string;
}

/** `status`: libuv's, a negative errno. */
export function systemError(status: number, syscall: string): SystemError {
  const code = getSystemErrorName(status);
  return Object.assign(new Error(`${syscall} ${code}`), { errno: status, code, syscall });
}
