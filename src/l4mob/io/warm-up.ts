/**
 * Warm-up: one handshake and one record with itself, thrown away. The first contact waits only a head start for an
 * answer, and a process that has never done any of this needs as long just to load and compile what it takes.
 */
import { monotonicNow } from '../../host/clock.ts';
import { osRandom } from '../../host/random.ts';
import { InitiatorHandshake } from '../initiator-handshake.ts';
import type { Group } from '../key-agreement.ts';
import { PortPairTable } from '../port-pairs.ts';
import { RecordReader, RecordWriter } from '../record-stream.ts';
import { Responder } from '../responder.ts';
import type { Suite } from '../suite.ts';
import { decodeOpen } from '../wire/hello.ts';
import { TRANSPORT } from '../wire/init.ts';
import { RECORD_TYPE } from '../wire/record.ts';

export function warmUp(groups: readonly Group[], suites: readonly Suite[]): void {
  const now = monotonicNow();
  const portPairs = new PortPairTable();
  const responder = new Responder({
    random: osRandom,
    now,
    groups,
    suites,
    portPairs,
  });
  const handshake = new InitiatorHandshake({
    random: osRandom,
    now,
    transport: TRANSPORT.tcp,
    responderPort: 1,
    groups,
    suites,
    portCandidates: [1024],
    isPortFree: () => true,
  });
  const init = handshake.pollTransmit() ?? new Uint8Array(0);
  const offer = responder.handleInit(now, init, { ip: '::1', port: 1 }, { sessionPort: 1, addresses: [] });
  if (offer !== undefined) handshake.handleDatagram(now, offer);
  const { outcome } = handshake;
  if (outcome?.type !== 'accepted') return;
  const session = outcome.association.newSession(osRandom, outcome.portPair);
  const { keys, suite, portPair } = session;
  const open = session.encodeOpen?.(1, 1);
  if (open !== undefined) responder.association(outcome.association.id)?.identify(decodeOpen(open));
  const writer = new RecordWriter(suite.sealer(keys.recordFromInitiator), 1, portPair);
  const reader = new RecordReader(suite.opener(keys.recordFromInitiator), 1, portPair);
  const payload = [new Uint8Array(1)];
  const header = {
    type: RECORD_TYPE.data,
    payloadBytes: 1,
    stateSequence: 1,
    offset: 0,
    acknowledgement: 0,
    window: 0,
  };
  for (const bytes of writer.write(header, payload)) reader.push(Buffer.from(bytes), () => {});
}
