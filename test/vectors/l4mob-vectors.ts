/**
 * The vectors of docs/protocol.md: every message byte for byte under fixed randomness, and every key on the way. Other
 * implementations read `l4mob.json`; this makes it.
 */
import type { Random } from '../../src/core/random.ts';
import { refuseUnknown } from '../../src/l4mob/association.ts';
import { InitiatorHandshake } from '../../src/l4mob/initiator-handshake.ts';
import { type Group, groupByName } from '../../src/l4mob/key-agreement.ts';
import {
  deriveAssociationKeys,
  deriveAssociationSecret,
  deriveRendezvousEpochKeys,
  deriveRendezvousKeys,
  deriveSessionKeys,
  messageMac,
  transcriptHash,
} from '../../src/l4mob/key-schedule.ts';
import { PortPairTable } from '../../src/l4mob/port-pairs.ts';
import { RecordWriter } from '../../src/l4mob/record-stream.ts';
import { Slot } from '../../src/l4mob/rendezvous/slot.ts';
import { Responder } from '../../src/l4mob/responder.ts';
import { SUITES } from '../../src/l4mob/suite.ts';
import { decodeOpen, encodeOpen, encodeRefuse, encodeResume, OPEN_IDENTITY } from '../../src/l4mob/wire/hello.ts';
import { decodeInit, encodeInit, type Init } from '../../src/l4mob/wire/init.ts';
import { decodeOffer, encodeOffer, type Offer } from '../../src/l4mob/wire/offer.ts';
import { RECORD_TYPE, type RecordType } from '../../src/l4mob/wire/record.ts';
import { encodeRendezvousAnswer, encodeRendezvousAsk, type RendezvousEntry } from '../../src/l4mob/wire/rendezvous.ts';
import { encodeUpdate, encodeWhereabouts } from '../../src/l4mob/wire/update.ts';
import {
  ACCEPTED,
  fixedMac,
  INIT,
  OPEN,
  RENDEZVOUS_ANSWERS,
  RENDEZVOUS_ASK,
  RESUME,
  run,
  UPDATE,
} from '../l4mob/wire/samples.ts';

type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };

/** Counts upwards: the n-th byte asked for is `start` + n. */
class CountingRandom implements Random {
  #next: number;
  readonly drawn: Uint8Array[] = [];

  constructor(start: number) {
    this.#next = start;
  }

