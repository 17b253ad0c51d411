/**
 * Node's own socket functions, taken before anything replaces them: mobisock's sockets must not pass through its own
 * hooks, nor through those of whoever else patches the same prototypes. Import this module before installing a hook.
 *
 * Callers give the receiver: `nativeConnect.call(socket, ...)`. The argument lists are node's, loosely typed, because
 * a hook forwards whatever an application passed.
 */
import dgram from 'node:dgram';
import net from 'node:net';
import type tls from 'node:tls';

type Method<This, Result> = (this: This, ...args: readonly unknown[]) => Result;

export const nativeConnect: Method<net.Socket, net.Socket> = own(net.Socket.prototype.connect);
export const nativeListen: Method<net.Server, net.Server> = own(net.Server.prototype.listen);
export const nativeDgramBind: Method<dgram.Socket, dgram.Socket> = own(dgram.Socket.prototype.bind);
export const nativeDgramSend: Method<dgram.Socket, void> = own(dgram.Socket.prototype.send);

let tlsConnect: typeof tls.connect | undefined;

/**
 * `tls.connect` as it is at the first call; later calls give the same. Not taken at import: loading `tls` costs 4 ms,
 * which a program without TLS should not pay. Who hooks `tls.connect` calls this first.
 */
export function nativeTlsConnect(): typeof tls.connect {
  tlsConnect ??= process.getBuiltinModule('node:tls').connect;
  return tlsConnect;
}

/** Overloads don't survive `Function.prototype.call`'s type. */
function own<This, Result>(method: unknown): Method<This, Result> {
  return method as Method<This, Result>;
}
