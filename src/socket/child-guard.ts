/**
 * Keeps mobile handles out of `child.send(message, socket)`: node hands whatever handle the socket has to a native call
 * that expects a kernel socket, and the process would crash. A session belongs to its process, so the socket can't go;
 * the sender is told by node's own error for a handle that can't be sent. A UDP socket can go: from then on two processes
 * receive on it, so its flows end first and it is plain in both.
 */
import dgram from 'node:dgram';
import diagnosticsChannel from 'node:diagnostics_channel';
import { udpHandleOf } from './dgram/dgram-internals.ts';
import { mobileDgramOf } from './dgram/mobile-dgram.ts';
import { isMobileHandle } from './mobile-handle.ts';

type Send = (this: unknown, message: unknown, handle: unknown, options: unknown, callback: unknown) => boolean;

interface Sender {
  _send?: Send;
}

interface ChildClass {
  spawn(this: Sender, ...args: unknown[]): unknown;
}

/** Covers the channel to our parent now, and those to children as they are started. */
export function guardChannels(): () => void {
  let prototype: ChildClass | undefined;
  let spawn: ChildClass['spawn'] | undefined;
  const guarded = function (this: Sender, ...args: unknown[]): unknown {
    const result = spawn?.apply(this, args);
    guard(this);
    return result;
  };
  // Told from the constructor, so loading node:child_process can wait until the program does it.
  const onChild = (message: unknown): void => {
    if (prototype !== undefined) return;
    prototype = Object.getPrototypeOf((message as { process: object }).process) as ChildClass;
    spawn = prototype.spawn;
    prototype.spawn = guarded;
  };
  diagnosticsChannel.subscribe('child_process', onChild);
  guard(process as Sender);
  return () => {
    diagnosticsChannel.unsubscribe('child_process', onChild);
    if (prototype !== undefined && spawn !== undefined && prototype.spawn === guarded) prototype.spawn = spawn;
  };
}

function guard(sender: Sender): void {
  const native = sender._send;
  if (native === undefined) return;
  sender._send = function (message, handle, options, callback) {
    const isUdpSocket = handle instanceof dgram.Socket;
    mobileDgramOf(isUdpSocket ? udpHandleOf(handle) : handle)?.makePlain();
    // To look for `_handle` in one of those makes node warn.
    if (isUdpSocket) return native.call(this, message, handle, options, callback);
    const inner = (handle as { _handle?: unknown } | null | undefined)?._handle;
    if (!isMobileHandle(inner)) return native.call(this, message, handle, options, callback);
    throw Object.assign(new TypeError('This handle type cannot be sent: the session belongs to this process'), {
      code: 'ERR_INVALID_HANDLE_TYPE',
    });
  };
}
