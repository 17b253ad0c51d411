/**
 * Two processes in the virtual network: a client that opens sessions and a server that takes them. They do on virtual
 * sockets what `src/l4mob/io` does on real ones: handshake, hellos, dialing, L4_UPDATE, tombstones.
 */
import type { TransportAddress } from '../../src/core/address.ts';
import { WireError } from '../../src/core/errors.ts';
import { type Association, isGenuineResume, refuseUnknown } from '../../src/l4mob/association.ts';
import { type HandshakeOutcome, InitiatorHandshake } from '../../src/l4mob/initiator-handshake.ts';
import { GROUPS, type Group } from '../../src/l4mob/key-agreement.ts';
import { DEFAULT_STREAM_LIMITS, type StreamLimits, TOMBSTONE_MS } from '../../src/l4mob/limits.ts';
import { PortPairTable, portPairKey } from '../../src/l4mob/port-pairs.ts';
import { Responder } from '../../src/l4mob/responder.ts';
import { type SessionIdentity, StreamSession } from '../../src/l4mob/stream-session.ts';
import { SUITES, type Suite } from '../../src/l4mob/suite.ts';
import { UpdateExchange } from '../../src/l4mob/update-exchange.ts';
import { decodeOpen, decodeResume, HELLO_TYPE, helloLength, type RefuseCode } from '../../src/l4mob/wire/hello.ts';
import { TRANSPORT } from '../../src/l4mob/wire/init.ts';
import { SIGNAL_TYPE, signalTypeOf } from '../../src/l4mob/wire/signal-header.ts';
import { decodeUpdate, encodeWhereabouts, type Whereabouts } from '../../src/l4mob/wire/update.ts';
import type { ConnectionEnd } from './connection.ts';
import type { Host, Network, Pending } from './network.ts';
import { type Plan, SimStream, type StreamHost } from './stream.ts';
import type { Appointment } from './virtual-time.ts';

export const APPLICATION_PORT = 80;
export const SESSION_PORT = 4433;
const CLIENT_PORT = 5000;
const DIAL_TIMEOUT_MS = 1500;
const RESOLVE_AFTER = 2;

export interface ProcessOptions {
  readonly suites?: readonly Suite[];
  readonly groups?: readonly Group[];
  readonly limits?: Partial<StreamLimits>;
}

/** What both ends of an association do: say where they are, hear where the peer is. */
abstract class Process {
  /** The process is no more. */
  crashed = false;
  /** Where else the peer may be, as a name server says. */
  protected hints: readonly string[] = [];
  readonly host: Host;
  readonly network: Network;
  readonly suites: readonly Suite[];
  readonly groups: readonly Group[];
  readonly limits: StreamLimits;
  readonly streams: SimStream[] = [];
  readonly exchange: UpdateExchange = new UpdateExchange();
  #stateSequence = 1;
  #packetNumber = 0;
  #alarm: Appointment | undefined;
  peerSource: TransportAddress | undefined;

  constructor(host: Host, { suites = SUITES, groups = GROUPS, limits = {} }: ProcessOptions) {
    this.host = host;
    this.network = host.network;
    this.suites = suites;
    this.groups = groups;
    this.limits = { ...DEFAULT_STREAM_LIMITS, ...limits };
    host.onAddresses = (lost) => this.#addressesChanged(lost);
  }

  abstract get association(): Association | undefined;
  abstract get signalPort(): number;
  abstract get sessionPort(): number;

  get now(): number {
    return this.network.time.now;
  }

  get whereabouts(): Whereabouts {
    const { sessionPort } = this;
    return { stateSequence: this.#stateSequence, sessionPort, addresses: [...this.host.addresses] };
  }

  #addressesChanged(lost: ReadonlySet<string>): void {
    this.#stateSequence += 1;
    for (const stream of this.streams) stream.addressesChanged(lost);
    this.announce();
  }

