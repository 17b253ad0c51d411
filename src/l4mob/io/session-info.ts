/**
 * A session as it is told to people and programs that look.
 */
import type { TransportAddress } from '../../core/address.ts';
import type { FlowDriver } from './flow-driver.ts';
import type { SessionInfo } from './mobile-stream.ts';
import type { StreamDriver } from './stream-driver.ts';

export function sessionInfo({ id, session, local, remote, path }: StreamDriver): SessionInfo {
  const { state } = session;
  return {
    id,
    transport: 'tcp',
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

/** `local`: of the socket that the flow is on. */
export function flowInfo(driver: FlowDriver, local: TransportAddress): SessionInfo {
  const { flow, suspended } = driver;
  const open = suspended ? 'suspended' : 'open';
  return {
    id: driver.id,
    transport: 'udp',
    role: flow.role,
    state: flow.phase === 'opening' ? 'opening' : flow.phase === 'confirmed' ? open : 'closing',
    local,
    remote: driver.name,
    path: suspended ? undefined : { local, remote: { ip: flow.remote.ip, port: flow.remote.port } },
    suite: driver.association.suite.name,
    moves: driver.moves,
    bytesSent: driver.bytesSent,
    bytesReceived: driver.bytesReceived,
    unacknowledged: 0,
  };
}
