/** Methods in the place of a handle's own, on handles of node's sockets. */
import { describe, expect, it } from 'vitest';
import { HandleShadows } from '../../../src/socket/dgram/handle-shadows.ts';
import { boundSocket, handleOf } from './udp-pair.ts';

describe.each(['udp4', 'udp6'] as const)('Methods on a %s handle', (type) => {
  async function plainHandle() {
    const handle = handleOf(await boundSocket(type, { port: 0 }));
    if (handle === null) throw new Error('no handle');
    return handle;
  }

  it('are called in the place of its own, which stay at hand, and of no other handle', async () => {
    const [handle, other] = [await plainHandle(), await plainHandle()];
    const shadows = new HandleShadows({
      send: () => 7,
      getsockname(out) {
        out.port = this === handle ? 1 : 2;
        return 0;
      },
    });
    const keys = Object.keys(handle);
    const native = shadows.castOn(handle);
    const out: { port?: number } = {};
    expect(handle.send({}, [], 0, false)).toBe(7);
    expect(handle.getsockname(out)).toBe(0);
    expect(out.port).toBe(1);
    expect(native.getsockname.call(handle, out)).toBe(0);
    expect(out.port).toBeGreaterThan(2);
    expect(native.send).toBe(other.send);
    expect(Object.keys(handle)).toEqual(keys);
  });

  it('are off again without a trace, also under what somebody else has put over them', async () => {
    const handle = await plainHandle();
    const look = (): unknown[] => [
      Object.getPrototypeOf(handle),
      Object.getOwnPropertyDescriptors(handle),
      handle.send,
      handle.close,
    ];
    const before = look();
    const shadows = new HandleShadows({ send: () => 7, close: () => {}, lookup: () => undefined, onmessage: () => {} });
    const native = shadows.castOn(handle);
    expect([handle.onmessage, handle.lookup]).not.toContain(native.onmessage);
    handle.close = () => {};
    shadows.liftFrom(handle, native);
    expect(look()).toEqual(before);
  });
});
