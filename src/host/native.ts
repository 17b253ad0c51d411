/**
 * Node's own socket functions, taken before anything replaces them: mobisock's sockets must not pass through its own
 * hooks, nor through those of whoever else patches the same prototypes. Import this module before installing a hook.
 *
 * Callers give the receiver: `nativeConnect.call(socket, ...)`. The argument lists are node's, loosely typed, because
 * a hook forwards whatever an application passed.
 */
import dgram from 'node:dgram';
import net from 'node:net';

type Method<This, Result> = (this: This, ...args: readonly unknown[]) => Result;

interface Natives {
  readonly connect: Method<net.Socket, net.Socket>;
  readonly listen: Method<net.Server, net.Server>;
  readonly dgramBind: Method<dgram.Socket, dgram.Socket>;
  readonly dgramSend: Method<dgram.Socket, void>;
}

const TAKEN = Symbol.for('mobisock.natives');

const globals = globalThis as unknown as { [TAKEN]?: Natives };

// Once a process: what is loaded later, be it a second copy of this module, would take our own hooks for node's.
const natives: Natives = globals[TAKEN] ?? takeNatives();
Object.defineProperty(globals, TAKEN, { value: natives });

export const nativeConnect: Natives['connect'] = natives.connect;
export const nativeListen: Natives['listen'] = natives.listen;
export const nativeDgramBind: Natives['dgramBind'] = natives.dgramBind;
export const nativeDgramSend: Natives['dgramSend'] = natives.dgramSend;

function takeNatives(): Natives {
  // Overloads don't survive `Function.prototype.call`'s type.
  return {
    connect: net.Socket.prototype.connect,
    listen: net.Server.prototype.listen,
    dgramBind: dgram.Socket.prototype.bind,
    dgramSend: dgram.Socket.prototype.send,
  } as unknown as Natives;
}
