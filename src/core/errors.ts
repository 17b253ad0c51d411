/**
 * The error family. Every error carries a stable `code`, listed in docs/errors.md. What applications see on their own
 * sockets keeps node's codes (ECONNRESET, ETIMEDOUT, ECONNREFUSED); these are for mobisock's own interfaces.
 */

/** Malformed bytes from the network. Counted and dropped; never closes a session. */
export class WireError extends Error {
  override readonly name = 'WireError';
  readonly code = 'ERR_MOBISOCK_WIRE';
}

/** An authenticated peer broke the rules of docs/protocol.md. Closes what it happened on. */
export class ProtocolError extends Error {
  override readonly name = 'ProtocolError';
  readonly code = 'ERR_MOBISOCK_PROTOCOL';
}

export type UsageErrorCode = 'ERR_MOBISOCK_USAGE' | 'ERR_MOBISOCK_POLICY' | 'ERR_MOBISOCK_ENVIRONMENT';

/** Our caller asked for something that cannot be: the message names what and where. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
  readonly code: UsageErrorCode;
  constructor(message: string, code: UsageErrorCode = 'ERR_MOBISOCK_USAGE', options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