  announce(): void {
    this.exchange.start(this.now, this.#packetNumber + 1);
    this.#armExchange();
  }

  #armExchange(): void {
    this.#alarm?.cancel();
    const at = this.exchange.pollTimeout();
    if (at === undefined || this.streams.every((stream) => stream.ended)) return;
    this.#alarm = this.network.time.at(at, () => {
      if (this.exchange.takeDue(this.now)) this.sendUpdate(true);
      this.#armExchange();
    });
  }

  sendUpdate(answerWanted: boolean, answers?: number): void {
    const { association } = this;
    if (association === undefined || this.crashed) return;
    this.#packetNumber += 1;
    const bytes = association.encodeUpdate(this.whereabouts, answerWanted, answers);
    const [local] = this.host.addresses;
    if (local === undefined) return;
    const port = association.role === 'initiator' ? association.peer.sessionPort : CLIENT_PORT;
    const places = [...new Set([...association.peer.addresses, ...this.hints])].map((ip) => ({ ip, port }));
    if (this.peerSource !== undefined) places.push(this.peerSource);
    for (const to of places) this.network.sendDatagram(this.host, { ip: local, port: this.signalPort }, to, bytes);
  }

  handleUpdate(bytes: Buffer, from: TransportAddress): void {
    const { association } = this;
    if (association === undefined) return;
    let decoded: ReturnType<typeof decodeUpdate>;
    try {
      decoded = decodeUpdate(bytes);
    } catch (error) {
      if (error instanceof WireError) return;
      throw error;
    }
    if (!association.accepts(decoded)) return;
    this.peerSource = from;
    const { update } = decoded;
    if (update.answersPacketNumber !== undefined) this.exchange.answered(update.answersPacketNumber);
    const news = association.learnWhereabouts(update);
    if (update.answerWanted) this.sendUpdate(false, update.packetNumber);
    if (news || update.answerWanted) {
      for (const stream of this.streams) {
        if (stream.ended) continue;
        stream.session.handleNetworkChange(this.now);
        stream.pump();
      }
    }
  }
}

export class Client extends Process {
  #association: Association | undefined;
  #handshake: InitiatorHandshake | undefined;
  #alarm: Appointment | undefined;
  readonly #dials = new Map<SimStream, Pending[]>();
  readonly portPairs: PortPairTable = new PortPairTable();
  readonly #server: TransportAddress;
  #plan: Plan | undefined;
  outcome: HandshakeOutcome | undefined;
  /** Where a name server says that the server is; asked when dials fail in a row, as both may have moved at once. */
  resolve: (() => Iterable<string>) | undefined;
  #failedDials = 0;

  constructor(host: Host, serverIp: string, options: ProcessOptions = {}) {
    super(host, options);
    this.#server = { ip: serverIp, port: APPLICATION_PORT };
    host.datagramHandlers.set(CLIENT_PORT, (bytes, from) => {
      if (signalTypeOf(bytes) === SIGNAL_TYPE.update) return this.handleUpdate(bytes, from);
      this.#handshake?.handleDatagram(this.now, bytes);
      this.#pumpHandshake();
    });
  }

  get association(): Association | undefined {
    return this.#association;
  }
  get signalPort(): number {
    return CLIENT_PORT;
  }
  get sessionPort(): number {
    return 0;
  }
  get stream(): SimStream {
    const [first] = this.streams;
    if (first === undefined) throw new Error('no session yet');
    return first;
  }

