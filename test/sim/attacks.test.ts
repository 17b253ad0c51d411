/** What an attacker can do who sees every packet and sends any, but has no key: nothing that lasts. */
import { describe, expect, it } from 'vitest';
import { refuseUnknown } from '../../src/l4mob/association.ts';
import { TOMBSTONE_MS } from '../../src/l4mob/limits.ts';
import { encodeRefuse, HELLO_TYPE } from '../../src/l4mob/wire/hello.ts';
import { SIGNAL_TYPE, signalTypeOf } from '../../src/l4mob/wire/signal-header.ts';
import { decodeUpdate, encodeUpdate } from '../../src/l4mob/wire/update.ts';
import type { ConnectionEnd } from './connection.ts';
import type { Host } from './network.ts';
import { SESSION_PORT } from './process.ts';
import { CLIENT_IP, SERVER_IP, World } from './world.ts';

const ELSEWHERE = '192.0.2.200';
const ATTACKER_IP = '203.0.113.66';
const LONG_TRANSFER = { bytes: 300_000, writeBytes: 1_000, pauseMs: 10 };

interface Tap {
  readonly world: World;
  readonly attacker: Host;
  /** First flights of the connections to the server: hello and what was right behind it. */
  readonly hellos: Buffer[];
  readonly updates: Buffer[];
}

function tapped(): Tap {
  const world = new World({ client: LONG_TRANSFER, server: LONG_TRANSFER });
  const attacker = world.network.host('attacker', [ATTACKER_IP]);
  const hellos: Buffer[] = [];
  const updates: Buffer[] = [];
  world.network.onWire = (bytes, _, to) => {
    if (signalTypeOf(bytes) === SIGNAL_TYPE.update) updates.push(Buffer.from(bytes));
    else if (to === SERVER_IP && (bytes[0] === HELLO_TYPE.open || bytes[0] === HELLO_TYPE.resume)) {
      if (bytes.length === 68 || bytes.length === 48) hellos.push(Buffer.from(bytes));
    }
  };
  return { world, attacker, hellos, updates };
}

/** What the server says to these bytes on a connection of the attacker's. */
function inject({ world, attacker }: Tap, bytes: Buffer): { reply: Buffer; ended: boolean } {
  const state = { reply: Buffer.alloc(0), ended: false };
  world.network.connect(attacker, ATTACKER_IP, { ip: SERVER_IP, port: SESSION_PORT }, 1_000, {
    onConnected: (end: ConnectionEnd) => {
      end.onBytes = (chunk) => {
        state.reply = Buffer.concat([state.reply, chunk]);
      };
      end.onEnd = () => {
        state.ended = true;
      };
      end.write([bytes]);
    },
    onFailed: () => {},
  });
  world.time.pass(100);
  return state;
}

function expectUnharmed({ world }: Tap, moves = 0): void {
  world.network.onWire = undefined;
  expect(world.runToEnd()).toBe(true);
  const { client, server } = world;
  expect([client.stream.complete, server.stream.complete]).toEqual([true, true]);
  expect([server.streams.length, client.stream.session.moves]).toEqual([1, moves]);
}

