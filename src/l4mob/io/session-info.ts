/**
 * A session as it is told to people and programs that look.
 */
import type { SessionInfo } from './mobile-stream.ts';
import type { StreamDriver } from './stream-driver.ts';

export function sessionInfo({ id, session, local, remote, path }: StreamDriver): SessionInfo {
  const { state } = session;
  return {
    id,
    role: session.role,
    state: state === 'ended' ? 'closing' : state,
    local,
    remote,
    path,
    suite: session.suite.name,
    moves: session.moves,
    bytesSent: session.bytesSent,
    bytesReceived: session.bytesReceived,
    unacknowledged: session.unacknowledged,
  };
}
