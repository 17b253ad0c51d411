/** Where a responder says it is: at the addresses where it takes subflows, whatever others its host has. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { readAddress } from '../../src/core/address.ts';
import { ByteReader } from '../../src/core/bytes.ts';
import { TAG_BYTES } from '../../src/l4mob/suite.ts';
import { decodeOffer } from '../../src/l4mob/wire/offer.ts';
import { RECORD_HEADER_BYTES, RECORD_TYPE } from '../../src/l4mob/wire/record.ts';
import { SIGNAL_TYPE, signalTypeOf } from '../../src/l4mob/wire/signal-header.ts';
import { decodeUpdate } from '../../src/l4mob/wire/update.ts';
import { type Captured, capturedPackets } from '../compat/captured.ts';
import { EXCHANGE_PORT, Exchange, startClient } from './exchange.ts';
import { createLab, type Lab, labMissing } from './index.ts';

const missing = await labMissing();
const SESSION_PORT = 4433;
/** Payloads that can be read on the way. */
const ENV = { MOBISOCK_SUITES: 'aes-128-gmac', MOBISOCK_SESSION_PORT: String(SESSION_PORT) };

const HOSTS = { client: ['wifi'], server: ['east', 'west', 'north'] };

describe.skipIf(missing)('a responder', () => {
  let lab: Lab;
  beforeEach(async () => {
    lab = await createLab({ hosts: HOSTS, attached: { server: ['east', 'west'] }, families: 'ipv4' });
  });
  afterEach(() => lab.close());

  test.for([
    ['that listens on one address names this one alone', ['east'], ['east']],
    ['that listens on all names them all', ['east', 'west'], ['east', 'west', 'north']],
  ] as const)('%s: in its L4_OFFER, its L4_UPDATEs and on the session', async ([, atFirst, atLast], { skip }) => {
    skip(!lab.canCapture, 'captures need root');
    const east = lab.server.address('east');
    const host = atLast.length === 1 ? east : '0.0.0.0';
    const capture = await lab.capture('wifi', { snapBytes: 65_535, filter: `src host ${east}` });
    const server = new Exchange(lab.server, { listen: { host, port: EXCHANGE_PORT } }, ENV);
    await server.report('listening');
    const client = startClient(lab.client, east);
    await client.report('session:open');
    await server.report('session:open');
    await lab.server.attach('north', 'ipv4');
    const [first, last] = [atFirst, atLast].map((names) => names.map((name) => lab.server.address(name)).sort());
    await expect
      .poll(async () => named(await capturedPackets(capture)), { timeout: 10_000 })
      .toEqual([first, last, last]);
  });
});

/** The addresses in the L4_OFFER, in the newest L4_UPDATE, and in the newest ADDRESSES record. */
function named(packets: readonly Captured[]): (readonly string[] | undefined)[] {
  const udp = packets.filter(({ protocol }) => protocol === 'udp').map(({ payload }) => payload);
  const offers = udp.filter((bytes) => signalTypeOf(bytes) === SIGNAL_TYPE.offer).map((bytes) => decodeOffer(bytes));
  const updates = udp
    .filter((bytes) => signalTypeOf(bytes) === SIGNAL_TYPE.update)
    .map((bytes) => decodeUpdate(bytes).update);
  const [offered] = offers.flatMap((offer) => (offer.status === 'accepted' ? [offer.addresses] : []));
  const told = [updates, addressesRecords(packets)].map(
    (all: readonly Told[]) => all.findLast(({ stateSequence }) => stateSequence > 1)?.addresses,
  );
  return [offered, ...told].map((addresses) => addresses && [...addresses].sort());
}

interface Told {
  readonly stateSequence: number;
  readonly addresses: readonly string[];
}

/** A quiet session's records come one after the other, and none is lost here. */
function addressesRecords(packets: readonly Captured[]): Told[] {
  const segments = packets.filter(({ protocol, sourcePort }) => protocol === 'tcp' && sourcePort === SESSION_PORT);
  const stream = Buffer.concat(segments.map(({ payload }) => payload));
  const found: Told[] = [];
  for (let at = 0; at + RECORD_HEADER_BYTES <= stream.length; ) {
    if (stream[at] === RECORD_TYPE.addresses) found.push(toldIn(stream.subarray(at + RECORD_HEADER_BYTES)));
    at += RECORD_HEADER_BYTES + stream.readUIntBE(at + 1, 3) + TAG_BYTES;
  }
  return found;
}

function toldIn(payload: Uint8Array): Told {
  const reader = new ByteReader(payload);
  const stateSequence = reader.u32('state sequence');
  reader.u16('session port');
  const addresses = Array.from({ length: reader.u8('count') }, () => readAddress(reader, 'address'));
  return { stateSequence, addresses };
}