  bytes(length: number): Uint8Array {
    const bytes = run(this.#next, length);
    this.#next += length;
    this.drawn.push(bytes);
    return bytes;
  }
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

/** Byte fields as hexadecimal text. */
function json(value: unknown): Json {
  return JSON.parse(JSON.stringify(value, (_, v) => (v instanceof Uint8Array ? hex(v) : v))) as Json;
}

function x25519(): Group {
  const group = groupByName('x25519');
  if (group === undefined) throw new Error('no x25519');
  return group;
}

/** Message formats alone: MACs are the bytes e0 to ef. */
function formats(): Json {
  const { attempt } = INIT;
  const offers: Offer[] = [
    ACCEPTED,
    { status: 'cookie', attempt, cookie: run(0x70, 16) },
    { status: 'group', attempt, groupId: 3 },
    { status: 'ports', attempt, ports: [1025, 65_535] },
    { status: 'refused', attempt, reason: 'policy' },
    { status: 'refused', attempt, reason: 'limit' },
    { status: 'refused', attempt, reason: 'no-suite' },
    { status: 'refused', attempt, reason: 'no-group' },
  ];
  const refusals = ['unknown', 'listener-gone', 'port-pair', 'stale', 'limit', 'policy'] as const;
  const minimal: Init = { ...INIT, cookie: run(0, 0), groupIds: [1], suiteIds: [1], portCandidates: [1024] };
  const { stateSequence, sessionPort, addresses } = UPDATE;
  return {
    init: [INIT, minimal].map((init) => ({ fields: json(init), bytes: hex(encodeInit(init)) })),
    offer: offers.map((offer) => ({ fields: json(offer), bytes: hex(encodeOffer(offer)) })),
    update: [UPDATE, { ...UPDATE, fromResponder: true, answersPacketNumber: undefined, addresses: [] }].map((u) => ({
      fields: json(u),
      bytes: hex(encodeUpdate(u, fixedMac)),
    })),
    whereabouts: { bytes: hex(encodeWhereabouts({ stateSequence, sessionPort, addresses })) },
    open: { fields: json(OPEN), bytes: hex(encodeOpen(OPEN, fixedMac)) },
    resume: { fields: json(RESUME), bytes: hex(encodeResume(RESUME, fixedMac)) },
    refuse: refusals.map((code) => {
      const refuse = { code, ports: code === 'port-pair' ? [1024, 2048] : [] };
      return { fields: refuse, bytes: hex(encodeRefuse(refuse, fixedMac)) };
    }),
    refuseUnknown: hex(refuseUnknown()),
  };
}

/** One handshake, one session, one move: what goes over the wire, and the keys. */
function conversation(): Json {
  const initiatorRandom = new CountingRandom(0x01);
  const responderRandom = new CountingRandom(0x81);
  const initiator = new InitiatorHandshake({
    random: initiatorRandom,
    now: 0,
    transport: 6,
    responderPort: 443,
    groups: [x25519()],
    suites: SUITES,
    portCandidates: [40_000, 40_001],
    isPortFree: () => true,
  });
  const responder = new Responder({
    random: responderRandom,
    now: 0,
    groups: [x25519()],
    suites: SUITES,
    portPairs: new PortPairTable(),
  });
  const init = initiator.pollTransmit() ?? run(0, 0);
  const service = { sessionPort: 50_443, addresses: ['198.51.100.7', '2001:db8::7'] };
  const offer = responder.handleInit(0, init, { ip: '192.0.2.1', port: 5000 }, service) ?? run(0, 0);
  initiator.handleDatagram(0, offer);
  const { outcome } = initiator;
  if (outcome?.type !== 'accepted') throw new Error('no agreement');
  const { association, portPair } = outcome;
  // Drawn by the initiator: attempt, nonce, private key; by the responder: two cookie secrets, private key.
  const [, , initiatorPrivate] = initiatorRandom.drawn;
  const [, , responderPrivate] = responderRandom.drawn;
  const decoded = decodeOffer(offer);
  if (initiatorPrivate === undefined || responderPrivate === undefined || decoded.status !== 'accepted') {
    throw new Error('randomness was drawn in another order');
  }
  const shared = x25519()
    .generate({ bytes: () => initiatorPrivate })
    .agree(decoded.share);
  const transcript = transcriptHash(init, offer);
  const associationSecret = deriveAssociationSecret(shared, transcript);
  const keys = deriveAssociationKeys(associationSecret);
  const sessionRandom = new CountingRandom(0x30);
  const session = association.newSession(sessionRandom, portPair);
  const open = session.encodeOpen?.(1, 524_288) ?? run(0, 0);
  const identity = open.subarray(OPEN_IDENTITY.start, OPEN_IDENTITY.end);
  const resume = { associationId: association.id, portPair, stateSequence: 2, receiveOffset: 1_000, window: 524_288 };
  const mirror = responder.association(association.id);
  const mirrored = mirror?.identify(decodeOpen(open))?.keys.resume ?? run(0, 0);
  if (hex(mirrored) !== hex(session.keys.resume)) throw new Error('other keys');
  const own = { stateSequence: 2, sessionPort: 0, addresses: ['192.0.2.200'] };
  return {
    initiatorPrivateKey: hex(initiatorPrivate),
    responderPrivateKey: hex(responderPrivate),
    initiatorShare: hex(decodeInit(init).share),
    responderShare: hex(decoded.share),
    init: hex(init),
    offer: hex(offer),
    sharedSecret: hex(shared),
    transcriptHash: hex(transcript),
    associationSecret: hex(associationSecret),
    associationKeys: json(keys),
    openIdentity: hex(identity),
    open: hex(open),
    sessionKeys: Object.fromEntries(
      SUITES.map((suite) => [suite.name, json(deriveSessionKeys(associationSecret, identity, suite))]),
    ),
    resume: hex(encodeResume(resume, (covered) => messageMac(session.keys.resume, covered))),
    refuseStale: hex(mirror?.refuse('stale', [], open.subarray(-16)) ?? run(0, 0)),
    updateFromInitiator: hex(association.encodeUpdate(own, true)),
    updateFromResponder: hex(mirror?.encodeUpdate({ ...own, sessionPort: 50_443 }, false, 1) ?? run(0, 0)),
  };
}

/** The first records on subflow 3 of a session, for each suite: one of every type, in this order. */
function records(): Json {
  const portPair = { initiator: 40_000, responder: 443 };
  const payloads: Partial<Record<RecordType, Uint8Array>> = {
    [RECORD_TYPE.data]: Buffer.from('the quick brown fox'),
    [RECORD_TYPE.addresses]: encodeWhereabouts({ stateSequence: 3, sessionPort: 0, addresses: ['192.0.2.9'] }),
  };
  return {
    subflowNumber: 3,
    portPair,
    suites: SUITES.map((suite) => {
      const key = run(0x50, suite.keyBytes);
      const writer = new RecordWriter(suite.sealer(key), 3, portPair);
      return {
        suite: suite.name,
        id: suite.id,
        key: hex(key),
        records: Object.entries(RECORD_TYPE).map(([name, type], recordNumber) => {
          const payload = payloads[type] ?? run(0, 0);
          const header = {
            type,
            payloadBytes: payload.length,
            stateSequence: 3,
            offset: 2 ** 33 + 5,
            acknowledgement: 77,
            window: 524_288,
          };
          const bytes = Buffer.concat(writer.write(header, payload.length > 0 ? [payload] : []));
          return { name, recordNumber, header, payload: hex(payload), bytes: hex(bytes) };
        }),
      };
    }),
  };
}

/** What each side leaves at a rendezvous in the same epoch: keys, tag, and the entry with all that is in it. */
function rendezvous(): Json {
  const associationSecret = run(0x11, 32);
  const keys = deriveRendezvousKeys(associationSecret);
  const epoch = 7;
  const word = { version: 3, whereabouts: { stateSequence: 5, sessionPort: 50_443, addresses: UPDATE.addresses } };
  const side = (role: 'initiator' | 'responder'): Json => {
    const slot = new Slot(keys, role, epoch);
    const entry: RendezvousEntry = slot.entry(new CountingRandom(0x90), word, 120);
    const directionKey = role === 'initiator' ? keys.fromInitiator : keys.fromResponder;
    const ask = { id: run(0x10, 8), wanted: [], afterVersion: 0, cookie: run(0, 0), entry };
    return {
      epochKeys: json(deriveRendezvousEpochKeys(directionKey, epoch)),
      publicKey: hex(slot.publicKey),
      tag: hex(slot.tag),
      sealed: hex(entry.sealed),
      signature: hex(entry.signature),
      ask: hex(encodeRendezvousAsk(ask)),
    };
  };
  return {
    formats: {
      ask: { fields: json(RENDEZVOUS_ASK), bytes: hex(encodeRendezvousAsk(RENDEZVOUS_ASK)) },
      answer: RENDEZVOUS_ANSWERS.map((a) => ({ fields: json(a), bytes: hex(encodeRendezvousAnswer(a)) })),
    },
    associationSecret: hex(associationSecret),
    keys: json(keys),
    epoch,
    word: json(word),
    initiator: side('initiator'),
    responder: side('responder'),
  };
}

export function makeVectors(): Json {
  return {
    protocolVersion: 1,
    formats: formats(),
    conversation: conversation(),
    records: records(),
    rendezvous: rendezvous(),
  };
}