  /** A session with this plan; a handshake before it where there is no association yet. */
  open(plan: Plan): void {
    this.#plan = plan;
    if (this.#association !== undefined) return this.#openSession(this.#association, this.#candidates()[0] ?? 1);
    this.#handshake = new InitiatorHandshake({
      random: this.network.random,
      now: this.now,
      transport: TRANSPORT.tcp,
      responderPort: APPLICATION_PORT,
      groups: this.groups,
      suites: this.suites,
      portCandidates: this.#candidates(),
      isPortFree: (initiator) => this.portPairs.isFree(this.now, { initiator, responder: APPLICATION_PORT }),
    });
    this.#pumpHandshake();
  }

  #candidates(): number[] {
    return this.portPairs.candidates(this.now, this.network.random, APPLICATION_PORT, 4);
  }

  #pumpHandshake(): void {
    const handshake = this.#handshake;
    this.#alarm?.cancel();
    if (handshake === undefined || this.#association !== undefined) return;
    const bytes = handshake.pollTransmit();
    const [local] = this.host.addresses;
    if (bytes !== undefined && local !== undefined) {
      const [ip = this.#server.ip] = this.resolve?.() ?? [];
      const to = { ip, port: APPLICATION_PORT };
      this.network.sendDatagram(this.host, { ip: local, port: CLIENT_PORT }, to, bytes);
    }
    const { outcome } = handshake;
    this.outcome = outcome;
    if (outcome?.type === 'accepted') {
      this.#association = outcome.association;
      return this.#openSession(outcome.association, outcome.portPair.initiator);
    }
    // A program would go on plainly; these tests want the session.
    if (outcome?.type === 'failed' && outcome.reason === 'no-answer' && this.#plan !== undefined) {
      const plan = this.#plan;
      this.#alarm = this.network.time.after(100, () => this.open(plan));
      return;
    }
    const at = handshake.pollTimeout();
    if (at === undefined) return;
    this.#alarm = this.network.time.at(at, () => {
      handshake.handleTimeout(this.now);
      this.#pumpHandshake();
    });
  }

  #openSession(association: Association, initiator: number): void {
    const portPair = { initiator, responder: APPLICATION_PORT };
    this.portPairs.take(portPair);
    const identity = association.newSession(this.network.random, portPair);
    const session = new StreamSession({ role: 'initiator', identity, limits: this.limits, now: this.now });
    const host: StreamHost = {
      dial: (s) => this.#dial(s),
      cancelDial: (s) => this.#cancelDial(s),
      peerSilent: () => {
        this.hints = [...(this.resolve?.() ?? [])];
        this.announce();
      },
      whereabouts: (whereabouts) => void association.learnWhereabouts(whereabouts),
      ended: () => this.portPairs.free(portPair),
      refused: (s) => {
        s.session.fail('ECONNREFUSED');
        s.pump();
      },
    };
    const name = `client ${this.streams.length + 1}`;
    const stream = new SimStream(name, this.network.time, session, this.#plan as Plan, this.limits, host);
    this.streams.push(stream);
    session.announce(encodeWhereabouts(this.whereabouts));
    session.handleNetworkChange(this.now);
    stream.pump();
    this.announce();
  }

  #cancelDial(stream: SimStream): void {
    for (const pending of this.#dials.get(stream) ?? []) pending.cancel();
    this.#dials.delete(stream);
  }

  /** All local addresses to all that are known of the peer, at once; the first to stand is taken. */
  #dial(stream: SimStream): void {
    this.#cancelDial(stream);
    if (this.crashed) return;
    const peer = this.association?.peer;
    if (peer === undefined) throw new Error('dial without an association');
    const places = new Set([...peer.addresses, ...(peer.stateSequence === 0 ? [this.#server.ip] : [])]);
    if (this.#failedDials >= RESOLVE_AFTER) for (const ip of this.resolve?.() ?? []) places.add(ip);
    const failures: string[] = [];
    const attempts: [string, string][] = [];
    for (const local of this.host.addresses) for (const remote of places) attempts.push([local, remote]);
    const pending: Pending[] = [];
    this.#dials.set(stream, pending);
    if (attempts.length === 0) {
      this.#failedDials += 1;
      const soon = this.network.time.after(0, () => stream.dialFailed('unreachable'));
      pending.push(soon);
      return;
    }
    for (const [local, ip] of attempts) {
      pending.push(
        this.network.connect(this.host, local, { ip, port: peer.sessionPort }, DIAL_TIMEOUT_MS, {
          onConnected: (end, roundTripMs) => {
            this.#cancelDial(stream);
            this.#failedDials = 0;
            stream.attachDialed(end, roundTripMs);
          },
          onFailed: (failure) => {
            failures.push(failure);
            if (failures.length < attempts.length) return;
            this.#dials.delete(stream);
            this.#failedDials += 1;
            stream.dialFailed(failures.every((f) => f === 'refused') ? 'refused' : 'unreachable');
          },
        }),
      );
    }
  }
}

interface Accepted {
  readonly stream: SimStream;
  readonly association: Association;
  readonly identity: SessionIdentity;
  readonly openNumber: number;
}

export class Server extends Process {
  readonly responder: Responder;
  readonly portPairs: PortPairTable = new PortPairTable();
  readonly #sessions = new Map<number, Accepted>();
  readonly #plan: Plan;
  readonly counters = { malformed: 0, forged: 0, stale: 0, replayed: 0, unknown: 0 };
  #association: Association | undefined;

  constructor(host: Host, plan: Plan, options: ProcessOptions = {}) {
    super(host, options);
    this.#plan = plan;
    this.responder = new Responder({
      random: this.network.random,
      now: this.now,
      groups: this.groups,
      suites: this.suites,
      portPairs: this.portPairs,
    });
    host.datagramHandlers.set(APPLICATION_PORT, (bytes, from, local) => {
      this.responder.handleTimeout(this.now);
      const answer = this.responder.handleInit(this.now, bytes, from, {
        sessionPort: SESSION_PORT,
        addresses: [...host.addresses].slice(0, 8),
      });
      if (answer !== undefined) this.network.sendDatagram(host, local, from, answer);
    });
    host.datagramHandlers.set(SESSION_PORT, (bytes, from) => {
      if (signalTypeOf(bytes) === SIGNAL_TYPE.update) this.handleUpdate(bytes, from);
    });
    host.acceptHandlers.set(SESSION_PORT, (end) => this.#accept(end));
  }

  get association(): Association | undefined {
    return this.#association;
  }
  get signalPort(): number {
    return SESSION_PORT;
  }
  get sessionPort(): number {
    return SESSION_PORT;
  }
  get stream(): SimStream {
    const [first] = this.streams;
    if (first === undefined) throw new Error('no session yet');
    return first;
  }

  #accept(end: ConnectionEnd): void {
    let received: Buffer = Buffer.alloc(0);
    end.onEnd = () => end.end();
    end.onBytes = (chunk) => {
      received = Buffer.concat([received, chunk]);
      try {
        const length = helloLength(received);
        if (length === undefined || received.length < length) return;
        end.onBytes = undefined;
        const hello = received.subarray(0, length);
        const rest = received.subarray(length);
        if (hello[0] === HELLO_TYPE.open) this.#handleOpen(end, hello, rest);
        else if (hello[0] === HELLO_TYPE.resume) this.#handleResume(end, hello, rest);
        else throw new WireError('a REFUSE');
      } catch (error) {
        if (!(error instanceof WireError)) throw error;
        this.counters.malformed += 1;
        end.destroy();
      }
    };
  }

  #handleOpen(end: ConnectionEnd, bytes: Buffer, rest: Buffer): void {
    const open = decodeOpen(bytes);
    const { message } = open;
    const association = this.responder.association(message.associationId);
    if (association === undefined) return this.#turnAway(end, refuseUnknown());
    const identity = association.identify(open);
    if (identity === undefined) {
      this.counters.forged += 1;
      return this.responder.isConfirmed(association) ? end.destroy() : this.#turnAway(end, refuseUnknown());
    }
    this.responder.confirm(association);
    this.#association = association;
    const refuse = (code: RefuseCode): void => this.#turnAway(end, association.refuse(code, [], open.mac));
    const hello = { kind: 'open', receiveOffset: 0, ...message } as const;
    const key = portPairKey(message.portPair);
    const running = this.#sessions.get(key);
    if (running?.association === association && running.openNumber === message.openNumber) {
      if (running.stream.attachAccepted(end, hello, rest)) return;
      this.counters.stale += 1;
      return refuse('stale');
    }
    if (running !== undefined) return refuse('port-pair');
    if (!association.useOpenNumber(message.openNumber)) {
      this.counters.replayed += 1;
      return refuse('stale');
    }
    const session = new StreamSession({ role: 'responder', identity, limits: this.limits, now: this.now });
    const stream = new SimStream(
      `server ${this.streams.length + 1}`,
      this.network.time,
      session,
      this.#plan,
      this.limits,
      {
        dial: () => {
          throw new Error('a responder dials');
        },
        cancelDial: () => {},
        peerSilent: () => this.announce(),
        ended: () => {
          this.network.time.after(TOMBSTONE_MS, () => {
            if (this.#sessions.get(key)?.stream === stream) this.#sessions.delete(key);
          });
        },
        refused: () => {},
        whereabouts: (whereabouts) => void association.learnWhereabouts(whereabouts),
      },
    );
    this.portPairs.take(message.portPair);
    this.streams.push(stream);
    this.#sessions.set(key, { stream, association, identity, openNumber: message.openNumber });
    stream.attachAccepted(end, hello, rest);
  }

  #handleResume(end: ConnectionEnd, bytes: Buffer, rest: Buffer): void {
    const resume = decodeResume(bytes);
    const { message } = resume;
    const running = this.#sessions.get(portPairKey(message.portPair));
    if (running === undefined || Buffer.compare(running.association.id, message.associationId) !== 0) {
      this.counters.unknown += 1;
      return this.#turnAway(end, refuseUnknown());
    }
    if (!isGenuineResume(running.identity.keys, resume)) {
      this.counters.forged += 1;
      return end.destroy();
    }
    if (running.stream.attachAccepted(end, { kind: 'resume', ...message }, rest)) return;
    this.counters.stale += 1;
    this.#turnAway(end, running.association.refuse('stale', [], resume.mac));
  }

  #turnAway(end: ConnectionEnd, refuse: Uint8Array): void {
    end.write([refuse]);
    end.end();
  }
}