describe('on TCP', () => {
  it('a replayed OPEN is refused as stale, while the session runs and after it', () => {
    const tap = tapped();
    tap.world.untilOpen();
    const [open] = tap.hellos;
    if (open === undefined) throw new Error('no OPEN seen');
    const { reply } = inject(tap, open);
    expect(reply[0]).toBe(HELLO_TYPE.refuse);
    expect(tap.world.server.counters.stale).toBe(1);
    expectUnharmed(tap);
    tap.world.time.pass(TOMBSTONE_MS + 10_000);
    inject(tap, open);
    expect(tap.world.server.counters.replayed).toBe(1);
    expect(tap.world.server.streams).toHaveLength(1);
  });

  it('a replayed RESUME is refused as stale', () => {
    const tap = tapped();
    tap.world.untilOpen();
    tap.world.client.host.moveTo([ELSEWHERE]);
    tap.world.until(() => tap.world.client.stream.session.moves === 1);
    const resume = tap.hellos.find((hello) => hello[0] === HELLO_TYPE.resume);
    if (resume === undefined) throw new Error('no RESUME seen');
    inject(tap, resume);
    expect(tap.world.server.counters.stale).toBe(1);
    expectUnharmed(tap, 1);
  });

  it('a RESUME that was captured and raced from elsewhere gains nothing, and costs one more subflow', () => {
    const tap = tapped();
    const { world } = tap;
    world.untilOpen();
    world.time.pass(300);
    const genuine = world.server.host.acceptHandlers.get(SESSION_PORT);
    let raced = 0;
    // The attacker holds the client's bytes up and is the first to arrive with them.
    world.server.host.acceptHandlers.set(SESSION_PORT, (end) => {
      if (raced++ > 0) return genuine?.(end);
      const held: Buffer[] = [];
      end.onBytes = (chunk) => void held.push(chunk);
      world.time.after(50, () => inject(tap, Buffer.concat(held)));
      world.time.after(200, () => {
        genuine?.(end);
        for (const chunk of held) end.onBytes?.(chunk);
      });
    });
    world.client.host.moveTo([ELSEWHERE]);
    world.time.pass(400);
    expect(world.server.counters.stale).toBe(1);
    expectUnharmed(tap, 1);
  });

  it('hellos with a flipped bit do nothing', () => {
    const tap = tapped();
    tap.world.untilOpen();
    const [open] = tap.hellos;
    if (open === undefined) throw new Error('no OPEN seen');
    for (let bit = 0; bit < open.length * 8; bit += 7) {
      const flipped = Buffer.from(open);
      flipped[bit >> 3] = (flipped[bit >> 3] as number) ^ (1 << (bit & 7));
      inject(tap, flipped);
    }
    const { forged, malformed, unknown, stale } = tap.world.server.counters;
    expect(forged).toBeGreaterThan(30);
    expect([stale, unknown]).toEqual([0, 0]);
    expect(malformed).toBeGreaterThan(3);
    expectUnharmed(tap);
  });

  it('forged records cost the subflow that they came on, and no more', () => {
    for (const who of ['client', 'server'] as const) {
      const tap = tapped();
      const { world } = tap;
      world.untilOpen();
      world.time.pass(300);
      const end = world[who].stream.currentEnd;
      end?.arrive(Buffer.from('forged bytes in the middle of a stream of records'));
      expect(world[who].stream.session.badRecords).toBeGreaterThan(0);
      expectUnharmed(tap, 1);
    }
  });

  it('a forged REFUSE in the answer to a hello only makes the initiator dial again', () => {
    for (const forged of [
      encodeRefuse({ code: 'listener-gone', ports: [] }, () => new Uint8Array(16)),
      encodeRefuse({ code: 'policy', ports: [] }, () => new Uint8Array(16).fill(1)),
      refuseUnknown(),
    ]) {
      const tap = tapped();
      const { world } = tap;
      world.untilOpen();
      world.time.pass(300);
      const genuine = world.server.host.acceptHandlers.get(SESSION_PORT);
      let forgeries = 0;
      world.server.host.acceptHandlers.set(SESSION_PORT, (end) => {
        if (forgeries++ > 2) return genuine?.(end);
        end.write([forged]);
      });
      world.client.host.moveTo([ELSEWHERE]);
      world.time.pass(900);
      expect(forgeries).toBeGreaterThan(3);
      expectUnharmed(tap, 1);
    }
  });
});

describe('on UDP', () => {
  it('replayed, reflected and altered L4_UPDATEs change nothing', () => {
    const tap = tapped();
    const { world, attacker, updates } = tap;
    world.untilOpen();
    world.client.host.moveTo([ELSEWHERE]);
    world.time.pass(300);
    const { association } = world.server;
    const before = association?.peer;
    expect(before?.addresses).toEqual([ELSEWHERE]);
    const captured = [...updates];
    expect(captured.length).toBeGreaterThan(2);
    const send = (bytes: Uint8Array): void => {
      for (const [ip, port] of [
        [SERVER_IP, SESSION_PORT],
        [ELSEWHERE, 5000],
      ] as const) {
        world.network.sendDatagram(attacker, { ip: ATTACKER_IP, port: 1 }, { ip, port }, bytes);
      }
    };
    for (const bytes of captured) {
      send(bytes);
      const { update } = decodeUpdate(bytes);
      send(
        encodeUpdate({ ...update, packetNumber: 99, stateSequence: 99, addresses: [ATTACKER_IP] }, () =>
          bytes.subarray(-16),
        ),
      );
      for (let bit = 0; bit < bytes.length * 8; bit += 3) {
        const flipped = Buffer.from(bytes);
        flipped[bit >> 3] = (flipped[bit >> 3] as number) ^ (1 << (bit & 7));
        send(flipped);
      }
    }
    world.time.pass(100);
    expect(association?.peer).toEqual(before);
    expect(world.client.association?.peer.addresses).toEqual([SERVER_IP]);
    expect(world.server.peerSource?.ip).toBe(ELSEWHERE);
    expectUnharmed(tap, 1);
  });

  it('a stranger learns nothing from noise on any port', () => {
    const tap = tapped();
    const { world, attacker } = tap;
    world.untilOpen();
    let heard = 0;
    attacker.datagramHandlers.set(1, () => {
      heard += 1;
    });
    for (let i = 0; i < 200; i++) {
      const noise = world.random.bytes(world.random.between(0, 400));
      if (i % 2 === 0) noise.set(Buffer.from('L4MB\x01').subarray(0, noise.length));
      for (const port of [80, SESSION_PORT]) {
        world.network.sendDatagram(attacker, { ip: ATTACKER_IP, port: 1 }, { ip: SERVER_IP, port }, noise);
      }
    }
    world.time.pass(100);
    expect(heard).toBe(0);
    expectUnharmed(tap);
    expect(world.client.host.addresses.has(CLIENT_IP)).toBe(true);
  });
});
