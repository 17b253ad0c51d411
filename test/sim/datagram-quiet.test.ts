/** Datagram flows on which little is said: NATs that forget meanwhile, and peers that are gone without a word. */
import { describe, expect, it } from 'vitest';
import { DEFAULT_FLOW_TIMING } from '../../src/l4mob/datagram/flow-timing.ts';
import { DATAGRAM_TYPE } from '../../src/l4mob/wire/datagram.ts';
import { DatagramWorld } from './datagram-world.ts';

/** What RFC 4787, section 4.3, lets a NAT be content with, at the least. */
const PATIENCE_MS = 30_000;
const KEEPALIVE_MS = 25_000;
const IDLE_MS = 60 * 60_000;
const NOBODY = { everyMs: 0, bytes: 0 };
const SELDOM = { everyMs: 100_000, bytes: 100 };

function quiet(keepAliveMs: number | undefined): DatagramWorld {
  const timing = { ...DEFAULT_FLOW_TIMING, keepAliveMs, idleTimeoutMs: IDLE_MS };
  const world = new DatagramWorld({ client: NOBODY, server: SELDOM, nat: true, natPatienceMs: PATIENCE_MS, timing });
  world.client.findPeer = undefined;
  world.server.findPeer = undefined;
  return world.untilConfirmed();
}

describe('behind a NAT that forgets after 30 s, a client that says nothing', () => {
  it('hears nothing any more without keep-alives', () => {
    const world = quiet(undefined);
    world.until(() => false, 350_000);
    expect(world.server.sentAt.filter((at) => at > 0)).toHaveLength(3);
    expect(world.client.delivered).toEqual([]);
  });

  it('hears everything with them, and the application hears of none', () => {
    const world = quiet(KEEPALIVE_MS);
    const sent: number[] = [];
    world.network.onWire = (bytes, from) => {
      if (world.client.host.addresses.has(from)) sent.push(bytes[0] as number);
    };
    world.until(() => false, 350_000);
    expect(world.client.delivered).toEqual([1, 2, 3]);
    expect(world.server.delivered).toEqual([]);
    expect(sent.filter((type) => type === DATAGRAM_TYPE.empty).length).toBeGreaterThan(9);
    expect(world.server.flow?.remoteValidated).toBe(true);
  });
});

describe('a flow that is kept alive', () => {
  it('stays beyond the idle time-out, as long as the peer is there', () => {
    const timing = { ...DEFAULT_FLOW_TIMING, keepAliveMs: KEEPALIVE_MS, idleTimeoutMs: IDLE_MS };
    const world = new DatagramWorld({ client: NOBODY, server: NOBODY, timing }).untilConfirmed();
    world.until(() => false, 3 * IDLE_MS);
    expect(world.ends.map(({ flow }) => flow?.phase)).toEqual(['confirmed', 'confirmed']);
  });

  it('ends with a peer that is gone without a word', () => {
    const timing = { ...DEFAULT_FLOW_TIMING, keepAliveMs: KEEPALIVE_MS, idleTimeoutMs: IDLE_MS };
    const world = new DatagramWorld({ client: NOBODY, server: NOBODY, timing }).untilConfirmed();
    world.server.host.vanish();
    const over = world.until(() => world.client.flow?.phase === 'ended', 2 * IDLE_MS);
    expect(over).toBe(true);
    expect(world.client.events).toContainEqual({ type: 'closed', reason: 'timeout' });
  });
});
