/** The port of a UDP socket over what takes it away. */
import { debug } from '../diagnostics.ts';
import type { AddressOut } from '../node-internals.ts';
import { bindFlags, type DgramState, type UdpHandle } from './dgram-internals.ts';

/** Linux takes the port of a socket that did not ask for one back when it is disconnected. `left`: what it has now. */
export function keepPort(handle: UdpHandle, state: DgramState, left: AddressOut, port: number): void {
  if (left.port !== port) bindAgain(handle, state, left.address ?? '', port);
}

export function bindAgain(handle: UdpHandle, state: DgramState, address: string, port: number): void {
  const flags = bindFlags(state);
  const status = handle.bind(address, port, flags);
  if (status === 0) return;
  // Somebody was quicker. Peers follow to the new port, as they follow a NAT.
  debug('UDP port %d could not be kept: error %d', port, status);
  handle.bind(address, 0, flags);
}
