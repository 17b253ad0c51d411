/** Errors as applications know them from node: `errno`, `code`, `syscall`, and the message made of them. */
import { constants } from 'node:os';
import type { PlainReason } from '../l4mob/io/mobile-stream.ts';

const ERRNO: Readonly<Record<string, number>> = constants.errno;

/** libuv's status for an error: its negative errno, or `otherwise` where the code says nothing. */
export function errnoOf(error: NodeJS.ErrnoException, otherwise: number): number {
  const errno = error.code === undefined ? undefined : ERRNO[error.code];
  return errno === undefined ? otherwise : -errno;
}

/** What ended a session, as an error of the socket. */
export function sessionError(error: NodeJS.ErrnoException): NodeJS.ErrnoException {
  const code = error.code ?? 'ECONNRESET';
  const syscall = error.syscall ?? 'read';
  const errno = errnoOf(error, -constants.errno.ECONNRESET);
  const options = error.message === `${syscall} ${code}` ? undefined : { cause: error };
  return Object.assign(new Error(`${syscall} ${code}`, options), { errno, code, syscall });
}

/** Where the policy requires mobility and the destination can't give it. */
export function mobilityRequiredError(address: string, port: number, reason: PlainReason): NodeJS.ErrnoException {
  const code = 'ECONNREFUSED';
  const message = `connect ${code} ${address}:${port} (policy requires mobility: ${REASONS[reason]})`;
  return Object.assign(new Error(message), {
    errno: -constants.errno.ECONNREFUSED,
    code,
    syscall: 'connect',
    address,
    port,
  });
}

const REASONS: Readonly<Record<PlainReason, string>> = {
  unaware: 'the peer does not speak the protocol',
  'session-port-unreachable': "the peer's session port cannot be reached",
  refused: 'the peer refused the session',
  'handshake-failed': 'the handshake failed',
  limit: 'a local limit is reached',
};
