// How long one datagram takes to find its flow and be opened, with FLOWS flows in the table: microseconds.

import { Association } from '../../src/l4mob/association.ts';
import { FlowTable } from '../../src/l4mob/datagram/flow-table.ts';
import { SUITES } from '../../src/l4mob/suite.ts';
import { SeededRandom } from '../../test/sim/seeded-random.ts';

const flows = Number(process.env.FLOWS);
const COUNTED = 200_000;
const random = new SeededRandom(1);
const suite = SUITES.find(({ name }) => name === 'hmac-sha256-128');
const remote = { ip: '192.0.2.1', port: 4000 };
const association = (role) =>
  new Association({
    role,
    id: new Uint8Array(8).fill(7),
    secret: new Uint8Array(32).fill(8),
    suite,
    peer: { stateSequence: 0, sessionPort: 0, addresses: [] },
    expiresAt: 1e12,
  });
const [initiator, responder] = [association('initiator'), association('responder')];
const [near, far] = [new FlowTable({ random }), new FlowTable({ random })];
const pairs = [];
for (let i = 0; i < flows; i++) {
  const portPair = { initiator: 1024 + (i % 60_000), responder: 4000 };
  const flow = near.open(0, initiator, portPair, remote);
  const first = flow.send(0, Buffer.alloc(1200));
  const accepted = far.accept(0, responder, first, remote);
  accepted.handleDatagram(0, first, remote);
  for (let out = accepted.pollTransmit(); out !== undefined; out = accepted.pollTransmit()) {
    flow.handleDatagram(0, out.bytes, remote);
  }
  while (flow.pollTransmit() !== undefined || flow.pollEvent() !== undefined);
  pairs.push({ flow, accepted });
}
const payload = Buffer.alloc(1200, 'mobisock');
const batch = 2_000;
let spentMs = 0;
let next = 0;
for (let done = -20_000; done < COUNTED; done += batch) {
  const packets = [];
  for (let i = 0; i < batch; i++) {
    packets.push(pairs[next].flow.send(1, payload));
    next = (next + 7919) % flows;
  }
  const startedAt = performance.now();
  for (const packet of packets)
    if (far.find(packet)?.handleDatagram(1, packet, remote) === undefined) throw new Error('lost');
  if (done >= 0) spentMs += performance.now() - startedAt;
}
process.send((spentMs / COUNTED) * 1000);
process.disconnect();
