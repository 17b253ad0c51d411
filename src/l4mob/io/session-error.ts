/**
 * Errors as applications know them from node: code, errno and syscall of the kernel's TCP.
 */
import { constants } from 'node:os';
import type { SessionErrorCode } from '../stream-session.ts';

const CODES = {
  ECONNRESET: 'ECONNRESET',
  ETIMEDOUT: 'ETIMEDOUT',
  ECONNREFUSED: 'ECONNREFUSED',
  EPIPE: 'EPIPE',
} as const;

/** A peer that breaks the protocol looks to the application like one that reset the connection. */
export function sessionError(code: SessionErrorCode | 'EPIPE', syscall: 'read' | 'write'): NodeJS.ErrnoException {
  const known = code === 'EPROTO' ? 'ECONNRESET' : CODES[code];
  const error: NodeJS.ErrnoException = new Error(`${syscall} ${known}`);
  error.errno = -constants.errno[known];
  error.code = known;
  error.syscall = syscall;
  return error;
}

const PATH_ERRORS: ReadonlySet<string> = new Set([
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENETDOWN',
  'EADDRNOTAVAIL',
]);

/** Whether it says that the path is gone, and nothing about the peer. */
export function isPathError(error: NodeJS.ErrnoException): boolean {
  return PATH_ERRORS.has(error.code ?? '');
}
