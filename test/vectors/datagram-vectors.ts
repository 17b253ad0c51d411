/**
 * The vectors of docs/protocol.md, "Datagram flows": the keys of one flow and one packet of every type, for each
 * suite. Other implementations read `datagram.json`; this makes it.
 */

import { Association } from '../../src/l4mob/association.ts';
import { protectionOf } from '../../src/l4mob/datagram/packet-protection.ts';
import { deriveFlowKeys } from '../../src/l4mob/key-schedule.ts';
import { portPairKey } from '../../src/l4mob/port-pairs.ts';
import { SUITES, type Suite } from '../../src/l4mob/suite.ts';
import { DATAGRAM_TYPE, type DatagramType, flowIdOf } from '../../src/l4mob/wire/datagram.ts';
import { encodeWhereabouts } from '../../src/l4mob/wire/update.ts';
import { run } from '../l4mob/wire/samples.ts';

type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };

const PORT_PAIR = { initiator: 40_000, responder: 443 } as const;
const OPEN_NUMBER = 0x010203;
const WHEREABOUTS = encodeWhereabouts({ stateSequence: 3, sessionPort: 5000, addresses: ['192.0.2.9', '2001:db8::9'] });
const PAYLOADS: Readonly<Record<DatagramType, Uint8Array>> = {
  [DATAGRAM_TYPE.open]: run(0, 0),
  [DATAGRAM_TYPE.openData]: Buffer.from('the quick brown fox'),
  [DATAGRAM_TYPE.data]: Buffer.from('jumps over the lazy dog'),
  [DATAGRAM_TYPE.empty]: run(0, 0),
  [DATAGRAM_TYPE.challenge]: Buffer.concat([run(0x60, 8), Buffer.alloc(8)]),
  [DATAGRAM_TYPE.answer]: run(0x60, 8),
  [DATAGRAM_TYPE.close]: run(0x68, 8),
  [DATAGRAM_TYPE.addresses]: Buffer.concat([run(0x70, 8), WHEREABOUTS]),
};

const SECRET = run(0x20, 32);

function association(suite: Suite): Association {
  const peer = { stateSequence: 0, sessionPort: 0, addresses: [] };
  return new Association({ role: 'initiator', id: run(0xc0, 8), secret: SECRET, suite, peer, expiresAt: 0 });
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

/** All from the initiator, with rising packet numbers. */
function packets(suite: Suite): Json {
  const { keys, associationId } = association(suite).flow(OPEN_NUMBER, PORT_PAIR);
  return Object.entries(DATAGRAM_TYPE).map(([name, type], i) => {
    const opens = type === DATAGRAM_TYPE.open || type === DATAGRAM_TYPE.openData;
    const id = flowIdOf(opens ? associationId : keys.idAtResponder);
    const packetNumber = opens ? 1 + i : 2 ** 33 + i;
    const header = {
      type,
      idHigh: id.high,
      idLow: id.low,
      stateSequence: 3,
      packetNumber,
      openNumber: opens ? OPEN_NUMBER : 0,
      initiatorPort: opens ? PORT_PAIR.initiator : 0,
      responderPort: opens ? PORT_PAIR.responder : 0,
    };
    const payload = PAYLOADS[type];
    const bytes = protectionOf(suite).seal(keys.packets, 0, portPairKey(PORT_PAIR), header, payload);
    return { name, type, stateSequence: 3, packetNumber, payload: hex(payload), bytes: hex(bytes) };
  });
}

export function makeDatagramVectors(): Json {
  return {
    protocolVersion: 1,
    associationId: hex(run(0xc0, 8)),
    associationSecret: hex(SECRET),
    openNumber: OPEN_NUMBER,
    portPair: PORT_PAIR,
    suites: SUITES.map((suite) => {
      const { keys, associationId } = association(suite).flow(OPEN_NUMBER, PORT_PAIR);
      const identity = Buffer.alloc(22);
      identity.set(associationId);
      identity.writeBigUInt64BE(BigInt(OPEN_NUMBER), 8);
      identity.writeUInt32BE(portPairKey(PORT_PAIR), 16);
      identity.writeUInt16BE(suite.id, 20);
      if (hex(deriveFlowKeys(SECRET, identity, suite).idAtResponder) !== hex(keys.idAtResponder)) {
        throw new Error('the identity is laid out in another way');
      }
      return {
        suite: suite.name,
        id: suite.id,
        flowIdentity: hex(identity),
        keys: {
          packetFromInitiator: hex(keys.packets.subarray(0, suite.keyBytes)),
          packetFromResponder: hex(keys.packets.subarray(suite.keyBytes)),
          idAtInitiator: hex(keys.idAtInitiator),
          idAtResponder: hex(keys.idAtResponder),
        },
        packets: packets(suite),
      };
    }),
  };
}
