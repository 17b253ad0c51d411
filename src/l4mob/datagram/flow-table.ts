/**
 * Flow table: the datagram flows of a process, found by the id in a packet, whatever address it came from. What is not
 * found is no packet of ours and is the application's, untouched.
 *
 *     mayBeFlowDatagram(bytes)?  find(bytes)?             -> flow.handleDatagram
 *                                isOpenDatagram(bytes)?   -> accept(...), then flow.handleDatagram
 *                                neither                  -> the application's
 */
import type { TransportAddress } from '../../core/address.ts';
import { WireError } from '../../core/errors.ts';
import type { Random } from '../../core/random.ts';
import type { Instant } from '../../core/time.ts';
import type { Association } from '../association.ts';
import type { PortPair } from '../port-pairs.ts';
import { type DatagramHeader, datagramId, decodeDatagram, isOpenDatagram } from '../wire/datagram.ts';
import { ChallengeTokens } from './challenge-tokens.ts';
import { DatagramFlow } from './datagram-flow.ts';
import type { FlowCounters } from './flow-event.ts';
import type { FlowIdentity } from './flow-identity.ts';
import { FlowIndex } from './flow-index.ts';
import type { FlowTiming } from './flow-timing.ts';

/** Flows of a process: 65 536 of about 1.5 KB, and as much for association, driver and look-up. */
const DEFAULT_MAX_FLOWS = 65_536;

export interface FlowTableInit {
  readonly random: Random;
  readonly maxFlows?: number;
}

export class FlowTable {
  readonly #tokens: ChallengeTokens;
  readonly #maxFlows: number;
  readonly #flows: FlowIndex<DatagramFlow>;
  /** Responder's flows by the OPEN that made them: that one carries no flow id, and may come late. */
  readonly #opened = new Map<string, DatagramFlow>();
  readonly #openNames = new Map<DatagramFlow, string>();
  readonly counters: FlowCounters = {
    malformed: 0,
    forged: 0,
    replayed: 0,
    stale: 0,
    unknown: 0,
    challenges: 0,
    refusedMoves: 0,
    undoneMoves: 0,
    limited: 0,
    afterClose: 0,
    overflowed: 0,
  };

  constructor({ random, maxFlows = DEFAULT_MAX_FLOWS }: FlowTableInit) {
    this.#tokens = new ChallengeTokens(random);
    this.#flows = new FlowIndex(random);
    this.#maxFlows = maxFlows;
  }

  get size(): number {
    return this.#flows.size;
  }

  flows(): IterableIterator<DatagramFlow> {
    return this.#flows.values();
  }

  /** The flow that a packet names which `mayBeFlowDatagram`. Whether it is genuine is the flow's to see. */
  find(bytes: Uint8Array): DatagramFlow | undefined {
    if (isOpenDatagram(bytes)) return this.#opened.get(openNameOf(bytes));
    const { high, low } = datagramId(bytes);
    return this.#flows.get(high, low);
  }

  /** Initiator: a new flow under the association; its OPEN is due. Undefined where the table is full. */
  open(
    now: Instant,
    association: Association,
    portPair: PortPair,
    remote: TransportAddress,
    timing?: FlowTiming,
  ): DatagramFlow | undefined {
    if (this.#flows.size >= this.#maxFlows) return undefined;
    const flow = this.#make(now, association.newFlow(portPair), remote, timing);
    // Ids are chance: that two flows have the same one does not happen, and must not hurt if it does.
    return this.#flows.add(flow.id, flow) ? flow : undefined;
  }

  /**
   * Responder: a new flow for an OPEN that names none yet, of an association of ours. Undefined, and nothing kept,
   * where it is malformed, forged, a replay, or the table is full. The packet itself is still to be handled.
   */
  accept(
    now: Instant,
    association: Association,
    bytes: Uint8Array,
    from: TransportAddress,
    timing?: FlowTiming,
  ): DatagramFlow | undefined {
    const header = this.#decodeOpen(bytes);
    if (header === undefined || association.role !== 'responder' || this.#flows.size >= this.#maxFlows)
      return undefined;
    const portPair = { initiator: header.initiatorPort, responder: header.responderPort };
    const flow = this.#make(now, association.flow(header.openNumber, portPair), from, timing);
    if (!flow.isGenuine(bytes)) {
      this.counters.forged += 1;
      return undefined;
    }
    if (!association.useOpenNumber(header.openNumber)) {
      this.counters.replayed += 1;
      return undefined;
    }
    if (!this.#flows.add(flow.id, flow)) return undefined;
    const name = openNameOf(bytes);
    this.#opened.set(name, flow);
    this.#openNames.set(flow, name);
    return flow;
  }

  /** Forgets a flow: after `ended`. Its packets are nobody's then. */
  delete(flow: DatagramFlow): void {
    if (this.#flows.get(flow.id.high, flow.id.low) !== flow) return;
    this.#flows.delete(flow.id);
    const name = this.#openNames.get(flow);
    if (name === undefined) return;
    this.#openNames.delete(flow);
    this.#opened.delete(name);
  }

  #make(now: Instant, identity: FlowIdentity, remote: TransportAddress, timing: FlowTiming | undefined): DatagramFlow {
    return new DatagramFlow({ identity, remote, tokens: this.#tokens, counters: this.counters, now, timing });
  }

  #decodeOpen(bytes: Uint8Array): DatagramHeader | undefined {
    try {
      return isOpenDatagram(bytes) ? decodeDatagram(bytes) : undefined;
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      this.counters.malformed += 1;
      return undefined;
    }
  }
}

/** Association id and open number of an OPEN. */
function openNameOf(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes.subarray(1, 9), ...bytes.subarray(17, 20));
}
