/**
 * A UDP socket that talks with one peer and hears what ICMP says of it. On node's own UDP handle: made, connected and
 * sent from in one go, where `dgram` takes three turns and half of a first contact's time. Keeps no process alive.
 */
import { familyOf, type TransportAddress } from '../core/address.ts';
import { after } from './clock.ts';
import { nodeBinding } from './node-binding.ts';
import { type SystemError, systemError } from './system-error.ts';

export interface ConnectedUdpOptions {
  readonly remote: TransportAddress;
  readonly localAddress?: string;
  onDatagram(bytes: Buffer): void;
  /** ICMP said no (ECONNREFUSED, EHOSTUNREACH, ENETUNREACH ...), or there is no route. Never inside a call. */
  onUnreachable(error: SystemError): void;
}

export interface ConnectedUdp {
  send(bytes: Uint8Array): void;
  close(): void;
}

interface SendWrap {
  oncomplete?: (status: number) => void;
  /** Kept until it is sent. */
  bytes?: Uint8Array;
}

interface UdpHandle {
  onmessage?: (bytesOrError: number, handle: UdpHandle, buffer: Buffer | undefined) => void;
  bind(ip: string, port: number, flags: number): number;
  bind6(ip: string, port: number, flags: number): number;
  connect(ip: string, port: number): number;
  connect6(ip: string, port: number): number;
  recvStart(): number;
  recvStop(): number;
  /** Negative: an error; 0: `request` will tell; above: sent, one more than the bytes. */
  send(request: SendWrap, chunks: readonly Uint8Array[], count: number, callback: boolean): number;
  close(): void;
  unref(): void;
}

interface UdpBinding {
  readonly UDP: new () => UdpHandle;
  readonly SendWrap: new () => SendWrap;
}

/** Long enough for a connect to a near host. */
const CLOSE_AFTER_MS = 10;
/** All that are to be closed by then, since each timer would wake the process once. */
const closing: UdpHandle[] = [];

let binding: UdpBinding | undefined;

export function connectUdp({ remote, localAddress, onDatagram, onUnreachable }: ConnectedUdpOptions): ConnectedUdp {
  binding ??= nodeBinding<UdpBinding>('udp_wrap');
  const { UDP, SendWrap } = binding;
  const handle = new UDP();
  let open = true;
  const close = (): void => {
    if (!open) return;
    open = false;
    // Else libuv asks for another datagram, with a buffer of 64 KiB, before it does anything else.
    handle.recvStop();
    // What follows from the last datagram, mostly a connect, is in more of a hurry.
    closeSoon(handle);
  };
  const fail = (status: number, syscall: string): void => {
    if (!open) return;
    close();
    process.nextTick(onUnreachable, systemError(status, syscall));
  };
  handle.unref();
  handle.onmessage = (bytesOrError, _handle, buffer) => {
    if (bytesOrError < 0) fail(bytesOrError, 'recvmsg');
    else if (open && buffer !== undefined) onDatagram(buffer);
  };
  const status = connect(handle, remote, localAddress);
  if (status !== 0) fail(status, 'connect');
  return {
    close,
    send(bytes) {
      if (!open) return;
      const request = new SendWrap();
      request.bytes = bytes;
      request.oncomplete = (result) => {
        if (result < 0) fail(result, 'send');
      };
      const result = handle.send(request, [bytes], 1, true);
      if (result < 0) fail(result, 'send');
    },
  };
}

function connect(handle: UdpHandle, { ip, port }: TransportAddress, localAddress: string | undefined): number {
  const isIpv6 = familyOf(ip) === 6;
  let status = 0;
  if (localAddress !== undefined) {
    status = isIpv6 ? handle.bind6(localAddress, 0, 0) : handle.bind(localAddress, 0, 0);
  }
  if (status === 0) status = isIpv6 ? handle.connect6(ip, port) : handle.connect(ip, port);
  return status === 0 ? handle.recvStart() : status;
}

function closeSoon(handle: UdpHandle): void {
  if (closing.push(handle) > 1) return;
  after(CLOSE_AFTER_MS, () => {
    for (const one of closing.splice(0)) one.close();
  });
}
