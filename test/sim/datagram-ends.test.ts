/** How datagram flows end: the peer hears of it, whatever is lost on the way. */
import { describe, expect, it } from 'vitest';
import { LINGER_MS } from '../../src/l4mob/datagram/flow-timing.ts';
import { DATAGRAM_TYPE } from '../../src/l4mob/wire/datagram.ts';
import type { DatagramEnd } from './datagram-end.ts';
import { DatagramWorld } from './datagram-world.ts';

const NOBODY = { everyMs: 0, bytes: 0 };

/** A flow on which nothing is said any more. */
function quiet(seed = 1): DatagramWorld {
  const world = new DatagramWorld({ seed, client: NOBODY, server: NOBODY }).untilConfirmed();
  world.until(() => false, 5_000);
  return world;
}

function close(end: DatagramEnd): void {
  end.flow?.close(end.now);
  end.pump();
}

function typesOnWire(world: DatagramWorld): number[] {
  const types: number[] = [];
  world.network.onWire = (bytes) => types.push(bytes[0] as number);
  return types;
}

describe('a flow that is closed by one end', () => {
  it('is closed at the other after one CLOSE and its ANSWER', () => {
    const world = quiet();
    const types = typesOnWire(world);
    close(world.client);
    world.until(() => false, LINGER_MS + 5_000);
    expect(types).toEqual([DATAGRAM_TYPE.close, DATAGRAM_TYPE.answer]);
    expect(world.client.events.at(-1)).toEqual({ type: 'ended' });
    expect(world.server.events.slice(-2)).toEqual([{ type: 'closed', reason: 'peer' }, { type: 'ended' }]);
  });

  it('is closed at the other though half of all packets are lost', () => {
    const lost: number[] = [];
    for (let seed = 1; seed <= 100; seed++) {
      const world = quiet(seed);
      world.network.conditions.loss = 0.5;
      close(seed % 2 === 0 ? world.client : world.server);
      const isOpen = (): boolean => world.ends.some(({ flow }) => flow?.phase === 'confirmed');
      if (!world.until(() => !isOpen(), LINGER_MS)) lost.push(seed);
    }
    // All eight are lost in one of 256 cases.
    expect(lost.length).toBeLessThan(3);
  });

  it('that can say so to nobody says it eight times, and is over then', () => {
    const world = quiet();
    world.server.host.vanish();
    const types = typesOnWire(world);
    close(world.client);
    world.until(() => world.client.flow?.phase === 'ended', 2 * LINGER_MS);
    expect(types).toEqual(Array.from({ length: 8 }, () => DATAGRAM_TYPE.close));
    expect(world.client.flow?.phase).toBe('ended');
  });

  it('by both at the same time is over for both, and neither says it twice', () => {
    const world = quiet();
    const types = typesOnWire(world);
    for (const end of world.ends) close(end);
    world.until(() => false, 2 * LINGER_MS);
    expect(world.ends.map(({ flow }) => flow?.phase)).toEqual(['ended', 'ended']);
    expect(types.filter((type) => type === DATAGRAM_TYPE.close)).toHaveLength(2);
  });

  it('from elsewhere is closed, and moves nobody', () => {
    const world = quiet();
    world.client.host.moveTo(['192.0.2.77'], false);
    const events = world.server.events.length;
    close(world.client);
    world.until(() => world.server.flow?.phase === 'ended', 2 * LINGER_MS);
    expect(world.server.events.slice(events)).toEqual([{ type: 'closed', reason: 'peer' }, { type: 'ended' }]);
    expect(world.ends.flatMap(({ violations }) => violations)).toEqual([]);
  });

  it('by a CLOSE from before cannot be closed twice, nor by one that was altered', () => {
    const world = quiet();
    let captured: Buffer | undefined;
    world.network.onWire = (bytes) => {
      if (bytes[0] === DATAGRAM_TYPE.close) captured = Buffer.from(bytes);
    };
    world.network.conditions.loss = 1;
    close(world.client);
    const altered = Buffer.from(captured ?? Buffer.alloc(0));
    altered[22] = (altered[22] as number) ^ 1;
    const from = { ip: '203.0.113.66', port: 666 };
    expect(world.server.flow?.handleDatagram(world.time.now, altered, from)).toBeUndefined();
    expect([world.server.flow?.phase, world.server.flow?.pollTransmit()]).toEqual(['confirmed', undefined]);
  });
});
